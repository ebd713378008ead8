"""Where a breach comes from: the element (cell, area, slice, service) whose failing explains the deviations best.

One fault at a time: a single element, or several elements of one dimension. Each leaf's deviation from its baseline is
compared with the scatter of the leaves that got no worse, the mirror idea of RiskLoc (Kalander, 2022); explanatory
power is Adtributor's (Bhagwan et al., NSDI 2014). Not found here: faults at a crossing of two dimensions, faults of
different dimensions at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from service_quality.domain.kpi import Direction

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_MIN_LEAVES = 8  # fewer leaves leave no normal side to compare with
_HIT_SHARES = np.array([0.95, 0.5, 0.2])  # share of an element's leaves that a fault in it hits,
_SHARE_PRIOR = np.array([0.9, 0.07, 0.03])  # and how often: what fails mostly fails for all that depend on it
_FALSE_ALARM = 1e-4  # leaves far off without a cause; rare, because a breach was confirmed over windows before we look
_SPAN = 40.0  # a fault moves a leaf by up to so many scatters, all sizes as likely as any other
_TAIL = 4.0  # degrees of freedom of the scatter: heavier than normal, as KPIs are


class Finding(StrEnum):
    LOCATED = "located"
    SEVERAL = "several"  # elements that have no element in common
    NO_DEVIATION = "noDeviation"
    NOT_ENOUGH_DATA = "notEnoughData"


@dataclass(frozen=True, slots=True, order=True)
class Element:
    """A value of a dimension: cell=cell-017."""

    dimension: str
    value: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """One candidate: the elements said to fail, what share of the total change lies in them, and its probability."""

    elements: tuple[Element, ...]
    explanatory_power: float
    confidence: float
    leaves: int
    leaves_deviating: int


@dataclass(frozen=True, slots=True)
class Localisation:
    """The answer. `root` is the element to look at, `elements` those that fail: the root itself, or several in it."""

    finding: Finding
    root: Element | None
    elements: tuple[Element, ...]
    explanatory_power: float | None
    confidence: float | None
    leaves_known: int
    leaves_deviating: int
    evidence: tuple[Explanation, ...]


def locate(
    attributes: Mapping[str, Sequence[str]],
    value: Floats,
    baseline: Floats,
    direction: Direction,
    *,
    weight: Floats | None = None,
    spread: Floats | None = None,
    min_confidence: float = 0.6,
) -> Localisation:
    """The root element of a deviation. One entry per leaf in every argument; a leaf is, say, one service in one cell.

    `attributes`: dimension -> element of each leaf ("" where the dimension does not apply). Elements with the very same
    leaves cannot be told apart: the dimension named first is answered, so name resources before services. `value` and
    `baseline` in any unit, NaN where not known; `spread` is the standard deviation of each leaf around its baseline
    where history gives it, else leaves are compared by the logarithm of value over baseline. `weight` (samples, users)
    counts in the explanatory power only.

    The confidence is the posterior probability of the explanation among one set of elements per dimension, single
    elements and "nothing failed", all described at the cost of naming their elements.
    """
    dimensions = {name: np.asarray(values, dtype=np.str_) for name, values in attributes.items()}
    known = ~(np.isnan(value) | np.isnan(baseline))
    leaves = int(known.sum())
    if leaves < _MIN_LEAVES:
        return Localisation(Finding.NOT_ENOUGH_DATA, None, (), None, None, leaves, 0, ())
    dimensions = {name: values[known] for name, values in dimensions.items()}
    value, baseline = value[known], baseline[known]
    worse = (baseline - value) if direction is Direction.HIGHER else (value - baseline)
    deviation = _deviation(worse, value, baseline, None if spread is None else spread[known])
    z = deviation / _scatter(deviation)
    inside, outside = _log_likelihoods(z)
    change = worse if weight is None else worse * weight[known]
    deviating = z > _deviating_from(z)

    candidates = [_Candidate("", (), float(outside.sum()), np.zeros(leaves, dtype=np.bool_))]
    for name, values in dimensions.items():
        candidates += _candidates(name, values, inside, outside)
    candidates = _distinct(candidates)
    scores = np.array([candidate.score for candidate in candidates])
    posterior = np.exp(scores - scores.max())
    posterior /= posterior.sum()

    explained = [
        _explanation(candidate, probability, change, deviating)
        for candidate, probability in sorted(
            zip(candidates, posterior.tolist(), strict=True), key=lambda pair: -pair[1]
        )[:3]
        if candidate.elements
    ]
    best = candidates[int(np.argmax(posterior))]
    total = int(deviating.sum())
    if not best.elements:
        confidence = float(posterior.max())
        return Localisation(Finding.NO_DEVIATION, None, (), None, confidence, leaves, total, tuple(explained))
    root = _common(best, dimensions)
    agreeing = sum(p for c, p in zip(candidates, posterior.tolist(), strict=True) if _common(c, dimensions) == root)
    found = explained[0]
    finding = Finding.SEVERAL if root is None else Finding.LOCATED
    if root is not None and agreeing < min_confidence:
        finding, root = Finding.NOT_ENOUGH_DATA, None
    return Localisation(
        finding=finding,
        root=root,
        elements=found.elements,
        explanatory_power=found.explanatory_power,
        confidence=agreeing if finding is not Finding.SEVERAL else found.confidence,
        leaves_known=leaves,
        leaves_deviating=total,
        evidence=tuple(explained),
    )


def explanatory_power(change: Floats, inside: Flags) -> float:
    """The share of the total change that lies in a set of leaves: (A_ij - F_ij) / (A - F) of Adtributor.

    May leave 0..1 when changes of both signs meet; 0 when nothing changed in total.
    """
    total = float(change.sum())
    return float(change[inside].sum()) / total if total else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    dimension: str
    elements: tuple[str, ...]
    score: float
    inside: Flags


def _deviation(worse: Floats, value: Floats, baseline: Floats, spread: Floats | None) -> Floats:
    """How much worse each leaf is: in its own spreads, else by the logarithm of value over baseline.

    RiskLoc's 2(f-v)/(f+v) ends at 2: it could not tell a loss of 60 times the usual from one of 10. A twentieth of the
    middle value is added to both, so that leaves near 0 do not count as far off. Where values below 0 occur, all are
    compared as they are.
    """
    if spread is not None:
        return worse / np.maximum(spread, 1e-12)
    if value.min() < 0 or baseline.min() < 0:
        return worse
    floor = 0.05 * float(np.median(np.maximum(value, baseline)))
    if floor == 0:
        return worse
    return np.asarray(np.sign(worse) * np.abs(np.log((value + floor) / (baseline + floor))))


def _scatter(deviation: Floats) -> float:
    """The scatter of the leaves that did not get worse: they carry no fault, however many others do.

    Median of their |deviation| over the normal distribution's; without such leaves the fault is everywhere and a small
    constant stands in, so that all leaves deviate alike.
    """
    better = np.abs(deviation[deviation <= 0])
    scatter = float(np.median(better)) / 0.6745 if len(better) >= 3 else 0.0
    return max(scatter, 1e-3 * float(np.abs(deviation).max()), 1e-12)


def _deviating_from(z: Floats) -> float:
    """The cut between normal and deviating: four scatters, or as far as the best leaves lie on the other side."""
    return max(4.0, float(np.quantile(-z, 0.995)))


def _log_likelihoods(z: Floats) -> tuple[Floats, Floats]:
    """Log-likelihood of each leaf inside a failing element, shape (shares, leaves), and outside of it, shape (leaves,).

    Normal leaves follow Student's t with 4 degrees of freedom, hit leaves are worse by anything up to _SPAN scatters.
    """
    constant = math.lgamma((_TAIL + 1) / 2) - math.lgamma(_TAIL / 2) - 0.5 * math.log(_TAIL * math.pi)
    normal = constant - (_TAIL + 1) / 2 * np.log1p(np.square(z) / _TAIL)
    # From the middle of the scatter on, a hit leaf cannot be told by its size: only by not being a normal one.
    hit = np.where(z > 0, -math.log(_SPAN) + np.minimum(0.0, 2.0 * np.log(np.maximum(z, 1e-9) / 2.0)), -50.0)
    outside = np.logaddexp(math.log1p(-_FALSE_ALARM) + normal, math.log(_FALSE_ALARM) + hit)
    shares = _HIT_SHARES[:, None]
    inside = np.logaddexp(np.log(shares) + hit, np.log1p(-shares) + normal)
    return inside, outside


def _candidates(name: str, values: NDArray[np.str_], inside: Floats, outside: Floats) -> list[_Candidate]:
    """The explanations of one dimension: its best set of elements, and each of its three best elements alone."""
    elements, index = np.unique(values, return_inverse=True)
    gains = np.stack([np.bincount(index, weights=row - outside, minlength=len(elements)) for row in inside])
    gain = np.logaddexp.reduce(gains + np.log(_SHARE_PRIOR)[:, None], axis=0)
    gain[elements == ""] = -np.inf
    naming = math.log(len(elements)) + math.log(2.0)  # which element, and that one more is named
    order = np.argsort(-gain, kind="stable")
    helpful = [int(place) for place in order if gain[place] > naming]
    sets = [[place] for place in helpful[:3]] or [[int(place)] for place in order[:1] if gain[place] > -np.inf]
    if len(helpful) > 1:
        sets.append(helpful)
    base = float(outside.sum())
    return [
        _Candidate(
            dimension=name,
            elements=tuple(str(elements[place]) for place in sorted(chosen)),
            score=base + sum(float(gain[place]) - naming for place in chosen),
            inside=np.isin(index, chosen),
        )
        for chosen in sets
    ]


def _distinct(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """One candidate per set of leaves: the single element of the dimension named first, else the first set."""
    chosen: dict[bytes, _Candidate] = {}
    for candidate in candidates:
        leaves = candidate.inside.tobytes()
        held = chosen.get(leaves)
        if held is None or (len(held.elements) > 1 and len(candidate.elements) == 1):
            chosen[leaves] = candidate
    return list(chosen.values())


def _explanation(candidate: _Candidate, probability: float, change: Floats, deviating: Flags) -> Explanation:
    return Explanation(
        elements=tuple(Element(candidate.dimension, element) for element in candidate.elements),
        explanatory_power=explanatory_power(change, candidate.inside),
        confidence=probability,
        leaves=int(candidate.inside.sum()),
        leaves_deviating=int((candidate.inside & deviating).sum()),
    )


def _common(candidate: _Candidate, dimensions: Mapping[str, NDArray[np.str_]]) -> Element | None:
    """The element to look at: the only one, or the one of a higher dimension that holds all of them and no less.

    A dimension is higher when each element of the candidate's dimension lies in one of its elements (cell in area).
    """
    if len(candidate.elements) == 1:
        return Element(candidate.dimension, candidate.elements[0])
    if not candidate.elements:
        return None
    own = dimensions[candidate.dimension]
    for name, values in dimensions.items():
        holders = np.unique(values[candidate.inside])
        if name != candidate.dimension and len(holders) == 1 and holders[0] and _lies_in(own, values):
            return Element(name, str(holders[0]))
    return None


def _lies_in(lower: NDArray[np.str_], higher: NDArray[np.str_]) -> bool:
    pairs = set(zip(lower.tolist(), higher.tolist(), strict=True))
    return len(pairs) == len({low for low, _ in pairs})
