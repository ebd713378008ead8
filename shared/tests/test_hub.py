"""The hub: who may register what, that it is registered once, and that nothing is stored of what is refused."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from shared.tests.support.serving import Listener, database
from shared.tests.support.shipping import BASE, DEPOTS, HUB_V4, HUB_V5, V5, component

from tmfkit.event import Interest, interest
from tmfkit.testing import LOCAL, Running, assert_tmf_error, running
from tmfkit.types import Document

CALLBACK = "http://127.0.0.1:9/listener"


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    with running(component, database_url=database(component), callback_deny=["10.9.0.0/16", "denied.example"]) as app:
        yield app


@pytest.fixture(autouse=True)
def _empty(app: Running) -> None:
    app.sql("DELETE FROM subscription")
    app.sql("DELETE FROM audit")


def count(app: Running, table: str = "subscription") -> int:
    return int(app.sql(f"SELECT count(*) FROM {table}")[0][0])


def test_a_registration_is_answered_with_its_address_and_can_be_read(app: Running) -> None:
    for hub, version in ((HUB_V4, "v4"), (HUB_V5, "v5")):
        answer = app.post(hub, {"callback": CALLBACK, "query": "eventType=ShipmentCreateEvent"})
        assert answer.status_code == 201
        doc = answer.json()
        assert answer.headers["location"] == f"{LOCAL}{hub}/{doc['id']}"
        assert (doc["callback"], doc["query"]) == (CALLBACK, "eventType=ShipmentCreateEvent")
        assert doc.get("@type") == ("Hub" if version == "v5" else None)
        assert app.get(answer.headers["location"]).json() == doc
        assert app.get(hub).json() == [doc]
        assert app.get(hub).headers["x-total-count"] == "1"


@pytest.mark.parametrize(
    "body",
    [
        {"callback": CALLBACK},
        {"callback": CALLBACK, "query": None},
        {"callback": CALLBACK, "query": ""},
        {"callback": CALLBACK, "@type": "Hub"},
        {"callback": CALLBACK, "@type": "Hub", "@baseType": "Hub", "@schemaLocation": "http://x.example/hub.json"},
        {"callback": CALLBACK, "id": "mine", "href": "http://elsewhere"},
    ],
)
def test_a_body_without_query_and_with_type_is_accepted(app: Running, body: Document) -> None:
    for hub in (HUB_V4, HUB_V5):
        answer = app.post(hub, body)
        assert answer.status_code == 201, answer.text
        doc = answer.json()
        assert doc["id"] != "mine"
        assert doc.get("href") == (f"{LOCAL}{HUB_V5}/{doc['id']}" if hub == HUB_V5 else None)
        assert {k: doc[k] for k in doc if k.startswith("@")} == (
            {k: body[k] for k in body if k.startswith("@")} or ({"@type": "Hub"} if hub == HUB_V5 else {})
        )


def test_the_same_registration_is_made_once(app: Running) -> None:
    body = {"callback": CALLBACK, "query": "eventType=ShipmentCreateEvent"}
    first, again = app.post(HUB_V5, body), app.post(HUB_V5, body)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first.headers["location"] == again.headers["location"]
    assert count(app) == 1
    other = [
        app.post(HUB_V5, {**body, "query": "eventType=ShipmentDeleteEvent"}),
        app.post(HUB_V5, {**body, "callback": f"{CALLBACK}/other"}),
        app.post(HUB_V4, body),
        app.post(DEPOTS.replace("depot", "hub").replace("hubManagement", "depotManagement"), body),
    ]
    assert {a.status_code for a in other} == {201}
    assert len({a.json()["id"] for a in [first, *other]}) == count(app) == 5


def test_registrations_at_the_same_moment_are_one(app: Running) -> None:
    async def at_once() -> list[httpx.Response]:
        return await asyncio.gather(*(app.client.post(HUB_V5, json={"callback": CALLBACK}) for _ in range(8)))

    answers = app.loop.run(at_once())
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == count(app) == 1


def test_a_registration_that_is_ended_is_gone(app: Running) -> None:
    one = app.post(HUB_V5, {"callback": CALLBACK}).json()["id"]
    assert app.delete(f"{HUB_V5}/{one}").status_code == 204
    assert app.get(HUB_V5).json() == []
    assert assert_tmf_error(app.get(f"{HUB_V5}/{one}"), 404)["attribute"] == "id"
    assert assert_tmf_error(app.delete(f"{HUB_V5}/{one}"), 404)["attribute"] == "id"
    assert app.post(HUB_V5, {"callback": CALLBACK}).json()["id"] != one


def test_a_registration_belongs_to_the_version_it_was_made_in(app: Running) -> None:
    one = app.post(HUB_V5, {"callback": CALLBACK}).json()["id"]
    assert_tmf_error(app.get(f"{HUB_V4}/{one}"), 404)
    assert_tmf_error(app.delete(f"{HUB_V4}/{one}"), 404)
    assert app.get(HUB_V4).json() == []
    assert count(app) == 1


def test_registering_and_ending_are_audited_once(app: Running) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    for _ in range(2):
        one = app.post(HUB_V5, {"callback": CALLBACK}, headers=headers).json()["id"]
    app.delete(f"{HUB_V5}/{one}", headers=headers)
    rows = app.sql("SELECT subject, operation, resource, resource_id, trace_id FROM audit ORDER BY seq")
    assert [tuple(r) for r in rows] == [
        ("anonymous", "create", "Hub", one, trace),
        ("anonymous", "delete", "Hub", one, trace),
    ]


@pytest.mark.parametrize(
    ("body", "status", "attribute"),
    [
        ({}, 400, "callback"),
        ({"callback": None}, 400, "callback"),
        ({"callback": ""}, 400, "callback"),
        ({"callback": 5}, 400, "callback"),
        ({"callback": ["http://127.0.0.1/"]}, 400, "callback"),
        ({"callback": "not an address"}, 400, "callback"),
        ({"callback": "ftp://127.0.0.1/x"}, 400, "callback"),
        ({"callback": "file:///etc/passwd"}, 400, "callback"),
        ({"callback": "http:///nowhere"}, 400, "callback"),
        ({"callback": "http://127.0.0.1:99999/"}, 400, "callback"),
        ({"callback": "http://user:secret@127.0.0.1/"}, 400, "callback"),
        ({"callback": "http://no-such-host.invalid/"}, 400, "callback"),
        ({"callback": "http://169.254.169.254/latest/meta-data"}, 403, "callback"),
        ({"callback": "http://[::ffff:169.254.169.254]/"}, 403, "callback"),
        ({"callback": "http://0.0.0.0:8080/"}, 403, "callback"),
        ({"callback": "http://10.9.1.1/listener"}, 403, "callback"),
        ({"callback": "http://[fe80::1]/"}, 403, "callback"),
        ({"callback": "http://224.0.0.1/"}, 403, "callback"),
        ({"callback": f"http://127.0.0.1/{secrets.token_hex(1100)}"}, 400, "callback"),
        ({"callback": CALLBACK, "query": 5}, 400, "query"),
        ({"callback": CALLBACK, "query": "a condition?"}, 400, "query"),
        ({"callback": CALLBACK, "query": "$[?(@.eventType=="}, 400, "query"),
        ({"callback": CALLBACK, "query": "eventType.regex=(a+)+("}, 400, "query"),
        ({"callback": CALLBACK, "query": "$[(@.length-1)]"}, 400, "query"),
        ({"callback": CALLBACK, "query": "$..eventType"}, 400, "query"),
        ({"callback": CALLBACK, "query": f"eventType={secrets.token_hex(1100)}"}, 400, "query"),
        ({"callback": CALLBACK, "appendEventName": "yes"}, 400, "appendEventName"),
    ],
)
def test_what_is_refused_is_named_and_nothing_is_stored(
    app: Running, body: Document, status: int, attribute: str
) -> None:
    for hub in (HUB_V4, HUB_V5):
        assert assert_tmf_error(app.post(hub, body), status)["attribute"] == attribute
    assert count(app) == count(app, "audit") == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"null", b'{"callback": "\\u0000"}', b"\xff"])
def test_a_body_that_is_no_registration_is_a_400(app: Running, content: bytes) -> None:
    answer = app.request("POST", HUB_V5, content=content, headers={"content-type": "application/json"})
    assert_tmf_error(answer, 400)
    assert count(app) == 0


def test_the_hub_has_the_methods_it_has(app: Running) -> None:
    one = app.post(HUB_V5, {"callback": CALLBACK}).json()["id"]
    for path, methods, allow in (
        (HUB_V5, ("PUT", "PATCH", "DELETE", "OPTIONS"), "GET, HEAD, POST"),
        (f"{HUB_V5}/{one}", ("PUT", "PATCH", "POST", "OPTIONS"), "GET, HEAD, DELETE"),
    ):
        for method in methods:
            answer = app.request(method, path)
            assert_tmf_error(answer, 405)
            assert answer.headers["allow"] == allow
        head, got = app.request("HEAD", path), app.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(got.content))
    assert_tmf_error(app.post(HUB_V5, {"callback": CALLBACK}, headers={"accept": "text/html"}), 406)
    xml = app.request("POST", HUB_V5, content=b"<hub/>", headers={"content-type": "text/xml"})
    assert_tmf_error(xml, 415)
    for id in ("%00", "a%2Fb", "%F0%9F%98%80", "x" * 4000):
        assert_tmf_error(app.get(f"{HUB_V5}/{id}"), 404)
        assert_tmf_error(app.delete(f"{HUB_V5}/{id}"), 404)
    assert count(app) == 1


# --- what a query means ------------------------------------------------------------------------------------

EVENT: Document = {
    "eventId": "1",
    "eventType": "ShipmentCreateEvent",
    "eventTime": "2026-01-01T10:00:00.000Z",
    "@type": "ShipmentCreateEvent",
    "timeOccurred": "2026-01-01T10:00:00.000Z",
    "event": {
        "shipment": {
            "id": "7",
            "href": "http://x/7",
            "@type": "Shipment",
            "name": "Rome",
            "weightKg": 12.5,
            "leg": [{"carrier": "rail", "seal": "s"}, {"carrier": "sea"}],
        }
    },
}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", True),
        ("?eventType=ShipmentCreateEvent", True),
        ("eventType=shipmentCreateEvent", True),
        ("eventType=ShipmentDeleteEvent,ShipmentCreateEvent", True),
        ("eventType=ShipmentDeleteEvent&eventType=ShipmentCreateEvent", True),
        ("eventType=ShipmentDeleteEvent;eventType=ShipmentCreateEvent", True),
        ("eventType=ShipmentDeleteEvent", False),
        ("eventType=ShipmentCreateEvent&event.shipment.name=Rome", True),
        ("eventType=ShipmentCreateEvent&event.shipment.name=Bern", False),
        ("event.shipment.weightKg.gt=12", True),
        ("event.shipment.weightKg%3E13", False),
        ("event.shipment.leg.carrier=sea", True),
        ("event.shipment.leg.carrier.regex=^s", True),
        ("event.shipment.nothing=1", False),
        ("eventTime.gt=2025", True),
        ("fields=event.shipment.name", True),
        ("$[?(@.eventType=='ShipmentCreateEvent')]", True),
        ("$.event.shipment.leg[?(@.carrier=='sea')]", True),
        ("event.shipment.leg[?(@.carrier=='air')]", False),
        ("$[?(@.event.shipment.weightKg > 12 && @.eventType =~ /Create/)]", True),
        ("filter=event.shipment.leg[?(@.carrier=='sea')]&eventType=ShipmentCreateEvent", True),
        ("filter=event.shipment.leg[?(@.carrier=='sea')]&eventType=ShipmentDeleteEvent", False),
    ],
)
def test_a_query_is_a_filter_over_the_event(query: str, wanted: bool) -> None:
    assert interest(query).wants(EVENT) is wanted
    if query.startswith("$"):
        assert interest(quote(query)).wants(EVENT) is wanted


def test_fields_leave_the_envelope_and_the_identity() -> None:
    def seen(query: str) -> Document:
        asked: Interest = interest(query)
        return asked.view(EVENT)

    identity = {"id": "7", "href": "http://x/7", "@type": "Shipment"}
    envelope = {k: v for k, v in EVENT.items() if k != "event"}
    assert seen("eventType=ShipmentCreateEvent") == EVENT
    assert seen("fields=event.shipment.name") == {**envelope, "event": {"shipment": {**identity, "name": "Rome"}}}
    assert seen("fields=none") == {**envelope, "event": {"shipment": identity}}
    assert seen("fields=eventType,nothing") == {**envelope, "event": {"shipment": identity}}
    carriers = {**identity, "leg": [{"carrier": "rail"}, {"carrier": "sea"}]}
    assert seen("fields=event.shipment.leg.carrier")["event"]["shipment"] == carriers


def test_an_accepted_query_is_the_one_that_is_delivered_by() -> None:
    with running(component, worker=True, database_url=database(component)) as app, Listener() as listener:
        queries: list[tuple[str, Any]] = [
            ("jsonpath", "$[?(@.event.shipment.name=='Rome')]"),
            ("url", "eventType=ShipmentCreateEvent&event.shipment.weightKg.gte=10"),
            ("fields", "eventType=ShipmentCreateEvent&fields=event.shipment.name"),
        ]
        for name, query in queries:
            assert app.post(HUB_V5, {"callback": f"{listener.callback}/{name}", "query": query}).status_code == 201
        app.post(V5, {"name": "Bern", "weightKg": 11})
        app.post(V5, {"name": "Rome", "weightKg": 9})
        listener.wait(4)
        heard = {
            name: [e for e, p in zip(listener.events, listener.paths, strict=True) if p.endswith(name)]
            for name, _ in queries
        }
    assert [e["event"]["shipment"]["name"] for e in heard["jsonpath"]] == ["Rome"]
    assert [e["event"]["shipment"]["name"] for e in heard["url"]] == ["Bern"]
    assert sorted(e["event"]["shipment"]["name"] for e in heard["fields"]) == ["Bern", "Rome"]
    assert all(set(e["event"]["shipment"]) == {"id", "href", "@type", "name"} for e in heard["fields"])
    assert all("eventId" in e and "traceparent" in e for e in heard["fields"])


def test_the_event_name_is_appended_where_a_subscriber_asks_for_it() -> None:
    with running(component, worker=True, database_url=database(component)) as app, Listener() as listener:
        app.post(HUB_V5, {"callback": f"{listener.callback}/", "appendEventName": True})
        app.post(V5, {"name": "Bern"})
        listener.wait(1)
        assert listener.paths == ["/listener/shipmentCreateEvent"]


def test_the_hub_of_one_api_does_not_hear_another() -> None:
    with running(component, worker=True, database_url=database(component)) as app, Listener() as listener:
        app.post(f"{BASE}/v5/hub", {"callback": listener.callback})
        app.post(DEPOTS, {"name": "East"})
        app.post(V5, {"name": "Bern"})
        (event,) = listener.wait(1)
        assert event["eventType"] == "ShipmentCreateEvent"
        assert app.sql("SELECT count(*) FROM outbox WHERE relayed_at IS NOT NULL")[0][0] == 2
