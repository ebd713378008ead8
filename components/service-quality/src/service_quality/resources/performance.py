"""TMF628 v4: which indicators there are, who wants them collected, and who changed such an order."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tmfkit.call import CALL
from tmfkit.database import new_id
from tmfkit.patch import changed
from tmfkit.resource import READ, Lifecycle, Resource
from tmfkit.types import (
    CharacteristicV4,
    Document,
    Duration,
    Entity,
    Instant,
    ReadOnly,
    TimePeriod,
    TmfModel,
    VersionedRef,
)
from tmfkit.write import rfc3339

SYSTEM = "service-quality"
RECORDS_IN_JOB = 20
"""A job shows the newest of its tracking records; all of them are in the resource trackingRecord."""

# --- What can be measured ---


class CollectionType(StrEnum):
    CUMULATIVE = "cumulative"
    DELTA = "delta"
    DISCRETE_EVENT = "discrete_event"
    GAUGE = "gauge"
    STATUS_INSPECTION = "status_inspection"


class IndicatorType(StrEnum):
    STRING = "string"
    INT = "int"
    FLOAT = "float"
    DOUBLE = "double"


class PerformanceIndicatorSpecRelationship(TmfModel):
    """How an indicator stands to another, for instance aggregation or substitution."""

    id: str | None = None
    href: str | None = None
    name: str | None = None
    relationshipType: str
    role: str | None = None
    validFor: TimePeriod


class IndicatorAttributes(TmfModel):
    name: str | None = None
    description: str | None = None
    collectionType: CollectionType | None = None
    derivationAlgorithm: str | None = None
    derivationMethod: str | None = None
    indicatorCategory: str | None = None
    indicatorType: IndicatorType | None = None
    indicatorUnit: str | None = None
    perspective: str | None = None
    performanceIndicatorSpecRelationship: list[PerformanceIndicatorSpecRelationship] | None = None
    validFor: TimePeriod | None = None


class PerformanceIndicatorSpecification(IndicatorAttributes, Entity):
    """A KPI or KQI: its name, kind, unit, and how it is derived."""


class PerformanceIndicatorSpecificationRefOrValue(IndicatorAttributes):
    """An indicator by reference, or described on the spot."""

    id: str | None = None
    href: str | None = None
    version: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class PerformanceIndicatorGroupSpecification(Entity):
    """Indicators that are collected together."""

    name: str
    performanceIndicatorSpecification: list[VersionedRef]


class PerformanceIndicatorGroup(TmfModel):
    """A group as a job names it."""

    id: str | None = None
    href: str | None = None
    name: str
    performanceIndicatorSpecification: list[VersionedRef]


# --- Jobs ---


class JobAdminState(StrEnum):
    LOCKED = "locked"
    UNLOCKED = "unlocked"


class JobState(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    PENDING = "pending"
    IN_PROGRESS = "inProgress"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"


class Granularity(StrEnum):
    MINUTE = "g_1mn"
    MINUTES_5 = "g_5mn"
    MINUTES_15 = "g_15mn"
    MINUTES_30 = "g_30mn"
    HOUR = "g_1h"
    HOURS_24 = "g_24h"
    MONTH = "g_1m"
    YEAR = "g_1y"
    NOT_APPLICABLE = "na"


class ReportingPeriod(StrEnum):
    MINUTE = "r_1mn"
    MINUTES_5 = "r_5mn"
    MINUTES_15 = "r_15mn"
    MINUTES_30 = "r_30mn"
    HOUR = "r_1h"
    HOURS_24 = "r_24h"
    NOT_APPLICABLE = "na"


class CompressionEnumType(StrEnum):
    NO_COMPRESSION = "no_compression"
    GZIP = "gzip"
    VENDOR_EXT = "vendor_ext"
    MINOR_EXT = "minor_ext"


class PackingEnumType(StrEnum):
    NO_PACKING = "NO_PACKING"
    GZIP = "GZIP"
    TAR = "TAR"
    VENDOR_EXT = "VENDOR_EXT"
    MINOR_EXT = "MINOR_EXT"


class CompressionType(TmfModel):
    compressionEnumType: CompressionEnumType | None = None


class PackingType(TmfModel):
    packingEnumType: PackingEnumType | None = None


class FileTransferData(TmfModel):
    """Where the files of a job go, and how they are written."""

    fileFormat: str | None = None
    fileLocation: str | None = None
    transportProtocol: str | None = None
    compressionType: CompressionType | None = None
    packingType: PackingType | None = None
    retentionPeriod: Duration | None = None


class MonitoredClassCriteria(TmfModel):
    """Objects of a class, all or those that a filter leaves."""

    monitoredObjectClass: str | None = None
    objectInstanceFilter: str | None = None


class MonitoredInstancesCriteria(TmfModel):
    """Objects one by one. The file declares no attribute: what is sent is kept."""


class DayOfWeekRecurrence(TmfModel):
    dates: Instant | None = None


class DayOfMonthRecurrence(TmfModel):
    dates: Instant | None = None


class DaysOfWeekInMonth(TmfModel):
    recurringDaySequence: str | None = None
    dayOfMonthRecurrence: list[DayOfMonthRecurrence] | None = None


class JobSchedule(TmfModel):
    """When a job runs. Two attributes are written with a capital in the file."""

    scheduleDefinitionStartTime: Instant | None = None
    scheduleDefinitionEndTime: Instant | None = None
    scheduleDefinitionHourRange: str | None = None
    recurringFrequency: str | None = None
    WeeklyScheduledDefinition: list[DayOfWeekRecurrence] | None = None
    MonthlyScheduleDayOfWeekDefinition: DaysOfWeekInMonth | None = None


class TrackingRecordAttributes(TmfModel):
    description: str | None = None
    systemId: str | None = None
    time: Instant | None = None
    user: str | None = None
    characteristic: list[CharacteristicV4] | None = None


class TrackingRecord(TrackingRecordAttributes, Entity):
    """Who did what to a job, and when; its characteristics name the job and what was changed."""


class JobTrackingRecord(TrackingRecordAttributes):
    """A tracking record as a job shows it."""

    id: str | None = None


class CollectionAttributes(Entity):
    """What both kinds of jobs have."""

    adminState: JobAdminState | None = None
    executionState: JobState | None = None
    consumingApplicationId: str | None = None
    producingApplicationId: str | None = None
    creationTime: Instant | None = None
    lastModifiedTime: Instant | None = None
    jobId: str | None = None
    jobPriority: Annotated[int | None, Field(ge=1, le=10)] = None
    outputFormat: str | None = None
    fileTransferData: list[FileTransferData]
    monitoredClassCriteria: MonitoredClassCriteria | None = None
    monitoredInstancesCriteria: MonitoredInstancesCriteria | None = None
    performanceIndicatorGroupSpecification: list[PerformanceIndicatorGroup] | None = None
    performanceIndicatorSpecification: list[PerformanceIndicatorSpecificationRefOrValue] | None = None
    scheduleDefinition: JobSchedule | None = None
    trackingRecord: Annotated[list[JobTrackingRecord] | None, ReadOnly()] = None


class MeasurementCollectionJob(CollectionAttributes):
    """An order to collect indicators again and again and to deliver them in files."""

    granularity: Granularity | None = None
    reportingPeriod: ReportingPeriod | None = None


class OnDemandCollection(CollectionAttributes):
    """An order to collect indicators of a period once."""

    collectionPeriod: TimePeriod | None = None
    granulatiry: Granularity | None = None  # so it is written in the file


# --- Declarations ---

EXECUTION_STATE = Lifecycle(
    "executionState",
    JobState.ACKNOWLEDGED,
    {
        "acknowledged": ("pending", "inProgress", "rejected", "cancelled", "failed"),
        "pending": ("inProgress", "rejected", "cancelled", "failed"),
        "inProgress": ("completed", "pending", "cancelled", "failed"),
    },
    event="ExecutionStateChange",
)
_EVENTS = frozenset(
    {"Create", "AttributeValueChange", "Delete", "ExecutionStateChange", "FilesReady", "FilesPreparationError"}
)


def tracked(old: Document | None, new: Document) -> Document:
    """The job with one more tracking record: who created or changed it, when, and which attributes."""
    if old is None:
        new.setdefault("id", new_id())
        attributes: list[str] = []
        what = "created"
    else:
        attributes = sorted(changed(old, new))
        state = new.get("executionState") if "executionState" in attributes else None
        what = f"moved to {state}" if state else f"changed {', '.join(attributes)}"
    record = {
        "id": new_id(),
        "description": what,
        "systemId": SYSTEM,
        "time": rfc3339(datetime.now(UTC)),
        "user": CALL.get().subject,
        "characteristic": [
            {"name": "job", "valueType": "string", "value": new["id"]},
            {"name": "jobType", "valueType": "string", "value": new["@type"]},
            {"name": "changedAttribute", "valueType": "array", "value": attributes},
        ],
    }
    return {**new, "trackingRecord": [*(new.get("trackingRecord") or []), record][-RECORDS_IN_JOB:]}


MEASUREMENT_COLLECTION_JOB = Resource(
    MeasurementCollectionJob,
    lifecycle=EXECUTION_STATE,
    created="creationTime",
    updated="lastModifiedTime",
    prepare=tracked,
    events=_EVENTS,
)
ON_DEMAND_COLLECTION = Resource(
    OnDemandCollection,
    lifecycle=EXECUTION_STATE,
    created="creationTime",
    updated="lastModifiedTime",
    prepare=tracked,
    events=_EVENTS,
)
PERFORMANCE_INDICATOR_SPECIFICATION = Resource(PerformanceIndicatorSpecification, events=frozenset())
PERFORMANCE_INDICATOR_GROUP_SPECIFICATION = Resource(PerformanceIndicatorGroupSpecification, events=frozenset())
TRACKING_RECORD = Resource(TrackingRecord, operations=READ, index=("time",), events=frozenset())
