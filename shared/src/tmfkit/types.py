"""TMF common types that several APIs use. All of base, attachment, characteristic, contact, party and place can be had
from here too. Field names are the wire names."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from tmfkit.attachment import Attachment, AttachmentByValue, AttachmentRef, AttachmentRefOrValue, AttachmentValue
from tmfkit.base import (
    CreateOnly,
    Document,
    Duration,
    Entity,
    EntityRef,
    ExternalIdentifier,
    Forms,
    Instant,
    InstantText,
    Json,
    Money,
    Quantity,
    ReadOnly,
    Related,
    StoredAs,
    TimePeriod,
    TmfModel,
    VersionedRef,
    form_of,
    forms_of,
)
from tmfkit.characteristic import (
    BooleanArrayCharacteristic,
    BooleanCharacteristic,
    Characteristic,
    CharacteristicRelationship,
    CharacteristicRelationshipV4,
    CharacteristicV4,
    FloatCharacteristic,
    IntegerArrayCharacteristic,
    IntegerCharacteristic,
    NumberArrayCharacteristic,
    NumberCharacteristic,
    ObjectArrayCharacteristic,
    ObjectCharacteristic,
    StringArrayCharacteristic,
    StringCharacteristic,
)
from tmfkit.contact import (
    ContactMedium,
    EmailContactMedium,
    FaxContactMedium,
    GeographicAddressContactMedium,
    GeographicAddressRef,
    PhoneContactMedium,
    SocialContactMedium,
)
from tmfkit.party import (
    AccountRef,
    AgreementRef,
    BusinessPartner,
    Consumer,
    CreditProfile,
    CustomerRole,
    Disability,
    Individual,
    IndividualIdentification,
    IndividualState,
    LanguageAbility,
    Organization,
    OrganizationChildRelationship,
    OrganizationIdentification,
    OrganizationParentRelationship,
    OrganizationRef,
    OrganizationState,
    OtherNameIndividual,
    OtherNameOrganization,
    PartyCreditProfile,
    PartyOrPartyRole,
    PartyRef,
    PartyRefOrPartyRoleRef,
    PartyRole,
    PartyRoleRef,
    PartyRoleSpecificationRef,
    PaymentMethodRef,
    Producer,
    RelatedPartyOrPartyRole,
    RelatedPartyRefOrPartyRoleRef,
    Skill,
    Supplier,
    TaxDefinition,
    TaxExemptionCertificate,
)
from tmfkit.place import (
    CalendarPeriod,
    GeographicAddress,
    GeographicLocation,
    GeographicLocationRef,
    GeographicLocationRefOrValue,
    GeographicSite,
    GeographicSiteRelationship,
    GeographicSubAddress,
    GeographicSubAddressUnit,
    HourPeriod,
    PlaceRef,
    PlaceRefOrValue,
    PlaceValue,
    RelatedPlace,
    RelatedPlaceRefOrValueV4,
    RelatedPlaceV4,
    StandardIdentifier,
)

__all__ = [
    "AccountRef",
    "AgreementRef",
    "Attachment",
    "AttachmentByValue",
    "AttachmentRef",
    "AttachmentRefOrValue",
    "AttachmentValue",
    "BooleanArrayCharacteristic",
    "BooleanCharacteristic",
    "BusinessPartner",
    "CalendarPeriod",
    "ChannelRef",
    "Characteristic",
    "CharacteristicRelationship",
    "CharacteristicRelationshipV4",
    "CharacteristicV4",
    "Consumer",
    "ContactMedium",
    "CreateOnly",
    "CreditProfile",
    "CustomerRole",
    "Disability",
    "Document",
    "Duration",
    "EmailContactMedium",
    "Entity",
    "EntityByValue",
    "EntityRef",
    "EntityRefOrValue",
    "EntityValue",
    "ExternalIdentifier",
    "FaxContactMedium",
    "FloatCharacteristic",
    "Forms",
    "GeographicAddress",
    "GeographicAddressContactMedium",
    "GeographicAddressRef",
    "GeographicLocation",
    "GeographicLocationRef",
    "GeographicLocationRefOrValue",
    "GeographicSite",
    "GeographicSiteRelationship",
    "GeographicSubAddress",
    "GeographicSubAddressUnit",
    "HourPeriod",
    "Individual",
    "IndividualIdentification",
    "IndividualState",
    "Instant",
    "InstantText",
    "IntegerArrayCharacteristic",
    "IntegerCharacteristic",
    "InteractionRef",
    "Json",
    "LanguageAbility",
    "Money",
    "Monitor",
    "MonitorRequest",
    "MonitorResponse",
    "Note",
    "NumberArrayCharacteristic",
    "NumberCharacteristic",
    "ObjectArrayCharacteristic",
    "ObjectCharacteristic",
    "OrderItemAction",
    "Organization",
    "OrganizationChildRelationship",
    "OrganizationIdentification",
    "OrganizationParentRelationship",
    "OrganizationRef",
    "OrganizationState",
    "OtherNameIndividual",
    "OtherNameOrganization",
    "PartyCreditProfile",
    "PartyOrPartyRole",
    "PartyRef",
    "PartyRefOrPartyRoleRef",
    "PartyRole",
    "PartyRoleRef",
    "PartyRoleSpecificationRef",
    "PaymentMethodRef",
    "PhoneContactMedium",
    "PlaceRef",
    "PlaceRefOrValue",
    "PlaceValue",
    "Price",
    "PriceAlteration",
    "Producer",
    "ProductStatus",
    "Quantity",
    "ReadOnly",
    "Related",
    "RelatedChannel",
    "RelatedChannelV4",
    "RelatedEntity",
    "RelatedEntityRefOrValue",
    "RelatedEntityRefOrValueV4",
    "RelatedEntityV4",
    "RelatedParty",
    "RelatedPartyOrPartyRole",
    "RelatedPartyRefOrPartyRoleRef",
    "RelatedPlace",
    "RelatedPlaceRefOrValueV4",
    "RelatedPlaceV4",
    "Skill",
    "SocialContactMedium",
    "StandardIdentifier",
    "StoredAs",
    "StringArrayCharacteristic",
    "StringCharacteristic",
    "Supplier",
    "TaxDefinition",
    "TaxExemptionCertificate",
    "TimePeriod",
    "TmfModel",
    "TypedParty",
    "VersionedRef",
    "form_of",
    "forms_of",
]


class MonitorRequest(TmfModel):
    """The request that a monitor follows."""

    method: str | None = None
    to: str | None = None
    body: Json = None
    header: list[dict[str, str]] | None = None


class MonitorResponse(TmfModel):
    """The answer that the request would have had."""

    statusCode: str | None = None
    body: Json = None
    header: list[dict[str, str]] | None = None


class Monitor(Entity):
    """How far a request got that was answered with 202 (TMF630 part 1; shape of TMF640 and TMF915)."""

    sourceHref: str | None = None
    state: str | None = None
    request: MonitorRequest | None = None
    response: MonitorResponse | None = None


class Note(TmfModel):
    id: str | None = None
    author: str | None = None
    date: Instant | None = None
    text: str | None = None


class RelatedParty(EntityRef):
    """v4: party in a role, flat."""

    role: str | None = None


class TypedParty(RelatedParty):
    """v4: party in a role, flat, whose type must be told, as the published files have it."""

    at_referredType: Annotated[str, Field(alias="@referredType")]


class RelatedEntityV4(EntityRef):
    """v4: entity in a role, flat."""

    role: str


class RelatedEntity(Related):
    """v5: entity in a role."""

    inner: ClassVar[str] = "entity"
    role: str
    entity: EntityRef


class RelatedChannelV4(EntityRef):
    """v4: channel in a role, flat."""

    role: str | None = None


class ChannelRef(EntityRef):
    """A channel that lives elsewhere."""


class RelatedChannel(Related):
    """v5: channel in a role."""

    inner: ClassVar[str] = "channel"
    role: str | None = None
    channel: EntityRef | None = None


class EntityValue(TmfModel):
    """Any entity, by reference or by value."""

    id: str | None = None
    href: str | None = None
    name: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class EntityByValue(TmfModel):
    """Any entity, by value. `@type` is Entity; the class of that name is the root of our resources."""

    id: str | None = None
    href: str | None = None


class InteractionRef(EntityRef):
    """Another interaction, and what it has to do with this one. `@type` is InteractionRelationship."""

    relationshipType: str


class EntityRefOrValue(EntityValue):
    """Any entity, by reference or by value."""

    forms: ClassVar[Forms] = {
        "Entity": EntityByValue,
        "EntityRef": EntityRef,
        "AccountRef": AccountRef,
        "AgreementRef": AgreementRef,
        "AttachmentRef": AttachmentRef,
        "ChannelRef": ChannelRef,
        "InteractionRelationship": InteractionRef,
        "OrganizationRef": OrganizationRef,
        "PartyRef": PartyRef,
        "PartyRoleRef": PartyRoleRef,
        "PartyRoleSpecificationRef": PartyRoleSpecificationRef,
        "PaymentMethodRef": PaymentMethodRef,
    }


class RelatedEntityRefOrValueV4(EntityValue):
    """v4: entity in a role, by reference or by value, flat."""

    role: str


class RelatedEntityRefOrValue(Related):
    """v5: entity in a role, by reference or by value."""

    inner: ClassVar[str] = "entity"
    role: str
    entity: EntityRefOrValue


class OrderItemAction(StrEnum):
    """What an order item did to the product or service it names."""

    ADD = "add"
    MODIFY = "modify"
    DELETE = "delete"
    NO_CHANGE = "noChange"


class ProductStatus(StrEnum):
    """Life cycle of a product in TMF637, 680 and 717."""

    CREATED = "created"
    PENDING_ACTIVE = "pendingActive"
    CANCELLED = "cancelled"
    ACTIVE = "active"
    PENDING_TERMINATE = "pendingTerminate"
    TERMINATED = "terminated"
    SUSPENDED = "suspended"
    ABORTED = "aborted"
    # The published files write it with a blank at the end; clients made from them send it so.
    ABORTED_AS_PUBLISHED = "aborted "


class Price(TmfModel):
    """Amounts of a price or of its alteration; the tax rate is a percentage."""

    percentage: float | None = None
    taxRate: float | None = None
    dutyFreeAmount: Money | None = None
    taxIncludedAmount: Money | None = None


class PriceAlteration(TmfModel):
    """A discount or surcharge on a price."""

    name: str | None = None
    description: str | None = None
    priceType: str
    price: Price
    priority: int | None = None
    applicationDuration: int | None = None
    recurringChargePeriod: str | None = None
    unitOfMeasure: str | None = None
    productOfferingPrice: VersionedRef | None = None
