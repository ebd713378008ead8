"""Is it there, and does it stand where the contract says?"""

from __future__ import annotations

from oda_ctk.check import FILE, MUST, PART_1, SHOULD, Failure, NotApplicable, check, expect
from oda_ctk.session import Session
from oda_ctk.subject import Subject

TRIES = 3


@check("reach.list", MUST, f"{FILE}: GET {{resource}}", needs=("list",))
def list_answers(s: Subject) -> None:
    """The collection answers a GET with an array."""
    answer = s.ask(limit=5)
    expect(answer.status in (200, 206), f"{answer.told()}, but 200 is published", answer)
    expect(isinstance(answer.json, list), "the body is no array", answer)


@check("reach.media", MUST, f"{FILE}: GET {{resource}}", needs=("list",))
def media_is_json(s: Subject) -> None:
    """The answer says that it is JSON."""
    answer = s.ask(limit=5)
    found = answer.headers.get("content-type", "").split(";")[0].strip().lower()
    expect(found == "application/json", f"content-type is {found!r}", answer)


@check("reach.unknown-resource", MUST, f"{PART_1} 3.3", scope="api")
def unknown_resource(s: Session) -> None:
    """A resource that the API does not have is answered with 404."""
    answer = s.target.get("/ctkNoSuchResource")
    expect(answer.status == 404, f"{answer.told()} instead of 404", answer)


@check("security.without-credentials", MUST, f"{PART_1} 1.10", scope="api")
def without_credentials(s: Session) -> None:
    """Where credentials are needed, a request without them is answered with 401."""
    if not any(name in s.target.headers for name in ("authorization", "x-api-key", "apikey", "cookie")):
        raise NotApplicable("the kit was given no credentials")
    subject = next((x for x in s.subjects.values() if x.has("list") and "{" not in x.facts.path), None)
    if subject is None:
        raise NotApplicable("the API has no list")
    answer = s.target.get(subject.path, anonymous=True)
    expect(answer.status == 401, f"{answer.told()} without credentials instead of 401", answer)


@check("reach.method-not-allowed", MUST, f"{PART_1} 3.3")
def method_not_allowed(s: Subject) -> str:
    """A method that the API does not define is answered with 405 (or is offered beyond the file)."""
    collection = (("PUT", "replace all"), ("DELETE", "delete all"), ("POST", "create"))
    member = (("PUT", "replace"), ("PATCH", "patch"), ("DELETE", "delete"))
    calls = [(m, s.path) for m, word in collection if not s.has(word)]
    there = s.created()["id"] if s.has("create", "retrieve") else None
    if s.has("retrieve"):
        calls += [(m, s.one(there or f"ctk-no-such-{s.session.run}")) for m, word in member if not s.has(word)]
    for method, path in calls:
        answer = s.target.request(method, path, None if method == "DELETE" else {})
        beyond = answer.ok or answer.status in (400, 404) if method != "PUT" else False
        beyond = beyond or (answer.status == 404 and there is None and path != s.path)  # nothing is there to PUT to
        expect(answer.status == 405 or beyond, f"{answer.told()} instead of 405", answer)
    return f"tried: {', '.join(dict.fromkeys(m for m, _ in calls))}"


@check("reach.allow", SHOULD, "RFC 9110 15.5.6", needs=("list",))
def allow_header(s: Subject) -> None:
    """A 405 names the methods that are allowed."""
    if s.has("replace all"):
        raise NotApplicable("the API defines PUT of the collection")
    answer = s.target.request("PUT", s.path, {})
    if answer.status != 405:
        raise NotApplicable(f"PUT is answered with {answer.status}")
    expect("GET" in answer.headers.get("allow", ""), "405 has no Allow header with GET", answer)


@check("retrieve.unknown", MUST, f"{PART_1} 3.3", needs=("retrieve",))
def unknown_id(s: Subject) -> None:
    """An id that does not exist is answered with 404."""
    for id in (f"ctk-no-such-{s.session.run}", "00000000-0000-4000-8000-000000000000"):
        answer = s.get(id)
        expect(answer.status == 404, f"{answer.told()} instead of 404", answer)


@check("retrieve.ids", MUST, f"{PART_1} 3.3", needs=("retrieve",))
def odd_ids(s: Subject) -> None:
    """Unusual ids (other scripts, a slash, spaces, very long) are answered with 404 or another 4xx, never with 5xx."""
    for id in ("ä-日本-\U0001f600", "a/b", "a b?c#d", "..", "%00", "'; DROP TABLE x; --", "x" * 4000):
        answer = s.get(id)
        if answer.ok and id == "..":  # resolved on the way: another address was asked
            continue
        expect(400 <= answer.status < 500, f"GET with id {id[:30]!r} is answered with {answer.status}", answer)


@check("retrieve.same-as-list", MUST, f"{FILE}: GET {{resource}}", needs=("list", "retrieve"))
def same_in_list(s: Subject) -> None:
    """A resource looks the same in the list and by itself."""
    doc = s.specimens()[0]
    for _ in range(TRIES):  # some resources change by themselves in between
        alone = s.get(doc["id"])
        listed, answer = s.listed(doc["id"])
        if listed is None:
            raise Failure("the list asked for this id does not have it", answer, alone)
        names = [k for k in listed.keys() | alone.document.keys() if listed.get(k) != alone.document.get(k)]
        if s.volatile.issuperset(names):
            return
    raise Failure(f"they differ: {', '.join(sorted(names))}", answer, alone)
