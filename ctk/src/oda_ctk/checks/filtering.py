"""Every form of attribute filtering. Each answer is judged against what the kit itself finds in the resources."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from oda_ctk.check import MUST, PART_1, PART_2, SHOULD, NotApplicable, check, expect
from oda_ctk.checks.reading import IDENTITY, rank, sortable
from oda_ctk.exchange import query
from oda_ctk.shapes import instant, leaf_paths, leaves, same
from oda_ctk.subject import MAX_ROWS, Document, Subject

Predicate = Callable[[Document], bool]
MOST = 8


def judged(s: Subject, question: str, holds: Predicate) -> None:
    """The answer to a question has exactly the resources for which the predicate holds."""
    docs = s.specimens()
    rows, answer = s.read(raw=question)
    wrong = [r for r in rows if not holds(r)]
    expect(not wrong, f"?{question} finds {len(wrong)} of {len(rows)} that do not match", answer)
    if len(rows) >= MAX_ROWS:
        return
    found = {r.get("id") for r in rows}
    lost = [d["id"] for d in docs if holds(d) and d["id"] not in found]
    expect(not lost, f"?{question} does not find {len(lost)} that match, for instance {lost[:1]}", answer)


def paths(s: Subject, *, inner: bool) -> list[str]:
    """Dotted paths to filter by: the suite's, else those of scalars in the resources."""
    docs = s.specimens()
    found = list(dict.fromkeys(p for d in reversed(docs) for p in leaf_paths(d)))
    wanted = [p for p in s.plan.filters if p in found] or [p for p in found if p.split(".")[-1] not in ("href",)]
    chosen = [p for p in wanted if ("." in p) == inner and "@" not in p and p not in IDENTITY]
    known = [p for p in chosen if s.attribute(p) is not None and p.split(".")[0] not in s.volatile]
    if s.marker in known:
        known.remove(s.marker)
        known.insert(0, s.marker)
    if not known:
        raise NotApplicable("the resources have no " + ("inner" if inner else "simple") + " attribute to filter by")
    return known[:MOST]


def value_at(s: Subject, path: str) -> Any:
    """A value that some specimen has at the path."""
    return next(v for d in s.specimens() for v in leaves(d, path) if isinstance(v, str | int | float | bool))


