"""The operator's inventories from the world: TMF637 products, TMF638 services, TMF639 resources.

Documents refer to one another by id; addresses are not stored, since the operator may move to another port.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from demo_operator import resources
from demo_operator.domain.catalogue import SERVICE_INDEX, SERVICES, SLICES, Service, ServiceOffer, SliceId
from demo_operator.domain.network import Cell, Element, ElementKind
from demo_operator.domain.subscribers import Person, ServiceInstance, Thing
from demo_operator.domain.world import World
from demo_operator.memory import instant, the_operator
from demo_operator.settings import DemoSettings
from tmfkit import Context
from tmfkit.types import Document, Entity

log = logging.getLogger("demo_operator")
CURRENCY = "EUR"
_FILL_LOCK = 0x66696C6C
_PHYSICAL = frozenset({ElementKind.CLUSTER, ElementKind.DU, ElementKind.SITE})


def offering_id(service: Service) -> str:
    """The product offering (catalogue entry) under which a service is sold."""
    return f"offer-{service}"


def _offer(service: Service) -> ServiceOffer:
    return SERVICES[SERVICE_INDEX[service]]


def person_name(person: Person) -> str:
    return f"{person.given_name} {person.family_name}"


def thing_name(thing: Thing) -> str:
    return f"{thing.kind} {thing.serial_number}"


def _party(role: str, person: Person) -> Document:
    reference = {"@type": "PartyRoleRef", "id": person.id, "name": person_name(person), "@referredType": "Customer"}
    return {"@type": "RelatedPartyOrPartyRole", "role": role, "partyOrPartyRole": reference}


def products(world: World) -> Iterator[Document]:
    """One product per service instance, of the customer who pays for it."""
    for instance in world.instances:
        person, offer = world.people[instance.customer_index], _offer(instance.service)
        yield {
            "id": instance.product_id,
            "@type": "Product",
            "name": offer.name,
            "status": "active",
            "isBundle": False,
            "isCustomerVisible": True,
            "startDate": instant(person.customer_since_s),
            "productOffering": {
                "@type": "ProductOfferingRef",
                "id": offering_id(instance.service),
                "name": offer.name,
                "@referredType": "ProductOffering",
            },
            "productPrice": [
                {
                    "@type": "ProductPrice",
                    "priceType": "recurring",
                    "recurringChargePeriod": "month",
                    "price": {
                        "@type": "Price",
                        "taxIncludedAmount": {"unit": CURRENCY, "value": instance.monthly_price},
                    },
                }
            ],
            "realizingService": [{"@type": "ServiceRef", "id": instance.id, "@referredType": "Service"}],
            "relatedParty": [_party("customer", person)],
        }


def services(world: World) -> Iterator[Document]:
    """The service instances. A person's is tied to its user; a thing's to the thing, and to its owner as a party."""
    areas = {area.id: area.name for area in world.network.areas}
    slices = {one.id: one.name for one in SLICES}
    for instance in world.instances:
        offer = _offer(instance.service)
        cell = world.network.cells[world.network.cell_index(instance.cell_id)]
        yield {
            "id": instance.id,
            "@type": "Service",
            "name": offer.name,
            "category": str(instance.service),
            "state": "active",
            "operatingStatus": "running",
            "isServiceEnabled": True,
            "hasStarted": True,
            "startDate": instant(world.people[instance.customer_index].customer_since_s),
            "serviceSpecification": {
                "@type": "ServiceSpecificationRef",
                "id": str(instance.service),
                "name": offer.name,
                "@referredType": "ServiceSpecification",
            },
            "supportingResource": [
                _resource(instance.cell_id, instance.cell_id),
                _resource(instance.slice_id, slices[instance.slice_id]),
            ],
            "place": [
                {
                    "@type": "RelatedPlace",
                    "role": "useArea",
                    "place": {"@type": "GeographicSiteRef", "id": cell.area_id, "name": areas[cell.area_id]},
                }
            ],
            **_users(world, instance),
        }


def _resource(id: str, name: str, kind: str = "LogicalResource") -> Document:
    return {"@type": "ResourceRef", "id": str(id), "name": name, "@referredType": kind}


def _users(world: World, instance: ServiceInstance) -> Document:
    person = world.people[instance.customer_index]
    if instance.thing_index < 0:
        return {"relatedParty": [_party("user", person)]}
    thing = world.things[instance.thing_index]
    return {
        "relatedEntity": [
            {
                "@type": "RelatedEntity",
                "role": "user",
                "entity": _resource(thing.id, thing_name(thing), "PhysicalResource"),
            }
        ],
        "relatedParty": [_party("owner", person)],
    }


def network_resources(world: World) -> Iterator[Document]:
    """Clusters, DU pools, sites, cells, slices, areas, and the customers' things, all under /resource."""
    network = world.network
    cells = {cell.id: cell for cell in network.cells}
    names = {element.id: element.name for element in network.elements}
    for element in network.elements:
        physical = element.kind in _PHYSICAL
        related = list(_relationships(world, element, cells.get(element.id)))
        yield {
            "id": str(element.id),
            "@type": "PhysicalResource" if physical else "LogicalResource",
            "name": str(element.id) if element.kind is ElementKind.CELL else element.name,
            "description": element.name,
            "category": str(element.kind),
            **_in_service(),
            "resourceCharacteristic": list(_characteristics(world, element, cells.get(element.id))),
            **({"resourceRelationship": related} if related else {}),
        }
    for area in network.areas:
        yield {
            "id": area.id,
            "@type": "LogicalResource",
            "name": area.name,
            "category": "area",
            **_in_service(),
            "resourceCharacteristic": [
                _text("cluster", area.cluster_id),
                _text("du", area.du_id),
                _number("latitudeDeg", area.latitude_deg),
                _number("longitudeDeg", area.longitude_deg),
            ],
            "resourceRelationship": [
                _related("servedBy", area.du_id, names[area.du_id], "PhysicalResource"),
            ],
        }
    for thing in world.things:
        owner = world.people[_owner_index(thing)]
        yield {
            "id": thing.id,
            "@type": "PhysicalResource",
            "name": thing_name(thing),
            "category": "thing",
            **_in_service(),
            "serialNumber": thing.serial_number,
            "resourceCharacteristic": [_text("kind", thing.kind)],
            "resourceRelationship": [_related("connectedTo", thing.cell_id, thing.cell_id)],
            "relatedParty": [
                {
                    "@type": "RelatedParty",
                    "role": "owner",
                    "id": owner.id,
                    "name": person_name(owner),
                    "@referredType": "Customer",
                }
            ],
        }


