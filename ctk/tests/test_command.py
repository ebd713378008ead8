"""The command as a user has it: options, exit codes, reports, reruns, and breaking off."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from ctk.tests.support.customers import BASE, Customers

from oda_ctk.__main__ import main
from oda_ctk.check import REGISTRY
from oda_ctk.contract import tables

SCHEMA = json.loads((Path(__file__).parents[1] / "src" / "oda_ctk" / "report.schema.json").read_text())
QUICK = ("--patience", "0.7", "--only", "retrieve", "paging", "errors")


def api(server: Customers, *options: str) -> int:
    return main(["api", "TMF629", "--url", server.url, *(options or QUICK)])


def test_an_honest_server_gives_zero() -> None:
    with Customers() as server:
        assert api(server) == 0


def test_a_must_that_fails_gives_one() -> None:
    with Customers({"total"}) as server:
        assert api(server) == 1


def test_a_should_that_fails_gives_zero() -> None:
    with Customers({"always 200"}) as server:
        assert api(server) == 0


def test_what_cannot_be_run_gives_two_and_says_why(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/v4"
    bad = tmp_path / "bad.yaml"
    bad.write_text("resources: {customer: {minimum: {}}}")
    no_spec = tmp_path / "spec.yaml"
    no_spec.write_text("openapi: 3.0.1\npaths: {}\n")
    with Customers() as server:
        for options, reason in (
            (["TMF629", "--url", nobody], "no answer"),
            (["TMF629", "--url", server.origin + "/elsewhere", "--version", "v4"], "not found there"),
            (["TMF629", "--url", server.origin], "which version"),
            (["TMF629", "--url", server.url, "--version", "v9"], "not in v9"),
            (["TMF999", "--url", server.url], "no contract of TMF999"),
            (["TMF629"], "--url"),
            (["TMF629", "--url", "ftp://x"], "no http address"),
            (["--url", server.url], "which API"),
            (["TMF629", "--url", server.url, "--only", "no.such"], "no check is called no.such"),
            (["TMF629", "--url", server.url, "--payloads", str(bad)], "minimum"),
            (["TMF629", "--url", server.url, "--payloads", str(tmp_path / "none")], "none"),
            (["--url", server.url, "--spec", str(no_spec)], "has no resource"),
            (["TMF629", "--url", server.url, "--header", "no colon"], "Name: value"),
            (["TMF629", "--url", server.url, "--failed-of", str(bad)], "--failed-of"),
        ):
            assert main(["api", *options]) == 2, options
            assert reason in capsys.readouterr().err, options


def test_the_base_is_found_behind_an_address_above_it(tmp_path: Path) -> None:
    with Customers() as server:
        options = ("--version", "v4", "--report", str(tmp_path), "--only", "retrieve.unknown")
        assert main(["api", "TMF629", "--url", server.origin, *options]) == 0
        assert json.loads((tmp_path / "report.json").read_text())["url"] == server.url


def test_the_list_names_every_check_with_level_and_clause(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", "--list"]) == 0
    listed = capsys.readouterr().out
    for check in REGISTRY.checks.values():
        assert check.id in listed
        assert check.title and check.clause and check.level in ("MUST", "SHOULD")


def test_reports_are_valid_and_tell_the_failure(tmp_path: Path) -> None:
    with Customers({"total", "always 200"}) as server:
        options = ("--report", str(tmp_path), "--header", "Authorization: Basic c2VjcmV0", "--token", "very-secret")
        assert api(server, *options, *QUICK) == 1
        url = server.url
    document = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(document, SCHEMA)
    failed = {r["id"]: r for r in document["results"] if r["outcome"] == "fail"}
    assert failed.keys() == {"paging.total", "paging.part-is-206"}
    found = failed["paging.total"]
    assert (
        found["level"] == "MUST" and found["clause"] == "TMF630 Part 1 4.5" and "X-Total-Count is 5" in found["reason"]
    )
    assert found["evidence"][0]["request"]["url"].startswith(f"{url}/customer?")
    assert document["summary"]["MUST"]["fail"] == 1

    root = ElementTree.parse(tmp_path / "report.xml").getroot()
    suites = root.findall("testsuite")
    assert {s.get("name") for s in suites} == {"TMF629.v4.customer", "TMF629.v4.TMF629"}
    for suite in suites:
        cases = suite.findall("testcase")
        assert len(cases) == int(suite.get("tests", ""))
        assert len([c for c in cases if c.find("failure") is not None]) == int(suite.get("failures", ""))
        assert len([c for c in cases if c.find("skipped") is not None]) == int(suite.get("skipped", ""))
    failures = root.findall(".//failure")
    assert [f.get("type") for f in failures] == ["TMF630 Part 1 4.5"]
    assert "GET http" in str(failures[0].text)

    page = (tmp_path / "report.html").read_text()
    assert "Not conformant" in page and "X-Total-Count is 5" in page
    assert page.index("Not kept: MUST") < page.index("Not kept: SHOULD") < page.index("<table>")
    assert "<script" not in page and "<link" not in page and "url(" not in page and "src=" not in page
    for text in (page, json.dumps(document), (tmp_path / "report.xml").read_text()):
        assert "very-secret" not in text


def test_only_what_failed_is_judged_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with Customers({"total"}) as server:
        assert api(server, "--report", str(first), *QUICK) == 1
    options = ("--failed-of", str(first / "report.json"), "--report", str(second))
    with Customers() as server:
        assert api(server, *options) == 0
    results = json.loads((second / "report.json").read_text())["results"]
    assert [(r["id"], r["resource"], r["outcome"]) for r in results] == [("paging.total", "customer", "pass")]
    with Customers() as server:
        assert api(server, "--failed-of", str(second / "report.json")) == 2
    assert "nothing failed" in capsys.readouterr().err


def test_a_server_that_is_gone_in_the_middle_is_a_failure_not_a_crash(tmp_path: Path) -> None:
    payloads = tmp_path / "own.yaml"
    payloads.write_text("resources: {customer: {marker: statusReason}}")
    with Customers({"large body fails"}) as server:
        assert api(server, "--payloads", str(payloads), "--only", "limits.large-body") == 1


def test_a_suite_of_ones_own_replaces_payloads(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("resources: {customer: {minimal: {name: Only a name}}}")
    with Customers() as server:
        assert api(server, "--payloads", str(own), "--only", "create.minimal") == 1
    with Customers({"mandatory"}) as server:
        assert api(server, "--payloads", str(own), "--only", "create.minimal") == 0


def test_any_openapi_file_is_a_contract(tmp_path: Path) -> None:
    spec = tmp_path / "own.json"
    answers = {"200": {"description": "", "schema": {"$ref": "#/definitions/Customer"}}}
    created = {"201": answers["200"]}
    body = {"name": "body", "in": "body", "schema": {"$ref": "#/definitions/Customer_Create"}}
    many = {"200": {"description": "", "schema": {"type": "array", "items": {"$ref": "#/definitions/Customer"}}}}
    party = {"type": "object", "properties": {"id": {"type": "string"}, "@referredType": {"type": "string"}}}
    attributes = {"name": {"type": "string"}, "engagedParty": {"$ref": "#/definitions/Party"}}
    spec.write_text(
        json.dumps(
            {
                "swagger": "2.0",
                "info": {"title": "TMF901 Own", "version": "4.0.0"},
                "basePath": BASE,
                "paths": {
                    "/customer": {
                        "get": {"responses": many},
                        "post": {"parameters": [body], "responses": created},
                    },
                    "/customer/{id}": {
                        "get": {"responses": answers},
                        "delete": {"responses": {"204": {"description": ""}}},
                    },
                },
                "definitions": {
                    "Party": {**party, "required": ["id", "@referredType"]},
                    "Customer": {"type": "object", "properties": {"id": {"type": "string"}, **attributes}},
                    "Customer_Create": {
                        "type": "object",
                        "properties": attributes,
                        "required": ["name", "engagedParty"],
                    },
                },
            }
        )
    )
    with Customers() as server:
        options = ["--url", server.url, "--spec", str(spec), "--report", str(tmp_path / "out"), "--patience", "0.7"]
        assert main(["api", *options]) == 0
        assert server.store == {}
    passed = {
        r["id"] for r in json.loads((tmp_path / "out" / "report.json").read_text())["results"] if r["outcome"] == "pass"
    }
    assert {"create.mandatory", "create.mandatory-nested", "list.filter.equality", "delete.gone"} <= passed


def test_a_run_that_is_broken_off_takes_everything_away_and_still_reports(tmp_path: Path) -> None:
    with Customers() as server:
        command = [sys.executable, "-m", "oda_ctk", "api", "TMF629", "--url", server.url, "--report", str(tmp_path)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 20
            while not server.store and time.monotonic() < deadline:
                time.sleep(0.01)
            assert server.store
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=20)
        assert process.returncode == 2, told
        assert "broken off" in told
        assert (server.store, server.hubs) == ({}, {})
    document = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(document, SCHEMA)
    assert document["interrupted"]


def test_there_is_a_suite_for_every_contract() -> None:
    suites = Path(__file__).parents[1] / "src" / "oda_ctk" / "suites"
    assert {(p.stem.split("-")[0], p.stem.split("-")[1]) for p in suites.glob("*.yaml")} == set(tables())
