"""Lifetime value against published vectors."""

from __future__ import annotations

import math

import pytest

from churn_prediction.domain.clv import (
    annualised,
    constant_retention,
    finite_horizon,
    monthly_hazard,
    monthly_rate,
    shifted_beta_geometric,
    survival,
)

# Gupta and Lehmann 2003: multiple of the yearly margin by retention, at 10 % and 12 % discount.
MULTIPLES = [
    (0.10, 0.6, 1.20),
    (0.10, 0.7, 1.75),
    (0.10, 0.8, 2.67),
    (0.10, 0.9, 4.50),
    (0.12, 0.6, 1.15),
    (0.12, 0.7, 1.67),
    (0.12, 0.8, 2.50),
    (0.12, 0.9, 4.09),
]
# Fader and Hardie 2007, percent of 1,000 customers surviving renewals 1 to 7.
HIGH_END = [86.9, 74.3, 65.3, 59.3, 55.1, 51.7, 49.1]
REGULAR = [63.1, 46.8, 38.2, 32.6, 28.9, 26.2, 24.1]


@pytest.mark.parametrize(("rate", "retention", "multiple"), MULTIPLES)
def test_constant_retention_gives_the_published_multiples(rate: float, retention: float, multiple: float) -> None:
    assert constant_retention(1.0, retention, rate) == pytest.approx(multiple, abs=0.005)


@pytest.mark.parametrize(("rate", "retention", "multiple"), MULTIPLES)
def test_a_long_finite_horizon_reaches_the_same_multiples(rate: float, retention: float, multiple: float) -> None:
    years = 200
    value = finite_horizon([1.0] * years, survival([1.0 - retention] * years), rate)
    assert value == pytest.approx(constant_retention(1.0, retention, rate), abs=1e-9)
    assert value == pytest.approx(multiple, abs=0.005)


@pytest.mark.parametrize(
    ("alpha", "beta", "model", "surviving", "log_likelihood"),
    [
        (0.668, 3.806, [85.1, 74.7, 67.0, 61.0], HIGH_END, -1611.2),
        (0.704, 1.182, [62.7, 47.4, 38.8, 33.2], REGULAR, -1680.3),
    ],
)
def test_the_shifted_beta_geometric_reproduces_the_published_fits(
    alpha: float, beta: float, model: list[float], surviving: list[float], log_likelihood: float
) -> None:
    curve = shifted_beta_geometric(alpha, beta, 7)
    assert [100.0 * s for s in curve[:4]] == pytest.approx(model, abs=0.05)
    alive, likelihood = 1.0, 0.0
    for observed, s_before, s in zip(surviving, (1.0, *curve), curve, strict=False):
        likelihood += 1000.0 * (alive - observed / 100.0) * math.log(s_before - s)
        alive = observed / 100.0
    assert likelihood + 1000.0 * alive * math.log(curve[-1]) == pytest.approx(log_likelihood, abs=0.1)


def test_two_percent_a_month_is_21_53_percent_a_year() -> None:
    assert annualised(0.02) == pytest.approx(0.2153, abs=5e-5)


def test_the_monthly_rate_compounds_to_the_annual_one() -> None:
    assert (1.0 + monthly_rate(0.10)) ** 12 == pytest.approx(1.10)
    assert monthly_rate(0.0) == 0.0


def test_a_hazard_by_window_is_consistent_over_windows() -> None:
    monthly = monthly_hazard(0.05, 30.0)
    assert monthly > 0.05
    assert 1.0 - (1.0 - monthly) ** (30.0 * 12.0 / 365.25) == pytest.approx(0.05)
    assert monthly_hazard(0.0, 30.0) == 0.0


def test_value_by_hand_over_three_months() -> None:
    # S = .9, .81, .729; 100/1.01^t
    expected = 90.0 / 1.01 + 81.0 / 1.01**2 + 72.9 / 1.01**3
    assert finite_horizon([100.0] * 3, survival([0.1] * 3), 0.01) == pytest.approx(expected)
    assert finite_horizon([], [], 0.01) == 0.0
