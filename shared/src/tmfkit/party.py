"""Parties and the roles they play (TMF632, TMF669), by reference and by value, as other resources name them. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from tmfkit.attachment import AttachmentRefOrValue
from tmfkit.base import EntityRef, ExternalIdentifier, Forms, Instant, Related, TimePeriod, TmfModel
from tmfkit.characteristic import Characteristic
from tmfkit.contact import ContactMedium


class PartyRef(EntityRef):
    """A party that lives elsewhere: an individual or an organization."""


class PartyRoleRef(EntityRef):
    """A role that lives elsewhere, and the party that plays it."""

    partyId: str | None = None
    partyName: str | None = None


class OrganizationRef(EntityRef):
    """An organization that lives elsewhere."""


class AccountRef(EntityRef):
    """An account that lives elsewhere."""


class AgreementRef(EntityRef):
    """An agreement that lives elsewhere."""


class PaymentMethodRef(EntityRef):
    """A means of payment that lives elsewhere."""


class PartyRoleSpecificationRef(EntityRef):
    """What a kind of role is, told elsewhere."""


class PartyCreditProfile(TmfModel):
    """How an agency rates the credit of a party."""

    id: str | None = None
    href: str | None = None
    creditAgencyName: str | None = None
    creditAgencyType: str | None = None
    ratingReference: str | None = None
    ratingScore: int | None = None
    validFor: TimePeriod | None = None


class CreditProfile(TmfModel):
    """How creditworthy a party is in a role."""

    id: str | None = None
    href: str | None = None
    creditProfileDate: Instant | None = None
    creditRiskRating: int | None = None
    creditScore: int | None = None
    validFor: TimePeriod | None = None


class TaxDefinition(TmfModel):
    """A tax, and who raises it."""

    id: str | None = None
    name: str | None = None
    jurisdictionLevel: str | None = None
    jurisdictionName: str | None = None
    taxType: str | None = None
    validFor: TimePeriod | None = None


class TaxExemptionCertificate(TmfModel):
    """Proof that a party need not pay a tax."""

    id: str | None = None
    attachment: AttachmentRefOrValue | None = None
    certificateNumber: str | None = None
    issuingJurisdiction: str | None = None
    reason: str | None = None
    taxDefinition: list[TaxDefinition] | None = None
    validFor: TimePeriod | None = None


class IndividualState(StrEnum):
    """Life cycle of an individual."""

    INITIALIZED = "initialized"
    VALIDATED = "validated"
    DECEASED = "deceased"


class OrganizationState(StrEnum):
    """Life cycle of an organization."""

    INITIALIZED = "initialized"
    VALIDATED = "validated"
    CLOSED = "closed"


class Disability(TmfModel):
    """A disability of an individual."""

    disabilityCode: str | None = None
    disabilityName: str | None = None
    validFor: TimePeriod | None = None


class IndividualIdentification(TmfModel):
    """A document that identifies an individual."""

    attachment: AttachmentRefOrValue | None = None
    identificationId: str | None = None
    identificationType: str | None = None
    issuingAuthority: str | None = None
    issuingDate: Instant | None = None
    validFor: TimePeriod | None = None


class LanguageAbility(TmfModel):
    """How well an individual has a language."""

    isFavouriteLanguage: bool | None = None
    languageCode: str | None = None
    languageName: str | None = None
    listeningProficiency: str | None = None
    readingProficiency: str | None = None
    speakingProficiency: str | None = None
    validFor: TimePeriod | None = None
    writingProficiency: str | None = None


class OtherNameIndividual(TmfModel):
    """A name that an individual has besides, or had."""

    aristocraticTitle: str | None = None
    familyName: str | None = None
    familyNamePrefix: str | None = None
    formattedName: str | None = None
    fullName: str | None = None
    generation: str | None = None
    givenName: str | None = None
    legalName: str | None = None
    middleName: str | None = None
    preferredGivenName: str | None = None
    title: str | None = None
    validFor: TimePeriod | None = None


class Skill(TmfModel):
    """What an individual can do, and how well."""

    comment: str | None = None
    evaluatedLevel: str | None = None
    skillCode: str | None = None
    skillName: str | None = None
    validFor: TimePeriod | None = None


class Individual(TmfModel):
    """A person, by value."""

    id: str | None = None
    href: str | None = None
    name: str | None = None
    aristocraticTitle: str | None = None
    birthDate: Instant | None = None
    contactMedium: list[ContactMedium] | None = None
    countryOfBirth: str | None = None
    creditRating: list[PartyCreditProfile] | None = None
    deathDate: Instant | None = None
    disability: list[Disability] | None = None
    externalReference: list[ExternalIdentifier] | None = None
    familyName: str | None = None
    familyNamePrefix: str | None = None
    formattedName: str | None = None
    gender: str | None = None
    generation: str | None = None
    givenName: str | None = None
    individualIdentification: list[IndividualIdentification] | None = None
    languageAbility: list[LanguageAbility] | None = None
    legalName: str | None = None
    location: str | None = None
    maritalStatus: str | None = None
    middleName: str | None = None
    nationality: str | None = None
    otherName: list[OtherNameIndividual] | None = None
    partyCharacteristic: list[Characteristic] | None = None
    placeOfBirth: str | None = None
    preferredGivenName: str | None = None
    relatedParty: list[RelatedPartyOrPartyRole] | None = None
    skill: list[Skill] | None = None
    status: IndividualState | None = None
    taxExemptionCertificate: list[TaxExemptionCertificate] | None = None
    title: str | None = None


class OrganizationChildRelationship(TmfModel):
    """An organization below this one."""

    organization: OrganizationRef | None = None
    relationshipType: str | None = None


class OrganizationParentRelationship(TmfModel):
    """The organization above this one."""

    organization: OrganizationRef | None = None
    relationshipType: str | None = None


class OrganizationIdentification(TmfModel):
    """A document that identifies an organization."""

    attachment: AttachmentRefOrValue | None = None
    identificationId: str | None = None
    identificationType: str | None = None
    issuingAuthority: str | None = None
    issuingDate: Instant | None = None
    validFor: TimePeriod | None = None


class OtherNameOrganization(TmfModel):
    """A name that an organization has besides, or had."""

    name: str | None = None
    nameType: str | None = None
    tradingName: str | None = None
    validFor: TimePeriod | None = None


class Organization(TmfModel):
    """A company, a department or another group of people, by value."""

    id: str | None = None
    href: str | None = None
    name: str | None = None
    contactMedium: list[ContactMedium] | None = None
    creditRating: list[PartyCreditProfile] | None = None
    existsDuring: TimePeriod | None = None
    externalReference: list[ExternalIdentifier] | None = None
    isHeadOffice: bool | None = None
    isLegalEntity: bool | None = None
    nameType: str | None = None
    organizationChildRelationship: list[OrganizationChildRelationship] | None = None
    organizationIdentification: list[OrganizationIdentification] | None = None
    organizationParentRelationship: OrganizationParentRelationship | None = None
    organizationType: str | None = None
    otherName: list[OtherNameOrganization] | None = None
    partyCharacteristic: list[Characteristic] | None = None
    relatedParty: list[RelatedPartyOrPartyRole] | None = None
    status: OrganizationState | None = None
    taxExemptionCertificate: list[TaxExemptionCertificate] | None = None
    tradingName: str | None = None


class PartyRole(TmfModel):
    """What a party is to somebody, by value."""

    id: str | None = None
    href: str | None = None
    name: str
    description: str | None = None
    account: list[AccountRef] | None = None
    agreement: list[AgreementRef] | None = None
    characteristic: list[Characteristic] | None = None
    contactMedium: list[ContactMedium] | None = None
    creditProfile: list[CreditProfile] | None = None
    engagedParty: PartyRef
    partyRoleSpecification: PartyRoleSpecificationRef | None = None
    paymentMethod: list[PaymentMethodRef] | None = None
    relatedParty: list[RelatedPartyOrPartyRole] | None = None
    role: str | None = None
    status: str | None = None
    statusReason: str | None = None
    validFor: TimePeriod | None = None


class BusinessPartner(PartyRole):
    """A role: who does business together with us."""


class Consumer(PartyRole):
    """A role: who uses what is sold."""


class CustomerRole(PartyRole):
    """A role: who buys. `@type` is Customer; the class of that name is a component's resource."""


