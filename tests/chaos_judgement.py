"""What clients were told, what the subscriber heard, what the database holds: compared. Pure, but for reading."""

from __future__ import annotations

import contextlib
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

Record = dict[str, Any]
What = tuple[str, str, int | None]
"""An event by its content: resource, kind, value; a deletion has no value."""
UNAVAILABLE = frozenset({500, 502, 503, 504})
"""Answers that mean: not now, and perhaps it happened."""


def records(path: Path) -> list[Record]:
    """Every whole record of a file; a kill may have cut one, which then was not acknowledged."""
    found = []
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(orjson.JSONDecodeError):
            found.append(orjson.loads(line))
    return found


class Document(NamedTuple):
    revision: int
    value: int
    digest: str


class Committed(NamedTuple):
    """A row of the outbox. `value` is what the document held after the change, of a deletion: before it."""

    seq: int
    event: str
    id: str
    kind: str
    value: int
    digest: str

    @property
    def what(self) -> What:
        return self.id, self.kind, None if self.kind == "Delete" else self.value


@dataclass(frozen=True)
class Stored:
    """What the database holds at the end."""

    documents: Mapping[str, Document]
    events: Sequence[Committed]
    audited: Mapping[str, int]
    keys: Mapping[str, str]
    waiting: int = 0
    dead: int = 0
    ownerless: int = 0


@dataclass
class Change:
    """One thing a client wanted, however often it had to ask. `value` is unique to it and grows with time."""

    value: int
    op: str
    kinds: tuple[str, ...]
    key: str | None
    shared: bool | None
    join: int | None
    asked: str | None
    answers: list[tuple[str, int]] = field(default_factory=list)
    answered_at: float = 0.0

    @classmethod
    def first(cls, record: Record) -> Change:
        return cls(
            record["value"],
            record["op"],
            tuple(record["kinds"]),
            record.get("key"),
            record.get("shared"),
            record.get("join"),
            record.get("id"),
        )

    @property
    def acknowledged(self) -> bool:
        return bool(self.answers)

    @property
    def id(self) -> str | None:
        return self.answers[0][0] if self.answers else self.asked

    @property
    def events(self) -> list[What]:
        return [(self.id or "", kind, None if kind == "Delete" else self.value) for kind in self.kinds]


def _what(heard: Record) -> What:
    return heard["id"], heard["kind"], heard["value"]


class Check(NamedTuple):
    name: str
    examined: int
    failures: list[str]


def changes(journal: Iterable[Record]) -> tuple[dict[int, Change], set[int], list[str]]:
    """What was wanted, by its value; which late subscriptions were acknowledged; answers that nothing explains."""
    wanted: dict[int, Change] = {}
    sent: dict[int, Record] = {}
    joined: set[int] = set()
    strange: list[str] = []
    for record in journal:
        if record["kind"] == "sent":
            sent[record["r"]] = record
            if record["op"] in ("POST", "PATCH", "DELETE"):
                wanted.setdefault(record["value"], Change.first(record))
        elif record["kind"] == "answer":
            asked, status = sent[record["r"]], record["status"]
            again = asked.get("attempt", 1) > 1
            if 200 <= status < 300:
                if asked["op"] == "HUB":
                    joined.add(asked["join"])
                elif asked["op"] in ("POST", "PATCH", "DELETE"):
                    change = wanted[asked["value"]]
                    change.answered_at = change.answered_at or record["at"]
                    change.answers.append((record.get("id") or asked["id"], record.get("revision") or 0))
            elif status not in UNAVAILABLE and not (
                again and (asked["op"], status) in (("POST", 409), ("DELETE", 404), ("UNHUB", 404))
            ):
                strange.append(f"{asked['op']} {asked.get('id') or ''} was answered {status}: {record.get('said')}")
    return wanted, joined, strange


