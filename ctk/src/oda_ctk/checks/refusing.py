"""What must be refused, and that nothing is stored of it."""

from __future__ import annotations

from oda_ctk import payloads
from oda_ctk.check import FILE, MUST, PART_1, SHOULD, NotApplicable, check, expect
from oda_ctk.exchange import Exchange
from oda_ctk.subject import Document, Subject

REFUSED = (400, 422)


def _marked(s: Subject, body: Document, label: str) -> Document:
    return {**body, s.marker: s.mark(label)} if s.marker and isinstance(body.get(s.marker, ""), str) else body


def _nothing_stored(s: Subject, label: str, *shown: Exchange) -> None:
    """No resource has the marker of what was refused."""
    if s.marker and s.has("list"):
        rows, answer = s.read((s.marker, s.mark(label)))
        stored = [r for r in rows if r.get(s.marker) == s.mark(label)]
        expect(not stored, "what was refused is stored all the same", *shown, answer)


def _mandatory(s: Subject, *, nested: bool) -> list[tuple[Document, tuple[str | int, ...]]]:
    contract, create = s.session.contract, s.facts.create or ""
    body = s.body("full")
    return [
        (body, path)
        for path in payloads.mandatory(contract, create, body)
        if (len(path) > 1) == nested and path[-1] != "@type" and path[0] not in s.given_by_server
    ]


@check("create.mandatory", MUST, f"{FILE}: {{resource}} (mandatory attributes)", needs=("create",))
def mandatory(s: Subject) -> str:
    """Without any one of the mandatory attributes, a body is refused with 400, and nothing is stored."""
    return _each_removed(s, nested=False)


@check("create.mandatory-nested", MUST, f"{FILE}: {{resource}} (mandatory attributes)", needs=("create",))
def mandatory_nested(s: Subject) -> str:
    """Without any one of the mandatory attributes of an inner object, a body is refused with 400."""
    return _each_removed(s, nested=True)


def _each_removed(s: Subject, *, nested: bool) -> str:
    cases = _mandatory(s, nested=nested)
    if not cases:
        raise NotApplicable("the contract has none in this body")
    accepted: list[tuple[str, Exchange]] = []
    label = "refused-nested" if nested else "refused"
    for body, path in cases:
        sent = payloads.without(body, path)
        if path[0] != s.marker:
            sent = _marked(s, sent, label)
        answer = s.post(sent)
        if answer.status not in REFUSED:
            accepted.append((payloads.told(path), answer))
            s.session.taint(answer)
    names = ", ".join(f"{n} ({a.status})" for n, a in accepted)
    expect(not accepted, f"not refused without {names}", *(a for _, a in accepted[:3]))
    _nothing_stored(s, label)
    return f"tried: {', '.join(payloads.told(p) for _, p in cases)}"


@check("create.mandatory-named", SHOULD, f"{PART_1} 3.4", needs=("create",))
def mandatory_is_named(s: Subject) -> None:
    """The refusal names the attribute that is missing."""
    cases = _mandatory(s, nested=False)
    if not cases:
        raise NotApplicable("the contract has none in this body")
    for body, path in cases:
        answer = s.post(payloads.without(body, path))
        if answer.status in REFUSED:
            expect(str(path[-1]) in answer.text, f"the error does not name {path[-1]}", answer)


@check("create.mandatory-null", MUST, f"{FILE}: {{resource}} (mandatory attributes)", needs=("create",))
def null_is_missing(s: Subject) -> None:
    """null is no value for a mandatory attribute."""
    cases = _mandatory(s, nested=False)
    if not cases:
        raise NotApplicable("the contract has none in this body")
    for body, path in cases:
        answer = s.post({**body, str(path[0]): None})
        expect(answer.status in REFUSED, f"{path[0]}=null is answered with {answer.status}", answer)


@check("create.type-mandatory", SHOULD, f"{FILE}: {{resource}} (@type)", needs=("create",))
def type_is_mandatory(s: Subject) -> None:
    """Where @type is mandatory, a body without it is refused with 400 (many servers fill it in)."""
    if not s.session.v5:
        raise NotApplicable("@type is optional in this version")
    if not any(a.name == "@type" and a.required for a in s.creatable):
        raise NotApplicable("@type is not mandatory here")
    body = s.body()
    body.pop("@type", None)
    answer = s.post(body)
    if answer.ok:
        told = answer.document.get("@type")
        expect(bool(told), "accepted without @type, and the server does not fill it in", answer)
    else:
        expect(answer.status in REFUSED, f"{answer.told()}", answer)


@check("create.wrong-type", MUST, f"{FILE}: {{resource}} (types)", needs=("create",))
def wrong_types(s: Subject) -> str:
    """A value of a wrong JSON type or form is refused with 400, and nothing is stored."""
    body = _marked(s, s.body("full"), "wrong-type")
    cases = payloads.wrong_types(s.session.contract, s.facts.create or "", body)
    return _all_refused(s, [(t, b) for t, b in cases if t.partition("=")[0] not in s.given_by_server], "wrong-type")


@check("create.wrong-enum", MUST, f"{FILE}: {{resource}} (enumerations)", needs=("create",))
def wrong_enums(s: Subject) -> str:
    """A value that an enumeration does not have is refused with 400, and nothing is stored."""
    body = _marked(s, s.body("full"), "wrong-enum")
    cases = payloads.wrong_enums(s.session.contract, s.facts.create or "", body)
    return _all_refused(s, [(t, b) for t, b in cases if t.partition("=")[0] not in s.given_by_server], "wrong-enum")


def _all_refused(s: Subject, cases: list[tuple[str, Document]], label: str) -> str:
    if not cases:
        raise NotApplicable("the contract has none")
    accepted: list[tuple[str, Exchange]] = []
    for told, body in cases:
        answer = s.post(body)
        if answer.status not in REFUSED:
            accepted.append((told, answer))
            s.session.taint(answer)
    names = ", ".join(f"{n} ({a.status})" for n, a in accepted)
    expect(not accepted, f"not refused: {names}", *(a for _, a in accepted[:3]))
    _nothing_stored(s, label)
    return f"tried: {', '.join(told for told, _ in cases)}"


@check("create.malformed", MUST, f"{PART_1} 3.3", needs=("create",))
def malformed(s: Subject) -> None:
    """A body that is no JSON is refused with 400."""
    for content in (b'{"name": ', b"", b"name=x", b'{"a":1}}', b"\xff\xfe\x00"):
        answer = s.target.post(s.path, content=content)
        expect(answer.status == 400, f"the body {content!r} is answered with {answer.status}", answer)


@check("create.not-an-object", MUST, f"{PART_1} 3.3", needs=("create",))
def not_an_object(s: Subject) -> None:
    """A body that is JSON but no object is refused with 400."""
    for body in ([], [s.body()], "text", 1, True):
        answer = s.post(body)
        expect(answer.status in REFUSED, f"the body {str(body)[:30]} is answered with {answer.status}", answer)


@check("create.media", MUST, f"{PART_1} 3.3", needs=("create",))
def wrong_media(s: Subject) -> None:
    """A body of another media type is refused with 415."""
    for content, media in ((b"<a/>", "text/xml"), (b"a=1", "application/x-www-form-urlencoded")):
        answer = s.target.post(s.path, content=content, media=media)
        expect(answer.status == 415, f"{media} is answered with {answer.status}", answer)
