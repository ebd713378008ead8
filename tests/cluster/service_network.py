"""Stands in for kube-proxy and the cluster's DNS: Services are reached by their names, on loopback.

A cluster address 10.a.b.c is served on 127.a.b.c, by a relay of TCP connections for each Service port to a ready
endpoint; so one network at a time has a machine. Names are in a hosts file that only the processes started by `inside`
see, in a mount namespace of their own (root, or a kernel that lets users have one).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
from api_server import Cluster, ClusterError
from kubernetes_binaries import ToolMissing, alone, cache_folder

LOOK_EVERY_S = 0.5
ANSWER_S = 30.0
SERVICE_NAME = "kubernetes.io/service-name"
DOMAIN = "cluster.local"

Endpoint = tuple[str, int]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def local(address: str) -> str:
    """Where a cluster address is served on this machine."""
    return "127." + address.partition(".")[2]


def names(service: str, namespace: str) -> list[str]:
    """All names of a Service; the short one too, though only its own namespace should know it."""
    return [f"{service}.{namespace}.svc.{DOMAIN}", f"{service}.{namespace}.svc", f"{service}.{namespace}", service]


def endpoints(slices: list[dict[str, Any]], port: str) -> list[Endpoint]:
    """The ready endpoints of a Service for one of its ports, by the port's name."""
    found = []
    for part in slices:
        numbers = [p["port"] for p in part.get("ports") or [] if (p.get("name") or "") == port]
        for endpoint in part.get("endpoints") or []:
            if endpoint.get("conditions", {}).get("ready"):
                found += [(local(address), number) for address in endpoint["addresses"] for number in numbers]
    return found


class ServiceNetwork:
    """Looks at Services and EndpointSlices until it is closed. `extra`: further names and their addresses."""

    def __init__(self, cluster: Cluster, extra: dict[str, str] | None = None) -> None:
        self._cluster, self._extra = cluster, dict(extra or {})
        self._lock = contextlib.ExitStack()
        self._lock.enter_context(alone(cache_folder("network"), "Another test cluster has the addresses: waiting."))
        self.hosts = cluster.folder / "hosts"
        self._machine = Path("/etc/hosts").read_text()
        self._write([])
        self._targets: dict[Endpoint, itertools.cycle[Endpoint]] = {}
        self._known: dict[Endpoint, list[Endpoint]] = {}
        self._servers: dict[Endpoint, asyncio.Server] = {}
        self._relays: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="service network", daemon=True)
        self._thread.start()
        self._looking: Future[None] = asyncio.run_coroutine_threadsafe(self._look(), self._loop)

    def close(self) -> None:
        self._looking.cancel()
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        if not self._thread.is_alive():
            self._loop.close()
        self._lock.close()

    def inside(self, command: Sequence[str | Path]) -> list[str]:
        """A command line that sees the cluster's names."""
        unshare = shutil.which("unshare")
        if unshare is None:
            raise ToolMissing("There is no unshare here (Debian and Ubuntu: package util-linux).")
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        mounted = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return [unshare, *user, "--mount", "/bin/sh", "-c", mounted, str(self.hosts), *(str(part) for part in command)]

    def check(self) -> None:
        """Errors: ToolMissing where no mount namespace can be had."""
        done = subprocess.run(self.inside(["true"]), capture_output=True, text=True, check=False)
        if done.returncode:
            raise ToolMissing(
                "Processes cannot be given a hosts file of their own here (root, or user namespaces for everybody: "
                f"sysctl kernel.apparmor_restrict_unprivileged_userns=0): {done.stderr.strip()}"
            )

    async def _end(self) -> None:
        for server in self._servers.values():
            server.close()
        here = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not here]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(httpx.HTTPError, ClusterError):
                services, slices = await asyncio.gather(
                    asyncio.to_thread(self._cluster.items, "/api/v1/services"),
                    asyncio.to_thread(self._cluster.items, "/apis/discovery.k8s.io/v1/endpointslices"),
                )
                await self._follow(services, slices)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _follow(self, services: list[dict[str, Any]], slices: list[dict[str, Any]]) -> None:
        lines, wanted = [], {}
        for service in services:
            meta, spec = service["metadata"], service["spec"]
            address = spec.get("clusterIP") or "None"
            own = [
                part
                for part in slices
                if part["metadata"]["namespace"] == meta["namespace"]
                and part["metadata"].get("labels", {}).get(SERVICE_NAME) == meta["name"]
            ]
            if address == "None":  # headless: the name is that of the pods
                for port in spec.get("ports") or []:
                    for pod, _ in endpoints(own, port.get("name") or ""):
                        lines.append(f"{pod} {' '.join(names(meta['name'], meta['namespace']))}")
                continue
            if meta["namespace"] == "default" and meta["name"] == "kubernetes":
                continue
            lines.append(f"{local(address)} {' '.join(names(meta['name'], meta['namespace']))}")
            for port in spec.get("ports") or []:
                wanted[(local(address), int(port["port"]))] = endpoints(own, port.get("name") or "")
        self._write(lines)
        for gone in self._servers.keys() - wanted.keys():
            self._servers.pop(gone).close()
        for door, ready in wanted.items():
            if self._known.get(door) != ready:
                self._known[door], self._targets[door] = ready, itertools.cycle(ready)
            if door not in self._servers:
                await self._open(door)

    async def _open(self, door: Endpoint) -> None:
        async def relayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._relay(door, reader, writer)

        try:
            self._servers[door] = await asyncio.start_server(held(self._relays, relayed), *door)
        except OSError as e:
            print(f"service network: {door[0]}:{door[1]} cannot be listened on: {e}", flush=True)

    async def _relay(self, door: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = next(self._targets[door], None)
        try:
            if target is None:
                return
            there, back = await asyncio.open_connection(*target)
            try:
                asked = asyncio.create_task(poured(reader, back))
                answered = asyncio.create_task(poured(there, writer))
                await asyncio.wait((asked, answered), return_when=asyncio.FIRST_COMPLETED)
                if asked.done():  # who asked may have said all and still wait for the answer
                    await asyncio.wait((answered,), timeout=ANSWER_S)
                for task in (asked, answered):
                    task.cancel()
            finally:
                back.close()
        except OSError:
            return
        finally:
            writer.close()

    def _write(self, lines: list[str]) -> None:
        """In place: the file is mounted in the processes by its inode. One write, and only of news."""
        extra = [f"{address} {name}" for name, address in self._extra.items()]
        content = "\n".join([*lines, *extra, self._machine])
        if not self.hosts.exists() or self.hosts.read_text() != content:
            with self.hosts.open("a+b") as file:
                data = content.encode()
                os.ftruncate(file.fileno(), 0)
                file.write(data)


def held(tasks: set[asyncio.Task[Any]], handler: Handler) -> Handler:
    """A handler of connections whose tasks are kept until they are done: the server holds none of them."""

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await handler(reader, writer)

    return handled


async def poured(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All that comes from one side, to the other."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
