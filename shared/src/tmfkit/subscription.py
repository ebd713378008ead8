"""A registration at a hub, as each version has it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from tmfkit.types import TmfModel

Callback = Annotated[
    str,
    Field(
        min_length=1,
        description="Where events are posted to; the operator says which addresses are allowed",
        json_schema_extra={"format": "uri"},
    ),
]
Interest = Annotated[
    str | None,
    Field(
        description="Which events: attribute=value, as in a query of a collection, or JSONPath",
        json_schema_extra={"format": "event-filter"},
    ),
]
Appended = Annotated[
    bool, Field(description="Whether /<eventType> is added to the callback, as the listener paths of the files have it")
]


class EventSubscription(BaseModel):
    """Who wants to hear which events, and where."""

    id: str
    callback: str
    query: str | None = None


class EventSubscriptionInput(BaseModel):
    """A registration."""

    callback: Callback
    query: Interest = None
    appendEventName: Appended = False


class Hub(TmfModel):
    """Who wants to hear which events, and where."""

    at_type: Annotated[str, Field(alias="@type")]
    id: str
    href: str
    callback: str
    query: str | None = None


class HubCreate(TmfModel):
    """A registration."""

    callback: Callback
    query: Interest = None
    appendEventName: Appended = False
