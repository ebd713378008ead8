"""Driving the loop: simulated time in five-minute steps into service-quality, and listening to what comes of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import httpx
import orjson

from demo_operator.chain import STEPS, Candidate, Chain, Given, trace
from demo_operator.domain.faults import DRAWN_KINDS, SLOT_S, Fault, FaultKind, draw
from demo_operator.domain.truth import truth
from demo_operator.load import patiently, send_measurements
from demo_operator.measurements import ndjson, rows_per_step
from demo_operator.memory import Operator, clock, recall_all, remember
from demo_operator.narration import Narrator
from demo_operator.outcome import Evidence, Outcome
from demo_operator.settings import DemoSettings
from demo_operator.watch import Watch
from tmfkit import Context
from tmfkit.types import Document
from tmfkit.upstream import UpstreamError

RISKS = "tmf-api/riskManagement/v4/partyRoleRiskAssessment"
PROBLEMS = "tmf-api/serviceProblemManagement/v5/serviceProblem"
OPEN_STATES = "acknowledged,pending,held,inProgress"
RECOVERY_STEPS = 60
_TRACED_EVERY_S = 0.5
_TRACED_AGAIN_S = 3.0
_DRAWS = 40


class Reader:
    """Reads absolute addresses: those of the components through their clients, any other directly."""

    def __init__(self, ctx: Context[DemoSettings], client: httpx.AsyncClient) -> None:
        self.ctx, self.client = ctx, client

    async def __call__(self, href: str) -> Any:
        for name, address in self.ctx.settings.dependencies.items():
            base = address.rstrip("/") + "/"
            if href.startswith(base):
                try:
                    return await self.ctx.upstream(name).get(href.removeprefix(base))
                except UpstreamError:
                    return None
        try:
            answer = await self.client.get(href)
            return orjson.loads(answer.content) if answer.is_success else None
        except (httpx.HTTPError, httpx.InvalidURL, orjson.JSONDecodeError):
            return None


def drawn(operator: Operator, seed: int, start_s: int, kind: str, min_customers: int) -> Fault:
    """The fault of a seed, of any kind (random) or a given one: the first of the seed's draws that concerns enough
    customers for an offer to be likely, else the one that concerns most."""
    kinds = DRAWN_KINDS if kind == "random" else (FaultKind(kind),)
    best: tuple[int, Fault] | None = None
    for attempt in range(_DRAWS):
        fault = draw(seed + 1_000_003 * attempt, operator.world, start_s, kinds)
        concerned = len(truth(operator.world, fault).customer_ids)
        if concerned >= min_customers:
            return fault
        if best is None or concerned > best[0]:
            best = (concerned, fault)
    assert best is not None
    return best[1]


class Driver:
    """Simulated time of one operator, with its listener. One at a time may drive (memory.TIME_LOCK)."""

    def __init__(
        self, ctx: Context[DemoSettings], operator: Operator, watch: Watch, narrator: Narrator, read: Reader
    ) -> None:
        self.ctx, self.operator, self.watch, self.narrator, self.read = ctx, operator, watch, narrator, read
        self.next_s = operator.terms.as_of_s
        self.evidence = Evidence(ctx.now())

    async def start(self) -> None:
        """Go on where simulated time was left."""
        self.next_s = await clock(self.ctx, self.operator.terms)
        self.narrator.simulated_s = self.next_s

    # --- time ---

    async def step(self, faults: Sequence[Fault] = ()) -> None:
        """The next five minutes: measured, sent, accepted."""
        body = ndjson(self.operator.world, self.next_s, SLOT_S, 1, faults)
        rows = rows_per_step(self.operator.world)
        self.narrator.simulated_s = self.next_s
        await patiently("serviceQuality", self._complain, partial(send_measurements, self.ctx, body, rows))
        self.next_s += SLOT_S
        await remember(self.ctx, "clock", self.next_s)

    def _complain(self, line: str) -> None:
        self.narrator.line("waiting", line)

    async def listen(self, seconds: float) -> int:
        """Hear what arrives in this time; how many events."""
        until, count = time.monotonic() + seconds, 0
        while True:
            for heard in await self.watch.news():
                self.evidence.add(heard)
                self.narrator.hear(heard)
                count += 1
            left = until - time.monotonic()
            if left <= 0:
                return count
            await self.watch.wait(left)

    async def quiet(self, seconds: float, at_most_s: float) -> None:
        """Listen until nothing was heard for so long."""
        until = time.monotonic() + at_most_s
        while await self.listen(seconds) and time.monotonic() < until:
            pass

    async def healthy(self, steps: int, pace_s: float) -> None:
        for _ in range(steps):
            await self.step()
            await self.listen(pace_s)

    async def total(self, dependency: str, path: str, **where: str) -> int:
        """How many resources there are."""
        answer = await self.ctx.upstream(dependency).request("GET", path, params={**where, "limit": 0})
        return int(answer.headers.get("x-total-count", 0))

    async def recover(self, pace_s: float) -> bool:
        """Healthy steps until no service problem is open, and until what follows from that has been heard; whether it
        came to that."""
        for step in range(RECOVERY_STEPS):
            count = await self.total("serviceQuality", PROBLEMS, status=OPEN_STATES)
            if not count:
                if step:
                    await self.settled()
                return True
            if not step:
                self.narrator.line("recovery", f"{count} service problem(s) open, the network is healthy again")
            await self.healthy(1, pace_s)
        return False

    async def settled(self) -> None:
        """Until nothing more is heard."""
        await self.quiet(self.ctx.settings.settle_s, 10 * self.ctx.settings.settle_s)

    async def assessed(self) -> bool:
        """Wait for the first assessment of everybody, which follows the training of a model: a risk that was never
        assessed cannot rise. Given up when it does not go on; whether it is complete."""
        wanted, patience_s = len(self.operator.world.people), self.ctx.settings.assessment_patience_s
        known, since = -1, time.monotonic()
        while (count := await self.total("churnPrediction", RISKS)) < wanted:
            if count != known:
                self.narrator.line(
                    "waiting", f"{count:,} of {wanted:,} customers have a first assessment of their risk"
                )
                known, since = count, time.monotonic()
            if time.monotonic() - since >= patience_s:
                self.narrator.line("going on", "without an assessment of everybody: is there a trained model?")
                return False
            await self.listen(min(2.0, patience_s))
        return True

    # --- a loop ---

    async def loop(self, fault: Fault, seed: int, pace_s: float, deadline: float, *, to_its_end: bool) -> Outcome:
        """Inject a fault and follow it until the chain is closed, or until the deadline (monotonic clock). With
        `to_its_end` the fault lasts as long as it was drawn, else until the chain is closed."""
        known = truth(self.operator.world, fault)
        self.narrator.begin()
        self.narrator.fault(fault, known)
        self.evidence = Evidence(self.ctx.now())
        batches_s: list[float] = []
        chain, due, news = Chain(()), 0.0, 0
        last_step_s = fault.end_s - SLOT_S
        while not chain.closed or (to_its_end and self.next_s <= last_step_s):
            if time.monotonic() > deadline:
                break
            if self.next_s <= last_step_s:
                batches_s.append((self.ctx.now() - self.evidence.since).total_seconds())
                await self.step([fault])
            news += await self.listen(pace_s)
            late = time.monotonic() - due
            if not chain.closed and self.evidence.count("customer360") and late > (0 if news else _TRACED_AGAIN_S):
                began, news = time.monotonic(), 0
                chain = await self._trace(fault)
                due = time.monotonic() + max(_TRACED_EVERY_S, 2 * (time.monotonic() - began))
        await self.settled()
        if not chain.closed:
            chain = await self._trace(fault)
        self.narrator.rest()
        outcome = Outcome(seed, self.operator, fault, known, chain, self.evidence, batches_s)
        self.narrator.line("LOOP", outcome.line())
        await remember(self.ctx, "loop/last", outcome.document())
        return outcome

    async def _trace(self, fault: Fault) -> Chain:
        cells = self.operator.world.network.cells
        given = Given(
            cells=frozenset(str(cells[cell].id) for cell in fault.cells),
            series=frozenset((str(service), kpi) for service, kpi in fault.expected),
            start_s=fault.start_s,
            until_s=self.next_s,
            owners={thing.id: thing.owner_id for thing in self.operator.world.things},
            service_quality=self.ctx.settings.dependencies["serviceQuality"].rstrip("/"),
        )
        heard = {step: self.evidence.candidates(step) for step in STEPS[2:]}
        objectives: dict[str, Document] = await recall_all(self.ctx, "objective/")
        heard["serviceLevelObjective"] = [Candidate(one["id"], one["href"]) for one in objectives.values()]
        return await trace(self.read, heard, given)
