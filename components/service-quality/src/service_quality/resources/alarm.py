"""TMF642 v4: alarms in the words of ITU-T X.733, and the tasks that acknowledge, clear, comment and group them."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tmfkit.call import CALL
from tmfkit.errors import Conflict
from tmfkit.resource import TASK, Lifecycle, Resource
from tmfkit.types import CreateOnly, Document, Entity, EntityRef, Instant, ReadOnly, RelatedPlaceRefOrValueV4, TmfModel
from tmfkit.write import rfc3339


class AlarmState(StrEnum):
    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


class AckState(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"


class PerceivedSeverity(StrEnum):
    """ITU-T X.733 8.1.2.3. TMF915's copy of the alarm and older samples write capitals: taken, and kept in X.733's."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    WARNING = "warning"
    INDETERMINATE = "indeterminate"
    CLEARED = "cleared"
    CRITICAL_IN_CAPITALS = "CRITICAL"
    MAJOR_IN_CAPITALS = "MAJOR"
    MINOR_IN_CAPITALS = "MINOR"
    WARNING_IN_CAPITALS = "WARNING"
    INDETERMINATE_IN_CAPITALS = "INDETERMINATE"
    CLEARED_IN_CAPITALS = "CLEARED"


class AlarmComment(TmfModel):
    comment: str | None = None
    systemId: str | None = None
    time: Instant | None = None
    userId: str | None = None


class AffectedService(TmfModel):
    id: str | None = None
    href: str | None = None


class AlarmedObject(TmfModel):
    """What the alarm is about; a resource mostly."""

    id: str | None = None
    href: str | None = None


class CrossedThresholdInformation(TmfModel):
    """Which threshold was crossed, by which value, up or down."""

    direction: str | None = None
    granularity: str | None = None
    indicatorName: str | None = None
    indicatorUnit: str | None = None
    observedValue: str | None = None
    threshold: EntityRef | None = None
    thresholdCrossingDescription: str | None = None


class AlarmAttributes(TmfModel):
    """All attributes, none mandatory: what a pattern may name."""

    ackState: str | None = None
    ackSystemId: str | None = None
    ackUserId: str | None = None
    ackTime: Instant | None = None  # the file has it on the task alone, TM Forum's samples on the alarm too
    affectedService: list[AffectedService] | None = None
    alarmChangedTime: Instant | None = None
    alarmClearedTime: Instant | None = None
    alarmDetails: str | None = None
    alarmEscalation: bool | None = None
    alarmRaisedTime: Instant | None = None
    alarmReportingTime: Instant | None = None
    alarmType: str | None = None  # X.733 8.1.1 and 3GPP TS 32.111-2 annex A are to be used, others are not refused
    alarmedObject: AlarmedObject | None = None
    alarmedObjectType: str | None = None
    clearSystemId: str | None = None
    clearUserId: str | None = None
    comment: list[AlarmComment] | None = None
    correlatedAlarm: list[EntityRef] | None = None
    crossedThresholdInformation: CrossedThresholdInformation | None = None
    externalAlarmId: str | None = None
    isRootCause: bool | None = None
    parentAlarm: list[EntityRef] | None = None
    perceivedSeverity: str | None = None
    place: list[RelatedPlaceRefOrValueV4] | None = None
    plannedOutageIndicator: str | None = None
    probableCause: str | None = None
    proposedRepairedActions: str | None = None
    reportingSystemId: str | None = None
    serviceAffecting: bool | None = None
    sourceSystemId: str | None = None
    specificProblem: str | None = None
    state: str | None = None


class Alarm(AlarmAttributes, Entity):
    """An alarm from its raising to its clearing; what is cleared stays cleared, a new fault is a new alarm."""

    alarmType: str
    perceivedSeverity: Annotated[PerceivedSeverity, Field(examples=["critical", "major", "minor", "warning"])]
    probableCause: str
    alarmedObject: AlarmedObject
    sourceSystemId: Annotated[str, CreateOnly()]
    state: AlarmState
    alarmRaisedTime: Annotated[Instant, CreateOnly()]
    ackState: AckState | None = None


class AlarmPattern(AlarmAttributes):
    """What an alarm must equal. The file has the id of an alarm as a number, of a reference as text: both are taken."""

    id: str | int | None = None
    href: str | None = None


class AlarmRefOrValue(AlarmPattern):
    """An alarm, by reference or as it is."""

    name: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class AckAlarms(Entity):
    """A request to acknowledge the alarms that match any of the patterns."""

    ackSystemId: str
    ackUserId: str
    ackTime: Instant | None = None
    alarmPattern: list[AlarmPattern]
    ackedAlarm: Annotated[list[AlarmRefOrValue] | None, ReadOnly()] = None
    state: Annotated[str | None, ReadOnly()] = None


