"""kill -9 under load: what was acknowledged is still there, and every event arrives.

Clients write customers (TMF629) without pause; PostgreSQL, the serving process, the relay and the subscriber are killed
at random moments and started again. Then three records are compared: what the clients sent and were answered, what the
subscriber heard, and what the database holds. SIGKILL loses what a process had in memory, not what the operating system
had: whether a disk keeps its promises is not tested here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import httpx
import orjson
import psutil
import uvicorn

Record = dict[str, Any]
PATH = "/customer-360/tmf-api/customerManagement/v5"
VICTIMS = ("serve", "relay", "postgres", "backend", "everything")
SHARED = 4
OWNED = 5
PATIENCE_S = 30.0
UNAVAILABLE = frozenset({500, 502, 503, 504})
MEDIA = {"merge": "application/merge-patch+json", "patch": "application/json-patch+json"}


# --- the records -------------------------------------------------------------------------------------------


class Journal:
    """A file that only grows: each record reaches the operating system before the next step is taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def write(self, **record: Any) -> None:
        os.write(self._file, orjson.dumps({"at": time.time(), **record}) + b"\n")

    def close(self) -> None:
        os.close(self._file)


def records(path: Path) -> list[Record]:
    """Every whole record of a file; a kill may have cut one, which then was not acknowledged."""
    found = []
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(orjson.JSONDecodeError):
            found.append(orjson.loads(line))
    return found


