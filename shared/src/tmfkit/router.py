"""Resource -> its routes. The only HTTP for resources.

The door (door.py) looks an endpoint up by its path before FastAPI is asked. Stored JSON is handed through
as text: nothing is validated again on the way out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

import orjson

from tmfkit import http, references
from tmfkit.call import CALL
from tmfkit.context import Context, Transaction
from tmfkit.errors import (
    BadRequest,
    Forbidden,
    MethodNotAllowed,
    PayloadTooLarge,
    PreconditionFailed,
    TmfError,
    Unprocessable,
)
from tmfkit.http import Receive, Scope, Send
from tmfkit.query import (
    ALWAYS,
    ALWAYS_V4,
    NEGATIVE,
    RESERVED,
    Filter,
    Path,
    Query,
    Step,
    parse,
    parse_fields,
    project,
)
from tmfkit.resource import Resource
from tmfkit.security import allowed
from tmfkit.store import Row, Store, missing
from tmfkit.types import Document, Monitor
from tmfkit.versions import View
from tmfkit.write import MAX_BULK, Form

HREF, ID = (Path((Step(name, False),), "text") for name in ("href", "id"))
PATCH_MEDIA = (http.JSON_MEDIA, http.MERGE_PATCH, http.JSON_PATCH, http.JSON_PATCH_QUERY)


@dataclass(frozen=True)
class Page:
    """A page of results and where it lies in the whole."""

    offset: int
    limit: int
    count: int
    total: int

    @property
    def partial(self) -> bool:
        return self.count < self.total

    def link(self, base: str, raw_query: str) -> str:
        """Link header (RFC 8288): self, first, prev, next, last; other parameters are kept."""
        kept = [p for p in raw_query.split("&") if p and p.split("=", 1)[0] not in ("offset", "limit")]

        def to(offset: int, rel: str) -> str:
            query = "&".join([*kept, f"offset={offset}", f"limit={self.limit}"])
            return f'<{base}?{query}>; rel="{rel}"'

        links = [to(self.offset, "self"), to(0, "first")]
        if self.limit > 0:
            if self.offset > 0:
                links.append(to(max(0, self.offset - self.limit), "prev"))
            if self.offset + self.count < self.total:
                links.append(to(self.offset + self.limit, "next"))
            links.append(to(max(0, (self.total - 1) // self.limit * self.limit), "last"))
        return ", ".join(links)


def by_id(query: Query, base: str) -> Query:
    """What is asked of `href` asked of `id`: an href is not stored, it is the collection's address and the id.

    An href is compared as a whole, as an address or as its path. One of something else is nobody's here.
    """
    groups = tuple(tuple(_of_id(f, base) if f.path == HREF else f for f in group) for group in query.groups)
    sort = tuple((ID if path == HREF else path, descending) for path, descending in query.sort)
    return replace(query, groups=groups, sort=sort)


def _of_id(f: Filter, base: str) -> Filter:
    if f.op not in ("eq", "in", *NEGATIVE, "isnull"):
        raise BadRequest(f"href cannot be asked for with {f.op}", attribute="href")
    if f.op == "isnull":
        return replace(f, path=ID)
    starts = (f"{base}/", f"{urlsplit(base).path}/")
    found = (next((value.removeprefix(s) for s in starts if value.startswith(s)), "") for value in f.values)
    return replace(f, path=ID, values=tuple(unquote(id) for id in found))  # no document has an empty id


class Served(Protocol):
    """What answers requests below one path: a resource in one version, or a hub."""

    path: str
    route: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send, id: str | None) -> None: ...


class Endpoint:
    """One resource in one API version."""

    def __init__(self, ctx: Context[Any], api: str, base_path: str, view: View, form: Form) -> None:
        self.ctx, self.api, self.view, self.form = ctx, api, view, form
        self.resource: Resource = view.resource
        self.path = f"{base_path}/{self.resource.path}"
        self.limits = {"default_limit": ctx.settings.default_limit, "max_limit": ctx.settings.max_limit}
        self.route = f"{self.path}/{{id}}"

    # --- dispatch ---

    async def __call__(self, scope: Scope, receive: Receive, send: Send, id: str | None) -> None:
        method = scope["method"]
        operation = self._operation(method, id)
        principal = scope["tmfkit.principal"]
        if not allowed(principal, self.api, self.resource.path, operation):
            raise Forbidden(f"{principal.subject} may not {operation} {self.resource.path} of {self.api}")
        http.acceptable(scope)
        base = http.origin(scope, self.ctx.settings.public_url) + self.path
        query = scope["query_string"].decode("latin-1")
        if id is None:
            if method == "POST":
                await self.create(scope, receive, send, base, query)
            elif method == "PATCH":
                await self.create_many(scope, receive, send, base)
            else:
                await self.list_(scope, send, base, query)
        elif method == "PATCH":
            await self.patch(scope, receive, send, base, id, query)
        elif method == "DELETE":
            await self.delete(scope, send, id)
        else:
            await self.retrieve(scope, send, base, id, query)

    def _operation(self, method: str, id: str | None) -> str:
        name = {
            (True, "GET"): "list",
            (True, "HEAD"): "list",
            (True, "POST"): "create",
            (True, "PATCH"): "create",
            (False, "GET"): "retrieve",
            (False, "HEAD"): "retrieve",
            (False, "PATCH"): "patch",
            (False, "DELETE"): "delete",
        }.get((id is None, method))
        if name is None or name not in self.resource.operations:
            methods = self.methods(collection=id is None)
            raise MethodNotAllowed(f"{method} is not defined here", allow=methods)
        return name

    def methods(self, *, collection: bool) -> list[str]:
        have = self.resource.operations
        table = (
            [("GET", "list"), ("HEAD", "list"), ("POST", "create"), ("PATCH", "create")]
            if collection
            else [("GET", "retrieve"), ("HEAD", "retrieve"), ("PATCH", "patch"), ("DELETE", "delete")]
        )
        return [m for m, o in table if o in have]

    # --- reading ---

    async def list_(self, scope: Scope, send: Send, base: str, raw_query: str) -> None:
        query = self.view.query(by_id(parse(raw_query, self.view.names, **self.limits), base))
        rows, total = await self.ctx.store(self.resource.model).page(query)
        content = ("[" + ",".join([self.shown(r, base, query.fields) for r in rows]) + "]").encode()
        page = Page(query.offset, query.limit or 0, len(rows), total)
        headers = [
            (b"x-total-count", str(total).encode()),
            (b"x-result-count", str(len(rows)).encode()),
            (b"link", page.link(base, raw_query).encode("latin-1", "replace")),
        ]
        partial = page.partial and rows and self.ctx.settings.partial_content
        await http.respond(send, 206 if partial else 200, content, headers, head=scope["method"] == "HEAD")

    async def retrieve(self, scope: Scope, send: Send, base: str, id: str, raw_query: str) -> None:
        row = await self.ctx.store(self.resource.model).row(id)
        if row is None:
            raise missing(self.resource, id)
        etag = f'"{row.revision}"'
        if header_matches(http.header(scope, b"if-none-match"), etag):
            await http.respond(send, 304, b"", [(b"etag", etag.encode())], head=True)
            return
        content = self.shown(row, base, self.fields(raw_query)).encode()
        await http.respond(send, 200, content, [(b"etag", etag.encode())], head=scope["method"] == "HEAD")

    def fields(self, raw_query: str) -> tuple[str, ...] | None:
        """`fields` where it is the only parameter that means anything; others are a 400."""
        if not raw_query:
            return None
        fields: tuple[str, ...] | None = None
        for part in raw_query.split("&"):
            name, _, value = part.partition("=")
            name = unquote(name)
            if name == "fields":
                fields = (fields or ()) + parse_fields(unquote(value.replace("+", " ")))
            elif part and name not in RESERVED:
                raise BadRequest(f"{name[:80]!r} means nothing here", attribute=name[:80])
        return fields

    def shown(self, row: Row, base: str, fields: tuple[str, ...] | None = None) -> str:
        """The document as this version shows it, with its href. The stored version is passed through as text."""
        href = f"{base}/{quote(row.id, safe='')}"
        if self.view.stored and fields is None:
            return f'{{"href":"{href}",{row.text[1:]}'
        doc = {"href": href, **self.view.down(orjson.loads(row.text))}
        always = ALWAYS_V4 if self.view.version == "v4" else ALWAYS
        return orjson.dumps(doc if fields is None else project(doc, fields, always)).decode()

    # --- writing ---

    async def create(self, scope: Scope, receive: Receive, send: Send, base: str, raw_query: str) -> None:
        http.media_type(scope, (http.JSON_MEDIA,))
        data = await http.body(scope, receive, self.ctx.settings.max_body_bytes)
        fields = self.fields(raw_query)
        key = http.header(scope, b"idempotency-key")
        sent, text = http.read(data)
        doc = self.form.created(sent, self.ctx.now(), text)
        if self.resource.refers:
            await references.check(self.ctx, self.resource.refers, doc)
        if key is not None:
            row = await self._create_once(doc, key, data, base)
        elif self.resource.perform is not None or self.resource.accepted:
            async with self.ctx.transaction() as tx:
                doc = await self._stored(tx, doc, base)
            row = Row(doc["id"], orjson.dumps(doc).decode(), 1)
        else:  # one statement is one transaction: no BEGIN, no COMMIT round trip
            row = await self.ctx.store(self.resource.model).insert_row(doc)
            self.ctx.signals.send("outbox")
        content = self.shown(row, base, fields).encode()
        etag = (b"etag", f'"{row.revision}"'.encode())
        if self.resource.accepted:
            monitor = base.rsplit("/", 1)[0] + f"/monitor/{quote(row.id, safe='')}"
            await http.respond(send, 202, content, [(b"location", monitor.encode()), etag])
            return
        location = f"{base}/{quote(row.id, safe='')}".encode()
        await http.respond(send, 201, content, [(b"location", location), etag])

    async def _stored(self, tx: Transaction, doc: Document, base: str) -> Document:
        """Insert, and let a task do its work in the same transaction; with a monitor where 202 is the answer."""
        sent = doc
        if self.resource.perform is not None:
            doc = await self.resource.perform(tx, doc)
        doc = await tx[self.resource.model].insert(doc)
        if self.resource.accepted:
            href = f"{base}/{quote(doc['id'], safe='')}"
            state = doc.get(self.resource.lifecycle.attribute) if self.resource.lifecycle else None
            request = {"method": "POST", "to": base, "body": sent}
            await tx[Monitor].insert({"id": doc["id"], "sourceHref": href, "state": state, "request": request})
        return doc

    async def _create_once(self, doc: Document, key: str, data: bytes, base: str) -> Row:
        """The second request with the same key and body gets the answer of the first; another body is a 422."""
        if not 0 < len(key) <= 255:
            raise BadRequest("Idempotency-Key has 1 to 255 characters", attribute="Idempotency-Key")
        subject, digest = CALL.get().subject, hashlib.sha256(data).hexdigest()
        async with self.ctx.transaction() as tx:
            # a concurrent request with this key waits here for the first to commit
            await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{subject}|{self.path}|{key}")
            known = await tx.fetchrow(
                "SELECT request_hash, resource_id, response, revision FROM idempotency"
                " WHERE subject = $1 AND path = $2 AND key = $3",
                subject, self.path, key,
            )  # fmt: skip
            if known is not None:
                if known[0] != digest:
                    raise Unprocessable(
                        "this Idempotency-Key came with another body before", attribute="Idempotency-Key"
                    )
                return Row(known[1], known[2], known[3])
            doc = await self._stored(tx, doc, base)
            row = Row(doc["id"], orjson.dumps(doc).decode(), 1)
            await tx.execute(
                "INSERT INTO idempotency (subject, path, key, request_hash, resource_id, response, revision)"
                " VALUES ($1, $2, $3, $4, $5, $6, 1)",
                subject, self.path, key, digest, row.id, row.text,
            )  # fmt: skip
            return row

    async def create_many(self, scope: Scope, receive: Receive, send: Send, base: str) -> None:
        """Bulk create (TMF630 part 1): PATCH on the collection with `add` operations; all or nothing."""
        http.media_type(scope, (http.JSON_PATCH,))
        operations = http.parsed(await http.body(scope, receive, self.ctx.settings.max_body_bytes))
        if not isinstance(operations, list) or not operations:
            raise BadRequest("bulk create wants a non-empty list of JSON Patch operations")
        if len(operations) > MAX_BULK:
            raise PayloadTooLarge(f"at most {MAX_BULK} resources in one bulk create")
        now, docs = self.ctx.now(), []
        for i, operation in enumerate(operations):
            if (
                not isinstance(operation, dict)
                or operation.get("op") != "add"
                or operation.get("path") not in ("/", "/-", "")
            ):
                raise BadRequest("bulk create knows only {op: add, path: /}", attribute=f"[{i}].op")
            try:
                docs.append(self.form.created(operation.get("value"), now))
            except TmfError as e:
                reason = (e.message or "").removeprefix(f"{e.attribute}: ")
                raise TmfError(reason, status=e.status, attribute=f"[{i}].value.{e.attribute or ''}".rstrip(".")) from e
        if self.resource.refers:
            for doc in docs:
                await references.check(self.ctx, self.resource.refers, doc)
        async with self.ctx.transaction() as tx:
            if self.resource.perform is None and not self.resource.accepted:
                written = await tx[self.resource.model].insert_many(docs)
            else:
                written = [await self._stored(tx, doc, base) for doc in docs]
            rows = [Row(d["id"], orjson.dumps(d).decode(), 1) for d in written]
        content = "[" + ",".join([self.shown(r, base) for r in rows]) + "]"
        await http.respond(send, 200, content.encode(), [(b"x-result-count", str(len(rows)).encode())])

    async def patch(self, scope: Scope, receive: Receive, send: Send, base: str, id: str, raw_query: str) -> None:
        media = http.media_type(scope, PATCH_MEDIA)
        sent = http.parsed(await http.body(scope, receive, self.ctx.settings.max_body_bytes))
        href, fields = f"{base}/{quote(id, safe='')}", self.fields(raw_query)
        if self.resource.refers:
            known = await self.ctx.store(self.resource.model).get(id)
            new = self.form.patched(known, sent, media, href, self.ctx.now())
            await references.check(self.ctx, self.resource.refers, new, known)
        async with self.ctx.transaction() as tx:
            store = tx[self.resource.model]
            old, revision = await store.locked(id)
            expect(scope, revision)
            new = self.form.patched(old, sent, media, href, self.ctx.now())
            new, written = await store.replace(old, new)
        row = Row(id, orjson.dumps(new).decode(), revision + written)
        content = self.shown(row, base, fields).encode()
        await http.respond(send, 200, content, [(b"etag", f'"{row.revision}"'.encode())])

    async def delete(self, scope: Scope, send: Send, id: str) -> None:
        if http.header(scope, b"if-match") is None:
            await self.ctx.store(self.resource.model).delete(id)
            self.ctx.signals.send("outbox")
        else:
            async with self.ctx.transaction() as tx:
                await self._delete_if(scope, tx, id)
        await http.respond(send, 204, b"", [])

    async def _delete_if(self, scope: Scope, tx: Transaction, id: str) -> None:
        store: Store = tx[self.resource.model]
        _, revision = await store.locked(id)
        expect(scope, revision)
        await store.delete(id)


def expect(scope: Scope, revision: int) -> None:
    """If-Match: 412 unless it names the revision that is stored."""
    wanted = http.header(scope, b"if-match")
    if wanted is not None and not header_matches(wanted, f'"{revision}"'):
        raise PreconditionFailed(f'If-Match {wanted[:100]} is not the current version "{revision}"')


def header_matches(value: str | None, etag: str) -> bool:
    if value is None:
        return False
    tags = [t.strip().removeprefix("W/") for t in value.split(",")]
    return "*" in tags or etag in tags


class Routes:
    """All resources of a component: a path is looked up, with and without its last segment, not matched."""

    def __init__(self, endpoints: Iterable[Served]) -> None:
        self.endpoints = {e.path.encode(): e for e in endpoints}

    def find(self, raw_path: bytes) -> tuple[Served, str | None] | None:
        if raw_path.endswith(b"/"):  # a trailing slash is tolerated
            raw_path = raw_path[:-1]
        endpoint = self.endpoints.get(raw_path)
        if endpoint is not None:
            return endpoint, None
        collection, _, last = raw_path.rpartition(b"/")
        endpoint = self.endpoints.get(collection)
        if endpoint is None:
            return None
        id = unquote(last.decode("latin-1"))
        return None if "\x00" in id else (endpoint, id)
