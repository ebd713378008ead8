"""Is a value as the contract says? Types, formats, enumerations and mandatory attributes; unknown attributes are
extensions and allowed (TMF630 Part 2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

from oda_ctk.contract import KINDS, Attribute, Contract, Schema

INSTANT = re.compile(r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?$")
DAY = re.compile(r"^\d{4}-\d\d-\d\d$")
MAX_DEPTH = 12

_FITS: dict[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: (isinstance(v, int) and not isinstance(v, bool)) or (isinstance(v, float) and v.is_integer()),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "object": lambda v: isinstance(v, dict),
    "any": lambda v: True,
}


def schema_of(contract: Contract, name: str, value: Any = None) -> Schema | None:
    """The schema of that name, or the variant of it that the value's @type tells."""
    schema = contract.schemas.get(name)
    told = value.get("@type") if isinstance(value, dict) else None
    if schema is not None and told:
        target = dict(schema.variants).get(told)
        if target and target != name:
            return contract.schemas.get(target, schema)
    return schema


def violations(contract: Contract, name: str, value: Any, *, partial: bool = False) -> list[str]:
    """What is wrong with a value of that schema; `partial`: mandatory attributes of the first level may be missing."""
    return list(_object(contract, name, value, "", partial, 0))


def _object(contract: Contract, name: str, value: Any, where: str, partial: bool, depth: int) -> Iterator[str]:
    schema = schema_of(contract, name, value)
    if schema is None or depth > MAX_DEPTH or not (schema.attributes or schema.variants):
        return
    if not isinstance(value, dict):
        yield f"{where or 'the answer'} is {kind(value)} instead of an object ({name})"
        return
    for attribute in schema.attributes:
        path = f"{where}.{attribute.name}".lstrip(".")
        if attribute.name not in value:
            if attribute.required and not partial:
                yield f"{path} is mandatory and missing"
            continue
        found = value[attribute.name]
        if found is None:
            if attribute.required:
                yield f"{path} is mandatory and null"
            continue
        yield from _attribute(contract, attribute, found, path, depth)


def _attribute(contract: Contract, attribute: Attribute, value: Any, path: str, depth: int) -> Iterator[str]:
    if attribute.many:
        if not isinstance(value, list):
            yield f"{path} is {kind(value)} instead of an array"
            return
        for index, item in enumerate(value):
            yield from _single(contract, attribute, item, f"{path}[{index}]", depth)
    else:
        yield from _single(contract, attribute, value, path, depth)


def _single(contract: Contract, attribute: Attribute, value: Any, path: str, depth: int) -> Iterator[str]:
    if attribute.type not in KINDS:
        yield from _object(contract, attribute.type, value, path, False, depth + 1)
        return
    if attribute.name == "id" and isinstance(value, str):  # some files say integer; TMF630 Part 1 2.3 says text
        return
    if not _FITS[attribute.type](value):
        yield f"{path} is {kind(value)} instead of {attribute.type}"
    elif attribute.enum and str(value) not in {e.strip() for e in map(str, attribute.enum)} | set(attribute.enum):
        yield f"{path} is {value!r}, which the enumeration does not have"
    elif attribute.format == "date-time" and instant(value) is None:
        yield f"{path} is {value!r}, which is no date-time"
    elif attribute.format == "date" and not DAY.match(str(value)) and instant(value) is None:
        yield f"{path} is {value!r}, which is no date"


def nulls(contract: Contract, name: str, value: Any) -> list[str]:
    """First-level attributes of a value of that schema that are null, though their type has no null."""
    schema = schema_of(contract, name, value)
    if schema is None or not isinstance(value, dict):
        return []
    return [a.name for a in schema.attributes if a.type != "any" and a.name in value and value[a.name] is None]


def zoneless(contract: Contract, name: str, value: Any, where: str = "", depth: int = 0) -> list[str]:
    """Date-times in a value of that schema that have no zone, with which RFC 3339 makes them an instant."""
    schema = schema_of(contract, name, value)
    if schema is None or not isinstance(value, dict) or depth > MAX_DEPTH:
        return []
    found = []
    for attribute in schema.attributes:
        inner = value.get(attribute.name)
        path = f"{where}.{attribute.name}".lstrip(".")
        for item in inner if isinstance(inner, list) else [inner]:
            if attribute.type not in KINDS:
                found += zoneless(contract, attribute.type, item, path, depth + 1)
            elif attribute.format == "date-time" and isinstance(item, str):
                match = INSTANT.match(item)
                found += [f"{path} is {item!r}"] if match and not match[3] else []
    return found


def kind(value: Any) -> str:
    """The JSON type of a value, for a sentence."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a text", list: "an array"}
    return names.get(type(value), "an object")


def instant(value: Any) -> datetime | None:
    """A date-time of RFC 3339 (a missing zone is read as UTC), or a date; None if it is neither."""
    if not isinstance(value, str):
        return None
    try:
        if INSTANT.match(value):
            read = datetime.fromisoformat(value.upper().replace(" ", "T"))
        elif DAY.match(value):
            read = datetime.combine(date.fromisoformat(value), datetime.min.time())
        else:
            return None
    except ValueError:
        return None
    from datetime import UTC

    return read if read.tzinfo else read.replace(tzinfo=UTC)


def leaves(document: Any, dotted: str) -> list[Any]:
    """All values at a dotted path; arrays on the way are entered."""
    nodes = [document]
    for name in dotted.split("."):
        nodes = [n[name] for n in nodes if isinstance(n, dict) and name in n]
        nodes = [m for n in nodes for m in (n if isinstance(n, list) else [n])]
    return nodes


def leaf_paths(document: Any, prefix: str = "", depth: int = 3) -> list[str]:
    """Dotted paths of the scalars in a document, each once, outer ones first."""
    found: dict[str, None] = {}
    if isinstance(document, dict) and depth:
        for name, value in document.items():
            path = f"{prefix}.{name}".lstrip(".")
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    found |= dict.fromkeys(leaf_paths(item, path, depth - 1))
                elif isinstance(item, str | int | float | bool):
                    found[path] = None
    return sorted(found, key=lambda p: p.count("."))


def attribute_at(contract: Contract, schema: str, dotted: str) -> Attribute | None:
    """What the contract says of the attribute at a dotted path."""
    name = schema
    found: Attribute | None = None
    for part in dotted.split("."):
        has = contract.schemas.get(name)
        found = has.attribute(part) if has else None
        if found is None:
            return None
        name = found.type
    return found


def not_kept(sent: Any, found: Any, path: str = "") -> list[str]:
    """What of a body is not found again in an answer; the answer may say more. Instants are compared as instants."""
    if isinstance(sent, dict):
        if not isinstance(found, dict):
            return [f"{path} is {kind(found)} instead of an object"]
        return [m for k, v in sent.items() for m in not_kept(v, found.get(k), f"{path}.{k}".lstrip("."))]
    if isinstance(sent, list):
        if not isinstance(found, list) or len(found) != len(sent):
            return [f"{path} has {len(found) if isinstance(found, list) else 'no'} items instead of {len(sent)}"]
        return [m for i, (a, b) in enumerate(zip(sent, found, strict=True)) for m in not_kept(a, b, f"{path}[{i}]")]
    return [] if same(sent, found) else [f"{path} is {found!r} instead of {sent!r}"]


def same(a: Any, b: Any) -> bool:
    """Equal as JSON; 1 and 1.0 are equal, and so are two spellings of one instant."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if a == b:
        return True
    first, second = instant(a), instant(b)
    return first is not None and first == second
