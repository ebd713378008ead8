"""Roles as the identity operator and its listener ask for them: the hub of the security API twice, then events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from oda_ctk.check import MUST, SHOULD, Blocked, NotApplicable
from oda_ctk.component.case import IDENTITY_LISTENER, IDENTITY_OPERATOR, KIT, At, check
from oda_ctk.component.manifest import text
from oda_ctk.component.piece import Found
from oda_ctk.exchange import Exchange, Unanswered
from oda_ctk.listener import Notification

SETTLE_S = 0.3
GATEWAY = {"x-forwarded-host": "gateway.ctk.example", "x-forwarded-proto": "https"}


@dataclass(frozen=True)
class Kind:
    """What an API manages: TMF669 party roles, or TMF672 permission specification sets."""

    path: str
    type: str
    hub: dict[str, str]


PARTY_ROLE = Kind("partyRole", "PartyRole", {})
PERMISSIONS = Kind("permissionSpecificationSet", "PermissionSpecificationSet", {"@type": "Hub"})


@dataclass
class Story:
    """Registered twice, a role made, a role removed; with what arrived."""

    kind: Kind
    first: Exchange
    second: Exchange
    created: Exchange
    removed: Exchange | None
    arrived: list[Notification]

    def of(self, ending: str) -> list[Notification]:
        return [n for n in self.arrived if n.kind == f"{self.kind.type}{ending}"]


def kind_of(at: At) -> Kind:
    """Which kind the identity operator takes an API for."""
    return PARTY_ROLE if at.api.is_party_role else PERMISSIONS


def told(at: At) -> Story:
    """The story of an API, told once."""
    kind = kind_of(at)
    key = f"story {at.api.label}"
    if key not in at.case.memory:
        try:
            at.case.memory[key] = _made(at, kind)
        except Unanswered as fault:
            at.case.memory[key] = fault
    story: Story | Unanswered = at.case.memory[key]
    if isinstance(story, Unanswered):
        raise story
    return story


def _made(at: At, kind: Kind) -> Story:
    running, token = at.running, f"{at.api.label}-{at.running.run}"
    address = at.running.address(at.api)
    body = {"callback": running.listener.callback(token), **kind.hub}
    hubs = []
    for _ in range(2):
        answer = running.target.post(f"{address}/hub", body)
        hubs.append((answer, running.made(f"{address}/hub", answer)))
    role: dict[str, Any] = {"@type": kind.type, "@baseType": kind.type, "name": f"ctk-{running.run}"}
    if kind is PARTY_ROLE:
        role["engagedParty"] = {"id": f"ctk-{running.run}", "name": "ctk", "@referredType": "Organization"}
    else:
        role |= {"description": "Made by a conformance run", "involvementRole": role["name"]}
    created = running.target.post(f"{address}/{kind.path}", role)
    one = running.made(f"{address}/{kind.path}", created)
    id = str(created.document.get("id", ""))

    def arrived(ending: str) -> bool:
        return any(n.kind.endswith(ending) for n in running.listener.about(token, id))

    removed = None
    if hubs[0][0].ok and created.ok:
        running.listener.wait(lambda: arrived("CreationNotification"), running.patience_s)
    if one:
        removed = running.delete(one)
        if hubs[0][0].ok:
            running.listener.wait(lambda: arrived("RemoveNotification"), running.patience_s)
            running.listener.wait(lambda: False, SETTLE_S)  # for what comes twice
    for subscription in dict.fromkeys(one for _, one in hubs[::-1]):
        if subscription in running.made_here:
            running.delete(subscription)
    return Story(kind, hubs[0][0], hubs[1][0], created, removed, running.listener.about(token, id))


@check(
    "component.run.roles.hub",
    MUST,
    f"{IDENTITY_OPERATOR}: registers at every start and change, without query; what is no success is given up",
    of="roles",
)
def hub(at: At) -> Iterator[Found]:
    """The hub of a security API takes the same callback twice with success, without a query."""
    story = told(at)
    for word, answer in (("first", story.first), ("second", story.second)):
        if not answer.ok:
            yield Found(f"the {word} registration: {answer.told()}", (answer,))


@check(
    "component.run.roles.list",
    MUST,
    f"{KIT}, deployment 4: GET of the roles",
    of="roles",
)
def listed(at: At) -> Iterator[Found]:
    """The roles of a security API are listed with 200."""
    answer = _list(at)
    if answer.status not in (200, 206) or not isinstance(answer.json, list):
        yield Found(f"{answer.told()}, " + ("a list" if isinstance(answer.json, list) else "no list"), (answer,))


@check(
    "component.run.roles.canvas",
    MUST,
    f"{KIT}, L1 dynamic 5 and 6, deployment 4",
    of="party role",
)
def canvas_role(at: At) -> Iterator[Found]:
    """A party role has the name of canvasSystemRole."""
    wanted = text(at.case.manifest.section("securityFunction").get("canvasSystemRole"))
    if not wanted:
        raise Blocked("no canvasSystemRole is declared")
    answer = _list(at)
    if isinstance(answer.json, list) and wanted not in [row.get("name") for row in answer.rows]:
        yield Found(f"none of the {len(answer.rows)} party roles is {wanted}", (answer,))


def _list(at: At) -> Exchange:
    return at.running.get(f"{at.running.address(at.api)}/{kind_of(at).path}")


def _judged(at: At) -> Story:
    """The story, where it came as far as a role."""
    story = told(at)
    if not story.first.ok:
        raise Blocked("the hub refuses the registration")
    if not story.created.ok:
        raise Blocked("no role could be created")
    return story


@check(
    "component.run.roles.create",
    MUST,
    f"{KIT}, BDD UC005: roles come and go",
    of="roles",
)
def create(at: At) -> Iterator[Found]:
    """A role can be created and deleted."""
    story = told(at)
    if not story.created.ok:
        yield Found(f"{story.created.told()}", (story.created,))
    elif story.removed is None or not story.removed.ok:
        yield Found("the role cannot be deleted", tuple(e for e in (story.created, story.removed) if e))


@check(
    "component.run.roles.created",
    MUST,
    f"{IDENTITY_LISTENER}: acts on ...CreationNotification, not on ...CreateEvent",
    of="roles",
)
def created(at: At) -> Iterator[Found]:
    """A new role is told with the eventType ...CreationNotification."""
    story = _judged(at)
    if not story.of("CreationNotification"):
        kinds = ", ".join(dict.fromkeys(n.kind for n in story.arrived)) or "nothing"
        yield Found(f"arrived: {kinds}", (story.created, *_shown(story.arrived)))


@check(
    "component.run.roles.removed",
    MUST,
    f"{IDENTITY_LISTENER}: acts on ...RemoveNotification, not on ...DeleteEvent",
    of="roles",
)
def removed(at: At) -> Iterator[Found]:
    """A role that is gone is told with the eventType ...RemoveNotification."""
    story = _judged(at)
    if story.removed is None or not story.removed.ok:
        raise Blocked("the role could not be deleted")
    if not story.of("RemoveNotification"):
        kinds = ", ".join(dict.fromkeys(n.kind for n in story.arrived)) or "nothing"
        yield Found(f"arrived: {kinds}", (story.removed, *_shown(story.arrived)))


@check(
    "component.run.roles.base-type",
    MUST,
    f"{IDENTITY_LISTENER}: reads event.<resource>.@baseType and passes over any other",
    of="roles",
)
def base_type(at: At) -> Iterator[Found]:
    """The role in an event tells its @baseType."""
    for n in _acted_on(at):
        if _role(n, at).get("@baseType") != kind_of(at).type:
            yield Found(f"{n.kind} has the @baseType {_role(n, at).get('@baseType')!r}", _shown([n]))


@check(
    "component.run.roles.href",
    MUST,
    f"{IDENTITY_LISTENER}: takes the client, which is the Component, out of the href",
    of="roles",
)
def href(at: At) -> Iterator[Found]:
    """The href in an event names the Component: after the host for TMF669, as the first segment for TMF672."""
    place = 3 if kind_of(at) is PARTY_ROLE else 1
    for n in _acted_on(at):
        parts = text(_role(n, at).get("href")).split("/")
        if parts[place : place + 1] != [at.case.name]:
            form = "http://host/" if place == 3 else "/"
            yield Found(f"{_role(n, at).get('href')!r} does not start with {form}{at.case.name}/", _shown([n]))


@check("component.run.roles.once", SHOULD, f"{IDENTITY_OPERATOR}: registers the same callback again and again",
       of="roles")  # fmt: skip
def once(at: At) -> Iterator[Found]:
    """A callback that was registered twice is told everything once."""
    story = _judged(at)
    for ending in ("CreationNotification", "RemoveNotification"):
        if len(story.of(ending)) > 1:
            yield Found(f"{len(story.of(ending))} times {story.of(ending)[0].kind}", _shown(story.of(ending)))


@check("component.run.roles.links", SHOULD, "oda-canvas use case UC003: the gateway tells its name in X-Forwarded-Host",
       of="roles")  # fmt: skip
def links(at: At) -> Iterator[Found]:
    """The href of a role is a path, or has the host that the gateway tells; its path begins with that of the API."""
    answer = at.running.get(f"{at.running.address(at.api)}/{kind_of(at).path}", headers=GATEWAY)
    hrefs = [text(row.get("href")) for row in answer.rows if row.get("href")]
    if not hrefs:
        raise NotApplicable("no role has an href")
    for one in hrefs:
        parts = urlsplit(one)
        if (parts.hostname or GATEWAY["x-forwarded-host"]) != GATEWAY["x-forwarded-host"]:
            yield Found(f"{one} leads past the gateway {GATEWAY['x-forwarded-host']}", (answer,))
        elif not parts.path.startswith(at.api.base.rstrip("/") + "/"):
            yield Found(f"{one} does not lead to {at.api.base}", (answer,))


def _acted_on(at: At) -> list[Notification]:
    story = _judged(at)
    found = [*story.of("CreationNotification"), *story.of("RemoveNotification")]
    if not found:
        raise Blocked("no notification arrived that the listener acts on")
    return found


def _role(notification: Notification, at: At) -> dict[str, Any]:
    event = notification.envelope.get("event")
    role = event.get(kind_of(at).path) if isinstance(event, dict) else None
    return role if isinstance(role, dict) else {}


def _shown(arrived: list[Notification]) -> tuple[Notification, ...]:
    return tuple(arrived[:4])
