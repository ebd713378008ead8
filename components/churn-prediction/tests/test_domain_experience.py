"""The last week, from a snapshot and the scores since: the same features that a snapshot of that week would hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from churn_prediction.domain.experience import MEAN, TREND, WORST, Observation, Snapshot, week

AT = datetime(2026, 3, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
GOOD = Snapshot(mean=90.0, worst=80.0, trend=0.5, services=2.0)


def hours(score: float, end: datetime, length: float, service: str = "a") -> Observation:
    return Observation(service, end - length * HOUR, end, score)


def test_without_a_score_the_week_is_the_snapshot() -> None:
    assert week(GOOD, [], AT) == {MEAN: 90.0, WORST: 80.0, TREND: 0.5}


def test_half_a_bad_day_of_one_of_two_services_moves_the_mean_by_its_share_of_the_week() -> None:
    found = week(GOOD, [hours(30.0, AT, 12)], AT)
    assert found[MEAN] == pytest.approx(90.0 - 60.0 * 0.5 / 2 / 7, abs=1e-4)
    assert found[WORST] == 30.0
    assert found[TREND] == pytest.approx(0.5 + 3.0 * (-60.0 * 0.5 / 2) / 28.0, abs=1e-4)


def test_a_week_of_scores_gives_what_a_snapshot_of_that_week_would() -> None:
    rng = np.random.default_rng(3)
    windows = rng.uniform(20.0, 100.0, (2, 7 * 48))
    begin = AT - timedelta(days=7)
    observed = [
        Observation(f"svc-{s}", begin + i * HOUR / 2, begin + (i + 1) * HOUR / 2, float(windows[s, i]))
        for s in range(2)
        for i in range(7 * 48)
    ]
    rng.shuffle(observed)
    daily = windows.reshape(2, 7, 48).mean(axis=(0, 2))
    found = week(Snapshot(90.0, None, 0.0, 2.0), observed, AT)
    assert found[MEAN] == pytest.approx(windows.mean(), abs=1e-4)
    assert found[WORST] == pytest.approx(windows.min(), abs=1e-4)
    assert found[TREND] == pytest.approx(np.polyfit(np.arange(7.0), daily, 1)[0], abs=1e-4)


def test_of_two_scores_over_the_same_time_the_later_one_does_not_count_that_time_again() -> None:
    twice = week(GOOD, [hours(30.0, AT - HOUR, 2), hours(30.0, AT, 2)], AT)
    assert twice[MEAN] == week(GOOD, [hours(30.0, AT, 3)], AT)[MEAN]


def test_what_ended_a_week_ago_or_comes_later_does_not_count() -> None:
    old, coming = hours(5.0, AT - timedelta(days=7), 1), hours(5.0, AT + HOUR, 1)
    assert week(GOOD, [old, coming], AT) == week(GOOD, [], AT)


def test_a_score_that_began_before_the_week_counts_from_its_beginning_on() -> None:
    found = week(GOOD, [hours(30.0, AT - timedelta(days=6.5), 24)], AT)
    assert found[MEAN] == pytest.approx(90.0 - 60.0 * 0.5 / 2 / 7, abs=1e-4)


def test_without_a_snapshot_only_the_worst_is_known() -> None:
    nothing = Snapshot(None, None, None, None)
    assert week(nothing, [hours(40.0, AT, 1)], AT) == {MEAN: None, WORST: 40.0, TREND: None}
    assert week(nothing, [], AT) == {MEAN: None, WORST: None, TREND: None}


def test_services_that_were_heard_of_count_even_if_the_snapshot_tells_of_fewer() -> None:
    alone = Snapshot(90.0, None, None, 1.0)
    heard = [hours(30.0, AT, 12, "a"), hours(90.0, AT, 12, "b")]
    assert week(alone, heard, AT)[MEAN] == pytest.approx(90.0 - 60.0 * 0.5 / 2 / 7, abs=1e-4)
