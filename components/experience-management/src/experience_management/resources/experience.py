"""Our own resources, which no TM Forum API has: index specification, experience score and survey response."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from experience_management.specification import judged
from tmfkit.errors import BadRequest
from tmfkit.resource import READ, Lifecycle, Resource
from tmfkit.types import (
    CreateOnly,
    Document,
    Entity,
    EntityRef,
    Instant,
    RelatedPartyOrPartyRole,
    TimePeriod,
    TmfModel,
    VersionedRef,
)


class SubjectType(StrEnum):
    """Who or what has the experience. A thing never gets a human opinion score."""

    PERSON = "person"
    THING = "thing"


class IndexContributor(TmfModel):
    """One KQI of an index: at `bad` it scores 0, at `good` 100, linear in between; `good` may be the lower value.

    `weight` is relative to the other contributors' weights; `unit` is that of good and bad. `kpi` names the measured
    KPI that the KQI is read from, where it is none of those known to the component.
    """

    kqi: Annotated[str, Field(min_length=1)]
    good: float
    bad: float
    weight: Annotated[float, Field(gt=0)]
    unit: Annotated[str, Field(min_length=1)]
    kpi: Annotated[str | None, Field(min_length=1, examples=["Voice.CallSetupTime"])] = None

    @model_validator(mode="after")
    def _has_a_direction(self) -> Self:
        if self.good == self.bad:
            raise ValueError("good and bad must differ")
        return self


class IndexWeights(TmfModel):
    """How the sessions of a window make one component: mean * their mean score + lowDecile * their 10th percentile.

    `expertLabels` is how many survey labels the contributors' weights are worth when they are learned from data.
    """

    mean: Annotated[float, Field(ge=0, le=1)]
    lowDecile: Annotated[float, Field(ge=0, le=1)]
    expertLabels: Annotated[int | None, Field(ge=0)] = None

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if abs(self.mean + self.lowDecile - 1) > 1e-9:
            raise ValueError("mean and lowDecile must sum to 1")
        return self


def _distinct(contributors: list[IndexContributor]) -> list[IndexContributor]:
    names = [c.kqi for c in contributors]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ValueError(f"a KQI contributes once: {', '.join(twice)}")
    return contributors


class SpecificationStatus(StrEnum):
    """Life cycle of a specification, in the words of TM Forum's catalogues."""

    IN_STUDY = "In study"
    IN_DESIGN = "In design"
    IN_TEST = "In test"
    ACTIVE = "Active"
    REJECTED = "Rejected"
    RETIRED = "Retired"
    OBSOLETE = "Obsolete"


class ExperienceIndexSpecification(Entity):
    """What an experience index is made of. Data, not code: a change of meaning is a new version.

    Legal moves of `lifecycleStatus`: In study, In design and In test forward or back by one, rejected from any of
    them, Active from design or test, then Retired and Obsolete.
    """

    name: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(min_length=1), CreateOnly()]
    subjectType: Annotated[SubjectType, CreateOnly()]
    contributors: Annotated[
        list[IndexContributor],
        Field(
            min_length=1,
            examples=[[{"kqi": "setup_time_s", "good": 4.5, "bad": 12.0, "weight": 1.0, "unit": "s"}]],
        ),
        AfterValidator(_distinct),
    ]
    weights: Annotated[IndexWeights | None, Field(examples=[{"mean": 0.7, "lowDecile": 0.3}])] = None
    minCoverage: Annotated[float | None, Field(ge=0, le=1)] = None
    description: str | None = None
    serviceSpecification: VersionedRef | None = None
    lifecycleStatus: SpecificationStatus | None = None
    validFor: TimePeriod | None = None
    lastUpdate: Instant | None = None


class ExperienceBand(StrEnum):
    """The score in a word; notEnoughData is a verdict too, and never a zero."""

    EXCELLENT = "excellent"
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"
    BAD = "bad"
    NOT_ENOUGH_DATA = "notEnoughData"


Score = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]


class ExperienceSubject(EntityRef):
    """The person (customer or other party role) or the thing (resource) that has the experience."""

    subjectType: SubjectType
    role: str | None = None


class ScoreInterval(TmfModel):
    """Confidence interval of the score at `level`, for instance 0.95."""

    low: Score
    high: Score
    level: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("low must not exceed high")
        return self


class ScoreContribution(TmfModel):
    """What one KQI did to the score: weight is normalised over the KQIs seen, loss is in points below 100.

    The losses of all contributions sum to 100 minus the score.
    """

    kqi: str
    score: Score
    weight: Share
    loss: Score
    value: float | None = None
    unit: str | None = None
    sampleCount: Annotated[int | None, Field(ge=0)] = None


class CauseRef(EntityRef):
    """A service problem or service level violation that explains the score."""

    at_referredType: Annotated[str, Field(alias="@referredType")]


