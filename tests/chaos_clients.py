"""The two ends of the road while processes die: clients that write customers without pause, and the subscriber."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson
import uvicorn

from chaos_judgement import UNAVAILABLE, Record

PATH = "/customer-360/tmf-api/customerManagement/v5"
OWNED = 5
AHEAD = 400
PATIENCE_S = 30.0
MEDIA = {"merge": "application/merge-patch+json", "patch": "application/json-patch+json"}


class Journal:
    """A file that only grows: each record reaches the operating system before the next step is taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def write(self, **record: Any) -> None:
        os.write(self._file, orjson.dumps({"at": time.time(), **record}) + b"\n")

    def close(self) -> None:
        os.close(self._file)


class Answer(NamedTuple):
    status: int
    id: str | None


class Load:
    """Clients that write without pause. Each is the only writer of its customers; a few are written by all."""

    def __init__(self, addresses: Sequence[str], subscriber: str, journal: Journal, rng: random.Random) -> None:
        self.addresses, self.subscriber, self.journal, self.rng = addresses, subscriber, journal, rng
        self._tls = ssl.create_default_context()
        self._idle: list[httpx.AsyncClient] = []
        self.stopping = False
        self.in_flight = 0
        self.newest = 0.0
        """When the newest acknowledged request was sent (monotonic)."""
        self.shared: list[str] = []
        self.registered = asyncio.Event()
        """Set by each answer to a late subscription, which `registrar` gave."""
        self.registrar = addresses[0]
        self.heard = 0
        """The newest value that was heard. Clients wait when they are far ahead of it, unless all are `wanted` at once:
        so a machine that is slow at delivering is not buried, and a kill still finds enough in flight."""
        self.wanted = False
        self.joined: set[int] = set()
        self._number = 0
        self._refused: dict[str, float] = {}

    def number(self) -> int:
        self._number += 1
        return self._number

    def address(self) -> str:
        """A replica, as a load balancer chooses it: none that has just refused a connection, if there are others."""
        now = time.monotonic()
        return self.rng.choice([a for a in self.addresses if self._refused.get(a, 0) < now] or self.addresses)

    def _client(self) -> httpx.AsyncClient:
        """One that has nothing in flight: a pool shared by all costs more with each connection that it holds."""
        return (
            self._idle.pop() if self._idle else httpx.AsyncClient(timeout=PATIENCE_S, verify=self._tls, trust_env=False)
        )

    async def answers(self, url: str) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            async with httpx.AsyncClient(timeout=PATIENCE_S, verify=self._tls, trust_env=False) as http:
                return (await http.get(url)).is_success
        return False

    async def aclose(self) -> None:
        self.stopping = True
        await asyncio.gather(*(http.aclose() for http in self._idle))

    async def send(
        self, op: str, path: str, body: Any = None, *, media: str = "application/json", key: str | None = None,
        **about: Any,
    ) -> Answer | None:  # fmt: skip
        """One request; None if no answer was read to its end."""
        r, method = self.number(), {"HUB": "POST", "UNHUB": "DELETE"}.get(op, op)
        headers = {"Content-Type": media} | ({"Idempotency-Key": key} if key else {})
        content = None if body is None else orjson.dumps(body)
        self.journal.write(kind="sent", r=r, op=op, key=key, **about)
        sent, address, http = time.monotonic(), self.address(), self._client()
        self.in_flight += 1
        try:
            answer = await http.request(method, address + PATH + path, content=content, headers=headers)
        except httpx.HTTPError as e:
            if isinstance(e, httpx.ConnectError):
                self._refused[address] = time.monotonic() + 0.3
            self.journal.write(kind="lost", r=r, error=type(e).__name__)
            return None
        finally:
            self.in_flight -= 1
            self._idle.append(http)
        good, etag = answer.is_success, answer.headers.get("etag", "").strip('"')
        id = answer.json().get("id") if good and answer.content else None
        said = None if good else answer.text[:300]
        revision = int(etag) if etag else None
        self.journal.write(kind="answer", r=r, status=answer.status_code, id=id, revision=revision, said=said)
        if good:
            self.newest = max(self.newest, sent)
            if op == "HUB":
                self.registrar = address
                self.registered.set()
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
        await asyncio.sleep(self.rng.uniform(0.2, 0.6))

    async def create(self, name: str | None = None, **about: Any) -> str | None:
        """A third with a key, a third with an id of our own (both asked until answered), a third only once."""
        value, way = self.number(), "key" if name else self.rng.choice(("key", "id", "once"))
        party = {"@type": "PartyRef", "@referredType": "Individual", "id": f"party-{value}", "name": f"Party {value}"}
        body: Record = {"@type": "Customer", "name": name or f"customer-{value}", "description": str(value)}
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
            if self._number - self.heard > AHEAD and not self.wanted:
                await asyncio.sleep(0.05)
                continue
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
        if scope["method"] != "POST":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
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
