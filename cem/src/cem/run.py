"""`cem run`: the whole road with the demo operator, live or once. `cem up`: the four components alone, for own data."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cem.load import CUSTOMERS, PAST, assessed
from cem.running import Suite, supervised
from cem.screen import Screen
from cem.suite import COMPONENTS, DEMO, DEMO_OPERATOR, LOOPBACK, PORT_BASE, Plan, named
from cem.target import training

MODELS = "tmf-api/AiM/v4/aiModel"


@dataclass(frozen=True)
class Options:
    """What `cem run` was asked for. None leaves it to the demo operator."""

    folder: Path
    host: str = LOOPBACK
    port_base: int = PORT_BASE
    once: bool = False
    seed: int | None = None
    fault: str | None = None
    json: Path | None = None
    speed: float | None = None
    timeout_s: float | None = None

    @property
    def arguments(self) -> list[str]:
        """The same as arguments of the demo operator's commands."""
        given = {
            "--seed": self.seed,
            "--fault": self.fault,
            "--json": self.json,
            "--speed": self.speed,
            "--timeout": self.timeout_s,
        }
        return [text for name, value in given.items() if value is not None for text in (name, str(value))]


def run(options: Options, screen: Screen) -> int:
    """The demo: everything started, the world loaded, the model trained, and the loop told line by line.

    What an earlier run has loaded and trained is kept, and not done again.
    """
    plan = Plan(DEMO, options.host, options.port_base)

    async def job(suite: Suite) -> int:
        await suite.show_addresses()
        with screen.phase("history loaded"):
            await suite.needed(DEMO_OPERATOR, "load")
        if not await _has_model(suite):
            with screen.phase("model trained"):
                await suite.needed(named("churn-prediction"), *training(await _customers(suite, past=True)))
        present = await _customers(suite, past=False)
        await assessed(suite.client, suite.plan.address(named("churn-prediction")), present, screen)
        if options.once:
            with screen.phase("loop"):
                return await suite.command(DEMO_OPERATOR, "once", *options.arguments)
        screen.line("live; Ctrl-C stops, and the next run goes on from here", "bold")
        return await suite.command(DEMO_OPERATOR, "live", *options.arguments)

    return supervised(plan, options.folder, "run", job, screen, endless=not options.once)


def up(folder: Path, host: str, port_base: int, elsewhere: Mapping[str, str], screen: Screen) -> int:
    """The four components, without simulated data, until a signal."""
    plan = Plan(COMPONENTS, host, port_base, elsewhere)

    async def job(suite: Suite) -> int:
        await suite.show_addresses()
        screen.line("ready; Ctrl-C stops", "bold")
        await asyncio.Event().wait()
        return 0

    return supervised(plan, folder, "up", job, screen, endless=True)


async def _customers(suite: Suite, *, past: bool) -> int:
    """How many customers customer-360 has: those of the past, or all others."""
    url = f"{suite.plan.address(named('customer-360'))}/{CUSTOMERS}"
    condition = {"status" if past else "status.ne": PAST}
    answer = await suite.client.get(url, params={**condition, "limit": 0})
    return int(answer.raise_for_status().headers["x-total-count"])


async def _has_model(suite: Suite) -> bool:
    models = f"{suite.plan.address(named('churn-prediction'))}/{MODELS}"
    answer = await suite.client.get(models, params={"limit": 1, "fields": "id"})
    return bool(answer.raise_for_status().json())
