"""TMF644 v4: what parties allow to be done with what is known of them, and the agreements behind it."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from customer_360.resources import parties_at
from tmfkit.resource import Lifecycle, Resource
from tmfkit.types import (
    AgreementRef,
    CharacteristicV4,
    Document,
    Entity,
    EntityRef,
    Instant,
    ReadOnly,
    TimePeriod,
    TmfModel,
    TypedParty,
)
from tmfkit.write import rfc3339


class Period(TimePeriod):
    """A period; this file lets one have an identity."""

    id: str | None = None
    href: str | None = None


class AgreementSpecificationRef(EntityRef):
    description: str | None = None


class PartyPrivacyProfileCharacteristic(CharacteristicV4):
    """What a party allows (value) to be done, for one purpose, by the parties named or by all."""

    privacyUsagePurpose: str | None = None
    relatedParty: list[TypedParty] | None = None


class ProfileStatus(StrEnum):
    CREATED = "created"
    TERMINATED = "terminated"


class SpecificationStatus(StrEnum):
    IN_DESIGN = "inDesign"
    ACTIVE = "active"
    REJECTED = "rejected"
    RETIRED = "retired"


class AgreementStatus(StrEnum):
    INITIALIZED = "initialized"
    IN_PROGRESS = "inProgress"
    VALIDATED = "validated"
    APPROVED = "approved"
    REJECTED = "rejected"


class PartyPrivacyProfile(Entity):
    """What one party allowed. Without applicableForParty it holds for the party who agreed.

    Legal moves of `status`: created to terminated, which is the end. The validity of a terminated profile is over.
    """

    name: str | None = None
    description: str | None = None
    status: ProfileStatus | None = None
    creationDate: Annotated[Instant | None, ReadOnly()] = None
    agreedByParty: TypedParty
    applicableForParty: TypedParty | None = None
    agreement: EntityRef | None = None
    partyPrivacyProfileCharacteristic: list[PartyPrivacyProfileCharacteristic]
    partyPrivacyProfileSpecification: EntityRef
    validFor: Period | None = None


class RoleSpecification(TmfModel):
    """A role in the organization."""

    id: str | None = None
    href: str | None = None
    name: str
    description: str | None = None


class PartyPrivacyRoleSpecification(RoleSpecification):
    """A role to which a specification applies."""

    agreementSpecification: list[AgreementSpecificationRef] | None = None


class SpecificationCharacteristicValue(TmfModel):
    """A value, or a range of values, that a party may choose."""

    id: str | None = None
    href: str | None = None
    value: Any = None
    valueType: str | None = None
    valueFrom: int | None = None
    valueTo: int | None = None
    rangeInterval: str | None = None
    regex: str | None = None
    unitOfMeasure: str | None = None
    isDefault: bool | None = None
    validFor: Period | None = None


class PartyPrivacyProfileSpecificationCharacteristic(TmfModel):
    """What a party is asked about: a piece of personal information, a purpose, who may see it, how critical it is."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    criticalityLevel: str | None = None
    privacyType: str | None = None
    privacyUsagePurpose: str | None = None
    allowedRole: list[RoleSpecification] | None = None
    partyPrivacyProfileSpecCharacteristicValue: list[SpecificationCharacteristicValue] | None = None
    validFor: Period | None = None


class PartyPrivacyProfileSpecification(Entity):
    """What parties are asked about.

    Legal moves of `status`: inDesign to active or rejected, active to retired; rejected and retired are the end.
    """

    name: str | None = None
    description: str | None = None
    version: str | None = None
    status: SpecificationStatus | None = None
    lastUpdate: Annotated[Instant | None, ReadOnly()] = None
    applicableRole: list[PartyPrivacyRoleSpecification] | None = None
    partyPrivacyProfileSpecCharacteristic: list[PartyPrivacyProfileSpecificationCharacteristic]
    productOffering: list[EntityRef] | None = None
    relatedParty: list[TypedParty] | None = None
    validFor: Period | None = None


class AgreementAuthorization(TmfModel):
    """Who signed, how and when."""

    id: str | None = None
    href: str | None = None
    date: Instant | None = None
    signatureRepresentation: str | None = None
    state: str | None = None


