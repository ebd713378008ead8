"""What a load goes to: an address that is given, the instance that runs here, or one started for the load alone."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from cem import ports
from cem.instance import Instance, InstanceError, Record
from cem.processes import Group, ending
from cem.running import StepFailed, Suite, supervised
from cem.screen import Screen
from cem.suite import COMPONENTS, LOOPBACK, PORT_BASE, Plan, named

TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Target:
    """Where the components are. `train` learns from at least so many labelled customers; None: the components are not
    run from here, so that training is theirs to start."""

    client: httpx.AsyncClient
    addresses: Mapping[str, str]
    train: Callable[[int], Awaitable[None]] | None

    def address(self, name: str) -> str:
        """Base of a member. Error: InstanceError if it is not among what runs."""
        if name not in self.addresses:
            raise InstanceError(f"There is no {name} here; say with --url where to send it.")
        return self.addresses[name]


Job = Callable[[Target], Awaitable[int]]


def to(folder: Path, member: str, url: str | None, job: Job, screen: Screen) -> int:
    """Do a job with what is there: `url` is the base of `member` (the part before /tmf-api) if it is given."""
    if url:
        return asyncio.run(_given({member: url.rstrip("/")}, None, job, screen))
    record = Instance(folder).running()
    if record is not None:
        return asyncio.run(_given(record.addresses, record, job, screen))
    if member not in {m.name for m in COMPONENTS}:
        raise InstanceError(f"No {member} runs in {folder}; say with --url where to send it.")
    return _started(folder, job, screen)


async def _given(addresses: Mapping[str, str], record: Record | None, job: Job, screen: Screen) -> int:
    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=record is None) as client:

        async def train(labelled: int) -> None:
            assert record is not None
            churn = named("churn-prediction")
            command = [sys.executable, "-m", churn.package, *training(labelled)]
            code = await Group(lambda _: None).finished("train", command, record.environment[churn.name], screen.line)
            if code != 0:
                raise StepFailed(f"Training: {ending(code)}.")

        try:
            return await job(Target(client, addresses, train if record else None))
        except (StepFailed, httpx.HTTPError) as e:
            raise InstanceError(str(e) or type(e).__name__) from e


def training(labelled: int) -> list[str]:
    """The command that learns; it waits until the events have brought so many."""
    return ["train", "--wait", str(labelled)]


def _started(folder: Path, job: Job, screen: Screen) -> int:
    """The four components for this load alone; their data stays in the folder for `cem up`."""
    base = ports.free_base(LOOPBACK, [m.port for m in COMPONENTS], PORT_BASE)
    plan = Plan(COMPONENTS, port_base=base)
    screen.line(f"nothing runs in {folder}: starting the four components for this load (`cem up` serves them)", "dim")

    async def with_suite(suite: Suite) -> int:
        suite.client.timeout = httpx.Timeout(TIMEOUT_S)
        churn = named("churn-prediction")
        return await job(
            Target(suite.client, plan.addresses, lambda labelled: suite.needed(churn, *training(labelled)))
        )

    return supervised(plan, folder, "load", with_suite, screen, endless=False)
