"""Metrics against scikit-learn, hand-made cases and simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, rankdata
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from churn_prediction.domain.evaluation import auc, evaluate, midranks, recall_at_precision
from churn_prediction.domain.intervals import wilson


def _sample(n: int, seed: int, ties: bool = False) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    p = 1.0 / (1.0 + np.exp(-rng.normal(-1.0, 1.2, n)))
    churned = (rng.random(n) < p).astype(np.int64)
    return churned, np.round(p, 1) if ties else p


@pytest.mark.parametrize("ties", [False, True])
def test_ranking_metrics_equal_scikit_learns(ties: bool) -> None:
    churned, p = _sample(3000, 1, ties)
    found = evaluate(churned, p, seed=0)
    assert found.auc.value == pytest.approx(roc_auc_score(churned, p), abs=1e-12)
    assert found.average_precision.value == pytest.approx(average_precision_score(churned, p), abs=1e-12)
    assert found.brier.value == pytest.approx(brier_score_loss(churned, p), abs=1e-12)
    assert found.accuracy.value == pytest.approx(float(((p >= 0.5) == (churned == 1)).mean()))


def test_midranks_are_scipys() -> None:
    values = np.array([3.0, 1.0, 3.0, 2.0, 3.0])
    assert midranks(values).tolist() == rankdata(values).tolist()


def test_delong_by_midranks_equals_the_definition_by_all_pairs() -> None:
    churned, p = _sample(300, 2, ties=True)
    positive, negative = p[churned == 1][:, None], p[churned == 0][None, :]
    pairs = (positive > negative) + 0.5 * (positive == negative)
    error = math.sqrt(
        pairs.mean(axis=1).var(ddof=1) / len(positive) + pairs.mean(axis=0).var(ddof=1) / negative.shape[1]
    )
    found = auc(churned, p)
    assert found.value == pytest.approx(pairs.mean())
    assert found.low == pytest.approx(pairs.mean() - 1.959964 * error, abs=1e-6)
    assert found.high == pytest.approx(pairs.mean() + 1.959964 * error, abs=1e-6)


def test_the_delong_interval_covers_the_true_auc_in_about_95_of_100_samples() -> None:
    rng, covered = np.random.default_rng(3), 0
    true = float(norm.cdf(1.0 / math.sqrt(2.0)))
    churned = np.r_[np.ones(60, dtype=np.int64), np.zeros(240, dtype=np.int64)]
    for _ in range(400):
        found = auc(churned, rng.normal(size=300) + churned)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= true <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_lists_are_measured_by_hand_on_ten_customers() -> None:
    churned = np.array([1, 1, 0, 1, 0, 0, 0, 0, 0, 0])
    p = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
    found = evaluate(churned, p, seed=0)
    assert found.lift_10.value == pytest.approx(1.0 / 0.3)
    assert found.precision_at[0.10].value == 1.0
    assert found.operating_point.threshold == 0.8
    assert found.operating_point.flagged == 2
    assert found.recall_at_precision.value == pytest.approx(2.0 / 3.0)
    assert found.average_precision.value == pytest.approx((1.0 + 1.0 + 0.75) / 3.0)


def test_a_tie_across_the_end_of_the_list_counts_in_proportion() -> None:
    churned = np.array([1, 0, 1, 0, 0, 0, 0, 0, 0, 0] * 10)
    found = evaluate(churned, np.full(100, 0.2), seed=0)
    assert found.precision_at[0.10].value == pytest.approx(0.2)
    assert found.lift_10.value == pytest.approx(1.0)


def test_without_a_list_of_the_wanted_precision_nobody_is_flagged() -> None:
    point = recall_at_precision(np.array([0, 1, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6]))
    assert (point.threshold, point.flagged, point.recall) == (None, 0, 0.0)
    assert recall_at_precision(np.zeros(4, dtype=np.int64), np.ones(4)).threshold is None


def test_intervals_enclose_their_value_and_narrow_with_the_sample() -> None:
    widths = []
    for n in (500, 8000):
        found = evaluate(*_sample(n, 4), seed=0)
        for metric in (found.auc, found.average_precision, found.brier, found.lift_10, found.accuracy):
            assert metric.value is not None
            assert metric.low is not None
            assert metric.high is not None
            assert metric.low <= metric.value <= metric.high
        assert found.average_precision.high is not None
        assert found.average_precision.low is not None
        widths.append(found.average_precision.high - found.average_precision.low)
    assert widths[1] < 0.4 * widths[0]


def test_the_same_seed_gives_the_same_evaluation() -> None:
    churned, p = _sample(400, 5)
    assert evaluate(churned, p, seed=9) == evaluate(churned, p, seed=9)
    assert evaluate(churned, p, seed=9).lift_10.low != evaluate(churned, p, seed=10).lift_10.low


def test_not_enough_data_is_said_and_not_a_zero() -> None:
    found = evaluate(np.array([1, 0, 0]), np.array([0.5, 0.4, 0.3]), seed=0)
    assert found.auc.value is None
    assert "not enough data: 1 churned of 3" in found.auc.method
    assert found.document()["precisionAtShare"]["0.1"]["value"] is None


def test_a_perfect_separation_has_no_interval_that_pretends_certainty() -> None:
    found = auc(np.array([1, 1, 0, 0]), np.array([4.0, 3.0, 2.0, 1.0]))
    assert (found.value, found.low, found.high) == (1.0, None, None)


def test_wilson_interval_of_published_size() -> None:
    # Newcombe, Statistics in Medicine 17, 1998, table I, method 3: 81 of 263 and 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)
