"""The guard at the door of training: columns and rows that know the answer are refused by name, with the reason.

What it cannot see is said in the model card: a feature that is honest in name and date but was written late.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from churn_prediction.domain.evaluation import midranks
from churn_prediction.domain.features import Feature, Floats, Frame, Integers, Kind, LeakageError, Refusal

ALARM_AUC = 0.95
LEVELS = 20
DISTINCT_SHARE = 0.5
OUTCOME_WORDS = (
    "churn",
    "attrition",
    "cancel",
    "terminat",
    "deactivat",
    "disconnect",
    "reason",
    "score",
    "satisfaction",
    "status",
    "label",
    "outcome",
)


def name_refusal(feature: Feature) -> Refusal | None:
    """A name that states the outcome, unless a reviewer has written down why this one does not."""
    plain = "".join(c for c in feature.name.lower() if c.isalnum())
    word = next((word for word in OUTCOME_WORDS if word in plain), None)
    if word is None or feature.reviewed:
        return None
    return Refusal(
        feature.name, f"its name says {word!r}, a word for the outcome; if it is none, say why in `reviewed`"
    )


def _rank_auc(values: Floats, churned: Integers) -> float:
    churners = int(churned.sum())
    stayers = len(churned) - churners
    area = (float(midranks(values)[churned == 1].sum()) / churners - (churners + 1) / 2.0) / stayers
    return max(area, 1.0 - area)


def _levels(feature: Feature, column: Any) -> Integers:
    """The column as levels 0..L-1, missing being a level of its own."""
    if feature.kind is Kind.CATEGORICAL:
        order = {value: i for i, value in enumerate(dict.fromkeys(column.tolist()))}
        return np.array([order[value] for value in column.tolist()], dtype=np.int64)
    absent = np.isnan(column)
    if absent.all():
        return np.zeros(len(column), dtype=np.int64)
    edges = np.unique(np.quantile(column[~absent], np.linspace(0.0, 1.0, LEVELS + 1)[1:-1]))
    levels = np.searchsorted(edges, np.where(absent, 0.0, column), side="left") + 1
    return np.where(absent, 0, levels).astype(np.int64)


def single_feature_auc(feature: Feature, column: Any, churned: Integers) -> float:
    """How well one column alone tells churners from stayers, in [0.5, 1]; missing counts as information.

    The larger of the AUC of the churn rate of its levels (rates learnt on the other half of the rows, so that many
    levels do not flatter) and, for numbers, the AUC of the value itself in either direction.
    """
    levels = _levels(feature, column)
    half = np.random.default_rng(0).permutation(len(churned)) % 2
    prior, rate = float(churned.mean()), np.empty(len(churned))
    for k in (0, 1):
        learn = half != k
        count = np.bincount(levels[learn], minlength=int(levels.max()) + 1)
        hits = np.bincount(levels[learn], weights=churned[learn], minlength=int(levels.max()) + 1)
        rate[half == k] = ((hits + prior) / (count + 1.0))[levels[half == k]]
    best = _rank_auc(rate, churned)
    if feature.kind is Kind.NUMERIC:
        for filler in (-np.inf, np.inf):
            best = max(best, _rank_auc(np.where(np.isnan(column), filler, column), churned))
    return best


def refusals(frame: Frame, churned: Integers) -> tuple[Refusal, ...]:
    """Everything about these labelled rows that would make the evaluation a lie; empty when nothing was found."""
    found: list[Refusal] = []
    both = 0 < int(churned.sum()) < len(churned)
    for feature in frame.specification.features:
        named = name_refusal(feature)
        if named is not None:
            found.append(named)
            continue
        column = frame.columns[feature.name]
        if feature.kind is Kind.CATEGORICAL:
            distinct = len({value for value in column.tolist() if value is not None})
            if distinct > max(LEVELS, DISTINCT_SHARE * len(column)):
                found.append(Refusal(feature.name, f"{distinct} values in {len(column)} rows identify the customer"))
                continue
        area = single_feature_auc(feature, column, churned) if both else 0.5
        if area > ALARM_AUC:
            why = f"alone it separates churners with AUC {area:.3f} > {ALARM_AUC}: it looks written after the fact"
            found.append(Refusal(feature.name, why, area))
    twice = [key for key, count in Counter(zip(frame.ids, frame.as_of, strict=True)).items() if count > 1]
    if twice:
        found.append(
            Refusal("id", f"{len(twice)} customers occur twice at one as_of (first {twice[0][0]}): no resampled rows")
        )
    return tuple(found)


def guard(frame: Frame, churned: Integers) -> None:
    """Raise LeakageError naming every refused column."""
    found = refusals(frame, churned)
    if found:
        raise LeakageError(*found)
