"""The resources of service quality: TMF657 v4 objectives, TMF649 v5 thresholds, TMF656 v4 and v5 problems, and
the service level violation, which no TM Forum API has today (TMF623 had it until version 2)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from tmfkit.resource import READ, TASK, Lifecycle, Resource
from tmfkit.types import (
    Characteristic,
    CharacteristicV4,
    CreateOnly,
    Entity,
    EntityRef,
    ExternalIdentifier,
    Instant,
    Note,
    ReadOnly,
    RelatedEntity,
    RelatedEntityV4,
    RelatedParty,
    RelatedPartyOrPartyRole,
    RelatedPlace,
    RelatedPlaceV4,
    TimePeriod,
    TmfModel,
    VersionedRef,
)

# --- TMF657: what was promised -----------------------------------------------------------------------------


class ServiceLevelSpecParameter(TmfModel):
    """The KPI or KQI that an objective is about."""

    name: str | None = None
    parameterType: str | None = None
    serviceParmCategory: str | None = None
    serviceParmPerspective: str | None = None
    transformationAlgorithmOfKQI: str | None = None
    relatedEntity: list[RelatedEntityV4] | None = None
    validFor: TimePeriod | None = None


class ServiceLevelSpecConsequence(TmfModel):
    """What is to be done when the objective is missed."""

    prescribedAction: str | None = None
    validFor: TimePeriod | None = None


class ServiceLevelObjective(Entity):
    """A target for one parameter of a service. The standard writes its numbers as text."""

    name: str | None = None
    conformanceComparator: str
    conformanceTarget: str
    conformancePeriod: TimePeriod | None = None
    thresholdTarget: str | None = None
    toleranceTarget: str | None = None
    tolerancePeriod: TimePeriod | None = None
    graceTimes: str | None = None
    serviceLevelObjectiveParameter: ServiceLevelSpecParameter
    serviceLevelObjectiveConsequence: list[ServiceLevelSpecConsequence] | None = None
    validFor: Annotated[TimePeriod | None, CreateOnly()] = None


class ServiceLevelSpecification(Entity):
    """Objectives under one name, as they are sold."""

    name: str
    description: str | None = None
    relatedServiceLevelObjective: list[EntityRef]
    validFor: Annotated[TimePeriod | None, CreateOnly()] = None


# --- TMF649: when to speak up ------------------------------------------------------------------------------


class Threshold(Entity):
    """A named set of rules, for instance to raise and to clear."""

    name: str
    description: str | None = None
    thresholdRule: list[EntityRef]


class Consequence(TmfModel):
    """What follows from crossing a threshold."""

    name: str | None = None
    description: str | None = None
    prescribedAction: str | None = None


class PerformanceAlarmSpecification(TmfModel):
    """How the fields of a threshold-crossing alarm are filled."""

    perfAlarmSpecAdditionalText: str | None = None
    perfAlarmSpecAlarmType: str | None = None
    perfAlarmSpecSeverity: str | None = None
    perfAlarmSpecSpecificProblem: str | None = None
    perfAlarmProbableCause: str | None = None


class ThresholdRule(Entity):
    """One condition (Raise or Clear) on one measurement, with the severity of crossing it."""

    name: str
    condition: str
    severity: str
    measurement: VersionedRef | None = None
    consequence: list[Consequence] | None = None
    performanceAlarmSpecification: PerformanceAlarmSpecification | None = None
    perfAlarmSpecThresholdCrossingDescription: str | None = None


class SimpleThresholdRule(ThresholdRule):
    """A rule written as bounds. Comparators: GT, GE, EQ, NEQ, LE, LT."""

    conformanceComparatorLower: str | None = None
    conformanceComparatorUpper: str | None = None
    conformancePeriod: TimePeriod | None = None
    conformanceTargetLower: int | None = None
    conformanceTargetUpper: int | None = None
    gracePeriods: int | None = None
    thresholdTarget: int | None = None
    tolerancePeriod: TimePeriod | None = None


class AlgorithmThresholdRule(ThresholdRule):
    """A rule that an algorithm decides."""

    algorithmRef: str | None = None
    algorithmParams: list[Characteristic] | None = None


class AdminState(StrEnum):
    LOCKED = "LOCKED"
    UNLOCKED = "UNLOCKED"
    SHUTTING_DOWN = "SHUTTING_DOWN"


class MonitoredObjectsCriteria(TmfModel):
    monitoredObjectFilter: str | None = None


class HourRange(TmfModel):
    startHour: str | None = None
    endHour: str | None = None


class DayOfWeekRecurrence(TmfModel):
    days: list[int] | None = None


class DayOfMonthRecurrence(TmfModel):
    days: list[int] | None = None


class MonthlyScheduleDayOfWeekDefinition(TmfModel):
    recurringDaySequence: str | None = None
    dayOfMonthRecurrence: list[DayOfMonthRecurrence] | None = None


class ScheduleDefinition(TmfModel):
    """When a job runs: by frequency within a day, by days of week or month, by date, and when not."""

    id: str
    validFor: TimePeriod | None = None
    recurringFrequency: str | None = None
    excludedDate: list[Instant] | None = None
    scheduleDefinitionHourRange: list[HourRange] | None = None
    weeklyScheduleDefinition: list[DayOfWeekRecurrence] | None = None
    monthlyScheduleDayOfMonthDefinition: list[Instant] | None = None
    monthlyScheduleDayOfWeekDefinition: MonthlyScheduleDayOfWeekDefinition | None = None
    dateScheduleDefinition: list[Instant] | None = None


class ThresholdJob(Entity):
    """A threshold at work: on which objects, how often, by which schedule."""

    granularity: str
    adminState: AdminState | None = None
    executionState: str | None = None
    jobPriority: int | None = None
    monitoredObjectsCriteria: list[MonitoredObjectsCriteria] | None = None
    performanceThreshold: EntityRef | None = None
    scheduleDefinition: ScheduleDefinition | None = None
    trackingRecord: str | None = None
    creationDate: Instant | None = None
    lastUpdate: Instant | None = None


# --- TMF656: what went wrong, and for whom -----------------------------------------------------------------


class ServiceProblemState(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    PENDING = "pending"
    HELD = "held"
    IN_PROGRESS = "inProgress"
    RESOLVED = "resolved"
    CANCELLED = "cancelled"
    CLOSED = "closed"


class ImpactPattern(TmfModel):
    """Other characteristics of the impact."""

    id: str | None = None
    href: str | None = None
    description: str | None = None
    characteristic: list[Characteristic] | None = None


class TrackingRecord(TmfModel):
    """Who or what system did something to the problem, and when."""

    id: str | None = None
    description: str | None = None
    systemId: str | None = None
    time: Instant | None = None
    user: str | None = None
    characteristic: list[Characteristic] | None = None


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
    externalIdentifier: list[ExternalIdentifier] | None = None
    note: list[Note] | None = None


class ServiceProblem(ServiceProblemAttributes, Entity):
    """A degradation of services: which, since when, caused by what, noticed by whom.

    Legal moves of `status`, chosen here because the standard publishes the states without them: a problem that is
    acknowledged is worked on (inProgress), waits for somebody else (pending) or is put aside (held), and may be
    found solved from any of these; it is rejected only before work starts. A resolved problem is closed, or taken up
    again when the degradation comes back. rejected, cancelled and closed are final.
    """

    originatorParty: RelatedPartyOrPartyRole
    responsibleParty: RelatedPartyOrPartyRole | None = None
    relatedParty: list[RelatedPartyOrPartyRole] | None = None
    firstAlert: Annotated[RelatedEntity | None, CreateOnly()] = None
    relatedEntity: list[RelatedEntity] | None = None
    affectedLocation: list[RelatedPlace] | None = None
    impactPattern: ImpactPattern | None = None
    characteristic: list[Characteristic] | None = None
    trackingRecord: Annotated[list[TrackingRecord] | None, CreateOnly()] = None
    errorMessage: Annotated[list[ErrorMessage] | None, ReadOnly()] = None


class ServiceProblemV4(ServiceProblemAttributes, Entity):
    """The same problem as TMF656 v4 shows it: roles flat, no error messages."""

    originatorParty: RelatedParty
    responsibleParty: RelatedParty | None = None
    relatedParty: list[RelatedParty] | None = None
    firstAlert: Annotated[RelatedEntityV4 | None, CreateOnly()] = None
    relatedEntity: list[RelatedEntityV4] | None = None
    affectedLocation: list[RelatedPlaceV4] | None = None
    impactPattern: ImpactPattern | None = None
    characteristic: list[CharacteristicV4] | None = None
    trackingRecord: Annotated[list[TrackingRecord] | None, CreateOnly()] = None


class ServiceProblemEventRecord(Entity):
    """An event from elsewhere that was taken as belonging to a problem; the event is kept as it came."""

    eventType: str | None = None
    eventTime: Instant | None = None
    recordTime: Instant | None = None
    serviceProblem: EntityRef | None = None
    notification: dict[str, Any] | None = None


class ServiceProblemEventRecordV4(ServiceProblemEventRecord):
    """v4 has the same attributes."""


class ProblemAcknowledgementV4(Entity):
    """A request to acknowledge problems. v4 shows no state."""

    problem: list[EntityRef]
    ackProblem: Annotated[list[EntityRef] | None, ReadOnly()] = None
    trackingRecord: TrackingRecord | None = None


class ProblemAcknowledgement(ProblemAcknowledgementV4):
    """A request to acknowledge problems; `state` is that of the request."""

    state: Annotated[str | None, ReadOnly()] = None


class ProblemUnacknowledgementV4(Entity):
    """A request to take an acknowledgement back. v4 shows no state."""

    problem: list[EntityRef]
    unackProblem: Annotated[list[EntityRef] | None, ReadOnly()] = None
    trackingRecord: TrackingRecord | None = None


class ProblemUnacknowledgement(ProblemUnacknowledgementV4):
    """A request to take an acknowledgement back; `state` is that of the request."""

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


# --- Our own: a promise that was not kept ------------------------------------------------------------------


class ViolationState(StrEnum):
    OPEN = "open"
    CLEARED = "cleared"


class Violation(TmfModel):
    """Promised against observed. Words of TMF623 and TMF915, but numbers are numbers.

    actualValue, referenceValue and tolerance are in `unit`; conformanceRatio is the share (0..1) of the samples of
    the period that met the reference value, conformanceTarget the share that was promised.
    """

    parameterName: str
    operator: str
    referenceValue: float
    actualValue: float
    unit: str | None = None
    tolerance: float | None = None
    conformanceRatio: Annotated[float | None, Field(ge=0, le=1)] = None
    conformanceTarget: Annotated[float | None, Field(ge=0, le=1)] = None
    consequence: str | None = None
    comment: str | None = None


class ViolationEvidence(TmfModel):
    """One thing that was measured and led to the verdict."""

    name: str
    value: float | None = None
    unit: str | None = None
    sampleCount: Annotated[int | None, Field(ge=0)] = None
    period: TimePeriod | None = None
    entity: EntityRef | None = None
    description: str | None = None


class ServiceLevelViolation(Entity):
    """A service missed an objective. Open until the objective is met again; then cleared, and that is final."""

    name: str | None = None
    description: str | None = None
    state: ViolationState
    serviceLevelObjective: EntityRef
    serviceLevelSpecification: EntityRef | None = None
    sla: VersionedRef | None = None
    affectedService: EntityRef
    violation: Violation
    period: TimePeriod
    raisedTime: Instant
    clearedTime: Instant | None = None
    lastUpdate: Instant | None = None
    evidence: list[ViolationEvidence] | None = None
    relatedEntity: list[RelatedEntity] | None = None
    relatedParty: list[RelatedPartyOrPartyRole] | None = None
    serviceProblem: EntityRef | None = None
    characteristic: list[Characteristic] | None = None


# --- Declarations ------------------------------------------------------------------------------------------

_CHANGES = frozenset({"Create", "AttributeValueChange", "Delete"})
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

SERVICE_LEVEL_OBJECTIVE = Resource(ServiceLevelObjective, events=_CHANGES)
SERVICE_LEVEL_SPECIFICATION = Resource(ServiceLevelSpecification, events=_CHANGES)

THRESHOLD = Resource(Threshold, events=_CHANGES)
THRESHOLD_RULE = Resource(ThresholdRule, events=_CHANGES, extensions=(SimpleThresholdRule, AlgorithmThresholdRule))
THRESHOLD_JOB = Resource(
    ThresholdJob,
    lifecycle=Lifecycle("executionState"),
    created="creationDate",
    updated="lastUpdate",
    events=_CHANGES | {"StateChange"},
)

SERVICE_PROBLEM = Resource(
    ServiceProblem,
    v4=ServiceProblemV4,
    lifecycle=_PROBLEM_STATUS,
    index=("creationDate", "priority"),
    created="creationDate",
    updated="lastUpdate",
    events=_CHANGES | {"StateChange", "InformationRequired"},
)
SERVICE_PROBLEM_EVENT_RECORD = Resource(
    ServiceProblemEventRecord,
    v4=ServiceProblemEventRecordV4,
    operations=READ,
    index=("recordTime",),
    created="recordTime",
    events=frozenset(),
)
PROBLEM_ACKNOWLEDGEMENT = Resource(
    ProblemAcknowledgement, v4=ProblemAcknowledgementV4, lifecycle=_TASK_STATE, operations=TASK, events=_TASK_EVENTS
)
PROBLEM_UNACKNOWLEDGEMENT = Resource(
    ProblemUnacknowledgement, v4=ProblemUnacknowledgementV4, lifecycle=_TASK_STATE, operations=TASK, events=_TASK_EVENTS
)
PROBLEM_GROUP = Resource(ProblemGroup, v4=ProblemGroupV4, lifecycle=_TASK_STATE, operations=TASK, events=_TASK_EVENTS)
PROBLEM_UNGROUP = Resource(
    ProblemUngroup, v4=ProblemUngroupV4, lifecycle=_TASK_STATE, operations=TASK, events=_TASK_EVENTS
)

SERVICE_LEVEL_VIOLATION = Resource(
    ServiceLevelViolation,
    lifecycle=Lifecycle("state", ViolationState.OPEN, {"open": ("cleared",)}),
    operations=READ,
    index=("raisedTime",),
    updated="lastUpdate",
)
