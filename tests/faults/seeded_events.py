"""Faults of notifications: a transport between relay and listeners that loses, doubles, changes or swaps events."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import orjson
from seeded import Answer, Call, Doc, Seat, kind

UNREADABLE_S = 0.5
"""So long what was told cannot be read, where events come before the commit."""
HELD_S = 6.0
Post = Callable[[Doc], Awaitable[httpx.Response]]
EventKind = Callable[[Seat, Doc, Post], Awaitable[httpx.Response]]
EVENTS: dict[str, EventKind] = {}


def event_kind(function: EventKind) -> EventKind:
    """The function stands between relay and listener when a fault of its name is on."""
    EVENTS[getattr(function, "__name__")] = function  # noqa: B009
    return function


class Courier(httpx.AsyncBaseTransport):
    """Carries notifications to their callbacks; a fault that is on gets its hands on those of its resource."""

    def __init__(self, inner: httpx.AsyncBaseTransport, seat: Callable[[], Seat | None]) -> None:
        self.inner, self.seat = inner, seat

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        seat = self.seat()
        told = EVENTS.get(seat.fault.fault) if seat else None
        if seat is None or told is None:
            return await self.inner.handle_async_request(request)
        event: Doc = orjson.loads(await request.aread())
        if not concerns(seat, event):
            return await self.inner.handle_async_request(request)
        headers = {k: v for k, v in request.headers.items() if k not in ("content-length", "host")}

        async def post(changed: Doc) -> httpx.Response:
            return await self.inner.handle_async_request(
                httpx.Request(
                    request.method,
                    request.url,
                    headers={"host": request.headers["host"], **headers},
                    content=orjson.dumps(changed),
                    extensions=request.extensions,
                )
            )

        return await told(seat, event, post)

    async def aclose(self) -> None:
        await self.inner.aclose()


def payload(seat: Seat, event: Doc) -> Doc:
    found = event.get("event", {}).get(seat.fault.resource)
    return found if isinstance(found, dict) else {}


def concerns(seat: Seat, event: Doc) -> bool:
    """Whether the event is about the fault's resource in its API and version."""
    href = urlsplit(str(payload(seat, event).get("href", ""))).path
    return href.startswith((f"{seat.base}/{seat.fault.resource}/", f"/{seat.fault.resource}/"))


def tells(event: Doc, what: str) -> bool:
    return bool(re.search(rf"{what}(Event|Notification)$", str(event.get("eventType"))))


def kept() -> httpx.Response:
    """What the relay hears of an event that goes nowhere."""
    return httpx.Response(201)


@event_kind
async def nothing(seat: Seat, event: Doc, post: Post) -> httpx.Response:
    """No fault."""
    return await post(event)


# --- kinds -----------------------------------------------------------------------------------------------------


@event_kind
async def event_missing(seat: Seat, event: Doc, post: Post) -> httpx.Response:
    return kept() if tells(event, seat.detail["kind"]) else await post(event)


@event_kind
async def event_duplicated(seat: Seat, event: Doc, post: Post) -> httpx.Response:
    if tells(event, seat.detail["kind"]):
        await (await post(event)).aread()
        return await post({**event, "eventId": str(uuid4())})
    return await post(event)


@event_kind
async def event_type_wrong(seat: Seat, event: Doc, post: Post) -> httpx.Response:
    wrong = {"eventType": seat.detail["become"]} if tells(event, seat.detail["kind"]) else {}
    return await post({**event, **wrong})


@event_kind
async def event_member_missing(seat: Seat, event: Doc, post: Post) -> httpx.Response:
    return await post({k: v for k, v in event.items() if k != seat.detail["member"]})


@event_kind
async def event_id_missing(seat: Seat, event: Doc, post: Post) -> httpx.Response:
    return await post({k: v for k, v in event.items() if k != "eventId"})


@event_kind
async def event_time_spelling(seat: Seat, event: Doc, post: Post) -> httpx.Response:
    other = {"timeOccurred": "timeOcurred", "timeOcurred": "timeOccurred"}
    return await post({other.get(k, k): v for k, v in event.items()})


@event_kind
async def event_payload_key(seat: Seat, event: Doc, post: Post) -> httpx.Response:
    return await post({**event, "event": {seat.detail["key"]: payload(seat, event)}})


@event_kind
async def event_payload_stale(seat: Seat, event: Doc, post: Post) -> httpx.Response:
    first: dict[Any, Doc] = seat.remembered("first")
    told = payload(seat, event)
    if tells(event, "Create"):
        first[told.get("id")] = told
    if tells(event, "Change") and told.get("id") in first:
        return await post({**event, "event": {seat.fault.resource: first[told["id"]]}})
    return await post(event)


@event_kind
async def events_swapped(seat: Seat, event: Doc, post: Post) -> httpx.Response:
    """A change is held back until the next event of the resource has gone, or for some seconds."""
    held: dict[Any, list[tuple[Doc, Post]]] = seat.remembered("held")
    id = payload(seat, event).get("id")

    async def late() -> None:
        for other, post_other in held.pop(id, []):
            await (await post_other(other)).aread()

    if tells(event, "Change"):
        held.setdefault(id, []).append((event, post))

        async def in_the_end() -> None:
            await asyncio.sleep(HELD_S)
            await late()

        seat.tasks.add(asyncio.create_task(in_the_end()))
        return kept()
    answer = await post(event)
    await answer.aread()
    if tells(event, "Delete"):
        await late()
    return answer


@event_kind
async def event_before_commit_told(seat: Seat, event: Doc, post: Post) -> httpx.Response:
    if tells(event, "Create"):
        seat.remembered("hidden")[payload(seat, event).get("id")] = time.monotonic() + UNREADABLE_S
    return await post(event)


EVENTS["event_before_commit"] = EVENTS.pop("event_before_commit_told")


@kind
async def event_before_commit(seat: Seat, call: Call) -> Answer:
    """What was created can be read, and is answered, only some time after it was told."""
    hidden: dict[Any, float] = seat.remembered("hidden")
    if call.method == "GET" and hidden.get(call.id, 0) > time.monotonic():
        return seat.refusal(404, "Not found")
    answer = await seat.ask(call)
    if call.creates and answer.ok:
        for doc in answer.documents:
            hidden[doc.get("id")] = time.monotonic() + UNREADABLE_S
            while (left := hidden[doc.get("id")] - time.monotonic()) > 0:
                await asyncio.sleep(left)
    return answer
