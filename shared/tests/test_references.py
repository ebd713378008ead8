"""References into another component: an unknown one is refused, one that cannot be asked for is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from shared.tests.support import shipping
from shared.tests.support.serving import Online, database

from tmfkit import Api, Component, Resource, Settings
from tmfkit.references import Reference, targets
from tmfkit.testing import Running, assert_tmf_error, running
from tmfkit.types import Entity, EntityRef, TmfModel

SHIPMENTS = "tmf-api/shipmentManagement/v5/shipment"


class Line(TmfModel):
    shipment: EntityRef | None = None


class Claim(Entity):
    name: str
    shipment: EntityRef | None = None
    line: list[Line] | None = None


CLAIM = Resource(
    Claim,
    refers=(
        Reference("shipment", "shipping", {"Shipment": SHIPMENTS}),
        Reference("line.shipment", "shipping", {"Shipment": SHIPMENTS}),
    ),
)
component = Component(
    name="claiming",
    package="shared.tests.test_references",
    settings=Settings,
    apis=(Api("own", "claimManagement", ("v1",), (CLAIM,)),),
    dependencies=("shipping",),
)
CLAIMS = "/claiming/tmf-api/claimManagement/v1/claim"


def to(id: str, kind: str = "Shipment") -> dict[str, Any]:
    return {"id": id, "@referredType": kind}


@pytest.fixture(scope="module")
def shipment() -> Iterator[tuple[Online, str]]:
    with Online(shipping.component) as shop:
        yield shop, shop.client.post(shipping.V5, json={"name": "Rome"}).json()["id"]


@pytest.fixture(scope="module")
def app(shipment: tuple[Online, str]) -> Iterator[Running]:
    with running(component, database_url=database(component), dependencies={"shipping": shipment[0].base}) as app:
        yield app


def test_a_known_reference_is_taken_and_an_unknown_one_refused(app: Running, shipment: tuple[Online, str]) -> None:
    good = app.post(CLAIMS, {"name": "lost", "shipment": to(shipment[1])})
    assert good.status_code == 201
    before = app.get(CLAIMS).headers["x-total-count"]
    refused = app.post(CLAIMS, {"name": "lost", "line": [{"shipment": to(shipment[1])}, {"shipment": to("nobody")}]})
    assert_tmf_error(refused, 400)
    assert refused.json()["attribute"] == "line[1].shipment.id"
    many = [{"op": "add", "path": "/", "value": {"name": "lost", "shipment": to("nobody")}}]
    assert_tmf_error(app.patch(CLAIMS, many, "application/json-patch+json"), 400)
    assert app.get(CLAIMS).headers["x-total-count"] == before


def test_a_change_is_asked_for_what_it_adds(app: Running, shipment: tuple[Online, str]) -> None:
    claim = app.post(CLAIMS, {"name": "late", "shipment": to(shipment[1])}).json()["id"]
    assert_tmf_error(app.patch(f"{CLAIMS}/{claim}", {"shipment": to("nobody")}), 400)
    assert app.get(f"{CLAIMS}/{claim}").json()["shipment"]["id"] == shipment[1]
    assert app.patch(f"{CLAIMS}/{claim}", {"name": "very late"}).status_code == 200
    assert_tmf_error(app.patch(f"{CLAIMS}/nothing", {"shipment": to(shipment[1])}), 404)


def test_other_types_are_not_asked_for(app: Running) -> None:
    assert app.post(CLAIMS, {"name": "odd", "shipment": to("nobody", "Parcel")}).status_code == 201


def test_a_provider_that_does_not_answer_or_is_not_configured_refuses_nothing() -> None:
    url = database(component)
    for dependencies in ({"shipping": "http://127.0.0.1:9"}, {}):
        with running(component, database_url=url, dependencies=dependencies, upstream_retries=0) as alone:
            assert alone.post(CLAIMS, {"name": "alone", "shipment": to("nobody")}).status_code == 201


def test_each_target_is_named_once_with_its_place() -> None:
    doc = {"shipment": to("1"), "line": [{"shipment": to("1")}, {"shipment": to("2")}, {"shipment": {"id": 5}}, {}]}
    assert targets(doc, CLAIM.refers) == {
        ("shipping", SHIPMENTS, "1"): "shipment",
        ("shipping", SHIPMENTS, "2"): "line[1].shipment",
    }
