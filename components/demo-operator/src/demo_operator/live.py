"""Live time: healthy five-minute steps, then a fault, its recovery, and again, until stopped."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from demo_operator.domain.faults import SLOT_S
from demo_operator.drive import Driver, Reader, drawn
from demo_operator.load import Say, is_loaded, say
from demo_operator.memory import TIME_LOCK, alone, recall, remember, the_operator
from demo_operator.narration import Narrator
from demo_operator.settings import DemoSettings
from demo_operator.watch import Watch
from tmfkit import Context

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
    async with (
        alone(ctx, TIME_LOCK, "simulated time is driven already, by a `live` or a `once`"),
        Watch(ctx, tell, timeout_s=timeout_s) as watch,
        httpx.AsyncClient(timeout=10.0) as client,
    ):
        driver = Driver(ctx, operator, watch, Narrator(operator, tell), Reader(ctx, client))
        await driver.start()
        yield driver


async def live(
    ctx: Context[DemoSettings],
    tell: Say = say,
    *,
    kind: str = "random",
    seed: int | None = None,
    speed: float | None = None,
    faults: float = math.inf,
) -> None:
    """Live time until cancelled, or until so many faults are over; with kind none nothing is ever injected.

    The n-th fault of a database is that of seed + n - 1, so that a second run goes on with other faults.
    """
    pace_s = SLOT_S / (speed or ctx.settings.speed)
    first = ctx.settings.seed if seed is None else seed
    async with driving(ctx, tell) as driver:
        driver.narrator.line("LIVE", f"five minutes of simulated time every {pace_s:g} s")
        await driver.assessed()
        await driver.recover(pace_s)
        while faults > 0:
            await driver.healthy(ctx.settings.pause_steps, pace_s)
            if kind == "none":
                continue
            await _one_fault(driver, first, kind, pace_s)
            faults -= 1


async def _one_fault(driver: Driver, first: int, kind: str, pace_s: float) -> None:
    injected = int(await recall(driver.ctx, "faults") or 0)
    seed = first + injected
    fault = drawn(driver.operator, seed, driver.next_s, kind, driver.ctx.settings.min_customers)
    await remember(driver.ctx, "faults", injected + 1)
    deadline = time.monotonic() + pace_s * fault.duration_s / SLOT_S + AFTER_FAULT_S
    await driver.loop(fault, seed, pace_s, deadline, to_its_end=True)
    driver.narrator.begin()
    recovered = await driver.recover(pace_s)
    driver.narrator.rest()
    told = "no service problem is open any more" if recovered else "service problems are open after a long healthy time"
    driver.narrator.line("recovered" if recovered else "recovery", told)
