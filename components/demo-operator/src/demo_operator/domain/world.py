"""The whole made-up operator: network, people, things and the service instances that join them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo_operator.domain.catalogue import SERVICE_INDEX
from demo_operator.domain.network import FULL, Network, Scale, build_network
from demo_operator.domain.randomness import Ints
from demo_operator.domain.subscribers import Person, ServiceInstance, Thing, subscribers

REFERENCE_AS_OF_S = 1_767_225_600
"""2026-01-01T00:00:00Z, the instant a world describes when its caller names none."""


@dataclass(frozen=True, eq=False, slots=True)
class InstanceColumns:
    """Who uses which service over which cell, as columns [instance]; `thing` is -1 for a person's own service.

    `customer` is the row in `World.people`: the user of a person's service, the owner of a thing.
    """

    customer: Ints
    thing: Ints
    service: Ints
    cell: Ints


@dataclass(frozen=True, eq=False, slots=True)
class World:
    """One seed's operator at one instant. `cohort` is the prefix of customer ids and names their random streams."""

    seed: int
    cohort: str
    as_of_s: int
    scale: Scale
    network: Network
    people: tuple[Person, ...]
    things: tuple[Thing, ...]
    instances: tuple[ServiceInstance, ...]
    columns: InstanceColumns


def build(seed: int, scale: Scale = FULL, as_of_s: int = REFERENCE_AS_OF_S, cohort: str = "cust") -> World:
    """The operator of a seed. Another `cohort` is another base of customers on the same network: the base of an earlier
    year, of whom it is known who left, is `build(seed, cohort="past", as_of_s=then)`."""
    network = build_network(seed, scale)
    people, things, instances = subscribers(seed, scale, network, as_of_s, cohort)
    columns = InstanceColumns(
        customer=np.array([instance.customer_index for instance in instances], dtype=np.int64),
        thing=np.array([instance.thing_index for instance in instances], dtype=np.int64),
        service=np.array([SERVICE_INDEX[instance.service] for instance in instances], dtype=np.int64),
        cell=np.array([network.cell_index(instance.cell_id) for instance in instances], dtype=np.int64),
    )
    return World(seed, cohort, as_of_s, scale, network, people, things, instances, columns)
