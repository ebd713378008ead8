"""TMF915 v4 topics and the events that are published in them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from churn_prediction.resources.party import TypedParty
from tmfkit.resource import READ, Resource
from tmfkit.subscription import Callback, Interest
from tmfkit.types import CharacteristicV4, Entity, EntityRef, Instant, ReadOnly


class Topic(Entity):
    """A channel for events. Where it has queries, it takes the events that both of them match.

    headerQuery speaks of an event's own attributes, contentQuery of what is below its `event`; both in the language
    of a hub's query: eventType=AlarmCreateEvent, event.alarm.perceivedSeverity=CRITICAL. The standard takes any text:
    one that is not understood matches nothing (409).
    """

    name: str | None = None
    headerQuery: Annotated[str | None, Field(examples=["eventType=AlarmCreateEvent"])] = None
    contentQuery: Annotated[str | None, Field(examples=["event.alarm.perceivedSeverity=CRITICAL"])] = None


class Event(Entity):
    """An event that somebody published in a topic. `topic`, ours, is the topic it was published in."""

    topic: Annotated[EntityRef | None, ReadOnly()] = None
    eventId: str | None = None
    eventTime: Instant | None = None
    eventType: str | None = None
    timeOccurred: Instant | None = None
    correlationId: str | None = None
    domain: str | None = None
    title: str | None = None
    description: str | None = None
    priority: str | None = None
    event: Any = None
    analyticCharacteristic: list[CharacteristicV4] | None = None
    relatedParty: list[TypedParty] | None = None
    reportingSystem: EntityRef | None = None
    source: EntityRef | None = None


class Hub(Entity):
    """Who wants to hear of the events of a topic, and where."""

    callback: Callback
    query: Interest = None


TOPIC = Resource(
    Topic,
    operations=READ | {"create", "delete"},
    events=frozenset({"Create", "Change", "Delete"}),  # Change is published, but nothing changes a topic
)
EVENT = Resource(Event, operations=READ, index=("topic.id",), events=frozenset({"Create"}))
