"""Survey metrics: the worked examples, intervals that never vanish, and no figure from too few answers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experience_management.domain.survey import (
    Group,
    Nps,
    Share,
    ces,
    csat,
    group,
    nps,
    nps_difference,
    share,
    wilson,
)


def survey(promoters: int, passives: int, detractors: int) -> Nps:
    return nps([10] * promoters + [8] * passives + [3] * detractors)


@pytest.mark.parametrize(
    ("counts", "error", "low", "high"), [((50, 30, 20), 7.810, 14.69, 45.31), ((500, 300, 200), 2.470, 25.16, 34.84)]
)
def test_the_net_promoter_score_has_its_interval(
    counts: tuple[int, int, int], error: float, low: float, high: float
) -> None:
    result = survey(*counts)
    assert result.value == pytest.approx(30.0)
    assert result.standard_error == pytest.approx(error, abs=0.001)
    assert [result.low, result.high] == pytest.approx([low, high], abs=0.005)
    assert (result.method, result.n) == ("normal", sum(counts))
    assert result.effective_n == pytest.approx(sum(counts))


def test_answers_that_are_all_alike_leave_a_width() -> None:
    result = survey(0, 0, 100)
    assert (result.value, result.standard_error, result.method) == (-100.0, 0.0, "jeffreys")
    assert result.low == -100.0
    assert result.high is not None
    assert -98.0 < result.high < -94.0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(0, Group.DETRACTOR), (6, Group.DETRACTOR), (7, Group.PASSIVE), (8, Group.PASSIVE), (9, Group.PROMOTER),
     (10, Group.PROMOTER), (-1, None), (11, None)],
)  # fmt: skip
def test_answers_fall_into_three_groups(answer: int, expected: Group | None) -> None:
    assert group(answer) is expected


def test_too_few_answers_are_not_enough_data() -> None:
    few = nps([10] * 9)
    assert (few.value, few.low, few.high, few.standard_error, few.method, few.n) == (None, None, None, None, None, 9)
    assert nps([], min_n=0).value is None
    assert nps([10] * 9, min_n=9).value == 100.0


def test_answers_off_the_scale_are_counted_not_used() -> None:
    result = nps([10] * 10 + [11, -1])
    assert (result.n, result.refused, result.value) == (10, 2, 100.0)


def test_weights_shift_the_score_and_cost_certainty() -> None:
    answers = [10] * 10 + [3] * 10
    weighed = nps(answers, [3.0] * 10 + [1.0] * 10)
    assert weighed.value == pytest.approx(50.0)
    assert weighed.effective_n == pytest.approx(16.0)
    assert nps(answers, [2.5] * 20).standard_error == pytest.approx(nps(answers).standard_error or 0.0)
    assert nps(answers, [1.0] * 18 + [0.0, math.nan]).refused == 2


def test_two_scores_differ_when_their_errors_do_not_explain_it() -> None:
    z = nps_difference(survey(500, 300, 200), survey(400, 300, 300))
    assert z == pytest.approx(20 / math.hypot(2.470, 2.627), abs=0.01)
    assert nps_difference(survey(500, 300, 200), nps([])) is None
    assert nps_difference(nps([]), survey(500, 300, 200)) is None
    assert nps_difference(survey(0, 0, 100), survey(0, 0, 100)) is None


@pytest.mark.parametrize(("successes", "n", "low", "high"), [(80, 100, 0.711, 0.867), (0, 10, 0.0, 0.278)])
def test_a_proportion_has_wilsons_interval(successes: int, n: int, low: float, high: float) -> None:
    result = share(successes, n)
    assert [result.low, result.high] == pytest.approx([low, high], abs=0.0005)


def test_satisfaction_is_the_share_of_fours_and_fives() -> None:
    result = csat([5] * 40 + [4] * 40 + [1] * 20 + [0, 6])
    assert (result.value, result.n, result.refused) == (0.8, 100, 2)
    assert [result.low, result.high] == pytest.approx([0.711, 0.867], abs=0.0005)
    assert csat([5] * 9) == Share(None, None, None, 9, 0)


def test_effort_is_a_mean_and_a_share() -> None:
    result = ces([7] * 5 + [5] * 5 + [3] * 10 + [8])
    assert result.value == pytest.approx(4.5)
    assert (result.n, result.refused, result.top_box.value) == (20, 1, 0.5)
    assert result.low is not None
    assert result.high is not None
    assert (
        result.high - 4.5 == pytest.approx(4.5 - result.low) == pytest.approx(1.96 * 1.7014 / math.sqrt(20), abs=0.01)
    )


def test_effort_from_too_few_answers_is_not_enough_data() -> None:
    assert ces([7] * 9).value is None
    equal = ces([7] * 10)
    assert (equal.value, equal.high) == (7.0, 7.0)
    assert equal.low is not None
    assert equal.low < 7.0


@given(st.lists(st.integers(0, 10), min_size=10, max_size=60))
@settings(deadline=None)
def test_an_interval_holds_its_score_within_bounds_and_has_a_width(answers: list[int]) -> None:
    result = nps(answers)
    assert result.value is not None
    assert result.low is not None
    assert result.high is not None
    assert -100.0 <= result.low <= result.value <= result.high <= 100.0
    assert result.low < result.high


@given(st.lists(st.integers(0, 10), min_size=10, max_size=60), st.integers(1, 10))
@settings(deadline=None)
def test_a_better_answer_never_lowers_the_score(answers: list[int], by: int) -> None:
    better = [min(10, answers[0] + by), *answers[1:]]
    assert (nps(better).value or 0.0) >= (nps(answers).value or 0.0) - 1e-9


@given(st.integers(1, 1000), st.data())
@settings(deadline=None)
def test_wilsons_interval_holds_the_share(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n)
    assert 0.0 <= low <= successes / n <= high <= 1.0
    assert low < high
