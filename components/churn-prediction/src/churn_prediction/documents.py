"""Assessments and recommendations as TMF696 and TMF680 documents. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from churn_prediction.artefact import Active
from churn_prediction.domain.intervals import LEVEL
from churn_prediction.domain.retention import Recommendation
from churn_prediction.domain.risk import Assessment, Reason
from churn_prediction.ledger import Known
from churn_prediction.offers import Terms
from tmfkit.types import Document

SUCCEEDED, FAILED = "Succeeded", "Failed"


@dataclass(frozen=True)
class Previous:
    """The assessment before: its id, and what it found."""

    id: str
    assessment: Assessment


@dataclass(frozen=True)
class Judgement:
    """Everything found out about one customer at one instant."""

    customer: Known
    assessment: Assessment
    recommendation: Recommendation
    previous: Previous | None
    at: datetime

    @property
    def rise(self) -> float | None:
        """Probability now less the probability before; None where the same model has not judged before."""
        change = self.assessment.change
        return None if change is None or change.not_comparable else change.probability_change

    @property
    def unchanged(self) -> bool:
        """The same model has seen the same values before."""
        before = self.previous.assessment if self.previous else None
        now = self.assessment
        return before is not None and (before.model_version, before.values) == (now.model_version, now.values)


def rfc3339(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _period(at: datetime, days: int) -> dict[str, str]:
    return {"startDateTime": rfc3339(at), "endDateTime": rfc3339(at + timedelta(days=days))}


def _reasons(reasons: Iterable[Reason]) -> list[dict[str, Any]]:
    return [
        {"driver": r.feature, "group": r.group, "contribution": round(r.contribution, 6), "text": r.text}
        for r in reasons
    ]


def _party(customer: Known) -> Document:
    party = {"id": customer.id, "href": customer.href, "name": customer.name, "role": "customer"}
    return {k: v for k, v in party.items() if v is not None} | {"@referredType": "Customer"}


def _money(amount: float, currency: str) -> dict[str, Any]:
    return {"unit": currency, "value": round(amount, 2)}


def assessment(judgement: Judgement, active: Active, terms: Terms) -> Document:
    """PartyRoleRiskAssessment of our type ChurnRiskAssessment, without its id. Scores are probabilities, 0..1."""
    found, known = judgement.assessment, judgement.customer
    probability = round(found.probability, 6)
    doc: Document = {
        "@type": "ChurnRiskAssessment",
        "@baseType": "PartyRoleRiskAssessment",
        "partyRole": _party(known),
        "status": SUCCEEDED,
        "riskAssessmentResult": {
            "overallScore": probability,
            "score": [{"riskName": "ChurnRisk", "score": probability}],
            "validFor": _period(judgement.at, active.horizon_days),
        },
        "churnProbability": probability,
        "interval": {"low": round(found.low, 6), "high": round(found.high, 6), "level": LEVEL},
        "band": found.band.value,
        "horizonDays": active.horizon_days,
        "coverage": round(1.0 - len(found.unknown) / len(found.values), 4),
        "aiModel": {**terms.reference("AiModel", active.model_id), "version": active.version},
        "reasons": _reasons(found.reasons),
        "evidence": list(known.evidence),
        "assessedAt": rfc3339(judgement.at),
    }
    best = judgement.recommendation.best
    if best is not None:
        doc["expectedProfit"] = _money(best.expected_profit, judgement.recommendation.assumptions.currency)
    if judgement.previous is not None:
        doc["previousAssessment"] = terms.reference("PartyRoleRiskAssessment", judgement.previous.id)
    if judgement.rise is not None:
        doc["probabilityChange"] = round(judgement.rise, 6)
    return doc


def recommendation(judgement: Judgement, assessment_id: str, terms: Terms) -> Document:
    """QueryProductRecommendation of our type RetentionRecommendation, done, without its id; no item where no offer is
    worth making. Every number the choice was made of is in `considered` and `assumptions`."""
    made = judgement.recommendation
    best = made.best
    doc: Document = {
        "@type": "RetentionRecommendation",
        "@baseType": "QueryProductRecommendation",
        "state": "done",
        "stateReason": made.why,
        "recommendationType": "retention",
        "instantSyncRecommendation": True,
        "relatedParty": _party(judgement.customer),
        "recommendationItem": [],
        "validFor": _period(judgement.at, terms.offer_valid_days),
        "riskAssessment": terms.reference("PartyRoleRiskAssessment", assessment_id),
        "reasons": _reasons(r for r in judgement.assessment.reasons if r.contribution > 0.0),
        "causalStatus": made.assumptions.causal_status,
        "assumptions": made.assumptions.document(),
        "considered": [v.document() for v in made.considered],
    }
    if best is not None:
        offering = {"id": best.offer.id, "name": best.offer.name, "@referredType": "ProductOffering"}
        item = {
            "id": "1",
            "priority": 1,
            "product": {"@type": "Product", "name": best.offer.name, "productOffering": offering},
            "productOffering": offering,
        }
        doc["recommendationItem"] = [item]
        doc["expectedProfit"] = _money(best.expected_profit, made.assumptions.currency)
    return doc
