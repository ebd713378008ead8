"""The schemas of an OpenAPI file: what Pydantic says of the models, put the way readers of OpenAPI expect it.

A model with forms becomes a choice with a discriminator; one model is one schema under its own name, wherever the two
directions agree; what only the server sets is read-only in requests. Pure.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Set
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from pydantic_core.core_schema import IntSchema, ModelSchema

from tmfkit.base import FORMS, LARGEST, OTHER, SMALLEST

PREFIX = "#/components/schemas/"
REF = PREFIX + "{model}"
UNSAID = ("default", None)
"""A client made from a file that says so would send null, and delete by PATCH what it does not know."""
Schema = dict[str, Any]
Models = Iterable[tuple[type[BaseModel], JsonSchemaMode]]


def schemas_of(
    models: Models, requests: str, unsure: Mapping[type[BaseModel], Set[str]] = MappingProxyType({})
) -> tuple[dict[str, Schema], dict[Any, str]]:
    """The schemas of models by name, and the name of the schema of each (model, mode). Of the schemas of one model for
    both modes that are not the same, that of answers has the plain name, the other one ends with `requests`. `unsure`:
    what an answer may lack."""

    class Told(GenerateJsonSchema):
        def model_schema(self, schema: ModelSchema) -> Schema:
            told = super().model_schema(schema)
            lacking = unsure.get(schema["cls"], ()) if self.mode == "serialization" else ()
            if required := [name for name in told.get("required", ()) if name not in lacking]:
                told["required"] = required
            else:
                told.pop("required", None)
            return told

        def int_schema(self, schema: IntSchema) -> Schema:
            return {"minimum": SMALLEST, "maximum": LARGEST} | super().int_schema(schema)

    refs, definitions = models_json_schema(list(models), ref_template=REF, schema_generator=Told)
    schemas: dict[str, Schema] = definitions.get("$defs", {})
    names = {key: str(told["$ref"]).removeprefix(PREFIX) for key, told in refs.items()}
    for step in (_short, _united):
        schemas, names = _rename(schemas, names, step(schemas))
    schemas = _with_choices(schemas)
    ends = {"-Output": "", "-Input": requests}
    to = {n: n.removesuffix(old) + new for n in schemas for old, new in ends.items() if n.endswith(old)}
    return _rename(schemas, names, {old: new for old, new in to.items() if new not in schemas})


def _rename(
    schemas: Mapping[str, Schema], names: Mapping[Any, str], to: Mapping[str, str]
) -> tuple[dict[str, Schema], dict[Any, str]]:
    return (
        {to.get(name, name): _renamed(schema, to) for name, schema in schemas.items()},
        {key: to.get(name, name) for key, name in names.items()},
    )


def reference(name: str) -> Schema:
    return {"$ref": PREFIX + name}


def target(schema: Schema) -> str:
    """The name of the schema that a reference is to."""
    return str(schema["$ref"]).removeprefix(PREFIX)


def used(schemas: Mapping[str, Schema], by: list[Any]) -> dict[str, Schema]:
    """The schemas that are referred to, also by one another, in a stable order."""
    found: set[str] = set()
    waiting: list[Any] = [*by]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, str) and part.startswith(PREFIX) and (name := part.removeprefix(PREFIX)) not in found:
            found.add(name)
            waiting.append(schemas[name])
    return {name: schemas[name] for name in sorted(found)}


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
        if "mapping" in part and "propertyName" in part:
            out["mapping"] = {k: PREFIX + to.get(n := v.removeprefix(PREFIX), n) for k, v in part["mapping"].items()}
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
        way = next((m[0] for ref in forms.values() if (m := re.search(r"-(Input|Output)$", ref))), "")
        name = itself if itself.endswith(way) else itself + way
        choices[name] = {
            "anyOf": [*part["anyOf"][:-1], {"$ref": PREFIX + base[itself]}],
            "discriminator": {"propertyName": "@type", "mapping": dict(sorted(forms.items()))},
        }
        return reference(name)

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
            plain = inner.removesuffix("_FVO").removesuffix("_Create")
            made[inner] = plain + suffix if plain + suffix not in schemas else f"{plain}Value{suffix}"
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
