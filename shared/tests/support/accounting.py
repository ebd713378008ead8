"""A second component of the tests' own: it follows shipping and keeps a row for each shipment it has heard of."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Identity, Integer, MetaData, Table, Text

from tmfkit import Component, Context, Event, Every, Follow, Settings, Transaction
from tmfkit.call import CALL

CANNOT: set[str] = set()
"""Names of shipments that the handler cannot take now."""


def tables() -> MetaData:
    metadata = MetaData()
    Table(
        "heard",
        metadata,
        Column("seq", Integer, Identity(), primary_key=True),
        Column("event_id", Text, nullable=False),
        Column("event_type", Text, nullable=False),
        Column("shipment", Text, nullable=False),
        Column("name", Text),
        Column("subject", Text),
        Column("trace_id", Text),
    )
    Table("tally", metadata, Column("shipments", Integer, nullable=False))
    return metadata


async def on_shipment(tx: Transaction, event: Event) -> None:
    await tx.execute(
        "INSERT INTO heard (event_id, event_type, shipment, name, subject, trace_id) VALUES ($1, $2, $3, $4, $5, $6)",
        event.event_id, event.event_type, event.resource["id"], event.resource.get("name"),
        CALL.get().subject, CALL.get().trace_id,
    )  # fmt: skip
    if event.resource.get("name") in CANNOT:
        raise RuntimeError("the handler fails after it has written")


async def count(ctx: Context[Any]) -> None:
    """The flow that an event wakes."""
    async with ctx.transaction() as tx:
        await tx.execute("INSERT INTO tally SELECT count(DISTINCT shipment) FROM heard")


FOLLOW = Follow(
    dependency="shipping",
    path="tmf-api/shipmentManagement/v5",
    resource="shipment",
    events=("ShipmentCreateEvent", "ShipmentAttributeValueChangeEvent"),
    handle=on_shipment,
    wake="count",
)
CANCELLED = Follow(
    dependency="shipping",
    path="tmf-api/shipmentManagement/v4",
    resource="shipment",
    events=("ShipmentStateChangeEvent",),
    handle=on_shipment,
    where=(("status", "cancelled"),),
)
DEPOTS = Follow(
    dependency="shipping",
    path="tmf-api/depotManagement/v1",
    resource="depot",
    events=("DepotCreateEvent",),
    handle=on_shipment,
)


def following(*follows: Follow) -> Component:
    return Component(
        name="accounting",
        package="shared.tests.support.accounting",
        settings=Settings,
        apis=(),
        metadata=tables(),
        follows=follows or (FOLLOW,),
        flows=(Every(3600, count, "count"),),
    )


component = following()
