"""The life of a trouble ticket: legal moves, their history and dates, and its identifiers in v4 and v5. Called under
the lock of the ticket, before it is stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tmfkit.types import Document
from tmfkit.write import rfc3339

ACKNOWLEDGED, RESOLVED = "acknowledged", "resolved"
MOVES = {
    "acknowledged": ("inProgress", "pending", "held", "resolved", "rejected", "cancelled"),
    "inProgress": ("pending", "held", "resolved", "cancelled"),
    "pending": ("inProgress", "held", "resolved", "cancelled"),
    "held": ("inProgress", "pending", "resolved", "cancelled"),
    "resolved": ("closed", "inProgress"),
}
"""Status -> what may follow; rejected, cancelled and closed are final. A resolved ticket may be taken up again."""
ANNOUNCED = {"resolved": "Resolved", "pending": "InformationRequired"}
"""Status -> the event that is raised beside StatusChange when a ticket gets there (a trigger of the database)."""


def kept(old: Document | None, new: Document) -> Document:
    """The ticket with what the server keeps: dates and history of its status, and its identifiers of both versions."""
    new = _identified(old, new)
    if old is not None and old.get("status") == new.get("status"):
        return new
    at = new["creationDate"] if old is None else rfc3339(datetime.now(UTC))
    change: Document = {"@type": "StatusChange", "status": new["status"], "statusChangeDate": at}
    reason = new.get("statusChangeReason")
    if reason is not None and (old is None or reason != old.get("statusChangeReason")):
        change["statusChangeReason"] = reason  # one that was there before belongs to the move before
    moved = {
        **new,
        "statusChangeDate": at,
        "statusChangeHistory": [*(new.get("statusChangeHistory") or ()), change],
    }
    if old is None:
        return moved
    if new["status"] == RESOLVED and new.get("resolutionDate") == old.get("resolutionDate"):
        moved["resolutionDate"] = at
    elif old["status"] == RESOLVED and new["status"] != "closed":
        moved.pop("resolutionDate", None)
    return moved


def _identified(old: Document | None, new: Document) -> Document:
    """`externalId` of v4 is the first `externalIdentifier` of v5: whichever was changed, the other follows."""
    before: Document = old or {}
    one, many = new.get("externalId"), list(new.get("externalIdentifier") or ())
    if one != before.get("externalId"):
        rest = many[1:] if many and _id(many[0]) == before.get("externalId") else many
        first = {**(many[0] if len(rest) < len(many) else {"@type": "ExternalIdentifier"}), "id": one}
        many = rest if one is None else [first, *[m for m in rest if _id(m) != one]]
        return _with(new, externalIdentifier=many or None)
    if many != list(before.get("externalIdentifier") or ()):
        return _with(new, externalId=_id(many[0]) if many else None)
    return new


def _id(identifier: Any) -> Any:
    return identifier.get("id") if isinstance(identifier, dict) else None


def _with(doc: Document, **values: Any) -> Document:
    return {k: v for k, v in {**doc, **values}.items() if v is not None}
