"""Assessment: everybody once per model, again when something happened, and an offer only where it pays."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

Document = dict[str, Any]
LIVE = 30
NOW = datetime.now(UTC).replace(microsecond=0)
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
RISK = "/churn-prediction/tmf-api/riskManagement/v4/partyRoleRiskAssessment"
BASE = "http://component.test/churn-prediction/tmf-api"


def all_assessed(scoring: Any) -> bool:
    return bool(scoring.app.sql("SELECT count(*) FROM assessed")[0][0] == LIVE)


@pytest.fixture(scope="module")
def opened(
    world: Callable[..., Any], served: str, copied: Callable[[str], str]
) -> Iterator[Callable[..., contextlib.AbstractContextManager[Any]]]:
    """Start the component with a model in service, wait until everybody is assessed."""

    @contextlib.contextmanager
    def start(**values: Any) -> Iterator[Any]:
        with world([], database_url=copied(served), **values) as scoring:
            scoring.until(lambda: all_assessed(scoring))
            yield scoring

    yield start


@pytest.fixture(scope="module")
def scoring(opened: Callable[..., contextlib.AbstractContextManager[Any]]) -> Iterator[Any]:
    with opened() as found:
        yield found


def test_everybody_but_the_past_is_assessed_once_and_nobody_is_made_an_offer(
    world: Callable[..., Any], served: str, copied: Callable[[str], str]
) -> None:
    with world([], database_url=copied(served), assessment_batch=7) as fresh:
        fresh.until(lambda: all_assessed(fresh))
        found = fresh.documents("party_role_risk_assessment")
        assert sorted(d["partyRole"]["id"] for d in found) == [f"live-{i:04d}" for i in range(LIVE)]
        assert fresh.documents("query_product_recommendation") == []
        kinds = fresh.app.sql("SELECT kind FROM outbox WHERE resource = 'PartyRoleRiskAssessment'")
        assert [r["kind"] for r in kinds] == ["Create"] * LIVE


def test_an_assessment_says_how_likely_how_sure_why_and_by_which_model(scoring: Any) -> None:
    (doc,) = scoring.assessments("live-0000")
    shown = scoring.app.get(f"{RISK}/{doc['id']}").json()
    assert shown["@type"] == "ChurnRiskAssessment" and shown["status"] == "Succeeded"
    assert shown["interval"]["low"] < shown["churnProbability"] < shown["interval"]["high"]
    assert shown["riskAssessmentResult"]["overallScore"] == shown["churnProbability"]
    assert shown["coverage"] > 0.8 and shown["horizonDays"] == 30
    assert shown["partyRole"]["href"].endswith("/customer/live-0000")
    assert all(r["group"] and r["text"].startswith(r["driver"]) for r in shown["reasons"])
    path = shown["aiModel"]["href"].removeprefix("http://component.test")
    assert scoring.app.get(path).json()["aiModelSpecification"]["version"] == shown["aiModel"]["version"]
    assert "previousAssessment" not in shown and shown["evidence"] == []
    assert scoring.app.get(f"{RISK}?churnProbability.gt=0&limit=1").headers["x-total-count"] >= "1"


def test_a_bad_experience_raises_the_risk_and_makes_an_offer_worth_its_cost_in_one_trace(scoring: Any) -> None:
    (before,) = scoring.assessments("live-0001")
    bad = scoring.score_event("live-0001", 20.0, NOW)
    scoring.scores.tell(scoring.app, "Create", bad, traceparent=TRACEPARENT)
    (offer,) = scoring.until(lambda: scoring.recommendations("live-0001"))
    _, after = scoring.assessments("live-0001")
    assert after["churnProbability"] > before["churnProbability"] + 0.05
    assert after["probabilityChange"] == pytest.approx(after["churnProbability"] - before["churnProbability"], abs=1e-5)
    assert after["previousAssessment"]["id"] == before["id"]
    assert after["previousAssessment"]["href"] == f"{BASE}/riskManagement/v4/partyRoleRiskAssessment/{before['id']}"
    assert [(e["@referredType"], e["id"], e["href"]) for e in after["evidence"]] == [
        ("ExperienceScore", bad["id"], bad["href"]),
        ("ServiceProblem", "sp-1", bad["cause"][0]["href"]),
    ]
    assert any(r["driver"] == "experience_min_7d" and r["contribution"] > 0 for r in after["reasons"])

    assert offer["state"] == "done" and offer["@type"] == "RetentionRecommendation"
    assert offer["expectedProfit"]["value"] > 0 and offer["expectedProfit"]["unit"] == "EUR"
    assert offer["expectedProfit"] == after["expectedProfit"]
    assert offer["riskAssessment"]["id"] == after["id"]
    path = offer["riskAssessment"]["href"].removeprefix("http://component.test")
    assert scoring.app.get(path).json()["id"] == after["id"]
    assert offer["relatedParty"]["id"] == "live-0001"
    (item,) = offer["recommendationItem"]
    assert item["product"]["productOffering"]["id"] in {c["offer"] for c in offer["considered"]}
    assert any(r["driver"] == "experience_min_7d" for r in offer["reasons"])
    assert offer["causalStatus"] == "associational"

    raised = scoring.app.sql(
        "SELECT resource, traceparent FROM outbox WHERE resource_id = ANY($1)", [after["id"], offer["id"]]
    )
    assert {r["resource"] for r in raised} == {"PartyRoleRiskAssessment", "QueryProductRecommendation"}
    assert {r["traceparent"][3:35] for r in raised} == {TRACE}
    who = scoring.app.sql("SELECT subject, trace_id FROM audit WHERE resource_id = $1", offer["id"])
    assert [(r["subject"], r["trace_id"]) for r in who] == [("churn-prediction/score", TRACE)]


def test_one_problem_makes_one_offer_and_a_new_one_may_make_another(scoring: Any) -> None:
    def tell(score: float, minutes: int, problem: str) -> None:
        at = NOW + timedelta(minutes=minutes)
        cause = [{"id": problem, "@referredType": "ServiceProblem"}]
        doc = scoring.score_event("live-0002", score, at, cause=cause)
        scoring.scores.tell(scoring.app, "AttributeValueChange", doc)

    for i, (score, problem, offers) in enumerate([(45.0, "sp-a", 1), (35.0, "sp-a", 1), (20.0, "sp-b", 2)]):
        tell(score, 5 * i, problem)
        scoring.until(lambda i=i: len(scoring.assessments("live-0002")) == i + 2)
        assert scoring.assessments("live-0002")[-1]["probabilityChange"] > 0.01
        assert len(scoring.recommendations("live-0002")) == offers


def test_recovery_is_assessed_too_and_makes_no_offer(scoring: Any) -> None:
    for i, (score, kind) in enumerate([(84.0, "Create"), (95.0, "AttributeValueChange")]):
        doc = scoring.score_event("live-0003", score, NOW + timedelta(minutes=30 * i), cause=[])
        scoring.scores.tell(scoring.app, kind, doc)
        scoring.until(lambda i=i: len(scoring.assessments("live-0003")) == i + 2)
    assert scoring.recommendations("live-0003") == []


def test_a_changed_customer_is_assessed_again_and_one_told_without_a_change_is_not(
    scoring: Any, customers: list[Document]
) -> None:
    doc = next(c for c in customers if c["id"] == "live-0004")
    scoring.customers.tell(scoring.app, "AttributeValueChange", doc)
    longer = json.loads(json.dumps(doc))
    next(c for c in longer["characteristic"] if c["name"] == "contract")["value"] = "two years"
    scoring.customers.tell(scoring.app, "AttributeValueChange", longer)
    before, after = scoring.until(lambda: len(found := scoring.assessments("live-0004")) > 1 and found)
    assert after["churnProbability"] < before["churnProbability"]
    assert scoring.recommendations("live-0004") == []


def test_a_new_customer_is_assessed_without_an_offer_as_nothing_has_risen(
    scoring: Any, somebody: Callable[..., Document]
) -> None:
    week = {"experience_mean_7d": 80.0, "experience_min_7d": 15.0, "experience_trend_7d": 0.0, "services": 1.0}
    doc = somebody("newcomer", {"contract": "month-to-month", "tenure_months": 1.0, "monthly_charge": 110.0, **week})
    scoring.customers.tell(scoring.app, "Create", doc)
    (found,) = scoring.until(lambda: scoring.assessments("newcomer"))
    assert found["band"] in ("high", "critical") and found["coverage"] < 1.0
    assert scoring.recommendations("newcomer") == []


def test_nobody_is_assessed_of_whom_the_model_knows_nothing(scoring: Any, somebody: Callable[..., Document]) -> None:
    scoring.customers.tell(scoring.app, "Create", somebody("stranger", {"shoeSize": 44.0}))
    scoring.customers.tell(scoring.app, "Create", somebody("former", {"tenure_months": 9.0}, status="past"))
    scoring.until(lambda: scoring.app.sql("SELECT count(*) FROM touched")[0][0] == 0)
    assert scoring.assessments("stranger") == [] and scoring.assessments("former") == []


def test_no_offer_is_made_that_costs_more_than_it_saves(
    opened: Callable[..., contextlib.AbstractContextManager[Any]], tmp_path: Path
) -> None:
    costly = {
        "currency": "EUR", "marginRatio": 0.45, "horizonMonths": 24, "annualDiscountRate": 0.1,
        "monthlyHazardAfterSave": 0.02, "source": "a test",
        "offers": [
            {"id": "yacht", "name": "A yacht", "cost": 100000.0, "contactCost": 1.0, "acceptanceIfLeaving": 1.0,
             "acceptanceIfStaying": 1.0, "stayGivenAcceptance": 1.0}
        ],
    }  # fmt: skip
    file = tmp_path / "offers.json"
    file.write_text(json.dumps(costly))
    with opened(offers_file=str(file)) as dear:
        dear.scores.tell(dear.app, "Create", dear.score_event("live-0001", 20.0, NOW))
        _, after = dear.until(lambda: len(found := dear.assessments("live-0001")) > 1 and found)
        assert after["probabilityChange"] > 0.05 and "expectedProfit" not in after
        assert dear.recommendations("live-0001") == []
        asked = dear.app.post(
            "/churn-prediction/tmf-api/recommendationManagement/v4/queryProductRecommendation",
            {"relatedParty": {"id": "live-0001", "@referredType": "Customer"}},
        ).json()
        assert asked["recommendationItem"] == [] and "no offer earns its cost" in asked["stateReason"]


def test_without_a_model_nobody_is_assessed_and_training_catches_up(
    world: Callable[..., Any], loaded: str, copied: Callable[[str], str]
) -> None:
    with world([], database_url=copied(loaded)) as untrained:
        untrained.scores.tell(untrained.app, "Create", untrained.score_event("live-0001", 20.0, NOW))
        untrained.until(lambda: untrained.app.sql("SELECT count(*) FROM touched")[0][0] == 0)
        assert untrained.documents("party_role_risk_assessment") == []
        assert untrained.train().code == 0
        untrained.until(lambda: all_assessed(untrained))
        hit, well = untrained.assessments("live-0001")[0], untrained.assessments("live-0002")[0]
        assert hit["evidence"][0]["id"] == "xs-live-0001" and well["evidence"] == []
        assert untrained.documents("query_product_recommendation") == []


def test_a_newer_model_assesses_everybody_once_more_and_makes_no_offers(
    opened: Callable[..., contextlib.AbstractContextManager[Any]],
) -> None:
    with opened() as renewed:
        first = {d["partyRole"]["id"]: d for d in renewed.documents("party_role_risk_assessment")}
        renewed.app.sql("DELETE FROM outcome WHERE customer_id < 'past-0100'")
        outcome = renewed.train()
        renewed.until(lambda: len(renewed.documents("party_role_risk_assessment")) == 2 * LIVE)
        for id, before in first.items():
            after = next(d for d in renewed.assessments(id) if d["id"] != before["id"])
            assert after["aiModel"]["id"] == outcome.model_id != before["aiModel"]["id"]
            assert after["previousAssessment"]["id"] == before["id"] and "probabilityChange" not in after
        assert renewed.documents("query_product_recommendation") == []


def test_a_restart_in_the_middle_of_a_batch_goes_on_without_doubles(
    world: Callable[..., Any], served: str, copied: Callable[[str], str]
) -> None:
    url = copied(served)
    with world([], database_url=url, assessment_batch=3, worker=False) as interrupted:
        interrupted.app.sql(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (SELECT count(*) FROM"
            " party_role_risk_assessment) > 13 THEN RAISE EXCEPTION 'power cut'; END IF; RETURN NEW; END $$"
        )
        interrupted.app.sql(
            "CREATE TRIGGER cut AFTER INSERT ON party_role_risk_assessment FOR EACH ROW EXECUTE FUNCTION fail()"
        )
        from churn_prediction import score

        with pytest.raises(Exception, match="power cut"):
            interrupted.app.loop.run(score.due(interrupted.app.ctx))
        assert len(interrupted.documents("party_role_risk_assessment")) == 12
        interrupted.app.sql("DROP TRIGGER cut ON party_role_risk_assessment")
    with world([], database_url=url, assessment_batch=3) as restarted:
        restarted.until(lambda: all_assessed(restarted))
        found = [d["partyRole"]["id"] for d in restarted.documents("party_role_risk_assessment")]
        assert len(found) == len(set(found)) == LIVE


def test_the_business_numbers_are_measured(scoring: Any) -> None:
    from churn_prediction import measure

    scoring.app.loop.run(measure.due(scoring.app.ctx))
    shown = {
        line.split(" ")[0]: float(line.split(" ")[1])
        for line in scoring.app.get("/metrics").text.splitlines()
        if line.startswith("churn_")
    }
    assert shown['churn_assessments_total{cause="model"}'] >= LIVE
    assert shown["churn_assessed_customers"] >= LIVE
    assert shown["churn_labelled_customers"] == 600.0
    assert 0.0 < shown["churn_probability_mean"] < 1.0
    assert shown["churn_model_age_seconds"] > 0.0
    assert 0.5 < shown["churn_model_auc"] < 1.0
    assert 0.0 <= shown["churn_model_calibration_error"] < 0.5
    bands = [value for name, value in shown.items() if name.startswith("churn_customers_at_risk{")]
    assert len(bands) == 4 and sum(bands) == shown["churn_assessed_customers"]
