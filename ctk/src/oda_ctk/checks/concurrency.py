"""Several clients at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from oda_ctk.check import MUST, PART_1, SHOULD, NotApplicable, check, expect
from oda_ctk.exchange import Exchange
from oda_ctk.subject import Subject

ROUNDS = 8
CREATED = 12


def at_once(*calls: Callable[[], Exchange]) -> list[Exchange]:
    """All calls, on a thread each."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [f.result() for f in [pool.submit(call) for call in calls]]


@check("concurrency.lost-update", MUST, f"{PART_1} (PATCH)", needs=("patch", "create", "retrieve"))
def no_lost_update(s: Subject) -> str:
    """Two changes of different attributes at the same time are both kept."""
    names = list(dict.fromkeys([*([n for n, v in s.change().items() if isinstance(v, str)]), *s.texts]))
    if len(names) < 2:
        raise NotApplicable("no two text attributes are known that may be changed")
    doc = s.created()
    address, others = s.one(doc["id"]), {k: v for k, v in doc.items() if k not in names[:2]}
    for number in range(ROUNDS):
        wanted = {name: f"ctk-{s.session.run}-{number}-{name}" for name in names[:2]}
        bodies: list[dict[str, Any]] = [{k: v} for k, v in wanted.items()]
        answers = at_once(*(lambda body=body: s.target.patch(address, s.accompanied(others, body)) for body in bodies))
        read = s.get(doc["id"])
        for body, answer in zip(bodies, answers, strict=True):
            expect(answer.ok or answer.status in (409, 412, 503), f"{answer.told()}", answer)
            for name, value in body.items():
                expect(
                    not answer.ok or read.document.get(name) == value,
                    f"round {number + 1}: the change of {name} was answered with {answer.status} and is lost",
                    *answers,
                    read,
                )
    return f"{ROUNDS} rounds over {names[0]} and {names[1]}"


@check("concurrency.create", MUST, f"{PART_1} 2.3", needs=("create", "retrieve"))
def many_creations(s: Subject) -> str:
    """Many creations at the same time give as many resources with different ids."""
    bodies = [s.body() for _ in range(CREATED)]
    path = s.path
    answers = at_once(*(lambda body=body: s.target.post(path, body) for body in bodies))
    if not any(answer.ok for answer in answers):
        s.created()  # refused also when it is alone: then create.minimal tells why
    for answer in answers:
        expect(answer.ok, f"one of {CREATED} at the same time: {answer.told()}", answer)
    ids = [a.document.get("id") for a in answers]
    expect(len(set(ids)) == CREATED, f"{CREATED} creations gave {len(set(ids))} ids", *answers[:3])
    for id in ids:
        read = s.get(id)
        expect(read.status == 200, f"{read.told()} after its creation", read)
    return f"{CREATED} created"


@check("concurrency.etag", SHOULD, f"{PART_1} 1.8", needs=("create", "retrieve"), profile="extended")
def etag_changes(s: Subject) -> None:
    """A resource has an ETag, which changes with it."""
    doc = s.created()
    first = s.get(doc["id"])
    expect("etag" in first.headers, "GET gives no ETag", first)
    if s.has("patch"):
        s.patch(doc, s.change())
        second = s.get(doc["id"])
        changed = second.headers.get("etag") != first.headers["etag"]
        expect(changed, "the resource changed, its ETag did not", first, second)


@check("concurrency.if-match", SHOULD, "RFC 9110 13.1.1", needs=("patch", "create", "retrieve"), profile="extended")
def if_match(s: Subject) -> None:
    """A change with If-Match of a version that is not current is refused with 412."""
    doc = s.created()
    read = s.get(doc["id"])
    if "etag" not in read.headers:
        raise NotApplicable("the server gives no ETag")
    stale = s.patch(doc, s.change(), headers={"if-match": '"ctk-not-current"'})
    expect(stale.status == 412, f"{stale.told()} instead of 412", stale)
    fresh = s.patch(doc, s.change(), headers={"if-match": read.headers["etag"]})
    expect(fresh.ok, f"with the current ETag, {fresh.told()}", fresh)
