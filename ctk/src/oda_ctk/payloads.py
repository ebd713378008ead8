"""Bodies made from a contract where a suite has none, and bodies with one thing wrong. Values are our own."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

from oda_ctk.contract import KINDS, Attribute, Contract, Schema

MAX_DEPTH = 3
SUFFIXES = re.compile(r"(_FVO|_MVO|_RES|_Create|_Update|_Input)$")
LEFT_OUT = frozenset({"@baseType", "@schemaLocation"})
SERVER = frozenset({"id", "href"})
STATE = re.compile(r"(state|status)$", re.IGNORECASE)
"""States are left to the server, where they are optional: which is the first, a contract does not say."""
INSTANT = "2026-01-15T10:00:00.000Z"
LATER = "2026-12-31T10:00:00.000Z"
WRONG_ENUM = "ctk-no-such-value"


def class_name(schema: str) -> str:
    """Customer_FVO is Customer: the value of @type."""
    return SUFFIXES.sub("", schema)


def minimal(contract: Contract, schema: str) -> dict[str, Any]:
    """Only what is mandatory, at every level."""
    return _made(contract, schema, full=False, trail=())


def full(contract: Contract, schema: str) -> dict[str, Any]:
    """Every attribute, to a bounded depth; id and href are left to the server."""
    return _made(contract, schema, full=True, trail=())


def _made(contract: Contract, name: str, *, full: bool, trail: tuple[str, ...]) -> dict[str, Any]:
    schema = contract.schemas.get(name)
    if schema is None:
        return {"ctk": "value"}
    chosen, told = _variant(contract, schema)
    body: dict[str, Any] = {}
    for attribute in chosen.attributes:
        if not (attribute.required or (trail and _expected(contract, chosen.name, attribute.name))):
            wanted = full and len(trail) < MAX_DEPTH and attribute.name not in LEFT_OUT | {"@type"}
            if not wanted or (not trail and (attribute.name in SERVER or STATE.search(attribute.name))):
                continue
            if attribute.type not in KINDS and (attribute.type in trail or attribute.type == name):
                continue
        value = _value(contract, attribute, chosen.name, full=full, trail=(*trail, name))
        if attribute.name == "@type":
            value = told
        body[attribute.name] = [value] if attribute.many else value
    if not body and not chosen.attributes:
        body["ctk"] = "value"
    return body


def _expected(contract: Contract, owner: str, name: str) -> bool:
    """What answers must have, and bodies should: @type of every object in version 5, and the id of a reference."""
    return (name == "@type" and contract.version != "v4") or (name == "id" and class_name(owner).endswith("Ref"))


def _variant(contract: Contract, schema: Schema) -> tuple[Schema, str]:
    """The form that is written: a reference where there is one, else a text, else the class itself."""
    forms = [(t, contract.schemas[n]) for t, n in schema.variants if n in contract.schemas]
    if not forms or (any(n is schema for _, n in forms) and schema.attributes and not _abstract(schema)):
        return schema, class_name(schema.name)
    usable = [(told, form) for told, form in forms if form.attributes] or forms
    refs = [(told, form) for told, form in usable if told.endswith("Ref")]
    simple = [(told, form) for told, form in usable if told.startswith(("String", "Email")) and "Array" not in told]
    told, form = (refs or simple or usable)[0]
    return form, told


def _abstract(schema: Schema) -> bool:
    """Forms of a value, of which the class itself has none."""
    return any(told.startswith(("String", "Email", "JsonLd")) for told, _ in schema.variants)


def _value(contract: Contract, attribute: Attribute, owner: str, *, full: bool, trail: tuple[str, ...]) -> Any:
    if attribute.type not in KINDS:
        if len(trail) > 2 * MAX_DEPTH:
            return {}
        return _made(contract, attribute.type, full=full and attribute.type not in trail, trail=trail)
    if attribute.enum:
        return attribute.enum[0]
    return {
        "integer": 1,
        "number": 1.5,
        "boolean": True,
        "any": "ctk value",
        "object": {"ctk": "value"},
    }.get(attribute.type) or _text(attribute, owner)


def _text(attribute: Attribute, owner: str) -> str:
    name = attribute.name
    lower = name.lower()
    if attribute.format in ("date-time", "date"):
        if lower.startswith("end"):
            return LATER if attribute.format == "date-time" else LATER[:10]
        return INSTANT if attribute.format == "date-time" else INSTANT[:10]
    if name == "@referredType":
        return re.sub(r"^Related|(RefOrValue|Ref)$", "", class_name(owner)) or "Entity"
    if attribute.format in ("uri", "url") or lower.endswith(("href", "url", "uri", "iri", "location")):
        return "https://example.org/ctk/1"
    if "email" in lower:
        return "ctk@example.org"
    known = {"valuetype": "string", "version": "1.0", "language": "en", "mimetype": "text/plain", "country": "DE"}
    return known.get(lower, f"ctk {name}" if name != "id" else "ctk-1")


def mandatory(
    contract: Contract, schema: str, body: Any, *, prefix: tuple[str | int, ...] = ()
) -> Iterator[tuple[str | int, ...]]:
    """Paths of the mandatory attributes that a body has, outer ones first; of an array the first item counts."""
    has = contract.schemas.get(schema)
    if has is None or not isinstance(body, dict):
        return
    variant = dict(has.variants).get(str(body.get("@type")), schema)
    has = contract.schemas.get(variant, has)
    inner: list[tuple[Attribute, tuple[str | int, ...], Any]] = []
    for attribute in has.attributes:
        if attribute.name not in body:
            continue
        if attribute.required:
            yield (*prefix, attribute.name)
        value = body[attribute.name]
        if attribute.type not in KINDS:
            if attribute.many and isinstance(value, list) and value:
                inner.append((attribute, (*prefix, attribute.name, 0), value[0]))
            elif not attribute.many:
                inner.append((attribute, (*prefix, attribute.name), value))
    for attribute, path, value in inner:
        yield from mandatory(contract, attribute.type, value, prefix=path)


def without(body: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    """The body with the attribute at that path taken out."""
    changed = copy.deepcopy(body)
    node: Any = changed
    for step in path[:-1]:
        node = node[step]
    del node[path[-1]]
    return changed


def told(path: tuple[str | int, ...]) -> str:
    """A path as it is written in a sentence: engagedParty.id, relatedParty[0].role."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".")


