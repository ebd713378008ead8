"""Resources below another one: .../intent/{intentId}/intentReport. The kernel serves resources at the root of an API;
here the same endpoint answers for those of one parent."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from experience_management.resources import Intent
from tmfkit import Api, Component, permit
from tmfkit.errors import MethodNotAllowed
from tmfkit.http import Receive, Scope, Send
from tmfkit.query import Filter, Query
from tmfkit.router import Endpoint
from tmfkit.store import missing
from tmfkit.versions import View

API, VERSION = "intentManagement", "v5"
PARENT, CHILD = "intent", "intentReport"
PATH = f"/tmf-api/{API}/{VERSION}/{PARENT}/{{parent_id:path}}/{CHILD}"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
router = APIRouter()


@dataclass(frozen=True)
class OfParent(View):
    """What of a resource belongs to one parent."""

    parent_id: str = ""

    def query(self, query: Query) -> Query:
        path = self.names(f"{PARENT}.id")
        assert path is not None
        query = super().query(query)
        return replace(query, groups=(*query.groups, (Filter(path, "eq", (self.parent_id,)),)))


class Nested(Response):
    """The answer of the endpoint of one parent's resources."""

    def __init__(self, request: Request, parent_id: str, id: str | None) -> None:
        super().__init__()
        endpoint: Endpoint = request.app.state.endpoints[API, VERSION, CHILD]
        view = endpoint.view
        self.request, self.parent_id, self.id = request, parent_id, id
        parent = endpoint.path.removesuffix(CHILD) + f"{PARENT}/{quote(parent_id, safe='')}"
        own = OfParent(view.resource, view.version, view.model, view.shape, view.names, parent_id)
        self.endpoint = Endpoint(endpoint.ctx, API, parent, own, endpoint.form)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        methods = self.endpoint.methods(collection=self.id is None)
        if scope["method"] not in methods:
            raise MethodNotAllowed(f"{scope['method']} is not defined here", allow=methods)
        ctx, reads = self.endpoint.ctx, "list" if self.id is None else "retrieve"
        # Who may not ask is not told which intents there are.
        permit(self.request, API, CHILD, "delete" if scope["method"] == "DELETE" else reads)
        if await ctx.store(Intent).row(self.parent_id) is None:
            raise missing(ctx.shelves[Intent].resource, self.parent_id)
        if self.id is not None:
            found = await ctx.store(self.endpoint.resource.model).find(self.id)
            if found is None or (found.get(PARENT) or {}).get("id") != self.parent_id:
                raise missing(self.endpoint.resource, self.id)
        await self.endpoint(scope, receive, send, self.id)


@router.api_route(PATH, methods=METHODS, include_in_schema=False)
async def of_parent(request: Request, parent_id: str) -> Response:
    """The reports on one intent."""
    return Nested(request, parent_id, None)


@router.api_route(PATH + "/{id}", methods=METHODS, include_in_schema=False)
async def one_of_parent(request: Request, parent_id: str, id: str) -> Response:
    """One report on one intent."""
    return Nested(request, parent_id, id)


class Nesting(Component):
    """A component whose file of intents shows the reports where the standard has them."""

    def openapi_file(self, api: Api, version: str, base: str | None = None) -> dict[str, Any]:
        """The OpenAPI document, with the paths below a parent."""
        document = super().openapi_file(api, version, base)
        if api.name == API:
            paths = document["paths"]
            of = {"name": f"{PARENT}Id", "in": "path", "required": True, "schema": {"type": "string"}}
            for path in [p for p in paths if p.partition("/{")[0] == f"/{CHILD}"]:
                below = deepcopy(paths[path])
                below["parameters"] = [of, *below.get("parameters", ())]
                for operation in below.values():
                    if isinstance(operation, dict):
                        operation["operationId"] += f"Of{PARENT.capitalize()}"
                paths[f"/{PARENT}/{{{PARENT}Id}}{path}"] = below
            document["paths"] = {p: paths[p] for p in sorted(paths)}
        return document
