"""The hub: registering, unregistering, and what reaches whom."""

from __future__ import annotations

import time
from urllib.parse import quote, urlsplit

from oda_ctk.check import FILE, MUST, PART_1, SHOULD, Blocked, NotApplicable, check, expect
from oda_ctk.exchange import Exchange
from oda_ctk.listener import Notification
from oda_ctk.session import EVERYTHING, Session
from oda_ctk.subject import Subject

QUIET_S = 1.0


def _registered(s: Session, token: str, query: str = "") -> Exchange:
    """A subscription of its own; a server that takes one listener only gets room for it."""
    answer = s.subscribe(token, query)
    if answer.status == 409:
        s.unsubscribe()
        answer = s.subscribe(token, query)
    if not answer.ok:
        raise Blocked(f"the hub refuses a subscription with {answer.status}; hub.create judges that")
    time.sleep(0.1)
    return answer


def _end(s: Session, subscription: Exchange) -> Exchange:
    return s.target.delete(f"/hub/{quote(str(subscription.document.get('id')), safe='')}")


def emitter(s: Session) -> Subject:
    """A resource that can be created and tells so."""
    for subject in s.subjects.values():
        if subject.has("create", "events") and any(e.endswith("CreateEvent") for e in subject.facts.events):
            try:
                subject.created()
            except (Blocked, NotApplicable):
                continue
            return subject
    raise NotApplicable("the API has no resource that is created and tells so")


@check("hub.create", MUST, f"{PART_1} (notification)", scope="api")
def register(s: Session) -> None:
    """POST of a callback is answered with 201, the registration with its id, and Location."""
    answer = s.subscribe("hub-create")
    if answer.status == 409:
        raise NotApplicable("the server takes one listener only (409)")
    expect(answer.status == 201, f"{answer.told()} instead of 201", answer)
    document = answer.document
    expect(isinstance(document.get("id"), str) and document["id"], "the registration has no id", answer)
    expect(document.get("callback") == s.listener.callback("hub-create"), "callback is not what was sent", answer)
    if s.v5:
        expect(document.get("@type"), "the registration has no @type", answer)
    told = urlsplit(answer.headers.get("location", "")).path
    expect(told.endswith(f"/hub/{document['id']}"), f"Location is {told!r}", answer)
    _end(s, answer)


@check("hub.query-kept", MUST, f"{FILE}: POST /hub", scope="api")
def query_is_kept(s: Session) -> None:
    """The registration repeats the query it was made with."""
    event = next(iter(s.contract.events), "")
    if not event:
        raise NotApplicable("the API has no events")
    answer = _registered(s, "hub-query-kept", f"eventType={event}")
    expect(answer.document.get("query") == f"eventType={event}", "query is not what was sent", answer)
    _end(s, answer)


@check("hub.retrieve", MUST, f"{FILE}: GET /hub/{{{{id}}}}", scope="api")
def retrieve(s: Session) -> None:
    """Where the file has it, GET of a registration shows it."""
    if s.contract.operation("GET", "/hub/{id}") is None:
        raise NotApplicable("the file does not have it")
    made = _registered(s, "hub-retrieve")
    answer = s.target.get(f"/hub/{quote(str(made.document['id']), safe='')}")
    _end(s, made)
    expect(answer.status == 200, f"{answer.told()}", answer)
    expect(answer.document.get("callback") == made.document.get("callback"), "it is another registration", answer)


@check("hub.delete", MUST, f"{FILE}: DELETE /hub/{{{{id}}}}", scope="api")
def unregister(s: Session) -> None:
    """DELETE of a registration is answered with 204, a second one with 404."""
    made = _registered(s, "hub-delete")
    answer = _end(s, made)
    expect(answer.status == 204, f"{answer.told()} instead of 204", answer)
    again = _end(s, made)
    expect(again.status == 404, f"the second time, {again.told()} instead of 404", again)


@check("hub.unknown", MUST, f"{PART_1} 3.3", scope="api")
def unknown(s: Session) -> None:
    """DELETE of a registration that does not exist is answered with 404."""
    if not s.has_hub():
        raise NotApplicable("the API has no hub")
    answer = s.target.delete(f"/hub/ctk-no-such-{s.run}")
    expect(answer.status == 404, f"{answer.told()} instead of 404", answer)


@check("hub.callback", MUST, f"{FILE}: POST /hub", scope="api")
def callback_is_mandatory(s: Session) -> None:
    """A registration without callback, or with one that is no text, is refused with 400."""
    _refused(s, {"query": ""}, {"callback": None}, {"callback": {"a": 1}})


