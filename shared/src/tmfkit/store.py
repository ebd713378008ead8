"""Documents and the events they raise, written in one statement or one transaction. The only SQL for resources.

A write is one round trip: the document, its outbox rows and its audit row are common table expressions of one
statement, so that none can be without the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Table, Text, bindparam, cast, func, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as pg_insert

from tmfkit import sql
from tmfkit.call import CALL
from tmfkit.database import new_id
from tmfkit.errors import Conflict, NotFound, TmfError
from tmfkit.patch import changed
from tmfkit.query import Filter as Condition
from tmfkit.query import Query, names_of, values
from tmfkit.resource import Resource
from tmfkit.tables import KernelTables
from tmfkit.types import Document

PLANS_KEPT = 512


class Row(NamedTuple):
    """A stored document as it lies there: its JSON as text, without `href`."""

    id: str
    text: str
    revision: int


@dataclass
class Shelf:
    """A resource's table with its statements, compiled once. Knows no connection."""

    resource: Resource
    api: str
    table: Table
    kernel: KernelTables
    pages: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    @cached_property
    def one(self) -> sql.Plan:
        t = self.table
        return sql.compiled(select(cast(t.c.doc, Text), t.c.revision).where(t.c.id == bindparam("id", type_=Text())))

    @cached_property
    def one_locked(self) -> sql.Plan:
        t = self.table
        return sql.compiled(
            select(cast(t.c.doc, Text), t.c.revision).where(t.c.id == bindparam("id", type_=Text())).with_for_update()
        )

    @cached_property
    def insertion(self) -> sql.Plan:
        t = self.table
        doc = (
            pg_insert(t)
            .values(id=_text("id"), doc=_json("doc"), revision=literal(1))
            .on_conflict_do_nothing()
            .returning(t.c.id, t.c.doc)
            .cte("written")
        )
        return self._write(doc, literal(1))

    @cached_property
    def insertions(self) -> sql.Plan:
        """Many documents in one statement; their ids, documents and event ids come as arrays."""
        t = self.table
        columns = func.unnest(_array("ids"), _array("docs")).table_valued("id", "doc").render_derived("sent")
        doc = (
            pg_insert(t)
            .from_select(["id", "doc", "revision"], select(columns.c.id, cast(columns.c.doc, JSONB), literal(1)))
            .on_conflict_do_nothing()
            .returning(t.c.id, t.c.doc)
            .cte("written")
        )
        arrays = func.unnest(_array("raised_for"), _array("event_ids"), _array("kinds"))
        raised = arrays.table_valued("id", "event_id", "kind").render_derived("raised")
        return self._write(doc, func.count(), raised=raised, on=doc.c.id == raised.c.id, kind=raised.c.kind, many=True)

    @cached_property
    def update(self) -> sql.Plan:
        t = self.table
        doc = (
            t.update()
            .where(t.c.id == _text("id"))
            .values(doc=_json("doc"), revision=t.c.revision + 1, updated_at=func.now())
            .returning(t.c.id, t.c.doc, t.c.revision)
            .cte("written")
        )
        return self._write(doc, doc.c.revision)

    @cached_property
    def deletion(self) -> sql.Plan:
        t = self.table
        doc = t.delete().where(t.c.id == _text("id")).returning(t.c.id, t.c.doc).cte("written")
        return self._write(doc, literal(0))

    def _write(
        self, written: Any, revision: Any, *, raised: Any = None, on: Any = None, kind: Any = None, many: bool = False
    ) -> sql.Plan:
        """The statement around a write: outbox rows for the events it raises, and its audit rows."""
        outbox, audit = self.kernel.outbox, self.kernel.audit
        if raised is None:
            columns = func.unnest(_array("kinds"), _array("event_ids")).table_valued("kind", "event_id")
            raised = columns.render_derived("raised")
            on, kind = literal(True), raised.c.kind
        events = (
            insert(outbox)
            .from_select(
                ["event_id", "api", "resource", "resource_id", "kind", "doc", "traceparent"],
                select(
                    raised.c.event_id,
                    literal(self.api, Text),
                    literal(self.resource.name, Text),
                    written.c.id,
                    kind,
                    written.c.doc,
                    _text("traceparent"),
                ).select_from(written.join(raised, on)),
            )
            .cte("events")
        )
        trail = (
            insert(audit)
            .from_select(
                ["subject", "operation", "resource", "resource_id", "attributes", "trace_id"],
                select(
                    _text("subject"),
                    _text("operation"),
                    literal(self.resource.name, Text),
                    written.c.id,
                    _array("attributes"),
                    _text("trace_id"),
                ),
            )
            .cte("trail")
        )
        answer = select(revision).select_from(written) if many else select(written.c.id, revision)
        return sql.compiled(answer.add_cte(events, trail))

    def page(self, query: Query) -> tuple[sql.Plan, sql.Plan, dict[str, Any]]:
        key = sql.shape(query)
        known = self.pages.get(key)
        if known is None:
            if len(self.pages) >= PLANS_KEPT:
                self.pages.clear()
            known = self.pages[key] = sql.page(self.table, query)
        rows, total, bind = known
        return rows, total, bind(query)


