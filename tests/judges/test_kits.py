"""Kits as they may lie in a folder: where they are found, what they ask of whom, and what is explained of them.

The kits here are the tests' own and as small as can be; TM Forum's are not in the repository.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))  # its neighbours are scripts

import kits
from official_kits import Explanation, Failure, known, subjects
from serving import Served, components, served

from cem.suite import COMPONENTS

BASE = "http://127.0.0.1:8080/customer-360/tmf-api/customerManagement/v4"
TEST = {"listen": "test", "script": {"exec": ["pm.test('Status code is 200', () => pm.response.to.have.status(200));"]}}
Doc = dict[str, Any]


@pytest.fixture(scope="module")
def suite() -> list[Served]:
    return served(components(COMPONENTS))


def asked(method: str, url: Any, body: Doc | None = None, *, tested: bool = True) -> Doc:
    request: Doc = {"method": method, "url": url}
    if body is not None:
        request["body"] = {"mode": "raw", "raw": json.dumps(body)}
    return {"name": str(url), "request": request, "event": [TEST] if tested else []}


def collection(*items: Doc, name: str = "CTK-Customer-4.0.0") -> str:
    return json.dumps({"info": {"name": name}, "item": [{"name": "N1", "item": list(items)}]})


def put(file: Path, content: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


SMALL = collection(asked("POST", "{{Customer}}customer", {"name": "n"}), asked("GET", "{{Customer}}customer"))


@pytest.mark.parametrize(
    "place",
    ["CTK-TMF629/ctk/a.postman_collection.json", "TMF629/a.testkit.json", "a/TMF629/CTK/a.postman_collection"],
)
def test_a_collection_is_found_wherever_it_lies(tmp_path: Path, suite: list[Served], place: str) -> None:
    put(tmp_path / place, SMALL)
    put(tmp_path / "node_modules" / place, SMALL.replace("4.0.0", "of somebody else"))
    put(tmp_path / "report.json", json.dumps({"collection": json.loads(SMALL)}))
    put(tmp_path / "ctk" / "notes.json", "not JSON")
    (kit,) = kits.found_in(tmp_path)
    assert (kit.api, kit.resources, kit.reads_only, kit.problem) == ("TMF629", ("customer",), (), "")
    assert [str(s) for s in subjects(kit, suite)] == ["TMF629 v4 customer-360"]


def test_a_kit_is_taken_out_of_its_zip_and_its_copies_are_run_once(tmp_path: Path) -> None:
    folder, room = tmp_path / "kits", tmp_path / "room"
    put(folder / "one" / "ctk" / "a.json", SMALL)
    put(folder / "two" / "ctk" / "a.json", SMALL)
    with zipfile.ZipFile(folder / "TMF629_v4.zip", "w") as packed:
        packed.writestr("TMF629_v4/ctk/a.json", SMALL)
        packed.writestr("TMF669_v4/ctk/b.json", SMALL.replace("{{Customer}}customer", "{{Party_Role}}partyRole"))
    put(folder / "broken.zip", "no zip")
    found = kits.found_in(folder, kits.unpacked(folder, room))
    assert [(k.resources, k.folder.name) for k in found] == [(("customer",), "one"), (("partyRole",), "TMF669_v4")]


def test_the_configured_payload_and_headers_are_sent(tmp_path: Path) -> None:
    put(tmp_path / "ctk" / "a.json", SMALL)
    runner = 'if (resource == "Customer") { pmCollection["item"][0]["item"][0]["request"]["body"]["raw"] = x }'
    put(tmp_path / "ctk" / "index.js", runner)
    payloads = {"Customer": {"POST": {"payload": {"name": "configured"}}}}
    put(tmp_path / "config.json", json.dumps({"headers": {"X-Kit": "1"}, "payloads": payloads}))
    (kit,) = kits.found_in(tmp_path)
    request = kits.prepared(kit)["item"][0]["item"][0]["request"]
    assert json.loads(request["body"]["raw"]) == {"name": "configured"}
    assert request["header"] == [{"key": "X-Kit", "value": "1"}]


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("{{Customer}}customer/{{ID}}", f"{BASE}/customer/{{{{ID}}}}"),
        ("{{Customer}}/customer?fields=id", f"{BASE}/customer?fields=id"),
        ("{{scheme}}://{{host}}:{{port}}/tmf-api/customerManagement/v3/customer", f"{BASE}/customer"),
        ("http://localhost:3000/api/v4.0.0/customer?name=a", f"{BASE}/customer?name=a"),
        ("{{host}}/{{basePath}}/customer", f"{BASE}/customer"),
    ],
)
def test_every_form_of_an_address_is_sent_to_the_component(tmp_path: Path, url: str, sent: str) -> None:
    for given in (url, {"raw": url, "host": ["{{somewhere}}"], "path": ["customer"]}):
        put(tmp_path / "TMF629.json", collection(asked("GET", given)))
        (kit,) = kits.found_in(tmp_path)
        text = kits.address(kits.prepared(kit)["item"][0]["item"][0])
        for variable in kits.environment(kit, BASE)["values"]:
            text = text.replace("{{" + variable["key"] + "}}", variable["value"])
        assert text == sent
        assert kit.reads_only == ("customer",)


def test_a_kit_that_names_no_api_is_known_by_what_it_asks_for(tmp_path: Path, suite: list[Served]) -> None:
    put(tmp_path / "a.json", collection(asked("GET", "{{X}}Customer"), asked("POST", "{{X}}hub", {}), name="Kit"))
    (kit,) = kits.found_in(tmp_path)
    assert (kit.api, kit.resources) == (None, ("Customer",))
    assert [str(s) for s in subjects(kit, suite)] == ["TMF629 v4 customer-360"]


def test_events_of_a_kit_go_nowhere(tmp_path: Path) -> None:
    hub = asked("POST", "{{Customer}}hub", {"callback": "https://operator.example/listener", "query": ""})
    put(tmp_path / "TMF629.json", collection(hub))
    (kit,) = kits.found_in(tmp_path)
    body = kits.prepared(kit)["item"][0]["item"][0]["request"]["body"]["raw"]
    assert json.loads(body) == {"callback": kits.NOWHERE, "query": ""}


def test_what_cannot_be_run_is_told_and_keeps_nothing_else_from_it(tmp_path: Path) -> None:
    put(tmp_path / "a" / "TMF629.json", collection(asked("GET", "{{Customer}}customer", tested=False)))
    put(tmp_path / "b" / "ctk" / "TMF629.json", SMALL)
    put(tmp_path / "b" / "ctk" / "package.json", "{name: 'not JSON'}")
    put(tmp_path / "c" / "cypress" / "fixtures" / "ctk.json", "[]")
    put(tmp_path / "c" / "oas.yaml", "{}")
    put(tmp_path / "d" / "TMF629.json", SMALL)
    put(tmp_path / "e" / "ctk" / "TMF629.json", SMALL)
    put(tmp_path / "e" / "config.json", "[")
    told = {kit.file.relative_to(tmp_path).parts[0]: kit.problem for kit in kits.found_in(tmp_path)}
    assert (told.pop("a"), told.pop("d")) == (kits.NO_TEST, "")
    assert sorted(told) == ["c", "e"]  # b is a copy of d
    assert all(problem.startswith(kits.UNREADABLE) for problem in told.values())


def test_a_kit_of_version_5_says_what_it_judges(tmp_path: Path, suite: list[Served]) -> None:
    inner = tmp_path / "kit" / "DO_NOT_CHANGE"
    described = {"info": {"title": "TMF717 Customer360", "version": "5.0.0"}, "servers": [{"url": "https://x/v5/"}]}
    put(inner / "oas.yaml", yaml.safe_dump(described))
    put(
        inner / "cypress" / "fixtures" / "ctk.json",
        json.dumps({"tests": {"1": {"method": "GET", "path": "/customer360"}}}),
    )
    put(tmp_path / "kit" / "CHANGE_ME.json", "{}")
    (kit,) = kits.found_in(tmp_path)
    assert (kit.api, kit.version, kit.reads_only, kit.folder.name) == ("TMF717", "v5", ("customer360",), "kit")
    assert [str(s) for s in subjects(kit, suite)] == ["TMF717 v5 customer-360"]


def test_an_explanation_covers_the_assertions_that_it_names_and_no_other(tmp_path: Path, suite: list[Served]) -> None:
    put(tmp_path / "TMF629.json", SMALL)
    (kit,) = kits.found_in(tmp_path)
    (against,) = subjects(kit, suite)
    told = Explanation(kit.name, "TMF629 v4", {"N1 / *": ["Status"], "N1 / x": ["Status"]}, "because", "clause")
    assert told.covers(kit, against, Failure("N1 / x", "Status", ""))
    for request, assertion in (("N1 / x", "Statu"), ("N1 / xx", "Status"), ("N1 / x", "*")):
        assert not told.covers(kit, against, Failure(request, assertion, ""))


def test_what_is_explained_names_whole_assertions_a_served_version_and_a_clause(suite: list[Served]) -> None:
    places = {f"{s.api.id} {s.version}" for s in suite}
    listed = known()
    told = [(e.served, e.reason, e.clause) for e in listed.assertions]
    for place, reason, clause in [*told, *((t.served, t.reason, t.clause) for t in listed.translations)]:
        assert place in places
        assert reason and clause
    named = [name for e in listed.assertions for request, names in e.failing.items() for name in (request, *names)]
    assert named and not [name for name in named if "*" in name]
