"""The command against a server that lies: it says yes to everything and always shows the same incomplete customer."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

BASE = "/tmf-api/customerManagement/v4"
SCHEMA = json.loads((Path(__file__).parents[1] / "src" / "oda_ctk" / "report.schema.json").read_text())
CUSTOMER = {"id": "1", "href": f"{BASE}/customer/1", "status": 7, "engagedParty": {"name": "Anna"}}
REASONS = {
    "create.minimal": "-> 200, but 201 is published",
    "create.unique-ids": "both have the same id",
    "create.kept": "name is None instead of",
    "create.mandatory": "not refused without",
    "create.malformed": "is answered with 200",
    "retrieve.unknown": "-> 200 instead of 404",
    "list.filter.no-match": "1 resource",
    "paging.total": "X-Total-Count is ''",
    "patch.merge": "not changed: name is",
    "patch.unknown": "-> 200 instead of 404",
    "delete.gone": "after DELETE, GET",
    "delete.unknown": "-> 204 instead of 404",
    "events.create": "nothing came about this resource",
    "hub.callback": "is answered with 200",
    "answers.schema": "engagedParty.id is mandatory and missing",
}


class Liar(BaseHTTPRequestHandler):
    """One answer for everything."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        listed = self.command == "GET" and self.path.partition("?")[0].endswith("/customer")
        body = b"" if self.command == "DELETE" else json.dumps([CUSTOMER] if listed else CUSTOMER).encode()
        self.send_response(204 if self.command == "DELETE" else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.CompletedProcess[str], Path]]:
    folder = tmp_path_factory.mktemp("liar")
    with ThreadingHTTPServer(("127.0.0.1", 0), Liar) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}{BASE}"
        command = [str(Path(sys.executable).with_name("ctk")), "api", "TMF629", "--url", url, "--patience", "0.5"]
        yield subprocess.run([*command, "--report", str(folder)], capture_output=True, text=True, timeout=60), folder
        server.shutdown()


def test_it_is_found_out_and_told_on_the_way(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, _ = run
    assert done.returncode == 1, done.stderr
    assert "FAIL MUST retrieve.unknown customer: " in done.stderr
    assert done.stdout == ""


def test_the_checks_of_the_lies_fail_with_the_right_reason(
    run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    document = json.loads((run[1] / "report.json").read_text())
    jsonschema.validate(document, SCHEMA, format_checker=jsonschema.FormatChecker())
    failed = {r["id"]: r for r in document["results"] if r["outcome"] == "fail"}
    told = {id: failed[id]["reason"] if id in failed else "passed" for id in REASONS}
    assert {id: reason for id, reason in told.items() if REASONS[id] not in reason} == {}
    assert all(failed[id]["level"] == "MUST" and failed[id]["clause"] for id in REASONS)
    assert all(r["evidence"] for r in failed.values())
    assert document["exit_code"] == 1
    assert document["summary"]["MUST"]["fail"] == sum(r["level"] == "MUST" for r in failed.values())


def test_a_build_server_sees_the_same_failures(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    document = json.loads((run[1] / "report.json").read_text())
    root = ElementTree.parse(run[1] / "report.xml").getroot()
    assert root.tag == "testsuites"
    musts = [f"{r['id']} [MUST] {r['title']}" for r in document["results"] if r["outcome"] == "fail"]
    told = [case.get("name", "") for case in root.iter("testcase") if case.find("failure") is not None]
    assert sorted(told) == sorted(name for name in musts if name in told)
    assert len(told) == document["summary"]["MUST"]["fail"]
    for suite in root.findall("testsuite"):
        for name in ("tests", "failures", "errors", "skipped"):
            assert int(suite.get(name, "")) >= 0
        assert float(suite.get("time", "")) >= 0
        for case in suite.findall("testcase"):
            assert case.get("classname") and case.get("name") and float(case.get("time", "")) >= 0
    assert sum(int(s.get("tests", "")) for s in root.findall("testsuite")) == len(document["results"])


def test_a_person_sees_the_failures_first_and_what_was_answered(
    run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    page = html.unescape((run[1] / "report.html").read_text())
    assert page.index("Not conformant") < page.index("Not kept: MUST") < page.index("Not kept: SHOULD")
    assert page.index("Not kept: SHOULD") < page.index("<table>")
    assert '\n\n-> 200\ncontent-type: application/json\n{\n  "id": "1",\n' in page
    summary = json.loads((run[1] / "report.json").read_text())["summary"]
    told = [int(n) for n in re.findall(r"(\d+) passed, \d+ failed, \d+ not applicable", page)]
    assert sum(told) == summary["MUST"]["pass"] + summary["SHOULD"]["pass"]
