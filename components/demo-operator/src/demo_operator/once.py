"""One fault through the whole loop, proved and summed up; or none, and silence proved."""

from __future__ import annotations

import time
from dataclasses import dataclass

from demo_operator.domain.faults import SLOT_S
from demo_operator.drive import Driver, drawn
from demo_operator.live import driving
from demo_operator.load import Say, say
from demo_operator.outcome import Evidence, counts
from demo_operator.settings import DemoSettings
from tmfkit import Context
from tmfkit.types import Document

SPEED = 600.0
TIMEOUT_S = 180.0
SILENT_STEPS = 24
_WARM_STEPS = 2
_RECOVERY_PACE_S = 0.2
_VIOLATIONS = ("serviceQuality", "tmf-api/serviceLevelViolation/v1/serviceLevelViolation")
_OFFERS = ("churnPrediction", "tmf-api/recommendationManagement/v4/queryProductRecommendation")


@dataclass(frozen=True)
class Order:
    """What is asked of one run. `fault` is random, none or a kind; `speed` in simulated seconds per second."""

    seed: int
    fault: str = "random"
    speed: float = SPEED
    timeout_s: float = TIMEOUT_S


async def once(ctx: Context[DemoSettings], order: Order, tell: Say = say) -> tuple[bool, Document]:
    """Whether it went as it should, and the summary. An earlier fault that still lasts is let recover first."""
    deadline = time.monotonic() + order.timeout_s
    pace_s = SLOT_S / order.speed
    async with driving(ctx, tell, order.timeout_s) as driver:
        await driver.assessed()
        await driver.recover(min(pace_s, _RECOVERY_PACE_S))
        if order.fault == "none":
            return await _silence(driver, order, pace_s)
        await driver.healthy(_WARM_STEPS, pace_s)
        fault = drawn(driver.operator, order.seed, driver.next_s, order.fault, ctx.settings.min_customers)
        outcome = await driver.loop(fault, order.seed, pace_s, deadline, to_its_end=False)
        return outcome.chain.closed, outcome.document()


async def _silence(driver: Driver, order: Order, pace_s: float) -> tuple[bool, Document]:
    """Healthy steps: no violation may be raised and no offer made, by what is heard and by what can be counted."""
    await driver.settled()
    driver.evidence = Evidence(driver.ctx.now())  # what followed from an earlier fault was heard before
    driver.narrator.line("NO FAULT", f"{SILENT_STEPS} healthy five-minute steps")
    before = [await driver.total(*where) for where in (_VIOLATIONS, _OFFERS)]
    await driver.healthy(SILENT_STEPS, pace_s)
    await driver.settled()
    after = [await driver.total(*where) for where in (_VIOLATIONS, _OFFERS)]
    violations, offers = (new - old for new, old in zip(after, before, strict=True))
    heard = counts(driver.evidence, SILENT_STEPS)
    silent = not (violations or offers or heard["serviceLevelViolation"] or heard["queryProductRecommendation"])
    told = "silent" if silent else "not silent"
    driver.narrator.line("LOOP", f"{told}: {violations} violations and {offers} offers in {SILENT_STEPS} steps")
    summary: Document = {
        "seed": order.seed,
        "worldSeed": driver.operator.terms.seed,
        "fault": {"kind": "none"},
        "silent": silent,
        "steps": [],
        "violations": violations,
        "offers": offers,
        "counts": heard,
    }
    return silent, summary
