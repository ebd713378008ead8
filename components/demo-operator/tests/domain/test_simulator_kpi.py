"""Measured series: determinism under any cut, seasons, load, and a healthy network that keeps every objective."""

from __future__ import annotations

import time

import numpy as np
import pytest

from demo_operator.domain.catalogue import (
    DELAY,
    KPIS,
    LOSS,
    OBJECTIVES,
    SESSION,
    THROUGHPUT,
    Service,
)
from demo_operator.domain.faults import FaultKind, fault
from demo_operator.domain.kpi import SLOTS_PER_WEEK, values
from demo_operator.domain.network import Setting
from demo_operator.domain.truth import violated
from demo_operator.domain.world import REFERENCE_AS_OF_S as NOW_S
from demo_operator.domain.world import World, build

MONDAY_S = 1_767_571_200  # 2026-01-05T00:00:00Z


def test_history_and_live_agree_however_the_range_is_cut(tiny: World) -> None:
    broken = fault(tiny, FaultKind.THROUGHPUT_COLLAPSE, "cell-002", NOW_S + 30_000, 6000, 1.0, ramp_s=1800)
    whole = values(tiny, NOW_S, 300, 600, [broken])
    for first, length in ((0, 1), (99, 7), (255, 2), (300, 300)):
        part = values(tiny, NOW_S + first * 300, 300, length, [broken])
        assert np.array_equal(whole.values[first : first + length], part.values)
    hourly = values(tiny, NOW_S, 3600, 50, [broken])
    assert np.array_equal(hourly.values, whole.values[::12])
    one_cell = values(tiny, NOW_S, 300, 600, [broken], cells=[1])
    assert np.array_equal(one_cell.values[:, :, 0], whole.values[:, :, 1])


def test_seeds_differ_and_a_seed_repeats(tiny: World) -> None:
    again = build(7, tiny.scale)
    other = build(8, tiny.scale)
    assert np.array_equal(values(tiny, NOW_S, 300, 20).values, values(again, NOW_S, 300, 20).values)
    assert not np.array_equal(values(tiny, NOW_S, 300, 20).values, values(other, NOW_S, 300, 20).values)


def test_times_off_the_five_minute_grid_are_refused(tiny: World) -> None:
    with pytest.raises(ValueError, match="multiples of 300"):
        values(tiny, NOW_S + 1, 300, 1)
    with pytest.raises(ValueError, match="multiples of 300"):
        values(tiny, NOW_S, 60, 1)


def test_flat_columns_hold_every_value_once_at_its_place(tiny: World) -> None:
    block = values(tiny, NOW_S, 300, 3, cells=[4, 2])
    time_s, kpi, cell, value = block.flat()
    assert len(value) == 3 * len(KPIS) * 2
    for row in (0, 7, 25, len(value) - 1):
        when = int((time_s[row] - NOW_S) // 300)
        column = [4, 2].index(int(cell[row]))
        assert value[row] == block.values[when, kpi[row], column]


def test_eight_weeks_hourly_take_less_than_three_seconds_of_cpu(full: World) -> None:
    before = time.process_time()
    block = values(full, NOW_S, 3600, 1344)
    assert time.process_time() - before < 3.0
    assert block.values.size == 1344 * 200 * len(KPIS)
    assert np.isfinite(block.values).all()
    assert (block.values >= 0.0).all()


def test_eight_healthy_weeks_violate_no_objective_anywhere(full: World) -> None:
    for day in range(56):
        block = values(full, NOW_S + day * 86_400, 300, 288 + 5)
        for objective in OBJECTIVES:
            broken = violated(block, objective)
            assert broken.shape == (288, 200)
            assert not broken.any(), objective.id


def test_busy_hours_are_slower_than_night_and_working_days_differ_from_weekends(full: World) -> None:
    week = values(full, MONDAY_S, 300, SLOTS_PER_WEEK)
    throughput = week.of(Service.BROADBAND, THROUGHPUT).reshape(7, 288, 200)
    night, evening = throughput[:, 36:48].mean(axis=(0, 1)), throughput[:, 240:252].mean(axis=(0, 1))
    people = np.array([cell.setting is not Setting.INDUSTRIAL for cell in full.network.cells])
    assert (evening[people] < 0.8 * night[people]).all()
    noon = throughput[:, 156:180].mean(axis=1)
    assert (noon[:5, ~people].mean(axis=0) < 0.85 * noon[5:, ~people].mean(axis=0)).all()


def test_the_week_comes_again(full: World) -> None:
    weeks = values(full, MONDAY_S, 3600, 2 * 168).of(Service.BROADBAND, THROUGHPUT).reshape(2, 168, 200)
    same_hour = [np.corrcoef(weeks[0, :, cell], weeks[1, :, cell])[0, 1] for cell in range(200)]
    assert np.median(same_hour) > 0.7


def test_cells_differ_and_noise_remembers(full: World) -> None:
    delay = values(full, MONDAY_S, 300, 2016).of(Service.VOICE, DELAY)
    level = delay.mean(axis=0)
    assert level.max() > 1.5 * level.min()
    slot_of_day = delay.reshape(7, 288, 200)
    rest = (slot_of_day[:5] - slot_of_day[:5].mean(axis=0)).reshape(-1, 200)
    lagged = np.mean(rest[:-1] * rest[1:]) / np.mean(rest * rest)
    assert lagged > 0.2


def test_load_moves_throughput_delay_loss_and_page_time_together(full: World) -> None:
    week = values(full, MONDAY_S, 3600, 168)
    throughput = week.of(Service.BROADBAND, THROUGHPUT)
    for service, name in ((Service.VOICE, DELAY), (Service.VOICE, LOSS), (Service.BROADBAND, SESSION)):
        worse = week.of(service, name)
        together = [np.corrcoef(throughput[:, cell], worse[:, cell])[0, 1] for cell in range(200)]
        assert np.median(together) < -0.4
