"""A seeded population with known churn: what the model should find is written down beside the data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from churn_prediction.domain.features import Floats, Record, Specification, specification
from churn_prediction.domain.training import Training, train

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
CONTRACT_EFFECT = {"month-to-month": 0.9, "one year": -0.3, "two years": -1.1}
Population = tuple[Specification, list[Record], dict[str, Floats]]


def _specification() -> Specification:
    declared = [
        ("tenure_months", "numeric", "contract", "customer-360"),
        ("contract", "categorical", "contract", "customer-360"),
        ("monthly_charge", "numeric", "price", "customer-360"),
        ("complaints_30d", "numeric", "care", "customer-360"),
        ("latency_ms", "numeric", "network", "service-quality"),
        ("handset", "categorical", "device", "customer-360"),
    ]
    return specification([{"name": n, "kind": k, "group": g, "origin": o} for n, k, g, o in declared])


def _generate(n: int, seed: int, intercept: float = -1.2) -> Population:
    """n customers; the true contribution of every feature to the log-odds is returned beside the records.

    Charges act by an S-curve (not a line), latency is missing for a tenth of the customers (effect 0.3), handset does
    nothing at all.
    """
    rng = np.random.default_rng(seed)
    tenure, charge = rng.uniform(0.0, 72.0, n), rng.uniform(20.0, 120.0, n)
    complaints = rng.poisson(0.6, n).astype(np.float64)
    latency, absent = rng.gamma(4.0, 12.0, n), rng.random(n) < 0.1
    contract = rng.choice(list(CONTRACT_EFFECT), n, p=[0.5, 0.3, 0.2])
    handset = rng.choice(["a", "b", "c"], n)
    truth: dict[str, Floats] = {
        "tenure_months": -0.035 * (tenure - 36.0),
        "contract": np.array([CONTRACT_EFFECT[c] for c in contract]),
        "monthly_charge": 0.9 * np.tanh((charge - 80.0) / 12.0),
        "complaints_30d": 0.6 * complaints,
        "latency_ms": np.where(absent, 0.3, 0.012 * (latency - 48.0)),
        "handset": np.zeros(n),
    }
    log_odds = intercept + np.sum(list(truth.values()), axis=0)
    churned = rng.random(n) < 1.0 / (1.0 + np.exp(-log_odds))
    records = [
        Record(
            id=f"c{seed}-{i}",
            as_of=AS_OF,
            features={
                "tenure_months": float(tenure[i]),
                "contract": str(contract[i]),
                "monthly_charge": float(charge[i]),
                "complaints_30d": float(complaints[i]),
                "latency_ms": None if absent[i] else float(latency[i]),
                "handset": str(handset[i]),
            },
            churned=bool(churned[i]),
        )
        for i in range(n)
    ]
    return _specification(), records, truth


@pytest.fixture(scope="session")
def generate() -> Callable[..., Population]:
    return _generate


@pytest.fixture(scope="session")
def population() -> Population:
    return _generate(6000, 7)


@pytest.fixture(scope="session")
def trained(population: Population) -> Training:
    """One training on the population, shared by the tests that only read it."""
    declared, records, _ = population
    result = train(declared, records, seed=1)
    assert isinstance(result, Training)
    return result
