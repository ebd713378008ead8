"""Messages go out: each receiver's copy is posted to the gateway of the channel, again after a failure, never after a
success.

That a try begins is stored before it begins, its answer as soon as it is there. After a restart only those tries are
repeated whose answer is not known; they carry the same Idempotency-Key, by which a gateway can tell them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx

from experience_management.domain import communication as domain
from experience_management.message import CANCELLED, COMPLETED, FAILED, IN_PROGRESS, INITIAL
from experience_management.resources import CommunicationMessage
from experience_management.settings import ExperienceSettings
from tmfkit import Context, Transaction
from tmfkit.component import trust
from tmfkit.errors import TmfError
from tmfkit.network import Callbacks, Unresolved
from tmfkit.types import Document
from tmfkit.write import rfc3339

log = logging.getLogger("experience_management.deliver")
Ctx = Context[ExperienceSettings]
AT_ONCE, PARALLEL = 50, 10
MOST_RETRIES = 100

DUE = """
SELECT id FROM communication_message WHERE doc @> '{"state": "initial"}'
   AND coalesce((doc ->> 'scheduledSendTime')::timestamptz <= $1, true)
ORDER BY CASE WHEN doc ->> 'priority' ~ '^[0-9]{1,9}$' THEN (doc ->> 'priority')::int END NULLS LAST, id LIMIT $2
"""
CLAIM = """
UPDATE message_delivery d SET state = 'inProgress', tries = d.tries + 1 FROM (
  SELECT message_id, position FROM message_delivery WHERE state = 'initial' AND next_try_at <= $1
  ORDER BY next_try_at, message_id, position LIMIT $2) due
