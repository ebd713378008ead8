"""What people answered: NPS, CSAT and CES, each with its interval, and nothing at all from too few answers.

"Net Promoter", "Net Promoter Score" and "NPS" are marks of their owners; here NPS is the name of the metric.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Z95 = 1.959963984540054
MIN_ANSWERS = 10


class Group(StrEnum):
    """Where an answer of 0..10 to the question of recommending puts its giver."""

    DETRACTOR = "detractor"
    PASSIVE = "passive"
    PROMOTER = "promoter"


@dataclass(frozen=True, slots=True)
class Share:
    """A proportion with its 95 % interval, None from too few answers; `refused` answers were not on the scale."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Nps:
    """Net promoter score, -100..100, with its 95 % interval and how that was made; None from too few answers."""

    value: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    method: Literal["normal", "jeffreys"] | None
    n: int
    effective_n: float
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Ces:
    """Customer effort score 2.0: mean of 1..7 (7 = easy) with its 95 % interval, and the share of 5 and more."""

    value: float | None
    low: float | None
    high: float | None
    top_box: Share
    n: int
    refused: int = 0


def group(answer: int) -> Group | None:
    """0-6 detractor, 7-8 passive, 9-10 promoter; None for what is not on the scale."""
    if not 0 <= answer <= 10:
        return None
    return Group.PROMOTER if answer >= 9 else Group.PASSIVE if answer >= 7 else Group.DETRACTOR


def wilson(successes: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Score interval of a proportion of `n` > 0 (Wilson, 1927): within 0..1, of some width even at 0 and n."""
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def share(successes: int, n: int, refused: int = 0, min_n: int = MIN_ANSWERS) -> Share:
    """A proportion with its Wilson interval."""
    if n < max(min_n, 1):
        return Share(None, None, None, n, refused)
    low, high = wilson(successes, n)
    return Share(successes / n, low, high, n, refused)


def nps(answers: Iterable[int], weights: Iterable[float] | None = None, min_n: int = MIN_ANSWERS) -> Nps:
    """NPS = 100 (p - d) of answers 0..10, weighed where weights (post-stratification) are given.

    Standard error 100 sqrt((p + d - (p-d)^2) / n), n effective = (sum w)^2 / sum w^2. The interval is the normal one;
    when a group holds fewer than five answers it is that of the multinomial posterior under Jeffreys' prior instead,
    because the normal one shrinks to nothing when all answer alike.
    """
    totals = dict.fromkeys(Group, 0.0)
    heads = dict.fromkeys(Group, 0)
    refused, squares = 0, 0.0
    given = list(answers)
    weighed = [1.0] * len(given) if weights is None else list(weights)
    for answer, weight in zip(given, weighed, strict=True):
        of = group(answer)
        if of is None or not (math.isfinite(weight) and weight > 0):
            refused += 1
            continue
        totals[of] += weight
        heads[of] += 1
        squares += weight**2
    n, total = sum(heads.values()), math.fsum(totals.values())
    effective = total**2 / squares if n else 0.0
    if n < max(min_n, 1):
        return Nps(None, None, None, None, None, n, effective, refused)
    p, d = totals[Group.PROMOTER] / total, totals[Group.DETRACTOR] / total
    value = p - d
    error = math.sqrt(max(p + d - value**2, 0.0) / effective)
    if min(heads.values()) >= 5:
        low, high, method = value - Z95 * error, value + Z95 * error, "normal"
    else:
        low, high = _jeffreys(p * effective, d * effective, effective)
        method = "jeffreys"
    return Nps(
        value=100 * value,
        low=100 * max(-1.0, min(low, value)),
        high=100 * min(1.0, max(high, value)),
        standard_error=100 * error,
        method="normal" if method == "normal" else "jeffreys",
        n=n,
        effective_n=effective,
        refused=refused,
    )


def _jeffreys(promoters: float, detractors: float, n: float) -> tuple[float, float]:
    """Mean +- 1.96 sd of p - d when (p, passive, d) is Dirichlet with half an answer added to each of the three."""
    total = n + 1.5
    p, d = (promoters + 0.5) / total, (detractors + 0.5) / total
    half = Z95 * math.sqrt((p + d - (p - d) ** 2) / (total + 1))
    return p - d - half, p - d + half


def nps_difference(one: Nps, other: Nps) -> float | None:
    """z of the difference of two independent NPS: (a - b) / sqrt(SEa^2 + SEb^2); |z| > 1.96 tells them apart.

    None when one is not known, or when neither varies.
    """
    if one.value is None or other.value is None or one.standard_error is None or other.standard_error is None:
        return None
    error = math.hypot(one.standard_error, other.standard_error)
    return (one.value - other.value) / error if error > 0 else None


def csat(answers: Iterable[int], min_n: int = MIN_ANSWERS) -> Share:
    """Customer satisfaction: the share of 4 and 5 among answers 1..5, with its Wilson interval."""
    given = list(answers)
    valid = [answer for answer in given if 1 <= answer <= 5]
    return share(sum(answer >= 4 for answer in valid), len(valid), len(given) - len(valid), min_n)


def ces(answers: Iterable[int], min_n: int = MIN_ANSWERS) -> Ces:
    """Customer effort score: the mean of answers 1..7, +- 1.96 standard errors; the share of 5 and more beside it.

    The standard deviation counts as at least that of one answer beside the others, so that equal answers leave a width.
    """
    given = list(answers)
    valid = [answer for answer in given if 1 <= answer <= 7]
    n, refused = len(valid), len(given) - len(valid)
    top_box = share(sum(answer >= 5 for answer in valid), n, refused, min_n)
    if n < max(min_n, 2):
        return Ces(None, None, None, top_box, n, refused)
    mean = math.fsum(valid) / n
    variance = math.fsum((answer - mean) ** 2 for answer in valid) / (n - 1)
    half = Z95 * math.sqrt(max(variance, 1 / n) / n)
    return Ces(mean, max(1.0, mean - half), min(7.0, mean + half), top_box, n, refused)
