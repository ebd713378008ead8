"""History, customers and objectives into the components, over their public addresses. Can be stopped and run again:
each request that was accepted is remembered, and the receivers know what they have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import httpx
import orjson

from demo_operator import customers, inventory, measurements, objectives
from demo_operator.memory import (
    LOAD_LOCK,
    Busy,
    Operator,
    alone,
    forget,
    recall,
    recall_all,
    remember,
    the_operator,
)
from demo_operator.settings import DemoSettings
from tmfkit import Context
from tmfkit.types import Document
from tmfkit.upstream import Upstream, UpstreamError, UpstreamUnavailable

Say = Callable[[str], None]
T = TypeVar("T")
CUSTOMERS = "tmf-api/customerManagement/v5/customer"
JSON_PATCH = "application/json-patch+json"
TOLD_EVERY_S = 2.0
_IDS_PER_QUERY = 50
_TRIES = 5
MILESTONES = ("inventory", "customers", "history", "objectives")


class LoadError(Exception):
    """A component refused what it was given; the message says which and why."""


def say(line: str) -> None:
    """One line on standard output, at once."""
    print(line, flush=True)


async def until_up(ctx: Context[DemoSettings], names: Iterable[str], tell: Say, timeout_s: float | None = None) -> None:
    """Wait until the components say that they are ready. Asked without the dependency's client, whose circuit would
    stay open for a while after a component has come up. Errors: TimeoutError."""
    bases = {name: ctx.settings.dependencies[name].rstrip("/") for name in names}
    async with asyncio.timeout(timeout_s), httpx.AsyncClient(timeout=5.0) as client:
        for name, base in bases.items():
            waited = False
            while True:
                try:
                    if (await client.get(f"{base}/health/ready")).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                if not waited:
                    tell(f"waiting for {name} at {base}")
                    waited = True
                await asyncio.sleep(0.5)


async def patiently(name: str, tell: Say, ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again while a component is away or stumbles; a refusal (4xx) is final. Errors: LoadError, UpstreamError."""
    stumbled = 0
    told = False
    while True:
        try:
            return await ask()
        except UpstreamUnavailable as e:
            if not told:
                tell(f"{name} is away, trying again: {e}")
                told = True
            await asyncio.sleep(1.0)
        except UpstreamError as e:
            stumbled += 1
            if (e.upstream_status or 0) < 500 or stumbled >= _TRIES:
                raise
            await asyncio.sleep(0.5 * stumbled)


class Progress:
    """How far a part of the load is, told every two seconds while the block lasts."""

    def __init__(self, what: str, unit: str, total: int, tell: Say) -> None:
        self.what, self.unit, self.total, self._tell = what, unit, total, tell
        self.done = self.before = 0
        self.started = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def per_second(self) -> float:
        return (self.done - self.before) / max(self.seconds, 1e-3)

    def line(self) -> str:
        share = 100 * self.done // self.total if self.total else 100
        counts = f"{self.done:>10,} of {self.total:,} {self.unit}"
        return f"{self.what:<10} {counts}  {share:3d} %  {self.per_second:>9,.0f} {self.unit}/s"

    async def __aenter__(self) -> Progress:
        self._task = asyncio.create_task(self._ticking())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._task:
            self._task.cancel()
        if kind is None:
            self._tell(self.line())

    async def _ticking(self) -> None:
        while True:
            await asyncio.sleep(TOLD_EVERY_S)
            self._tell(self.line())


# --- customers ---------------------------------------------------------------------------------------------


async def _known(upstream: Upstream, ids: Sequence[str]) -> set[str]:
    """Those of the ids that customer-360 has already."""
    found: set[str] = set()
    for first in range(0, len(ids), _IDS_PER_QUERY):
        some = ids[first : first + _IDS_PER_QUERY]
        docs = await upstream.get(CUSTOMERS, {"id": ",".join(some), "fields": "id", "limit": len(some)})
        found.update(doc["id"] for doc in docs)
    return found


async def _create(upstream: Upstream, docs: Sequence[Document]) -> None:
    """Bulk create; where some exist already (an earlier run was cut short), only the others."""
    try:
        await upstream.patch(CUSTOMERS, _additions(docs), media_type=JSON_PATCH)
    except UpstreamError as e:
        if e.upstream_status != 409:
            raise
        known = await _known(upstream, [doc["id"] for doc in docs])
        missing = [doc for doc in docs if doc["id"] not in known]
        if missing:
            await upstream.patch(CUSTOMERS, _additions(missing), media_type=JSON_PATCH)


def _additions(docs: Iterable[Document]) -> list[Document]:
    return [{"op": "add", "path": "/", "value": doc} for doc in docs]


def _batches(docs: Iterator[Document], size: int) -> Iterator[list[Document]]:
    while batch := list(islice(docs, size)):
        yield batch


async def _load_customers(ctx: Context[DemoSettings], operator: Operator, tell: Say) -> None:
    if await recall(ctx, "milestone/customers"):
        return
    upstream = ctx.upstream("customer360")
    await until_up(ctx, ["customer360"], tell)
    if await upstream.get(CUSTOMERS, {"limit": 1, "fields": "id"}) == []:
        await forget(ctx, "part/customers/")
    done = await recall_all(ctx, "part/customers/")
    counts = {"live": len(operator.world.people), "past": operator.terms.past_customers}
    async with Progress("customers", "customers", sum(counts.values()), tell) as progress:
        for cohort, docs in (("live", customers.live(operator)), ("past", customers.past(operator))):
            for batch in _batches(docs, ctx.settings.customers_per_request):
                name = f"{cohort}/{batch[0]['id']}/{len(batch)}"
                if name in done:
                    progress.before += len(batch)
                else:
                    await patiently("customer360", tell, partial(_create, upstream, batch))
                    await remember(ctx, f"part/customers/{name}", len(batch))
                progress.done += len(batch)
    await remember(ctx, "milestone/customers", {**counts, "seconds": round(progress.seconds, 1)})
    tell(f"customers loaded: {counts['live']:,} of today, {counts['past']:,} of an earlier base whose outcome is known")


