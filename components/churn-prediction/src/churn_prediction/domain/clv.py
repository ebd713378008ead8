"""Customer lifetime value from a discrete hazard and a margin, and the churn arithmetic around it."""

from __future__ import annotations

import math
from collections.abc import Sequence

DAYS_PER_MONTH = 365.25 / 12.0


def annualised(monthly_churn: float) -> float:
    """Yearly churn from monthly: 1 - (1 - m)^12 (2 % a month is 21.5 % a year, not 24 %)."""
    return 1.0 - math.pow(1.0 - monthly_churn, 12.0)


def monthly_hazard(probability: float, window_days: float) -> float:
    """Constant monthly hazard that gives this churn probability within the window."""
    return 1.0 - math.pow(1.0 - probability, DAYS_PER_MONTH / window_days)


def monthly_rate(annual_rate: float) -> float:
    """Monthly discount rate i_m = (1 + i)^(1/12) - 1."""
    return math.pow(1.0 + annual_rate, 1.0 / 12.0) - 1.0


def survival(hazard: Sequence[float]) -> tuple[float, ...]:
    """S(t) = product of (1 - h_k) for k = 1..t."""
    alive, curve = 1.0, []
    for h in hazard:
        alive *= 1.0 - h
        curve.append(alive)
    return tuple(curve)


def finite_horizon(margin: Sequence[float], surviving: Sequence[float], rate: float) -> float:
    """CLV_H = sum over t = 1..H of S(t) m_t / (1 + i)^t; margin and rate per period, margin due at its end."""
    return sum(s * m / (1.0 + rate) ** t for t, (m, s) in enumerate(zip(margin, surviving, strict=True), start=1))


def constant_retention(margin: float, retention: float, rate: float) -> float:
    """Infinite horizon with constant retention: m r / (1 + i - r), first margin after one period.

    Gupta and Lehmann, Journal of Interactive Marketing 17, 2003.
    """
    return margin * retention / (1.0 + rate - retention)


def shifted_beta_geometric(alpha: float, beta: float, periods: int) -> tuple[float, ...]:
    """S(1..periods) of a contractual base whose churn probabilities are Beta(alpha, beta) distributed.

    S(t) = S(t-1) (beta + t - 1)/(alpha + beta + t - 1); Fader and Hardie, Journal of Interactive Marketing 21, 2007.
    """
    return survival([alpha / (alpha + beta + t) for t in range(periods)])
