"""The flow that looks up the products of customers (TMF637), beside the views, so that no view waits for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import orjson
from pydantic import ValidationError

from customer_360.ingest import mark, plain
from customer_360.readings import Product
from customer_360.settings import Customer360Settings
from tmfkit import Context
from tmfkit.types import Document
from tmfkit.upstream import UpstreamError

log = logging.getLogger("customer_360")
PRODUCTS = "tmf-api/productInventoryManagement/v5/product"
NEEDED = "id,href,name,description,status,productOffering,relatedParty"
CUSTOMERS_AT_ONCE = 50


async def due(ctx: Context[Customer360Settings]) -> None:
    """Look up what is wanted. While the inventory is silent the views say so, and keep what was known."""
    while True:
        rows = await ctx.database.pool.fetch(
            "SELECT customer FROM product_view WHERE wanted ORDER BY customer LIMIT $1", CUSTOMERS_AT_ONCE
        )
        ids = [row["customer"] for row in rows]
        if not ids:
            return
        try:
            found = await look_up(ctx, ids)
        except UpstreamError as e:
            await _silent(ctx, e)
            return
        await _keep(ctx, found)


async def look_up(ctx: Context[Customer360Settings], ids: Sequence[str]) -> dict[str, list[Document]]:
    """Customer -> products, as the view shows them. Errors: UpstreamError."""
    asked = {
        "relatedParty.partyOrPartyRole.id": ",".join(id.replace(",", "\\,") for id in ids),
        "fields": NEEDED,
    }
    found: dict[str, list[Document]] = {id: [] for id in ids}
    async for item in ctx.upstream("productInventory").pages(PRODUCTS, asked):
        try:
            product = Product.model_validate(item)
        except ValidationError as e:
            log.warning("product that cannot be read: %s", e.errors(include_url=False)[:3])
            continue
        shown = {name: value for name, value in (plain(product) or {}).items() if name != "relatedParty"}
        for customer in sorted({party.id for party in product.relatedParty}):
            if customer in found:
                found[customer].append(shown)
    return found


async def _keep(ctx: Context[Customer360Settings], found: dict[str, list[Document]]) -> None:
    async with ctx.transaction() as tx:
        changed = await tx.fetch(
            "WITH told AS (SELECT * FROM unnest($1::text[], $2::text[]) AS n (customer, products)),"
            " old AS (SELECT v.customer, v.products, v.stale, v.read_at FROM product_view v JOIN told USING (customer)"
            " ORDER BY v.customer FOR UPDATE OF v)"
            " UPDATE product_view v SET products = told.products::jsonb, read_at = $3, wanted = false, stale = false"
            " FROM told JOIN old USING (customer) WHERE v.customer = told.customer"
            " RETURNING v.customer, old.products IS DISTINCT FROM v.products OR old.stale AS news",
            list(found), [orjson.dumps(items).decode() for items in found.values()], ctx.now(),
        )  # fmt: skip
        await mark(tx, [row["customer"] for row in changed if row["news"]])
    ctx.wake("assemble")


async def _silent(ctx: Context[Customer360Settings], error: UpstreamError) -> None:
    async with ctx.transaction() as tx:
        rows = await tx.fetch("UPDATE product_view SET stale = true WHERE wanted AND NOT stale RETURNING customer")
        await mark(tx, [row["customer"] for row in rows])
    if rows:
        log.warning("products of %d customers are not known now: %s", len(rows), error)
        ctx.wake("assemble")
