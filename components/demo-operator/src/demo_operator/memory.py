"""What the demo operator remembers between runs: which world it stands for, what has been loaded, where its time is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any

import orjson

from demo_operator.domain.faults import WEEK_S, Fault, incidents
from demo_operator.domain.hazard import DAY_S
from demo_operator.domain.network import FULL, TINY
from demo_operator.domain.subscribers import Person, Thing
from demo_operator.domain.world import World, build
from demo_operator.settings import DemoSettings
from tmfkit import Context

HOUR_S = 3600
PAST_AGE_S = 60 * DAY_S
"""How long before the beginning the earlier base is seen: both outcome windows (30 and 60 days) are over by then."""
CARE_MEMORY_S = 13 * WEEK_S
SCALES = {"full": FULL, "tiny": TINY}
TIME_LOCK = 0x74696D65
LOAD_LOCK = 0x6C6F6164


@dataclass(frozen=True)
class Terms:
    """What a world is made of; equal terms, equal world. `as_of_s` is where history ends and live time begins."""

    seed: int
    scale: str
    as_of_s: int
    past_customers: int
    history_weeks: int
    incidents_per_week: float


@dataclass(frozen=True)
class Operator:
    """A world with its past. Made of Terms alone."""

    terms: Terms
    world: World
    incidents: tuple[Fault, ...]

    @property
    def past_as_of_s(self) -> int:
        return self.terms.as_of_s - PAST_AGE_S

    @cached_property
    def people(self) -> dict[str, Person]:
        return {person.id: person for person in self.world.people}

    @cached_property
    def things(self) -> dict[str, Thing]:
        return {thing.id: thing for thing in self.world.things}

    @cached_property
    def past(self) -> World | None:
        """The earlier base on the same network; None if none is wanted."""
        count = self.terms.past_customers
        if not count:
            return None
        scale = replace(self.world.scale, people=count, things=max(1, count // 10))
        return build(self.terms.seed, scale, self.past_as_of_s, "past")


@lru_cache(maxsize=2)
def operator(terms: Terms) -> Operator:
    """The operator of these terms. No incident of its past reaches into the last week: live time begins quiet, the week
    that the first faults are compared with is a healthy one, and nobody has had their worst week already."""
    world = build(terms.seed, SCALES[terms.scale], terms.as_of_s)
    since_s = terms.as_of_s - PAST_AGE_S - CARE_MEMORY_S
    past = incidents(world, since_s, terms.as_of_s, terms.incidents_per_week)
    return Operator(terms, world, tuple(one for one in past if one.end_s <= terms.as_of_s - WEEK_S))


def hour(at: datetime) -> int:
    """The full hour before an instant, in seconds since the epoch."""
    return int(at.timestamp()) // HOUR_S * HOUR_S


def instant(at_s: int) -> str:
    """Seconds since the epoch as RFC 3339 in UTC."""
    return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")


# --- remembered by name -----------------------------------------------------------------------------------


async def recall(ctx: Context[Any], name: str) -> Any:
    """The value under a name; None if there is none."""
    text = await ctx.database.fetchval("SELECT value::text FROM remembered WHERE name = $1", name)
    return None if text is None else orjson.loads(text)


async def recall_all(ctx: Context[Any], prefix: str) -> dict[str, Any]:
    """Every name that begins so, without the prefix."""
    rows = await ctx.database.pool.fetch(
        "SELECT name, value::text AS value FROM remembered WHERE starts_with(name, $1) ORDER BY name", prefix
    )
    return {row["name"].removeprefix(prefix): orjson.loads(row["value"]) for row in rows}


async def remember(ctx: Context[Any], name: str, value: Any) -> None:
    await ctx.database.pool.execute(
        "INSERT INTO remembered (name, value) VALUES ($1, $2::jsonb)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = now()",
        name,
        orjson.dumps(value).decode(),
    )


async def forget(ctx: Context[Any], prefix: str) -> None:
    await ctx.database.pool.execute("DELETE FROM remembered WHERE starts_with(name, $1)", prefix)


async def the_operator(ctx: Context[DemoSettings]) -> Operator:
    """The operator this database stands for; the first to ask settles its terms from the settings."""
    settings = ctx.settings
    wanted = Terms(
        settings.seed,
        settings.scale,
        hour(settings.as_of or ctx.now()),
        settings.past_customers,
        settings.history_weeks,
        settings.incidents_per_week,
    )
    await ctx.database.pool.execute(
        "INSERT INTO remembered (name, value) VALUES ('world', $1::jsonb) ON CONFLICT DO NOTHING",
        orjson.dumps(wanted).decode(),
    )
    return operator(Terms(**await recall(ctx, "world")))


# --- the clock --------------------------------------------------------------------------------------------


async def clock(ctx: Context[Any], terms: Terms) -> int:
    """The next simulated five minutes to be measured: where history ended, or where live time was left."""
    at_s = await recall(ctx, "clock")
    return terms.as_of_s if at_s is None else int(at_s)


class Busy(Exception):
    """Another process does this now."""


@asynccontextmanager
async def alone(ctx: Context[Any], lock: int, told: str) -> AsyncIterator[None]:
    """Be the only one who does it on this database, for as long as the block lasts. Errors: Busy."""
    async with ctx.database.pool.acquire() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock):
            raise Busy(told)
        try:
            yield
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", lock)
