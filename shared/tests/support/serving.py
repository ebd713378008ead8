"""Real things for tests: a database with a component's tables, an app on a socket, a listener on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

import asyncpg
import httpx
import orjson
import uvicorn
from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tmfkit.component import Component
from tmfkit.database import dsn, new_id
from tmfkit.embedded import create
from tmfkit.sql import INSTANT_FUNCTION
from tmfkit.testing import database_named, local_settings, server
from tmfkit.types import Document

PATIENCE_S = 30.0


# --- a database --------------------------------------------------------------------------------------------


def database(component: Component) -> str:
    """URL of an empty database with the tables that a component declares, for one that has no migrations."""
    schema = component.schema
    if component.name not in _templates:
        _templates[component.name] = _template(component.name, schema)
    template = _templates[component.name]
    name = f"test_{component.name}_{new_id().replace('-', '')}"
    create(server(), [name], template=template)
    return database_named(name)


_templates: dict[str, str] = {}


def _template(name: str, schema: MetaData) -> str:
    template = f"template_{name}_{os.getpid()}"
    create(server(), [template])
    asyncio.run(_create_all(database_named(template), schema))
    return template


async def _create_all(url: str, schema: MetaData) -> None:
    engine = create_async_engine(f"postgresql+asyncpg://{dsn(url).partition('://')[2]}", poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text(INSTANT_FUNCTION))
        await connection.run_sync(schema.create_all)
    await engine.dispose()


@contextlib.contextmanager
def away(url: str) -> Iterator[None]:
    """Nobody can reach this database for a while; whoever was connected is thrown out."""
    name = url.partition("://")[2].partition("/")[2].partition("?")[0]

    async def allow(connections: bool) -> None:
        connection = await asyncpg.connect(dsn(server()))
        try:
            await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {connections}')
            if not connections:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
                )
        finally:
            await connection.close()

    asyncio.run(allow(False))
    try:
        yield
    finally:
        asyncio.run(allow(True))


# --- sockets -----------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def served(app: Any, port: int = 0) -> Iterator[str]:
    """An ASGI app on a real socket, in a thread of its own; its address."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, interface="asgi3", log_config=None, access_log=False, ws="none",
        proxy_headers=False,
    )  # fmt: skip
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, name=f"served {port}", daemon=True)
    thread.start()
    while not running.started:
        assert thread.is_alive(), "the server ended while it started"
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join(20)


class Online:
    """A component that serves on a real socket, worker and all, and a look into its database."""

    def __init__(self, component: Component, **values: Any) -> None:
        self.component = component
        self.port = values.pop("port", None) or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.url = values.pop("database_url", None) or database(component)
        self.base = f"{self.address}/{component.name}"
        self.settings = local_settings(
            component, database_url=self.url, public_url=self.address, port=self.port, **values
        )
        self.client = httpx.Client(base_url=self.address, timeout=30, trust_env=False)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(served(self.component.app(self.settings), self.port))
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._stack.close()

    def sql(self, statement: str, *args: Any) -> list[Any]:
        async def ask() -> list[Any]:
            connection = await asyncpg.connect(dsn(self.url))
            try:
                return list(await connection.fetch(statement, *args))
            finally:
                await connection.close()

        return asyncio.run(ask())

    def count(self, table: str, where: str = "true") -> int:
        return int(self.sql(f"SELECT count(*) FROM {table} WHERE {where}")[0][0])


def until(happened: Callable[[], Any], what: str = "it", timeout_s: float = PATIENCE_S) -> Any:
    """Wait until something is true, and give it back."""
    end = time.monotonic() + timeout_s
    while not (found := happened()):
        assert time.monotonic() < end, f"{what} did not happen within {timeout_s:.0f} s"
        time.sleep(0.005)
    return found


class Listener:
    """Somebody else's system that hears our events: a real HTTP server in a thread.

    `answer` says the status for an event. Whatever it is, the event is in `events` and the moment in `times`; `taken`
    are those that were answered with success.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.events: list[Document] = []
        self.taken: list[Document] = []
        self.times: list[float] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[Document], int] = lambda _event: 201
        self.answer_headers: list[tuple[bytes, bytes]] = []
        self.delay_s = 0.0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.address = self._stack.enter_context(served(self._app, self.port))
        self.port = int(self.address.rpartition(":")[2])
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def callback(self) -> str:
        return f"{self.address}/listener"

    def wait(self, count: int, timeout_s: float = PATIENCE_S) -> list[Document]:
        """The events it took, as soon as there are so many."""
        until(lambda: len(self.taken) >= count, f"event {count}", timeout_s)
        return list(self.taken)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await _lifespan(receive, send)
            return
        content, more = b"", True
        while more:
            message = await receive()
            content, more = content + message.get("body", b""), message.get("more_body", False)
        event: Document = orjson.loads(content) if content else {}
        self.times.append(time.monotonic())
        self.events.append(event)
        self.paths.append(scope["path"])
        self.headers.append({k.decode().lower(): v.decode() for k, v in scope["headers"]})
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        status = self.answer(event)
        if 200 <= status < 300:
            self.taken.append(event)
        headers = [(b"content-length", b"0"), *self.answer_headers]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
