"""From a score to a probability that can be counted on: Platt or isotonic where it helps, then the true base rate.

A calibrator is chosen and fitted on out-of-fold predictions only; the simplest one that is not clearly worse wins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from churn_prediction.domain.features import Floats, Integers
from churn_prediction.domain.intervals import wilson
from churn_prediction.domain.model import probability as logistic

BINS = 15
METHODS = ("none", "platt", "isotonic")
ISOTONIC_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Bin:
    """Customers of similar predicted probability: how many, what was predicted, what happened (Wilson interval)."""

    n: int
    predicted: float
    observed: float
    low: float
    high: float


def reliability(churned: Integers, probability: Floats, bins: int = BINS) -> tuple[Bin, ...]:
    """Predicted against observed churn in bins of equal mass, lowest prediction first; empty bins left out."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return tuple(
        Bin(
            len(part),
            float(probability[part].mean()),
            float(churned[part].mean()),
            *wilson(int(churned[part].sum()), len(part)),
        )
        for part in parts
    )


def expected_calibration_error(bins: tuple[Bin, ...]) -> float:
    """ECE = sum over bins of n_b / n * |observed - predicted| (Naeini et al., AAAI 2015, with equal-mass bins)."""
    n = sum(b.n for b in bins)
    return sum(b.n / n * abs(b.observed - b.predicted) for b in bins)


def prior_shift(probability: Floats, sample_rate: float, population_rate: float) -> Floats:
    """Probability under the population's base rate of a model made on a sample with another one.

    odds' = odds * [pi'/(1 - pi')] / [pi/(1 - pi)] (Saerens, Latinne and Decaestecker, Neural Computation 14, 2002);
    exact when churners and stayers were each sampled at random.
    """
    churner = probability * (population_rate / sample_rate)
    stayer = (1.0 - probability) * ((1.0 - population_rate) / (1.0 - sample_rate))
    return np.asarray(churner / (churner + stayer))


def population_rate(sample_rate: float, kept_churners: float, kept_stayers: float) -> float:
    """Base rate before sampling, from the shares of churners and of stayers that were kept."""
    churners, stayers = sample_rate / kept_churners, (1.0 - sample_rate) / kept_stayers
    return churners / (churners + stayers)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Map from log-odds to probability. `x`, `y`: none (), platt ((), (slope, intercept)), isotonic (points)."""

    method: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    sample_rate: float
    population_rate: float

    def probability(self, log_odds: Floats) -> Floats:
        """Calibrated probability at the population's base rate, shape as given."""
        if self.method == "platt":
            p = logistic(self.y[0] * log_odds + self.y[1])
        elif self.method == "isotonic":
            p = np.asarray(np.interp(logistic(log_odds), self.x, self.y))
        else:
            p = logistic(log_odds)
        if self.population_rate == self.sample_rate:
            return p
        return prior_shift(p, self.sample_rate, self.population_rate)

    def document(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "x": list(self.x),
            "y": list(self.y),
            "sampleRate": self.sample_rate,
            "populationRate": self.population_rate,
        }

    @staticmethod
    def of(document: Mapping[str, Any]) -> Calibration:
        return Calibration(
            document["method"],
            tuple(document["x"]),
            tuple(document["y"]),
            document["sampleRate"],
            document["populationRate"],
        )


def uncalibrated(sample_rate: float) -> Calibration:
    return Calibration("none", (), (), sample_rate, sample_rate)


