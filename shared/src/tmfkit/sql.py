"""Query -> SQL over one JSONB column, built once per shape by SQLAlchemy Core and run by asyncpg.

Equality is containment, which one GIN index serves for every attribute, arrays included. A scalar is compared through
a cast, which a declared expression index can serve. Only an inequality that crosses an array walks the document.
Paths come from the models and are rendered as literals, so that a generic plan still finds its index.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    DateTime,
    Index,
    Numeric,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import ClauseElement

from tmfkit.query import NEGATIVE, Filter, Kind, Path, Query, Span, candidates, like_pattern

_PLAIN = re.compile(r"^(?!(?i:null)$)[^\s{},\"\\]+$")
DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
INSTANT_FUNCTION = (
    "CREATE OR REPLACE FUNCTION instant(text) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE "
    "AS $$ SELECT $1::timestamptz $$"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled statement and the order in which its parameters are wanted."""

    sql: str
    names: tuple[str, ...]
    constants: dict[str, Any]

    def args(self, values: dict[str, Any]) -> list[Any]:
        constants = self.constants
        return [values[n] if n in values else constants[n] for n in self.names]


def compiled(statement: ClauseElement) -> Plan:
    done = statement.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
    names = tuple(done.positiontup or ())  # type: ignore[attr-defined]
    return Plan(str(done), names, {k: v for k, v in done.params.items() if v is not None})


class Binder:
    """Gives each value a parameter; two queries of one shape bind the same names in the same order."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def __call__(self, value: Any, kind: Any) -> ColumnElement[Any]:
        name = f"p{len(self.values)}"
        self.values[name] = value
        return cast(bindparam(name, type_=Text() if kind is JSONB else kind), kind)


def where(doc: ColumnElement[Any], query: Query, bind: Binder) -> list[ColumnElement[bool]]:
    conditions = [or_(*(condition(doc, f, bind) for f in group)) for group in query.groups]
    if query.expression is not None:
        path, variables = query.expression.postgres()
        conditions.append(
            func.jsonb_path_exists(
                doc,
                bind(path, Text).op("::")(literal_column("jsonpath")),
                bind(orjson.dumps(variables).decode(), JSONB),
                true(),
            )
        )
    return conditions


def shape(query: Query) -> tuple[Any, ...]:
    """What decides the text of the statement, without the values."""
    groups = tuple(tuple((f.path, f.op, tuple(_form(f, v) for v in f.values)) for f in g) for g in query.groups)
    return groups, query.expression is not None, query.sort


def _form(f: Filter, value: Any) -> Any:
    if f.op == "isnull":
        return value
    if isinstance(value, Span):
        return value.start == value.end
    if isinstance(value, str) and f.path.kind == "any":
        return tuple(type(c) for c in candidates(value))
    return None


def condition(doc: ColumnElement[Any], f: Filter, bind: Binder) -> ColumnElement[bool]:
    if f.op in NEGATIVE:  # an absent attribute differs from every value, as in JSON; SQL's NULL would say nothing
        equal = condition(doc, Filter(f.path, "eq", f.values), bind)
        return not_(func.coalesce(equal, false()))
    if f.op == "isnull":
        found = _leaf_exists(doc, f.path, lambda leaf: func.jsonb_typeof(leaf) != "null")
        return not_(found) if f.values[0] else found
    if f.op in ("eq", "in") and f.path.kind != "instant":
        return or_(*(_contains(doc, f.path, v, bind) for v in f.values))
    if f.path.many or f.path.kind == "any":
        return _leaf_exists(doc, f.path, lambda leaf: _any_test(leaf, f, bind))
    return _test(scalar(doc, f.path), f.path.kind, f.op, f.values, bind)


def _contains(doc: ColumnElement[Any], path: Path, value: Any, bind: Binder) -> ColumnElement[bool]:
    wanted = candidates(value) if path.kind == "any" else (value,)
    found = [doc.bool_op("@>")(bind(orjson.dumps(smallest(path, v)).decode(), JSONB)) for v in wanted]
    return or_(*found)


def smallest(path: Path, value: Any) -> Any:
    """The smallest document that matches: relatedParty.role=x -> {"relatedParty": [{"role": "x"}]}."""
    node: Any = value
    for step in reversed(path.steps):
        node = {step.name: [node] if step.many else node}
    return node


def _leaf_exists(
    doc: ColumnElement[Any], path: Path, test: Callable[[ColumnElement[Any]], ColumnElement[bool]]
) -> ColumnElement[bool]:
    leaf = func.jsonb_path_query(doc, literal_column(_quoted(jsonpath(path)) + "::jsonpath")).column_valued(
        "leaf", joins_implicitly=True
    )
    return exists(select(literal_column("1")).where(test(leaf)))


def _any_test(leaf: ColumnElement[Any], f: Filter, bind: Binder) -> ColumnElement[bool]:
    """A test on one jsonb leaf; where the attribute has no type, the leaf's own type decides how to compare."""
    content = leaf.op("#>>", return_type=Text())(literal_column("'{}'::text[]"))
    if f.path.kind != "any":
        return _test(content, f.path.kind, f.op, f.values, bind)
    # AND does not fix the order of evaluation in SQL; CASE does, so that no text is ever cast to a number.
    tests = [_test(case((func.jsonb_typeof(leaf) == "string", content)), "text", f.op, f.values, bind)]
    numbers = [n for v in f.values for n in candidates(v) if isinstance(n, int | float) and not isinstance(n, bool)]
    if (f.op in COMPARE and numbers) or (f.op == "between" and len(numbers) == 2):
        number = case((func.jsonb_typeof(leaf) == "number", content))
        tests.append(_test(number, "number", f.op, numbers, bind))
    return or_(*tests)


