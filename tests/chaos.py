"""kill -9 under load: what was acknowledged is still there, and every event arrives.

Clients write customers (TMF629) without pause; PostgreSQL, the serving process, the relay and the subscriber are killed
at random moments and started again. Then three records are compared: what the clients sent and were answered, what the
subscriber heard, and what the database holds. SIGKILL loses what a process had in memory, not what the operating system
had: whether a disk keeps its promises is not tested here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import orjson
import psutil

sys.path.insert(0, str(Path(__file__).parent))

from chaos_clients import PATIENCE_S, Journal, Load, subscribe
from chaos_judgement import Check, Committed, Document, Record, Stored, figures, judge, records

VICTIMS = ("serve", "relay", "postgres", "backend", "everything")
PASSED_ON = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV"})
SHARED = 4
HEARD_WITHIN_S = 30.0


# --- what is killed ----------------------------------------------------------------------------------------


class Process:
    """A program that is started again whenever it ends, until it is stopped."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name, self.arguments, self.environment, self.log = name, arguments, environment, log
        self.down_s = 0.0
        self.ended: list[int] = []
        """Exit codes of ends that we did not bring about."""
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._killed = False

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.arguments, env=self.environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            code = await self._process.wait()
            if not self._killed:
                self.ended.append(code)
                self.down_s = 0.3
            self._killed = False
            await asyncio.sleep(self.down_s)
            await self.start()

    @property
    def up(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def kill(self, down_s: float) -> str:
        if self._process is None or not self.up:
            return f"{self.name} (down)"
        self._killed, self.down_s = True, down_s
        self._process.kill()
        return f"{self.name} {self._process.pid}"

    async def stop(self) -> int | None:
        """SIGTERM, and SIGKILL for what does not heed it; the exit code."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            return await asyncio.wait_for(self._process.wait(), 15)
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()


class PostgreSQL:
    """A server of our own, started as our child: a container's first process may not reap what others leave behind,
    and a postmaster that is a zombie still holds its lock file."""

    def __init__(self, folder: Path) -> None:
        from tmfkit.embedded import DURABLE, Embedded

        embedded = Embedded(folder, DURABLE)
        self.folder, self.url = folder, embedded.url("customer_360")
        self.any_url = embedded.url()
        server = embedded.server
        self._command = [str(server.bin_path / "postgres"), "-D", str(folder), "-h", ""]
        self._command += ["-k", str(server.get_postmaster_info().socket_dir)]
        self._user = server.system_user
        embedded.stop()
        self.restarts: set[asyncio.Task[None]] = set()
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        with (self.folder.parent / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220
                self._command, user=self._user, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                await (await asyncpg.connect(self.any_url)).close()
                return
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.05)

    def family(self) -> list[psutil.Process]:
        """The postmaster and its processes: those of the lock file in our own folder, and only if it is our child."""
        try:
            pid = int((self.folder / "postmaster.pid").read_text().split()[0])
        except (OSError, IndexError, ValueError):  # it has only just been started
            return []
        if self._process is None or self._process.poll() is not None or pid != self._process.pid:
            return []
        postmaster = psutil.Process(pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def kill(self, down_s: float) -> str:
        """The postmaster and all its processes; the restart (crash recovery) follows by itself."""
        family = self.family()
        if not family:
            return "postgres (down)"
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        task = asyncio.create_task(self._again(family, down_s), name="restart postgres")
        self.restarts.add(task)
        return f"postgres {family[0].pid} and {len(family) - 1} more"

    def kill_backend(self, rng: random.Random) -> str:
        """One process that serves a connection. The postmaster then ends all others and recovers by itself."""
        backends = [p for p in self.family()[1:] if "[local]" in _title(p)]
        if not backends:
            return "backend (none)"
        chosen = rng.choice(backends)
        name = _title(chosen)
        chosen.kill()
        return f"backend {chosen.pid} ({name.removeprefix('postgres: postgres ')})"

    async def _again(self, family: Iterable[psutil.Process], down_s: float) -> None:
        assert self._process is not None
        await asyncio.to_thread(self._process.wait)
        await asyncio.sleep(down_s)
        while any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family):
            await asyncio.sleep(0.02)
        for _ in range(20):  # a process forked while we killed may hold the shared memory for a moment
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self.start()
                return
            await asyncio.sleep(0.2)
        raise RuntimeError("PostgreSQL does not start again; see postgres.log")

    async def stop(self) -> None:
        for task in self.restarts:
            task.cancel()
        await asyncio.gather(*self.restarts, return_exceptions=True)
        if self._process is None:
            return
        family = self.family() if self._process.poll() is None else []
        self._process.send_signal(signal.SIGINT)  # fast shutdown
        try:
            await asyncio.to_thread(self._process.wait, 30)
        except subprocess.TimeoutExpired:
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process.wait()


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


# --- the run -----------------------------------------------------------------------------------------------

WAITING = (
    "SELECT (SELECT count(*) FROM outbox WHERE relayed_at IS NULL AND resource = 'Customer')"
    " + (SELECT count(*) FROM delivery d JOIN subscription s ON s.id = d.subscription_id WHERE d.dead_at IS NULL)"
)
OWNERLESS = (
    "SELECT count(*) FROM delivery d WHERE NOT EXISTS (SELECT 1 FROM subscription s WHERE s.id = d.subscription_id)"
)
EVENTS = (
    "SELECT seq, event_id, resource_id, kind, (doc->>'description')::bigint, md5(doc::text) FROM outbox"
    " WHERE resource = 'Customer' ORDER BY seq"
)
TASK_ENDED = re.compile(r"^.*\b(?:relay|following|flows|observe|signals) ended\b.*$", re.MULTILINE)


@dataclass
class Options:
    kills: int
    seconds_per_kill: float
    in_flight: int
    seed: int
    serves: int
    relays: int
    victims: Sequence[str]


@dataclass
class Outcome:
    checks: list[Check]
    figures: dict[str, float | int | str]
    kills: list[Record]


class Run:
    """Everything that is started, in one folder."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.rng = random.Random(options.seed)
        self.journal, self.heard = Journal(folder / "client.log"), folder / "heard.log"
        self.heard.touch()
        self.postgres = PostgreSQL(folder / "pgdata")
        ear, *ports = _free_ports(1 + options.serves)
        addresses = [f"http://127.0.0.1:{port}" for port in ports]
        self.environment = {k: v for k, v in os.environ.items() if k in PASSED_ON} | {
            "DATABASE_URL": self.postgres.url,
            "AUTH_MODE": "none",
            "WORKER": "false",
            "CALLBACK_ALLOW": '["127.0.0.0/8"]',
        }
        component = [sys.executable, "-m", "customer_360"]
        self.serves = {a: self._process(f"serve{n}", [*component, "serve"], PORT=a.rsplit(":", 1)[1], PUBLIC_URL=a)
                       for n, a in enumerate(addresses)}  # fmt: skip
        self.relays = [self._process(f"relay{n}", [*component, "work"]) for n in range(options.relays)]
        hear = [sys.executable, __file__, "--subscribe", str(self.heard), "--port", str(ear)]
        self.subscriber = self._process("subscriber", hear)
        self.processes = [*self.serves.values(), *self.relays, self.subscriber]
        self.load = Load(addresses, f"http://127.0.0.1:{ear}", self.journal, self.rng)
        self.deafened = 0

    def _process(self, name: str, arguments: Sequence[str], **environment: str) -> Process:
        return Process(name, arguments, self.environment | environment, self.folder / f"{name}.log")

    async def run(self) -> Outcome:
        options, clients = self.options, round(self.options.in_flight * 1.3) + 2
        await self._start()
        tasks = [asyncio.create_task(self.load.work(), name=f"client {n}") for n in range(clients)]
        tasks.append(asyncio.create_task(self.load.join(), name="late subscriptions"))
        listening, deafening = asyncio.create_task(self._listen()), asyncio.create_task(self._deafen())
        started = time.monotonic()
        try:
            plan = [options.victims[n % len(options.victims)] for n in range(options.kills)]
            self.rng.shuffle(plan)
            for n, victim in enumerate(plan, 1):
                await self._one_kill(n, victim, [*tasks, listening, deafening])
            await asyncio.sleep(options.seconds_per_kill / 2)
            loaded_s = time.monotonic() - started
            deafening.cancel()
            self.load.stopping = True
            _, late = await asyncio.wait(tasks, timeout=2 * PATIENCE_S)
            drained_s = await self._drain()
        finally:
            for task in (*tasks, listening, deafening):
                task.cancel()
            ended = await asyncio.gather(*tasks, listening, deafening, return_exceptions=True)
        for end in ended:
            if isinstance(end, Exception):
                raise end
        stored = await self._stored()
        codes = {p.name: await p.stop() for p in self.processes}
        journal, heard = records(self.journal.path), records(self.heard)
        checks = judge(journal, heard, stored, options.in_flight)
        died = [f"{p.name}: {line}" for p in self.processes for line in TASK_ENDED.findall(p.log.read_text())]
        checks.append(Check("no task of a component ended for good", len(self.processes), died))
        stuck = [f"{name} ended with {code} after SIGTERM" for name, code in codes.items() if code not in (0, -15)]
        stuck += [f"{task.get_name()}: no answer for {2 * PATIENCE_S:.0f} s" for task in late]
        checks.append(Check("all was answered at the end, and stopped when told", len(codes) + len(tasks), stuck))
        told = figures(journal, heard, stored) | {
            "seconds under load": round(loaded_s, 1),
            "seconds to deliver the rest": round(drained_s, 1),
            "subscriber killed as well": self.deafened,
            "ended by itself": ", ".join(f"{p.name} {len(p.ended)} x" for p in self.processes if p.ended) or "none",
        }
        return Outcome(checks, told, [r for r in journal if r["kind"] == "kill"])

    async def _start(self) -> None:
        from tmfkit.embedded import create_databases

        await self.postgres.start()
        await create_databases(self.postgres.any_url, ["customer_360"])
        with (self.folder / "migrate.log").open("wb") as log:
            migration = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "customer_360", "migrate", env=self.environment, stdout=log, stderr=log
            )
            if await migration.wait() != 0:
                raise RuntimeError("customer-360 does not migrate; see migrate.log")
        for process in self.processes:
            await process.start()
        deadline = time.monotonic() + 60
        for url in [self.load.subscriber, *(f"{a}/health/ready" for a in self.serves)]:
            while not await self.load.answers(url):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{url} does not answer")
                await asyncio.sleep(0.1)
        await self.load.insist("HUB", "/hub", {"callback": f"{self.load.subscriber}/heard"}, join=0)
        for _ in range(SHARED):
            id = await self.load.create("shared", shared=True)
            assert id is not None
            self.load.shared.append(id)

    async def _one_kill(self, n: int, victim: str, watched: Sequence[asyncio.Task[None]]) -> None:
        """Kill at a random moment with enough in flight; see when a request sent after it is answered, and when a
        change made after it is heard. One in four kills does not wait for the latter: recoveries are killed too."""
        await asyncio.sleep(self.rng.uniform(0, 1) * self.options.seconds_per_kill)
        self.load.wanted = True
        async with asyncio.timeout(120):  # no other task may run between the moment and the kill: not wait_for
            await self._moment(victim, watched)
        in_flight, at, number, down_s = (
            self.load.in_flight,
            time.monotonic(),
            self.load.number(),
            self.rng.uniform(0, 1),
        )
        killed = self._kill(victim, down_s)
        self.load.wanted = False
        self.journal.write(kind="kill", n=n, victim=victim, killed=killed, in_flight=in_flight)
        answered_s = await _seconds_until(lambda: self.load.newest > at, HEARD_WITHIN_S)
        told = "NOT ANSWERED AGAIN" if answered_s is None else f"answering again after {answered_s:4.1f} s"
        if self.rng.random() < 0.75:
            heard_s = await _seconds_until(lambda: self.load.heard > number, HEARD_WITHIN_S)
            heard_at_s = time.monotonic() - at
            told += ", NOT HEARD AGAIN" if heard_s is None else f", heard again after {heard_at_s:4.1f} s"
        _say(f"kill {n:>2}/{self.options.kills}  {victim:<10}  {in_flight:>3} in flight, {told}  [{killed}]")

    async def _moment(self, victim: str, watched: Sequence[asyncio.Task[None]]) -> None:
        """Enough in flight. A serving process dies, half of the time, just after it has acknowledged a subscription:
        what it wanted to tell the relay about it is then lost."""
        at_registration = victim == "serve" and self.rng.random() < 0.5
        while True:
            if at_registration:
                self.load.registered.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.load.registered.wait(), 5)
            if self.load.in_flight >= self.options.in_flight and self._up(victim):
                return
            for task in (*watched, *self.postgres.restarts):
                if task.done() and not task.cancelled():
                    task.result()
            await asyncio.sleep(0.002)

    def _up(self, victim: str) -> bool:
        """Whether there is something to kill."""
        if victim == "serve":
            return self.serves[self.load.registrar].up
        return any(p.up for p in self.relays) if victim == "relay" else bool(self.postgres.family())

    def _kill(self, victim: str, down_s: float) -> str:
        if victim == "postgres":
            return self.postgres.kill(down_s)
        if victim == "backend":
            return self.postgres.kill_backend(self.rng)
        if victim == "serve":
            chosen = {self.load.registrar, *self.rng.sample([*self.serves], self.rng.randint(0, 1))}
            processes = [self.serves[address] for address in chosen]
        elif victim == "relay":
            up = [p for p in self.relays if p.up]
            processes = self.rng.sample(up, self.rng.randint(1, len(up)))
        else:
            processes = self.processes
        killed = [p.kill(down_s + self.rng.uniform(0, 0.5)) for p in processes]
        return ", ".join([self.postgres.kill(down_s), *killed] if victim == "everything" else killed)

    async def _deafen(self) -> None:
        """The subscriber dies too, at moments of its own."""
        while True:
            await asyncio.sleep(self.rng.uniform(3, 15))
            self.subscriber.kill(self.rng.uniform(0, 2))
            self.deafened += 1

    async def _listen(self) -> None:
        """Follow what the subscriber writes: the newest value, and which late subscriptions have heard."""
        with self.heard.open("rb") as file:
            rest = b""
            while True:
                *lines, rest = (rest + file.read()).split(b"\n")
                for line in lines:
                    if found := re.search(rb'"/join/(\d+)"', line):
                        self.load.joined.add(int(found[1]))
                    elif found := re.search(rb'"value":(\d+)', line):
                        self.load.heard = max(self.load.heard, int(found[1]))
                await asyncio.sleep(0.1)

    async def _drain(self) -> float:
        """Wait until every event is delivered; if that does not come, the judgement will say so."""
        started = time.monotonic()
        connection = await asyncpg.connect(self.postgres.url)
        try:
            while await connection.fetchval(WAITING) and time.monotonic() - started < 120:
                await asyncio.sleep(0.3)
        finally:
            await connection.close()
        return time.monotonic() - started

    async def _stored(self) -> Stored:
        connection = await asyncpg.connect(self.postgres.url)
        try:
            documents = await connection.fetch(
                "SELECT id, revision, (doc->>'description')::bigint, md5(doc::text) FROM customer"
            )
            audited = await connection.fetch(
                "SELECT resource_id, count(*) FROM audit WHERE resource = 'Customer' GROUP BY 1"
            )
            return Stored(
                documents={r[0]: Document(r[1], r[2], r[3]) for r in documents},
                events=[Committed(*r) for r in await connection.fetch(EVENTS)],
                audited=dict(audited),
                keys=dict(await connection.fetch("SELECT key, resource_id FROM idempotency")),
                waiting=await connection.fetchval(WAITING),
                dead=await connection.fetchval("SELECT count(*) FROM delivery WHERE dead_at IS NOT NULL"),
                ownerless=await connection.fetchval(OWNERLESS),
            )
        finally:
            await connection.close()

    async def stop(self) -> None:
        await self.load.aclose()
        await asyncio.gather(*(p.stop() for p in self.processes))
        await self.postgres.stop()
        self.journal.close()


