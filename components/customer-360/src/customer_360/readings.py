"""What customer 360 reads of other components, as far as it needs it: experience scores, service problems, risk
assessments, recommendations and products. Readers are tolerant: what they do not need they do not judge."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tmfkit.types import Instant, Money

OWNERS = frozenset({"owner", "customer"})
AFFECTED = "affectedCustomer"
DONE = "done"


class Reading(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Ref(Reading):
    id: str
    href: str | None = None
    name: str | None = None
    version: str | None = None
    referredType: str | None = Field(None, alias="@referredType")


class InRole(Ref):
    """Party in a role: v4 writes it flat, v5 as an object inside."""

    role: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("partyOrPartyRole"), dict):
            return {**value["partyOrPartyRole"], "role": value.get("role")}
        return value


class Subject(Ref):
    subjectType: str | None = None


class Interval(Reading):
    low: float | None = None
    high: float | None = None


class Period(Reading):
    startDateTime: Instant | None = None
    endDateTime: Instant | None = None


class ExperienceScore(Reading):
    id: str
    href: str | None = None
    subject: Subject
    relatedParty: list[InRole] = []
    service: Ref | None = None
    indexSpecification: Ref | None = None
    score: float | None = None
    interval: Interval | None = None
    band: str | None = None
    coverage: float | None = None
    n: int | None = None
    previousScore: float | None = None
    cause: list[Ref] = []
    computedAt: Instant | None = None

    @property
    def customers(self) -> list[str]:
        """The person whose experience it is, and whom it concerns beside: who owns the thing, who is the customer."""
        people = [self.subject.id] if self.subject.subjectType == "person" else []
        return people + [one.id for one in self.relatedParty if (one.role or "").lower() in OWNERS]


class ServiceProblem(Reading):
    id: str
    href: str | None = None
    category: str | None = None
    description: str | None = None
    originatingSystem: str | None = None
    priority: int | None = None
    status: str = "acknowledged"
    creationDate: Instant | None = None
    statusChangeDate: Instant | None = None
    lastUpdate: Instant | None = None
    relatedParty: list[InRole] = []

    @property
    def customers(self) -> list[str]:
        return sorted({one.id for one in self.relatedParty if one.role == AFFECTED})


class ChurnReason(Reading):
    driver: str
    group: str | None = None
    contribution: float | None = None
    text: str | None = None


class RiskAssessment(Reading):
    """TMF696 partyRoleRiskAssessment, with the extension of churn prediction where it is one."""

    id: str
    href: str | None = None
    partyRole: Ref
    churnProbability: float | None = None
    interval: Interval | None = None
    horizonDays: int | None = None
    reasons: list[ChurnReason] = []
    assessedAt: Instant | None = None


class Item(Reading):
    product: dict[str, Any] | None = None
    productOffering: Ref | None = None

    @property
    def name(self) -> str | None:
        offering = self.productOffering
        told = (offering.name or offering.id) if offering else None
        return told or (self.product or {}).get("name") or (self.product or {}).get("id")


class Recommendation(Reading):
    """TMF680 queryProductRecommendation, with the extension of churn prediction where it is one."""

    id: str
    href: str | None = None
    name: str | None = None
    description: str | None = None
    recommendationType: str | None = None
    state: str | None = None
    validFor: Period | None = None
    relatedParty: InRole | None = None
    recommendationItem: list[Item] = []
    riskAssessment: Ref | None = None
    expectedProfit: Money | None = None


class Product(Reading):
    """TMF637 product, of v5."""

    id: str
    href: str | None = None
    name: str | None = None
    description: str | None = None
    status: str | None = None
    productOffering: Ref | None = None
    relatedParty: list[InRole] = []
