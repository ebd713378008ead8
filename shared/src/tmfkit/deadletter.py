"""Dead letters: events that a listener refused to the end. They can be listed, and sent again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from tmfkit.context import Context
from tmfkit.errors import Forbidden, NotFound
from tmfkit.security import allowed

API = "eventDelivery"
Count = Annotated[int, Query(ge=0, lt=10**9)]
REVIVE = "UPDATE delivery SET dead_at = NULL, attempts = 0, created_at = now() WHERE dead_at IS NOT NULL"


def context(request: Request) -> Context[Any]:
    """Dependency: the running component."""
    ctx: Context[Any] = request.app.state.ctx
    return ctx


def permit(request: Request, api: str, resource: str, operation: str) -> None:
    """403 unless the caller may; every route outside the declared resources asks this."""
    principal = request.scope["tmfkit.principal"]
    if not allowed(principal, api, resource, operation):
        raise Forbidden(f"{principal.subject} may not {operation} {resource} of {api}")


def routes(base: str) -> APIRouter:
    router = APIRouter(prefix=f"{base}/tmf-api/{API}/v1", tags=[API])

    @router.get("/deadLetter", operation_id="listDeadLetter")
    async def list_dead(
        request: Request, response: Response, offset: Count = 0, limit: Count = 100
    ) -> list[dict[str, Any]]:
        permit(request, API, "deadLetter", "list")
        ctx = context(request)
        rows = await ctx.database.pool.fetch(
            "SELECT d.id, s.callback, s.api, s.version, o.event_id, o.resource, o.resource_id, o.kind, d.attempts,"
            " d.error, d.dead_at FROM delivery d JOIN outbox o USING (seq)"
            " JOIN subscription s ON s.id = d.subscription_id"
            " WHERE d.dead_at IS NOT NULL ORDER BY d.id OFFSET $1 LIMIT $2",
            offset, min(limit, ctx.settings.max_limit),
        )  # fmt: skip
        total = await ctx.database.fetchval("SELECT count(*) FROM delivery WHERE dead_at IS NOT NULL")
        response.headers["X-Total-Count"] = str(total)
        response.headers["X-Result-Count"] = str(len(rows))
        return [
            {
                "id": str(r["id"]),
                "@type": "DeadLetter",
                "callback": r["callback"],
                "api": f"{r['api']} {r['version']}",
                "eventId": r["event_id"],
                "eventType": f"{r['resource']}{r['kind']}Event",
                "resourceId": r["resource_id"],
                "attempts": r["attempts"],
                "error": r["error"],
                "deadAt": r["dead_at"].isoformat(),
            }
            for r in rows
        ]

    @router.post("/deadLetter/{id}/replay", status_code=202, operation_id="replayDeadLetter")
    async def replay(request: Request, id: str, ctx: Context[Any] = Depends(context)) -> dict[str, Any]:  # noqa: B008
        permit(request, API, "deadLetter", "create")
        number = int(id) if id.isascii() and id.isdigit() and len(id) < 19 else -1
        revived = await ctx.database.fetchval(
            f"{REVIVE} AND id = $1 RETURNING id",
            number,
        )
        if revived is None:
            raise NotFound(f"no dead letter with id {id[:100]!r}", attribute="id")
        ctx.signals.send("hub")
        return {"replayed": 1}

    @router.post("/deadLetter/replay", status_code=202, operation_id="replayAllDeadLetters")
    async def replay_all(request: Request) -> dict[str, Any]:
        permit(request, API, "deadLetter", "create")
        ctx = context(request)
        done = await ctx.database.pool.fetch(f"{REVIVE} RETURNING id")
        ctx.signals.send("hub")
        return {"replayed": len(done)}

    return router
