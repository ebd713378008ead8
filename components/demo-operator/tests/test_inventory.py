"""The operator's inventories: what they say of a tiny world, and that filling twice changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from demo_operator import inventory
from demo_operator.domain.catalogue import Service
from demo_operator.domain.network import ElementKind
from demo_operator.main import component
from demo_operator.memory import Operator
from tmfkit.testing import running
from tmfkit.write import normal

BASE = "/demo-operator/tmf-api"
SERVICES = f"{BASE}/serviceInventoryManagement/v5/service"
RESOURCES = f"{BASE}/resourceInventoryManagement/v4/resource"
PRODUCTS = f"{BASE}/productInventoryManagement/v5/product"


@pytest.fixture(scope="module")
def filled() -> Iterator[Any]:
    settings: dict[str, Any] = {
        "seed": 7,
        "scale": "tiny",
        "as_of": "2026-01-01T00:00:00Z",
        "past_customers": 60,
        "history_weeks": 1,
    }
    with running(component, **settings) as app:
        app.loop.run(inventory.fill(app.ctx))
        yield app


def test_every_document_is_what_the_api_would_have_stored(tiny_operator: Operator) -> None:
    from demo_operator import resources

    world = tiny_operator.world
    for model, documents in (
        (resources.Product, inventory.products(world)),
        (resources.Service, inventory.services(world)),
        (resources.Resource, inventory.network_resources(world)),
    ):
        for document in documents:
            assert normal(model, {**document, "href": "http://x/1"}) == {**document, "href": "http://x/1"}


def test_all_of_the_world_is_in_the_inventories(filled: Any, tiny_operator: Operator) -> None:
    world = tiny_operator.world
    resources = len(world.network.elements) + len(world.network.areas) + len(world.things)
    for path, count in ((PRODUCTS, len(world.instances)), (SERVICES, len(world.instances)), (RESOURCES, resources)):
        assert filled.get(f"{path}?limit=0").headers["x-total-count"] == str(count)


def test_filling_again_changes_nothing_and_raises_no_event(filled: Any) -> None:
    before = filled.sql("SELECT id, doc::text, revision FROM service ORDER BY id")
    again = filled.loop.run(inventory.fill(filled.ctx))
    assert again.services == len(before)
    assert filled.sql("SELECT id, doc::text, revision FROM service ORDER BY id") == before
    assert filled.sql("SELECT count(*) FROM outbox")[0][0] == 0


def test_a_document_that_somebody_changed_is_left_alone(filled: Any) -> None:
    path = f"{SERVICES}/svc-voice-00002"
    assert filled.patch(path, {"operatingStatus": "limited"}).status_code == 200
    filled.sql("DELETE FROM remembered WHERE name = 'milestone/inventory'")
    filled.loop.run(inventory.fill(filled.ctx))
    assert filled.get(path).json()["operatingStatus"] == "limited"
    assert filled.patch(path, {"operatingStatus": "running"}).status_code == 200


def test_who_uses_a_service_in_a_cell_can_be_asked(filled: Any, tiny_operator: Operator) -> None:
    world = tiny_operator.world
    for cell in world.network.cells:
        expected = {
            one.subject_id for one in world.instances if one.cell_id == cell.id and one.service is Service.VIDEO
        }
        query = f"supportingResource.id={cell.id}&serviceSpecification.id=video&state=active&limit=1000"
        found = filled.get(f"{SERVICES}?{query}").json()
        assert {doc["relatedParty"][0]["partyOrPartyRole"]["id"] for doc in found} == expected
        assert all(doc["relatedParty"][0]["role"] == "user" for doc in found)


def test_a_things_service_names_the_thing_as_user_and_the_customer_as_owner(
    filled: Any, tiny_operator: Operator
) -> None:
    instances = [one for one in tiny_operator.world.instances if one.thing_index >= 0]
    for instance in instances:
        doc = filled.get(f"{SERVICES}/{instance.id}").json()
        (user,), (owner,) = doc["relatedEntity"], doc["relatedParty"]
        assert (user["role"], user["entity"]["id"]) == ("user", instance.subject_id)
        assert user["entity"]["@referredType"] == "PhysicalResource"
        assert (owner["role"], owner["partyOrPartyRole"]["id"]) == ("owner", instance.customer_id)


def test_a_service_runs_over_its_cell_and_its_slice(filled: Any, tiny_operator: Operator) -> None:
    for instance in tiny_operator.world.instances[::17]:
        doc = filled.get(f"{SERVICES}/{instance.id}").json()
        assert [one["id"] for one in doc["supportingResource"]] == [instance.cell_id, instance.slice_id]


def test_a_cell_says_where_it_belongs_and_which_slice_carries_what(filled: Any, tiny_operator: Operator) -> None:
    network = tiny_operator.world.network
    for cell in network.cells:
        doc = filled.get(f"{RESOURCES}/{cell.id}").json()
        told = {one["name"]: one["value"] for one in doc["resourceCharacteristic"]}
        assert (told["site"], told["du"], told["area"]) == (cell.site_id, cell.du_id, cell.area_id)
        carriers = {
            kind: relation["id"]
            for relation in doc["resourceRelationship"]
            for one in relation.get("resourceRelationshipCharacteristic", [])
            for kind in one["value"]
        }
        assert carriers == {str(kind): str(network.carried_on(kind, cell.index)) for kind in Service}
        assert set(told["slice"]) == set(carriers.values())


def test_every_resource_named_anywhere_exists(filled: Any) -> None:
    known = {row["id"] for row in filled.sql("SELECT id FROM resource")}
    docs = filled.get(f"{RESOURCES}?limit=1000").json()
    named = {relation["id"] for doc in docs for relation in doc.get("resourceRelationship", [])}
    services = filled.get(f"{SERVICES}?limit=1000").json()
    named |= {one["id"] for doc in services for one in doc["supportingResource"]}
    assert named <= known


def test_elements_are_listed_by_category(filled: Any, tiny_operator: Operator) -> None:
    network = tiny_operator.world.network
    for kind in ElementKind:
        count = sum(element.kind is kind for element in network.elements)
        assert filled.get(f"{RESOURCES}?category={kind}&limit=0").headers["x-total-count"] == str(count)
    assert filled.get(f"{RESOURCES}?category=area&limit=0").headers["x-total-count"] == str(len(network.areas))


def test_products_of_a_customer_add_up_to_the_monthly_charge(filled: Any, tiny_operator: Operator) -> None:
    for person in tiny_operator.world.people[::10]:
        docs = filled.get(f"{PRODUCTS}?relatedParty.partyOrPartyRole.id={person.id}&limit=100").json()
        paid = sum(doc["productPrice"][0]["price"]["taxIncludedAmount"]["value"] for doc in docs)
        assert paid == pytest.approx(person.monthly_charge, abs=0.01)
        assert {doc["productOffering"]["id"] for doc in docs} == {f"offer-{service}" for service in person.services}
