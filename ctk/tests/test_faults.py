"""Each lie of a server is found by the check of its own clause, and an honest server passes everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from ctk.tests.support.customers import Customers
from ctk.tests.support.judging import judged

from oda_ctk.contract import shipped
from oda_ctk.run import Report

FAULTS = {
    "200 for 201": "create.minimal",
    "no location": "create.location",
    "location": "create.location",
    "same id": "create.unique-ids",
    "posted attributes are lost": "create.kept",
    "media": "reach.media",
    "404 for 405": "reach.method-not-allowed",
    "200 for an unknown id": "retrieve.unknown",
    "mandatory": "create.mandatory",
    "nested mandatory": "create.mandatory-nested",
    "types": "create.wrong-type",
    "malformed fails": "create.malformed",
    "any media": "create.media",
    "large body fails": "limits.large-body",
    "fields drop id": "read.fields.none",
    "fields are ignored": "read.fields.first-level",
    "filter is ignored": "list.filter.equality",
    "dotted is ignored": "list.filter.dotted",
    "or takes the first": "list.filter.or-repeated",
    "no or by comma": "list.filter.or-comma",
    "gt is gte": "list.filter.gt",
    "unknown filter is ignored": "list.filter.unknown",
    "404 for an empty list": "list.filter.no-match",
    "sort ignores the sign": "list.sort",
    "total": "paging.total",
    "result count": "paging.result-count",
    "pages overlap": "paging.joined",
    "link": "paging.link",
    "always 200": "paging.part-is-206",
    "always 206": "paging.whole-is-200",
    "negative is accepted": "paging.negative",
    "read-only is written": "patch.read-only",
    "read-only is ignored": "patch.read-only",
    "null is kept": "patch.merge-null",
    "arrays are appended": "patch.merge-array",
    "objects are replaced": "patch.merge-nested",
    "answer before the change": "patch.merge",
    "200 for 204": "delete.status",
    "delete keeps": "delete.gone",
    "extension is lost": "type.extension",
    "lost update": "concurrency.lost-update",
    "if-match": "concurrency.if-match",
    "hub is not deleted": "hub.delete",
    "hub query is ignored": "hub.query",
    "redelivery with a new id": "hub.redelivery",
    "no Create event": "events.create",
    "no AttributeValueChange event": "events.change",
    "no StateChange event": "events.state",
    "no Delete event": "events.delete",
    "event type": "events.create",
    "event without id": "events.envelope",
    "event without resource name": "events.envelope",
    "event twice": "events.duplicates",
    "event before commit": "events.readable",
    "event with the old value": "events.change-payload",
    "event without a change": "events.unchanged",
    "events out of order": "events.order",
    "event time": "events.time-name",
}
BY_THE_WAY = {
    "error without reason": ("retrieve.unknown", "errors.body"),
    "error with a number as code": ("retrieve.unknown", "errors.body"),
    "type of an attribute": ("create.answer", "answers.schema"),
    "null is shown": ("create.answer", "answers.null"),
    "no zone": ("create.answer", "answers.zone"),
}
"""Faults that are judged at the end, over the answers which another check has caused."""


@pytest.fixture(scope="module")
def honest() -> Iterator[tuple[Report, Customers]]:
    with Customers() as server:
        yield judged(server, profile="extended"), server


def test_an_honest_server_fails_nothing(honest: tuple[Report, Customers]) -> None:
    report, _ = honest
    assert [(r.id, r.reason) for r in report.results if r.outcome == "fail"] == []
    assert report.exit_code == 0
    assert report.count("pass", "MUST") > 90


def test_what_every_fault_is_found_by_passes_on_the_honest_server(honest: tuple[Report, Customers]) -> None:
    passed = {r.id for r in honest[0].results if r.outcome == "pass"}
    assert {*FAULTS.values(), *(second for _, second in BY_THE_WAY.values())} <= passed


def test_the_honest_server_is_left_as_it_was_found(honest: tuple[Report, Customers]) -> None:
    report, server = honest
    assert (server.store, server.hubs) == ({}, {})
    assert (report.left_behind, report.not_deleted) == ([], [])


def fill(server: Customers, count: int) -> None:
    for number in range(count):
        party = {"id": f"party {number}", "@referredType": "Individual"}
        sent = {"name": f"Resident {number % 7}", "status": "active", "engagedParty": party, "@type": "Customer"}
        server.created(sent)


def test_what_lives_in_a_system_is_neither_in_the_way_nor_touched() -> None:
    with Customers() as server:
        fill(server, 300)
        before = dict(server.store)
        report = judged(server, "reach", "read", "list", "paging", "delete")
        assert server.store == before
    assert [(r.id, r.reason) for r in report.results if r.outcome == "fail"] == []


def test_a_resource_that_clients_cannot_create_is_judged_by_what_exists() -> None:
    whole = shipped("TMF629", "v4")
    reading = replace(whole, operations=tuple(o for o in whole.operations if o.method == "GET"), events=())
    for lies, count, outcome in ((set[str](), 8, "pass"), ({"total"}, 8, "fail"), (set[str](), 0, "not applicable")):
        with Customers(lies) as server:
            fill(server, count)
            report = judged(server, "list.filter", "paging", contract=reading)
            assert len(server.store) == count
        found = {r.id: r.outcome for r in report.results}
        assert found["list.filter.no-match" if "total" in lies else "list.filter.equality"] == outcome, report.results
        assert (report.exit_code == 0) == (outcome != "fail")


@pytest.mark.parametrize("lie", FAULTS)
def test_a_lie_is_found_by_the_check_of_its_clause(lie: str) -> None:
    with Customers({lie}) as server:
        report = judged(server, FAULTS[lie], profile="extended")
    found = {r.id: r for r in report.results if r.outcome == "fail"}
    assert FAULTS[lie] in found, [(r.id, r.outcome, r.reason) for r in report.results]
    assert found[FAULTS[lie]].reason and found[FAULTS[lie]].clause


@pytest.mark.parametrize("lie", BY_THE_WAY)
def test_a_lie_in_any_answer_is_found_at_the_end(lie: str) -> None:
    with Customers({lie}) as server:
        report = judged(server, *BY_THE_WAY[lie])
    assert BY_THE_WAY[lie][1] in {r.id for r in report.results if r.outcome == "fail"}
