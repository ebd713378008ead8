"""Where a measured resource belongs, from the resource inventory (TMF639): its site, its area, its slice.

A resource is one element of its own dimension and lies in elements of others: those it is related to, upwards and on,
and those its characteristics name. The dimension is the other's category (or its specification, or its @type).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from service_quality.settings import ServiceQualitySettings
from tmfkit import Context, TmfError

log = logging.getLogger("service_quality.topology")
Document = dict[str, Any]
RESOURCES = "tmf-api/resourceInventoryManagement/v4/resource"
SERVICES = "tmf-api/serviceInventoryManagement/v5/service"
PAGE = 500
FIELDS = "id,href,name,category,resourceSpecification,resourceCharacteristic,resourceRelationship"
MAX_LEVELS = 10
MAX_QUESTIONS = 500  # to the service inventory about what runs on which element; beyond, such dimensions are left out
OWN = "resource"


@dataclass(frozen=True)
class Topology:
    """`above`: resource -> its dimensions, nearest first, each with the elements it lies in there. `told`: (resource,
    element) -> the service kinds of which this is true, where the relationship says so. `carried`: element -> kinds
    that run on it, asked where a resource lies in several elements of one dimension and nothing is told."""

    above: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    references: Mapping[str, Document] = field(default_factory=dict)
    told: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    carried: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        return bool(self.above)

    def elements(self, resource: str, service: str) -> dict[str, str]:
        """Dimension -> element of one service at one resource; where several elements come into question, the one
        that carries the service; none if that is not clear."""
        found = {}
        for dimension, candidates in self.above.get(resource, {OWN: (resource,)}).items():
            candidates = tuple(c for c in candidates if service in self.told.get((resource, c), (service,)))
            if len(candidates) > 1:
                candidates = tuple(c for c in candidates if service in self.carried.get(c, ()))
            if len(candidates) == 1:
                found[dimension] = candidates[0]
        return {**found, "service": service}

    def within(self, resource: str, service: str, dimension: str, elements: Collection[str]) -> bool:
        """Whether a service at a resource lies in one of these elements."""
        own = resource if dimension == OWN else self.elements(resource, service).get(dimension)
        return own is not None and own in elements

    def reference(self, id: str) -> Document:
        """A reference to a resource, as the inventory knows it."""
        return {"@type": "ResourceRef", "id": id, **self.references.get(id, {}), "@referredType": "Resource"}


def built(docs: Iterable[Document], downward: Iterable[str], characteristics: Iterable[str]) -> Topology:
    """The topology that TMF639 documents (v4 or v5) tell."""
    known = {str(doc["id"]): doc for doc in docs if doc.get("id")}
    below, told = {_word(word) for word in downward}, set(characteristics)
    parents = {id: _parents(doc, known, below, told) for id, doc in known.items()}
    above: dict[str, dict[str, tuple[str, ...]]] = {}
    for id, doc in known.items():
        dimensions: dict[str, tuple[str, ...]] = {_kind(doc): (id,)}
        seen, level = {id}, [p for p in parents[id] if p != id]
        for _ in range(MAX_LEVELS):
            taken = set(dimensions)
            for parent in level:
                kind = _kind(known[parent])
                while kind in taken:  # the same kind at another level is another dimension
                    kind += "+"
                dimensions[kind] = tuple(dict.fromkeys((*dimensions.get(kind, ()), parent)))
            seen |= set(level)
            level = [p for parent in level for p in parents[parent] if p not in seen]
            level = list(dict.fromkeys(level))
            if not level:
                break
        for name, value in _values(doc, told):
            if value not in known:
                dimensions.setdefault(name, (value,))
        above[id] = dimensions
    references = {id: {k: doc[k] for k in ("href", "name") if isinstance(doc.get(k), str)} for id, doc in known.items()}
    of_kinds = {(id, other): kinds for id, doc in known.items() for other, kinds in _told(doc)}
    return Topology(above, references, of_kinds)


def _told(doc: Document) -> Iterator[tuple[str, frozenset[str]]]:
    """Relationships that hold for some services only: those with a characteristic `service`."""
    for related in doc.get("resourceRelationship") or []:
        kinds = [value for _, value in _values(related, {"service"}, "resourceRelationshipCharacteristic")]
        if kinds:
            yield _other(related), frozenset(kinds)


def _other(related: Document) -> str:
    inner = related.get("resource")  # v5 nests the reference, v4 does not
    return str((inner if isinstance(inner, dict) else related).get("id", ""))


def _parents(doc: Document, known: Mapping[str, Document], below: set[str], told: set[str]) -> list[str]:
    found = []
    for related in doc.get("resourceRelationship") or []:
        id = _other(related)
        if id in known and _word(str(related.get("relationshipType", ""))) not in below:
            found.append(id)
    found += [value for _, value in _values(doc, told) if value in known]
    return list(dict.fromkeys(found))


def _values(doc: Document, told: set[str], attribute: str = "resourceCharacteristic") -> list[tuple[str, str]]:
    found = []
    for characteristic in doc.get(attribute) or []:
        name, value = characteristic.get("name"), characteristic.get("value")
        if name in told:
            found += [(name, v) for v in (value if isinstance(value, list) else [value]) if isinstance(v, str) and v]
    return found


def _kind(doc: Document) -> str:
    specification = doc.get("resourceSpecification") or {}
    named = doc.get("category") or specification.get("name") or specification.get("id") or doc.get("@type")
    return str(named or OWN).strip().lower()


def _word(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


# --- kept for a while ---


@dataclass(eq=False)
class Kept:
    topology: Topology = field(default_factory=Topology)
    read_at: float | None = None
    down: bool = False


_KEPT: WeakKeyDictionary[Context[Any], Kept] = WeakKeyDictionary()


async def topology(ctx: Context[ServiceQualitySettings]) -> Topology:
    """The topology, read again when it is older than TOPOLOGY_TTL_S; the last good one while the inventory is down."""
    kept = _KEPT.setdefault(ctx, Kept())
    if kept.read_at is not None and time.monotonic() - kept.read_at < ctx.settings.topology_ttl_s:
        return kept.topology
    try:
        found = await _read(ctx)
    except (TmfError, OSError) as e:
        if not kept.down:
            log.warning("the resource inventory cannot be read; going on with what is known: %s", e)
        kept.down = True
        return kept.topology
    kept.topology, kept.read_at, kept.down = found, time.monotonic(), False
    return found


async def _read(ctx: Context[ServiceQualitySettings]) -> Topology:
    upstream = ctx.upstream("resourceInventory")
    docs = [doc async for doc in upstream.pages(RESOURCES, {"fields": FIELDS}, page_size=PAGE)]
    found = built(docs, ctx.settings.topology_downward, ctx.settings.topology_characteristics)
    unclear = {
        element
        for resource, dimensions in found.above.items()
        for elements in dimensions.values()
        if len(elements) > 1
        for element in elements
        if (resource, element) not in found.told
    }
    kinds = [row["service"] for row in await ctx.database.pool.fetch("SELECT DISTINCT service FROM series")]
    if len(unclear) * len(kinds) > MAX_QUESTIONS:
        return found
    carried = {element: frozenset([k for k in kinds if await _carries(ctx, element, k)]) for element in sorted(unclear)}
    return replace(found, carried=carried)


async def _carries(ctx: Context[ServiceQualitySettings], element: str, kind: str) -> bool:
    """Whether any service of a kind runs on a resource, as the service inventory (TMF638) has it."""
    wanted = {"serviceSpecification.id": kind, "supportingResource.id": element, "fields": "id", "limit": 1}
    return bool(await ctx.upstream("serviceInventory").get(SERVICES, wanted))
