"""TMF642: an alarm from its raising to its clearing, and the tasks that change alarms."""

from __future__ import annotations

from typing import Any

import pytest

from service_quality import alarm_tasks
from tmfkit.testing import Running, assert_tmf_error

Doc = dict[str, Any]
API = "/service-quality/tmf-api/alarm/v4"
ALARM = f"{API}/alarm"
WHO = {"ackSystemId": "noc-desk", "ackUserId": "ada"}
CLEARED_BY = {"clearSystemId": "noc-desk", "clearUserId": "ada", "alarmClearedTime": "2026-11-10T12:30:00Z"}
GROUPED_BY = {"sourceSystemId": "correlator", "alarmChangedTime": "2026-11-10T12:10:00Z"}


def raised(app: Running, **changes: Any) -> Doc:
    body = {
        "alarmType": "qualityOfServiceAlarm",
        "perceivedSeverity": "major",
        "probableCause": "thresholdCrossed",
        "alarmedObject": {"id": "cell-017"},
        "sourceSystemId": "ran-manager",
        "state": "raised",
        "alarmRaisedTime": "2026-11-10T12:00:00Z",
    }
    answer = app.post(ALARM, {**body, **changes})
    assert answer.status_code == 201, answer.text
    doc: Doc = answer.json()
    return doc


def task(app: Running, path: str, body: Doc) -> Doc:
    answer = app.post(f"{API}/{path}", body)
    assert answer.status_code == 201, answer.text
    doc: Doc = answer.json()
    assert app.get(doc["href"]).json() == doc
    return doc


def now(app: Running, alarm: Doc) -> Doc:
    doc: Doc = app.get(f"{ALARM}/{alarm['id']}").json()
    return doc


def patched(app: Running, alarm: Doc, change: Doc) -> Doc:
    answer = app.patch(f"{ALARM}/{alarm['id']}", change)
    assert answer.status_code == 200, answer.text
    doc: Doc = answer.json()
    return doc


def events(app: Running, alarm: Doc) -> list[str]:
    rows = app.sql("SELECT kind FROM outbox WHERE resource_id = $1 ORDER BY seq", alarm["id"])
    return [row["kind"] for row in rows]


def ids(docs: list[Doc]) -> set[str]:
    return {doc["id"] for doc in docs}


# --- one alarm ---


def test_a_new_alarm_is_unacknowledged_and_carries_when_it_was_reported(app: Running) -> None:
    alarm = raised(app, alarmReportingTime="1999-01-01T00:00:00Z")
    assert (alarm["state"], alarm["ackState"]) == ("raised", "unacknowledged")
    assert alarm["alarmReportingTime"] == alarm["alarmChangedTime"] > "2026"


@pytest.mark.parametrize("change", [{"perceivedSeverity": "cleared"}, {"state": "cleared"}])
def test_cleared_is_state_and_severity_at_once_and_comes_with_its_time(app: Running, change: Doc) -> None:
    alarm = raised(app)
    after = patched(app, alarm, change)
    assert (after["state"], after["perceivedSeverity"]) == ("cleared", "cleared")
    assert after["alarmClearedTime"] >= alarm["alarmReportingTime"]
    assert events(app, alarm) == ["Create", "StateChange", "AttributeValueChange"]


def test_an_alarm_may_arrive_when_it_is_over(app: Running) -> None:
    alarm = raised(app, state="cleared", alarmClearedTime="2026-11-10T12:01:00Z")
    assert (alarm["perceivedSeverity"], alarm["alarmClearedTime"]) == ("cleared", "2026-11-10T12:01:00Z")


def test_what_is_cleared_stays_cleared(app: Running) -> None:
    alarm = patched(app, raised(app), {"state": "cleared"})
    for change, attribute in (
        ({"perceivedSeverity": "minor"}, "perceivedSeverity"),
        ({"state": "raised"}, "state"),
        ({"state": "updated"}, "state"),
    ):
        refused = app.patch(f"{ALARM}/{alarm['id']}", change)
        assert assert_tmf_error(refused, 409)["attribute"] == attribute
    assert now(app, alarm) == alarm


def test_another_severity_makes_an_updated_alarm(app: Running) -> None:
    alarm = patched(app, raised(app), {"perceivedSeverity": "critical"})
    assert (alarm["state"], alarm["perceivedSeverity"]) == ("updated", "critical")
    assert_tmf_error(app.patch(f"{ALARM}/{alarm['id']}", {"state": "raised"}), 409)


def test_the_words_of_x733_are_taken_in_capitals_too_and_no_others(app: Running) -> None:
    assert raised(app, perceivedSeverity="CRITICAL")["perceivedSeverity"] == "critical"
    body = {k: v for k, v in raised(app).items() if k not in ("id", "href")}
    for name, value in (("perceivedSeverity", "high"), ("state", "open"), ("ackState", "seen")):
        assert assert_tmf_error(app.post(ALARM, {**body, name: value}), 400)["attribute"] == name


