"""Roots of violations: deviations that are comparable over indicators, and faults told apart."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from service_quality.roots import Breach, Leaves, deviations, roots, without_drift
from service_quality.topology import Topology, built

AT = datetime(2026, 11, 9, tzinfo=UTC)
CELLS = [f"c{n:02d}" for n in range(40)]
PAIRS = (("video", "throughput"), ("voice", "setup"))


def row(value: float | None, quartiles: list[float] | None, n: int = 14, **day: Any) -> dict[str, Any]:
    return {"value": value, "quartiles": quartiles, "n": n, "day_quartiles": None, "day_n": 0, **day}


def test_a_small_change_of_a_large_number_counts_by_its_own_spread() -> None:
    usual = [row(99.99, [99.988, 99.99, 99.992]) for _ in range(9)]
    found = deviations([*usual, row(99.9, [99.988, 99.99, 99.992])], "higher")
    assert found[:9] == pytest.approx(0.0, abs=1e-6)
    assert found[9] == pytest.approx(0.09 / (0.004 / 1.349))


def test_samples_that_lie_close_by_chance_make_no_tiny_spread() -> None:
    usual = [row(10.0, [9.0, 10.0, 11.0]) for _ in range(9)]
    assert deviations([*usual, row(10.5, [9.99, 10.0, 10.01])], "lower")[9] == pytest.approx(0.5 / (1.0 / 1.349))


def test_an_indicator_that_never_moved_deviates_by_hundredths_of_its_value() -> None:
    found = deviations([row(5.0, [5.0, 5.0, 5.0]), row(6.0, [5.0, 5.0, 5.0]), row(1e9, [5.0, 5.0, 5.0])], "lower")
    assert found.tolist() == pytest.approx([0.0, 20.0, 200.0])


def test_without_a_week_the_day_before_is_the_baseline_and_without_both_nothing_is_known() -> None:
    day = {"day_quartiles": [9.0, 10.0, 11.0], "day_n": 20}
    found = deviations([row(12.0, None, 0, **day), row(12.0, None, 0), row(None, [9.0, 10.0, 11.0])], "near")
    assert found[0] == pytest.approx(2.0 / (2.0 / 1.349))
    assert [math.isnan(one) for one in found] == [False, True, True]


def network() -> Topology:
    """Forty cells of ten sites of two areas."""
    areas = [{"id": f"a{n}", "category": "area"} for n in range(2)]
    sites = [inside(f"s{n}", "site", f"a{n // 5}") for n in range(10)]
    return built(areas + sites + [inside(cell, "cell", f"s{n // 4}") for n, cell in enumerate(CELLS)], [], [])


def inside(id: str, category: str, holder: str) -> dict[str, Any]:
    return {"id": id, "category": category, "resourceRelationship": [{"id": holder}]}


def leaves(failing: set[tuple[str, str]]) -> Leaves:
    """Two indicators per cell; those of (service, cell) that fail are far off."""
    rows = [(cell, *pair) for cell in CELLS for pair in PAIRS]
    wobble = np.sin(np.arange(len(rows)) * 2.4)
    off = np.array([30.0 if (service, cell) in failing else 0.0 for cell, service, _ in rows])
    return Leaves([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], wobble + off)


def breaches(failing: set[tuple[str, str]]) -> list[Breach]:
    kpis = dict(PAIRS)
    return [Breach(f"{s}-{c}", s, kpis[s], c, "lower", AT, AT, None) for s, c in sorted(failing)]


def named(failing: set[tuple[str, str]], topology: Topology) -> list[tuple[str, tuple[str, ...], int, bool]]:
    groups = roots(breaches(failing), leaves(failing), topology)
    return sorted((root.dimension, root.elements, len(members), root.located) for root, members in groups)


def test_every_violation_goes_to_one_root() -> None:
    failing = {("video", cell) for cell in CELLS[4:8]}
    assert named(failing, network()) == [("site", ("s1",), 4, True)]
    assert named({("video", cell) for cell in CELLS[:20]}, network()) == [("area", ("a0",), 20, True)]


def test_faults_of_different_dimensions_at_once_are_told_apart() -> None:
    failing = {("video", cell) for cell in CELLS[4:8]} | {("voice", "c30")}
    assert named(failing, network()) == [("cell", ("c30",), 1, True), ("site", ("s1",), 4, True)]


def test_two_cells_far_apart_say_nothing_of_the_service_or_area_that_holds_both() -> None:
    failing = {("video", "c02"), ("video", "c17")}
    assert named(failing, network()) == [("cell", ("c02",), 1, True), ("cell", ("c17",), 1, True)]


def test_without_a_topology_what_fails_together_stays_together() -> None:
    failing = {("video", cell) for cell in CELLS[4:8]}
    assert named(failing, Topology()) == [("resource", ("c04", "c05", "c06", "c07"), 4, False)]


def test_too_few_series_name_each_its_own_resource_for_now() -> None:
    failing = {("video", "c02"), ("video", "c17")}
    few = Leaves(["c02", "c17"], ["video"] * 2, ["throughput"] * 2, np.array([30.0, 30.0]))
    groups = roots(breaches(failing), few, network())
    assert sorted((root.elements, root.located) for root, _ in groups) == [(("c02",), False), (("c17",), False)]


def test_what_all_series_have_in_common_is_taken_off_where_few_are_violated() -> None:
    busy = np.array([200.0, 200.0, 1.2, 0.9, 1.0, 1.1, 4.0, 0.8, 1.3, np.nan, 1.0])
    violated = np.array([True, True] + [False] * 9)
    found = without_drift(busy, violated)
    assert np.isnan(found[9])
    assert np.median(found[[2, 3, 4, 5, 6, 7, 8, 10]]) == pytest.approx(0.0, abs=0.05)
    assert found[0] == pytest.approx(200.0 - 1.05, abs=0.05)


def test_what_most_violated_series_have_in_common_is_the_fault_and_stays() -> None:
    worse = np.array([40.0] * 12 + [3.0] * 9)
    assert without_drift(worse, worse > 10).tolist() == worse.tolist()
    few = np.array([40.0, 3.0, 3.0])
    assert without_drift(few, few > 10).tolist() == few.tolist()


def test_cells_of_a_country_at_a_busy_hour_are_not_the_fault_of_its_slice() -> None:
    cells = [f"c{n:03d}" for n in range(200)]
    docs: list[dict[str, Any]] = [
        {"id": "slice-a", "category": "slice"},
        *({"id": f"s{n}", "category": "site"} for n in range(67)),
    ]
    for n, cell in enumerate(cells):
        above = [{"id": f"s{n // 3}"}, {"id": "slice-a"}]
        docs.append({"id": cell, "category": "cell", "resourceRelationship": above})
    busy = np.random.default_rng(5).normal(1.3, 0.8, 200)
    violated = np.arange(200) // 3 == 8
    busy[violated] = 200.0
    raised = [Breach(f"voice-{c}", "voice", "loss", c, "lower", AT, AT, None) for c in np.array(cells)[violated]]

    def found(deviation: Any) -> list[tuple[str, ...]]:
        seen = Leaves(cells, ["voice"] * 200, ["loss"] * 200, deviation)
        return [root.elements for root, _ in roots(raised, seen, built(docs, [], []))]

    assert found(busy) == [("slice-a",)]
    assert found(without_drift(busy, violated)) == [("s8",)]
