"""Honest cross-validation: nothing of a test fold, not even a twin of one of its rows, is seen before it is predicted.

Stratified folds over groups; in each fold knots, categories, coefficients, the calibrator and the alert threshold come
from the training part alone (the latter two from predictions out of an inner set of folds).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from churn_prediction.domain import calibration, fitting
from churn_prediction.domain.evaluation import recall_at_precision
from churn_prediction.domain.features import Floats, Frame, Integers

FOLDS = 5
INNER_FOLDS = 4


@dataclass(frozen=True, slots=True)
class NotEnough:
    """Too little labelled data for an honest answer; `why` in a sentence."""

    why: str
    n: int
    churners: int


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """Out-of-fold predictions, one per row, shape (n,).

    `probability` is calibrated (what would be served), `log_odds` is not; `flagged` marks the rows above the threshold
    that reached 85 % precision on inner predictions, so precision and recall of `flagged` are not an oracle's.
    """

    churned: Integers
    fold: Integers
    log_odds: Floats
    probability: Floats
    flagged: np.ndarray[Any, np.dtype[np.bool_]]
    calibrators: tuple[str, ...]
    seed: int


def groups(frame: Frame) -> Integers:
    """Group number of every row, shape (n,): rows of one customer, and rows with identical features, share a group."""
    parent = list(range(len(frame)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    columns = []
    for name in frame.specification.names:
        values = frame.columns[name].tolist()
        columns.append([None if value != value else value for value in values])
    first: dict[Any, int] = {}
    for i, row in enumerate(zip(*columns, strict=True)):
        for key in (row, ("id", frame.ids[i])):
            parent[root(i)] = root(first.setdefault(key, i))
    return np.array([root(i) for i in range(len(frame))], dtype=np.int64)


def folds(group: Integers, churned: Integers, count: int, seed: int) -> Integers:
    """Fold of every row, shape (n,); a group is never split.

    Greedy over groups, largest first and shuffled within a size: each goes to the fold that holds least of the outcomes
    the group brings, counted as shares of all churners and of all stayers.
    """
    numbers, inverse = np.unique(group, return_inverse=True)
    churners = np.bincount(inverse, weights=churned)
    size = np.bincount(inverse).astype(np.float64)
    shuffled = np.random.default_rng(seed).permutation(len(numbers))
    order = shuffled[np.argsort(-size[shuffled], kind="stable")]
    all_churners, all_stayers = max(float(churned.sum()), 1.0), max(float(len(churned) - churned.sum()), 1.0)
    load_churners, load_stayers = [0.0] * count, [0.0] * count
    chosen = np.empty(len(numbers), dtype=np.int64)
    for g in order.tolist():
        churner_share, stayer_share = churners[g] / all_churners, (size[g] - churners[g]) / all_stayers
        best = min(
            range(count),
            key=lambda f: (
                (load_churners[f] if churner_share else 0.0) + (load_stayers[f] if stayer_share else 0.0),
                load_churners[f] + load_stayers[f],
            ),
        )
        load_churners[best] += churner_share
        load_stayers[best] += stayer_share
        chosen[g] = best
    return np.asarray(chosen[inverse])


def _both_everywhere(fold: Integers, churned: Integers, count: int) -> bool:
    """Both outcomes in every fold, so in every training part too."""
    return all(0 < int(churned[fold == k].sum()) < int((fold == k).sum()) for k in range(count))


def out_of_fold(frame: Frame, churned: Integers, fold: Integers) -> Floats:
    """Log-odds of every row from the model that never saw its fold, shape (n,)."""
    predicted = np.empty(len(frame))
    for k in np.unique(fold).tolist():
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        predicted[test] = fitting.fit(frame.take(train), churned[train]).score(frame.take(test)).log_odds
    return predicted


def cross_validate(frame: Frame, churned: Integers, seed: int, count: int = FOLDS) -> CrossValidation | NotEnough:
    """Nested cross-validation with `count` outer folds; NotEnough when a fold would lack one of the outcomes."""
    group = groups(frame)
    outer = folds(group, churned, count, seed)
    n, churners = len(churned), int(churned.sum())
    if not _both_everywhere(outer, churned, count):
        return NotEnough(f"{count} folds of distinct customers cannot each hold both outcomes", n, churners)
    log_odds, probability = np.empty(n), np.empty(n)
    flagged = np.zeros(n, dtype=np.bool_)
    calibrators = []
    for k in range(count):
        train, test = np.flatnonzero(outer != k), np.flatnonzero(outer == k)
        inner = folds(group[train], churned[train], INNER_FOLDS, seed + 1 + k)
        if not _both_everywhere(inner, churned[train], INNER_FOLDS):
            return NotEnough("the inner folds cannot each hold both outcomes", n, churners)
        part = frame.take(train)
        held_out = out_of_fold(part, churned[train], inner)
        calibrator = calibration.choose(held_out, churned[train], seed).calibration
        threshold = recall_at_precision(churned[train], held_out).threshold
        log_odds[test] = fitting.fit(part, churned[train]).score(frame.take(test)).log_odds
        probability[test] = calibrator.probability(log_odds[test])
        flagged[test] = False if threshold is None else log_odds[test] >= threshold
        calibrators.append(calibrator.method)
    return CrossValidation(churned, outer, log_odds, probability, flagged, tuple(calibrators), seed)
