"""B-spline basis in plain numpy, so that scoring needs no scipy and no scikit-learn.

Cox-de Boor recursion (de Boor, A Practical Guide to Splines, 1978, ch. IX); outside the boundary knots the basis keeps
its value at the boundary: a customer beyond what training saw is scored as one at its edge.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def quantile_knots(values: Floats, count: int) -> Floats:
    """Strictly increasing knots at evenly spaced quantiles of the observed values (NaN ignored), shape (<= count,).

    Fewer than two are returned when the values do not differ: there is nothing to bend.
    """
    observed = values[~np.isnan(values)]
    if observed.size == 0:
        return np.empty(0)
    return np.unique(np.quantile(observed, np.linspace(0.0, 1.0, count)))


def basis(values: Floats, knots: Floats, degree: int) -> Floats:
    """B-spline basis of finite values, shape (n, len(knots) - degree - 1).

    `knots` is the full knot vector t with degree extra knots at each side; base interval [t[degree], t[-degree-1]].
    """
    low, high = knots[degree], knots[-degree - 1]
    x = np.clip(values, low, high)
    last = len(knots) - degree - 2
    # The right end belongs to the last base interval, otherwise the basis there would be zero.
    interval = np.clip(np.searchsorted(knots, x, side="right") - 1, degree, last)
    local = np.zeros((len(x), degree + 1))
    local[:, 0] = 1.0
    for order in range(1, degree + 1):
        carried = np.zeros(len(x))
        for k in range(order):
            right = knots[interval + k + 1]
            left = knots[interval + k + 1 - order]
            share = local[:, k] / (right - left)
            local[:, k] = carried + (right - x) * share
            carried = (x - left) * share
        local[:, order] = carried
    full = np.zeros((len(x), last + 1))
    rows = np.arange(len(x))[:, None]
    full[rows, interval[:, None] - degree + np.arange(degree + 1)] = local
    return full
