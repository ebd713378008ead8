"""The paths of TMF915 below a topic: its events, and who listens to it.

An event that is published in a topic is a document that names its topic; who is registered at the topic's hub hears of
it (EventCreateEvent) and of no other. Everything else is the kernel's: its endpoint and its hub, bound to one topic.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter
from starlette.routing import Route

from churn_prediction.resources import EVENT, Event, Hub, Topic
from tmfkit import Api, Component, Transaction, http, openapi
from tmfkit.errors import Conflict, NotFound, TmfError
from tmfkit.event import interest
from tmfkit.http import Receive, Scope, Send
from tmfkit.hub import HubEndpoint
from tmfkit.openapi_schemas import reference
from tmfkit.query import Path, Query, anything, leaves, matches, names_of, parse, project
from tmfkit.resource import TASK, Resource
from tmfkit.router import Endpoint
from tmfkit.store import missing
from tmfkit.types import Document
from tmfkit.versions import View, view
from tmfkit.write import Form, normal

API, VERSION = "AiM", "v4"
_VIEW = view(replace(EVENT, operations=TASK), VERSION, VERSION)
FORM = Form(_VIEW)
HUB_FORM = Form(view(Resource(Hub), VERSION, VERSION))
_HUB = names_of(Hub)
_OWN = "SELECT id, doc::text FROM subscription WHERE api = $1 AND version = $2 AND right(query, length($3)) = $3"


@dataclass(frozen=True)
class TopicView(View):
    """The events of one topic: every question is asked of them alone."""

    topic_id: str = ""

    def query(self, query: Query) -> Query:
        own = parse(f"topic.id={_value(self.topic_id)}", self.names)
        return super().query(replace(query, groups=(*query.groups, *own.groups)))


class TopicEvents(Endpoint):
    """Events of one topic: published, listed and read below its path."""

    def __init__(self, ctx: Any, base_path: str, topic: Document) -> None:
        async def publish(tx: Transaction, event: Document) -> Document:
            return published(topic, event)

        own = TopicView(**{name: getattr(_VIEW, name) for name in _VIEW.__dataclass_fields__}, topic_id=topic["id"])
        super().__init__(ctx, API, base_path, own, FORM)
        self.topic_id = topic["id"]
        self.resource = replace(own.resource, perform=publish)

    async def retrieve(self, scope: Scope, send: Send, base: str, id: str, raw_query: str) -> None:
        event = await self.ctx.store(Event).find(id)
        if event is None or event.get("topic", {}).get("id") != self.topic_id:
            raise missing(EVENT, id)
        await super().retrieve(scope, send, base, id, raw_query)


class TopicHub(HubEndpoint):
    """Who hears of the events of one topic. The topic is a condition of the subscription, beside its own query."""

    def __init__(self, ctx: Any, base_path: str, topic: Document) -> None:
        super().__init__(ctx, API, base_path, VERSION, Component.callbacks(ctx.settings))
        # Said twice it stands for itself: a single condition would be an alternative to one of the same name.
        self.condition = ";".join([f"event.event.topic.id={_value(topic['id'])}"] * 2)

    async def _checked(self, sent: Any) -> tuple[str, str, bool]:
        callback, query, append = await super()._checked(sent)
        normal(HUB_FORM.create_model, sent)
        return callback, within(query, self.condition), append

    async def list_(self, scope: Scope, send: Send, origin: str) -> None:
        rows = await self.ctx.database.pool.fetch(f"{_OWN} ORDER BY created_at, id", API, VERSION, self.condition)
        settings = self.ctx.settings
        query = parse(_asked(scope), _names, default_limit=settings.default_limit, max_limit=settings.max_limit)
        found = [doc for doc in (self._shown(row, origin) for row in rows) if matches(doc, query)]
        for path, descending in reversed(query.sort):
            found.sort(key=lambda doc: str(next(iter(leaves(doc, path)), None) or ""), reverse=descending)
        page = [_project(doc, query) for doc in found[query.offset :][: query.limit]]
        headers = [(b"x-total-count", str(len(found)).encode()), (b"x-result-count", str(len(page)).encode())]
        partial = 0 < len(page) < len(found) and settings.partial_content
        head = scope["method"] == "HEAD"
        await http.respond(send, 206 if partial else 200, orjson.dumps(page), headers, head=head)

    async def retrieve(self, scope: Scope, send: Send, id: str, origin: str) -> None:
        doc = _project(self._shown(await self._own(id), origin), parse(_asked(scope), _names))
        await http.respond(send, 200, orjson.dumps(doc), [], head=scope["method"] == "HEAD")

    async def unregister(self, send: Send, id: str) -> None:
        await self._own(id)
        await super().unregister(send, id)

    async def _own(self, id: str) -> Any:
        row = await self.ctx.database.pool.fetchrow(f"{_OWN} AND id = $4", API, VERSION, self.condition, id)
        if row is None:
            raise NotFound(f"no hub registration with id {id[:200]!r} at this topic", attribute="id")
        return row

    def _shown(self, row: Any, origin: str) -> Document:
        href = f"{origin}{self.path}/{quote(row['id'], safe='')}"
        return {"@type": "Hub", **orjson.loads(row["doc"]), "id": row["id"], "href": href}


def _names(dotted: str) -> Path | None:
    """Attributes of a registration; beside those of its model whatever else was sent."""
    return _HUB(dotted) or anything(dotted)


def _asked(scope: Scope) -> str:
    return str(scope["query_string"].decode("latin-1"))


def _project(doc: Document, query: Query) -> Document:
    return doc if query.fields is None else project(doc, query.fields)


class BelowTopic:
    """The route of one collection below a topic that has to be there."""

    def __init__(self, served: type[TopicEvents] | type[TopicHub]) -> None:
        self.served = served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ctx, given = scope["app"].state.ctx, scope["path_params"]
        topic = await ctx.store(Topic).get(given["topicId"])
        above = scope["path"].rsplit(f"/{VERSION}/topic/", 1)[0]
        endpoint = self.served(ctx, f"{above}/{VERSION}/topic/{quote(topic['id'], safe='')}", topic)
        await endpoint(scope, receive, send, given.get("id"))


router = APIRouter()
for _name, _served in (("event", TopicEvents), ("hub", TopicHub)):
    for _end in ("", "/{id}"):
        router.routes.append(Route(f"/tmf-api/{API}/{VERSION}/topic/{{topicId}}/{_name}{_end}", BelowTopic(_served)))


class WithTopics(Component):
    """A component whose file of TMF915 also tells of the paths below a topic."""

    def openapi_file(self, api: Api, version: str, base: str | None = None) -> Document:
        """As every component's, but for the events of topics, which clients publish below their topic alone."""
        if api.name != API:
            return super().openapi_file(api, version, base)
        forms = [FORM if one is EVENT else Form(self.views[api.name, version, one.name]) for one in api.resources]
        path = api.path(self.base() if base is None else base, version)
        return described(
            openapi.document(
                component=self.name, api=api.id, name=api.name, version=version, base_path=path, forms=forms
            )
        )