def subscribe(path: Path, port: int) -> None:
    """The subscriber: a process of its own that answers 201 when what it heard is on the disk."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.write(file, b"\n")  # ends a line that a kill has cut

    async def app(scope: Any, receive: Any, send: Any) -> None:
        content, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            content, more = content + message.get("body", b""), message.get("more_body", False)
        event = orjson.loads(content)
        resource = next(iter(event["event"].values()))
        kind = event["eventType"].removeprefix("Customer").removesuffix("Event")
        heard = {"at": time.time(), "path": scope["path"], "event": event["eventId"], "kind": kind}
        heard |= {"id": resource["id"], "value": None if kind == "Delete" else int(resource["description"])}
        os.write(file, orjson.dumps(heard) + b"\n")
        os.fsync(file)
        await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    uvicorn.run(
        app, port=port, lifespan="off", log_level="error", access_log=False, timeout_graceful_shutdown=2, ws="none"
    )


# --- the judgement: pure -----------------------------------------------------------------------------------


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
    def what(self) -> tuple[str, str, int | None]:
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
    shared: bool
    join: int | None
    asked: str | None
    answers: list[tuple[str, int]] = field(default_factory=list)
    answered_at: float = 0.0

    @property
    def acknowledged(self) -> bool:
        return bool(self.answers)

    @property
    def id(self) -> str | None:
        return self.answers[0][0] if self.answers else self.asked

    @property
    def events(self) -> list[tuple[str, str, int | None]]:
        return [(self.id or "", kind, None if kind == "Delete" else self.value) for kind in self.kinds]


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
                value = record["value"]
                wanted.setdefault(
                    value,
                    Change(
                        value, record["op"], tuple(record["kinds"]), record.get("key"), record.get("shared", False),
                        record.get("join"), record.get("id"),
                    ),
                )  # fmt: skip
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
    return [
        Check(f"at least {in_flight} requests were in flight at each kill", len(kills), few),
        Check("acknowledged changes are in the documents", len(kept), _in_documents(wanted, stored)),
        Check("acknowledged changes are among the committed events", len(kept), _in_outbox(kept, stored)),
        Check("events of acknowledged changes were heard", len(kept), _heard_of(kept, main)),
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


def _in_outbox(kept: Iterable[Change], stored: Stored) -> list[str]:
    there = {e.what for e in stored.events}
    return [f"no event {kind} of {id} with {value}" for c in kept for id, kind, value in c.events
            if (id, kind, value) not in there]  # fmt: skip


def _heard_of(kept: Iterable[Change], main: Iterable[Record]) -> list[str]:
    there = {(h["id"], h["kind"], h["value"]) for h in main}
    return [f"{kind} of {id} with {value} was not heard" for c in kept for id, kind, value in c.events
            if (id, kind, value) not in there]  # fmt: skip


def _all_heard(stored: Stored, main: Iterable[Record]) -> list[str]:
    there = {h["event"] for h in main}
    return [f"{e.event} (seq {e.seq}, {e.kind} of {e.id}) was not heard" for e in stored.events if e.event not in there]


def _one_id(stored: Stored, main: Iterable[Record]) -> list[str]:
    known = {e.event: e.what for e in stored.events}
    by_what = {e.what: e.event for e in stored.events}
    failures = [f"two events for {e.what}: {e.event}, {by_what[e.what]}" for e in stored.events
                if by_what[e.what] != e.event]  # fmt: skip
    for h in main:
        what = (h["id"], h["kind"], h["value"])
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
        known = [c for c in (wanted.get(v) for v in values) if c is not None]
        revisions = [c.answers[-1][1] for c in known if c.acknowledged]
        orders = {"commits": [seq[h["event"]] for h in line], "revisions": revisions}
        if not any(c.shared for c in known):
            orders["values"] = values
        failures += [f"{id}: {name} heard as {order}" for name, order in orders.items() if order != sorted(order)]
    return failures


def _revisions(kept: Iterable[Change]) -> list[str]:
    by: dict[tuple[str, int], set[int]] = defaultdict(set)
    for change in kept:
        if change.op != "DELETE":
            by[change.answers[-1]].add(change.value)
    return [f"{id}: revision {revision} was given to {sorted(values)}" for (id, revision), values in by.items()
            if len(values) > 1]  # fmt: skip


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
        if c.key is not None and stored.keys.get(c.key, ids[0] if ids else None) != (ids[0] if ids else None):
            failures.append(f"key {c.key} names {stored.keys[c.key]}, made {ids}")
        if c.key is not None and ids and c.key not in stored.keys:
            failures.append(f"POST {c.value} made {ids} and its key {c.key} is not remembered")
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


# --- the clients -------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    status: int
    id: str | None


class Load:
    """Clients that write without pause. Each is the only writer of its customers; a few are written by all."""

    def __init__(self, address: str, subscriber: str, journal: Journal, rng: random.Random) -> None:
        self.address, self.subscriber, self.journal, self.rng = address + PATH, subscriber, journal, rng
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self.http = httpx.AsyncClient(timeout=PATIENCE_S, limits=limits, trust_env=False)
        self.stopping = False
        self.in_flight = 0
        self.acknowledged = 0
        self.newest = 0.0
        """When the newest acknowledged request was sent (monotonic)."""
        self.shared: list[str] = []
        self.joined: set[int] = set()
        self._number = 0

    def number(self) -> int:
        self._number += 1
        return self._number

    async def send(
        self, op: str, path: str, body: Any = None, *, media: str = "application/json", key: str | None = None,
        **about: Any,
    ) -> Answer | None:  # fmt: skip
        """One request; None if no answer was read to its end."""
        r, method = self.number(), {"HUB": "POST", "UNHUB": "DELETE"}.get(op, op)
        headers = {"Content-Type": media} | ({"Idempotency-Key": key} if key else {})
        content = None if body is None else orjson.dumps(body)
        self.journal.write(kind="sent", r=r, op=op, key=key, **about)
        sent = time.monotonic()
        self.in_flight += 1
        try:
            answer = await self.http.request(method, self.address + path, content=content, headers=headers)
        except httpx.HTTPError as e:
            self.journal.write(kind="lost", r=r, error=type(e).__name__)
            return None
        finally:
            self.in_flight -= 1
        good, etag = answer.is_success, answer.headers.get("etag", "").strip('"')
        id = answer.json().get("id") if good and answer.content else None
        said = None if good else answer.text[:300]
        revision = int(etag) if etag else None
        self.journal.write(kind="answer", r=r, status=answer.status_code, id=id, revision=revision, said=said)
        if good:
            self.acknowledged += 1
            self.newest = max(self.newest, sent)
        return Answer(answer.status_code, id)

    async def insist(self, op: str, path: str, body: Any = None, **about: Any) -> Answer:
        """The same request until it is answered by more than "not now"."""
        attempt = 0
        while True:
            attempt += 1
            answer = await self.send(op, path, body, attempt=attempt, **about)
            if answer is not None and answer.status not in UNAVAILABLE:
                return answer
            await self.pause()

    async def pause(self) -> None:
        await asyncio.sleep(self.rng.uniform(0.05, 0.25))

    async def create(self, name: str | None = None, **about: Any) -> str | None:
        """A third with a key, a third with an id of our own (both asked until answered), a third only once."""
        value, way = self.number(), "key" if name else self.rng.choice(("key", "id", "once"))
        party = {"@type": "PartyRef", "@referredType": "Individual", "id": f"party-{value}", "name": f"Party {value}"}
        body = {"@type": "Customer", "name": name or f"customer-{value}", "description": str(value)}
        body |= {"status": "active", "engagedParty": party}
        about |= {"value": value, "kinds": ["Create"]}
        if way == "once":
            answer = await self.send("POST", "/customer", body, **about)
            if answer is None or answer.status in UNAVAILABLE:
                await self.pause()
            return answer.id if answer else None
        if way == "key":
            return (await self.insist("POST", "/customer", body, key=f"key-{value}", **about)).id
        id = f"own-{value}"
        await self.insist("POST", "/customer", {"id": id, **body}, id=id, **about)
        return id

    async def patch(self, id: str, **about: Any) -> bool:
        """False if it is not known whether the change will happen."""
        value = self.number()
        body, kinds = {"description": str(value)}, ["AttributeValueChange"]
        if self.rng.random() < 0.3:
            body["status"] = f"status {value}"
            kinds.append("StateChange")
        content: Any = body
        form = self.rng.choice(("merge", "patch"))
        if form == "patch":
            content = [{"op": "replace", "path": f"/{k}", "value": v} for k, v in body.items()]
        started = time.monotonic()
        about |= {"id": id, "value": value, "kinds": kinds}
        answer = await self.send("PATCH", f"/customer/{id}", content, media=MEDIA[form], **about)
        if answer is None or answer.status in UNAVAILABLE:
            await self.pause()
        return answer is not None or time.monotonic() - started < PATIENCE_S

    async def work(self) -> None:
        """One client, until told to stop."""
        mine: list[str] = []
        while not self.stopping:
            dice = self.rng.random()
            if self.shared and dice < 0.1:
                await self.patch(self.rng.choice(self.shared), shared=True)
            elif not mine or (dice < 0.3 and len(mine) < OWNED):
                id = await self.create()
                if id is not None:
                    mine.append(id)
            elif dice < 0.4 and len(mine) > 1:
                id = mine.pop(self.rng.randrange(len(mine)))
                await self.insist("DELETE", f"/customer/{id}", id=id, value=self.number(), kinds=["Delete"])
            else:
                id = self.rng.choice(mine)
                if not await self.patch(id):
                    mine.remove(id)  # it may still happen, after anything that we would send now

    async def join(self) -> None:
        """Late subscriptions: each is acknowledged, then a customer is made that it has to hear of."""
        open_: dict[int, str] = {}
        join = 0
        while not self.stopping:
            join += 1
            body = {"callback": f"{self.subscriber}/join/{join}", "query": f"event.customer.name=join-{join}"}
            hub = await self.insist("HUB", "/hub", body, join=join)
            await self.create(f"join-{join}", join=join)
            if hub.id is not None:
                open_[join] = hub.id
            for known in [k for k in open_ if k in self.joined]:
                await self.insist("UNHUB", f"/hub/{open_.pop(known)}")
            await asyncio.sleep(self.rng.uniform(0.2, 1.0))


# --- what is killed ----------------------------------------------------------------------------------------


class Process:
    """A program that is started again whenever it ends, until it is stopped."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name, self.arguments, self.environment, self.log = name, arguments, environment, log
        self.down_s = 0.0
        self.ended: list[int] = []
        """Exit codes of ends that we did not bring about."""
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._killed = False

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.arguments, env=self.environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            code = await self._process.wait()
            if not self._killed:
                self.ended.append(code)
                self.down_s = 0.3
            self._killed = False
            await asyncio.sleep(self.down_s)
            await self.start()

    def kill(self, down_s: float) -> str:
        if self._process is None or self._process.returncode is not None:
            return f"{self.name} (down)"
        self._killed, self.down_s = True, down_s
        self._process.kill()
        return f"{self.name} {self._process.pid}"

    async def stop(self) -> int | None:
        """SIGTERM, and SIGKILL for what does not heed it; the exit code."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            return await asyncio.wait_for(self._process.wait(), 15)
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()


class PostgreSQL:
    """A server of our own, started as our child: a container's first process may not reap what others leave behind,
    and a postmaster that is a zombie still holds its lock file."""

    def __init__(self, folder: Path) -> None:
        from tmfkit.embedded import DURABLE, Embedded

        embedded = Embedded(folder, DURABLE)
        self.folder, self.url = folder, embedded.url("customer_360")
        self._any_url = embedded.url()
        server = embedded.server
        self._command = [str(server.bin_path / "postgres"), "-D", str(folder), "-h", ""]
        self._command += ["-k", str(server.get_postmaster_info().socket_dir)]
        self._user = server.system_user
        embedded.stop()
        self.restarts: set[asyncio.Task[None]] = set()
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        with (self.folder.parent / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220
                self._command, user=self._user, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                await (await asyncpg.connect(self._any_url)).close()
                return
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.05)

    def family(self) -> list[psutil.Process]:
        """The postmaster and its processes: those of the lock file in our own folder, and only if it is our child."""
        pid = int((self.folder / "postmaster.pid").read_text().split()[0])
        if self._process is None or self._process.poll() is not None or pid != self._process.pid:
            return []
        postmaster = psutil.Process(pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def kill(self, down_s: float) -> str:
        """The postmaster and all its processes; the restart (crash recovery) follows by itself."""
        family = self.family()
        if not family:
            return "postgres (down)"
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        task = asyncio.create_task(self._again(family, down_s), name="restart postgres")
        self.restarts.add(task)
        return f"postgres {family[0].pid} and {len(family) - 1} more"

    def kill_backend(self, rng: random.Random) -> str:
        """One process that serves a connection. The postmaster then ends all others and recovers by itself."""
        backends = [p for p in self.family()[1:] if "[local]" in _title(p)]
        if not backends:
            return "backend (none)"
        chosen = rng.choice(backends)
        name = _title(chosen)
        chosen.kill()
        return f"backend {chosen.pid} ({name.removeprefix('postgres: postgres ')})"

    async def _again(self, family: Iterable[psutil.Process], down_s: float) -> None:
        assert self._process is not None
        await asyncio.to_thread(self._process.wait)
        await asyncio.sleep(down_s)
        while any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family):
            await asyncio.sleep(0.02)
        for _ in range(20):  # a process forked while we killed may hold the shared memory for a moment
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self.start()
                return
            await asyncio.sleep(0.2)
        raise RuntimeError("PostgreSQL does not start again; see postgres.log")

    async def stop(self) -> None:
        for task in self.restarts:
            task.cancel()
        await asyncio.gather(*self.restarts, return_exceptions=True)
        if self._process is None:
            return
        family = self.family() if self._process.poll() is None else []
        self._process.send_signal(signal.SIGINT)  # fast shutdown
        try:
            await asyncio.to_thread(self._process.wait, 30)
        except subprocess.TimeoutExpired:
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process.wait()


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


# --- the run -----------------------------------------------------------------------------------------------


@dataclass
class Options:
    kills: int
    seconds_per_kill: float
    in_flight: int
    seed: int
    relays: int = 1
    keep: Path | None = None


@dataclass
class Outcome:
    checks: list[Check]
    figures: dict[str, float | int | str]
    kills: list[Record]


class Run:
    """Everything that is started, in one folder."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.rng = random.Random(options.seed)
        self.journal, self.heard = Journal(folder / "client.log"), folder / "heard.log"
        self.heard.touch()
        self.postgres = PostgreSQL(folder / "pgdata")
        port, ear = _free_ports(2)
        self.address, self.subscriber_address = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{ear}"
        environment = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")}
        environment |= {
            "DATABASE_URL": self.postgres.url,
            "AUTH_MODE": "none",
            "PORT": str(port),
            "PUBLIC_URL": self.address,
            "WORKER": "false",
            "CALLBACK_ALLOW": '["127.0.0.0/8"]',
        }
        self.environment = environment
        component = [sys.executable, "-m", "customer_360"]
        self.serve = Process("serve", [*component, "serve"], environment, folder / "serve.log")
        self.relays = [
            Process("relay", [*component, "work"], environment, folder / f"relay{n}.log") for n in range(options.relays)
        ]
        ear_arguments = [sys.executable, __file__, "--subscribe", str(self.heard), "--port", str(ear)]
        self.subscriber = Process("subscriber", ear_arguments, environment, folder / "subscriber.log")
        self.load = Load(self.address, self.subscriber_address, self.journal, self.rng)
        self.deafened = 0

    @property
    def processes(self) -> list[Process]:
        return [self.serve, *self.relays, self.subscriber]

    async def run(self) -> Outcome:
        options, clients = self.options, round(self.options.in_flight * 1.3) + 2
        await self._start()
        tasks = [asyncio.create_task(self.load.work(), name=f"client {n}") for n in range(clients)]
        tasks.append(asyncio.create_task(self.load.join(), name="join"))
        aside = [asyncio.create_task(self._listen()), asyncio.create_task(self._deafen())]
        started = time.monotonic()
        try:
            plan = [VICTIMS[n % len(VICTIMS)] for n in range(options.kills)]
            self.rng.shuffle(plan)
            for n, victim in enumerate(plan, 1):
                await self._one_kill(n, victim, [*tasks, *aside])
            await asyncio.sleep(options.seconds_per_kill / 2)
            loaded_s = time.monotonic() - started
            aside[1].cancel()
            self.load.stopping = True
            _, late = await asyncio.wait(tasks, timeout=2 * PATIENCE_S)
            drained_s = await self._drain()
        finally:
            for task in [*tasks, *aside]:
                task.cancel()
            ended = await asyncio.gather(*tasks, *aside, return_exceptions=True)
        broken = [e for e in ended if isinstance(e, Exception)]
        if broken:
            raise broken[0]
        await self.load.http.aclose()
        stored = await self._stored()
        codes = {p.name: await p.stop() for p in self.processes}
        journal, heard = records(self.journal.path), records(self.heard)
        checks = judge(journal, heard, stored, options.in_flight)
        died = [f"{p.name}: {line}" for p in self.processes for line in _tasks_ended(p.log)]
        checks.append(Check("no task of a component ended for good", len(self.processes), died))
        stuck = [f"{name} ended with {code} after SIGTERM" for name, code in codes.items() if code not in (0, -15)]
        stuck += [f"{task.get_name()} got no answer" for task in late]
        checks.append(Check("all was answered at the end, and stopped when told", len(codes) + len(tasks), stuck))
        figures = _figures(journal, heard, stored) | {
            "seconds under load": round(loaded_s, 1),
            "seconds to deliver the rest": round(drained_s, 1),
            "subscriber killed as well": self.deafened,
            "processes that ended by themselves": sum(len(p.ended) for p in self.processes),
        }
        return Outcome(checks, figures, [r for r in journal if r["kind"] == "kill"])

    async def _start(self) -> None:
        from tmfkit.embedded import create_databases

        await self.postgres.start()
        await create_databases(self.postgres._any_url, ["customer_360"])
        migration = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "customer_360", "migrate", env=self.environment
        )
        if await migration.wait() != 0:
            raise RuntimeError("customer-360 does not migrate")
        for process in self.processes:
            await process.start()
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await self.load.http.post(self.subscriber_address + "/", content=b"")
                if (await self.load.http.get(self.address + "/health/ready")).status_code == 200:
                    break
            if time.monotonic() > deadline:
                raise RuntimeError(f"customer-360 is not ready: {self.serve.log.read_text()[-2000:]}")
            await asyncio.sleep(0.1)
        await self.load.insist("HUB", "/hub", {"callback": f"{self.subscriber_address}/heard"}, join=0)
        for _ in range(SHARED):
            id = await self.load.create("shared", shared=True)
            assert id is not None
            self.load.shared.append(id)

    async def _one_kill(self, n: int, victim: str, watched: Sequence[asyncio.Task[None]]) -> None:
        """Wait for a random moment with enough in flight, kill, and see when a new request is answered again."""
        await asyncio.sleep(self.rng.uniform(0.1, 1.1) * self.options.seconds_per_kill)
        deadline = time.monotonic() + 60
        while self.load.in_flight < self.options.in_flight or not self.postgres.family():
            for task in watched:
                if task.done() and not task.cancelled():
                    task.result()
            for task in self.postgres.restarts:
                if task.done():
                    task.result()
            if time.monotonic() > deadline:
                raise RuntimeError(f"never {self.options.in_flight} in flight again; {self.load.in_flight} now")
            await asyncio.sleep(0.002)
        in_flight, down_s = self.load.in_flight, self.rng.uniform(0, 1)
        killed = self._kill(victim, down_s)
        at = time.monotonic()
        self.journal.write(kind="kill", n=n, victim=victim, killed=killed, in_flight=in_flight)
        while self.load.newest <= at and time.monotonic() - at < 60:
            await asyncio.sleep(0.01)
        again_s = time.monotonic() - at
        _say(f"kill {n:>2}/{self.options.kills}  {victim:<10}  {in_flight:>3} in flight,"
             f" answering again after {again_s:4.1f} s  [{killed}]")  # fmt: skip

    def _kill(self, victim: str, down_s: float) -> str:
        if victim == "serve":
            return self.serve.kill(down_s)
        if victim == "relay":
            return ", ".join(p.kill(down_s) for p in self.relays)
        if victim == "postgres":
            return self.postgres.kill(down_s)
        if victim == "backend":
            return self.postgres.kill_backend(self.rng)
        killed = [p.kill(down_s + self.rng.uniform(0, 1)) for p in self.processes]
        return ", ".join([self.postgres.kill(down_s), *killed])

    async def _deafen(self) -> None:
        """The subscriber dies too, at moments of its own."""
        while True:
            await asyncio.sleep(self.rng.uniform(0.5, 3) * self.options.seconds_per_kill)
            self.subscriber.kill(self.rng.uniform(0, 2))
            self.deafened += 1

    async def _listen(self) -> None:
        """Which late subscriptions have heard: those may be ended."""
        with self.heard.open("rb") as file:
            rest = b""
            while True:
                *lines, rest = (rest + file.read()).split(b"\n")
                for line in lines:
                    found = re.search(rb'"/join/(\d+)"', line)
                    if found:
                        self.load.joined.add(int(found[1]))
                await asyncio.sleep(0.2)

    async def _drain(self) -> float:
        """Wait until every event is delivered; if that does not come, the judgement will say so."""
        started = time.monotonic()
        while time.monotonic() - started < 180:
            connection = await asyncpg.connect(self.postgres.url)
            try:
                if not await connection.fetchval(WAITING):
                    break
            finally:
                await connection.close()
            await asyncio.sleep(0.3)
        return time.monotonic() - started

    async def _stored(self) -> Stored:
        connection = await asyncpg.connect(self.postgres.url)
        try:
            documents = await connection.fetch(
                "SELECT id, revision, (doc->>'description')::bigint, md5(doc::text) FROM customer"
            )
            events = await connection.fetch(
                "SELECT seq, event_id, resource_id, kind, (doc->>'description')::bigint, md5(doc::text) FROM outbox"
                " WHERE resource = 'Customer' ORDER BY seq"
            )
            audited = await connection.fetch(
                "SELECT resource_id, count(*) FROM audit WHERE resource = 'Customer' GROUP BY 1"
            )
            keys = await connection.fetch("SELECT key, resource_id FROM idempotency")
            dead = await connection.fetchval("SELECT count(*) FROM delivery WHERE dead_at IS NOT NULL")
            ownerless = await connection.fetchval(
                "SELECT count(*) FROM delivery d WHERE NOT EXISTS"
                " (SELECT 1 FROM subscription s WHERE s.id = d.subscription_id)"
            )
            waiting = await connection.fetchval(WAITING)
        finally:
            await connection.close()
        return Stored(
            {r[0]: Document(r[1], r[2], r[3]) for r in documents}, [Committed(*r) for r in events],
            {r[0]: r[1] for r in audited}, {r[0]: r[1] for r in keys}, waiting, dead, ownerless,
        )  # fmt: skip

    async def stop(self) -> None:
        self.load.stopping = True
        await self.load.http.aclose()
        await asyncio.gather(*(p.stop() for p in self.processes))
        await self.postgres.stop()
        self.journal.close()