def _text(name: str) -> Any:
    return cast(bindparam(name, type_=Text()), Text)


def _json(name: str) -> Any:
    return cast(bindparam(name, type_=Text()), JSONB)


def _array(name: str) -> Any:
    return cast(bindparam(name, type_=ARRAY(Text)), ARRAY(Text))


class Store:
    """A resource's documents over one connection. Documents are in the stored shape, without `href`."""

    def __init__(
        self, connection: Any, shelf: Shelf, raised: list[str] | None = None, monitors: Store | None = None
    ) -> None:
        self.connection, self.shelf, self.monitors = connection, shelf, monitors
        self.raised = raised if raised is not None else []

    # --- reading ---

    async def row(self, id: str) -> Row | None:
        found = await self.connection.fetchrow(self.shelf.one.sql, id)
        return None if found is None else Row(id, found[0], found[1])

    async def find(self, id: str, *, lock: bool = False) -> Document | None:
        row = await self.connection.fetchrow((self.shelf.one_locked if lock else self.shelf.one).sql, id)
        return None if row is None else orjson.loads(row[0])

    async def get(self, id: str, *, lock: bool = False) -> Document:
        doc = await self.find(id, lock=lock)
        if doc is None:
            raise missing(self.shelf.resource, id)
        return doc

    async def locked(self, id: str) -> tuple[Document, int]:
        """The document and its revision under the row lock; 404 if it is not there."""
        row = await self.connection.fetchrow(self.shelf.one_locked.sql, id)
        if row is None:
            raise missing(self.shelf.resource, id)
        return orjson.loads(row[0]), row[1]

    async def page(self, query: Query) -> tuple[list[Row], int]:
        """One page, and the exact total of the filtered set."""
        rows, total, bound = self.shelf.page(query)
        if query.limit == 0:
            return [], await self.connection.fetchval(total.sql, *total.args(bound))
        found = await self.connection.fetch(rows.sql, *rows.args(bound))
        if found:
            return [Row(r[3], r[0], r[1]) for r in found], found[0][2]
        if query.offset == 0:
            return [], 0
        return [], await self.connection.fetchval(total.sql, *total.args(bound))

    async def select(
        self, where: Mapping[str, Any] | None = None, *, limit: int = 1000, offset: int = 0, sort: str | None = None
    ) -> list[Document]:
        """Documents whose attributes equal the given values (a list: any of them), in the stored shape."""
        query = self.query(where, limit=limit, offset=offset, sort=sort)
        rows, _ = await self.page(query)
        return [orjson.loads(row.text) for row in rows]

    async def count(self, where: Mapping[str, Any] | None = None) -> int:
        return (await self.page(self.query(where, limit=0)))[1]

    async def every(self, where: Mapping[str, Any] | None = None, *, size: int = 500) -> AsyncIterator[Document]:
        """All matching documents, in order of id, a page at a time."""
        offset = 0
        while docs := await self.select(where, limit=size, offset=offset):
            for doc in docs:
                yield doc
            offset += len(docs)

    def query(self, where: Mapping[str, Any] | None, *, limit: int, offset: int = 0, sort: str | None = None) -> Query:
        names = names_of(self.shelf.resource.model, *self.shelf.resource.extensions)
        groups = []
        for name, wanted in (where or {}).items():
            path = names(name)
            if path is None:
                raise KeyError(f"{self.shelf.resource.name} has no attribute {name}")
            wanted_all: Sequence[Any] = wanted if isinstance(wanted, list | tuple) else (wanted,)
            typed = tuple(
                values(path, "eq", w.replace(",", "\\,"), name)[0] if isinstance(w, str) else w for w in wanted_all
            )
            groups.append((Condition(path, "eq", typed),))
        order: tuple[tuple[Any, bool], ...] = ()
        if sort:
            path = names(sort.lstrip("-"))
            if path is None:
                raise KeyError(f"{self.shelf.resource.name} has no attribute {sort}")
            order = ((path, sort.startswith("-")),)
        return Query(tuple(groups), None, order, None, offset, limit)

    # --- writing ---

    async def insert(self, doc: Document) -> Document:
        """Store a new document; `id` is kept if given and free (else TmfError 409). Raises its Create event."""
        doc = self._new(doc)
        await self.insert_row(doc)
        return doc

    async def insert_row(self, doc: Document) -> Row:
        """As `insert`, for who needs the text only."""
        doc = self._new(doc)
        text = orjson.dumps(doc).decode()
        row = await self._run(self.shelf.insertion, doc["id"], text, ["Create"], "create", None)
        if row is None:
            raise Conflict(f"{self.shelf.resource.name} {doc['id']} exists already", attribute="id")
        return Row(doc["id"], text, 1)

    def _new(self, doc: Document) -> Document:
        """A copy with id, without href."""
        doc = {"id": doc.get("id") or new_id(), **{k: v for k, v in doc.items() if k not in ("id", "href")}}
        doc.setdefault("@type", self.shelf.resource.name)
        return doc

    async def insert_many(self, docs: Sequence[Document]) -> list[Document]:
        """Store new documents in one statement; all or, with TmfError 409, none (use it in a transaction)."""
        resource = self.shelf.resource
        stored = [self._new(doc) for doc in docs]
        if not stored:
            return []
        call = CALL.get()
        raised = [(d["id"], new_id(), kind) for d in stored for kind in resource.raised(["Create"])]
        bound = {
            "ids": [d["id"] for d in stored],
            "docs": [orjson.dumps(d).decode() for d in stored],
            "raised_for": [r[0] for r in raised],
            "event_ids": [r[1] for r in raised],
            "kinds": [r[2] for r in raised],
            "traceparent": call.traceparent,
            "trace_id": call.trace_id,
            "subject": call.subject,
            "operation": "create",
            "attributes": None,
        }
        plan = self.shelf.insertions
        written = await self.connection.fetchval(plan.sql, *plan.args(bound))
        if written != len(stored):
            raise Conflict(
                f"{len(stored) - written} of {len(stored)} ids of {resource.name} exist already", attribute="id"
            )
        self.raised.extend(kind for _, _, kind in raised[:1])
        return stored

    async def replace(self, old: Document, new: Document) -> tuple[Document, bool]:
        """Store `new` in the place of `old`, which was read under its lock. No difference: no write, no event."""
        new = {**{k: v for k, v in new.items() if k != "href"}, "id": old["id"]}
        attributes = changed(old, new)
        if not attributes:
            return old, False
        text = orjson.dumps(new).decode()
        await self._run(self.shelf.update, new["id"], text, self.kinds(attributes), "patch", sorted(attributes))
        if self.monitors is not None:
            await self._settle(self.monitors, new)
        return new, True

    async def _settle(self, monitors: Store, doc: Document) -> None:
        """A monitor follows its resource: in progress until the life cycle ends, then the answer that was due."""
        lifecycle = self.shelf.resource.lifecycle
        monitor = await monitors.find(doc["id"], lock=True)
        if lifecycle is None or monitor is None:
            return
        state = doc.get(lifecycle.attribute)
        if state in lifecycle.final:
            body = {**doc, "href": monitor["sourceHref"]}
            settled = {**monitor, "state": state, "response": {"statusCode": "201", "body": body}}
        else:
            settled = {**monitor, "state": state}
        await monitors.replace(monitor, settled)

    def kinds(self, attributes: set[str]) -> list[str]:
        """Which events a change of these attributes raises."""
        lifecycle, updated = self.shelf.resource.lifecycle, self.shelf.resource.updated
        state = {lifecycle.attribute} if lifecycle else set()
        aside = state | ({updated} if updated else set())
        aside |= {a for a in ("statusChangeDate", "stateChangeDate", "statusChangeReason") if state & attributes}
        kinds = [lifecycle.event] if lifecycle and state & attributes else []
        if attributes - aside or not kinds:
            kinds.append("AttributeValueChange")
        return kinds

    async def delete(self, id: str) -> None:
        if await self._run(self.shelf.deletion, id, None, ["Delete"], "delete", None) is None:
            raise missing(self.shelf.resource, id)

    async def _run(
        self, plan: sql.Plan, id: str, text: str | None, kinds: list[str], operation: str, attributes: Any
    ) -> Any:
        call = CALL.get()
        kinds = self.shelf.resource.raised(kinds)
        bound = {
            "id": id,
            "doc": text,
            "kinds": kinds,
            "event_ids": [new_id() for _ in kinds],
            "traceparent": call.traceparent,
            "trace_id": call.trace_id,
            "subject": call.subject,
            "operation": operation,
            "attributes": attributes,
        }
        row = await self.connection.fetchrow(plan.sql, *plan.args(bound))
        if row is not None and kinds:
            self.raised.extend(kinds)
        return row


def missing(resource: Resource, id: str) -> TmfError:
    return NotFound(f"no {resource.name} with id {id[:200]!r}", attribute="id")
