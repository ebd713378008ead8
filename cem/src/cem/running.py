"""A suite that runs: databases, processes, readiness, supervision, and the end in order, whatever the reason."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import httpx

from cem import ports, postgres
from cem.instance import Instance, InstanceError
from cem.processes import Died, Group, ending
from cem.screen import Screen
from cem.suite import Member, Plan

READY_BUDGET_S = 120.0
STOP_BUDGET_S = 5.0


class StepFailed(Exception):
    """A step of the run did not succeed; the message is a sentence."""


class Suite:
    """The members of a plan as running processes, and a client to talk to them."""

    def __init__(self, plan: Plan, instance: Instance, databases: dict[str, str], screen: Screen) -> None:
        self.plan, self.instance, self.screen = plan, instance, screen
        self.environment = {m.name: plan.environment(m, databases[m.package]) for m in plan.members}
        self.group = Group(instance.add)
        self.embedded = postgres.postmaster(instance.postgres) is not None
        self.client = httpx.AsyncClient(timeout=60.0, trust_env=False)

    async def start(self) -> None:
        """Start every member, its schema brought up to date first, and wait until all are ready."""
        record = self.instance.record
        assert record is not None
        record.addresses, record.environment = self.plan.addresses, self.environment
        self.instance.write()
        for member in self.plan.members:
            command = [sys.executable, "-m", member.package, "serve", "--migrate"]
            log = self.instance.log / f"{member.name}.log"
            await self.group.start(member.name, command, self.environment[member.name], log)
        with self.screen.progress("components ready", len(self.plan.members)) as bar:
            await asyncio.gather(*(self._ready(m, lambda: bar.add(1)) for m in self.plan.members))

    async def _ready(self, member: Member, told: Callable[[], None]) -> None:
        try:
            async with asyncio.timeout(READY_BUDGET_S):
                while not await self._answers(member):
                    await asyncio.sleep(0.2)
        except TimeoutError:
            log = self.instance.log / f"{member.name}.log"
            raise InstanceError(f"{member.name} is not ready after {READY_BUDGET_S:.0f} s; its log is {log}.") from None
        told()

    async def _answers(self, member: Member) -> bool:
        try:
            answer = await self.client.get(f"{self.plan.address(member)}/health/ready", timeout=5.0)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    async def show_addresses(self) -> None:
        rows = []
        for member in self.plan.members:
            base = self.plan.address(member)
            entry = (await self.client.get(base)).raise_for_status().json()
            apis: dict[str, list[str]] = {}
            for path in entry["apis"]:
                name, version = path.rsplit("/", 2)[1:]
                apis.setdefault(name, []).append(version)
            rows.append((member.name, base, apis))
        self.screen.addresses(rows)

    async def command(self, member: Member, *arguments: str) -> int:
        """Run a command of a member in its environment, its lines shown as they come; its exit code."""
        command = [sys.executable, "-m", member.package, *arguments]
        name = f"{member.name} {arguments[0]}"
        return await self.group.finished(name, command, self.environment[member.name], self.screen.line)

    async def needed(self, member: Member, *arguments: str) -> None:
        """Run a command that has to succeed. Error: StepFailed."""
        code = await self.command(member, *arguments)
        if code != 0:
            raise StepFailed(f"{member.name} {arguments[0]}: {ending(code)}.")

    async def ended(self) -> Died:
        """The first thing that ends though it should run."""
        log = self.instance.postgres / "log"
        while True:
            dead = next((c for c in self.group.children if not c.running), None)
            if dead is not None:
                return dead.died()
            if self.embedded and postgres.postmaster(self.instance.postgres) is None:
                said = log.read_text(errors="replace").splitlines() if log.exists() else []
                return Died("PostgreSQL", None, said[-10:])
            await asyncio.sleep(0.2)

    async def stop(self) -> None:
        late = await self.group.stop(STOP_BUDGET_S)
        if late:
            self.screen.line(f"did not end in time and were killed: {', '.join(late)}", "yellow")
        await self.client.aclose()


def supervised(
    plan: Plan, folder: Path, mode: str, job: Callable[[Suite], Awaitable[int]], screen: Screen, *, endless: bool
) -> int:
    """Start a suite, do the job, stop everything; the exit code.

    An endless suite is stopped by a signal, which is how it should end: 0. Otherwise a signal makes 130. What ends by
    itself while it should run is reported with the tail of its log: 1.
    """
    instance = Instance(folder)
    signs = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
        signs.append(signal.SIGHUP)
    for sign in signs:  # outside of the event loop too a signal unwinds, so that nothing stays behind
        signal.signal(sign, _unwind)
    with instance.claimed(mode):
        complaint = ports.complaint(plan.host, plan.ports)
        if complaint:
            raise InstanceError(complaint)
        with contextlib.ExitStack() as stack:
            with screen.phase("PostgreSQL ready"):
                databases = stack.enter_context(
                    postgres.server(
                        instance.postgres, os.environ.get("DATABASE_URL") or None, [m.package for m in plan.members]
                    )
                )
            suite = Suite(plan, instance, databases, screen)
            try:
                return asyncio.run(_supervise(suite, job, endless, signs))
            finally:
                for sign in signs:  # only the database's stop remains, and it takes its seconds
                    signal.signal(sign, signal.SIG_IGN)


def _unwind(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


async def _supervise(
    suite: Suite, job: Callable[[Suite], Awaitable[int]], endless: bool, signs: Sequence[signal.Signals]
) -> int:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for sign in signs:
        loop.add_signal_handler(sign, told.set)

    async def all_of_it() -> int:
        with suite.screen.phase(f"{len(suite.plan.members)} components ready"):
            await suite.start()
        return await job(suite)

    work, death = asyncio.create_task(all_of_it()), asyncio.create_task(suite.ended())
    signalled = asyncio.create_task(told.wait())
    tasks = (work, death, signalled)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if signalled.done():
            suite.screen.line("stopping")
            return 0 if endless else 130
        if work.done() and work.exception() is not None:
            await asyncio.wait([death], timeout=1.0)  # a request may fail because a process has just died
        if death.done():
            died = death.result()
            suite.screen.trouble(str(died), died.tail)
            return 1
        return work.result()
    except (InstanceError, StepFailed, httpx.HTTPError) as e:
        suite.screen.trouble(str(e) or type(e).__name__)
        return 1
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await suite.stop()
