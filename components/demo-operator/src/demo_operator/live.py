"""Live time: healthy five-minute steps, then a fault, its recovery, and again, until stopped."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from tmfkit import Context

from demo_operator.domain.faults import SLOT_S
from demo_operator.drive import Driver, Reader, drawn
from demo_operator.load import Say, is_loaded, say
from demo_operator.memory import TIME_LOCK, alone, recall, remember, the_operator
from demo_operator.narration import Narrator
from demo_operator.settings import DemoSettings
from demo_operator.watch import Watch

AFTER_FAULT_S = 30.0
"""How long after its last step a fault's loop may still close."""


class NotLoadedError(Exception):
    """There is nothing to go on from yet."""


@asynccontextmanager
async def driving(ctx: Context[DemoSettings], tell: Say, timeout_s: float | None = None) -> AsyncIterator[Driver]:
    """The one driver of simulated time, registered at all hubs. Errors: NotLoadedError, memory.Busy, TimeoutError."""
    if not await is_loaded(ctx):
        raise NotLoadedError("history and customers are not loaded yet: run `python -m demo_operator load` first")
    operator = await the_operator(ctx)
    if ctx.settings.seed != operator.terms.seed:
        tell(f"the world of seed {operator.terms.seed} is kept; seed {ctx.settings.seed} only draws faults")
    async with (
        alone(ctx, TIME_LOCK, "another process drives simulated time: a `live` or a `once`"),
        Watch(ctx, tell, timeout_s=timeout_s) as watch,
        httpx.AsyncClient(timeout=10.0) as client,
    ):
        driver = Driver(ctx, operator, watch, Narrator(operator, tell), Reader(ctx, client))
        await driver.start()
        yield driver


async def live(ctx: Context[DemoSettings], tell: Say = say, *, faults: float = math.inf, kind: str = "random") -> None:
    """Live time at settings.speed until cancelled, or until so many faults are over. The n-th fault of a database is
    that of seed + n - 1, so that a second run goes on with other faults."""
    settings = ctx.settings
    pace_s = SLOT_S / settings.speed
    async with driving(ctx, tell) as driver:
        driver.narrator.line("LIVE", f"a five-minute step every {pace_s:g} s; Ctrl-C ends it")
        await driver.recover(pace_s)
        while faults > 0:
            await driver.healthy(settings.pause_steps, pace_s)
            injected = int(await recall(ctx, "faults") or 0)
            seed = settings.seed + injected
            fault = drawn(driver.operator, seed, driver.next_s, kind, settings.min_customers)
            await remember(ctx, "faults", injected + 1)
            deadline = time.monotonic() + pace_s * fault.duration_s / SLOT_S + AFTER_FAULT_S
            await driver.loop(fault, seed, pace_s, deadline, to_its_end=True)
            driver.narrator.begin()
            if await driver.recover(pace_s):
                driver.narrator.rest()
                driver.narrator.line("recovered", "no service problem is open")
            else:
                driver.narrator.line("recovery", "service problems are still open after a long healthy time")
            faults -= 1
