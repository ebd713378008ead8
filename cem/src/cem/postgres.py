"""The PostgreSQL of an instance: the embedded one in its folder, or the server that DATABASE_URL names.

The folder belongs to one instance (instance.py), so that what an earlier run left in it (a postmaster.pid without a
postmaster, the embedded server's list of users) can be put right before it starts, whatever ended that run.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from cem.instance import InstanceError
from tmfkit.database import dsn
from tmfkit.embedded import Embedded, create

START_BUDGET_S = 120.0
REACH_BUDGET_S = 5.0
_STARTING = (asyncpg.CannotConnectNowError, OSError)


def database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    scheme, _, rest = dsn(url).partition("://")
    location, _, query = rest.partition("?")
    authority = location.partition("/")[0]
    return f"{scheme}://{authority}/{quote(name)}" + (f"?{query}" if query else "")


@contextlib.contextmanager
def server(folder: Path, external: str | None, names: Iterable[str]) -> Iterator[dict[str, str]]:
    """URL of a database for each name, made where it is missing. The embedded server stops with the block."""
    names = tuple(names)
    if external:
        _reach(external, REACH_BUDGET_S)
        create(external, names)
        yield {name: database(external, name) for name in names}
        return
    try:
        embedded = _started(folder)
        _reach(embedded.url(), START_BUDGET_S)
        create(embedded.url(), names)
        yield {name: embedded.url(name) for name in names}
    finally:
        stop(folder)


def _started(folder: Path) -> Embedded:
    """The embedded server, started. After a kill it replays its log first, longer than its own start waits."""
    stop(folder)
    deadline = time.monotonic() + START_BUDGET_S
    while True:
        try:
            return Embedded(folder)
        except (subprocess.SubprocessError, AssertionError) as e:
            if time.monotonic() > deadline:
                raise InstanceError(f"PostgreSQL does not start; its log is {folder / 'log'}.") from e
            time.sleep(1.0)


def _reach(url: str, budget_s: float) -> None:
    """Wait until the server takes connections."""

    async def connect() -> None:
        connection = await asyncpg.connect(dsn(url), timeout=10)
        await connection.close()

    deadline = time.monotonic() + budget_s
    while True:
        try:
            return asyncio.run(connect())
        except _STARTING as e:
            if time.monotonic() > deadline:
                raise InstanceError(f"PostgreSQL cannot be reached: {e}.") from e
            time.sleep(0.3)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as e:
            raise InstanceError(f"PostgreSQL refuses the connection: {e}.") from e


def postmaster(folder: Path) -> psutil.Process | None:
    """The living server of this folder. A pid that now belongs to another program is not it."""
    try:
        process = psutil.Process(int((folder / "postmaster.pid").read_text().split("\n", 1)[0]))
        if process.status() == psutil.STATUS_ZOMBIE or str(folder.resolve()) not in process.cmdline():
            return None
    except (OSError, ValueError, psutil.Error):
        return None
    return process


def stop(folder: Path, budget_s: float = 5.0) -> None:
    """Stop the server of this folder: connections are cut, the state is written (fast); after the budget without
    writing it (immediate: the next start replays the log)."""
    process = postmaster(folder)
    if process is not None:
        for sign, wait_s in ((signal.SIGINT, budget_s), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(sign)
            if _ended(process, wait_s):
                break
    (folder / "postmaster.pid").unlink(missing_ok=True)
    # The embedded server's list of its users: with an entry of a killed one in it, it would never stop by itself; with
    # ours in it, it would try to stop again what has stopped.
    (folder / ".handle_pids.json").unlink(missing_ok=True)


def _ended(process: psutil.Process, wait_s: float) -> bool:
    """Whether it has ended; where nobody reaps it, a zombie has."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False
