"""Rows of a CSV file as TMF629 v5 customers, by a mapping that is data.

Pure: parsed mapping and rows in, payloads out. The format is described at the head of mappings/ibm_telco.yaml.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

ATTRIBUTES = ("description", "status", "statusReason")
CHARACTERISTIC_TYPES = {
    "string": "StringCharacteristic",
    "integer": "IntegerCharacteristic",
    "number": "NumberCharacteristic",
    "boolean": "BooleanCharacteristic",
}
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

Scalar = str | int | float | bool


class MappingError(ValueError):
    """The mapping itself is wrong; the message names the entry."""


class RowError(ValueError):
    """A row cannot be mapped; `row` (its id or number) and `column` say where, the message says why."""

    def __init__(self, row: str, column: str, why: str) -> None:
        super().__init__(f"{row}, column {column}: {why}")
        self.row = row
        self.column = column


class Usage(StrEnum):
    FEATURE = "feature"
    PROTECTED = "protected"
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True)
class AttributeColumn:
    """A column that fills an attribute of the Customer."""

    column: str
    attribute: str


@dataclass(frozen=True, slots=True)
class CharacteristicColumn:
    """A column that fills a characteristic of the Customer. `values` None: the text is parsed by its value type."""

    column: str
    characteristic: str
    value_type: str
    usage: Usage
    group: str
    values: Mapping[str, Scalar] | None


@dataclass(frozen=True, slots=True)
class CustomerMapping:
    name: str
    id_column: str
    name_column: str
    party_column: str
    party_type: str
    missing: frozenset[str]
    attributes: tuple[AttributeColumn, ...]
    characteristics: tuple[CharacteristicColumn, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column the mapping reads, once, in order of first use."""
        listed = [a.column for a in self.attributes] + [c.column for c in self.characteristics]
        return tuple(dict.fromkeys((self.id_column, self.name_column, self.party_column, *listed)))

    @property
    def outcome(self) -> CharacteristicColumn | None:
        return next((c for c in self.characteristics if c.usage is Usage.OUTCOME), None)