def platt(log_odds: Floats, churned: Integers) -> Calibration:
    """Slope and intercept on the log-odds by Newton's method, with Platt's smoothed targets (Platt 1999)."""
    churners, n = int(churned.sum()), len(churned)
    target = np.where(churned == 1, (churners + 1.0) / (churners + 2.0), 1.0 / (n - churners + 2.0))
    columns = np.column_stack([log_odds, np.ones(n)])
    # From zero: a start at the identity overshoots on overconfident scores and never comes back.
    beta = np.zeros(2)
    for _ in range(100):
        p = logistic(columns @ beta)
        information = columns.T @ (columns * (p * (1.0 - p))[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(information, columns.T @ (target - p))
        beta = beta + step
        if float(np.abs(step).max()) < 1e-10:
            break
    return Calibration("platt", (), (float(beta[0]), float(beta[1])), churners / n, churners / n)


def isotonic(log_odds: Floats, churned: Integers) -> Calibration:
    """Monotone step fit by pooling adjacent violators, linear between the blocks (Zadrozny and Elkan, KDD 2002).

    Kept half an observation away from 0 and 1: a finite sample shows neither certainty.
    """
    x, inverse = np.unique(logistic(log_odds), return_inverse=True)
    weight = np.bincount(inverse).astype(np.float64)
    mean = np.bincount(inverse, weights=churned) / weight
    pools: list[tuple[float, float, int]] = []
    for m, w in zip(mean.tolist(), weight.tolist(), strict=True):
        value, mass, count = m, w, 1
        while pools and pools[-1][0] >= value:
            before, before_mass, before_count = pools.pop()
            value = (before * before_mass + value * mass) / (before_mass + mass)
            mass, count = before_mass + mass, before_count + count
        pools.append((value, mass, count))
    margin = 0.5 / len(churned)
    points_x: list[float] = []
    points_y: list[float] = []
    start = 0
    for value, _, count in pools:
        for end in {start, start + count - 1}:
            points_x.append(float(x[end]))
            points_y.append(min(max(value, margin), 1.0 - margin))
        start += count
    order = np.argsort(points_x, kind="stable")
    rate = float(churned.mean())
    return Calibration("isotonic", tuple(points_x[i] for i in order), tuple(points_y[i] for i in order), rate, rate)


@dataclass(frozen=True, slots=True)
class Choice:
    """The calibrator taken, and the cross-fitted Brier score of each candidate that led to it."""

    calibration: Calibration
    brier: dict[str, float]


def _fitted(method: str, log_odds: Floats, churned: Integers) -> Calibration:
    if method == "platt":
        return platt(log_odds, churned)
    if method == "isotonic":
        return isotonic(log_odds, churned)
    return uncalibrated(float(churned.mean()))


def choose(log_odds: Floats, churned: Integers, seed: int, folds: int = 5) -> Choice:
    """Calibrator for out-of-fold log-odds: each candidate is fitted on four fifths and judged on the fifth.

    The simplest whose Brier score is within two standard errors of the (paired) difference from the best is taken.
    Isotonic is no candidate below 1,000 rows, where it overfits (Niculescu-Mizil and Caruana, ICML 2005).
    """
    methods = METHODS if len(churned) >= ISOTONIC_ROWS else METHODS[:2]
    fold = np.random.default_rng(seed).permutation(len(churned)) % folds
    squared = {method: np.empty(len(churned)) for method in methods}
    for k in range(folds):
        train, test = fold != k, fold == k
        for method in methods:
            p = _fitted(method, log_odds[train], churned[train]).probability(log_odds[test])
            squared[method][test] = (p - churned[test]) ** 2
    brier = {method: float(errors.mean()) for method, errors in squared.items()}
    best = min(methods, key=lambda method: brier[method])
    for method in methods:
        difference = squared[method] - squared[best]
        if difference.mean() <= 2.0 * difference.std(ddof=1) / math.sqrt(len(churned)):
            return Choice(_fitted(method, log_odds, churned), brier)
    raise AssertionError("the best method differs from itself")


def at_base_rate(calibration: Calibration, population_rate: float) -> Calibration:
    """The same calibrator for a population with another base rate than the sample's."""
    if not 0.0 < population_rate < 1.0:
        raise ValueError(f"a base rate lies between 0 and 1, not {population_rate}")
    return replace(calibration, population_rate=population_rate)
