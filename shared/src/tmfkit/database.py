"""The connection pool and the transaction: one request or one flow step each, committed before the answer."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg


async def _reset(connection: Any) -> None:
    """asyncpg's own reset is a round trip on every release; ours is needed only after a cancelled transaction."""
    if connection.is_in_transaction():
        await connection.reset()


class Lanes:
    """A few connections kept out of the pool for single statements.

    asyncpg's pool starts a task on every release, a fifth of the cost of a small read; a lane is taken and given back
    without one. A lane that was interrupted or closed goes back to the pool, which mends or replaces it.
    """

    def __init__(self, pool: Any, size: int) -> None:
        self._pool, self._size = pool, size
        self._open = 0
        self._free: list[Any] = []
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def fetch(self, statement: str, *args: Any) -> list[Any]:
        return list(await self._run("fetch", statement, args))

    async def fetchrow(self, statement: str, *args: Any) -> Any:
        return await self._run("fetchrow", statement, args)

    async def fetchval(self, statement: str, *args: Any) -> Any:
        return await self._run("fetchval", statement, args)

    async def _run(self, method: str, statement: str, args: tuple[Any, ...]) -> Any:
        lane = await self._take()
        try:
            result = await getattr(lane, method)(statement, *args)
        except asyncpg.PostgresError:
            await self._give(lane, sound=not _lost(lane))
            raise
        except BaseException:
            await self._give(lane, sound=False)
            raise
        self._free.append(lane)
        if self._waiting:
            self._wake()
        return result

    async def _take(self) -> Any:
        while True:
            while self._free:
                lane = self._free.pop()
                if not _lost(lane):
                    return lane
                await self._give(lane, sound=False)
            if self._open < self._size:
                self._open += 1
                try:
                    return await self._pool.acquire()
                except BaseException:
                    self._open -= 1
                    self._wake()
                    raise
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # we were woken and leave: the next one may have it
                raise

    async def _give(self, lane: Any, *, sound: bool) -> None:
        if sound:
            self._free.append(lane)
        else:
            self._open -= 1
            await asyncio.shield(self._pool.release(lane))
        self._wake()

    @property
    def free(self) -> int:
        """Lanes that nobody uses now."""
        return len(self._free)

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def close(self) -> None:
        while self._free:
            await self._pool.release(self._free.pop())


def _lost(lane: Any) -> bool:
    """Whether a lane's connection is closed. The pool takes one back by itself when the server ends it."""
    try:
        return bool(lane.is_closed())
    except asyncpg.InterfaceError:
        return True


class Database:
    """The connections of one component to its database: a pool for transactions, lanes for single statements."""

    def __init__(self, pool: Any, lanes: Lanes) -> None:
        self.pool, self.lanes = pool, lanes

    @classmethod
    async def open(cls, url: str, *, connections: int, statement_timeout_ms: int, name: str) -> Database:
        pool = await asyncpg.create_pool(
            dsn(url),
            min_size=1,
            max_size=connections,
            reset=_reset,
            max_inactive_connection_lifetime=300,
            server_settings={
                "application_name": name,
                "statement_timeout": str(statement_timeout_ms),
                "idle_in_transaction_session_timeout": "60000",
                "timezone": "UTC",
            },
        )
        return cls(pool, Lanes(pool, max(1, connections // 2)))

    @property
    def idle(self) -> int:
        """Connections that wait for work, in the pool and in the lanes."""
        return int(self.pool.get_idle_size()) + self.lanes.free

    @property
    def used(self) -> int:
        """Connections at work now."""
        return int(self.pool.get_size()) - self.idle

    async def close(self) -> None:
        await self.lanes.close()
        try:
            await asyncio.wait_for(self.pool.close(), 10)
        except TimeoutError:
            self.pool.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self.pool.acquire() as connection, connection.transaction():
            yield connection

    async def fetchval(self, statement: str, *args: Any) -> Any:
        return await self.lanes.fetchval(statement, *args)


def dsn(url: str) -> str:
    """The plain form of a URL that may name an SQLAlchemy driver."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.split('+')[0].replace('postgres', 'postgresql').replace('postgresqlql', 'postgresql')}://{rest}"


def new_id() -> str:
    """UUID version 7 (RFC 9562): sorts by time, so that the primary key grows at its end."""
    ms = time.time_ns() // 1_000_000
    value = (ms << 80) | (0x7 << 76) | (int.from_bytes(os.urandom(10), "big") & ((1 << 76) - 1))
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
