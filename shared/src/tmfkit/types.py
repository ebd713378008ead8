"""TMF common types. Field names are the wire names; only the '@' attributes need an alias.

A field without a default is mandatory on POST. Markers inside Annotated say what the type cannot:
ReadOnly (the server sets it), CreateOnly (a client may set it on POST, never on PATCH) and
StoredAs (an attribute of an older API version that lives under another name in the stored document).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

Json = Any
Document = dict[str, Any]


@dataclass(frozen=True)
class ReadOnly:
    """Set by the server alone; dropped from a POST body, a 400 when a PATCH would change it."""


@dataclass(frozen=True)
class CreateOnly:
    """May be given on POST; a 400 when a PATCH would change it."""


@dataclass(frozen=True)
class StoredAs:
    """Where an attribute of an older version lives in the stored document, and how its value is turned.

    `down` maps a stored value (for lists: one element) to the older shape, `up` the way back; both pure.
    """

    name: str
    down: Callable[[Any], Any] | None = None
    up: Callable[[Any], Any] | None = None


def _rfc3339(value: datetime) -> str:
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat().replace("+00:00", "Z")


class InstantText:
    """Marks the instants of a model, so that the door can give an offset to those that have none (write.tidy)."""


Instant = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str, when_used="json-unless-none"), InstantText()]
"""date-time of the TMF files. RFC 3339 asks for an offset; TM Forum's own samples leave it out: then it is UTC.
Stored with an offset always, so that text compares as an instant in SQL."""


class TmfModel(BaseModel):
    """Any TMF object. Unknown attributes are kept: the standard is open for extension (TMF630 part 2)."""

    model_config = ConfigDict(extra="allow", populate_by_name=False, serialize_by_alias=True)

    at_type: Annotated[str | None, Field(alias="@type")] = None
    at_baseType: Annotated[str | None, Field(alias="@baseType")] = None
    at_schemaLocation: Annotated[str | None, Field(alias="@schemaLocation")] = None


class Entity(TmfModel):
    """A root resource. Its `id` and `href` belong to the server."""

    id: str
    href: str


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


class EntityRef(TmfModel):
    """A reference to a resource that lives elsewhere."""

    id: str
    href: str | None = None
    name: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class VersionedRef(EntityRef):
    """A reference to one version of a specification or catalogue entry."""

    version: str | None = None


class TimePeriod(TmfModel):
    """Half-open interval; either end may be absent."""

    startDateTime: Instant | None = None
    endDateTime: Instant | None = None


class Quantity(TmfModel):
    amount: float | None = None
    units: str | None = None


class Duration(TmfModel):
    amount: int | None = None
    units: str | None = None


class Money(TmfModel):
    unit: str | None = None
    value: float | None = None


class CharacteristicRelationship(TmfModel):
    id: str | None = None
    href: str | None = None
    relationshipType: str | None = None


class Characteristic(TmfModel):
    """Name and value; v5 adds a typed `@type` (StringCharacteristic, NumberCharacteristic, ...)."""

    id: str | None = None
    name: str
    valueType: str | None = None
    value: Any = None
    characteristicRelationship: list[CharacteristicRelationship] | None = None


class Note(TmfModel):
    id: str | None = None
    author: str | None = None
    date: Instant | None = None
    text: str | None = None


class ExternalIdentifier(TmfModel):
    id: str
    owner: str | None = None
    externalIdentifierType: str | None = None


class Attachment(TmfModel):
    """AttachmentRefOrValue: by reference or by value."""

    id: str | None = None
    href: str | None = None
    name: str | None = None
    description: str | None = None
    attachmentType: str | None = None
    content: str | None = None
    mimeType: str | None = None
    url: str | None = None
    size: Quantity | None = None
    validFor: TimePeriod | None = None


class Related(TmfModel):
    """v5: something in a role. `inner` names the attribute that holds the reference; v4 wrote both flat."""

    inner: ClassVar[str]
    role: str | None = None


class RelatedParty(EntityRef):
    """v4: party in a role, flat."""

    role: str | None = None


class RelatedPartyOrPartyRole(Related):
    """v5: party in a role (RelatedPartyOrPartyRole, RelatedPartyRefOrPartyRoleRef)."""

    inner: ClassVar[str] = "partyOrPartyRole"
    role: str
    partyOrPartyRole: EntityRef | None = None


class RelatedEntityV4(EntityRef):
    """v4: entity in a role, flat."""

    role: str


class RelatedEntity(Related):
    """v5: entity in a role."""

    inner: ClassVar[str] = "entity"
    role: str
    entity: EntityRef


class PlaceValue(TmfModel):
    """Place by reference or by value."""

    id: str | None = None
    href: str | None = None
    name: str | None = None


class RelatedPlaceV4(PlaceValue):
    """v4: place in a role, flat."""

    role: str | None = None


class RelatedPlace(Related):
    """v5: place in a role."""

    inner: ClassVar[str] = "place"
    role: str
    place: PlaceValue


class RelatedChannelV4(EntityRef):
    """v4: channel in a role, flat."""

    role: str | None = None


class RelatedChannel(Related):
    """v5: channel in a role."""

    inner: ClassVar[str] = "channel"
    role: str | None = None
    channel: EntityRef | None = None


class CharacteristicV4(Characteristic):
    """v4: a characteristic always carries a value."""

    value: Any


class EntityValue(TmfModel):
    """Any entity, by reference or by value."""

    id: str | None = None
    href: str | None = None
    name: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class RelatedEntityRefOrValueV4(EntityValue):
    """v4: entity in a role, by reference or by value, flat."""

    role: str


class RelatedEntityRefOrValue(Related):
    """v5: entity in a role, by reference or by value."""

    inner: ClassVar[str] = "entity"
    role: str
    entity: EntityValue


class RelatedPlaceRefOrValueV4(RelatedPlaceV4):
    """v4: place in a role, by reference or by value, flat."""

    role: str
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


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
