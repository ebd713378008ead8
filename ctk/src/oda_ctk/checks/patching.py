"""PATCH as a merge (RFC 7396), and what may not be changed."""

from __future__ import annotations

import copy
import time
from typing import Any

from oda_ctk import payloads
from oda_ctk.check import FILE, MUST, PART_1, PART_2, SHOULD, NotApplicable, check, expect
from oda_ctk.contract import KINDS
from oda_ctk.exchange import JSON_MEDIA, MERGE, Exchange
from oda_ctk.payloads import STATE
from oda_ctk.shapes import instant, not_kept, same
from oda_ctk.subject import NEVER_CHANGED, Document, Subject

CHANGED = (200, 202)


def patched(s: Subject, doc: Document, body: Any, media: str = JSON_MEDIA) -> Exchange:
    """PATCH that must succeed; with which status is what patch.merge and answers.published-status judge."""
    answer = s.patch(doc, body, media=media)
    expect(answer.ok, f"{answer.told()} with {media}", answer)
    return answer


def others_kept(s: Subject, before: Document, after: Document, changed: set[str], *shown: Exchange) -> None:
    """Nothing else than the named attributes and the server's own has changed."""
    for name in before.keys() - changed - s.server_set:
        if s.attribute(name) is None:  # an extension that is not the kit's is the server's own
            continue
        expect(same(before[name], after.get(name)), f"{name} was not to change, and did", *shown)


@check("patch.merge", MUST, "RFC 7396 2", needs=("patch", "create", "retrieve"))
def merge(s: Subject) -> None:
    """A merge patch changes what it names and nothing else; the answer is the whole resource."""
    doc = s.created(form="full")
    change = s.change()
    answer = patched(s, doc, change)
    read = s.get(doc["id"])
    lost = not_kept(change, read.document)
    expect(not lost, f"not changed: {'; '.join(lost[:3])}", answer, read)
    others_kept(s, doc, read.document, set(change), answer, read)
    expect(answer.status in CHANGED, f"{answer.told()}, but 200 is published", answer)
    if answer.status == 200:
        expect(
            not not_kept({k: v for k, v in answer.document.items() if k not in s.server_set}, read.document)
            and answer.document.get("id") == doc["id"],
            "the answer to PATCH is not the resource as GET shows it",
            answer,
            read,
        )
        missing = {n for n in read.document.keys() - answer.document.keys() if s.attribute(n) or n in doc}
        expect(not missing, f"the answer to PATCH lacks {', '.join(sorted(missing))}", answer, read)


@check("patch.merge-media", MUST, f"{FILE}: PATCH {{resource}}", needs=("patch", "create", "retrieve"))
def merge_media(s: Subject) -> None:
    """application/merge-patch+json is accepted where the file names it."""
    operation = s.operation("PATCH", one=True)
    if operation is None or MERGE not in operation.media:
        raise NotApplicable("the file does not name this media type")
    doc = s.created()
    change = s.change()
    answer = patched(s, doc, change, MERGE)
    read = s.get(doc["id"])
    expect(not not_kept(change, read.document), "the change is not there", answer, read)


@check("patch.merge-array", MUST, "RFC 7396 2", needs=("patch", "create", "retrieve"))
def arrays_are_replaced(s: Subject) -> str:
    """A merge patch replaces an array as a whole."""
    names = {a.name for a in s.updatable if a.many} - s.server_set
    doc = s.created(form="full")
    name = next((n for n in doc if n in names and isinstance(doc[n], list) and doc[n]), None)
    if name is None:
        raise NotApplicable("the resource has no array that may be changed")
    item = doc[name][0]
    double = [item, _other(item)]
    answer = patched(s, doc, {name: double})
    read = s.get(doc["id"])
    expect(not not_kept(double, read.document.get(name)), f"{name} has not the two items sent", answer, read)
    answer = patched(s, doc, {name: [item]})
    read = s.get(doc["id"])
    found = read.document.get(name)
    expect(
        isinstance(found, list) and len(found) == 1 and not not_kept([item], found),
        f"{name} is not the one item sent: it has {len(found) if isinstance(found, list) else 'no'} items",
        answer,
        read,
    )
    return f"tried: {name}"


def _other(item: Any) -> Any:
    """An item like that one, told apart by one of its texts."""
    if isinstance(item, str):
        return item
    changed = copy.deepcopy(item)
    for name in ("name", "description", "text", "id"):
        if isinstance(item, dict) and isinstance(item.get(name), str):
            changed[name] = f"{item[name]} 2"
            break
    return changed


@check("patch.merge-null", MUST, "RFC 7396 2", needs=("patch", "create", "retrieve"))
def null_removes(s: Subject) -> str:
    """null in a merge patch removes an optional attribute."""
    doc = s.created(form="full")
    must = {a.name for a in s.creatable if a.required}
    may = {a.name for a in s.updatable if not STATE.search(a.name)} - must - s.server_set - set(NEVER_CHANGED)
    name = next((n for n in doc if n in may and isinstance(doc[n], str)), next((n for n in doc if n in may), None))
    if name is None:
        raise NotApplicable("the resource has no optional attribute that may be changed")
    answer = patched(s, doc, {name: None})
    read = s.get(doc["id"])
    expect(read.document.get(name) is None, f"{name} is still there", answer, read)
    others_kept(s, doc, read.document, {name}, answer, read)
    return f"tried: {name}"


