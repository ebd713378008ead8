"""The resources of customer 360: TMF629 v4 and v5 customers, and the TMF717 v5 view of all that happened to one."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from customer_360 import contact_medium
from tmfkit.references import Reference
from tmfkit.resource import READ, Lifecycle, Resource
from tmfkit.types import (
    AccountRef,
    AgreementRef,
    Characteristic,
    CharacteristicV4,
    ContactMedium,
    CreditProfile,
    Entity,
    EntityRef,
    EntityValue,
    Instant,
    Money,
    PartyRef,
    PartyRoleSpecificationRef,
    PaymentMethodRef,
    ProductStatus,
    RelatedPartyOrPartyRole,
    StoredAs,
    TimePeriod,
    TmfModel,
    TypedParty,
    VersionedRef,
)

# --- TMF629: who they are ----------------------------------------------------------------------------------


class MediumCharacteristic(TmfModel):
    contactType: str | None = None
    emailAddress: str | None = None
    phoneNumber: str | None = None
    faxNumber: str | None = None
    socialNetworkId: str | None = None
    street1: str | None = None
    street2: str | None = None
    city: str | None = None
    postCode: str | None = None
    stateOrProvince: str | None = None
    country: str | None = None


class ContactMediumV4(TmfModel):
    """v4: a way to reach somebody; mediumType is free text."""

    mediumType: str
    preferred: bool | None = None
    characteristic: MediumCharacteristic
    validFor: TimePeriod | None = None


class AccountRefV4(EntityValue):
    """v4: an account is known by its name, not by its id."""

    name: str
    description: str | None = None


class CreditProfileV4(TmfModel):
    creditProfileDate: Instant
    creditRiskRating: int | None = None
    creditScore: int | None = None
    validFor: TimePeriod


class Customer(Entity):
    """A party in the role of a customer. `status` is free text: any move is legal."""

    name: str
    engagedParty: PartyRef
    description: str | None = None
    role: str | None = None
    status: str | None = None
    statusReason: str | None = None
    validFor: TimePeriod | None = None
    partyRoleSpecification: PartyRoleSpecificationRef | None = None
    characteristic: list[Characteristic] | None = None
    account: list[AccountRef] | None = None
    agreement: list[AgreementRef] | None = None
    contactMedium: list[ContactMedium] | None = None
    paymentMethod: list[PaymentMethodRef] | None = None
    creditProfile: list[CreditProfile] | None = None
    relatedParty: list[RelatedPartyOrPartyRole] | None = None


class CustomerV4(Entity):
    """The same customer as TMF629 v4 shows it."""

    name: str
    engagedParty: TypedParty
    status: str | None = None
    statusReason: str | None = None
    validFor: TimePeriod | None = None
    characteristic: list[CharacteristicV4] | None = None
    account: list[AccountRefV4] | None = None
    agreement: list[EntityRef] | None = None
    contactMedium: Annotated[
        list[ContactMediumV4] | None, StoredAs("contactMedium", down=contact_medium.down, up=contact_medium.up)
    ] = None
    paymentMethod: list[EntityRef] | None = None
    creditProfile: list[CreditProfileV4] | None = None
    relatedParty: list[TypedParty] | None = None


# --- TMF717: what happened to them -------------------------------------------------------------------------


class Slot(TmfModel):
    """A flat copy of a resource that another API owns; `href` leads to the whole of it."""

    at_type: Annotated[str, Field(alias="@type")]
    id: str | None = None
    href: str | None = None


class Customer360CustomerVO(Slot):
    name: str | None = None
    status: str | None = None
    engagedParty: PartyRef | None = None
    contactMedium: list[ContactMedium] | None = None
    relatedParty: list[RelatedPartyOrPartyRole] | None = None
    validFor: TimePeriod | None = None


class Customer360AccountVO(Slot):
    name: str | None = None
    description: str | None = None
    accountType: str | None = None
    state: str | None = None
    lastModified: Instant | None = None


class AgreementSpecificationRef(EntityRef):
    description: str | None = None


class Customer360AgreementVO(Slot):
    name: str | None = None
    agreementType: str | None = None
    status: str | None = None
    agreementPeriod: TimePeriod | None = None
    agreementSpecification: AgreementSpecificationRef | None = None


class AppointmentState(StrEnum):
    INITIALIZED = "initialized"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"


class Customer360AppointmentVO(Slot):
    category: str | None = None
    description: str | None = None
    externalId: str | None = None
    status: AppointmentState | None = None
    calendarEvent: EntityRef | None = None
    creationDate: Instant | None = None
    lastUpdate: Instant | None = None
    validFor: TimePeriod | None = None


class CustomerBillState(StrEnum):
    NEW = "new"
    ON_HOLD = "onHold"
    VALIDATED = "validated"
    SENT = "sent"
    SETTLED = "settled"
    PARTIALLY_PAID = "partiallyPaid"


class Customer360CustomerBillVO(Slot):
    billNo: str | None = None
    category: str | None = None
    state: CustomerBillState | None = None


class Customer360PartyInteractionVO(Slot):
    description: str | None = None
    reason: str | None = None
    status: str | None = None
    interactionDate: TimePeriod | None = None


class Customer360LoyaltyBalanceVO(Slot):
    quantity: Money | None = None
    loyaltyProgramMember: EntityRef | None = None
    validFor: TimePeriod | None = None


class Customer360PaymentMethodVO(Slot):
    name: str | None = None
    description: str | None = None
    status: str | None = None
    isPreferred: bool | None = None
    validFor: TimePeriod | None = None


class ProductOrderState(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    PENDING = "pending"
    HELD = "held"
    IN_PROGRESS = "inProgress"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"
    PARTIAL = "partial"
    ASSESSING_CANCELLATION = "assessingCancellation"
    PENDING_CANCELLATION = "pendingCancellation"
    DRAFT = "draft"
    IN_PROGRESS_ACCEPTED = "inProgress.accepted"


class Customer360ProductOrderVO(Slot):
    category: str | None = None
    description: str | None = None
    externalId: str | None = None
    priority: str | None = None
    state: ProductOrderState | None = None
    orderDate: Instant | None = None
    expectedCompletionDate: Instant | None = None
    completionDate: Instant | None = None


class Customer360ProductVO(Slot):
    name: str | None = None
    description: str | None = None
    status: ProductStatus | None = None
    productOffering: VersionedRef | None = None


class Customer360PromotionVO(Slot):
    name: str | None = None
    description: str | None = None
    type: str | None = None
    lifecycleStatus: str | None = None
    lastUpdate: Instant | None = None
    validFor: TimePeriod | None = None


class QuoteState(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    PENDING = "pending"
    IN_PROGRESS = "inProgress"
    CANCELLED = "cancelled"
    APPROVED = "approved"
    ACCEPTED = "accepted"
    DECLINED = "declined"


class Customer360QuoteVO(Slot):
    category: str | None = None
    description: str | None = None
    version: str | None = None
    state: QuoteState | None = None
    expectedQuoteCompletionDate: Instant | None = None
    effectiveQuoteCompletionDate: Instant | None = None
    expectedFulfillmentStartDate: Instant | None = None
    validFor: TimePeriod | None = None


class Customer360RecommendationVO(Slot):
    name: str | None = None
    description: str | None = None
    recommendationType: str | None = None
    category: VersionedRef | None = None
    location: EntityRef | None = None
    validFor: TimePeriod | None = None


class Customer360ServiceProblemVO(Slot):
    category: str | None = None
    description: str | None = None
    originatingSystem: str | None = None
    priority: int | None = None
    status: str | None = None
    affectedService: list[EntityRef] | None = None


class TroubleTicketStatus(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    PENDING = "pending"
    HELD = "held"
    IN_PROGRESS = "inProgress"
    CANCELLED = "cancelled"
    CLOSED = "closed"
    RESOLVED = "resolved"


class Customer360TroubleTicketVO(Slot):
    name: str | None = None
    description: str | None = None
    ticketType: str | None = None
    externalId: str | None = None
    priority: str | None = None
    severity: str | None = None
    status: TroubleTicketStatus | None = None
    statusChangeDate: Instant | None = None
    statusChangeReason: str | None = None
    creationDate: Instant | None = None
    lastUpdate: Instant | None = None
    requestedResolutionDate: Instant | None = None
    expectedResolutionDate: Instant | None = None


class Customer360(Entity):
    """One customer, seen whole: a flat copy of everything that other APIs know. Read only."""

    customer: Customer360CustomerVO | None = None
    account: list[Customer360AccountVO] | None = None
    agreement: list[Customer360AgreementVO] | None = None
    appointment: list[Customer360AppointmentVO] | None = None
    customerBill: list[Customer360CustomerBillVO] | None = None
    partyInteraction: list[Customer360PartyInteractionVO] | None = None
    loyaltyBalance: list[Customer360LoyaltyBalanceVO] | None = None
    paymentMethod: list[Customer360PaymentMethodVO] | None = None
    productOrder: list[Customer360ProductOrderVO] | None = None
    product: list[Customer360ProductVO] | None = None
    promotion: list[Customer360PromotionVO] | None = None
    quote: list[Customer360QuoteVO] | None = None
    recommendation: list[Customer360RecommendationVO] | None = None
    serviceProblem: list[Customer360ServiceProblemVO] | None = None
    troubleTicket: list[Customer360TroubleTicketVO] | None = None
    validFor: TimePeriod | None = None


# --- Our own slots, for which TMF717 has no place ----------------------------------------------------------


class Customer360ExperienceScoreVO(Slot):
    """How a service feels to the customer or to a thing of theirs: score 0..100, absent where there was not enough
    data; low and high bound its interval."""

    subject: EntityRef | None = None
    service: EntityRef | None = None
    indexSpecification: VersionedRef | None = None
    score: Annotated[float | None, Field(ge=0, le=100)] = None
    low: Annotated[float | None, Field(ge=0, le=100)] = None
    high: Annotated[float | None, Field(ge=0, le=100)] = None
    band: str | None = None
    coverage: Annotated[float | None, Field(ge=0, le=1)] = None
    n: Annotated[int | None, Field(ge=0)] = None
    previousScore: Annotated[float | None, Field(ge=0, le=100)] = None
    cause: list[EntityRef] | None = None
    computedAt: Instant | None = None


class Customer360ChurnReasonVO(TmfModel):
    """What drives the risk; contribution is in log-odds, positive raises the risk."""

    driver: str
    group: str | None = None
    contribution: float | None = None
    text: str | None = None


class Customer360ChurnRiskVO(Slot):
    """How likely the customer leaves within horizonDays; low and high bound the interval of the probability."""

    churnProbability: Annotated[float | None, Field(ge=0, le=1)] = None
    low: Annotated[float | None, Field(ge=0, le=1)] = None
    high: Annotated[float | None, Field(ge=0, le=1)] = None
    horizonDays: Annotated[int | None, Field(gt=0)] = None
    reasons: list[Customer360ChurnReasonVO] | None = None
    assessedAt: Instant | None = None


class Customer360TimelineVO(Slot):
    """One thing that happened: when, what event of which resource, in a line for people; `entity` leads to it."""

    eventTime: Instant
    eventType: str
    title: str | None = None
    entity: EntityRef | None = None


class Customer360SlotStateVO(TmfModel):
    """How far a slot can be relied on: who said it, as of when, until when it counts as fresh.

    stale: its source did not answer when it was asked last.
    """

    slot: str
    source: str
    asOf: Instant | None = None
    freshUntil: Instant | None = None
    stale: bool | None = None


class CustomerExperience360(Customer360):
    """Declared extension, told by @type: how it feels, how likely they leave, what happened in order, and how far each
    slot can be relied on."""

    slotState: list[Customer360SlotStateVO] | None = None
    experienceScore: list[Customer360ExperienceScoreVO] | None = None
    churnRisk: Customer360ChurnRiskVO | None = None
    timeline: list[Customer360TimelineVO] | None = None


PARTIES = {
    "Individual": "tmf-api/party/v5/individual",
    "Organization": "tmf-api/party/v5/organization",
}
"""Type of a party -> where TMF632 keeps it."""


def parties_at(attribute: str) -> tuple[Reference, ...]:
    """References of an attribute to parties, which are refused if the party API does not know them."""
    return (Reference(attribute, "party", PARTIES),)


# --- Declarations ------------------------------------------------------------------------------------------

CUSTOMER = Resource(
    Customer,
    v4=CustomerV4,
    lifecycle=Lifecycle("status"),
    index=("name",),
    refers=parties_at("engagedParty"),
    events=frozenset({"Create", "AttributeValueChange", "Delete", "StateChange"}),
)
CUSTOMER_360 = Resource(
    Customer360,
    operations=READ,
    extensions=(CustomerExperience360,),
    events=frozenset({"Create", "AttributeValueChange", "Delete"}),
)
