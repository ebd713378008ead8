"""TMF644: life cycles, what the server sets, and what is mandatory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from customer_360.main import component
from customer_360.privacy import resources as privacy
from tmfkit.resource import Resource
from tmfkit.testing import Running, assert_tmf_error, running

Document = dict[str, Any]
BASE = "/customer-360/tmf-api/privacyManagement/v4"
PARTY = {"id": "p-1", "name": "Ada", "@referredType": "Individual"}
PROFILE: Document = {
    "agreedByParty": PARTY,
    "partyPrivacyProfileCharacteristic": [
        {"name": "usageHistory", "value": "No", "privacyUsagePurpose": "MARKETING", "relatedParty": [PARTY]}
    ],
    "partyPrivacyProfileSpecification": {"id": "spec-1"},
}
SPECIFICATION: Document = {
    "partyPrivacyProfileSpecCharacteristic": [
        {
            "name": "usageHistory",
            "privacyUsagePurpose": "MARKETING",
            "criticalityLevel": "medium",
            "allowedRole": [{"name": "campaign manager"}],
            "partyPrivacyProfileSpecCharacteristicValue": [{"value": "Yes"}, {"value": "No", "isDefault": True}],
        }
    ]
}
AGREEMENT: Document = {
    "name": "Use of usage data",
    "agreementType": "consent",
    "agreementItem": [{"termOrCondition": [{"description": "until further notice"}]}],
    "engagedParty": [PARTY],
}
ALL = [
    ("partyPrivacyProfile", PROFILE, privacy.PARTY_PRIVACY_PROFILE),
    ("partyPrivacyProfileSpecification", SPECIFICATION, privacy.PARTY_PRIVACY_PROFILE_SPECIFICATION),
    ("partyPrivacyAgreement", AGREEMENT, privacy.PARTY_PRIVACY_AGREEMENT),
]


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    with running(component) as opened:
        yield opened


def made(app: Running, name: str, body: Document, **more: Any) -> Document:
    answer = app.post(f"{BASE}/{name}", body | more)
    assert answer.status_code == 201, answer.text
    doc: Document = answer.json()
    return doc


def events(app: Running, id: str) -> list[str]:
    return [r["kind"] for r in app.sql("SELECT kind FROM outbox WHERE resource_id = $1 ORDER BY seq", id)]


@pytest.mark.parametrize(("name", "body", "resource"), ALL)
def test_every_move_between_states_is_legal_or_a_409(
    app: Running, name: str, body: Document, resource: Resource
) -> None:
    lifecycle = resource.lifecycle
    assert lifecycle is not None and lifecycle.moves is not None
    assert made(app, name, body)["status"] == lifecycle.initial
    for before in sorted(lifecycle.states):
        for after in sorted(lifecycle.states - {before}):
            doc = made(app, name, body, status=before)
            answer = app.patch(doc["href"], {"status": after})
            if after in lifecycle.moves.get(before, ()):
                assert answer.status_code == 200 and "StatusChange" in events(app, doc["id"])
            else:
                assert assert_tmf_error(answer, 409)["attribute"] == "status"
    assert assert_tmf_error(app.post(f"{BASE}/{name}", body | {"status": "asleep"}), 400)["attribute"] == "status"


@pytest.mark.parametrize(
    ("name", "body", "missing"), [(name, body, attribute) for name, body, _ in ALL for attribute in body]
)
def test_what_the_file_demands_has_to_be_there(app: Running, name: str, body: Document, missing: str) -> None:
    answer = app.post(f"{BASE}/{name}", {k: v for k, v in body.items() if k != missing})
    assert assert_tmf_error(answer, 400)["attribute"] == missing


@pytest.mark.parametrize(
    ("name", "body", "attribute"),
    [
        ("partyPrivacyProfile", PROFILE, "creationDate"),
        ("partyPrivacyProfileSpecification", SPECIFICATION, "lastUpdate"),
    ],
)
def test_the_server_says_when(app: Running, name: str, body: Document, attribute: str) -> None:
    doc = made(app, name, body, **{attribute: "1999-01-01T00:00:00Z"})
    assert doc[attribute] > "2026"
    assert_tmf_error(app.patch(doc["href"], {attribute: "1999-01-01T00:00:00Z"}), 400)


def test_a_specification_that_changes_says_so(app: Running) -> None:
    doc = made(app, "partyPrivacyProfileSpecification", SPECIFICATION)
    changed = app.patch(doc["href"], {"version": "2"}).json()
    assert changed["lastUpdate"] >= doc["lastUpdate"] and changed["version"] == "2"


@pytest.mark.parametrize("given_end", [None, timedelta(days=365)])
def test_the_validity_of_a_terminated_profile_ends_at_once(app: Running, given_end: timedelta | None) -> None:
    valid = {"startDateTime": "2026-01-01T00:00:00Z"}
    if given_end is not None:
        valid["endDateTime"] = (datetime.now(UTC) + given_end).isoformat()
    doc = made(app, "partyPrivacyProfile", PROFILE, validFor=valid)
    over = app.patch(doc["href"], {"status": "terminated"}).json()
    assert over["validFor"]["startDateTime"] == valid["startDateTime"]
    assert datetime.fromisoformat(over["validFor"]["endDateTime"]) <= datetime.now(UTC)


def test_a_validity_that_ended_before_stays_as_it_was(app: Running) -> None:
    valid = {"startDateTime": "2025-01-01T00:00:00Z", "endDateTime": "2025-06-01T00:00:00Z"}
    doc = made(app, "partyPrivacyProfile", PROFILE, validFor=valid)
    assert app.patch(doc["href"], {"status": "terminated"}).json()["validFor"] == valid


def test_an_agreement_has_its_beginning_and_its_end(app: Running) -> None:
    doc = made(app, "partyPrivacyAgreement", AGREEMENT)
    assert doc["initialDate"] > "2026" and "completionDate" not in doc
    waiting = app.patch(doc["href"], {"status": "validated"}).json()
    assert "completionDate" not in waiting
    over = app.patch(doc["href"], {"status": "approved"}).json()
    assert over["completionDate"]["endDateTime"] >= doc["initialDate"]
    assert events(app, doc["id"]) == ["Create", "StatusChange", "StatusChange", "AttributeValueChange"]


def test_dates_that_were_agreed_on_paper_are_kept(app: Running) -> None:
    day = "2020-05-04T00:00:00Z"
    period = {"startDateTime": day, "endDateTime": day}
    doc = made(app, "partyPrivacyAgreement", AGREEMENT, initialDate=day, completionDate=period, status="validated")
    over = app.patch(doc["href"], {"status": "rejected"}).json()
    assert (over["initialDate"], over["completionDate"]) == (day, period)


def test_consents_are_found_by_party_and_purpose(app: Running) -> None:
    other = {**PARTY, "id": "p-2"}
    mine = made(app, "partyPrivacyProfile", PROFILE, agreedByParty=other)
    purpose = "partyPrivacyProfileCharacteristic.privacyUsagePurpose=MARKETING"
    found = app.get(f"{BASE}/partyPrivacyProfile?agreedByParty.id=p-2&{purpose}").json()
    assert [d["id"] for d in found] == [mine["id"]]
    assert app.get(f"{BASE}/partyPrivacyProfile?agreedByParty.id=p-2&{purpose.replace('MARK', 'RES')}").json() == []


def test_a_value_is_mandatory_in_a_choice(app: Running) -> None:
    body = PROFILE | {"partyPrivacyProfileCharacteristic": [{"name": "usageHistory"}]}
    answer = app.post(f"{BASE}/partyPrivacyProfile", body)
    assert assert_tmf_error(answer, 400)["attribute"] == "partyPrivacyProfileCharacteristic[0].value"


async def parties(request: Request) -> Response:
    """The party API: it knows p-1 alone."""
    return JSONResponse({"id": "p-1"}) if request.path_params["id"] == "p-1" else Response(status_code=404)


def test_a_party_that_the_party_api_does_not_know_is_refused() -> None:
    known = Starlette(routes=[Route("/tmf-api/party/v5/individual/{id}", parties)])
    with running(
        component,
        transports={"party": httpx.ASGITransport(app=known)},
        dependencies={"party": "http://party.test"},
    ) as opened:
        made(opened, "partyPrivacyProfile", PROFILE)
        made(opened, "partyPrivacyAgreement", AGREEMENT)
        stranger = {"id": "p-9", "@referredType": "Individual"}
        for name, body, attribute in (
            ("partyPrivacyProfile", PROFILE | {"applicableForParty": stranger}, "applicableForParty.id"),
            ("partyPrivacyAgreement", AGREEMENT | {"engagedParty": [PARTY, stranger]}, "engagedParty[1].id"),
        ):
            error = assert_tmf_error(opened.post(f"{BASE}/{name}", body), 400)
            assert error["attribute"] == attribute
        customers = "/customer-360/tmf-api/customerManagement"
        for version in ("v4", "v5"):
            sent = {"name": "Ada", "engagedParty": {**stranger, "@type": "PartyRef"}}
            error = assert_tmf_error(opened.post(f"{customers}/{version}/customer", sent), 400)
            assert error["attribute"] == "engagedParty.id"
            sent["engagedParty"] = {**PARTY, "@type": "PartyRef"}
            assert opened.post(f"{customers}/{version}/customer", sent).status_code == 201
