"""Flow: batches that arrived -> verdicts over windows of data time -> violations raised and cleared.

A run is one transaction: it takes the batches not yet seen, judges every series they touched (all series of an
objective that is new or changed), writes violations with their events, and forgets the batches. Verdicts are made of
the ledger alone, so a run that died or was late is made up by the next one. A batch's traceparent goes into the events
it causes.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import numpy as np
import orjson

from service_quality import resources as r
from service_quality import violation as documents
from service_quality import watches as watching
from service_quality.domain.slo import Floats, Integers, Windows, windowed
from service_quality.settings import ServiceQualitySettings
from service_quality.watches import Judgement, Unreadable, Watch
from tmfkit import Context, Transaction
from tmfkit.call import CALL, Call
from tmfkit.types import Entity
from tmfkit.write import rfc3339

log = logging.getLogger("service_quality.evaluate")
Document = dict[str, Any]
Ctx = Context[ServiceQualitySettings]
LOCK = 0x6576616C
BATCHES = 500  # batches of one run; more are taken by the runs that follow at once
BUCKET_S = 3600  # series whose newest measurement lies in one hour are read together


@dataclass(frozen=True)
class Series:
    id: int
    service: str
    kpi: str
    resource: str
    watermark: datetime
    granularity_s: int
    traceparent: str | None

    def ends_s(self, window_s: int) -> int:
        """Where the last window ends that its data covers to the end (epoch seconds)."""
        newest = self.watermark.timestamp()
        covered = (newest + self.granularity_s) // window_s * window_s
        return int(min(covered, newest // window_s * window_s + window_s))


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows of the ledger as columns."""

    series: Integers
    observed_s: Floats
    value: Floats


async def due(ctx: Ctx) -> None:
    """Evaluate until nothing waits."""
    while await step(ctx):
        pass
    count = await ctx.database.fetchval("SELECT count(*) FROM breach WHERE cleared_at IS NULL")
    ctx.telemetry.gauge("service_quality_violations_open", "Service level violations that are open.").set(count)


async def step(ctx: Ctx) -> bool:
    """One run; True if batches are left."""
    async with ctx.transaction() as tx:
        await tx.execute("SELECT pg_advisory_xact_lock($1)", LOCK)  # two workers for a moment, after a lost connection
        arrivals = await tx.fetch(
            "SELECT seq, traceparent, series, newest, granularity_s FROM arrival ORDER BY seq LIMIT $1", BATCHES
        )
        touched = await advance(tx, arrivals)
        newest = await tx.fetchval("SELECT max(watermark) FROM series")
        watches, known = await current(ctx, tx, newest)
        renewed = {watch.kpi for watch in watches if known.get(watch.id) != watch.revision}
        affected = await _series(tx, touched, sorted(renewed))
        changes = await withdraw(ctx, tx, {watch.id for watch in watches}, newest or ctx.now())
        changes += await judge(ctx, tx, watches, affected)
        await _remember(tx, {watch.id: watch.revision for watch in watches}, known)
        await tx.execute("DELETE FROM arrival WHERE seq = ANY($1)", [row["seq"] for row in arrivals])
    if changes:
        ctx.wake("correlate")
    return len(arrivals) == BATCHES


async def advance(tx: Transaction, arrivals: Sequence[Any]) -> list[int]:
    """Move the watermarks of the series that batches touched; late rows move none. Ids of the touched series."""
    newest: dict[int, tuple[datetime, int, str | None]] = {}
    for row in arrivals:
        for id, at, granularity_s in zip(row["series"], row["newest"], row["granularity_s"], strict=True):
            before = newest.get(id)
            newest[id] = (max(at, before[0]) if before else at, granularity_s, row["traceparent"])
    if newest:
        ids = sorted(newest)
        await tx.execute(
            "UPDATE series s SET watermark = greatest(s.watermark, n.at), granularity_s = n.granularity_s,"
            " traceparent = n.traceparent FROM unnest($1::int[], $2::timestamptz[], $3::int[], $4::text[])"
            " AS n (id, at, granularity_s, traceparent) WHERE s.id = n.id",
            ids,
            *([newest[id][field] for id in ids] for field in range(3)),
        )
    return sorted(newest)


