"""Two components over real HTTP: what one tells, the other takes once, whoever comes first and whatever fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from shared.tests.support import accounting, shipping
from shared.tests.support.accounting import CANCELLED, CANNOT, DEPOTS, FOLLOW, following
from shared.tests.support.serving import Online, away, database, free_port, until
from shared.tests.support.shipping import HUB_V5, V4, V5

from tmfkit.event import received
from tmfkit.follow import key_of
from tmfkit.testing import assert_tmf_error
from tmfkit.testing_issuer import Client, Issuer
from tmfkit.types import Document

QUICK: dict[str, Any] = {"delivery_max_backoff_s": 0.1, "follow_interval_s": 0.2, "upstream_retries": 0}


@pytest.fixture(autouse=True)
def _capable() -> Iterator[None]:
    CANNOT.clear()
    yield
    CANNOT.clear()


def publisher(**values: Any) -> Online:
    return Online(shipping.component, **{**QUICK, **values})


def follower(of: Online, component: Any = accounting.component, **values: Any) -> Online:
    return Online(component, **{**QUICK, "dependencies": {"shipping": of.base}, **values})


@pytest.fixture
def shop() -> Iterator[Online]:
    with publisher() as online:
        yield online


def created(shop: Online, name: str = "Rome", path: str = V5, **headers: str) -> str:
    body = {"shipmentName": name} if path == V4 else {"name": name}
    answer = shop.client.post(path, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def states(online: Online) -> dict[str, str]:
    """What each follow does, as the worker knows it."""
    gauge: dict[str, str] = {r["name"]: r["hub_id"] for r in online.sql("SELECT name, hub_id FROM following")}
    return gauge


def joined(online: Online) -> None:
    until(lambda: online.count("following", "backfilled_at IS NOT NULL") == len(online.component.follows), "joining")


def callback(online: Online, follow: Any = FOLLOW) -> str:
    """The address that the publisher was given; made as the component makes it."""
    secret = until(lambda: online.sql("SELECT value FROM secret"), "the secret")[0][0]
    return f"{online.base}/listener/{follow.name}/{key_of(bytes.fromhex(secret), follow.name)}"


def event(id: str = "e1", name: str = "Rome", **more: Any) -> Document:
    shipment = {"id": "7", "name": name}
    return {"eventId": id, "eventType": "ShipmentCreateEvent", "event": {"shipment": shipment}, **more}


# --- events ------------------------------------------------------------------------------------------------


def test_an_event_is_taken_once_and_wakes_its_flow(shop: Online) -> None:
    with follower(shop) as books:
        joined(books)
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        id = created(shop, "Rome", traceparent=f"00-{trace}-00f067aa0ba902b7-01")
        until(lambda: books.count("heard") == 1, "hearing")
        shop.client.patch(f"{V5}/{id}", json={"weightKg": 1})
        shop.client.patch(f"{V5}/{id}", json={"status": "moving"})
        until(lambda: books.count("heard") == 2, "hearing")
        rows = books.sql("SELECT event_type, shipment, subject, trace_id FROM heard ORDER BY seq")
        assert [tuple(r)[:3] for r in rows] == [
            ("ShipmentCreateEvent", id, "event:shipping"),
            ("ShipmentAttributeValueChangeEvent", id, "event:shipping"),
        ]
        assert rows[0]["trace_id"] == trace
        sent = {r[0] for r in shop.sql("SELECT event_id FROM outbox WHERE kind <> 'StateChange'")}
        assert {r[0] for r in books.sql("SELECT event_id FROM inbox")} == sent
        until(lambda: books.count("tally", "shipments = 1"), "the flow")
        (hub,) = shop.client.get(HUB_V5).json()
        assert hub["callback"] == callback(books)
        assert hub["query"] == "eventType=ShipmentCreateEvent,ShipmentAttributeValueChangeEvent"


def test_an_event_that_is_posted_again_and_at_once_is_taken_once(shop: Online) -> None:
    with follower(shop) as books:
        joined(books)
        address = callback(books)

        async def at_once() -> list[int]:
            async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
                sent = [client.post(address, json=event(f"e{i % 3}")) for i in range(24)]
                return [a.status_code for a in await asyncio.gather(*sent)]

        assert set(asyncio.run(at_once())) == {201}
        assert set(asyncio.run(at_once())) == {201}
        assert sorted(r[0] for r in books.sql("SELECT event_id FROM heard")) == ["e0", "e1", "e2"]
        assert books.count("inbox") == 3


def test_a_handler_that_fails_leaves_nothing_and_hears_the_event_again(shop: Online) -> None:
    with follower(shop) as books:
        joined(books)
        CANNOT.add("hard")
        refused = httpx.post(callback(books), json=event("mine", "hard"), trust_env=False)
        assert_tmf_error(refused, 500)
        assert "written" not in refused.text
        id = created(shop, "hard")
        until(lambda: shop.count("delivery", "attempts > 2"), "a few attempts")
        created(shop, "easy")
        until(lambda: books.count("heard") == 1, "the other resource")
        assert books.sql("SELECT name FROM heard")[0][0] == "easy"
        assert books.count("inbox") == 1
        CANNOT.clear()
        until(lambda: books.count("heard") == 2, "hearing at last")
        assert books.sql("SELECT shipment FROM heard ORDER BY seq DESC LIMIT 1")[0][0] == id
        assert books.count("inbox") == 2
        assert httpx.post(callback(books), json=event("mine", "hard"), trust_env=False).status_code == 201
        assert books.count("heard") == 3


def test_events_of_older_and_other_products_are_understood() -> None:
    inner = {"shipment": {"id": "7"}}
    old = received({"eventId": "1", "eventType": "ShipmentCreateEvent", "timeOcurred": "2020", "event": inner})
    new = received({"id": "2", "eventType": "ShipmentStateChangeEvent", "timeOccurred": "2021", "event": inner})
    bare = received({"eventId": "3", "eventType": "shipmentDeleteEvent", "eventTime": "2022", "event": {"id": "7"}})
    assert [(e.event_id, e.event_time, e.resource, e.kind) for e in (old, new, bare)] == [
        ("1", "2020", {"id": "7"}, "Create"),
        ("2", "2021", {"id": "7"}, "StateChange"),
        ("3", "2022", {"id": "7"}, "Delete"),
    ]
    assert received(event(traceparent=5)).traceparent is None


# --- the door ----------------------------------------------------------------------------------------------


def test_only_who_was_given_the_key_may_bring_events(shop: Online) -> None:
    with follower(shop) as books:
        joined(books)
        right = callback(books)
        wrong = [
            right[:-1],
            right + "0",
            right.rsplit("/", 1)[0] + "/" + "0" * 32,
            right.replace("shipping.", "Shipping."),
        ]
        for address, status in ((wrong[0], 401), (wrong[1], 401), (wrong[2], 401), (wrong[3], 404)):
            answer = httpx.post(address, json=event(), trust_env=False)
            assert_tmf_error(answer, status)
        assert "Bearer" in httpx.post(wrong[0], json=event(), trust_env=False).headers["www-authenticate"]
        for address in (f"{books.base}/listener/nobody/key", f"{books.base}/listener/{FOLLOW.name}", f"{right}/a/b"):
            assert_tmf_error(httpx.post(address, json=event(), trust_env=False), 404)
        got = httpx.get(right, trust_env=False)
        assert_tmf_error(got, 405)
        assert got.headers["allow"] == "POST"
        assert books.count("heard") == books.count("inbox") == 0
        assert httpx.post(f"{right}/shipmentCreateEvent", json=event(), trust_env=False).status_code == 201
        assert books.count("heard") == 1


@pytest.mark.parametrize(
    ("body", "attribute"),
    [
        (b"", None),
        (b"[]", None),
        (b"{", None),
        (b"{}", "eventType"),
        (b'{"eventType": "X", "event": {"a": {"id": "1"}}}', "eventId"),
        (b'{"eventType": "X", "eventId": 5, "event": {"a": {"id": "1"}}}', "eventId"),
        (b'{"eventType": "X", "eventId": "' + b"x" * 3000 + b'", "event": {"a": {"id": "1"}}}', "eventId"),
        (b'{"eventType": "X", "eventId": "1"}', "event"),
        (b'{"eventType": "X", "eventId": "1", "event": {"a": 1}}', "event"),
        (b'{"eventType": "X", "eventId": "1\\u0000", "event": {"a": {"id": "1"}}}', None),
    ],
)
def test_what_is_no_event_is_refused(books: Online, body: bytes, attribute: str | None) -> None:
    answer = httpx.post(callback(books), content=body, headers={"content-type": "application/json"}, trust_env=False)
    assert assert_tmf_error(answer, 400).get("attribute") == attribute
    assert books.count("heard") == books.count("inbox") == 0


@pytest.fixture(scope="module")
def books() -> Iterator[Online]:
    """A follower whose publisher never comes."""
    with Online(
        accounting.component, **QUICK, dependencies={"shipping": f"http://127.0.0.1:{free_port()}/shipping"}
    ) as it:
        yield it


def test_a_follower_is_ready_without_its_publisher(books: Online) -> None:
    assert books.client.get("/health/live").status_code == 200
    assert books.count("following") == 0


# --- joining -----------------------------------------------------------------------------------------------


def test_who_joins_later_catches_up_once(shop: Online) -> None:
    bulk = [{"op": "add", "path": "/", "value": {"name": f"shipment {i}"}} for i in range(130)]
    media = {"content-type": "application/json-patch+json"}
    assert shop.client.patch(V5, json=bulk, headers=media).status_code == 200
    url = database(accounting.component)
    with follower(shop, database_url=url) as books:
        joined(books)
        assert books.count("heard") == 130
        assert books.sql("SELECT backfilled_count FROM following")[0][0] == 130
        assert {r[0] for r in books.sql("SELECT event_type FROM heard")} == {"ShipmentCreateEvent"}
        created(shop, "new")
        until(lambda: books.count("heard") == 131, "the new one")
    created(shop, "while away")
    with follower(shop, database_url=url, port=books.port) as again:
        until(lambda: again.count("heard") == 132, "what was missed")
        before = states(again)
        time.sleep(0.6)
        assert states(again) == before
        assert again.count("heard") == 132
        assert shop.count("subscription") == 1


def test_backfill_takes_only_what_was_asked_for_in_the_version_asked_for(shop: Online) -> None:
    for name in ("kept", "cancelled"):
        id = created(shop, name)
        if name == "cancelled":
            shop.client.patch(f"{V5}/{id}", json={"status": "cancelled"})
    with follower(shop, following(CANCELLED)) as books:
        joined(books)
        (row,) = books.sql("SELECT shipment, name, event_type FROM heard")
        assert (row["shipment"], row["name"], row["event_type"]) == (id, None, "ShipmentCreateEvent")
        moved = created(shop, "moved")
        shop.client.patch(f"{V5}/{moved}", json={"status": "moving"})
        until(lambda: books.count("heard") == 2, "the event")
        assert books.sql("SELECT event_type FROM heard ORDER BY seq")[1][0] == "ShipmentStateChangeEvent"


def test_a_publisher_that_comes_later_is_followed_as_soon_as_it_is_there() -> None:
    port = free_port()
    with Online(accounting.component, **QUICK, dependencies={"shipping": f"http://127.0.0.1:{port}/shipping"}) as books:
        time.sleep(0.5)
        assert books.count("following") == 0
        with publisher(port=port) as shop:
            id = created(shop)
            until(lambda: books.count("heard") == 1, "joining", 60)
            assert books.sql("SELECT shipment FROM heard")[0][0] == id


def test_the_metrics_tell_whether_a_subscription_stands_and_what_came_by_it() -> None:
    port = free_port()
    name = accounting.FOLLOW.name
    dependencies = {"shipping": f"http://127.0.0.1:{port}/shipping"}
    with Online(accounting.component, **{**QUICK, "dependencies": dependencies}) as books:
        assert f'tmfkit_following{{follow="{name}"}} 0.0' in metrics(books)
        with publisher(port=port) as shop:
            until(lambda: f'tmfkit_following{{follow="{name}"}} 1.0' in metrics(books), "the subscription", 60)
            created(shop)
            heard = f'http_response_status_code="201",http_route="/accounting/listener/{name}"}} 1.0'
            until(lambda: heard in metrics(books), "the event")
        until(lambda: f'tmfkit_following{{follow="{name}"}} 0.0' in metrics(books), "its end")


def test_the_metrics_tell_whether_the_database_answers(shop: Online) -> None:
    until(lambda: "tmfkit_database_up 1.0" in metrics(shop), "an answer")
    with away(shop.url):
        until(lambda: "tmfkit_database_up 0.0" in metrics(shop), "no answer")
    until(lambda: "tmfkit_database_up 1.0" in metrics(shop), "an answer again")


def metrics(online: Online) -> str:
    return online.client.get("/metrics").text


def test_a_publisher_that_has_lost_its_database_is_followed_anew() -> None:
    port = free_port()
    with ExitStack() as stack:
        with publisher(port=port) as shop:
            books = stack.enter_context(follower(shop))
            created(shop, "before")
            until(lambda: books.count("heard") == 1, "hearing")
            first = states(books)
        with publisher(port=port, worker=False) as empty:
            created(empty, "after the loss")
            until(lambda: books.count("heard") == 2, "reading again", 60)
            assert states(books) != first
            assert empty.count("subscription") == 1
            assert [r[0] for r in books.sql("SELECT name FROM heard ORDER BY seq")] == ["before", "after the loss"]


def test_a_subscription_that_somebody_ended_is_made_again_and_nothing_is_missed(shop: Online) -> None:
    with follower(shop) as books:
        joined(books)
        shop.sql("DELETE FROM subscription")
        created(shop, "unheard")
        until(lambda: books.count("heard") == 1, "reading again")
        created(shop, "heard")
        until(lambda: books.count("heard") == 2, "hearing")


def test_two_follows_under_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=FOLLOW.name):
        following(FOLLOW, CANCELLED)


def test_a_handler_that_fails_in_backfill_is_tried_again_and_holds_no_other_follow_up(shop: Online) -> None:
    CANNOT.add("hard")
    for name in ("easy", "hard"):
        created(shop, name)
    with follower(shop, following(FOLLOW, DEPOTS)) as books:
        until(lambda: books.count("following", f"name = '{DEPOTS.name}'"), "the other follow")
        until(lambda: books.count("heard") == 1, "the easy one")
        time.sleep(0.5)
        assert books.count("following", f"name = '{FOLLOW.name}'") == 0
        CANNOT.clear()
        joined(books)
        assert sorted(r[0] for r in books.sql("SELECT name FROM heard")) == ["easy", "hard"]


def test_a_follower_goes_on_after_its_own_database_was_away(shop: Online) -> None:
    with follower(shop) as books:
        joined(books)
        with away(books.url):
            time.sleep(0.8)
        created(shop, "after")
        until(lambda: books.count("heard") == 1, "hearing")
        shop.sql("DELETE FROM subscription")
        until(lambda: shop.count("subscription") == 1, "subscribing again", 60)


def test_components_that_ask_for_tokens_follow_one_another() -> None:
    clients = {"accounting": Client("secret", ("shipmentManagement:hub:create", "shipmentManagement:shipment:list"))}
    with Issuer(clients=clients) as issuer:
        guarded: dict[str, Any] = {"auth_mode": "oidc", "oidc_issuer": issuer.url, "oidc_audience": "oda"}
        token = issuer.token("operator", ["shipmentManagement:*:*"])
        with publisher(**guarded) as shop:
            shop.client.headers["authorization"] = f"Bearer {token}"
            created(shop, "before")
            with follower(shop, **guarded, client_id="accounting", client_secret="secret") as books:
                joined(books)
                created(shop, "after")
                until(lambda: books.count("heard") == 2, "hearing")
                rows = shop.sql("SELECT subject, operation, resource FROM audit ORDER BY seq")
                assert ("accounting", "create", "Hub") in [tuple(r) for r in rows]
            with follower(shop, **guarded, client_id="accounting", client_secret="wrong") as stranger:
                time.sleep(0.5)
                assert stranger.count("following") == 0
