"""Assessments that no model is there for: kept, and said to be so, never guessed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from churn_prediction.main import component
from tmfkit.testing import Running, assert_tmf_error, running

Document = dict[str, Any]
BASE = "/churn-prediction/tmf-api/riskManagement/v4"
OFFERING = {"id": "fibre-1", "@referredType": "ProductOffering"}
PARTY = {"id": "42", "@referredType": "Customer"}
ASKED: list[tuple[str, Document, str]] = [
    ("productOfferingRiskAssessment", {"productOffering": OFFERING}, "a product offering"),
    (
        "partyRoleProductOfferingRiskAssessment",
        {"partyRole": PARTY, "productOffering": OFFERING},
        "a product offering in the hands of a party role",
    ),
    ("shoppingCartRiskAssessment", {"shoppingCart": {"id": "cart-1"}}, "a shopping cart"),
    ("productOrderRiskAssessment", {"productOrder": {"id": "order-1"}}, "a product order"),
]


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    with running(component) as opened:
        yield opened


@pytest.mark.parametrize(("name", "sent", "subject"), ASKED)
def test_without_a_model_there_is_a_reason_and_no_score(app: Running, name: str, sent: Document, subject: str) -> None:
    invented = {"status": "Succeeded", "riskAssessmentResult": {"overallScore": 7.0}}
    place = {"id": "a1", "role": "home", "@referredType": "GeographicAddress"}
    answer = app.post(f"{BASE}/{name}", sent | invented | {"place": place})
    assert answer.status_code == 201, answer.text
    doc = answer.json()
    assert doc["status"] == "Failed"
    assert doc["statusReason"] == f"not enough data: no model in service assesses the risk of {subject}"
    assert "riskAssessmentResult" not in doc
    assert doc["place"] == place and doc.items() >= sent.items()
    assert app.get(f"{BASE}/{name}?status=Failed").json() == [doc]


@pytest.mark.parametrize(("name", "sent", "subject"), ASKED)
def test_its_end_is_told_and_it_can_be_deleted_but_not_changed(
    app: Running, name: str, sent: Document, subject: str
) -> None:
    doc = app.post(f"{BASE}/{name}", sent).json()
    assert_tmf_error(app.patch(doc["href"], {"status": "Succeeded"}), 405)
    assert app.delete(doc["href"]).status_code == 204
    rows = app.sql("SELECT resource, kind FROM outbox WHERE resource_id = $1 ORDER BY seq", doc["id"])
    assert [(r["resource"], r["kind"]) for r in rows] == [
        (name[0].upper() + name[1:], "Create"),
        (name[0].upper() + name[1:], "Delete"),
    ]


@pytest.mark.parametrize(("name", "sent", "subject"), ASKED)
def test_what_is_to_be_assessed_has_to_be_said(app: Running, name: str, sent: Document, subject: str) -> None:
    for missing in sent:
        rest = {k: v for k, v in sent.items() if k != missing}
        assert assert_tmf_error(app.post(f"{BASE}/{name}", rest), 400)["attribute"] == missing
