"""What is true about an injected fault, and how near an answer comes to it: cause named, subjects found, objectives
broken.

A found answer is compared with the truth; it is never made from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from demo_operator.domain.catalogue import OBJECTIVES, Objective, Service
from demo_operator.domain.faults import SLOT_S, Fault, FaultKind, subjects_hit
from demo_operator.domain.kpi import Measurements
from demo_operator.domain.network import ElementKind, Network
from demo_operator.domain.people import Flags, hit_by
from demo_operator.domain.world import World


@dataclass(frozen=True, slots=True)
class Expected:
    """One objective that must be violated in one cell."""

    objective_id: str
    service: Service
    kpi: str
    cell_id: str


@dataclass(frozen=True, slots=True)
class FaultTruth:
    """Everything the loop should find out. Ids are those of the inventories; all tuples are in order of id.

    `service` is the service hit hardest, None for no fault. `subject_ids` are the people and things whose own service
    instance suffers; `customer_ids` the people concerned: those people and the owners of those things.
    """

    fault_id: str
    kind: FaultKind
    cause_ids: tuple[str, ...]
    cause_kind: ElementKind | None
    service: Service | None
    services: tuple[Service, ...]
    cell_ids: tuple[str, ...]
    service_instance_ids: tuple[str, ...]
    subject_ids: tuple[str, ...]
    customer_ids: tuple[str, ...]
    expected: tuple[Expected, ...]
    start_s: int
    end_s: int


def truth(world: World, fault: Fault) -> FaultTruth:
    """The truth about a fault in a world; with no fault every tuple is empty."""
    instances = [world.instances[int(row)] for row in subjects_hit(world, fault.cells, fault.services)]
    cell_ids = tuple(world.network.cells[cell].id for cell in fault.cells)
    broken = [objective for objective in OBJECTIVES if (objective.service, objective.kpi) in fault.expected]
    return FaultTruth(
        fault_id=fault.id,
        kind=fault.kind,
        cause_ids=(fault.cause_id,) if fault.cause_id else (),
        cause_kind=fault.cause_kind,
        service=fault.services[0] if fault.services else None,
        services=fault.services,
        cell_ids=cell_ids,
        service_instance_ids=tuple(sorted(instance.id for instance in instances)),
        subject_ids=tuple(sorted({instance.subject_id for instance in instances})),
        customer_ids=tuple(world.people[int(row)].id for row in hit_by(world, fault)),
        expected=tuple(
            Expected(objective.id, objective.service, objective.kpi, cell_id)
            for cell_id in cell_ids
            for objective in broken
        ),
        start_s=fault.start_s,
        end_s=fault.end_s,
    )


class CauseVerdict(StrEnum):
    EXACT = "exact"
    PARTIAL = "partial"
    WRONG = "wrong"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class CauseScore:
    """How a named cause compares; `related` are the found elements that lie on the line of the true cause."""

    verdict: CauseVerdict
    found: tuple[str, ...]
    true: tuple[str, ...]
    related: tuple[str, ...]


def _related(network: Network, found: str, cause: str) -> bool:
    """The cause itself, or above or below it on the tree, or for a slice an element all of whose cells depend on it:
    the right direction with the wrong extent."""
    if found == cause:
        return True
    slices = {element.id for element in network.elements if element.kind is ElementKind.SLICE}
    if found in slices:
        return False
    if cause in slices:
        below = network.cells_under(found)
        return bool(below) and set(below) <= set(network.cells_under(cause))
    return found in network.line(cause) or cause in network.line(found)


def score(found: Iterable[str], true: FaultTruth, network: Network) -> CauseScore:
    """Exact: the true causes and nothing else. Partial: something found contains a true cause or is part of it (its
    site, one of its cells). Missed: nothing found though there was a fault. Wrong: anything else, a cause named in
    silence included."""
    named = tuple(sorted(set(found)))
    related = tuple(one for one in named if any(_related(network, one, cause) for cause in true.cause_ids))
    if set(named) == set(true.cause_ids):
        verdict = CauseVerdict.EXACT
    elif not named:
        verdict = CauseVerdict.MISSED
    else:
        verdict = CauseVerdict.PARTIAL if related else CauseVerdict.WRONG
    return CauseScore(verdict, named, true.cause_ids, related)


@dataclass(frozen=True, slots=True)
class SetScore:
    """Found against true members: precision and recall are None where their denominator is zero."""

    found: int
    true: int
    both: int

    @property
    def precision(self) -> float | None:
        return self.both / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        return self.both / self.true if self.true else None


def set_score(found: Iterable[str], true: Iterable[str]) -> SetScore:
    """Overlap of two sets of ids, for subjects, customers, cells or service instances."""
    one, other = set(found), set(true)
    return SetScore(len(one), len(other), len(one & other))


def conforming(measured: Measurements, objective: Objective) -> Flags:
    """Whether each value keeps the target, tolerance not used, [time, cell]."""
    value = measured.of(objective.service, objective.kpi)
    return np.asarray(value >= objective.target if objective.comparator == ">=" else value <= objective.target)


def violated(measured: Measurements, objective: Objective) -> Flags:
    """Share of conforming values in the window ending at each slot below the conformance ratio, [window, cell]; row w
    is the window of slots w .. w + window/step - 1. Only full windows count; none gives no rows."""
    good = conforming(measured, objective)
    length = objective.window_s // SLOT_S
    total = np.cumsum(np.concatenate([np.zeros((1, good.shape[1]), dtype=np.int64), good.astype(np.int64)]), axis=0)
    share = (total[length:] - total[:-length]) / length
    return np.asarray(share < objective.conformance_ratio)
