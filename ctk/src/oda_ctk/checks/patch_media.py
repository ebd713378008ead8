"""PATCH as a list of operations: JSON Patch (RFC 6902) and JSON Patch Query (TMF630 Part 5)."""

from __future__ import annotations

from typing import Any

from oda_ctk.check import FILE, MUST, PART_1, PART_5, NotApplicable, check, expect
from oda_ctk.checks.patching import others_kept
from oda_ctk.exchange import JSON_MEDIA, JSON_PATCH, MERGE, PATCH_QUERY, Exchange
from oda_ctk.payloads import STATE
from oda_ctk.shapes import same
from oda_ctk.subject import Document, Subject

NEEDS = ("patch", "create", "retrieve")


@check("patch.media", MUST, f"{FILE}: PATCH {{resource}} (media types)", needs=NEEDS)
def published_media(s: Subject) -> str:
    """No media type that the file names for PATCH is answered with 415."""
    operation = s.operation("PATCH", one=True)
    known = (JSON_MEDIA, MERGE, JSON_PATCH, PATCH_QUERY)
    published = [m for m in (operation.media if operation else ()) if m in known]
    if not published:
        raise NotApplicable("the file names no media type")
    doc = s.created()
    refused = []
    for media in published:
        body = s.accompanied(doc, {}) if media in (JSON_MEDIA, MERGE) else []
        answer = s.target.patch(s.one(doc["id"]), body, media=media)
        if answer.status == 415:
            refused.append(answer)
    names = ", ".join(e.sent_headers["content-type"] for e in refused)
    expect(not refused, f"answered with 415: {names}", *refused)
    return f"tried: {', '.join(published)}"


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _sent(s: Subject, doc: Document, operations: list[dict[str, Any]], media: str = JSON_PATCH) -> Exchange:
    answer = s.target.patch(s.one(doc["id"]), operations, media=media)
    if answer.status == 415:
        operation = s.operation("PATCH", one=True)
        expect(
            s.session.profile == "core" or operation is None or media not in operation.media,
            f"{media} is answered with 415",
            answer,
        )
        raise NotApplicable(f"{media} is optional and not offered (415)")
    return answer


def _text(s: Subject) -> tuple[str, str]:
    """An attribute and a text to change it to."""
    name, value = next(iter(s.change().items()))
    if not isinstance(value, str):
        raise NotApplicable("no text attribute is known that may be changed")
    return name, value


@check("patch.json-patch", MUST, "RFC 6902 4", needs=NEEDS)
def operations(s: Subject) -> None:
    """replace, test and add of a JSON Patch are applied in their order."""
    doc = s.created(form="full")
    name, value = _text(s)
    word = "replace" if name in doc else "add"
    change = {"path": _pointer(name), "value": value}
    answer = _sent(s, doc, [{"op": word, **change}, {"op": "test", **change}])
    expect(answer.ok, f"{answer.told()}", answer)
    read = s.get(doc["id"])
    expect(read.document.get(name) == value, f"{name} is {read.document.get(name)!r}", answer, read)
    others_kept(s, doc, read.document, {name}, answer, read)


@check("patch.json-patch-remove", MUST, "RFC 6902 4.2", needs=NEEDS)
def remove(s: Subject) -> str:
    """remove takes an optional attribute away."""
    doc = s.created(form="full")
    must = {a.name for a in s.creatable if a.required}
    kept = must | s.server_set
    may = [
        a.name
        for a in s.updatable
        if a.name in doc and a.name not in kept and a.name[0] != "@" and not STATE.search(a.name)
    ]
    if not may:
        raise NotApplicable("the resource has no optional attribute that may be changed")
    answer = _sent(s, doc, [{"op": "remove", "path": _pointer(may[0])}])
    expect(answer.ok, f"{answer.told()}", answer)
    read = s.get(doc["id"])
    expect(may[0] not in read.document, f"{may[0]} is still there", answer, read)
    return f"tried: {may[0]}"


def _array(s: Subject, doc: Document) -> str:
    names = {a.name for a in s.updatable if a.many} - s.server_set
    for name, value in doc.items():
        if name in names and isinstance(value, list) and value and isinstance(value[0], dict):
            return name
    raise NotApplicable("the resource has no array of objects that may be changed")


@check("patch.json-patch-append", MUST, "RFC 6902 4.1", needs=NEEDS)
def append(s: Subject) -> str:
    """add to the end of an array (path/-) keeps the items that are there."""
    doc = s.created(form="full")
    name = _array(s, doc)
    item = doc[name][0]
    answer = _sent(s, doc, [{"op": "add", "path": f"{_pointer(name)}/-", "value": item}])
    expect(answer.ok, f"{answer.told()}", answer)
    found = s.get(doc["id"]).document.get(name)
    expect(
        isinstance(found, list) and len(found) == len(doc[name]) + 1,
        f"{name} has {len(found) if isinstance(found, list) else 'no'} items instead of {len(doc[name]) + 1}",
        answer,
    )
    return f"tried: {name}"


