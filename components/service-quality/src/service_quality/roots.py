"""Which element is at the root of violations: leaves of the ledger and the topology, judged by domain.localisation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from service_quality.domain.kpi import Direction
from service_quality.domain.localisation import Element, Finding, Flags, Floats, locate
from service_quality.topology import OWN, Topology
from tmfkit import Context

ROUNDS = 8  # faults told apart in one run; what is left is named by its own resource
LONGEST_S = 3600.0  # of the time since the first violation, so much is compared with the baseline
BASELINE_DAYS = 7
BASELINE_PAD = timedelta(minutes=30)
MIN_BASELINE = 3  # samples; fewer make no spread
MAX_SPREADS = 200.0  # a leaf is at most so far off: one that was constant would hide all others
MIN_OTHERS = 8  # series without violation; fewer tell no common drift
MIN_SHARE = 0.5  # of what an element holds has to fail before it is the root of several failing parts
NORMAL_IQR = 1.349  # interquartile range of the normal distribution, in standard deviations
MIN_SPREAD_RATIO = 0.01  # of the baseline's median, where an indicator never moved before


@dataclass(frozen=True)
class Breach:
    """An open violation that belongs to no problem yet."""

    violation_id: str
    service: str
    kpi: str
    resource: str
    better: str
    started_at: datetime
    raised_at: datetime
    traceparent: str | None


@dataclass(frozen=True)
class Root:
    """Elements of one dimension said to fail. Not `located`: what is known so far, to be looked at again."""

    dimension: str
    elements: tuple[str, ...]
    located: bool
    reason: str
    confidence: float | None = None
    explanatory_power: float | None = None


@dataclass(frozen=True, eq=False)
class Leaves:
    """One service's KPI at one resource each: `deviation` is how much worse than its baseline, in spreads (NaN: not
    known)."""

    resource: Sequence[str]
    service: Sequence[str]
    kpi: Sequence[str]
    deviation: Floats


_VALUES = """
SELECT s.id, s.resource, s.service, s.kpi, v.mean AS value, b.quartiles, b.n, d.quartiles AS day_quartiles, d.n AS day_n
FROM series s JOIN unnest($1::text[], $2::text[]) AS p (service, kpi) USING (service, kpi)
LEFT JOIN LATERAL (
  SELECT avg(value) AS mean FROM measurement m
  WHERE m.series_id = s.id AND m.observed_at >= $3 AND m.observed_at < $4
) v ON true
LEFT JOIN LATERAL (
  SELECT percentile_cont(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY m.value) AS quartiles, count(*) AS n
  FROM generate_series(1, $5::int) AS day JOIN measurement m ON m.series_id = s.id
  AND m.observed_at >= $3 - day * interval '1 day' - $6::interval
  AND m.observed_at < $4 - day * interval '1 day' + $6::interval
) b ON true
LEFT JOIN LATERAL (
  SELECT percentile_cont(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY m.value) AS quartiles, count(*) AS n
  FROM measurement m
  WHERE b.n < $7 AND m.series_id = s.id AND m.observed_at >= $3 - interval '1 day' AND m.observed_at < $3
) d ON true
"""


async def leaves(ctx: Context[Any], breaches: Sequence[Breach]) -> Leaves:
    """All series of the violated indicators since the violations began, each against the same hours of the days before
    (against the day before, where there is no such history)."""
    better = {(b.service, b.kpi): b.better for b in breaches}
    ends = max(b.raised_at for b in breaches)
    begins = max(min(b.started_at for b in breaches), ends - timedelta(seconds=LONGEST_S))
    pairs = sorted(better)
    rows = await ctx.database.pool.fetch(
        _VALUES,
        [service for service, _ in pairs],
        [kpi for _, kpi in pairs],
        begins,
        ends,
        BASELINE_DAYS,
        BASELINE_PAD,
        MIN_BASELINE,
    )
    deviation = np.full(len(rows), np.nan)
    violated = {(b.service, b.kpi, b.resource) for b in breaches}
    for pair, direction in better.items():
        of_pair = [at for at, row in enumerate(rows) if (row["service"], row["kpi"]) == pair]
        broken = np.array([(*pair, rows[at]["resource"]) in violated for at in of_pair], dtype=np.bool_)
        deviation[of_pair] = without_drift(deviations([rows[at] for at in of_pair], direction), broken)
    return Leaves(
        [row["resource"] for row in rows], [row["service"] for row in rows], [row["kpi"] for row in rows], deviation
    )


def deviations(rows: Sequence[Mapping[str, Any]], better: str) -> Floats:
    """How many spreads of its baseline each series of one indicator is worse, NaN where that is not known.

    (value - median) / (interquartile range / 1.349): the spread is the standard deviation of a normal distribution,
    and an earlier fault in the baseline hardly moves it. Few samples can lie close together by chance: no spread is
    less than half of what is usual for the indicator.
    """
    seen = np.array([_seen(row) for row in rows], dtype=np.float64).reshape(len(rows), 4)
    value, low, median, high = seen.T
    spread = (high - low) / NORMAL_IQR
    known = ~np.isnan(spread)
    usual = float(np.median(spread[known])) if known.any() else 0.0
    constant = MIN_SPREAD_RATIO * np.abs(median) if usual == 0.0 else 0.0
    off = (value - median) / np.maximum(np.maximum(spread, usual / 2), np.maximum(constant, 1e-9))
    worse = {"higher": -off, "lower": off}.get(better, np.abs(off))
    return np.clip(worse, -MAX_SPREADS, MAX_SPREADS)


def without_drift(deviation: Floats, violated: Flags) -> Floats:
    """Deviations less what all series of an indicator have in common: the median of those that are not violated.

    At an hour that is busier than in the baseline every series is a little worse, and the element that holds all of
    them would explain most of the change. Where as many are violated as are not, what they have in common is the fault.
    """
    others = deviation[~violated & ~np.isnan(deviation)]
    if len(others) < MIN_OTHERS or len(others) <= int(violated.sum()):
        return deviation
    return deviation - float(np.median(others))


def _seen(row: Mapping[str, Any]) -> tuple[float, ...]:
    """Value and quartiles of the baseline of one series; of the day before where there is no week."""
    quartiles, n = row["quartiles"], row["n"]
    if n < MIN_BASELINE:
        quartiles, n = row["day_quartiles"], row["day_n"]
    if n < MIN_BASELINE or row["value"] is None:
        return (float("nan"),) * 4
    return (row["value"], *quartiles)


def roots(
    breaches: Sequence[Breach], found: Leaves, topology: Topology, known: Iterable[Root] = ()
) -> list[tuple[Root, list[Breach]]]:
    """The breaches by root. Roots known already take theirs first; then one fault after the other is located among the
    leaves that none explains."""
    groups: list[tuple[Root, list[Breach]]] = []
    left = list(breaches)
    live = np.ones(len(found.deviation), dtype=np.bool_)
    for root in known:
        live &= ~_inside(found, topology, root)
    for _ in range(ROUNDS):
        if not left:
            break
        taken = 0
        for root in _faults(found, live, topology, left):
            inside = _held(left, topology, root)
            if inside:
                groups.append((root, inside))
                gone = {b.violation_id for b in inside}
                left = [b for b in left if b.violation_id not in gone]
                taken += len(inside)
            live &= ~_inside(found, topology, root)
        if not taken:
            break
    return groups + _unexplained(left, topology)


def _faults(found: Leaves, live: Flags, topology: Topology, left: Sequence[Breach]) -> list[Root]:
    """The faults that the leaves tell. Several elements of one dimension are looked at one by one: each may be a fault
    of its own, in another dimension."""
    several = _located(found, live & _indicators(found, left), topology)
    if len(several) < 2:
        return several
    faults = []
    for root in several:
        alone = live.copy()
        for other in several:
            if other is not root:
                alone &= ~_inside(found, topology, other)
        own = _held(left, topology, root)
        again = _located(found, alone & _indicators(found, own), topology) if own else []
        faults.append(again[0] if len(again) == 1 and len(_held(own, topology, again[0])) == len(own) else root)
    return faults


def _indicators(found: Leaves, breaches: Sequence[Breach]) -> Flags:
    """The leaves of violated indicators: those of a fault found already would dilute the next one."""
    wanted = {(b.service, b.kpi) for b in breaches}
    return np.array([pair in wanted for pair in zip(found.service, found.kpi, strict=True)], dtype=np.bool_)


def _held(breaches: Sequence[Breach], topology: Topology, root: Root) -> list[Breach]:
    return [b for b in breaches if topology.within(b.resource, b.service, root.dimension, root.elements)]


def _located(found: Leaves, live: Flags, topology: Topology) -> list[Root]:
    """The roots that one explanation of these leaves names; none if it names no element, or is not sure."""
    chosen = np.flatnonzero(live).tolist()
    elements = [topology.elements(found.resource[i], found.service[i]) for i in chosen]
    names = [*dict.fromkeys(name for own in elements for name in own if name != "service"), "service"]
    attributes = {name: [own.get(name, "") for own in elements] for name in names}
    spread = np.ones(len(chosen)) if chosen else None
    said = locate(attributes, found.deviation[live], np.zeros(len(chosen)), Direction.LOWER, spread=spread)
    named: Sequence[Element] = ()
    if said.finding is Finding.LOCATED and said.root is not None and _fails(said.root, said.elements, attributes):
        named = (said.root,)
    elif said.finding in (Finding.LOCATED, Finding.SEVERAL) and topology.known:
        named = said.elements
    return [
        Root(
            dimension=element.dimension,
            elements=(element.value,),
            located=topology.known,
            reason=f"{said.leaves_deviating} of {said.leaves_known} series deviate; {element.value} explains"
            f" {said.explanatory_power or 0.0:.0%} of the change",
            confidence=said.confidence,
            explanatory_power=said.explanatory_power,
        )
        for element in named
    ]


def _fails(root: Element, failing: Sequence[Element], attributes: Mapping[str, Sequence[str]]) -> bool:
    """Whether enough of what a root holds fails: two cells of a country-wide slice say nothing of the slice."""
    if root in failing:
        return True
    holders, parts = attributes[root.dimension], attributes[failing[0].dimension]
    held = {part for part, holder in zip(parts, holders, strict=True) if holder == root.value}
    return len(failing) >= MIN_SHARE * len(held)


def _inside(found: Leaves, topology: Topology, root: Root) -> Flags:
    return np.array(
        [
            topology.within(resource, service, root.dimension, root.elements)
            for resource, service in zip(found.resource, found.service, strict=True)
        ],
        dtype=np.bool_,
    )


def _unexplained(left: Sequence[Breach], topology: Topology) -> list[tuple[Root, list[Breach]]]:
    """What no element explains: one root per resource; without a topology it may all be one fault, so it stays one."""
    if not left:
        return []
    if not topology.known:
        resources = tuple(sorted({b.resource for b in left}))
        return [(Root(OWN, resources, False, "the resource inventory is not known yet"), list(left))]
    by_resource: dict[str, list[Breach]] = {}
    for breach in left:
        by_resource.setdefault(breach.resource, []).append(breach)
    reason = "the deviations name no common element"
    return [(Root(OWN, (resource,), False, reason), found) for resource, found in by_resource.items()]