@check("patch.merge-nested", MUST, "RFC 7396 2", needs=("patch", "create", "retrieve"))
def objects_are_merged(s: Subject) -> str:
    """A merge patch of one attribute of an inner object leaves the others of that object."""
    doc = s.created(form="full")
    for attribute in s.updatable:
        value = doc.get(attribute.name)
        if attribute.many or attribute.type in KINDS or not isinstance(value, dict) or attribute.name in s.server_set:
            continue
        schema = s.session.contract.schemas.get(attribute.type)
        texts = [a.name for a in (schema.attributes if schema else ()) if a.type == "string" and not a.enum]
        # The file may ask for mandatory attributes in this object; with them, nobody can say that the body is invalid.
        must = {a.name: value[a.name] for a in (schema.attributes if schema else ()) if a.required and a.name in value}
        inner = [n for n in value if n in texts and isinstance(value[n], str) and not n.startswith("@") and n != "href"]
        if len(inner) < 2 or inner[0] == "id":
            inner = [n for n in inner if n != "id"]
        if not inner or len(value) < 2:
            continue
        name = inner[0]
        other = "2026-02-01T00:00:00.000Z" if attribute.type == "TimePeriod" else f"{value[name]} changed"
        if attribute.type == "TimePeriod":
            name = "startDateTime" if "startDateTime" in value else name
            other = value[name]
        sent = {**must, name: other}
        if not value.keys() - sent.keys():  # nothing is left that a replacement would lose
            continue
        answer = patched(s, doc, {attribute.name: sent})
        read = s.get(doc["id"])
        after = read.document.get(attribute.name)
        lost = [k for k in value if not isinstance(after, dict) or k not in after]
        expect(not lost, f"{attribute.name} has lost {', '.join(lost)}", answer, read)
        expect(
            same(after.get(name) if isinstance(after, dict) else None, other),
            f"{attribute.name}.{name} is not changed",
            answer,
            read,
        )
        return f"tried: {attribute.name}.{name}"
    raise NotApplicable("the resource has no inner object with two attributes that may be changed")


@check("patch.mandatory", MUST, f"{FILE}: {{resource}} (mandatory attributes)", needs=("patch", "create", "retrieve"))
def mandatory_stays(s: Subject) -> None:
    """A mandatory attribute cannot be removed."""
    doc = s.created()
    names = [a.name for a in s.creatable if a.required and not a.name.startswith("@") and a.name in doc]
    if not names:
        raise NotApplicable("the resource has no mandatory attribute")
    for name in names:
        answer = s.patch(doc, {name: None})
        read = s.get(doc["id"])
        expect(answer.status in (400, 409, 422), f"{name}=null is answered with {answer.status}", answer)
        expect(same(read.document.get(name), doc[name]), f"{name} was removed all the same", answer, read)


@check("patch.wrong-type", MUST, f"{FILE}: {{resource}} (types)", needs=("patch", "create", "retrieve"))
def wrong_types(s: Subject) -> None:
    """A change to a value of a wrong type is refused with 400, and nothing changes."""
    doc = s.created(form="full")
    body = {k: v for k, v in doc.items() if k not in s.server_set}
    cases = list(payloads.wrong_types(s.session.contract, s.facts.update or "", body))
    if not cases:
        raise NotApplicable("the contract has no attribute with a type")
    for told, wrong in cases:
        name = told.partition("=")[0]
        answer = s.patch(doc, {name: wrong[name]})
        expect(answer.status in (400, 409, 422), f"{told} is answered with {answer.status}", answer)
    read = s.get(doc["id"])
    others_kept(s, doc, read.document, set(), read)


@check("patch.wrong-enum", MUST, f"{FILE}: {{resource}} (enumerations)", needs=("patch", "create", "retrieve"))
def wrong_enums(s: Subject) -> None:
    """A change to a value that the enumeration does not have is refused with 400, and nothing changes."""
    doc = s.created()
    closed = set(NEVER_CHANGED) | s.given_by_server
    cases = [c for c in payloads.wrong_enums(s.session.contract, s.facts.update or "", {}) if closed.isdisjoint(c[1])]
    if not cases:
        raise NotApplicable("the contract has no enumeration here")
    for told, wrong in cases:
        answer = s.patch(doc, wrong)
        expect(answer.status in (400, 409, 422), f"{told} is answered with {answer.status}", answer)
    read = s.get(doc["id"])
    others_kept(s, doc, read.document, set(), read)


