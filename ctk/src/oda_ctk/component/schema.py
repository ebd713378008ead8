"""What a custom resource may look like, as facts: types, mandatory fields, enumerations, limits and rules.

The facts come from the table in facts/ (oda.tmforum.org/v1 Component) or from a CRD file (oda_ctk.component.crd).
Judging is strict: a field that the schema does not have is a fault, though the API server would only drop it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from oda_ctk.component.cel import here_or_first, holds, worded

Kind = Literal["unknown", "type", "required", "value", "rule"]
JSON_TYPES = ("object", "array", "string", "integer", "number", "boolean")
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
}


@dataclass(frozen=True)
class Node:
    """One place of a structural schema. `type` "" is any type; `open`: further fields are kept as they are.

    `values` is the schema of the values of a map. `limits` are the bounds by the names that OpenAPI gives them.
    """

    type: str = ""
    properties: Mapping[str, Node] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    items: Node | None = None
    values: Node | None = None
    enum: tuple[Any, ...] = ()
    pattern: str = ""
    format: str = ""
    limits: Mapping[str, float] = field(default_factory=dict)
    open: bool = False
    nullable: bool = False
    int_or_string: bool = False
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fault:
    """Where a document does not fit its schema, and why."""

    kind: Kind
    path: str
    reason: str
    value: Any = None


def faults(node: Node, value: Any, path: str = "") -> Iterator[Fault]:
    """Everything in a value that does not fit."""
    if value is None and node.nullable:
        return
    if node.int_or_string:
        if not (TYPES["integer"](value) or isinstance(value, str)):
            yield Fault("type", path, f"{path} is neither an integer nor a string", value)
        return
    if node.type and not TYPES[node.type](value):
        yield Fault("type", path, f"{path} is {_named(value)} instead of {node.type}", value)
        return
    yield from _bounds(node, value, path)
    if isinstance(value, dict):
        yield from _object(node, value, path)
    elif isinstance(value, list) and node.items is not None:
        for number, one in enumerate(value):
            yield from faults(node.items, one, f"{path}[{number}]")
    for rule in node.rules:
        if not holds(rule, value):
            yield Fault("rule", path, f"{path} does not keep the rule {worded(rule)}", value)


def _object(node: Node, value: dict[Any, Any], path: str) -> Iterator[Fault]:
    below = f"{path}." if path else ""
    for name in sorted(node.required - value.keys()):
        yield Fault("required", path, f"{below}{name} is missing", value)
    for name, one in value.items():
        if name in node.properties:
            yield from faults(node.properties[name], one, f"{below}{name}")
        elif node.values is not None:
            yield from faults(node.values, one, f"{below}{name}")
        elif not node.open and node.type == "object":
            yield Fault("unknown", f"{below}{name}", f"{below}{name} is no field of the schema", {name: one})


MEASURES: dict[str, tuple[Callable[[Any], float], Callable[[float, float], bool], type | tuple[type, ...], str]] = {
    "minItems": (len, lambda a, b: a >= b, list, "has fewer than {} items"),
    "maxItems": (len, lambda a, b: a <= b, list, "has more than {} items"),
    "minLength": (len, lambda a, b: a >= b, str, "is shorter than {} characters"),
    "maxLength": (len, lambda a, b: a <= b, str, "is longer than {} characters"),
    "minProperties": (len, lambda a, b: a >= b, dict, "has fewer than {} fields"),
    "maxProperties": (len, lambda a, b: a <= b, dict, "has more than {} fields"),
    "minimum": (float, lambda a, b: a >= b, (int, float), "is less than {}"),
    "maximum": (float, lambda a, b: a <= b, (int, float), "is greater than {}"),
}
"""Limit: how it is measured, when it is kept, of which types, and what is said when it is not."""


def _bounds(node: Node, value: Any, path: str) -> Iterator[Fault]:
    if node.enum and value not in node.enum:
        told = ", ".join(str(v) for v in node.enum)
        yield Fault("value", path, f"{path} is {value!r}; it may be {told}", value)
    if node.pattern and isinstance(value, str) and not re.search(node.pattern, value):
        yield Fault("value", path, f"{path} is {value!r}, which does not match {node.pattern}", value)
    if node.format == "date-time" and isinstance(value, str) and not _instant(value):
        yield Fault("value", path, f"{path} is {value!r}, which is no date-time of RFC 3339", value)
    for name, bound in node.limits.items():
        measure, kept, types, said = MEASURES[name]
        if isinstance(value, types) and not isinstance(value, bool) and not kept(measure(value), bound):
            kind: Kind = "required" if name == "minItems" else "value"
            yield Fault(kind, path, f"{path} {said.format(f'{bound:g}')}", value)


def _instant(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text):
        return False
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", text.upper()))
    except ValueError:
        return False
    return True


def _named(value: Any) -> str:
    if value is None:
        return "null"
    kind = next((name for name in ("boolean", "integer", *JSON_TYPES) if TYPES[name](value)), type(value).__name__)
    return kind if isinstance(value, dict | list) else f"the {kind} {json.dumps(value, default=str)}"


# The table: a line for the kind, then its schemas, one field a line.
#
#   crd oda.tmforum.org v1 Component
#   schema ExposedAPI
#     name string required
#     specification ExposedSpecification[] required min=1
#     labels string{}                     a map
#     status open                         an object of any content
#     ...                                 further fields are kept
#     ! apiType port                      these stand at the root, or all of them in specification[0]


def read(text: str) -> tuple[tuple[str, str, str], Node]:
    """Group, version and kind, and the schema in a table."""
    key = ("", "", "")
    schemas: dict[str, list[str]] = {}
    inside = first = ""
    for line in text.splitlines():
        if line.startswith("crd "):
            _, group, version, kind = line.split(" ")
            key = (group, version, kind)
        elif line.startswith("schema "):
            inside = line.removeprefix("schema ")
            first = first or inside
            schemas[inside] = []
        elif line.startswith("  "):
            schemas[inside].append(line[2:])
        else:
            raise ValueError(f"A line of a table is not understood: {line!r}")
    return key, _schema(first, schemas)


def _schema(name: str, schemas: Mapping[str, list[str]]) -> Node:
    properties: dict[str, Node] = {}
    required: set[str] = set()
    rules: list[str] = []
    for line in schemas[name]:
        word, _, rest = line.partition(" ")
        if word == "!":
            rules.append(here_or_first(rest.split(" ")))
        elif word != "...":
            head, _, enum = rest.partition(" enum=")
            kind, *more = head.split(" ")
            told = dict(part.partition("=")[::2] for part in more)
            if told.keys() - {"required", "min", "format"}:
                raise ValueError(f"A line of a table is not understood: {line!r}")
            if "required" in told:
                required.add(word)
            values = tuple(json.loads(enum)) if enum else ()
            properties[word] = _node(kind, told.get("min", ""), told.get("format", ""), values, schemas)
    return Node("object", properties, frozenset(required), open="..." in schemas[name], rules=tuple(rules))


def _node(kind: str, least: str, form: str, enum: tuple[Any, ...], schemas: Mapping[str, list[str]]) -> Node:
    if kind.endswith("[]"):
        limits = {"minItems": float(least)} if least else {}
        return Node("array", items=_node(kind[:-2], "", form, enum, schemas), limits=limits)
    if kind.endswith("{}"):
        return Node("object", values=_node(kind[:-2], "", form, enum, schemas))
    if kind == "open":
        return Node("object", open=True)
    return Node(kind, enum=enum, format=form) if kind in JSON_TYPES else _schema(kind, schemas)


@cache
def component_v1() -> Node:
    """The shipped facts of the Component in oda.tmforum.org/v1."""
    text = files(__package__).joinpath("facts", "Component-v1.txt").read_text(encoding="utf-8")
    return read(text)[1]
