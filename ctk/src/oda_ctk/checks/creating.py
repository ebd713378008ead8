"""POST: what is created, what is answered, and where it stands then."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

from oda_ctk.check import FILE, MUST, PART_1, SHOULD, Blocked, NotApplicable, check, expect
from oda_ctk.exchange import Exchange
from oda_ctk.shapes import instant, not_kept
from oda_ctk.subject import Subject

DAY_S = 86_400
"""Clocks of two machines may differ, and so may their zones; a day is enough to tell now from then."""


def _allowed(s: Subject) -> tuple[int, ...]:
    operation = s.operation("POST")
    told = tuple(int(c) for c in (operation.success if operation else ()) if c.isdigit())
    return told or (201,)


def _judged(s: Subject, form: str) -> None:
    answer = s.post(s.body(form))
    allowed = _allowed(s)
    expect(answer.status in allowed, f"{answer.told()}, but {' or '.join(map(str, allowed))} is published", answer)


def _created(s: Subject, form: str) -> Exchange:
    answer = s.post(s.body(form))
    if not answer.ok:
        raise Blocked(f"POST is answered with {answer.status}; create.{form} judges that")
    return answer


@check("create.minimal", MUST, f"{FILE}: POST {{resource}}", needs=("create",))
def minimal(s: Subject) -> None:
    """A body with the mandatory attributes only is accepted with the published status."""
    _judged(s, "minimal")


@check("create.full", MUST, f"{FILE}: POST {{resource}}", needs=("create",))
def whole(s: Subject) -> None:
    """A body with many attributes is accepted with the published status."""
    _judged(s, "full")


@check("create.location", MUST, f"{PART_1} 1.8", needs=("create", "retrieve"))
def location(s: Subject) -> None:
    """A 201 names the new resource in Location, and a GET of it finds it."""
    answer = _created(s, "minimal")
    if answer.status == 200:
        raise NotApplicable("the API answers with 200, which needs no Location")
    told = answer.headers.get("location", "")
    expect(told, f"{answer.status} without Location", answer)
    parts = urlsplit(told)
    root = "://".join(urlsplit(s.target.base)[:2])
    read = s.target.get(root + parts.path if parts.path.startswith("/") else told)
    expect(read.status == 200, f"GET of the Location {told!r} is answered with {read.status}", answer, read)
    if answer.status == 201:
        expect(read.document.get("id") == answer.document.get("id"), "Location leads to another resource", answer, read)


@check("create.answer", MUST, f"{PART_1} 1.8", needs=("create",))
def answer_is_resource(s: Subject) -> None:
    """The answer to POST is the new resource with the id and href the server gave it."""
    answer = _created(s, "full")
    if answer.status == 202:
        raise NotApplicable("the API creates later (202)")
    for name in ("id", "href"):
        expect(isinstance(answer.document.get(name), str | int), f"the answer has no {name}", answer)
    if s.has("retrieve"):
        read = s.get(answer.document["id"])
        expect(read.status == 200, f"right after the {answer.status}, {read.told()}", answer, read)
        lost = not_kept({k: v for k, v in answer.document.items() if k not in s.server_set}, read.document)
        expect(not lost, f"GET says something else than POST: {'; '.join(lost[:3])}", answer, read)


@check("create.kept", MUST, f"{FILE}: {{resource}}", needs=("create", "retrieve"))
def everything_is_kept(s: Subject) -> None:
    """What is posted is found again by GET, nested attributes too."""
    for form in ("minimal", "full"):
        body = s.body(form)
        answer = s.post(body)
        if not answer.ok:
            raise NotApplicable(f"POST is answered with {answer.status}; create.{form} judges that")
        id = answer.document.get("id") or answer.headers.get("location", "").rpartition("/")[2]
        read = s.get(id)
        lost = not_kept({k: v for k, v in body.items() if k not in s.server_set}, read.document)
        expect(not lost, f"not kept: {'; '.join(lost[:4])}", answer, read)


@check("create.listed", MUST, f"{FILE}: GET {{resource}}", needs=("create", "list"))
def is_listed(s: Subject) -> None:
    """A new resource is in the list."""
    doc = s.created()
    row, answer = s.listed(doc["id"])
    expect(row is not None, "the list does not have the new resource", answer)


@check("create.own-href", MUST, f"{PART_1} 2.3", needs=("create", "retrieve"))
def href_is_the_servers(s: Subject) -> None:
    """The href is the server's: one that a client sends is refused or replaced."""
    answer = s.post({**s.body(), "href": "http://elsewhere.invalid/1"})
    if answer.status == 400:
        return
    expect(answer.status in _allowed(s), f"{answer.told()}", answer)
    expect("elsewhere.invalid" not in str(answer.document.get("href", "")), "the client's href was kept", answer)


