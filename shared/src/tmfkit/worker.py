"""What runs beside the API: the relay, the subscriptions at other components, the flows, and pruning by age."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from tmfkit.call import CALL, Call
from tmfkit.context import Context
from tmfkit.database import dsn
from tmfkit.errors import TmfError
from tmfkit.follow import Following
from tmfkit.relay import Relay
from tmfkit.upstream import UpstreamError

log = logging.getLogger("tmfkit.worker")
FLOW_LOCK = 0x666C6F77


@dataclass(frozen=True)
class Every:
    """A flow: runs every `seconds`, and at once when woken by its name. Of all replicas, one runs it at a time."""

    seconds: float
    run: Callable[[Context[Any]], Awaitable[None]]
    name: str


class Worker:
    def __init__(self, ctx: Context[Any], relay: Relay, following: Following, flows: Sequence[Every]) -> None:
        self.ctx, self.relay, self.following = ctx, relay, following
        self.flows = [*flows, Every(ctx.settings.prune_interval_s, prune, "prune")]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self.relay.run(), name="relay"),
            asyncio.create_task(self.following.run(), name="following"),
            asyncio.create_task(self._flows(), name="flows"),
            asyncio.create_task(self._observe(), name="observe"),
        ]
        for task in self._tasks:
            task.add_done_callback(_report)
        for flow in self.flows:
            self.ctx.telemetry.flow_known(flow.name)

    async def stop(self) -> None:
        while unfinished := [task for task in self._tasks if not task.done()]:
            for task in unfinished:  # again, for Python 3.11 may lose one while a connection is being made
                task.cancel()
            await asyncio.wait(unfinished, timeout=1.0)
        self._tasks = []

    async def _flows(self) -> None:
        """Hold the flows' lock, so that two replicas never evaluate the same thing at once."""
        while True:
            try:
                connection = await asyncpg.connect(
                    dsn(self.ctx.settings.database_url.get_secret_value()),
                    server_settings={"application_name": "flows"},
                )
                try:
                    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", FLOW_LOCK):
                        await asyncio.sleep(1.0)
                    tasks = [asyncio.create_task(self._flow(f), name=f"flow {f.name}") for f in self.flows]
                    try:
                        while True:
                            await asyncio.sleep(5.0)
                            await connection.execute("SELECT 1")
                    finally:
                        for task in tasks:
                            task.cancel()
                        await asyncio.gather(*tasks, return_exceptions=True)
                finally:
                    with contextlib.suppress(Exception):
                        await asyncio.wait_for(asyncio.shield(connection.close(timeout=1)), 2)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
                log.warning("flows interrupted: %s: %s", type(e).__name__, e)
                await asyncio.sleep(1.0)

    async def _flow(self, flow: Every) -> None:
        woken = self.ctx.signals.subscribe(f"flow:{flow.name}")
        woken.set()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), flow.seconds)
            woken.clear()
            started = time.perf_counter()
            CALL.set(Call(f"{self.ctx.name}/{flow.name}"))
            try:
                await flow.run(self.ctx)
                self.ctx.telemetry.flow(flow.name, "ok", time.perf_counter() - started)
            except (UpstreamError, TmfError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
                self.ctx.telemetry.flow(flow.name, "failed", time.perf_counter() - started)
                log.warning("flow %s: %s: %s", flow.name, type(e).__name__, e)
                await asyncio.sleep(1.0)
            except Exception:
                self.ctx.telemetry.flow(flow.name, "failed", time.perf_counter() - started)
                log.exception("flow %s", flow.name)
                await asyncio.sleep(5.0)

    async def _observe(self) -> None:
        """Gauges that need a look into the database: whether it answers, how far the outbox and the deliveries lag."""
        telemetry = self.ctx.telemetry
        while True:
            try:
                async with asyncio.timeout(10.0):
                    row = await self.ctx.database.pool.fetchrow(
                        "SELECT (SELECT count(*) FROM outbox WHERE relayed_at IS NULL) AS waiting,"
                        " (SELECT extract(epoch FROM now() - min(at)) FROM outbox WHERE relayed_at IS NULL) AS lag,"
                        " count(*) FILTER (WHERE dead_at IS NULL) AS pending,"
                        " count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead,"
                        " extract(epoch FROM now() - min(created_at) FILTER (WHERE dead_at IS NULL)) AS undelivered"
                        " FROM delivery"
                    )
                telemetry.database_answers(True)
                telemetry.outbox(
                    row["waiting"],
                    float(row["lag"] or 0),
                    row["pending"],
                    row["dead"],
                    float(row["undelivered"] or 0),
                )
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # TimeoutError is an OSError
                telemetry.database_answers(False)
            await asyncio.sleep(5.0)


async def prune(ctx: Context[Any]) -> None:
    """Forget what is older than its retention: delivered events, received ids, idempotency keys, audit."""
    settings, now = ctx.settings, ctx.now()

    def before(seconds: float) -> Any:
        return now - timedelta(seconds=seconds)

    statements = [
        (
            "DELETE FROM outbox o WHERE relayed_at < $1 AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.seq = o.seq)",
            settings.outbox_retention_s,
        ),
        ("DELETE FROM delivery WHERE dead_at < $1", settings.outbox_retention_s),
        ("DELETE FROM inbox WHERE received_at < $1", settings.inbox_retention_s),
        ("DELETE FROM idempotency WHERE created_at < $1", settings.idempotency_retention_s),
        ("DELETE FROM audit WHERE at < $1", settings.audit_retention_s),
    ]
    for statement, age in statements:
        await ctx.database.pool.execute(statement, before(age))


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("%s ended", task.get_name(), exc_info=task.exception())
