"""Verdicts: worked cases of hysteresis and budget, and the laws that no batching, order or worse value may break."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_quality.domain.slo import (
    Comparator,
    Floats,
    Objective,
    ObjectiveFault,
    Policy,
    Rule,
    State,
    Statistic,
    Verdict,
    Verdicts,
    Windows,
    burn_rate,
    comparator,
    conforms,
    evaluate,
    objective_of,
    policy_faults,
    windowed,
)

LATENCY = Objective(Comparator.LESS_OR_EQUAL, limit=50.0, conformance_target=0.5)
POLICY = Policy(window_s=300)
NO = math.nan


def judged(
    values: list[float], objective: Objective = LATENCY, policy: Policy = POLICY, before: bool | None = None
) -> Verdict:
    row = np.array([values], dtype=np.float64)
    windows = Windows(0.0, 300, row, (~np.isnan(row)).astype(np.int64))
    return evaluate(windows, objective, policy, None if before is None else np.array([before])).verdict(0)


def good(count: int) -> list[float]:
    return [20.0] * count


def test_two_bad_windows_of_three_violate_and_one_does_not() -> None:
    assert judged([*good(5), 90.0]).state is State.OK
    assert judged([*good(5), 90.0, 20.0]).state is State.OK
    assert judged([*good(5), 90.0, 20.0, 90.0]).state is State.VIOLATED
    assert judged([*good(5), 90.0, 20.0, 20.0, 90.0]).state is State.OK


def test_six_good_windows_clear_and_five_do_not() -> None:
    assert judged([90.0, 90.0, 90.0, *good(5)]).state is State.VIOLATED
    assert judged([90.0, 90.0, 90.0, *good(6)]).state is State.OK
    assert judged([90.0, 90.0, 90.0, *good(5), 90.0, *good(5)]).state is State.VIOLATED


def test_rules_are_configurable() -> None:
    hasty = replace(POLICY, raise_rule=Rule(1, 1), clear_rule=Rule(2, 3), min_windows=1)
    assert judged([90.0], policy=hasty).state is State.VIOLATED
    assert judged([90.0, 20.0, 20.0], policy=hasty).state is State.OK
    assert judged([90.0, 20.0, 20.0, 90.0, 90.0, 20.0], policy=hasty).state is State.VIOLATED


def test_a_violation_from_before_lasts_until_it_is_cleared() -> None:
    assert judged(good(5), before=True).state is State.VIOLATED
    assert judged(good(6), before=True).state is State.OK
    assert judged(good(5), before=False).state is State.OK


def test_scattered_bad_windows_violate_once_the_budget_of_the_period_is_spent() -> None:
    values = [90.0, *good(4), 90.0, *good(4)]
    assert judged(values, replace(LATENCY, conformance_target=0.8)).state is State.OK
    assert judged(values, replace(LATENCY, conformance_target=0.9)).state is State.VIOLATED
    assert judged([90.0, *good(9)], replace(LATENCY, conformance_target=1.0)).state is State.OK


def test_a_budget_of_one_window_is_one_window() -> None:
    verdict = judged([90.0, *good(9)], replace(LATENCY, conformance_target=0.9))
    assert verdict.budget_left_ratio == pytest.approx(0.0)
    assert verdict.conformance_ratio == pytest.approx(0.9)


def test_the_budget_of_thirty_days_at_three_nines_is_43_minutes() -> None:
    windows = 30 * 24 * 12
    objective = replace(LATENCY, conformance_target=0.999)
    eight = judged([90.0] * 8 + good(windows - 8), objective)
    assert eight.budget_left_ratio == pytest.approx(1 - 8 * 5 / 43.2)
    assert judged([90.0] * 9 + good(windows - 9), objective).budget_left_ratio == 0.0


def test_without_a_budget_the_first_bad_window_spends_it() -> None:
    strict = replace(LATENCY, conformance_target=1.0)
    assert judged(good(4), strict).budget_left_ratio == 1.0
    assert judged([90.0, *good(4)], strict).budget_left_ratio == 0.0


def test_the_burn_rate_is_the_workbooks() -> None:
    assert burn_rate(0.0144, 0.999) == pytest.approx(14.4)
    assert burn_rate(0.5, 1.0) is None


def test_no_data_is_unknown_and_neither_good_nor_bad() -> None:
    verdict = judged([NO] * 12)
    assert verdict.state is State.UNKNOWN
    assert verdict.conformance_ratio is None
    assert verdict.budget_left_ratio is None
    assert (verdict.windows_known, verdict.windows_bad) == (0, 0)
    assert {(window.value, window.conforms, window.count) for window in verdict.evidence} == {(None, None, 0)}


def test_too_few_windows_are_unknown() -> None:
    assert judged([90.0, 90.0]).state is State.UNKNOWN
    assert judged([90.0, 90.0, 90.0]).state is State.VIOLATED
    assert judged([], policy=replace(POLICY, min_windows=0)).state is State.UNKNOWN
    assert judged([], replace(LATENCY, warning_limit=40.0)).state is State.UNKNOWN


def test_grace_times_bridge_missing_windows_at_the_end() -> None:
    values = [*good(3), 90.0, 90.0, NO, NO]
    assert judged(values).state is State.UNKNOWN
    assert judged(values, replace(LATENCY, grace_times=1)).state is State.UNKNOWN
    assert judged(values, replace(LATENCY, grace_times=2)).state is State.VIOLATED
    assert judged([*good(3), 90.0, NO, 90.0]).state is State.VIOLATED


def test_a_value_within_the_tolerance_is_kept() -> None:
    assert judged([52.0] * 4).state is State.VIOLATED
    assert judged([52.0] * 4, replace(LATENCY, tolerance=2.0)).state is State.OK


def test_the_warning_limit_tells_of_danger_before_the_violation() -> None:
    warned = replace(LATENCY, warning_limit=40.0)
    assert judged([*good(3), 45.0], warned).at_risk
    assert judged([*good(3), 45.0, NO], replace(warned, grace_times=1)).at_risk
    assert not judged([*good(3), 39.0], warned).at_risk
    assert not judged([45.0] * 4).at_risk
    assert not judged([90.0] * 4, warned).at_risk
    assert not judged([NO] * 4, warned).at_risk


def test_the_evidence_is_the_windows_that_decided() -> None:
    verdict = judged([*good(8), 90.0, 91.0])
    assert len(verdict.evidence) == 6
    last = verdict.evidence[-1]
    assert last.started_at == datetime(1970, 1, 1, 0, 45, tzinfo=UTC)
    assert (last.ends_at - last.started_at).total_seconds() == 300
    assert (last.value, last.count, last.conforms) == (91.0, 1, False)
    assert verdict.evidence[0].conforms is True


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("greaterThan", ">", "GT", "greater_than"), Comparator.GREATER),
        (("greaterThanOrEqual", ">=", "gte", "at least", "≥", "greater than or equal to"), Comparator.GREATER_OR_EQUAL),
        (("lessThan", "<", "lt"), Comparator.LESS),
        (("lessThanOrEqual", "<=", "LE", "less-than-or-equal-to", "≤", "at most"), Comparator.LESS_OR_EQUAL),
        (("equals", "=", "==", "eq"), Comparator.EQUAL),
        (("notEqual", "!=", "NEQ", "≠"), Comparator.NOT_EQUAL),
        (("above", "", "><", "max"), None),
    ],
)
def test_the_usual_spellings_of_a_comparator_are_read(words: tuple[str, ...], expected: Comparator | None) -> None:
    assert [comparator(word) for word in words] == [expected] * len(words)


@pytest.mark.parametrize(
    ("relation", "kept"),
    [
        (Comparator.GREATER, [False, False, True, True, True]),
        (Comparator.GREATER_OR_EQUAL, [False, True, True, True, True]),
        (Comparator.LESS, [True, True, True, False, False]),
        (Comparator.LESS_OR_EQUAL, [True, True, True, True, False]),
        (Comparator.EQUAL, [False, True, True, True, False]),
        (Comparator.NOT_EQUAL, [True, False, False, False, True]),
    ],
)
def test_each_relation_with_a_tolerance_of_one(relation: Comparator, kept: list[bool]) -> None:
    values = np.array([8.0, 9.0, 10.0, 11.0, 12.0, NO])
    assert conforms(values, relation, 10.0, 1.0).tolist() == [*kept, False]


SAMPLE = {
    "conformanceComparator": ">",
    "conformanceTarget": "32",
    "graceTimes": "3",
    "thresholdTarget": "28",
    "toleranceTarget": "5",
}


def test_tm_forums_sample_objective_reads_as_a_limit_with_warning() -> None:
    objective = objective_of(SAMPLE, reading="value", default_ratio=0.95)
    assert objective == Objective(Comparator.GREATER, 32.0, 0.95, 5.0, 28.0, 3)
    assert judged([27.5] * 4, objective).at_risk
    assert judged([26.0] * 4, objective).state is State.VIOLATED


def test_an_objective_may_read_as_a_ratio_of_windows() -> None:
    document = {"conformanceComparator": "lessThanOrEqual", "conformanceTarget": "0.95", "thresholdTarget": "50"}
    assert objective_of(document, reading="ratio") == Objective(Comparator.LESS_OR_EQUAL, 50.0, 0.95)
    extended = {**SAMPLE, "conformanceRatio": 0.9}
    assert objective_of(extended, reading="value") == Objective(Comparator.GREATER, 32.0, 0.9, 5.0, 28.0, 3)


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        ({"conformanceComparator": "above"}, "conformanceComparator"),
        ({"conformanceComparator": None}, "conformanceComparator"),
        ({"conformanceTarget": None}, "conformanceTarget"),
        ({"conformanceTarget": "95%"}, "conformanceTarget"),
        ({"conformanceTarget": "nan"}, "conformanceTarget"),
        ({"conformanceTarget": True}, "conformanceTarget"),
        ({"conformanceTarget": []}, "conformanceTarget"),
        ({"conformanceRatio": "1.5"}, "conformanceRatio"),
        ({"toleranceTarget": "-1"}, "toleranceTarget"),
        ({"graceTimes": "1.5"}, "graceTimes"),
        ({"graceTimes": "inf"}, "graceTimes"),
    ],
)
def test_a_wrong_objective_is_refused_by_attribute(change: dict[str, Any], attribute: str) -> None:
    faults = objective_of({**SAMPLE, **change}, reading="value")
    assert isinstance(faults, tuple)
    assert faults[0].attribute == attribute


def test_a_ratio_objective_needs_its_threshold() -> None:
    document = {"conformanceComparator": "<", "conformanceTarget": "0.95"}
    assert objective_of(document, reading="ratio") == (ObjectiveFault("thresholdTarget", "missing"),)


def test_a_policy_that_cannot_work_is_refused() -> None:
    assert not policy_faults(POLICY)
    wrong = Policy(window_s=0, raise_rule=Rule(4, 3), clear_rule=Rule(1, 65))
    assert [fault.attribute for fault in policy_faults(wrong)] == ["window_s", "raise_rule", "clear_rule"]


def test_rules_over_sixty_four_windows_work() -> None:
    wide = replace(POLICY, raise_rule=Rule(64, 64))
    assert not policy_faults(wide)
    assert judged([90.0] * 63, replace(LATENCY, conformance_target=0.0), wide).state is State.OK
    assert judged([90.0] * 64, replace(LATENCY, conformance_target=0.0), wide).state is State.VIOLATED


# --- windows of rows


def series(
    rows: list[tuple[int, float, float]], statistic: Statistic = "mean", shape: tuple[int, int] = (2, 3)
) -> Windows:
    which, at, value = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.empty(0),) * 3
    policy = replace(POLICY, statistic=statistic)
    return windowed(which.astype(np.int64), at.astype(np.float64), value.astype(np.float64), 1000.0, shape, policy)


def test_windows_are_half_open_and_rows_outside_are_left_out() -> None:
    rows = [(0, 999.9, 5.0), (0, 1000.0, 1.0), (0, 1299.9, 3.0), (0, 1300.0, 7.0), (0, 1900.0, 9.0), (2, 1000.0, 9.0)]
    windows = series([*rows, (-1, 1000.0, 9.0), (0, 1000.0, NO)])
    np.testing.assert_array_equal(windows.value, [[2.0, 7.0, NO], [NO, NO, NO]])
    np.testing.assert_array_equal(windows.count, [[2, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [("mean", 5.5), ("min", 1), ("max", 10), ("p05", 1), ("p10", 1), ("p50", 5), ("p90", 9), ("p95", 10)],
)
def test_each_statistic_of_ten_samples(statistic: Statistic, expected: float) -> None:
    assert series([(1, 1000.0, float(v)) for v in range(10, 0, -1)], statistic).value[1, 0] == expected


def test_no_rows_are_empty_windows() -> None:
    assert np.isnan(series([]).value).all()


# --- laws

VALUES = st.lists(st.one_of(st.just(NO), st.integers(0, 100).map(float)), min_size=1, max_size=24)
OBJECTIVES = st.builds(
    Objective,
    comparator=st.sampled_from([Comparator.LESS, Comparator.LESS_OR_EQUAL]),
    limit=st.integers(10, 90).map(float),
    conformance_target=st.sampled_from([0.0, 0.5, 0.75, 0.9, 0.95, 1.0]),
    tolerance=st.sampled_from([0.0, 5.0]),
    warning_limit=st.sampled_from([None, 10.0]),
    grace_times=st.integers(0, 3),
)
POLICIES = st.builds(
    lambda raise_of, raise_count, clear_of, clear_count, min_windows: Policy(
        raise_rule=Rule(min(raise_count, raise_of), raise_of),
        clear_rule=Rule(min(clear_count, clear_of), clear_of),
        min_windows=min_windows,
    ),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(0, 4),
)


def replayed(values: list[float], objective: Objective, policy: Policy, violated: bool) -> State:
    """The rules as the docstring of Policy tells them, one window at a time."""
    history: list[bool] = []
    gap = 0
    for value in values:
        if math.isnan(value):
            gap += 1
            continue
        gap = 0
        limit = objective.limit + objective.tolerance
        kept = value < limit if objective.comparator is Comparator.LESS else value <= limit
        history.append(kept)
        allowed = (1 - objective.conformance_target) * len(values)
        overspent = history.count(False) > allowed + 1e-9 and history.count(False) >= policy.raise_rule.count
        if not kept and (history[-policy.raise_rule.of :].count(False) >= policy.raise_rule.count or overspent):
            violated = True
        if kept and history[-policy.clear_rule.of :].count(True) >= policy.clear_rule.count:
            violated = False
    if len(history) < max(policy.min_windows, 1) or gap > objective.grace_times:
        return State.UNKNOWN
    return State.VIOLATED if violated else State.OK


@given(VALUES, OBJECTIVES, POLICIES, st.booleans())
@settings(deadline=None, max_examples=200)
def test_the_state_is_what_a_replay_window_by_window_gives(
    values: list[float], objective: Objective, policy: Policy, before: bool
) -> None:
    assert judged(values, objective, policy, before).state is replayed(values, objective, policy, before)


@given(VALUES, st.data(), OBJECTIVES, POLICIES, st.booleans())
@settings(deadline=None)
def test_a_worse_value_never_betters_a_verdict(
    values: list[float], data: st.DataObject, objective: Objective, policy: Policy, before: bool
) -> None:
    worse = [value + data.draw(st.sampled_from([0.0, 0.0, 5.0, 60.0])) for value in values]
    one, other = judged(values, objective, policy, before), judged(worse, objective, policy, before)
    assert (one.state is State.UNKNOWN) == (other.state is State.UNKNOWN)
    assert not (one.state is State.VIOLATED and other.state is State.OK)
    assert (one.conformance_ratio is None) == (other.conformance_ratio is None)
    if one.conformance_ratio is not None and other.conformance_ratio is not None:
        assert other.conformance_ratio <= one.conformance_ratio
    if one.budget_left_ratio is not None and other.budget_left_ratio is not None:
        assert 0.0 <= other.budget_left_ratio <= one.budget_left_ratio <= 1.0


ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.floats(900, 2000), st.floats(0, 100, allow_nan=False)), min_size=1, max_size=30
)


def same(one: Verdicts, other: Verdicts) -> bool:
    return all(one.verdict(index) == other.verdict(index) for index in range(2))


@given(ROWS, st.randoms(use_true_random=False), st.sampled_from(["mean", "p10", "p90", "min", "max"]))
@settings(deadline=None)
def test_the_order_of_rows_is_irrelevant(
    rows: list[tuple[int, float, float]], random: Any, statistic: Statistic
) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert same(
        evaluate(series(rows, statistic), LATENCY, POLICY), evaluate(series(shuffled, statistic), LATENCY, POLICY)
    )


@given(ROWS, st.data())
@settings(deadline=None)
def test_late_rows_give_the_verdict_they_would_have_given_in_time(
    rows: list[tuple[int, float, float]], data: st.DataObject
) -> None:
    late = {index for index in range(len(rows)) if data.draw(st.booleans())}
    in_time = evaluate(series(rows), LATENCY, POLICY)
    ledger = [row for index, row in enumerate(rows) if index not in late]
    evaluate(series(ledger), LATENCY, POLICY)
    ledger += [row for index, row in enumerate(rows) if index in late]
    assert same(evaluate(series(ledger), LATENCY, POLICY), in_time)


@given(st.lists(VALUES.filter(lambda values: len(values) >= 6), min_size=1, max_size=5), OBJECTIVES, POLICIES)
@settings(deadline=None)
def test_series_do_not_touch_one_another(rows: list[list[float]], objective: Objective, policy: Policy) -> None:
    table: Floats = np.array([row[:6] for row in rows])
    together = evaluate(Windows(0.0, 300, table, (~np.isnan(table)).astype(np.int64)), objective, policy)
    assert [together.verdict(index) for index in range(len(rows))] == [
        judged(row[:6], objective, policy) for row in rows
    ]
