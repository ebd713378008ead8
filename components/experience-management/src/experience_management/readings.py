"""What experience management reads of other components, as far as it needs it: service problems (TMF656 v4 and v5),
services (TMF638 v4 and v5) and KPI summaries. Readers are tolerant: what they do not need they do not judge."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from experience_management.domain.kqi import Window
from experience_management.resources import SubjectType
from tmfkit.types import Instant

log = logging.getLogger("experience_management")
ENDED = frozenset({"resolved", "closed", "cancelled", "rejected"})
USER = "user"
OWNERS = frozenset({"owner", "customer"})


class Reading(BaseModel):
    model_config = ConfigDict(extra="ignore")


R = TypeVar("R", bound=Reading)


def each(model: type[R], items: Iterable[Any]) -> list[R]:
    """The items that can be read; one that cannot is left out and logged, so that it does not stop the others."""
    found = []
    for item in items:
        try:
            found.append(model.model_validate(item))
        except ValidationError as e:
            log.warning("%s that cannot be read: %s", model.__name__, e.errors(include_url=False)[:3])
    return found


class Ref(Reading):
    id: str
    href: str | None = None
    name: str | None = None
    referredType: str | None = Field(None, alias="@referredType")


class InRole(Ref):
    """Party or entity in a role: v4 writes it flat, v5 as an object inside."""

    role: str | None = None

    def does(self, *roles: str) -> bool:
        return (self.role or "").lower() in roles

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for inner in ("partyOrPartyRole", "entity"):
                if isinstance(value.get(inner), dict):
                    return {**value[inner], "role": value.get("role")}
        return value


class Problem(Reading):
    """A TMF656 service problem. Not open are those that are resolved, closed, cancelled or rejected."""

    id: str
    href: str | None = None
    status: str = "acknowledged"
    creationDate: Instant | None = None
    statusChangeDate: Instant | None = None
    lastUpdate: Instant | None = None
    affectedService: list[Ref] = []
    rootCauseResource: list[Ref] = []
    slaViolation: list[Ref] = []

    @property
    def open(self) -> bool:
        return self.status not in ENDED


class Subject(Reading):
    """Who or what uses a service."""

    id: str
    subjectType: SubjectType
    href: str | None = None
    name: str | None = None
    role: str = USER
    referredType: str | None = None


class Service(Reading):
    """A TMF638 service instance: what kind it is, what it runs on, who or what uses it."""

    id: str
    href: str | None = None
    category: str | None = None
    serviceSpecification: Ref | None = None
    supportingResource: list[Ref] = []
    relatedParty: list[InRole] = []
    relatedEntity: list[InRole] = []

    @property
    def kind(self) -> str | None:
        """The service specification, which measurements and objectives name as their service."""
        return self.serviceSpecification.id if self.serviceSpecification else self.category

    @property
    def resources(self) -> list[str]:
        return [one.id for one in self.supportingResource]

    @property
    def users(self) -> list[Subject]:
        """Parties in the role of user are persons, other entities in it are things. Where nobody is named as user, the
        customer is."""
        people = [one for one in self.relatedParty if one.does(USER)]
        things = [one for one in self.relatedEntity if one.does(USER)]
        if not people and not things:
            people = self.owners
        told = [(SubjectType.PERSON, one) for one in people] + [(SubjectType.THING, one) for one in things]
        return [
            Subject(
                id=one.id,
                subjectType=subject_type,
                href=one.href,
                name=one.name,
                role=USER,
                referredType=one.referredType,
            )
            for subject_type, one in told
        ]

    @property
    def owners(self) -> list[InRole]:
        """Parties whom the service concerns without their using it: who owns the thing, who is the customer."""
        return [one for one in self.relatedParty if one.does(*OWNERS)]


class KpiSummary(Reading):
    """Statistics of one KPI of one service at one resource, as GET kpiSummary of service quality tells them."""

    resource: str
    service: str
    kpi: str
    unit: str = "1"
    n: int = 0
    mean: float | None = None
    p10: float | None = None
    p90: float | None = None
    last: float | None = None
    lastObservedAt: Instant | None = None
    baselineMean: float | None = None
    baselineSd: float | None = None

    def window(self, baseline: tuple[float, float | None] | None = None) -> Window | None:
        """For the workshop; `baseline` (mean, sd) counts instead of what is usual now. None where nothing is seen."""
        if self.lastObservedAt is None or self.mean is None:
            return None
        mean, sd = baseline or (self.baselineMean, self.baselineSd)
        return Window(self.kpi, self.unit, self.n, self.mean, self.p10, self.p90, self.lastObservedAt, mean, sd)
