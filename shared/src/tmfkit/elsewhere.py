"""APIs that another system owns in a deployment: we are its client then, not a second server.

The API is not served. What the owner has is followed and kept as a copy, so that everything inside goes on as before;
what we write ourselves (a service problem that was found) is brought to the owner. One table says which revision of a
document the owner has: whatever differs is brought, after a crash as well.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from tmfkit.context import Context, Transaction
from tmfkit.database import new_id
from tmfkit.errors import TmfError
from tmfkit.event import Event
from tmfkit.follow import Follow
from tmfkit.resource import Resource
from tmfkit.types import Document
from tmfkit.upstream import UpstreamError
from tmfkit.versions import View
from tmfkit.worker import Every
from tmfkit.write import Form

if TYPE_CHECKING:
    from tmfkit.component import Api, Component
    from tmfkit.settings import Settings

log = logging.getLogger("tmfkit.elsewhere")
BATCH = 100
SECONDS = 10.0


@dataclass(frozen=True)
class Owner:
    """Who owns an API: `address` is the part before its path, `path` from tmf-api on, `version` the last part."""

    api: Api
    address: str
    path: str
    version: str


def owners(component: Component, settings: Settings) -> dict[str, Owner]:
    """API name -> its owner. ELSEWHERE names the owner's API by its whole address, up to /v<major>."""
    apis = {api.id: api for api in component.apis}
    found = {}
    for id, url in settings.elsewhere.items():
        if id not in apis:
            raise ValueError(f"ELSEWHERE: {component.name} has no API {id}")
        parts = url.rstrip("/").split("/")
        count = 3 if len(parts) > 3 and parts[-3] == "tmf-api" else 2
        version = parts[-1]
        if version not in apis[id].versions:
            raise ValueError(f"ELSEWHERE: {id} is known here as {', '.join(apis[id].versions)}, not {version}")
        found[apis[id].name] = Owner(apis[id], "/".join(parts[:-count]), "/".join(parts[-count:]), version)
    return found


def resources(component: Component, settings: Settings) -> Iterator[tuple[Owner, Resource, View]]:
    for name, owner in owners(component, settings).items():
        for resource in owner.api.resources:
            if "list" in resource.operations and "create" in resource.operations and resource.event_kinds:
                yield owner, resource, component.views[name, owner.version, resource.name]


def follows(component: Component, settings: Settings) -> tuple[Follow, ...]:
    """The owner's resources, kept here as copies."""
    return tuple(
        Follow(
            dependency=owner.api.id,
            path=owner.path,
            resource=resource.path,
            events=tuple(sorted(resource.event_type(kind) for kind in resource.event_kinds)),
            handle=Copy(resource, view),
        )
        for owner, resource, view in resources(component, settings)
    )


def flows(component: Component, settings: Settings) -> tuple[Every, ...]:
    """What we wrote ourselves is brought to the owner."""
    return tuple(
        Every(SECONDS, Push(owner, resource, view, Form(view)), f"elsewhere.{resource.path}")
        for owner, resource, view in resources(component, settings)
    )


_LOCK = "hashtextextended('elsewhere|' || $1, 0)"
_NOTED = "SELECT revision FROM elsewhere WHERE resource = $1 AND id = $2"
_KNOWN = "SELECT id FROM elsewhere WHERE resource = $1 AND remote_id = $2"
_NOTE = (
    "INSERT INTO elsewhere (resource, id, remote_id, revision) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (resource, id) DO UPDATE SET remote_id = $3, revision = $4"
)


class Copy:
    """Takes what the owner tells into our table. An event may carry only what changed: it is laid over the copy.

    While a change of our own waits to be brought, events are passed over: they may tell of what was before it, and the
    owner's answer to it will tell all.
    """

    def __init__(self, resource: Resource, view: View) -> None:
        self.resource, self.view = resource, view

    async def __call__(self, tx: Transaction, event: Event) -> None:
        store, remote_id = tx[self.resource.model], event.resource.get("id")
        if not isinstance(remote_id, str) or not remote_id:
            raise TmfError("an event without the id of its resource", status=400, attribute="event")
        name = self.resource.name
        await tx.execute(f"SELECT pg_advisory_xact_lock({_LOCK})", name)
        id = await tx.fetchval(_KNOWN, name, remote_id)
        old = await store.find(id or remote_id, lock=True)
        if event.kind == "Delete":
            await tx.execute("DELETE FROM elsewhere WHERE resource = $1 AND remote_id = $2", name, remote_id)
            if old is not None:
                await store.delete(old["id"])
            return
        if old is None:
            told = {k: v for k, v in event.resource.items() if k != "href"}
            await store.insert(self.view.up(told))
            await tx.execute(_NOTE, name, remote_id, remote_id, 1)
            return
        await self.take(tx, old["id"], remote_id, event.resource)

    async def take(self, tx: Transaction, id: str, remote_id: str, told: Document) -> None:
        """Lay what the owner tells over the copy, if the owner has all that we wrote."""
        store, name = tx[self.resource.model], self.resource.name
        old, revision = await store.locked(id)
        if await tx.fetchval(_NOTED, name, id) != revision:
            return
        before = self.view.down(old)
        told = {k: v for k, v in told.items() if k != "href"}
        new = self.view.merge(old, before, {**before, **told, "id": before["id"]})
        await store.replace(old, new)
        _, revision = await store.locked(id)
        await tx.execute(_NOTE, name, id, remote_id, revision)


