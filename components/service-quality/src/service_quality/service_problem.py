"""ServiceProblem documents: made from violations with one root, grown as more are known, ended in the end. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service_quality.domain.problem import Impact, PriorityRule, priority
from service_quality.impact import Affected
from service_quality.roots import Breach, Root
from service_quality.topology import Topology

Document = dict[str, Any]
FINAL = frozenset({"rejected", "cancelled", "closed"})
SYSTEM = "service-quality"
RULE = PriorityRule()
CUSTOMER, THING, SERVICE = "affectedCustomer", "affectedThing", "service"
_PARTY = {"@type": "RelatedPartyRefOrPartyRoleRef"}
_ENTITY = {"@type": "RelatedEntity"}
_CLASSES = {
    "boolean": "BooleanCharacteristic",
    "dateTime": "StringCharacteristic",
    "number": "NumberCharacteristic",
    "string": "StringCharacteristic",
}


def created(id: str, root: Root, breaches: Sequence[Breach], topology: Topology, href: str, now: str) -> Document:
    """A new problem without its impact; `href` is the address of violations, `now` the clock's instant."""
    first = min(breaches, key=lambda b: (b.started_at, b.violation_id))
    party = {"@type": "PartyRoleRef", "id": SYSTEM, "name": "Service Quality", "@referredType": "Component"}
    doc: Document = {
        "@type": "ServiceProblem",
        "id": id,
        "category": "serviceQuality",
        "originatingSystem": SYSTEM,
        "originatorParty": {**_PARTY, "role": "originator", "partyOrPartyRole": party},
        "status": "acknowledged",
        "statusChangeDate": now,
        "creationDate": now,
        "priority": RULE_LOWEST,
        "firstAlert": {**_ENTITY, "role": "firstAlert", "entity": _violation(first.violation_id, href)},
        "characteristic": [_characteristic("degradationStart", "dateTime", _instant(first))],
        "lastUpdate": now,
    }
    return rooted(joined(doc, breaches, topology, href, now), root, topology, now)


def joined(doc: Document, breaches: Iterable[Breach], topology: Topology, href: str, now: str) -> Document:
    """The problem with more violations."""
    breaches = list(breaches)
    kinds = sorted({b.service for b in breaches})
    services: list[Document] = [
        {
            **_ENTITY,
            "role": SERVICE,
            "entity": {"@type": "EntityRef", "id": kind, "@referredType": "ServiceSpecification"},
        }
        for kind in kinds
    ]
    resources = [topology.reference(resource) for resource in sorted({b.resource for b in breaches})]
    related = doc.get("relatedEntity", [])
    known = {e["entity"]["id"] for e in related if e.get("role") == SERVICE}
    return {
        **doc,
        "slaViolation": _merged(doc.get("slaViolation"), [_violation(b.violation_id, href) for b in breaches]),
        "affectedResource": _merged(doc.get("affectedResource"), resources),
        "relatedEntity": related + [s for s in services if s["entity"]["id"] not in known],
        "lastUpdate": now,
    }


def rooted(doc: Document, root: Root, topology: Topology, now: str) -> Document:
    """The problem with its root named."""
    new = {k: v for k, v in doc.items() if k not in ("rootCauseResource", "rootCauseService")}
    if root.dimension == "service":
        new["rootCauseService"] = [
            {"@type": "ServiceRef", "id": e, "@referredType": "ServiceSpecification"} for e in root.elements
        ]
    else:
        new["rootCauseResource"] = [topology.reference(element) for element in root.elements]
    kinds = [e["entity"]["id"] for e in doc.get("relatedEntity", []) if e.get("role") == SERVICE]
    named = ", ".join(root.elements[:3]) + (f" and {len(root.elements) - 3} more" if len(root.elements) > 3 else "")
    told = [
        _characteristic("rootCauseDimension", "string", root.dimension),
        _characteristic("rootCauseLocated", "boolean", root.located),
    ]
    for name, value in (("confidence", root.confidence), ("explanatoryPower", root.explanatory_power)):
        if value is not None:
            told.append(_characteristic(f"rootCause{name[0].upper()}{name[1:]}", "number", round(value, 4)))
    kept = [c for c in doc.get("characteristic", []) if not str(c.get("name")).startswith("rootCause")]
    return {
        **new,
        "name": f"{', '.join(kinds)} degraded at {named}",
        "description": f"Service level violations of {', '.join(kinds)} with their root at {root.dimension} {named}",
        "reason": root.reason,
        "characteristic": kept + told,
        "lastUpdate": now,
    }


