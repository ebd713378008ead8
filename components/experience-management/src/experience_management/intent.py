"""The life of an intent as clients may change it. Called under the lock of the intent, before it is stored."""

from __future__ import annotations

from datetime import UTC, datetime

from tmfkit.types import Document
from tmfkit.write import rfc3339

CREATED, REJECTED = "Created", "Rejected"
NO_HANDLER = "no handler"


def received(old: Document | None, new: Document) -> Document:
    """The intent with the instant of its status; one with another expression is a new wish, to be answered anew."""
    if old is None:
        return {**new, "statusChangeDate": new["creationDate"]}
    same = old.get("lifecycleStatus") == new.get("lifecycleStatus")
    if same and old.get("expression") != new.get("expression"):
        new = {**new, "lifecycleStatus": CREATED}
    if old.get("lifecycleStatus") != new.get("lifecycleStatus"):
        new = {**new, "statusChangeDate": rfc3339(datetime.now(UTC))}
    return new