WHERE d.message_id = due.message_id AND d.position = due.position
RETURNING d.message_id, d.position, d.tries
"""
STOPPED = """
SELECT DISTINCT d.message_id FROM message_delivery d LEFT JOIN communication_message m ON m.id = d.message_id
WHERE m.id IS NULL OR NOT m.doc @> '{"state": "inProgress"}'
"""
ON_ITS_WAY = """
SELECT EXISTS (SELECT 1 FROM communication_message WHERE id = $1 AND doc @> '{"state": "inProgress"}')
"""
RECORD = """
UPDATE message_delivery SET state = $3, reason = $4, sent_at = $5, next_try_at = $6
WHERE message_id = $1 AND position = $2
"""


async def due(ctx: Ctx) -> None:
    """Start the messages whose time has come, then try whatever is to be tried. One flow runs at a time."""
    pool = ctx.database.pool
    await pool.execute("UPDATE message_delivery SET state = 'initial' WHERE state = 'inProgress'")
    while rows := await pool.fetch(DUE, ctx.now(), AT_ONCE):
        for row in rows:
            await _start(ctx, row["id"])
    for row in await pool.fetch(STOPPED):
        await _settle(ctx, row["message_id"])
    touched: set[str] = set()
    gateways: Gateways | None = None
    try:
        while rows := await pool.fetch(CLAIM, ctx.now(), AT_ONCE):
            gateways = gateways or Gateways(ctx.settings)
            touched |= await _try(ctx, gateways, rows)
    finally:
        if gateways is not None:
            await gateways.client.aclose()
        for id in sorted(touched):
            await _settle(ctx, id)


class Gateways:
    """The gateways of the channels. They lie where callbacks of a hub may lie, judged again on connecting."""

    def __init__(self, settings: ExperienceSettings) -> None:
        self.addresses = settings.communication_channels
        self.callbacks = Callbacks(
            settings.callback_allow, settings.callback_deny, settings.callback_schemes, only=settings.callback_only
        )
        transport = self.callbacks.transport(tls=trust(settings))
        self.client = httpx.AsyncClient(
            transport=transport, timeout=settings.delivery_timeout_s, follow_redirects=False
        )


async def _start(ctx: Ctx, id: str) -> None:
    """A row for each receiver, or the end of the message where it has no way out."""
    async with ctx.transaction() as tx:
        message = await tx[CommunicationMessage].find(id, lock=True)
        if message is None or message["state"] != INITIAL:
            return
        now, kind = ctx.now(), message["messageType"]
        if domain.channel(kind) not in ctx.settings.communication_channels:
            await _fail(tx, message, f"no gateway for messages of type {kind[:100]}")
            return
        if not message["receiver"]:
            await _fail(tx, message, "no receiver")
            return
        rows = []
        for position, receiver in enumerate(message["receiver"]):
            lacking = domain.address(kind, receiver) is None
            reason = f"no {' or '.join(domain.kinds_of_address(kind))}" if lacking else None
            rows.append((id, position, FAILED if lacking else INITIAL, now, reason))
        await tx.executemany(
            "INSERT INTO message_delivery (message_id, position, state, next_try_at, reason)"
            " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            rows,
        )
        await tx[CommunicationMessage].replace(message, {**message, "state": IN_PROGRESS, "sendTime": rfc3339(now)})
    await _settle(ctx, id)


async def _fail(tx: Transaction, message: Document, reason: str) -> None:
    log.warning("message %s failed: %s", message["id"], reason)
    status = [_status(message, at, FAILED, 0, None, reason) for at in range(len(message["receiver"]))]
    failed = {**message, "state": FAILED, "stateReason": reason, "deliveryStatus": status}
    await tx[CommunicationMessage].replace(message, failed)


# --- one round of tries ---


async def _try(ctx: Ctx, gateways: Gateways, rows: Sequence[Any]) -> set[str]:
    """Try these receivers side by side; the messages they belong to."""
    ids = sorted({row["message_id"] for row in rows})
    pool = ctx.database.pool
    messages = {m["id"]: m for m in await ctx.store(CommunicationMessage).select({"id": ids})}
    gate = asyncio.Semaphore(PARALLEL)

    async def one(row: Any) -> None:
        async with gate:
            message = messages.get(row["message_id"])
            if message is None or not await pool.fetchval(ON_ITS_WAY, row["message_id"]):
                await pool.execute(RECORD, row["message_id"], row["position"], CANCELLED, None, None, ctx.now())
                return
            found, told_s = await _post(gateways, message, row["position"])
            await _record(ctx, message, row, found, told_s)

    # The others are let finish when one fails: an answer that is not written down would be asked for again.
    for result in await asyncio.gather(*(one(row) for row in rows), return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
    return set(ids)


async def _post(gateways: Gateways, message: Document, position: int) -> tuple[domain.Outcome, float | None]:
    """One try at the gateway, and the wait that the gateway asks for."""
    kind, receiver = message["messageType"], message["receiver"][position]
    url = gateways.addresses.get(domain.channel(kind))
    if url is None:
        return domain.Outcome(False, reason=f"no gateway for messages of type {kind[:100]}"), None
    values = {c["name"]: c["value"] for c in message.get("characteristic") or () if "value" in c}
    body = {
        "messageId": message["id"],
        "messageType": kind,
        "address": domain.address(kind, receiver),
        "receiver": receiver,
        "sender": message["sender"],
        "content": domain.filled(message["content"], values),
    }
    if message.get("subject") is not None:
        body["subject"] = domain.filled(message["subject"], values)
    body |= {name: message[name] for name in ("priority", "attachment") if name in message}
    try:
        await gateways.callbacks.check(url)
        answer = await gateways.client.post(url, json=body, headers={"Idempotency-Key": f"{message['id']}/{position}"})
    except Unresolved:
        return domain.Outcome(False, again=True, reason="the gateway is not found"), None
    except TmfError as e:
        return domain.Outcome(
            False, reason=f"the gateway is not permitted: {str(e.message).removeprefix('callback: ')}"
        ), None
    except (httpx.HTTPError, OSError) as e:
        return domain.Outcome(False, again=True, reason=f"the gateway does not answer: {type(e).__name__}"), None
    told = answer.headers.get("retry-after", "")
    return domain.outcome(answer.status_code), float(told) if told.isdecimal() else None


async def _record(ctx: Ctx, message: Document, row: Any, found: domain.Outcome, told_s: float | None) -> None:
    settings, now, tries = ctx.settings, ctx.now(), row["tries"]
    retries = min(max(message.get("tryTimes", settings.communication_retries), 0), MOST_RETRIES)
    again = found.again and tries <= retries
    state = COMPLETED if found.sent else INITIAL if again else FAILED
    first_s, longest_s = settings.communication_backoff_s, settings.communication_max_backoff_s
    later = now + timedelta(seconds=domain.wait_s(tries, first_s, longest_s, told_s)) if again else now
    sent_at = now if found.sent else None
    await ctx.database.pool.execute(RECORD, message["id"], row["position"], state, found.reason, sent_at, later)
    if message.get("logFlag") or state == FAILED:
        level = logging.WARNING if state == FAILED else logging.INFO
        told = found.reason or "taken by the gateway"
        log.log(level, "message %s, receiver %d, try %d: %s", message["id"], row["position"], tries, told)


# --- what became of it ---


async def _settle(ctx: Ctx, id: str) -> None:
    """Write into the message how far its receivers are; at its end its rows go."""
    async with ctx.transaction() as tx:
        message = await tx[CommunicationMessage].find(id, lock=True)
        if message is None:
            await tx.execute("DELETE FROM message_delivery WHERE message_id = $1", id)
            return
        stopped = message["state"] != IN_PROGRESS
        rows = await tx.fetch("SELECT * FROM message_delivery WHERE message_id = $1 ORDER BY position", id)
        states = [CANCELLED if stopped and row["state"] in (INITIAL, IN_PROGRESS) else row["state"] for row in rows]
        status = [
            _status(message, r["position"], state, r["tries"], r["sent_at"], r["reason"])
            for r, state in zip(rows, states, strict=True)
        ]
        new: Document = {**message, "deliveryStatus": status}
        end = domain.ended(states)
        if not stopped and end is not None:
            new |= _ended(*end, rfc3339(ctx.now()))
        await tx[CommunicationMessage].replace(message, new)
        if end is not None:
            await tx.execute("DELETE FROM message_delivery WHERE message_id = $1", id)


def _ended(state: str, reason: str | None, now: str) -> Document:
    end: Document = {"state": state, "sendTimeComplete": now}
    return end if reason is None else {**end, "stateReason": reason}


def _status(
    message: Mapping[str, Any], position: int, state: str, tries: int, sent_at: datetime | None, reason: str | None
) -> Document:
    status: Document = {"position": position, "state": state, "tryTimes": tries}
    receiver = message["receiver"][position]
    told = {
        "receiverId": receiver.get("id"),
        "sendTime": rfc3339(sent_at) if sent_at else None,
        "reason": reason,
    }
    return status | {name: value for name, value in told.items() if value is not None}
