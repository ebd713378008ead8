"""The last seven days of a customer's experience: what the operator's snapshot said, moved by the scores since.

A snapshot is a summary taken once; experience scores arrive one by one, each over a window of its own. Here the second
is joined to the first, so that the features a model learnt from snapshots stay true between two of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

DAYS = 7
WEEK = timedelta(days=DAYS)
DAY = timedelta(days=1)

MEAN, WORST, TREND = "experience_mean_7d", "experience_min_7d", "experience_trend_7d"
SERVICES = "services"

REVIEWED: Mapping[str, str] = {
    MEAN: "mean experience of the week before the as-of instant; measured in the network, not told by the outcome",
    WORST: "worst experience of the week before the as-of instant; measured in the network, not told by the outcome",
    TREND: "slope of the experience of the week before the as-of instant; measured in the network",
    "experience_baseline": "experience of the four weeks before the last week; measured in the network",
}


@dataclass(frozen=True, slots=True)
class Observation:
    """Score 0..100 of one service of the customer over [start, end)."""

    service: str
    start: datetime
    end: datetime
    score: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The operator's own summary of the week; None where it told nothing. `services`: how many the customer has."""

    mean: float | None
    worst: float | None
    trend: float | None
    services: float | None


def week(snapshot: Snapshot, observed: Sequence[Observation], at: datetime) -> dict[str, float | None]:
    """The features as of `at`, from the observations that end in (at - 7 d, at].

    experience_min_7d: the smallest score observed and the snapshot's. experience_mean_7d: the snapshot's mean, plus
    the time-weighted mean over the week and over the services of (score - snapshot's mean): a service is taken to have
    been as usual where no score speaks of it, and of two scores over the same time the one that ends later counts.
    experience_trend_7d: the snapshot's slope plus the least-squares slope, points a day, of the same deviations by day.
    Without a snapshot's mean there is no mean, and the trend is the snapshot's. Rounded to 4 decimals.
    """
    begin = at - WEEK
    recent = sorted((o for o in observed if begin < o.end <= at), key=lambda o: (o.service, o.end, o.start))
    worst = min((o.score for o in recent), default=None)
    if snapshot.worst is not None:
        worst = snapshot.worst if worst is None else min(worst, snapshot.worst)
    if snapshot.mean is None:
        return {MEAN: None, WORST: _rounded(worst), TREND: _rounded(snapshot.trend)}
    services = max(1.0, snapshot.services or 0.0, float(len({o.service for o in recent})))
    deviation = [0.0] * DAYS
    heard: dict[str, datetime] = {}
    for o in recent:
        start = max(o.start, begin, heard.get(o.service, begin))
        heard[o.service] = o.end
        for day in range(DAYS):
            share = (min(o.end, begin + (day + 1) * DAY) - max(start, begin + day * DAY)) / DAY
            deviation[day] += max(0.0, share) * (o.score - snapshot.mean) / services
    centred = [day - (DAYS - 1) / 2.0 for day in range(DAYS)]
    slope = sum(c * d for c, d in zip(centred, deviation, strict=True)) / sum(c * c for c in centred)
    return {
        MEAN: _rounded(snapshot.mean + sum(deviation) / DAYS),
        WORST: _rounded(worst),
        TREND: None if snapshot.trend is None else _rounded(snapshot.trend + slope),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
