"""What `serve` does when told over HTTP: load, then live. One thing at a time, its lines kept for whoever follows."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from weakref import WeakKeyDictionary

from pydantic import AfterValidator, BaseModel, Field

from demo_operator import inventory
from demo_operator.domain.faults import DRAWN_KINDS
from demo_operator.live import live
from demo_operator.load import is_loaded, load, say
from demo_operator.settings import DemoSettings
from tmfkit import Context
from tmfkit.errors import Conflict

FLOW = "operate"
LINES_KEPT = 5000


FAULTS = ("random", "none", *DRAWN_KINDS)


def _known_fault(fault: str) -> str:
    if fault not in FAULTS:
        raise ValueError(f"one of {', '.join(FAULTS)}")
    return fault


class Order(BaseModel):
    """What is to be done: load everything, or live time (with faults of `fault`, drawn from `seed` on)."""

    phase: Literal["load", "live"]
    seed: int | None = Field(None, ge=0)
    fault: Annotated[str, AfterValidator(_known_fault), Field(json_schema_extra={"enum": [*FAULTS]})] | None = None
    speed: float | None = Field(None, gt=0, description="simulated seconds per second")


@dataclass
class Operation:
    """The state of one serving process. `phase`: idle, loading, loaded, live, failed."""

    phase: str = "idle"
    reason: str | None = None
    wanted: Order | None = None
    count: int = 0
    lines: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=LINES_KEPT))

    def tell(self, line: str) -> None:
        """Keep a line under the next number, and print it."""
        self.count += 1
        self.lines.append((self.count, line))
        say(line)

    def after(self, n: int) -> list[dict[str, Any]]:
        return [{"n": number, "text": text} for number, text in self.lines if number > n]


_OPERATIONS: WeakKeyDictionary[Context[Any], Operation] = WeakKeyDictionary()


def operation(ctx: Context[Any]) -> Operation:
    """The operation of this running component."""
    return _OPERATIONS.setdefault(ctx, Operation())


async def phase(ctx: Context[Any]) -> str:
    """The phase; what an earlier process has loaded counts."""
    now = operation(ctx).phase
    return "loaded" if now == "idle" and await is_loaded(ctx) else now


def start(ctx: Context[DemoSettings], order: Order) -> None:
    """Accept an order. Errors: Conflict (409) while another is being carried out."""
    now = operation(ctx)
    if now.phase in ("loading", "live"):
        raise Conflict(f"the operator is {now.phase}", attribute="phase")
    now.phase, now.reason, now.wanted = "loading" if order.phase == "load" else "live", None, order
    ctx.wake(FLOW)


async def operate(ctx: Context[DemoSettings]) -> None:
    """The flow: fill the inventories, then carry out what was ordered, by a request or by the setting `loop`."""
    await inventory.fill(ctx)
    now = operation(ctx)
    if now.wanted is None and now.phase == "idle" and ctx.settings.loop != "off":
        now.wanted = Order(phase=ctx.settings.loop)
    order, now.wanted = now.wanted, None
    if order is None:
        return
    try:
        if order.phase == "load" or not await is_loaded(ctx):
            now.phase = "loading"
            await load(ctx, now.tell)
            now.phase = "loaded"
        if order.phase == "live":
            now.phase = "live"
            await live(ctx, now.tell, kind=order.fault or "random", seed=order.seed, speed=order.speed)
    except asyncio.CancelledError:
        now.phase = "idle"
        raise
    except Exception as e:
        now.phase, now.reason = "failed", str(e) or type(e).__name__
        now.tell(f"{order.phase} failed: {now.reason}")