@check("patch.json-patch-atomic", MUST, "RFC 6902 5", needs=NEEDS)
def atomic(s: Subject) -> None:
    """Of a JSON Patch with one operation that fails, nothing is applied."""
    doc = s.created(form="full")
    name, value = _text(s)
    list_ = [
        {"op": "add", "path": _pointer(name), "value": value},
        {"op": "test", "path": _pointer(name), "value": "something else"},
    ]
    answer = _sent(s, doc, list_)
    expect(400 <= answer.status < 500, f"a test that fails is answered with {answer.status}", answer)
    read = s.get(doc["id"])
    expect(same(read.document.get(name), doc.get(name)), f"{name} was changed all the same", answer, read)


@check("patch.json-patch-malformed", MUST, "RFC 6902 5", needs=NEEDS)
def malformed(s: Subject) -> None:
    """A JSON Patch with an unknown operation, without path or to nowhere is refused with 4xx."""
    doc = s.created()
    for operation in (
        {"op": "ctk", "path": "/name", "value": 1},
        {"op": "replace", "value": 1},
        {"op": "remove", "path": "/ctkNoSuchAttribute/deep"},
    ):
        answer = _sent(s, doc, [operation])
        expect(400 <= answer.status < 500, f"{operation} is answered with {answer.status}", answer)


@check("patch.json-patch-read-only", MUST, f"{PART_1} 2.3", needs=NEEDS)
def read_only(s: Subject) -> None:
    """A JSON Patch cannot change id or href either."""
    doc = s.created()
    for name in ("id", "href"):
        answer = _sent(s, doc, [{"op": "replace", "path": f"/{name}", "value": "ctk-other"}])
        expect(400 <= answer.status < 500, f"a patch of {name} is answered with {answer.status}", answer)
        expect(s.get(doc["id"]).document.get(name) == doc.get(name), f"{name} was changed", answer)


@check("patch.json-patch-query", MUST, PART_5, needs=NEEDS, profile="extended")
def patch_query(s: Subject) -> str:
    """JSON Patch Query removes the array member that a condition names, and no other."""
    doc = s.created(form="full")
    name = _array(s, doc)
    first = doc[name][0]
    key = next((k for k in ("id", "name", "text", *first) if isinstance(first.get(k), str) and k[0] != "@"), None)
    if key is None:
        raise NotApplicable("the members of the array have no text to tell them apart")
    other = {**first, key: "ctk-other"}
    answer = _sent(s, doc, [{"op": "add", "path": f"{_pointer(name)}/-", "value": other}], JSON_PATCH)
    expect(answer.ok, f"{answer.told()}", answer)
    answer = _sent(s, doc, [{"op": "remove", "path": f"{_pointer(name)}?{key}=ctk-other"}], PATCH_QUERY)
    expect(answer.ok, f"{answer.told()} with {PATCH_QUERY}", answer)
    found = s.get(doc["id"]).document.get(name)
    expect(
        isinstance(found, list) and [m.get(key) for m in found] == [m.get(key) for m in doc[name]],
        f"{name} is {found}",
        answer,
    )
    nowhere = _sent(s, doc, [{"op": "remove", "path": f"{_pointer(name)}?{key}=ctk-nobody"}], PATCH_QUERY)
    expect(400 <= nowhere.status < 500, f"a condition that nothing meets is answered with {nowhere.status}", nowhere)
    return f"tried: {name}?{key}="


@check("patch.bulk-create", MUST, f"{PART_1} 6.2", needs=("create", "patch"), profile="extended")
def bulk_create(s: Subject) -> None:
    """A JSON Patch of the collection creates several resources, all or none (optional)."""
    operation = {"op": "add", "path": "/"}
    two = [{**operation, "value": s.body()}, {**operation, "value": s.body()}]
    answer = s.target.patch(s.path, two, media=JSON_PATCH)
    if answer.status in (404, 405, 415, 501):
        raise NotApplicable(f"creation in bulk is optional and not offered ({answer.status})")
    expect(answer.status in (200, 201) and len(answer.rows) == 2, f"{answer.told()}", answer)
    marked = s.body(label="bulk")
    broken = s.target.patch(s.path, [{**operation, "value": marked}, {**operation, "value": 1}], media=JSON_PATCH)
    expect(400 <= broken.status < 500, f"with one part broken, {broken.told()}", broken)
    if s.marker:
        rows, found = s.read((s.marker, s.mark("bulk")))
        expect(not rows, "a part of a refused bulk is stored", broken, found)
