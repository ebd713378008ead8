"""What subscribers of the APIs hear: each event under the name of the file, with its resource, in order."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service_quality.main import component
from tmfkit.testing import Running, running

Doc = dict[str, Any]
BASE = "/service-quality/tmf-api"
CALLBACK = "http://127.0.0.1/heard"
ALARM = {
    "alarmType": "equipmentAlarm",
    "perceivedSeverity": "major",
    "probableCause": "powerProblem",
    "alarmedObject": {"id": "site-3"},
    "sourceSystemId": "ran-manager",
    "state": "raised",
    "alarmRaisedTime": "2026-11-10T12:00:00Z",
}


class Listener(httpx.AsyncBaseTransport):
    """A subscriber of ours that takes everything."""

    def __init__(self) -> None:
        self.heard: list[Doc] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.heard.append(json.loads(await request.aread()))
        return httpx.Response(204)

    def wait(self, count: int) -> list[Doc]:
        """All that was heard, once it is as much as this."""
        until = time.monotonic() + 15
        while len(self.heard) < count and time.monotonic() < until:
            time.sleep(0.02)
        return self.heard


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def app(listener: Listener) -> Iterator[Running]:
    with running(component, worker=True, callback_client=httpx.AsyncClient(transport=listener)) as app:
        yield app


def made(app: Running, path: str, body: Doc) -> Doc:
    answer = app.post(f"{BASE}/{path}", body)
    assert answer.status_code == 201, answer.text
    doc: Doc = answer.json()
    return doc


def test_a_task_and_the_alarms_that_it_cleared_are_heard(app: Running, listener: Listener) -> None:
    made(app, "alarm/v4/hub", {"callback": CALLBACK})
    one, two = made(app, "alarm/v4/alarm", ALARM), made(app, "alarm/v4/alarm", ALARM)
    who = {"clearSystemId": "noc", "clearUserId": "ada", "alarmClearedTime": "2026-11-10T12:30:00Z"}
    task = made(app, "alarm/v4/clearAlarms", {**who, "alarmPattern": [{"id": one["id"]}, {"id": two["id"]}]})
    heard = listener.wait(7)
    assert sorted(e["eventType"] for e in heard) == sorted(
        ["ClearAlarmsCreateEvent"] + ["AlarmCreateEvent", "AlarmStateChangeEvent", "AlarmAttributeValueChangeEvent"] * 2
    )
    for alarm in (one, two):
        of_it = [e for e in heard if e["event"].get("alarm", {}).get("id") == alarm["id"]]
        assert of_it[0]["eventType"] == "AlarmCreateEvent"
        assert {e["event"]["alarm"]["state"] for e in of_it[1:]} == {"cleared"}
    told = next(e for e in heard if e["eventType"] == "ClearAlarmsCreateEvent")
    assert told["event"]["clearAlarms"] == app.get(task["href"]).json()


def test_a_job_is_heard_from_its_order_to_its_end(app: Running, listener: Listener) -> None:
    made(app, "performance/v4/hub", {"callback": CALLBACK})
    job = made(app, "performance/v4/onDemandCollection", {"fileTransferData": [{"fileFormat": "csv"}]})
    app.patch(job["href"], {"executionState": "inProgress"})
    app.delete(job["href"])
    types = [e["eventType"].removeprefix("OnDemandCollection") for e in listener.wait(4)]
    assert types[0] == "CreateEvent"
    assert types[-1] == "DeleteEvent"
    assert sorted(types[1:-1]) == ["AttributeValueChangeEvent", "ExecutionStateChangeEvent"]


def test_an_ungroup_task_is_heard_under_the_name_that_the_file_gives_it(app: Running, listener: Listener) -> None:
    made(app, "serviceProblemManagement/v5/hub", {"@type": "Hub", "callback": CALLBACK})
    body = {"@type": "ProblemUngroup", "parentProblem": {"id": "none"}, "childProblem": [{"id": "neither"}]}
    task = made(app, "serviceProblemManagement/v5/problemUngroup", body)
    (heard,) = listener.wait(1)
    assert heard["eventType"] == "ProblemUngroupCreateEvent"
    assert heard["event"]["problemGroup"]["id"] == task["id"]
