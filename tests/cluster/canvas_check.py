"""The charts under the Canvas's real operators: installed to Complete, upgraded, federated, taken away.

    .venv/bin/python tests/cluster/canvas_check.py OPERATORS [--crds FOLDER] [--charts FOLDER] [--only COMPONENT ...]

OPERATORS is a checkout of github.com/tmforum-oda/oda-canvas; its files are not changed. docs/canvas.md tells what is
real here and what is stood in for. Exit code 0 only if every step went well.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from api_server import ClusterError
from canvas import COMPLETE, PATIENCE_S, ROOT, Canvas, canvas, sequence
from canvas_operators import NAMESPACE, checkout
from canvas_resources import plural_path
from canvas_standins import until
from kubernetes_binaries import ToolMissing, ended_by_signals

RELEASES = {"service-quality": "sq", "experience-management": "em", "customer-360": "c360", "churn-prediction": "churn"}
PROBLEMS = "tmf-api/serviceProblemManagement/v5"
CUSTOMERS = "customerManagement"
ROLES = "rolesAndPermissionsManagement/v5"
STAYS_S = 10.0
SOON_S = 60.0
LEFT_KINDS = (
    "components,exposedapis,dependentapis,identityconfigs,publishednotifications,subscribednotifications,"
    "virtualservices,servicemonitors,deployments,statefulsets,replicasets,pods,jobs,services,endpointslices,"
    "serviceaccounts,roles,rolebindings,secrets,configmaps,networkpolicies,poddisruptionbudgets,persistentvolumeclaims,"
    "horizontalpodautoscalers"
)

Object = dict[str, Any]


class CheckFailed(Exception):
    """Something is not as it should be; the message is a sentence."""


@dataclass
class Results:
    """What was done, how it ended, how long it took."""

    lines: list[tuple[bool, str, float, str]] = field(default_factory=list)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[list[str]]:
        """One step; what is told in the list comes behind it. A failure is remembered, and the next step is done."""
        told: list[str] = []
        began, well = time.monotonic(), False
        try:
            yield told
            well = True
        except (CheckFailed, ClusterError, httpx.HTTPError) as e:
            told.append(str(e) or type(e).__name__)
        seconds = time.monotonic() - began
        self.lines.append((well, what, seconds, told[0].splitlines()[0][:160] if told else ""))
        print(f"{'ok  ' if well else 'FAIL'} {what}: {seconds:.1f} s" + "".join(f"; {t}" for t in told), flush=True)

    @property
    def well(self) -> bool:
        return all(line[0] for line in self.lines)

    def table(self) -> str:
        width = max(len(what) for _, what, _, _ in self.lines)
        return "\n".join(
            f"{'ok' if well else 'FAIL':4}  {what:{width}}  {seconds:6.1f} s  {note}"
            for well, what, seconds, note in self.lines
        )


def require(condition: bool, what: str) -> None:
    if not condition:
        raise CheckFailed(what)


def component_name(component: str) -> str:
    return f"{RELEASES[component]}-{component}"


class Manifests(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a date is a text."""


Manifests.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag != "tag:yaml.org,2002:timestamp"]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def rendered(it: Canvas, component: str) -> Object:
    """The Component that a chart writes."""
    values = str(it.values(component, {}))
    text = it.helm("template", RELEASES[component], str(it.charts / component), "--values", values)
    found: Object = next(d for d in yaml.load_all(text, Manifests) if d and d["kind"] == "Component")
    return found


def refused(it: Canvas, manifest: Object) -> str:
    """The sentence with which the API refuses a Component."""
    try:
        it.cluster.post(f"{plural_path('components', NAMESPACE)}?dryRun=All", manifest)
    except ClusterError as e:
        return str(e).partition(": 4")[2][3:]
    raise CheckFailed("It was accepted.")


def wrong_manifests(it: Canvas, results: Results, component: str) -> None:
    with results.step("an API without a port is refused by the CRD") as told:
        manifest = rendered(it, component)
        manifest["spec"]["coreFunction"]["exposedAPIs"][0]["specification"][0].pop("port")
        sentence = refused(it, manifest)
        require("port" in sentence, sentence)
        told.append(sentence)
    with results.step("an apiType that the CRD does not know is refused") as told:
        manifest = rendered(it, component)
        manifest["spec"]["coreFunction"]["exposedAPIs"][0]["specification"][0]["apiType"] = "a2a"
        sentence = refused(it, manifest)
        require("Unsupported value" in sentence and "a2a" in sentence, sentence)
        told.append(sentence)


def installed(it: Canvas, results: Results, component: str, more: Object) -> None:
    with results.step(f"{component} is installed and Complete") as told:
        name = component_name(component)
        began = it.install(RELEASES[component], component, more)
        told.append(it.reaches(name, began))


