"""The schema, owned by Alembic: one history per component, one upgrade at a time, never a long wait for a lock."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from alembic import command
from alembic import context as alembic_context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Index, MetaData, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from tmfkit.database import dsn
from tmfkit.sql import INSTANT_FUNCTION


class PostgresqlWithCollation(PostgresqlImpl):
    """PostgreSQL reports an index expression without its collation; compared without it, equal is equal."""

    __dialect__ = "postgresql"  # Alembic takes the class that was registered last for a dialect

    def _cleanup_index_expr(self, index: Index, expr: str) -> str:
        return super()._cleanup_index_expr(index, expr.replace(' COLLATE "C"', ""))


log = logging.getLogger("tmfkit.migrate")
MIGRATION_LOCK = 0x6D696772
LOCK_TIMEOUT_MS = 5000
_PARTITION = re.compile(r"_p(\d{6,8}|default)$")


def env(metadata: MetaData) -> None:
    """What a component's migrations/env.py calls."""
    connection: Connection = alembic_context.config.attributes["connection"]
    alembic_context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=_included,
        transaction_per_migration=True,
        compare_type=True,
    )
    with alembic_context.begin_transaction():
        alembic_context.run_migrations()


def _included(name: str | None, kind: str, _parents: Any) -> bool:
    return not (kind == "table" and name is not None and _PARTITION.search(name))


def config(package: str) -> Config:
    cfg = Config()
    cfg.set_main_option("script_location", f"{package}:migrations")
    cfg.set_main_option("file_template", "%%(year)d%%(month).2d%%(day).2d_%%(rev)s_%%(slug)s")
    cfg.set_main_option("path_separator", "os")
    return cfg


async def _with(url: str, work: Callable[[Connection], Any]) -> Any:
    scheme, _, rest = dsn(url).partition("://")
    engine = create_async_engine(f"{scheme}+asyncpg://{rest}", poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


async def upgrade(package: str, url: str) -> None:
    """Bring the schema to the newest revision; other processes that try the same wait for us.

    A schema that a newer release has migrated is left as it is: after a rollback this release works on it.
    """

    def work(connection: Connection) -> None:
        connection.execute(text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
        connection.commit()
        try:
            connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
            found = MigrationContext.configure(connection).get_current_revision()
            if found is not None and found not in _revisions(package)[0]:
                log.warning("a newer release has migrated the schema to %s: it is left as it is", found)
                return
            connection.execute(text(INSTANT_FUNCTION))
            connection.commit()
            cfg = config(package)
            cfg.attributes["connection"] = connection
            command.upgrade(cfg, "head")
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})"))
            connection.commit()

    await _with(url, work)


async def differences(url: str, metadata: MetaData) -> list[Any]:
    """What `alembic check` finds: the database against the declared tables. Empty is right."""

    def work(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": _included})
        return list(compare_metadata(context, metadata))

    found: list[Any] = await _with(url, work)
    return found


async def revision(package: str, url: str, message: str) -> str:
    """Write the next migration by comparing the declared tables with an upgraded database; its path."""

    def work(connection: Connection) -> str:
        cfg = config(package)
        cfg.attributes["connection"] = connection
        script = command.revision(cfg, message, autogenerate=True)
        return str(getattr(script, "path", ""))

    await upgrade(package, url)
    path: str = await _with(url, work)
    return path


async def current(package: str, connection: Any) -> bool:
    """Whether the database is at the newest revision this code knows, or at one it does not know: a newer release
    has migrated, and its expand step leaves this one working. Asked by the readiness probe."""
    known, head = await asyncio.to_thread(_revisions, package)
    if not await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
        return False
    found = await connection.fetchval("SELECT version_num FROM alembic_version")
    return found is not None and (found == head or found not in known)


@cache
def _revisions(package: str) -> tuple[frozenset[str], str | None]:
    scripts = ScriptDirectory.from_config(config(package))
    return frozenset(s.revision for s in scripts.walk_revisions()), scripts.get_current_head()
