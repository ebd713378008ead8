"""The conformance kit over the four components: a process for some API files of one, some processes at a time."""

from __future__ import annotations

import contextlib
import importlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oda_ctk.contract import shipped, tables
from tmfkit import Component

PACKAGES = ("service_quality", "experience_management", "customer_360", "churn_prediction")
JUDGED = Path(__file__).parent / "faults" / "judged.py"
LARGEST_SHARE = 20
"""Resources that one process judges. Each process has a component and a database of its own."""
JUDGING_S = 300.0
File = tuple[str, str, str]
"""Package, API, version: ("customer_360", "TMF629", "v4")."""


def served() -> list[File]:
    """Every API file of the four components; what is not TM Forum's has no contract."""
    every = [(p, a.id, version) for p in PACKAGES for a in _component(p).apis for version in a.versions]
    return [(p, api, version) for p, api, version in every if (api, version) in tables()]


def _component(package: str) -> Component:
    component: Component = importlib.import_module(f"{package}.main").component
    return component


def shares(files: Sequence[File]) -> list[list[File]]:
    """The files by component, large components in several parts; the part with most resources first."""
    found: list[list[File]] = []
    for package in dict.fromkeys(p for p, _, _ in files):
        part: list[File] = []
        for file in sorted((f for f in files if f[0] == package), key=_size, reverse=True):
            if part and sum(map(_size, part)) + _size(file) > LARGEST_SHARE:
                found.append(part)
                part = []
            part.append(file)
        found.append(part)
    return sorted(found, key=lambda part: -sum(map(_size, part)))


def _size(file: File) -> int:
    return len(shipped(file[1], file[2]).resources())


@dataclass
class Judgement:
    """What was said of one API file; `ended` tells why nothing was said."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    evidence: list[Any] = field(default_factory=list)
    took_s: float = 0.0
    ended: str = ""


class Judging:
    """The processes, some at a time; each judgement can be waited for."""

    def __init__(self, files: Sequence[File], jobs: int) -> None:
        self._ready = {file: threading.Event() for file in files}
        self._said: dict[File, Judgement] = {}
        self._waiting = shares(files)
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[str]] = []
        self._threads = [threading.Thread(target=self._turns, daemon=True) for _ in range(jobs)]
        for thread in self._threads:
            thread.start()

    def of(self, file: File) -> Judgement:
        """What was said of that file; waits for it."""
        if not self._ready[file].wait(JUDGING_S):
            return Judgement(ended=f"nothing was said within {JUDGING_S:g} s")
        return self._said[file]

    def close(self) -> None:
        with self._lock:
            self._waiting.clear()
            for process in self._processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
        for thread in self._threads:
            thread.join(JUDGING_S)

    def _turns(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                share = self._waiting.pop(0)
            self._judge(share)

    def _judge(self, share: list[File]) -> None:
        command = [sys.executable, str(JUDGED), share[0][0], *(f"{api}-{version}" for _, api, version in share)]
        with tempfile.TemporaryFile("w+") as complaints:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True) as process:
                self._processes.append(process)
                assert process.stdout is not None
                for line in process.stdout:
                    told = json.loads(line)
                    self._say(tuple(told.pop("file")), Judgement(**told))
            complaints.seek(0)
            why = f"the process ended with {process.returncode}: {complaints.read()[-2000:]}"
        for file in share:
            if not self._ready[file].is_set():
                self._say(file, Judgement(ended=why))

    def _say(self, file: File, judgement: Judgement) -> None:
        self._said[file] = judgement
        self._ready[file].set()


@contextlib.contextmanager
def judging(files: Sequence[File], jobs: int) -> Iterator[Judging]:
    """All files, judged in the background on the database server of TEST_DATABASE_URL."""
    found = Judging(files, jobs)
    try:
        yield found
    finally:
        found.close()