def answers(it: Canvas, results: Results, component: str) -> None:
    """Every API of a Component answers at the address that the Canvas publishes, with its specification."""
    with results.step(f"{component} answers at its addresses behind the gateway") as told:
        name = component_name(component)
        found = it.cluster.get(f"{plural_path('components', NAMESPACE)}/{name}") or {}
        urls = [api["url"] for segment in ("coreAPIs", "securityAPIs") for api in found["status"].get(segment, [])]
        for url in urls:
            answer = it.request("GET", f"{url}/openapi.json")
            require(answer.status_code == 200, f"{url}/openapi.json: {answer.status_code}")
        for api in found["status"].get("managementAPIs", []):
            answer = it.request("GET", api["url"])
            well = answer.status_code == 200 and "# TYPE" in answer.text
            require(well, f"{api['url']}: {answer.status_code} {answer.text[:200]}")
        told.append(f"{len(urls)} APIs and metrics")


def provider_later(it: Canvas, results: Results) -> None:
    """A dependency is declared before there is a provider."""
    consumer, provider = component_name("experience-management"), component_name("service-quality")
    specification = f"http://{provider}.{NAMESPACE}.svc.cluster.local:8000/{provider}/{PROBLEMS}/openapi.json"
    more = {"dependencies": {"serviceQuality": {"canvas": True, "specificationUrl": specification}}}
    with results.step("experience-management waits for a dependency without provider") as told:
        began = it.install(RELEASES["experience-management"], "experience-management", more)
        told.append(it.reaches(consumer, began, "In-Progress-DepApi"))
    installed(it, results, "service-quality", {})
    with results.step(f"the operator does not look again by itself ({STAYS_S:.0f} s)"):
        time.sleep(STAYS_S)
        status = it.statuses.now(consumer)
        require(status == "In-Progress-DepApi", f"It is {status}: the operator has changed.")
    with results.step("an annotation on the DependentAPI makes it look: Complete") as told:
        began = time.monotonic()
        for dependent in it.cluster.items(plural_path("dependentapis", NAMESPACE)):
            path = f"{plural_path('dependentapis', NAMESPACE)}/{dependent['metadata']['name']}"
            it.cluster.patch(path, {"metadata": {"annotations": {"looked-at": str(int(time.time()))}}})
        told.append(it.reaches(consumer, began))
    with results.step("the consumer finds the provider by TMF638 and subscribes through the gateway") as told:
        urls = it.information.urls(consumer)
        require(len(urls) == 1 and provider in urls[0], f"TMF638 tells {urls}.")
        statement = "SELECT callback FROM subscription WHERE callback LIKE '%" + consumer + "%'"
        require(until(lambda: bool(it.fetch("service-quality", statement)), SOON_S), "No subscription has come.")
        told.append(urls[0])


def versions(it: Canvas, results: Results) -> None:
    """TMF629 is shown in v4 alone, then in v4 and v5."""
    name, only = component_name("customer-360"), {"canvas": {"apis": {CUSTOMERS: {"versions": ["v4"]}}}}
    installed(it, results, "customer-360", only)

    def shown() -> set[str]:
        found = it.cluster.items(plural_path("exposedapis", NAMESPACE))
        return {p for e in found if CUSTOMERS in (p := e["spec"]["path"]) and name in p}

    with results.step("customer-360 shows TMF629 in v4 alone"):
        require({p.rpartition("/")[2] for p in shown()} == {"v4"}, f"Shown: {shown()}")
    with results.step("an upgrade adds v5 to v4: Complete again") as told:
        it.settled(name)
        before = time.monotonic()
        it.install(RELEASES["customer-360"], "customer-360", {}, verb="upgrade")
        require(until(lambda: len(shown()) == 2, SOON_S), f"Shown: {shown()}")
        added = f"{name}-{CUSTOMERS.lower()}-v5"

        def done() -> bool:
            found = it.cluster.get(f"{plural_path('components', NAMESPACE)}/{name}") or {}
            apis = {a["name"]: a for a in found.get("status", {}).get("coreAPIs", [])}
            known = added in apis and apis[added].get("ready") is True and "url" in apis[added]
            return known and it.statuses.now(name) == COMPLETE

        came = until(done, PATIENCE_S)
        seen = it.statuses.since(name, before)
        require(came, f"{added} is not ready at the Component, or it is not {COMPLETE}: {sequence(seen)}")
        told.append(sequence(seen) or f"{COMPLETE} all the time")
        for version in ("v4", "v5"):
            answer = it.request("GET", it.url(name, "coreAPIs", f"{CUSTOMERS}/{version}") + "/customer")
            require(answer.status_code == 200, f"{version} answers {answer.status_code}")