class Push:
    """Brings documents whose revision the owner does not have. Each is noted as soon as the owner has answered."""

    def __init__(self, owner: Owner, resource: Resource, view: View, form: Form) -> None:
        self.owner, self.resource, self.view, self.form = owner, resource, view, form
        self.copy = Copy(resource, view)

    async def __call__(self, ctx: Context[Any]) -> None:
        table, pool, name = self.resource.table, ctx.database.pool, self.resource.name
        while True:
            rows = await pool.fetch(
                f"SELECT d.id, d.doc::text AS doc, d.revision, e.remote_id FROM {table} d"
                " LEFT JOIN elsewhere e ON e.resource = $1 AND e.id = d.id"
                " WHERE e.revision IS DISTINCT FROM d.revision ORDER BY d.updated_at LIMIT $2",
                name,
                BATCH,
            )
            for row in rows:
                async with pool.acquire() as connection:
                    # What the owner tells of it waits until it is noted: its id there may be another.
                    await connection.execute(f"SELECT pg_advisory_lock({_LOCK})", name)
                    try:
                        remote_id, told = await self.bring(ctx, row["id"], orjson.loads(row["doc"]), row["remote_id"])
                        await connection.execute(_NOTE, name, row["id"], remote_id, row["revision"])
                        if told:
                            async with ctx.transaction() as tx:
                                if await tx[self.resource.model].find(row["id"]) is not None:
                                    await self.copy.take(tx, row["id"], remote_id, told)
                    finally:
                        await connection.execute(f"SELECT pg_advisory_unlock({_LOCK})", name)
            gone = await pool.fetch(
                f"SELECT e.id, e.remote_id FROM elsewhere e LEFT JOIN {table} d ON d.id = e.id"
                " WHERE e.resource = $1 AND d.id IS NULL LIMIT $2",
                name,
                BATCH,
            )
            for row in gone:
                await self.remove(ctx, row["remote_id"])
                await pool.execute("DELETE FROM elsewhere WHERE resource = $1 AND id = $2", name, row["id"])
            if len(rows) < BATCH and len(gone) < BATCH:
                return

    async def bring(
        self, ctx: Context[Any], id: str, doc: Document, remote_id: str | None
    ) -> tuple[str, Document | None]:
        """Create or change it there; its id there, and what the owner answers. What the owner refuses for good is
        logged, not tried again."""
        upstream, shown = ctx.upstream(self.owner.api.id), self.view.down(doc)
        collection = f"{self.owner.path}/{self.resource.path}"
        owned = self.resource.server_owned | self.form.read_only
        try:
            if remote_id is None:
                sent = {k: v for k, v in shown.items() if k not in owned or (k == "id" and self.form.kept_id)}
                try:
                    made = await upstream.post(collection, sent, idempotency_key=f"{self.resource.name}/{id}")
                    return str((made or {}).get("id") or id), made
                except UpstreamError as e:
                    if e.upstream_status != 409:
                        raise
                    remote_id = id  # brought before, and not noted
            kept = owned | self.form.create_only | {"@type", "@baseType", "@schemaLocation"}
            change = {k: v for k, v in shown.items() if k not in kept}
            return remote_id, await upstream.patch((*collection.split("/"), remote_id), change)
        except UpstreamError as e:
            if e.upstream_status is None or e.upstream_status >= 500 or e.upstream_status in (401, 403, 408, 425, 429):
                raise  # later
            log.error("%s refuses %s %s: %s", self.owner.api.id, self.resource.name, id, e)
        return remote_id or f"refused:{new_id()}", None

    async def remove(self, ctx: Context[Any], remote_id: str) -> None:
        try:
            path = (*f"{self.owner.path}/{self.resource.path}".split("/"), remote_id)
            await ctx.upstream(self.owner.api.id).request("DELETE", path)
        except UpstreamError as e:
            if e.upstream_status not in (404, 405, 410):
                raise
