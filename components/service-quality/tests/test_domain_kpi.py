"""The KPI catalogue is sound data, and its formulae give the published values."""

from __future__ import annotations

import pytest

from service_quality.domain.kpi import CATALOGUE, Direction, drb_accessibility_ratio, scale, success_ratio, units_like


def test_every_kpi_has_a_range_a_unit_that_can_be_converted_and_a_source() -> None:
    for name, kpi in CATALOGUE.items():
        assert kpi.name == name
        assert kpi.low < kpi.high
        assert kpi.unit in units_like(kpi.unit)
        assert scale(kpi.unit, kpi.unit) == 1.0
        assert kpi.counter_unit is None or scale(kpi.counter_unit, kpi.unit) is not None
        assert kpi.source
        assert kpi.title
        assert kpi.direction in Direction


def test_accessibility_is_the_product_of_three_success_ratios() -> None:
    assert drb_accessibility_ratio((990, 1000), (980, 990), (1940, 2000)) == pytest.approx(0.95060, abs=1e-5)


def test_no_attempt_is_no_success_ratio() -> None:
    assert success_ratio(0, 0) is None
    assert success_ratio(0, 4) == 0.0
    assert drb_accessibility_ratio((990, 1000), (0, 0), (1940, 2000)) is None


@pytest.mark.parametrize(
    ("unit", "into", "factor"),
    [
        ("s", "ms", 1000.0),
        ("0.1 ms", "ms", 0.1),
        ("Mbit/s", "kbit/s", 1000.0),
        ("bps", "kbit/s", 0.001),
        ("%", "ratio", 0.01),
        ("ppm", "%", 0.0001),
        ("anything", "anything", 1.0),
    ],
)
def test_units_of_one_dimension_convert(unit: str, into: str, factor: float) -> None:
    assert scale(unit, into) == pytest.approx(factor)


@pytest.mark.parametrize(("unit", "into"), [("ms", "kbit/s"), ("furlong", "ms"), ("ms", "furlong")])
def test_units_of_different_dimensions_do_not(unit: str, into: str) -> None:
    assert scale(unit, into) is None


def test_an_unknown_unit_is_like_itself_only() -> None:
    assert units_like("furlong") == ("furlong",)
    assert "s" in units_like("ms")