def roles(it: Canvas, results: Results, component: str) -> None:
    name, role = component_name(component), "night-shift"
    with results.step("the system role is a role of the component's client and of canvassystem") as told:
        for client in (name, "canvassystem"):
            known = it.keycloak.roles_of(client)
            require(known is not None and "Admin" in known, f"{client} has {known}.")
        told.append(", ".join(it.keycloak.roles_of(name) or {}))
    role_url = ""
    with results.step("a TMF672 role made after the install reaches Keycloak by the identity listener") as told:
        url = it.url(name, "securityAPIs", ROLES) + "/permissionSpecificationSet"
        made = it.request("POST", url, {"@type": "PermissionSpecificationSet", "name": role, "description": "by night"})
        require(made.status_code == 201, f"{url}: {made.status_code} {made.text[:300]}")
        role_url = f"{url}/{made.json()['id']}"
        came = until(lambda: role in (it.keycloak.roles_of(name) or {}), SOON_S)
        listener = it.operators.tail("identity-listener-keycloak")
        require(came, f"Keycloak has {it.keycloak.roles_of(name)}.\n{listener}\n{it.kubelet.tails()}")
        told.append(f"description: {(it.keycloak.roles_of(name) or {})[role]}")
    with results.step("and leaves it when it is deleted"):
        require(bool(role_url), "It was not made.")
        gone = it.request("DELETE", role_url)
        require(gone.status_code == 204, f"{role_url}: {gone.status_code}")
        require(until(lambda: role not in (it.keycloak.roles_of(name) or {}), SOON_S), "The role is still there.")


def tested(it: Canvas, results: Results, component: str) -> None:
    with results.step(f"helm test of {component}"):
        it.helm("test", RELEASES[component], "--timeout", "120s")


def contents(it: Canvas) -> set[str]:
    """Everything in the components' namespace."""
    return set(it.cluster.kubectl("get", LEFT_KINDS, "-n", NAMESPACE, "-o", "name", "--ignore-not-found").split())


def uninstalled(it: Canvas, results: Results, components: Sequence[str], before: set[str]) -> None:
    with results.step("all are uninstalled: nothing left but what was there before") as told:
        for component in components:
            it.helm("uninstall", RELEASES[component])
        done = until(lambda: not contents(it) - before, SOON_S * 2, every_s=1.0)
        left = contents(it) - before
        require(done, f"Left: {', '.join(sorted(left))}")
        require(before <= contents(it), f"Gone with them: {', '.join(sorted(before - contents(it)))}")
        require(until(lambda: not it.kubelet.processes(), SOON_S), "Processes of pods still run.")
        told.append(f"kept: {', '.join(sorted(before))}")
    with results.step("Keycloak and TMF638 have forgotten them"):
        clients = [c["clientId"] for c in it.keycloak.clients.values()]
        require(clients == ["canvassystem"], f"Clients: {clients}")
        require(not it.information.services, f"Services: {list(it.information.services.values())}")


def check(it: Canvas, results: Results, only: Sequence[str]) -> None:
    wanted = [c for c in RELEASES if not only or c in only]
    before = contents(it)
    wrong_manifests(it, results, wanted[0])
    if "experience-management" in wanted and "service-quality" in wanted:
        provider_later(it, results)
    if "customer-360" in wanted:
        versions(it, results)
    for component in wanted:
        if not it.statuses.now(component_name(component)):
            installed(it, results, component, {})
    for component in wanted:
        answers(it, results, component)
    for component in wanted:
        tested(it, results, component)
    roles(it, results, wanted[0])
    uninstalled(it, results, wanted, before)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests/cluster/canvas_check.py", description=__doc__.splitlines()[0])
    parser.add_argument("operators", type=Path, help="a checkout of github.com/tmforum-oda/oda-canvas")
    parser.add_argument("--crds", type=Path, help="folder of the ODA CRDs, in the place of the checkout's chart")
    parser.add_argument("--charts", type=Path, default=ROOT / "helm", help="folder of the charts")
    parser.add_argument("--only", nargs="+", choices=tuple(RELEASES), default=[], metavar="COMPONENT")
    given = parser.parse_args(arguments)
    ended_by_signals()
    results, began = Results(), time.monotonic()
    try:
        with canvas(checkout(given.operators.resolve()), given.charts.resolve(), given.crds) as it:
            print(f"control plane, operators and stand-ins: {time.monotonic() - began:.1f} s", flush=True)
            check(it, results, given.only)
            print(f"handlers of the operators that tried again later: {it.again()}", flush=True)
    except ToolMissing as e:
        print(e, file=sys.stderr)
        return 2
    except (CheckFailed, ClusterError, httpx.HTTPError) as e:
        print(e, file=sys.stderr)
        return 1
    print(f"\n{results.table()}")
    print(f"canvas-check {'passed' if results.well else 'FAILED'} after {time.monotonic() - began:.0f} s")
    return 0 if results.well else 1


if __name__ == "__main__":
    sys.exit(main())
