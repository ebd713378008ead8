"""The TMF630 query grammar: raw query string in, Query out; and `matches`, the meaning of a Query. Pure.

The same Query is turned into SQL (sql.py) and evaluated here on a document: for hub subscriptions, and as the
oracle that the SQL is tested against.
"""

from __future__ import annotations

import enum
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any, Literal
from urllib.parse import unquote_plus

from pydantic import BaseModel

from tmfkit import jsonpath, regex
from tmfkit.base import forms_of
from tmfkit.errors import BadRequest, TmfError
from tmfkit.types import Document

Kind = Literal["text", "number", "boolean", "instant", "any"]
RESERVED = frozenset({"fields", "sort", "offset", "limit", "filter", "depth", "expand", "before", "after"})
OPERATORS = {
    name.lower(): name
    for name in (
        "eq", "ne", "gt", "gte", "lt", "lte", "regex", "in", "nin", "like", "between", "isnull", "contains",
        "startsWith", "endsWith",
    )
}  # fmt: skip
SYMBOLS = {
    "=": "eq",
    "==": "eq",
    "!=": "ne",
    ">": "gt",
    ">=": "gte",
    "<": "lt",
    "<=": "lte",
    "*=": "regex",
    "=~": "regex",
}
NEGATIVE = frozenset({"ne", "nin"})
MAX_QUERY_CHARS = 8192
MAX_CONDITIONS = 256
MAX_OFFSET = 2**31
"""What is beyond is beyond any collection too."""
MAX_REGEX_CHARS = 200

_CONDITION = re.compile(r"^([@\w.\-:/]+?)\s*(>=|<=|==|=~|\*=|!=|>|<|=)(.*)$", re.S)
_INSTANT = re.compile(
    r"^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(\.\d{1,6})?)?)?\s*(Z|z|[+-]\d\d:?\d\d)?)?)?)?$"
)


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    many: bool


@dataclass(frozen=True, slots=True)
class Path:
    """A declared attribute of the stored document."""

    steps: tuple[Step, ...]
    kind: Kind

    def __str__(self) -> str:
        return ".".join(s.name for s in self.steps)

    @property
    def many(self) -> bool:
        return any(s.many for s in self.steps)


