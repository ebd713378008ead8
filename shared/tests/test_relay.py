"""Events on their way out to real HTTP listeners: order, repetition, refusal, failure, speed, what is forgotten."""

from __future__ import annotations

import logging
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from shared.tests.support.serving import Listener, database, free_port, until
from shared.tests.support.shipping import DEAD_LETTERS, DEPOTS, HUB_V5, V5, component

from tmfkit import relay as relay_module
from tmfkit.relay import Relay
from tmfkit.testing import Running, assert_tmf_error, running
from tmfkit.types import Document
from tmfkit.worker import prune

QUICK: dict[str, Any] = {"delivery_max_backoff_s": 0.05, "delivery_timeout_s": 5.0}


@pytest.fixture
def url() -> str:
    return database(component)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as listener:
        yield listener


def subscribed(app: Running, callback: str, query: str = "") -> str:
    answer = app.post(HUB_V5, {"callback": callback, "query": query})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def created(app: Running, name: str = "Rome") -> str:
    answer = app.post(V5, {"name": name})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def shipment(event: Document) -> Document:
    found: Document = event["event"]["shipment"]
    return found


def count(app: Running, table: str, where: str = "true") -> int:
    return int(app.sql(f"SELECT count(*) FROM {table} WHERE {where}")[0][0])


def quiet(app: Running) -> None:
    """Wait until everything is delivered or dead."""
    until(
        lambda: count(app, "outbox", "relayed_at IS NULL") + count(app, "delivery", "dead_at IS NULL") == 0, "the end"
    )


def of_each(events: list[Document]) -> dict[str, list[Document]]:
    """The events of each resource, in the order in which they came."""
    found: dict[str, list[Document]] = defaultdict(list)
    for event in events:
        found[shipment(event)["id"]].append(event)
    return found


# --- order and repetition ----------------------------------------------------------------------------------


def test_events_of_one_resource_come_in_order_whatever_fails(url: str, listener: Listener) -> None:
    rng = random.Random(7)
    listener.answer = lambda _event: rng.choice([201, 201, 204, 500, 503, 429])
    with running(component, worker=True, database_url=url, **QUICK) as app:
        subscribed(app, listener.callback)
        ids = [created(app, f"shipment {i}") for i in range(6)]
        for weight in range(1, 9):
            for id in ids:
                app.patch(f"{V5}/{id}", {"weightKg": weight})
        listener.wait(6 * 9)
        quiet(app)
    posted, taken = of_each(listener.events), of_each(listener.taken)
    assert sorted(taken) == sorted(ids)
    for id in ids:
        assert [shipment(e).get("weightKg", 0) for e in taken[id]] == list(range(9))
        assert len({e["eventId"] for e in taken[id]}) == 9
        firsts = list(dict.fromkeys(e["eventId"] for e in posted[id]))
        assert firsts == [e["eventId"] for e in taken[id]]
        assert [e["eventId"] for e in posted[id]] == sorted((e["eventId"] for e in posted[id]), key=firsts.index), (
            "an event was sent after a later one of its resource"
        )
    assert len(listener.events) > 6 * 9, "nothing failed, so nothing was shown"


def test_what_is_not_acknowledged_comes_again_as_the_same_event(url: str, listener: Listener) -> None:
    answers = iter([500, 302, 408, 425, 429, 404, 599, 201])
    listener.answer = lambda _event: next(answers)
    with running(component, worker=True, database_url=url, **QUICK) as app:
        subscribed(app, listener.callback)
        created(app)
        listener.wait(1)
        quiet(app)
    assert len(listener.events) == 8
    assert all(event == listener.events[0] for event in listener.events)
    assert len({h["traceparent"] for h in listener.headers}) == 1


def test_a_listener_that_takes_the_event_and_dies_hears_it_again(url: str) -> None:
    port = free_port()
    with running(component, worker=True, database_url=url, **{**QUICK, "delivery_timeout_s": 0.3}) as app:
        with Listener(port) as slow:
            slow.delay_s = 2.0
            subscribed(app, slow.callback)
            created(app)
            until(lambda: slow.events, "the first attempt")
        with Listener(port) as second:
            (event,) = second.wait(1)
    assert event == slow.events[0]