def _with_id(s: Subject, label: str) -> tuple[str, Exchange]:
    """An id of the client's choice that is free, and the answer to a POST with it."""
    if not s.session.v5 or not any(a.name == "id" for a in s.creatable):
        raise NotApplicable("a body of creation has no id in the file")
    id = f"ctk-{s.session.run}-{s.name}-{label}"
    return id, s.post({**s.body(), "id": id})


@check("create.client-id", SHOULD, f"{FILE}: POST {{resource}} (id)", needs=("create",))
def id_of_the_client(s: Subject) -> str:
    """An id that a client sends is kept or refused, not silently replaced by another one."""
    id, answer = _with_id(s, "own")
    if not answer.ok:
        expect(answer.status in (400, 403, 409, 422), f"{answer.told()}", answer)
        return f"refused with {answer.status}"
    told = answer.document.get("id")
    expect(told == id, f"the client's id {id!r} became {told!r}", answer)
    return "kept"


@check("create.client-id-taken", MUST, f"{PART_1} 3.3", needs=("create",))
def id_is_taken(s: Subject) -> None:
    """A POST with the id of a resource that exists is refused with 409, and that resource stays as it was."""
    id, first = _with_id(s, "taken")
    if not first.ok or first.document.get("id") != id:
        raise NotApplicable("the server does not take an id of the client")
    before = s.get(id).document if s.has("retrieve") else {}
    second = s.post({**s.body(label="taken"), "id": id})
    expect(second.status == 409, f"the second POST with the id {id!r} is answered with {second.status}", first, second)
    if before:
        read = s.get(id)
        changed = not_kept({k: v for k, v in before.items() if k not in s.server_set - {"id"}}, read.document)
        expect(not changed, f"the resource was changed: {'; '.join(changed[:3])}", second, read)


@check("create.unique-ids", MUST, f"{PART_1} 2.3", needs=("create",))
def ids_differ(s: Subject) -> None:
    """The same body posted twice makes two resources with different ids."""
    body = s.body()
    first, second = s.post(body), s.post(body)
    if not first.ok:
        raise Blocked(f"POST is answered with {first.status}; create.minimal judges that")
    expect(second.ok, f"the second time, {second.told()}", first, second)
    if first.document.get("id") is None:
        raise NotApplicable("the answer has no id")
    expect(first.document["id"] != second.document.get("id"), "both have the same id", first, second)


@check("create.type", SHOULD, f"{FILE}: {{resource}}", needs=("create", "retrieve"))
def type_is_told(s: Subject) -> None:
    """A resource tells its @type, also where the client did not."""
    doc = s.created()
    expect(isinstance(doc.get("@type"), str), "the resource has no @type", s.get(doc["id"]))


@check("create.dated", SHOULD, f"{FILE}: {{resource}} (creationDate)", needs=("create", "retrieve"))
def creation_is_dated(s: Subject) -> str:
    """The instant of creation is the server's: now, whatever the client says."""
    name = next((n for n in ("creationDate", "createdDate") if s.attribute(n) is not None), None)
    if name is None:
        raise NotApplicable("the resource has no instant of creation")
    doc = s.created({**s.body(), name: "1999-01-01T00:00:00.000Z"})
    told = instant(doc.get(name))
    read = s.get(doc["id"])
    expect(told is not None, f"{name} is not told", read)
    expect(told is None or abs((datetime.now(UTC) - told).total_seconds()) < DAY_S, f"{name} is {doc.get(name)}", read)
    return f"tried: {name}"


@check("create.unicode", MUST, f"{FILE}: {{resource}} (texts; RFC 8259 8.1)", needs=("create", "retrieve"))
def unicode_is_kept(s: Subject) -> None:
    """Text of any script comes back as it was sent."""
    if not s.marker:
        raise NotApplicable("no attribute is known that takes any text")
    value = 'ctk äöß 日本語 \U0001f600 "quoted" \\ / <b>&amp;'
    body = {**s.body(), s.marker: value}
    answer = s.post(body)
    if not answer.ok:
        s.created()  # refused with any text: then create.minimal tells why
    expect(answer.ok, f"{answer.told()}", answer)
    read = s.get(answer.document.get("id"))
    expect(read.document.get(s.marker) == value, f"{s.marker} is {read.document.get(s.marker)!r}", answer, read)
