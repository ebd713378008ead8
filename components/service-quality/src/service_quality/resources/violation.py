"""Our own API: a promise that was not kept. No TM Forum API has it today (TMF623 had it until version 2)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tmfkit.resource import READ, Lifecycle, Resource
from tmfkit.types import (
    Characteristic,
    Entity,
    EntityRef,
    Instant,
    RelatedEntity,
    RelatedPartyOrPartyRole,
    TimePeriod,
    TmfModel,
    VersionedRef,
)


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


SERVICE_LEVEL_VIOLATION = Resource(
    ServiceLevelViolation,
    lifecycle=Lifecycle("state", ViolationState.OPEN, {"open": ("cleared",)}),
    operations=READ,
    index=("raisedTime",),
    updated="lastUpdate",
)