WAITING = (
    "SELECT (SELECT count(*) FROM outbox WHERE relayed_at IS NULL)"
    " + (SELECT count(*) FROM delivery d JOIN subscription s ON s.id = d.subscription_id WHERE d.dead_at IS NULL)"
)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _tasks_ended(log: Path) -> list[str]:
    return re.findall(r"^.*\b(?:relay|following|flows|observe|signals) ended\b.*$", log.read_text(), re.MULTILINE)


def _figures(journal: Sequence[Record], heard: Sequence[Record], stored: Stored) -> dict[str, float | int | str]:
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
        "requests never answered": sum(r["kind"] == "lost" for r in journal),
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


def report(outcome: Outcome) -> int:
    """The table and the closing line; how many promises were not kept."""
    _say("")
    for name, value in outcome.figures.items():
        _say(f"{name:<48} {value:>12}")
    _say("")
    for check in outcome.checks:
        verdict = "kept" if not check.failures else f"BROKEN {len(check.failures)} times"
        _say(f"{check.name:<56} {check.examined:>8}  {verdict}")
        for failure in check.failures[:5]:
            _say(f"    {failure}")
    failed = sum(bool(c.failures) for c in outcome.checks)
    _say("")
    _say(f"{len(outcome.checks) - failed} passed, {failed} failed")
    return failed


