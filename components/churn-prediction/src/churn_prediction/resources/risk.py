"""TMF696 v4: assessments of risks, and our declared extension for the risk that a customer leaves."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from churn_prediction.resources.party import TypedParty
from tmfkit.resource import TASK, Lifecycle, Resource
from tmfkit.types import (
    CharacteristicV4,
    Entity,
    EntityRef,
    Instant,
    Money,
    ReadOnly,
    RelatedPlaceV4,
    TimePeriod,
    TmfModel,
    VersionedRef,
)


class RiskType(StrEnum):
    """The risks that the standard knows, and ours."""

    FRAUD = "FraudRisk"
    BAD_PAYMENT = "BadPaymentRisk"
    CREDIT_GAMING = "CreditGamingRisk"
    ID_CONFIDENCE = "IDConfidenceRisk"
    PAYMENT_METHOD = "PaymentMethodRisk"
    CHURN = "ChurnRisk"


class RiskScore(TmfModel):
    riskName: RiskType | None = None
    score: float | None = None


class Validity(TimePeriod):
    """How long a result holds; 4.0.1 lets it have an identity."""

    id: str | None = None
    href: str | None = None


class RiskAssessmentResult(TmfModel):
    overallScore: float | None = None
    score: list[RiskScore] | None = None
    validFor: Validity | None = None


class RiskAssessment(Entity):
    """What all assessments have in common. `status` is free text: any move is legal.

    Version 4.0.0 forgot these attributes in some of the classes; its base class, its samples and 4.0.1 show them, so
    they are meant. status (Succeeded, Failed) and riskAssessmentResult are the output of the task; statusReason, ours,
    says why it failed. Without enough data there is a reason and no result: a score is never made up.
    """

    status: Annotated[str | None, ReadOnly()] = None
    statusReason: Annotated[str | None, ReadOnly()] = None
    characteristic: list[CharacteristicV4] | None = None
    place: RelatedPlaceV4 | None = None
    riskAssessmentResult: Annotated[RiskAssessmentResult | None, ReadOnly()] = None


class PartyRoleRiskAssessment(RiskAssessment):
    """The risks that a party role brings."""

    partyRole: TypedParty


class ProductOfferingRiskAssessment(RiskAssessment):
    """The risks that a product offering brings, whoever takes it."""

    productOffering: EntityRef


class PartyRoleProductOfferingRiskAssessment(RiskAssessment):
    """The risks of a product offering in the hands of a party role."""

    partyRole: TypedParty
    productOffering: EntityRef


class ShoppingCartRiskAssessment(RiskAssessment):
    """The risks of what lies in a shopping cart."""

    shoppingCart: EntityRef


class ProductOrderRiskAssessment(RiskAssessment):
    """The risks of a product order."""

    productOrder: EntityRef


Probability = Annotated[float, Field(ge=0, le=1)]


class ProbabilityInterval(TmfModel):
    """Confidence interval of the probability at `level`, for instance 0.95."""

    low: Probability
    high: Probability
    level: Annotated[float, Field(gt=0, lt=1)]


class ChurnReason(TmfModel):
    """What drives the prediction, never a claim about what the customer thinks.

    contribution is in log-odds: positive raises the risk. group is the kind of remedy: price, network, service,
    contract, device.
    """

    driver: str
    group: str | None = None
    contribution: float
    text: str | None = None


class EvidenceRef(EntityRef):
    """An experience score, service problem or other resource that the assessment rests on."""

    at_referredType: Annotated[str, Field(alias="@referredType")]


class ChurnRiskAssessment(PartyRoleRiskAssessment):
    """Declared extension of PartyRoleRiskAssessment, told by @type: the risk that the customer leaves.

    churnProbability is the calibrated chance to leave within horizonDays, absent where there was not enough data;
    band says it in a word (low, medium, high, critical); coverage is the share (0..1) of the model's features that were
    known; expectedProfit is that of the best retention offer; probabilityChange is against previousAssessment, absent
    where that was another model's.
    """

    churnProbability: Probability | None = None
    interval: ProbabilityInterval | None = None
    band: str | None = None
    horizonDays: Annotated[int | None, Field(gt=0)] = None
    coverage: Annotated[float | None, Field(ge=0, le=1)] = None
    aiModel: VersionedRef | None = None
    reasons: list[ChurnReason] | None = None
    evidence: list[EvidenceRef] | None = None
    expectedProfit: Money | None = None
    assessedAt: Instant | None = None
    previousAssessment: EntityRef | None = None
    probabilityChange: Annotated[float | None, Field(ge=-1, le=1)] = None


_STATUS = Lifecycle("status", event="StatusChange")
_EVENTS = frozenset({"Create", "Delete", "StatusChange"})

PARTY_ROLE_RISK_ASSESSMENT = Resource(
    PartyRoleRiskAssessment,
    lifecycle=_STATUS,
    operations=TASK | {"delete"},
    index=("churnProbability", "assessedAt"),
    extensions=(ChurnRiskAssessment,),
    events=_EVENTS,
)
PRODUCT_OFFERING_RISK_ASSESSMENT, PARTY_ROLE_PRODUCT_OFFERING_RISK_ASSESSMENT = (
    Resource(model, lifecycle=_STATUS, operations=TASK | {"delete"}, events=_EVENTS)
    for model in (ProductOfferingRiskAssessment, PartyRoleProductOfferingRiskAssessment)
)
SHOPPING_CART_RISK_ASSESSMENT, PRODUCT_ORDER_RISK_ASSESSMENT = (
    Resource(model, lifecycle=_STATUS, operations=TASK | {"delete"}, events=_EVENTS)
    for model in (ShoppingCartRiskAssessment, ProductOrderRiskAssessment)
)
