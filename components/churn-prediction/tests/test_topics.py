"""What is published in a TMF915 topic, who may read it below the topic's path, and who is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from churn_prediction.main import component
from churn_prediction.topics import within
from tmfkit.event import interest
from tmfkit.testing import Running, assert_tmf_error, running

Document = dict[str, Any]
TOPIC = "/churn-prediction/tmf-api/AiM/v4/topic"
DRIFT: Document = {"eventType": "AlarmCreateEvent", "event": {"alarm": {"id": "7", "perceivedSeverity": "MAJOR"}}}
HEARD: list[tuple[str, Document]] = []


async def hear(request: Request) -> Response:
    HEARD.append((request.url.path, await request.json()))
    return Response(status_code=204)


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    listener = Starlette(routes=[Route("/{who}", hear, methods=["POST"])])
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=listener))
    with running(component, worker=True, callback_client=client) as opened:
        yield opened
        opened.loop.run(client.aclose())


def topic(app: Running, **more: str) -> str:
    answer = app.post(TOPIC, {"name": "drift", **more})
    assert answer.status_code == 201, answer.text
    return f"{TOPIC}/{answer.json()['id']}"


def told(who: str, count: int) -> list[Document]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = [body for path, body in HEARD if path == f"/{who}"]
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{who} heard {HEARD}")


def test_an_event_is_read_below_the_topic_it_was_published_in_and_below_no_other(app: Running) -> None:
    one, other = topic(app), topic(app)
    answer = app.post(f"{one}/event", DRIFT | {"title": "drift", "topic": {"id": "elsewhere"}})
    assert answer.status_code == 201, answer.text
    event = answer.json()
    assert event["topic"]["id"] == one.rpartition("/")[2] and event["title"] == "drift"
    assert answer.headers["location"] == event["href"] == f"http://component.test{one}/event/{event['id']}"
    assert app.get(event["href"]).json() == event
    assert app.get(f"{one}/event").json() == [event]
    assert app.get(f"{other}/event").json() == []
    assert_tmf_error(app.get(f"{other}/event/{event['id']}"), 404)
    flat = app.get(f"/churn-prediction/tmf-api/AiM/v4/event/{event['id']}").json()
    assert {k: v for k, v in flat.items() if k != "href"} == {k: v for k, v in event.items() if k != "href"}


def test_questions_to_a_topic_are_those_to_any_collection(app: Running) -> None:
    one, other = topic(app), topic(app)
    for priority in ("1", "2", "3"):
        app.post(f"{one}/event", DRIFT | {"priority": priority})
    app.post(f"{other}/event", DRIFT | {"priority": "2"})
    assert [e["priority"] for e in app.get(f"{one}/event?priority.gte=2&sort=-priority").json()] == ["3", "2"]
    page = app.get(f"{one}/event?limit=2&fields=priority")
    assert (page.status_code, page.headers["x-total-count"]) == (206, "3")
    assert [sorted(e) for e in page.json()] == [["href", "id", "priority"]] * 2
    elsewhere = other.rpartition("/")[2]
    assert app.get(f"{one}/event?topic.id={elsewhere}").json() == []
    assert_tmf_error(app.get(f"{one}/event?nosuch=1"), 400)


def test_a_topic_takes_only_the_events_that_its_queries_match(app: Running) -> None:
    one = topic(app, headerQuery="eventType=AlarmCreateEvent", contentQuery="event.alarm.perceivedSeverity=CRITICAL")
    critical = {"eventType": "AlarmCreateEvent", "event": {"alarm": {"perceivedSeverity": "CRITICAL"}}}
    assert app.post(f"{one}/event", critical).status_code == 201
    assert_tmf_error(app.post(f"{one}/event", DRIFT), 409)
    assert_tmf_error(app.post(f"{one}/event", critical | {"eventType": "RuleCreateEvent"}), 409)
    vague = topic(app, headerQuery="some alarms")
    assert assert_tmf_error(app.post(f"{vague}/event", critical), 409)["attribute"] == "headerQuery"


def test_who_listens_to_a_topic_can_be_sorted_and_selected(app: Running) -> None:
    one = topic(app)
    for name in ("b", "c", "a"):
        assert app.post(f"{one}/hub", {"callback": f"http://127.0.0.1/{name}"}).status_code == 201
    ordered = app.get(f"{one}/hub?sort=-callback&fields=callback").json()
    assert [doc["callback"][-1] for doc in ordered] == ["c", "b", "a"]
    assert all("callback" in doc and set(doc) <= {"id", "href", "@type", "callback"} for doc in ordered)
    page = app.get(f"{one}/hub?sort=id&limit=2")
    assert (page.status_code, page.headers["x-total-count"]) == (206, "3")
    assert_tmf_error(app.get(f"{one}/hub?sort=other.thing"), 400)


def test_a_registration_at_a_topic_is_judged_whole(app: Running) -> None:
    one = topic(app)
    for wrong in ({"@type": 5}, {"@schemaLocation": False}, {"query": 1}):
        told = app.post(f"{one}/hub", {"callback": "http://127.0.0.1/wrong", **wrong})
        assert assert_tmf_error(told, 400)["attribute"] == next(iter(wrong))
    assert app.get(f"{one}/hub").json() == []


def test_below_a_topic_that_is_not_there_is_nothing(app: Running) -> None:
    for answer in (app.get(f"{TOPIC}/missing/event"), app.post(f"{TOPIC}/missing/event", DRIFT)):
        assert_tmf_error(answer, 404)
    assert_tmf_error(app.post(f"{TOPIC}/missing/hub", {"callback": "http://127.0.0.1/never"}), 404)
    assert_tmf_error(app.delete(f"{topic(app)}/event/1"), 405)


def test_the_hub_of_a_topic_tells_of_its_events_and_of_nothing_else(app: Running) -> None:
    one, other = topic(app), topic(app)
    assert app.post(f"{one}/hub", {"callback": "http://127.0.0.1/one"}).status_code == 201
    urgent = {"callback": "http://127.0.0.1/urgent", "query": "event.event.priority=1"}
    assert app.post(f"{one}/hub", urgent).status_code == 201
    sent = [
        app.post(f"{path}/event", DRIFT | {"priority": priority}).json()
        for path, priority in ((one, "1"), (other, "1"), (one, "2"))
    ]
    first, last = told("one", 2)
    assert [first["eventType"], last["eventType"]] == ["EventCreateEvent"] * 2
    assert {e["event"]["event"]["id"] for e in (first, last)} == {sent[0]["id"], sent[2]["id"]}
    assert {e["event"]["event"]["href"] for e in (first, last)} == {sent[0]["href"], sent[2]["href"]}
    assert [e["event"]["event"]["priority"] for e in told("urgent", 1)] == ["1"]


def test_registrations_come_in_pages(app: Running) -> None:
    one = topic(app)
    ids = [app.post(f"{one}/hub", {"callback": f"http://127.0.0.1/{n}"}).json()["id"] for n in range(3)]
    page = app.get(f"{one}/hub?offset=1&limit=1")
    assert (page.status_code, page.headers["x-total-count"], page.headers["x-result-count"]) == (206, "3", "1")
    assert [h["id"] for h in page.json()] == ids[1:2]


def test_a_registration_belongs_to_its_topic(app: Running) -> None:
    one, other = topic(app), topic(app)
    answer = app.post(f"{one}/hub", {"callback": "http://127.0.0.1/nobody", "query": "eventType=EventCreateEvent"})
    registered = answer.json()
    assert registered["query"] == "eventType=EventCreateEvent"
    assert answer.headers["location"] == f"http://component.test{one}/hub/{registered['id']}"
    assert app.get(f"{one}/hub/{registered['id']}").json()["callback"] == "http://127.0.0.1/nobody"
    assert [h["id"] for h in app.get(f"{one}/hub").json()] == [registered["id"]]
    assert app.get(f"{one}/hub?callback=http://127.0.0.1/else").json() == []
    named = app.get(f"{one}/hub/{registered['id']}?fields=query").json()
    assert (named["href"], named["query"], "callback" in named) == (
        answer.headers["location"],
        registered["query"],
        False,
    )
    assert app.get(f"{other}/hub").json() == []
    for answer in (app.get(f"{other}/hub/{registered['id']}"), app.delete(f"{other}/hub/{registered['id']}")):
        assert_tmf_error(answer, 404)
    assert app.delete(f"{one}/hub/{registered['id']}").status_code == 204
    assert app.get(f"{one}/hub").json() == []


@pytest.mark.parametrize(
    "query", ["", "event.event.priority=1", "?event.event.topic.id=b", "$.event.event[?(@.priority=='1')]", "a=1;b=2"]
)
def test_no_query_leads_out_of_the_topic(query: str) -> None:
    wanted = interest(within(query, "event.event.topic.id=a;event.event.topic.id=a"))
    inside = {"event": {"event": {"topic": {"id": "a"}, "priority": "1"}}, "a": "1"}
    outside = {"event": {"event": {"topic": {"id": "b"}, "priority": "1"}}, "a": "1"}
    assert not wanted.wants(outside)
    assert wanted.wants(inside) is ("topic.id=b" not in query)
