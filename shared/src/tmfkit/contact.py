"""Ways to reach a party, one class each (TMF632 v5). Pure."""

from __future__ import annotations

from typing import ClassVar

from tmfkit.base import EntityRef, Forms, TimePeriod, TmfModel


class GeographicAddressRef(EntityRef):
    """An address that lives elsewhere."""


class ContactMediumOf(TmfModel):
    """What all ways to reach a party have."""

    id: str | None = None
    preferred: bool | None = None
    contactType: str | None = None
    validFor: TimePeriod | None = None


class EmailContactMedium(ContactMediumOf):
    """By e-mail."""

    emailAddress: str | None = None


class PhoneContactMedium(ContactMediumOf):
    """By telephone."""

    phoneNumber: str | None = None


class FaxContactMedium(ContactMediumOf):
    """By telefax."""

    faxNumber: str | None = None


class SocialContactMedium(ContactMediumOf):
    """In a social network."""

    socialNetworkId: str | None = None


class GeographicAddressContactMedium(ContactMediumOf):
    """By letter or visit."""

    city: str | None = None
    country: str | None = None
    geographicAddress: GeographicAddressRef | None = None
    postCode: str | None = None
    stateOrProvince: str | None = None
    street1: str | None = None
    street2: str | None = None


class ContactMedium(ContactMediumOf):
    """A way to reach a party."""

    forms: ClassVar[Forms] = {
        "EmailContactMedium": EmailContactMedium,
        "PhoneContactMedium": PhoneContactMedium,
        "FaxContactMedium": FaxContactMedium,
        "SocialContactMedium": SocialContactMedium,
        "GeographicAddressContactMedium": GeographicAddressContactMedium,
    }