def judge(journal: Sequence[Record], heard: Sequence[Record], stored: Stored, in_flight: int) -> list[Check]:
    """Every promise, how often it was put to the test, and each time it was not kept."""
    wanted, joined, strange = changes(journal)
    kept = [c for c in wanted.values() if c.acknowledged]
    kills = [r for r in journal if r["kind"] == "kill"]
    few = [f"kill {r['n']} ({r['victim']}): {r['in_flight']} in flight" for r in kills if r["in_flight"] < in_flight]
    main = [h for h in heard if h["path"] == "/heard"]
    committed, told = {e.what for e in stored.events}, {_what(h) for h in main}
    return [
        Check(f"at least {in_flight} requests were in flight at each kill", len(kills), few),
        Check("acknowledged changes are in the documents", len(kept), _in_documents(wanted, stored)),
        Check("acknowledged changes are among the committed events", len(kept), _missing(kept, committed)),
        Check("events of acknowledged changes were heard", len(kept), _missing(kept, told)),
        Check("committed events were heard, acknowledged or not", len(stored.events), _all_heard(stored, main)),
        Check("what was heard is committed, under one eventId", len(main), _one_id(stored, main)),
        Check("changes of one resource were heard in their order", len(main), _in_order(wanted, stored, main)),
        Check("revisions count each acknowledged change once", len(kept), _revisions(kept)),
        Check("no resource was made twice, one for each key", *_made_once(wanted, stored)),
        Check("no document without its events, nor the reverse", len(stored.documents), _whole(stored)),
        Check("a late subscription heard what came after it", *_joined(wanted, joined, heard)),
        Check("nothing is left undelivered, dead or without owner", len(stored.events), _left(stored)),
        Check("no answer but for a reason", len(journal), strange),
    ]


def _in_documents(wanted: Mapping[int, Change], stored: Stored) -> list[str]:
    of: dict[str, list[Change]] = defaultdict(list)
    for change in wanted.values():
        if change.id is not None:
            of[change.id].append(change)
    failures = []
    for id, all_ in of.items():
        kept = [c for c in all_ if c.acknowledged]
        document = stored.documents.get(id)
        ends = [c for c in all_ if c.op == "DELETE"]
        if any(c.acknowledged for c in ends):
            if document is not None:
                failures.append(f"{id} was deleted and is there")
        elif document is None:
            if kept and not ends:
                failures.append(f"{id} is missing; acknowledged: {[c.value for c in kept]}")
        elif kept:
            revision, value = max((c.answers[-1][1], c.value) for c in kept)
            unsure = {c.value for c in all_ if not c.acknowledged}
            exact = document.revision == revision and document.value == value
            if not exact and not (document.revision > revision and document.value in unsure):
                failures.append(
                    f"{id} is at revision {document.revision} with {document.value}; acknowledged: {revision}, {value}"
                )
    return failures


def _missing(kept: Iterable[Change], there: set[What]) -> list[str]:
    return [f"no {what[1]} of {what[0]} with {what[2]}" for c in kept for what in c.events if what not in there]


def _all_heard(stored: Stored, main: Iterable[Record]) -> list[str]:
    there = {h["event"] for h in main}
    return [f"{e.event} (seq {e.seq}, {e.kind} of {e.id}) was not heard" for e in stored.events if e.event not in there]


def _one_id(stored: Stored, main: Iterable[Record]) -> list[str]:
    known = {e.event: e.what for e in stored.events}
    by_what = {e.what: e.event for e in stored.events}
    twins = [e for e in stored.events if by_what[e.what] != e.event]
    failures = [f"two events for {e.what}: {e.event}, {by_what[e.what]}" for e in twins]
    for h in main:
        what = _what(h)
        if h["event"] not in known:
            failures.append(f"{h['event']} was heard ({what}) and is not committed")
        elif known[h["event"]] != what:
            failures.append(f"{h['event']} was heard as {what} and committed as {known[h['event']]}")
    return failures


def _in_order(wanted: Mapping[int, Change], stored: Stored, main: Iterable[Record]) -> list[str]:
    """First occurrences follow the commits; acknowledged values follow their revisions; a sole writer's its asking."""
    seq = {e.event: e.seq for e in stored.events}
    first: dict[str, list[Record]] = defaultdict(list)
    seen: set[str] = set()
    for h in main:
        if h["event"] in seq and h["event"] not in seen:
            seen.add(h["event"])
            first[h["id"]].append(h)
    failures = []
    for id, line in first.items():
        values = [h["value"] for h in line if h["value"] is not None]
        known = [c for c in (wanted.get(v) for v in values) if c is not None and c.acknowledged]
        orders = {"commits": [seq[h["event"]] for h in line], "revisions": [c.answers[-1][1] for c in known]}
        if not any(c.shared for c in known):
            orders["values"] = [c.value for c in known]
        failures += [f"{id}: {name} heard as {order}" for name, order in orders.items() if order != sorted(order)]
    return failures


def _revisions(kept: Iterable[Change]) -> list[str]:
    by: dict[tuple[str, int], set[int]] = defaultdict(set)
    for change in kept:
        if change.op != "DELETE":
            by[change.answers[-1]].add(change.value)
    return [f"{id}: revision {n} was given to {sorted(values)}" for (id, n), values in by.items() if len(values) > 1]