async def _seconds_until(true: Callable[[], bool], limit_s: float) -> float | None:
    """How long it took; None if it was not true within the limit."""
    started = time.monotonic()
    while not true():
        if time.monotonic() - started > limit_s:
            return None
        await asyncio.sleep(0.01)
    return time.monotonic() - started


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def report(outcome: Outcome) -> int:
    """The table and the closing line; how many promises were not kept."""
    _say("")
    for name, value in outcome.figures.items():
        _say(f"{name:<44} {value:>20}")
    _say("")
    for check in outcome.checks:
        verdict = "kept" if not check.failures else f"BROKEN {len(check.failures)} times"
        _say(f"{check.name:<56} {check.examined:>8}  {verdict}")
        for failure in check.failures[:5]:
            _say(f"    {failure}")
    failed = sum(bool(c.failures) for c in outcome.checks)
    _say(f"\n{len(outcome.checks) - failed} passed, {failed} failed")
    return failed


def _say(line: str) -> None:
    print(line, flush=True)


async def chaos(options: Options, folder: Path) -> Outcome:
    """Start, kill, judge, and leave nothing running, however it ends."""
    task = asyncio.current_task()
    assert task is not None
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(sign, _once(task.cancel))
    run = Run(options, folder)
    try:
        async with asyncio.timeout(300 + options.kills * (20 + options.seconds_per_kill)):
            return await run.run()
    finally:
        await run.stop()