def text(value: Any) -> str:
    """A scalar as it is written in a query; a comma would mean or, so it is escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;")


def plain(value: Any) -> bool:
    """Whether a value is written without any escape."""
    return not isinstance(value, str) or (bool(value) and not re.search(r"[,;\\*<>=~]", value))


def has(path: str, *values: Any) -> Predicate:
    """One of these values stands at the path."""
    return lambda doc: any(same(found, v) for found in leaves(doc, path) for v in values)


@check("list.filter.id", MUST, f"{PART_1} 4.4", needs=("list",))
def by_id(s: Subject) -> None:
    """Filtering by id gives that resource alone."""
    doc = s.specimens()[0]
    judged(s, query(("id", str(doc["id"]))), lambda d: d.get("id") == doc["id"])


@check("list.filter.equality", MUST, f"{PART_1} 4.4", needs=("list",))
def equality(s: Subject) -> str:
    """attribute=value gives the resources that have this value, and no other."""
    tried = []
    for path in paths(s, inner=False):
        value = value_at(s, path)
        if plain(value):
            judged(s, query((path, text(value))), has(path, value))
            tried.append(path)
    return f"tried: {', '.join(tried)}"


@check("list.filter.no-match", MUST, f"{PART_1} 4.4", needs=("list",))
def nothing_matches(s: Subject) -> None:
    """A filter that nothing matches gives an empty list with 200."""
    for path in ("id", *([s.marker] if s.marker else ())):
        answer = s.ask((path, f"ctk-none-{s.session.run}"))
        expect(answer.status == 200 and answer.json == [], f"{answer.told()} with {len(answer.rows)} resources", answer)
        total = answer.headers.get("x-total-count")
        expect(total in (None, "0"), f"X-Total-Count of an empty list is {total}", answer)


@check("list.filter.and", MUST, f"{PART_1} 4.4", needs=("list",))
def conjunction(s: Subject) -> None:
    """Two different attributes in a query must both match."""
    doc = s.specimens()[0]
    path = paths(s, inner=False)[0]
    value = next(iter(leaves(doc, path)), None)
    if value is None or not plain(value):
        raise NotApplicable("no attribute to combine with the id")
    judged(s, query(("id", str(doc["id"])), (path, text(value))), lambda d: d.get("id") == doc["id"])
    if isinstance(value, str) and instant(value) is None and not _enumerated(s, path):
        rows, answer = s.read(("id", str(doc["id"])), (path, f"ctk-none-{s.session.run}"))
        expect(not rows, "one of two conditions does not match, and yet something is found", answer)


def _enumerated(s: Subject, path: str) -> bool:
    attribute = s.attribute(path)
    return bool(attribute and (attribute.enum or attribute.type != "string"))


def _two(s: Subject) -> tuple[str, str, str]:
    """An attribute and two of its values: of the marker, where there is one."""
    docs = s.specimens()
    for path in [*([s.marker] if s.marker else []), "id"]:
        values = [str(v) for v in dict.fromkeys(v for d in docs for v in leaves(d, path)) if plain(v)]
        if len(values) > 1:
            return path, values[0], values[-1]
    raise NotApplicable("there are no two different values")


@check("list.filter.or-comma", MUST, f"{PART_1} 4.4", needs=("list",))
def or_by_comma(s: Subject) -> None:
    """attribute=a,b gives the resources that have one of the values."""
    path, a, b = _two(s)
    judged(s, f"{query((path, a))},{query((path, b)).partition('=')[2]}", has(path, a, b))


@check("list.filter.or-repeated", MUST, f"{PART_1} 4.4", needs=("list",))
def or_by_repeating(s: Subject) -> None:
    """attribute=a&attribute=b gives the resources that have one of the values."""
    path, a, b = _two(s)
    judged(s, query((path, a), (path, b)), has(path, a, b))


@check("list.filter.or-semicolon", SHOULD, f"{PART_1} 4.4", needs=("list",))
def or_by_semicolon(s: Subject) -> None:
    """attribute=a;attribute=b gives the resources that have one of the values."""
    path, a, b = _two(s)
    judged(s, f"{query((path, a))};{query((path, b))}", has(path, a, b))


@check("list.filter.dotted", MUST, f"{PART_1} 4.4", needs=("list",))
def dotted(s: Subject) -> str:
    """A dotted path reaches into objects and arrays."""
    tried = []
    for path in paths(s, inner=True):
        value = value_at(s, path)
        if plain(value):
            judged(s, query((path, text(value))), has(path, value))
            tried.append(path)
    return f"tried: {', '.join(tried)}"


def _compared(s: Subject, operator: str, form: str) -> str:
    docs = s.specimens()
    path = sortable(s, docs)
    values = sorted({rank(d[path]) for d in docs}, key=lambda v: (str(type(v)), v))
    middle = values[len(values) // 2]
    value = next(d[path] for d in docs if rank(d[path]) == middle)
    tests: dict[str, Callable[[Any], bool]] = {
        "gt": lambda v: v > middle,
        "gte": lambda v: v >= middle,
        "lt": lambda v: v < middle,
        "lte": lambda v: v <= middle,
    }
    test = tests[operator]

    def holds(doc: Document) -> bool:
        return any(type(rank(v)) is type(middle) and test(rank(v)) for v in leaves(doc, path))

    question = form.format(path=path, value=query(("x", text(value)))[2:])
    judged(s, question, holds)
    return f"tried: {question}"


def _register(operator: str, sign: str) -> None:
    def suffix(s: Subject) -> str:
        return _compared(s, operator, f"{{path}}.{operator}={{value}}")

    def literal(s: Subject) -> str:
        return _compared(s, operator, f"{{path}}{sign}{{value}}")

    suffix.__doc__ = f"attribute.{operator}=value compares."
    literal.__doc__ = f"The literal form of .{operator} ({sign} in the address) compares."
    check(f"list.filter.{operator}", MUST, f"{PART_1} 4.4", needs=("list",))(suffix)
    check(f"list.filter.{operator}-literal", SHOULD, f"{PART_1} 4.4", needs=("list",))(literal)


for _operator, _sign in (("gt", "%3E"), ("gte", "%3E%3D"), ("lt", "%3C"), ("lte", "%3C%3D")):
    _register(_operator, _sign)


@check("list.filter.eq", SHOULD, f"{PART_1} 4.4", needs=("list",))
def explicit_equality(s: Subject) -> None:
    """attribute.eq=value is equality."""
    path, a, _ = _two(s)
    judged(s, query((f"{path}.eq", a)), has(path, a))


@check("list.filter.regex", SHOULD, f"{PART_1} 4.4", needs=("list",))
def regex(s: Subject) -> None:
    """attribute.regex=pattern gives the resources whose value the pattern describes."""
    path, a, b = _two(s)
    if path != s.marker or not s.has("create"):
        raise NotApplicable("no text attribute is known whose values the kit has set")
    pattern = f"^{re.escape(a).replace(chr(92) + '-', '-')[:-1]}[{a[-1]}{b[-1]}]$"
    judged(s, query((f"{path}.regex", pattern)), lambda d: bool(re.search(pattern, str(d.get(path, "")))))


@check("list.filter.date-prefix", SHOULD, f"{PART_1} 4.4", needs=("list",))
def date_prefix(s: Subject) -> str:
    """A date alone finds the instants of that day."""
    for path in paths(s, inner=False):
        attribute = s.attribute(path)
        value = str(value_at(s, path))
        if attribute and attribute.format == "date-time" and instant(value):
            day = value[:10]
            judged(s, query((path, day)), lambda d, path=path, day=day: _on(d, path, day))  # type: ignore[misc]
            return f"tried: {path}={day}"
    raise NotApplicable("the resources have no instant at the first level")


def _on(doc: Document, path: str, day: str) -> bool:
    return any(str(v).startswith(day) for v in leaves(doc, path))


@check("list.filter.type", MUST, PART_2, needs=("list",))
def by_type(s: Subject) -> None:
    """@type=Class gives the resources of this class; a class that nobody has gives none."""
    told = next((d["@type"] for d in s.specimens() if d.get("@type")), None)
    if told is None:
        raise NotApplicable("the resources do not tell their @type")
    judged(s, query(("@type", told)), has("@type", told))
    rows, answer = s.read(("@type", "CtkNoSuchClass"))
    expect(not rows, f"@type=CtkNoSuchClass finds {len(rows)}", answer)


@check("list.filter.unknown", SHOULD, f"{PART_1} 4.4", needs=("list",))
def unknown_attribute(s: Subject) -> None:
    """A filter by an attribute that does not exist is refused with 400, not ignored."""
    s.specimens()
    answer = s.ask(("ctkNoSuchAttribute", "1"))
    expect(answer.status == 400 or answer.json == [], f"{answer.told()} with {len(answer.rows)} resources", answer)