class AgreementTermOrCondition(TmfModel):
    id: str | None = None
    href: str | None = None
    description: str | None = None
    validFor: Period | None = None


class AgreementItem(TmfModel):
    """A part of an agreement, for the products that it is about."""

    id: str | None = None
    href: str | None = None
    product: list[EntityRef] | None = None
    productOffering: list[EntityRef] | None = None
    termOrCondition: list[AgreementTermOrCondition] | None = None


class PartyPrivacyAgreement(Entity):
    """An agreement with parties about their privacy.

    Legal moves of `status`: initialized, inProgress, validated, approved, in this order, where steps may be left out;
    rejected from each of the first three. approved and rejected are the end, and completionDate says when it came.
    """

    name: str
    agreementType: str
    description: str | None = None
    documentNumber: int | None = None
    version: str | None = None
    status: AgreementStatus | None = None
    statementOfIntent: str | None = None
    initialDate: Instant | None = None
    completionDate: Period | None = None
    agreementPeriod: Period | None = None
    agreementAuthorization: list[AgreementAuthorization] | None = None
    agreementItem: list[AgreementItem]
    agreementSpecification: AgreementSpecificationRef | None = None
    associatedAgreement: list[AgreementRef] | None = None
    characteristic: list[CharacteristicV4] | None = None
    engagedParty: list[TypedParty]
    partyPrivacyProfile: list[EntityRef] | None = None
    partyPrivacyProfileCharacteristic: list[PartyPrivacyProfileCharacteristic] | None = None


# v4 has the words of these life cycles in its prose and samples, v5 lists them (...StatusExampleType); no file has the
# moves: they are chosen here.
PROFILE_LIFECYCLE = Lifecycle("status", "created", {"created": ("terminated",)}, event="StatusChange")
SPECIFICATION_LIFECYCLE = Lifecycle(
    "status", "inDesign", {"inDesign": ("active", "rejected"), "active": ("retired",)}, event="StatusChange"
)
AGREEMENT_LIFECYCLE = Lifecycle(
    "status",
    "initialized",
    {
        "initialized": ("inProgress", "validated", "approved", "rejected"),
        "inProgress": ("validated", "approved", "rejected"),
        "validated": ("approved", "rejected"),
    },
    event="StatusChange",
)


def ended(old: Document | None, new: Document) -> Document:
    """A profile that is terminated: its validity ends now, unless it has ended before."""
    if new.get("status") != "terminated" or (old or {}).get("status") == "terminated":
        return new
    now, validity = _now(), new.get("validFor") or {}
    end = validity.get("endDateTime")
    if end is not None and datetime.fromisoformat(end) <= datetime.fromisoformat(now):
        return new
    return {**new, "validFor": {**validity, "endDateTime": now}}


def dated(old: Document | None, new: Document) -> Document:
    """An agreement with the instant at which it began and, once it is approved or rejected, came to its end."""
    now = _now()
    if old is None:
        new = {"initialDate": now, **new}
    moved = (old or {}).get("status") != new.get("status")
    if moved and new.get("status") in AGREEMENT_LIFECYCLE.final and "completionDate" not in new:
        new = {**new, "completionDate": {"startDateTime": now, "endDateTime": now}}
    return new


def _now() -> str:
    return rfc3339(datetime.now(UTC))


_EVENTS = frozenset({"Create", "AttributeValueChange", "StatusChange", "Delete"})

PARTY_PRIVACY_PROFILE = Resource(
    PartyPrivacyProfile,
    lifecycle=PROFILE_LIFECYCLE,
    created="creationDate",
    index=("creationDate",),
    prepare=ended,
    refers=(*parties_at("agreedByParty"), *parties_at("applicableForParty")),
    events=_EVENTS,
)
PARTY_PRIVACY_PROFILE_SPECIFICATION = Resource(
    PartyPrivacyProfileSpecification, lifecycle=SPECIFICATION_LIFECYCLE, updated="lastUpdate", events=_EVENTS
)
PARTY_PRIVACY_AGREEMENT = Resource(
    PartyPrivacyAgreement,
    lifecycle=AGREEMENT_LIFECYCLE,
    index=("initialDate",),
    prepare=dated,
    refers=parties_at("engagedParty"),
    events=_EVENTS,
)