@dataclass(frozen=True, slots=True)
class Span:
    """An instant as far as it was written: 2018-08-21 is the whole day. Half-open; `start == end` is one instant."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Filter:
    path: Path
    op: str
    values: tuple[Any, ...]


Group = tuple[Filter, ...]
"""Filters of which one must hold."""


@dataclass(frozen=True, slots=True)
class Query:
    groups: tuple[Group, ...] = ()
    expression: jsonpath.Expression | None = None
    sort: tuple[tuple[Path, bool], ...] = ()
    fields: tuple[str, ...] | None = None
    offset: int = 0
    limit: int | None = None


class Names(typing.Protocol):
    """Resolves an attribute name as a client wrote it to a path of the stored document."""

    def __call__(self, dotted: str) -> Path | None: ...


def bad_query(reason: str, attribute: str) -> TmfError:
    return BadRequest(reason, attribute=attribute)


def parse(raw: str, names: Names, *, default_limit: int = 100, max_limit: int = 1000) -> Query:
    """Parse a raw (undecoded) query string.

    AND between `&`, OR by comma, repeated name or `;`. Errors: TmfError 400 naming the parameter.
    """
    if not raw:
        return Query(limit=default_limit)
    if len(raw) > MAX_QUERY_CHARS:
        raise bad_query(f"the query is longer than {MAX_QUERY_CHARS} characters", "query")
    groups: list[list[Filter]] = []
    by_name: dict[tuple[str, str], list[Filter]] = {}
    expression: jsonpath.Expression | None = None
    sort: tuple[tuple[Path, bool], ...] = ()
    fields: tuple[str, ...] | None = None
    offset, limit = 0, default_limit
    for segment in raw.split("&"):
        if not segment:
            continue
        name, op, text = _split(unquote_plus(segment))
        if name in RESERVED and op == "eq":
            if name == "fields":
                fields = (fields or ()) + parse_fields(text)
            elif name == "sort":
                sort = _sort(segment, names)
            elif name == "offset":
                offset = _count(name, text)
            elif name == "limit":
                limit = min(_count(name, text), max_limit)
            elif name == "filter":
                expression = _expression(text) if text.strip() else None
            continue
        alternatives: list[Filter] = []
        last = ""
        for part in segment.split(";"):
            if not part:
                continue
            decoded = unquote_plus(part)
            if last and not _CONDITION.match(decoded):
                decoded = f"{last}={decoded}"
            name, op, text = _split(decoded)
            last = name
            alternatives.append(_filter(name, op, text, names))
        if len(alternatives) == 1 and alternatives[0].op not in NEGATIVE:
            only = alternatives[0]
            known = by_name.get((str(only.path), only.op))
            if known is not None:
                known.append(only)
                continue
            by_name[str(only.path), only.op] = alternatives
        groups.append(alternatives)
    if sum(len(f.values) for g in groups for f in g) > MAX_CONDITIONS:
        raise bad_query(f"more than {MAX_CONDITIONS} values to compare with", "query")
    return Query(tuple(tuple(g) for g in groups), expression, sort, fields, offset, limit)


def _split(decoded: str) -> tuple[str, str, str]:
    match = _CONDITION.match(decoded)
    if not match:
        raise bad_query(f"{decoded[:80]!r} is not a condition", decoded[:80])
    return match[1], SYMBOLS[match[2]], match[3]


def _count(name: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,300}", text):
        raise bad_query(f"{name} must be a non-negative integer", name)
    return min(int(text), MAX_OFFSET)


def parse_fields(text: str) -> tuple[str, ...]:
    """`none` gives only the identity; unknown names are ignored later, as TMF630 asks. Errors: TmfError 400."""
    depth, start, out = 0, 0, []
    for i, c in enumerate(text + ","):
        depth += (c in "[(") - (c in ")]")
        if c == "," and depth <= 0:
            out.append(text[start:i].strip())
            start = i + 1
    if start < len(text):  # a bracket that does not close
        out.append(text[start:].strip())
    for wanted in out:
        if "[" in wanted:
            try:
                jsonpath.parse(wanted)
            except jsonpath.JsonPathError as e:
                raise bad_query(f"fields: {e}", "fields") from e
    return tuple(f for f in out if f and f != "none")


def _sort(segment: str, names: Names) -> tuple[tuple[Path, bool], ...]:
    keys = []
    for part in unquote_plus(segment.split("=", 1)[1]).split(","):
        text = part.strip()
        if not text:
            continue
        name = text.lstrip("+-")
        path = names(name) if name else None
        if path is None:
            raise bad_query(f"cannot sort by {name!r}: no such attribute", name or "sort")
        if path.many:
            raise bad_query(f"cannot sort by {name!r}: it has more than one value", name)
        keys.append((path, text.startswith("-")))
    return tuple(keys)


def _expression(text: str) -> jsonpath.Expression:
    try:
        return jsonpath.parse(text)
    except jsonpath.JsonPathError as e:
        raise bad_query(f"filter: {e}", "filter") from e


def _filter(name: str, op: str, text: str, names: Names) -> Filter:
    path = None if names is anything and name.rpartition(".")[2].lower() in OPERATORS else names(name)
    if path is None and op == "eq":
        head, _, tail = name.rpartition(".")
        if tail.lower() in OPERATORS and head:
            path, op = names(head), OPERATORS[tail.lower()]
            name = head
    if path is None:
        raise bad_query(f"no attribute {name!r} to filter by", name)
    return Filter(path, op, values(path, op, text, name))


def values(path: Path, op: str, text: str, name: str) -> tuple[Any, ...]:
    """The comparison values, typed by the attribute. Errors: TmfError 400."""
    if op == "isnull":
        return (_boolean(text, name),)
    if op in ("regex", "like", "contains", "startsWith", "endsWith"):
        if path.kind not in ("text", "any"):
            raise bad_query(f"{op} needs a text attribute, {name} is a {path.kind}", name)
        return tuple(_pattern(op, t, name) for t in _alternatives(text, op))
    parts = _alternatives(text, op)
    if path.kind in ("number", "boolean", "instant"):
        parts = [_unquoted(t) for t in parts]
    elif op in ("eq", "in"):
        parts = [meant for t in parts for meant in dict.fromkeys((t, _unquoted(t)))]
    if op == "between" and len(parts) != 2:
        raise bad_query(f"{name}.between needs two values", name)
    return tuple(_value(path.kind, t, name) for t in parts)


def _unquoted(text: str) -> str:
    """Without the quotation marks that TM Forum's own kits put around values; of a text both forms are meant."""
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _alternatives(text: str, op: str) -> list[str]:
    if op == "regex":  # a comma belongs to the expression: a{1,2}
        return [text]
    return [t.replace("\\,", ",") for t in re.split(r"(?<!\\),", text)]