COMPARE: dict[str, str] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _test(content: ColumnElement[Any], kind: Kind, op: str, values: Sequence[Any], bind: Binder) -> ColumnElement[bool]:
    if op == "regex":
        return or_(*(content.bool_op("~")(bind(v, Text)) for v in values))
    if op == "like":
        return or_(*(content.bool_op("~")(bind(f"^{like_pattern(v)}$", Text)) for v in values))
    if op == "contains":
        return or_(*(func.strpos(content, bind(v, Text)) > 0 for v in values))
    if op == "startsWith":
        return or_(*(func.starts_with(content, bind(v, Text)) for v in values))
    if op == "endsWith":
        return or_(*(func.right(content, func.length(bind(v, Text))) == bind(v, Text) for v in values))
    left = as_kind(content, kind)
    if op == "between":
        low, high = (_operand(v, kind, bind) for v in values)
        return and_(left >= low, left <= high)
    if op in COMPARE:
        return or_(*(left.bool_op(COMPARE[op])(_operand(v, kind, bind)) for v in values))
    return or_(*(_same_instant(left, v, bind) for v in values))


def _same_instant(left: ColumnElement[Any], value: Span, bind: Binder) -> ColumnElement[bool]:
    start = bind(value.start, DateTime(timezone=True))
    if value.start == value.end:
        return left == start
    return and_(left >= start, left < bind(value.end, DateTime(timezone=True)))


def _operand(value: Any, kind: str, bind: Binder) -> ColumnElement[Any]:
    if isinstance(value, Span):
        return bind(value.start, DateTime(timezone=True))
    if kind == "number":
        return bind(Decimal(repr(value)), Numeric)
    if kind == "boolean":
        return bind("true" if value else "false", Text)
    return bind(value, Text)


def as_kind(content: ColumnElement[Any], kind: str) -> ColumnElement[Any]:
    if kind == "number":
        return cast(content, Numeric)
    if kind == "instant":
        return func.instant(content)
    return content.collate("C")  # text orders by code point, on every server


def scalar(doc: ColumnElement[Any], path: Path) -> ColumnElement[Any]:
    return doc.op("#>>", return_type=Text())(literal_column(_keys(path)))


def _keys(path: Path) -> str:
    """The path as PostgreSQL itself writes it, so that a declared index compares equal with the one it reports."""
    quoted = (n if _PLAIN.match(n) else orjson.dumps(n).decode() for n in (s.name for s in path.steps))
    return _quoted("{" + ",".join(quoted) + "}") + "::text[]"


def sort_key(doc: ColumnElement[Any], path: Path) -> ColumnElement[Any]:
    return as_kind(scalar(doc, path), path.kind)


def jsonpath(path: Path) -> str:
    return "$" + "".join(f".{orjson.dumps(s.name).decode()}" + ("[*]" if s.many else "") for s in path.steps)


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def ordered(table: Table, query: Query) -> list[ColumnElement[Any]]:
    """Sort keys, nulls last either way, ties by id so that pages never overlap."""
    keys = [(sort_key(table.c.doc, p), down) for p, down in query.sort]
    return [k.desc().nulls_last() if down else k.asc().nulls_last() for k, down in keys] + [table.c.id.asc()]


def page(table: Table, query: Query) -> tuple[Plan, Plan, Callable[[Query], dict[str, Any]]]:
    """(the page with its exact total in one statement, the total alone, how to bind a query of the same shape)."""
    bind = Binder()
    conditions = where(table.c.doc, query, bind)
    total: Select[Any] = select(func.count()).select_from(table).where(*conditions)
    rows = (
        select(cast(table.c.doc, Text), table.c.revision, total.scalar_subquery(), table.c.id)
        .where(*conditions)
        .order_by(*ordered(table, query))
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )

    def values(q: Query) -> dict[str, Any]:
        again = Binder()
        where(table.c.doc, q, again)
        return again.values | {"limit": q.limit, "offset": q.offset}

    return compiled(rows), compiled(total), values


def declared_indexes(table: Table, paths: Sequence[Path]) -> None:
    """An expression index for each path; its text is written as PostgreSQL reports it, for Alembic compares letters."""
    for path in paths:
        name = f"ix_{table.name}_{'_'.join(s.name.strip('@').lower() for s in path.steps)}"[:63]
        content = f"doc #>> {_keys(path)}"
        expression = {"number": f"(({content})::numeric)", "instant": f"instant({content})"}.get(
            path.kind, f'({content}) COLLATE "C"'
        )
        Index(name, text(expression), _table=table)