def test_hundreds_of_events_arrive_once_each_and_in_order(url: str, listener: Listener) -> None:
    with running(component, worker=True, database_url=url) as app:
        subscribed(app, listener.callback)
        bulk = [{"op": "add", "path": "/", "value": {"name": f"shipment {i}"}} for i in range(230)]
        done = app.patch(V5, bulk, "application/json-patch+json")
        assert done.status_code == 200
        one = done.json()[0]["id"]
        for weight in range(3):
            app.patch(f"{V5}/{one}", {"weightKg": weight})
        listener.wait(233)
        quiet(app)
    assert len({e["eventId"] for e in listener.events}) == len(listener.events) == 233
    assert [shipment(e).get("weightKg") for e in of_each(listener.events)[one]] == [None, 0, 1, 2]


def test_events_carry_the_trace_of_the_request_that_caused_them(url: str, listener: Listener) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with running(component, worker=True, database_url=url) as app:
        subscribed(app, listener.callback)
        app.post(V5, {"name": "Rome"}, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        (event,) = listener.wait(1)
    assert event["correlationId"] == trace
    assert event["traceparent"] == listener.headers[0]["traceparent"]
    assert event["traceparent"].split("-")[1] == trace


# --- failing listeners -------------------------------------------------------------------------------------


def test_a_deaf_listener_does_not_keep_another_waiting(url: str, listener: Listener) -> None:
    with (
        running(component, worker=True, database_url=url, delivery_timeout_s=30.0) as app,
        Listener() as hanging,
        Listener() as failing,
    ):
        hanging.delay_s = 3.0
        failing.answer = lambda _event: 503
        subscribed(app, f"http://127.0.0.1:{free_port()}/nobody-listens")
        subscribed(app, hanging.callback)
        subscribed(app, failing.callback)
        subscribed(app, listener.callback)
        started = time.monotonic()
        for i in range(30):
            created(app, f"shipment {i}")
        listener.wait(30)
        assert len(hanging.taken) < 30
        assert time.monotonic() - started < 20
        assert failing.taken == []
        assert count(app, "delivery") >= 2 * 30


def test_a_failing_listener_is_asked_less_and_less_often(url: str, listener: Listener) -> None:
    listener.answer = lambda _event: 503 if len(listener.events) < 5 else 201
    with running(component, worker=True, database_url=url) as app:
        subscribed(app, listener.callback)
        created(app)
        listener.wait(1)
    gaps = [b - a for a, b in zip(listener.times, listener.times[1:], strict=False)]
    least = [0.1, 0.2, 0.4, 0.8]
    assert all(gap >= at_least * 0.95 for gap, at_least in zip(gaps, least, strict=True)), gaps


def test_a_failing_listener_is_asked_with_one_event_at_a_time(url: str, listener: Listener) -> None:
    listener.answer = lambda _event: 503
    with running(component, worker=False, database_url=url) as app:
        subscribed(app, listener.callback)
        for i in range(40):
            created(app, f"shipment {i}")
    with running(component, worker=True, database_url=url) as app:
        until(lambda: len(listener.events) >= 40, "the first attempts")
        time.sleep(0.7)
        asked = len(listener.events)
        assert asked < 60
        listener.answer = lambda _event: 201
        listener.wait(40)
        quiet(app)


def test_what_a_listener_refuses_to_the_end_is_a_dead_letter_that_can_be_sent_again(
    url: str, listener: Listener
) -> None:
    listener.answer = lambda event: 422 if shipment(event)["name"] == "refused" else 201
    with running(component, worker=True, database_url=url, delivery_attempts=3, **QUICK) as app:
        subscribed(app, listener.callback)
        refused, fine = created(app, "refused"), created(app, "fine")
        app.patch(f"{V5}/{refused}", {"weightKg": 1})
        listener.wait(1)
        quiet(app)
        answer = app.get(DEAD_LETTERS)
        assert answer.headers["x-total-count"] == answer.headers["x-result-count"] == "2"
        first, second = answer.json()
        assert (first["eventType"], second["eventType"]) == (
            "ShipmentCreateEvent",
            "ShipmentAttributeValueChangeEvent",
        )
        assert (first["resourceId"], first["attempts"], first["error"]) == (refused, 3, "answered 422")
        assert (first["callback"], first["api"]) == (listener.callback, "shipmentManagement v5")
        assert first["deadAt"]
        assert [e["eventId"] for e in of_each(listener.events)[refused]] == [first["eventId"]] * 3 + [
            second["eventId"]
        ] * 3
        assert len(of_each(listener.taken)[fine]) == 1
        assert "tmfkit_dead_letters_total 2.0" in app.get("/metrics").text

        assert [d["id"] for d in app.get(f"{DEAD_LETTERS}?offset=1&limit=1").json()] == [second["id"]]
        listener.answer = lambda _event: 201
        assert app.post(f"{DEAD_LETTERS}/{second['id']}/replay").json() == {"replayed": 1}
        assert listener.wait(2)[-1]["eventId"] == second["eventId"]
        quiet(app)
        again = app.post(f"{DEAD_LETTERS}/replay")
        assert (again.status_code, again.json()) == (202, {"replayed": 1})
        assert listener.wait(3)[-1]["eventId"] == first["eventId"]
        quiet(app)
        assert app.get(DEAD_LETTERS).json() == []
        assert app.post(f"{DEAD_LETTERS}/replay").json() == {"replayed": 0}
        for id in (second["id"], "999", "nothing", "²", "9" * 30):
            assert_tmf_error(app.post(f"{DEAD_LETTERS}/{id}/replay"), 404)
        for query, attribute in (("offset=-1", "offset"), ("limit=-1", "limit"), (f"offset={10**20}", "offset")):
            assert assert_tmf_error(app.get(f"{DEAD_LETTERS}?{query}"), 400)["attribute"] == attribute


def test_what_waits_behind_a_dead_letter_goes_at_once(url: str, listener: Listener) -> None:
    listener.answer = lambda event: 400 if event["eventType"] == "ShipmentCreateEvent" else 201
    with running(component, worker=True, database_url=url, delivery_attempts=1) as app:
        created(app)
        quiet(app)
        subscribed(app, listener.callback)
        id = created(app)
        started = time.monotonic()
        app.patch(f"{V5}/{id}", {"weightKg": 1})
        listener.wait(1)
        assert time.monotonic() - started < relay_module.IDLE_S - 1
        quiet(app)
    assert list(of_each(listener.events)) == [id], "what was relayed before a registration is not sent"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_later_is_not_never(url: str, listener: Listener, status: int) -> None:
    listener.answer = lambda _event: status if len(listener.events) < 5 else 201
    with running(component, worker=True, database_url=url, delivery_attempts=2, **QUICK) as app:
        subscribed(app, listener.callback)
        created(app)
        listener.wait(1)
        assert count(app, "delivery", "dead_at IS NOT NULL") == 0


def test_an_event_that_cannot_be_delivered_for_too_long_is_a_dead_letter(url: str) -> None:
    later = [timedelta()]
    options: dict[str, Any] = {**QUICK, "clock": lambda: datetime.now(UTC) + later[0]}
    with running(component, worker=True, database_url=url, delivery_max_age_s=3600, **options) as app:
        subscribed(app, f"http://127.0.0.1:{free_port()}/nobody-listens")
        created(app)
        until(lambda: count(app, "delivery", "attempts > 2"), "a few attempts")
        assert count(app, "delivery", "dead_at IS NOT NULL") == 0
        later[0] = timedelta(hours=2)
        until(lambda: count(app, "delivery", "dead_at IS NOT NULL"), "giving up")
        (dead,) = app.get(DEAD_LETTERS).json()
        assert dead["error"].startswith("ConnectError")


def test_a_redirect_is_not_followed(url: str, listener: Listener) -> None:
    with (
        Listener() as elsewhere,
        running(component, worker=True, database_url=url, delivery_attempts=2, **QUICK) as app,
    ):
        listener.answer = lambda _event: 307
        listener.answer_headers = [(b"location", elsewhere.callback.encode())]
        subscribed(app, listener.callback)
        created(app)
        until(lambda: count(app, "delivery", "dead_at IS NOT NULL"), "giving up")
        assert app.get(DEAD_LETTERS).json()[0]["error"] == "answered 307"
        assert len(listener.events) == 2
        assert elsewhere.events == []


def test_an_address_is_judged_again_when_it_is_called(url: str, listener: Listener) -> None:
    with running(component, worker=False, database_url=url) as app:
        subscribed(app, listener.callback)
        created(app)
    with running(component, worker=True, database_url=url, callback_allow=[], delivery_attempts=1) as app:
        until(lambda: count(app, "delivery", "dead_at IS NOT NULL"), "giving up")
        assert "not permitted" in app.get(DEAD_LETTERS).json()[0]["error"]
    assert listener.events == []


# --- speed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [False, True], ids=["one process", "API and relay apart"])
def test_an_idle_system_delivers_at_once(url: str, listener: Listener, apart: bool) -> None:
    took = []
    with running(component, worker=True, database_url=url) as relaying, running(component, database_url=url) as other:
        app = other if apart else relaying
        subscribed(app, listener.callback)
        created(app)
        listener.wait(1)
        for i in range(10):
            quiet(app)
            started = time.monotonic()
            created(app)
            listener.wait(i + 2)
            took.append(time.monotonic() - started)
    assert statistics.median(took) < 1.0, took  # 0.02 to 0.2 on an idle machine; without wake-up calls it would be 5


# --- several relays, and restarts --------------------------------------------------------------------------


def test_two_workers_at_once_deliver_each_event_once_and_one_takes_over_from_the_other(
    url: str, listener: Listener
) -> None:
    with running(component, worker=True, database_url=url) as second:
        with running(component, worker=True, database_url=url) as first:
            subscribed(first, listener.callback)
            for i in range(40):
                created((first, second)[i % 2], f"shipment {i}")
            listener.wait(40)
            quiet(first)
            locks = first.sql(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = $1"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                relay_module.RELAY_LOCK,
            )
            assert locks[0][0] == 1
        created(second, "after the first has gone")
        listener.wait(41)
    assert len({e["eventId"] for e in listener.events}) == len(listener.events) == 41


def test_a_new_relay_goes_on_where_the_old_one_stopped(url: str) -> None:
    port = free_port()
    with running(component, worker=True, database_url=url) as app:
        subscribed(app, f"http://127.0.0.1:{port}/listener")
        id = created(app)
        for weight in range(5):
            app.patch(f"{V5}/{id}", {"weightKg": weight})
        until(lambda: count(app, "delivery", "attempts > 0"), "an attempt")
        stored = [r["event_id"] for r in app.sql("SELECT event_id FROM outbox ORDER BY seq")]
    with running(component, worker=False, database_url=url) as app:
        app.patch(f"{V5}/{id}", {"weightKg": 5})
    with Listener(port) as listener, running(component, worker=True, database_url=url):
        heard = listener.wait(7)
    assert [e["eventId"] for e in heard][:6] == stored
    assert [shipment(e).get("weightKg") for e in heard] == [None, 0, 1, 2, 3, 4, 5]


def end_connections(app: Running, name: str) -> int:
    return len(
        app.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = $1 AND datname = current_database()",
            name,
        )
    )