def with_impact(doc: Document, found: Affected, limit: int, now: str) -> Document:
    """The problem with affected services, customers and things; the lists are cut at `limit`, the number is not."""
    services = _merged(doc.get("affectedService"), ({"@type": "ServiceRef", **ref} for ref in found.services.values()))
    before = len(doc.get("affectedService") or [])
    counted = int(doc.get("affectedNumberOfServices") or 0)
    total = counted + len(services) - before
    parties = doc.get("relatedParty", [])
    customers = {p["partyOrPartyRole"]["id"] for p in parties if p.get("role") == CUSTOMER}
    parties = parties + [
        {**_PARTY, "role": CUSTOMER, "partyOrPartyRole": {"@type": "PartyRoleRef", **ref}}
        for id, ref in found.customers.items()
        if id not in customers
    ]
    entities = doc.get("relatedEntity", [])
    things = {e["entity"]["id"] for e in entities if e.get("role") == THING}
    entities = entities + [
        {**_ENTITY, "role": THING, "entity": {"@type": "EntityRef", **ref}}
        for id, ref in found.things.items()
        if id not in things
    ]
    subjects = {
        *(p["partyOrPartyRole"]["id"] for p in parties if p.get("role") == CUSTOMER),
        *(e["entity"]["id"] for e in entities if e.get("role") == THING),
    }
    impact = Impact(frozenset(s["id"] for s in services), frozenset(subjects))
    return {
        **doc,
        "affectedService": services[:limit],
        "affectedNumberOfServices": total,
        "relatedParty": _cut(parties, CUSTOMER, limit),
        "relatedEntity": _cut(entities, THING, limit),
        "priority": min(priority(impact, RULE), doc["priority"]),
        "lastUpdate": now,
    }


def moved(doc: Document, status: str, reason: str, now: str) -> Document:
    """The problem in another status."""
    new = {**doc, "status": status, "statusChangeDate": now, "statusChangeReason": reason, "lastUpdate": now}
    if status == "resolved":
        new["resolutionDate"] = now
    elif status == "inProgress":
        new.pop("resolutionDate", None)
    return new


def merged_into(doc: Document, parent: Document, now: str) -> Document:
    """The problem as part of another that turned out to be the same fault."""
    new = moved(doc, "cancelled", f"same fault as problem {parent['id']}", now)
    return {**new, "parentProblem": _merged(doc.get("parentProblem"), [parent])}


def _violation(id: str, href: str) -> Document:
    return {"id": id, "href": f"{href}/{id}", "@type": "EntityRef", "@referredType": "ServiceLevelViolation"}


def _merged(old: Iterable[Document] | None, new: Iterable[Document]) -> list[Document]:
    by_id: Mapping[str, Document] = {ref["id"]: ref for ref in [*(old or ()), *new]}
    return list(by_id.values())


def _cut(related: list[Document], role: str, limit: int) -> list[Document]:
    ours = [one for one in related if one.get("role") == role]
    return [one for one in related if one.get("role") != role] + ours[:limit]


def _characteristic(name: str, kind: str, value: Any) -> Document:
    return {"@type": _CLASSES[kind], "name": name, "valueType": kind, "value": value}


def _instant(breach: Breach) -> str:
    return breach.started_at.isoformat().replace("+00:00", "Z")


RULE_LOWEST = 1 + len(RULE.subject_steps)
