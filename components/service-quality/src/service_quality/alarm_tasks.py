"""TMF642 tasks: acknowledge alarms or take it back, clear, comment, group under a root cause, take out of it again.

A task changes its alarms in the transaction that stores it, with their events. Its answer holds the alarms that are
afterwards as was asked for, those that were so before too; if there is none the task ends with an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from service_quality.resources import Alarm
from tmfkit import Transaction
from tmfkit.call import CALL
from tmfkit.errors import BadRequest
from tmfkit.query import Filter, Path, Query, Step, matches
from tmfkit.store import Store
from tmfkit.write import rfc3339

Document = dict[str, Any]
Change = Callable[[Document], Document]

MOST_ALARMS = 1000
"""One transaction changes no more; a pattern that means more is refused."""
WORDS = frozenset({"state", "ackState", "perceivedSeverity"})


async def acknowledge(tx: Transaction, task: Document) -> Document:
    """ackState becomes acknowledged, with who and when; an alarm that is so already keeps who was first."""
    return await _acknowledgement(tx, task, "acknowledged", "ackedAlarm")


async def unacknowledge(tx: Transaction, task: Document) -> Document:
    """ackState becomes unacknowledged, with who and when."""
    return await _acknowledgement(tx, task, "unacknowledged", "unAckedAlarm")


async def clear(tx: Transaction, task: Document) -> Document:
    """State and severity become cleared (X.733 8.1.2.3), at the time that the task names; what is cleared stays so."""

    def change(alarm: Document) -> Document:
        if alarm["state"] == "cleared":
            return alarm
        told = {name: task[name] for name in ("alarmClearedTime", "clearSystemId", "clearUserId")}
        return {**alarm, **told, "state": "cleared", "perceivedSeverity": "cleared", "alarmChangedTime": _now()}

    found = await _matching(tx, task["alarmPattern"])
    return _ended(task, "clearedAlarm", await _changed(tx, found, change))


async def comment(tx: Transaction, task: Document) -> Document:
    """The comment is put behind the others, with who and when."""
    written = {"time": _now(), "userId": CALL.get().subject, **task["comment"]}

    def change(alarm: Document) -> Document:
        return {**alarm, "comment": [*(alarm.get("comment") or []), written], "alarmChangedTime": _now()}

    found = await _matching(tx, task["alarmPattern"])
    return _ended(task | {"comment": written}, "commentedAlarm", await _changed(tx, found, change))


async def group(tx: Transaction, task: Document) -> Document:
    """Alarms come under their root cause: parentAlarm in each, correlatedAlarm in the parent. None above itself."""
    found, parent, children = await _family(tx, task)
    above = await _above(tx, parent) if parent else set()
    inside = [id for id in children if id not in above]
    if parent is None or not inside:
        return _ended(task, "groupedAlarm", [])
    changed = [_linked(parent, "correlatedAlarm", add=inside)]
    changed += [_linked(found[id], "parentAlarm", add=[parent["id"]]) for id in inside]
    return _ended(task, "groupedAlarm", await _written(tx, found, changed, task["alarmChangedTime"]))


async def ungroup(tx: Transaction, task: Document) -> Document:
    """Alarms are taken from their root cause; those that are not under it are left out of the answer."""
    found, parent, children = await _family(tx, task)
    if parent is None:
        return _ended(task, "unGroupedAlarm", [])
    under = {ref["id"] for ref in parent.get("correlatedAlarm") or []}
    inside = [id for id in children if id in under or parent["id"] in _refs(found[id], "parentAlarm")]
    if not inside:
        return _ended(task, "unGroupedAlarm", [])
    changed = [_linked(parent, "correlatedAlarm", drop=inside)]
    changed += [_linked(found[id], "parentAlarm", drop=[parent["id"]]) for id in inside]
    return _ended(task, "unGroupedAlarm", await _written(tx, found, changed, task["alarmChangedTime"]))


# --- which alarms ---


async def _matching(tx: Transaction, patterns: Iterable[Document]) -> dict[str, Document]:
    """Alarms that equal any pattern in all that it names, by id, locked in one order: no two tasks wait in a circle.

    A pattern that names nothing matches nothing: all alarms are hardly meant. Errors: TmfError 400.
    """
    store = tx[Alarm]
    queries = [query for pattern in patterns if (query := _query(store, pattern)) is not None]
    ids: set[str] = set()
    for query in queries:
        rows, _ = await store.page(query)
        ids |= {row.id for row in rows}
    if len(ids) > MOST_ALARMS:
        raise BadRequest(f"more than {MOST_ALARMS} alarms match: narrow the pattern", attribute="alarmPattern")
    found = {}
    for id in sorted(ids):
        alarm = await store.find(id, lock=True)
        if alarm is not None and any(matches(alarm, query) for query in queries):  # as it is now, under the lock
            found[id] = alarm
    return found


def _query(store: Store, pattern: Mapping[str, Any]) -> Query | None:
    asked = [_asked(store, steps, value) for steps, value in _conditions(_identified(pattern))]
    return replace(asked[0], groups=tuple(group for query in asked for group in query.groups)) if asked else None


def _asked(store: Store, steps: tuple[Step, ...], value: Any) -> Query:
    try:
        return store.query({".".join(step.name for step in steps): value}, limit=MOST_ALARMS + 1)
    except KeyError:  # an extension of the alarm: compared as it stands
        text = value if isinstance(value, str) else json.dumps(value)
        return Query(((Filter(Path(steps, "any"), "eq", (text,)),),), limit=MOST_ALARMS + 1)


def _identified(pattern: Mapping[str, Any]) -> Document:
    """The address of an alarm says no more than its id, which may come as a number."""
    told = {name: value for name, value in pattern.items() if name != "href"}
    if "id" not in told and pattern.get("href"):
        told["id"] = unquote(str(pattern["href"]).rstrip("/").rsplit("/", 1)[-1])
    if "id" in told:
        told["id"] = str(told["id"])
    return told | {name: str(told[name]).lower() for name in WORDS & told.keys()}


def _conditions(value: Any, above: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """Paths of the leaves with their values; each member of a list has to be found."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            many = isinstance(inner, list)
            for one in inner if many else (inner,):
                yield from _conditions(one, (*above, Step(name, many)))
    elif above:
        yield above, value


