"""Addresses of dependent APIs from the information service of the Canvas, a TMF638 service collection."""

import asyncio
import logging
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tmfkit.canvas import CanvasAddresses
from tmfkit.upstream import Upstream, UpstreamUnavailable

INFO = "http://info.canvas.svc.cluster.local/service"
COMPONENT, DEPENDENCY = "r1-service-quality", "serviceInventory"
GATEWAY = "https://gateway/r2-inventory"


def service(url: Any, component: str = COMPONENT, dependency: str = DEPENDENCY, **more: Any) -> dict[str, Any]:
    """A record as the dependent API operator writes it."""
    told = {"componentName": component, "dependencyName": dependency, "url": url, "OASSpecification": "{}"}
    characteristics = [{"name": name, "valueType": "string", "value": value} for name, value in told.items()]
    return {"id": "1", "serviceType": "API", "state": "active", "serviceCharacteristic": characteristics} | more


class Canvas:
    """The information service: what it knows, how often it was asked, and whether it is up."""

    def __init__(self, *services: Any) -> None:
        self.services = list(services)
        self.asked = 0
        self.down = False
        self.transport = httpx.ASGITransport(Starlette(routes=[Route("/service", self._list)]))

    async def _list(self, request: Request) -> Response:
        self.asked += 1
        return JSONResponse({"reason": "down"}, 503) if self.down else JSONResponse(self.services)

    def addresses(self, **more: Any) -> CanvasAddresses:
        return CanvasAddresses(INFO, COMPONENT, DEPENDENCY, transport=self.transport, **more)


def test_the_url_of_our_own_dependency_is_found_among_others() -> None:
    canvas = Canvas(
        service("https://gateway/wrong", component="r1-churn-prediction"),
        service("https://gateway/wrong", dependency="resourceInventory"),
        service(f"{GATEWAY}/tmf-api/serviceInventory/v4"),
        {"id": "2", "name": "no characteristics"},
        {"id": "3", "serviceCharacteristic": "odd"},
        "odd",
    )
    assert asyncio.run(canvas.addresses()()) == [GATEWAY]


def test_the_canvas_may_write_the_name_without_capitals() -> None:
    """A manifest must: what the component operator makes of an API's name is the name of a Kubernetes object."""
    canvas = Canvas(service(f"{GATEWAY}/tmf-api/serviceInventory/v4", dependency="serviceinventory"))
    assert asyncio.run(canvas.addresses()()) == [GATEWAY]


def test_the_whole_address_is_kept_where_it_is_asked_for() -> None:
    canvas = Canvas(service(f"{GATEWAY}/tmf-api/serviceInventory/v4/"))
    assert asyncio.run(canvas.addresses(cut=None)()) == [f"{GATEWAY}/tmf-api/serviceInventory/v4"]


def test_several_providers_are_found_in_their_order_and_each_once() -> None:
    canvas = Canvas(*(service(f"https://g/{name}/tmf-api/x/v4") for name in ("b", "a", "b")))
    assert asyncio.run(canvas.addresses()()) == ["https://g/b", "https://g/a"]


@pytest.mark.parametrize("state", ["terminated", "inactive"])
def test_a_service_that_has_ended_is_no_provider(state: str) -> None:
    canvas = Canvas(service("https://g/old/tmf-api/x/v4", state=state), service(f"{GATEWAY}/tmf-api/x/v4"))
    assert asyncio.run(canvas.addresses()()) == [GATEWAY]


@pytest.mark.parametrize("url", [None, 5, "", "ftp://g/x", "gateway/x"])
def test_what_is_no_address_is_passed_over(url: Any, caplog: pytest.LogCaptureFixture) -> None:
    canvas = Canvas(service(url), service(f"{GATEWAY}/tmf-api/x/v4"))
    with caplog.at_level(logging.WARNING, logger="tmfkit.canvas"):
        assert asyncio.run(canvas.addresses()()) == [GATEWAY]
    assert "no usable address" in caplog.text


def test_the_canvas_is_asked_once_within_the_ttl_also_by_many_at_once() -> None:
    canvas = Canvas(service(GATEWAY))
    addresses = canvas.addresses()

    async def crowd() -> list[list[str]]:
        return [*await asyncio.gather(*(addresses() for _ in range(10))), await addresses()]

    assert asyncio.run(crowd()) == [[GATEWAY]] * 11
    assert canvas.asked == 1


def test_after_the_ttl_a_new_address_is_taken_without_making_anybody_wait() -> None:
    canvas = Canvas(service("https://g/old"))
    addresses = canvas.addresses(ttl_s=0.01)

    async def use() -> list[list[str]]:
        first = await addresses()
        canvas.services = [service("https://g/new")]
        await asyncio.sleep(0.02)
        stale = await addresses()
        await asyncio.sleep(0.02)
        return [first, stale, await addresses()]

    assert asyncio.run(use()) == [["https://g/old"], ["https://g/old"], ["https://g/new"]]


def test_the_last_good_address_stays_while_the_canvas_is_down_or_forgets(caplog: pytest.LogCaptureFixture) -> None:
    canvas = Canvas(service(GATEWAY))
    addresses = canvas.addresses(fallback_url="https://configured")

    async def use() -> list[list[str]]:
        found = [await addresses()]
        canvas.down = True
        await addresses.refresh()
        found.append(await addresses())
        canvas.down, canvas.services = False, []
        await addresses.refresh()
        return [*found, await addresses()]

    with caplog.at_level(logging.WARNING, logger="tmfkit.canvas"):
        assert asyncio.run(use()) == [[GATEWAY]] * 3
    assert "the last good addresses stay in use" in caplog.text


@pytest.mark.parametrize("down", [True, False])
def test_the_configured_address_is_used_until_the_canvas_knows_one(down: bool) -> None:
    canvas = Canvas()
    canvas.down = down
    addresses = canvas.addresses(fallback_url="https://configured")

    async def use() -> list[list[str]]:
        before = await addresses()
        canvas.down, canvas.services = False, [service(GATEWAY)]
        await addresses.refresh()
        return [before, await addresses()]

    assert asyncio.run(use()) == [["https://configured"], [GATEWAY]]


def test_without_any_address_the_dependency_is_unavailable() -> None:
    with pytest.raises(UpstreamUnavailable) as caught:
        asyncio.run(Canvas().addresses()())
    assert caught.value.body()["message"] == "serviceInventory did not answer"


def test_an_upstream_calls_the_provider_that_the_canvas_names() -> None:
    canvas = Canvas(service("http://provider/r2-inventory/tmf-api/serviceInventory/v4"))

    async def found(request: Request) -> Response:
        return JSONResponse([{"id": request.url.path}])

    provider = Starlette(routes=[Route("/r2-inventory/tmf-api/serviceInventory/v4/service", found)])
    client = Upstream(DEPENDENCY, canvas.addresses(), transport=httpx.ASGITransport(provider))
    assert asyncio.run(client.get("tmf-api/serviceInventory/v4/service")) == [
        {"id": "/r2-inventory/tmf-api/serviceInventory/v4/service"}
    ]
