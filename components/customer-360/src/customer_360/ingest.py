"""What is heard of other components becomes rows of the timeline, and the customers concerned are marked."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from customer_360 import readings
from tmfkit import Event, Transaction
from tmfkit.call import CALL

log = logging.getLogger("customer_360")
M = TypeVar("M", bound=BaseModel)
QUALITY, EXPERIENCE, CHURN = "serviceQuality", "experienceManagement", "churnPrediction"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that happened, as it stands on the timeline of each customer concerned.

    slot          what this is the state of: churnRisk, experienceScore/<service>, serviceProblem/<problem>, ...
    occurred_at   when it became so at its source; None where the source does not say
    version_at    of two versions of the same row the one with the later instant stays
    payload       what the view shows of it, in the shape of its slot
    """

    source: str
    slot: str
    reference: str
    href: str | None
    referred_type: str
    title: str
    payload: Mapping[str, Any]
    occurred_at: datetime | None
    version_at: datetime | None = None


async def on_score(tx: Transaction, event: Event) -> None:
    """An experience score: for the person whose experience it is, or the owner of the thing."""
    if event.kind == "Delete":
        return await withdraw(tx, EXPERIENCE, event)
    score = read(readings.ExperienceScore, event)
    if score is None:
        return None
    service = score.service.id if score.service else "all"
    payload = {
        "id": score.id,
        "href": score.href,
        "subject": plain(score.subject),
        "service": plain(score.service),
        "indexSpecification": plain(score.indexSpecification),
        "score": score.score,
        "low": score.interval.low if score.interval else None,
        "high": score.interval.high if score.interval else None,
        "band": score.band,
        "coverage": score.coverage,
        "n": score.n,
        "previousScore": score.previousScore,
        "cause": [plain(cause) for cause in score.cause] or None,
        "computedAt": told(score.computedAt),
    }
    row = Row(
        EXPERIENCE,
        f"experienceScore/{service}",
        score.id,
        score.href,
        "ExperienceScore",
        score_title(score, service),
        payload,
        score.computedAt,
    )
    return await note(tx, score.customers, row, event)


def score_title(score: readings.ExperienceScore, service: str) -> str:
    if score.score is None:
        return f"Experience of {service}: not enough data"
    if score.previousScore is None:
        return f"Experience of {service} is {score.score:.0f} ({score.band})"
    way = "fell" if score.score < score.previousScore else "rose"
    return f"Experience of {service} {way} from {score.previousScore:.0f} to {score.score:.0f} ({score.band})"


async def on_problem(tx: Transaction, event: Event) -> None:
    """A service problem, for every customer it affects: one entry for each state it came into."""
    problem = read(readings.ServiceProblem, event)
    if problem is None:
        return
    payload = {
        "id": problem.id,
        "href": problem.href,
        "category": problem.category,
        "description": problem.description,
        "originatingSystem": problem.originatingSystem,
        "priority": problem.priority,
        "status": problem.status,
    }
    row = Row(
        QUALITY,
        f"serviceProblem/{problem.id}",
        problem.id,
        problem.href,
        "ServiceProblem",
        f"Service problem {problem.status}: {problem.description or problem.category or problem.id}",
        payload,
        problem.statusChangeDate or problem.creationDate,
        problem.lastUpdate,
    )
    await note(tx, problem.customers, row, event)


async def on_assessment(tx: Transaction, event: Event) -> None:
    """A risk assessment of a customer."""
    if event.kind == "Delete":
        return await withdraw(tx, CHURN, event)
    risk = read(readings.RiskAssessment, event)
    if risk is None:
        return None
    payload = {
        "id": risk.id,
        "href": risk.href,
        "churnProbability": risk.churnProbability,
        "low": risk.interval.low if risk.interval else None,
        "high": risk.interval.high if risk.interval else None,
        "horizonDays": risk.horizonDays,
        "reasons": [plain(reason) for reason in risk.reasons] or None,
        "assessedAt": told(risk.assessedAt),
    }
    if risk.churnProbability is None:
        title = "Risk assessed"
    else:
        within = f" within {risk.horizonDays} days" if risk.horizonDays else ""
        title = f"Risk of leaving {risk.churnProbability:.0%}{within}"
    row = Row(CHURN, "churnRisk", risk.id, risk.href, "PartyRoleRiskAssessment", title, payload, risk.assessedAt)
    return await note(tx, [risk.partyRole.id], row, event)