def wrong_types(contract: Contract, schema: str, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The body with one attribute of a wrong JSON type or form, and the sentence that tells which."""
    for attribute in _known(contract, schema, body):
        wrong: Any
        if attribute.many:
            wrong = "no array"
        elif attribute.type in ("any", "object") and attribute.type == "any":
            continue
        elif attribute.type == "string":
            wrong = "yesterday" if attribute.format in ("date-time", "date") else {"ctk": 1}
        elif attribute.type in ("integer", "number", "boolean"):
            wrong = "neither number nor truth"
        else:
            if attribute.type not in KINDS and not _has_attributes(contract, attribute.type):
                continue
            wrong = "no object"
        yield f"{attribute.name}={wrong!r}", {**body, attribute.name: wrong}


def wrong_enums(contract: Contract, schema: str, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The body with one enumerated attribute that has a value the enumeration lacks."""
    has = contract.schemas.get(schema)
    for attribute in has.attributes if has else ():
        if attribute.enum and not attribute.name.startswith("@"):
            wrong: Any = [WRONG_ENUM] if attribute.many else WRONG_ENUM
            yield f"{attribute.name}={WRONG_ENUM!r}", {**body, attribute.name: wrong}


def _known(contract: Contract, schema: str, body: dict[str, Any]) -> list[Attribute]:
    has = contract.schemas.get(schema)
    return [a for a in has.attributes if a.name in body and not a.name.startswith("@")] if has else []


def _has_attributes(contract: Contract, schema: str) -> bool:
    has = contract.schemas.get(schema)
    return has is not None and bool(has.attributes or has.variants)
