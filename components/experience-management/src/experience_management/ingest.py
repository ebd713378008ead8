"""What is heard of service quality becomes rows: problems and the services they hit. Scoring is the flow's."""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from experience_management.readings import Problem
from tmfkit import Event, Transaction
from tmfkit.call import CALL

log = logging.getLogger("experience_management")


async def on_problem(tx: Transaction, event: Event) -> None:
    """Note a problem and the services it hits. Older news than what is known changes nothing; news that change
    nothing about who is hit, by what, or whether it lasts, give no new work."""
    try:
        problem = Problem.model_validate(event.resource)
    except ValidationError as e:
        log.warning("service problem that cannot be read: %s", e.errors(include_url=False)[:3])
        return
    changed_at = instant_of(problem, event)
    content = digest(problem)
    # The lock comes first, so that two events of one problem follow one another even when its row is still to be made.
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"problem:{problem.id}")
    known = await tx.fetchrow("SELECT content, changed_at FROM problem WHERE id = $1", problem.id)
    if known is None and not problem.open:
        return  # it ended before we heard of it: nobody's score ever showed it
    if known is not None and changed_at is not None and known["changed_at"] > changed_at:
        return
    news = known is None or known["content"] != content
    await tx.execute(
        "INSERT INTO problem (id, href, status, open, changed_at, content, generation, traceparent)"
        " VALUES ($1, $2, $3, $4, coalesce($5, now()), $6, 1, $7)"
        " ON CONFLICT (id) DO UPDATE SET href = coalesce(excluded.href, problem.href), status = excluded.status,"
        " open = excluded.open, changed_at = coalesce($5, problem.changed_at), content = excluded.content,"
        " traceparent = CASE WHEN $8 THEN excluded.traceparent ELSE problem.traceparent END,"
        " generation = problem.generation + $8::bool::int",
        problem.id, problem.href, problem.status, problem.open, changed_at, content, CALL.get().traceparent, news,
    )  # fmt: skip
    if news:
        await tx.execute(
            "INSERT INTO affected_service (problem_id, service_id, href)"
            " SELECT DISTINCT ON (s.id) $1, s.id, s.href FROM unnest($2::text[], $3::text[]) AS s (id, href)"
            " ON CONFLICT (problem_id, service_id) DO UPDATE SET looked_up_at = NULL, found = NULL"
            " WHERE NOT affected_service.found",
            problem.id, [s.id for s in problem.affectedService], [s.href for s in problem.affectedService],
        )  # fmt: skip


def instant_of(problem: Problem, event: Event) -> datetime | None:
    """When the news became so at its sender: the resource's own instant, else that of the event."""
    own = problem.lastUpdate or problem.statusChangeDate
    if own is not None:
        return own
    try:
        told = datetime.fromisoformat(event.event_time)
    except ValueError:
        return problem.creationDate
    return told if told.tzinfo else problem.creationDate


def digest(problem: Problem) -> str:
    """Fingerprint of what a score depends on: who is hit, by what, which promises are broken, whether it lasts."""
    told: list[Any] = [
        problem.open,
        sorted({s.id for s in problem.affectedService}),
        sorted({r.id for r in problem.rootCauseResource}),
        sorted({v.id for v in problem.slaViolation}),
    ]
    return hashlib.sha256(orjson.dumps(told)).hexdigest()
