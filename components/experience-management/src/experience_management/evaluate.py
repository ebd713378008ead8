"""The flow that turns the problems of a service into the scores of its subjects.

Measurements are read once for each place and kind of service; all who use that service there share the verdict. Scores
are written in portions, each with the mark that it is done, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from experience_management import observe, scores, shipped, specification
from experience_management.domain.assessment import assessed
from experience_management.locate import look_up
from experience_management.observe import Place
from experience_management.resources import ExperienceIndexSpecification, ExperienceScore
from experience_management.scores import Verdict
from experience_management.settings import ExperienceSettings
from tmfkit import Context, Transaction
from tmfkit.call import CALL, Call
from tmfkit.upstream import UpstreamError

log = logging.getLogger("experience_management")
PORTION = 500
DELAY_BUCKETS_S = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Group:
    """Subjects of one kind of service and one type over the same resources: they share a verdict."""

    kind: str
    subject_type: str
    resources: tuple[str, ...]


async def due(ctx: Context[ExperienceSettings]) -> None:
    """Score whom a problem hits: after news of it, and from time to time while it is open. What waits for another
    component is tried again at the next run."""
    await shipped.ensure(ctx)
    before = ctx.now() - timedelta(seconds=ctx.settings.reevaluation_s)
    problems = await ctx.database.pool.fetch(
        "SELECT id, href, open, generation, evaluated_generation < generation AS news, waiting_for, traceparent"
        " FROM problem WHERE evaluated_generation < generation OR (open AND evaluated_at < $1)"
        " ORDER BY evaluated_generation < generation DESC, received_at",
        before,
    )
    for problem in problems:
        with ctx.telemetry.span("evaluate experience", problem["traceparent"]) as span:
            token = CALL.set(Call(f"{ctx.name}/evaluate", span.traceparent))
            try:
                await evaluate(ctx, problem)
            except UpstreamError as e:
                await _waits(ctx, problem, e)
            finally:
                CALL.reset(token)
    if problems:
        await _count_bad(ctx)


async def evaluate(ctx: Context[ExperienceSettings], problem: Mapping[str, Any]) -> None:
    """One problem: find who is hit, read what was measured, write scores. Errors: UpstreamError, after whatever could
    be done without the component that did not answer."""
    unknown: UpstreamError | None = None
    try:
        await look_up(ctx, problem["id"])
    except UpstreamError as e:
        unknown = e
    await _score(ctx, problem)
    if unknown is not None:
        raise unknown


async def _score(ctx: Context[ExperienceSettings], problem: Mapping[str, Any]) -> None:
    generation, news = problem["generation"], problem["news"]
    rows = await ctx.database.pool.fetch(
        "SELECT DISTINCT kind, subject_type, resources FROM impact"
        " WHERE problem_id = $1 AND (generation < $2 OR NOT $3::bool)",
        problem["id"], generation, news,
    )  # fmt: skip
    groups = [Group(row["kind"], row["subject_type"], tuple(row["resources"])) for row in rows]
    summaries = await observe.read(ctx, [(group.kind, resource) for group in groups for resource in group.resources])
    async with ctx.transaction() as tx:
        new = await observe.record(tx, problem["id"], summaries)
        if not news and new:
            generation = await tx.fetchval(
                "UPDATE problem SET generation = generation + 1 WHERE id = $1 AND generation = $2 RETURNING generation",
                problem["id"], generation,
            )  # fmt: skip
            if generation is None:
                return  # an event came in between; its own run follows
        places = await observe.places(tx, problem["id"], summaries)
        specifications = await tx[ExperienceIndexSpecification].select({"lifecycleStatus": "Active"})
    if news or new:
        verdicts = _verdicts(ctx, groups, places, specifications)
        while await _portion(ctx, problem, generation, verdicts):
            pass
    await ctx.database.pool.execute(
        "UPDATE problem SET evaluated_at = $3, waiting_for = NULL,"
        " evaluated_generation = greatest(evaluated_generation, $2)"
        " WHERE id = $1 AND NOT EXISTS (SELECT FROM affected_service WHERE problem_id = $1 AND looked_up_at IS NULL)",
        problem["id"], generation, ctx.now(),
    )  # fmt: skip


def _verdicts(
    ctx: Context[ExperienceSettings],
    groups: Sequence[Group],
    places: Mapping[tuple[str, str], Place],
    specifications: Sequence[dict[str, Any]],
) -> dict[Group, Verdict]:
    """The verdict for each group that has an index; a KPI counts at the first of the group's resources that has it."""
    verdicts: dict[Group, Verdict] = {}
    for group in groups:
        document = specification.chosen(specifications, group.kind, group.subject_type, ctx.now())
        if document is None:
            log.info("no index specification for %s of a %s: not scored", group.kind, group.subject_type)
            continue
        windows: Place = {}
        for resource in reversed(group.resources):
            windows |= places.get((group.kind, resource), {})
        verdicts[group] = Verdict(
            assessment=assessed(specification.plan_of(document), windows, ctx.settings.models),
            specification=document,
            specification_href=ctx.href(ExperienceIndexSpecification, document["id"]),
            window_s=ctx.settings.observation_window_s,
        )
    return verdicts


