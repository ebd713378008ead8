"""Name and value of what a model has no attribute for; v5 says the type of the value by a class. Pure."""

from __future__ import annotations

from typing import Any, ClassVar

from tmfkit.base import Forms, Given, Json, TmfModel


class CharacteristicRelationship(TmfModel):
    """What a characteristic is to another one."""

    id: str
    relationshipType: str


class CharacteristicRelationshipV4(TmfModel):
    """The same in v4, where nothing of it is mandatory."""

    id: str | None = None
    href: str | None = None
    relationshipType: str | None = None


class CharacteristicAttributes(TmfModel):
    """What all characteristics have, in v4 and v5."""

    id: str | None = None
    name: str
    valueType: str | None = None


class CharacteristicOf(CharacteristicAttributes):
    """What all characteristics of v5 have. Where the class is told, the value is mandatory."""

    characteristicRelationship: list[CharacteristicRelationship] | None = None


class StringCharacteristic(CharacteristicOf):
    """The value is a text."""

    value: str


class BooleanCharacteristic(CharacteristicOf):
    """The value is true or false."""

    value: bool


class IntegerCharacteristic(CharacteristicOf):
    """The value is a whole number."""

    value: int


class NumberCharacteristic(CharacteristicOf):
    """The value is a number."""

    value: float


class FloatCharacteristic(CharacteristicOf):
    """The value is a number."""

    value: float


class ObjectCharacteristic(CharacteristicOf):
    """The value is an object."""

    value: dict[str, Json]


class StringArrayCharacteristic(CharacteristicOf):
    """The values are texts."""

    value: list[str]


class BooleanArrayCharacteristic(CharacteristicOf):
    """The values are true or false each."""

    value: list[bool]


class IntegerArrayCharacteristic(CharacteristicOf):
    """The values are whole numbers."""

    value: list[int]


class NumberArrayCharacteristic(CharacteristicOf):
    """The values are numbers."""

    value: list[float]


class ObjectArrayCharacteristic(CharacteristicOf):
    """The values are objects."""

    value: list[dict[str, Json]]


class Characteristic(CharacteristicOf):
    """Name and value; v5 says by `@type` of what type the value is."""

    value: Any = None

    forms: ClassVar[Forms] = {
        "StringCharacteristic": StringCharacteristic,
        "BooleanCharacteristic": BooleanCharacteristic,
        "IntegerCharacteristic": IntegerCharacteristic,
        "NumberCharacteristic": NumberCharacteristic,
        "FloatCharacteristic": FloatCharacteristic,
        "ObjectCharacteristic": ObjectCharacteristic,
        "StringArrayCharacteristic": StringArrayCharacteristic,
        "BooleanArrayCharacteristic": BooleanArrayCharacteristic,
        "IntegerArrayCharacteristic": IntegerArrayCharacteristic,
        "NumberArrayCharacteristic": NumberArrayCharacteristic,
        "ObjectArrayCharacteristic": ObjectArrayCharacteristic,
    }


class CharacteristicV4(CharacteristicAttributes):
    """v4: a characteristic always carries a value, of any type."""

    value: Given
    characteristicRelationship: list[CharacteristicRelationshipV4] | None = None
