"""The evaluation flow: objectives and threshold jobs against a real ledger; what is raised, cleared, and how often."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from service_quality import evaluate
from service_quality import resources as r
from service_quality.main import component
from tmfkit.testing import Running, running

Doc = dict[str, Any]
NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
START = datetime(2026, 11, 9, tzinfo=UTC)
ROOT = "/service-quality/tmf-api"
MEASUREMENT = f"{ROOT}/performanceMeasurement/v1/measurement"
OBJECTIVE = f"{ROOT}/serviceQualityManagement/v4/serviceLevelObjective"
VIOLATION = f"{ROOT}/serviceLevelViolation/v1/serviceLevelViolation"
THRESHOLDING = f"{ROOT}/performanceThresholding/v5"
GOOD, BAD = 12.0, 2.0


def promise(app: Running, **changes: Any) -> Doc:
    """Video keeps 5 Mbit/s in 80 % of the windows of half an hour."""
    parameter = {
        "name": "DRB.UEThpDl",
        "relatedEntity": [{"role": "service", "id": "video", "@referredType": "ServiceSpecification"}],
    }
    body = {
        "name": "video throughput",
        "conformanceComparator": ">=",
        "conformanceTarget": "0.8",
        "thresholdTarget": "5",
        "toleranceTarget": "0.25",
        "serviceLevelObjectiveParameter": parameter,
        "x_unit": "Mbit/s",
        **changes,
    }
    answer = app.post(OBJECTIVE, {k: v for k, v in body.items() if v is not None})
    assert answer.status_code == 201, answer.text
    doc: Doc = answer.json()
    return doc


def send(app: Running, slot: int, values: float | Mapping[str, float], *, judged: bool = True, **changes: Any) -> None:
    """One five-minute value per cell (one value: of cell-001), and the run of the flow that follows."""
    at = (START + timedelta(minutes=5 * slot)).isoformat()
    given = {"service": "video", "kpi": "DRB.UEThpDl", "unit": "Mbit/s", "observedAt": at, "granularityS": 300}
    cells = values if isinstance(values, Mapping) else {"cell-001": values}
    rows = [{**given, "resource": cell, "value": value, **changes} for cell, value in cells.items()]
    headers = changes.pop("headers", {})
    answer = app.post(MEASUREMENT, [{k: v for k, v in one.items() if k != "headers"} for one in rows], headers=headers)
    assert answer.json()["accepted"] == len(rows), answer.text
    if judged:
        judge(app)


def judge(app: Running) -> None:
    app.loop.run(evaluate.due(app.ctx))


def violations(app: Running, **query: str) -> list[Doc]:
    found: list[Doc] = app.get(VIOLATION, params=query).json()
    return found


def events(app: Running, id: str) -> list[str]:
    rows = app.sql("SELECT kind FROM outbox WHERE resource_id = $1 ORDER BY seq", id)
    return [row["kind"] for row in rows]


def test_two_bad_windows_of_three_raise_one_violation(app: Running) -> None:
    objective = promise(app)
    for slot in range(6):
        send(app, slot, GOOD)
    send(app, 6, BAD)
    assert violations(app) == []
    send(app, 7, BAD)
    for slot in (8, 9, 10):
        send(app, slot, BAD)
    (found,) = violations(app)
    r.ServiceLevelViolation.model_validate(found)
    assert events(app, found["id"]) == ["Create"]
    assert (found["state"], found["raisedTime"]) == ("open", "2026-11-09T00:40:00.000Z")
    assert found["period"]["startDateTime"] == "2026-11-09T00:30:00.000Z"
    assert found["serviceLevelObjective"] == {
        "id": objective["id"], "href": objective["href"], "name": "video throughput",
        "@referredType": "ServiceLevelObjective",
    }  # fmt: skip
    assert found["affectedService"]["id"] == "video"
    assert [(e["role"], e["entity"]["id"]) for e in found["relatedEntity"]] == [("resource", "cell-001")]
    violation = found["violation"]
    assert {k: violation[k] for k in ("parameterName", "operator", "referenceValue", "actualValue", "unit")} == {
        "parameterName": "DRB.UEThpDl", "operator": ">=", "referenceValue": 5.0, "actualValue": 2.0, "unit": "Mbit/s",
    }  # fmt: skip
    assert violation["conformanceRatio"] == pytest.approx(4 / 6)
    assert [e["value"] for e in found["evidence"]] == [GOOD] * 4 + [BAD] * 2
    assert app.get(found["href"]).json() == found


def test_six_good_windows_clear_it_and_five_do_not(app: Running) -> None:
    promise(app)
    for slot, value in enumerate([GOOD, BAD, BAD, *[GOOD] * 5]):
        send(app, slot, value)
    (before,) = violations(app)
    assert before["state"] == "open"
    send(app, 8, GOOD)
    (found,) = violations(app)
    assert (found["state"], found["clearedTime"]) == ("cleared", "2026-11-09T00:45:00.000Z")
    assert found["period"]["endDateTime"] == "2026-11-09T00:15:00.000Z"
    assert events(app, found["id"]) == ["Create", "StateChange", "AttributeValueChange"]
    for slot, value in enumerate([BAD, BAD, BAD], start=9):
        send(app, slot, value)
    again = violations(app, state="open")
    assert [v["raisedTime"] for v in again] == ["2026-11-09T00:55:00.000Z"]
    assert len(violations(app)) == 2


def test_a_value_on_the_edge_does_not_flap(app: Running) -> None:
    promise(app)
    for slot in range(30):
        send(app, slot, BAD if slot % 2 else GOOD)
    assert [(v["state"], events(app, v["id"])) for v in violations(app)] == [("open", ["Create"])]


def test_late_rows_are_judged_where_they_belong(app: Running) -> None:
    promise(app)
    for slot in (0, 1, 2, 5):
        send(app, slot, GOOD)
    assert violations(app) == []
    send(app, 3, BAD)
    send(app, 4, BAD)
    (found,) = violations(app)
    assert found["raisedTime"] == "2026-11-09T00:30:00.000Z"
    assert found["period"]["startDateTime"] == "2026-11-09T00:15:00.000Z"


def test_rows_later_than_the_period_of_the_promise_change_nothing(app: Running) -> None:
    promise(app)
    for slot in range(20, 26):
        send(app, slot, GOOD)
    for slot in (0, 1, 2):
        send(app, slot, BAD)
    assert violations(app) == []
    assert app.sql("SELECT watermark FROM series")[0][0] == START + timedelta(minutes=125)


def test_batches_in_any_order_come_to_the_same(app: Running) -> None:
    promise(app)
    slots = list(enumerate([GOOD, GOOD, GOOD, BAD, BAD, BAD]))
    shown = []
    for seed in range(4):
        cell = f"cell-{seed:03d}"
        for slot, value in random.Random(seed).sample(slots, len(slots)):
            send(app, slot, {cell: value}, judged=seed % 2 == 0)
        judge(app)
        (found,) = [v for v in violations(app) if v["relatedEntity"][0]["entity"]["id"] == cell]
        assert found["state"] == "open"
        shown.append(found["violation"]["referenceValue"])
    assert shown == [5.0] * 4


def test_of_many_cells_those_that_fail_are_named(app: Running) -> None:
    promise(app)
    failing = {"cell-007", "cell-021", "cell-040"}
    for slot in range(8):
        cells = {f"cell-{n:03d}": GOOD + n % 5 for n in range(60)}
        send(app, slot, {cell: BAD if slot > 4 and cell in failing else value for cell, value in cells.items()})
    assert {v["relatedEntity"][0]["entity"]["id"] for v in violations(app, limit="100")} == failing


def test_an_objective_judges_what_was_there_before_it(app: Running) -> None:
    for slot, value in enumerate([GOOD, BAD, BAD]):
        send(app, slot, value)
    assert violations(app) == []
    promise(app)
    judge(app)
    assert [v["state"] for v in violations(app)] == ["open"]


def test_a_changed_objective_is_applied_at_once_and_a_deleted_one_clears(app: Running) -> None:
    objective = promise(app)
    for slot, value in enumerate([GOOD, 8.0, 8.0, 8.0, 8.0, 8.0]):
        send(app, slot, value)
    assert violations(app) == []
    assert app.patch(f"{OBJECTIVE}/{objective['id']}", {"thresholdTarget": "9"}).status_code == 200
    judge(app)
    assert [v["violation"]["referenceValue"] for v in violations(app, state="open")] == [9.0]
    assert app.delete(f"{OBJECTIVE}/{objective['id']}").status_code == 204
    judge(app)
    (found,) = violations(app)
    assert (found["state"], found["violation"]["comment"]) == ("cleared", "what was promised is no longer in force")


def test_an_objective_counts_only_while_it_is_valid(app: Running) -> None:
    promise(app, validFor={"startDateTime": "2026-11-09T00:30:00Z"})
    for slot in range(6):
        send(app, slot, BAD)
    assert violations(app) == []
    send(app, 6, BAD)
    assert len(violations(app)) == 1


def test_an_objective_reads_in_its_own_unit_and_direction(app: Running) -> None:
    promise(app, thresholdTarget="5000", toleranceTarget=None, x_unit="kbit/s")
    delay = {"name": "DRB.AirIfDelayDl"}
    promise(
        app, conformanceComparator="atMost", thresholdTarget="20", serviceLevelObjectiveParameter=delay, x_unit=None
    )
    for slot in range(4):
        send(app, slot, 4.9, judged=False)
        send(app, slot, 25.0, kpi="DRB.AirIfDelayDl", unit="ms", service="voice")
    assert sorted((v["affectedService"]["id"], v["violation"]["unit"]) for v in violations(app)) == [
        ("video", "Mbit/s"), ("voice", "ms")
    ]  # fmt: skip


def test_tm_forums_own_sample_reads_the_target_as_the_value(app: Running) -> None:
    parameter = {"name": "uploadBandwidth"}
    promise(app, conformanceComparator="greaterThan", conformanceTarget="32", thresholdTarget=None, x_unit=None,
            serviceLevelObjectiveParameter=parameter)  # fmt: skip
    for slot in range(4):
        send(app, slot, 30.0, kpi="uploadBandwidth", unit="Mbit/s")
    assert [v["violation"]["referenceValue"] for v in violations(app)] == [32.0]


@pytest.mark.parametrize(
    "changes",
    [
        {"conformanceComparator": "above"},
        {"thresholdTarget": "five"},
        {"x_unit": "ms"},
        {"x_raise": [4, 3]},
        {"x_clear": "six"},
        {"x_windowS": 0},
        {"x_windowS": 10**9},
        {"x_statistic": "median"},
        {"graceTimes": "1.5"},
        {"serviceLevelObjectiveParameter": {}},
    ],
)
def test_an_objective_that_cannot_be_read_is_named_in_the_log_and_disturbs_no_other(
    app: Running, changes: Doc, caplog: pytest.LogCaptureFixture
) -> None:
    odd = promise(app, **changes)
    good = promise(app)
    for slot in range(4):
        send(app, slot, BAD)
    assert [v["serviceLevelObjective"]["id"] for v in violations(app)] == [good["id"]]
    told = [record for record in caplog.records if record.name == "service_quality.evaluate"]
    assert len([record for record in told if odd["id"] in record.getMessage()]) == 1


def test_a_reading_at_an_instant_counts_when_its_window_is_over(app: Running) -> None:
    promise(app, x_raise=1, x_clear=1)
    for minute in range(0, 10, 2):
        at = (START + timedelta(minutes=minute)).isoformat()
        send(app, 0, BAD, observedAt=at, granularityS=0)
        assert len(violations(app)) == (1 if minute >= 5 else 0)


def test_a_flow_that_dies_is_made_up_by_the_next_run(app: Running) -> None:
    promise(app)
    for slot in range(4):
        send(app, slot, BAD, judged=False)
    app.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'died'; END $$")
    app.sql("CREATE TRIGGER refuse BEFORE DELETE ON arrival FOR EACH ROW EXECUTE FUNCTION refuse()")
    with pytest.raises(asyncpg.RaiseError):
        judge(app)
    assert (violations(app), app.sql("SELECT count(*) FROM outbox WHERE kind = 'Create'")[0][0]) == ([], 1)
    app.sql("DROP FUNCTION refuse CASCADE")
    judge(app)
    judge(app)
    assert [events(app, v["id"]) for v in violations(app)] == [["Create"]]


def test_two_workers_at_once_raise_one_violation(app: Running) -> None:
    promise(app)
    for slot in range(4):
        send(app, slot, BAD, judged=False)

    async def both() -> None:
        await asyncio.gather(*(evaluate.due(app.ctx) for _ in range(3)))

    app.loop.run(both())
    assert len(violations(app)) == 1


def test_after_a_restart_it_goes_on_where_it_was(app: Running) -> None:
    promise(app)
    for slot in range(4):
        send(app, slot, BAD)
    (before,) = violations(app)
    for slot in range(4, 9):
        send(app, slot, GOOD)
    send(app, 9, GOOD, judged=False)
    with running(component, clock=lambda: NOW, database_url=app.settings.database_url) as again:
        judge(again)
        assert [(v["id"], v["state"]) for v in violations(again)] == [(before["id"], "cleared")]


def test_the_worker_evaluates_by_itself(app: Running) -> None:
    promise(app)
    for slot in range(3):
        send(app, slot, BAD, judged=False)
    with running(component, clock=lambda: NOW, worker=True, database_url=app.settings.database_url) as working:

        async def soon(count: int) -> None:
            while await working.ctx.database.fetchval("SELECT count(*) FROM service_level_violation") < count:
                await asyncio.sleep(0.02)

        working.loop.run(soon(1), timeout=10)
        for slot in range(3):
            send(working, slot, {"cell-002": BAD}, judged=False)
        working.loop.run(soon(2), timeout=5)


def test_a_violation_carries_the_trace_of_its_batch(app: Running) -> None:
    promise(app)
    traces = [f"00-{slot:032x}-00000000000000aa-01" for slot in range(1, 12)]
    for slot, value in enumerate([BAD, BAD, BAD, *[GOOD] * 7]):
        send(app, slot, value, headers={"traceparent": traces[slot]})
    rows = app.sql("SELECT kind, traceparent FROM outbox WHERE resource = 'ServiceLevelViolation' ORDER BY seq")
    assert [(row["kind"], row["traceparent"][3:35]) for row in rows] == [
        ("Create", traces[2][3:35]), ("StateChange", traces[8][3:35]), ("AttributeValueChange", traces[8][3:35])
    ]  # fmt: skip
    audit = app.sql("SELECT subject FROM audit WHERE resource = 'ServiceLevelViolation'")
    assert {row["subject"] for row in audit} == {"service-quality/evaluate"}


def test_open_violations_are_a_metric(app: Running) -> None:
    promise(app)
    for slot in range(3):
        send(app, slot, {"cell-001": BAD, "cell-002": BAD, "cell-003": GOOD})
    assert "service_quality_violations_open 2.0" in app.get("/metrics").text


# --- TMF649 ---


def job(app: Running, rules: list[Doc], **changes: Any) -> Doc:
    """An unlocked threshold job with rules on the video throughput."""
    ids = []
    for rule in rules:
        body = {"@type": "ThresholdRule", "name": "rule", "severity": "MAJOR", **rule}
        body.setdefault("measurement", {"id": "DRB.UEThpDl"})
        answer = app.post(f"{THRESHOLDING}/thresholdRule", body)
        assert answer.status_code == 201, answer.text
        ids.append({"id": answer.json()["id"]})
    threshold = app.post(f"{THRESHOLDING}/threshold", {"@type": "Threshold", "name": "t", "thresholdRule": ids}).json()
    body = {"@type": "ThresholdJob", "granularity": "G_5MN", "adminState": "UNLOCKED",
            "performanceThreshold": {"id": threshold["id"]}, **changes}  # fmt: skip
    doc: Doc = app.post(f"{THRESHOLDING}/thresholdJob", body).json()
    return doc


def state(app: Running, found: Doc) -> str | None:
    told: str | None = app.get(f"{THRESHOLDING}/thresholdJob/{found['id']}").json().get("executionState")
    return told


def test_an_unlocked_threshold_job_raises_and_its_clear_rule_clears(app: Running) -> None:
    made = job(app, [{"condition": "value < 5 for 2"}, {"condition": "value > 10", "severity": "CLEARED"}])
    for slot, value in enumerate([GOOD, BAD, BAD]):
        send(app, slot, value)
    (found,) = violations(app)
    r.ServiceLevelViolation.model_validate(found)
    assert found["serviceLevelObjective"]["@referredType"] == "Threshold"
    assert (found["violation"]["operator"], found["violation"]["referenceValue"]) == (">=", 5.0)
    assert state(app, made) == "inProgress"
    send(app, 3, 8.0)
    assert [v["state"] for v in violations(app)] == ["open"]
    send(app, 4, 11.0)
    assert [v["state"] for v in violations(app)] == ["cleared"]


def test_a_rule_written_as_bounds_raises_and_is_over_when_they_are_kept(app: Running) -> None:
    job(app, [{"@type": "SimpleThresholdRule", "condition": "Raise", "conformanceComparatorLower": "LT",
               "conformanceTargetLower": 5, "gracePeriods": 1}])  # fmt: skip
    for slot, expected in enumerate([[], ["open"], ["open"]]):
        send(app, slot, BAD)
        assert [v["state"] for v in violations(app)] == expected
    send(app, 3, GOOD)
    assert [v["state"] for v in violations(app)] == ["cleared"]


def test_a_job_looks_only_at_its_objects_and_a_locked_one_at_none(app: Running) -> None:
    criteria = [{"monitoredObjectFilter": "service=video&resource=cell-002,cell-003"}]
    made = job(app, [{"condition": "value < 5"}], monitoredObjectsCriteria=criteria)
    send(app, 0, {"cell-001": BAD, "cell-002": BAD, "cell-003": GOOD})
    assert [v["relatedEntity"][0]["entity"]["id"] for v in violations(app)] == ["cell-002"]
    app.patch(f"{THRESHOLDING}/thresholdJob/{made['id']}", {"adminState": "LOCKED"})
    judge(app)
    assert [v["state"] for v in violations(app)] == ["cleared"]
    send(app, 1, {"cell-003": BAD})
    assert violations(app, state="open") == []


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ({"condition": "value is odd"}, {}),
        ({"condition": "Raise"}, {}),
        ({"condition": "value > 5 for 500"}, {}),
        ({"condition": "value > 5"}, {"granularity": "sometimes"}),
        ({"condition": "value > 5"}, {"performanceThreshold": {"id": "none"}}),
        ({"condition": "value > 5"}, {"monitoredObjectsCriteria": [{"monitoredObjectFilter": "colour=red"}]}),
        ({"condition": "Clear", "severity": "CLEARED"}, {}),
        ({"condition": "value > 5", "measurement": None}, {}),
    ],
)
def test_a_job_that_cannot_be_read_has_failed(app: Running, rule: Doc, changes: Doc) -> None:
    made = job(app, [rule], **changes)
    send(app, 0, BAD)
    assert state(app, made) == "failed"
    assert violations(app) == []
