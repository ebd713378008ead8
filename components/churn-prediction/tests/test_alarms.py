"""Life cycle of TMF915 alarms, and what the server sets on its way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from churn_prediction.main import component
from tmfkit.testing import Running, assert_tmf_error, running

Document = dict[str, Any]
PATH = "/churn-prediction/tmf-api/AiM/v4/alarm"
DRIFT: Document = {
    "state": "raised",
    "alarmType": "qualityOfServiceAlarm",
    "perceivedSeverity": "MAJOR",
    "probableCause": "thresholdCrossed",
    "alarmedObject": {"id": "churn-7"},
    "sourceSystemId": "drift-watch",
    "alarmRaisedTime": "2026-03-01T10:00:00Z",
}


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    with running(component) as opened:
        yield opened


def raised(app: Running, **more: Any) -> Document:
    answer = app.post(PATH, DRIFT | more)
    assert answer.status_code == 201, answer.text
    doc: Document = answer.json()
    return doc


def events(app: Running, id: str) -> list[str]:
    return [r["kind"] for r in app.sql("SELECT kind FROM outbox WHERE resource_id = $1 ORDER BY seq", id)]


def test_when_it_was_reported_and_changed_is_the_servers_to_say(app: Running) -> None:
    alarm = raised(app, alarmReportingTime="1999-01-01T00:00:00Z", alarmClearedTime="1999-01-01T00:00:00Z")
    assert alarm["alarmReportingTime"] == alarm["alarmChangedTime"] > "2026"
    assert "alarmClearedTime" not in alarm
    assert_tmf_error(app.patch(alarm["href"], {"alarmClearedTime": "2026-03-01T11:00:00Z"}), 400)


@pytest.mark.parametrize("name", ["alarmRaisedTime", "sourceSystemId"])
def test_where_and_when_it_was_raised_stays(app: Running, name: str) -> None:
    alarm = raised(app)
    error = assert_tmf_error(app.patch(alarm["href"], {name: "2026-03-02T10:00:00Z"}), 400)
    assert error["attribute"] == name


def test_a_cleared_alarm_has_its_severity_and_its_instant_and_never_comes_back(app: Running) -> None:
    alarm = raised(app)
    app.patch(alarm["href"], {"state": "updated", "perceivedSeverity": "CRITICAL"})
    over = app.patch(alarm["href"], {"state": "cleared", "clearUserId": "ada"}).json()
    assert (over["state"], over["perceivedSeverity"], over["clearUserId"]) == ("cleared", "CLEARED", "ada")
    assert over["alarmClearedTime"] >= alarm["alarmReportingTime"]
    error = assert_tmf_error(app.patch(alarm["href"], {"state": "raised"}), 409)
    assert error["attribute"] == "state"
    assert events(app, alarm["id"]).count("StateChange") == 2


def test_the_severity_cleared_clears_the_alarm(app: Running) -> None:
    alarm = raised(app)
    over = app.patch(alarm["href"], {"perceivedSeverity": "CLEARED"}).json()
    assert over["state"] == "cleared" and over["alarmClearedTime"]
    assert events(app, alarm["id"]) == ["Create", "StateChange", "AttributeValueChange"]


def test_a_state_that_no_alarm_has_is_refused(app: Running) -> None:
    assert_tmf_error(app.post(PATH, DRIFT | {"state": "sleeping"}), 400)
    assert_tmf_error(app.post(PATH, DRIFT | {"perceivedSeverity": "major"}), 400)
