"""TMF621: the life of a ticket, seen by v4 and v5 clients of one stored document."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from experience_management import ticket
from experience_management.main import component
from tmfkit.testing import Running, assert_tmf_error, running
from tmfkit.types import Document

BASE = "/experience-management/tmf-api/troubleTicket"
V4, V5 = f"{BASE}/v4/troubleTicket", f"{BASE}/v5/troubleTicket"
COMPLAINT: Document = {"description": "video stalls", "severity": "Major", "ticketType": "complaint"}


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    with running(component) as app:
        yield app


def opened(app: Running, **more: object) -> Document:
    answer = app.post(V5, {"@type": "TroubleTicket", **COMPLAINT, **more})
    assert answer.status_code == 201, answer.text
    made: Document = answer.json()
    return made


def moved(app: Running, id: str, status: str, **more: object) -> Document:
    answer = app.patch(f"{V5}/{id}", {"status": status, **more})
    assert answer.status_code == 200, answer.text
    now: Document = answer.json()
    return now


def events(app: Running, id: str) -> list[str]:
    rows = app.sql("SELECT kind FROM outbox WHERE resource_id = $1 ORDER BY seq", id)
    return [row["kind"] for row in rows]


def test_a_ticket_begins_acknowledged_with_dates_of_the_server(app: Running) -> None:
    made = opened(app, statusChangeDate="1999-01-01T00:00:00Z", creationDate="1999-01-01T00:00:00Z")
    assert made["status"] == "acknowledged"
    assert made["statusChangeDate"] == made["creationDate"] == made["lastUpdate"] > "2000"
    (first,) = made["statusChangeHistory"]
    assert first == {"@type": "StatusChange", "status": "acknowledged", "statusChangeDate": made["creationDate"]}


def test_every_move_is_remembered_with_its_own_reason(app: Running) -> None:
    made = opened(app)
    moved(app, made["id"], "pending", statusChangeReason="more information is needed")
    moved(app, made["id"], "inProgress")
    now = moved(app, made["id"], "resolved", statusChangeReason="a refund was paid")
    history = [(c["status"], c.get("statusChangeReason")) for c in now["statusChangeHistory"]]
    assert history == [
        ("acknowledged", None),
        ("pending", "more information is needed"),
        ("inProgress", None),
        ("resolved", "a refund was paid"),
    ]
    assert now["statusChangeDate"] == now["statusChangeHistory"][-1]["statusChangeDate"] == now["resolutionDate"]
    assert now["statusChangeDate"] > made["creationDate"] == now["creationDate"]


def test_illegal_moves_are_a_409_in_both_versions(app: Running) -> None:
    for before, after in (("closed", "inProgress"), ("rejected", "acknowledged"), ("inProgress", "closed")):
        made = opened(app, status=before)
        for version in (V4, V5):
            error = assert_tmf_error(app.patch(f"{version}/{made['id']}", {"status": after}), 409)
            assert error["attribute"] == "status"
        assert len(app.get(f"{V5}/{made['id']}").json()["statusChangeHistory"]) == 1


def test_the_final_states_are_final() -> None:
    assert {"rejected", "cancelled", "closed"}.isdisjoint(ticket.MOVES)
    assert all(ticket.MOVES[state] for state in ticket.MOVES)


def test_a_ticket_that_is_taken_up_again_is_not_resolved(app: Running) -> None:
    made = opened(app)
    moved(app, made["id"], "resolved")
    assert "resolutionDate" not in moved(app, made["id"], "inProgress")
    assert moved(app, made["id"], "resolved", resolutionDate="2026-03-01T10:00:00Z")["resolutionDate"] < "2026-03-02"
    assert moved(app, made["id"], "closed")["resolutionDate"] == "2026-03-01T10:00:00Z"


def test_resolved_and_information_required_are_events_of_their_own(app: Running) -> None:
    made = opened(app)
    moved(app, made["id"], "pending")
    app.patch(f"{V5}/{made['id']}", {"priority": "High"})
    moved(app, made["id"], "resolved")
    raised = [kind for kind in events(app, made["id"]) if kind != "AttributeValueChange"]
    assert raised == ["Create", "StatusChange", "InformationRequired", "StatusChange", "Resolved"]
    rows = app.sql(
        "SELECT doc ->> 'status' AS status FROM outbox WHERE resource_id = $1 AND kind = 'Resolved'", made["id"]
    )
    assert [row["status"] for row in rows] == ["resolved"]


def test_a_refused_move_announces_nothing(app: Running) -> None:
    made = opened(app, status="closed")
    assert_tmf_error(app.patch(f"{V5}/{made['id']}", {"status": "resolved"}), 409)
    assert events(app, made["id"]) == ["Create"]


def test_v4_sees_the_history_under_its_own_names(app: Running) -> None:
    made = opened(app)
    moved(app, made["id"], "held", statusChangeReason="part is missing")
    shown = app.get(f"{V4}/{made['id']}").json()
    assert "statusChangeHistory" not in shown
    assert [(c["status"], c.get("changeReason")) for c in shown["statusChange"]] == [
        ("acknowledged", None),
        ("held", "part is missing"),
    ]
    assert shown["statusChange"][1]["changeDate"] == shown["statusChangeDate"]


def test_external_id_of_v4_is_the_first_external_identifier_of_v5(app: Running) -> None:
    made = app.post(V4, {**COMPLAINT, "externalId": "crm-1"}).json()
    one = f"/{made['id']}"
    assert app.get(V5 + one).json()["externalIdentifier"] == [{"@type": "ExternalIdentifier", "id": "crm-1"}]
    two = [{"@type": "ExternalIdentifier", "id": "crm-2", "owner": "crm"}, {"@type": "ExternalIdentifier", "id": "b"}]
    assert app.patch(V5 + one, {"externalIdentifier": two}).status_code == 200
    assert app.get(V4 + one).json()["externalId"] == "crm-2"
    assert app.patch(V4 + one, {"externalId": "crm-3"}).json()["externalId"] == "crm-3"
    assert app.get(V5 + one).json()["externalIdentifier"] == [{**two[0], "id": "crm-3"}, two[1]]
    assert "externalId" not in app.patch(V4 + one, {"externalId": None}).json()
    assert app.get(V5 + one).json()["externalIdentifier"] == [two[1]]


def test_a_v4_patch_keeps_what_only_v5_shows(app: Running) -> None:
    made = opened(
        app,
        troubleTicketCharacteristic=[{"@type": "StringCharacteristic", "name": "device", "value": "tv"}],
        relatedParty=[
            {
                "@type": "RelatedPartyRefOrPartyRoleRef",
                "role": "customer",
                "partyOrPartyRole": {"@type": "PartyRoleRef", "id": "42", "partyId": "7", "@referredType": "Customer"},
            }
        ],
    )
    changed = app.patch(f"{V4}/{made['id']}", {"priority": "High"})
    assert changed.json()["relatedParty"][0]["id"] == "42"
    after = app.get(f"{V5}/{made['id']}").json()
    for name in ("troubleTicketCharacteristic", "relatedParty"):
        assert after[name] == made[name]
    assert after["priority"] == "High"


def test_characteristics_are_judged_by_their_type(app: Running) -> None:
    wrong = [{"@type": "IntegerCharacteristic", "name": "stalls", "value": "many"}]
    error = assert_tmf_error(app.post(V5, {**COMPLAINT, "troubleTicketCharacteristic": wrong}), 400)
    assert error["attribute"] == "troubleTicketCharacteristic[0].value"


def test_v4_demands_the_type_of_a_party(app: Running) -> None:
    error = assert_tmf_error(app.post(V4, {**COMPLAINT, "relatedParty": [{"id": "42"}]}), 400)
    assert error["attribute"] == "relatedParty[0].@referredType"


def test_a_specification_begins_in_design_and_tells_its_moves(app: Running) -> None:
    path = f"{BASE}/v5/troubleTicketSpecification"
    value = {"@type": "StringCharacteristicValueSpecification", "value": "tv"}
    characteristic = {"name": "device", "valueType": "string", "characteristicValueSpecification": [value]}
    made = app.post(path, {"name": "complaint", "specCharacteristic": [characteristic]}).json()
    assert made["lifecycleStatus"] == "inDesign"
    assert app.patch(f"{path}/{made['id']}", {"lifecycleStatus": "active"}).status_code == 200
    assert events(app, made["id"]) == ["Create", "StatusChange"]
