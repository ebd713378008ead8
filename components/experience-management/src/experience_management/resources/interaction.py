"""TMF683 v4 and v5: what was said between a party and us."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar

from experience_management.resources.related import ChannelRef, TypedParty, refers_at
from tmfkit.resource import Lifecycle, Resource
from tmfkit.types import (
    AccountRef,
    AgreementRef,
    Attachment,
    AttachmentRef,
    AttachmentRefOrValue,
    CreateOnly,
    Document,
    Entity,
    EntityByValue,
    EntityRef,
    EntityValue,
    ExternalIdentifier,
    Forms,
    Instant,
    Note,
    OrganizationRef,
    PartyRef,
    PartyRoleRef,
    PartyRoleSpecificationRef,
    PaymentMethodRef,
    ReadOnly,
    Related,
    RelatedChannelV4,
    RelatedEntityRefOrValueV4,
    RelatedPartyOrPartyRole,
    RelatedPartyRefOrPartyRoleRef,
    StoredAs,
    TimePeriod,
    TmfModel,
)
from tmfkit.write import rfc3339


class RelatedChannel(Related):
    """v5: a channel in a role."""

    inner: ClassVar[str] = "channel"
    role: str
    channel: ChannelRef


class InteractionRelationship(EntityRef):
    """Another interaction, and what it is to this one."""

    relationshipType: str


class EntityRefOrValue(EntityValue):
    """Any entity, by reference or by value; `@type` says which."""

    forms: ClassVar[Forms] = {
        "AccountRef": AccountRef,
        "AgreementRef": AgreementRef,
        "AttachmentRef": AttachmentRef,
        "ChannelRef": ChannelRef,
        "Entity": EntityByValue,
        "EntityRef": EntityRef,
        "InteractionRelationship": InteractionRelationship,
        "OrganizationRef": OrganizationRef,
        "PartyRef": PartyRef,
        "PartyRoleRef": PartyRoleRef,
        "PartyRoleSpecificationRef": PartyRoleSpecificationRef,
        "PaymentMethodRef": PaymentMethodRef,
    }


class RelatedEntityRefOrValue(Related):
    """v5: any entity in a role, by reference or by value."""

    inner: ClassVar[str] = "entity"
    role: str
    entity: EntityRefOrValue


class InteractionItemRelationship(TmfModel):
    """Another item, and what it is to this one."""

    id: str
    relationshipType: str


class InteractionItem(TmfModel):
    """One subject of an interaction; `item` points at or holds anything: an order, a ticket, an answer."""

    id: str | None = None
    interactionItemType: str | None = None
    reason: str | None = None
    resolution: str | None = None
    itemDate: TimePeriod | None = None
    creationDate: Instant | None = None
    lastUpdate: Instant | None = None
    item: RelatedEntityRefOrValue | None = None
    relatedChannel: list[RelatedChannel] | None = None
    relatedParty: list[RelatedPartyRefOrPartyRoleRef] | None = None
    attachment: list[AttachmentRefOrValue] | None = None
    note: list[Note] | None = None
    interactionItemRelationship: list[InteractionItemRelationship] | None = None


class AddressedChannel(RelatedChannelV4):
    """v4: a channel whose address must be told."""

    href: str


class AddressedParty(TypedParty):
    """v4: a party whose address must be told."""

    href: str


class InteractionItemV4(TmfModel):
    """v4: channel instead of relatedChannel, roles flat."""

    id: str | None = None
    reason: str | None = None
    resolution: str | None = None
    itemDate: TimePeriod | None = None
    creationDate: Instant | None = None
    item: RelatedEntityRefOrValueV4 | None = None
    channel: Annotated[list[AddressedChannel] | None, StoredAs("relatedChannel")] = None
    relatedParty: list[AddressedParty] | None = None
    attachment: list[Attachment] | None = None
    note: list[Note] | None = None


class InteractionRelationshipV4(TmfModel):
    """v4: nothing of it is mandatory."""

    id: str | None = None
    href: str | None = None
    relationshipType: str | None = None


class PartyInteraction(Entity):
    """A conversation or visit on some channel: who, when, why and how it ended."""

    reason: str
    direction: Annotated[str, CreateOnly()]
    relatedChannel: list[RelatedChannel]
    description: str | None = None
    interactionDate: TimePeriod | None = None
    status: str | None = None
    statusChangeDate: Annotated[Instant | None, ReadOnly()] = None
    creationDate: Annotated[Instant | None, ReadOnly()] = None
    lastUpdate: Annotated[Instant | None, ReadOnly()] = None
    relatedParty: list[RelatedPartyOrPartyRole] | None = None
    interactionItem: list[InteractionItem] | None = None
    interactionRelationship: list[InteractionRelationship] | None = None
    externalIdentifier: list[ExternalIdentifier] | None = None
    attachment: list[AttachmentRefOrValue] | None = None
    note: list[Note] | None = None


class PartyInteractionV4(Entity):
    """The same interaction as TMF683 v4 shows it; v4 asks for more on creation."""

    reason: str
    direction: Annotated[str, CreateOnly()]
    status: str
    interactionDate: TimePeriod
    channel: Annotated[list[AddressedChannel], StoredAs("relatedChannel")]
    description: str | None = None
    statusChangeDate: Annotated[Instant | None, ReadOnly()] = None
    creationDate: Annotated[Instant | None, ReadOnly()] = None
    relatedParty: list[AddressedParty] | None = None
    interactionItem: list[InteractionItemV4] | None = None
    interactionRelationship: list[InteractionRelationshipV4] | None = None
    attachment: list[Attachment] | None = None
    note: list[Note] | None = None


def dated(old: Document | None, new: Document) -> Document:
    """The interaction with the instant at which its status became what it is."""
    if new.get("status") is None or (old is not None and old.get("status") == new["status"]):
        return new
    return {**new, "statusChangeDate": new["creationDate"] if old is None else rfc3339(datetime.now(UTC))}


PARTY_INTERACTION = Resource(
    PartyInteraction,
    v4=PartyInteractionV4,
    lifecycle=Lifecycle("status", event="StatusChange"),
    index=("creationDate", "interactionDate.startDateTime"),
    prepare=dated,
    created="creationDate",
    updated="lastUpdate",
    events=frozenset({"Create", "AttributeValueChange", "Delete", "StatusChange"}),
    refers=refers_at("interactionItem.item.entity"),
)
