"""What a POST to TMF696 and TMF680 performs, at once and in its own transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tmfkit.testing import assert_tmf_error

Document = dict[str, Any]
BASE = "/churn-prediction/tmf-api"
RISK = f"{BASE}/riskManagement/v4/partyRoleRiskAssessment"
RECOMMENDATION = f"{BASE}/recommendationManagement/v4/queryProductRecommendation"
NOW = datetime.now(UTC).replace(microsecond=0)


def party(id: str) -> Document:
    return {"id": id, "@referredType": "Customer"}


@pytest.fixture(scope="module")
def desk(world: Callable[..., Any], served: str, copied: Callable[[str], str]) -> Iterator[Any]:
    with world([], database_url=copied(served)) as opened:
        opened.until(lambda: opened.app.sql("SELECT count(*) FROM assessed")[0][0] == 30)
        yield opened


def test_a_posted_assessment_is_performed_at_once_and_follows_the_one_before(desk: Any) -> None:
    (before,) = desk.assessments("live-0010")
    sent = {"partyRole": {**party("live-0010"), "role": "subscriber"}, "status": "Failed", "x_case": "A-7"}
    answer = desk.app.post(RISK, sent)
    assert answer.status_code == 201, answer.text
    doc = answer.json()
    assert doc["status"] == "Succeeded" and doc["@type"] == "ChurnRiskAssessment"
    assert doc["churnProbability"] == before["churnProbability"] and doc["probabilityChange"] == 0.0
    assert doc["previousAssessment"]["id"] == before["id"]
    assert doc["partyRole"]["role"] == "subscriber" and doc["x_case"] == "A-7"
    assert desk.app.get(doc["href"].removeprefix("http://component.test")).json() == doc
    assert desk.app.sql("SELECT assessment_id FROM assessed WHERE customer_id = 'live-0010'")[0][0] == doc["id"]


def test_an_unknown_customer_is_said_in_the_status_and_not_invented(desk: Any) -> None:
    answer = desk.app.post(RISK, {"partyRole": party("nobody")})
    assert answer.status_code == 201
    assert answer.json()["status"] == "Failed"
    assert "no customer with this id" in answer.json()["statusReason"]
    assert "churnProbability" not in answer.json()
    assert_tmf_error(desk.app.post(RISK, {}), 400)


def test_without_a_model_the_status_says_what_is_missing(
    world: Callable[..., Any], loaded: str, copied: Callable[[str], str]
) -> None:
    with world([], database_url=copied(loaded), worker=False) as untrained:
        risk = untrained.app.post(RISK, {"partyRole": party("live-0001")}).json()
        assert (risk["status"], risk["statusReason"]) == ("Failed", "no model is in service: train one first")
        offer = untrained.app.post(RECOMMENDATION, {"relatedParty": party("live-0001")}).json()
        assert offer["state"] == "terminatedWithError" and "no model" in offer["stateReason"]


def test_a_posted_recommendation_names_an_offer_its_profit_and_the_assessment_it_rests_on(desk: Any) -> None:
    desk.scores.tell(desk.app, "Create", desk.score_event("live-0011", 15.0, NOW))
    desk.until(lambda: len(desk.assessments("live-0011")) == 2)
    sent = {"relatedParty": party("live-0011"), "name": "call of Monday", "instantSyncRecommendation": True}
    doc = desk.app.post(RECOMMENDATION, sent).json()
    assert doc["state"] == "done" and doc["name"] == "call of Monday"
    assert doc["expectedProfit"]["value"] > 0 and len(doc["recommendationItem"]) == 1
    assert doc["riskAssessment"]["id"] == desk.assessments("live-0011")[-1]["id"]
    assert len(desk.assessments("live-0011")) == 2
    assert doc["assumptions"]["currency"] == "EUR" and doc["considered"]
    known = [r["id"] for r in desk.recommendations("live-0011")]
    assert doc["id"] in known and len(known) == 2


def test_a_recommendation_asked_for_after_a_change_rests_on_an_assessment_made_now(desk: Any) -> None:
    desk.app.sql(
        "INSERT INTO feature_row (customer_id, feature, value, kind, as_of, origin)"
        " VALUES ('live-0012', 'experience_min_7d', '12.0', 'numeric', now(), 'experienceScore')"
    )
    doc = desk.app.post(RECOMMENDATION, {"relatedParty": party("live-0012")}).json()
    before, after = desk.assessments("live-0012")
    assert doc["riskAssessment"]["id"] == after["id"] and after["previousAssessment"]["id"] == before["id"]
    assert after["churnProbability"] > before["churnProbability"]


def test_a_recommendation_without_a_known_customer_ends_with_an_error_that_says_so(desk: Any) -> None:
    for sent in ({}, {"relatedParty": party("nobody")}):
        doc = desk.app.post(RECOMMENDATION, sent).json()
        assert doc["state"] == "terminatedWithError" and "no customer" in doc["stateReason"]


def test_a_key_makes_a_posted_assessment_happen_once(desk: Any) -> None:
    headers = {"idempotency-key": "once"}
    first, again = (desk.app.post(RISK, {"partyRole": party("live-0013")}, headers=headers).json() for _ in range(2))
    assert first == again
    assert len(desk.assessments("live-0013")) == 2