def _owner_index(thing: Thing) -> int:
    return int(thing.owner_id.rsplit("-", 1)[1]) - 1


def _in_service() -> Document:
    return {
        "administrativeState": "unlocked",
        "operationalState": "enable",
        "resourceStatus": "available",
        "usageState": "active",
    }


def _text(name: str, value: str) -> Document:
    return {"name": name, "valueType": "string", "value": str(value)}


def _number(name: str, value: float) -> Document:
    return {"name": name, "valueType": "number", "value": value}


def _related(kind: str, id: str, name: str, referred: str = "LogicalResource", **more: Any) -> Document:
    reference = {"relationshipType": kind, "id": str(id), "name": name, "@referredType": referred}
    return {"@type": "ResourceRelationship", **reference, **more}


def carried(world: World, cell: Cell) -> dict[SliceId, list[str]]:
    """Slice -> the services it carries in a cell."""
    found: dict[SliceId, list[str]] = {}
    for service in Service:
        found.setdefault(world.network.carried_on(service, cell.index), []).append(str(service))
    return found


def _characteristics(world: World, element: Element, cell: Cell | None) -> Iterator[Document]:
    if element.area_id:
        yield _text("area", element.area_id)
    if cell is not None:
        yield _text("site", cell.site_id)
        yield _text("du", cell.du_id)
        yield _text("cluster", cell.cluster_id)
        yield {"name": "slice", "valueType": "array", "value": [str(one) for one in carried(world, cell)]}
        yield _text("setting", cell.setting)
        yield _number("capacityMbps", cell.capacity_mbps)
    if element.kind is ElementKind.SLICE:
        sst = next(one.sst for one in SLICES if one.id == element.id)
        yield _number("sst", sst)
    else:
        yield _number("latitudeDeg", element.latitude_deg)
        yield _number("longitudeDeg", element.longitude_deg)


def _relationships(world: World, element: Element, cell: Cell | None) -> Iterator[Document]:
    if element.parent_id:
        yield _related("containedIn", element.parent_id, element.parent_id, "PhysicalResource")
    if element.area_id:
        yield _related("locatedIn", element.area_id, element.area_id)
    if cell is not None:
        for slice_id, kinds in carried(world, cell).items():
            which = [{"name": "service", "valueType": "array", "value": kinds}]
            yield _related("belongsTo", slice_id, slice_id, resourceRelationshipCharacteristic=which)


# --- filling -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filled:
    """How many documents each inventory holds after filling, and how many of them were new."""

    products: int
    services: int
    resources: int
    new: int


async def _copy(tx: Any, table: str, documents: Iterable[Document]) -> tuple[int, int]:
    """Store what is not there yet: all rows at once into a side table, then over. (there in all, new)."""
    await tx.execute("CREATE TEMP TABLE incoming (id text, doc jsonb) ON COMMIT DROP")
    await tx.copy("incoming", ["id", "doc"], [(doc["id"], orjson.dumps(doc).decode()) for doc in documents])
    status = await tx.execute(
        f'INSERT INTO "{table}" (id, doc, revision) SELECT id, doc, 1 FROM incoming ON CONFLICT (id) DO NOTHING'
    )
    await tx.execute("DROP TABLE incoming")
    return await tx.fetchval(f'SELECT count(*) FROM "{table}"'), int(status.rsplit(" ", 1)[1])


async def fill(ctx: Context[DemoSettings]) -> Filled:
    """Fill the inventories of an empty database, in one transaction and without events, since nobody can have
    subscribed before there was anything; what exists stays as it is."""
    operator = await the_operator(ctx)
    world = operator.world
    making: tuple[tuple[type[Entity], Iterable[Document]], ...] = (
        (resources.Product, products(world)),
        (resources.Service, services(world)),
        (resources.Resource, network_resources(world)),
    )
    counts: list[int] = []
    new = 0
    async with ctx.transaction() as tx:
        await tx.execute("SELECT pg_advisory_xact_lock($1)", _FILL_LOCK)
        done = await tx.fetchval("SELECT value::text FROM remembered WHERE name = 'milestone/inventory'")
        if done is not None:
            return Filled(**orjson.loads(done))
        for model, documents in making:
            total, added = await _copy(tx, ctx.shelves[model].table.name, documents)
            counts.append(total)
            new += added
        filled = Filled(counts[0], counts[1], counts[2], new)
        await tx.execute(
            "INSERT INTO remembered (name, value) VALUES ('milestone/inventory', $1::jsonb)",
            orjson.dumps(filled).decode(),
        )
    return filled
