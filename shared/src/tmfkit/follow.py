"""Hearing other components: a subscription at their hub, a door for what arrives, and what was missed before.

Each event is handled once: its id is remembered in the transaction of its effect. The callback holds a key that only
the publisher was told, so that nobody else can bring us events, whatever product the publisher is.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import asyncpg
import orjson

from tmfkit import http
from tmfkit.call import CALL, Call
from tmfkit.context import Context, Transaction
from tmfkit.errors import MethodNotAllowed, NotFound, TmfError, Unauthorized
from tmfkit.event import Event, received
from tmfkit.http import Receive, Scope, Send

log = logging.getLogger("tmfkit.follow")
Handler = Callable[[Transaction, Event], Awaitable[None]]
SECRET = "listener"
BACKFILL_BATCH = 100


@dataclass(frozen=True)
class Follow:
    """What one component wants to hear of another.

    dependency  name under which the publisher's address is configured
    path        its API from tmf-api on: tmf-api/customerManagement/v5
    resource    the resource whose present state is read when we join (backfill); None: events only
    events      event types to hear
    handle      runs in the transaction that remembers the event; no HTTP in it
    wake        flow to run afterwards
    where       further conditions for backfill, as query parameters
    """

    dependency: str
    path: str
    resource: str | None
    events: tuple[str, ...]
    handle: Handler
    wake: str | None = None
    where: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return f"{self.dependency}.{self.path.rsplit('/', 2)[-2]}.{self.resource or 'events'}"


async def listener_secret(ctx: Context[Any]) -> bytes:
    """Made once per database, so that callbacks stay the same over restarts and replicas."""
    value = await ctx.database.fetchval("SELECT value FROM secret WHERE name = $1", SECRET)
    if value is None:  # two at once: one insert wins, both read it
        await ctx.database.pool.execute(
            "INSERT INTO secret (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", SECRET, secrets.token_hex(32)
        )
        value = await ctx.database.fetchval("SELECT value FROM secret WHERE name = $1", SECRET)
    return bytes.fromhex(value)


def key_of(secret: bytes, name: str) -> str:
    return hmac.new(secret, name.encode(), hashlib.sha256).hexdigest()[:32]


async def take(ctx: Context[Any], follow: Follow, event: Event) -> bool:
    """Handle an event once; False if it was known already."""
    token = CALL.set(Call(f"event:{follow.dependency}", event.traceparent or CALL.get().traceparent))
    try:
        async with ctx.transaction() as tx:
            new = await tx.fetchval(
                "INSERT INTO inbox (follow, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1",
                follow.name,
                event.event_id,
            )
            if new is None:
                return False
            await follow.handle(tx, event)
    finally:
        CALL.reset(token)
    if follow.wake:
        ctx.wake(follow.wake)
    return True


class Listeners:
    """POST /<component>/listener/<follow>/<key>[/<event>]: the door of all events."""

    def __init__(self, ctx: Context[Any], prefix: str, follows: dict[str, Follow]) -> None:
        self.ctx, self.prefix, self.follows = ctx, prefix, follows
        self._secret: bytes | None = None

    def callback(self, secret: bytes, follow: Follow) -> str:
        settings = self.ctx.settings
        base = (settings.listener_url or settings.public_url).rstrip("/")
        return f"{base}{self.prefix}/{quote(follow.name)}/{key_of(secret, follow.name)}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = scope["path"].removeprefix(self.prefix + "/").split("/")
        follow = self.follows.get(parts[0])
        if follow is None or len(parts) not in (2, 3):
            raise NotFound("no such listener")
        scope["tmfkit.route"] = f"{self.prefix}/{follow.name}"
        if scope["method"] != "POST":
            raise MethodNotAllowed("a listener knows only POST", allow=["POST"])
        if self._secret is None:
            self._secret = await listener_secret(self.ctx)
        if not hmac.compare_digest(parts[1].encode(), key_of(self._secret, follow.name).encode()):
            raise Unauthorized("this callback address was not given out by us")
        event = received(http.parsed(await http.body(scope, receive, self.ctx.settings.max_body_bytes)))
        with self.ctx.telemetry.span(f"listen {event.event_type}", event.traceparent) as span:
            await take(self.ctx, follow, _traced(event, span))
        await http.respond(send, 201, orjson.dumps({"eventId": event.event_id}), [])


def _traced(event: Event, span: Any) -> Event:
    traceparent = getattr(span, "traceparent", None) or event.traceparent
    return Event(event.event_id, event.event_type, event.event_time, event.resource, event.envelope, traceparent)


class Following:
    """Keeps our subscriptions alive at the publishers, and reads what we missed whenever one had to be made."""

    def __init__(self, ctx: Context[Any], listeners: Listeners) -> None:
        self.ctx, self.listeners = ctx, listeners
        self.states: dict[str, str] = dict.fromkeys(listeners.follows, "waiting")
        for name in self.states:
            ctx.telemetry.following(name, False)

    async def run(self) -> None:
        await asyncio.gather(*(self._keep(f) for f in self.listeners.follows.values()))

    async def _keep(self, follow: Follow) -> None:
        failures = 0
        while True:
            try:
                await self.confirm(follow)
                if failures:
                    log.info("%s: following again", follow.name)
                failures = 0
                self.states[follow.name] = "following"
                self.ctx.telemetry.following(follow.name, True)
                pause = self.ctx.settings.follow_interval_s
            except Exception as e:  # our database, their API, or a handler during backfill: it is tried again
                failures += 1
                self.states[follow.name] = "waiting"
                self.ctx.telemetry.following(follow.name, False)
                passing = isinstance(e, TmfError | OSError | asyncpg.PostgresError | asyncpg.InterfaceError)
                if failures in (1, 10) or failures % 100 == 0:
                    level = logging.INFO if passing else logging.ERROR
                    log.log(level, "%s: cannot follow yet: %s", follow.name, e, exc_info=None if passing else e)
                pause = min(0.5 * 1.5 ** min(failures, 10), 5.0)
            await asyncio.sleep(pause)

    async def confirm(self, follow: Follow) -> None:
        """Register (again; it is idempotent). A registration that is new to us means that events may be missing."""
        secret = await listener_secret(self.ctx)
        upstream = self.ctx.upstream(follow.dependency)
        query = f"eventType={','.join(follow.events)}"
        answer = await upstream.post(
            f"{follow.path}/hub", {"callback": self.listeners.callback(secret, follow), "query": query, "@type": "Hub"}
        )
        hub_id = str(answer.get("id", ""))
        known = await self.ctx.database.pool.fetchrow(
            "SELECT hub_id, backfilled_at FROM following WHERE name = $1", follow.name
        )
        if known is not None and known["hub_id"] == hub_id and known["backfilled_at"] is not None:
            return
        count = await self.backfill(follow, hub_id) if follow.resource else 0
        await self.ctx.database.pool.execute(
            "INSERT INTO following (name, hub_id, backfilled_at, backfilled_count) VALUES ($1, $2, now(), $3)"
            " ON CONFLICT (name) DO UPDATE SET hub_id = $2, backfilled_at = now(), backfilled_count = $3",
            follow.name, hub_id, count,
        )  # fmt: skip

    async def backfill(self, follow: Follow, hub_id: str = "") -> int:
        """Take every resource that exists as if its create event came now. The id of such an event is made of the
        registration and the content, so that a backfill that broke off goes on where it was."""
        upstream = self.ctx.upstream(follow.dependency)
        count = 0
        name = (follow.resource or "")[:1].upper() + (follow.resource or "")[1:]
        async for doc in upstream.pages(
            f"{follow.path}/{follow.resource}", dict(follow.where), page_size=BACKFILL_BATCH
        ):
            digest = hashlib.sha256(orjson.dumps(doc, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
            event_type, event_id = f"{name}CreateEvent", f"backfill:{hub_id}:{digest}"
            envelope = {"eventType": event_type, "eventId": event_id, "event": {follow.resource: doc}}
            event = Event(event_id, event_type, "", doc, envelope)
            count += await take(self.ctx, follow, event)
        if count:
            log.info("%s: %d resources taken over", follow.name, count)
        return count
