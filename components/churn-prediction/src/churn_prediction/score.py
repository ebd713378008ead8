"""The flow that assesses: first those whom something has happened to, then everybody the active model has not seen.

A customer's newest assessment is remembered in the transaction that publishes it, so that a crash at any moment leaves
nobody assessed twice for one reason and nobody forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import orjson

from churn_prediction import artefact, documents, ingest, ledger, offers, rollout
from churn_prediction.artefact import Active
from churn_prediction.documents import Judgement, Previous
from churn_prediction.domain import retention, risk
from churn_prediction.domain.features import frame
from churn_prediction.domain.retention import Recommendation
from churn_prediction.domain.risk import Assessment
from churn_prediction.offers import Terms
from churn_prediction.resources import PartyRoleRiskAssessment, QueryProductRecommendation
from churn_prediction.settings import ChurnSettings
from tmfkit import Context, Transaction
from tmfkit.call import CALL, Call
from tmfkit.database import new_id

SUBJECT = "churn-prediction/score"
BATCH, EVENT = "model", "event"


async def due(ctx: Context[ChurnSettings]) -> None:
    """Until nothing is left to do: scores older than a week fade, who was touched is assessed again, then a batch of
    those that the active model has not assessed yet."""
    terms: Terms | None = None
    left = True
    while left:
        async with ctx.transaction() as tx:
            left = await ingest.fade(tx, ctx.settings.assessment_batch) > 0
            if await artefact.active(tx) is None:  # training will have everybody assessed
                await tx.execute("DELETE FROM touched")
                continue
        terms = terms or await offers.current(ctx)
        again = await _reassess(ctx, terms)
        left = left or again > 0
        if again < ctx.settings.assessment_batch:
            left = await _catch_up(ctx, terms) > 0 or left


async def judge(tx: Transaction, active: Active, terms: Terms, ids: Sequence[str], now: datetime) -> list[Judgement]:
    """What the active model says of these customers, whose rows are locked. Left out: who is not there or past, and who
    has no value for any of the model's features."""
    names = active.predictor.specification.names
    known = [
        c
        for c in await ledger.customers(tx, ids, terms.past_status, now)
        if any(c.values.get(name) is not None for name in names)
    ]
    if not known:
        return []
    before = {
        r["customer_id"]: Previous(r["assessment_id"], Assessment.of(orjson.loads(r["document"])))
        for r in await tx.fetch(
            "SELECT customer_id, assessment_id, document::text AS document FROM assessed WHERE customer_id = ANY($1)",
            [c.id for c in known],
        )
    }
    rows = frame(active.predictor.specification, [c.record for c in known])
    found = risk.assess(active.predictor, rows, {id: p.assessment for id, p in before.items()})
    return [Judgement(c, a, _recommend(c, a, terms), before.get(c.id), now) for c, a in zip(known, found, strict=True)]


def _recommend(customer: ledger.Known, assessment: Assessment, terms: Terms) -> Recommendation:
    return retention.recommend(assessment, terms.monthly_margin(customer.values), terms.offers, terms.assumptions)


async def remember(tx: Transaction, active: Active, written: Sequence[tuple[str, Judgement]]) -> None:
    """Make these (id of the document, judgement) the customers' newest assessments."""
    await tx.execute(
        "INSERT INTO assessed (customer_id, assessment_id, version, probability, document, at)"
        " SELECT c, a, $3, p, d, $6 FROM unnest($1::text[], $2::text[], $4::float8[], $5::jsonb[]) AS t (c, a, p, d)"
        " ON CONFLICT (customer_id) DO UPDATE SET assessment_id = excluded.assessment_id, version = excluded.version,"
        " probability = excluded.probability, document = excluded.document, at = excluded.at",
        [j.customer.id for _, j in written], [id for id, _ in written], active.version,
        [j.assessment.probability for _, j in written],
        [orjson.dumps(j.assessment.document()).decode() for _, j in written], written[0][1].at,
    )  # fmt: skip


async def publish(tx: Transaction, active: Active, terms: Terms, judgement: Judgement) -> str:
    """Store the assessment as a document; its id."""
    doc = documents.assessment(judgement, active, terms)
    return str((await tx[PartyRoleRiskAssessment].insert({"id": new_id(), **doc}))["id"])


