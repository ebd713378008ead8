"""The running component: entry points, hubs, metrics, probes, documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator

from oda_ctk.check import MUST, SHOULD, NotApplicable
from oda_ctk.component.case import API_OPERATOR, KIT, USE_CASE, At, Case, check
from oda_ctk.component.manifest import Api, mapping, numbered, text
from oda_ctk.component.piece import Found
from oda_ctk.exchange import Exchange

SCRAPER = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
METRICS_MEDIA = ("text/plain", "application/openmetrics-text")
NUMBER = r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|Inf|NaN)"
LABELS = r'\{(?:\s*[a-zA-Z_]\w*="(?:[^"\\]|\\.)*"\s*,?)*\}'
SAMPLE = re.compile(rf"([a-zA-Z_:][\w:]*)\s*(?:{LABELS})?\s+{NUMBER}(?:\s+{NUMBER})?(?:\s+# .*)?")
SUFFIXES = ("_total", "_created", "_bucket", "_sum", "_count", "_info", "_gsum", "_gcount")


@check(
    "component.run.entry",
    MUST,
    f"{KIT}, L1 dynamic 4: GET of every url",
    of="openapi",
)
def entry(at: At) -> Iterator[Found]:
    """GET on the path of an API answers 200."""
    answer = at.running.get(at.running.address(at.api))
    if answer.status != 200:
        yield Found(f"{answer.told()} instead of 200", (answer,))


@check(
    "component.run.documentation",
    MUST,
    f"{USE_CASE} UC003: developerUI",
    of="documented",
)
def documentation(at: At) -> Iterator[Found]:
    """What developerUI names is there."""
    told = text(at.api.fields.get("developerUI"))
    answer = at.running.get(at.running.beside(at.api, told), headers={"accept": "text/html,application/json,*/*"})
    if answer.status != 200 or not answer.content.strip():
        yield Found(f"{answer.told()} with {len(answer.content)} bytes", (answer,))


@check(
    "component.run.metrics",
    MUST,
    f"{API_OPERATOR}: hands port and path to Prometheus; Prometheus exposition format, OpenMetrics 1.0",
    of="metrics",
)
def metrics(at: At) -> Iterator[Found]:
    """The declared path gives metrics in the text format of Prometheus or OpenMetrics."""
    answer = _scraped(at)
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    lines = [line.strip() for line in answer.text.splitlines()]
    strange = [line for line in lines if line and not line.startswith("#") and not SAMPLE.fullmatch(line)]
    if answer.status != 200:
        yield Found(f"{answer.told()} instead of 200", (answer,))
    elif media not in METRICS_MEDIA:
        yield Found(f"the content type is {media or '(none)'}", (answer,))
    elif strange:
        yield Found(f"this is no sample: {strange[0][:200]}", (answer,))
    elif not any(line and not line.startswith("#") for line in lines):
        yield Found("there is no sample", (answer,))
    elif media.startswith("application/openmetrics") and lines[-1:] != ["# EOF"]:
        yield Found("the text does not end with # EOF", (answer,))


@check(
    "component.run.metrics.types",
    SHOULD,
    "Prometheus exposition format: TYPE",
    of="metrics",
)
def metric_types(at: At) -> Iterator[Found]:
    """Every metric tells its type."""
    answer = _scraped(at)
    typed = {p[2] for line in answer.text.splitlines() if (p := line.split())[:2] == ["#", "TYPE"] and len(p) > 2}
    names = {m[1] for line in answer.text.splitlines() if (m := SAMPLE.fullmatch(line.strip()))}
    bare = sorted(n for n in names if not typed & {n, *(n.removesuffix(s) for s in SUFFIXES)})
    if bare:
        yield Found(f"no type: {', '.join(bare[:10])}", (answer,))


def _scraped(at: At) -> Exchange:
    key = f"metrics {at.api.label}"
    if key not in at.case.memory:
        at.case.memory[key] = at.running.get(at.running.address(at.api), headers={"accept": SCRAPER})
    answer: Exchange = at.case.memory[key]
    return answer


@check("component.run.probes", MUST, f"{API_OPERATOR}: an API is ready when its pod is", needs=("running",))
def probes(case: Case) -> Iterator[Found]:
    """The probes of the pods behind the APIs are answered with success."""
    running = case.running
    assert running is not None
    made = False
    for api in {(a.implementation, a.port): a for a in case.manifest.exposed}.values():
        origin = running.origin(api.implementation, api.port)
        for path in sorted(_probed(case, api)) if origin else ():
            made = True
            answer = running.get(origin + path, headers={"accept": "*/*"})
            if not 200 <= answer.status < 400:
                yield Found(f"{answer.told()}", (answer,))
    if not made:
        raise NotApplicable("no HTTP probe at a port whose address is told")


def _probed(case: Case, api: Api) -> set[str]:
    """Paths of the probes that ask the port to which the API leads."""
    service = case.manifest.service(api.implementation)
    number = case.manifest.container_port(api)
    paths = set()
    for pod in case.manifest.behind(service) if service else []:
        for _, container in pod.containers():
            named = {p.get("name"): p.get("containerPort") for _, p in numbered(container.get("ports"))}
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                asked = mapping(mapping(container.get(kind)).get("httpGet"))
                port = asked.get("port")
                if asked and named.get(port, port) == number:
                    paths.add("/" + text(asked.get("path")).lstrip("/"))
    return paths


@check("component.run.hub", MUST, f"{USE_CASE} UC004 and UC008; TMF630 Part 4 1.2", needs=("running",))
def hub(case: Case) -> Iterator[Found]:
    """The hub of every published event takes a callback with 201 and lets it go with 204."""
    running = case.running
    assert running is not None
    hubs: dict[str, str] = {}
    for _, event in case.manifest.events("publishedEvents"):
        for _, told in numbered(event.get("specification")):
            path, service = text(told.get("hub")), text(told.get("implementation"))
            address = _hub_address(case, service, told.get("port"), path)
            if path and address:
                hubs[address] = f"{event.get('name')}"
    if not hubs:
        raise NotApplicable("no published event has a hub whose address is told")
    for address, name in hubs.items():
        answer = running.target.post(address, {"callback": running.listener.callback(f"hub-{running.run}")})
        one = running.made(address, answer)
        if answer.status != 201:
            yield Found(f"{name}: {answer.told()} instead of 201", (answer,))
        elif not one:
            yield Found(f"{name}: neither an id nor a Location tells which subscription was made", (answer,))
        else:
            gone = running.delete(one)
            if gone.status != 204:
                yield Found(f"{name}: {gone.told()} instead of 204", (answer, gone))


def _hub_address(case: Case, service: str, port: object, path: str) -> str:
    running = case.running
    assert running is not None
    origin = running.origin(service, port)
    if origin:
        return f"{origin}/{path.lstrip('/')}"
    same = [a for a in case.manifest.exposed if a.implementation == service and path.startswith(a.base)]
    address = running.published.get(same[0].label, "") if same else ""
    return address.rstrip("/") + path.removeprefix(same[0].base.rstrip("/")) if address else ""
