"""A small component of the tests' own: one resource in v4 and v5 with every way in which the two can differ, one of our
own in v1, a route, and a life cycle. It follows nobody; who follows it is in following.py.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from tmfkit import Api, Component, Context, Lifecycle, Resource, Settings, context, permit
from tmfkit.types import (
    CreateOnly,
    Entity,
    Instant,
    ReadOnly,
    RelatedParty,
    RelatedPartyOrPartyRole,
    RelatedPlace,
    RelatedPlaceV4,
    StoredAs,
    TimePeriod,
    TmfModel,
)

URGENCY = ["low", "medium", "high"]


class Stop(TmfModel):
    """v5: where goods are handed over; `code` is known to v5 alone."""

    name: str
    code: str | None = None
    window: TimePeriod | None = None


class StopV4(TmfModel):
    name: str
    window: TimePeriod | None = None


class Leg(TmfModel):
    """v5: a part of the way; `seal` is known to v5 alone."""

    id: str | None = None
    carrier: str | None = None
    seal: str | None = None
    stop: list[Stop] | None = None


class LegV4(TmfModel):
    id: str | None = None
    carrier: str | None = None
    stop: list[StopV4] | None = None


class Insurance(TmfModel):
    """v5: a list whose members v4 cannot tell apart by an id, because it does not show theirs."""

    id: str | None = None
    amount: int | None = None
    currency: str | None = None


class InsuranceV4(TmfModel):
    amount: int | None = None
    currency: str | None = None


class Shipment(Entity):
    name: str
    description: str | None = None
    status: str | None = None
    urgency: Annotated[int | None, Field(ge=0, le=2)] = None
    weightKg: float | None = None
    fragile: bool | None = None
    origin: Annotated[str | None, CreateOnly()] = None
    route: Annotated[str | None, ReadOnly()] = None
    label: list[str] | None = None
    leg: list[Leg] | None = None
    destination: Stop | None = None
    insurance: list[Insurance] | None = None
    relatedParty: list[RelatedPartyOrPartyRole] | None = None
    place: RelatedPlace | None = None
    creationDate: Instant | None = None
    lastUpdate: Instant | None = None


def word(urgency: Any) -> Any:
    return URGENCY[urgency] if isinstance(urgency, int) else urgency


def number(text: Any) -> Any:
    return URGENCY.index(text) if text in URGENCY else text


class ShipmentV4(Entity):
    shipmentName: Annotated[str, StoredAs("name")]
    status: str | None = None
    priority: Annotated[str | None, StoredAs("urgency", down=word, up=number)] = None
    weightKg: float | None = None
    fragile: bool | None = None
    origin: Annotated[str | None, CreateOnly()] = None
    label: list[str] | None = None
    leg: list[LegV4] | None = None
    destination: StopV4 | None = None
    insurance: list[InsuranceV4] | None = None
    relatedParty: list[RelatedParty] | None = None
    place: RelatedPlaceV4 | None = None
    creationDate: Instant | None = None
    lastUpdate: Instant | None = None


class Depot(Entity):
    """A resource of our own API, which has one version."""

    name: str
    capacity: int | None = None


SHIPMENT = Resource(
    Shipment,
    v4=ShipmentV4,
    lifecycle=Lifecycle(
        "status",
        initial="planned",
        moves={"planned": ("moving", "cancelled"), "moving": ("delivered",), "delivered": (), "cancelled": ()},
    ),
    index=("name", "creationDate"),
    created="creationDate",
    updated="lastUpdate",
)
DEPOT = Resource(Depot)

router = APIRouter(prefix="/tmf-api/depotManagement/v1")


@router.post("/stocktaking/{name}", operation_id="takeStock")
async def take_stock(request: Request, name: str, ctx: Context[Any] = Depends(context)) -> dict[str, Any]:  # noqa: B008
    """A route beside the declared resources, as components have them."""
    permit(request, "depotManagement", "stocktaking", "create")
    found = await ctx.database.fetchval("SELECT count(*) FROM depot WHERE doc ->> 'name' = $1", name)
    return {"name": name, "depots": found}


class Wish(BaseModel):
    depots: int


@router.post("/planning", operation_id="plan")
async def plan(request: Request, wish: Wish) -> dict[str, int]:
    """What FastAPI itself judges; more than a hundred depots are more than it can do."""
    permit(request, "depotManagement", "planning", "create")
    if wish.depots > 100:
        raise RuntimeError("a secret of the planning")
    return {"depots": wish.depots}


component = Component(
    name="shipping",
    package="shared.tests.support.shipping",
    settings=Settings,
    apis=(
        Api("TMF700", "shipmentManagement", ("v4", "v5"), (SHIPMENT,)),
        Api("own", "depotManagement", ("v1",), (DEPOT,)),
    ),
    routes=(router,),
)

BASE = "/shipping/tmf-api/shipmentManagement"
V4, V5 = f"{BASE}/v4/shipment", f"{BASE}/v5/shipment"
HUB_V4, HUB_V5 = f"{BASE}/v4/hub", f"{BASE}/v5/hub"
DEPOTS = "/shipping/tmf-api/depotManagement/v1/depot"
DEAD_LETTERS = "/shipping/tmf-api/eventDelivery/v1/deadLetter"
