"""Flow: open violations -> one service problem per fault: its root, whom it affects, its end.

The inventories are asked outside of transactions. While they are down a problem is raised with what is known, and
completed when they come back. Each step is one transaction that first claims its violations: run twice, or by two
workers, it does nothing the second time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakSet

from service_quality import resources as r
from service_quality import service_problem as documents
from service_quality.domain import problem as domain
from service_quality.domain.localisation import Element
from service_quality.domain.slo import State
from service_quality.evaluate import caused_by
from service_quality.impact import Affected, affected
from service_quality.roots import Breach, Root, leaves, roots
from service_quality.settings import ServiceQualitySettings
from service_quality.topology import OWN, Topology, topology
from tmfkit import Context, TmfError, Transaction
from tmfkit.database import new_id
from tmfkit.write import rfc3339

log = logging.getLogger("service_quality.correlate")
Ctx = Context[ServiceQualitySettings]
LOCK = 0x636F7272
_SILENT: WeakSet[Ctx] = WeakSet()  # components whose service inventory does not answer: said once


@dataclass(frozen=True)
class Cause:
    """An open problem as the flow remembers it, with the violations in it."""

    problem_id: str
    root: Root
    started_at: datetime
    last_started_at: datetime
    resolved_at: datetime | None
    breaches: tuple[Breach, ...]

    def holds(self, topology: Topology, breach: Breach) -> bool:
        """Whether a new violation belongs to this problem, which lasts."""
        if self.resolved_at is not None:
            return False
        return topology.within(breach.resource, breach.service, self.root.dimension, self.root.elements)

    def returns(self, root: Root, began: datetime, gap: timedelta) -> bool:
        """Whether this problem, resolved shortly before, has come back: the same root failed again."""
        if self.resolved_at is None or began - self.resolved_at > gap:
            return False
        return (self.root.dimension, self.root.elements) == (root.dimension, root.elements)

    def lies_in(self, topology: Topology, root: Root, began: datetime, gap: timedelta) -> bool:
        """Whether this problem, which lasts and began shortly before, is a part of what a root found now explains."""
        if self.resolved_at is not None or not self.breaches or abs(began - self.last_started_at) > gap:
            return False
        return all(topology.within(b.resource, b.service, root.dimension, root.elements) for b in self.breaches)


async def due(ctx: Ctx) -> None:
    known = await topology(ctx)
    await attach(ctx, known)
    if known.known:
        await relocate(ctx, known)
    await complete(ctx)
    await settle(ctx)
    await refer(ctx)
    count = await ctx.database.fetchval("SELECT count(*) FROM cause WHERE open AND resolved_at IS NULL")
    ctx.telemetry.gauge("service_quality_problems_open", "Service problems that are not resolved.").set(count)


_BREACHES = """
SELECT b.violation_id, s.service, s.kpi, s.resource, b.better, b.started_at, b.raised_at, b.traceparent, b.problem_id
FROM breach b JOIN series s ON s.id = b.series_id WHERE {} ORDER BY b.started_at, b.violation_id
"""


def _breach(row: Any) -> Breach:
    return Breach(*(row[name] for name in Breach.__dataclass_fields__))


async def causes(ctx: Ctx) -> list[Cause]:
    """Open problems, oldest first."""
    pool = ctx.database.pool
    found = await pool.fetch("SELECT * FROM cause WHERE open ORDER BY started_at, problem_id")
    members: dict[str, list[Breach]] = defaultdict(list)
    for row in await pool.fetch(_BREACHES.format("b.problem_id = ANY($1)"), [row["problem_id"] for row in found]):
        members[row["problem_id"]].append(_breach(row))
    return [
        Cause(
            row["problem_id"],
            Root(row["dimension"], tuple(row["elements"]), row["located"], ""),
            row["started_at"],
            row["last_started_at"],
            row["resolved_at"],
            tuple(members[row["problem_id"]]),
        )
        for row in found
    ]


# --- violations into problems ---


async def attach(ctx: Ctx, known: Topology) -> None:
    """Give every new violation its problem: an open one that holds it, else one for the root that is found."""
    rows = await ctx.database.pool.fetch(_BREACHES.format("b.problem_id IS NULL AND b.cleared_at IS NULL"))
    if not rows:
        return
    open_now, gap = await causes(ctx), timedelta(seconds=ctx.settings.problem_gap_s)
    joining: dict[str, list[Breach]] = defaultdict(list)
    left: list[Breach] = []
    for breach in map(_breach, rows):
        holding = [cause for cause in open_now if cause.holds(known, breach)]
        if holding:
            joining[min(holding, key=lambda c: _distance(known, breach, c.root)).problem_id].append(breach)
        else:
            left.append(breach)
    for problem_id, members in joining.items():
        await extend(ctx, known, problem_id, members)
    if not left:
        return
    found = await leaves(ctx, left)
    for root, members in roots(left, found, known, [c.root for c in open_now if c.resolved_at is None]):
        began = min(b.started_at for b in members)
        same = [c for c in open_now if c.lies_in(known, root, began, gap) or c.returns(root, began, gap)]
        if same:
            await extend(ctx, known, same[0].problem_id, members, root, same[1:])
        else:
            await raise_problem(ctx, known, root, members)


def _distance(known: Topology, breach: Breach, root: Root) -> int:
    """How many dimensions a root is above a violation: of several roots the nearest is its own."""
    names = list(known.elements(breach.resource, breach.service))
    return 0 if root.dimension == OWN else 1 + (names.index(root.dimension) if root.dimension in names else len(names))


async def raise_problem(ctx: Ctx, known: Topology, root: Root, members: Sequence[Breach]) -> None:
    """A new problem with its impact, or without where the inventory does not answer."""
    found = await _affected(ctx, members)
    id, now = new_id(), rfc3339(ctx.now())
    async with ctx.transaction() as tx:
        if len(await _claim(tx, id, members, found is not None)) != len(members):
            raise TmfError("violations were claimed by another worker; the next run looks again", status=409)
        doc = documents.created(id, root, members, known, _violations(ctx), now)
        if found is not None:
            doc = documents.with_impact(doc, found, ctx.settings.affected_limit, now)
        with caused_by(ctx, "correlate", members[0].traceparent):
            await tx[r.ServiceProblem].insert(doc)
        started = [b.started_at for b in members]
        await tx.execute(
            "INSERT INTO cause (problem_id, dimension, elements, located, started_at, last_started_at, open)"
            " VALUES ($1, $2, $3, $4, $5, $6, true)",
            id, root.dimension, list(root.elements), root.located, min(started), max(started),
        )  # fmt: skip
    if found is not None:
        await move(ctx, id, "inProgress", "cause and impact are known", members[0].traceparent, {"acknowledged"})


async def extend(
    ctx: Ctx,
    known: Topology,
    problem_id: str,
    members: Sequence[Breach],
    root: Root | None = None,
    absorbed: Sequence[Cause] = (),
) -> None:
    """More violations for an open problem; a wider root, and the problems that it turns out to hold."""
    found = await _affected(ctx, members)
    now = rfc3339(ctx.now())
    async with ctx.transaction() as tx:
        store = tx[r.ServiceProblem]
        old = await store.find(problem_id, lock=True)
        if old is None or old["status"] in documents.FINAL:
            await tx.execute("UPDATE cause SET open = false WHERE problem_id = $1", problem_id)
            ctx.wake("correlate")  # somebody ended it by hand: what is violated now is a new problem
            return
        if len(await _claim(tx, problem_id, members, found is not None)) != len(members):
            raise TmfError("violations were claimed by another worker; the next run looks again", status=409)
        taken = [b for cause in absorbed for b in cause.breaches]
        new = documents.joined(old, [*members, *taken], known, _violations(ctx), now)
        if root is not None:
            new = documents.rooted(new, root, known, now)
        if found is not None:
            new = documents.with_impact(new, found, ctx.settings.affected_limit, now)
        if old["status"] == "resolved":
            new = documents.moved(new, "inProgress", "violated again", now)
        started = max(b.started_at for b in members)
        with caused_by(ctx, "correlate", members[0].traceparent):
            await store.replace(old, new)
            for cause in absorbed:
                await _absorb(ctx, tx, cause, problem_id, now)
        await tx.execute(
            "UPDATE cause SET last_started_at = greatest(last_started_at, $2), resolved_at = NULL"
            " WHERE problem_id = $1",
            problem_id,
            started,
        )
        if root is not None:
            await _root(tx, problem_id, root)


async def _absorb(ctx: Ctx, tx: Transaction, cause: Cause, into: str, now: str) -> None:
    """A problem turned out to be part of another: its violations move, it is cancelled and refers to the other."""
    await tx.execute(
        "UPDATE breach SET problem_id = $2, impact_known = false, referred = false WHERE problem_id = $1",
        cause.problem_id,
        into,
    )
    await tx.execute("UPDATE cause SET open = false WHERE problem_id = $1", cause.problem_id)
    doc = await tx[r.ServiceProblem].find(cause.problem_id, lock=True)
    if doc is not None and doc["status"] not in documents.FINAL:
        href = ctx.href(r.ServiceProblem, into)
        parent = {"@type": "ServiceProblemRef", "id": into, "href": href, "@referredType": "ServiceProblem"}
        await tx[r.ServiceProblem].replace(doc, documents.merged_into(doc, parent, now))


async def _root(tx: Transaction, problem_id: str, root: Root) -> None:
    await tx.execute(
        "UPDATE cause SET dimension = $2, elements = $3, located = $4 WHERE problem_id = $1",
        problem_id,
        root.dimension,
        list(root.elements),
        root.located,
    )


async def _claim(tx: Transaction, problem_id: str, members: Sequence[Breach], impact_known: bool) -> list[Any]:
    await tx.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
    return await tx.fetch(
        "UPDATE breach SET problem_id = $1, impact_known = $3 WHERE violation_id = ANY($2) AND problem_id IS NULL"
        " RETURNING violation_id",
        problem_id,
        [b.violation_id for b in members],
        impact_known,
    )


def _violations(ctx: Ctx) -> str:
    return ctx.href(r.ServiceLevelViolation, "").rstrip("/")


async def _affected(ctx: Ctx, members: Iterable[Breach]) -> Affected | None:
    """Whom violations affect; None when the service inventory does not say in time."""
    try:
        async with asyncio.timeout(ctx.settings.inventory_patience_s):
            found = await affected(ctx, {(b.service, b.resource) for b in members})
    except (TmfError, OSError, TimeoutError) as e:
        if ctx not in _SILENT:
            log.warning("the service inventory does not say who is affected; asked again until it does: %s", e)
        _SILENT.add(ctx)
        return None
    _SILENT.discard(ctx)
    return found


# --- what was missing ---


async def relocate(ctx: Ctx, known: Topology) -> None:
    """Look again for the root of problems that were raised before it could be known."""
    for cause in await causes(ctx):
        if cause.root.located or cause.resolved_at is not None or not cause.breaches:
            continue
        groups = roots(cause.breaches, await leaves(ctx, cause.breaches), known)
        if not all(root.located and root.dimension == groups[0][0].dimension for root, _ in groups):
            continue
        first = groups[0][0]
        elements = tuple(dict.fromkeys(element for root, _ in groups for element in root.elements))
        root = Root(first.dimension, elements, True, first.reason, first.confidence, first.explanatory_power)
        async with ctx.transaction() as tx:
            old = await tx[r.ServiceProblem].find(cause.problem_id, lock=True)
            if old is not None and old["status"] not in documents.FINAL:
                with caused_by(ctx, "correlate", cause.breaches[0].traceparent):
                    now = rfc3339(ctx.now())
                    named = documents.joined(old, cause.breaches, known, _violations(ctx), now)
                    await tx[r.ServiceProblem].replace(old, documents.rooted(named, root, known, now))
            await _root(tx, cause.problem_id, root)


async def complete(ctx: Ctx) -> None:
    """Add the impact of violations for which the inventory did not answer."""
    rows = await ctx.database.pool.fetch(_BREACHES.format("NOT b.impact_known AND b.problem_id IS NOT NULL"))
    waiting: dict[str, list[Breach]] = defaultdict(list)
    for row in rows:
        waiting[row["problem_id"]].append(_breach(row))
    for problem_id, members in waiting.items():
        found = await _affected(ctx, members)
        if found is None:
            return
        now, trace = rfc3339(ctx.now()), members[0].traceparent
        async with ctx.transaction() as tx:
            old = await tx[r.ServiceProblem].find(problem_id, lock=True)
            if old is not None and old["status"] not in documents.FINAL:
                with caused_by(ctx, "correlate", trace):
                    new = documents.with_impact(old, found, ctx.settings.affected_limit, now)
                    await tx[r.ServiceProblem].replace(old, new)
            await tx.execute(
                "UPDATE breach SET impact_known = true WHERE violation_id = ANY($1)", [b.violation_id for b in members]
            )
        await move(ctx, problem_id, "inProgress", "cause and impact are known", trace, {"acknowledged"})


async def refer(ctx: Ctx) -> None:
    """Say in each violation which problem it belongs to. Last, so that no problem waits for it."""
    rows = await ctx.database.pool.fetch(_BREACHES.format("NOT b.referred AND b.problem_id IS NOT NULL"))
    for row in rows:
        id = row["problem_id"]
        reference = {"id": id, "href": ctx.href(r.ServiceProblem, id), "@referredType": "ServiceProblem"}
        async with ctx.transaction() as tx:
            store = tx[r.ServiceLevelViolation]
            doc = await store.find(row["violation_id"], lock=True)
            if doc is not None:
                with caused_by(ctx, "correlate", row["traceparent"]):
                    now = rfc3339(ctx.now())
                    await store.replace(doc, {**doc, "serviceProblem": reference, "lastUpdate": now})
            await tx.execute(
                "UPDATE breach SET referred = true WHERE violation_id = $1 AND problem_id = $2", row["violation_id"], id
            )


# --- the end ---


async def settle(ctx: Ctx) -> None:
    """Resolve problems whose violations are all cleared, close those that stayed so."""
    pool = ctx.database.pool
    rows = await pool.fetch(
        "SELECT c.problem_id, c.dimension, c.elements, c.resolved_at, b.violation_id, b.started_at, b.cleared_at,"
        " b.traceparent FROM cause c JOIN breach b USING (problem_id) WHERE c.open ORDER BY b.cleared_at DESC"
    )
    newest = await pool.fetchval("SELECT max(watermark) FROM series")
    by_problem: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_problem[row["problem_id"]].append(row)
    quiet_s, close_s = ctx.settings.problem_quiet_s, ctx.settings.problem_close_after_s
    for problem_id, members in by_problem.items():
        first = members[0]
        root = Element(first["dimension"], ",".join(first["elements"]))
        violations = [
            domain.Violation(
                row["violation_id"],
                root,
                row["started_at"],
                row["cleared_at"],
                State.VIOLATED if row["cleared_at"] is None else State.OK,
            )
            for row in members
        ]
        (grouped,) = domain.grouped(violations, gap_s=timedelta.max.total_seconds() / 4)
        now = max(newest, grouped.cleared_at) if grouped.cleared_at else newest
        if first["resolved_at"] is None:
            verdict = domain.resolution(grouped, now, quiet_s)
            if verdict.resolved and verdict.at is not None:
                open_ = {"acknowledged", "inProgress", "pending", "held"}
                await move(ctx, problem_id, "resolved", verdict.reason, first["traceparent"], open_, verdict.at)
        elif (now - first["resolved_at"]).total_seconds() >= close_s:
            reason = f"no violation for {close_s:.0f} s"
            await move(ctx, problem_id, "closed", reason, first["traceparent"], {"resolved"})


async def move(
    ctx: Ctx,
    problem_id: str,
    status: str,
    reason: str,
    traceparent: str | None,
    from_: set[str],
    resolved_at: datetime | None = None,
) -> None:
    """Move a problem on, if it is in one of the statuses `from_`; what somebody ended by hand is left as it is."""
    async with ctx.transaction() as tx:
        old = await tx[r.ServiceProblem].find(problem_id, lock=True)
        if old is not None and old["status"] in from_:
            with caused_by(ctx, "correlate", traceparent):
                await tx[r.ServiceProblem].replace(old, documents.moved(old, status, reason, rfc3339(ctx.now())))
        ended = old is None or status == "closed" or old["status"] in documents.FINAL
        if ended:
            await tx.execute("UPDATE cause SET open = false WHERE problem_id = $1", problem_id)
        elif resolved_at is not None:
            await tx.execute("UPDATE cause SET resolved_at = $2 WHERE problem_id = $1", problem_id, resolved_at)
