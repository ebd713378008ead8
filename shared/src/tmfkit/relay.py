"""Outbox -> deliveries -> callbacks. The only way out, at least once, in order per resource.

One relay works per database (an advisory lock decides which). Each outbox row becomes one delivery row per subscription
that wants it, so that one deaf listener neither blocks nor loses the others. Of one subscription and one resource, only
the oldest delivery is under way; those of other resources pass it by.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import httpx
import orjson

from tmfkit.context import Context
from tmfkit.database import dsn
from tmfkit.errors import TmfError
from tmfkit.event import Interest, envelope, interest
from tmfkit.network import Callbacks
from tmfkit.types import Document
from tmfkit.versions import View

log = logging.getLogger("tmfkit.relay")
RELAY_LOCK = 0x746D666B
BATCH = 200
PARALLEL = 16
IDLE_S = 5.0
FIRST_BACKOFF_S = 0.2
REFUSALS = frozenset({408, 425, 429})
"""4xx answers that mean later, not never."""
SILENCE = frozenset({0, 502, 503, 504})
"""Nobody there: it would be the same for every event. Other answers are about the one event."""


@dataclass(frozen=True)
class Subscription:
    id: str
    api: str
    version: str
    callback: str
    base_url: str
    append_event_name: bool
    interest: Interest


@dataclass
class Line:
    """Deliveries of one subscription: what is held back, and since when it does not answer."""

    subscription: Subscription
    wake: asyncio.Event
    held: dict[str, float] = field(default_factory=dict)
    failures: int = 0
    paused_until: float = 0.0
    task: asyncio.Task[None] | None = None


class Relay:
    def __init__(
        self,
        ctx: Context[Any],
        views: Mapping[tuple[str, str, str], View],
        callbacks: Callbacks,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self.ctx, self.views, self.callbacks = ctx, views, callbacks
        self.client = client
        self.lines: dict[str, Line] = {}
        self.seen: set[str] = set()
        self._jitter = random.Random()

    async def run(self) -> None:
        """Work until cancelled; start again after a lost database."""
        own = self.client is None
        client = self.client or httpx.AsyncClient(
            transport=self.callbacks.transport(),  # judges each address at the moment of connecting
            timeout=self.ctx.settings.delivery_timeout_s,
            follow_redirects=False,
        )
        self.client = client
        try:
            while True:
                try:
                    await self._lead()
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
                    log.warning("relay interrupted: %s: %s", type(e).__name__, e)
                    await asyncio.sleep(1.0)
                except Exception:
                    log.exception("relay interrupted")
                    await asyncio.sleep(IDLE_S)
                finally:
                    await self._stop_lines()
        finally:
            if own:
                await client.aclose()
                self.client = None

    async def _lead(self) -> None:
        """Hold the lock on a connection of its own for as long as this process relays."""
        connection = await asyncpg.connect(
            dsn(self.ctx.settings.database_url.get_secret_value()), server_settings={"application_name": "relay"}
        )
        try:
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", RELAY_LOCK):
                await asyncio.sleep(1.0)
            await self._relay(connection)
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(asyncio.shield(connection.close(timeout=1)), 2)

    async def _relay(self, connection: Any) -> None:
        outbox, hub = self.ctx.signals.subscribe("outbox"), self.ctx.signals.subscribe("hub")
        looked = -IDLE_S
        while True:
            outbox.clear()
            if hub.is_set() or time.monotonic() - looked >= IDLE_S:
                # A call may have been lost; and a dead connection means the lock is lost, however much there is to do.
                hub.clear()
                looked = time.monotonic()
                await connection.execute("SELECT 1")
                await self._subscriptions()
            if await self.fan_out() == BATCH:
                continue
            waiting = [asyncio.ensure_future(e.wait()) for e in (outbox, hub)]
            try:
                await asyncio.wait(waiting, timeout=IDLE_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waiting:
                    task.cancel()

    # --- subscriptions ---

    async def _subscriptions(self) -> None:
        rows = await self.ctx.database.pool.fetch(
            "SELECT id, api, version, callback, base_url, append_event_name, query FROM subscription"
        )
        self.seen = {r["id"] for r in rows}
        for id in [i for i in self.lines if i not in self.seen]:
            line = self.lines.pop(id)
            if line.task:
                line.task.cancel()
        for r in rows:
            try:
                wanted = interest(r["query"])
            except TmfError as e:  # accepted by an older release
                log.error("subscription %s has a query that is no longer understood: %s", r["id"], e.message)
                continue
            subscription = Subscription(
                r["id"], r["api"], r["version"], r["callback"], r["base_url"], r["append_event_name"], wanted
            )
            known = self.lines.get(subscription.id)
            if known is None:
                line = self.lines[subscription.id] = Line(subscription, asyncio.Event())
                line.wake.set()
                line.task = asyncio.create_task(self._line(line), name=f"relay {subscription.callback}")
            else:
                known.subscription = subscription
                known.wake.set()

    async def _stop_lines(self) -> None:
        tasks = [line.task for line in self.lines.values() if line.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.lines.clear()

    # --- fan-out ---

    async def fan_out(self) -> int:
        """Turn the oldest outbox rows into deliveries; how many rows it took."""
        touched: set[str] = set()
        async with self.ctx.database.transaction() as connection:
            rows = await connection.fetch(
                "SELECT seq, event_id, api, resource, resource_id, kind, doc::text AS doc, at, traceparent FROM outbox"
                " WHERE relayed_at IS NULL ORDER BY seq LIMIT $1 FOR UPDATE",
                BATCH,
            )
            if not rows:
                return 0
            # Who registered before one of these events has to hear it, though the wake-up call is not here yet; and who
            # leaves now waits for us, so that no delivery is left without its subscription.
            known = {r["id"] for r in await connection.fetch("SELECT id FROM subscription FOR KEY SHARE")}
            if not known <= self.seen:
                await self._subscriptions()
            wanted: list[tuple[str, int, str]] = []
            for row in rows:
                for line in self.lines.values():
                    if line.subscription.api != row["api"] or line.subscription.id not in known:
                        continue
                    event = self.event(row, line.subscription)
                    if event is not None and line.subscription.interest.wants(event):
                        wanted.append((line.subscription.id, row["seq"], f"{row['resource']}/{row['resource_id']}"))
                        touched.add(line.subscription.id)
            if wanted:
                await connection.executemany(
                    "INSERT INTO delivery (subscription_id, seq, key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                    wanted,
                )
            await connection.execute(
                "UPDATE outbox SET relayed_at = now() WHERE seq = ANY($1::bigint[])", [r["seq"] for r in rows]
            )
        for id in touched:
            self.lines[id].wake.set()
        return len(rows)

    def event(self, row: Any, subscription: Subscription) -> Document | None:
        """The event as that subscription's API version shows it; None if that version has no such resource."""
        view = self.views.get((row["api"], subscription.version, row["resource"]))
        if view is None:
            return None
        doc = orjson.loads(row["doc"])
        resource = view.resource
        href = f"{subscription.base_url}/{resource.path}/{quote(row['resource_id'], safe='')}"
        if resource.event_href == "path":
            href = urlsplit(href).path
        shown = {"href": href, **view.down(doc)}
        return envelope(
            event_id=row["event_id"],
            at=row["at"],
            name=resource.name,
            path=resource.path,
            kind=row["kind"],
            resource=shown,
            version=subscription.version,
            domain=self.ctx.name,
            traceparent=row["traceparent"],
            payload=resource.payload,
        )

    # --- delivery ---

    async def _line(self, line: Line) -> None:
        while True:
            line.wake.clear()
            try:
                left = await self._deliver_batch(line)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
                log.warning("deliveries to %s interrupted: %s", line.subscription.callback, e)
                await asyncio.sleep(1.0)
                continue
            except Exception:
                log.exception("deliveries to %s interrupted", line.subscription.callback)
                await asyncio.sleep(IDLE_S)
                continue
            if left:
                continue
            now = time.monotonic()
            if line.paused_until > now:  # then another resource is asked, while the one that failed is still held
                await asyncio.sleep(line.paused_until - now)
                continue
            timeout = min([IDLE_S, *(max(0.0, t - now) for t in line.held.values())])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(line.wake.wait(), timeout)

    async def _deliver_batch(self, line: Line) -> bool:
        """One round over the oldest deliveries; True if there may be more that could go at once."""
        now = time.monotonic()
        line.held = {k: t for k, t in line.held.items() if t > now}
        limit = BATCH if line.failures == 0 else 1  # a listener that does not answer is asked with one event
        rows = await self.ctx.database.pool.fetch(
            "SELECT d.id, d.key, d.attempts, d.created_at, o.seq, o.event_id, o.api, o.resource, o.resource_id, o.kind,"
            " o.doc::text AS doc, o.at, o.traceparent FROM delivery d JOIN outbox o ON o.seq = d.seq"
            " WHERE d.subscription_id = $1 AND d.dead_at IS NULL AND NOT d.key = ANY($2::text[])"
            " ORDER BY d.seq LIMIT $3",
            line.subscription.id, list(line.held), limit,
        )  # fmt: skip
        if not rows:
            return False
        by_key: dict[str, list[Any]] = {}
        for row in rows:
            by_key.setdefault(row["key"], []).append(row)
        gate = asyncio.Semaphore(PARALLEL)
        done: list[int] = []

        async def one_resource(key: str, events: list[Any]) -> None:
            async with gate:
                for row in events:
                    if not await self._deliver(line, row):
                        return
                    done.append(row["id"])

        await asyncio.gather(*(one_resource(k, v) for k, v in by_key.items()))
        if done:
            await self.ctx.database.pool.execute("DELETE FROM delivery WHERE id = ANY($1::bigint[])", done)
        return len(rows) == limit and bool(done)

    async def _deliver(self, line: Line, row: Any) -> bool:
        """Post one event. False: it must be tried again, or it is dead; either way this resource waits."""
        subscription = line.subscription
        event = self.event(row, subscription)
        if event is None:
            return True
        url = subscription.callback
        if subscription.append_event_name:
            name = event["eventType"]
            url = f"{url.rstrip('/')}/{name[0].lower()}{name[1:]}"
        headers = {"Content-Type": "application/json"}
        if row["traceparent"]:
            headers["traceparent"] = row["traceparent"]
        started = time.perf_counter()
        status, error = 0, ""
        try:
            assert self.client is not None
            content = orjson.dumps(subscription.interest.view(event))
            answer = await self.client.post(url, content=content, headers=headers)
            status = answer.status_code
            if not 200 <= status < 300:
                error = f"answered {status}"
        except TmfError as e:
            status, error = e.status, f"callback refused: {e.message}"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as e:
            error = f"{type(e).__name__}: {e}"
        if not error:
            line.failures = 0
            self.ctx.telemetry.delivered("ok", time.perf_counter() - started)
            return True
        self.ctx.telemetry.delivered("failed", time.perf_counter() - started)
        await self._failed(line, row, status, error)
        return False

    async def _failed(self, line: Line, row: Any, status: int, error: str) -> None:
        settings = self.ctx.settings
        attempts = row["attempts"] + 1
        refused = 300 <= status < 500 and status not in REFUSALS
        if status in SILENCE:
            line.failures += 1
            line.paused_until = time.monotonic() + FIRST_BACKOFF_S * self._jitter.uniform(0.5, 1.0)
        age = self.ctx.now() - row["created_at"]
        dead = (refused and attempts >= settings.delivery_attempts) or age > timedelta(
            seconds=settings.delivery_max_age_s
        )
        if dead:
            log.error("event %s to %s is a dead letter: %s", row["event_id"], line.subscription.callback, error)
            self.ctx.telemetry.dead_letter()
            line.held.pop(row["key"], None)
            line.wake.set()  # what waited behind it may go
        else:
            step = min(settings.delivery_max_backoff_s, FIRST_BACKOFF_S * 2 ** min(attempts - 1, 20))
            line.held[row["key"]] = time.monotonic() + step * self._jitter.uniform(0.5, 1.0)
            if attempts in (1, 5) or attempts % 50 == 0:
                log.info(
                    "event %s to %s failed (%s), attempt %d",
                    row["event_id"],
                    line.subscription.callback,
                    error,
                    attempts,
                )
        await self.ctx.database.pool.execute(
            "UPDATE delivery SET attempts = $2, error = $3, dead_at = CASE WHEN $4 THEN now() END WHERE id = $1",
            row["id"], attempts, error[:500], dead,
        )  # fmt: skip
