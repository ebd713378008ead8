"""Injected faults: reproducible, always noticeable, never beyond what they claim; planned work stays in its window."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from demo_operator.domain.catalogue import KPIS, OBJECTIVES, Service, SliceId
from demo_operator.domain.faults import (
    DRAWN_KINDS,
    SIZES,
    WEEK_S,
    Fault,
    FaultKind,
    draw,
    fault,
    incidents,
    maintenance_windows,
    none,
    subjects_hit,
)
from demo_operator.domain.kpi import values
from demo_operator.domain.network import ElementKind, Scale
from demo_operator.domain.truth import conforming, violated
from demo_operator.domain.world import REFERENCE_AS_OF_S as NOW_S
from demo_operator.domain.world import World, build

LEAD = 6


def _violations(world: World, one: Fault, slots: int) -> set[tuple[Service, str, int]]:
    """(service, KPI, cell) violated in any window that ends within `slots` slots of the fault's start."""
    block = values(world, one.start_s - LEAD * 300, 300, LEAD + slots, [one])
    found: set[tuple[Service, str, int]] = set()
    for objective in OBJECTIVES:
        cells = np.flatnonzero(violated(block, objective).any(axis=0))
        found |= {(objective.service, objective.kpi, int(cell)) for cell in cells}
    return found


def _claimed(one: Fault) -> set[tuple[Service, str, int]]:
    return {(service, kpi, cell) for service, kpi in one.expected for cell in one.cells}


@pytest.mark.parametrize("hour", [3, 20])
def test_every_drawn_fault_breaks_exactly_what_it_claims_within_three_slots(full: World, hour: int) -> None:
    for seed in range(40):
        one = draw(seed, full, NOW_S + seed * 86_400 + hour * 3600)
        assert _violations(full, one, 3) == _claimed(one), one.id


@pytest.mark.parametrize("kind", DRAWN_KINDS)
def test_the_smallest_fault_of_each_kind_is_noticed_at_once_in_every_scope(full: World, kind: FaultKind) -> None:
    low, high = SIZES[kind]
    mildest = high if kind is FaultKind.THROUGHPUT_COLLAPSE else low
    causes = (SliceId.URLLC, SliceId.MMTC, "du-04") if kind is FaultKind.LATENCY_STEP else ("cell-050", "site-010")
    for cause_id in causes:
        one = fault(full, kind, cause_id, NOW_S + 4 * 3600, 3600, mildest)
        assert _violations(full, one, 2) == _claimed(one)


def test_a_tiny_world_can_break_too(tiny: World) -> None:
    for seed in range(20):
        one = draw(seed, tiny, NOW_S)
        assert _violations(tiny, one, 3) == _claimed(one)


def test_values_with_tolerance_still_miss_the_target_in_a_fault(full: World) -> None:
    one = fault(full, FaultKind.CALL_SETUP_FAILURES, "cell-050", NOW_S, 3600, SIZES[FaultKind.CALL_SETUP_FAILURES][0])
    block = values(full, NOW_S, 300, 12, [one], one.cells)
    setup = OBJECTIVES[0]
    assert not conforming(block, setup).any()
    assert (block.of(setup.service, setup.kpi) < setup.target - setup.tolerance).all()


def test_a_fault_ends_when_it_ends(full: World) -> None:
    one = draw(6, full, NOW_S)
    healthy = values(full, one.start_s - 3000, 300, 40, cells=one.cells)
    broken = values(full, one.start_s - 3000, 300, 40, [one], one.cells)
    same = (healthy.values == broken.values).all(axis=(1, 2))
    inside = (healthy.time_s >= one.start_s) & (healthy.time_s < one.end_s)
    assert inside.any()
    assert np.array_equal(same, ~inside)


def test_a_ramp_grows_to_its_full_size(tiny: World) -> None:
    one = fault(tiny, FaultKind.PACKET_LOSS, "cell-002", NOW_S, 3600, 10.0, ramp_s=1500)
    times = NOW_S + 300 * np.arange(-1, 13, dtype=np.int64)
    expected = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    assert one.amplitude(times) == pytest.approx(expected)
    loss = values(tiny, NOW_S, 300, 6, [one], cells=[1]).values[:, 1, 0]
    assert loss[4] > 2 * loss[0]