def test_a_relay_goes_on_after_its_connections_were_lost(url: str, listener: Listener) -> None:
    with (
        running(component, worker=True, database_url=url) as app,
        running(component, worker=False, database_url=url) as other,
    ):
        subscribed(other, listener.callback)
        created(other, "before")
        listener.wait(1)
        assert end_connections(other, "relay") == 1
        assert end_connections(other, "signals") == 2
        created(other, "after")
        listener.wait(2)
        quiet(other)
        created(app, "by itself")
        listener.wait(3)


def test_a_relay_whose_lock_is_lost_notices_however_busy_it_is(
    url: str, listener: Listener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(relay_module, "IDLE_S", 0.5)
    with (
        caplog.at_level(logging.WARNING, logger="tmfkit.relay"),
        running(component, worker=True, database_url=url) as app,
    ):
        subscribed(app, listener.callback)
        created(app)
        listener.wait(1)
        assert end_connections(app, "relay") == 1

        def noticed() -> bool:
            created(app, "busy")
            return "relay interrupted" in caplog.text

        until(noticed, "noticing")
        sent = count(app, "outbox")
        listener.wait(sent)


def test_who_registered_before_an_event_hears_it_even_without_a_wake_up_call(url: str, listener: Listener) -> None:
    with running(component, worker=False, database_url=url) as app:
        relay = Relay(app.ctx, component.views, component.callbacks(app.settings))
        created(app, "before")
        assert app.loop.run(relay.fan_out()) == 1
        subscribed(app, listener.callback)
        created(app, "after")
        assert app.loop.run(relay.fan_out()) == 1
        app.loop.run(relay._stop_lines())
        assert count(app, "delivery") == 1


def test_no_delivery_is_left_behind_by_a_subscription_that_ended(url: str) -> None:
    with running(component, worker=False, database_url=url) as app:
        relay = Relay(app.ctx, component.views, component.callbacks(app.settings))
        ended = subscribed(app, f"http://127.0.0.1:{free_port()}/nobody-listens")
        created(app)
        assert app.loop.run(relay.fan_out()) == 1
        assert count(app, "delivery") == 1
        assert app.delete(f"{HUB_V5}/{ended}").status_code == 204
        assert count(app, "delivery") == 0
        created(app)
        assert app.loop.run(relay.fan_out()) == 1
        app.loop.run(relay._stop_lines())
        assert count(app, "delivery") == 0


# --- what is forgotten -------------------------------------------------------------------------------------


def test_what_is_older_than_its_retention_is_forgotten_and_nothing_else(url: str, listener: Listener) -> None:
    day = timedelta(days=1)
    later = [timedelta()]
    kept = {"outbox": 2, "inbox": 3, "idempotency": 1, "audit": 5}
    settings: dict[str, Any] = {f"{table}_retention_s": days * 86_400 for table, days in kept.items()}
    clock: Callable[[], datetime] = lambda: datetime.now(UTC) + later[0]  # noqa: E731
    with running(component, worker=True, database_url=url, clock=clock, delivery_attempts=1, **settings) as app:
        listener.answer = lambda event: 400 if "refused" in str(event) else 201
        subscribed(app, listener.callback)
        subscribed(app, f"http://127.0.0.1:{free_port()}/nobody-listens", "event.shipment.name=kept")
        answer = app.post(V5, {"name": "fine"}, headers={"idempotency-key": "once"})
        created(app, "refused")
        created(app, "kept")
        app.post(DEPOTS, {"name": "nobody listens to this API"})
        listener.wait(2)
        until(lambda: count(app, "outbox", "relayed_at IS NULL") == 0, "the fan-out")
        until(lambda: count(app, "delivery") == count(app, "delivery", "attempts > 0") == 2, "refusal and attempt")
        app.sql("INSERT INTO inbox (follow, event_id) VALUES ('x', '1')")

        def counts() -> dict[str, int]:
            app.loop.run(prune(app.ctx))
            return {table: count(app, table) for table in ("outbox", "delivery", "inbox", "idempotency", "audit")}

        full = {"outbox": 4, "delivery": 2, "inbox": 1, "idempotency": 1, "audit": 6}
        assert counts() == full
        later[0] = 0.9 * day
        assert counts() == full
        later[0] = 1.1 * day
        assert counts() == {**full, "idempotency": 0}
        again = app.post(V5, {"name": "fine"}, headers={"idempotency-key": "once"})
        assert again.json()["id"] != answer.json()["id"]
        listener.wait(3)
        until(lambda: count(app, "outbox", "relayed_at IS NULL") == 0, "the fan-out")
        until(lambda: count(app, "delivery") == 2, "the delivery")
        app.sql("DELETE FROM idempotency")
        app.sql("DELETE FROM outbox WHERE resource_id = $1", again.json()["id"])
        app.sql("DELETE FROM audit WHERE resource_id = $1", again.json()["id"])
        later[0] = 2.1 * day
        counts()
        assert counts() == {"outbox": 1, "delivery": 1, "inbox": 1, "idempotency": 0, "audit": 6}
        later[0] = 3.1 * day
        assert counts()["inbox"] == 0
        later[0] = 5.1 * day
        assert counts() == {"outbox": 1, "delivery": 1, "inbox": 0, "idempotency": 0, "audit": 0}
        assert count(app, "shipment") == 4
        assert app.sql("SELECT doc ->> 'name' FROM outbox")[0][0] == "kept"


def test_forgetting_happens_by_itself(url: str) -> None:
    with running(component, worker=True, database_url=url, audit_retention_s=0.2, prune_interval_s=0.1) as app:
        created(app)
        until(lambda: count(app, "audit") == 0, "pruning")
        assert count(app, "shipment") == 1
