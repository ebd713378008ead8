"""How good the predictions are: ranking, probability and list metrics, each with its interval and how it was made.

Every function takes outcomes (1 = churned) and scores of equal shape (n,). A metric that cannot be had has the value
None and says why. Meant for out-of-fold predictions (`validation`): on training rows these numbers flatter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from churn_prediction.domain.calibration import BINS, expected_calibration_error, reliability
from churn_prediction.domain.features import Floats, Integers
from churn_prediction.domain.intervals import Z, wilson

LIST_SHARES = (0.01, 0.05, 0.10)
TARGET_PRECISION = 0.85
RESAMPLES = 400


@dataclass(frozen=True, slots=True)
class Metric:
    """A number with its 95 % interval; value None means that it could not be had, and `method` says why."""

    value: float | None
    low: float | None
    high: float | None
    method: str

    def document(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high, "method": self.method}


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Everybody scored at least `threshold` is flagged. threshold None: no list reaches the wanted precision."""

    threshold: float | None
    flagged: int
    precision: float | None
    recall: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    n: int
    churners: int
    auc: Metric
    average_precision: Metric
    brier: Metric
    ece: Metric
    lift_10: Metric
    precision_at: dict[float, Metric]
    recall_at_precision: Metric
    operating_point: OperatingPoint
    accuracy: Metric

    def document(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "churners": self.churners,
            "auc": self.auc.document(),
            "averagePrecision": self.average_precision.document(),
            "brier": self.brier.document(),
            "ece": self.ece.document(),
            "liftAt10Percent": self.lift_10.document(),
            "precisionAtShare": {f"{share:g}": metric.document() for share, metric in self.precision_at.items()},
            "recallAtPrecision85": self.recall_at_precision.document(),
            "thresholdAtPrecision85": self.operating_point.threshold,
            "accuracyAt50Percent": self.accuracy.document(),
        }


@dataclass(frozen=True, slots=True)
class _Curve:
    """Rows flagged and churners among them at each distinct threshold, from the highest score down.

    Ties enter together; between two thresholds `churners_among` gives the expectation over the order within the tie.
    """

    order: Integers
    ends: Integers
    churned: Floats
    thresholds: Floats

    def cumulative(self, weights: Floats) -> tuple[Floats, Floats]:
        sorted_weights = weights[self.order]
        flagged = np.cumsum(sorted_weights)[self.ends]
        return flagged, np.cumsum(sorted_weights * self.churned)[self.ends]


def _curve(churned: Integers, scores: Floats) -> _Curve:
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.r_[np.flatnonzero(np.diff(ranked)), len(ranked) - 1]
    return _Curve(order, ends, churned[order].astype(np.float64), ranked[ends])


def _average_precision(flagged: Floats, hits: Floats) -> float:
    recall_steps = np.diff(hits, prepend=0.0) / hits[-1]
    return float(np.sum(recall_steps * hits / np.maximum(flagged, 1e-12)))


def _precision_among(share: float, flagged: Floats, hits: Floats) -> float:
    wanted = share * float(flagged[-1])
    return float(np.interp(wanted, np.r_[0.0, flagged], np.r_[0.0, hits])) / wanted


def _lift_among(share: float, flagged: Floats, hits: Floats) -> float:
    return _precision_among(share, flagged, hits) * float(flagged[-1] / hits[-1])


def _recall_at(precision: float, flagged: Floats, hits: Floats) -> float:
    enough = hits >= precision * flagged - 1e-9
    return float(hits[enough & (flagged > 0)].max(initial=0.0) / hits[-1])


