"""What was measured where a problem is: read from service quality (kpiSummary), kept as the evidence of scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from experience_management import readings
from experience_management.domain.kqi import Window
from experience_management.locate import any_of, portions
from experience_management.readings import KpiSummary
from experience_management.settings import ExperienceSettings
from tmfkit import Context, Transaction

SUMMARY = "tmf-api/performanceMeasurement/v1/kpiSummary"
PAGE = 500
Place = dict[str, Window]
"""KPI -> its window, for one kind of service at one resource."""


async def read(ctx: Context[ExperienceSettings], wanted: Iterable[tuple[str, str]]) -> list[KpiSummary]:
    """The KPI summaries of (service kind, resource) pairs, over the default window. Errors: UpstreamError."""
    by_kind: dict[str, set[str]] = {}
    for kind, resource in wanted:
        by_kind.setdefault(kind, set()).add(resource)
    found: list[KpiSummary] = []
    for kind, resources in sorted(by_kind.items()):
        for some in portions(sorted(resources)):
            asked = {"service": kind, "resource": any_of(some)}
            answers = [row async for row in ctx.upstream("serviceQuality").pages(SUMMARY, asked, page_size=PAGE)]
            found += readings.each(KpiSummary, answers)
    return found


async def record(tx: Transaction, problem_id: str, summaries: Sequence[KpiSummary]) -> int:
    """Append what was not observed before, and note what was usual at these places when the problem was first looked
    at. How many observations are new."""
    rows = [
        (s.resource, s.service, s.kpi, s.lastObservedAt, s.n, s.unit, s.mean, s.p10, s.p90, s.last)
        for s in summaries
        if s.lastObservedAt is not None
    ]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 10
    new = await tx.fetchval(
        "WITH new AS (INSERT INTO observation (resource, service, kpi, last_observed_at, n, unit, mean, p10, p90, last)"
        " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::int[], $6::text[],"
        " $7::float8[], $8::float8[], $9::float8[], $10::float8[]) ON CONFLICT DO NOTHING RETURNING 1)"
        " SELECT count(*) FROM new",
        *columns,
    )
    await tx.executemany(
        "INSERT INTO baseline (problem_id, resource, service, kpi, mean, sd) VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT DO NOTHING",
        [
            (problem_id, s.resource, s.service, s.kpi, s.baselineMean, s.baselineSd)
            for s in summaries
            if s.baselineMean is not None
        ],
    )
    return int(new)


async def places(tx: Transaction, problem_id: str, summaries: Sequence[KpiSummary]) -> Mapping[tuple[str, str], Place]:
    """(service kind, resource) -> its windows, with what was usual there before the problem as baseline."""
    rows = await tx.fetch("SELECT resource, service, kpi, mean, sd FROM baseline WHERE problem_id = $1", problem_id)
    usual = {(row["service"], row["resource"], row["kpi"]): (row["mean"], row["sd"]) for row in rows}
    found: dict[tuple[str, str], Place] = {}
    for summary in summaries:
        window = summary.window(usual.get((summary.service, summary.resource, summary.kpi)))
        if window is not None:
            found.setdefault((summary.service, summary.resource), {})[summary.kpi] = window
    return found
