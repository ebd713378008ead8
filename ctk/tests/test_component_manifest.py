"""A manifest that is right passes everything, and each lie in it is found by exactly the check of its clause."""

from __future__ import annotations

import copy
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ctk.tests.support.component_judging import failed, golden, judged, written
from ctk.tests.support.tickets import NAME, SPECS, V4, Document, container, documents, metadata

from oda_ctk.__main__ import main
from oda_ctk.component.case import REGISTRY, Case
from oda_ctk.component.command import V1
from oda_ctk.component.manifest import Manifest, read
from oda_ctk.component.run import run
from oda_ctk.component.schema import component_v1
from oda_ctk.run import Choice, Report

SCHEMA = json.loads((Path(__file__).parents[1] / "src" / "oda_ctk" / "report.schema.json").read_text())
Documents = dict[str, Document]
SIDECAR = {"oda.tmforum.org/secretsmanagement": "sidecar"}
Lie = Callable[[Documents], Any]


def spec(d: Documents) -> Any:
    return d["Component"]["spec"]


def exposed(d: Documents, section: str = "coreFunction", number: int = 0) -> Any:
    return spec(d)[section]["exposedAPIs"][number]


def first(d: Documents) -> Any:
    return exposed(d)["specification"][0]


def dependent(d: Documents) -> Any:
    return spec(d)["coreFunction"]["dependentAPIs"][0]


def policy(d: Documents) -> Any:
    return exposed(d)["gatewayConfiguration"]


def pod(d: Documents, kind: str = "Deployment") -> Any:
    return d[kind]["spec"]["template"]


def boxed(d: Documents, kind: str = "Deployment") -> Any:
    return pod(d, kind)["spec"]["containers"][0]


def port(d: Documents) -> Any:
    return d["Service"]["spec"]["ports"][0]


def added(d: Documents, kind: str, **more: Any) -> None:
    d[kind] = {"apiVersion": "v1", "kind": kind, "metadata": metadata("-more"), **more}


def renamed(d: Documents, name: str) -> None:
    """Another name of the Component, everywhere."""
    for kind, document in list(d.items()):
        d[kind] = json.loads(json.dumps(document).replace(NAME, name))


def moved(d: Documents, section: str) -> None:
    spec(d)[section].setdefault("dependentAPIs", []).append(spec(d)["coreFunction"]["dependentAPIs"].pop())


def another_port(d: Documents) -> None:
    """Metrics at 9090 of the Service, which leads to 8080."""
    d["Service"]["spec"]["ports"].append({"name": "http-metrics", "port": 9090, "targetPort": 8080})
    exposed(d, "managementFunction")["port"] = 9090
    pod(d)["metadata"]["annotations"]["prometheus.io/port"] = "9090"


def two_budgets(d: Documents) -> None:
    d["Deployment"]["metadata"]["annotations"] = {"oda.tmforum.org/availability-class": "standard"}
    added(d, "PodDisruptionBudget", spec={"selector": {"matchLabels": {"app": f"{NAME}-api"}}})


def secrets_asked(d: Documents) -> Any:
    told = {"type": "sideCar", "podSelector": {"name": "*"}, "sideCar": {"port": 5000}}
    spec(d)["securityFunction"]["secretsManagement"] = told
    return told


