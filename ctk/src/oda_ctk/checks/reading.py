"""Identity, attribute selection and order of what is read."""

from __future__ import annotations

from urllib.parse import urlsplit

from oda_ctk.check import MUST, PART_1, SHOULD, Failure, NotApplicable, check, expect
from oda_ctk.exchange import Exchange
from oda_ctk.shapes import instant, leaf_paths, leaves, same
from oda_ctk.subject import MAX_ROWS, Document, Subject

IDENTITY = {"id", "href"}
TYPED = {"@type", "@baseType", "@schemaLocation"}


@check("read.identity", MUST, f"{PART_1} 2.3", needs=("list",))
def identity(s: Subject) -> None:
    """Every resource has an id and an href."""
    s.specimens()
    answer = s.ask(limit=20)
    for row in answer.rows:
        for name in sorted(IDENTITY):
            expect(isinstance(row.get(name), str | int) and row[name] != "", f"a resource has no {name}", answer)


@check("read.href", MUST, f"{PART_1} 2.3", needs=("retrieve",))
def href_leads_back(s: Subject) -> None:
    """The href of a resource leads to it."""
    doc = s.whole()
    href = str(doc.get("href", ""))
    expect(
        urlsplit(href).path.rstrip("/").endswith(f"/{s.one(doc['id']).rpartition('/')[2]}"),
        f"href {href!r} does not end with the id {doc['id']!r}",
    )
    path = urlsplit(href).path
    root = "://".join(urlsplit(s.target.base)[:2])
    answer = s.target.get(root + path if path.startswith("/") else s.one(doc["id"]))
    expect(
        answer.status == 200 and answer.document.get("id") == doc["id"],
        f"GET of the path of href is answered with {answer.status}",
        answer,
    )


@check("read.href-absolute", SHOULD, f"{PART_1} 2.3", needs=("list",))
def href_is_absolute(s: Subject) -> None:
    """The href is absolute and begins as the address that was asked."""
    doc = s.specimens()[0]
    root = "://".join(urlsplit(s.target.base)[:2])
    if not str(doc.get("href", "")).startswith(root + "/"):
        shown = s.get(doc["id"]) if s.has("retrieve") else s.ask(limit=1)
        raise Failure(f"href is {doc.get('href')!r}, asked was {root}", shown)


def _one(s: Subject, doc: Document, fields: str) -> tuple[Exchange, Document]:
    answer = s.target.get(f"{s.one(doc['id'])}?fields={fields}")
    expect(answer.status == 200, f"{answer.told()} with fields={fields}", answer)
    return answer, answer.document


def _moved_to(s: Subject, doc: Document, name: str, value: object) -> bool:
    """Whether an attribute has changed by itself to that value since the resource was read."""
    return same(value, s.get(doc["id"]).document.get(name))


def _judge(s: Subject, answer: Exchange, found: Document, doc: Document, wanted: set[str], fields: str) -> None:
    for name in IDENTITY & doc.keys():
        expect(same(found.get(name), doc[name]), f"fields={fields} loses {name}", answer)
    for name in wanted & doc.keys():
        expect(name in found, f"fields={fields} does not give {name}", answer)
        expect(
            name in s.volatile or same(found[name], doc[name]) or _moved_to(s, doc, name, found[name]),
            f"fields={fields} gives another {name} than without fields",
            answer,
        )
    extra = found.keys() - IDENTITY - TYPED - wanted
    expect(not extra, f"fields={fields} gives also {', '.join(sorted(extra))}", answer)


@check("read.fields.first-level", MUST, f"{PART_1} 4.3", needs=("retrieve",))
def fields_first_level(s: Subject) -> str:
    """fields= gives each first-level attribute that is asked for, with id and href, and nothing else."""
    doc = s.whole()
    names = [n for n in doc if n not in IDENTITY and not n.startswith("@")]
    for name in names:
        answer, found = _one(s, doc, name)
        _judge(s, answer, found, doc, {name}, name)
    if len(names) > 1:
        both = ",".join(names[:2])
        answer, found = _one(s, doc, both)
        _judge(s, answer, found, doc, set(names[:2]), both)
    return f"tried: {', '.join(names)}"


@check("read.fields.none", MUST, f"{PART_1} 4.3", needs=("retrieve",))
def fields_none(s: Subject) -> None:
    """fields=none gives id and href only."""
    doc = s.whole()
    answer, found = _one(s, doc, "none")
    _judge(s, answer, found, doc, set(), "none")


