"""Notifications: a short life of two resources is lived once, and what arrived is judged from many sides."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from oda_ctk import payloads
from oda_ctk.check import FILE, MUST, PART_1, SHOULD, Blocked, Failure, NotApplicable, check, expect
from oda_ctk.checks.lifecycle import in_state
from oda_ctk.exchange import Exchange
from oda_ctk.listener import Notification
from oda_ctk.session import EVERYTHING
from oda_ctk.shapes import instant, not_kept, same, violations
from oda_ctk.subject import Document, Subject

NOTIFICATION = f"{PART_1} (notification)"
QUIET_S = 0.5
SHOWN = 3
SPELLINGS = frozenset({"timeOccurred", "timeOcurred"})
KINDS = {
    "create": ("CreateEvent", "CreationNotification"),
    "change": ("AttributeValueChangeEvent", "AttributeValueChangeNotification"),
    "state": ("StateChangeEvent", "StatusChangeEvent"),
    "delete": ("DeleteEvent", "RemoveNotification"),
}


class EventFailure(Failure):
    """A failure that notifications show."""

    def __init__(self, reason: str, *notifications: Notification, exchanges: tuple[Exchange, ...] = ()) -> None:
        super().__init__(reason, *exchanges)
        self.notifications = notifications


def require(condition: object, reason: str, *notifications: Notification) -> None:
    if not condition:
        raise EventFailure(reason, *notifications)


@dataclass
class Life:
    """One resource: what was done to it, and what GET showed after each step."""

    id: str
    created: Document = field(default_factory=dict)
    changed: Document = field(default_factory=dict)
    change: Document = field(default_factory=dict)
    state: tuple[str, str] | None = None
    change_events: int = 0
    deleted: bool = False


@dataclass
class Story:
    """`slow`: each event is awaited before the next step; `quick`: all steps at once; `steps` of the quick one."""

    slow: Life
    quick: Life | None
    quick_changes: int
    refused: str
    late: list[str]


def names(s: Subject, kind: str) -> list[str]:
    """The published eventTypes of that kind."""
    return [e for e in s.facts.events if e.endswith(KINDS[kind])]


def of(s: Subject, life: Life, kind: str) -> list[Notification]:
    """What arrived of that kind about that resource."""
    wanted = {n.lower() for n in names(s, kind)}
    return [n for n in s.session.listener.about(EVERYTHING, life.id) if n.kind.lower() in wanted]


_STORIES: WeakKeyDictionary[Subject, Story | Exception] = WeakKeyDictionary()


def story(s: Subject) -> Story:
    """Lived once for each resource and session."""
    if s not in _STORIES:
        try:
            _STORIES[s] = _lived(s)
        except (Blocked, NotApplicable, Failure) as why:
            _STORIES[s] = why
    found = _STORIES[s]
    if isinstance(found, Exception):
        raise found
    return found


def _await(s: Subject, life: Life, kind: str, late: list[str]) -> None:
    if names(s, kind) and not s.session.listener.wait(lambda: bool(of(s, life, kind)), s.session.patience_s):
        late.append(kind)


def _lived(s: Subject) -> Story:
    s.session.subscribed()
    late: list[str] = []
    slow = _slow(s, late)
    refused = _refused(s)
    quick, changes = _quick(s)
    if quick is not None:
        count = (
            bool(names(s, "create"))
            + bool(names(s, "delete") and quick.deleted)
            + (changes if names(s, "change") else 0)
        )
        listener = s.session.listener
        listener.wait(lambda: len({n.id for n in listener.about(EVERYTHING, quick.id)}) >= count, s.session.patience_s)
    time.sleep(QUIET_S)
    return Story(slow, quick, changes, refused, late)


def _slow(s: Subject, late: list[str]) -> Life:
    doc = s.created(form="full")
    life = Life(str(doc["id"]), created=doc)
    _await(s, life, "create", late)
    if s.has("patch"):
        try:
            life.change = s.change()
        except NotApplicable:
            life.change = {}
        if life.change and s.patch(doc, life.change).ok:
            life.changed = s.get(life.id).document
            _await(s, life, "change", late)
            s.patch(doc, life.change)  # changes nothing, and so tells nothing
            time.sleep(QUIET_S)
            life.change_events = len({n.id for n in of(s, life, "change")})
        else:
            life.change = {}
        _moved(s, life, late)
    if s.has("delete"):
        life.deleted = s.target.delete(s.one(life.id)).ok
        if life.deleted:
            _await(s, life, "delete", late)
    return life


def _moved(s: Subject, life: Life, late: list[str]) -> None:
    """One legal move from where the resource is, if the suite names one."""
    plan = s.plan.lifecycle
    if plan is None or not names(s, "state"):
        return
    now = str(life.created.get(plan.attribute, ""))
    after = next((b if now else a for a, b in plan.legal if a == now or not now), None)
    after = after or next((state for state in plan.free if state != now), None)
    if after is not None and s.patch(life.changed or life.created, {plan.attribute: after}).ok:
        life.state = (now, after)
        _await(s, life, "state", late)


def _quick(s: Subject) -> tuple[Life | None, int]:
    """All steps without waiting, so that order and completeness are those of the server."""
    doc = s.created()
    life = Life(str(doc["id"]), created=doc)
    changes = 0
    if s.has("patch") and s.texts:
        for number in range(3):
            answer = s.patch(doc, {s.texts[0]: f"ctk-{s.session.run}-{number}"})
            changes += answer.ok
    if s.has("delete"):
        life.deleted = s.target.delete(s.one(life.id)).ok
    return life, changes


def _refused(s: Subject) -> str:
    """The marker of a body that the server refuses: no event may tell of it."""
    create = s.facts.create or ""
    body = s.body()
    path = next(
        (p for p in payloads.mandatory(s.session.contract, create, body) if p[-1] not in ("@type", s.marker)), None
    )
    if s.marker is None or path is None:
        return ""
    mark = s.mark("refused-event")
    s.post(payloads.without({**body, s.marker: mark}, path))
    return mark


NEEDS = ("create", "retrieve", "events")


def _arrived(s: Subject, kind: str) -> list[Notification]:
    if not names(s, kind):
        raise NotApplicable("the API has no such event")
    told = story(s)
    found = of(s, told.slow, kind)
    if not found:
        others = s.session.listener.about(EVERYTHING, told.slow.id)
        kinds = ", ".join(sorted({n.kind for n in others}))
        raise EventFailure(
            f"no {' or '.join(names(s, kind))} within {s.session.patience_s:g} s"
            + (f"; there came {kinds}" if kinds else "; nothing came about this resource"),
            *others[:SHOWN],
            exchanges=_steps(s, told.slow),
        )
    return found


def _steps(s: Subject, life: Life) -> tuple[Exchange, ...]:
    """The subscription and what was then done to that resource: what should have been told."""
    writes = (e for e in s.session.exchanges if e.method in ("POST", "PATCH", "DELETE") and e.ok)
    done = [e for e in writes if str(e.document.get("id")) == life.id or e.path.endswith(f"/{life.id}")]
    return (s.session.subscribed(), *done[:SHOWN])


def _payload(s: Subject, kind: str) -> Notification:
    """The first event of that kind; without one, events.<kind> has failed, and the payload cannot be judged."""
    if names(s, kind) and not of(s, story(s).slow, kind):
        raise Blocked(f"no such event came; events.{kind} judges that")
    return _arrived(s, kind)[0]


@check("events.create", MUST, f"{FILE}: events", needs=NEEDS)
def create_event(s: Subject) -> str:
    """Creation is told by the published create event."""
    return f"after {len(_arrived(s, 'create'))} delivery"


@check("events.change", MUST, f"{FILE}: events", needs=(*NEEDS, "patch"))
def change_event(s: Subject) -> None:
    """A change of an attribute is told by the published attribute value change event."""
    if names(s, "change") and not story(s).slow.change:
        raise NotApplicable("nothing is known that may be changed")
    _arrived(s, "change")


@check("events.state", MUST, f"{FILE}: events", needs=(*NEEDS, "patch"))
def state_event(s: Subject) -> None:
    """A change of state is told by the published state or status change event."""
    if not names(s, "state"):
        raise NotApplicable("the API has no such event")
    plan = s.plan.lifecycle
    life = story(s).slow
    if plan is None or life.state is None:
        raise NotApplicable("the suite names no move from the first state")
    found = _arrived(s, "state")
    require(
        found[0].resource.get(plan.attribute) == life.state[1],
        f"it tells {found[0].resource.get(plan.attribute)!r} instead of {life.state[1]!r}",
        found[0],
    )


@check("events.delete", MUST, f"{FILE}: events", needs=(*NEEDS, "delete"))
def delete_event(s: Subject) -> None:
    """Deletion is told by the published delete event."""
    _arrived(s, "delete")


@check("events.type", SHOULD, f"{FILE}: events", needs=NEEDS)
def only_published_types(s: Subject) -> None:
    """Every eventType about a resource is one that the API publishes, or a general one that its file leaves out."""
    told = story(s)
    general = {f"{s.name}{end}".lower() for ends in KINDS.values() for end in ends}
    known = {e.lower() for e in s.facts.events} | general
    for life in (told.slow, told.quick):
        for n in s.session.listener.about(EVERYTHING, life.id) if life else ():
            require(n.kind.lower() in known, f"eventType {n.kind!r} is not published for {s.name}", n)


@check("events.envelope", MUST, NOTIFICATION, needs=NEEDS)
def envelope(s: Subject) -> None:
    """Every event has eventId, eventTime, eventType and the resource under event.<resource>."""
    for n in _all(s):
        for name in ("eventId", "eventTime", "eventType"):
            require(isinstance(n.envelope.get(name), str) and n.envelope[name], f"the event has no {name}", n)
        require(instant(n.envelope["eventTime"]) is not None, f"eventTime is {n.envelope['eventTime']!r}", n)
        event = n.envelope.get("event")
        inner = event if isinstance(event, dict) else {}
        told = any(isinstance(inner.get(name), dict) for name in s.told_as)
        require(told, f"the event has no event.{' or event.'.join(sorted(s.told_as))}", n)
        if s.session.v5:
            require(n.envelope.get("@type"), "the event has no @type", n)


@check("events.time-name", SHOULD, f"{FILE}: events", needs=NEEDS)
def instant_is_called_as_published(s: Subject) -> None:
    """The instant of what happened is called as the file calls it: some say timeOccurred, some timeOcurred."""
    judged = 0
    for n in _all(s):
        schema = s.session.contract.schemas.get(n.kind)
        published = SPELLINGS & {a.name for a in schema.attributes} if schema else frozenset()
        if published:
            told = SPELLINGS & n.envelope.keys()
            require(not told or told & published, f"the file says {'/'.join(published)}, not {'/'.join(told)}", n)
            judged += bool(told)
    if not judged:
        raise NotApplicable("no event tells it, or the file does not name it")


@check("events.shape", MUST, f"{FILE}: events (types)", needs=NEEDS)
def shape(s: Subject) -> None:
    """Events are as their schema says: types, enumerations, mandatory attributes."""
    for n in _all(s):
        if n.kind in s.session.contract.schemas:
            kept = {k: v for k, v in n.envelope.items() if k != "event"}
            wrong = violations(s.session.contract, n.kind, kept, partial=True)
            if n.kind.endswith(KINDS["create"]):
                wrong += violations(s.session.contract, s.facts.schema, n.resource)
            require(not wrong, "; ".join(wrong[:3]), n)


def _all(s: Subject) -> list[Notification]:
    told = story(s)
    found = [n for life in (told.slow, told.quick) if life for n in s.session.listener.about(EVERYTHING, life.id)]
    if not found:
        raise NotApplicable("no event came; events.create judges that")
    return found


@check("events.create-payload", MUST, NOTIFICATION, needs=NEEDS)
def create_payload(s: Subject) -> None:
    """The create event carries the resource as GET shows it."""
    n = _payload(s, "create")
    created = story(s).slow.created
    for name, value in created.items():
        if name == "href" or name in s.server_set - {"id"}:
            continue
        require(name in n.resource, f"the event lacks {name}", n)
        require(same(value, n.resource[name]), f"the event says {n.resource[name]!r} for {name}, GET {value!r}", n)


@check("events.change-payload", MUST, NOTIFICATION, needs=(*NEEDS, "patch"))
def change_payload(s: Subject) -> None:
    """The attribute value change event carries the new values."""
    life = story(s).slow
    if not life.change:
        raise NotApplicable("nothing is known that may be changed")
    n = _payload(s, "change")
    lost = not_kept(life.change, n.resource)
    require(not lost, f"the event: {'; '.join(lost[:3])}", n)


@check("events.readable", MUST, NOTIFICATION, needs=NEEDS)
def not_before_commit(s: Subject) -> None:
    """When a create event arrives, the resource can be read: it was not sent before the resource was stored."""
    for life in (story(s).slow,):
        for n in of(s, life, "create"):
            require(n.readable in (None, 200), f"at the arrival of the event, GET was answered with {n.readable}", n)


@check("events.order", SHOULD, NOTIFICATION, needs=(*NEEDS, "delete"))
def order(s: Subject) -> str:
    """The events of one resource arrive in the order of what happened."""
    life = story(s).quick
    if life is None:
        raise NotApplicable("no quick life")
    seen: dict[str, Notification] = {}
    for n in s.session.listener.about(EVERYTHING, life.id):
        seen.setdefault(n.id, n)
    found = list(seen.values())
    rank = {"create": 0, "change": 1, "delete": 2}
    ranks = [next((r for k, r in rank.items() if n.kind.endswith(KINDS[k])), 1) for n in found]
    require(ranks == sorted(ranks), f"they arrived as {', '.join(n.kind for n in found)}", *found[:3])
    numbers = [
        int(m[1])
        for n in found
        if n.kind.endswith(KINDS["change"])
        and s.texts
        and (m := re.search(r"-(\d)$", str(n.resource.get(s.texts[0], ""))))
    ]
    require(numbers == sorted(numbers), f"the changes arrived in the order {numbers}", *found[:4])
    times = [instant(n.envelope.get("eventTime")) for n in found]
    known = [t for t in times if t is not None]
    require(known == sorted(known), "eventTime goes backwards", *found[:3])
    return f"{len(found)} events"


@check("events.complete", MUST, NOTIFICATION, needs=NEEDS)
def complete(s: Subject) -> str:
    """Of steps in quick succession, none is lost."""
    told = story(s)
    life = told.quick
    if life is None:
        raise NotApplicable("no quick life")
    for kind, count in (("create", 1), ("change", told.quick_changes), ("delete", int(life.deleted))):
        if names(s, kind) and count:
            found = len({n.id for n in of(s, life, kind)})
            if not found and not of(s, told.slow, kind):
                raise Blocked(f"no such event came at all; events.{kind} judges that")
            if found < count:
                raise Failure(f"{count} {kind} step(s), {found} event(s)")
    return f"{told.quick_changes} changes"


@check("events.duplicates", MUST, NOTIFICATION, needs=NEEDS)
def duplicates(s: Subject) -> None:
    """One step is one event: what is sent again has the same eventId."""
    told = story(s)
    for life, changes in ((told.slow, 1), (told.quick, told.quick_changes)):
        if life is None:
            continue
        for kind, most in (("create", 1), ("change", max(changes, 1)), ("delete", 1), ("state", 1)):
            found = of(s, life, kind)
            ids = Counter(n.id for n in found)
            extra = 1 if kind == "change" and life.state else 0  # a move may also be told as a change
            require(len(ids) <= most + extra, f"{most} {kind} step(s), {len(ids)} different events", *found[:3])


@check("events.refused", MUST, NOTIFICATION, needs=NEEDS)
def refused_is_not_told(s: Subject) -> None:
    """A creation that is refused is not told."""
    mark = story(s).refused
    if not mark:
        raise NotApplicable("no attribute is known that tells it apart")
    told = [n for n in s.session.listener.of(EVERYTHING) if n.resource.get(s.marker or "") == mark]
    require(not told, "an event tells of a resource that was refused", *told[:2])


@check("events.unchanged", SHOULD, NOTIFICATION, needs=(*NEEDS, "patch"))
def unchanged_is_not_told(s: Subject) -> None:
    """A patch that changes nothing is not told as a change."""
    life = story(s).slow
    if not life.change:
        raise NotApplicable("nothing is known that may be changed")
    found = of(s, life, "change")
    require(life.change_events <= 1, f"{life.change_events} change events for one change", *found[:3])


@check("events.state-only-once", SHOULD, NOTIFICATION, needs=(*NEEDS, "patch"))
def refused_move_is_not_told(s: Subject) -> None:
    """A move that is refused is not told."""
    plan = s.plan.lifecycle
    if plan is None or not plan.illegal or not names(s, "state"):
        raise NotApplicable("the suite names no illegal move")
    before, after = plan.illegal[0]
    doc = in_state(s, plan, before)
    answer: Exchange = s.patch(doc, {plan.attribute: after})
    if answer.ok:
        raise NotApplicable("the move is made; lifecycle.illegal judges that")
    time.sleep(2 * QUIET_S)
    told = [
        n
        for n in s.session.listener.about(EVERYTHING, str(doc["id"]))
        if n.kind.endswith(KINDS["state"]) and _says(n, plan.attribute, after)
    ]
    require(not told, f"an event tells of the refused move to {after}", *told[:2])
    expect(True, "")


def _says(n: Notification, attribute: str, value: Any) -> bool:
    return bool(n.resource.get(attribute) == value)
