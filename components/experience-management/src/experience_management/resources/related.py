"""What more than one API of experience management is made of: references of v4, specifications of characteristics, and
where references lead."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from tmfkit.references import Reference
from tmfkit.types import EntityRef, Forms, RelatedEntityV4, RelatedParty, TimePeriod, TmfModel

OWNED_ELSEWHERE = {
    "serviceInventory": {"Service": "tmf-api/serviceInventoryManagement/v5/service"},
    "serviceQuality": {"ServiceProblem": "tmf-api/serviceProblemManagement/v5/serviceProblem"},
}
"""Dependency -> what of it is referred to, and where it lies there."""


def refers_at(attribute: str) -> tuple[Reference, ...]:
    """References of an attribute to services and problems, which are refused if their owner does not know them."""
    return tuple(Reference(attribute, dependency, paths) for dependency, paths in OWNED_ELSEWHERE.items())


class ChannelRef(EntityRef):
    """A channel that lives elsewhere."""


class TypedParty(RelatedParty):
    """v4: a party in a role, whose type the file demands."""

    at_referredType: Annotated[str, Field(alias="@referredType")]


class TypedEntity(RelatedEntityV4):
    """v4: an entity in a role, whose type the file demands."""

    at_referredType: Annotated[str, Field(alias="@referredType")]


class CharacteristicSpecificationRelationship(TmfModel):
    """What a specified characteristic is to one of another specification."""

    relationshipType: str
    name: str
    parentSpecificationId: str
    parentSpecificationHref: str | None = None
    characteristicSpecificationId: str | None = None
    validFor: TimePeriod | None = None


class ValueSpecificationOf(TmfModel):
    """What every permitted value, or range of values, has."""

    isDefault: bool | None = None
    rangeInterval: str | None = None
    regex: str | None = None
    unitOfMeasure: str | None = None
    validFor: TimePeriod | None = None
    valueFrom: int | None = None
    valueTo: int | None = None
    valueType: str | None = None


class StringCharacteristicValueSpecification(ValueSpecificationOf):
    """A permitted text."""

    value: str | None = None


class BooleanCharacteristicValueSpecification(ValueSpecificationOf):
    """True or false."""

    value: bool | None = None


class IntegerCharacteristicValueSpecification(ValueSpecificationOf):
    """A permitted whole number."""

    value: int | None = None


class NumberCharacteristicValueSpecification(ValueSpecificationOf):
    """A permitted number."""

    value: float | None = None


class FloatCharacteristicValueSpecification(ValueSpecificationOf):
    """A permitted number."""

    value: float | None = None


class ObjectCharacteristicValueSpecification(ValueSpecificationOf):
    """A permitted object."""

    value: dict[str, Any] | None = None


class MapCharacteristicValueSpecification(ValueSpecificationOf):
    """A permitted map."""

    value: dict[str, Any] | None = None


class StringArrayCharacteristicValueSpecification(ValueSpecificationOf):
    """Permitted texts."""

    value: list[str] | None = None


class BooleanArrayCharacteristicValueSpecification(ValueSpecificationOf):
    """True or false each."""

    value: list[bool] | None = None


class IntegerArrayCharacteristicValueSpecification(ValueSpecificationOf):
    """Permitted whole numbers."""

    value: list[int] | None = None


class NumberArrayCharacteristicValueSpecification(ValueSpecificationOf):
    """Permitted numbers."""

    value: list[float] | None = None


class FloatArrayCharacteristicValueSpecification(ValueSpecificationOf):
    """Permitted numbers."""

    value: list[float] | None = None


class ObjectArrayCharacteristicValueSpecification(ValueSpecificationOf):
    """Permitted objects."""

    value: list[dict[str, Any]] | None = None


class MapValue(TmfModel):
    """One map of several."""

    value: dict[str, Any] | None = None


class MapArrayCharacteristicValueSpecification(ValueSpecificationOf):
    """Permitted maps."""

    value: list[MapValue] | None = None


class CharacteristicValueSpecification(ValueSpecificationOf):
    """A permitted value or range of values; `@type` says of what type."""

    value: Any = None

    forms: ClassVar[Forms] = {
        form.__name__: form
        for form in (
            BooleanArrayCharacteristicValueSpecification,
            BooleanCharacteristicValueSpecification,
            FloatArrayCharacteristicValueSpecification,
            FloatCharacteristicValueSpecification,
            IntegerArrayCharacteristicValueSpecification,
            IntegerCharacteristicValueSpecification,
            MapArrayCharacteristicValueSpecification,
            MapCharacteristicValueSpecification,
            NumberArrayCharacteristicValueSpecification,
            NumberCharacteristicValueSpecification,
            ObjectArrayCharacteristicValueSpecification,
            ObjectCharacteristicValueSpecification,
            StringArrayCharacteristicValueSpecification,
            StringCharacteristicValueSpecification,
        )
    }


class CharacteristicSpecification(TmfModel):
    """A characteristic that things of a specification have, and its permitted values."""

    name: str
    valueType: str
    id: str | None = None
    description: str | None = None
    configurable: bool | None = None
    extensible: bool | None = None
    isUnique: bool | None = None
    minCardinality: int | None = None
    maxCardinality: int | None = None
    regex: str | None = None
    validFor: TimePeriod | None = None
    at_valueSchemaLocation: Annotated[str | None, Field(alias="@valueSchemaLocation")] = None
    charSpecRelationship: list[CharacteristicSpecificationRelationship] | None = None
    characteristicValueSpecification: list[CharacteristicValueSpecification] | None = None