# --- history -----------------------------------------------------------------------------------------------


async def send_measurements(ctx: Context[DemoSettings], body: bytes, rows: int) -> None:
    """One batch into service-quality. Repeating it is harmless: the receiver takes each measurement once."""
    upstream = ctx.upstream("serviceQuality")
    headers = {"content-type": measurements.NDJSON}
    answer = orjson.loads((await upstream.request("POST", measurements.PATH, content=body, headers=headers)).content)
    if answer["rejected"] or answer["accepted"] + answer["duplicates"] != rows:
        first = (answer.get("errors") or ["not told"])[0]
        raise LoadError(f"service-quality rejected {answer['rejected']} of {rows} measurements; the first: {first}")


async def _load_history(ctx: Context[DemoSettings], operator: Operator, tell: Say) -> None:
    if await recall(ctx, "milestone/history"):
        return
    await until_up(ctx, ["serviceQuality"], tell)
    if await ctx.upstream("serviceQuality").get(measurements.PATH, {"limit": 1}) == []:
        await forget(ctx, "part/history/")
    done = await recall_all(ctx, "part/history/")
    blocks = list(measurements.blocks(operator, ctx.settings.batch_rows))
    todo = iter([block for block in blocks if block.name not in done])
    async with Progress("history", "rows", sum(block.rows for block in blocks), tell) as progress:
        progress.done = progress.before = sum(block.rows for block in blocks if block.name in done)

        async def sending() -> None:
            for block in todo:
                body = measurements.ndjson(operator.world, block.start_s, block.step_s, block.steps, operator.incidents)
                await patiently("serviceQuality", tell, partial(send_measurements, ctx, body, block.rows))
                await remember(ctx, f"part/history/{block.name}", block.rows)
                progress.done += block.rows

        async with asyncio.TaskGroup() as group:
            for _ in range(ctx.settings.requests_in_flight):
                group.create_task(sending())
    sent = {"rows": progress.done, "seconds": round(progress.seconds, 1), "rowsPerS": round(progress.per_second)}
    await remember(ctx, "milestone/history", sent)
    tell(
        f"history loaded: {progress.done:,} measurements of {operator.terms.history_weeks} weeks "
        f"in {progress.seconds:.0f} s, {progress.per_second:,.0f} rows/s"
    )


# --- objectives --------------------------------------------------------------------------------------------


async def _load_objectives(ctx: Context[DemoSettings], tell: Say) -> None:
    """After the history, so that nothing long past is judged."""
    if await recall(ctx, "milestone/objectives"):
        return
    upstream = ctx.upstream("serviceQuality")

    async def kept(document: Document) -> Document:
        known = await upstream.get(objectives.PATH, {"name": document["name"], "limit": 1})
        stored: Document = known[0] if known else await upstream.post(objectives.PATH, document)
        return stored

    for name, document in objectives.payloads().items():
        stored = await patiently("serviceQuality", tell, partial(kept, document))
        await remember(ctx, f"objective/{name}", {"id": stored["id"], "href": stored["href"]})
    count = len(objectives.payloads())
    await remember(ctx, "milestone/objectives", {"count": count})
    tell(f"objectives set: {count}")


# --- all of it ---------------------------------------------------------------------------------------------


async def milestones(ctx: Context[Any]) -> dict[str, Any]:
    """What is done, by name."""
    return await recall_all(ctx, "milestone/")


async def is_loaded(ctx: Context[Any]) -> bool:
    return set(MILESTONES) <= (await milestones(ctx)).keys()


async def rows_loaded(ctx: Context[Any]) -> int:
    """Measurements of the history that service-quality has accepted."""
    return sum((await recall_all(ctx, "part/history/")).values())


async def load(ctx: Context[DemoSettings], tell: Say = say) -> None:
    """Everything the loop stands on, each part once. While another process loads, its progress is told.

    Errors: LoadError where a component refuses what it is given.
    """
    operator = await the_operator(ctx)
    filled = await inventory.fill(ctx)
    tell(
        f"inventories filled: {filled.products:,} products, {filled.services:,} services, "
        f"{filled.resources:,} resources (world of seed {operator.terms.seed})"
    )
    while not await is_loaded(ctx):
        try:
            async with alone(ctx, LOAD_LOCK, "another process is loading"):
                await _load_all(ctx, operator, tell)
        except Busy:
            await asyncio.sleep(TOLD_EVERY_S)
            tell(f"another process is loading: {await rows_loaded(ctx):,} measurements so far")
    tell("loaded")


async def _load_all(ctx: Context[DemoSettings], operator: Operator, tell: Say) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_load_customers(ctx, operator, tell))
            group.create_task(_load_history(ctx, operator, tell))
    except* (LoadError, UpstreamError) as failed:
        first = failed.exceptions[0]
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise LoadError(str(first)) from first
    await _load_objectives(ctx, tell)
