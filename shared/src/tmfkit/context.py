"""What a flow, a route or a listener works with: settings, transactions, dependent APIs, the clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from tmfkit.database import Database
from tmfkit.settings import Settings
from tmfkit.signals import Signals
from tmfkit.store import Shelf, Store
from tmfkit.types import Entity, Monitor

if TYPE_CHECKING:
    from tmfkit.canvas_kubernetes import KubernetesCanvas
    from tmfkit.telemetry import Telemetry
    from tmfkit.upstream import Upstream

S = TypeVar("S", bound=Settings)
log = logging.getLogger("tmfkit")


class Transaction:
    """One connection, one transaction. Documents, their events, rows: all or nothing."""

    def __init__(self, connection: Any, shelves: Mapping[type[Entity], Shelf]) -> None:
        self.connection = connection
        self._shelves = shelves
        self.raised: list[str] = []

    def __getitem__(self, model: type[Entity]) -> Store:
        shelf = self._shelves[model]
        monitors = Store(self.connection, self._shelves[Monitor], self.raised) if shelf.resource.accepted else None
        return Store(self.connection, shelf, self.raised, monitors)

    async def fetch(self, statement: str, *args: Any) -> list[Any]:
        return list(await self.connection.fetch(statement, *args))

    async def fetchrow(self, statement: str, *args: Any) -> Any:
        return await self.connection.fetchrow(statement, *args)

    async def fetchval(self, statement: str, *args: Any) -> Any:
        return await self.connection.fetchval(statement, *args)

    async def execute(self, statement: str, *args: Any) -> str:
        return str(await self.connection.execute(statement, *args))

    async def executemany(self, statement: str, rows: Any) -> None:
        await self.connection.executemany(statement, rows)

    async def copy(self, table: str, columns: list[str], records: Any) -> str:
        return str(await self.connection.copy_records_to_table(table, columns=columns, records=records))


class Context(Generic[S]):
    """A running component. Built by Component; tests build it the same way."""

    def __init__(
        self,
        name: str,
        settings: S,
        database: Database,
        shelves: Mapping[type[Entity], Shelf],
        hrefs: Callable[[type[Entity]], str],
        signals: Signals,
        telemetry: Telemetry,
        upstreams: Mapping[str, Upstream],
        clock: Callable[[], datetime] | None = None,
        canvas: KubernetesCanvas | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.database = database
        self.shelves = shelves
        self.signals = signals
        self.telemetry = telemetry
        self.upstreams = upstreams
        self.canvas = canvas
        self.background: set[asyncio.Task[Any]] = set()
        self._hrefs = hrefs
        self._clock = clock or (lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self._clock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self.database.transaction() as connection:
            tx = Transaction(connection, self.shelves)
            yield tx
        if tx.raised:
            self.signals.send("outbox")

    def store(self, model: type[Entity]) -> Store:
        """A store whose every call is a statement of its own, on any connection: single reads, single writes."""
        return Store(self.database.lanes, self.shelves[model])

    def upstream(self, name: str) -> Upstream:
        """The client of a declared dependency; KeyError if the component did not declare it."""
        return self.upstreams[name]

    def href(self, model: type[Entity], id: str) -> str:
        """Address of one of our own resources, in its newest version, as others reach it."""
        return f"{self._hrefs(model)}/{quote(id, safe='')}"

    def wake(self, flow: str) -> None:
        """Run a flow now instead of at its next time; it may live in another process of this component."""
        self.signals.send(f"flow:{flow}")
