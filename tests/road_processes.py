"""The suite as processes of their own: five components with five databases, real HTTP, every caller with a token."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import httpx

from cem.ports import free_base
from cem.suite import DEMO, DEMO_OPERATOR, LOOPBACK, Plan, named
from tmfkit.database import new_id
from tmfkit.embedded import create
from tmfkit.testing import database_named, server
from tmfkit.testing_issuer import Client, Issuer

PAST = 600
NAMES = tuple(m.name for m in DEMO)
QUIET = {"OPENBLAS_NUM_THREADS": "1", "LOG_LEVEL": "WARNING"}


def clients() -> dict[str, Client]:
    """What the issuer has to know: each component as a client that may do everything."""
    return {m.name: Client(f"secret of {m.name}", ("*:*:*",)) for m in DEMO}


class Road:
    """The whole suite with OIDC on. Which of it runs is said by `start` and `stop`."""

    def __init__(self, folder: Path, issuer: Issuer) -> None:
        self.folder, self.issuer = folder, issuer
        base = free_base(LOOPBACK, [m.port for m in DEMO], 18600)
        self.plan = Plan(DEMO, port_base=base)
        self.environment: dict[str, dict[str, str]] = {}
        for member in DEMO:
            self.new_database(member.name)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.client = httpx.Client(headers={"Authorization": f"Bearer {self.token()}"}, timeout=30)

    def new_database(self, name: str) -> None:
        """An empty one, from the next start on."""
        member = named(name)
        database = f"road_{member.package}_{new_id()[-12:]}"
        create(server(), [database])
        own = {
            "AUTH_MODE": "oidc",
            "OIDC_ISSUER": self.issuer.url,
            "OIDC_AUDIENCE": "oda",
            "CLIENT_ID": name,
            "CLIENT_SECRET": f"secret of {name}",
            "TOKEN_URL": self.issuer.token_url,
            "TRACE_RATIO": "1",
            "DATABASE_CONNECTIONS": "6",
            "SCALE": "tiny",
            "PAST_CUSTOMERS": str(PAST),
            "HISTORY_WEEKS": "1",
            "MIN_CUSTOMERS": "1",
        }
        given = self.plan.environment(member, database_named(database))
        self.environment[name] = {**os.environ, **given, **own, **QUIET}

    def token(self) -> str:
        return self.issuer.token("test", ["*:*:*"], expires_in_s=7200)

    def start(self, names: Iterable[str] = NAMES) -> None:
        """Start those that do not run yet, and wait until each is ready."""
        started = [name for name in names if name not in self.processes]
        for name in started:
            with (self.folder / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, "-m", named(name).package, "serve", "--migrate"],
                    env=self.environment[name],
                    stdout=log,
                    stderr=log,
                )
        for name in started:
            self._until_ready(name)

    def _until_ready(self, name: str) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            assert self.processes[name].poll() is None, self.log(name)
            with contextlib.suppress(httpx.HTTPError):
                if self.client.get(f"{self.plan.addresses[name]}/health/ready").status_code == 200:
                    return
            time.sleep(0.2)
        raise AssertionError(f"{name} is not ready: {self.log(name)}")

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()[-4000:]

    def command(self, name: str, *arguments: str, timeout: float = 240) -> str:
        """Run a command of a component to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", named(name).package, *arguments],
            env=self.environment[name],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"{name} {arguments}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def fill(self) -> None:
        """An operator with a week of history and a trained model."""
        self.command(DEMO_OPERATOR.name, "load")
        self.command("churn-prediction", "train", "--wait", str(PAST))

    def stop(self, names: Iterable[str] = NAMES) -> None:
        stopped = [self.processes.pop(name) for name in names if name in self.processes]
        for process in stopped:
            process.terminate()
        for process in stopped:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            if process.poll() is None:
                process.kill()
                process.wait()

    def close(self) -> None:
        self.stop()
        self.client.close()

    def get(self, name: str, path: str, **where: str | int) -> httpx.Response:
        """Read an address of a component: what stands behind its base."""
        return self.client.get(f"{self.plan.addresses[name]}/{path}", params=where)

    def total(self, name: str, path: str, **where: str) -> int:
        answer = self.get(name, path, limit=0, **where)
        assert answer.is_success, answer.text
        return int(answer.headers["x-total-count"])
