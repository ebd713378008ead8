"""POST, GET and DELETE /hub of each API: who wants to hear what, and where. Registration is idempotent."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import quote

import orjson

from tmfkit import http
from tmfkit.call import CALL
from tmfkit.context import Context
from tmfkit.database import new_id
from tmfkit.errors import BadRequest, Forbidden, MethodNotAllowed, NotFound, Unauthorized
from tmfkit.event import interest
from tmfkit.http import Receive, Scope, Send
from tmfkit.network import Callbacks
from tmfkit.security import NO_TOKEN, Principal, allowed
from tmfkit.subscription import EventSubscriptionInput, HubCreate
from tmfkit.types import Document
from tmfkit.write import normal

MAX_BYTES = 2048
"""Of callback and query together: PostgreSQL's unique index over them holds no more than a third of a page."""
AUDIT = "INSERT INTO audit (operation, resource, subject, resource_id, trace_id) VALUES ($1, 'Hub', $2, $3, $4)"
APPEND = "appendEventName"
"""Extension of the hub body: true adds /<eventType> to the callback, as the listener paths of the files have it."""

REGISTRAR = Principal("a trusted listener", frozenset({"*:hub:create"}))
"""Who registers a callback without a token, where some are trusted."""


class HubEndpoint:
    """The hub of one API version. Same calling convention as a resource's endpoint."""

    def __init__(
        self,
        ctx: Context[Any],
        api: str,
        base_path: str,
        version: str,
        callbacks: Callbacks,
        trusted: Collection[str] = (),
    ) -> None:
        self.ctx, self.api, self.version, self.callbacks = ctx, api, version, callbacks
        self.trusted = frozenset(trusted)
        self.base_path = base_path
        self.path = f"{base_path}/hub"
        self.route = f"{self.path}/{{id}}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send, id: str | None) -> None:
        method = scope["method"]
        operation = {"POST": "create", "DELETE": "delete"}.get(method, "retrieve")
        known = ["GET", "HEAD", "POST"] if id is None else ["GET", "HEAD", "DELETE"]
        if method not in known:
            raise MethodNotAllowed(f"{method} is not defined here", allow=known)
        principal = scope["tmfkit.principal"]
        if not allowed(principal, self.api, "hub", operation):
            raise Forbidden(f"{principal.subject} may not {operation} hub of {self.api}")
        http.acceptable(scope)
        origin = http.origin(scope, self.ctx.settings.public_url)
        if method == "POST":
            await self.register(scope, receive, send, origin)
        elif method == "DELETE":
            assert id is not None
            await self.unregister(send, id)
        elif id is None:
            await self.list_(scope, send, origin)
        else:
            await self.retrieve(scope, send, id, origin)

    async def register(self, scope: Scope, receive: Receive, send: Send, origin: str) -> None:
        http.media_type(scope, (http.JSON_MEDIA,))
        sent = http.parsed(await http.body(scope, receive, self.ctx.settings.max_body_bytes))
        if scope["tmfkit.principal"] is REGISTRAR and not self._trusts(sent):
            raise Unauthorized(reason=NO_TOKEN)
        callback, query, append = await self._checked(sent)
        doc: Document = {k: v for k, v in sent.items() if k not in ("id", "href") and v is not None}
        if self.version != "v4":
            doc.setdefault("@type", "Hub")
        id = new_id()
        async with self.ctx.transaction() as tx:
            row = await tx.fetchrow(
                "INSERT INTO subscription (id, api, version, callback, query, base_url, doc, append_event_name)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8)"
                " ON CONFLICT ON CONSTRAINT uq_subscription DO UPDATE"
                " SET base_url = excluded.base_url, append_event_name = excluded.append_event_name"
                " RETURNING id, doc::text, (xmax = 0) AS new",
                id, self.api, self.version, callback, query, origin + self.base_path,
                orjson.dumps(doc).decode(), append,
            )  # fmt: skip
            if row["new"]:
                call = CALL.get()
                await tx.execute(
                    AUDIT, "create",
                    call.subject, row["id"], call.trace_id,
                )  # fmt: skip
        self.ctx.signals.send("hub")
        location = f"{origin}{self.path}/{quote(row['id'])}".encode()
        await http.respond(send, 201, orjson.dumps(self._shown(row, origin)), [(b"location", location)])

    def _trusts(self, sent: Any) -> bool:
        callback = sent.get("callback") if isinstance(sent, dict) else None
        return isinstance(callback, str) and callback in self.trusted

    def _shown(self, row: Any, origin: str) -> Document:
        """A registration as this version shows it: v4 has no href."""
        href = {"href": f"{origin}{self.path}/{quote(row['id'])}"} if self.version != "v4" else {}
        return {"id": row["id"], **href, **orjson.loads(row["doc"])}

    async def _checked(self, sent: Any) -> tuple[str, str, bool]:
        if not isinstance(sent, dict):
            raise BadRequest("a hub registration is a JSON object")
        known = normal(EventSubscriptionInput if self.version == "v4" else HubCreate, sent)
        callback, query, append = known["callback"], known.get("query", ""), known.get(APPEND, False)
        sizes = {"callback": len(callback.encode()), "query": len(query.encode())}
        if sum(sizes.values()) > MAX_BYTES:
            longer = max(sizes, key=lambda name: sizes[name])
            raise BadRequest(f"callback and query have at most {MAX_BYTES} bytes together", attribute=longer)
        if query:
            interest(query)
        await self.callbacks.check(callback)
        return callback, query, append

    async def retrieve(self, scope: Scope, send: Send, id: str, origin: str) -> None:
        async with self.ctx.database.pool.acquire() as connection:
            row = await connection.fetchrow(
                "SELECT id, doc::text FROM subscription WHERE id = $1 AND api = $2 AND version = $3",
                id,
                self.api,
                self.version,
            )
        if row is None:
            raise NotFound(f"no hub registration with id {id[:200]!r}", attribute="id")
        content = orjson.dumps(self._shown(row, origin))
        await http.respond(send, 200, content, [], head=scope["method"] == "HEAD")

    async def list_(self, scope: Scope, send: Send, origin: str) -> None:
        async with self.ctx.database.pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT id, doc::text FROM subscription WHERE api = $1 AND version = $2 ORDER BY created_at, id",
                self.api, self.version,
            )  # fmt: skip
        docs = [self._shown(r, origin) for r in rows]
        count = str(len(docs)).encode()
        await http.respond(
            send,
            200,
            orjson.dumps(docs),
            [(b"x-total-count", count), (b"x-result-count", count)],
            head=scope["method"] == "HEAD",
        )

    async def unregister(self, send: Send, id: str) -> None:
        call = CALL.get()
        async with self.ctx.transaction() as tx:
            gone = await tx.fetchval(
                "DELETE FROM subscription WHERE id = $1 AND api = $2 AND version = $3 RETURNING id",
                id,
                self.api,
                self.version,
            )
            if gone is None:
                raise NotFound(f"no hub registration with id {id[:200]!r}", attribute="id")
            await tx.execute("DELETE FROM delivery WHERE subscription_id = $1", id)
            await tx.execute(
                AUDIT, "delete",
                call.subject, id, call.trace_id,
            )  # fmt: skip
        self.ctx.signals.send("hub")
        await http.respond(send, 204, b"", [])
