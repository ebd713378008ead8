"""Worlds the simulator's tests share: a tiny one for laws, the full one for what is claimed of the demonstration."""

from __future__ import annotations

import pytest

from demo_operator.domain.faults import WEEK_S, incidents
from demo_operator.domain.hazard import TrainingSet, training_set
from demo_operator.domain.network import TINY
from demo_operator.domain.world import REFERENCE_AS_OF_S, World, build


@pytest.fixture(scope="session")
def tiny() -> World:
    return build(7, TINY)


@pytest.fixture(scope="session")
def full() -> World:
    return build(1)


@pytest.fixture(scope="session")
def past() -> World:
    """The base of customers of whom it is known who left."""
    return build(1, cohort="past")


@pytest.fixture(scope="session")
def labelled(past: World) -> TrainingSet:
    as_of_s = REFERENCE_AS_OF_S
    return training_set(past, as_of_s, incidents(past, as_of_s - 13 * WEEK_S, as_of_s))
