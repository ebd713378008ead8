"""The SQL of a filter finds exactly the documents that `matches` finds: random documents, random filters."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import asyncpg
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import MetaData, text

from tmfkit import sql
from tmfkit.database import dsn
from tmfkit.embedded import Embedded
from tmfkit.query import Query, matches, names_of, parse
from tmfkit.resource import Resource
from tmfkit.tables import document_table
from tmfkit.types import Characteristic, Entity, Instant, Money, Note, RelatedPartyOrPartyRole, TimePeriod

WORDS = [
    "a",
    "ab",
    "b c",
    "B",
    "",
    "é",
    "5",
    "5.5",
    "true",
    "x,y",
    "100%",
    "a_b",
    "ünï",
    'q"uote',
    "back\\slash",
    "a.b*c",
]
INSTANTS = ["2018-08-21T00:00:00Z", "2018-08-21T10:15:30.5Z", "2018-08-22T01:00:00+02:00", "2019-01-01T00:00:00Z"]
NUMBERS = [0, 1, 5, 5.5, -3, 1e6, 0.1]


class Thing(Entity):
    name: str | None = None
    amount: float | None = None
    rank: int | None = None
    open: bool | None = None
    at: Instant | None = None
    tag: list[str] | None = None
    validFor: TimePeriod | None = None
    price: Money | None = None
    note: list[Note] | None = None
    relatedParty: list[RelatedPartyOrPartyRole] | None = None
    characteristic: list[Characteristic] | None = None


RESOURCE = Resource(Thing, index=("at", "amount", "name"))
NAMES = names_of(Thing)
PATHS = [
    "id", "name", "amount", "rank", "open", "at", "tag", "validFor.startDateTime", "price.value", "note.text",
    "note.date",
    "relatedParty.role", "relatedParty.partyOrPartyRole.id", "characteristic.name", "characteristic.value", "@type",
]  # fmt: skip


def maybe(rng: random.Random, value: Any) -> Any:
    return value if rng.random() < 0.7 else None


def thing(rng: random.Random, n: int) -> dict[str, Any]:
    def word() -> str:
        return rng.choice(WORDS)

    doc: dict[str, Any] = {"id": f"{n}", "@type": rng.choice(["Thing", "Extended"])}
    optional = {
        "name": word(),
        "amount": rng.choice(NUMBERS),
        "rank": rng.randint(0, 5),
        "open": rng.random() < 0.5,
        "at": rng.choice(INSTANTS),
        "tag": [word() for _ in range(rng.randint(0, 3))],
        "validFor": {"startDateTime": rng.choice(INSTANTS)},
        "price": {"value": rng.choice(NUMBERS), "unit": "EUR"},
        "note": [{"text": word(), "date": rng.choice(INSTANTS)} for _ in range(rng.randint(0, 3))],
        "relatedParty": [{"role": word(), "partyOrPartyRole": {"id": word()}} for _ in range(rng.randint(0, 2))],
        "characteristic": [
            {"name": word(), "value": rng.choice([*WORDS, *NUMBERS, True, False, {"a": 1}, [1, 2]])}
            for _ in range(rng.randint(0, 3))
        ],
    }
    doc |= {k: v for k, v in optional.items() if maybe(rng, v) is not None}
    return doc


class Loaded:
    """Documents in a real table, and a way to ask for those that a query finds."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.table = document_table(MetaData(), RESOURCE)
        self.docs = [thing(random.Random(i), i) for i in range(400)]
        self.connection: Any = self.loop.run_until_complete(self.load(url))

    async def load(self, url: str) -> Any:
        from sqlalchemy.schema import CreateIndex, CreateTable

        connection = await asyncpg.connect(dsn(url))
        await connection.execute(sql.INSTANT_FUNCTION)
        await connection.execute(str(CreateTable(self.table).compile(dialect=sql.DIALECT)))
        for index in self.table.indexes:
            await connection.execute(str(CreateIndex(index).compile(dialect=sql.DIALECT)))
        await connection.executemany(
            "INSERT INTO thing (id, doc, revision) VALUES ($1, $2::jsonb, 1)",
            [(d["id"], orjson.dumps(d).decode()) for d in self.docs],
        )
        return connection

    def found(self, query: Query) -> tuple[list[str], int]:
        rows, total, values = sql.page(self.table, query)
        bound = values(query)

        async def ask() -> tuple[list[str], int]:
            got = await self.connection.fetch(rows.sql, *rows.args(bound))
            return [r[3] for r in got], await self.connection.fetchval(total.sql, *total.args(bound))

        return self.loop.run_until_complete(ask())

    def close(self) -> None:
        self.loop.run_until_complete(self.connection.close())
        self.loop.close()


