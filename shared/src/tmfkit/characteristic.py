"""Name and value of what a model has no attribute for; v5 says the type of the value by a class. Pure."""

from __future__ import annotations

from typing import Any, ClassVar

from tmfkit.base import Forms, Json, TmfModel


class CharacteristicRelationship(TmfModel):
    """What a characteristic is to another one."""

    id: str | None = None
    href: str | None = None
    relationshipType: str | None = None


class CharacteristicOf(TmfModel):
    """What all characteristics have."""

    id: str | None = None
    name: str
    valueType: str | None = None
    characteristicRelationship: list[CharacteristicRelationship] | None = None


class StringCharacteristic(CharacteristicOf):
    """The value is a text."""

    value: str | None = None


class BooleanCharacteristic(CharacteristicOf):
    """The value is true or false."""

    value: bool | None = None


class IntegerCharacteristic(CharacteristicOf):
    """The value is a whole number."""

    value: int | None = None


class NumberCharacteristic(CharacteristicOf):
    """The value is a number."""

    value: float | None = None


class FloatCharacteristic(CharacteristicOf):
    """The value is a number."""

    value: float | None = None


class ObjectCharacteristic(CharacteristicOf):
    """The value is an object."""

    value: dict[str, Json] | None = None


class StringArrayCharacteristic(CharacteristicOf):
    """The values are texts."""

    value: list[str] | None = None


class BooleanArrayCharacteristic(CharacteristicOf):
    """The values are true or false each."""

    value: list[bool] | None = None


class IntegerArrayCharacteristic(CharacteristicOf):
    """The values are whole numbers."""

    value: list[int] | None = None


class NumberArrayCharacteristic(CharacteristicOf):
    """The values are numbers."""

    value: list[float] | None = None


class ObjectArrayCharacteristic(CharacteristicOf):
    """The values are objects."""

    value: list[dict[str, Json]] | None = None


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


class CharacteristicV4(CharacteristicOf):
    """v4: a characteristic always carries a value, of any type."""

    value: Any
