"""The security function as the Canvas's identity listener reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from shared.tests.support.serving import Listener, Online, until

from tmfkit import Component, Settings
from tmfkit.roles import ROLES, SECURITY_FUNCTION
from tmfkit.testing import cases
from tmfkit.testing_issuer import Issuer

component = Component(
    name="guarding", package="shared.tests.test_roles", settings=Settings, apis=SECURITY_FUNCTION, flows=(ROLES,)
)
TMF669 = "/guarding/tmf-api/partyRoleManagement/v4"
TRUSTED = "http://127.0.0.1:9/listener"
TMF672 = "/guarding/rolesAndPermissionsManagement/v5"


@pytest.fixture(scope="module")
def app() -> Iterator[Online]:
    with Online(component, canvas_system_role="cvadmin") as online:
        until(lambda: online.client.get(f"{TMF672}/permissionSpecificationSet").json(), "the system role")
        yield online


def about(id: str, events: list[Any]) -> list[Any]:
    return [e for e in events if next(iter(e["event"].values()))["id"] == id]


def heard(app: Online, api: str, path: str, subscription: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """A role comes and goes; the role, and the events of it."""
    with Listener() as listener:
        for _ in range(2):  # the operator registers again at every restart
            answer = app.client.post(f"{api}/hub", json={"callback": listener.callback, **subscription})
            assert answer.is_success, answer.text
        made = app.client.post(f"{api}/{path}", json={"name": "care agent", "description": "may look"})
        assert made.status_code == 201, made.text
        role = made.json()
        assert app.client.get(role["href"]).json() == role
        assert app.client.delete(role["href"]).status_code == 204
        count = 4 if path == "partyRole" else 2
        until(lambda: len(about(role["id"], listener.taken)) >= count, "the events of the role")
        events = about(role["id"], listener.taken)
        app.client.delete(f"{api}/hub/{answer.json()['id']}")
    return role, events


def test_a_permission_set_is_told_under_the_names_the_listener_knows(app: Online) -> None:
    role, events = heard(app, TMF672, "permissionSpecificationSet", {"@type": "Hub"})
    assert [e["eventType"] for e in events] == [
        "PermissionSpecificationSetCreationNotification",
        "PermissionSpecificationSetRemoveNotification",
    ]
    for event in events:
        told = event["event"]["permissionSpecificationSet"]
        assert told["@baseType"] == "PermissionSpecificationSet"
        assert told["name"] == "care agent"
        assert told["href"] == f"{TMF672}/permissionSpecificationSet/{role['id']}"
        assert told["href"].split("/")[1] == "guarding"


def test_a_party_role_is_told_under_the_names_of_the_file_and_of_the_listener(app: Online) -> None:
    role, events = heard(app, TMF669, "partyRole", {})
    assert [e["eventType"] for e in events] == [
        "PartyRoleCreateEvent",
        "PartyRoleCreationNotification",
        "PartyRoleDeleteEvent",
        "PartyRoleRemoveNotification",
    ]
    assert len({e["eventId"] for e in events}) == 4
    for event in (events[1], events[3]):
        told = event["event"]["partyRole"]
        assert told["@baseType"] == "PartyRole"
        assert told["name"] == "care agent"
        assert told["href"].split("/")[3] == "guarding"
    assert events[3]["event"]["partyRole"]["id"] == role["id"]


def test_the_system_role_is_there_from_the_start_and_once(app: Online) -> None:
    for path in (f"{TMF669}/partyRole", f"{TMF672}/permissionSpecificationSet"):
        found = app.client.get(path, params={"name": "cvadmin"}).json()
        assert [role["name"] for role in found] == ["cvadmin"]


def test_without_a_name_no_role_is_made() -> None:
    with Online(component) as online:
        assert online.client.get(f"{TMF669}/partyRole").json() == []


@pytest.fixture(scope="module")
def guarded() -> Iterator[Online]:
    with Issuer() as issuer:
        security: dict[str, Any] = {"auth_mode": "oidc", "oidc_issuer": issuer.url}
        with Online(component, trusted_callbacks=[TRUSTED], **security) as online:
            yield online


def test_a_trusted_listener_registers_without_a_token_and_again(guarded: Online) -> None:
    for hub, more in ((f"{TMF669}/hub", {}), (f"{TMF672}/hub", {"@type": "Hub"})):
        answers = [guarded.client.post(hub, json={"callback": TRUSTED, **more}) for _ in range(2)]
        assert [a.status_code for a in answers] == [201, 201]
        assert answers[0].json()["id"] == answers[1].json()["id"]


def test_nobody_else_does_and_nothing_else_is_open_to_them(guarded: Online) -> None:
    hub, role = f"{TMF669}/hub", {"name": "admin", "@type": "PartyRole"}
    refused = [
        guarded.client.post(hub, json={"callback": TRUSTED + "/x"}),
        guarded.client.post(hub, json={"callback": [TRUSTED]}),
        guarded.client.post(hub, json=[TRUSTED]),
        guarded.client.post(hub, json={"callback": TRUSTED}, headers={"authorization": "Bearer x"}),
        guarded.client.get(hub),
        guarded.client.delete(f"{hub}/1"),
        guarded.client.post(f"{TMF669}/partyRole", json=role),
    ]
    assert [a.status_code for a in refused] == [401] * len(refused)
    assert all(a.json()["code"] for a in refused)


def test_no_listener_is_trusted_unless_it_is_named() -> None:
    with Issuer() as issuer, Online(component, auth_mode="oidc", oidc_issuer=issuer.url) as online:
        assert online.client.post(f"{TMF669}/hub", json={"callback": TRUSTED}).status_code == 401


def test_the_api_of_the_canvas_has_its_own_root() -> None:
    assert {case.path for case in cases(component)} == {f"{TMF669}/partyRole", f"{TMF672}/permissionSpecificationSet"}