class Producer(PartyRole):
    """A role: who makes what is sold."""


class Supplier(PartyRole):
    """A role: who delivers to us."""


class PartyRefOrPartyRoleRef(EntityRef):
    """A party or a party in a role, by reference."""

    forms: ClassVar[Forms] = {"PartyRef": PartyRef, "PartyRoleRef": PartyRoleRef}


class PartyOrPartyRole(EntityRef):
    """A party or a party in a role, by reference or by value. Without a known `@type` it is a reference."""

    forms: ClassVar[Forms] = {
        "PartyRef": PartyRef,
        "PartyRoleRef": PartyRoleRef,
        "Individual": Individual,
        "Organization": Organization,
        "PartyRole": PartyRole,
        "BusinessPartner": BusinessPartner,
        "Consumer": Consumer,
        "Customer": CustomerRole,
        "Producer": Producer,
        "Supplier": Supplier,
    }


class RelatedPartyRefOrPartyRoleRef(Related):
    """v5: a party in a role, by reference."""

    inner: ClassVar[str] = "partyOrPartyRole"
    role: str
    partyOrPartyRole: PartyRefOrPartyRoleRef | None = None


class RelatedPartyOrPartyRole(Related):
    """v5: a party in a role, by reference or by value."""

    inner: ClassVar[str] = "partyOrPartyRole"
    role: str
    partyOrPartyRole: PartyOrPartyRole | None = None


for _model in (Individual, Organization, PartyRole, BusinessPartner, Consumer, CustomerRole, Producer, Supplier):
    _model.model_rebuild()