async def _series(tx: Transaction, touched: list[int], kpis: list[str]) -> list[Series]:
    rows = await tx.fetch(
        "SELECT id, service, kpi, resource, watermark, granularity_s, traceparent FROM series"
        " WHERE (id = ANY($1) OR kpi = ANY($2)) AND watermark IS NOT NULL",
        touched,
        kpis,
    )
    return [Series(*row) for row in rows]


# --- what is in force ---


async def current(ctx: Ctx, tx: Transaction, now: datetime | None) -> tuple[list[Watch], Mapping[str, str]]:
    """Every watch in force, and the revisions applied so far. What cannot be read is logged once per revision."""
    known = {row["id"]: row["revision"] for row in await tx.fetch("SELECT id, revision FROM watched")}
    units = {row["kpi"]: row["unit"] for row in await tx.fetch("SELECT kpi, unit FROM indicator")}
    specifications = await _specifications(ctx, tx)
    found: list[Watch] = []
    faults: dict[str, str] = {}
    async for doc, revision in _every(tx, r.ServiceLevelObjective):
        try:
            href = ctx.href(r.ServiceLevelObjective, doc["id"])
            watch = watching.objective(doc, revision, href, units, now)
        except Unreadable as fault:
            faults[doc["id"]] = f"{revision} {fault}"
        else:
            if watch is not None:
                found.append(replace(watch, specification=specifications.get(watch.id)))
    async for job, revision in _every(tx, r.ThresholdJob):
        if job.get("adminState") != r.AdminState.UNLOCKED:
            continue
        try:
            found += await _threshold_watches(ctx, tx, job, revision)
            state = "inProgress"
        except Unreadable as fault:
            faults[job["id"]] = f"{revision} {fault}"
            state = "failed"
        if job.get("executionState") != state:
            await _tell(ctx, tx, job["id"], state)
    for id, told in faults.items():
        if known.get(id) != told:
            log.warning("%s is not applied: %s", id, told)
    await _remember(tx, faults, known)
    return found, known


async def _threshold_watches(ctx: Ctx, tx: Transaction, job: Document, revision: int) -> list[Watch]:
    wanted = (job.get("performanceThreshold") or {}).get("id", "")
    stored = await tx[r.Threshold].row(wanted)
    threshold = None if stored is None else orjson.loads(stored.text)
    rules = [await tx[r.ThresholdRule].row(ref["id"]) for ref in (threshold or {}).get("thresholdRule", ())]
    # Of the job only what it says counts: its own state changes by being applied.
    said = {k: v for k, v in job.items() if k not in ("executionState", "lastUpdate")}
    return watching.threshold_job(
        job,
        threshold,
        [(orjson.loads(rule.text), rule.revision) for rule in rules if rule is not None],
        f"{_hash(said)} {stored.revision if stored else 0}",
        ctx.href(r.Threshold, wanted),
    )


async def _tell(ctx: Ctx, tx: Transaction, id: str, state: str) -> None:
    job = await tx[r.ThresholdJob].find(id, lock=True)
    if job is not None:
        await tx[r.ThresholdJob].replace(job, {**job, "executionState": state, "lastUpdate": rfc3339(ctx.now())})