def midranks(values: Floats) -> Floats:
    """Rank of each value from 1, ties sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[inverse])


def auc(churned: Integers, scores: Floats) -> Metric:
    """Area under the ROC curve with DeLong's interval.

    P(score of a churner > score of a stayer) + P(equal)/2; variance from the placement values (DeLong, DeLong and
    Clarke-Pearson, Biometrics 44, 1988) by midranks (Sun and Xu, IEEE SPL 21, 2014).
    """
    positive, negative = scores[churned == 1], scores[churned == 0]
    m, n = len(positive), len(negative)
    if m < 2 or n < 2:
        return Metric(None, None, None, f"not enough data: {m} churned, {n} stayed")
    ranks = midranks(np.r_[positive, negative])
    of_positive = (ranks[:m] - midranks(positive)) / n
    of_negative = 1.0 - (ranks[m:] - midranks(negative)) / m
    area = float(of_positive.mean())
    error = math.sqrt(of_positive.var(ddof=1) / m + of_negative.var(ddof=1) / n)
    if error == 0.0:
        return Metric(area, None, None, "no interval: the placement values do not vary")
    return Metric(area, max(0.0, area - Z * error), min(1.0, area + Z * error), "DeLong")


def recall_at_precision(churned: Integers, scores: Floats, precision: float = TARGET_PRECISION) -> OperatingPoint:
    """The largest list, by score, whose precision is at least the wanted one; read off these very rows (an oracle)."""
    if not churned.any():
        return OperatingPoint(None, 0, None, 0.0)
    curve = _curve(churned, scores)
    flagged, hits = curve.cumulative(np.ones(len(scores)))
    reached = np.flatnonzero(hits >= precision * flagged - 1e-9)
    if not len(reached):
        return OperatingPoint(None, 0, None, 0.0)
    at = reached[-1]
    return OperatingPoint(
        float(curve.thresholds[at]), int(flagged[at]), float(hits[at] / flagged[at]), float(hits[at] / hits[-1])
    )


def evaluate(churned: Integers, probability: Floats, seed: int) -> Evaluation:
    """All metrics of one set of predictions.

    List metrics (average precision, lift, precision at a share, recall at precision) have percentile bootstrap
    intervals over customers; AUC DeLong; accuracy Wilson; Brier the normal interval of a mean. ECE over 15 equal-mass
    bins has none: a resampled binned gap is biased upwards.
    """
    n, churners = len(churned), int(churned.sum())
    if churners < 2 or n - churners < 2:
        nothing = Metric(None, None, None, f"not enough data: {churners} churned of {n}")
        point = OperatingPoint(None, 0, None, 0.0)
        shares = dict.fromkeys(LIST_SHARES, nothing)
        return Evaluation(n, churners, nothing, nothing, nothing, nothing, nothing, shares, nothing, point, nothing)
    curve = _curve(churned, probability)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=RESAMPLES).astype(np.float64)
    once = curve.cumulative(np.ones(n))
    resampled = [sample for sample in (curve.cumulative(w) for w in weights) if sample[1][-1] > 0]

    def listed(of: Callable[[Floats, Floats], float]) -> Metric:
        low, high = np.quantile([of(*sample) for sample in resampled], [0.025, 0.975])
        return Metric(of(*once), float(low), float(high), f"percentile bootstrap, {RESAMPLES} resamples")

    squared = (probability - churned) ** 2
    brier, half = float(squared.mean()), Z * float(squared.std(ddof=1)) / math.sqrt(n)
    right = int(((probability >= 0.5) == (churned == 1)).sum())
    bins = reliability(churned, probability)
    return Evaluation(
        n,
        churners,
        auc(churned, probability),
        listed(_average_precision),
        Metric(brier, max(0.0, brier - half), brier + half, "normal interval of the mean squared error"),
        Metric(expected_calibration_error(bins), None, None, f"{BINS} equal-mass bins; no interval"),
        listed(partial(_lift_among, 0.10)),
        {share: listed(partial(_precision_among, share)) for share in LIST_SHARES},
        listed(partial(_recall_at, TARGET_PRECISION)),
        recall_at_precision(churned, probability),
        Metric(right / n, *wilson(right, n), "Wilson"),
    )
