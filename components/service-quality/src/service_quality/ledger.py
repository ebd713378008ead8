"""The ledger of measurements: units, series, partitions, and the one statement that adds rows.

A batch is one transaction. Its rows are copied into a session's staging table; the keys that are new decide which of
them are stored, so that an id is taken once whoever sends it, however often, at the same time or after a crash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from hashlib import blake2b
from math import inf
from typing import Any
from weakref import WeakKeyDictionary

from service_quality.domain.kpi import CATALOGUE, Direction, Kpi, scale
from service_quality.domain.measurement import Limits, Measurement, parse
from service_quality.settings import ServiceQualitySettings
from tmfkit import Context, Transaction
from tmfkit.call import CALL

PARTITION_LOCK = 0x7071
SERIES_KEPT = 1_000_000  # series remembered by a process, some 200 bytes each
Key = tuple[str, str, str]
Record = tuple[str, int, datetime, float, int, str, str | None]
COLUMNS = ["key", "series_id", "observed_at", "value", "granularity_s", "source", "id"]
STAGING = (
    "CREATE TEMP TABLE IF NOT EXISTS staging (key uuid, series_id integer, observed_at timestamptz,"
    " value double precision, granularity_s integer, source text, id text) ON COMMIT DELETE ROWS"
)
STORE = """
WITH fresh AS (
  INSERT INTO measurement_key (key, observed_at) SELECT key, observed_at FROM staging
  ON CONFLICT DO NOTHING RETURNING key
), stored AS (
  INSERT INTO measurement (series_id, observed_at, value, granularity_s, source, key, id)
  SELECT series_id, observed_at, value, granularity_s, source, key, id FROM staging JOIN fresh USING (key)
  RETURNING series_id, observed_at, granularity_s
), touched AS (
  SELECT series_id, max(observed_at) AS newest, max(granularity_s) AS granularity_s, count(*) AS rows
  FROM stored GROUP BY series_id
), noted AS (
  INSERT INTO arrival (traceparent, series, newest, granularity_s)
  SELECT $1, array_agg(series_id), array_agg(newest), array_agg(granularity_s) FROM touched HAVING count(*) > 0
)
SELECT coalesce(sum(rows), 0)::bigint FROM touched
"""
_HEX = re.compile("[0-9a-f]{32}").fullmatch


@dataclass(frozen=True)
class Refusal:
    """Rows of a batch refused for one reason, with the first of them."""

    attribute: str
    reason: str
    rows: int
    example: str


@dataclass(eq=False)
class Ledger:
    """What a process knows of the ledger. All of it is read again when missing; none of it ever changes there."""

    catalogue: dict[str, Kpi] = field(default_factory=lambda: dict(CATALOGUE))
    units: dict[str, str] = field(default_factory=dict)
    series: dict[Key, int] = field(default_factory=dict)
    weeks: set[date] = field(default_factory=set)

    async def limits(self, ctx: Context[ServiceQualitySettings]) -> Limits:
        """What the door lets in now: nothing too far ahead, nothing from before the horizon of retention."""
        settings, now = ctx.settings, ctx.now()
        until = await ctx.database.fetchval("SELECT until FROM horizon")
        age_s = settings.measurement_age_limit_s
        if until is not None:
            age_s = min(age_s, max(0.0, (now - until).total_seconds()))
        return Limits(now, settings.measurement_future_limit_s, age_s)

    async def learn_units(self, ctx: Context[Any], rows: Sequence[Any], limits: Limits) -> None:
        """Settle the unit of indicators seen for the first time: that of their first good row."""
        unknown = {k for row in rows if type(row) is dict and type(k := row.get("kpi")) is str and k not in self.units}
        if not unknown:
            return
        proposed: dict[str, str] = {}
        for row in rows:
            name = row.get("kpi") if type(row) is dict else None
            if name in unknown and name not in proposed and (row.get("unit") or name in CATALOGUE):
                good = parse(row, limits)
                if isinstance(good, Measurement):
                    proposed[good.kpi] = row.get("unit") or good.unit
        if proposed:
            names = sorted(proposed)
            await ctx.database.pool.execute(
                "INSERT INTO indicator (kpi, unit) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING",
                names,
                [proposed[name] for name in names],
            )
        storable = [name for name in unknown if name.isprintable()]
        for r in await ctx.database.pool.fetch("SELECT kpi, unit FROM indicator WHERE kpi = ANY($1)", storable):
            self.units[r["kpi"]] = r["unit"]
            self.catalogue[r["kpi"]] = in_unit(r["kpi"], r["unit"])

    async def learn_series(self, ctx: Context[Any], keys: Iterable[Key]) -> None:
        """Numbers for series, made for those that are new. Sorted, so that two batches never wait in a circle."""
        if len(self.series) > SERIES_KEPT:
            self.series.clear()
        columns = [list(column) for column in zip(*sorted(keys), strict=True)]
        await ctx.database.pool.execute(
            "INSERT INTO series (resource, service, kpi) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])"
            " ON CONFLICT DO NOTHING",
            *columns,
        )
        found = await ctx.database.pool.fetch(
            "SELECT s.id, s.resource, s.service, s.kpi FROM series s"
            " JOIN unnest($1::text[], $2::text[], $3::text[]) AS k (resource, service, kpi)"
            " USING (resource, service, kpi)",
            *columns,
        )
        self.series.update({(r["resource"], r["service"], r["kpi"]): r["id"] for r in found})

    async def make_room(self, ctx: Context[Any], weeks: set[date]) -> None:
        """Partitions for weeks that have none. Attached, not created in place: readers and writers do not wait."""
        missing = weeks - self.weeks
        if not missing:
            return
        async with ctx.transaction() as tx:
            await tx.execute("SELECT pg_advisory_xact_lock($1)", PARTITION_LOCK)
            for week in sorted(missing):
                name = partition(week)
                if await tx.fetchval("SELECT to_regclass($1) IS NULL", name):
                    await tx.execute(f"CREATE TABLE {name} (LIKE measurement INCLUDING DEFAULTS)")
                    await tx.execute(
                        f"ALTER TABLE measurement ATTACH PARTITION {name}"
                        f" FOR VALUES FROM ('{week} 00:00+00') TO ('{week + timedelta(days=7)} 00:00+00')"
                    )
        self.weeks |= missing

    async def store(self, ctx: Context[Any], records: Mapping[str, Record], refused: Sequence[Refusal]) -> int:
        """Write a batch; how many of its records were new."""
        stored = 0
        if records:
            await self.make_room(ctx, {week_of(at) for at in {record[2] for record in records.values()}})
        async with ctx.transaction() as tx:
            if records:
                await tx.execute(STAGING)
                # By key, so that two batches with the same keys lock them in one order and none deadlocks.
                await tx.copy("staging", COLUMNS, sorted(records.values()))
                stored = await tx.fetchval(STORE, CALL.get().traceparent)
            if refused:
                await self._note(tx, refused)
        return stored

    async def _note(self, tx: Transaction, refused: Sequence[Refusal]) -> None:
        await tx.executemany(
            "INSERT INTO rejection (attribute, reason, rows, example) VALUES ($1, $2, $3, $4)",
            [(r.attribute, r.reason, r.rows, r.example) for r in refused],
        )


_LEDGERS: WeakKeyDictionary[Context[Any], Ledger] = WeakKeyDictionary()


def ledger(ctx: Context[Any]) -> Ledger:
    """The ledger of a running component."""
    return _LEDGERS.setdefault(ctx, Ledger())


def key_of(id: str) -> tuple[str, str | None]:
    """The 128-bit key of an id, and the id itself where the key does not tell it."""
    if len(id) == 32 and _HEX(id):
        return id, None
    return blake2b(id.encode(), digest_size=16).hexdigest(), id


def week_of(at: datetime) -> date:
    """The Monday (UTC) of an instant's week."""
    return date.fromordinal(at.toordinal() - at.weekday())


def partition(week: date) -> str:
    return f"measurement_p{week.year:04d}{week.month:02d}{week.day:02d}"


def in_unit(kpi: str, unit: str) -> Kpi:
    """An indicator as the door judges it when its values are kept in `unit`; unknown ones have no plausible range."""
    known = CATALOGUE.get(kpi)
    if known is None:
        return Kpi(kpi, unit, Direction.HIGHER, -inf, inf, "", "")
    factor = scale(known.unit, unit) or 1.0
    room = 1e-9 * max(abs(known.low), abs(known.high)) * factor if factor != 1.0 else 0.0  # for binary fractions
    return replace(known, unit=unit, low=known.low * factor - room, high=known.high * factor + room)