@check("read.fields.list", MUST, f"{PART_1} 4.3", needs=("list",))
def fields_in_lists(s: Subject) -> None:
    """fields= works on lists, and does not disturb a filter on an attribute that is not selected."""
    docs = s.specimens()
    for fields in ("none", s.marker or "none"):
        answer = s.ask(("fields", fields), limit=20)
        expect(answer.status in (200, 206), f"{answer.told()} with fields={fields}", answer)
        for row in answer.rows:
            for name in IDENTITY:
                expect(name in row, f"fields={fields} loses {name}", answer)
            extra = row.keys() - IDENTITY - TYPED - {fields}
            expect(not extra, f"fields={fields} gives also {', '.join(sorted(extra))}", answer)
    if s.marker and s.has("create"):
        value = str(docs[0][s.marker])
        answer = s.ask((s.marker, value), ("fields", "none"))
        wanted = {d["id"] for d in docs if d.get(s.marker) == value}
        found = {r.get("id") for r in answer.rows}
        expect(found == wanted, f"{s.marker}={value} with fields=none finds others", answer)


@check("read.fields.unknown", SHOULD, f"{PART_1} 4.3", needs=("retrieve",))
def fields_unknown(s: Subject) -> None:
    """A name in fields= that does not exist is passed over."""
    doc = s.whole()
    answer, found = _one(s, doc, "ctkNoSuchAttribute")
    _judge(s, answer, found, doc, set(), "ctkNoSuchAttribute")


@check("read.fields.dotted", SHOULD, f"{PART_1} 4.3", needs=("retrieve",))
def fields_dotted(s: Subject) -> str:
    """fields= with a dotted path gives the inner attribute (optional)."""
    doc = s.whole()
    inner = [p for p in leaf_paths(doc) if p.count(".") == 1 and "@" not in p]
    path = next((p for p in inner if not p.endswith((".id", ".href"))), "")
    if not path:
        raise NotApplicable("the resource has no inner attribute")
    answer, found = _one(s, doc, path)
    if path.split(".")[0] not in found:
        raise NotApplicable("inner attributes cannot be selected, which is allowed")
    if path.split(".")[0] in s.volatile:
        return f"found: {path}"
    expect(same(leaves(found, path), leaves(doc, path)), f"{path} has other values than without fields", answer)
    return f"tried: {path}"


def sortable(s: Subject, docs: list[Document]) -> str:
    """A first-level attribute that all specimens have, with different values."""
    names = [n for n in ([s.marker] if s.marker else []) + list(docs[0]) if n and not n.startswith("@")]
    for name in names:
        values = [d.get(name) for d in docs]
        if (
            name not in IDENTITY | s.volatile
            and all(isinstance(v, str | int | float) for v in values)
            and len(set(values)) > 1
        ):
            attribute = s.attribute(name)
            dated = attribute is not None and attribute.format == "date-time"
            if name == s.marker or dated or isinstance(values[0], int | float):
                return str(name)
    raise NotApplicable("the resources do not differ in an attribute that could be sorted by")


def rank(value: object) -> object:
    """A value to order by: an instant as an instant."""
    return instant(value) or value


@check("list.sort", SHOULD, f"{PART_1} 4.7", needs=("list",))
def sort(s: Subject) -> str:
    """sort= orders by an attribute, ascending, and with a minus descending."""
    docs = s.specimens()
    name = sortable(s, docs)
    ids = {d["id"] for d in docs}
    question: list[tuple[str, str]] = []
    if s.marker is not None and s.has("create"):
        question = [(s.marker, ",".join(dict.fromkeys(str(d.get(s.marker)) for d in docs)))]
        question = question if s.ask(*question).rows else []  # list.filter.or-comma judges that
    for sign, reverse in (("", False), ("-", True), ("%2B", False)):
        rows, answer = s.read(*question, raw=f"sort={sign}{name}")
        if len(rows) >= MAX_ROWS:
            raise NotApplicable("there is too much to find the kit's own among it")
        found = [rank(r.get(name)) for r in rows if r.get("id") in ids]
        expect(len(found) == len(ids), f"sort={sign}{name} loses resources", answer)
        expect(
            found == sorted(found, key=lambda v: (str(type(v)), v), reverse=reverse),
            f"sort={sign}{name} gives the order {[r.get(name) for r in rows if r.get('id') in ids]}",
            answer,
        )
    return f"tried: {name}"


@check("list.sort.with-filter", SHOULD, f"{PART_1} 4.7", needs=("list", "create"))
def sort_with_filter(s: Subject) -> None:
    """sort= and a filter work together."""
    docs = s.specimens()
    if not s.marker:
        raise NotApplicable("no attribute is known that tells the resources apart")
    if not all(s.marker in d for d in docs):
        raise NotApplicable(f"{s.marker} is not shown; create.kept judges that")
    values = sorted({str(d[s.marker]) for d in docs})[:2]
    if not s.ask((s.marker, ",".join(values))).rows:
        raise NotApplicable("a comma between two values means nothing; list.filter.or-comma judges that")
    rows, answer = s.read((s.marker, ",".join(values)), ("sort", f"-{s.marker}"))
    found = [r.get(s.marker) for r in rows]
    expected = sorted((str(d[s.marker]) for d in docs if d[s.marker] in values), reverse=True)
    expect(found == expected, f"found {found} instead of {expected}", answer)
