"""The flow that makes the view of every customer to whom something happened.

Handlers mark customers; our own customers (TMF629) mark themselves by the outbox rows that their changes leave in the
same transaction. A mark is removed in the transaction that writes the view, unless it was renewed meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson

from customer_360.compose import History, Products, differs, history, view
from customer_360.resources import Customer, Customer360
from customer_360.settings import Customer360Settings
from tmfkit import Context, Transaction
from tmfkit.call import CALL, Call

log = logging.getLogger("customer_360")
PORTION = 250
OVERLAP_S = 60.0
"""Rows of the outbox are looked at again for this long: a transaction may commit after one that took a later number."""
DELAY_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)


async def due(ctx: Context[Customer360Settings]) -> None:
    """Make all views that are due, a portion in each transaction."""
    await notice(ctx)
    while await portion(ctx):
        pass


async def notice(ctx: Context[Customer360Settings]) -> None:
    """Mark our own customers that were created, changed or deleted since their view was made.

    What is found twice (OVERLAP_S) is told apart by the revision that the view was made of.
    """
    async with ctx.transaction() as tx:
        seen = await tx.fetchval("SELECT seq FROM progress WHERE name = 'customer'") or 0
        await tx.execute(
            "INSERT INTO touched (customer, at, traceparent)"
            " SELECT o.resource_id, min(o.at), (array_agg(o.traceparent ORDER BY o.seq DESC))[1] FROM outbox o"
            " LEFT JOIN customer c ON c.id = o.resource_id LEFT JOIN assembled a ON a.customer = o.resource_id"
            " WHERE o.seq > $1 AND o.resource = $2 AND c.revision IS DISTINCT FROM a.revision"
            ' GROUP BY o.resource_id ORDER BY o.resource_id COLLATE "C" ON CONFLICT (customer) DO UPDATE'
            " SET version = DEFAULT,"
            " traceparent = coalesce(excluded.traceparent, touched.traceparent)",
            seen, Customer.__name__,
        )  # fmt: skip
        await tx.execute(
            "INSERT INTO progress (name, seq) SELECT 'customer', seq FROM (SELECT max(seq) AS seq FROM outbox"
            " WHERE seq > $1 AND at < now() - make_interval(secs => $2)) AS old WHERE seq IS NOT NULL"
            " ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
            seen, OVERLAP_S,
        )  # fmt: skip


async def portion(ctx: Context[Customer360Settings]) -> bool:
    """Make the views that have waited longest. False when none is left."""
    async with ctx.transaction() as tx:
        marks = await tx.fetch(
            "SELECT customer, version, traceparent, extract(epoch FROM clock_timestamp() - at)::float8 AS waited_s"
            " FROM touched ORDER BY at LIMIT $1",
            PORTION,
        )
        if not marks:
            return False
        ids = sorted(mark["customer"] for mark in marks)
        traces = {mark["customer"]: mark["traceparent"] for mark in marks}
        customers = {
            row["id"]: (orjson.loads(row["doc"]), row["revision"])
            for row in await tx.fetch(
                "SELECT id, revision, doc::text AS doc FROM customer WHERE id = ANY($1::text[])", ids
            )
        }
        views = {
            row["id"]: orjson.loads(row["doc"])
            for row in await tx.fetch(
                "SELECT id, doc::text AS doc FROM customer360 WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE", ids
            )
        }
        pasts, products = await _pasts(ctx, tx, ids), await _products(tx, ids)
        for id in ids:
            token = CALL.set(Call(f"{ctx.name}/assemble", traces[id]))
            try:
                old = views.get(id)
                if id in customers:
                    await _write(ctx, tx, old, customers[id][0], pasts[id], products[id])
                elif old is not None:
                    await tx[Customer360].delete(id)
            finally:
                CALL.reset(token)
        await _erase(tx, [id for id in ids if id not in customers and id in views])
        await _forget(tx, [row for id in ids if id in customers for row in pasts[id].dropped])
        await _want_products(ctx, tx, [id for id in ids if id in customers and pasts[id].rows])
        await _done(tx, marks, {id: revision for id, (_, revision) in customers.items()})
    _count(ctx, [mark["waited_s"] for mark in marks])
    return True


async def _write(
    ctx: Context[Customer360Settings],
    tx: Transaction,
    old: dict[str, Any] | None,
    customer: dict[str, Any],
    past: History,
    products: Products,
) -> None:
    new = view(customer, ctx.href(Customer, customer["id"]), past, products, ctx.settings, ctx.now())
    if old is None:
        await tx[Customer360].insert(new)
    elif differs(old, new):
        await tx[Customer360].replace(old, new)


async def _pasts(ctx: Context[Customer360Settings], tx: Transaction, ids: Sequence[str]) -> dict[str, History]:
    rows: dict[str, list[Mapping[str, Any]]] = {id: [] for id in ids}
    for row in await tx.fetch(
        "SELECT customer, source, reference, occurred_at, slot, recorded_at, event_type, href, referred_type, title,"
        " payload::text AS payload FROM timeline WHERE customer = ANY($1::text[])",
        ids,
    ):
        rows[row["customer"]].append({**row, "payload": orjson.loads(row["payload"])})
    return {id: history(of, ctx.settings) for id, of in rows.items()}


async def _products(tx: Transaction, ids: Sequence[str]) -> dict[str, Products]:
    found = {id: Products(None, None, False) for id in ids}
    for row in await tx.fetch(
        "SELECT customer, products::text AS products, read_at, stale FROM product_view"
        " WHERE customer = ANY($1::text[])",
        ids,
    ):
        items = orjson.loads(row["products"]) if row["products"] is not None else None
        found[row["customer"]] = Products(items, row["read_at"], row["stale"])
    return found


async def _erase(tx: Transaction, ids: Sequence[str]) -> None:
    """What we knew of customers who are no longer ours."""
    for table in ("timeline", "product_view", "assembled"):
        await tx.execute(f"DELETE FROM {table} WHERE customer = ANY($1::text[])", ids)


async def _forget(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows that fell off the end of their timeline."""
    if rows:
        await tx.execute(
            "DELETE FROM timeline t USING unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])"
            " AS d (customer, source, reference, occurred_at) WHERE t.customer = d.customer AND t.source = d.source"
            " AND t.reference = d.reference AND t.occurred_at = d.occurred_at",
            *([row[name] for row in rows] for name in ("customer", "source", "reference", "occurred_at")),
        )


