"""The network of the made-up operator: edge clusters, area DU pools, sites, cells, and which slice carries which
service.

The tree of elements is cluster > du (one pool of distributed units per area) > site > cell; slices cut across it.
Coordinates are of no real place; they only give distances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from demo_operator.domain.catalogue import SLICES, Service, SliceId
from demo_operator.domain.names import AREA_NAMES
from demo_operator.domain.randomness import Floats, Ints, generator

CELLS_PER_SITE = 3
INDUSTRIAL_SITE_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a world is. The default is the operator of the demonstration; tests take a small one."""

    areas: int = 10
    clusters: int = 4
    cells_per_area: int = 20
    people: int = 5000
    things: int = 500


FULL = Scale()
TINY = Scale(areas=2, clusters=2, cells_per_area=6, people=120, things=24)


class ElementKind(StrEnum):
    CLUSTER = "cluster"
    DU = "du"
    SITE = "site"
    CELL = "cell"
    SLICE = "slice"


class Setting(StrEnum):
    DENSE_URBAN = "dense_urban"
    URBAN = "urban"
    SUBURBAN = "suburban"
    RURAL = "rural"
    INDUSTRIAL = "industrial"


SETTINGS: tuple[Setting, ...] = tuple(Setting)


@dataclass(frozen=True, slots=True)
class Area:
    id: str
    name: str
    cluster_id: str
    du_id: str
    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One NR cell. `index` is its column in every array of this package."""

    index: int
    id: str
    site_id: str
    du_id: str
    cluster_id: str
    area_id: str
    setting: Setting
    latitude_deg: float
    longitude_deg: float
    capacity_mbps: float


@dataclass(frozen=True, slots=True)
class Element:
    """A node of the resource tree, as a resource inventory lists it; `parent_id` is empty at the top."""

    id: str
    kind: ElementKind
    name: str
    parent_id: str
    area_id: str
    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, eq=False, slots=True)
class CellColumns:
    """What makes one cell behave unlike another; every array is [cell].

    capacity_mbps: what one user alone gets. load_low, load_high: cell load in the quietest and busiest slot of the
    week. *_delay_ms: air interface delay without queueing. loss_percent: voice uplink loss without load.
    setup_failure_percent: failed call setups without load. stall_percent: stalls not caused by throughput.
    """

    setting: npt.NDArray[np.int64]
    capacity_mbps: Floats
    load_low: Floats
    load_high: Floats
    delay_ms: Floats
    telemetry_delay_ms: Floats
    loss_percent: Floats
    setup_failure_percent: Floats
    stall_percent: Floats


def _carrier(service: Service, setting: Setting) -> SliceId:
    if service is not Service.TELEMETRY:
        return SliceId.EMBB
    return SliceId.URLLC if setting is Setting.INDUSTRIAL else SliceId.MMTC


def _under(cells: list[Cell]) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for cell in cells:
        carriers = {_carrier(service, cell.setting) for service in Service}
        for element_id in (cell.id, cell.site_id, cell.du_id, cell.cluster_id, *carriers):
            found.setdefault(element_id, []).append(cell.index)
    return {element_id: tuple(below) for element_id, below in found.items()}


@dataclass(frozen=True, eq=False, slots=True)
class Network:
    areas: tuple[Area, ...]
    cells: tuple[Cell, ...]
    elements: tuple[Element, ...]
    columns: CellColumns
    under: Mapping[str, tuple[int, ...]]

    def cell_index(self, cell_id: str) -> int:
        """Column of a cell from its id, `cell-017` -> 16."""
        return int(cell_id.removeprefix("cell-")) - 1

    def carried_on(self, service: Service, cell: int) -> SliceId:
        """The slice that carries a service in a cell: people's services on eMBB; things in an industrial cell on the
        low-latency slice, things elsewhere on the massive IoT slice."""
        return _carrier(service, self.cells[cell].setting)

    def cells_under(self, element_id: str) -> tuple[int, ...]:
        """Columns of all cells that depend on an element, none for an id unknown; for a slice, the cells where it
        carries a service (all cells for eMBB)."""
        return self.under.get(element_id, ())

    def line(self, element_id: str) -> tuple[str, ...]:
        """An element and everything above it, from itself to the cluster."""
        parents = {element.id: element.parent_id for element in self.elements}
        line = []
        while element_id in parents:
            line.append(element_id)
            element_id = parents[element_id]
        return tuple(line)


_CAPACITY_MBPS = {
    Setting.DENSE_URBAN: (140.0, 220.0),
    Setting.URBAN: (110.0, 180.0),
    Setting.SUBURBAN: (90.0, 150.0),
    Setting.RURAL: (75.0, 110.0),
    Setting.INDUSTRIAL: (100.0, 160.0),
}
_BUSY_LOAD = {
    Setting.DENSE_URBAN: (0.62, 0.74),
    Setting.URBAN: (0.55, 0.70),
    Setting.SUBURBAN: (0.50, 0.66),
    Setting.RURAL: (0.36, 0.54),
    Setting.INDUSTRIAL: (0.42, 0.60),
}
_ORIGIN_DEG = (46.0, 12.0)
_AREA_SPACING_DEG = 0.18


def _sites_settings(sites: int, rng: np.random.Generator) -> list[Setting]:
    """Settings of an area's sites; the last quarter (at least one) is industrial, so that every area has a factory."""
    industrial = max(1, round(sites * INDUSTRIAL_SITE_SHARE))
    choices = (Setting.DENSE_URBAN, Setting.URBAN, Setting.SUBURBAN, Setting.RURAL)
    drawn = [choices[int(at)] for at in rng.choice(4, size=max(0, sites - industrial), p=(0.25, 0.3, 0.3, 0.15))]
    return drawn + [Setting.INDUSTRIAL] * (sites - len(drawn))


