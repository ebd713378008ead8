"""What implementations that are not ours have taught the kit: one cause is told once, and nobody is blamed for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ctk.tests.support.customers import Answer, Customers, Refused
from ctk.tests.support.judging import judged

from oda_ctk.__main__ import main
from oda_ctk.contract import Contract, shipped
from oda_ctk.run import Report

PATCHING = ("patch.merge", "patch.merge-array", "patch.merge-null", "patch.merge-nested", "patch.repeated")


def outcomes(report: Report) -> dict[str, str]:
    return {r.id: r.outcome for r in report.results}


class Mortal(Customers):
    """Crashes at the DELETE of what it does not know, and is started again if it is `watched`."""

    def __init__(self, watched: bool) -> None:
        super().__init__()
        self.watched, self.falls = watched, 0

    def routed(self, method: str, target: str, headers: dict[str, str], content: bytes) -> Answer:
        if method == "DELETE" and "ctk-no-such" in target:
            self.falls += 1
            self.fall()
            if self.watched:
                threading.Timer(0.3, self.rise).start()
        return super().routed(method, target, headers, content)


CHECKS = ("delete.status", "delete.unknown", "limits.characters", "hub.create", "answers.shape", "answers.no-5xx")


def test_nothing_is_judged_of_an_implementation_that_is_gone() -> None:
    with Mortal(watched=False) as server:
        report = judged(server, *CHECKS)
    found = {r.id: r for r in report.results}
    assert found["delete.status"].outcome == found["answers.shape"].outcome == "pass"
    assert found["delete.unknown"].outcome == found["answers.no-5xx"].outcome == "fail"
    assert "no answer" in found["delete.unknown"].reason
    for id in ("limits.characters", "hub.create"):
        assert found[id].outcome == "not applicable"
        assert found[id].reason == "not judged: nobody answers since delete.unknown customer"
    assert report.exit_code == 1
    assert [line for line in report.not_deleted if "not tried" not in line][2:] == []


def test_an_implementation_that_is_started_again_is_judged_to_the_end() -> None:
    with Mortal(watched=True) as server:
        report = judged(server, *CHECKS)
        assert (server.falls, server.store) == (1, {})
    assert {id for id, outcome in outcomes(report).items() if outcome == "fail"} == {"delete.unknown", "answers.no-5xx"}
    assert outcomes(report)["limits.characters"] == outcomes(report)["hub.create"] == "pass"


class Created(Customers):
    """Answers every change with 201."""

    def patched(self, id: str, headers: dict[str, str], change: Any) -> Answer:
        _, more, body = super().patched(id, headers, change)
        return 201, more, body


def test_a_wrong_status_of_patch_is_told_as_such_and_not_as_a_wrong_merge() -> None:
    with Created() as server:
        report = judged(server, *PATCHING, "answers.published-status")
    failed = [r for r in report.results if r.outcome == "fail"]
    assert {r.id for r in failed} == {"patch.merge", "answers.published-status"}
    assert all("201" in r.reason for r in failed)


def strict(whole: Contract, mandatory: Sequence[str]) -> Contract:
    """The contract with mandatory attributes in the body of PATCH, as files of version 5 have them."""
    update = whole.schemas["Customer_Update"]
    attributes = tuple(replace(a, required=a.name in mandatory) for a in update.attributes)
    return replace(whole, schemas={**whole.schemas, update.name: replace(update, attributes=attributes)})


class Validating(Customers):
    """Holds bodies of PATCH against the file, as servers do that are generated from it."""

    def patched(self, id: str, headers: dict[str, str], change: Any) -> Answer:
        if "name" not in change or "engagedParty" not in change:
            raise Refused(400, "the body lacks a mandatory attribute")
        party = change["engagedParty"]
        if isinstance(party, dict) and not {"id", "@referredType"} <= party.keys():
            raise Refused(400, "engagedParty lacks a mandatory attribute")
        return super().patched(id, headers, change)


def test_what_the_file_makes_mandatory_in_a_change_is_sent_with_it() -> None:
    contract = strict(shipped("TMF629", "v4"), ("name", "engagedParty"))
    checks = (*PATCHING, "patch.unknown", "patch.wrong-type", "delete.gone", "events.change", "events.order")
    with Validating() as server:
        report = judged(server, *checks, contract=contract)
    assert set(outcomes(report).values()) == {"pass"}, [(r.id, r.reason) for r in report.results]


class Poor(Customers):
    """Takes a customer with its mandatory attributes only; anything more is a failure."""

    def created(self, sent: Any) -> Answer:
        if isinstance(sent, dict) and "contactMedium" in sent:
            raise Refused(500, "too much")
        return super().created(sent)


class Unfiltered(Customers):
    """Refuses to be asked for an id, and knows no comma between values."""

    def found(self, question: str) -> Answer:
        if "id=" in question:
            raise Refused(400, "unknown query parameter id")
        return super().found(question)


def test_a_filter_that_is_lacking_is_told_by_its_own_check_and_by_no_other() -> None:
    others = ("retrieve.same-as-list", "create.listed", "delete.gone", "list.sort", "paging.limit", "paging.joined")
    with Unfiltered({"no or by comma"}) as server:
        report = judged(server, "list.filter.id", "list.filter.or-comma", *others, "paging.whole-is-200", "paging.link")
    assert {id for id, outcome in outcomes(report).items() if outcome == "fail"} == {
        "list.filter.id",
        "list.filter.or-comma",
    }
    assert "400 instead of a list" in next(r.reason for r in report.results if r.id == "list.filter.id")


class Closed(Customers):
    """Creates nothing at all."""

    def created(self, sent: Any) -> Answer:
        raise Refused(400, "no")


def test_lists_are_judged_though_bodies_with_many_attributes_are_refused() -> None:
    with Poor() as server:
        report = judged(server, "create.full", "create.minimal", "list.filter.equality", "paging.total", "patch.merge")
    assert [id for id, outcome in outcomes(report).items() if outcome == "fail"] == ["create.full"]
    assert outcomes(report)["list.filter.equality"] == outcomes(report)["patch.merge"] == "pass"


def test_that_nothing_can_be_created_is_one_failure_for_each_body() -> None:
    creation = ("create.minimal", "create.full", "create.location", "create.answer", "create.unique-ids")
    with Closed() as server:
        report = judged(server, *creation, "create.unicode", "type.default", "concurrency.create")
    assert {id for id, outcome in outcomes(report).items() if outcome == "fail"} == {"create.minimal", "create.full"}


class Old(Customers):
    """Calls its events as version 3 did."""

    def tell(self, kind: str, doc: dict[str, Any]) -> None:
        old = {"Create": "CreationNotification", "Delete": "RemoveNotification"}
        before = self.mail.qsize()
        super().tell(kind, doc)
        with self.mail.mutex:
            for _, event in list(self.mail.queue)[before:]:
                event["eventType"] = f"Customer{old.get(kind, f'{kind}Notification')}"


def test_events_under_other_names_are_shown_and_their_payload_is_not_blamed() -> None:
    with Old() as server:
        report = judged(server, "events.create", "events.create-payload", "events.complete")
    found = {r.id: r for r in report.results}
    assert [r.id for r in report.results if r.outcome == "fail"] == ["events.create"]
    assert "CustomerCreationNotification" in found["events.create"].reason
    assert "CustomerCreationNotification" in found["events.create"].evidence[0]["request"]["body"]
    assert "events.create judges that" in found["events.create-payload"].reason


def test_a_code_that_is_a_number_is_not_called_missing() -> None:
    with Customers({"error with a number as code"}) as server:
        report = judged(server, "retrieve.unknown", "errors.body")
    (failed,) = [r for r in report.results if r.outcome == "fail"]
    assert failed.reason.endswith("code is 404, which is no text")


FILE = """
swagger: "2.0"
info: {title: Own, version: 4.0.0}
paths:
  /customer:
    get:
      responses: {"200": {schema: {type: array, items: {$ref: "#/definitions/Customer"}}}}
definitions:
  Customer: {type: object, properties: {id: {type: string, example: 2026-02-31T10:00:00Z}}}
"""


def test_an_openapi_file_with_a_day_that_no_month_has_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "own.yaml"
    spec.write_text(FILE)
    with Customers() as server:
        options = [
            "TMF901",
            "--url",
            server.url,
            "--spec",
            str(spec),
            "--report",
            str(tmp_path),
            "--only",
            "reach.list",
        ]
        assert main(["api", *options]) == 0, capsys.readouterr().err
    report = json.loads((tmp_path / "report.json").read_text())
    (result,) = report["results"]
    assert (report["api"], result["id"], result["outcome"]) == ("TMF901", "reach.list", "pass")
    assert result["clause"] == "TMF901 v4 file: GET /customer"