def described(document: Document) -> Document:
    """The API's OpenAPI document with the paths below a topic, made of those of events (which are published nowhere
    else) and of the hub."""
    paths, schemas = document["paths"], document["components"]["schemas"]
    topic_id = {"name": "topicId", "in": "path", "required": True, "schema": {"type": "string"}}
    for name in ("event", "hub"):
        for end in ("", "/{id}"):
            item = deepcopy(paths[f"/{name}{end}"])
            for operation in item.values():
                if isinstance(operation, dict):
                    operation["operationId"] += "OfTopic"
            item["parameters"] = [topic_id, *item.get("parameters", [])]
            paths[f"/topic/{{topicId}}/{name}{end}"] = item
    for method in ("post", "patch"):
        del paths["/event"][method]
    schemas["Hub"] = Hub.model_json_schema()
    schemas["Hub_Create"] = HUB_FORM.create_model.model_json_schema()
    one = {"application/json": {"schema": reference("Hub")}}
    selected = {"anyOf": [reference("Hub"), reference("Selection")]}
    listed = {"application/json": {"schema": {"type": "array", "items": selected}}}
    hubs, hub = paths["/topic/{topicId}/hub"], paths["/topic/{topicId}/hub/{id}"]
    hubs["get"]["parameters"] = paths["/event"]["get"]["parameters"]
    of_events = paths["/event"]["get"]["responses"]["206"]
    hubs["get"]["responses"]["200"]["content"] = listed
    hubs["get"]["responses"]["206"] = {**of_events, "content": listed}
    hubs["post"]["responses"]["201"]["content"] = one
    hubs["post"]["requestBody"]["content"] = {"application/json": {"schema": reference("Hub_Create")}}
    hub["get"]["parameters"] = paths["/event/{id}"]["get"]["parameters"]
    hub["get"]["responses"]["200"]["content"] = {"application/json": {"schema": selected}}
    return {
        **document,
        "paths": {path: paths[path] for path in sorted(paths)},
        "components": {**document["components"], "schemas": {name: schemas[name] for name in sorted(schemas)}},
    }


def within(query: str, condition: str) -> str:
    """A hub's query that is also bound to a topic; a JSONPath becomes a `filter` beside the condition."""
    query = query.strip().removeprefix("?")
    if not query:
        return condition
    if query.startswith(("$", "[", "@.", "%24", "%5B")):
        query = f"filter={query if query.startswith('%') else quote(query, safe='')}"
    return f"{query}&{condition}"


def published(topic: Document, event: Document) -> Document:
    """The event as it stands in the topic. Errors: TmfError 409 where the topic's queries do not match it."""
    for name in ("headerQuery", "contentQuery"):
        wanted = topic.get(name) or ""
        try:
            matching = interest(wanted).wants(event)
        except TmfError as e:
            raise Conflict(f"the {name} of topic {topic['id']} is not understood: {e.message}", attribute=name) from e
        if not matching:
            raise Conflict(f"topic {topic['id']} takes events with {wanted} only", attribute="event")
    return {**event, "topic": {"id": topic["id"], "@referredType": "Topic"}}


def _value(text: str) -> str:
    return quote(text.replace(",", "\\,"), safe="")
