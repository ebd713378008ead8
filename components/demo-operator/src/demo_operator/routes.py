"""The operator's own routes: what it is told to do, how far it is, and the door for the events of the loop."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from demo_operator import operations, watch
from demo_operator.load import milestones, rows_loaded
from demo_operator.memory import instant, recall
from demo_operator.operations import Order
from tmfkit import Context, context, permit
from tmfkit.errors import Unauthorized
from tmfkit.event import received
from tmfkit.http import body, parsed

router = APIRouter(prefix="/loop", tags=["loop"])
Running = Annotated[Context[Any], Depends(context)]


@router.get("/status", operation_id="retrieveLoopStatus")
async def status(
    request: Request, ctx: Running, after: Annotated[int, Query(ge=0, description="lines after this number")] = 0
) -> dict[str, Any]:
    """Phase (idle, loading, loaded, live, failed), new lines, what is loaded, simulated time, and the last loop."""
    permit(request, "demoLoop", "loop", "retrieve")
    now, done = operations.operation(ctx), await milestones(ctx)
    clock = await recall(ctx, "clock")
    return {
        "phase": await operations.phase(ctx),
        "reason": now.reason,
        "lines": now.after(after),
        "customersLoaded": "customers" in done,
        "milestones": done,
        "measurementsLoaded": await rows_loaded(ctx),
        "world": await recall(ctx, "world"),
        "simulatedTime": None if clock is None else instant(clock),
        "faults": await recall(ctx, "faults") or 0,
        "lastLoop": await recall(ctx, "loop/last"),
    }


@router.post("/start", status_code=202, operation_id="startLoop")
async def start(request: Request, ctx: Running, order: Order) -> dict[str, str]:
    """Load, or go live. 409 while either is being done."""
    permit(request, "demoLoop", "loop", "create")
    operations.start(ctx, order)
    return {"phase": operations.operation(ctx).phase}


@router.post("/event/{key}", status_code=201, operation_id="receiveLoopEvent")
async def event(request: Request, key: str, ctx: Running) -> dict[str, str]:
    """An event of the loop. The key was given to the hubs alone."""
    if not await watch.is_ours(ctx, key):
        raise Unauthorized("this callback address was not given out by us")
    heard = received(parsed(await body(request.scope, request.receive, ctx.settings.max_body_bytes)))
    await watch.keep(ctx, heard)
    return {"eventId": heard.event_id}