@pytest.fixture(scope="module")
def loaded(postgres: Embedded) -> Iterator[Loaded]:
    loaded = Loaded(postgres.url())
    yield loaded
    loaded.close()


def operand(path: str, draw: Any) -> str:
    kind = NAMES(path).kind  # type: ignore[union-attr]
    if kind == "number":
        return str(draw(st.sampled_from([*NUMBERS, 2, 7])))
    if kind == "boolean":
        return str(draw(st.sampled_from(["true", "false"])))
    if kind == "instant":
        return str(draw(st.sampled_from([*INSTANTS, "2018", "2018-08", "2018-08-21", "2018-08-21T10:15:30", "2020"])))
    return str(draw(st.sampled_from([*WORDS, "a", "5", "1", "false"])))


@st.composite
def condition(draw: Any) -> str:
    path = draw(st.sampled_from(PATHS))
    kind = NAMES(path).kind  # type: ignore[union-attr]
    ops = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "between", "isnull"]
    if kind in ("text", "any"):
        ops += ["like", "contains", "startsWith", "endsWith", "regex"]
    op = draw(st.sampled_from(ops))
    if op == "isnull":
        value = draw(st.sampled_from(["true", "false"]))
    elif op == "regex":
        value = draw(st.sampled_from(["^a", "b$", "[a-c]+", "5", "a|b", "x.y", "é", "^$", "\\."]))
    elif op == "like":
        value = draw(st.sampled_from(["a*", "*b", "*", "a%c", "100", "*_*", "a.*"]))
    else:
        count = 2 if op == "between" else draw(st.integers(1, 3)) if op in ("in", "nin", "eq") else 1
        value = ",".join(operand(path, draw).replace(",", "\\,") for _ in range(count))
    return f"{quote(path)}.{op}={quote(value, safe=',')}"


@st.composite
def query_text(draw: Any) -> str:
    groups = draw(st.lists(st.lists(condition(), min_size=1, max_size=2), min_size=1, max_size=3))
    return "&".join(";".join(g) for g in groups)


@settings(max_examples=2500, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(query_text())
def test_sql_finds_what_the_matcher_finds(loaded: Loaded, raw: str) -> None:
    query = parse(raw, NAMES, default_limit=1000)
    ids, total = loaded.found(query)
    expected = sorted(d["id"] for d in loaded.docs if matches(d, query))
    assert sorted(ids) == expected, raw
    assert total == len(expected)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.sampled_from(["name", "amount", "rank", "at", "price.value", "validFor.startDateTime"]), st.booleans())
def test_sort_is_by_value_then_id_with_nulls_last(loaded: Loaded, path: str, down: bool) -> None:
    query = parse(f"sort={'-' if down else ''}{path}&limit=1000", NAMES)
    ids, _ = loaded.found(query)
    from tmfkit.query import instant, leaves

    def value(doc: dict[str, Any]) -> Any:
        leaf = next(leaves(doc, query.sort[0][0]), None)
        return instant(leaf) if query.sort[0][0].kind == "instant" else leaf

    have = sorted((d for d in loaded.docs if value(d) is not None), key=lambda d: d["id"])
    have.sort(key=value, reverse=down)
    rest = sorted(d["id"] for d in loaded.docs if value(d) is None)
    assert ids == [d["id"] for d in have] + rest


def test_a_declared_index_serves_a_range(loaded: Loaded) -> None:
    query = parse("at.gt=2018-09-01&limit=5", NAMES)
    rows, _, values = sql.page(loaded.table, query)

    async def plan() -> str:
        await loaded.connection.execute("SET enable_seqscan = off")
        got = await loaded.connection.fetch("EXPLAIN " + rows.sql, *rows.args(values(query)))
        await loaded.connection.execute("SET enable_seqscan = on")
        return "\n".join(r[0] for r in got)

    assert "ix_thing_at" in loaded.loop.run_until_complete(plan())


_ = text