class UnAckAlarms(Entity):
    """A request to take acknowledgements back."""

    ackSystemId: str
    ackUserId: str
    ackTime: Instant | None = None
    alarmPattern: list[AlarmPattern]
    unAckedAlarm: Annotated[list[AlarmRefOrValue] | None, ReadOnly()] = None
    state: Annotated[str | None, ReadOnly()] = None


class ClearAlarms(Entity):
    """A request to clear alarms."""

    clearSystemId: str
    clearUserId: str
    alarmClearedTime: Instant
    alarmPattern: list[AlarmPattern]
    clearedAlarm: Annotated[list[AlarmRefOrValue] | None, ReadOnly()] = None
    state: Annotated[str | None, ReadOnly()] = None


class CommentAlarms(Entity):
    """A request to write a comment to alarms."""

    comment: AlarmComment
    alarmPattern: list[AlarmPattern]
    commentedAlarm: Annotated[list[AlarmRefOrValue] | None, ReadOnly()] = None
    state: Annotated[str | None, ReadOnly()] = None


class GroupAlarms(Entity):
    """A request to put correlated alarms under the alarm that is their root cause."""

    sourceSystemId: str
    alarmChangedTime: Instant
    parentAlarm: AlarmRefOrValue
    correlatedAlarm: list[AlarmRefOrValue]
    groupedAlarm: Annotated[list[AlarmRefOrValue] | None, ReadOnly()] = None
    state: Annotated[str | None, ReadOnly()] = None


class UnGroupAlarms(Entity):
    """A request to take alarms from their root cause."""

    sourceSystemId: str
    alarmChangedTime: Instant
    parentAlarm: AlarmRefOrValue
    correlatedAlarm: list[AlarmRefOrValue]
    unGroupedAlarm: Annotated[list[AlarmRefOrValue] | None, ReadOnly()] = None
    state: Annotated[str | None, ReadOnly()] = None


# --- Declarations ---

ALARM_STATE = Lifecycle("state", AlarmState.RAISED, {"raised": ("updated", "cleared"), "updated": ("cleared",)})
_TASK_STATE = Lifecycle(
    "state",
    "acknowledged",
    {"acknowledged": ("inProgress", "done", "terminatedWithError"), "inProgress": ("done", "terminatedWithError")},
)
_TASK_EVENTS = frozenset({"Create", "StateChange"})


def ruled(old: Document | None, new: Document) -> Document:
    """State, severity and acknowledgement of an alarm after a client's write.

    cleared is a state and a severity at once (X.733 8.1.2.3), comes with its time, and is not taken back; another
    severity makes a raised alarm an updated one; who acknowledges is noted.
    """
    severity = str(new["perceivedSeverity"]).lower()
    new = {"ackState": AckState.UNACKNOWLEDGED.value, **new, "perceivedSeverity": severity}
    now = rfc3339(datetime.now(UTC))
    if old is None:
        if "cleared" in (new["state"], severity):
            new = {"alarmClearedTime": now, **new, "state": "cleared", "perceivedSeverity": "cleared"}
        return new
    if old["state"] == "cleared" and severity != "cleared":
        raise Conflict("the severity of a cleared alarm is not set again", attribute="perceivedSeverity")
    if old["state"] != "cleared" and "cleared" in (new["state"], severity):
        new |= {"state": "cleared", "perceivedSeverity": "cleared"}
        if new.get("alarmClearedTime") == old.get("alarmClearedTime"):
            new["alarmClearedTime"] = now
    elif severity != old["perceivedSeverity"] and new["state"] == "raised":
        new["state"] = "updated"
    if new.get("ackState") != old.get("ackState"):
        new["ackTime"] = now
        if new.get("ackUserId") == old.get("ackUserId"):
            new["ackUserId"] = CALL.get().subject
    return new


ALARM = Resource(
    Alarm,
    lifecycle=ALARM_STATE,
    index=("alarmRaisedTime",),
    created="alarmReportingTime",
    updated="alarmChangedTime",
    prepare=ruled,
)
ACK_ALARMS = Resource(AckAlarms, lifecycle=_TASK_STATE, operations=TASK, events=_TASK_EVENTS)
UN_ACK_ALARMS = Resource(UnAckAlarms, lifecycle=_TASK_STATE, operations=TASK, events=_TASK_EVENTS)
CLEAR_ALARMS = Resource(ClearAlarms, lifecycle=_TASK_STATE, operations=TASK, events=_TASK_EVENTS)
COMMENT_ALARMS = Resource(CommentAlarms, lifecycle=_TASK_STATE, operations=TASK, events=_TASK_EVENTS)
GROUP_ALARMS = Resource(GroupAlarms, lifecycle=_TASK_STATE, operations=TASK, events=_TASK_EVENTS)
UN_GROUP_ALARMS = Resource(UnGroupAlarms, lifecycle=_TASK_STATE, operations=TASK, events=_TASK_EVENTS)
