"""Injected faults of known truth, and planned work: what breaks, where, how much, when, and which KPIs must show it.

A fault acts on the physics of a cell (throughput left, delay, loss, failures), never on a KPI directly; the KPIs follow
by the formulas of `kpi`. Times are seconds since the epoch on the five-minute grid; a fault lives in [start_s, end_s).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from demo_operator.domain.catalogue import (
    AVAILABILITY,
    DEADLINE_MISS,
    DELAY,
    LOSS,
    SERVICE_INDEX,
    SESSION,
    SETUP,
    STALL,
    THROUGHPUT,
    Service,
    SliceId,
)
from demo_operator.domain.network import ElementKind
from demo_operator.domain.randomness import Floats, Ints, generator
from demo_operator.domain.world import World

SLOT_S = 300
WEEK_S = 604_800


class FaultKind(StrEnum):
    NONE = "none"
    THROUGHPUT_COLLAPSE = "throughput_collapse"
    PACKET_LOSS = "packet_loss"
    CALL_SETUP_FAILURES = "call_setup_failures"
    LATENCY_STEP = "latency_step"
    DEADLINE_MISSES = "deadline_misses"


class Channel(StrEnum):
    """The physical quantity a fault acts on; sizes are in the unit named."""

    THROUGHPUT_LEFT_MBPS = "throughput_left_mbps"
    DELAY_ADDED_MS = "delay_added_ms"
    TELEMETRY_DELAY_ADDED_MS = "telemetry_delay_added_ms"
    LOSS_ADDED_PERCENT = "loss_added_percent"
    SETUP_FAILURE_ADDED_PERCENT = "setup_failure_added_percent"
    DEADLINE_MISS_ADDED_PERCENT = "deadline_miss_added_percent"


@dataclass(frozen=True, slots=True)
class Effect:
    channel: Channel
    size: float


@dataclass(frozen=True, slots=True)
class Fault:
    """One disturbance. `expected` lists every (service, KPI) whose objective it breaks in every one of its cells."""

    id: str
    kind: FaultKind
    cause_id: str
    cause_kind: ElementKind | None
    cells: tuple[int, ...]
    effects: tuple[Effect, ...]
    expected: tuple[tuple[Service, str], ...]
    start_s: int
    duration_s: int
    ramp_s: int

    @property
    def end_s(self) -> int:
        return self.start_s + self.duration_s

    @property
    def services(self) -> tuple[Service, ...]:
        """The services that suffer, in the order of `expected`, the first being the one hit hardest."""
        return tuple(dict.fromkeys(service for service, _ in self.expected))

    def moved_to(self, start_s: int) -> Fault:
        """The same fault at another time (down to the five-minute grid)."""
        return replace(self, start_s=start_s - start_s % SLOT_S)

    def amplitude(self, time_s: Ints) -> Floats:
        """Share of the full size in the slot starting at each time, 0..1: a step, or a linear ramp over `ramp_s`.

        A slot of a ramp counts with the value at its end.
        """
        active = (time_s >= self.start_s) & (time_s < self.end_s)
        if self.ramp_s <= 0:
            return active.astype(np.float64)
        reached = np.clip((time_s - self.start_s + SLOT_S) / self.ramp_s, 0.0, 1.0)
        return np.where(active, reached, 0.0)


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """Planned work on one element, announced beforehand; `fault` is what the network does meanwhile."""

    id: str
    element_id: str
    description: str
    start_s: int
    end_s: int
    fault: Fault


def none(start_s: int = 0) -> Fault:
    """The fault that is none: no effect, no cause, nothing expected."""
    return Fault("fault-none", FaultKind.NONE, "", None, (), (), (), start_s, 0, 0)


_EFFECTS: dict[FaultKind, tuple[tuple[Channel, ...], tuple[tuple[Service, str], ...]]] = {
    FaultKind.THROUGHPUT_COLLAPSE: (
        (Channel.THROUGHPUT_LEFT_MBPS,),
        (
            (Service.VIDEO, THROUGHPUT),
            (Service.VIDEO, STALL),
            (Service.BROADBAND, THROUGHPUT),
            (Service.BROADBAND, SESSION),
        ),
    ),
    FaultKind.PACKET_LOSS: ((Channel.LOSS_ADDED_PERCENT,), ((Service.VOICE, LOSS),)),
    FaultKind.CALL_SETUP_FAILURES: ((Channel.SETUP_FAILURE_ADDED_PERCENT,), ((Service.VOICE, SETUP),)),
    FaultKind.DEADLINE_MISSES: (
        (Channel.DEADLINE_MISS_ADDED_PERCENT,),
        ((Service.TELEMETRY, DEADLINE_MISS), (Service.TELEMETRY, AVAILABILITY)),
    ),
}
_PEOPLE_DELAY = ((Service.VOICE, DELAY), (Service.BROADBAND, SESSION))
_THING_DELAY = ((Service.TELEMETRY, DELAY), (Service.TELEMETRY, DEADLINE_MISS), (Service.TELEMETRY, AVAILABILITY))
SIZES: dict[FaultKind, tuple[float, float]] = {
    FaultKind.THROUGHPUT_COLLAPSE: (0.5, 1.6),
    FaultKind.PACKET_LOSS: (8.0, 16.0),
    FaultKind.CALL_SETUP_FAILURES: (25.0, 50.0),
    FaultKind.LATENCY_STEP: (600.0, 1000.0),
    FaultKind.DEADLINE_MISSES: (20.0, 50.0),
}
"""Range of sizes a drawn fault has: Mbit/s left, % loss, % failed setups, ms, % missed deadlines."""


def _latency(cause_kind: ElementKind, cause_id: str) -> tuple[tuple[Channel, ...], tuple[tuple[Service, str], ...]]:
    """Delay added by a starved slice touches that slice's services alone; by an element of the tree, every service that
    is sensitive to delay (buffered video is not)."""
    if cause_kind is ElementKind.SLICE:
        if cause_id == SliceId.EMBB:
            return (Channel.DELAY_ADDED_MS,), _PEOPLE_DELAY
        return (Channel.TELEMETRY_DELAY_ADDED_MS,), _THING_DELAY
    return (Channel.DELAY_ADDED_MS, Channel.TELEMETRY_DELAY_ADDED_MS), (*_PEOPLE_DELAY, *_THING_DELAY)


def fault(
    world: World, kind: FaultKind, cause_id: str, start_s: int, duration_s: int, size: float, ramp_s: int = 0
) -> Fault:
    """The fault of a kind caused by one element: a cell, a site (all its cells), a DU pool (all cells of its area) or,
    for latency, a slice (every cell where it carries its services). `size` is in the unit of SIZES."""
    kinds = {element.id: element.kind for element in world.network.elements}
    cause_kind = kinds[cause_id]
    channels, expected = _latency(cause_kind, cause_id) if kind is FaultKind.LATENCY_STEP else _EFFECTS[kind]
    start_s -= start_s % SLOT_S
    return Fault(
        id=f"fault-{kind}-{cause_id}-{start_s}",
        kind=kind,
        cause_id=cause_id,
        cause_kind=cause_kind,
        cells=world.network.cells_under(cause_id),
        effects=tuple(Effect(channel, size) for channel in channels),
        expected=expected,
        start_s=start_s,
        duration_s=duration_s,
        ramp_s=ramp_s,
    )


_SCOPES: dict[FaultKind, tuple[tuple[ElementKind, float], ...]] = {
    FaultKind.THROUGHPUT_COLLAPSE: ((ElementKind.CELL, 0.6), (ElementKind.SITE, 0.4)),
    FaultKind.PACKET_LOSS: ((ElementKind.CELL, 0.6), (ElementKind.SITE, 0.4)),
    FaultKind.CALL_SETUP_FAILURES: ((ElementKind.CELL, 0.4), (ElementKind.SITE, 0.3), (ElementKind.DU, 0.3)),
    FaultKind.LATENCY_STEP: ((ElementKind.DU, 0.6), (ElementKind.SLICE, 0.4)),
    FaultKind.DEADLINE_MISSES: ((ElementKind.CELL, 0.6), (ElementKind.SITE, 0.4)),
}
_KIND_WEIGHT: dict[FaultKind, float] = {
    FaultKind.THROUGHPUT_COLLAPSE: 0.30,
    FaultKind.PACKET_LOSS: 0.20,
    FaultKind.CALL_SETUP_FAILURES: 0.20,
    FaultKind.LATENCY_STEP: 0.15,
    FaultKind.DEADLINE_MISSES: 0.15,
}
DRAWN_KINDS: tuple[FaultKind, ...] = tuple(_SCOPES)
_MIN_SUBJECTS = {Service.VOICE: 5, Service.VIDEO: 5, Service.BROADBAND: 5, Service.TELEMETRY: 3}


def subjects_hit(world: World, cells: Sequence[int], services: Sequence[Service]) -> Ints:
    """Rows of `World.instances` of these services in these cells, in order."""
    columns = world.columns
    names = np.array([offer in services for offer in Service])
    hit = names[columns.service] & np.isin(columns.cell, np.asarray(cells, dtype=np.int64))
    return np.flatnonzero(hit)


def _candidates(world: World, kind: FaultKind, scope: ElementKind) -> list[str]:
    """Elements of a scope on which a fault of a kind would be felt: enough subjects of its first service, and more than
    one cell below a site, since a one-cell site cannot be told from its cell."""
    columns = world.columns
    users = {
        service: np.bincount(columns.cell[columns.service == at], minlength=len(world.network.cells))
        for service, at in SERVICE_INDEX.items()
    }
    found: list[str] = []
    for element in world.network.elements:
        if element.kind is not scope or element.id == SliceId.EMBB:
            continue
        cells = world.network.cells_under(element.id)
        if scope is not ElementKind.CELL and len(cells) < 2:
            continue
        expected = _latency(scope, element.id)[1] if kind is FaultKind.LATENCY_STEP else _EFFECTS[kind][1]
        service = expected[0][0]
        if users[service][list(cells)].sum() >= _MIN_SUBJECTS[service]:
            found.append(element.id)
    return found


def _drawn(rng: np.random.Generator, world: World, start_s: int, kinds: Sequence[FaultKind]) -> Fault:
    weight = np.array([_KIND_WEIGHT[kind] for kind in kinds])
    kind = kinds[int(rng.choice(len(kinds), p=weight / weight.sum()))]
    scopes = _SCOPES[kind]
    # Scopes in random order by their weights (Efraimidis and Spirakis): the first that has a candidate is taken.
    order = np.argsort(-(rng.random(len(scopes)) ** (1.0 / np.array([share for _, share in scopes]))))
    choices = next(filter(None, (_candidates(world, kind, scopes[int(at)][0]) for at in order)), None)
    if choices is None:
        raise ValueError(f"no element of this world has subjects enough for a fault of kind {kind}")
    cause_id = choices[int(rng.integers(len(choices)))]
    low, high = SIZES[kind]
    size = round(float(rng.uniform(low, high)), 2)
    ramp_s = 600 if kind is FaultKind.PACKET_LOSS and rng.random() < 0.5 else 0
    duration_s = SLOT_S * int(rng.integers(12, 25))
    return fault(world, kind, cause_id, start_s, duration_s, size, ramp_s)


def draw(seed: int, world: World, start_s: int = 0, kinds: Sequence[FaultKind] = DRAWN_KINDS) -> Fault:
    """One fault drawn by a seed: kind, element, size, step or ramp, one to two hours from `start_s`. Any fault drawn
    breaks the objectives it names by a wide margin at any hour of the week, within three five-minute slots."""
    return _drawn(generator(seed, "fault"), world, start_s, kinds)


def incidents(world: World, start_s: int, end_s: int, per_week: float = 6.0) -> tuple[Fault, ...]:
    """Faults of the past that begin in [start_s, end_s), about `per_week` a week (Poisson); each week has its own
    stream, so that a longer span only adds to a shorter one. They hit elements where this world's subjects feel
    them."""
    found: list[Fault] = []
    for week in range(start_s // WEEK_S, -(-end_s // WEEK_S)):
        rng = generator(world.seed, f"incidents/{week}")
        for _ in range(int(rng.poisson(per_week))):
            at_s = week * WEEK_S + int(rng.integers(WEEK_S // SLOT_S)) * SLOT_S
            found.append(_drawn(rng, world, at_s, DRAWN_KINDS))
    return tuple(
        sorted((one for one in found if start_s <= one.start_s < end_s), key=lambda one: (one.start_s, one.id))
    )


_NIGHT_S = (3600, 4 * 3600)


def maintenance_windows(world: World, start_s: int, end_s: int, per_week: float = 2.0) -> tuple[MaintenanceWindow, ...]:
    """Planned work on sites that begins in [start_s, end_s): one to two hours between 01:00 and 04:00 UTC with the site
    on a low-rate backup link, so that its data services break their objectives inside the window and only there."""
    sites = [element for element in world.network.elements if element.kind is ElementKind.SITE]
    found: list[MaintenanceWindow] = []
    for week in range(start_s // WEEK_S, -(-end_s // WEEK_S)):
        rng = generator(world.seed, f"maintenance/{week}")
        for number in range(int(rng.poisson(per_week))):
            site = sites[int(rng.integers(len(sites)))]
            hours = int(rng.integers(1, 3))
            latest_s = _NIGHT_S[1] - hours * 3600
            at_s = week * WEEK_S + int(rng.integers(7)) * 86_400 + int(rng.integers(_NIGHT_S[0], latest_s + 1))
            at_s -= at_s % SLOT_S
            work = fault(world, FaultKind.THROUGHPUT_COLLAPSE, site.id, at_s, hours * 3600, 1.5)
            work = replace(work, id=f"work-{site.id}-{at_s}")
            description = f"Backhaul upgrade at {site.name}"
            found.append(
                MaintenanceWindow(f"mw-{week}-{number + 1}", site.id, description, at_s, at_s + hours * 3600, work)
            )
    return tuple(
        sorted((one for one in found if start_s <= one.start_s < end_s), key=lambda one: (one.start_s, one.id))
    )
