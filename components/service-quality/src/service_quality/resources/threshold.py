"""TMF649 v5: when to speak up. Rules, thresholds made of them, and the jobs that put a threshold to work."""

from __future__ import annotations

from enum import StrEnum

from service_quality.resources.quality import CHANGES
from tmfkit.resource import Lifecycle, Resource
from tmfkit.types import Characteristic, Entity, EntityRef, Instant, TimePeriod, TmfModel, VersionedRef


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


class SimpleRuleAttributes(TmfModel):
    """What a SimpleThresholdRule adds: the rule as bounds. Comparators: GT, GE, EQ, NEQ, LE, LT."""

    conformanceComparatorLower: str | None = None
    conformanceComparatorUpper: str | None = None
    conformancePeriod: TimePeriod | None = None
    conformanceTargetLower: int | None = None
    conformanceTargetUpper: int | None = None
    gracePeriods: int | None = None
    thresholdTarget: int | None = None
    tolerancePeriod: TimePeriod | None = None


class AlgorithmRuleAttributes(TmfModel):
    """What an AlgorithmThresholdRule adds: an algorithm decides."""

    algorithmRef: str | None = None
    algorithmParams: list[Characteristic] | None = None


class ThresholdRule(SimpleRuleAttributes, AlgorithmRuleAttributes, Entity):
    """One condition (Raise or Clear) on one measurement, with the severity of crossing it; `@type` tells its form."""

    name: str
    condition: str
    severity: str
    measurement: VersionedRef | None = None
    consequence: list[Consequence] | None = None
    performanceAlarmSpecification: PerformanceAlarmSpecification | None = None
    perfAlarmSpecThresholdCrossingDescription: str | None = None


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


THRESHOLD = Resource(Threshold, events=CHANGES)
THRESHOLD_RULE = Resource(ThresholdRule, events=CHANGES)
THRESHOLD_JOB = Resource(
    ThresholdJob,
    lifecycle=Lifecycle("executionState"),
    created="creationDate",
    updated="lastUpdate",
    events=CHANGES | {"StateChange"},
)