async def _portion(
    ctx: Context[ExperienceSettings], problem: Mapping[str, Any], generation: int, verdicts: Mapping[Group, Verdict]
) -> bool:
    """Score the next subjects of a problem and mark them done, in one transaction. False when none is left."""
    written: list[tuple[Group, Verdict]] = []
    async with ctx.transaction() as tx:
        impacts = await tx.fetch(
            "SELECT i.service_id, i.subject_id, i.subject_type, i.referred_type, i.subject_href, i.subject_name,"
            " i.role, i.owners::text AS owners, i.kind, i.resources, s.href AS service_href FROM impact i"
            " JOIN affected_service s ON s.problem_id = i.problem_id AND s.service_id = i.service_id"
            " WHERE i.problem_id = $1 AND i.generation < $2 ORDER BY i.subject_id, i.service_id, i.subject_type"
            " LIMIT $3 FOR UPDATE OF i",
            problem["id"], generation, PORTION,
        )  # fmt: skip
        if not impacts:
            return False
        causes, known = await _causes(tx, impacts), await _known(tx, impacts)
        outcomes = []
        for impact in impacts:
            group = Group(impact["kind"], impact["subject_type"], tuple(impact["resources"]))
            verdict = verdicts.get(group)
            if verdict is None:
                outcomes.append("noSpecification")
                continue
            pair = impact["subject_id"], impact["subject_type"], impact["service_id"]
            if await _write(ctx, tx, impact, verdict, causes.get(pair) or [problem], known):
                written.append((group, verdict))
            outcomes.append("notEnoughData" if verdict.assessment.score is None else "scored")
        await tx.execute(
            "UPDATE impact i SET generation = $2, outcome = d.outcome"
            " FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) AS d (subject, type, service, outcome)"
            " WHERE i.problem_id = $1 AND i.subject_id = d.subject AND i.subject_type = d.type"
            " AND i.service_id = d.service",
            problem["id"], generation, [i["subject_id"] for i in impacts], [i["subject_type"] for i in impacts],
            [i["service_id"] for i in impacts], outcomes,
        )  # fmt: skip
    _count(ctx, written)
    return True


async def _write(
    ctx: Context[ExperienceSettings],
    tx: Transaction,
    impact: Mapping[str, Any],
    verdict: Verdict,
    causes: Sequence[Mapping[str, Any]],
    known: Mapping[str, dict[str, Any]],
) -> bool:
    id = scores.score_id(impact["subject_type"], impact["subject_id"], impact["service_id"])
    old = known.get(id)
    new = scores.document(impact, verdict, causes, old, ctx.now())
    if old is None:
        await tx[ExperienceScore].insert(new)
        return True
    if not scores.worth_telling(old, new, ctx.settings.score_change_min):
        return False
    return (await tx[ExperienceScore].replace(old, new))[1]


