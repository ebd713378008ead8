"""The life of a message as clients may change it; the moves between are those of the delivery (deliver.py)."""

from __future__ import annotations

from tmfkit.errors import Conflict
from tmfkit.types import Document

INITIAL, IN_PROGRESS, COMPLETED, CANCELLED, FAILED = "initial", "inProgress", "completed", "cancelled", "failed"
MOVES = {
    INITIAL: (CANCELLED, IN_PROGRESS, FAILED),
    IN_PROGRESS: (CANCELLED, COMPLETED, FAILED),
}
"""State -> what may follow. Clients cancel; all else is done by the delivery."""
SENT = (
    "attachment",
    "characteristic",
    "content",
    "messageType",
    "receiver",
    "scheduledSendTime",
    "sender",
    "subject",
    "tryTimes",
)
"""What a message consists of: it stays as it is from the first try on."""


def sendable(old: Document | None, new: Document) -> Document:
    """The message, if a client may write it so. A message in a final state is a record of one sent elsewhere.

    Errors: Conflict (409).
    """
    if old is None:
        if new["state"] == IN_PROGRESS:
            raise Conflict("a message is put in progress by its delivery", attribute="state")
        return new
    if new.get("state") != old.get("state") and new.get("state") != CANCELLED:
        raise Conflict(f"a message gets {new.get('state')} by its delivery; a client may cancel it", attribute="state")
    if old.get("state") != INITIAL:
        for name in SENT:
            if old.get(name) != new.get(name):
                raise Conflict(f"a message that is {old.get('state')} keeps its {name}", attribute=name)
    return new
