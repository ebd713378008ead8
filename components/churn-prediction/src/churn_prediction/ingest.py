"""The door of the ledger: customer and experience events become rows, and say who is to be assessed again.

Handlers run in the transaction that remembers the event's id, so that an event counts once. They take one customer each
and lock it first: what is derived from several rows of a customer is derived by one of them at a time.
"""

from __future__ import annotations

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

TELL = """
WITH told AS (
    SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
        AS t (feature, value, kind, as_of, origin)
), known AS (
    SELECT DISTINCT ON (feature) feature, value, kind, origin FROM feature_row
    WHERE customer_id = $1 AND origin <> $7 ORDER BY feature, as_of DESC, seq DESC
), appended AS (
    INSERT INTO feature_row (customer_id, feature, value, kind, as_of, origin)
    SELECT $1, feature, t.value, coalesce(t.kind, k.kind), coalesce(t.as_of, $8), coalesce(t.origin, k.origin)
    FROM told t FULL JOIN known k USING (feature)
    WHERE t.value IS DISTINCT FROM k.value
    RETURNING feature
), labelled AS (
    INSERT INTO outcome AS o (customer_id, name, churned, label_from, told_at)
    SELECT $1, $9, $10, $11, greatest($8, (SELECT max(as_of) FROM told)) WHERE $9::text IS NOT NULL
    ON CONFLICT (customer_id) DO UPDATE
    SET name = excluded.name, churned = excluded.churned, label_from = excluded.label_from, told_at = excluded.told_at
    WHERE (o.name, o.churned, o.label_from) IS DISTINCT FROM (excluded.name, excluded.churned, excluded.label_from)
), apart AS (
    INSERT INTO protected (customer_id, name, value) SELECT $1, * FROM unnest($12::text[], $13::jsonb[])
    ON CONFLICT (customer_id, name) DO UPDATE SET value = excluded.value WHERE protected.value <> excluded.value
), again AS (
    INSERT INTO touched (customer_id, reason, event_id, traceparent)
    SELECT $1, $14, $15, $16 WHERE $17 OR EXISTS (SELECT FROM appended)
)
SELECT feature FROM appended
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
    await _lock(tx, reading.id)
    if event.kind == "Delete":
        await forget(tx, reading.id)
        return
    row = await tx.fetchrow(
        "INSERT INTO customer AS c (id, name, href, status) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (id) DO UPDATE SET name = $2, href = coalesce($3, c.href), status = $4"
        " RETURNING now() AS now, (SELECT status FROM customer WHERE id = $1) AS status_before",
        reading.id, reading.name, reading.href, reading.status,
    )  # fmt: skip
    at = readings.instant(event.event_time) or row["now"]
    features, label = await _admitted(tx, reading), reading.outcome
    appended = await tx.fetch(
        TELL, reading.id, [f.name for f in features], [f.value for f in features], [f.kind.value for f in features],
        [f.as_of or at for f in features], [f.origin for f in features], LIVE_ORIGIN, at,
        label and label.name, label and label.churned, label and label.label_from,
        list(reading.protected), [orjson.dumps(v).decode() for v in reading.protected.values()],
        CUSTOMER_CHANGED, event.event_id, CALL.get().traceparent, row["status_before"] != reading.status,
    )  # fmt: skip
    if {r["feature"] for r in appended}.intersection((*SUMMARY, SERVICES)):
        await derive(tx, reading.id)


async def on_score(tx: Transaction, event: Event) -> None:
    """An experience score of the customer, or of a thing that the customer owns."""
    reading = readings.score(event.resource)
    if reading is None:
        return
    await _lock(tx, reading.customer_id)
    known = await tx.fetchval(
        "INSERT INTO observation AS o (customer_id, score_id, ended_at, started_at, computed_at, service_id, score,"
        " score_href, cause) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb)"
        " ON CONFLICT (customer_id, score_id, ended_at) DO UPDATE SET started_at = $4, computed_at = $5, score = $7,"
        " cause = $9::jsonb WHERE o.computed_at <= $5"
        " RETURNING EXISTS (SELECT FROM customer WHERE id = $1)",
        reading.customer_id, reading.id, reading.end, reading.start, reading.computed_at, reading.service_id,
        reading.score, reading.href, orjson.dumps(reading.causes).decode(),
    )  # fmt: skip
    if known:
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
    """Drop scores that have become older than a week of data time (the newest score anybody has), and have their
    customers assessed again; how many customers."""
    rows = await tx.fetch(
        "SELECT customer_id, ended_at FROM observation"
        " WHERE ended_at <= (SELECT max(ended_at) FROM observation) - $1::interval ORDER BY ended_at LIMIT $2",
        experience.WEEK, limit,
    )  # fmt: skip
    until: dict[str, datetime] = {r["customer_id"]: r["ended_at"] for r in rows}
    for customer_id in sorted(until):
        await _lock(tx, customer_id)
        await tx.execute(
            "DELETE FROM observation WHERE customer_id = $1 AND ended_at <= $2", customer_id, until[customer_id]
        )
        if await tx.fetchval("SELECT true FROM customer WHERE id = $1", customer_id):
            await derive(tx, customer_id)
            await touch(tx, customer_id, EXPERIENCE_FADED)
    return len(until)


async def _lock(tx: Transaction, customer_id: str) -> None:
    """One handler at a time per customer, also for one who is not there yet."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"customer {customer_id}")


async def derive(tx: Transaction, customer_id: str) -> None:
    """Write the live experience features of a customer, who is locked: see domain.experience.week.

    They are dated at the end of the newest score, now, or the snapshot's instant, whichever is latest, so that they
    hold over the snapshot they are derived from.
    """
    rows = await tx.fetch(
        "SELECT service_id, started_at, ended_at, score, (SELECT max(ended_at) FROM observation) AS newest"
        " FROM observation WHERE customer_id = $1",
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
    names = [f.name for f in reading.features]
    declared = await _declared(tx, names) if names else {}
    new = [f for f in reading.features if declared.get(f.name, ())[1:] != (f.group, f.origin, f.reviewed)]
    if new:
        await tx.execute(
            "INSERT INTO feature (name, kind, driver_group, origin, reviewed)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS t (name)"
            " ORDER BY name ON CONFLICT (name) DO UPDATE"
            " SET driver_group = excluded.driver_group, origin = excluded.origin, reviewed = excluded.reviewed",
            [f.name for f in new], [f.kind.value for f in new], [f.group.value for f in new],
            [f.origin for f in new], [f.reviewed for f in new],
        )  # fmt: skip
        declared = await _declared(tx, names)
    for f in reading.features:
        kind = declared[f.name][0]
        if kind != f.kind:
            refused[f.name] = f"it was declared as {kind} and now comes as {f.kind}"
    if refused:
        await tx.execute(
            "INSERT INTO refusal AS r (name, why, count) SELECT name, why, 1 FROM unnest($1::text[], $2::text[])"
            " AS t (name, why) ORDER BY name"
            " ON CONFLICT (name, why) DO UPDATE SET count = r.count + 1, last_at = now()",
            list(refused), list(refused.values()),
        )  # fmt: skip
    return [f for f in reading.features if f.name not in refused]


async def _declared(tx: Transaction, names: list[str]) -> dict[str, tuple[str, ...]]:
    """Name -> kind, group, origin, reviewed."""
    rows = await tx.fetch("SELECT name, kind, driver_group, origin, reviewed FROM feature WHERE name = ANY($1)", names)
    return {r["name"]: tuple(r)[1:] for r in rows}