async def _causes(tx: Transaction, impacts: Sequence[Any]) -> dict[tuple[str, str, str], list[Any]]:
    """The open problems of each (subject, its type, service)."""
    rows = await tx.fetch(
        "SELECT i.subject_id, i.subject_type, i.service_id, p.id, p.href"
        " FROM unnest($1::text[], $2::text[]) AS n (subject, service)"
        " JOIN impact i ON i.subject_id = n.subject AND i.service_id = n.service"
        " JOIN problem p ON p.id = i.problem_id AND p.open ORDER BY p.id",
        [i["subject_id"] for i in impacts], [i["service_id"] for i in impacts],
    )  # fmt: skip
    found: dict[tuple[str, str, str], list[Any]] = {}
    for row in rows:
        causes = found.setdefault((row["subject_id"], row["subject_type"], row["service_id"]), [])
        if all(cause["id"] != row["id"] for cause in causes):
            causes.append(row)
    return found


async def _known(tx: Transaction, impacts: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """The scores that these subjects have already, under their locks, taken in order of id."""
    ids = [scores.score_id(i["subject_type"], i["subject_id"], i["service_id"]) for i in impacts]
    rows = await tx.fetch(
        "SELECT id, doc::text AS doc FROM experience_score WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE", ids
    )
    return {row["id"]: orjson.loads(row["doc"]) for row in rows}


async def _waits(ctx: Context[ExperienceSettings], problem: Mapping[str, Any], error: UpstreamError) -> None:
    """Note what a problem waits for; told to the log once, not at every try."""
    reason = error.message or type(error).__name__
    if problem["waiting_for"] != reason:
        log.warning("problem %s is not scored yet: %s", problem["id"], error)
        await ctx.database.pool.execute("UPDATE problem SET waiting_for = $2 WHERE id = $1", problem["id"], reason)


def _count(ctx: Context[ExperienceSettings], written: Sequence[tuple[Group, Verdict]]) -> None:
    scored = ctx.telemetry.counter(
        "experience_subjects_scored", "Scores written, by kind of service and type of subject.", ("service", "subject")
    )
    delay = ctx.telemetry.histogram(
        "experience_perception_delay",
        "Time from the newest measurement behind a score to the score.",
        unit="seconds",
        buckets=DELAY_BUCKETS_S,
    )
    now = ctx.now()
    for group, verdict in written:
        scored.labels(group.kind, group.subject_type).inc()
        if verdict.assessment.observed_at is not None:
            delay.observe(max((now - verdict.assessment.observed_at).total_seconds(), 0.0))


async def _count_bad(ctx: Context[ExperienceSettings]) -> None:
    """How many scores lie below the threshold now; the expression is that of the declared index on score."""
    n = await ctx.database.fetchval(
        "SELECT count(*) FROM experience_score WHERE (doc #>> '{score}'::text[])::numeric < $1::float8::numeric",
        ctx.settings.score_threshold,
    )
    ctx.telemetry.gauge(
        "experience_scores_below_threshold", "Subjects on services whose score is below the threshold."
    ).set(n)


async def forget(ctx: Context[ExperienceSettings]) -> None:
    """Remove observations and ended problems that are older than their retention."""
    now = ctx.now()
    await ctx.database.pool.execute(
        "DELETE FROM observation WHERE recorded_at < $1", now - timedelta(seconds=ctx.settings.observation_retention_s)
    )
    await ctx.database.pool.execute(
        "DELETE FROM problem WHERE NOT open AND evaluated_generation >= generation AND evaluated_at < $1",
        now - timedelta(seconds=ctx.settings.problem_retention_s),
    )
