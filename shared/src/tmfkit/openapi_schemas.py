"""The schemas of an OpenAPI file: what Pydantic says of the models, put the way readers of OpenAPI expect it.

A model with forms becomes a choice with a discriminator; one model is one schema under its own name, wherever the two
directions agree; what only the server sets is read-only in requests. Pure.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from tmfkit.base import FORMS, OTHER

PREFIX = "#/components/schemas/"
REF = PREFIX + "{model}"
UNSAID = ("default", None)
"""A client made from a file that says so would send null, and delete by PATCH what it does not know."""
Schema = dict[str, Any]
Models = Iterable[tuple[type[BaseModel], JsonSchemaMode]]


def schemas_of(models: Models, answers: Iterable[type[BaseModel]]) -> tuple[dict[str, Schema], dict[Any, str]]:
    """The schemas of models by name, and the name of the schema of each (model, mode). Of the schemas of one model for
    both modes that are not the same, that of `answers` has the plain name."""
    shown = {f"{model.__name__}-Output" for model in answers}
    refs, definitions = models_json_schema(list(models), ref_template=REF)
    schemas: dict[str, Schema] = definitions.get("$defs", {})
    names = {key: str(told["$ref"]).removeprefix(PREFIX) for key, told in refs.items()}
    for renamed in (_short, _united, lambda s: {n: n.removesuffix("-Output") for n in s if n in shown}):
        to = renamed(schemas)
        schemas = {to.get(name, name): _renamed(schema, to) for name, schema in schemas.items()}
        names = {key: to.get(name, name) for key, name in names.items()}
    return _with_choices(schemas), names


def reference(name: str) -> Schema:
    return {"$ref": PREFIX + name}


def target(schema: Schema) -> str:
    """The name of the schema that a reference is to."""
    return str(schema["$ref"]).removeprefix(PREFIX)


def _short(schemas: Mapping[str, Schema]) -> dict[str, str]:
    """Plain names for models of the same name in different modules: that of the component keeps it, that of the kernel
    is a value of it."""
    out = {}
    for name in schemas:
        module, _, plain = name.rpartition("__")
        if module:
            out[name] = plain if not module.startswith("tmfkit") else re.sub(r"(?=-|$)", "Value", plain, count=1)
    return {old: new for old, new in out.items() if new not in schemas and list(out.values()).count(new) == 1}


def _united(schemas: Mapping[str, Schema]) -> dict[str, str]:
    """A common name for the schemas of both directions, where they say the same."""
    inputs = [n.removesuffix("-Input") for n in schemas if n.endswith("-Input")]
    pairs = {n: next((o for o in (n, f"{n}-Output") if o in schemas), "") for n in inputs}
    pairs = {name: output for name, output in pairs.items() if output}
    while True:
        to = {way: name for name, output in pairs.items() for way in (f"{name}-Input", output)}
        same = {n: o for n, o in pairs.items() if _renamed(schemas[f"{n}-Input"], to) == _renamed(schemas[o], to)}
        if same == pairs:
            return to
        pairs = same


def _renamed(part: Any, to: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        out = {key: _renamed(value, to) for key, value in part.items()}
        if isinstance(ref := part.get("$ref"), str):
            name = ref.removeprefix(PREFIX)
            out["$ref"] = PREFIX + to.get(name, name)
        return out
    return [_renamed(one, to) for one in part] if isinstance(part, list) else part


def _with_choices(schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Every choice between forms under the name of its model; the model itself becomes <name>Base. Titles go: Pydantic
    makes them of the names."""
    choices: dict[str, Schema] = {}
    base: dict[str, str] = {}

    def found(part: Any) -> Any:
        if isinstance(part, list):
            return [found(one) for one in part]
        if not isinstance(part, dict):
            return part
        if FORMS not in part:
            return {
                k: found(v) for k, v in part.items() if not (k == "title" and isinstance(v, str)) and (k, v) != UNSAID
            }
        told = dict(zip(part[FORMS], part["anyOf"], strict=True))
        itself = target(told[OTHER])
        base[itself] = re.sub(r"(?=-|$)", "Base", itself, count=1)
        forms = {name: ref["$ref"] for name, ref in told.items() if name != OTHER}
        forms.setdefault(itself.split("-")[0].removesuffix("Value"), PREFIX + base[itself])
        choices[itself] = {
            "anyOf": [*part["anyOf"][:-1], {"$ref": PREFIX + base[itself]}],
            "discriminator": {"propertyName": "@type", "mapping": dict(sorted(forms.items()))},
        }
        return reference(itself)

    rest = {base.get(name, name): schema for name, schema in found(schemas).items()}
    for choice in choices.values():
        for form in choice["anyOf"]:  # generators make a literal of what decides, if it is a text and nothing else
            rest[target(form)]["properties"]["@type"] = {"type": "string"}
    return rest | choices


def read_only(schema: Schema) -> Schema:
    """An attribute that a client may read but not set."""
    return (
        {**copy.deepcopy(schema), "readOnly": True} if "$ref" not in schema else {"allOf": [schema], "readOnly": True}
    )


def with_read_only(schema: Schema, shown: Schema, owned: Iterable[str]) -> None:
    """Add to the schema of a request what the server owns of the answer's, as read-only. Changes `schema`."""
    known = schema.setdefault("properties", {})
    for name in sorted(owned):
        if name in shown["properties"]:
            known[name] = read_only({k: v for k, v in shown["properties"][name].items() if k != "readOnly"})
    if "required" in schema:
        schema["required"] = [name for name in schema["required"] if name not in set(owned)]


def as_merged(schemas: dict[str, Schema], name: str, suffix: str) -> None:
    """Make the schema of a merge patch: what it says of an object inside is put into the one that is stored, so nothing
    of it is required. A member of an array is whole, as an array takes the place of the stored one. Changes `schemas`.
    """
    made: dict[str, str] = {}

    def merged(part: Schema) -> Schema:
        if "$ref" in part:
            return reference(copied(target(part)))
        return {**part, "anyOf": [merged(p) for p in part["anyOf"]]} if "anyOf" in part else part

    def copied(inner: str) -> str:
        if inner not in made:
            schema = schemas[inner]
            made[inner] = inner
            if not _requires(schemas, inner, set()):
                return inner
            made[inner] = inner + suffix if inner + suffix not in schemas else f"{inner}Value{suffix}"
            copy_: Schema = {k: v for k, v in schema.items() if k != "required"}
            if "properties" in schema:
                copy_["properties"] = {k: merged(v) for k, v in schema["properties"].items()}
            if "discriminator" in schema:
                mapping = {k: merged({"$ref": v})["$ref"] for k, v in schema["discriminator"]["mapping"].items()}
                copy_ |= {"anyOf": [merged(p) for p in schema["anyOf"]]}
                copy_["discriminator"] = {**schema["discriminator"], "mapping": mapping}
            schemas[made[inner]] = copy_
        return made[inner]

    properties = schemas[name].get("properties", {})
    schemas[name] = {**schemas[name], "properties": {k: merged(v) for k, v in properties.items()}}


def _requires(schemas: Mapping[str, Schema], name: str, above: set[str]) -> bool:
    """Whether a schema requires anything, itself or in an object inside."""
    schema = schemas[name]
    if name in above:
        return False
    inside = [schema, *schema.get("properties", {}).values()]
    refs = [p for part in inside for p in [part, *part.get("anyOf", ())] if "$ref" in p]
    return bool(schema.get("required")) or any(_requires(schemas, target(r), above | {name}) for r in refs)
