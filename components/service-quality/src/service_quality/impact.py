"""Who feels a problem, from the service inventory (TMF638): the services of a kind at a resource, and who uses them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service_quality.settings import ServiceQualitySettings
from service_quality.topology import PAGE, SERVICES
from tmfkit import Context

Document = dict[str, Any]
TOGETHER = 20  # resources asked for in one question: the address stays short
FIELDS = "id,href,name,serviceSpecification,supportingResource,relatedParty,relatedEntity"
FEELING = frozenset({"user", "customer", "owner"})  # an owner is concerned by what its things cannot do


@dataclass(frozen=True)
class Affected:
    """Services, the customers and the things that use them: id -> reference."""

    services: Mapping[str, Document] = field(default_factory=dict)
    customers: Mapping[str, Document] = field(default_factory=dict)
    things: Mapping[str, Document] = field(default_factory=dict)


async def affected(ctx: Context[ServiceQualitySettings], pairs: Iterable[tuple[str, str]]) -> Affected:
    """Active services of (kind, resource) pairs with their users. Errors: those of the service inventory's client."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for kind, resource in sorted(set(pairs)):
        by_kind[kind].append(resource)
    services: dict[str, Document] = {}
    customers: dict[str, Document] = {}
    things: dict[str, Document] = {}
    upstream = ctx.upstream("serviceInventory")
    for kind, resources in by_kind.items():
        for first in range(0, len(resources), TOGETHER):
            some = resources[first : first + TOGETHER]
            wanted = {
                "serviceSpecification.id": kind,
                "supportingResource.id": ",".join(r.replace(",", "\\,") for r in some),
                "state": "active",
                "fields": FIELDS,
            }
            async for service in upstream.pages(SERVICES, wanted, page_size=PAGE):
                if _runs_on(service, kind, some):  # an inventory may not know one of the filters
                    services[str(service["id"])] = _reference(service, "Service")
                    _users(service, customers, things)
    return Affected(services, customers, things)


def _runs_on(service: Document, kind: str, resources: list[str]) -> bool:
    below = {ref.get("id") for ref in service.get("supportingResource") or []}
    return (service.get("serviceSpecification") or {}).get("id") == kind and not below.isdisjoint(resources)


def _users(service: Document, customers: dict[str, Document], things: dict[str, Document]) -> None:
    """Users in the shape of v5 (party or entity inside) or of v4 (flat)."""
    for related in service.get("relatedParty") or []:
        party = related.get("partyOrPartyRole") or related
        if str(related.get("role", "")).lower() in FEELING and party.get("id"):
            customers[str(party["id"])] = _reference(party, party.get("@referredType") or "Customer")
    for related in service.get("relatedEntity") or []:
        entity = related.get("entity") or related
        if str(related.get("role", "")).lower() in FEELING and entity.get("id"):
            things[str(entity["id"])] = _reference(entity, entity.get("@referredType") or "PhysicalResource")


def _reference(doc: Document, kind: str) -> Document:
    kept = {k: doc[k] for k in ("href", "name") if isinstance(doc.get(k), str)}
    return {"id": str(doc["id"]), **kept, "@referredType": kind}
