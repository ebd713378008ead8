"""TMF683: what the server keeps of an interaction, whom it may name, and references that must lead somewhere."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from experience_management.main import component
from tmfkit.testing import Running, assert_tmf_error, running
from tmfkit.types import Document

BASE = "/experience-management/tmf-api/partyInteractionManagement"
V4, V5 = f"{BASE}/v4/partyInteraction", f"{BASE}/v5/partyInteraction"
TICKETS = "/experience-management/tmf-api/troubleTicket/v5/troubleTicket"
CALL: Document = {
    "@type": "PartyInteraction",
    "reason": "video stalls",
    "direction": "inbound",
    "relatedChannel": [{"@type": "RelatedChannel", "role": "used", "channel": {"@type": "ChannelRef", "id": "call"}}],
}


def inventory(request: httpx.Request) -> httpx.Response:
    """A service inventory that knows the service s1 alone."""
    known = request.url.path.endswith("/tmf-api/serviceInventoryManagement/v5/service/s1")
    return httpx.Response(200, json={"id": "s1"}) if known else httpx.Response(404, json={"code": "404", "reason": "-"})


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    transports = {"serviceInventory": httpx.MockTransport(inventory)}
    dependencies = {"serviceInventory": "http://inventory.test"}
    with running(component, transports=transports, dependencies=dependencies) as app:
        yield app


def test_the_server_dates_each_change_of_status(app: Running) -> None:
    made = app.post(V5, {**CALL, "status": "open", "statusChangeDate": "1999-01-01T00:00:00Z"}).json()
    assert made["statusChangeDate"] == made["creationDate"] > "2000"
    same = app.patch(f"{V5}/{made['id']}", {"description": "asked for a refund"}).json()
    assert same["statusChangeDate"] == made["statusChangeDate"]
    done = app.patch(f"{V4}/{made['id']}", {"status": "completed"}).json()
    assert done["statusChangeDate"] > made["statusChangeDate"]
    rows = app.sql("SELECT kind FROM outbox WHERE resource_id = $1 ORDER BY seq", made["id"])
    assert [row["kind"] for row in rows] == ["Create", "AttributeValueChange", "StatusChange"]


def test_an_interaction_without_a_status_has_no_date_of_it(app: Running) -> None:
    assert "statusChangeDate" not in app.post(V5, CALL).json()


def test_a_party_may_be_told_by_value(app: Running) -> None:
    ada = {"@type": "Individual", "givenName": "Ada", "status": "validated"}
    party = {"@type": "RelatedPartyOrPartyRole", "role": "caller", "partyOrPartyRole": ada}
    made = app.post(V5, {**CALL, "relatedParty": [party]})
    assert made.status_code == 201, made.text
    assert made.json()["relatedParty"] == [party]
    wrong = {**party, "partyOrPartyRole": {**ada, "status": "closed"}}
    error = assert_tmf_error(app.post(V5, {**CALL, "relatedParty": [wrong]}), 400)
    assert error["attribute"] == "relatedParty[0].partyOrPartyRole.status"


@pytest.mark.parametrize(("service", "status"), [("s1", 201), ("s2", 400)])
def test_a_service_that_the_inventory_does_not_know_is_refused(app: Running, service: str, status: int) -> None:
    entity = {"@type": "EntityRef", "@referredType": "Service", "id": service}
    item = {"@type": "InteractionItem", "item": {"role": "about", "entity": entity}}
    assert app.post(V5, {**CALL, "interactionItem": [item]}).status_code == status
    ticket = {"description": "no picture", "severity": "Major", "ticketType": "fault"}
    answer = app.post(TICKETS, {**ticket, "relatedEntity": [{"role": "affected", "entity": entity}]})
    assert answer.status_code == status
    assert status == 201 or answer.json()["attribute"] == "relatedEntity[0].entity.id"
