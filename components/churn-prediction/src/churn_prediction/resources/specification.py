"""TMF915 v4: what models and contracts about them can be, and the model card."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from churn_prediction.resources.party import TypedParty
from tmfkit.resource import Resource
from tmfkit.types import (
    Attachment,
    Document,
    Entity,
    EntityRef,
    EntityValue,
    Instant,
    TimePeriod,
    TmfModel,
    VersionedRef,
)


class TargetSchema(TmfModel):
    """The class that a specification describes, and its schema (TargetEntitySchema, TargetProductSchema)."""

    at_type: Annotated[str, Field(alias="@type")]
    at_schemaLocation: Annotated[str, Field(alias="@schemaLocation")]


class SpecificationRelationship(TmfModel):
    """How one specification relates to another (EntitySpecificationRelationship, ServiceSpecRelationship)."""

    id: str | None = None
    href: str | None = None
    name: str | None = None
    relationshipType: str
    role: str | None = None
    associationSpec: EntityRef | None = None
    validFor: TimePeriod | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class CharacteristicValueSpecification(TmfModel):
    """A value, or a range of values, that a characteristic may take."""

    value: Any = None
    valueType: str | None = None
    valueFrom: int | None = None
    valueTo: int | None = None
    rangeInterval: str | None = None
    regex: str | None = None
    unitOfMeasure: str | None = None
    isDefault: bool | None = None
    validFor: TimePeriod | None = None


class CharacteristicSpecificationAttributes(TmfModel):
    """What a characteristic of a specification and one of a feature have in common."""

    id: str | None = None
    description: str | None = None
    valueType: str | None = None
    regex: str | None = None
    configurable: bool | None = None
    extensible: bool | None = None
    isUnique: bool | None = None
    minCardinality: int | None = None
    maxCardinality: int | None = None
    validFor: TimePeriod | None = None
    at_valueSchemaLocation: Annotated[str | None, Field(alias="@valueSchemaLocation")] = None


class CharacteristicSpecificationRelationship(TmfModel):
    id: str | None = None
    href: str | None = None
    name: str | None = None
    relationshipType: str | None = None
    characteristicSpecificationId: str | None = None
    parentSpecificationId: str | None = None
    parentSpecificationHref: str | None = None
    validFor: TimePeriod | None = None


class CharacteristicSpecification(CharacteristicSpecificationAttributes):
    """A characteristic that an instance can have."""

    name: str | None = None
    charSpecRelationship: list[CharacteristicSpecificationRelationship] | None = None
    characteristicValueSpecification: list[CharacteristicValueSpecification] | None = None


class FeatureSpecificationCharacteristicRelationship(TmfModel):
    id: str | None = None
    href: str | None = None
    name: str | None = None
    relationshipType: str | None = None
    characteristicId: str | None = None
    featureId: str | None = None
    resourceSpecificationId: str | None = None
    resourceSpecificationHref: str | None = None
    validFor: TimePeriod | None = None


class FeatureSpecificationCharacteristic(CharacteristicSpecificationAttributes):
    """A characteristic that an instance of the feature can have."""

    name: str
    featureSpecCharRelationship: list[FeatureSpecificationCharacteristicRelationship] | None = None
    featureSpecCharacteristicValue: list[CharacteristicValueSpecification] | None = None


class FeatureSpecificationRelationship(TmfModel):
    id: str | None = None
    href: str | None = None
    name: str
    relationshipType: str
    featureId: str | None = None
    parentSpecificationId: str | None = None
    parentSpecificationHref: str | None = None
    validFor: TimePeriod | None = None


class FeatureSpecification(TmfModel):
    """A capability that an instance can have switched on."""

    id: str | None = None
    href: str | None = None
    name: str | None = None
    version: str | None = None
    isBundle: bool | None = None
    isEnabled: bool | None = None
    constraint: list[VersionedRef] | None = None
    featureSpecCharacteristic: list[FeatureSpecificationCharacteristic] | None = None
    featureSpecRelationship: list[FeatureSpecificationRelationship] | None = None
    validFor: TimePeriod | None = None


class SpecificationAttributes(TmfModel):
    """What the specifications of a model and of a contract have in common."""

    name: str | None = None
    version: str | None = None
    description: str | None = None
    isBundle: bool | None = None
    lifecycleStatus: str | None = None
    lastUpdate: Instant | None = None
    validFor: TimePeriod | None = None
    attachment: list[Attachment] | None = None
    constraint: list[VersionedRef] | None = None
    entitySpecRelationship: list[SpecificationRelationship] | None = None
    relatedParty: list[TypedParty] | None = None
    specCharacteristic: list[CharacteristicSpecification] | None = None
    targetEntitySchema: TargetSchema | None = None


class AiModelSpecificationAttributes(SpecificationAttributes):
    """The model's papers: each of the seven records is a free object, for instance {description, url}."""

    modelDataSheet: Document | None = None
    modelTrainingData: Document | None = None
    modelEvaluationData: Document | None = None
    modelSpecificationHistory: Document | None = None
    modelContractVersionHistory: Document | None = None
    inheritedModel: Document | None = None
    deploymentRecord: Document | None = None
    featureSpecification: list[FeatureSpecification] | None = None
    resourceSpecification: list[VersionedRef] | None = None
    serviceLevelSpecification: list[EntityRef] | None = None
    serviceSpecRelationship: list[SpecificationRelationship] | None = None


class AiModelSpecification(AiModelSpecificationAttributes, Entity):
    """What a model is, learned from and is good at: the place of the model card."""

    name: str


class AiModelSpecificationValue(AiModelSpecificationAttributes, EntityValue):
    """A model specification inside a model, by reference (id alone) or by value."""


class AiContractSpecification(SpecificationAttributes, Entity):
    """What contracts about models can promise."""

    name: str


_CHANGES = frozenset({"Create", "AttributeValueChange", "Delete"})

AI_MODEL_SPECIFICATION = Resource(AiModelSpecification, updated="lastUpdate", events=_CHANGES)
AI_CONTRACT_SPECIFICATION = Resource(AiContractSpecification, updated="lastUpdate", events=_CHANGES)