def test_a_bigger_fault_is_never_milder(tiny: World) -> None:
    for kind, index, sign in (
        (FaultKind.PACKET_LOSS, 1, 1),
        (FaultKind.CALL_SETUP_FAILURES, 0, -1),
        (FaultKind.DEADLINE_MISSES, 8, 1),
    ):
        sizes = (1.0, 5.0, 20.0)
        blocks = [
            values(tiny, NOW_S, 300, 6, [fault(tiny, kind, "site-001", NOW_S, 3600, size)], cells=[0, 1, 2])
            for size in sizes
        ]
        for small, large in pairwise(blocks):
            assert (sign * (large.values[:, index] - small.values[:, index]) > 0.0).all(), KPIS[index]


def test_a_draw_is_repeatable_and_mixed(full: World) -> None:
    drawn = [draw(seed, full, NOW_S) for seed in range(60)]
    assert drawn == [draw(seed, full, NOW_S) for seed in range(60)]
    assert set(Counter(one.kind for one in drawn)) == set(DRAWN_KINDS)
    assert {one.cause_kind for one in drawn} >= {ElementKind.CELL, ElementKind.SITE, ElementKind.DU}
    assert len({one.cause_id for one in drawn}) > 40
    for one in drawn:
        assert len(subjects_hit(full, one.cells, one.services)) >= 3
        assert 3600 <= one.duration_s <= 7200


def test_draws_can_be_held_to_some_kinds(full: World) -> None:
    kinds = (FaultKind.THROUGHPUT_COLLAPSE, FaultKind.PACKET_LOSS)
    assert {draw(seed, full, NOW_S, kinds).kind for seed in range(12)} == set(kinds)


def test_a_world_where_nobody_would_notice_cannot_be_asked_for_a_fault() -> None:
    empty = build(1, Scale(areas=1, clusters=1, cells_per_area=3, people=10, things=0))
    with pytest.raises(ValueError, match="deadline_misses"):
        draw(1, empty, NOW_S, (FaultKind.DEADLINE_MISSES,))


def test_no_fault_changes_nothing(tiny: World) -> None:
    plain = values(tiny, NOW_S, 300, 50)
    assert np.array_equal(plain.values, values(tiny, NOW_S, 300, 50, [none(NOW_S)]).values)
    assert none().services == ()


def test_a_moved_fault_is_the_same_fault_on_the_grid(full: World) -> None:
    one = draw(3, full, NOW_S)
    moved = one.moved_to(NOW_S + 1234)
    assert moved.start_s == NOW_S + 1200
    assert (moved.cause_id, moved.cells, moved.effects, moved.duration_s) == (
        one.cause_id,
        one.cells,
        one.effects,
        one.duration_s,
    )


def test_incidents_of_a_longer_span_contain_those_of_a_shorter(full: World) -> None:
    long = incidents(full, NOW_S - 8 * WEEK_S, NOW_S)
    short = incidents(full, NOW_S - 3 * WEEK_S, NOW_S)
    assert set(short) == {one for one in long if one.start_s >= NOW_S - 3 * WEEK_S}
    assert 30 <= len(long) <= 70
    assert all(NOW_S - 8 * WEEK_S <= one.start_s < NOW_S for one in long)


def test_planned_work_is_at_night_and_hurts_inside_its_window_only(full: World) -> None:
    windows = maintenance_windows(full, NOW_S, NOW_S + 8 * WEEK_S)
    assert 8 <= len(windows) <= 26
    assert windows == maintenance_windows(full, NOW_S, NOW_S + 8 * WEEK_S)
    for window in windows:
        assert window.start_s % 86_400 >= 3600
        assert window.end_s % 86_400 <= 4 * 3600
        assert window.element_id.startswith("site-")
        assert (window.fault.start_s, window.fault.end_s) == (window.start_s, window.end_s)
    assert _violations(full, windows[0].fault, 3) == _claimed(windows[0].fault)
