"""TMF657 v4: what was promised of a service. Objectives, and the specifications that bundle them."""

from __future__ import annotations

from typing import Annotated

from service_quality.resources.related import ReferredEntityV4
from tmfkit.resource import Resource
from tmfkit.types import CreateOnly, Entity, EntityRef, TimePeriod, TmfModel

CHANGES = frozenset({"Create", "AttributeValueChange", "Delete"})


class ServiceLevelSpecParameter(TmfModel):
    """The KPI or KQI that an objective is about."""

    name: str | None = None
    parameterType: str | None = None
    serviceParmCategory: str | None = None
    serviceParmPerspective: str | None = None
    transformationAlgorithmOfKQI: str | None = None
    relatedEntity: list[ReferredEntityV4] | None = None
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


SERVICE_LEVEL_OBJECTIVE = Resource(ServiceLevelObjective, events=CHANGES)
SERVICE_LEVEL_SPECIFICATION = Resource(ServiceLevelSpecification, events=CHANGES)
