"""Hearing the loop: registrations at the hubs of the four components, the door for their events, and reading them.

Events are stored as they arrive (by `serve`) and read by whoever drives the loop, in that process or another. The
registrations last as long as somebody watches: whole batches of events that nobody looks at are never sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from urllib.parse import quote

import httpx
import orjson

from demo_operator.load import Say, until_up
from demo_operator.settings import DemoSettings
from tmfkit import Context
from tmfkit.event import Event
from tmfkit.follow import key_of, listener_secret
from tmfkit.types import Document
from tmfkit.upstream import UpstreamError

log = logging.getLogger("demo_operator")
SIGNAL = "heard"
KEY_NAME = "loop"
KEPT = timedelta(hours=1)
CONFIRMED_EVERY_S = 15.0
_LOOK_BACK = 500
"""Event rows are numbered before they are committed: a lower number may appear after a higher one."""


@dataclass(frozen=True)
class Hub:
    """What is heard of one API: its query is TMF630's, over the event as it is sent."""

    dependency: str
    path: str
    query: str


HUBS = (
    Hub(
        "serviceQuality",
        "tmf-api/serviceLevelViolation/v1/hub",
        "eventType=ServiceLevelViolationCreateEvent,ServiceLevelViolationStateChangeEvent",
    ),
    Hub(
        "serviceQuality",
        "tmf-api/serviceProblemManagement/v5/hub",
        "eventType=ServiceProblemCreateEvent,ServiceProblemAttributeValueChangeEvent,ServiceProblemStateChangeEvent",
    ),
    Hub(
        "experienceManagement",
        "tmf-api/experienceManagement/v1/hub",
        "eventType=ExperienceScoreCreateEvent,ExperienceScoreAttributeValueChangeEvent",
    ),
    Hub(
        "churnPrediction",
        "tmf-api/riskManagement/v4/hub",
        # only those that rest on evidence: the first assessment of everybody would be a flood
        "eventType=PartyRoleRiskAssessmentCreateEvent&event.partyRoleRiskAssessment.evidence.id*=.",
    ),
    Hub(
        "churnPrediction",
        "tmf-api/recommendationManagement/v4/hub",
        "eventType=QueryProductRecommendationCreateEvent,QueryProductRecommendationStateChangeEvent",
    ),
    Hub(
        "customer360",
        "tmf-api/customer360/v5/hub",
        # only of customers with an offer, and of those no more than the offers
        "eventType=Customer360CreateEvent,Customer360AttributeValueChangeEvent"
        "&event.customer360.recommendation.id*=.&fields=event.customer360.recommendation,event.customer360.customer",
    ),
)


@dataclass(frozen=True)
class Heard:
    """One event as it arrived."""

    seq: int
    event_type: str
    resource_id: str
    doc: Document
    at: datetime

    @property
    def kind(self) -> str:
        """The resource: the event type without what happened to it."""
        name = self.event_type.removesuffix("Event")
        for happened in ("AttributeValueChange", "StateChange", "StatusChange", "Create", "Delete"):
            name = name.removesuffix(happened)
        return name

    @property
    def created(self) -> bool:
        return self.event_type.endswith("CreateEvent")


# --- the door ----------------------------------------------------------------------------------------------


async def callback(ctx: Context[DemoSettings]) -> str:
    """The address the hubs post to. Its last part was told to nobody else."""
    key = key_of(await listener_secret(ctx), KEY_NAME)
    base = ctx.settings.base_path if ctx.settings.base_path is not None else ctx.name
    return f"{ctx.settings.public_url.rstrip('/')}/{quote(base.strip('/'))}/loop/event/{key}"


async def is_ours(ctx: Context[DemoSettings], key: str) -> bool:
    return hmac.compare_digest(key.encode(), key_of(await listener_secret(ctx), KEY_NAME).encode())


async def keep(ctx: Context[DemoSettings], event: Event) -> None:
    """Store an event once, and wake who waits for it."""
    await ctx.database.pool.execute(
        "INSERT INTO heard (event_id, event_type, resource_id, doc, at) VALUES ($1, $2, $3, $4::jsonb, $5)"
        " ON CONFLICT DO NOTHING",
        event.event_id,
        event.event_type,
        str(event.resource.get("id", "")),
        orjson.dumps(event.resource).decode(),
        ctx.now(),
    )
    ctx.signals.send(SIGNAL)


