"""Measured series: every KPI of every service in every cell on a five-minute grid, addressed by time.

The value of a series at a time depends on the world, the faults and that time only: not on where a request begins, how
long it is or how it is cut. One value describes the five minutes that begin at its time; a larger step leaves slots
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from demo_operator.domain.catalogue import KPI_INDEX, KPIS, Service
from demo_operator.domain.faults import SLOT_S, Channel, Fault
from demo_operator.domain.network import SETTINGS, CellColumns, Setting
from demo_operator.domain.randomness import Floats, Ints, key, noise_pair, smooth_noise
from demo_operator.domain.world import World

SLOTS_PER_DAY = 288
SLOTS_PER_WEEK = 2016
_BLOCK_SLOTS = 256
_DECIMALS = 4
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday, Monday being 0
DEADLINE_MS = 50.0
PAGE_MBIT = 20.0
ROUND_TRIPS = 16.0
VIDEO_MBPS = 3.0


@dataclass(frozen=True, eq=False, slots=True)
class Measurements:
    """A block of series: `values` is [time, KPI, cell] in the order of `time_s`, catalogue.KPIS and `cells`."""

    time_s: Ints
    step_s: int
    cells: Ints
    values: Floats

    def of(self, service: Service, kpi: str) -> Floats:
        """One KPI of one service, [time, cell]."""
        return self.values[:, KPI_INDEX[service, kpi], :]

    def flat(self) -> tuple[Ints, Ints, Ints, Floats]:
        """Columns for a bulk load, one row per value: time_s, index in catalogue.KPIS, cell index, value."""
        times, kpis, cells = self.values.shape
        return (
            np.repeat(self.time_s, kpis * cells),
            np.tile(np.repeat(np.arange(kpis, dtype=np.int64), cells), times),
            np.tile(self.cells, times * kpis),
            self.values.reshape(-1),
        )


def _bump(hour: Floats, centre: float, width: float) -> Floats:
    away = np.abs(hour - centre)
    away = np.minimum(away, 24.0 - away)
    return np.asarray(np.exp(-0.5 * (away / width) ** 2))


def _weekly_shapes() -> Floats:
    """Load between quiet (0) and busy (1), [setting, slot of the week from Monday 00:00 UTC]."""
    slot = np.arange(SLOTS_PER_WEEK)
    hour = (slot % SLOTS_PER_DAY) / 12.0
    weekend = slot // SLOTS_PER_DAY >= 5
    evening, noon = _bump(hour, 20.5, 2.4), _bump(hour, 12.5, 2.6)
    office, morning = _bump(hour, 14.0, 3.6), _bump(hour, 8.2, 1.2)
    shapes = {
        Setting.DENSE_URBAN: np.where(weekend, 0.55 * noon + 0.7 * evening, office + 0.4 * morning + 0.5 * evening),
        Setting.URBAN: np.where(weekend, 0.6 * noon + 0.8 * evening, 0.8 * office + 0.4 * morning + 0.7 * evening),
        Setting.SUBURBAN: np.where(weekend, 0.6 * noon + evening, 0.35 * noon + 0.4 * morning + evening),
        Setting.RURAL: np.where(weekend, 0.7 * noon + 0.9 * evening, 0.4 * noon + 0.3 * morning + 0.9 * evening),
        Setting.INDUSTRIAL: np.where(weekend, 0.2 * noon + 0.15 * evening, 0.95 * office + 0.5 * morning),
    }
    return np.stack([np.asarray(shapes[setting] / shapes[setting].max()) for setting in SETTINGS])


_SHAPES = _weekly_shapes()


@dataclass(eq=False, slots=True)
class _Physics:
    """The state of the chosen cells in a block of slots before any service is looked at, every array [slot, cell]."""

    load: Floats
    throughput_mbps: Floats
    delay_ms: Floats
    telemetry_delay_ms: Floats
    loss_percent: Floats
    setup_failure_percent: Floats
    deadline_miss_percent: Floats


def _chosen(columns: CellColumns, cells: Ints) -> CellColumns:
    return CellColumns(*(getattr(columns, name)[cells] for name in CellColumns.__slots__))


def _healthy(world: World, slot: Ints, cells: Ints, columns: CellColumns) -> _Physics:
    """A cell under its weekly load: throughput C(1 - rho), the mean of an M/G/1-PS flow; delay and loss grow with the
    queue rho / (1 - rho)."""
    of_week = (slot + _EPOCH_WEEKDAY * SLOTS_PER_DAY) % SLOTS_PER_WEEK
    shape = _SHAPES[:, of_week].T[:, columns.setting]
    load = columns.load_low + (columns.load_high - columns.load_low) * shape
    slow = smooth_noise(key(world.seed, "kpi.load.slow"), slot, cells, 72)
    fast = smooth_noise(key(world.seed, "kpi.load.fast"), slot, cells, 12)
    load *= 1.0 + 0.06 * slow + 0.04 * fast
    np.clip(load, 0.01, 0.85, out=load)
    radio = smooth_noise(key(world.seed, "kpi.radio"), slot, cells, 24)
    queue = load / (1.0 - load)
    return _Physics(
        load=load,
        throughput_mbps=columns.capacity_mbps * (1.0 - load) * (1.0 + 0.05 * radio),
        delay_ms=columns.delay_ms + 3.0 * queue,
        telemetry_delay_ms=columns.telemetry_delay_ms * (1.0 + 0.2 * queue),
        loss_percent=columns.loss_percent * (1.0 + 0.6 * queue - 0.08 * radio),
        setup_failure_percent=columns.setup_failure_percent * (1.0 + 0.4 * queue),
        deadline_miss_percent=np.full_like(load, 0.0),
    )


def _disturb(state: _Physics, fault: Fault, slot: Ints, position: dict[int, int]) -> None:
    amplitude = fault.amplitude(slot * SLOT_S)
    rows = np.flatnonzero(amplitude)
    columns = np.array([position[cell] for cell in fault.cells if cell in position], dtype=np.int64)
    if not len(rows) or not len(columns):
        return
    at = np.ix_(rows, columns)
    share = amplitude[rows][:, None]
    for effect in fault.effects:
        match effect.channel:
            case Channel.THROUGHPUT_LEFT_MBPS:
                # A geometric path, since users feel ratios of throughput, not differences.
                healthy = state.throughput_mbps[at]
                state.throughput_mbps[at] = healthy * (np.minimum(effect.size, healthy) / healthy) ** share
            case Channel.DELAY_ADDED_MS:
                state.delay_ms[at] += share * effect.size
            case Channel.TELEMETRY_DELAY_ADDED_MS:
                state.telemetry_delay_ms[at] += share * effect.size
            case Channel.LOSS_ADDED_PERCENT:
                state.loss_percent[at] += share * effect.size
            case Channel.SETUP_FAILURE_ADDED_PERCENT:
                state.setup_failure_percent[at] += share * effect.size
            case Channel.DEADLINE_MISS_ADDED_PERCENT:
                state.deadline_miss_percent[at] += share * effect.size


def _measured(world: World, state: _Physics, slot: Ints, cells: Ints, columns: CellColumns) -> list[Floats]:
    """The KPIs in the order of catalogue.KPIS, each [slot, cell], with the noise of a five-minute sample.

    stalls: 1 - 0.8 throughput / video rate once the margin is gone (stall ratio 1 - lambda/mu of the M/M/1 N-policy
    player, Hossfeld et al.), above a small share that throughput does not cause. Page session: connection and server
    time, ROUND_TRIPS round trips of the air delay plus 20 ms beyond, PAGE_MBIT of transfer. A message misses its
    deadline when the delay is over DEADLINE_MS, in proportion up to twice that. The service of a thing is down after
    two misses in a row: availability 1 - p^2 (TS 22.104 annex C.3, survival time of one transfer interval, independent
    losses).
    """
    counter = slot.astype(np.uint64)[:, None] << np.uint64(20)
    counter = counter + cells.astype(np.uint64)[None, :]
    noise_setup, noise_loss = noise_pair(key(world.seed, "kpi.voice"), counter)
    noise_delay, noise_stall = noise_pair(key(world.seed, "kpi.delay-stall"), counter)
    noise_video, noise_broadband = noise_pair(key(world.seed, "kpi.throughput"), counter)
    noise_session, noise_telemetry = noise_pair(key(world.seed, "kpi.session-telemetry"), counter)
    noise_miss, noise_down = noise_pair(key(world.seed, "kpi.things"), counter)

    setup = 100.0 - state.setup_failure_percent * (1.0 + 0.12 * noise_setup)
    loss = state.loss_percent * (1.0 + 0.15 * noise_loss)
    delay = state.delay_ms * (1.0 + 0.05 * noise_delay)
    video_mbps = state.throughput_mbps * (1.0 + 0.06 * noise_video)
    stall = columns.stall_percent * (1.0 + state.load) * (1.0 + 0.25 * noise_stall)
    stall += 100.0 * np.maximum(0.0, 1.0 - 0.8 * video_mbps / VIDEO_MBPS)
    np.minimum(stall, 100.0, out=stall)
    broadband_mbps = state.throughput_mbps * (1.0 + 0.06 * noise_broadband)
    session = 0.3 + ROUND_TRIPS * 0.001 * (state.delay_ms + 20.0) + PAGE_MBIT / broadband_mbps
    session *= 1.0 + 0.05 * noise_session
    telemetry_delay = state.telemetry_delay_ms * (1.0 + 0.05 * noise_telemetry)
    miss = state.deadline_miss_percent + 100.0 * np.clip(telemetry_delay / DEADLINE_MS - 1.0, 0.0, 1.0)
    miss += 0.02 * (1.0 + 0.3 * noise_miss)
    np.minimum(miss, 100.0, out=miss)
    availability = 100.0 - 0.01 * miss**2 - 0.008 * (1.0 + 0.3 * noise_down)
    np.maximum(availability, 0.0, out=availability)
    return [setup, loss, delay, video_mbps, stall, broadband_mbps, session, telemetry_delay, miss, availability]


def values(
    world: World, start_s: int, step_s: int, n: int, faults: Sequence[Fault] = (), cells: Sequence[int] | None = None
) -> Measurements:
    """`n` values of every series from `start_s` on, `step_s` apart; both are multiples of 300 s. `cells` picks columns.

    Units per KPI are in catalogue.KPIS; values are rounded to four decimals.
    """
    if start_s % SLOT_S or step_s % SLOT_S or step_s <= 0:
        raise ValueError(f"start_s and step_s must be multiples of {SLOT_S} s")
    chosen: Ints = np.arange(len(world.network.cells)) if cells is None else np.asarray(cells, dtype=np.int64)
    columns = _chosen(world.network.columns, chosen)
    position = {int(cell): at for at, cell in enumerate(chosen)}
    time_s: Ints = start_s + step_s * np.arange(n, dtype=np.int64)
    slots = time_s // SLOT_S
    out = np.empty((n, len(KPIS), len(chosen)))
    for first in range(0, n, _BLOCK_SLOTS):
        slot = slots[first : first + _BLOCK_SLOTS]
        state = _healthy(world, slot, chosen, columns)
        for fault in faults:
            _disturb(state, fault, slot, position)
        for at, measured in enumerate(_measured(world, state, slot, chosen, columns)):
            np.round(measured, _DECIMALS, out=out[first : first + len(slot), at, :])
    return Measurements(time_s, step_s, chosen, out)