def _pattern(op: str, text: str, name: str) -> str:
    if op != "regex":
        return _storable(text, name)
    try:
        return jsonpath.safe_regex(text)
    except jsonpath.JsonPathError as e:
        raise bad_query(f"{name}: {e}", name) from e


def _boolean(text: str, name: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise bad_query(f"{name}: {text!r} is neither true nor false", name)
    return text.lower() == "true"


_NUMBER = re.compile(r"^[+-]?(\d{1,300}(\.\d{0,300})?|\.\d{1,300})([eE][+-]?\d{1,3})?$")


def _value(kind: Kind, text: str, name: str) -> Any:
    if kind == "number":
        if not _NUMBER.match(text):
            raise bad_query(f"{name}: {text!r} is not a number", name)
        return _number(text)
    if kind == "boolean":
        return _boolean(text, name)
    if kind == "instant":
        return span(text, name)
    return _storable(text, name)


def _storable(text: str, name: str) -> str:
    if "\x00" in text:
        raise bad_query(f"{name}: a value cannot hold the character NUL", name)
    return text


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def span(text: str, name: str) -> Span:
    """An instant or a prefix of one (year, month, day, hour, minute, second); without offset it is UTC."""
    match = _INSTANT.match(text.strip())
    if not match:
        raise bad_query(f"{name}: {text!r} is not a date or an instant", name)
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    zone = "+00:00" if offset in (None, "Z", "z") else offset
    try:
        start = datetime.fromisoformat(
            f"{year}-{month or '01'}-{day or '01'}"
            f"T{hour or '00'}:{minute or '00'}:{second or '00'}{fraction or ''}{zone}"
        ).astimezone(UTC)
        if fraction:
            return Span(start, start)
        if second or minute or hour or day:
            step = timedelta(seconds=1) if second else timedelta(minutes=1) if minute else timedelta(hours=1)
            return Span(start, start + (step if hour else timedelta(days=1)))
        if month:
            return Span(start, (start + timedelta(days=32)).replace(day=1))
        return Span(start, start.replace(year=start.year + 1))
    except (ValueError, OverflowError) as e:
        raise bad_query(f"{name}: {text!r} is not a date or an instant", name) from e


# --- names -------------------------------------------------------------------------------------------------


def model_fields(model: type[BaseModel]) -> dict[str, Any]:
    """Wire name -> annotation, markers kept."""
    return _model_fields(model)


@cache
def _model_fields(model: type[BaseModel]) -> dict[str, Any]:
    return {info.alias or name: info for name, info in model.model_fields.items()}


def unwrapped(annotation: Any) -> tuple[Any, bool, bool]:
    """(type, many, instant) behind Optional, Annotated and list."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return unwrapped(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        rest = [a for a in typing.get_args(annotation) if a is not type(None)]
        return unwrapped(rest[0]) if len(rest) == 1 or _is_model(rest[0]) else (Any, False, False)
    if origin in (list, set, tuple):
        return unwrapped(typing.get_args(annotation)[0])[0], True, False
    return annotation, False, False


def _is_model(kind: Any) -> bool:
    return isinstance(unwrapped(kind)[0], type) and issubclass(unwrapped(kind)[0], BaseModel)


def kind_of(annotation: Any) -> Kind:
    kind, _, _ = unwrapped(annotation)
    if isinstance(kind, type):
        if issubclass(kind, bool):
            return "boolean"
        if issubclass(kind, enum.Enum):
            return "text"
        if issubclass(kind, int | float):
            return "number"
        if issubclass(kind, datetime):
            return "instant"
        if issubclass(kind, str):
            return "text"
    if typing.get_origin(kind) is Literal and all(isinstance(a, str) for a in typing.get_args(kind)):
        return "text"
    return "any"


def names_of(*models: type[BaseModel]) -> Names:
    """Names of the attributes that these models declare; the first that knows a name wins."""

    @lru_cache(maxsize=4096)
    def resolve(dotted: str) -> Path | None:
        for model in models:
            path = _resolve(model, dotted)
            if path is not None:
                return path
        return None

    return resolve


def _resolve(model: type[BaseModel], dotted: str) -> Path | None:
    steps: list[Step] = []
    kind: Any = model
    annotation: Any = model
    for name in dotted.split("."):
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return None
        info = next((f[name] for f in map(model_fields, (kind, *forms_of(kind).values())) if name in f), None)
        if info is None:
            return None
        annotation = info.annotation
        kind, many, _ = unwrapped(annotation)
        steps.append(Step(name, many))
    return Path(tuple(steps), "any" if _is_model(annotation) else kind_of(annotation))


def anything(dotted: str) -> Path | None:
    """Names of an event envelope, whose inside depends on the event: any path may be asked for."""
    head, _, last = dotted.rpartition(".")
    if head and last.lower() in OPERATORS:
        return None
    return Path(tuple(Step(n, True) for n in dotted.split(".")), "any") if dotted else None


# --- meaning -----------------------------------------------------------------------------------------------


def matches(document: Document, query: Query) -> bool:
    """Whether a document satisfies the conditions of a query. The oracle of sql.py."""
    if not all(any(holds(document, f) for f in group) for group in query.groups):
        return False
    return query.expression is None or jsonpath.evaluate(query.expression, document)


def holds(document: Document, f: Filter) -> bool:
    if f.op in NEGATIVE:
        return not any(_equal(leaf, v) for leaf in leaves(document, f.path) for v in f.values)
    if f.op == "isnull":
        return any(leaf is not None for leaf in leaves(document, f.path)) is not f.values[0]
    test = TESTS[f.op]
    return any(test(leaf, f.values) for leaf in leaves(document, f.path))


def leaves(node: Any, path: Path) -> Iterator[Any]:
    """Every value at the path, through arrays."""
    found = [node]
    for step in path.steps:
        found = list(_children(found, step))
    return iter(found)


def _children(nodes: Iterable[Any], step: Step) -> Iterator[Any]:
    for node in nodes:
        if isinstance(node, dict) and step.name in node:
            value = node[step.name]
            if step.many and isinstance(value, list):
                yield from value
            else:
                yield value


def _equal(leaf: Any, value: Any) -> bool:
    if isinstance(value, Span):
        at = instant(leaf)
        return at is not None and (value.start <= at < value.end or at == value.start)
    if isinstance(value, str):
        return any(type(leaf) is type(c) and leaf == c for c in candidates(value)) or (
            isinstance(leaf, int | float) and not isinstance(leaf, bool) and leaf in _numbers(value)
        )
    if isinstance(value, bool) or isinstance(leaf, bool):
        return leaf is value
    return isinstance(leaf, int | float) and leaf == value


def _numbers(text: str) -> tuple[int | float, ...]:
    return tuple(c for c in candidates(text) if isinstance(c, int | float) and not isinstance(c, bool))


def candidates(text: str) -> tuple[Any, ...]:
    """What a piece of a URL may mean where the attribute has no type of its own: text, number, boolean."""
    out: list[Any] = [text]
    if _NUMBER.match(text):
        out.append(_number(text))
    if text in ("true", "false"):
        out.append(text == "true")
    return tuple(out)


def instant(leaf: Any) -> datetime | None:
    if not isinstance(leaf, str):
        return None
    try:
        at = datetime.fromisoformat(leaf)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Sequence[Any]], bool]:
    def test(leaf: Any, wanted: Sequence[Any]) -> bool:
        return any(_compare(compare, leaf, v) for v in wanted)

    return test


def _compare(compare: Callable[[Any, Any], bool], leaf: Any, value: Any) -> bool:
    if isinstance(value, Span):
        at = instant(leaf)
        return at is not None and compare(at, value.start)
    if isinstance(value, str):
        if isinstance(leaf, str):
            return compare(leaf, value)
        if isinstance(leaf, int | float) and not isinstance(leaf, bool):
            return any(compare(leaf, n) for n in _numbers(value))
        return False
    if isinstance(leaf, bool) or isinstance(value, bool):
        return isinstance(leaf, bool) and isinstance(value, bool) and compare(leaf, value)
    return isinstance(leaf, int | float) and compare(leaf, value)


def _text(test: Callable[[str, str], bool]) -> Callable[[Any, Sequence[Any]], bool]:
    return lambda leaf, wanted: isinstance(leaf, str) and any(test(leaf, v) for v in wanted)


def like_pattern(text: str) -> str:
    """`*` and `%` stand for any text; everything else for itself."""
    return ".*".join(re.escape(part) for part in re.split(r"[*%]", text))


def _between(leaf: Any, wanted: Sequence[Any]) -> bool:
    low, high = wanted
    return _compare(lambda a, b: bool(a >= b), leaf, low) and _compare(lambda a, b: bool(a <= b), leaf, high)


TESTS: Mapping[str, Callable[[Any, Sequence[Any]], bool]] = {
    "eq": lambda leaf, wanted: any(_equal(leaf, v) for v in wanted),
    "in": lambda leaf, wanted: any(_equal(leaf, v) for v in wanted),
    "gt": _ordered(lambda a, b: bool(a > b)),
    "gte": _ordered(lambda a, b: bool(a >= b)),
    "lt": _ordered(lambda a, b: bool(a < b)),
    "lte": _ordered(lambda a, b: bool(a <= b)),
    "between": _between,
    "regex": _text(lambda leaf, v: regex.compiled(v).search(leaf)),
    "like": _text(lambda leaf, v: re.fullmatch(like_pattern(v), leaf, re.S) is not None),
    "contains": _text(lambda leaf, v: v in leaf),
    "startsWith": _text(lambda leaf, v: leaf.startswith(v)),
    "endsWith": _text(lambda leaf, v: leaf.endswith(v)),
}


# --- projection --------------------------------------------------------------------------------------------

ALWAYS = ("id", "href", "@type")  # v5 requires @type of everything; in v4 it is an attribute like others
ALWAYS_V4 = ("id", "href")


def project(document: Document, fields: Sequence[str], always: Sequence[str] = ALWAYS) -> Document:
    """Only the wanted attributes (dotted into objects and arrays), and those that are shown always."""
    out: Document = {k: document[k] for k in always if k in document}
    for wanted in fields:
        if "[" in wanted:
            wanted, picked = jsonpath.project(wanted, document)
            if picked is not None:
                out[wanted] = picked
            continue
        _pick(document, wanted.split("."), out)
    return out


def _pick(source: Any, names: list[str], target: Document) -> None:
    name, rest = names[0], names[1:]
    if not isinstance(source, dict) or name not in source:
        return
    value = source[name]
    if not rest:
        target[name] = value
    elif isinstance(value, list):
        parts = target.get(name)
        if not isinstance(parts, list) or len(parts) != len(value):
            parts = [{} for _ in value]
        for item, part in zip(value, parts, strict=True):
            if isinstance(part, dict):
                _pick(item, rest, part)
        target[name] = parts
    elif isinstance(value, dict):
        part = target.get(name)
        if not isinstance(part, dict):
            part = {}
        _pick(value, rest, part)
        target[name] = part
