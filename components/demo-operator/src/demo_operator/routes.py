"""The operator's own routes: how far it is, and the door for the events of the loop."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from tmfkit import Context, context, permit
from tmfkit.errors import Unauthorized
from tmfkit.event import received
from tmfkit.http import body, parsed

from demo_operator import watch
from demo_operator.load import MILESTONES, milestones, rows_loaded
from demo_operator.memory import instant, recall

router = APIRouter(prefix="/loop", tags=["loop"])
Running = Annotated[Context[Any], Depends(context)]


@router.get("/status", operation_id="retrieveLoopStatus")
async def status(request: Request, ctx: Running) -> dict[str, Any]:
    """What is loaded, where simulated time is, and what the last loop came to."""
    permit(request, "demoLoop", "status", "retrieve")
    done = await milestones(ctx)
    clock = await recall(ctx, "clock")
    return {
        "loaded": set(MILESTONES) <= done.keys(),
        "customersLoaded": "customers" in done,
        "milestones": done,
        "measurementsLoaded": await rows_loaded(ctx),
        "world": await recall(ctx, "world"),
        "simulatedTime": None if clock is None else instant(clock),
        "faults": await recall(ctx, "faults") or 0,
        "lastLoop": await recall(ctx, "loop/last"),
    }


@router.post("/event/{key}", status_code=201, operation_id="receiveLoopEvent")
async def event(request: Request, key: str, ctx: Running) -> dict[str, str]:
    """An event of the loop. The key was given to the hubs alone."""
    if not await watch.is_ours(ctx, key):
        raise Unauthorized("this callback address was not given out by us")
    heard = received(parsed(await body(request.scope, request.receive, ctx.settings.max_body_bytes)))
    await watch.keep(ctx, heard)
    return {"eventId": heard.event_id}
