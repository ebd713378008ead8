"""Measurements on the wire: the simulator's series as NDJSON rows of service-quality's ingestion.

Every value describes five minutes, in the hourly part of the history too, where eleven of twelve are left out: so the
scatter around a baseline is that of the values it will be compared with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from demo_operator.domain.catalogue import KPIS
from demo_operator.domain.faults import SLOT_S, WEEK_S, Fault
from demo_operator.domain.hazard import DAY_S
from demo_operator.domain.kpi import values
from demo_operator.domain.world import World
from demo_operator.memory import HOUR_S, Operator, instant

PATH = "tmf-api/performanceMeasurement/v1/measurement"
NDJSON = "application/x-ndjson"
SOURCE = "ran"


def rows_per_step(world: World) -> int:
    return len(KPIS) * len(world.network.cells)


@lru_cache(maxsize=4)
def _heads(cells: tuple[str, ...]) -> tuple[str, ...]:
    """What a row says before its value, by KPI, then cell: the same at every instant."""
    return tuple(
        json.dumps(
            {
                "resource": cell,
                "service": str(kpi.service),
                "kpi": kpi.name,
                "unit": kpi.unit,
                "granularityS": SLOT_S,
                "source": SOURCE,
            },
            separators=(",", ":"),
        )[:-1]
        + ',"value":'
        for kpi in KPIS
        for cell in cells
    )


def ndjson(world: World, start_s: int, step_s: int, n: int, faults: Sequence[Fault]) -> bytes:
    """`n` instants of every series as lines of JSON, in order of time."""
    heads = _heads(tuple(cell.id for cell in world.network.cells))
    measured = values(world, start_s, step_s, n, faults)
    lines: list[str] = []
    for at, time_s in enumerate(measured.time_s.tolist()):
        tail = f',"observedAt":"{instant(time_s)}"}}\n'
        of_instant = measured.values[at].reshape(-1).tolist()
        lines.extend([f"{head}{value}{tail}" for head, value in zip(heads, of_instant, strict=True)])
    return "".join(lines).encode()


@dataclass(frozen=True)
class Block:
    """One request of the history; its name is that under which it is remembered as done."""

    start_s: int
    step_s: int
    steps: int
    rows: int

    @property
    def name(self) -> str:
        return f"{self.start_s}/{self.step_s}/{self.steps}"


def blocks(operator: Operator, batch_rows: int) -> Iterator[Block]:
    """The history in requests of at most `batch_rows` rows (one instant at least): hourly, then the last day in
    five-minute steps. No instant lies in both."""
    end_s = operator.terms.as_of_s
    fine_s = end_s - DAY_S
    per_step = rows_per_step(operator.world)
    most = max(1, batch_rows // per_step)
    for start_s, until_s, step_s in (
        (end_s - operator.terms.history_weeks * WEEK_S, fine_s, HOUR_S),
        (fine_s, end_s, SLOT_S),
    ):
        total = (until_s - start_s) // step_s
        for first in range(0, total, most):
            steps = min(most, total - first)
            yield Block(start_s + first * step_s, step_s, steps, steps * per_step)