LIES: dict[str, tuple[str, Lie]] = {
    "an object without apiVersion": ("component.documents", lambda d: d["ConfigMap"].pop("apiVersion")),
    "two Components": ("component.one", lambda d: d.update(Other=copy.deepcopy(d["Component"]))),
    "no Component": ("component.one", lambda d: d.pop("Component")),
    "a former version": ("component.version", lambda d: d["Component"].update(apiVersion="oda.tmforum.org/v1beta4")),
    "an Ingress": ("component.kinds", lambda d: added(d, "Ingress")),
    "a field that is unknown": ("component.schema.unknown", lambda d: spec(d).update(dependentModels=[])),
    "content of resources": ("component.schema.unknown", lambda d: exposed(d).update(resources=[{"name": "ticket"}])),
    "a hub at the root of an event": (
        "component.schema.unknown",
        lambda d: spec(d)["eventNotification"]["publishedEvents"][0].update(hub="/hub"),
    ),
    "a metadata field that is unknown": (
        "component.schema.unknown",
        lambda d: d["Component"]["metadata"].update(label={}),
    ),
    "a port in quotes": ("component.schema.types", lambda d: exposed(d, "coreFunction", 1).update(port="8080")),
    "a limit without quotes": ("component.schema.types", lambda d: policy(d)["rateLimit"].update(limit=100)),
    "a label that is a number": (
        "component.schema.types",
        lambda d: d["Component"]["metadata"]["labels"].update(version=1.2),
    ),
    "an API without a name": ("component.schema.required", lambda d: dependent(d).pop("name")),
    "an empty specification": (
        "component.schema.required",
        lambda d: exposed(d, "managementFunction").update(specification=[]),
    ),
    "an a2a API": ("component.schema.values", lambda d: exposed(d, "coreFunction", 1).update(apiType="a2a")),
    "a date without a time": (
        "component.schema.values",
        lambda d: spec(d)["componentMetadata"].update(publicationDate="2026-01-15"),
    ),
    "a port in the second specification only": (
        "component.schema.rules",
        lambda d: (exposed(d).pop("port"), exposed(d)["specification"][1].update(port=8080)),
    ),
    "a name with a dot": ("component.name.valid", lambda d: renamed(d, "r1-tickets.eu")),
    "a name of 64 characters": ("component.name.valid", lambda d: renamed(d, "r1-" + 61 * "t")),
    "no label at the Component": ("component.name.label", lambda d: d["Component"]["metadata"].pop("labels")),
    "a name without the release": ("component.name.release", lambda d: renamed(d, "tickets")),
    "an object named by the release only": (
        "component.name.objects",
        lambda d: d["ConfigMap"]["metadata"].update(name="r1-config"),
    ),
    "an object without the label": ("component.labels.objects", lambda d: d["ConfigMap"]["metadata"].pop("labels")),
    "a Service with the label of another": (
        "component.labels.services",
        lambda d: d["Service"]["metadata"]["labels"].update({"oda.tmforum.org/componentName": "r1-other"}),
    ),
    "pods without the label": (
        "component.labels.pods",
        lambda d: pod(d)["metadata"]["labels"].pop("oda.tmforum.org/componentName"),
    ),
    "no id of the component": ("component.metadata", lambda d: spec(d)["componentMetadata"].pop("id")),
    "no owners": ("component.metadata.origin", lambda d: spec(d)["componentMetadata"].pop("owners")),
    "no array of dependent APIs": ("component.core", lambda d: spec(d)["coreFunction"].pop("dependentAPIs")),
    "no metrics": ("component.management", lambda d: spec(d).pop("managementFunction")),
    "metrics of another name": ("component.management", lambda d: exposed(d, "managementFunction").update(name="m")),
    "no role of the Canvas": ("component.security.role", lambda d: spec(d)["securityFunction"].pop("canvasSystemRole")),
    "a role without a name": (
        "component.security.roles",
        lambda d: spec(d)["securityFunction"]["componentRole"].append({"description": "?"}),
    ),
    "permissions under another name": (
        "component.security.names",
        lambda d: exposed(d, "securityFunction", 1).update(name="permissions"),
    ),
    "no party role API": (
        "component.security.party-role",
        lambda d: spec(d)["securityFunction"]["exposedAPIs"].pop(0),
    ),
    "secrets asked for": (
        "component.security.secrets",
        lambda d: (
            secrets_asked(d),
            pod(d)["metadata"]["labels"].update({"oda.tmforum.org/secretsmanagement": "sidecar"}),
        ),
    ),
    "an API with an underscore": ("component.api.names", lambda d: exposed(d).update(name="trouble_ticket")),
    "one API twice": (
        "component.api.distinct",
        lambda d: exposed(d)["specification"].append({**first(d), "path": f"/{NAME}/again"}),
    ),
    "a specification without url": ("component.api.specification", lambda d: first(d).pop("url")),
    "an API without id": ("component.api.identified", lambda d: exposed(d).pop("id")),
    "a path of another version": (
        "component.api.versions",
        lambda d: first(d).update(path=f"/{NAME}/tmf-api/troubleTicket/v3"),
    ),
    "no documentation": ("component.api.documentation", lambda d: first(d).pop("developerUI")),
    "CORS without methods": (
        "component.gateway.cors",
        lambda d: policy(d)["CORS"]["handlePreflightRequests"].pop("allowMethods"),
    ),
    "a limit in words": ("component.gateway.limits", lambda d: policy(d)["rateLimit"].update(limit="many")),
    "half a quota": ("component.gateway.quota", lambda d: policy(d)["quota"].update(limit="5")),
    "an event with an underscore": (
        "component.events.names",
        lambda d: spec(d)["eventNotification"]["publishedEvents"][0].update(name="trouble_ticket"),
    ),
    "an event without hub": (
        "component.events.specification",
        lambda d: spec(d)["eventNotification"]["publishedEvents"][0]["specification"][0].pop("hub"),
    ),
    "a path without the Component": ("component.api.path", lambda d: first(d).update(path="/tmf-api/troubleTicket/v4")),
    "one path for two APIs": (
        "component.api.path.unique",
        lambda d: exposed(d, "coreFunction", 1)["specification"][0].update(path=f"/{NAME}/metrics"),
    ),
    "a path that catches another": (
        "component.api.path.prefix",
        lambda d: exposed(d, "coreFunction", 1)["specification"][0].update(path=f"/{NAME}/met"),
    ),
    "an implementation that is no Service": (
        "component.api.service",
        lambda d: exposed(d, "coreFunction", 1).update(implementation=f"{NAME}-agents"),
    ),
    "a port that the Service has not": (
        "component.api.port",
        lambda d: exposed(d, "coreFunction", 1).update(port=8081),
    ),
    "a Service without pods": (
        "component.api.pods",
        lambda d: (
            d.update(Second=copy.deepcopy(d["Service"])),
            d["Second"]["metadata"].update(name=f"{NAME}-agents"),
            d["Second"]["spec"].update(selector={"app": "nobody"}),
            exposed(d, "coreFunction", 1).update(implementation=f"{NAME}-agents"),
        ),
    ),
    "a target port of another name": ("component.api.target", lambda d: port(d).update(targetPort="web")),
    "a port named anyhow": ("component.service.protocol", lambda d: port(d).update(name="web")),
    "a NodePort": ("component.service.type", lambda d: d["Service"]["spec"].update(type="NodePort")),
    "a management dependency": ("component.dependent.section", lambda d: moved(d, "managementFunction")),
    "a security dependency": ("component.dependent.section", lambda d: moved(d, "securityFunction")),
    "an mcp dependency": ("component.dependent.type", lambda d: dependent(d).update(apiType="mcp")),
    "a dependency without url": (
        "component.dependent.specification",
        lambda d: dependent(d)["specification"][0].pop("url"),
    ),
    "an optional dependency": ("component.dependent.optional", lambda d: dependent(d).update(required=False)),
    "a Service of metrics without its label": (
        "component.metrics.label",
        lambda d: d["Service"]["metadata"]["labels"].pop("name"),
    ),
    "metrics at a port of the Service only": ("component.metrics.port", another_port),
    "metrics with another annotation": (
        "component.metrics.annotations",
        lambda d: pod(d)["metadata"]["annotations"].update({"prometheus.io/path": "/metrics"}),
    ),
    "a container that may be root": (
        "component.pods.restricted",
        lambda d: boxed(d)["securityContext"].pop("runAsNonRoot"),
    ),
    "a volume of the host": (
        "component.pods.restricted",
        lambda d: pod(d)["spec"].update(volumes=[{"name": "h", "hostPath": {"path": "/"}}]),
    ),
    "a pod in the network of the host": (
        "component.pods.restricted",
        lambda d: pod(d, "Job")["spec"].update(hostNetwork=True),
    ),
    "no readiness probe": ("component.pods.readiness", lambda d: boxed(d).pop("readinessProbe")),
    "no liveness probe": ("component.pods.liveness", lambda d: boxed(d).pop("livenessProbe")),
    "a probe that waits": (
        "component.pods.in-time",
        lambda d: boxed(d)["readinessProbe"].update(initialDelaySeconds=180),
    ),
    "no limit of memory": ("component.pods.resources", lambda d: boxed(d)["resources"].pop("limits")),
    "the image latest": (
        "component.pods.images",
        lambda d: boxed(d, "Job").update(image="registry.example.org:5000/tickets:latest"),
    ),
    "an image without a version": (
        "component.pods.images",
        lambda d: boxed(d).update(image="registry.example.org:5000/tickets"),
    ),
    "a claim": ("component.data.claims", lambda d: added(d, "PersistentVolumeClaim")),
    "a Secret with a value": (
        "component.data.secrets",
        lambda d: added(d, "Secret", stringData={"password": "hunter2-do-not-show"}),
    ),
    "a large ConfigMap": ("component.data.size", lambda d: d["ConfigMap"].update(data={"BIG": "x" * 262_144})),
    "a Job that is no hook": ("component.upgrade.jobs", lambda d: d["Job"]["metadata"].pop("annotations")),
    "two budgets for one pod": ("component.availability.one", two_budgets),
    "a class of availability that is unknown": (
        "component.availability.class",
        lambda d: d["Deployment"]["metadata"].update(annotations={"oda.tmforum.org/availability-class": "gold"}),
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_by_exactly_the_check_of_its_clause(lie: str) -> None:
    id, tell = LIES[lie]
    told = documents()
    tell(told)
    report = judged(told)
    found = [r for r in report.results if r.outcome == "fail"]
    assert {r.id for r in found} == {id}, [(r.id, r.reason) for r in found]
    assert found[0].reason and found[0].clause
    assert found[0].evidence or lie == "no Component"
    assert report.exit_code == (1 if REGISTRY.checks[id].level == "MUST" else 0)


def test_a_manifest_that_is_right_passes_everything() -> None:
    report = judged(documents())
    assert [(r.id, r.reason) for r in report.results if r.outcome == "fail"] == []
    assert (report.exit_code, report.hangs, report.requests) == (0, [], 0)
    assert report.count("pass") > 55


def test_what_every_lie_is_found_by_passes_on_the_manifest_that_is_right() -> None:
    told = documents()
    secrets_asked(told)
    pod(told)["metadata"]["labels"]["oda.tmforum.org/secretsmanagement"] = "sidecar"
    told["Deployment"]["metadata"]["annotations"] = {"oda.tmforum.org/availability-class": "standard"}
    passed = {r.id for d in (documents(), told) for r in judged(d).results if r.outcome == "pass"}
    assert {id for id, _ in LIES.values()} <= passed


def test_every_static_check_has_a_lie() -> None:
    elsewhere = {"component.chart.size", "component.security.sidecar", "component.api.documents"}
    static = {c.id for c in REGISTRY.checks.values() if not {"running", "live", "golden"} & set(c.needs)}
    assert static - elsewhere == {id for id, _ in LIES.values()}


def test_a_sidecar_that_nobody_gets_or_that_may_not_be_root_is_found() -> None:
    told = documents()
    secrets_asked(told)
    assert failed(judged(told)) == {"component.security.secrets", "component.security.sidecar"}
    pod(told)["metadata"]["labels"]["oda.tmforum.org/secretsmanagement"] = "sidecar"
    assert failed(judged(told)) == {"component.security.secrets"}
    pod(told)["spec"]["securityContext"] = {"runAsNonRoot": True}
    assert failed(judged(told)) == {"component.security.secrets", "component.security.sidecar"}


def test_keys_that_come_twice_are_found() -> None:
    text = written(documents().values()).replace("kind: ConfigMap\n", "kind: ConfigMap\nkind: ConfigMap\n")
    case = Case(Manifest(read(text, "test"), "test", "r1"), {V1: component_v1()})
    report = run(case, Choice(), Report("Component", "v1", "", "static", "now"), tell=lambda line: None)
    assert failed(report) == {"component.documents"}


def test_the_report_tells_where_the_component_would_stay_and_why() -> None:
    told = documents()
    dependent(told)["required"] = False
    spec(told)["securityFunction"].pop("canvasSystemRole")
    exposed(told, "coreFunction", 1)["implementation"] = "nobody"
    report = judged(told)
    assert report.hangs is not None
    assert [line.partition(":")[0] for line in report.hangs] == [
        "stays In-Progress-CompCon",
        "stays In-Progress-IDConfOp",
        "stays In-Progress-DepApi",
    ]
    assert "nobody of agents-v1 is no Service" in report.hangs[0]


def test_a_golden_component_that_is_not_kept_is_found() -> None:
    asked: dict[str, Any] = {
        "componentMetadata": {"id": "TMFC043"},
        "coreFunction": {
            "exposedAPIs": [{"id": "TMF621", "required": True}, {"id": "TMF688", "required": False}],
            "dependentAPIs": [{"id": "TMF632", "required": True}],
        },
    }
    more = copy.deepcopy(asked)
    more["coreFunction"]["exposedAPIs"][1]["required"] = True
    others = {"dependentAPIs": [{"id": "TMF639", "required": True}]}
    for wanted, found in (
        (asked, set[str]()),
        ({**asked, "componentMetadata": {"id": "TMFC037"}}, {"component.golden.id"}),
        (more, {"component.golden.exposed"}),
        ({**asked, "securityFunction": others}, {"component.golden.dependent"}),
    ):
        manifest = Manifest(read(written(documents().values()), "test"), "test", "r1")
        case = Case(manifest, {V1: component_v1()}, golden=golden(**wanted))
        report = run(case, Choice(), Report("Component", "v1", "", "static", "now"), tell=lambda line: None)
        assert failed(report) == found


def test_reports_hold_the_pieces_and_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = documents()
    LIES["a Secret with a value"][1](told)
    LIES["a port that the Service has not"][1](told)
    exposed(told).update(implementation="nobody")
    file = tmp_path / "tickets.component.yaml"
    file.write_text(written(told.values()))
    assert main(["component", str(file), "--report", str(tmp_path)]) == 1
    assert "hangs: stays In-Progress-CompCon" in capsys.readouterr().err
    document = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(document, SCHEMA)
    found = next(r for r in document["results"] if r["id"] == "component.api.port")
    assert found["evidence"][0]["manifest"]["document"] == f"Component {NAME}"
    assert "8081" in found["evidence"][0]["manifest"]["text"]
    page = (tmp_path / "report.html").read_text()
    assert "What keeps it from Complete" in page and "pieces of the manifest" in page
    for text in (page, json.dumps(document), (tmp_path / "report.xml").read_text()):
        assert "hunter2" not in text
    again = ["component", str(file), "--failed-of", str(tmp_path / "report.json"), "--report", str(tmp_path / "again")]
    assert main(again) == 1
    results = json.loads((tmp_path / "again" / "report.json").read_text())["results"]
    assert {r["id"] for r in results} == {"component.api.port", "component.api.service", "component.data.secrets"}


def test_the_command_reads_a_file_and_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = written(documents().values())
    file = tmp_path / "tickets.yaml"
    file.write_text(text)
    assert main(["component", str(file), "--release", "r1"]) == 0
    assert main(["component", str(file), "--release", "r2"]) == 1
    monkeypatch.setattr(sys, "stdin", io.StringIO(text.replace(V4, "/elsewhere/v4")))
    assert main(["component", "-", "--only", "component.api"]) == 1


def test_what_cannot_be_run_gives_two_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, row, empty = (tmp_path / n for n in ("good.yaml", "bad.yaml", "row.yaml", "empty.yaml"))
    good.write_text(written(documents().values()))
    bad.write_text("a: [")
    row.write_text("- 1\n")
    empty.write_text("---\n")
    for options, reason in (
        ([], "what is judged"),
        ([str(good), "--live", "r1"], "what is judged"),
        ([str(tmp_path / "none.yaml")], "none.yaml"),
        ([str(bad)], "not YAML"),
        ([str(row)], "no object"),
        ([str(empty)], "no document"),
        ([str(tmp_path)], "without Chart.yaml"),
        ([str(good), "--set", "a=b"], "values are for a chart"),
        ([str(good), "--only", "component.none"], "no check is called"),
        ([str(good), "--url", "host:80"], "no http address"),
        ([str(good), "--service", "api"], "NAME=BASE"),
        ([str(good), "--crd", str(good)], "not a CustomResourceDefinition"),
        ([str(good), "--golden", str(row)], "no object"),
        ([str(good), "--golden", str(tmp_path / "none")], "none"),
        ([str(good), "--url", "http://127.0.0.1", "--ca", str(tmp_path / "none")], "--ca"),
        (["--live", "r1", "--kubeconfig", str(tmp_path / "none")], "no kubeconfig"),
        (["--live", "r1", "--kubeconfig", str(good)], "kubeconfig"),
    ):
        assert main(["component", *options]) == 2, options
        assert reason in capsys.readouterr().err, options


def test_the_list_names_every_check_with_level_and_clause(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["component", "--list"]) == 0
    listed = capsys.readouterr().out
    for check in REGISTRY.checks.values():
        assert check.id in listed and check.id.startswith("component.")
        assert check.title.endswith(".") and check.clause and check.level in ("MUST", "SHOULD")


def test_values_of_wrong_types_everywhere_are_told_by_the_schema_and_never_break_the_kit() -> None:
    def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return [path, *(p for key, one in inner for p in places(one, (*path, key)))]

    every: tuple[Any, ...] = (None, 7, "x", [], {}, [7], ["x", {}], {"x": 7}, True)
    for number, path in enumerate(places(documents()["Component"]["spec"])[1:]):
        for wrong in (every[number % 9], every[(number + 4) % 9]):
            told = documents()
            place = spec(told)
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = wrong
            assert judged(told, "component.*").exit_code in (0, 1)


def test_pods_and_services_of_wrong_types_never_break_the_kit() -> None:
    changes: list[Lie] = [
        lambda d: d["Deployment"].update(spec=[]),
        lambda d: pod(d).update(spec="x"),
        lambda d: pod(d)["spec"].update(containers={"a": 1}),
        lambda d: boxed(d).update(ports=[{"containerPort": "8080"}], securityContext=7, resources=[], image=3),
        lambda d: boxed(d).update(readinessProbe="x", livenessProbe=None),
        lambda d: boxed(d)["securityContext"].update(capabilities={"drop": None, "add": None}),
        lambda d: d["Service"]["spec"].update(ports="http", selector="x"),
        lambda d: d["Service"].update(metadata={"labels": [], "name": 7}),
        lambda d: d["ConfigMap"].update(metadata=None),
    ]
    for change in changes:
        told = documents()
        change(told)
        assert failed(judged(told))


def test_the_url_of_a_specification_is_what_tells_its_version(tmp_path: Path) -> None:
    assert container()["ports"] and SPECS.startswith("https")
    told = documents()
    exposed(told)["specification"] = [{"url": f"{SPECS}/TMF621/v5/openapi.json", "path": V4}]
    report = judged(told, "component.api.versions")
    assert [r.reason for r in report.results] == ["troubleticket: url says v5, path says v4"]
