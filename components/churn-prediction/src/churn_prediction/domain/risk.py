"""The assessment of one customer: how likely to leave, how sure, why, and what changed since the last time.

The reasons explain the score. They are associations in the data, not what the customer would say, and not what a change
would bring about.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from churn_prediction.domain.features import Frame
from churn_prediction.domain.predictor import Predictor

Shown = float | str | None
TOP = 5
NEGLIGIBLE = 1e-9


class Band(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Bands:
    """Critical is a probability; high and medium are odds against the base rate's, so that a 2 % base has them too."""

    critical_probability: float = 0.85
    high_odds_ratio: float = 3.0
    medium_odds_ratio: float = 1.0

    def band(self, probability: float, base_rate: float) -> Band:
        if probability >= self.critical_probability:
            return Band.CRITICAL
        odds, average = probability * (1.0 - base_rate), base_rate * (1.0 - probability)
        if odds >= self.high_odds_ratio * average:
            return Band.HIGH
        return Band.MEDIUM if odds >= self.medium_odds_ratio * average else Band.LOW


@dataclass(frozen=True, slots=True)
class Reason:
    """What one feature adds to the log-odds of leaving, against the average of training. Positive: towards leaving."""

    feature: str
    group: str
    value: Shown
    contribution: float

    @property
    def text(self) -> str:
        value = (
            "unknown" if self.value is None else f"{self.value:.10g}" if isinstance(self.value, float) else self.value
        )
        return f"{self.feature} = {value}: {math.exp(self.contribution):.2g} times the odds of leaving (average = 1)"


@dataclass(frozen=True, slots=True)
class FeatureChange:
    feature: str
    group: str
    before: Shown
    after: Shown
    contribution_change: float


@dataclass(frozen=True, slots=True)
class Change:
    """Against the previous assessment. `not_comparable` says why single features cannot be compared, else empty."""

    previous_as_of: datetime
    probability_change: float
    previous_band: Band
    features: tuple[FeatureChange, ...]
    not_comparable: str = ""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The risk of one customer with its evidence.

    average_log_odds + sum of contributions = log_odds, which the calibrator maps to probability. `reasons` are the
    largest contributions of either sign, `drivers` all of them summed by group, `unknown` the features without a usable
    value.
    """

    customer_id: str
    as_of: datetime
    probability: float
    low: float
    high: float
    band: Band
    log_odds: float
    average_log_odds: float
    reasons: tuple[Reason, ...]
    drivers: Mapping[str, float]
    contributions: Mapping[str, float]
    values: Mapping[str, Shown]
    unknown: tuple[str, ...]
    model_version: str
    change: Change | None = None

    def document(self) -> dict[str, Any]:
        """JSON-able form; `of` reads back what the next assessment compares itself with."""
        change = self.change
        return {
            "customerId": self.customer_id,
            "asOf": self.as_of.isoformat(),
            "probability": self.probability,
            "low": self.low,
            "high": self.high,
            "band": self.band.value,
            "logOdds": self.log_odds,
            "averageLogOdds": self.average_log_odds,
            "reasons": [
                {
                    "feature": r.feature,
                    "group": r.group,
                    "value": r.value,
                    "contribution": r.contribution,
                    "text": r.text,
                }
                for r in self.reasons
            ],
            "drivers": dict(self.drivers),
            "contributions": dict(self.contributions),
            "values": dict(self.values),
            "unknown": list(self.unknown),
            "modelVersion": self.model_version,
            "change": None
            if change is None
            else {
                "previousAsOf": change.previous_as_of.isoformat(),
                "probabilityChange": change.probability_change,
                "previousBand": change.previous_band.value,
                "notComparable": change.not_comparable,
                "features": [
                    {
                        "feature": f.feature,
                        "group": f.group,
                        "before": f.before,
                        "after": f.after,
                        "contributionChange": f.contribution_change,
                    }
                    for f in change.features
                ],
            },
        }

    @staticmethod
    def of(document: Mapping[str, Any]) -> Assessment:
        change = document["change"]
        return Assessment(
            document["customerId"],
            datetime.fromisoformat(document["asOf"]),
            document["probability"],
            document["low"],
            document["high"],
            Band(document["band"]),
            document["logOdds"],
            document["averageLogOdds"],
            tuple(Reason(r["feature"], r["group"], r["value"], r["contribution"]) for r in document["reasons"]),
            dict(document["drivers"]),
            dict(document["contributions"]),
            dict(document["values"]),
            tuple(document["unknown"]),
            document["modelVersion"],
            None
            if change is None
            else Change(
                datetime.fromisoformat(change["previousAsOf"]),
                change["probabilityChange"],
                Band(change["previousBand"]),
                tuple(
                    FeatureChange(f["feature"], f["group"], f["before"], f["after"], f["contributionChange"])
                    for f in change["features"]
                ),
                change["notComparable"],
            ),
        )


def _change(previous: Assessment, as_of: datetime, probability: float, now: list[Reason], version: str) -> Change:
    difference = probability - previous.probability
    if previous.model_version != version:
        why = f"the model changed from {previous.model_version[:12]} to {version[:12]}"
        return Change(previous.as_of, difference, previous.band, (), why)
    changes = [
        FeatureChange(
            r.feature, r.group, previous.values[r.feature], r.value, r.contribution - previous.contributions[r.feature]
        )
        for r in now
        if r.value != previous.values[r.feature]
    ]
    changes.sort(key=lambda c: -abs(c.contribution_change))
    return Change(previous.as_of, difference, previous.band, tuple(changes))


def assess(
    predictor: Predictor, frame: Frame, previous: Mapping[str, Assessment] | None = None, bands: Bands | None = None
) -> list[Assessment]:
    """One assessment per row, in order. `previous` holds the last assessment by customer id, where there is one."""
    limits, before = bands or Bands(), previous or {}
    predicted, version = predictor.predict(frame), predictor.version
    features = predictor.specification.features
    contributions = predicted.scores.contributions.tolist()
    shown = [[frame.value(f.name, row) for f in features] for row in range(len(frame))]
    assessments = []
    for row, customer in enumerate(frame.ids):
        probability = float(predicted.probability[row])
        everything = [
            Reason(f.name, f.group.value, value, amount)
            for f, value, amount in zip(features, shown[row], contributions[row], strict=True)
        ]
        drivers: dict[str, float] = {}
        for reason in everything:
            drivers[reason.group] = drivers.get(reason.group, 0.0) + reason.contribution
        largest = sorted(everything, key=lambda r: -abs(r.contribution))[:TOP]
        last = before.get(customer)
        assessments.append(
            Assessment(
                customer,
                frame.as_of[row],
                probability,
                float(predicted.low[row]),
                float(predicted.high[row]),
                limits.band(probability, predictor.base_rate),
                float(predicted.scores.log_odds[row]),
                predicted.scores.average_log_odds,
                tuple(r for r in largest if abs(r.contribution) > NEGLIGIBLE),
                drivers,
                {r.feature: r.contribution for r in everything},
                {r.feature: r.value for r in everything},
                tuple(f.name for f, u in zip(features, predicted.scores.unknown[row], strict=True) if u),
                version,
                None if last is None else _change(last, frame.as_of[row], probability, everything, version),
            )
        )
    return assessments
