"""TMF915 v4 alarms: what went wrong with a model in operation. The model, its life cycle and what the server sets."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from tmfkit.resource import Lifecycle, Resource
from tmfkit.types import CreateOnly, Document, Entity, EntityRef, Instant, ReadOnly, RelatedPlaceRefOrValueV4, TmfModel
from tmfkit.write import rfc3339


class AlarmType(StrEnum):
    COMMUNICATIONS = "communicationsAlarm"
    PROCESSING_ERROR = "processingErrorAlarm"
    ENVIRONMENTAL = "environmentalAlarm"
    QUALITY_OF_SERVICE = "qualityOfServiceAlarm"
    EQUIPMENT = "equipmentAlarm"
    INTEGRITY_VIOLATION = "integrityViolation"
    OPERATIONAL_VIOLATION = "operationalViolation"
    PHYSICAL_VIOLATION = "physicalViolation"
    SECURITY_SERVICE = "securityService"
    MECHANISM_VIOLATION = "mechanismViolation"
    TIME_DOMAIN_VIOLATION = "timeDomainViolation"


class PerceivedSeverity(StrEnum):
    CRITICAL = "CRITICAL"
    MAJOR = "MAJOR"
    MINOR = "MINOR"
    WARNING = "WARNING"
    INDETERMINATE = "INDETERMINATE"
    CLEARED = "CLEARED"


class AlarmState(StrEnum):
    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


class Affected(TmfModel):
    """The object or the service that an alarm is about."""

    id: str | None = None
    href: str | None = None


class Comment(TmfModel):
    """What somebody had to say about an alarm, and when."""

    userId: str | None = None
    systemId: str | None = None
    time: Instant | None = None
    comment: str | None = None


class CrossedThresholdInformation(TmfModel):
    """The threshold that was crossed, and by what; the standard writes the observed value as text."""

    direction: str | None = None
    granularity: str | None = None
    indicatorName: str | None = None
    indicatorUnit: str | None = None
    observedValue: str | None = None
    threshold: EntityRef | None = None
    thresholdCrossingDescription: str | None = None


class Alarm(Entity):
    """An alarm about a model. The server sets the times at which it was reported, changed and cleared.

    Legal moves of `state`: raised to updated or cleared, updated to cleared; cleared is the end. A cleared alarm has
    the severity CLEARED, and one that gets that severity is cleared.
    """

    state: AlarmState
    alarmType: AlarmType
    perceivedSeverity: PerceivedSeverity
    probableCause: str
    specificProblem: str | None = None
    alarmedObject: Affected
    alarmedObjectType: str | None = None
    sourceSystemId: Annotated[str, CreateOnly()]
    reportingSystemId: str | None = None
    externalAlarmId: str | None = None
    alarmRaisedTime: Annotated[Instant, CreateOnly()]
    alarmReportingTime: Annotated[Instant | None, ReadOnly()] = None
    alarmChangedTime: Annotated[Instant | None, ReadOnly()] = None
    alarmClearedTime: Annotated[Instant | None, ReadOnly()] = None
    ackState: str | None = None
    ackSystemId: str | None = None
    ackUserId: str | None = None
    clearSystemId: str | None = None
    clearUserId: str | None = None
    alarmDetails: str | None = None
    alarmEscalation: bool | None = None
    isRootCause: bool | None = None
    plannedOutageIndicator: str | None = None
    proposedRepairedActions: str | None = None
    serviceAffecting: bool | None = None
    affectedService: list[Affected] | None = None
    comment: list[Comment] | None = None
    correlatedAlarm: list[EntityRef] | None = None
    crossedThresholdInformation: CrossedThresholdInformation | None = None
    parentAlarm: list[EntityRef] | None = None
    place: list[RelatedPlaceRefOrValueV4] | None = None


def cleared(old: Document | None, new: Document) -> Document:
    """State and severity agree on whether the alarm is over; when it ended is noted once."""
    severities = [doc.get("perceivedSeverity") for doc in (old, new) if doc is not None]
    ended = len(severities) == 2 and severities[0] != severities[1] == PerceivedSeverity.CLEARED
    if new.get("state") != AlarmState.CLEARED and not ended:
        return new
    new = {**new, "state": AlarmState.CLEARED.value, "perceivedSeverity": PerceivedSeverity.CLEARED.value}
    new.setdefault("alarmClearedTime", rfc3339(datetime.now(UTC)))
    return new


ALARM = Resource(
    Alarm,
    lifecycle=Lifecycle(
        "state",
        "raised",
        {
            "raised": ("updated", "cleared"),
            "updated": ("cleared",),
        },
    ),
    index=("alarmRaisedTime",),
    prepare=cleared,
    created="alarmReportingTime",
    updated="alarmChangedTime",
    events=frozenset({"Create", "AttributeValueChange", "StateChange", "Delete"}),
)