def test_who_acknowledges_by_patch_is_noted(app: Running) -> None:
    after = patched(app, raised(app), {"ackState": "acknowledged"})
    assert (after["ackUserId"], after["ackState"]) == ("anonymous", "acknowledged")
    assert after["ackTime"]
    assert patched(app, after, {"ackState": "unacknowledged", "ackUserId": "eve"})["ackUserId"] == "eve"


def test_source_and_time_of_raising_never_change(app: Running) -> None:
    alarm = raised(app)
    for name, value in (("sourceSystemId", "other"), ("alarmRaisedTime", "2026-11-11T00:00:00Z")):
        assert assert_tmf_error(app.patch(f"{ALARM}/{alarm['id']}", {name: value}), 400)["attribute"] == name


# --- tasks ---


def test_alarms_named_by_id_are_acknowledged_together(app: Running) -> None:
    one, two, other = raised(app), raised(app), raised(app)
    done = task(app, "ackAlarms", {**WHO, "alarmPattern": [{"id": one["id"]}, {"href": two["href"]}, {"id": 42}]})
    assert done["state"] == "done"
    assert ids(done["ackedAlarm"]) == {one["id"], two["id"]}
    for alarm in (one, two):
        after = now(app, alarm)
        assert (after["ackState"], after["ackUserId"], after["ackSystemId"]) == ("acknowledged", "ada", "noc-desk")
        assert after["ackTime"] == done["ackTime"]
        assert events(app, alarm) == ["Create", "AttributeValueChange"]
    assert now(app, other) == other


def test_who_acknowledged_first_stays_and_the_answer_says_the_same_twice(app: Running) -> None:
    alarm = raised(app)
    body = {**WHO, "alarmPattern": [{"id": alarm["id"]}]}
    first = task(app, "ackAlarms", body)
    again = task(app, "ackAlarms", {**body, "ackUserId": "eve"})
    assert again["ackedAlarm"] == first["ackedAlarm"]
    assert events(app, alarm) == ["Create", "AttributeValueChange"]
    back = task(app, "unAckAlarms", {**body, "ackTime": "2026-11-10T13:00:00Z"})
    assert [a["ackState"] for a in back["unAckedAlarm"]] == ["unacknowledged"]
    assert now(app, alarm)["ackTime"] == "2026-11-10T13:00:00Z"


def test_a_pattern_means_all_that_equal_it_in_all_that_it_names(app: Running) -> None:
    wanted = raised(app, affectedService=[{"id": "video"}], serviceAffecting=True)
    raised(app, affectedService=[{"id": "voice"}], serviceAffecting=True)
    raised(app, affectedService=[{"id": "video"}], perceivedSeverity="minor")
    pattern = {"perceivedSeverity": "MAJOR", "affectedService": [{"id": "video"}], "serviceAffecting": True}
    pattern |= {"alarmedObject": {"id": "cell-017"}, "alarmRaisedTime": "2026-11-10T13:00:00+01:00"}
    assert ids(task(app, "ackAlarms", {**WHO, "alarmPattern": [pattern]})["ackedAlarm"]) == {wanted["id"]}


def test_alarms_are_cleared_at_the_time_that_the_task_names(app: Running) -> None:
    one, before = raised(app), patched(app, raised(app), {"state": "cleared"})
    body = {**CLEARED_BY, "alarmPattern": [{"alarmedObject": {"id": "cell-017"}}]}
    done = task(app, "clearAlarms", body)
    assert ids(done["clearedAlarm"]) == {one["id"], before["id"]}
    after = now(app, one)
    assert {name: after[name] for name in CLEARED_BY} == CLEARED_BY
    assert (after["state"], after["perceivedSeverity"]) == ("cleared", "cleared")
    assert events(app, one) == ["Create", "StateChange", "AttributeValueChange"]
    assert now(app, before) == before


def test_a_comment_is_put_behind_the_others_with_who_and_when(app: Running) -> None:
    alarm = raised(app, comment=[{"comment": "seen before"}])
    done = task(app, "commentAlarms", {"comment": {"comment": "on the way"}, "alarmPattern": [{"id": alarm["id"]}]})
    written = done["commentedAlarm"][0]["comment"]
    assert [c["comment"] for c in written] == ["seen before", "on the way"]
    assert (written[1]["userId"], written[1]["time"]) == ("anonymous", done["comment"]["time"])
    assert now(app, alarm)["comment"] == written


