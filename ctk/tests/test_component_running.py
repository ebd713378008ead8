"""A component that runs and does everything right passes, and each lie in its answers is found by exactly one check."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from ctk.tests.support.component_judging import failed, judged, written
from ctk.tests.support.serving import Answer, Serving
from ctk.tests.support.ticketing import Ticketing
from ctk.tests.support.tickets import METRICS, NAME, V4, documents

from oda_ctk.__main__ import main
from oda_ctk.component.case import REGISTRY
from oda_ctk.run import Report

SCHEMA = json.loads((Path(__file__).parents[1] / "src" / "oda_ctk" / "report.schema.json").read_text())
LIES = {
    "no entry point": "component.run.entry",
    "no documentation": "component.run.documentation",
    "no metrics": "component.run.metrics",
    "metrics of another media type": "component.run.metrics",
    "metrics that are no samples": "component.run.metrics",
    "metrics without a sample": "component.run.metrics",
    "open metrics without an end": "component.run.metrics",
    "metrics without types": "component.run.metrics.types",
    "unhealthy": "component.run.probes",
    "200 for a subscription": "component.run.hub",
    "a subscription without a name": "component.run.hub",
    "a hub that keeps": "component.run.hub",
    "409 for the second registration": "component.run.roles.hub",
    "a hub with a query only": "component.run.roles.hub",
    "roles are no list": "component.run.roles.list",
    "no role of the Canvas": "component.run.roles.canvas",
    "roles cannot be made": "component.run.roles.create",
    "roles cannot be removed": "component.run.roles.create",
    "Create and Delete events": "component.run.roles.created",
    "no event of a removal": "component.run.roles.removed",
    "no base type": "component.run.roles.base-type",
    "href of the other form": "component.run.roles.href",
    "told as often as registered": "component.run.roles.once",
    "links past the gateway": "component.run.roles.links",
    "links to another path": "component.run.roles.links",
    "an agent without a name": "component.run.mcp",
    "no tools": "component.run.mcp.tools",
    "a tool without a schema": "component.run.mcp.tools",
    "a tool that is not described": "component.run.mcp.described",
}
ALSO = {"Create and Delete events": {"component.run.roles.removed"}}  # two lies in one


def over(server: Ticketing) -> Report:
    return judged(documents(), "component.run", url=server.url)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_by_exactly_the_check_of_its_clause(lie: str) -> None:
    with Ticketing({lie}) as server:
        report = over(server)
    found = [r for r in report.results if r.outcome == "fail"]
    assert {r.id for r in found} == {LIES[lie], *ALSO.get(lie, ())}, [(r.id, r.reason) for r in found]
    assert all(r.reason and r.evidence for r in found)


def test_a_component_that_is_right_passes_and_is_left_as_it_was_found() -> None:
    with Ticketing() as server:
        before = json.dumps(server.roles)
        report = over(server)
        assert [(r.id, r.reason) for r in report.results if r.outcome != "pass"] == []
        assert (server.hubs, json.dumps(server.roles), report.not_deleted) == ({}, before, [])
    assert {r.id for r in report.results} == set(LIES.values())
    assert {c.id for c in REGISTRY.checks.values() if "running" in c.needs} == set(LIES.values())


def test_what_cannot_be_taken_away_is_told() -> None:
    with Ticketing({"roles cannot be removed"}) as server:
        report = over(server)
        assert len(report.not_deleted) == 2 == len([a for a in server.roles if not a.endswith("/0")])
    assert "DELETE was answered with 409" in report.not_deleted[0]


def test_a_component_that_does_not_answer_fails_and_never_breaks_the_kit() -> None:
    with Ticketing() as server:
        url = server.url
    report = judged(documents(), "component.run", url=url)
    assert report.exit_code == 1
    assert {r.outcome for r in report.results} == {"fail"}
    assert all(r.reason.startswith("no answer") for r in report.results)


class Nonsense(Serving):
    """Answers everything with the same unexpected body."""

    def __init__(self, body: object) -> None:
        self.body = body
        super().__init__()

    def answered(self, method: str, path: str, headers: dict[str, str], content: bytes) -> Answer:
        return 200, {"content-type": "application/json"}, self.body


@pytest.mark.parametrize("body", [None, b"", b"\xff\xfe", [7, None], {"result": [], "id": {}}, "text", {"id": 7}])
def test_nonsense_in_every_answer_never_breaks_the_kit(body: object) -> None:
    with Nonsense(body) as server:
        report = judged(documents(), "component.run", url=server.url, patience_s=0.1)
    assert report.exit_code == 1
    assert {"component.run.metrics", "component.run.mcp"} <= failed(report)


def test_the_command_judges_a_manifest_and_what_runs_and_keeps_the_token_to_itself(tmp_path: Path) -> None:
    file = tmp_path / "tickets.yaml"
    file.write_text(written(documents().values()))
    options = ["--release", "r1", "--patience", "0.6", "--report", str(tmp_path), "--token", "very-secret"]
    with Ticketing() as server:
        assert main(["component", str(file), "--url", server.url + "/", *options]) == 0
    document = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(document, SCHEMA)
    assert (document["profile"], document["url"]) == ("running", f"{file} at {server.url}/")
    assert document["requests"] > 20
    assert "very-secret" not in (tmp_path / "report.json").read_text() + (tmp_path / "report.html").read_text()
    assert "1 request and answer<" in (tmp_path / "report.html").read_text()


def test_services_may_be_at_addresses_of_their_own(tmp_path: Path) -> None:
    told = documents()
    told["Second"] = json.loads(json.dumps(told["Service"]).replace(f"{NAME}-api", f"{NAME}-metrics"))
    told["Component"]["spec"]["managementFunction"]["exposedAPIs"][0]["implementation"] = f"{NAME}-metrics"
    file = tmp_path / "tickets.yaml"
    file.write_text(written(told.values()))
    with Ticketing({"no metrics"}) as one, Ticketing() as other:
        common = ["component", str(file), "--patience", "0.6", "--url", one.url, "--only", "component.run"]
        assert main(common) == 1
        assert main([*common, "--service", f"{NAME}-metrics={other.url}"]) == 0
        assert main([*common, "--service", f"{NAME}-metrics:8080={other.url}"]) == 0
        assert main([*common, "--service", f"{NAME}-metrics:9090={other.url}"]) == 1
        assert f"GET {METRICS}" in other.seen and f"GET {V4}" not in other.seen
        alone = ["--service", f"{NAME}-metrics={other.url}", "--only", "component.run.entry", "component.run.metrics"]
        assert main(["component", str(file), *alone]) == 0


def test_a_run_that_is_broken_off_takes_everything_away_and_still_reports(tmp_path: Path) -> None:
    file = tmp_path / "tickets.yaml"
    file.write_text(written(documents().values()))
    with Ticketing({"Create and Delete events"}) as server:
        options = ["--url", server.url, "--patience", "1.5", "--report", str(tmp_path)]
        command = [sys.executable, "-m", "oda_ctk", "component", str(file), *options]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 20
            while len(server.roles) == 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert len(server.roles) == 3
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=20)
        assert process.returncode == 2, told
        assert "broken off" in told
        assert (server.hubs, len(server.roles)) == ({}, 2)
    document = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(document, SCHEMA)
    assert document["interrupted"]


class Specifications(Serving):
    """OpenAPI documents at /<version>.json."""

    def answered(self, method: str, path: str, headers: dict[str, str], content: bytes) -> Answer:
        version = path.strip("/").removesuffix(".json")
        if version == "none":
            return 404, {}, None
        if version == "bare":
            return 200, {}, {"openapi": "3.0.1"}
        if version == "broken":
            return 200, {}, b"a: ["
        return 200, {}, {"openapi": "3.0.1", "info": {"title": "T", "version": version}}


def test_specifications_are_fetched_where_it_is_asked_for(tmp_path: Path) -> None:
    with Specifications() as server:
        for path, reason in (
            ("4.0.0.json", ""),
            ("5.0.0.json", "is version 5.0.0, declared is v4"),
            ("bare.json", "has no info.version"),
            ("broken.json", "neither JSON nor YAML"),
            ("none.json", "answered with 404"),
        ):
            told = documents()
            spec = told["Component"]["spec"]
            spec["coreFunction"]["exposedAPIs"] = spec["coreFunction"]["exposedAPIs"][:1]
            entry = spec["coreFunction"]["exposedAPIs"][0]["specification"]
            spec["coreFunction"]["exposedAPIs"][0]["specification"] = [{**entry[0], "url": f"{server.url}/{path}"}]
            spec["securityFunction"]["exposedAPIs"] = []
            file = tmp_path / "tickets.yaml"
            file.write_text(written(told.values()))
            options = ["--only", "component.api.documents", "--report", str(tmp_path)]
            assert main(["component", str(file), "--fetch", *options]) == (1 if reason else 0)
            results = json.loads((tmp_path / "report.json").read_text())["results"]
            assert reason in results[0]["reason"]
            assert main(["component", str(file), *options]) == 2  # nothing could be judged
