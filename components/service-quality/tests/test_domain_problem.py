"""Violations of one root become one problem; its impact, priority and end follow from them alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_quality.domain.localisation import Element
from service_quality.domain.problem import (
    Impact,
    PriorityRule,
    Resolution,
    Violation,
    grouped,
    key,
    priority,
    resolution,
)
from service_quality.domain.slo import State

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
CELL, AREA = Element("cell", "cell-017"), Element("area", "north")


def violation(
    name: str,
    begins_min: int,
    ends_min: int | None = None,
    root: Element = CELL,
    state: State | None = None,
    **impact: Any,
) -> Violation:
    return Violation(
        id=name,
        root=root,
        started_at=NOON + timedelta(minutes=begins_min),
        cleared_at=None if ends_min is None else NOON + timedelta(minutes=ends_min),
        state=state or (State.VIOLATED if ends_min is None else State.OK),
        services=frozenset(impact.get("services", ())),
        subjects=frozenset(impact.get("subjects", ())),
    )


def ids(*violations: Violation, gap_s: float = 900.0) -> list[list[str]]:
    return [[one.id for one in problem.violations] for problem in grouped(violations, gap_s)]


def test_violations_of_one_root_at_one_time_are_one_problem() -> None:
    (problem,) = grouped([violation("b", 5), violation("a", 0, 30)])
    assert problem.key == key(CELL) == "cell:cell-017"
    assert [one.id for one in problem.violations] == ["a", "b"]
    assert (problem.started_at, problem.cleared_at) == (NOON, None)


def test_another_root_is_another_problem() -> None:
    assert ids(violation("a", 0), violation("b", 0, root=AREA)) == [["b"], ["a"]]


def test_a_later_time_is_another_problem_beyond_the_gap_only() -> None:
    assert ids(violation("a", 0, 10), violation("b", 25, 30)) == [["a", "b"]]
    assert ids(violation("a", 0, 10), violation("b", 26, 30)) == [["a"], ["b"]]
    assert ids(violation("a", 0, 10), violation("b", 26), violation("c", 900)) == [["a"], ["b", "c"]]


def test_a_long_violation_holds_short_ones_together() -> None:
    assert ids(violation("a", 0, 100), violation("b", 5, 10), violation("c", 90, 95)) == [["a", "b", "c"]]
    assert ids(violation("a", 0), violation("b", 5, 10), violation("c", 900)) == [["a", "b", "c"]]


def test_a_problem_is_cleared_when_the_last_violation_is() -> None:
    (problem,) = grouped([violation("a", 0, 20), violation("b", 5, 10)])
    assert problem.cleared_at == NOON + timedelta(minutes=20)


def test_no_violation_is_no_problem() -> None:
    assert grouped([]) == ()


def test_services_and_subjects_count_once() -> None:
    (problem,) = grouped(
        [violation("a", 0, services="xy", subjects="123"), violation("b", 1, services="yz", subjects="34")]
    )
    assert (problem.impact.affected_services, problem.impact.affected_subjects) == (3, 4)


@pytest.mark.parametrize(
    ("services", "subjects", "expected"),
    [(0, 0, 5), (1, 9, 5), (1, 10, 4), (1, 100, 3), (1, 300, 2), (1, 1000, 1), (120, 9, 3), (1000, 0, 1)],
)
def test_the_priority_follows_the_impact(services: int, subjects: int, expected: int) -> None:
    impact = Impact(frozenset(map(str, range(services))), frozenset(map(str, range(subjects))))
    assert priority(impact, PriorityRule()) == expected


def test_a_critical_service_is_urgent_however_few_use_it() -> None:
    rule = PriorityRule(critical_services=frozenset({"emergency-call"}), critical_priority=2)
    assert priority(Impact(frozenset({"emergency-call"}), frozenset()), rule) == 2
    assert priority(Impact(frozenset({"web"}), frozenset()), rule) == 5


def resolved(*violations: Violation, now_min: int, quiet_s: float = 1800.0) -> Resolution:
    (problem,) = grouped(violations)
    return resolution(problem, NOON + timedelta(minutes=now_min), quiet_s)


def test_a_problem_is_resolved_after_all_cleared_and_stayed_quiet() -> None:
    both = violation("a", 0, 20), violation("b", 5, 10)
    assert resolved(*both, now_min=49) == Resolution(False, "quiet for 1740 s of 1800 s")
    assert resolved(*both, now_min=50) == Resolution(
        True, "all 2 violations cleared, quiet for 1800 s", NOON + timedelta(minutes=20)
    )  # fmt: skip


def test_a_problem_with_a_lasting_violation_is_not_resolved() -> None:
    assert resolved(violation("a", 0, 20), violation("b", 5), now_min=999).reason == "1 of 2 violations last"


def test_no_data_is_no_recovery() -> None:
    silent = violation("b", 5, 10, state=State.UNKNOWN)
    assert resolved(violation("a", 0, 20), silent, now_min=999).reason == "1 of 2 violations without data"
    untimed = violation("a", 0, state=State.OK)
    assert resolved(untimed, now_min=999) == Resolution(False, "a violation has no time of clearing")


VIOLATIONS = st.lists(
    st.builds(
        lambda name, begins, lasts, root: violation(name, begins, None if lasts is None else begins + lasts, root),
        st.integers(0, 10**9).map(str),
        st.integers(0, 200),
        st.one_of(st.none(), st.integers(0, 60)),
        st.sampled_from([CELL, AREA]),
    ),
    max_size=8,
    unique_by=lambda one: one.id,
)


@given(VIOLATIONS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_grouping_is_a_partition_that_no_order_changes(violations: list[Violation], random: Any) -> None:
    problems = grouped(violations)
    assert sorted(one.id for problem in problems for one in problem.violations) == sorted(one.id for one in violations)
    shuffled = [*violations, *violations[:2]]
    random.shuffle(shuffled)
    assert grouped(shuffled) == problems
    open_keys = [problem.key for problem in problems if problem.cleared_at is None]
    assert len(open_keys) == len(set(open_keys))


@given(st.sets(st.integers(0, 2000), max_size=400), st.sets(st.integers(0, 2000), max_size=400))
@settings(deadline=None)
def test_more_subjects_never_make_a_problem_less_urgent(some: set[int], others: set[int]) -> None:
    few, many = frozenset(map(str, some)), frozenset(map(str, some | others))
    rule = PriorityRule(subject_steps=(300, 200, 100, 10))
    assert priority(Impact(frozenset(), many), rule) <= priority(Impact(frozenset(), few), rule)
