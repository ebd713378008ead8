"""An API that another system owns: copies of what it has, and what we write ourselves brought to it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from shared.tests.support import shipping
from shared.tests.support.serving import Online, database, until
from shared.tests.support.shipping import V4, V5, Shipment, component

from tmfkit.elsewhere import flows, follows, owners
from tmfkit.event import received
from tmfkit.testing import Loop, local_settings
from tmfkit.types import Document

QUICK: dict[str, Any] = {"delivery_max_backoff_s": 0.1, "follow_interval_s": 0.2, "upstream_retries": 0}


@pytest.fixture
def owner() -> Iterator[Online]:
    with Online(component, **QUICK) as online:
        yield online


def client_of(owner: Online, version: str) -> Online:
    address = f"{owner.address}{shipping.BASE}/{version}"
    return Online(component, **QUICK, elsewhere={"TMF700": address})


def here(ours: Online) -> dict[str, Document]:
    rows = ours.sql("SELECT id, doc::text FROM shipment")
    return {row[0]: json.loads(row[1]) for row in rows}


def written(ours: Online, change: Any) -> Any:
    """What a flow of our own writes, and the next run of the flow that brings it."""
    loop = Loop()
    try:

        async def work() -> Any:
            async with component.running(ours.settings) as ctx:
                async with ctx.transaction() as tx:
                    result = await change(tx[Shipment])
                (every,) = flows(component, ours.settings)
                await every.run(ctx)
                return result

        return loop.run(work())
    finally:
        loop.close()


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_what_the_owner_has_is_kept_here_and_not_served(owner: Online, version: str) -> None:
    before = owner.client.post(V5, json={"name": "before", "urgency": 2}).json()["id"]
    with client_of(owner, version) as ours:
        assert httpx.get(f"{ours.address}{V5}", trust_env=False).status_code == 404
        until(lambda: before in here(ours), "the copy of what was there")
        after = owner.client.post(V5, json={"name": "after"}).json()["id"]
        until(lambda: after in here(ours), "the copy of what came")
        owner.client.patch(f"{V5}/{after}", json={"name": "later", "status": "moving"})
        until(lambda: here(ours)[after]["name"] == "later", "the change")
        assert here(ours)[after]["status"] == "moving"
        owner.client.delete(f"{V5}/{before}")
        until(lambda: before not in here(ours), "the end of the copy")
        assert here(ours).keys() == {after}
        revision = owner.sql("SELECT revision FROM shipment")[0][0]
        written(ours, lambda store: store.find(after))
        assert owner.sql("SELECT revision FROM shipment")[0][0] == revision


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_what_is_written_here_is_brought_to_the_owner_once(owner: Online, version: str) -> None:
    path = V4 if version == "v4" else V5
    name = "shipmentName" if version == "v4" else "name"
    with client_of(owner, version) as ours:
        made = written(ours, lambda store: store.insert({"name": "found", "status": "planned"}))
        there = owner.client.get(path).json()
        assert [one[name] for one in there] == ["found"]
        if version == "v5":
            assert there[0]["id"] == made["id"]

        async def moved(store: Any) -> None:
            old = await store.get(made["id"], lock=True)
            await store.replace(old, {**old, "status": "moving", "name": "found again"})

        written(ours, moved)
        there = owner.client.get(path).json()
        assert [(one[name], one["status"]) for one in there] == [("found again", "moving")]
        until(lambda: ours.count("inbox") >= 2, "the owner's own events of it")
        time.sleep(0.3)
        assert len(here(ours)) == 1
        owner.client.patch(f"{path}/{there[0]['id']}", json={"status": "delivered"})
        until(lambda: here(ours)[made["id"]]["status"] == "delivered", "what the owner did with it")
        written(ours, lambda store: store.delete(made["id"]))
        assert owner.client.get(path).json() == []
        assert ours.count("elsewhere") == 0


def test_while_the_owner_is_away_it_waits(owner: Online) -> None:
    url = database(component)
    away = "http://127.0.0.1:9/shipping/tmf-api/shipmentManagement/v5"
    with Online(component, database_url=url, elsewhere={"TMF700": away}, **QUICK) as ours:
        with pytest.raises(Exception, match="did not answer"):
            written(ours, lambda store: store.insert({"name": "waiting", "status": "planned"}))
        assert len(here(ours)) == 1
    with Online(component, database_url=url, elsewhere={"TMF700": f"{owner.address}{shipping.BASE}/v5"}, **QUICK):
        until(lambda: owner.count("shipment") == 1, "what waited")


def test_an_unknown_api_or_version_is_refused_at_start() -> None:
    for elsewhere in ({"TMF999": "http://x/tmf-api/a/v5"}, {"TMF700": "http://x/tmf-api/shipmentManagement/v9"}):
        with pytest.raises(ValueError, match="ELSEWHERE"):
            owners(component, local_settings(component, database_url="postgresql://x/y", elsewhere=elsewhere))


def test_an_echo_of_what_was_brought_does_not_undo_what_was_written_since(owner: Online) -> None:
    """The owner's event of the creation arrives after a second change of ours, which waits to be brought."""
    with client_of(owner, "v5") as ours:
        made = written(ours, lambda store: store.insert({"name": "found", "status": "planned"}))
        until(lambda: ours.count("inbox") >= 1, "the owner's event of the creation")
        loop = Loop()

        async def echoed() -> None:
            async with component.running(ours.settings) as ctx:
                async with ctx.transaction() as tx:
                    old = await tx[Shipment].get(made["id"], lock=True)
                    await tx[Shipment].replace(old, {**old, "name": "found again"})
                (follow,) = follows(component, ours.settings)
                told = {"id": made["id"], "name": "found", "status": "planned"}
                event = received({"eventId": "echo", "eventType": "ShipmentCreateEvent", "event": {"shipment": told}})
                async with ctx.transaction() as tx:
                    await follow.handle(tx, event)
                (every,) = flows(component, ours.settings)
                await every.run(ctx)

        loop.run(echoed())
        loop.close()
        assert [one["name"] for one in owner.client.get(V5).json()] == ["found again"]
        assert here(ours)[made["id"]]["name"] == "found again"