def _of_a_person(opinion: float | None, info: ValidationInfo) -> float | None:
    subject = info.data.get("subject")
    if opinion is not None and subject is not None and subject.subjectType is SubjectType.THING:
        raise ValueError("a thing has no opinion")
    return opinion


def _of_the_score(band: ExperienceBand, info: ValidationInfo) -> ExperienceBand:
    if "score" in info.data and (info.data["score"] is None) is not (band is ExperienceBand.NOT_ENOUGH_DATA):
        raise ValueError("notEnoughData is the band of an absent score, and only of that")
    return band


class ExperienceScore(Entity):
    """How one service felt to one subject over a window, with the evidence.

    score 0..100; coverage = share (0..1) of the index's weight that was observed; n = sessions behind it;
    opinionScore = mean opinion 1..5 (ITU-T P.800), for persons only; relatedParty = whom the experience concerns
    beside the subject, above all the owner of a thing.
    """

    subject: ExperienceSubject
    relatedParty: list[RelatedPartyOrPartyRole] | None = None
    service: EntityRef | None = None
    indexSpecification: VersionedRef
    score: Score | None = None
    band: Annotated[ExperienceBand, AfterValidator(_of_the_score)]
    coverage: Share
    n: Annotated[int, Field(ge=0)]
    interval: Annotated[ScoreInterval | None, Field(examples=[{"low": 41.0, "high": 55.5, "level": 0.95}])] = None
    contributions: list[ScoreContribution] | None = None
    observedWindow: TimePeriod
    previousScore: Score | None = None
    opinionScore: Annotated[float | None, Field(ge=1, le=5), AfterValidator(_of_a_person)] = None
    cause: list[CauseRef] | None = None
    computedAt: Instant


class SurveyMetric(StrEnum):
    """Net promoter (0..10), customer satisfaction (1..5) or customer effort (1..7) question."""

    NPS = "NPS"
    CSAT = "CSAT"
    CES = "CES"


RATING_SCALE = {SurveyMetric.NPS: (0, 10), SurveyMetric.CSAT: (1, 5), SurveyMetric.CES: (1, 7)}


def _on_the_scale(rating: int, info: ValidationInfo) -> int:
    metric = info.data.get("metric")
    if metric is not None:
        low, high = RATING_SCALE[metric]
        if not low <= rating <= high:
            raise ValueError(f"{metric} is rated from {low} to {high}")
    return rating


class SurveyResponse(Entity):
    """One answer of one person to one survey question."""

    respondent: EntityRef
    survey: Annotated[str, Field(min_length=1)]
    question: str | None = None
    metric: SurveyMetric
    rating: Annotated[int, Field(examples=[5]), AfterValidator(_on_the_scale)]
    comment: str | None = None
    channel: EntityRef | None = None
    service: EntityRef | None = None
    partyInteraction: EntityRef | None = None
    respondedAt: Instant


THINGS = frozenset({"Resource", "PhysicalResource", "LogicalResource", "Device", "Thing"})


def answered_by_a_person(old: Document | None, new: Document) -> Document:
    """A thing never gets an opinion. Errors: BadRequest (400)."""
    if new["respondent"].get("@referredType") in THINGS:
        raise BadRequest("a thing has no opinion", attribute="respondent")
    return new


class SurveyInterval(TmfModel):
    """Confidence interval of a survey's value at `level`, in the unit of the value."""

    low: float
    high: float
    level: float


class SurveyResult(TmfModel):
    """What the answers to one question of a survey come to.

    value: NPS -100..100; CSAT the share 0..1 of 4 and 5; CES the mean 1..7. Absent, with its interval, from too few
    answers. n: answers on the scale; refused: answers off it. topBox: of CES, the share 0..1 of 5 and more.
    """

    surveyName: str
    metric: SurveyMetric
    n: int
    refused: int = 0
    value: float | None = None
    interval: SurveyInterval | None = None
    method: str | None = None
    topBox: float | None = None


EXPERIENCE_INDEX_SPECIFICATION = Resource(
    ExperienceIndexSpecification,
    lifecycle=Lifecycle(
        "lifecycleStatus",
        SpecificationStatus.IN_DESIGN,
        {
            "In study": ("In design", "Rejected"),
            "In design": ("In study", "In test", "Active", "Rejected"),
            "In test": ("In design", "Active", "Rejected"),
            "Active": ("Retired",),
            "Retired": ("Obsolete",),
        },
        event="StatusChange",
    ),
    prepare=judged,
    updated="lastUpdate",
)
EXPERIENCE_SCORE = Resource(ExperienceScore, operations=READ, index=("score", "computedAt"))
SURVEY_RESPONSE = Resource(
    SurveyResponse,
    operations=frozenset({"list", "retrieve", "create", "delete"}),
    index=("respondedAt",),
    prepare=answered_by_a_person,
)