@check("hub.callback-address", SHOULD, f"{FILE}: POST /hub", scope="api")
def callback_is_an_address(s: Session) -> None:
    """A registration with a callback that is no address is refused with 400."""
    _refused(s, {"callback": "no address"})


def _refused(s: Session, *bodies: dict[str, object]) -> None:
    if not s.has_hub():
        raise NotApplicable("the API has no hub")
    typed = {"@type": "Hub"} if s.v5 else {}
    for body in bodies:
        answer = s.target.post("/hub", {**typed, **body})
        expect(answer.status in (400, 422), f"{body} is answered with {answer.status}", answer)


@check("hub.query", MUST, f"{PART_1} (notification)", scope="api")
def query_is_respected(s: Session) -> str:
    """A registration with a query gets the events that match it, and no other."""
    subject = emitter(s)
    wanted = next(e for e in subject.facts.events if e.endswith("CreateEvent"))
    other = next((e for e in s.contract.events if e != wanted), None)
    if other is None:
        raise NotApplicable("the API has one event only")
    hit = _registered(s, "hub-query-hit", f"eventType={wanted}")
    miss = _registered(s, "hub-query-miss", f"eventType={other}")
    doc = subject.created()
    if subject.has("patch"):
        subject.patch(doc, _harmless(subject))
    got = s.listener.wait(lambda: bool(s.listener.about("hub-query-hit", str(doc["id"]))), s.patience_s)
    time.sleep(QUIET_S)
    _end(s, hit)
    _end(s, miss)
    expect(got, f"with query eventType={wanted}, no event came", hit)
    kinds = {n.kind for n in s.listener.of("hub-query-hit")}
    expect(kinds == {wanted}, f"with query eventType={wanted} came also {sorted(kinds - {wanted})}", hit)
    kinds = {n.kind for n in s.listener.of("hub-query-miss")}
    expect(kinds <= {other}, f"with query eventType={other} came {sorted(kinds - {other})}", miss)
    return f"tried: eventType={wanted}"


def _harmless(subject: Subject) -> dict[str, object]:
    try:
        return subject.change()
    except NotApplicable:
        return {}


@check("hub.unsubscribed", MUST, f"{PART_1} (notification)", scope="api")
def silence_after_delete(s: Session) -> None:
    """After DELETE of a registration no event reaches its callback any more."""
    subject = emitter(s)
    made = _registered(s, "hub-unsubscribed")
    first = subject.created()
    got = s.listener.wait(lambda: bool(s.listener.about("hub-unsubscribed", str(first["id"]))), s.patience_s)
    expect(got, "no event came before the DELETE", made)
    ended = _end(s, made)
    second = subject.created()
    time.sleep(2 * QUIET_S)
    late = s.listener.about("hub-unsubscribed", str(second["id"]))
    expect(not late, f"{len(late)} event(s) came after DELETE", ended)


@check("hub.redelivery", SHOULD, f"{PART_1} (notification)", scope="api", profile="extended")
def redelivery(s: Session) -> str:
    """An event that a listener could not take is sent again, with the same eventId."""
    token = "hub-redelivery"
    subject = emitter(s)
    s.listener.refuse[token] = 1
    made = _registered(s, token)
    subject.created()

    def again() -> list[Notification]:
        """What tells the same as the event that was refused: the refused one, and what came after it."""
        found = s.listener.of(token)
        first = next((n for n in found if n.answered == 503), None)
        if first is None:
            return []
        return [n for n in found if n.kind == first.kind and n.resource.get("id") == first.resource.get("id")]

    got = s.listener.wait(lambda: len(again()) > 1, 3 * s.patience_s)
    _end(s, made)
    found = again()
    expect(got, f"after an answer of 503, the event came {len(found)} time(s)", made)
    expect(found[0].id == found[1].id, "it came again with another eventId", made)
    return f"again after {found[1].at - found[0].at:.1f} s"


@check("hub.several", SHOULD, f"{PART_1} (notification)", scope="api")
def several_listeners(s: Session) -> None:
    """Two registrations both get an event."""
    subject = emitter(s)
    s.subscribed()
    answer = s.subscribe("hub-several")
    if answer.status == 409:
        raise NotApplicable("the server takes one listener only (409), which is allowed")
    time.sleep(0.1)
    doc = subject.created()
    id = str(doc["id"])
    got = s.listener.wait(
        lambda: all(s.listener.about(token, id) for token in (EVERYTHING, "hub-several")), s.patience_s
    )
    _end(s, answer)
    expect(got, "one of two listeners got nothing", answer)