def _hash(doc: Document) -> str:
    return blake2b(orjson.dumps(doc, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


async def _specifications(ctx: Ctx, tx: Transaction) -> dict[str, Document]:
    """Objective id -> the specification it is sold under."""
    found: dict[str, Document] = {}
    async for doc, _ in _every(tx, r.ServiceLevelSpecification):
        href = ctx.href(r.ServiceLevelSpecification, doc["id"])
        reference = {"id": doc["id"], "href": href, "name": doc["name"], "@referredType": "ServiceLevelSpecification"}
        for objective in doc["relatedServiceLevelObjective"]:
            found.setdefault(objective["id"], reference)
    return found


async def _every(tx: Transaction, model: type[Entity], size: int = 500) -> AsyncIterator[tuple[Document, int]]:
    store, offset = tx[model], 0
    while rows := (await store.page(store.query(None, limit=size, offset=offset)))[0]:
        for row in rows:
            yield orjson.loads(row.text), row.revision
        offset += len(rows)


async def _remember(tx: Transaction, revisions: Mapping[str, str], known: Mapping[str, str]) -> None:
    new = [(id, revision) for id, revision in revisions.items() if known.get(id) != revision]
    if new:
        await tx.executemany(
            "INSERT INTO watched (id, revision) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET revision = $2", new
        )


# --- verdicts ---


async def judge(ctx: Ctx, tx: Transaction, watches: Sequence[Watch], affected: Sequence[Series]) -> int:
    """Judge series under every watch that applies; how many violations were raised or cleared."""
    by_kpi: dict[str, list[Series]] = defaultdict(list)
    for series in affected:
        by_kpi[series.kpi].append(series)
    watches = [watch for watch in watches if watch.kpi in by_kpi]
    if not watches:
        return 0
    lookback_s = max(watch.windows * watch.policy.window_s for watch in watches)
    wanted = {watch.kpi for watch in watches}
    buckets: dict[int, list[Series]] = defaultdict(list)
    for series in affected:
        if series.kpi in wanted:
            buckets[int(series.watermark.timestamp()) // BUCKET_S].append(series)
    open_now = {
        (row["watch_id"], row["series_id"]): row["violation_id"]
        for row in await tx.fetch("SELECT watch_id, series_id, violation_id FROM breach WHERE cleared_at IS NULL")
    }
    units = {row["kpi"]: row["unit"] for row in await tx.fetch("SELECT kpi, unit FROM indicator")}
    raised: list[Raised] = []
    changes = 0
    for bucket, members in sorted(buckets.items()):
        begins_s, ends_s = bucket * BUCKET_S - lookback_s, (bucket + 1) * BUCKET_S
        samples = await read(tx, [series.id for series in members], begins_s, ends_s)
        for watch in watches:
            applied = [s for s in members if s.kpi == watch.kpi and watch.applies(s.service, s.resource)]
            for ends, group in _by_end(applied, watch.policy.window_s).items():
                before = np.array([(watch.id, s.id) in open_now for s in group], dtype=np.bool_)
                seen = _windows(samples, group, ends, watch)
                judged = watch.judge(seen, before)
                unit = units.get(watch.kpi, "")
                new = np.flatnonzero(judged.violated & ~before).tolist()
                raised += [_raised(ctx, watch, group[row], unit, seen, judged, row) for row in new]
                for row in np.flatnonzero(judged.well & before).tolist():
                    series = group[row]
                    await _clear(ctx, tx, open_now[watch.id, series.id], series, seen, judged, row)
                    changes += 1
    await _open(ctx, tx, raised)
    return changes + len(raised)


async def read(tx: Transaction, ids: list[int], begins_s: int, ends_s: int) -> Samples:
    """Measurements of series in [begins_s, ends_s), epoch seconds."""
    row = await tx.fetchrow(
        "SELECT array_agg(series_id) AS series, array_agg(extract(epoch FROM observed_at)::float8) AS observed_s,"
        " array_agg(value) AS value FROM measurement WHERE series_id = ANY($1)"
        " AND observed_at >= to_timestamp($2::bigint) AND observed_at < to_timestamp($3::bigint)",
        ids,
        begins_s,
        ends_s,
    )
    return Samples(
        np.array(row["series"] or [], dtype=np.int64),
        np.array(row["observed_s"] or [], dtype=np.float64),
        np.array(row["value"] or [], dtype=np.float64),
    )


def _by_end(members: Iterable[Series], window_s: int) -> dict[int, list[Series]]:
    found: dict[int, list[Series]] = defaultdict(list)
    for series in members:
        found[series.ends_s(window_s)].append(series)
    return found


def _windows(samples: Samples, group: Sequence[Series], ends_s: int, watch: Watch) -> Windows:
    ids = np.array([series.id for series in group], dtype=np.int64)
    order = np.argsort(ids)
    at = np.minimum(np.searchsorted(ids, samples.series, sorter=order), len(ids) - 1)
    rows = order[at]
    rows = np.where(ids[rows] == samples.series, rows, -1)
    begins = float(ends_s - watch.windows * watch.policy.window_s)
    return windowed(rows, samples.observed_s, samples.value, begins, (len(group), watch.windows), watch.policy)


@dataclass(frozen=True)
class Raised:
    """A new violation before it is written."""

    watch: Watch
    series: Series
    doc: Document
    started_at: datetime
    raised_at: datetime


def _raised(ctx: Ctx, watch: Watch, series: Series, unit: str, seen: Windows, judged: Judgement, row: int) -> Raised:
    doc = documents.opened(watch, series.service, series.resource, unit, seen, judged, row, ctx.now())
    ends = documents.instant_at(seen, watch.windows)
    return Raised(watch, series, doc, documents.began(seen, judged.bad[row]), ends)


async def _open(ctx: Ctx, tx: Transaction, raised: Iterable[Raised]) -> None:
    """Write new violations, those of one batch in one statement under its trace."""
    by_trace: dict[str | None, list[Raised]] = defaultdict(list)
    for one in raised:
        by_trace[one.series.traceparent].append(one)
    for trace, found in by_trace.items():
        with caused_by(ctx, "evaluate", trace) as traceparent:
            stored = await tx[r.ServiceLevelViolation].insert_many([one.doc for one in found])
        await tx.executemany(
            "INSERT INTO breach (violation_id, watch_id, series_id, better, started_at, raised_at, traceparent)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                (
                    doc["id"], one.watch.id, one.series.id, one.watch.better, one.started_at, one.raised_at, traceparent
                )
                for doc, one in zip(stored, found, strict=True)
            ],
        )  # fmt: skip


async def _clear(
    ctx: Ctx, tx: Transaction, id: str, series: Series, seen: Windows, judged: Judgement, row: int
) -> None:
    store = tx[r.ServiceLevelViolation]
    doc = await store.get(id, lock=True)
    with caused_by(ctx, "evaluate", series.traceparent) as traceparent:
        await store.replace(doc, documents.cleared(doc, seen, judged, row, ctx.now()))
    cleared_at = documents.instant_at(seen, seen.value.shape[1])
    await _cleared(tx, id, cleared_at, traceparent)


async def withdraw(ctx: Ctx, tx: Transaction, in_force: set[str], at: datetime) -> int:
    """Clear violations of objectives that were deleted, ended or cannot be read any more."""
    rows = await tx.fetch(
        "SELECT b.violation_id, s.traceparent FROM breach b JOIN series s ON s.id = b.series_id"
        " WHERE b.cleared_at IS NULL AND b.watch_id <> ALL($1)",
        sorted(in_force),
    )
    store = tx[r.ServiceLevelViolation]
    for row in rows:
        doc = await store.get(row["violation_id"], lock=True)
        with caused_by(ctx, "evaluate", row["traceparent"]) as traceparent:
            await store.replace(doc, documents.withdrawn(doc, at, ctx.now()))
        await _cleared(tx, doc["id"], at, traceparent)
    return len(rows)


async def _cleared(tx: Transaction, id: str, at: datetime, traceparent: str | None) -> None:
    # Late data can clear a violation in windows before the ones that raised it; its time still has a length.
    await tx.execute(
        "UPDATE breach SET cleared_at = greatest($2, started_at + $4), traceparent = $3 WHERE violation_id = $1",
        id,
        at,
        traceparent,
        timedelta(microseconds=1),
    )


@contextmanager
def caused_by(ctx: Context[Any], flow: str, traceparent: str | None) -> Iterator[str]:
    """Write under the trace of what caused it: events in this block carry on that trace. Gives the traceparent."""
    with ctx.telemetry.span(flow, traceparent) as span:
        token = CALL.set(Call(f"{ctx.name}/{flow}", span.traceparent))
        try:
            yield span.traceparent
        finally:
            CALL.reset(token)