def _columns(cells: list[Cell], rng: np.random.Generator) -> CellColumns:
    count = len(cells)
    low_high = np.array([_BUSY_LOAD[cell.setting] for cell in cells])
    industrial = np.array([cell.setting is Setting.INDUSTRIAL for cell in cells])
    setting: Ints = np.array([SETTINGS.index(cell.setting) for cell in cells], dtype=np.int64)
    return CellColumns(
        setting=setting,
        capacity_mbps=np.array([cell.capacity_mbps for cell in cells]),
        load_low=rng.uniform(0.04, 0.12, count),
        load_high=low_high[:, 0] + (low_high[:, 1] - low_high[:, 0]) * rng.random(count),
        delay_ms=rng.uniform(8.0, 16.0, count),
        telemetry_delay_ms=np.where(industrial, rng.uniform(2.5, 5.0, count), rng.uniform(9.0, 16.0, count)),
        loss_percent=rng.uniform(0.03, 0.12, count),
        setup_failure_percent=rng.uniform(0.10, 0.35, count),
        stall_percent=rng.uniform(0.05, 0.25, count),
    )


def build_network(seed: int, scale: Scale = FULL) -> Network:
    """The network of a seed: the same seed and scale give the same network, whatever base of customers lives on it."""
    rng = generator(seed, "network")
    areas: list[Area] = []
    cells: list[Cell] = []
    elements: list[Element] = []
    columns = int(np.ceil(np.sqrt(scale.areas)))
    elements.extend(
        Element(f"cluster-{number}", ElementKind.CLUSTER, f"Edge cluster {number}", "", "", *_ORIGIN_DEG)
        for number in range(1, scale.clusters + 1)
    )
    elements.extend(Element(carrier.id, ElementKind.SLICE, carrier.name, "", "", *_ORIGIN_DEG) for carrier in SLICES)
    site_number = 0
    for number in range(scale.areas):
        row, column = divmod(number, columns)
        latitude = _ORIGIN_DEG[0] + row * _AREA_SPACING_DEG
        longitude = _ORIGIN_DEG[1] + column * _AREA_SPACING_DEG
        cluster_id = f"cluster-{number * scale.clusters // scale.areas + 1}"
        repeat = number // len(AREA_NAMES)
        name = AREA_NAMES[number % len(AREA_NAMES)] + (f" {repeat + 1}" if repeat else "")
        area = Area(f"area-{number + 1:02d}", name, cluster_id, f"du-{number + 1:02d}", latitude, longitude)
        areas.append(area)
        elements.append(
            Element(area.du_id, ElementKind.DU, f"DU pool {name}", cluster_id, area.id, latitude, longitude)
        )
        sites = -(-scale.cells_per_area // CELLS_PER_SITE)
        for place, setting in enumerate(_sites_settings(sites, rng)):
            site_number += 1
            site_id = f"site-{site_number:03d}"
            north, east = (round(float(shift), 5) for shift in rng.uniform(-0.07, 0.07, 2))
            at = (round(latitude + north, 5), round(longitude + east, 5))
            elements.append(
                Element(site_id, ElementKind.SITE, f"{name} site {place + 1}", area.du_id, area.id, at[0], at[1])
            )
            for sector in range(min(CELLS_PER_SITE, scale.cells_per_area - place * CELLS_PER_SITE)):
                cell_id = f"cell-{len(cells) + 1:03d}"
                capacity = round(float(rng.uniform(*_CAPACITY_MBPS[setting])), 1)
                cells.append(
                    Cell(len(cells), cell_id, site_id, area.du_id, cluster_id, area.id, setting, *at, capacity)
                )
                name_of_cell = f"{name} site {place + 1} sector {sector + 1}"
                elements.append(Element(cell_id, ElementKind.CELL, name_of_cell, site_id, area.id, at[0], at[1]))
    return Network(tuple(areas), tuple(cells), tuple(elements), _columns(cells, rng), _under(cells))