async def _want_products(ctx: Context[Customer360Settings], tx: Transaction, ids: Sequence[str]) -> None:
    """Customers with something on their timeline whose products have not been looked up of late."""
    wanted = await tx.fetch(
        "INSERT INTO product_view AS v (customer) SELECT unnest($1::text[]) ON CONFLICT (customer) DO UPDATE"
        " SET wanted = true WHERE NOT v.wanted AND v.read_at < $2 RETURNING 1",
        ids, ctx.now() - timedelta(seconds=ctx.settings.product_fresh_s),
    )  # fmt: skip
    if wanted:
        ctx.wake("products")


async def _done(tx: Transaction, marks: Sequence[Mapping[str, Any]], revisions: Mapping[str, int]) -> None:
    await tx.execute(
        "INSERT INTO assembled (customer, revision) SELECT * FROM unnest($1::text[], $2::int[])"
        " ON CONFLICT (customer) DO UPDATE SET revision = excluded.revision",
        list(revisions), list(revisions.values()),
    )  # fmt: skip
    await tx.execute(
        "WITH done AS (SELECT t.customer FROM touched t JOIN unnest($1::text[], $2::bigint[]) AS d (customer, version)"
        " USING (customer, version) ORDER BY t.customer FOR UPDATE OF t)"
        " DELETE FROM touched USING done WHERE touched.customer = done.customer",
        [mark["customer"] for mark in marks], [mark["version"] for mark in marks],
    )  # fmt: skip


def _count(ctx: Context[Customer360Settings], waited_s: Sequence[float]) -> None:
    ctx.telemetry.counter("customer360_assembled", "Views made of a customer.").inc(len(waited_s))
    delay = ctx.telemetry.histogram(
        "customer360_assembly_delay",
        "Time from hearing that something happened to a customer to their view.",
        unit="seconds",
        buckets=DELAY_BUCKETS_S,
    )
    for seconds in waited_s:
        delay.observe(max(seconds, 0.0))


async def reconcile(ctx: Context[Customer360Settings]) -> None:
    """Compare all customers with their views, for what no outbox row tells any more; and forget what was told of
    customers who never became ours."""
    async with ctx.transaction() as tx:
        await tx.execute(
            "INSERT INTO touched (customer) SELECT coalesce(c.id, a.customer) AS id FROM customer c"
            " FULL JOIN assembled a ON a.customer = c.id WHERE c.revision IS DISTINCT FROM a.revision ORDER BY id"
            " ON CONFLICT DO NOTHING"
        )
        await tx.execute(
            "DELETE FROM timeline t WHERE recorded_at < $1 AND NOT EXISTS"
            " (SELECT FROM customer c WHERE c.id = t.customer)",
            ctx.now() - timedelta(seconds=ctx.settings.unknown_retention_s),
        )
    ctx.wake("assemble")