async def _reassess(ctx: Context[ChurnSettings], terms: Terms) -> int:
    """Assess those again whom an event has touched, each in the trace of the event; how many touches were taken."""
    offered = 0
    async with ctx.transaction() as tx:
        active = await artefact.active(tx)
        if active is None:
            return 0
        rows = await tx.fetch(
            "DELETE FROM touched WHERE seq IN (SELECT seq FROM touched ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED)"
            " RETURNING seq, customer_id, traceparent",
            ctx.settings.assessment_batch,
        )
        if not rows:
            return 0
        traces: dict[str, str | None] = {}
        for r in sorted(rows, key=lambda r: int(r["seq"])):
            traces[r["customer_id"]] = r["traceparent"] or traces.get(r["customer_id"])
        judged = await judge(tx, active, terms, list(traces), ctx.now())
        written = []
        for judgement in judged:
            with ctx.telemetry.span("assess", traces[judgement.customer.id]) as span:
                token = CALL.set(Call(SUBJECT, span.traceparent))
                try:
                    id = await publish(tx, active, terms, judgement)
                    offered += await _offer(tx, ctx.settings, terms, judgement, id)
                finally:
                    CALL.reset(token)
            written.append((id, judgement))
        if written:
            await remember(tx, active, written)
    _count(ctx, EVENT, len(written), offered)
    return len(rows)


async def _catch_up(ctx: Context[ChurnSettings], terms: Terms) -> int:
    """Assess a batch of customers whom the active model has not assessed yet, without offers; how many."""
    async with ctx.transaction() as tx:
        active = await artefact.active(tx)
        if active is None or active.covers_all:  # who comes later is touched by coming
            return 0
        rows = await tx.fetch(
            "SELECT c.id FROM customer c LEFT JOIN assessed a ON a.customer_id = c.id"
            " WHERE c.status IS DISTINCT FROM $1 AND a.version IS DISTINCT FROM $2 AND EXISTS ("
            "  SELECT FROM feature_row f WHERE f.customer_id = c.id AND f.feature = ANY($3) AND f.value IS NOT NULL)"
            " ORDER BY c.id LIMIT $4",
            terms.past_status, active.version, list(active.predictor.specification.names),
            ctx.settings.assessment_batch,
        )  # fmt: skip
        judged = await judge(tx, active, terms, [r["id"] for r in rows], ctx.now()) if rows else []
        docs = [documents.assessment(judgement, active, terms) for judgement in judged]
        stored = await tx[PartyRoleRiskAssessment].insert_many(docs)
        written = [(str(doc["id"]), judgement) for doc, judgement in zip(stored, judged, strict=True)]
        if written:
            await remember(tx, active, written)
        else:
            await tx.execute("UPDATE artefact SET covers_all = true WHERE version = $1", active.version)
            await rollout.completed(tx)
    _count(ctx, BATCH, len(written), 0)
    return len(written)


async def _offer(
    tx: Transaction, settings: ChurnSettings, terms: Terms, judgement: Judgement, assessment_id: str
) -> bool:
    """Recommend an offer when the risk rose and it earns more than it costs; whether one was made."""
    if judgement.rise is None or judgement.rise < settings.min_risk_rise or judgement.rise <= 0.0:
        return False
    before = await tx.fetch(
        "SELECT problem_id, at FROM offered WHERE customer_id = $1 ORDER BY at DESC", judgement.customer.id
    )
    new_problems = judgement.customer.problems - {r["problem_id"] for r in before}
    resting_from = judgement.at - timedelta(seconds=settings.offer_pause_s)
    resting = bool(before) and before[0]["at"] > resting_from and not new_problems
    if resting or judgement.recommendation.best is None:
        return False
    doc = documents.recommendation(judgement, assessment_id, terms)
    stored = await tx[QueryProductRecommendation].insert({"id": new_id(), **doc})
    await tx.execute(
        "INSERT INTO offered (recommendation_id, problem_id, customer_id, at) SELECT $1, t.*, $3, $4"
        " FROM unnest($2::text[]) AS t",
        stored["id"], sorted(judgement.customer.problems) or [""], judgement.customer.id, judgement.at,
    )  # fmt: skip
    return True


def _count(ctx: Context[ChurnSettings], cause: str, assessments: int, recommendations: int) -> None:
    made = ctx.telemetry.counter("churn_assessments", "Customers assessed, by what made it so.", ("cause",))
    if assessments:
        made.labels(cause).inc(assessments)
    ctx.telemetry.counter("churn_recommendations", "Offers recommended when a risk rose.").inc(recommendations)