def _keys(entry: Any, where: str, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise MappingError(f"{where}: an object is expected, not {entry!r}")
    required, allowed = set(required), {*required, *optional}
    lacking, unknown = required - entry.keys(), entry.keys() - allowed
    if lacking:
        raise MappingError(f"{where}: {', '.join(sorted(lacking))} is missing")
    if unknown:
        raise MappingError(f"{where}: {', '.join(sorted(map(str, unknown)))} is not known here")
    return entry


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry[key]
    if not isinstance(value, str) or not value:
        raise MappingError(f"{where}: {key} is a text, not {value!r}")
    return value


def _values(entry: Mapping[str, Any], value_type: str, where: str) -> Mapping[str, Scalar] | None:
    values = entry.get("values")
    if values is None:
        return None
    if not isinstance(values, dict) or not values:
        raise MappingError(f"{where}: values is an object from text to value")
    for text, value in values.items():
        if not isinstance(text, str):
            raise MappingError(f"{where}: the text {text!r} in values must be quoted, YAML reads it as something else")
        if not isinstance(value, PYTHON_TYPES[value_type]) or (isinstance(value, bool) != (value_type == "boolean")):
            raise MappingError(f"{where}: {value!r}, the value of {text!r}, is no {value_type}")
    return dict(values)


def _characteristic(entry: dict[str, Any], where: str) -> CharacteristicColumn:
    _keys(entry, where, ("column", "characteristic", "valueType", "usage"), ("values", "group"))
    value_type = _text(entry, "valueType", where)
    if value_type not in CHARACTERISTIC_TYPES:
        raise MappingError(f"{where}: valueType is one of {', '.join(CHARACTERISTIC_TYPES)}, not {value_type}")
    if entry["usage"] not in set(Usage):
        raise MappingError(f"{where}: usage is one of {', '.join(Usage)}, not {entry['usage']}")
    usage = Usage(entry["usage"])
    if (usage is Usage.FEATURE) != ("group" in entry):
        raise MappingError(f"{where}: a feature has a group, and nothing else has one")
    if usage is Usage.OUTCOME and value_type != "boolean":
        raise MappingError(f"{where}: the outcome is a boolean")
    return CharacteristicColumn(
        _text(entry, "column", where),
        _text(entry, "characteristic", where),
        value_type,
        usage,
        _text(entry, "group", where) if "group" in entry else "",
        _values(entry, value_type, where),
    )


def _once(what: str, names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise MappingError(f"{what} {twice[0]} is given twice")


def read(mapping: dict[str, Any]) -> CustomerMapping:
    """The mapping as parsed from YAML or JSON, checked. Raises MappingError naming the entry."""
    whole = _keys(mapping, "mapping", ("name", "id", "customerName", "engagedParty", "columns"), ("missing",))
    identity = _keys(whole["id"], "id", ("column",))
    name = _keys(whole["customerName"], "customerName", ("column",))
    party = _keys(whole["engagedParty"], "engagedParty", ("column", "referredType"))
    missing = whole.get("missing", [""])
    if not isinstance(missing, list) or not all(isinstance(text, str) for text in missing):
        raise MappingError("missing: a list of quoted texts is expected")
    if not isinstance(whole["columns"], list):
        raise MappingError("columns: a list is expected")
    attributes: list[AttributeColumn] = []
    characteristics: list[CharacteristicColumn] = []
    for i, entry in enumerate(whole["columns"]):
        where = f"columns[{i}]"
        if isinstance(entry, dict) and "attribute" in entry:
            _keys(entry, where, ("column", "attribute"))
            attribute = _text(entry, "attribute", where)
            if attribute not in ATTRIBUTES:
                raise MappingError(f"{where}: attribute is one of {', '.join(ATTRIBUTES)}, not {attribute}")
            attributes.append(AttributeColumn(_text(entry, "column", where), attribute))
        else:
            characteristics.append(_characteristic(entry, where))
    _once("attribute", (a.attribute for a in attributes))
    _once("characteristic", (c.characteristic for c in characteristics))
    _once("column", (c.column for c in characteristics))
    if sum(c.usage is Usage.OUTCOME for c in characteristics) > 1:
        raise MappingError("columns: there is at most one outcome")
    return CustomerMapping(
        _text(whole, "name", "mapping"),
        _text(identity, "column", "id"),
        _text(name, "column", "customerName"),
        _text(party, "column", "engagedParty"),
        _text(party, "referredType", "engagedParty"),
        frozenset(text.strip() for text in missing),
        tuple(attributes),
        tuple(characteristics),
    )


def unmapped(mapping: CustomerMapping, header: Sequence[str]) -> tuple[str, ...]:
    """Columns of the file that the mapping does not read; MappingError when it reads one that the file lacks."""
    lacking = [column for column in mapping.columns if column not in header]
    if lacking:
        raise MappingError(f"{mapping.name}: the file has no column {', '.join(lacking)}")
    return tuple(column for column in header if column not in mapping.columns)


def _parsed(field: CharacteristicColumn, text: str, row: str) -> Scalar:
    if field.values is not None:
        if text not in field.values:
            raise RowError(row, field.column, f"{text!r} is none of {', '.join(field.values)}")
        return field.values[text]
    if field.value_type == "string":
        return text
    if field.value_type == "integer" and INTEGER.fullmatch(text):
        return int(text)
    if field.value_type == "number" and NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    if field.value_type == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise RowError(row, field.column, f"{text!r} is no {field.value_type}")


def customer(mapping: CustomerMapping, row: Mapping[str, str], number: int | None = None) -> dict[str, Any]:
    """TMF629 v5 Customer payload of one row. `number` is the row's place in the file, for the messages.

    Every characteristic carries its `usage`; the outcome travels as one of them, marked, beside the features. Raises
    RowError for the first column that cannot be read.
    """
    counted = "row" if number is None else f"row {number}"

    def text(column: str) -> str | None:
        raw = row.get(column)
        if raw is None:
            raise RowError(counted, column, "the row has no such column")
        trimmed = raw.strip()
        return None if trimmed in mapping.missing else trimmed

    def required(column: str) -> str:
        value = text(column)
        if value is None:
            raise RowError(counted, column, "a value is required here")
        return value

    identity = required(mapping.id_column)
    counted = f"{counted} ({identity})"
    payload: dict[str, Any] = {
        "@type": "Customer",
        "id": identity,
        "name": required(mapping.name_column),
        "engagedParty": {
            "@type": "PartyRef",
            "id": required(mapping.party_column),
            "@referredType": mapping.party_type,
        },
    }
    for attribute in mapping.attributes:
        value = text(attribute.column)
        if value is not None:
            payload[attribute.attribute] = value
    payload["characteristic"] = []
    for field in mapping.characteristics:
        value = text(field.column)
        if value is None:
            continue
        characteristic = {
            "@type": CHARACTERISTIC_TYPES[field.value_type],
            "name": field.characteristic,
            "valueType": field.value_type,
            "value": _parsed(field, value, counted),
            "usage": field.usage.value,
        }
        payload["characteristic"].append(characteristic | ({"group": field.group} if field.group else {}))
    return payload
