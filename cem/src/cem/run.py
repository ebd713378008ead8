"""`cem run`: the whole road with the demo operator, live or once. `cem up`: the four components alone, for own data."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cem.running import StepFailed, Suite, supervised
from cem.screen import Screen
from cem.suite import COMPONENTS, DEMO, DEMO_OPERATOR, LOOPBACK, PORT_BASE, Plan, named

POLL_S = 0.3
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Options:
    """What `cem run` was asked for. `seed` and `fault` None: the demo operator draws."""

    folder: Path
    host: str = LOOPBACK
    port_base: int = PORT_BASE
    once: bool = False
    seed: int | None = None
    fault: str | None = None
    json: Path | None = None
    speed: float | None = None
    timeout_s: float = 120.0


def run(options: Options, screen: Screen) -> int:
    """The demo: everything started, the world loaded, the model trained, and the loop told line by line."""
    plan = Plan(DEMO, options.host, options.port_base)

    async def job(suite: Suite) -> int:
        await suite.show_addresses()
        told = Told(suite)
        fresh = await told.loaded()
        await _trained(suite, fresh)
        if options.once:
            return await _once(suite, options)
        return await _live(suite, told, options)

    return supervised(plan, options.folder, "run", job, screen, endless=not options.once)


def up(folder: Path, host: str, port_base: int, elsewhere: Mapping[str, str], screen: Screen) -> int:
    """The four components, without simulated data, until a signal."""
    plan = Plan(COMPONENTS, host, port_base, elsewhere)

    async def job(suite: Suite) -> int:
        await suite.show_addresses()
        screen.line("ready; Ctrl-C stops")
        await asyncio.Event().wait()
        return 0

    return supervised(plan, folder, "up", job, screen, endless=True)


class Told:
    """What the demo operator tells, followed from where it was left."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._address = f"{suite.plan.address(DEMO_OPERATOR)}/loop"
        self._after = 0

    async def loaded(self) -> bool:
        """Let it load the components, and tell how it goes; False if they were loaded before. Error: StepFailed."""
        status = await self._status()
        if status["phase"] in ("loaded", "live"):
            self._suite.screen.line("the history is loaded already; `make clean` begins anew", "dim")
            return False
        with self._suite.screen.phase("history loaded"):
            await self._start({"phase": "load"})
            while (status := await self._status())["phase"] not in ("loaded", "live"):
                if status["phase"] == "failed":
                    raise StepFailed(f"Loading failed: {status.get('reason')}")
                await asyncio.sleep(POLL_S)
        return True

    async def live(self, seed: int | None, fault: str | None, speed: float | None) -> None:
        """Let time run, and tell what happens, without end."""
        await self._start({"phase": "live", "seed": seed, "fault": fault, "speed": speed})
        while True:
            status = await self._status()
            if status["phase"] == "failed":
                raise StepFailed(f"the live loop stopped: {status.get('reason')}")
            await asyncio.sleep(POLL_S)

    async def _start(self, body: dict[str, Any]) -> None:
        answer = await self._suite.client.post(f"{self._address}/start", json=body)
        answer.raise_for_status()

    async def _status(self) -> dict[str, Any]:
        """Where it is; new lines are shown on the way. A busy operator may be slow to answer."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = await self._suite.client.get(f"{self._address}/status", params={"after": self._after})
                status: dict[str, Any] = answer.raise_for_status().json()
                break
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(POLL_S)
        for line in status["lines"]:
            self._after = line["n"]
            self._suite.screen.line(line["text"])
        return status


async def _trained(suite: Suite, fresh: bool) -> None:
    """A model of what the history holds, unless there is one already."""
    churn = named("churn-prediction")
    if not fresh:
        models = f"{suite.plan.address(churn)}/tmf-api/AiM/v4/aiModel"
        answer = (await suite.client.get(models, params={"limit": 1, "fields": "id"})).raise_for_status()
        if answer.json():
            return
    with suite.screen.phase("model trained"):
        await suite.needed(churn, "train")


async def _once(suite: Suite, options: Options) -> int:
    arguments = ["once", "--timeout", f"{options.timeout_s:g}"]
    for name, value in (("--seed", options.seed), ("--fault", options.fault), ("--json", options.json)):
        if value is not None:
            arguments += [name, str(value)]
    with suite.screen.phase("loop"):
        return await suite.command(DEMO_OPERATOR, *arguments)


async def _live(suite: Suite, told: Told, options: Options) -> int:
    suite.screen.line("live; Ctrl-C stops, and the next run goes on from here", "bold")
    await told.live(options.seed, options.fault, options.speed)
    return 0
