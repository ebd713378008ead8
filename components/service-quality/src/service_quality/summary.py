"""What the ledger tells: measurements as they are kept, and each series over a window beside its baseline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from service_quality.domain.measurement import instant
from service_quality.settings import ServiceQualitySettings
from tmfkit import Context
from tmfkit.errors import BadRequest


@dataclass(frozen=True)
class Wanted:
    """A question to the ledger; None asks for all. The time is [begins, ends)."""

    resources: list[str] | None
    services: list[str] | None
    kpis: list[str] | None
    begins: datetime | None
    ends: datetime | None

    @classmethod
    def of(
        cls, resource: str | None, service: str | None, kpi: str | None, begins: str | None, ends: str | None
    ) -> Wanted:
        return cls(
            _several("resource", resource),
            _several("service", service),
            _several("kpi", kpi),
            _instant("from", begins),
            _instant("to", ends),
        )


def _several(name: str, text: str | None) -> list[str] | None:
    if text is not None and "\x00" in text:
        raise BadRequest("the character NUL is in no value", attribute=name)
    return None if text is None else [part for part in text.split(",") if part]


def _instant(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    at = instant(text.replace(" ", "+"))  # a raw + of an offset decodes to a blank
    if isinstance(at, str):
        raise BadRequest(at, attribute=name)
    return at


_SERIES = """
  ($1::text[] IS NULL OR s.resource = ANY($1)) AND ($2::text[] IS NULL OR s.service = ANY($2))
  AND ($3::text[] IS NULL OR s.kpi = ANY($3))
"""
_ROWS = f"""
  FROM measurement m JOIN series s ON s.id = m.series_id LEFT JOIN indicator i USING (kpi)
  WHERE {_SERIES}
  AND m.observed_at >= coalesce($4::timestamptz, '-infinity') AND m.observed_at < coalesce($5::timestamptz, 'infinity')
"""
_MEASUREMENTS = f"""
SELECT m.id, m.key, s.resource, s.service, s.kpi, m.value, coalesce(i.unit, '') AS unit, m.observed_at,
  m.granularity_s, m.source {_ROWS} ORDER BY m.observed_at, m.series_id, m.key OFFSET $6 LIMIT $7
"""
_SUMMARIES = f"""
WITH chosen AS (
  SELECT s.id, s.resource, s.service, s.kpi FROM series s
  WHERE {_SERIES} ORDER BY s.resource, s.service, s.kpi OFFSET $6 LIMIT $7
)
SELECT c.*, coalesce(i.unit, '') AS unit, last.value AS last, last.observed_at, w.*, b.*
FROM chosen c LEFT JOIN indicator i USING (kpi)
LEFT JOIN LATERAL (
  SELECT value, observed_at FROM measurement m WHERE m.series_id = c.id
  AND m.observed_at >= coalesce($4::timestamptz, '-infinity') AND m.observed_at < coalesce($5::timestamptz, 'infinity')
  ORDER BY m.observed_at DESC LIMIT 1
) last ON true
CROSS JOIN LATERAL (
  SELECT coalesce($4::timestamptz, last.observed_at - $8::interval + interval '1 microsecond') AS begins,
    coalesce($5::timestamptz, last.observed_at + interval '1 microsecond') AS ends
) span
CROSS JOIN LATERAL (
  SELECT count(*) AS n, avg(value) AS mean, percentile_disc(0.1) WITHIN GROUP (ORDER BY value) AS p10,
    percentile_disc(0.9) WITHIN GROUP (ORDER BY value) AS p90
  FROM measurement m WHERE m.series_id = c.id AND m.observed_at >= span.begins AND m.observed_at < span.ends
) w
CROSS JOIN LATERAL (
  SELECT avg(value) AS baseline_mean, stddev_samp(value) AS baseline_sd
  FROM measurement m WHERE m.series_id = c.id
  AND m.observed_at >= span.begins - $9::interval AND m.observed_at < span.begins
) b
ORDER BY c.resource, c.service, c.kpi
"""


async def measurements(ctx: Context[Any], wanted: Wanted, offset: int, limit: int) -> tuple[list[dict[str, Any]], int]:
    """One page of measurements, oldest first, and how many there are."""
    asked = (wanted.resources, wanted.services, wanted.kpis, wanted.begins, wanted.ends)
    async with ctx.database.pool.acquire() as connection:
        total = await connection.fetchval(f"SELECT count(*) {_ROWS}", *asked)
        found = await connection.fetch(_MEASUREMENTS, *asked, offset, limit) if limit else []
    return [
        {
            "id": r["id"] or r["key"].hex,
            "resource": r["resource"],
            "service": r["service"],
            "kpi": r["kpi"],
            "value": r["value"],
            "unit": r["unit"],
            "observedAt": r["observed_at"],
            "granularityS": r["granularity_s"],
            "source": r["source"],
        }
        for r in found
    ], total


async def summaries(
    ctx: Context[ServiceQualitySettings], wanted: Wanted, offset: int, limit: int
) -> tuple[list[dict[str, Any]], int]:
    """Each series over the window asked for: n, mean, nearest-rank quantiles (kpi's unit), its newest value, and mean
    and standard deviation of the time before. A series without a measurement there has n = 0 and no values."""
    asked = (wanted.resources, wanted.services, wanted.kpis, wanted.begins, wanted.ends)
    spans = (
        timedelta(seconds=ctx.settings.summary_window_s),
        timedelta(seconds=ctx.settings.summary_baseline_s),
    )
    async with ctx.database.pool.acquire() as connection:
        total = await connection.fetchval(f"SELECT count(*) FROM series s WHERE {_SERIES}", *asked[:3])
        found = await connection.fetch(_SUMMARIES, *asked, offset, limit, *spans) if limit else []
    return [
        {
            "resource": r["resource"],
            "service": r["service"],
            "kpi": r["kpi"],
            "unit": r["unit"],
            "n": r["n"],
            "mean": r["mean"],
            "p10": r["p10"],
            "p90": r["p90"],
            "last": r["last"],
            "lastObservedAt": r["observed_at"],
            "baselineMean": r["baseline_mean"],
            "baselineSd": r["baseline_sd"],
        }
        for r in found
    ], total
