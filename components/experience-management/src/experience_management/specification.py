"""Index specifications between the shelf and the workshop: judged when they are written, chosen and read when a score
is computed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from experience_management.domain import index
from experience_management.domain.assessment import MEAN_SHARE, Plan
from experience_management.domain.kqi import KNOWN, factor
from tmfkit import TmfError
from tmfkit.errors import BadRequest, Conflict
from tmfkit.types import Document

MEANING = ("contributors", "weights", "minCoverage", "serviceSpecification")
FROZEN = frozenset({"Active", "Retired", "Obsolete"})
_WIRE = (("contributor[", "contributors["), ("subjectKind", "subjectType"))


def plan_of(document: Document) -> Plan:
    """The specification as the workshop takes it. Errors: TmfError 400 naming the attribute at fault.

    Weights are relative on the wire and sum to 1 afterwards; good and bad are turned into the unit of the KQI.
    """
    parts: Sequence[Any] = document.get("contributors") or []
    total = sum(part["weight"] for part in parts) or 1.0
    given = {
        "name": document.get("name"),
        "version": document.get("version"),
        "subjectKind": document.get("subjectType"),
        "contributor": [_in_its_unit(part, at, total) for at, part in enumerate(parts)],
    }
    if document.get("minCoverage") is not None:
        given["minCoverage"] = document["minCoverage"]
    found = index.specification_of(given, KNOWN)
    if not isinstance(found, index.Specification):
        raise _refusal(found[0])
    kpis = {part["kqi"]: part["kpi"] for part in parts if part.get("kpi")}
    return Plan(found, (document.get("weights") or {}).get("mean", MEAN_SHARE), kpis)


def _in_its_unit(part: Mapping[str, Any], at: int, total: float) -> dict[str, Any]:
    kqi = KNOWN.get(part["kqi"])
    scale = 1.0
    if kqi is not None:
        told = factor(part["unit"], kqi.unit)
        if told is None:
            raise BadRequest(f"{kqi.name} is measured in {kqi.unit}", attribute=f"contributors[{at}].unit")
        scale = told
    return {
        "kqi": part["kqi"],
        "weight": part["weight"] / total,
        "bad": part["bad"] * scale,
        "good": part["good"] * scale,
    }


def _refusal(fault: index.SpecificationFault) -> TmfError:
    attribute = fault.attribute
    for inside, wire in _WIRE:
        attribute = attribute.replace(inside, wire)
    if attribute == "contributor":
        attribute = "contributors"
    return BadRequest(fault.reason, attribute=attribute)


def judged(old: Document | None, new: Document) -> Document:
    """What every write of a specification goes through: it can be computed, and one in use keeps its meaning, so that
    scores stay comparable. Errors: TmfError 400, Conflict (409)."""
    changed = [name for name in (*MEANING, "subjectType") if old is None or old.get(name) != new.get(name)]
    if old is not None and old.get("lifecycleStatus") in FROZEN:
        for name in changed:
            raise Conflict("an index in use is changed by a new version of it", attribute=name)
    if changed:
        plan_of(new)
    return new


def version_key(version: str) -> list[tuple[int, int, str]]:
    """Versions in their order: numbers by size, words by letters; 1.10 comes after 1.9."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.findall(r"\d+|[^\d.\-_ ]+", version)]


def in_force(document: Document, at: datetime) -> bool:
    """Whether a specification may be used at an instant: active, and valid then."""
    period = document.get("validFor") or {}
    start, end = (datetime.fromisoformat(period[n]) if n in period else None for n in ("startDateTime", "endDateTime"))
    return document.get("lifecycleStatus") == "Active" and (start is None or start <= at) and (end is None or at < end)


def chosen(documents: Sequence[Document], kind: str, subject_type: str, at: datetime) -> Document | None:
    """The index for a kind of service and of subject: of those in force the one for this kind, else one for any kind;
    of several the highest version, then the one written last."""
    fitting = [
        d for d in documents if d.get("subjectType") == subject_type and in_force(d, at) and _kind(d) in (kind, None)
    ]
    return max(
        fitting,
        key=lambda d: (_kind(d) == kind, version_key(d["version"]), d.get("lastUpdate", ""), d["id"]),
        default=None,
    )


def _kind(document: Document) -> str | None:
    reference = document.get("serviceSpecification") or {}
    kind: str | None = reference.get("id")
    return kind