def _once(cancel: Callable[[], bool]) -> Callable[[], None]:
    """A second Ctrl-C must not interrupt the stopping."""
    asked: list[bool] = []
    return lambda: asked.append(cancel()) if not asked else None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seconds-per-kill", type=float, default=3.0, help="longest pause between recovery and kill")
    parser.add_argument("--inflight", type=int, default=50, help="requests that must be in flight at each kill")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and the victims")
    parser.add_argument("--serves", type=int, default=2, help="processes that serve")
    parser.add_argument("--relays", type=int, default=1, help="processes that relay; all but one stand by")
    parser.add_argument("--victims", nargs="+", choices=VICTIMS, default=VICTIMS, help="each as often as the others")
    parser.add_argument("--json", type=Path, help="write the outcome here")
    parser.add_argument("--keep", type=Path, help="leave the records and the logs in this folder")
    parser.add_argument("--subscribe", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.subscribe:
        subscribe(given.subscribe, given.port)
        return 0
    options = Options(
        given.kills, given.seconds_per_kill, given.inflight, given.seed, given.serves, given.relays, given.victims
    )
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as name:
        try:
            try:
                outcome = asyncio.run(chaos(options, Path(name)))
            finally:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # the folder goes too, however often Ctrl-C is pressed
        except asyncio.CancelledError:
            _say("interrupted")
            return 130
        except (RuntimeError, OSError, asyncpg.PostgresError) as e:
            _say(f"{type(e).__name__}: {e}\n0 passed, 1 failed")
            _leave(Path(name), given.keep)
            return 1
        failed = report(outcome)
        if failed or given.keep:
            _leave(Path(name), given.keep)
    if given.json:
        checks = [c._asdict() for c in outcome.checks]
        content = {"seed": options.seed, "figures": outcome.figures, "checks": checks, "kills": outcome.kills}
        given.json.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    return 1 if failed else 0


def _leave(folder: Path, keep: Path | None) -> None:
    """The records are the evidence."""
    target = keep or Path(tempfile.mkdtemp(prefix="chaos-evidence-"))
    target.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.log"):
        shutil.copy(file, target)
    _say(f"records: {target}")


if __name__ == "__main__":
    sys.exit(main())
