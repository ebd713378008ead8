"""TMF656 v4 and v5: what went wrong, and for whom. Service problems, their tasks and the record of their events."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from service_quality.resources.quality import CHANGES
from service_quality.resources.related import ReferredEntityV4, ReferredPartyV4
from tmfkit.references import Reference
from tmfkit.resource import READ, TASK, Lifecycle, Resource
from tmfkit.types import (
    Characteristic,
    CharacteristicV4,
    CreateOnly,
    Document,
    Entity,
    EntityRef,
    ExternalIdentifier,
    Instant,
    Note,
    ReadOnly,
    RelatedEntity,
    RelatedPartyRefOrPartyRoleRef,
    RelatedPlace,
    RelatedPlaceV4,
    TmfModel,
)
from tmfkit.write import rfc3339


class ServiceProblemState(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    PENDING = "pending"
    HELD = "held"
    IN_PROGRESS = "inProgress"
    RESOLVED = "resolved"
    CANCELLED = "cancelled"
    CLOSED = "closed"


class ImpactPatternAttributes(TmfModel):
    id: str | None = None
    href: str | None = None
    description: str | None = None


class ImpactPattern(ImpactPatternAttributes):
    """Other characteristics of the impact."""

    characteristic: list[Characteristic] | None = None


class ImpactPatternV4(ImpactPatternAttributes):
    """The same in v4."""

    characteristic: list[CharacteristicV4] | None = None


class TrackingRecordAttributes(TmfModel):
    id: str | None = None
    description: str | None = None
    systemId: str | None = None
    time: Instant | None = None
    user: str | None = None


class TrackingRecord(TrackingRecordAttributes):
    """Who or what system did something to the problem, and when."""

    characteristic: list[Characteristic] | None = None


class TrackingRecordV4(TrackingRecordAttributes):
    """The same in v4."""

    characteristic: list[CharacteristicV4] | None = None


class ExternalIdentifierV4(ExternalIdentifier):
    """v4: with an address."""

    href: str | None = None


class EventRef(EntityRef):
    eventTime: Instant | None = None


class ResourceAlarmRef(EntityRef):
    """An alarm; if planned work set it off, the change request too."""

    changeRequest: EntityRef | None = None


class ErrorMessage(TmfModel):
    code: str | None = None
    reason: str | None = None
    message: str | None = None
    status: str | None = None
    referenceError: str | None = None


class ServiceProblemAttributes(TmfModel):
    """What v4 and v5 of a service problem have in the same shape."""

    category: str
    priority: int
    description: str
    reason: str
    name: str | None = None
    originatingSystem: Annotated[str | None, CreateOnly()] = None
    status: ServiceProblemState | None = None
    statusChangeDate: Instant | None = None
    statusChangeReason: str | None = None
    creationDate: Instant | None = None
    lastUpdate: Instant | None = None
    resolutionDate: Instant | None = None
    problemEscalation: str | None = None
    impactImportanceFactor: str | None = None
    affectedNumberOfServices: int | None = None
    affectedService: list[EntityRef] | None = None
    affectedResource: list[EntityRef] | None = None
    rootCauseService: list[EntityRef] | None = None
    rootCauseResource: list[EntityRef] | None = None
    underlyingAlarm: list[ResourceAlarmRef] | None = None
    underlyingProblem: list[EntityRef] | None = None
    parentProblem: list[EntityRef] | None = None
    relatedEvent: list[EventRef] | None = None
    slaViolation: list[EntityRef] | None = None
    troubleTicket: list[EntityRef] | None = None
    note: list[Note] | None = None


class ServiceProblem(ServiceProblemAttributes, Entity):
    """A degradation of services: which, since when, caused by what, noticed by whom.

    Legal moves of `status`, chosen here because the standard publishes the states without them: a problem that is
    acknowledged is worked on (inProgress), waits for somebody else (pending) or is put aside (held), and may be
    found solved from any of these; it is rejected only before work starts. A resolved problem is closed, or taken up
    again when the degradation comes back. rejected, cancelled and closed are final.
    """

    originatorParty: RelatedPartyRefOrPartyRoleRef
    responsibleParty: RelatedPartyRefOrPartyRoleRef | None = None
    relatedParty: list[RelatedPartyRefOrPartyRoleRef] | None = None
    firstAlert: Annotated[RelatedEntity | None, CreateOnly()] = None
    relatedEntity: list[RelatedEntity] | None = None
    affectedLocation: list[RelatedPlace] | None = None
    impactPattern: ImpactPattern | None = None
    characteristic: list[Characteristic] | None = None
    trackingRecord: Annotated[list[TrackingRecord] | None, CreateOnly()] = None
    externalIdentifier: list[ExternalIdentifier] | None = None
    errorMessage: Annotated[list[ErrorMessage] | None, ReadOnly()] = None


class ServiceProblemV4(ServiceProblemAttributes, Entity):
    """The same problem as TMF656 v4 shows it: roles flat, no error messages."""

    originatorParty: ReferredPartyV4
    responsibleParty: ReferredPartyV4 | None = None
    relatedParty: list[ReferredPartyV4] | None = None
    firstAlert: Annotated[ReferredEntityV4 | None, CreateOnly()] = None
    relatedEntity: list[ReferredEntityV4] | None = None
    affectedLocation: list[RelatedPlaceV4] | None = None
    impactPattern: ImpactPatternV4 | None = None
    characteristic: list[CharacteristicV4] | None = None
    externalIdentifier: list[ExternalIdentifierV4] | None = None
    trackingRecord: Annotated[list[TrackingRecordV4] | None, CreateOnly()] = None


class ServiceProblemEventRecordAttributes(Entity):
    eventType: str | None = None
    eventTime: Instant | None = None
    recordTime: Instant | None = None
    serviceProblem: EntityRef | None = None


class Notification(TmfModel):
    """An event as it was, whatever it is of."""


class ServiceProblemEventRecord(ServiceProblemEventRecordAttributes):
    """An event of a problem, or of an alarm that lies under it."""

    notification: Notification | None = None


class ServiceProblemEventRecordV4(ServiceProblemEventRecordAttributes):
    """The same in v4, where a notification may be anything."""

    notification: Any = None


class ProblemAcknowledgementAttributes(Entity):
    problem: list[EntityRef]
    ackProblem: Annotated[list[EntityRef] | None, ReadOnly()] = None


class ProblemAcknowledgementV4(ProblemAcknowledgementAttributes):
    """A request to acknowledge problems. v4 shows no state."""

    trackingRecord: TrackingRecordV4 | None = None


class ProblemAcknowledgement(ProblemAcknowledgementAttributes):
    """A request to acknowledge problems; `state` is that of the request."""

    trackingRecord: TrackingRecord | None = None
    state: Annotated[str | None, ReadOnly()] = None


class ProblemUnacknowledgementAttributes(Entity):
    problem: list[EntityRef]
    unackProblem: Annotated[list[EntityRef] | None, ReadOnly()] = None


class ProblemUnacknowledgementV4(ProblemUnacknowledgementAttributes):
    """A request to take an acknowledgement back. v4 shows no state."""

    trackingRecord: TrackingRecordV4 | None = None


class ProblemUnacknowledgement(ProblemUnacknowledgementAttributes):
    """A request to take an acknowledgement back; `state` is that of the request."""

    trackingRecord: TrackingRecord | None = None
    state: Annotated[str | None, ReadOnly()] = None


class ProblemGroupV4(Entity):
    """A request to put problems under a parent. v4 shows no state."""

    parentProblem: EntityRef
    childProblem: list[EntityRef]


class ProblemGroup(ProblemGroupV4):
    """A request to put problems under a parent; `state` is that of the request."""

    state: Annotated[str | None, ReadOnly()] = None


class ProblemUngroupV4(Entity):
    """A request to take problems from their parent. v4 shows no state."""

    parentProblem: EntityRef
    childProblem: list[EntityRef]


class ProblemUngroup(ProblemUngroupV4):
    """A request to take problems from their parent; `state` is that of the request."""

    state: Annotated[str | None, ReadOnly()] = None


_TASK_EVENTS = frozenset({"Create", "StateChange", "Delete"})
_TASK_STATE = Lifecycle(
    "state",
    "acknowledged",
    {"acknowledged": ("inProgress", "done", "terminatedWithError"), "inProgress": ("done", "terminatedWithError")},
)
_PROBLEM_STATUS = Lifecycle(
    "status",
    ServiceProblemState.ACKNOWLEDGED,
    {
        "acknowledged": ("inProgress", "pending", "held", "resolved", "rejected", "cancelled"),
        "inProgress": ("pending", "held", "resolved", "cancelled"),
        "pending": ("inProgress", "held", "resolved", "cancelled"),
        "held": ("inProgress", "pending", "resolved", "cancelled"),
        "resolved": ("closed", "inProgress"),
    },
)


def dated(old: Document | None, new: Document) -> Document:
    """When the status last changed, and when the problem was resolved, as far as nobody said so."""
    if old is None:
        new.setdefault("statusChangeDate", new["creationDate"])
    elif old.get("status") != new.get("status"):
        now = rfc3339(datetime.now(UTC))
        if old.get("statusChangeDate") == new.get("statusChangeDate"):
            new["statusChangeDate"] = now
        if new.get("status") == "inProgress":
            new.pop("resolutionDate", None)
        elif new.get("status") == "resolved" and old.get("resolutionDate") == new.get("resolutionDate"):
            new["resolutionDate"] = now
    return new


def counted(old: Document | None, new: Document) -> Document:
    """The number of affected services as it follows from their list, as far as nobody gave another.

    TMF656 R18.5, Create service problem: its default is 0; the kit of that release expects it in every answer.
    """
    services = len(new.get("affectedService") or ())
    if old is None:
        new.setdefault("affectedNumberOfServices", services)
    elif (
        old.get("affectedNumberOfServices")
        == new.get("affectedNumberOfServices")
        == len(old.get("affectedService") or ())
    ):
        new["affectedNumberOfServices"] = services
    return new


def ruled(old: Document | None, new: Document) -> Document:
    """What follows from the other attributes of a problem."""
    return counted(old, dated(old, new))


REFERENCES = ("problem", "ackProblem", "unackProblem", "parentProblem", "childProblem")


def classed(_old: Document | None, new: Document) -> Document:
    """A task with the classes of what is in it: v4 lets clients leave them out, answers of v5 carry them."""
    new = {**new, **{name: _with_class("ServiceProblemRef", new[name]) for name in REFERENCES if name in new}}
    if "trackingRecord" in new:
        new["trackingRecord"] = _with_class("TrackingRecord", new["trackingRecord"])
    return new


_INSIDE = {"characteristic": "Characteristic", "characteristicRelationship": "CharacteristicRelationship"}


def _with_class(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_with_class(name, v) for v in value]
    return {"@type": name, **value, **{n: _with_class(c, value[n]) for n, c in _INSIDE.items() if n in value}}


_SERVICES = dict.fromkeys(("Service", "ServiceRef"), "tmf-api/serviceInventoryManagement/v5/service")
_RESOURCES = dict.fromkeys(
    ("Resource", "ResourceRef", "LogicalResource", "PhysicalResource"),
    "tmf-api/resourceInventoryManagement/v4/resource",
)

SERVICE_PROBLEM = Resource(
    ServiceProblem,
    v4=ServiceProblemV4,
    lifecycle=_PROBLEM_STATUS,
    index=("creationDate", "priority"),
    created="creationDate",
    updated="lastUpdate",
    prepare=ruled,
    refers=(
        Reference("affectedService", "serviceInventory", _SERVICES),
        Reference("rootCauseService", "serviceInventory", _SERVICES),
        Reference("affectedResource", "resourceInventory", _RESOURCES),
        Reference("rootCauseResource", "resourceInventory", _RESOURCES),
    ),
    events=CHANGES | {"StateChange", "InformationRequired"},
)
SERVICE_PROBLEM_EVENT_RECORD = Resource(
    ServiceProblemEventRecord,
    v4=ServiceProblemEventRecordV4,
    operations=READ,
    index=("recordTime",),
    created="recordTime",
    events=frozenset(),
)
PROBLEM_ACKNOWLEDGEMENT, PROBLEM_UNACKNOWLEDGEMENT, PROBLEM_GROUP = (
    Resource(model, v4=v4, lifecycle=_TASK_STATE, prepare=classed, operations=TASK, events=_TASK_EVENTS)
    for model, v4 in (
        (ProblemAcknowledgement, ProblemAcknowledgementV4),
        (ProblemUnacknowledgement, ProblemUnacknowledgementV4),
        (ProblemGroup, ProblemGroupV4),
    )
)
PROBLEM_UNGROUP = Resource(
    ProblemUngroup,
    v4=ProblemUngroupV4,
    lifecycle=_TASK_STATE,
    prepare=classed,
    operations=TASK,
    events=_TASK_EVENTS,
    payload="problemGroup",  # so the file names it in the events
)
