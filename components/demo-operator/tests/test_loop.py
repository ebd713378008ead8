"""The operator drives a made-up road over real sockets: it hears, tells, proves, sums up, and cleans up after it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from demo_operator.chain import STEPS
from demo_operator.domain.faults import DRAWN_KINDS, FaultKind
from demo_operator.domain.truth import truth
from demo_operator.drive import drawn
from demo_operator.live import NotLoadedError, live
from demo_operator.load import load
from demo_operator.memory import TIME_LOCK, Busy, Operator, alone, clock, recall, remember
from demo_operator.once import Order, once
from demo_operator.watch import HUBS, Watch, callback
from tmfkit import Context

Document = dict[str, Any]
QUICK: dict[str, Any] = {"speed": 300 / 0.02, "timeout_s": 20.0}


def quietly(_line: str) -> None:
    pass


async def ready(ctx: Context[Any]) -> None:
    """Loaded, but for the history and the customers, which no loop of the made-up road looks at."""
    for name in ("customers", "history"):
        await remember(ctx, f"milestone/{name}", {})
    await load(ctx, quietly)


def loop_of(running_operator: Any, order: Order, lines: list[str] | None = None) -> tuple[bool, Document]:
    """Load, and drive one loop, with `serve` beside it."""

    async def run() -> tuple[bool, Document]:
        async with running_operator(serve=True) as ctx:
            await ready(ctx)
            return await once(ctx, order, quietly if lines is None else lines.append)

    return asyncio.run(run())


@pytest.mark.parametrize("kind", ["throughput_collapse", "deadline_misses", "latency_step"])
def test_a_fault_goes_through_the_whole_loop(
    road: Any, running_operator: Any, tiny_operator: Operator, kind: str
) -> None:
    road.roots = lambda cells: next(
        element.id
        for element in reversed(tiny_operator.world.network.elements)
        if {tiny_operator.world.network.cells[c].id for c in tiny_operator.world.network.cells_under(element.id)}
        == cells
    )
    lines: list[str] = []
    closed, summary = loop_of(running_operator, Order(3, kind, **QUICK), lines)
    assert summary["notClosedBecause"] == []
    assert closed
    assert [step["step"] for step in summary["steps"]] == list(STEPS)
    for step in summary["steps"][1:]:
        assert httpx.get(step["href"]).json()["id"] == step["id"]
        assert step["refersTo"]["id"]
    assert httpx.get(summary["steps"][0]["href"]).json()
    assert summary["cause"]["verdict"] == "exact", summary["cause"]
    assert summary["affected"]["subjects"]["recall"] == 1.0
    assert summary["affected"]["assessed"]["precision"] == 1.0
    assert json.loads(json.dumps(summary)) == summary
    told = "\n".join(lines)
    assert f"FAULT           {kind.replace('_', ' ')} caused by {summary['cause']['true'][0]}" in told
    assert "LOOP            closed in" in told


def test_the_times_of_a_loop_are_those_of_its_events(running_operator: Any) -> None:
    _, summary = loop_of(running_operator, Order(3, "throughput_collapse", **QUICK))
    arrived, hops = summary["timings"]["arrivedS"], summary["timings"]["hopS"]
    assert arrived["measurement"] == 0.0
    assert list(arrived) == [name for name in STEPS if name != "serviceLevelObjective"]
    assert all(seconds > 0 for name, seconds in arrived.items() if name != "measurement")
    assert list(hops) == list(arrived)[1:]
    assert all(abs(seconds) < 5 for seconds in hops.values())


BREAKS: list[tuple[str, str]] = [
    ("partyRoleRiskAssessment", "evidence"),
    ("serviceProblem", "slaViolation"),
]


@pytest.mark.parametrize(("step", "attribute"), BREAKS)
def test_a_missing_reference_keeps_the_loop_open(road: Any, running_operator: Any, step: str, attribute: str) -> None:
    def drop(path: str, doc: Document) -> Document:
        return {k: v for k, v in doc.items() if k != attribute} if f"/{step}/" in path else doc

    road.change = drop
    closed, summary = loop_of(running_operator, Order(3, "throughput_collapse", QUICK["speed"], 1.5))
    assert not closed
    assert summary["closed"] is False
    assert any(step in why for why in summary["notClosedBecause"]), summary["notClosedBecause"]


@pytest.mark.parametrize("mute", ["Customer360", "ExperienceScore"])
def test_an_event_that_never_comes_keeps_the_loop_open(road: Any, running_operator: Any, mute: str) -> None:
    road.mute = mute
    closed, summary = loop_of(running_operator, Order(3, "throughput_collapse", QUICK["speed"], 1.5))
    assert not closed
    name = mute[0].lower() + mute[1:]
    assert any(name in why for why in summary["notClosedBecause"]), summary["notClosedBecause"]


def test_a_healthy_network_stays_silent(road: Any, running_operator: Any) -> None:
    silent, summary = loop_of(running_operator, Order(3, "none", **QUICK))
    assert silent
    assert (summary["violations"], summary["offers"], summary["counts"]["measurementBatches"]) == (0, 0, 24)
    assert len({at for *_, at in road.measurements if at >= "2026"}) == 24


def test_a_false_alarm_is_no_silence(road: Any, running_operator: Any) -> None:
    async def run() -> tuple[bool, Document]:
        async with running_operator(serve=True) as ctx:
            await ready(ctx)

            async def false_alarm() -> None:
                while not road.hubs:
                    await asyncio.sleep(0.02)
                await asyncio.sleep(0.3)
                at = "service-quality/tmf-api/serviceLevelViolation/v1/serviceLevelViolation/false-1"
                async with httpx.AsyncClient() as client:
                    await road.publish(client, at, "Create", {"state": "open"})

            alarm = asyncio.create_task(false_alarm())
            result = await once(ctx, Order(3, "none", **QUICK), quietly)
            await alarm
            return result

    silent, summary = asyncio.run(run())
    assert not silent
    assert summary["violations"] == 1


def test_simulated_time_goes_on_where_it_was_left(road: Any, running_operator: Any, tiny_operator: Operator) -> None:
    async def run() -> tuple[int, int]:
        async with running_operator(serve=True) as ctx:
            await ready(ctx)
            await once(ctx, Order(3, "none", **QUICK), quietly)
            left = await clock(ctx, tiny_operator.terms)
        async with running_operator(serve=True) as ctx:
            await once(ctx, Order(3, "none", **QUICK), quietly)
            return left, await clock(ctx, tiny_operator.terms)

    left, now = asyncio.run(run())
    assert (left - tiny_operator.terms.as_of_s, now - left) == (24 * 300, 24 * 300)
    assert len({at for *_, at in road.measurements if at >= "2026"}) == 48


def test_a_problem_of_before_recovers_first(road: Any, running_operator: Any) -> None:
    async def run() -> list[str]:
        lines: list[str] = []
        async with running_operator(serve=True) as ctx:
            await ready(ctx)
            assert (await once(ctx, Order(3, "throughput_collapse", **QUICK), quietly))[0]
            assert (await once(ctx, Order(3, "none", **QUICK), lines.append))[0]
        return lines

    assert any("recovery" in line for line in asyncio.run(run()))


def test_live_time_injects_faults_one_after_the_other_and_lets_them_recover(road: Any, running_operator: Any) -> None:
    async def run() -> tuple[list[str], Any, Any]:
        lines: list[str] = []
        async with running_operator(serve=True, pause_steps=2) as ctx:
            await ready(ctx)
            await live(ctx, lines.append, kind="throughput_collapse", seed=3, speed=QUICK["speed"], faults=2)
            return lines, await recall(ctx, "faults"), await recall(ctx, "loop/last")

    lines, faults, last = asyncio.run(run())
    assert faults == 2
    assert sum("FAULT" in line for line in lines) == 2
    assert sum("closed in" in line for line in lines) == 2
    assert sum("recovered" in line for line in lines) == 2
    assert (last["seed"], last["closed"]) == (4, True)


# --- listening ---


def test_registrations_end_with_the_watch(road: Any, running_operator: Any) -> None:
    async def run() -> int:
        async with running_operator(serve=True) as ctx, Watch(ctx, quietly):
            assert {hub["callback"] for hub in road.hubs.values()} == {await callback(ctx)}
            return len(road.hubs)

    assert asyncio.run(run()) == len(HUBS)
    assert road.hubs == {}


def test_an_event_is_heard_once_however_often_it_comes(road: Any, running_operator: Any) -> None:
    async def run() -> list[str]:
        async with running_operator(serve=True) as ctx, Watch(ctx, quietly) as watch, httpx.AsyncClient() as client:
            body = {
                "eventId": "e1",
                "eventType": "ExperienceScoreCreateEvent",
                "event": {"experienceScore": {"id": "s"}},
            }
            for _ in range(3):
                assert (await client.post(await callback(ctx), json=body)).status_code == 201
            assert await watch.wait(5)
            return [heard.resource_id for heard in [*await watch.news(), *await watch.news()]]

    assert asyncio.run(run()) == ["s"]


def test_events_from_before_the_watch_are_not_news(running_operator: Any) -> None:
    async def run() -> list[Any]:
        async with running_operator(serve=True) as ctx, httpx.AsyncClient() as client:
            body = {
                "eventId": "e1",
                "eventType": "ExperienceScoreCreateEvent",
                "event": {"experienceScore": {"id": "s"}},
            }
            await client.post(await callback(ctx), json=body)
            async with Watch(ctx, quietly) as watch:
                return await watch.news()

    assert asyncio.run(run()) == []


def test_a_stranger_brings_no_events(running_operator: Any) -> None:
    async def run() -> tuple[int, int]:
        async with running_operator(serve=True) as ctx, httpx.AsyncClient() as client:
            address = await callback(ctx)
            body = {"eventId": "e1", "eventType": "XCreateEvent", "event": {"x": {"id": "1"}}}
            answer = await client.post(address.rsplit("/", 1)[0] + "/guessed", json=body)
            return answer.status_code, await ctx.database.fetchval("SELECT count(*) FROM heard")

    assert asyncio.run(run()) == (401, 0)


# --- what may not be ---


def test_nothing_is_driven_before_everything_is_loaded(running_operator: Any) -> None:
    async def run() -> None:
        async with running_operator(serve=True) as ctx:
            await once(ctx, Order(3, **QUICK), quietly)

    with pytest.raises(NotLoadedError):
        asyncio.run(run())


def test_one_at_a_time_drives_simulated_time(running_operator: Any) -> None:
    async def run() -> None:
        async with running_operator(serve=True) as ctx:
            await ready(ctx)
            async with alone(ctx, TIME_LOCK, "held"):
                await once(ctx, Order(3, **QUICK), quietly)

    with pytest.raises(Busy):
        asyncio.run(run())


@pytest.mark.parametrize("kind", DRAWN_KINDS)
def test_a_drawn_fault_concerns_enough_customers_where_one_does(tiny_operator: Operator, kind: FaultKind) -> None:
    concerned: Callable[[int], int] = lambda least: len(  # noqa: E731
        truth(tiny_operator.world, drawn(tiny_operator, 5, 0, kind, least)).customer_ids
    )
    assert concerned(4) >= 4 or concerned(4) == concerned(1000)
    assert concerned(1000) >= concerned(0)


def test_a_fault_is_the_same_whenever_its_seed_is_drawn(tiny_operator: Operator) -> None:
    first, again = (drawn(tiny_operator, 9, 300, "random", 8) for _ in range(2))
    later = drawn(tiny_operator, 9, 6000, "random", 8)
    assert first == again
    assert (later.kind, later.cause_id, later.effects) == (first.kind, first.cause_id, first.effects)
