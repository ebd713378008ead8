"""The exported OpenAPI files say what is served: what goes out satisfies them, what they let in is accepted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from shared.tests.support.serving import Listener, database
from shared.tests.support.shipping import HUB_V4, HUB_V5, V4, V5, component

from tmfkit.testing import running
from tmfkit.types import Document

HUBS = {"v4": HUB_V4, "v5": HUB_V5}


@pytest.fixture(scope="module")
def files() -> dict[str, Document]:
    return {name.split(".")[1]: file for name, file in component.openapi_files().items() if name.startswith("shipment")}


def judged(file: Document, name: str, value: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": file["components"]}
    Draft202012Validator(schema).validate(value)


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_every_event_that_is_sent_satisfies_its_webhook(files: dict[str, Document], version: str) -> None:
    hub = HUBS[version]
    file = files[version]
    with running(component, worker=True, database_url=database(component)) as app, Listener() as listener:
        subscribed = app.post(hub, {"callback": listener.callback})
        judged(file, "EventSubscription" if version == "v4" else "Hub", subscribed.json())
        made = app.post(V5, {"name": "Rome"}).json()
        app.patch(f"{V5}/{made['id']}", {"description": "bricks"})
        app.delete(f"{V5}/{made['id']}")
        heard = listener.wait(3)
    assert [e["eventType"] for e in heard] == [
        "ShipmentCreateEvent",
        "ShipmentAttributeValueChangeEvent",
        "ShipmentDeleteEvent",
    ]
    for event in heard:
        name = event["eventType"]
        webhook = file["webhooks"][name[0].lower() + name[1:]]["post"]
        assert webhook["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith(f"/{name}")
        judged(file, name, event)
        assert event["id"] == event["eventId"]
        assert set(event) - {"traceparent"} <= set(file["components"]["schemas"][name]["properties"])


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_what_the_server_owns_is_read_only_in_requests(files: dict[str, Document], version: str) -> None:
    schemas = files[version]["components"]["schemas"]
    create, update = ("_Create", "_Update") if version == "v4" else ("_FVO", "_MVO")
    own = {"href"} if version == "v4" else {"href", "route"}  # v4 does not show the route
    for name, owned in ((create, own), (update, {"id"} | own)):
        properties = schemas[f"Shipment{name}"]["properties"]
        assert {n for n in owned if properties[n].get("readOnly")} == owned


def test_a_choice_of_forms_has_a_discriminator_and_keeps_what_it_does_not_know(files: dict[str, Document]) -> None:
    choice = files["v5"]["components"]["schemas"]["PartyOrPartyRole"]
    mapping = choice["discriminator"]["mapping"]
    assert mapping["Individual"] == "#/components/schemas/Individual"
    assert {"$ref": "#/components/schemas/PartyOrPartyRoleBase"} in choice["anyOf"]
    assert {c["$ref"] for c in choice["anyOf"]} == set(mapping.values())
    judged(files["v5"], "PartyOrPartyRole", {"@type": "Crew", "id": "42", "ship": "Rome"})


def test_of_an_object_in_a_merge_patch_nothing_is_required_but_of_a_member_of_an_array_all() -> None:
    file = next(f for n, f in component.openapi_files().items() if n == "shipmentManagement.v5.json")
    place = {"place": {"name": "Rome"}}
    judged(file, "Shipment_MVO", {"place": {"place": {"name": "Rome"}}})
    assert not Draft202012Validator(
        {"$ref": "#/components/schemas/Shipment_MVO", "components": file["components"]}
    ).is_valid({"relatedParty": [place]})


def test_the_files_name_no_default_that_a_client_would_send(files: dict[str, Document]) -> None:
    assert all('"default": null' not in json.dumps(file["components"]) for file in files.values())


def test_an_answer_promises_only_what_every_version_demands(files: dict[str, Document]) -> None:
    schemas = files["v5"]["components"]["schemas"]
    assert "role" not in schemas["RelatedPartyOrPartyRole"].get("required", [])
    assert "role" in schemas["RelatedPartyOrPartyRole_FVO"]["required"]
    with running(component, database_url=database(component)) as app:
        made = app.post(V4, {"shipmentName": "Rome", "relatedParty": [{"id": "1", "@referredType": "Customer"}]}).json()
        judged(files["v5"], "Shipment", app.get(f"{V5}/{made['id']}").json())


def test_an_answer_that_is_cut_down_is_told(files: dict[str, Document]) -> None:
    for version, path in (("v4", V4), ("v5", V5)):
        answer = files[version]["paths"]["/shipment"]["get"]["responses"]["200"]["content"]["application/json"]
        assert {"$ref": "#/components/schemas/Selection"} in answer["schema"]["items"]["anyOf"]
        with running(component, database_url=database(component)) as app:
            app.post(V5, {"name": "Rome"})
            judged(files[version], "Selection", app.get(f"{path}?fields=status").json()[0])


def test_only_schemas_that_are_referred_to_are_in_a_file(files: dict[str, Document]) -> None:
    for file in files.values():
        text = json.dumps(file)
        assert [name for name in file["components"]["schemas"] if f'"#/components/schemas/{name}"' not in text] == []