def _made_once(wanted: Mapping[int, Change], stored: Stored) -> tuple[int, list[str]]:
    made: dict[int, list[str]] = defaultdict(list)
    for e in stored.events:
        if e.kind == "Create":
            made[e.value].append(e.id)
    posts = [c for c in wanted.values() if c.op == "POST"]
    failures = []
    for c in posts:
        ids, told = made[c.value], {id for id, _ in c.answers}
        if len(ids) > 1 or (c.acknowledged and told != set(ids)):
            failures.append(f"POST {c.value} (key {c.key}) made {ids}, answered {sorted(told)}")
        if c.key is not None and stored.keys.get(c.key) != (ids[0] if ids else None):
            failures.append(f"POST {c.value} made {ids}, its key {c.key} names {stored.keys.get(c.key)}")
    return len(posts), failures


def _whole(stored: Stored) -> list[str]:
    of: dict[str, list[Committed]] = defaultdict(list)
    for e in sorted(stored.events):
        of[e.id].append(e)
    failures = [f"{id} has no event" for id in stored.documents if id not in of]
    for id, line in of.items():
        document, last = stored.documents.get(id), line[-1]
        steps = len({e.value for e in line})
        if line[0].kind != "Create":
            failures.append(f"{id}: its first event is {line[0].kind}")
        if last.kind == "Delete":
            steps += 1
            if document is not None:
                failures.append(f"{id} has the event of its end and is there")
        elif document is None:
            failures.append(f"{id} is not there, its last event is {last.kind} with {last.value}")
        elif document.digest != last.digest or document.revision != steps:
            failures.append(
                f"{id} is at revision {document.revision} with {document.value};"
                f" its {steps} events end with {last.value}"
            )
        if stored.audited.get(id, 0) != steps:
            failures.append(f"{id}: {steps} changes, {stored.audited.get(id, 0)} in the audit trail")
    return failures


def _joined(wanted: Mapping[int, Change], joined: set[int], heard: Iterable[Record]) -> tuple[int, list[str]]:
    due = {c.join: c for c in wanted.values() if c.join in joined and c.acknowledged}
    there = {h["path"] for h in heard}
    return len(due), [
        f"subscription {join} was acknowledged before POST {c.value} was sent, and did not hear of {c.id}"
        for join, c in due.items() if f"/join/{join}" not in there
    ]  # fmt: skip


def _left(stored: Stored) -> list[str]:
    left = {"events are not relayed or not delivered": stored.waiting, "deliveries are dead letters": stored.dead}
    left["deliveries belong to no subscription"] = stored.ownerless
    return [f"{count} {what}" for what, count in left.items() if count]


def figures(journal: Sequence[Record], heard: Sequence[Record], stored: Stored) -> dict[str, float | int | str]:
    """How much was tried, and what became of it."""
    wanted, joined, _ = changes(journal)
    kept = {c.value: c for c in wanted.values() if c.acknowledged}
    happened = {e.value for e in stored.events}
    unsure = [c for c in wanted.values() if not c.acknowledged and c.op != "DELETE"]
    main = [h for h in heard if h["path"] == "/heard"]
    first: dict[str, Record] = {}
    for h in main:
        first.setdefault(h["event"], h)
    late_s = sorted(h["at"] - kept[h["value"]].answered_at for h in first.values() if h["value"] in kept)
    in_flight = [r["in_flight"] for r in journal if r["kind"] == "kill"] or [0]
    return {
        "in flight at a kill, least": min(in_flight),
        "in flight at a kill, median": statistics.median(in_flight),
        "requests sent": sum(r["kind"] == "sent" for r in journal),
        "requests cut off or refused a connection": sum(r["kind"] == "lost" for r in journal),
        "requests answered 5xx": sum(r["kind"] == "answer" and r["status"] in UNAVAILABLE for r in journal),
        "changes acknowledged": len(kept),
        "changes not acknowledged, happened": sum(c.value in happened for c in unsure),
        "changes not acknowledged, did not happen": sum(c.value not in happened for c in unsure),
        "events committed": len(stored.events),
        "events heard": len(main),
        "events heard again": len(main) - len(first),
        "late subscriptions": len(joined),
        "delivery after the answer, median s": round(statistics.median(late_s), 3) if late_s else "-",
        "delivery after the answer, 99 % s": round(late_s[len(late_s) * 99 // 100], 3) if late_s else "-",
        "delivery after the answer, longest s": round(late_s[-1], 3) if late_s else "-",
    }