async def on_recommendation(tx: Transaction, event: Event) -> None:
    """A finished recommendation for a customer; an answer that recommends nothing is none."""
    found = read(readings.Recommendation, event)
    if found is None or found.relatedParty is None or found.state != readings.DONE or not found.recommendationItem:
        return
    names = [name for item in found.recommendationItem if (name := item.name)]
    payload = {
        "id": found.id,
        "href": found.href,
        "name": found.name or (names[0] if names else None),
        "description": found.description,
        "recommendationType": found.recommendationType,
        "validFor": plain(found.validFor),
        "riskAssessment": plain(found.riskAssessment),
        "expectedProfit": plain(found.expectedProfit),
    }
    row = Row(
        CHURN,
        "recommendation",
        found.id,
        found.href,
        "QueryProductRecommendation",
        f"Recommended: {', '.join(names) or found.name or found.id}",
        payload,
        found.validFor.startDateTime if found.validFor else None,
    )
    await note(tx, [found.relatedParty.id], row, event)


def read(model: type[M], event: Event) -> M | None:
    """The resource of an event; None, and a line in the log, for one that cannot be read."""
    try:
        return model.model_validate(event.resource)
    except ValidationError as e:
        log.warning("%s that cannot be read: %s", event.event_type, e.errors(include_url=False)[:3])
        return None


def plain(model: BaseModel | None) -> dict[str, Any] | None:
    return None if model is None else model.model_dump(mode="json", by_alias=True, exclude_none=True)


def told(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def note(tx: Transaction, customers: Sequence[str], row: Row, event: Event) -> None:
    """Put a row on the timelines of customers and mark those for whom it says something new.

    The same thing of the same instant is one row, by whatever event it is told. Where the source names no instant, the
    one under which the thing is known already counts, else that of the event.
    """
    instant = instant_of(event)
    await mark(
        tx,
        [
            found["customer"]
            for found in await tx.fetch(
                "INSERT INTO timeline AS t (customer, source, reference, occurred_at, slot, version_at, event_type,"
                " href, referred_type, title, payload)"
                " SELECT c, $2, $3, coalesce($4, k.occurred_at, $5), $6, $7, $8, $9, $10, $11, $12::jsonb"
                " FROM unnest($1::text[]) AS c LEFT JOIN LATERAL (SELECT occurred_at FROM timeline"
                " WHERE customer = c AND source = $2 AND reference = $3 ORDER BY occurred_at DESC LIMIT 1) AS k ON true"
                ' ORDER BY c COLLATE "C"'
                " ON CONFLICT (customer, source, reference, occurred_at) DO UPDATE SET slot = excluded.slot,"
                " version_at = excluded.version_at, recorded_at = excluded.recorded_at, href = excluded.href,"
                " title = excluded.title, payload = excluded.payload"
                " WHERE excluded.version_at >= t.version_at"
                " AND (t.title, t.payload) IS DISTINCT FROM (excluded.title, excluded.payload)"
                " RETURNING t.customer",
                sorted(set(customers)),
                row.source,
                row.reference,
                row.occurred_at,
                instant,
                row.slot,
                row.version_at or row.occurred_at or instant,
                event.event_type,
                row.href,
                row.referred_type,
                row.title,
                orjson.dumps({name: value for name, value in row.payload.items() if value is not None}).decode(),
            )
        ],
    )


async def withdraw(tx: Transaction, source: str, event: Event) -> None:
    """Take a deleted resource off all timelines."""
    rows = await tx.fetch(
        "DELETE FROM timeline WHERE source = $1 AND reference = $2 RETURNING customer",
        source, str(event.resource.get("id")),
    )  # fmt: skip
    await mark(tx, [row["customer"] for row in rows])


async def mark(tx: Transaction, customers: Sequence[str]) -> None:
    """Whose view has to be made again, under the trace at work. Always in the same order, so that none waits for
    another in a circle."""
    await tx.execute(
        "INSERT INTO touched (customer, traceparent) SELECT c, $2::text FROM unnest($1::text[]) AS c"
        ' GROUP BY c ORDER BY c COLLATE "C" ON CONFLICT (customer) DO UPDATE SET version = DEFAULT,'
        " traceparent = coalesce(excluded.traceparent, touched.traceparent)",
        customers, CALL.get().traceparent,
    )  # fmt: skip


def instant_of(event: Event) -> datetime:
    try:
        instant = datetime.fromisoformat(event.event_time)
    except ValueError:
        return datetime.now(UTC)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
