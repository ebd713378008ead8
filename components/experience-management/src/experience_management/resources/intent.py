"""TMF921 v5: intents, what kinds of them there are, and reports on them. Expressions are kept as they come."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field

from experience_management import intent
from experience_management.resources.related import CharacteristicSpecification
from tmfkit.resource import Lifecycle, Resource
from tmfkit.types import (
    AttachmentByValue,
    AttachmentRefOrValue,
    Characteristic,
    CreateOnly,
    Entity,
    EntityRef,
    Forms,
    Instant,
    PartyRef,
    PartyRoleRef,
    ReadOnly,
    Related,
    TimePeriod,
    TmfModel,
)


class NamedRef(EntityRef):
    """This file demands the name of whatever is referred to."""

    name: str


class NamedPartyRef(PartyRef):
    """A party by reference, with its name."""

    name: str


class NamedPartyRoleRef(PartyRoleRef):
    """A role by reference, with its name."""

    name: str


class PartyRefOrPartyRoleRef(NamedRef):
    """A party or a party in a role, by reference."""

    forms: ClassVar[Forms] = {"PartyRef": NamedPartyRef, "PartyRoleRef": NamedPartyRoleRef}


class RelatedPartyRefOrPartyRoleRef(Related):
    """A party in a role, by reference."""

    inner: ClassVar[str] = "partyOrPartyRole"
    role: str
    partyOrPartyRole: PartyRefOrPartyRoleRef | None = None


class NamedAttachmentRef(NamedRef):
    """A file that lives elsewhere."""

    description: str | None = None
    url: str | None = None


class AttachmentOfIntent(AttachmentRefOrValue):
    """A file, by reference or by value, told by `@type`."""

    forms: ClassVar[Forms] = {"Attachment": AttachmentByValue, "AttachmentRef": NamedAttachmentRef}


class JsonLdContainer(StrEnum):
    """How JSON-LD keeps several values."""

    LANGUAGE = "@language"
    LIST = "@list"
    INDEX = "@index"
    SET = "@set"


class JsonLdCommon(TmfModel):
    """The keywords of JSON-LD that a node may have."""

    at_base: Annotated[str | None, Field(alias="@base")] = None
    at_container: Annotated[JsonLdContainer | None, Field(alias="@container")] = None
    at_id: Annotated[str | None, Field(alias="@id")] = None
    at_language: Annotated[str | None, Field(alias="@language")] = None
    at_list: Annotated[Any, Field(alias="@list")] = None
    at_reverse: Annotated[str | None, Field(alias="@reverse")] = None
    at_set: Annotated[Any, Field(alias="@set")] = None
    at_value: Annotated[Any, Field(alias="@value")] = None
    at_vocab: Annotated[str | None, Field(alias="@vocab")] = None


class JsonLdExpressionValue(JsonLdCommon):
    """A document of JSON-LD: a context, and a graph of nodes."""

    at_context: Annotated[Any, Field(alias="@context")] = None
    at_graph: Annotated[list[JsonLdExpressionValue] | None, Field(alias="@graph")] = None


class JsonLdExpression(TmfModel):
    """An intent in JSON-LD."""

    iri: str
    expressionValue: JsonLdExpressionValue


class TurtleExpression(TmfModel):
    """An intent in Turtle."""

    iri: str
    expressionValue: str


class IntentExpression(TmfModel):
    """What is wanted, in an intent model that the IRI names; `@type` says in which language."""

    iri: str

    forms: ClassVar[Forms] = {"JsonLdExpression": JsonLdExpression, "TurtleExpression": TurtleExpression}


class EntityRelationship(TmfModel):
    """Another intent, and what it is to this one."""

    id: str
    relationshipType: str
    at_referredType: Annotated[str, Field(alias="@referredType")]
    href: str | None = None
    name: str | None = None
    role: str | None = None
    associationSpec: NamedRef | None = None
    validFor: TimePeriod | None = None


class IntentOf(TmfModel):
    """What an intent has, by value or as a resource."""

    name: str
    expression: IntentExpression
    description: str | None = None
    context: str | None = None
    priority: str | None = None
    isBundle: bool | None = None
    version: Annotated[str | None, CreateOnly()] = None
    lifecycleStatus: str | None = None
    statusChangeDate: Annotated[Instant | None, ReadOnly()] = None
    creationDate: Annotated[Instant | None, ReadOnly()] = None
    lastUpdate: Annotated[Instant | None, ReadOnly()] = None
    validFor: TimePeriod | None = None
    attachment: list[AttachmentOfIntent] | None = None
    characteristic: list[Characteristic] | None = None
    intentRelationship: list[EntityRelationship] | None = None
    intentSpecification: NamedRef | None = None
    relatedParty: list[RelatedPartyRefOrPartyRoleRef] | None = None


class Intent(Entity, IntentOf):
    """What is expected of a system, without saying how it is done. `lifecycleStatus` is any text by the standard."""


class ProbeIntent(Intent):
    """An intent that only asks whether it could be met."""


class IntentValue(IntentOf):
    """An intent by value, as a report may hold it."""

    id: str | None = None
    href: str | None = None


class ProbeIntentValue(IntentValue):
    """An intent that only asks, by value."""


class IntentRef(EntityRef):
    """An intent by reference."""


class IntentRefOrValue(EntityRef):
    """The intent that a report is about."""

    forms: ClassVar[Forms] = {"Intent": IntentValue, "IntentRef": IntentRef, "ProbeIntent": ProbeIntentValue}


class IntentReport(Entity):
    """What became of an intent. Made by the server alone; `reason` is our own."""

    name: str | None = None
    description: str | None = None
    reason: str | None = None
    creationDate: Instant | None = None
    expression: IntentExpression | None = None
    intent: IntentRefOrValue | None = None
    validFor: TimePeriod | None = None


class AssociationSpecificationRef(NamedRef):
    """What an association consists of, told elsewhere."""


class ConstraintRef(NamedRef):
    """One version of a rule, told elsewhere."""

    version: str | None = None


class EntitySpecificationRelationship(TmfModel):
    """A specification of something else, and what it is to this one."""

    associationSpec: AssociationSpecificationRef
    relationshipType: str
    role: str
    validFor: TimePeriod
    name: str | None = None
    href: str | None = None


class IntentSpecificationRelationship(NamedRef):
    """Another specification of intents, and what it is to this one."""

    relationshipType: str | None = None
    role: str | None = None
    validFor: TimePeriod | None = None


class ExpressionSpecification(TmfModel):
    """In which language and model the expressions are."""

    expressionLanguage: str | None = None
    iri: str | None = None


class TargetEntitySchema(TmfModel):
    """Where the schema of the intents is."""

    at_schemaLocation: Annotated[str, Field(alias="@schemaLocation")]


class IntentSpecification(Entity):
    """A kind of intent."""

    name: str
    version: str | None = None
    description: str | None = None
    isBundle: bool | None = None
    lifecycleStatus: str | None = None
    lastUpdate: Annotated[Instant | None, ReadOnly()] = None
    validFor: TimePeriod | None = None
    attachment: list[AttachmentOfIntent] | None = None
    constraint: list[ConstraintRef] | None = None
    entitySpecRelationship: list[EntitySpecificationRelationship] | None = None
    expressionSpecification: ExpressionSpecification | None = None
    intentSpecRelationship: list[IntentSpecificationRelationship] | None = None
    relatedParty: list[RelatedPartyRefOrPartyRoleRef] | None = None
    specCharacteristic: list[CharacteristicSpecification] | None = None
    targetEntitySchema: TargetEntitySchema | None = None


INTENT = Resource(
    Intent,
    lifecycle=Lifecycle("lifecycleStatus", intent.CREATED, event="StatusChange"),
    prepare=intent.received,
    created="creationDate",
    updated="lastUpdate",
    extensions=(ProbeIntent,),
)
INTENT_REPORT = Resource(IntentReport, operations=frozenset({"list", "retrieve", "delete"}))
INTENT_SPECIFICATION = Resource(
    IntentSpecification,
    lifecycle=Lifecycle("lifecycleStatus", event="StatusChange"),
    updated="lastUpdate",
)
