"""The TMF event: envelope per API version, subscription matching. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import unquote_plus

from pydantic import BaseModel, Field

from tmfkit import jsonpath
from tmfkit.errors import BadRequest, TmfError
from tmfkit.query import Query, anything, matches, parse, project
from tmfkit.types import (
    Characteristic,
    Document,
    EntityRef,
    Instant,
    RelatedPartyRefOrPartyRoleRef,
    TmfModel,
)

MAX_EVENT_ID_CHARS = 500


class EnvelopeV4(BaseModel):
    """What a v4 event carries beside its resource."""

    id: str
    href: str | None = None
    eventId: str
    eventTime: Instant
    eventType: str
    correlationId: str | None = None
    domain: str | None = None
    title: str | None = None
    description: str | None = None
    priority: str | None = None
    timeOcurred: Instant | None = None
    fieldPath: str | None = None


class EnvelopeV5(TmfModel):
    """What a v5 event carries beside its resource."""

    at_type: Annotated[str, Field(alias="@type")]
    id: str
    href: str | None = None
    eventId: str
    eventTime: Instant
    eventType: str
    correlationId: str | None = None
    domain: str | None = None
    title: str | None = None
    description: str | None = None
    priority: str | None = None
    timeOccurred: Instant | None = None
    source: EntityRef | None = None
    reportingSystem: EntityRef | None = None
    relatedParty: list[RelatedPartyRefOrPartyRoleRef] | None = None
    analyticCharacteristic: list[Characteristic] | None = None


ENVELOPES: dict[str, type[BaseModel]] = {"v4": EnvelopeV4, "v5": EnvelopeV5}


def time_name(version: str) -> str:
    """How the files of that version spell the time of an event."""
    return "timeOcurred" if version == "v4" else "timeOccurred"


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a listener receives it, whatever version it came in."""

    event_id: str
    event_type: str
    event_time: str
    resource: Document
    envelope: Document
    traceparent: str | None = None

    @property
    def kind(self) -> str:
        """Create, StateChange, ...: what follows the resource's name."""
        for kind in ("AttributeValueChange", "StateChange", "StatusChange", "InformationRequired", "Create", "Delete"):
            if self.event_type.endswith(f"{kind}Event"):
                return kind
        return ""


def envelope(
    *,
    event_id: str,
    at: datetime,
    name: str,
    path: str,
    kind: str,
    resource: Document,
    version: str,
    domain: str,
    traceparent: str | None,
    payload: str = "",
) -> Document:
    """The event on the wire, in the spelling of that API version. `payload`: the attribute that holds the resource,
    where it is not the resource's own name."""
    instant = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event_type = f"{name}{kind}" if kind.endswith("Notification") else f"{name}{kind}Event"
    out: Document = {
        "id": event_id,
        "eventId": event_id,
        "eventTime": instant,
        "eventType": event_type,
        "domain": domain,
        "title": event_type,
        "event": {payload or path: resource},
    }
    out[time_name(version)] = instant
    if version != "v4":
        out["@type"] = event_type
        out["reportingSystem"] = {"@type": "EntityRef", "id": domain, "name": domain}
        out["source"] = {"@type": "EntityRef", "id": domain, "name": domain}
    if traceparent:
        out["correlationId"] = traceparent[3:35]
        out["traceparent"] = traceparent
    return out


def received(body: Any) -> Event:
    """Read an event from anybody's TMF API, v4 or v5. Errors: TmfError 400 naming the attribute."""
    if not isinstance(body, dict):
        raise BadRequest("an event is a JSON object")
    event_type, event_id, inner = body.get("eventType"), body.get("eventId") or body.get("id"), body.get("event")
    if not isinstance(event_type, str) or not event_type:
        raise BadRequest("eventType is mandatory", attribute="eventType")
    if not isinstance(event_id, str) or not event_id:
        raise BadRequest("eventId is mandatory", attribute="eventId")
    if len(event_id) > MAX_EVENT_ID_CHARS:
        raise BadRequest(f"it has more than {MAX_EVENT_ID_CHARS} characters", attribute="eventId")
    if not isinstance(inner, dict) or not inner:
        raise BadRequest("event is mandatory", attribute="event")
    resource = next((v for v in inner.values() if isinstance(v, dict)), None) if "id" not in inner else inner
    if resource is None:
        raise BadRequest("event holds no resource", attribute="event")
    time = body.get("eventTime") or body.get("timeOccurred") or body.get("timeOcurred") or ""
    trace = body.get("traceparent")
    return Event(event_id, event_type, str(time), resource, body, trace if isinstance(trace, str) else None)


@dataclass(frozen=True, slots=True)
class Interest:
    """A subscription's `query`: URL-style filter with fields, or JSONPath; over the envelope."""

    query: Query

    def wants(self, event: Document) -> bool:
        return matches(event, self.query)

    def view(self, event: Document) -> Document:
        """The event with only the fields that were asked for; the envelope's identity always."""
        if self.query.fields is None:
            return event
        kept = (
            "id",
            "eventId",
            "eventTime",
            "eventType",
            "@type",
            "timeOccurred",
            "timeOcurred",
            "correlationId",
            "traceparent",
        )
        out = {k: event[k] for k in kept if k in event} | project(event, self.query.fields)
        inner = out.get("event")
        if isinstance(inner, dict):
            for path, resource in inner.items():
                source = event["event"].get(path)
                if isinstance(resource, dict) and isinstance(source, dict):
                    inner[path] = {**{k: source[k] for k in ("id", "href", "@type") if k in source}, **resource}
        else:
            out["event"] = {
                path: {k: v for k, v in resource.items() if k in ("id", "href", "@type")}
                for path, resource in event["event"].items()
            }
        return out


def interest(text: str) -> Interest:
    """Parse a hub query. Event types compare without case, as the files write them both ways. Errors: TmfError 400."""
    text = text.strip().removeprefix("?")
    decoded = unquote_plus(text) if "%" in text else text
    if decoded.startswith(("$", "[", "@.")) or "[?(" in decoded.split("=", 1)[0]:
        try:
            return Interest(Query(expression=jsonpath.parse(decoded)))
        except jsonpath.JsonPathError as e:
            raise BadRequest(f"query: {e}", attribute="query") from e
    try:
        parsed = parse(text, anything)
    except TmfError as e:
        raise TmfError(f"query: {e.message}", status=e.status, attribute="query") from e
    groups = tuple(
        tuple(f if str(f.path) != "eventType" or f.op != "eq" else _any_case(f) for f in g) for g in parsed.groups
    )
    return Interest(Query(groups, parsed.expression, (), parsed.fields))


def _any_case(f: Any) -> Any:
    """customerCreateEvent in the listener paths is CustomerCreateEvent in the events."""
    spellings = tuple(s for v in f.values for s in {v, v[:1].upper() + v[1:]})
    return type(f)(f.path, f.op, spellings)
