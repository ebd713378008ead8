"""The OpenAPI file of each API and version, made from the declarations. Nothing is generated into code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from pydantic.json_schema import JsonSchemaMode

from tmfkit.event import ENVELOPES
from tmfkit.http import JSON_PATCH
from tmfkit.openapi_schemas import REF as REF
from tmfkit.openapi_schemas import as_merged, reference, schemas_of, used, with_read_only
from tmfkit.query import ALWAYS, ALWAYS_V4
from tmfkit.resource import Resource
from tmfkit.subscription import EventSubscription, EventSubscriptionInput, Hub, HubCreate
from tmfkit.types import TmfModel
from tmfkit.versions import Unsure, unsure
from tmfkit.write import IMMUTABLE, MAX_BULK, Form

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


class JsonPatchOperation(BaseModel):
    """One operation of RFC 6902 or of JSON Patch Query."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"]
    path: str
    at_from: Annotated[str | None, Field(alias="from")] = None
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
    lacking: Unsure = defaultdict(set)
    for form in forms:
        for model, attributes in unsure(form.resource).items():
            lacking[model] |= attributes
    schemas, names = schemas_of(models, "_Create" if v4 else "_FVO", lacking)
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
    schemas[PARTIAL] = _partial(v4)
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
            "schemas": used(schemas, [paths, webhooks, _failed()]),
            "responses": _failed(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "security": [{"bearer": []}],
    }


def own(document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's document of a component's own routes, with the errors that are really answered."""
    schemas, _ = schemas_of([(Error, "serialization")], "_FVO")
    kept = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        kept.pop(name, None)
    kept |= schemas
    document["components"]["responses"] = _failed()
    for item in document["paths"].values():
        for operation in item.values():
            operation["responses"].pop("422", None)
            operation["responses"] |= _failures()
    return document


_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
PARTIAL = "Selection"


def _partial(v4: bool) -> dict[str, Any]:
    """What an answer is where `fields` was given: TMF630 part 1 section 4.3."""
    always = ALWAYS_V4 if v4 else ALWAYS
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in always},
        "required": list(always),
        "description": "What is answered where `fields` is given: the attributes asked for, and those of the identity",
    }


def _parameter(name: str, text: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": kind, **more}}


_FIELDS = _parameter(
    "fields",
    "Attributes to return, comma separated, dotted; none for the identity alone",
    "string",
    format="attribute-names",
)
_PAGING = [
    _FIELDS,
    _parameter("offset", "Index of the first resource to return", "integer", minimum=0),
    _parameter("limit", "Number of resources to return", "integer", minimum=0),
    _parameter("sort", "Attributes to sort by, comma separated, - for descending", "string", format="attribute-order"),
    _parameter(
        "filter", "JSONPath condition; plain conditions are given as attribute=value", "string", format="jsonpath"
    ),
]


def _paths(form: Form, names: Mapping[Any, str]) -> dict[str, Any]:
    shown = {"anyOf": [reference(names[form.view.model, "serialization"]), reference(PARTIAL)]}
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
        collection["patch"] = _bulk(form, names)
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


def _bulk(form: Form, names: Mapping[Any, str]) -> dict[str, Any]:
    """Many resources created in one request: TMF630 part 1, PATCH of a collection."""
    one = {
        "type": "object",
        "properties": {
            "op": {"const": "add"},
            "path": {"enum": ["/", "/-", ""]},
            "value": reference(names[form.create_model, "validation"]),
        },
        "required": ["op", "path", "value"],
    }
    made = {"type": "array", "items": reference(names[form.view.model, "serialization"])}
    operation = _operation(f"createMany{form.resource.name}", f"Create several {form.resource.name}", "200", made)
    body = {"schema": {"type": "array", "minItems": 1, "maxItems": MAX_BULK, "items": one}}
    return {**operation, "requestBody": {"required": True, "content": {JSON_PATCH: body}}}


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
    out: dict[str, Any] = {
        "operationId": operation_id,
        "summary": summary,
        "responses": {status: success, **_failures()},
    }
    if parameters:
        out["parameters"] = parameters
    if body:
        content = {"application/json": {"schema": reference(body)}}
        out["requestBody"] = {"required": True, "content": content}
    return out


def _failures() -> dict[str, Any]:
    return {status: {"$ref": f"#/components/responses/{_response(status)}"} for status in ERRORS}


def _response(status: str) -> str:
    return "OtherError" if status == "default" else f"Error{status}"


def _failed() -> dict[str, Any]:
    content = {"application/json": {"schema": reference("Error")}}
    return {_response(status): {"description": text, "content": content} for status, text in ERRORS.items()}


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
    for model, what in ((form.create_model, given), (form.update_model, owned | IMMUTABLE)):
        name = names.get((model, "validation"))
        if name is not None:
            with_read_only(schemas[name], shown, what)
    changed = names.get((form.update_model, "validation"))
    if changed is not None:
        as_merged(schemas, changed, "_Update" if form.view.version == "v4" else "_MVO")
    for attribute, schema in shown.get("properties", {}).items():
        if attribute in owned:
            schema["readOnly"] = True
