"""Places (TMF673, 674, 675), by reference and by value, as other resources name them. Pure."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from tmfkit.base import EntityRef, ExternalIdentifier, Forms, Instant, Related, TimePeriod, TmfModel
from tmfkit.party import RelatedPartyRefOrPartyRoleRef


class PlaceValue(TmfModel):
    """A place by reference or by value."""

    id: str | None = None
    href: str | None = None
    name: str | None = None


class PlaceRef(EntityRef):
    """A place that lives elsewhere."""


class GeographicLocationRef(EntityRef):
    """Coordinates that live elsewhere."""


class GeographicLocation(TmfModel):
    """Where something is, in coordinates; bbox: the box around it."""

    id: str | None = None
    href: str | None = None
    bbox: list[float] | None = None


class GeographicLocationRefOrValue(TmfModel):
    """Coordinates, by reference or by value."""

    id: str | None = None
    href: str | None = None

    forms: ClassVar[Forms] = {"GeographicLocation": GeographicLocation, "GeographicLocationRef": GeographicLocationRef}


class StandardIdentifier(TmfModel):
    """A code of a standard, such as that of a country."""

    id: str | None = None
    href: str | None = None
    format: str | None = None
    value: str | None = None


class GeographicSubAddressUnit(TmfModel):
    """A unit of a building."""

    subUnitNumber: str
    subUnitType: str


class GeographicSubAddress(TmfModel):
    """A part of an address: building, floor, unit."""

    id: str | None = None
    href: str | None = None
    name: str | None = None
    buildingName: str | None = None
    levelNumber: str | None = None
    levelType: str | None = None
    privateStreetName: str | None = None
    privateStreetNumber: str | None = None
    subAddressType: str | None = None
    subUnit: list[GeographicSubAddressUnit] | None = None


class GeographicAddress(TmfModel):
    """An address by value."""

    id: str | None = None
    href: str | None = None
    city: str | None = None
    country: str | None = None
    countryCode: list[StandardIdentifier] | None = None
    externalIdentifier: list[ExternalIdentifier] | None = None
    geographicAddressType: str | None = None
    geographicLocation: GeographicLocationRefOrValue | None = None
    geographicSubAddress: list[GeographicSubAddress] | None = None
    locality: str | None = None
    postcode: str | None = None
    stateOrProvince: str | None = None
    streetName: str | None = None
    streetNr: str | None = None
    streetNrLast: str | None = None
    streetNrLastSuffix: str | None = None
    streetNrSuffix: str | None = None
    streetSuffix: str | None = None
    streetType: str | None = None


class HourPeriod(TmfModel):
    """From one hour to another."""

    endHour: str | None = None
    startHour: str | None = None


class CalendarPeriod(TmfModel):
    """When a site is open."""

    day: str | None = None
    hourPeriod: list[HourPeriod] | None = None
    status: str
    timeZone: str | None = None


class GeographicSiteRelationship(TmfModel):
    """What a site is to another one."""

    id: str
    href: str | None = None
    relationshipType: str
    role: str | None = None
    validFor: TimePeriod | None = None


class GeographicSite(TmfModel):
    """A site by value."""

    id: str | None = None
    href: str | None = None
    description: str | None = None
    calendar: list[CalendarPeriod] | None = None
    code: str | None = None
    creationDate: Instant | None = None
    externalIdentifier: list[ExternalIdentifier] | None = None
    place: list[PlaceRefOrValue] | None = None
    relatedParty: list[RelatedPartyRefOrPartyRoleRef] | None = None
    siteRelationship: list[GeographicSiteRelationship] | None = None
    status: str | None = None


class PlaceRefOrValue(PlaceValue):
    """A place, by reference or by value."""

    forms: ClassVar[Forms] = {
        "PlaceRef": PlaceRef,
        "GeographicAddress": GeographicAddress,
        "GeographicLocation": GeographicLocation,
        "GeographicSite": GeographicSite,
    }


class RelatedPlaceV4(PlaceValue):
    """v4: a place in a role, flat."""

    role: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class RelatedPlaceRefOrValueV4(RelatedPlaceV4):
    """v4: a place in a role, by reference or by value, flat."""

    role: str


class RelatedPlace(Related):
    """v5: a place in a role, by reference or by value."""

    inner: ClassVar[str] = "place"
    role: str
    place: PlaceRefOrValue


GeographicSite.model_rebuild()
