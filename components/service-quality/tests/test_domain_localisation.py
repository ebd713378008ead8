"""The root element is named: Adtributor's worked example, small clear cases, and a seeded set of synthetic faults."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service_quality.domain.kpi import Direction
from service_quality.domain.localisation import Element, Finding, Localisation, explanatory_power, locate

SERVICES = ("voice", "video", "web", "iot")


def test_explanatory_power_is_adtributors() -> None:
    change = np.array([20.0, 30.0, 20.0]) - np.array([50.0, 30.0, 20.0])
    powers = [explanatory_power(change, np.arange(3) == place) for place in range(3)]
    assert powers == [1.0, 0.0, 0.0]
    assert explanatory_power(np.zeros(3), np.ones(3, dtype=np.bool_)) == 0.0


# --- small networks: every cell carries every service


def network(cells: int, cells_per_area: int) -> dict[str, list[str]]:
    return {
        "cell": [f"c{cell}" for cell in range(cells) for _ in SERVICES],
        "area": [f"a{cell // cells_per_area}" for cell in range(cells) for _ in SERVICES],
        "service": [service for _ in range(cells) for service in SERVICES],
    }


def located(
    failing: dict[str, set[str]],
    cells: int = 12,
    factor: float = 3.0,
    direction: Direction = Direction.LOWER,
    noise: float = 0.02,
) -> Localisation:
    attributes = network(cells, 4)
    size = len(attributes["cell"])
    baseline = np.linspace(20.0, 60.0, size)
    value = baseline * (1 + noise * np.sin(np.arange(size) * 2.4))
    for dimension, elements in failing.items():
        value[[element in elements for element in attributes[dimension]]] *= factor
    return locate(attributes, value, baseline, direction)


def test_one_cell_is_named_with_its_power() -> None:
    found = located({"cell": {"c3"}})
    assert (found.finding, found.root, found.elements) == (
        Finding.LOCATED, Element("cell", "c3"), (Element("cell", "c3"),)
    )  # fmt: skip
    assert found.explanatory_power == pytest.approx(1.0, abs=0.05)
    assert found.confidence is not None
    assert found.confidence > 0.95
    assert (found.leaves_known, found.leaves_deviating) == (48, 4)
    assert found.evidence[0].leaves == found.evidence[0].leaves_deviating == 4


def test_a_whole_area_is_named_not_its_cells() -> None:
    found = located({"area": {"a1"}})
    assert found.root == Element("area", "a1")
    assert found.elements == (Element("area", "a1"),)


def test_several_cells_of_an_area_are_named_with_the_area_as_root() -> None:
    found = located({"cell": {"c4", "c6"}}, cells=40)
    assert found.root == Element("area", "a1")
    assert found.elements == (Element("cell", "c4"), Element("cell", "c6"))


def test_cells_without_a_common_area_have_no_common_root() -> None:
    found = located({"cell": {"c1", "c30"}}, cells=40)
    assert (found.finding, found.root) == (Finding.SEVERAL, None)
    assert found.elements == (Element("cell", "c1"), Element("cell", "c30"))


def test_a_service_is_named_when_it_fails_everywhere() -> None:
    assert located({"service": {"video"}}).root == Element("service", "video")


def test_where_less_is_worse_a_fall_is_the_fault() -> None:
    assert located({"cell": {"c5"}}, factor=0.3, direction=Direction.HIGHER).root == Element("cell", "c5")
    assert located({"cell": {"c5"}}, factor=0.3, direction=Direction.LOWER).finding is Finding.NO_DEVIATION


def test_noise_alone_is_no_deviation() -> None:
    found = located({})
    assert (found.finding, found.root, found.elements, found.explanatory_power) == (
        Finding.NO_DEVIATION, None, (), None
    )  # fmt: skip


def test_no_change_at_all_is_no_deviation() -> None:
    assert located({}, noise=0.0).finding is Finding.NO_DEVIATION
    zeros = np.zeros(12)
    assert locate(network(3, 3), zeros, zeros, Direction.LOWER).finding is Finding.NO_DEVIATION


def test_too_few_leaves_are_not_enough_data() -> None:
    attributes = {"cell": ["c1"] * 9, "service": ["video"] * 9}
    value = np.array([90.0, 20, 20, 20, 20, 20, 20, math.nan, 20])
    baseline = np.array([20.0, 20, 20, 20, 20, 20, 20, 20, math.nan])
    found = locate(attributes, value, baseline, Direction.LOWER)
    assert (found.finding, found.leaves_known) == (Finding.NOT_ENOUGH_DATA, 7)


def test_an_explanation_that_is_not_sure_enough_names_no_root() -> None:
    attributes = network(12, 4)
    baseline = np.full(48, 30.0)
    value = baseline * (1 + 0.02 * np.sin(np.arange(48) * 2.4))
    value[8] *= 1.5
    unsure = locate(attributes, value, baseline, Direction.LOWER, min_confidence=0.6)
    assert (unsure.finding, unsure.root) == (Finding.NOT_ENOUGH_DATA, None)
    assert unsure.elements == (Element("cell", "c2"),)


def alone(failing: set[str], factor: float) -> Localisation:
    """One leaf a cell: a single indicator of a single service, as it is when only one objective is violated."""
    cells = [f"c{cell}" for cell in range(90)]
    attributes = {
        "cell": cells,
        "site": [f"s{cell // 3}" for cell in range(90)],
        "area": [f"a{cell // 30}" for cell in range(90)],
    }
    baseline = 0.5 + 0.3 * np.sin(np.arange(90) * 1.7)
    value = baseline * (1 + 0.08 * np.sin(np.arange(90) * 2.4))
    value[[cell in failing for cell in cells]] *= factor
    return locate(attributes, value, baseline, Direction.LOWER)


def test_one_leaf_far_off_is_enough_to_name_its_cell() -> None:
    assert alone({"c40"}, 20.0).root == Element("cell", "c40")
    assert alone({"c39", "c40", "c41"}, 20.0).root == Element("site", "s13")
    assert alone({f"c{cell}" for cell in range(30, 60)}, 20.0).root == Element("area", "a1")


def test_one_leaf_a_little_off_is_not() -> None:
    assert alone({"c40"}, 1.2).root is None


def test_values_below_zero_are_compared_as_they_are() -> None:
    attributes = network(12, 4)
    baseline = np.full(48, -80.0)
    value = baseline + np.sin(np.arange(48) * 2.4)
    value[[cell == "c3" for cell in attributes["cell"]]] -= 25.0
    assert locate(attributes, value, baseline, Direction.HIGHER).root == Element("cell", "c3")


def test_elements_with_the_same_leaves_are_told_by_the_dimension_named_first() -> None:
    attributes = network(12, 4)
    slices = ["mtc" if service == "iot" else "embb" for service in attributes["service"]]
    baseline = np.full(48, 30.0)
    value = baseline * (1 + 0.02 * np.sin(np.arange(48) * 2.4))
    value[[service == "iot" for service in attributes["service"]]] *= 2
    service = attributes.pop("service")
    first = locate({**attributes, "slice": slices, "service": service}, value, baseline, Direction.LOWER)
    second = locate({**attributes, "service": service, "slice": slices}, value, baseline, Direction.LOWER)
    assert (first.root, second.root) == (Element("slice", "mtc"), Element("service", "iot"))


def test_leaves_a_dimension_does_not_apply_to_are_never_its_element() -> None:
    attributes = network(12, 4)
    slices = ["" if cell == "c3" else "embb" for cell in attributes["cell"]]
    baseline = np.full(48, 30.0)
    value = baseline * np.where(np.array(attributes["cell"]) == "c3", 3.0, 1.0)
    found = locate({"slice": slices, **attributes}, value, baseline, Direction.LOWER)
    assert found.root == Element("cell", "c3")
    assert locate({"slice": [""] * 48}, value, baseline, Direction.LOWER).finding is Finding.NO_DEVIATION


def test_a_known_spread_decides_what_is_much() -> None:
    attributes = network(12, 4)
    baseline = np.full(48, 30.0)
    value = baseline + 0.3 * np.sin(np.arange(48) * 2.4)
    in_cell = np.array(attributes["cell"]) == "c3"
    value[in_cell] += 6.0
    steady, restless = np.full(48, 0.3), np.where(in_cell, 30.0, 0.3)
    assert locate(attributes, value, baseline, Direction.LOWER, spread=steady).root == Element("cell", "c3")
    assert locate(attributes, value, baseline, Direction.LOWER, spread=restless).finding is Finding.NO_DEVIATION


def test_weights_count_in_the_power_alone() -> None:
    attributes = network(12, 4)
    baseline = np.full(48, 30.0)
    value = baseline + np.sin(np.arange(48) * 2.4)
    in_cell = np.array(attributes["cell"]) == "c3"
    value[in_cell] += 30.0
    weight = np.where(np.arange(48) % 3 == 0, 50.0, 1.0)
    plain = locate(attributes, value, baseline, Direction.LOWER)
    weighted = locate(attributes, value, baseline, Direction.LOWER, weight=weight)
    assert plain.root == weighted.root == Element("cell", "c3")
    assert plain.confidence == weighted.confidence
    assert plain.explanatory_power == explanatory_power(value - baseline, in_cell)
    assert weighted.explanatory_power == explanatory_power((value - baseline) * weight, in_cell)
    assert plain.explanatory_power != weighted.explanatory_power


# --- synthetic faults: 200 cells in 20 areas, 4 services, 3 slices


@dataclass(frozen=True)
class Case:
    attributes: dict[str, list[str]]
    value: NDArray[np.float64]
    baseline: NDArray[np.float64]
    direction: Direction
    truth: frozenset[Element]


def case(kind: str, seed: int) -> Case:
    """A fault of `kind`, 5 % of the leaves missing: heavy-tailed noise of 2-15 %, hits of 6 times that or more.

    The truth may be several elements: slice s2 carries service iot and nothing else.
    """
    rng = np.random.default_rng((seed, *kind.encode()))
    cell, service = np.repeat(np.arange(200), 4), np.tile(np.arange(4), 200)
    area = cell // 10
    slices = np.where(service == 3, 2, (rng.random(800) < 0.3).astype(int))
    lower = bool(rng.random() < 0.5)
    baseline = rng.uniform(20, 60, 800) if lower else rng.uniform(5e3, 4e4, 800)
    noise = rng.uniform(0.02, 0.15)
    value = baseline * np.exp(noise * rng.standard_t(5, 800) / math.sqrt(5 / 3))
    pick = int(rng.integers({"cell": 200, "area": 20, "partial": 20, "slice": 3, "service": 4, "none": 1}[kind]))
    names = {"cell": f"c{pick}", "area": f"a{pick}", "partial": f"a{pick}", "slice": f"s{pick}"}
    some_cells = 10 * pick + rng.choice(10, int(rng.integers(3, 9)), replace=False)
    hit = {
        "cell": cell == pick,
        "area": area == pick,
        "partial": np.isin(cell, some_cells),
        "slice": slices == pick,
        "service": service == pick,
        "none": np.zeros(800, dtype=np.bool_),
    }[kind]
    least = max(0.25, 6 * noise)
    size = 1 + rng.uniform(least, least + 1.5) * rng.uniform(0.8, 1.2, 800)
    value = np.where(hit, value * size if lower else value / size, value)
    value[rng.random(800) < 0.05] = math.nan
    truth = Element("area" if kind == "partial" else kind, names.get(kind, SERVICES[pick % 4]))
    twins = frozenset({Element("slice", "s2"), Element("service", "iot")})
    return Case(
        {
            "cell": [f"c{number}" for number in cell],
            "area": [f"a{number}" for number in area],
            "slice": [f"s{number}" for number in slices],
            "service": [SERVICES[number] for number in service],
        },
        value,
        baseline,
        Direction.LOWER if lower else Direction.HIGHER,
        twins if truth in twins else frozenset({truth}),
    )


@pytest.mark.parametrize("kind", ["cell", "area", "partial", "slice", "service"])
def test_at_least_95_percent_of_synthetic_faults_are_named_rightly(kind: str) -> None:
    right = 0
    for seed in range(60):
        fault = case(kind, seed)
        found = locate(fault.attributes, fault.value, fault.baseline, fault.direction)
        right += found.root in fault.truth
    assert right >= 57


def test_nothing_is_named_where_nothing_failed() -> None:
    for seed in range(60):
        quiet = case("none", seed)
        found = locate(quiet.attributes, quiet.value, quiet.baseline, quiet.direction)
        assert found.finding is Finding.NO_DEVIATION


@given(st.integers(0, 59), st.sampled_from(["cell", "partial", "slice"]))
@settings(deadline=None, max_examples=20)
def test_the_order_of_leaves_is_irrelevant(seed: int, kind: str) -> None:
    fault = case(kind, seed)
    order = np.random.default_rng(seed).permutation(800)
    shuffled = {name: [values[place] for place in order] for name, values in fault.attributes.items()}
    one = locate(fault.attributes, fault.value, fault.baseline, fault.direction)
    other = locate(shuffled, fault.value[order], fault.baseline[order], fault.direction)
    assert (one.root, one.finding) == (other.root, other.finding)
    assert set(one.elements) == set(other.elements)