def test_alarms_are_grouped_under_their_root_cause_and_taken_out_again(app: Running) -> None:
    root, one, two = raised(app), raised(app), raised(app)
    body = {**GROUPED_BY, "parentAlarm": {"id": root["id"]}, "correlatedAlarm": [{"id": one["id"]}, {"id": two["id"]}]}
    done = task(app, "groupAlarms", body)
    assert [a["id"] for a in done["groupedAlarm"]] == [root["id"], one["id"], two["id"]]
    assert ids(now(app, root)["correlatedAlarm"]) == {one["id"], two["id"]}
    assert ids(now(app, two)["parentAlarm"]) == {root["id"]}
    assert now(app, two)["alarmChangedTime"] == GROUPED_BY["alarmChangedTime"]
    assert task(app, "groupAlarms", body)["groupedAlarm"] == done["groupedAlarm"]
    assert events(app, one) == ["Create", "AttributeValueChange"]
    out = task(app, "unGroupAlarms", {**body, "correlatedAlarm": [{"id": one["id"]}]})
    assert [a["id"] for a in out["unGroupedAlarm"]] == [root["id"], one["id"]]
    assert ids(now(app, root)["correlatedAlarm"]) == {two["id"]}
    assert "parentAlarm" not in now(app, one)


def test_no_alarm_comes_above_itself(app: Running) -> None:
    top, middle, low = raised(app), raised(app), raised(app)
    for parent, child in ((top, middle), (middle, low)):
        body = {**GROUPED_BY, "parentAlarm": {"id": parent["id"]}, "correlatedAlarm": [{"id": child["id"]}]}
        assert task(app, "groupAlarms", body)["state"] == "done"
    for child in (top, low):
        body = {**GROUPED_BY, "parentAlarm": {"id": low["id"]}, "correlatedAlarm": [{"id": child["id"]}]}
        assert task(app, "groupAlarms", body)["state"] == "terminatedWithError"


def test_alarms_of_a_group_may_be_told_by_what_they_are(app: Running) -> None:
    root, child = raised(app, externalAlarmId="root"), raised(app, externalAlarmId="child")
    refs = {"parentAlarm": {"externalAlarmId": "root"}, "correlatedAlarm": [{"externalAlarmId": "child"}]}
    assert task(app, "groupAlarms", {**GROUPED_BY, **refs})["state"] == "done"
    assert ids(now(app, child)["parentAlarm"]) == {root["id"]}


@pytest.mark.parametrize("pattern", [{"id": "nowhere"}, {}, {"perceivedSeverity": "warning"}])
def test_a_task_that_means_no_alarm_ends_with_an_error_and_changes_nothing(app: Running, pattern: Doc) -> None:
    alarm = raised(app)
    body = {**WHO, **CLEARED_BY, **GROUPED_BY, "comment": {"comment": "?"}, "alarmPattern": [pattern]}
    for path in ("ackAlarms", "unAckAlarms", "clearAlarms", "commentAlarms"):
        assert task(app, path, body)["state"] == "terminatedWithError"
    refs = {"parentAlarm": pattern, "correlatedAlarm": [{"id": alarm["id"]}]}
    for path in ("groupAlarms", "unGroupAlarms"):
        assert task(app, path, {**GROUPED_BY, **refs})["state"] == "terminatedWithError"
    assert now(app, alarm) == alarm


def test_a_pattern_may_name_an_extension_of_the_alarm(app: Running) -> None:
    north = raised(app, x_region="north", x_site={"floor": 3})
    for other in ({"x_region": "south", "x_site": {"floor": 3}}, {"x_region": "north"}, {}):
        raised(app, **other)
    pattern = {"x_region": "north", "x_site": {"floor": 3}}
    assert ids(task(app, "ackAlarms", {**WHO, "alarmPattern": [pattern]})["ackedAlarm"]) == {north["id"]}


def test_a_pattern_that_means_too_many_is_refused_and_changes_none(app: Running) -> None:
    raised(app)
    app.sql(
        "INSERT INTO alarm (id, doc, revision) SELECT n::text, a.doc || jsonb_build_object('id', n::text), 1"
        " FROM alarm a, generate_series(1, $1) n",
        alarm_tasks.MOST_ALARMS,
    )
    answer = app.post(f"{API}/clearAlarms", {**CLEARED_BY, "alarmPattern": [{"state": "raised"}]})
    assert assert_tmf_error(answer, 400)["attribute"] == "alarmPattern"
    assert app.get(ALARM, params={"state": "cleared"}).json() == []


def test_a_task_and_its_alarms_change_together_or_not_at_all(app: Running) -> None:
    alarm = raised(app)
    app.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;")
    app.sql("CREATE TRIGGER refuse BEFORE INSERT ON clear_alarms FOR EACH ROW EXECUTE FUNCTION refuse()")
    try:
        body = {**CLEARED_BY, "alarmPattern": [{"id": alarm["id"]}]}
        assert_tmf_error(app.post(f"{API}/clearAlarms", body), 500)
    finally:
        app.sql("DROP TRIGGER refuse ON clear_alarms")
        app.sql("DROP FUNCTION refuse()")
    assert now(app, alarm) == alarm
    assert events(app, alarm) == ["Create"]
