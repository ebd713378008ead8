"""TMF621 v4 and v5: trouble tickets and, in v5, what kinds of them there are."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from experience_management import ticket
from experience_management.resources.related import (
    ChannelRef,
    CharacteristicSpecification,
    TypedEntity,
    TypedParty,
    refers_at,
)
from tmfkit.resource import Lifecycle, Resource
from tmfkit.types import (
    Attachment,
    AttachmentRefOrValue,
    Characteristic,
    Entity,
    EntityRef,
    ExternalIdentifier,
    Instant,
    Note,
    ReadOnly,
    RelatedEntity,
    RelatedPartyRefOrPartyRoleRef,
    StoredAs,
    TimePeriod,
    TmfModel,
    VersionedRef,
)


class TroubleTicketStatus(StrEnum):
    """Where the work on a ticket stands."""

    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    PENDING = "pending"
    HELD = "held"
    IN_PROGRESS = "inProgress"
    CANCELLED = "cancelled"
    CLOSED = "closed"
    RESOLVED = "resolved"


class StatusChange(TmfModel):
    """One change of status: to what, when, why."""

    status: TroubleTicketStatus | None = None
    statusChangeDate: Instant | None = None
    statusChangeReason: str | None = None


class StatusChangeV4(TmfModel):
    """v4: the same under shorter names."""

    status: str | None = None
    changeDate: Annotated[Instant | None, StoredAs("statusChangeDate")] = None
    changeReason: Annotated[str | None, StoredAs("statusChangeReason")] = None


class TroubleTicketSpecificationRef(VersionedRef):
    """Of what kind a ticket is."""


class TroubleTicketRelationship(EntityRef):
    """Another ticket, and what it is to this one."""

    relationshipType: str


class TroubleTicketRelationshipV4(TmfModel):
    """v4: nothing of it is mandatory."""

    id: str | None = None
    href: str | None = None
    name: str | None = None
    relationshipType: str | None = None


class TroubleTicket(Entity):
    """Something that troubles a customer or a system, until it is resolved or given up."""

    description: str
    severity: str
    ticketType: str
    name: str | None = None
    priority: str | None = None
    status: TroubleTicketStatus | None = None
    statusChangeDate: Annotated[Instant | None, ReadOnly()] = None
    statusChangeReason: str | None = None
    statusChangeHistory: Annotated[list[StatusChange] | None, ReadOnly()] = None
    creationDate: Annotated[Instant | None, ReadOnly()] = None
    lastUpdate: Annotated[Instant | None, ReadOnly()] = None
    requestedResolutionDate: Instant | None = None
    expectedResolutionDate: Instant | None = None
    resolutionDate: Instant | None = None
    attachment: list[AttachmentRefOrValue] | None = None
    channel: ChannelRef | None = None
    externalIdentifier: list[ExternalIdentifier] | None = None
    note: list[Note] | None = None
    relatedEntity: list[RelatedEntity] | None = None
    relatedParty: list[RelatedPartyRefOrPartyRoleRef] | None = None
    troubleTicketCharacteristic: list[Characteristic] | None = None
    troubleTicketRelationship: list[TroubleTicketRelationship] | None = None
    troubleTicketSpecification: TroubleTicketSpecificationRef | None = None


class TroubleTicketV4(Entity):
    """The same ticket as TMF621 v4 shows it. Its `externalId` is the first of the stored identifiers (ticket.py)."""

    description: str
    severity: str
    ticketType: str
    name: str | None = None
    priority: str | None = None
    externalId: str | None = None
    status: TroubleTicketStatus | None = None
    statusChangeDate: Annotated[Instant | None, ReadOnly()] = None
    statusChangeReason: str | None = None
    statusChange: Annotated[list[StatusChangeV4] | None, StoredAs("statusChangeHistory"), ReadOnly()] = None
    creationDate: Annotated[Instant | None, ReadOnly()] = None
    lastUpdate: Annotated[Instant | None, ReadOnly()] = None
    requestedResolutionDate: Instant | None = None
    expectedResolutionDate: Instant | None = None
    resolutionDate: Instant | None = None
    attachment: list[Attachment] | None = None
    channel: ChannelRef | None = None
    note: list[Note] | None = None
    relatedEntity: list[TypedEntity] | None = None
    relatedParty: list[TypedParty] | None = None
    troubleTicketRelationship: list[TroubleTicketRelationshipV4] | None = None


class TroubleTicketSpecification(Entity):
    """A kind of ticket: which characteristics its tickets have.

    `lifecycleStatus` is any text: the file gives examples, and TM Forum's own samples spell them in several ways.
    """

    name: str
    version: str | None = None
    description: str | None = None
    lifecycleStatus: str | None = None
    creationDate: Annotated[Instant | None, ReadOnly()] = None
    lastUpdate: Annotated[Instant | None, ReadOnly()] = None
    relatedParty: list[RelatedPartyRefOrPartyRoleRef] | None = None
    specCharacteristic: list[CharacteristicSpecification] | None = None
    validFor: TimePeriod | None = None


TROUBLE_TICKET = Resource(
    TroubleTicket,
    v4=TroubleTicketV4,
    lifecycle=Lifecycle("status", ticket.ACKNOWLEDGED, ticket.MOVES, event="StatusChange"),
    index=("creationDate",),
    prepare=ticket.kept,
    created="creationDate",
    updated="lastUpdate",
    events=frozenset({"Create", "AttributeValueChange", "Delete", "StatusChange", *ticket.ANNOUNCED.values()}),
    refers=refers_at("relatedEntity.entity"),
)
TROUBLE_TICKET_SPECIFICATION = Resource(
    TroubleTicketSpecification,
    lifecycle=Lifecycle("lifecycleStatus", "inDesign", event="StatusChange"),
    created="creationDate",
    updated="lastUpdate",
)
