"""Intents are answered by reports. Nothing here fulfils an intent yet: each is rejected, because there is no handler.

An intent is answered once for each expression, and again when a client puts it back to Created.
"""

from __future__ import annotations

from typing import Any

from experience_management.intent import CREATED, NO_HANDLER, REJECTED
from experience_management.resources import Intent, IntentReport
from tmfkit import Context, Transaction
from tmfkit.types import Document
from tmfkit.write import rfc3339

AT_ONCE = 100
WAITING = """
SELECT i.id FROM intent i LEFT JOIN intent_answer a ON a.intent_id = i.id
WHERE a.intent_id IS NULL
   OR (i.updated_at > a.answered_at
       AND (a.expression <> md5(i.doc ->> 'expression') OR i.doc ->> 'lifecycleStatus' = $1))
ORDER BY i.id LIMIT $2
"""
LEFT_BEHIND = "SELECT a.intent_id FROM intent_answer a LEFT JOIN intent i ON i.id = a.intent_id WHERE i.id IS NULL"


async def due(ctx: Context[Any]) -> None:
    """Answer the intents that wait for it; forget the reports of those that are gone."""
    for row in await ctx.database.pool.fetch(LEFT_BEHIND):
        async with ctx.transaction() as tx:
            await _forget(tx, row["intent_id"])
    while rows := await ctx.database.pool.fetch(WAITING, CREATED, AT_ONCE):
        for row in rows:
            async with ctx.transaction() as tx:
                intent = await tx[Intent].find(row["id"], lock=True)
                if intent is not None:
                    await _reject(tx, intent, ctx.href(Intent, intent["id"]), rfc3339(ctx.now()))


async def _reject(tx: Transaction, intent: Document, href: str, now: str) -> None:
    reference = {
        "@type": "IntentRef",
        "@referredType": "Intent",
        "id": intent["id"],
        "href": href,
        "name": intent["name"],
    }
    await tx[IntentReport].insert(
        {
            "@type": "IntentReport",
            "name": REJECTED,
            "description": f"The intent is rejected: {NO_HANDLER}",
            "reason": NO_HANDLER,
            "creationDate": now,
            "intent": reference,
        }
    )
    if intent.get("lifecycleStatus") != REJECTED:
        changed = {**intent, "lifecycleStatus": REJECTED, "statusChangeDate": now, "lastUpdate": now}
        await tx[Intent].replace(intent, changed)
    await tx.execute(
        "INSERT INTO intent_answer (intent_id, expression)"
        " SELECT id, md5(doc ->> 'expression') FROM intent WHERE id = $1"
        " ON CONFLICT (intent_id) DO UPDATE SET expression = excluded.expression, answered_at = now()",
        intent["id"],
    )


async def _forget(tx: Transaction, intent_id: str) -> None:
    for report in await tx[IntentReport].select({"intent.id": intent_id}):
        await tx[IntentReport].delete(report["id"])
    await tx.execute("DELETE FROM intent_answer WHERE intent_id = $1", intent_id)
