"""How a service felt in one window: the index of the KQIs that were measured, with decile, interval and baseline.

The bad moments are remembered longer than the good ones: a score is mean_share x (score at the mean) + the rest x
(score at the decile that is worse for the user). One window stands for all subjects of one service in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from experience_management.domain import index
from experience_management.domain.kqi import KNOWN, Z10, Level, Models, Reading, Windows, baseline_of, read

MEAN_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Plan:
    """An index and how it is read: which contributors name their own KPI, and the share of the mean in the score."""

    specification: index.Specification
    mean_share: float = MEAN_SHARE
    kpis: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """What one KQI took: `lost` points of 100; all parts sum to 100 - score. `value` is its mean in the window."""

    kqi: str
    value: float
    unit: str
    score: float
    weight: float
    lost: float
    n: int


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict on one window. `score` None: not enough data. `usual` is the same index of the time before.

    opinion  predicted mean opinion score, 1..5; persons only, and only where exactly one contributor is a MOS
    n        values behind the score: the fewest of its contributors
    """

    score: float | None
    band: str | None
    coverage: float
    n: int
    parts: tuple[Part, ...] = ()
    interval: index.Interval | None = None
    usual: float | None = None
    opinion: float | None = None
    observed_at: datetime | None = None


def assessed(plan: Plan, windows: Windows, models: Models) -> Assessment:
    """The index of one place: score, contributions, interval and what was usual there.

    The interval is that of a mean with the standard deviation (score at the better - score at the worse decile) / 2.56
    of each contributor, added up by weight as if all moved together, which bounds it from above.
    """
    mean, means = _at(plan, windows, Level.MEAN, models)
    worse, _ = _at(plan, windows, Level.WORSE, models, means)
    usual = _usual(plan, windows, models)
    observed_at = max((reading.last_observed_at for reading in means.values()), default=None)
    if mean.value is None or worse.value is None:
        return Assessment(None, None, mean.coverage, 0, usual=usual, observed_at=observed_at)
    better, _ = _at(plan, windows, Level.BETTER, models, means)
    share = plan.mean_share
    value = share * mean.value + (1 - share) * worse.value
    at_worse = {part.kqi: part for part in worse.contributions}
    at_better = {part.kqi: part for part in better.contributions}
    parts, deviation = [], 0.0
    for part in mean.contributions:
        low, high = at_worse[part.kqi], at_better[part.kqi]
        weight = share * part.weight + (1 - share) * low.weight
        deviation += weight * max(high.score - low.score, 0.0) / (2 * Z10)
        parts.append(
            Part(
                kqi=part.kqi,
                value=part.value,
                unit=KNOWN[part.kqi].unit,
                score=share * part.score + (1 - share) * low.score,
                weight=weight,
                lost=share * part.lost + (1 - share) * low.lost,
                n=means[part.kqi].n,
            )
        )
    n = min(part.n for part in parts)
    return Assessment(
        score=value,
        band=index.band(value, plan.specification.bands),
        coverage=mean.coverage,
        n=n,
        parts=tuple(sorted(parts, key=lambda part: -part.lost)),
        interval=index.interval(value, deviation, n),
        usual=usual,
        opinion=_opinion(plan.specification, mean),
        observed_at=observed_at,
    )


def _at(
    plan: Plan, windows: Windows, level: Level, models: Models, otherwise: Mapping[str, Reading] | None = None
) -> tuple[index.Score, dict[str, Reading]]:
    """The index at one level; a model that has no answer for a decile leaves the KQI at its reading `otherwise`."""
    readings = dict(otherwise or {})
    for part in plan.specification.contributors:
        better_high = part.good > part.bad
        reading = read(part.kqi, windows, level, models, higher_is_better=better_high, kpi=plan.kpis.get(part.kqi))
        if reading is not None:
            readings[part.kqi] = reading
    score = index.score(plan.specification, {kqi: reading.value for kqi, reading in readings.items()})
    return score, readings


def _usual(plan: Plan, windows: Windows, models: Models) -> float | None:
    before = {name: past for name, window in windows.items() if (past := baseline_of(window)) is not None}
    mean, means = _at(plan, before, Level.MEAN, models)
    worse, _ = _at(plan, before, Level.WORSE, models, means)
    if mean.value is None or worse.value is None:
        return None
    return plan.mean_share * mean.value + (1 - plan.mean_share) * worse.value


def _opinion(specification: index.Specification, mean: index.Score) -> float | None:
    """Opinions of different scales are never averaged: two of them leave none."""
    if specification.subject is not index.SubjectKind.PERSON:
        return None
    found = [part.value for part in mean.contributions if KNOWN[part.kqi].unit == "MOS"]
    return found[0] if len(found) == 1 else None
