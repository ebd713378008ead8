"""The door of the ledger: customer and experience events become rows, and say who is to be assessed again.

Handlers run in the transaction that remembers the event's id, so that an event counts once. A customer's row is locked
first: what is derived from several rows of one customer is derived by one handler at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson

from churn_prediction import readings
from churn_prediction.domain import experience
from churn_prediction.domain.experience import MEAN, SERVICES, TREND, WORST, Observation, Snapshot
from churn_prediction.domain.features import Kind
from churn_prediction.readings import LIVE_ORIGIN, CustomerReading, FeatureReading
from tmfkit import Event, Transaction
from tmfkit.call import CALL

CUSTOMER_CHANGED, EXPERIENCE_CHANGED, EXPERIENCE_FADED = "customerChanged", "experienceChanged", "experienceFaded"
SUMMARY = (MEAN, WORST, TREND)
OF_CUSTOMER = ("customer", "feature_row", "outcome", "protected", "observation", "touched", "assessed", "offered")

APPEND_TOLD = """
WITH told AS (
    SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
        AS t (feature, value, kind, as_of, origin)
), known AS (
    SELECT DISTINCT ON (feature) feature, value, kind, origin FROM feature_row
    WHERE customer_id = $1 AND origin <> $7 ORDER BY feature, as_of DESC, seq DESC
)
INSERT INTO feature_row (customer_id, feature, value, kind, as_of, origin)
SELECT $1, feature, t.value, coalesce(t.kind, k.kind), coalesce(t.as_of, $8), coalesce(t.origin, k.origin)
FROM told t FULL JOIN known k USING (feature)
WHERE t.value IS DISTINCT FROM k.value
RETURNING feature
"""
APPEND_DERIVED = """
WITH derived AS (
    SELECT * FROM unnest($2::text[], $3::text[]) AS t (feature, value)
), holds AS (
    SELECT DISTINCT ON (feature) feature, value, as_of FROM feature_row
    WHERE customer_id = $1 AND feature = ANY($2) ORDER BY feature, as_of DESC, seq DESC
)
INSERT INTO feature_row (customer_id, feature, value, kind, as_of, origin)
SELECT $1, feature, d.value, $4, greatest($5::timestamptz, h.as_of), $6
FROM derived d LEFT JOIN holds h USING (feature)
WHERE d.value IS DISTINCT FROM h.value
"""


async def on_customer(tx: Transaction, event: Event) -> None:
    """Create, attribute change, state change: the characteristics as they are now. Delete: everything is forgotten."""
    reading = readings.customer(event.resource)
    if reading is None:
        return
    if event.kind == "Delete":
        await forget(tx, reading.id)
        return
    at = readings.instant(event.event_time) or await tx.fetchval("SELECT now()")
    status_before = await tx.fetchrow(
        "INSERT INTO customer AS c (id, name, href, status) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (id) DO UPDATE SET name = $2, href = coalesce($3, c.href), status = $4"
        " RETURNING (SELECT status FROM customer WHERE id = $1) AS status",
        reading.id, reading.name, reading.href, reading.status,
    )  # fmt: skip
    features = await _admitted(tx, reading)
    changed = await _appended(tx, reading.id, features, at)
    if reading.outcome is not None:
        told_at = max([at, *(f.as_of for f in features if f.as_of is not None)])
        await tx.execute(
            "INSERT INTO outcome AS o (customer_id, name, churned, label_from, told_at) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (customer_id) DO UPDATE SET name = $2, churned = $3, label_from = $4, told_at = $5"
            " WHERE (o.name, o.churned, o.label_from) IS DISTINCT FROM ($2, $3, $4)",
            reading.id, reading.outcome.name, reading.outcome.churned, reading.outcome.label_from,
            told_at,
        )  # fmt: skip
    if reading.protected:
        await tx.execute(
            "INSERT INTO protected (customer_id, name, value) SELECT $1, * FROM unnest($2::text[], $3::jsonb[])"
            " ON CONFLICT (customer_id, name) DO UPDATE SET value = excluded.value",
            reading.id, list(reading.protected), [orjson.dumps(v).decode() for v in reading.protected.values()],
        )  # fmt: skip
    if changed.intersection((*SUMMARY, SERVICES)):
        await derive(tx, reading.id)
    if changed or status_before["status"] != reading.status:
        await touch(tx, reading.id, CUSTOMER_CHANGED, event.event_id)


async def on_score(tx: Transaction, event: Event) -> None:
    """An experience score of the customer, or of a thing that the customer owns."""
    reading = readings.score(event.resource)
    if reading is None:
        return
    known = await tx.fetchval("SELECT id FROM customer WHERE id = $1 FOR NO KEY UPDATE", reading.customer_id)
    await tx.execute(
        "INSERT INTO observation AS o (customer_id, score_id, ended_at, started_at, computed_at, service_id, score,"
        " score_href, cause) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb)"
        " ON CONFLICT (customer_id, score_id, ended_at) DO UPDATE SET started_at = $4, computed_at = $5, score = $7,"
        " cause = $9::jsonb WHERE o.computed_at <= $5",
        reading.customer_id, reading.id, reading.end, reading.start, reading.computed_at, reading.service_id,
        reading.score, reading.href, orjson.dumps(reading.causes).decode(),
    )  # fmt: skip
    if known is not None:
        await derive(tx, reading.customer_id)
        await touch(tx, reading.customer_id, EXPERIENCE_CHANGED, event.event_id)


async def forget(tx: Transaction, customer_id: str) -> None:
    """A customer deleted at the source leaves no row here; published assessments are deleted through their API."""
    for table in OF_CUSTOMER:
        column = "id" if table == "customer" else "customer_id"
        await tx.execute(f"DELETE FROM {table} WHERE {column} = $1", customer_id)


async def touch(tx: Transaction, customer_id: str, reason: str, event_id: str | None = None) -> None:
    """Have a customer assessed again, in the trace of what made it so."""
    await tx.execute(
        "INSERT INTO touched (customer_id, reason, event_id, traceparent) VALUES ($1, $2, $3, $4)",
        customer_id, reason, event_id, CALL.get().traceparent,
    )  # fmt: skip


async def fade(tx: Transaction, limit: int) -> int:
    """Take scores out that have become older than a week of data time (the newest score anybody has); how many."""
    rows = await tx.fetch(
        "UPDATE observation SET faded = true WHERE (customer_id, score_id, ended_at) IN ("
        " SELECT customer_id, score_id, ended_at FROM observation"
        " WHERE NOT faded AND ended_at <= (SELECT max(ended_at) FROM observation WHERE NOT faded) - $1::interval"
        " ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING customer_id",
        experience.WEEK, limit,
    )  # fmt: skip
    for customer_id in sorted({r["customer_id"] for r in rows}):
        if await tx.fetchval("SELECT id FROM customer WHERE id = $1 FOR NO KEY UPDATE", customer_id) is not None:
            await derive(tx, customer_id)
            await touch(tx, customer_id, EXPERIENCE_FADED)
    return len(rows)


async def derive(tx: Transaction, customer_id: str) -> None:
    """Write the live experience features of a customer, whose row is locked: see domain.experience.week.

    They are dated at the end of the newest score, now, or the snapshot's instant, whichever is latest, so that they hold
    over the snapshot they are derived from.
    """
    rows = await tx.fetch(
        "SELECT service_id, started_at, ended_at, score, (SELECT max(ended_at) FROM observation WHERE NOT faded)"
        " AS newest FROM observation WHERE customer_id = $1 AND NOT faded",
        customer_id,
    )
    live = await tx.fetchval(
        "SELECT true FROM feature_row WHERE customer_id = $1 AND origin = $2 LIMIT 1", customer_id, LIVE_ORIGIN
    )
    if not rows and not live:
        return
    told = {
        r["feature"]: None if r["value"] is None else float(r["value"])
        for r in await tx.fetch(
            "SELECT DISTINCT ON (feature) feature, value FROM feature_row WHERE customer_id = $1 AND origin <> $2"
            " AND feature = ANY($3) AND kind = $4 ORDER BY feature, as_of DESC, seq DESC",
            customer_id, LIVE_ORIGIN, [*SUMMARY, SERVICES], Kind.NUMERIC.value,
        )
    }  # fmt: skip
    now: datetime = await tx.fetchval("SELECT now()")
    at = max(now, *(r["ended_at"] for r in rows)) if rows else now
    features = experience.week(
        Snapshot(told.get(MEAN), told.get(WORST), told.get(TREND), told.get(SERVICES)),
        [Observation(r["service_id"], r["started_at"], r["ended_at"], r["score"]) for r in rows],
        rows[0]["newest"] if rows else now,
    )
    texts = [None if v is None else repr(v) for v in features.values()]
    await tx.execute(APPEND_DERIVED, customer_id, list(features), texts, Kind.NUMERIC.value, at, LIVE_ORIGIN)


async def _admitted(tx: Transaction, reading: CustomerReading) -> list[FeatureReading]:
    """The features whose kind is the one that was declared first; the others are refused, and counted as such."""
    refused = dict(reading.refused)
    admitted = list(reading.features)
    if admitted:
        await tx.execute(
            "INSERT INTO feature AS f (name, kind, driver_group, origin, reviewed)"
            " SELECT t.* FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])"
            "  AS t (name, kind, driver_group, origin, reviewed)"
            " LEFT JOIN feature k ON k.name = t.name AND k.driver_group = t.driver_group AND k.origin = t.origin"
            "  AND k.reviewed = t.reviewed WHERE k.name IS NULL ORDER BY t.name"
            " ON CONFLICT (name) DO UPDATE SET driver_group = excluded.driver_group, origin = excluded.origin,"
            " reviewed = excluded.reviewed",
            [f.name for f in admitted], [f.kind.value for f in admitted], [f.group.value for f in admitted],
            [f.origin for f in admitted], [f.reviewed for f in admitted],
        )  # fmt: skip
        declared = {
            r["name"]: r["kind"]
            for r in await tx.fetch(
                "SELECT name, kind FROM feature WHERE name = ANY($1)", [f.name for f in reading.features]
            )
        }
        for f in reading.features:
            if declared[f.name] != f.kind:
                refused[f.name] = f"it was declared as {declared[f.name]} and now comes as {f.kind}"
        admitted = [f for f in admitted if f.name not in refused]
    if refused:
        await tx.execute(
            "INSERT INTO refusal AS r (name, why, count) SELECT name, why, 1 FROM unnest($1::text[], $2::text[])"
            " AS t (name, why) ORDER BY name ON CONFLICT (name, why) DO UPDATE SET count = r.count + 1, last_at = now()",
            list(refused), list(refused.values()),
        )  # fmt: skip
    return admitted


async def _appended(
    tx: Transaction, customer_id: str, features: Sequence[FeatureReading], at: datetime
) -> frozenset[str]:
    """Append what differs from what was told last; the names of what did. What is no longer told is unknown from now
    on."""
    rows = await tx.fetch(
        APPEND_TOLD, customer_id, [f.name for f in features], [f.value for f in features],
        [f.kind.value for f in features], [f.as_of or at for f in features], [f.origin for f in features],
        LIVE_ORIGIN, at,
    )  # fmt: skip
    return frozenset(r["feature"] for r in rows)
