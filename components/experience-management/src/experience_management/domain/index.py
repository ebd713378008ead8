"""The experience index: KQIs of a subject, scored and weighed by a specification that is data, into 0..100.

A score tells its coverage and what each contributor took from 100. What is missing lowers the coverage, not the score.
The score of a thing is that of its worst contributor; a thing has no opinion, so no opinion score may enter it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experience_management.domain.qoe import kqi_score

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

WEIGHT_TOLERANCE = 1e-3
Bands = tuple[tuple[float, str], ...]
BANDS: Bands = ((85.0, "excellent"), (70.0, "good"), (50.0, "fair"), (30.0, "poor"), (0.0, "bad"))


class SubjectKind(StrEnum):
    PERSON = "person"
    THING = "thing"


@dataclass(frozen=True, slots=True)
class Kqi:
    """A key quality indicator an index may use. `opinion`: a person's judgement or the prediction of one."""

    name: str
    unit: str
    opinion: bool = False


_KQIS = (
    Kqi("voice.mos", "MOS", opinion=True),
    Kqi("video.mos", "MOS", opinion=True),
    Kqi("web.mos", "MOS", opinion=True),
    Kqi("csat_ratio", "ratio", opinion=True),
    Kqi("ces", "1..7", opinion=True),
    Kqi("latency_ms", "ms"),
    Kqi("latency_p99_ms", "ms"),
    Kqi("jitter_ms", "ms"),
    Kqi("loss_ratio", "ratio"),
    Kqi("packet_error_ratio", "ratio"),
    Kqi("throughput_mbps", "Mbit/s"),
    Kqi("availability_ratio", "ratio"),
    Kqi("survival_time_miss_ratio", "ratio"),
    Kqi("success_ratio", "ratio"),
    Kqi("drop_ratio", "ratio"),
    Kqi("setup_time_s", "s"),
    Kqi("DRB.UEThpDl", "Mbit/s"),
    Kqi("DRB.AirIfDelayDl", "ms"),
    Kqi("DRB.PacketLossRateUl", "%"),
    Kqi("Voice.CallSetupSuccessRatio", "%"),
    Kqi("Video.StallRatio", "%"),
    Kqi("Video.StartTime", "s"),
    Kqi("Web.PageSessionTime", "s"),
    Kqi("Thing.Availability", "%"),
    Kqi("Thing.DeadlineMissRatio", "%"),
    Kqi("care_wait_s", "s"),
    Kqi("first_contact_resolution_ratio", "ratio"),
    Kqi("complaints_per_month", "1/month"),
)
KQIS: Mapping[str, Kqi] = MappingProxyType({kqi.name: kqi for kqi in _KQIS})


@dataclass(frozen=True, slots=True)
class Contributor:
    """One KQI in an index: score 0 at `bad` and beyond, 100 at `good` and beyond, in the unit of the KQI."""

    kqi: str
    weight: float
    bad: float
    good: float


@dataclass(frozen=True, slots=True)
class Specification:
    """What an index is made of. The weights sum to 1; below `min_coverage` there is no score."""

    name: str
    version: str
    subject: SubjectKind
    contributors: tuple[Contributor, ...]
    min_coverage: float = 0.5
    bands: Bands = BANDS


@dataclass(frozen=True, slots=True)
class SpecificationFault:
    """What is wrong with a specification, by attribute (`contributor[2].weight`)."""

    attribute: str
    reason: str


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one contributor took: `lost` points of 100, with the value, its score and the weight it had after all."""

    kqi: str
    value: float
    score: float
    weight: float
    lost: float


@dataclass(frozen=True, slots=True)
class Score:
    """The index of one subject. `value` None: not enough data. The `lost` of all contributions sum to 100 - value.

    `contributions` with the greatest loss first; `missing` are the KQIs without value.
    """

    value: float | None
    band: str | None
    coverage: float
    subject: SubjectKind
    specification: str
    version: str
    contributions: tuple[Contribution, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The index of many subjects: value, coverage (subjects,), the others (subjects, contributors); NaN where none."""

    value: Floats
    coverage: Floats
    score: Floats
    weight: Floats
    lost: Floats


