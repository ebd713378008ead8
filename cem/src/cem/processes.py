"""Child processes: started each in a session of its own, watched together, ended in order. None outlives its group.

A session of its own, because Ctrl-C in a terminal goes to everybody in the foreground: the order of the end is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from cem.instance import Process

TAIL_LINES = 25
_LINE_BYTES = 1024 * 1024


class Died(Exception):
    """A process that should run has ended. `tail` is the end of what it said; `code` None: nobody told us."""

    def __init__(self, name: str, code: int | None, tail: Sequence[str]) -> None:
        super().__init__(f"{name} ended." if code is None else f"{name} ended: {ending(code)}.")
        self.name, self.code, self.tail = name, code, list(tail)


def ending(code: int) -> str:
    """What an exit code tells, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


class Child:
    """One process and its log file. The log of the run before is kept as <name>.log.1."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name, self.process, self.log = name, process, log

    @classmethod
    async def start(cls, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
        with _fresh(log) as file:
            return cls(name, await _spawn(command, environment, file), log)

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    def tail(self, lines: int = TAIL_LINES) -> list[str]:
        """The last lines of the log."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - 64 * 1024))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:]

    def died(self) -> Died:
        return Died(self.name, self.process.returncode or 0, self.tail())


class Group:
    """Children that belong together. `record` hears of each process that is started (instance.py keeps it)."""

    def __init__(self, record: Callable[[Process], None]) -> None:
        self._record = record
        self._ranks: list[list[asyncio.subprocess.Process]] = []
        self.children: list[Child] = []

    async def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
        """A child that should run until it is told to end. Later ones end first."""
        child = await Child.start(name, command, environment, log)
        self._record(Process.of(name, child.process.pid, command))
        self.children.append(child)
        self._ranks.append([child.process])
        return child

    async def finished(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], told: Callable[[str], None]
    ) -> int:
        """Run a command to its end, its lines told as they come; its exit code."""
        process = await _spawn(command, environment, asyncio.subprocess.PIPE)
        self._record(Process.of(name, process.pid, command))
        rank = [process]
        self._ranks.append(rank)
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                told(line.decode("utf-8", "replace").rstrip("\n"))
            return await process.wait()
        finally:
            if process.returncode is None:
                await _end([process], 3.0)
            self._ranks.remove(rank)

    async def ended(self) -> Child:
        """The first child that ends."""
        waits = {asyncio.create_task(c.process.wait()): c for c in self.children}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
        return next(waits[task] for task in done)

    async def stop(self, budget_s: float) -> list[str]:
        """End all: the last started first, the others together; names of those that had to be killed.

        The last one started is who keeps the others busy (the demo operator): it has a quarter of the budget.
        """
        deadline = time.monotonic() + budget_s
        processes = [p for rank in reversed(self._ranks) for p in rank]
        first, rest = processes[:1], processes[1:]
        await _end(first, budget_s / 4, kill=False)
        await _end([*first, *rest], max(0.1, deadline - time.monotonic()), kill=False)
        late = [c.name for c in self.children if c.running]
        await _end(processes, 0.0)
        for process in processes:  # what a child has started itself lives in its session
            _signal(process.pid, signal.SIGKILL)
        return late


def _fresh(log: Path) -> IO[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    return log.open("ab")


async def _spawn(
    command: Sequence[str], environment: Mapping[str, str], out: IO[bytes] | int
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=out,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        start_new_session=True,
        limit=_LINE_BYTES,
    )


async def _end(processes: Sequence[asyncio.subprocess.Process], budget_s: float, *, kill: bool = True) -> None:
    alive = [p for p in processes if p.returncode is None]
    if not alive:
        return
    waits = [asyncio.create_task(p.wait()) for p in alive]
    if budget_s > 0:
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        await asyncio.wait(waits, timeout=budget_s)
    if kill:
        for process in alive:
            if process.returncode is None:
                _signal(process.pid, signal.SIGKILL)
        await asyncio.wait(waits, timeout=5.0)
    for task in waits:
        task.cancel()


def _signal(group: int, sign: signal.Signals) -> None:
    """To everybody in the session that this process leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, sign)
