"""Intervals for measured proportions, and the normal quantile they share. All are 95 % and two-sided."""

from __future__ import annotations

import math
from statistics import NormalDist

LEVEL = 0.95
Z = NormalDist().inv_cdf(0.5 + LEVEL / 2.0)


def wilson(successes: float, n: float) -> tuple[float, float]:
    """Score interval of a proportion (Wilson, JASA 22, 1927); (0, 1) when nothing was observed."""
    if n <= 0:
        return 0.0, 1.0
    share, z2 = successes / n, Z * Z
    centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n)
    half = Z / (1.0 + z2 / n) * math.sqrt(share * (1.0 - share) / n + z2 / (4.0 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)