def specification_of(
    document: Mapping[str, Any], known: Mapping[str, Kqi] = KQIS
) -> Specification | tuple[SpecificationFault, ...]:
    """A specification from its document, or everything that is wrong with it.

    Attributes: name, version, subjectKind (person or thing), contributor (list of kqi, weight, bad, good), minCoverage.
    Weights sum to 1 within 0.001 and are then made to sum to 1 exactly; when no contributor has one, they weigh alike.
    """
    faults: list[SpecificationFault] = []

    def wrong(attribute: str, reason: str) -> None:
        faults.append(SpecificationFault(attribute, reason))

    def number(holder: Mapping[str, Any], name: str, path: str) -> float:
        given = holder.get(name)
        if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
            wrong(f"{path}{name}", "missing" if given is None else "a finite number is required")
            return math.nan
        return float(given)

    for attribute in ("name", "version"):
        if not isinstance(document.get(attribute), str) or not document[attribute]:
            wrong(attribute, "a non-empty string is required")
    kind = document.get("subjectKind")
    if kind not in list(SubjectKind):
        wrong("subjectKind", f"one of {', '.join(SubjectKind)} is required")
    min_coverage = number(document, "minCoverage", "") if "minCoverage" in document else 0.5
    if not 0 <= min_coverage <= 1:
        wrong("minCoverage", "must lie in 0..1")

    given = document.get("contributor")
    parts = given if isinstance(given, list) else []
    if not parts:
        wrong("contributor", "at least one is required")
    unweighted = all(isinstance(part, Mapping) and "weight" not in part for part in parts)
    contributors: list[Contributor] = []
    for index, part in enumerate(parts):
        path = f"contributor[{index}]."
        if not isinstance(part, Mapping):
            wrong(path[:-1], "an object is required")
            continue
        kqi = known.get(part["kqi"]) if isinstance(part.get("kqi"), str) else None
        if kqi is None:
            wrong(f"{path}kqi", f"{part.get('kqi')!r} is no known KQI")
        elif kqi.name in {one.kqi for one in contributors}:
            wrong(f"{path}kqi", f"{kqi.name} is given twice")
        elif kqi.opinion and kind == SubjectKind.THING:
            wrong(f"{path}kqi", f"{kqi.name} is an opinion; things have none")
        weight = 1 / len(parts) if unweighted else number(part, "weight", path)
        if weight < 0:
            wrong(f"{path}weight", "must not be negative")
        bad, good = number(part, "bad", path), number(part, "good", path)
        if bad == good:
            wrong(f"{path}good", "must differ from bad")
        contributors.append(Contributor(kqi.name if kqi else "", weight, bad, good))
    total = math.fsum(one.weight for one in contributors)
    if contributors and abs(total - 1) > WEIGHT_TOLERANCE:
        wrong("contributor", f"the weights sum to {total:g}, not to 1")
    if faults:
        return tuple(faults)
    weighed = tuple(Contributor(one.kqi, one.weight / total, one.bad, one.good) for one in contributors)
    return Specification(document["name"], document["version"], SubjectKind(str(kind)), weighed, min_coverage)


def scored(specification: Specification, values: Floats) -> Scores:
    """The index of many subjects from KQI values of shape (subjects, contributors), NaN where one is missing.

    A person's is the weighted mean of the scores that are known, the weights made to sum to 1 again; a thing's is the
    least of them. `lost` are exact additive contributions: value = 100 - sum of lost (for a thing all at the least).
    """
    parts = specification.contributors
    score = kqi_score(values, np.array([part.bad for part in parts]), np.array([part.good for part in parts]))
    weight = np.where(np.isnan(score), 0.0, np.array([part.weight for part in parts]))
    coverage = weight.sum(axis=1)
    enough = (coverage >= specification.min_coverage - 1e-12) & (coverage > 0)
    if specification.subject is SubjectKind.THING:
        least = np.argmin(np.where(np.isnan(score), np.inf, score), axis=1)
        weight = (np.arange(len(parts)) == least[:, None]).astype(np.float64)
    else:
        weight = weight / np.where(coverage > 0, coverage, 1.0)[:, None]
    lost = weight * (100.0 - np.nan_to_num(score, nan=100.0))
    return Scores(
        value=np.where(enough, np.clip(100.0 - lost.sum(axis=1), 0.0, 100.0), np.nan),
        coverage=np.minimum(coverage, 1.0),
        score=score,
        weight=np.where(enough[:, None], weight, np.nan),
        lost=np.where(enough[:, None], lost, np.nan),
    )


def score(specification: Specification, values: Mapping[str, float | None]) -> Score:
    """The index of one subject from its KQI values by name; a KQI that is absent or None is missing."""
    parts = specification.contributors
    given = [values.get(part.kqi) for part in parts]
    row = np.array([[math.nan if value is None else value for value in given]], dtype=np.float64)
    result = scored(specification, row)
    value = float(result.value[0])
    found = not math.isnan(value)
    contributions = [
        Contribution(part.kqi, float(at), float(points), float(weight), float(lost))
        for part, at, points, weight, lost in zip(
            parts, row[0], result.score[0], result.weight[0], result.lost[0], strict=True
        )
        if found and not math.isnan(at)
    ]
    return Score(
        value=value if found else None,
        band=band(value, specification.bands) if found else None,
        coverage=float(result.coverage[0]),
        subject=specification.subject,
        specification=specification.name,
        version=specification.version,
        contributions=tuple(sorted(contributions, key=lambda one: -one.lost)),
        missing=tuple(part.kqi for part, at in zip(parts, row[0], strict=True) if math.isnan(at)),
    )


def band(value: float, bands: Bands = BANDS) -> str:
    """The name of the band a score lies in: the first whose lower end it reaches."""
    return next((name for low, name in bands if value >= low), bands[-1][1])


