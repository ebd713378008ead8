"""TMF915 v4: the model in operation, what is promised about it, and what was not kept."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from churn_prediction.resources.party import TypedParty
from churn_prediction.resources.specification import AiModelSpecificationValue
from tmfkit.resource import READ, TASK, Lifecycle, Resource
from tmfkit.types import (
    AttachmentRef,
    CharacteristicV4,
    CreateOnly,
    Entity,
    EntityRef,
    EntityValue,
    Instant,
    Note,
    OrderItemAction,
    RelatedEntityRefOrValueV4,
    RelatedPlaceRefOrValueV4,
    TimePeriod,
    TmfModel,
    VersionedRef,
)


class ServiceState(StrEnum):
    FEASIBILITY_CHECKED = "feasibilityChecked"
    DESIGNED = "designed"
    RESERVED = "reserved"
    INACTIVE = "inactive"
    ACTIVE = "active"
    TERMINATED = "terminated"


class FeatureRelationship(TmfModel):
    id: str | None = None
    name: str
    relationshipType: str
    validFor: TimePeriod | None = None


class Feature(TmfModel):
    """A capability of an instance, switched on or off."""

    id: str | None = None
    name: str
    isBundle: bool | None = None
    isEnabled: bool | None = None
    constraint: list[VersionedRef] | None = None
    featureCharacteristic: list[CharacteristicV4]
    featureRelationship: list[FeatureRelationship] | None = None


class RelatedServiceOrderItem(TmfModel):
    """The order item that made, changed or ended a service."""

    id: str | None = None
    href: str | None = None
    serviceOrderId: str | None = None
    serviceOrderHref: str | None = None
    itemId: str | None = None
    itemAction: OrderItemAction | None = None
    role: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class ServiceRelationship(TmfModel):
    id: str | None = None
    href: str | None = None
    relationshipType: str
    service: ServiceValue | None = None
    serviceRelationshipCharacteristic: list[CharacteristicV4] | None = None


class ServiceNote(Note):
    """A note with an address of its own."""

    href: str | None = None


class ServiceAttributes(TmfModel):
    """What a model in operation has in common with any other service."""

    name: str | None = None
    description: str | None = None
    category: str | None = None
    serviceType: str | None = None
    serviceDate: Annotated[str | None, CreateOnly()] = None
    startDate: Instant | None = None
    endDate: Instant | None = None
    startMode: str | None = None
    hasStarted: bool | None = None
    isBundle: bool | None = None
    isServiceEnabled: bool | None = None
    isStateful: bool | None = None
    state: ServiceState | None = None
    feature: list[Feature] | None = None
    note: list[ServiceNote] | None = None
    place: list[RelatedPlaceRefOrValueV4] | None = None
    relatedEntity: list[RelatedEntityRefOrValueV4] | None = None
    relatedParty: list[TypedParty] | None = None
    serviceCharacteristic: list[CharacteristicV4] | None = None
    serviceOrderItem: list[RelatedServiceOrderItem] | None = None
    serviceRelationship: list[ServiceRelationship] | None = None
    serviceSpecification: VersionedRef | None = None
    supportingResource: list[EntityRef] | None = None
    supportingService: list[ServiceValue] | None = None


class ServiceValue(ServiceAttributes, EntityValue):
    """A service by reference (id alone) or by value (ServiceRefOrValue)."""


ServiceRelationship.model_rebuild()


class SoftwareRef(EntityRef):
    softwareVersion: str | None = None


class AiModel(ServiceAttributes, Entity):
    """A trained model in operation; the standard describes it as a service.

    Legal moves of `state`, chosen here because the standard publishes the states without them: forward along
    feasibilityChecked, designed, reserved, inactive, active, where steps may be left out; inactive and active both
    ways; terminated from any and for good.
    """

    state: ServiceState
    aiModelSpecification: AiModelSpecificationValue
    software: list[SoftwareRef]
    trainingData: EntityRef | None = None
    gpu: EntityRef | None = None


class Rule(Entity):
    """A rule that a contract rests on. What it says is left to its class, told by @type (Rule where nothing is said):
    every attribute is kept, and where it has a state, a change of it is told."""

    name: str


class RuleValue(EntityValue):
    """A rule inside a contract, by value or by its id."""


class HeaderItem(TmfModel):
    name: str
    value: str


class Request(TmfModel):
    """The request that a monitor follows."""

    method: str | None = None
    to: str | None = None
    body: str
    header: list[HeaderItem]


class Response(TmfModel):
    """The answer that the request came to."""

    statusCode: str | None = None
    body: str
    header: list[HeaderItem]


class MonitorState(StrEnum):
    """Words of the published examples."""

    IN_PROGRESS = "inProgress"
    IN_ERROR = "inError"
    COMPLETED = "completed"


class Monitor(Entity):
    """How far something is that takes its time: a new model, until everybody has been assessed by it.

    state is text in the standard; the server alone sets it, to a MonitorState.
    """

    sourceHref: str | None = None
    state: str | None = None
    request: Request | None = None
    response: Response | None = None


class TemplateRef(EntityRef):
    description: str | None = None


class AiContract(Entity):
    """What is promised about a model, between the parties. `state` is free text: any move is legal."""

    name: str | None = None
    description: str | None = None
    version: str | None = None
    state: str
    approved: bool | None = None
    approvalDate: Instant | None = None
    validFor: TimePeriod | None = None
    aiContractSpecification: EntityRef
    aiModel: EntityRef
    relatedParty: list[TypedParty]
    characteristic: list[CharacteristicV4] | None = None
    rule: list[RuleValue] | None = None
    template: TemplateRef | None = None


class Violation(TmfModel):
    """Promised against observed; the standard writes its numbers as text."""

    id: str | None = None
    href: str | None = None
    actualValue: str
    operator: str
    referenceValue: str
    consequence: str
    comment: str | None = None
    tolerance: str | None = None
    unit: str | None = None
    violationAverage: str | None = None
    attachment: AttachmentRef | None = None
    rule: EntityRef | None = None


class AiContractViolation(Entity):
    """A model did not keep its contract: drift, lost accuracy, unfairness."""

    date: Instant | None = None
    aiContract: EntityRef
    violation: Violation
    relatedParty: list[TypedParty] | None = None


_CHANGES = frozenset({"Create", "AttributeValueChange", "Delete"})

AI_MODEL = Resource(
    AiModel,
    lifecycle=Lifecycle(
        "state",
        moves={
            "feasibilityChecked": ("designed", "reserved", "inactive", "active", "terminated"),
            "designed": ("reserved", "inactive", "active", "terminated"),
            "reserved": ("inactive", "active", "terminated"),
            "inactive": ("active", "terminated"),
            "active": ("inactive", "terminated"),
        },
    ),
    events=_CHANGES | {"StateChange"},
)
AI_CONTRACT = Resource(AiContract, lifecycle=Lifecycle("state"), events=_CHANGES | {"StateChange"})
AI_CONTRACT_VIOLATION = Resource(AiContractViolation, operations=TASK, index=("date",), events=_CHANGES)
RULE = Resource(Rule, lifecycle=Lifecycle("state"), events=_CHANGES | {"StateChange"})
MONITOR = Resource(
    Monitor,
    lifecycle=Lifecycle("state", MonitorState.IN_PROGRESS.value, {"inProgress": ("completed", "inError")}),
    operations=READ,
    index=("state",),
    events=_CHANGES | {"StateChange"},
)
