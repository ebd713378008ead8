"""Loading: everything once, over the public addresses, whatever happens on the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from demo_operator import load as loading
from demo_operator.domain.catalogue import OBJECTIVES
from demo_operator.load import LoadError, load
from demo_operator.memory import LOAD_LOCK, Operator, alone, forget, recall, recall_all

ROWS = (6 * 24 + 288) * 120


def loaded(running_operator: Any, lines: list[str], **more: Any) -> None:
    async def once() -> None:
        async with running_operator(**more) as ctx:
            await load(ctx, lines.append)

    asyncio.run(once())


def test_history_customers_and_objectives_arrive_once(
    road: Any, running_operator: Any, tiny_operator: Operator
) -> None:
    lines: list[str] = []
    loaded(running_operator, lines)
    assert len(road.measurements) == ROWS
    assert set(road.customers) >= {person.id for person in tiny_operator.world.people}
    assert len(road.customers) == 180
    assert sorted(doc["name"] for doc in road.docs.values()) == sorted(objective.id for objective in OBJECTIVES)
    assert any(line.startswith("customers loaded: 120 of today, 60") for line in lines)
    assert any(line.startswith(f"history loaded: {ROWS:,} measurements") for line in lines)
    assert lines[-1] == "loaded"


def test_a_second_load_sends_nothing(road: Any, running_operator: Any) -> None:
    loaded(running_operator, [])
    before = (road.batches, len(road.customer_batches), len(road.docs))
    lines: list[str] = []
    loaded(running_operator, lines)
    assert (road.batches, len(road.customer_batches), len(road.docs)) == before
    assert lines[-1] == "loaded"


def test_a_load_that_was_cut_short_goes_on_where_it_was(road: Any, running_operator: Any) -> None:
    async def cut() -> int:
        async with running_operator(batch_rows=1200) as ctx:
            task = asyncio.create_task(load(ctx, lambda _line: None))
            while road.batches < 10:
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return len(await recall_all(ctx, "part/history/"))

    done = asyncio.run(cut())
    assert 0 < done < ROWS // 1200
    road.batches = 0
    loaded(running_operator, [], batch_rows=1200)
    assert len(road.measurements) == ROWS
    assert road.batches == 44 - done  # 144 hourly and 288 five-minute instants, ten in a batch


def test_customers_of_a_request_whose_answer_was_lost_are_not_sent_twice(road: Any, running_operator: Any) -> None:
    async def lost() -> None:
        async with running_operator(customers_per_request=50) as ctx:
            await load(ctx, lambda _line: None)
            await forget(ctx, "part/customers/live/cust-00051")
            await forget(ctx, "milestone/customers")
            del road.customers["cust-00060"]  # the rest of that batch is there already
            await load(ctx, lambda _line: None)

    asyncio.run(lost())
    assert road.customer_batches == [50, 50, 20, 50, 10, 1]
    assert len(road.customers) == 180


def test_a_component_that_has_lost_its_data_is_loaded_again(road: Any, running_operator: Any) -> None:
    async def again() -> None:
        async with running_operator() as ctx:
            await load(ctx, lambda _line: None)
            road.measurements.clear()
            await forget(ctx, "milestone/history")
            await load(ctx, lambda _line: None)

    asyncio.run(again())
    assert len(road.measurements) == ROWS


def test_a_component_that_is_away_for_a_moment_is_asked_again(road: Any, running_operator: Any) -> None:
    road.stumble = 3
    lines: list[str] = []
    loaded(running_operator, lines)
    assert len(road.measurements) == ROWS
    assert any("serviceQuality is away" in line for line in lines)


def test_refused_measurements_end_the_load_with_the_reason(road: Any, running_operator: Any) -> None:
    road.refuse = "unknown unit"
    with pytest.raises(LoadError, match=r"service-quality rejected (9960|7320) of \1 .*unknown unit"):
        loaded(running_operator, [])
    assert not any("slo" in str(doc.get("name")) for doc in road.docs.values())


def test_two_loads_at_once_do_the_work_once(road: Any, running_operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "TOLD_EVERY_S", 0.1)

    async def both() -> list[str]:
        lines: list[str] = []
        async with running_operator() as ctx:
            async with alone(ctx, LOAD_LOCK, "held"):
                waiting = asyncio.create_task(load(ctx, lines.append))
                await asyncio.sleep(0.3)
                assert road.batches == 0
            await waiting
            await asyncio.gather(load(ctx, lines.append), load(ctx, lines.append))
        return lines

    lines = asyncio.run(both())
    assert any("another process is loading" in line for line in lines)
    assert lines.count("loaded") == 3
    assert road.batches == -(-144 // 83) + -(-288 // 83)  # 83 instants of 120 rows fit into a batch


def test_the_world_of_a_database_stays_whatever_is_set_later(running_operator: Any) -> None:
    from demo_operator.memory import the_operator

    async def settle() -> tuple[int, int]:
        async with running_operator(seed=7) as ctx:
            first = (await the_operator(ctx)).terms.seed
        async with running_operator(seed=8) as ctx:
            assert (await recall(ctx, "world"))["seed"] == 7
            return first, (await the_operator(ctx)).terms.seed

    assert asyncio.run(settle()) == (7, 7)
