"""What is sent to the components: measurements, objectives and customers, as pure payloads."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from demo_operator import customers, measurements, objectives
from demo_operator.domain.catalogue import KPIS, OBJECTIVES
from demo_operator.domain.faults import FaultKind, fault
from demo_operator.domain.hazard import DAY_S, FEATURES, training_set
from demo_operator.domain.kpi import values
from demo_operator.memory import PAST_AGE_S, Operator, instant, operator

# --- measurements ---


def test_a_line_of_measurements_says_where_what_when_and_in_which_unit(tiny_operator: Operator) -> None:
    world, start_s = tiny_operator.world, tiny_operator.terms.as_of_s
    body = measurements.ndjson(world, start_s, 300, 2, ())
    rows = [json.loads(line) for line in body.splitlines()]
    measured = values(world, start_s, 300, 2)
    assert len(rows) == 2 * measurements.rows_per_step(world)
    units = {(str(kpi.service), kpi.name): kpi.unit for kpi in KPIS}
    for row in rows:
        at = int((datetime.fromisoformat(row["observedAt"]).timestamp() - start_s) / 300)
        kpi = next(k for k in KPIS if (k.service, k.name) == (row["service"], row["kpi"]))
        cell = world.network.cell_index(row["resource"])
        assert row["value"] == measured.of(kpi.service, kpi.name)[at, cell]
        assert row["unit"] == units[row["service"], row["kpi"]]
        assert (row["granularityS"], row["source"]) == (300, "ran")


def test_a_fault_is_in_the_measurements_of_its_cells_alone(tiny_operator: Operator) -> None:
    world, start_s = tiny_operator.world, tiny_operator.terms.as_of_s
    broken = fault(world, FaultKind.PACKET_LOSS, "cell-003", start_s, 3600, 12.0)
    healthy = measurements.ndjson(world, start_s, 300, 1, ()).splitlines()
    degraded = measurements.ndjson(world, start_s, 300, 1, [broken]).splitlines()
    changed = [json.loads(new) for old, new in zip(healthy, degraded, strict=True) if old != new]
    assert {(row["resource"], row["service"]) for row in changed} == {("cell-003", "voice")}


def test_the_history_has_each_instant_once_and_ends_where_live_time_begins(tiny_operator: Operator) -> None:
    end_s = tiny_operator.terms.as_of_s
    blocks = list(measurements.blocks(tiny_operator, 1000))
    times = [block.start_s + step * block.step_s for block in blocks for step in range(block.steps)]
    assert times == sorted(set(times))
    fine = [at for at in times if at >= end_s - DAY_S]
    assert fine == list(range(end_s - DAY_S, end_s, 300))
    assert times[: -len(fine)] == list(range(end_s - 7 * DAY_S, end_s - DAY_S, 3600))


@pytest.mark.parametrize("most", [1, 120, 999, 100_000])
def test_a_block_keeps_the_size_asked_for(tiny_operator: Operator, most: int) -> None:
    per_step = measurements.rows_per_step(tiny_operator.world)
    for block in measurements.blocks(tiny_operator, most):
        assert block.rows == block.steps * per_step
        assert block.rows <= max(most, per_step)


def test_history_and_live_time_continue_one_another(tiny_operator: Operator) -> None:
    world, end_s = tiny_operator.world, tiny_operator.terms.as_of_s
    across = measurements.ndjson(world, end_s - 300, 300, 2, ())
    apart = measurements.ndjson(world, end_s - 300, 300, 1, ()) + measurements.ndjson(world, end_s, 300, 1, ())
    assert across == apart


def test_no_incident_of_the_past_reaches_into_the_last_week(tiny_operator: Operator) -> None:
    end_s = tiny_operator.terms.as_of_s
    assert tiny_operator.incidents
    assert all(one.end_s <= end_s - 7 * DAY_S for one in tiny_operator.incidents)
    assert any(one.start_s < tiny_operator.past_as_of_s for one in tiny_operator.incidents)


# --- objectives ---


def test_every_promise_of_the_catalogue_becomes_an_objective() -> None:
    found = objectives.payloads()
    assert list(found) == [objective.id for objective in OBJECTIVES]
    for objective in OBJECTIVES:
        doc = found[objective.id]
        parameter = doc["serviceLevelObjectiveParameter"]
        assert parameter["name"] == objective.kpi
        assert [(e["role"], e["id"]) for e in parameter["relatedEntity"]] == [("service", str(objective.service))]
        assert (doc["conformanceComparator"], float(doc["thresholdTarget"])) == (objective.comparator, objective.target)
        assert (float(doc["conformanceTarget"]), float(doc["toleranceTarget"])) == (0.8, objective.tolerance)
        assert (doc["x_unit"], doc["x_windowS"], doc["x_granularityS"]) == (objective.unit, 1800, 300)


# --- customers ---


def features_of(doc: dict[str, object]) -> dict[str, dict[str, object]]:
    found = doc["characteristic"]
    assert isinstance(found, list)
    return {one["name"]: one for one in found if one.get("usage") == "feature"}


def test_a_customer_carries_every_feature_with_its_group_and_instant(tiny_operator: Operator) -> None:
    docs = list(customers.live(tiny_operator))
    assert [doc["id"] for doc in docs] == [person.id for person in tiny_operator.world.people]
    for doc in docs:
        found = features_of(doc)
        assert list(found) == [feature.name for feature in FEATURES]
        assert {one["asOf"] for one in found.values()} == {"2026-01-01T00:00:00Z"}
        assert {one["group"] for one in found.values()} == set(customers.GROUPS.values())
        assert (doc["status"], doc["engagedParty"]["@referredType"]) == ("active", "Individual")


def test_a_customer_of_today_carries_no_outcome(tiny_operator: Operator) -> None:
    for doc in customers.live(tiny_operator):
        assert not [one for one in doc["characteristic"] if one.get("usage") == "outcome"]


def test_an_earlier_customer_carries_what_became_of_them(tiny_operator: Operator) -> None:
    world = tiny_operator.past
    assert world is not None
    truth = training_set(world, tiny_operator.past_as_of_s, tiny_operator.incidents)
    docs = list(customers.past(tiny_operator))
    assert len(docs) == 60
    then = instant(tiny_operator.terms.as_of_s - PAST_AGE_S)
    for doc, left in zip(docs, truth.left_30d, strict=True):
        (outcome,) = [one for one in doc["characteristic"] if one.get("usage") == "outcome"]
        assert (outcome["name"], outcome["value"], outcome["asOf"]) == ("churned", bool(left), then)
        assert {one["asOf"] for one in features_of(doc).values()} == {then}
        assert doc["status"] == "past"


def test_what_only_the_simulator_knows_is_never_published(tiny_operator: Operator) -> None:
    told = json.dumps([*customers.live(tiny_operator), *customers.past(tiny_operator)])
    for secret in ("frailty", "felt_badness", "pliancy", "expectation", "outspokenness", "need"):
        assert secret not in told


def test_value_types_are_those_of_the_values(tiny_operator: Operator) -> None:
    doc = next(customers.past(tiny_operator))
    kinds = {"boolean": bool, "integer": int, "number": float, "string": str}
    for one in doc["characteristic"]:
        assert type(one["value"]) is kinds[one["valueType"]]
        assert one["@type"] == f"{one['valueType'].capitalize()}Characteristic"


def test_no_earlier_base_is_sent_where_none_is_wanted(tiny_operator: Operator) -> None:
    from dataclasses import replace

    alone = operator(replace(tiny_operator.terms, past_customers=0))
    assert list(customers.past(alone)) == []
    assert len(list(customers.live(alone))) == 120
