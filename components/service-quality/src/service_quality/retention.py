"""Flow: measurements older than their retention go, a partition at a time, and their keys with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from service_quality.ledger import PARTITION_LOCK
from service_quality.settings import ServiceQualitySettings
from tmfkit import Context

KEYS_AT_ONCE = 50_000
LOCK_TIMEOUT_MS = 2000


async def due(ctx: Context[ServiceQualitySettings]) -> None:
    """Drop partitions that end before newest data time (or the clock, if that is earlier) less the retention."""
    pool = ctx.database.pool
    newest = await pool.fetchval("SELECT max(watermark) FROM series")
    if newest is None:
        return
    kept = timedelta(seconds=ctx.settings.measurement_retention_s)
    before = min(newest, ctx.now()) - kept
    await drop_before(ctx, before)
    until = await pool.fetchval("SELECT until FROM horizon")
    if until is not None:
        while await _forget_keys(ctx, until):
            pass
    await pool.execute("DELETE FROM rejection WHERE at < $1", ctx.now() - kept)


async def drop_before(ctx: Context[ServiceQualitySettings], before: datetime) -> list[str]:
    """Drop whole partitions; rows before the horizon are refused from then on, for their keys are forgotten."""
    async with ctx.transaction() as tx:
        await tx.execute("SELECT pg_advisory_xact_lock($1)", PARTITION_LOCK)
        await tx.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")  # readers first; the next hour tries again
        names = [
            row["relname"]
            for row in await tx.fetch(
                "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
                " WHERE i.inhparent = 'measurement'::regclass ORDER BY 1"
            )
        ]
        ended = {name: _ends(name) for name in names}
        dropped = [name for name in names if ended[name] <= before]
        for name in dropped:
            await tx.execute(f"DROP TABLE {name}")
        if dropped:
            await tx.execute(
                "INSERT INTO horizon (id, until) VALUES (1, $1)"
                " ON CONFLICT (id) DO UPDATE SET until = greatest(horizon.until, $1)",
                max(ended[name] for name in dropped),
            )
    return dropped


def _ends(name: str) -> datetime:
    return datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC) + timedelta(days=7)


async def _forget_keys(ctx: Context[ServiceQualitySettings], until: datetime) -> bool:
    """Delete some keys; True while there may be more. In portions, so that no statement runs for long."""
    done = await ctx.database.pool.execute(
        "DELETE FROM measurement_key WHERE key = ANY(ARRAY("
        "SELECT key FROM measurement_key WHERE observed_at < $1 LIMIT $2))",
        until,
        KEYS_AT_ONCE,
    )
    return int(done.rsplit(" ", 1)[-1]) == KEYS_AT_ONCE