def _say(line: str) -> None:
    print(line, flush=True)


async def chaos(options: Options, folder: Path) -> Outcome:
    """Start, kill, judge, and leave nothing running, however it ends."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(sign, _once(task.cancel))
    run = Run(options, folder)
    try:
        async with asyncio.timeout(240 + options.kills * (30 + 2 * options.seconds_per_kill)):
            return await run.run()
    finally:
        await run.stop()


def _once(cancel: Callable[[], bool]) -> Callable[[], None]:
    """A second Ctrl-C must not interrupt the stopping."""
    asked: list[bool] = []
    return lambda: asked.append(cancel()) if not asked else None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seconds-per-kill", type=float, default=4.0, help="on average, without the recovery")
    parser.add_argument("--inflight", type=int, default=50, help="requests that must be in flight at each kill")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and the victims")
    parser.add_argument("--relays", type=int, default=1, help="processes that relay; all but one stand by")
    parser.add_argument("--json", type=Path, help="write the outcome here")
    parser.add_argument("--keep", type=Path, help="leave the three records and the logs in this folder")
    parser.add_argument("--subscribe", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.subscribe:
        subscribe(given.subscribe, given.port)
        return 0
    options = Options(given.kills, given.seconds_per_kill, given.inflight, given.seed, given.relays, given.keep)
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            outcome = asyncio.run(chaos(options, folder))
        except asyncio.CancelledError:
            _say("interrupted")
            return 130
        except (RuntimeError, TimeoutError, OSError) as e:
            _say(f"{type(e).__name__}: {e}")
            _leave(folder, options.keep)
            return 1
        failed = report(outcome)
        if failed or options.keep:
            _leave(folder, options.keep)
    if given.json:
        checks = [c._asdict() for c in outcome.checks]
        content = {"seed": options.seed, "figures": outcome.figures, "checks": checks, "kills": outcome.kills}
        given.json.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    return 1 if failed else 0


def _leave(folder: Path, keep: Path | None) -> None:
    """The records are the evidence."""
    target = keep or Path(tempfile.mkdtemp(prefix="chaos-evidence-"))
    target.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.log"):
        shutil.copy(file, target)
    _say(f"records: {target}")


if __name__ == "__main__":
    sys.exit(main())
