"""The declared resources of churn prediction: what they take and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from churn_prediction import resources
from tmfkit.query import names_of
from tmfkit.resource import Resource
from tmfkit.types import Entity

Document = dict[str, Any]
KEY = {"id": "7", "href": "https://cem.example/7"}
OWNER = {"id": "op", "role": "owner", "@referredType": "Organization"}

MODEL: Document = {
    "state": "active",
    "aiModelSpecification": {"id": "churn-2026-03"},
    "software": [{"id": "sklearn", "softwareVersion": "1.9"}],
}
CONTRACT: Document = {
    "state": "agreed",
    "aiContractSpecification": {"id": "cs1"},
    "aiModel": {"id": "m1"},
    "relatedParty": [OWNER],
}
BREACH: Document = {
    "aiContract": {"id": "c1"},
    "violation": {"actualValue": "0.79", "operator": ">=", "referenceValue": "0.84", "consequence": "retrain"},
}
ALARM: Document = {
    "state": "raised",
    "alarmType": "qualityOfServiceAlarm",
    "perceivedSeverity": "MINOR",
    "probableCause": "thresholdCrossed",
    "alarmedObject": {"id": "m1"},
    "sourceSystemId": "drift-watch",
    "alarmRaisedTime": "2026-03-01T10:00:00Z",
}
OFFERING: Document = {"id": "fibre", "@referredType": "ProductOffering"}
ASSESSMENT: Document = {"partyRole": {"id": "42", "@referredType": "Customer"}}
MINIMAL: list[tuple[type[Entity], Document]] = [
    (resources.AiModel, MODEL),
    (resources.AiModelSpecification, {"name": "churn"}),
    (resources.AiContract, CONTRACT),
    (resources.AiContractSpecification, {"name": "accuracy"}),
    (resources.AiContractViolation, BREACH),
    (resources.Alarm, ALARM),
    (resources.Rule, {"name": "auc floor"}),
    (resources.Topic, {}),
    (resources.Event, {}),
    (resources.Monitor, {}),
    (resources.PartyRoleRiskAssessment, ASSESSMENT),
    (resources.ProductOfferingRiskAssessment, {"productOffering": OFFERING}),
    (resources.PartyRoleProductOfferingRiskAssessment, {**ASSESSMENT, "productOffering": OFFERING}),
    (resources.ShoppingCartRiskAssessment, {"shoppingCart": {"id": "cart-1"}}),
    (resources.ProductOrderRiskAssessment, {"productOrder": {"id": "order-1"}}),
    (resources.QueryProductRecommendation, {}),
]
FULL: list[tuple[type[Entity], Document]] = [
    (
        resources.AiModel,
        {
            **MODEL,
            "name": "churn",
            "serviceDate": "2026-03-01",
            "startDate": "2026-03-01T00:00:00Z",
            "hasStarted": True,
            "trainingData": {"id": "ts1"},
            "feature": [{"name": "reasons", "isEnabled": True, "featureCharacteristic": [{"name": "top", "value": 3}]}],
            "place": [{"id": "dc1", "role": "data centre", "@referredType": "GeographicSite"}],
            "relatedEntity": [{"id": "e1", "role": "input"}],
            "relatedParty": [OWNER],
            "serviceOrderItem": [{"serviceOrderId": "o1", "itemAction": "noChange"}],
            "serviceRelationship": [{"relationshipType": "reliesOn", "service": {"id": "s1", "state": "active"}}],
            "supportingService": [{"name": "features", "supportingService": [{"id": "s2"}]}],
        },
    ),
    (
        resources.AiModelSpecification,
        {
            "name": "churn",
            "version": "2026-03",
            "lifecycleStatus": "Active",
            "modelDataSheet": {"auc": 0.848, "folds": 5},
            "modelTrainingData": {"rows": 7043},
            "specCharacteristic": [
                {"name": "threshold", "characteristicValueSpecification": [{"valueFrom": 0, "valueTo": 1}]}
            ],
            "featureSpecification": [{"featureSpecCharacteristic": [{"name": "tenure_months", "minCardinality": 1}]}],
            "entitySpecRelationship": [{"relationshipType": "replaces", "id": "churn-2026-02"}],
            "targetEntitySchema": {"@type": "AiModel", "@schemaLocation": "https://cem.example/AiModel.json"},
        },
    ),
    (
        resources.AiContract,
        {**CONTRACT, "approved": True, "rule": [{"name": "auc"}], "template": {"id": "t1", "description": "standard"}},
    ),
    (resources.AiContractViolation, {**BREACH, "date": "2026-03-01T00:00:00Z", "relatedParty": [OWNER]}),
    (
        resources.Alarm,
        {
            **ALARM,
            "comment": [{"userId": "ada", "time": "2026-03-01T11:00:00Z", "comment": "retrain"}],
            "correlatedAlarm": [{"id": "a2"}],
            "crossedThresholdInformation": {"observedValue": "0.79", "threshold": {"id": "t1"}},
            "affectedService": [{"id": "s1"}],
        },
    ),
    (
        resources.Monitor,
        {
            "state": "completed",
            "request": {"method": "POST", "body": "{}", "header": [{"name": "locale", "value": "en"}]},
            "response": {"statusCode": "201", "body": "{}", "header": []},
        },
    ),
    (
        resources.ChurnRiskAssessment,
        {
            "@type": "ChurnRiskAssessment",
            "@baseType": "PartyRoleRiskAssessment",
            **ASSESSMENT,
            "status": "Succeeded",
            "characteristic": [{"name": "tenure_months", "value": 4}],
            "riskAssessmentResult": {
                "overallScore": 0.31,
                "score": [{"riskName": "ChurnRisk", "score": 0.31}, {"riskName": "FraudRisk", "score": 0.0}],
                "validFor": {"endDateTime": "2026-04-01T00:00:00Z"},
            },
            "churnProbability": 0.31,
            "interval": {"low": 0.24, "high": 0.39, "level": 0.95},
            "horizonDays": 30,
            "aiModel": {"id": "m1", "version": "2026-03"},
            "reasons": [{"driver": "stallRatio", "group": "network", "contribution": 0.7, "text": "video stalls"}],
            "evidence": [{"id": "x1", "@referredType": "ExperienceScore"}],
            "expectedProfit": {"unit": "EUR", "value": 12.4},
            "assessedAt": "2026-03-01T11:00:00Z",
        },
    ),
    (
        resources.RetentionRecommendation,
        {
            "@type": "RetentionRecommendation",
            "state": "done",
            "recommendationType": "retention",
            "instantSyncRecommendation": True,
            "relatedParty": {"id": "42", "role": "customer", "@referredType": "Customer"},
            "recommendationItem": [
                {
                    "id": "1",
                    "priority": 1,
                    "product": {
                        "productOffering": {"id": "fibre-boost"},
                        "productPrice": [
                            {"priceType": "recurring", "price": {"taxIncludedAmount": {"unit": "EUR", "value": 9.0}}}
                        ],
                        "productRelationship": [{"relationshipType": "bundles", "product": {"id": "pr2"}}],
                        "status": "pendingActive",
                    },
                }
            ],
            "riskAssessment": {"id": "ra1"},
            "expectedProfit": {"unit": "EUR", "value": 12.4},
            "reasons": [{"driver": "stallRatio", "contribution": 0.7}],
        },
    ),
]


def validated(model: type[Entity], body: Document) -> Entity:
    return model.model_validate_json(json.dumps({**KEY, **body}), strict=True)


def refused(model: type[Entity], body: Document) -> list[tuple[int | str, ...]]:
    """Where the body is wrong."""
    with pytest.raises(ValidationError) as caught:
        validated(model, body)
    return [e["loc"] for e in caught.value.errors()]


@pytest.mark.parametrize(("model", "body"), MINIMAL + FULL)
def test_a_body_with_what_is_mandatory_and_more_is_taken_and_given_back(model: type[Entity], body: Document) -> None:
    assert validated(model, body).model_dump(mode="json", exclude_unset=True) == {**KEY, **body}


@pytest.mark.parametrize(("model", "body", "name"), [(m, b, n) for m, b in MINIMAL for n in b])
def test_a_missing_mandatory_attribute_is_named(model: type[Entity], body: Document, name: str) -> None:
    assert refused(model, {k: v for k, v in body.items() if k != name}) == [(name,)]


@pytest.mark.parametrize(
    ("model", "body", "where"),
    [
        (resources.AiModel, {**MODEL, "state": "learning"}, ("state",)),
        (resources.AiContractViolation, {**BREACH, "violation": {"actualValue": 0.79}}, ("violation", "actualValue")),
        (
            resources.PartyRoleRiskAssessment,
            {**ASSESSMENT, "riskAssessmentResult": {"score": [{"riskName": "AlienRisk"}]}},
            ("riskAssessmentResult", "score", 0, "riskName"),
        ),
        (resources.PartyRoleRiskAssessment, {"partyRole": {"id": "42"}}, ("partyRole", "@referredType")),
        (resources.Alarm, {**ALARM, "state": "asleep"}, ("state",)),
        (resources.Alarm, {**ALARM, "alarmType": "dejaVu"}, ("alarmType",)),
        (resources.Monitor, {"request": {"body": "{}"}}, ("request", "header")),
        (resources.ChurnRiskAssessment, {**ASSESSMENT, "churnProbability": 1.2}, ("churnProbability",)),
        (
            resources.ChurnRiskAssessment,
            {**ASSESSMENT, "evidence": [{"id": "x1"}]},
            ("evidence", 0, "@referredType"),
        ),
        (resources.QueryProductRecommendation, {"state": "thinking"}, ("state",)),
        (
            resources.QueryProductRecommendation,
            {"recommendationItem": [{"priority": 1}]},
            ("recommendationItem", 0, "product"),
        ),
    ],
)
def test_a_value_outside_the_contract_is_refused_where_it_stands(
    model: type[Entity], body: Document, where: tuple[int | str, ...]
) -> None:
    assert where in refused(model, body)


@pytest.mark.parametrize(
    ("resource", "dotted"),
    [
        (resources.AI_MODEL, "supportingService.supportingService.name"),
        (resources.AI_MODEL, "serviceRelationship.service.state"),
        (resources.AI_CONTRACT, "rule.name"),
        (resources.AI_CONTRACT, "template.description"),
        (resources.PARTY_ROLE_RISK_ASSESSMENT, "churnProbability"),
        (resources.PARTY_ROLE_RISK_ASSESSMENT, "reasons.driver"),
        (resources.QUERY_PRODUCT_RECOMMENDATION, "expectedProfit.value"),
        (resources.QUERY_PRODUCT_RECOMMENDATION, "recommendationItem.product.productRelationship.product.name"),
    ],
)
def test_nested_and_extension_attributes_can_be_asked_for(resource: Resource, dotted: str) -> None:
    assert names_of(resource.model, *resource.extensions)(dotted) is not None


def test_a_model_can_be_put_to_rest_and_back_but_never_comes_back_from_the_dead() -> None:
    lifecycle = resources.AI_MODEL.lifecycle
    assert lifecycle is not None and lifecycle.moves is not None
    assert "inactive" in lifecycle.moves["active"] and "active" in lifecycle.moves["inactive"]
    assert "terminated" not in lifecycle.moves
    assert set(lifecycle.moves) | {"terminated"} == set(resources.ServiceState)
    assert all("terminated" in after for after in lifecycle.moves.values())


@pytest.mark.parametrize(
    ("resource", "kinds"),
    [
        (resources.AI_MODEL, {"Create", "AttributeValueChange", "StateChange", "Delete"}),
        (resources.AI_MODEL_SPECIFICATION, {"Create", "AttributeValueChange", "Delete"}),
        (resources.AI_CONTRACT_VIOLATION, {"Create", "AttributeValueChange", "Delete"}),
        (resources.ALARM, {"Create", "AttributeValueChange", "StateChange", "Delete"}),
        (resources.RULE, {"Create", "AttributeValueChange", "StateChange", "Delete"}),
        (resources.MONITOR, {"Create", "AttributeValueChange", "StateChange", "Delete"}),
        (resources.TOPIC, {"Create", "Change", "Delete"}),
        (resources.EVENT, {"Create"}),
        (resources.PARTY_ROLE_RISK_ASSESSMENT, {"Create", "StatusChange", "Delete"}),
        (resources.SHOPPING_CART_RISK_ASSESSMENT, {"Create", "StatusChange", "Delete"}),
        (resources.QUERY_PRODUCT_RECOMMENDATION, {"Create", "StateChange"}),
    ],
)
def test_only_events_that_the_published_files_know_are_raised(resource: Resource, kinds: set[str]) -> None:
    assert resource.event_kinds == kinds