# --- watching ----------------------------------------------------------------------------------------------


class Watch:
    """Registered at every hub while the block lasts; `news` gives what has arrived since the last time."""

    def __init__(
        self, ctx: Context[DemoSettings], tell: Say, *, hubs: Sequence[Hub] = HUBS, timeout_s: float | None = None
    ) -> None:
        self.ctx, self.tell, self.hubs, self.timeout_s = ctx, tell, hubs, timeout_s
        self._registered: dict[Hub, str] = {}
        self._woken = ctx.signals.subscribe(SIGNAL)
        self._seen: set[int] = set()
        self._after = 0
        self._confirming: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._begin()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _begin(self) -> None:
        pool = self.ctx.database.pool
        await pool.execute("DELETE FROM heard WHERE at < $1", self.ctx.now() - KEPT)
        self._after = await pool.fetchval("SELECT coalesce(max(seq), 0) FROM heard")
        self._seen = {row["seq"] for row in await pool.fetch("SELECT seq FROM heard")}
        async with asyncio.timeout(self.timeout_s):
            await self._own_door()
            await until_up(self.ctx, sorted({hub.dependency for hub in self.hubs}), self.tell)
            while not await self._register():
                await asyncio.sleep(1.0)
        self._confirming = asyncio.create_task(self._confirm(), name="loop registrations")

    async def __aexit__(self, *_: object) -> None:
        if self._confirming:
            self._confirming.cancel()
        for hub, id in self._registered.items():
            with contextlib.suppress(UpstreamError, TimeoutError):
                async with asyncio.timeout(3.0):
                    await self.ctx.upstream(hub.dependency).delete(f"{hub.path}/{quote(id)}", missing_ok=True)
        self._registered.clear()

    async def _own_door(self) -> None:
        """The events go to `serve`; without it nothing would be heard."""
        url = f"{self.ctx.settings.public_url.rstrip('/')}/health/live"
        told = False
        async with httpx.AsyncClient(timeout=5.0) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(url)).status_code == 200:
                        return
                if not told:
                    self.tell(f"waiting for `python -m demo_operator serve` at {self.ctx.settings.public_url}")
                    told = True
                await asyncio.sleep(0.5)

    async def _register(self) -> bool:
        """Register wherever we can; it is idempotent. Whether all have answered."""
        address, complete = await callback(self.ctx), True
        for hub in self.hubs:
            body = {"@type": "Hub", "callback": address, "query": hub.query}
            try:
                answer = await self.ctx.upstream(hub.dependency).post(hub.path, body)
                self._registered[hub] = str(answer["id"])
            except UpstreamError as e:
                log.info("cannot register at %s yet: %s", hub.dependency, e)
                complete = False
        return complete

    async def _confirm(self) -> None:
        """A component that lost its database has lost our registration too."""
        while True:
            await asyncio.sleep(CONFIRMED_EVERY_S)
            await self._register()

    async def news(self) -> list[Heard]:
        """Events that arrived since the last call, in the order in which they were stored."""
        self._woken.clear()
        rows = await self.ctx.database.pool.fetch(
            "SELECT seq, event_type, resource_id, doc::text AS doc, at FROM heard WHERE seq > $1 ORDER BY seq",
            self._after - _LOOK_BACK,
        )
        new = [row for row in rows if row["seq"] not in self._seen]
        self._seen.update(row["seq"] for row in new)
        self._after = max([self._after, *(row["seq"] for row in new)])
        return [
            Heard(row["seq"], row["event_type"], row["resource_id"], orjson.loads(row["doc"]), row["at"]) for row in new
        ]

    async def wait(self, timeout_s: float) -> bool:
        """Until something arrives or the time is over; whether something did."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), max(timeout_s, 0.0))
        return self._woken.is_set()


def related(doc: Any, name: str) -> list[Document]:
    """The references under an attribute, flat or in a role (v4, v5), single or many."""
    value = doc.get(name) if isinstance(doc, dict) else None
    found = []
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, dict):
            inner = next((entry[k] for k in ("partyOrPartyRole", "entity") if isinstance(entry.get(k), dict)), entry)
            if inner.get("id") is not None:
                found.append({**inner, "role": entry.get("role")} if "role" in entry else inner)
    return found