@dataclass(frozen=True, slots=True, eq=False)
class RollUps:
    """Roll-up of the scores of many groups, shape (groups,); NaN where a group has no score."""

    value: Floats
    mean: Floats
    p10: Floats
    n: Integers


def rolled_up(group: ArrayLike, scores: ArrayLike, groups: int, mean_share: float = 0.7) -> RollUps:
    """mean_share x mean + (1 - mean_share) x p10 of the scores of each group: the bad ones are remembered longer.

    `group` (0..groups-1) and `scores` (NaN: left out) run in parallel; p10 is nearest-rank. The mean of groups weighed
    by n is the mean of all; the p10 of all cannot be had from the groups, so roll up scores, not roll-ups.
    """
    values, place = np.asarray(scores, dtype=np.float64), np.asarray(group, dtype=np.int64)
    known = ~np.isnan(values)
    values, place = values[known], place[known]
    order = np.lexsort((values, place))
    found, first, counts = np.unique(place[order], return_index=True, return_counts=True)
    n = np.zeros(groups, dtype=np.int64)
    mean, p10 = np.full(groups, np.nan), np.full(groups, np.nan)
    if len(found):
        ordered = values[order]
        n[found] = counts
        # A sum of rounded numbers may leave the range of what was summed by a last bit.
        mean[found] = np.clip(np.add.reduceat(ordered, first) / counts, ordered[first], ordered[first + counts - 1])
        p10[found] = ordered[first + np.ceil(counts / 10).astype(np.int64) - 1]
    return RollUps(mean_share * mean + (1 - mean_share) * p10, mean, p10, n)


@dataclass(frozen=True, slots=True)
class Decayed:
    """A mean in which old values count less, and how many equally weighed values it is worth."""

    value: float
    effective_n: float


def decayed_mean(values: ArrayLike, age_s: ArrayLike, half_life_s: float) -> Decayed | None:
    """Exponentially weighted mean: a value counts 2^(-age / half life); NaN left out, None when nothing is left.

    With regular windows it is the EWMA of smoothing 1 - 2^(-window / half life). effective_n = (sum w)^2 / sum w^2.
    """
    given, age = np.asarray(values, dtype=np.float64), np.asarray(age_s, dtype=np.float64)
    known = ~np.isnan(given)
    if not known.any():
        return None
    # Ages relative to the newest value: the same weights, and no underflow to a sum of nothing.
    weight = np.exp2(-(age[known] - age[known].min()) / half_life_s)
    total = float(weight.sum())
    mean = float(np.clip((weight * given[known]).sum() / total, given[known].min(), given[known].max()))
    return Decayed(mean, total**2 / float(np.square(weight).sum()))


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a subject (or a segment) is used to: mean and standard deviation of its scores, and how many made them."""

    mean: float
    sd: float
    n: float


def remembered(baseline: Baseline | None, value: float, smoothing: float) -> Baseline:
    """The baseline after one more score: exponentially weighted mean and variance (West, 1979)."""
    if baseline is None:
        return Baseline(value, 0.0, 1.0)
    difference = value - baseline.mean
    variance = (1 - smoothing) * (baseline.sd**2 + smoothing * difference**2)
    return Baseline(baseline.mean + smoothing * difference, math.sqrt(variance), baseline.n + 1)


def perceived(value: float, own: Baseline | None, segment: Baseline | None, min_sd: float = 1.0) -> float | None:
    """How a score feels to one who is used to `own`: 100 Phi((value - mu) / sigma), 50 = as always.

    mu and sigma are those of the subject and of its segment, each weighed by its n: a new subject is judged by its
    segment. None when neither is known. A separate number: it never replaces the absolute score.
    """
    bases = [base for base in (own, segment) if base is not None and base.n > 0]
    n = math.fsum(base.n for base in bases)
    if not bases:
        return None
    mu = math.fsum(base.n * base.mean for base in bases) / n
    variance = math.fsum(base.n * base.sd**2 for base in bases) / n
    z = (value - mu) / max(math.sqrt(variance), min_sd)
    return 50.0 * math.erfc(-z / math.sqrt(2))


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval of a mean score, within 0..100, with the number of samples behind it."""

    low: float
    high: float
    n: int


def interval(mean: float, sd: float, n: int, min_n: int = 5, min_sd: float = 1.0) -> Interval | None:
    """mean +- t sd / sqrt(n), t the 97.5 % quantile of Student's distribution; None for fewer than `min_n` samples.

    The quantile is its expansion in 1/(n-1) around the normal one (Abramowitz and Stegun 26.7.5), within 0.01 from
    n = 5 on. Scores that happen to be equal are not known better than `min_sd` tells.
    """
    if n < max(min_n, 5):
        return None
    z, v = 1.959963984540054, n - 1
    t = (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )
    half = t * max(sd, min_sd) / math.sqrt(n)
    return Interval(max(0.0, mean - half), min(100.0, mean + half), n)