async def _family(tx: Transaction, task: Document) -> tuple[dict[str, Document], Document | None, list[str]]:
    """Parent and children of a group or ungroup task, locked together; the parent must be one alarm."""
    refs = [_reference(task["parentAlarm"]), *map(_reference, task["correlatedAlarm"])]
    found = await _matching(tx, refs)
    store = tx[Alarm]

    def means(ref: Document) -> list[str]:
        query = _query(store, ref)
        return [id for id, alarm in found.items() if query is not None and matches(alarm, query)]

    parents = means(refs[0])
    if len(parents) != 1:
        return found, None, []
    children = dict.fromkeys(id for ref in refs[1:] for id in means(ref) if id != parents[0])
    return found, found[parents[0]], list(children)


def _reference(ref: Document) -> Document:
    """By its id where it has one: a value beside it may be older than the alarm."""
    if "id" in ref or "href" in ref:
        return {name: ref[name] for name in ("id", "href") if name in ref}
    return {name: value for name, value in ref.items() if name not in ("name", "@type", "@referredType")}


async def _above(tx: Transaction, alarm: Document) -> set[str]:
    """Ids of an alarm's root causes, theirs, and so on."""
    above: set[str] = set()
    edge = _refs(alarm, "parentAlarm")
    while edge:
        above |= edge
        known = [doc for id in sorted(edge) if (doc := await tx[Alarm].find(id)) is not None]
        edge = {id for doc in known for id in _refs(doc, "parentAlarm")} - above
    return above


# --- what becomes of them ---


async def _acknowledgement(tx: Transaction, task: Document, state: str, answer: str) -> Document:
    task = {"ackTime": _now(), **task}

    def change(alarm: Document) -> Document:
        if alarm.get("ackState") == state:
            return alarm
        told = {name: task[name] for name in ("ackSystemId", "ackUserId", "ackTime")}
        return {**alarm, **told, "ackState": state, "alarmChangedTime": _now()}

    found = await _matching(tx, task["alarmPattern"])
    return _ended(task, answer, await _changed(tx, found, change))


async def _changed(tx: Transaction, found: Mapping[str, Document], change: Change) -> list[Document]:
    return [(await tx[Alarm].replace(alarm, change(alarm)))[0] for alarm in found.values()]


async def _written(
    tx: Transaction, found: Mapping[str, Document], changed: Iterable[Document], at: str
) -> list[Document]:
    """The changed alarms, stored; those that are as they were keep the time of their last change."""
    after = []
    for alarm in changed:
        old = found[alarm["id"]]
        new = alarm if alarm == old else {**alarm, "alarmChangedTime": at}
        after.append((await tx[Alarm].replace(old, new))[0])
    return after


def _refs(alarm: Document, name: str) -> set[str]:
    return {str(ref["id"]) for ref in alarm.get(name) or []}


def _linked(alarm: Document, name: str, *, add: Iterable[str] = (), drop: Iterable[str] = ()) -> Document:
    known, gone = _refs(alarm, name), set(drop)
    refs = [ref for ref in alarm.get(name) or [] if ref["id"] not in gone]
    refs += [{"@type": "AlarmRef", "id": id, "@referredType": "Alarm"} for id in add if id not in known]
    return {k: v for k, v in alarm.items() if k != name} | ({name: refs} if refs else {})


def _ended(task: Document, answer: str, done: list[Document]) -> Document:
    return {**task, answer: done, "state": "done" if done else "terminatedWithError"}


def _now() -> str:
    return rfc3339(datetime.now(UTC))
