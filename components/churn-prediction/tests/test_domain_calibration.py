"""Probabilities that can be counted on: calibrators, their choice, and the true base rate."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from churn_prediction.domain.calibration import (
    Calibration,
    at_base_rate,
    choose,
    expected_calibration_error,
    isotonic,
    platt,
    population_rate,
    prior_shift,
    reliability,
    uncalibrated,
)
from churn_prediction.domain.model import probability


def _scores(n: int, seed: int) -> tuple[Any, Any]:
    """True log-odds and outcomes."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-1.0, 1.5, n)
    return log_odds, (rng.random(n) < probability(log_odds)).astype(np.int64)


def _ece(churned: Any, p: Any) -> float:
    return expected_calibration_error(reliability(churned, p))


def test_scores_that_are_calibrated_already_are_left_alone() -> None:
    log_odds, churned = _scores(4000, 1)
    assert choose(log_odds, churned, seed=0).calibration.method == "none"


def test_overconfident_scores_get_platt_with_the_right_slope() -> None:
    log_odds, churned = _scores(8000, 2)
    chosen = choose(2.5 * log_odds + 1.0, churned, seed=0).calibration
    assert chosen.method == "platt"
    assert chosen.y[0] == pytest.approx(0.4, abs=0.03)
    assert chosen.y[1] == pytest.approx(-0.4, abs=0.08)


def test_platt_finds_the_same_line_as_scikit_learn_however_far_off_the_scores_are() -> None:
    log_odds, churned = _scores(5000, 10)
    for slope, shift in ((2.5, 1.0), (0.01, -4.0), (20.0, 30.0), (-1.0, 0.0)):
        theirs = LogisticRegression(C=np.inf, tol=1e-8).fit((slope * log_odds + shift)[:, None], churned)
        expected = theirs.predict_proba((slope * log_odds + shift)[:, None])[:, 1]
        found = platt(slope * log_odds + shift, churned).probability(slope * log_odds + shift)
        assert np.abs(found - expected).max() < 2e-3


def test_scores_bent_in_no_logistic_way_get_isotonic_and_become_calibrated() -> None:
    log_odds, churned = _scores(12000, 3)
    bent = np.where(log_odds > -1.0, 6.0 * (log_odds + 1.0), 0.2 * (log_odds + 1.0))
    half = len(bent) // 2
    chosen = choose(bent[:half], churned[:half], seed=0).calibration
    assert chosen.method == "isotonic"
    fresh = chosen.probability(bent[half:])
    assert _ece(churned[half:], fresh) < 0.03 < _ece(churned[half:], probability(bent[half:]))


def test_isotonic_is_no_candidate_for_a_small_sample() -> None:
    log_odds, churned = _scores(600, 4)
    assert set(choose(log_odds, churned, seed=0).brier) == {"none", "platt"}


def test_pooled_adjacent_violators_are_scikit_learns() -> None:
    log_odds, churned = _scores(500, 5)
    p = np.round(probability(log_odds), 2)
    rounded = np.log(p) - np.log1p(-p)
    ours = isotonic(rounded, churned).probability(rounded)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(p, churned).predict(p)
    assert np.allclose(ours, np.clip(theirs, 0.5 / 500, 1.0 - 0.5 / 500), atol=1e-9)


@pytest.mark.parametrize("make", [platt, isotonic])
def test_calibrators_never_reverse_an_order_nor_claim_certainty(make: Any) -> None:
    log_odds, churned = _scores(300, 6)
    p = make(log_odds, churned).probability(np.linspace(-30.0, 30.0, 500))
    assert (np.diff(p) >= 0.0).all()
    assert 0.0 < p[0] < p[-1] <= 1.0
    assert platt(np.array([-1.0, -1.0, 1.0, 1.0]), np.array([0, 0, 1, 1])).probability(np.array([1.0]))[0] < 0.95


def test_prior_shift_restores_the_population_from_a_balanced_sample() -> None:
    log_odds, churned = _scores(60000, 7)
    rng = np.random.default_rng(8)
    keep = (churned == 1) | (rng.random(len(churned)) < 0.1)
    rate, sample = float(churned.mean()), float(churned[keep].mean())
    assert population_rate(sample, 1.0, 0.1) == pytest.approx(rate, abs=0.01)
    on_sample = platt(log_odds[keep], churned[keep])
    naive = on_sample.probability(log_odds)
    corrected = at_base_rate(on_sample, population_rate(sample, 1.0, 0.1)).probability(log_odds)
    assert _ece(churned, naive) > 0.2
    assert _ece(churned, corrected) < 0.015


def test_prior_shift_by_hand() -> None:
    # Even odds on a 50 % sample are the population's own odds: 2 %.
    assert prior_shift(np.array([0.5]), 0.5, 0.02)[0] == pytest.approx(0.02)
    # Odds 9 times the sample's become 9 times the population's: 9 * 2/98 = 0.1837 -> 0.1552.
    assert prior_shift(np.array([0.9]), 0.5, 0.02)[0] == pytest.approx(0.155172, abs=1e-6)
    assert prior_shift(np.array([0.3]), 0.25, 0.25)[0] == pytest.approx(0.3)


def test_a_base_rate_is_no_certainty() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        at_base_rate(uncalibrated(0.3), 0.0)


def test_reliability_by_hand() -> None:
    churned = np.array([0, 0, 1, 1])
    bins = reliability(churned, np.array([0.1, 0.2, 0.6, 0.9]), bins=2)
    assert [(b.n, b.observed) for b in bins] == [(2, 0.0), (2, 1.0)]
    assert [b.predicted for b in bins] == pytest.approx([0.15, 0.75])
    assert expected_calibration_error(bins) == pytest.approx(0.5 * 0.15 + 0.5 * 0.25)
    assert len(reliability(churned, np.array([0.1, 0.2, 0.6, 0.9]))) == 4


def test_a_calibration_comes_back_from_its_document() -> None:
    log_odds, churned = _scores(1200, 9)
    for made in (uncalibrated(0.3), platt(log_odds, churned), at_base_rate(isotonic(log_odds, churned), 0.02)):
        assert Calibration.of(json.loads(json.dumps(made.document()))) == made
