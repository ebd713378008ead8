"""Wake-up calls between the processes of one component, over LISTEN/NOTIFY. They carry no data and may be lost:
whoever waits also looks by itself from time to time.

A call is sent after the commit, from one task, and calls that come while one is being sent become one: NOTIFY inside
a transaction would make PostgreSQL commit one writer at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from typing import Any

import asyncpg

log = logging.getLogger("tmfkit.signals")
CHANNEL = "tmfkit"
MIN_INTERVAL_S = 0.05


class Signals:
    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._out: set[str] = set()
        self._ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run(), name="signals")]

    async def stop(self) -> None:
        for task in self._tasks:
            while not task.done():  # Python 3.11 may lose a cancellation while a connection is being made
                task.cancel()
                await asyncio.wait([task], timeout=1.0)
        self._tasks = []

    def send(self, name: str) -> None:
        """Wake those who wait here at once, those in other processes within milliseconds."""
        self._wake(name)
        self._out.add(name)
        self._ready.set()

    def subscribe(self, name: str) -> asyncio.Event:
        """An event that is set by each call of that name; the waiter clears it."""
        event = asyncio.Event()
        self._waiting[name].add(event)
        return event

    def _wake(self, name: str) -> None:
        for event in self._waiting.get(name, ()):
            event.set()

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        for name in payload.split(","):
            self._wake(name)

    async def _run(self) -> None:
        while True:
            connection: Any = None
            try:
                connection = await asyncpg.connect(self._dsn, server_settings={"application_name": "signals"})
                await connection.add_listener(CHANNEL, self._heard)
                connection.add_termination_listener(lambda _: self._ready.set())  # to find out by trying to send
                for names in self._waiting.values():  # what was missed while not listening
                    for event in names:
                        event.set()
                await self._send_all(connection)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
                log.warning("wake-up calls interrupted: %s", e)
                await asyncio.sleep(1.0)
            finally:
                if connection is not None:
                    with contextlib.suppress(Exception):
                        await asyncio.wait_for(asyncio.shield(connection.close(timeout=1)), 2)

    async def _send_all(self, connection: Any) -> None:
        while True:
            try:
                await asyncio.wait_for(self._ready.wait(), 30)
            except TimeoutError:
                await connection.execute("SELECT 1")  # finds a dead connection while idle
                continue
            self._ready.clear()
            names, self._out = self._out, set()
            try:
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, ",".join(sorted(names)))
            except BaseException:
                self._out |= names
                self._ready.set()
                raise
            await asyncio.sleep(MIN_INTERVAL_S)
