"""The OpenAPI file of each API and version, made from the declarations. Nothing is generated into code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tmfkit.query import model_fields
from tmfkit.resource import Resource
from tmfkit.types import TmfModel
from tmfkit.write import Form

ERRORS = {
    "400": "The request is not valid; the attribute at fault is named",
    "401": "Who is calling is not known",
    "403": "The caller may not do this",
    "404": "There is no such resource",
    "405": "The resource does not have this method",
    "409": "In conflict with the state of the resource",
    "500": "Internal error",
}
REF = "#/components/schemas/{model}"


class Error(TmfModel):
    """What went wrong, for a program (code) and a person (reason, message)."""

    code: str
    reason: str
    message: str | None = None
    status: str | None = None
    referenceError: str | None = None  # noqa: N815 wire name


class Hub(TmfModel):
    """Who wants to hear which events, and where."""

    id: str
    callback: str
    query: str | None = None


class HubCreate(TmfModel):
    """A registration."""

    callback: str
    query: str | None = None


class JsonPatchOperation(BaseModel):
    """One operation of RFC 6902 or of JSON Patch Query."""

    op: str
    path: str
    value: Any = None


def document(
    *, component: str, api: str, name: str, version: str, base_path: str, forms: Sequence[Form]
) -> dict[str, Any]:
    """One OpenAPI 3.1 document, keys in a stable order."""
    v4 = version == "v4"
    event_time = "timeOcurred" if v4 else "timeOccurred"
    models: list[tuple[type[BaseModel], Any]] = [(Error, "serialization"), (Hub, "serialization")]
    models += [(HubCreate, "validation"), (JsonPatchOperation, "validation")]
    for form in forms:
        models.append((form.view.model, "serialization"))
        if "create" in form.resource.operations:
            models.append((form.create_model, "validation"))
        if "patch" in form.resource.operations:
            models.append((form.update_model, "validation"))
    refs, definitions = models_json_schema(models, ref_template=REF)
    schemas = dict(definitions.get("$defs", {}))
    paths: dict[str, Any] = {}
    for form in forms:
        shown = {"$ref": refs[form.view.model, "serialization"]["$ref"]}
        paths.update(_paths(form, shown, refs))
        for kind in sorted(form.resource.event_kinds):
            schemas[form.resource.event_type(kind)] = _event(form.resource, kind, shown, event_time, v4)
        for schema in _server_owned(form, schemas):
            schema["readOnly"] = True
    paths["/hub"] = {
        "post": _operation(
            "registerListener", "Subscribe to events", "201", {"$ref": REF.format(model="Hub")}, body=HubCreate.__name__
        ),
        "get": _operation(
            "listHub", "Subscriptions", "200", {"type": "array", "items": {"$ref": REF.format(model="Hub")}}
        ),
    }
    paths["/hub/{id}"] = {
        "parameters": [_ID],
        "get": _operation("retrieveHub", "One subscription", "200", {"$ref": REF.format(model="Hub")}),
        "delete": _operation("unregisterListener", "End a subscription", "204", None),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{api} {name}", "version": version, "description": f"Served by {component}."},
        "servers": [{"url": base_path}],
        "paths": {p: paths[p] for p in sorted(paths)},
        "components": {
            "schemas": {k: schemas[k] for k in sorted(schemas)},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "security": [{"bearer": []}],
    }


_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


def _parameter(name: str, kind: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": kind}}


_FIELDS = _parameter("fields", "string", "Attributes to return, comma separated, dotted; none for the identity alone")
_PAGING = [
    _FIELDS,
    _parameter("offset", "integer", "Index of the first resource to return"),
    _parameter("limit", "integer", "Number of resources to return"),
    _parameter("sort", "string", "Attributes to sort by, comma separated, - for descending"),
    _parameter("filter", "string", "JSONPath condition; plain conditions are given as attribute=value"),
]


def _paths(form: Form, shown: dict[str, Any], refs: Any) -> dict[str, Any]:
    resource, have = form.resource, form.resource.operations
    name, path = resource.name, f"/{resource.path}"
    collection: dict[str, Any] = {}
    one: dict[str, Any] = {}
    if "list" in have:
        listed = {"type": "array", "items": shown}
        operation = _operation(f"list{name}", f"List or find {name} resources", "200", listed, parameters=_PAGING)
        counts = {h: {"schema": {"type": "integer"}} for h in ("X-Total-Count", "X-Result-Count")}
        operation["responses"]["200"]["headers"] = counts
        operation["responses"]["206"] = {**operation["responses"]["200"], "description": "A strict part of the whole"}
        collection["get"] = operation
    if "create" in have:
        collection["post"] = _operation(
            f"create{name}",
            f"Create a {name}",
            "202" if resource.accepted else "201",
            shown,
            parameters=[_FIELDS],
            body=_model(refs, form.create_model),
        )
    if "retrieve" in have:
        one["get"] = _operation(f"retrieve{name}", f"Retrieve a {name} by id", "200", shown, parameters=[_FIELDS])
    if "patch" in have:
        operation = _operation(f"patch{name}", f"Change a {name}", "200", shown, parameters=[_FIELDS])
        update = {"schema": {"$ref": refs[form.update_model, "validation"]["$ref"]}}
        operations = {"schema": {"type": "array", "items": {"$ref": REF.format(model="JsonPatchOperation")}}}
        operation["requestBody"] = {
            "required": True,
            "content": {
                "application/json": update,
                "application/merge-patch+json": update,
                "application/json-patch+json": operations,
                "application/json-patch-query+json": operations,
            },
        }
        one["patch"] = operation
    if "delete" in have:
        one["delete"] = _operation(f"delete{name}", f"Delete a {name}", "204", None)
    out = {}
    if collection:
        out[path] = collection
    if one:
        out[path + "/{id}"] = {"parameters": [_ID], **one}
    return out


def _model(refs: Any, model: type[BaseModel]) -> str:
    return str(refs[model, "validation"]["$ref"]).rsplit("/", 1)[-1]


def _operation(
    operation_id: str,
    summary: str,
    status: str,
    schema: dict[str, Any] | None,
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: str | None = None,
) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done" if status != "200" else "What was asked for"}
    if schema is not None:
        success["content"] = {"application/json": {"schema": schema}}
    error = {"application/json": {"schema": {"$ref": REF.format(model="Error")}}}
    out: dict[str, Any] = {
        "operationId": operation_id,
        "summary": summary,
        "responses": {status: success, **{s: {"description": d, "content": error} for s, d in ERRORS.items()}},
    }
    if parameters:
        out["parameters"] = parameters
    if body:
        content = {"application/json": {"schema": {"$ref": REF.format(model=body)}}}
        out["requestBody"] = {"required": True, "content": content}
    return out


def _event(resource: Resource, kind: str, shown: dict[str, Any], event_time: str, v4: bool) -> dict[str, Any]:
    text = {"type": "string"}
    instant = {"type": "string", "format": "date-time"}
    properties: dict[str, Any] = {
        "eventId": text,
        "eventTime": instant,
        "eventType": text,
        "correlationId": text,
        "domain": text,
        "title": text,
        "description": text,
        "priority": text,
        event_time: instant,
        "event": {"type": "object", "properties": {resource.path: shown}},
    }
    if not v4:
        properties["@type"] = text
    return {"type": "object", "properties": properties, "description": f"{kind} of a {resource.name}"}


def _server_owned(form: Form, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    properties = schemas.get(form.view.model.__name__, {}).get("properties", {})
    owned = form.resource.server_owned | form.read_only
    return [properties[n] for n in model_fields(form.view.model) if n in owned and n in properties]
