"""One running instance and its folder: the lock that makes it the only one, and the record that finds orphans.

The lock is held by the supervising process and falls with it, however it ends. Whoever gets the lock therefore knows
that processes of the record that still live have lost their supervisor. A process is ours only if its id, its start
time and its command are those of the record: ids are given out again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

START_TIME_TOLERANCE_S = 2.0


class InstanceError(Exception):
    """Something the person at the screen has to know; the message is a whole sentence."""


@dataclass(frozen=True)
class Process:
    """A process as it was when we started it."""

    name: str
    pid: int
    started: float
    command: tuple[str, ...]

    @classmethod
    def of(cls, name: str, pid: int, command: Sequence[str]) -> Process:
        try:
            started = psutil.Process(pid).create_time()
        except psutil.Error:  # it has ended already
            started = time.time()
        return cls(name, pid, started, tuple(command))

    def found(self) -> psutil.Process | None:
        """The living process, if it is still this one."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started) > START_TIME_TOLERANCE_S:
                return None
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            if process.cmdline()[-len(self.command) + 1 :] != list(self.command[1:]):
                return None  # the program itself may be shown under another path
        except psutil.Error:
            return None
        return process


@dataclass
class Record:
    """What is known of an instance by others: written by the supervisor, kept in instance.json."""

    pid: int
    started: float
    mode: str
    addresses: dict[str, str] = field(default_factory=dict)
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)


class Instance:
    """The folder of an instance: .run for the demo, .run/own for own data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.record: Record | None = None

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def file(self) -> Path:
        return self.folder / "instance.json"

    @contextlib.contextmanager
    def claimed(self, mode: str) -> Iterator[Record]:
        """Be the only supervisor of this folder; what an earlier one left behind is ended first."""
        self.log.mkdir(parents=True, exist_ok=True)
        with self._lock(wait_s=1.0) as got:  # a look at the lock by others takes no longer
            if not got:
                other = self.read()
                who = f" (process {other.pid}, cem {other.mode})" if other else ""
                raise InstanceError(
                    f"An instance is running in {self.folder} already{who}. "
                    "Stop it with Ctrl-C where it runs, or with `cem stop`."
                )
            for process in self.orphans():
                print(f"ended {process.name} (process {process.pid}), left over from an earlier run", file=sys.stderr)
            self.record = Record(os.getpid(), psutil.Process().create_time(), mode)
            self.write()
            try:
                yield self.record
            finally:
                self.file.unlink(missing_ok=True)

    def running(self) -> Record | None:
        """The record of the instance that is supervised now by another process; None if there is none."""
        if not self.file.exists():
            return None
        with self._lock() as got:
            return None if got else self.read()

    def orphans(self) -> list[Process]:
        """End the processes of a supervisor that is gone. Only to be called by the holder of the lock."""
        record = self.read()
        if record is None:
            return []
        left = [(p, found) for p in record.processes if (found := p.found())]
        end([found for _, found in left], 5.0)
        return [p for p, _ in left]

    def stop(self, budget_s: float = 20.0) -> bool:
        """Ask the supervisor to stop and wait until it has; or end what a dead one left. False: there was nothing."""
        record = self.running()
        if record is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(record.pid, signal.SIGTERM)
            deadline = time.monotonic() + budget_s
            while self.running() is not None:
                if time.monotonic() > deadline:
                    raise InstanceError(f"Process {record.pid} did not stop within {budget_s:.0f} s.")
                time.sleep(0.1)
            return True
        if not self.folder.exists():
            return False
        with self._lock() as got:
            left = self.orphans() if got else []
            self.file.unlink(missing_ok=True)
        return bool(left)

    def add(self, process: Process) -> None:
        assert self.record is not None
        self.record.processes.append(process)
        self.write()

    def write(self) -> None:
        """Replace the file at once: a reader sees the old or the new, and only its owner may (it holds passwords)."""
        assert self.record is not None
        new = self.file.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(self.record), file, indent=1)
        new.replace(self.file)

    def read(self) -> Record | None:
        try:
            given: dict[str, Any] = json.loads(self.file.read_text())
            processes = [Process(p["name"], p["pid"], p["started"], tuple(p["command"])) for p in given["processes"]]
            return Record(**{**given, "processes": processes})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextlib.contextmanager
    def _lock(self, wait_s: float = 0.0) -> Iterator[bool]:
        """Whether we have the folder's lock, for as long as the block lasts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a") as file:
            yield _taken(file, time.monotonic() + wait_s)


def _taken(file: IO[str], deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def end(processes: Sequence[psutil.Process], budget_s: float) -> None:
    """Ask processes to end, and after the budget end them."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, budget_s)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, 5.0)
