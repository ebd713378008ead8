"""The OpenAPI file of each API and version, made from the declarations. Nothing is generated into code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field
from pydantic.json_schema import JsonSchemaMode

from tmfkit.event import ENVELOPES
from tmfkit.openapi_schemas import REF as REF
from tmfkit.openapi_schemas import as_merged, reference, schemas_of, with_read_only
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
    "default": "Any other error",
}


class Error(TmfModel):
    """What went wrong, for a program (code) and a person (reason, message)."""

    code: str
    reason: str
    message: str | None = None
    status: str | None = None
    referenceError: str | None = None
    attribute: str | None = None


class ErrorV5(Error):
    """What went wrong, for a program (code) and a person (reason, message)."""

    at_type: Annotated[str, Field(alias="@type")]


class EventSubscription(BaseModel):
    """Who wants to hear which events, and where."""

    id: str
    callback: str
    query: str | None = None


class EventSubscriptionInput(BaseModel):
    """A registration."""

    callback: str
    query: str | None = None


class Hub(TmfModel):
    """Who wants to hear which events, and where."""

    at_type: Annotated[str, Field(alias="@type")]
    id: str
    href: str
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
    error, hub, registration = (Error, EventSubscription, EventSubscriptionInput) if v4 else (ErrorV5, Hub, HubCreate)
    envelope = ENVELOPES["v4" if v4 else "v5"]
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(error, "serialization"), (hub, "serialization")]
    models += [(registration, "validation"), (JsonPatchOperation, "validation"), (envelope, "serialization")]
    for form in forms:
        models.append((form.view.model, "serialization"))
        if "create" in form.resource.operations:
            models.append((form.create_model, "validation"))
        if "patch" in form.resource.operations:
            models.append((form.update_model, "validation"))
    schemas, names = schemas_of(models, [form.view.model for form in forms])
    enveloped = schemas.pop(names[envelope, "serialization"])
    for plain, model in (("Error", error), ("Hub_FVO", registration)):
        mode: JsonSchemaMode = "serialization" if model is error else "validation"
        if plain == "Error" or not v4:
            schemas[plain] = schemas.pop(names[model, mode])
            names[model, mode] = plain
    paths: dict[str, Any] = {}
    webhooks: dict[str, Any] = {}
    for form in forms:
        shown = schemas[names[form.view.model, "serialization"]]
        _server_owned(form, schemas, names)
        if not v4 and "@type" not in shown.get("required", ()):
            shown["required"] = ["@type", *shown.get("required", ())]
        paths.update(_paths(form, names))
        for kind in form.resource.raised(sorted(form.resource.event_kinds)):
            event = form.resource.event_type(kind)
            schemas[event] = _event(
                form.resource, kind, reference(names[form.view.model, "serialization"]), enveloped, v4
            )
            webhooks[event[0].lower() + event[1:]] = {"post": _notified(event, v4)}
    told = reference(names[hub, "serialization"])
    given = names[registration, "validation"]
    paths["/hub"] = {
        "post": _operation("registerListener", "Subscribe to events", "201", told, body=given),
        "get": _operation("listHub", "Subscriptions", "200", {"type": "array", "items": told}),
    }
    paths["/hub/{id}"] = {
        "parameters": [_ID],
        "get": _operation("retrieveHub", "One subscription", "200", told),
        "delete": _operation("unregisterListener", "End a subscription", "204", None),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{api} {name}", "version": version, "description": f"Served by {component}."},
        "servers": [{"url": base_path}],
        "paths": {p: paths[p] for p in sorted(paths)},
        "webhooks": {w: webhooks[w] for w in sorted(webhooks)},
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


def _paths(form: Form, names: Mapping[Any, str]) -> dict[str, Any]:
    shown = reference(names[form.view.model, "serialization"])
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
            body=names[form.create_model, "validation"],
        )
    if "retrieve" in have:
        one["get"] = _operation(f"retrieve{name}", f"Retrieve a {name} by id", "200", shown, parameters=[_FIELDS])
    if "patch" in have:
        operation = _operation(f"patch{name}", f"Change a {name}", "200", shown, parameters=[_FIELDS])
        update = {"schema": reference(names[form.update_model, "validation"])}
        operations = {"schema": {"type": "array", "items": reference("JsonPatchOperation")}}
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
    error = {"application/json": {"schema": reference("Error")}}
    out: dict[str, Any] = {
        "operationId": operation_id,
        "summary": summary,
        "responses": {status: success, **{s: {"description": d, "content": error} for s, d in ERRORS.items()}},
    }
    if parameters:
        out["parameters"] = parameters
    if body:
        content = {"application/json": {"schema": reference(body)}}
        out["requestBody"] = {"required": True, "content": content}
    return out


def _notified(event: str, v4: bool) -> dict[str, Any]:
    """What a listener is sent, and what it answers."""
    return {
        "operationId": f"listenTo{event}",
        "summary": f"Hear of a {event}",
        "requestBody": {"required": True, "content": {"application/json": {"schema": reference(event)}}},
        "responses": {
            "201" if v4 else "204": {"description": "Heard. Any other success will do"},
            "default": {"description": "Not heard: sent again until the listener answers with success"},
        },
    }


def _event(resource: Resource, kind: str, shown: dict[str, Any], envelope: dict[str, Any], v4: bool) -> dict[str, Any]:
    properties = {**envelope["properties"], "event": {"type": "object", "properties": {resource.payload: shown}}}
    if v4 and kind not in ("AttributeValueChange", "InformationRequired"):
        properties.pop("fieldPath")
    return {
        "type": "object",
        "properties": properties,
        "required": [*envelope["required"], "event"],
        "description": f"{kind} of a {resource.name}",
    }


def _server_owned(form: Form, schemas: dict[str, Any], names: Mapping[Any, str]) -> None:
    """What no client sets is read-only, in answers and in requests."""
    shown = schemas[names[form.view.model, "serialization"]]
    owned = form.resource.server_owned | form.read_only
    given = owned if form.view.version == "v4" else owned - {"id"}  # v5 takes an id on POST
    for model, what in ((form.create_model, given), (form.update_model, owned)):
        name = names.get((model, "validation"))
        if name is not None:
            with_read_only(schemas[name], shown, what)
    changed = names.get((form.update_model, "validation"))
    if changed is not None:
        as_merged(schemas, changed, "_Update" if form.view.version == "v4" else "_MVO")
    for attribute, schema in shown.get("properties", {}).items():
        if attribute in owned:
            schema["readOnly"] = True
