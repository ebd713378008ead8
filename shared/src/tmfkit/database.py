"""The connection pool and the transaction: one request or one flow step each, committed before the answer."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg


async def _reset(connection: Any) -> None:
    """asyncpg's own reset is a round trip on every release; ours is needed only after a cancelled transaction."""
    if connection.is_in_transaction():
        await connection.reset()


class Database:
    """A pool of connections of one component's database."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

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
        return cls(pool)

    async def close(self) -> None:
        await self.pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self.pool.acquire() as connection, connection.transaction():
            yield connection

    async def fetchval(self, statement: str, *args: Any) -> Any:
        return await self.pool.fetchval(statement, *args)


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