@check("patch.last-update", SHOULD, f"{FILE}: {{resource}} (lastUpdate)", needs=("patch", "create", "retrieve"))
def last_update_moves(s: Subject) -> str:
    """The instant of the last update moves with a change, and that of creation does not."""
    doc = s.created()
    updated = [n for n in ("lastUpdate", "lastUpdateDate", "lastModified") if _dated(s, n)]
    born = [n for n in ("creationDate", "createdDate") if _dated(s, n) and n in doc]
    if not updated and not born:
        raise NotApplicable("the resource tells neither")
    time.sleep(0.02)
    answer = patched(s, doc, s.change())
    read = s.get(doc["id"])
    for name in updated:
        before, after = instant(doc.get(name)), instant(read.document.get(name))
        expect(after is not None, f"{name} is not told", answer, read)
        expect(before is None or after is None or after > before, f"{name} did not move", answer, read)
    for name in born:
        expect(same(doc[name], read.document.get(name)), f"{name} moved", answer, read)
    return f"tried: {', '.join([*updated, *born])}"


def _dated(s: Subject, name: str) -> bool:
    attribute = s.attribute(name)
    return attribute is not None and attribute.format == "date-time"


@check("patch.read-only", MUST, f"{PART_1} 2.3", needs=("patch", "create", "retrieve"))
def read_only(s: Subject) -> None:
    """id and href cannot be patched: 400, and they stay."""
    doc = s.created()
    for name in ("id", "href"):
        answer = s.patch(doc, {name: "http://elsewhere.invalid/1"})
        read = s.get(doc["id"])
        expect(read.status == 200 and read.document.get(name) == doc.get(name), f"{name} was changed", answer, read)
        expect(answer.status in (400, 403, 409, 422), f"a patch of {name} is answered with {answer.status}", answer)


@check("patch.type-is-fixed", MUST, PART_2, needs=("patch", "create", "retrieve"))
def type_is_fixed(s: Subject) -> None:
    """@type does not change in the life of a resource."""
    doc = s.created()
    if "@type" not in doc:
        raise NotApplicable("the resource tells no @type")
    answer = s.patch(doc, {"@type": "CtkOtherClass"})
    read = s.get(doc["id"])
    expect(read.document.get("@type") == doc["@type"], "@type was changed", answer, read)
    expect(answer.status in (400, 403, 409, 422), f"a patch of @type is answered with {answer.status}", answer)


@check("patch.create-only", MUST, f"{FILE}: {{resource}} (update schema)", needs=("patch", "create", "retrieve"))
def create_only(s: Subject) -> str:
    """What the schema of updates leaves out cannot be changed."""
    doc = s.created(form="full")
    open_ = {a.name for a in s.updatable}
    open_.add("version")  # left out of a single update in all files, and said to be fixed in none
    closed = [a for a in s.creatable if a.name not in open_ | set(NEVER_CHANGED) and a.name in doc]
    if not closed or not s.updatable:
        raise NotApplicable("the schemas of creation and update have the same attributes")
    for attribute in closed:
        value = doc[attribute.name]
        if attribute.format == "date-time":
            other: Any = "2001-02-03T04:05:06.000Z"
        elif isinstance(value, str):
            other = f"{value} changed"
        elif isinstance(value, dict) and attribute.type == "TimePeriod":
            other = {"startDateTime": "2001-02-03T04:05:06.000Z"}
        else:
            continue
        answer = s.patch(doc, {attribute.name: other})
        read = s.get(doc["id"])
        expect(same(read.document.get(attribute.name), value), f"{attribute.name} was changed", answer, read)
    return f"tried: {', '.join(a.name for a in closed)}"


@check("patch.unknown", MUST, f"{PART_1} 3.3", needs=("patch",))
def unknown_id(s: Subject) -> None:
    """A change of an id that does not exist is answered with 404."""
    other, change = (s.body(), s.change()) if s.has("create") else ({}, {})
    answer = s.patch({**other, "id": f"ctk-no-such-{s.session.run}"}, change)
    expect(answer.status == 404, f"{answer.told()} instead of 404", answer)


@check("patch.repeated", MUST, "RFC 7396 2", needs=("patch", "create", "retrieve"))
def repeated(s: Subject) -> None:
    """The same merge patch once more changes nothing."""
    doc = s.created()
    change = s.change()
    once = patched(s, doc, change)
    twice = patched(s, doc, change)
    before = {k: v for k, v in once.document.items() if k not in s.server_set}
    expect(not not_kept(before, twice.document), "the second answer says something else", once, twice)


@check("patch.malformed", MUST, f"{PART_1} 3.3", needs=("patch", "create"))
def malformed(s: Subject) -> None:
    """A patch that is no JSON object is refused with 400, one of another media type with 415."""
    doc = s.created()
    for content in (b'{"a": ', b"[1, 2]", b'"text"'):
        answer = s.target.patch(s.one(doc["id"]), content=content)
        expect(answer.status in (400, 422), f"the body {content!r} is answered with {answer.status}", answer)
    answer = s.target.patch(s.one(doc["id"]), content=b"<a/>", media="text/xml")
    expect(answer.status == 415, f"text/xml is answered with {answer.status}", answer)
