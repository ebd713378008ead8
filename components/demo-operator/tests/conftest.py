"""What the tests of the running operator share: tiny worlds, real sockets, and a made-up road.

The road stands for the four components as the operator sees them: it records what it is sent, and answers degraded
measurements with the resources and events of a loop. It is not the components, only the shape of their answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo_operator.domain.catalogue import OBJECTIVES
from demo_operator.main import component
from demo_operator.memory import Operator, Terms, operator
from demo_operator.settings import DemoSettings
from demo_operator.watch import related
from tmfkit import Context
from tmfkit.testing import fresh_database, local_settings

AS_OF_S = 1_767_225_600
COMPONENTS = {
    "serviceQuality": "service-quality",
    "experienceManagement": "experience-management",
    "customer360": "customer-360",
    "churnPrediction": "churn-prediction",
}
SQ, XM = "service-quality/tmf-api", "experience-management/tmf-api"
CP, C3 = "churn-prediction/tmf-api", "customer-360/tmf-api"
VIOLATION = f"{SQ}/serviceLevelViolation/v1/serviceLevelViolation"
PROBLEM = f"{SQ}/serviceProblemManagement/v5/serviceProblem"
OBJECTIVE = f"{SQ}/serviceQualityManagement/v4/serviceLevelObjective"
MEASUREMENT = f"{SQ}/performanceMeasurement/v1/measurement"
SCORE = f"{XM}/experienceManagement/v1/experienceScore"
RISK = f"{CP}/riskManagement/v4/partyRoleRiskAssessment"
OFFER = f"{CP}/recommendationManagement/v4/queryProductRecommendation"
VIEW = f"{C3}/customer360/v5/customer360"
CUSTOMER = f"{C3}/customerManagement/v5/customer"

Document = dict[str, Any]


@contextlib.contextmanager
def served(app: Any, port: int = 0) -> Iterator[str]:
    """An ASGI app on a real socket, in a thread; its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False, ws="none")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended while it started"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(15)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def free() -> int:
    """A port that nobody listens on."""
    return free_port()


@dataclass
class Road:
    """What the made-up components were sent, what they hold, and how they misbehave.

    `refuse` measurements with a reason, `stumble` (answer 503) so many times, `mute` a kind of event, and `change` a
    document before it is published.
    """

    base: str = ""
    customers: dict[str, Document] = field(default_factory=dict)
    customer_batches: list[int] = field(default_factory=list)
    measurements: dict[tuple[str, str, str, str], Document] = field(default_factory=dict)
    batches: int = 0
    hubs: dict[str, Document] = field(default_factory=dict)
    docs: dict[str, Document] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    users: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    roots: Callable[[set[str]], str] = min
    refuse: str = ""
    stumble: int = 0
    mute: str = ""
    change: Callable[[str, Document], Document] = field(default=lambda _path, doc: doc)
    reacted: bool = False
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    def href(self, path: str) -> str:
        return f"{self.base}/{path}"

    def ref(self, path: str, kind: str) -> Document:
        return {"id": path.rsplit("/", 1)[1], "href": self.href(path), "@referredType": kind}

    # --- doors ---

    async def measure(self, request: Request) -> Response:
        if self.stumble:
            self.stumble -= 1
            return JSONResponse({"reason": "busy"}, 503)
        rows = [json.loads(line) for line in (await request.body()).splitlines()]
        if self.refuse:
            error = {"index": 0, "id": None, "attribute": "value", "reason": self.refuse}
            return JSONResponse({"accepted": 0, "duplicates": 0, "rejected": len(rows), "errors": [error]})
        self.batches += 1
        accepted = 0
        for row in rows:
            key = (row["resource"], row["service"], row["kpi"], row["observedAt"])
            accepted += key not in self.measurements
            self.measurements.setdefault(key, {"id": "/".join(key), **row})
        if self.hubs:
            task = asyncio.create_task(self.react(rows))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return JSONResponse({"accepted": accepted, "duplicates": len(rows) - accepted, "rejected": 0, "errors": []})

    async def measured(self, request: Request) -> Response:
        asked = request.query_params
        found = [
            row
            for row in self.measurements.values()
            if all(asked.get(name) in (None, row[name]) for name in ("resource", "service", "kpi"))
            and asked.get("from", "") <= row["observedAt"] < asked.get("to", "9")
        ]
        return JSONResponse(found[: int(asked.get("limit", 100))])

    async def add_customers(self, request: Request) -> Response:
        docs = [operation["value"] for operation in await request.json()]
        if any(doc["id"] in self.customers for doc in docs):
            return JSONResponse({"code": "ERR409", "reason": "exists", "status": "409"}, 409)
        self.customer_batches.append(len(docs))
        self.customers |= {doc["id"]: doc for doc in docs}
        return JSONResponse(docs)

    async def list_customers(self, request: Request) -> Response:
        ids = request.query_params.get("id")
        wanted = self.customers.keys() if ids is None else [id for id in ids.split(",") if id in self.customers]
        return JSONResponse([{"id": id} for id in list(wanted)[: int(request.query_params.get("limit", 100))]])

    async def post(self, request: Request) -> Response:
        """A hub registration (told once per query), or a resource."""
        path, doc = request.url.path.lstrip("/"), await request.json()
        if path.endswith("/hub"):
            known = next(
                (id for id, hub in self.hubs.items() if (hub["path"], hub["query"]) == (path, doc["query"])), ""
            )
            id = known or f"hub-{len(self.hubs) + 1}"
            self.hubs[id] = {**doc, "path": path}
            return JSONResponse({"id": id, **doc}, 201)
        id = f"objective-{len(self.docs) + 1}"
        stored = self.keep(f"{path}/{id}", doc)
        return JSONResponse(stored, 201)

    async def get(self, request: Request) -> Response:
        path = request.url.path.lstrip("/")
        if path.endswith("/health/ready"):
            return Response("ok")
        if path in self.docs:
            return JSONResponse(self.docs[path])
        found = [doc for key, doc in self.docs.items() if key.rsplit("/", 1)[0] == path]
        for name in ("name", "status"):
            wanted = request.query_params.get(name)
            found = [doc for doc in found if wanted is None or doc.get(name) in wanted.split(",")]
        if not found and path.rsplit("/", 1)[0] in (OBJECTIVE, VIOLATION, PROBLEM, SCORE, RISK, OFFER, VIEW):
            return JSONResponse({"code": "ERR404", "reason": "no", "status": "404"}, 404)
        return JSONResponse(
            found[: int(request.query_params.get("limit", 100))], headers={"x-total-count": str(len(found))}
        )

    async def delete(self, request: Request) -> Response:
        return Response(status_code=204 if self.hubs.pop(request.url.path.rsplit("/", 1)[1], None) else 404)

    # --- the loop ---

    def keep(self, path: str, doc: Document) -> Document:
        doc = self.change(path, {"id": path.rsplit("/", 1)[1], "href": self.href(path), **doc})
        self.docs[path] = doc
        return doc

    async def publish(self, client: httpx.AsyncClient, path: str, event: str, doc: Document) -> None:
        doc = self.keep(path, doc)
        name = path.split("/")[-2]
        kind = f"{name[0].upper()}{name[1:]}{event}Event"
        if self.mute and kind.startswith(self.mute):
            return
        for hub in list(self.hubs.values()):
            if f"/{path}".rsplit("/", 2)[0] + "/hub" == f"/{hub['path']}" and kind in hub["query"]:
                number = len(self.docs) + time.monotonic_ns()
                body = {"eventId": f"e-{number}", "eventType": kind, "event": {name: doc}}
                assert (await client.post(hub["callback"], json=body)).status_code == 201

    async def react(self, rows: list[Document]) -> None:
        """A violation per degraded series, one problem, and the chain of everybody who uses the service there."""
        bad = [
            (row, objective)
            for row in rows
            for objective in OBJECTIVES
            if (objective.service, objective.kpi) == (row["service"], row["kpi"])
            and not (
                row["value"] >= objective.target if objective.comparator == ">=" else row["value"] <= objective.target
            )
        ]
        async with httpx.AsyncClient(timeout=10) as client:
            if bad and not self.reacted:
                self.reacted = True
                await self.degrade(client, bad)
            elif self.reacted and not bad:
                self.reacted = False
                for path in [key for key in self.docs if key.startswith(PROBLEM)]:
                    if self.docs[path]["status"] != "resolved":
                        await self.publish(client, path, "StateChange", {**self.docs[path], "status": "resolved"})

    async def degrade(self, client: httpx.AsyncClient, bad: list[tuple[Document, Any]]) -> None:
        run = str(time.monotonic_ns())
        objectives = {doc["name"]: key for key, doc in self.docs.items() if key.startswith(OBJECTIVE)}
        violations, cells = [], set()
        subjects: dict[str, Any] = {}
        for at, (row, objective) in enumerate(bad):
            path = f"{VIOLATION}/violation-{run}-{at}"
            doc = {
                "state": "open",
                "serviceLevelObjective": self.ref(objectives[objective.id], "ServiceLevelObjective"),
                "affectedService": {"id": row["service"]},
                "violation": {
                    "parameterName": row["kpi"],
                    "operator": objective.comparator,
                    "referenceValue": objective.target,
                    "actualValue": row["value"],
                    "unit": row["unit"],
                },
                "period": {"startDateTime": row["observedAt"]},
                "relatedEntity": [{"role": "resource", "entity": {"id": row["resource"], "@referredType": "Resource"}}],
            }
            await self.publish(client, path, "Create", doc)
            violations.append(self.ref(path, "ServiceLevelViolation"))
            cells.add(row["resource"])
            subjects |= dict.fromkeys(self.users.get((row["resource"], row["service"]), []), row["service"])
        things = {id for id in subjects if id in self.owners}
        problem = f"{PROBLEM}/problem-{run}"
        people = [
            {"role": "affectedCustomer", "partyOrPartyRole": {"id": id, "@referredType": "Customer"}}
            for id in sorted(subjects.keys() - things)
        ]
        await self.publish(
            client,
            problem,
            "Create",
            {
                "status": "acknowledged",
                "rootCauseResource": [{"id": self.roots(cells), "@referredType": "Resource"}],
                "affectedNumberOfServices": len(subjects),
                "relatedParty": people,
                "relatedEntity": [{"role": "affectedThing", "entity": {"id": id}} for id in sorted(things)],
                "slaViolation": violations,
            },
        )
        for subject, service in subjects.items():
            await self.feel(client, problem, subject, service)

    async def feel(self, client: httpx.AsyncClient, problem: str, subject: str, service: str) -> None:
        customer = self.owners.get(subject, subject)
        score, risk = f"{SCORE}/score-{subject}-{service}", f"{RISK}/risk-{subject}-{service}"
        offer, view = f"{OFFER}/offer-{subject}-{service}", f"{VIEW}/{customer}"
        owner = [{"role": "owner", "partyOrPartyRole": {"id": customer}}] if customer != subject else []
        felt = {"subject": {"id": subject}, "service": {"id": service}, "score": 20.0, "previousScore": 90.0}
        cause = [self.ref(problem, "ServiceProblem")]
        await self.publish(client, score, "Create", {**felt, "band": "bad", "cause": cause, "relatedParty": owner})
        evidence = [self.ref(problem, "ServiceProblem"), self.ref(score, "ExperienceScore")]
        who = {"id": customer, "role": "customer", "@referredType": "Customer"}
        reasons = [{"driver": "experience_min_7d", "contribution": 1.2}]
        judged = {"partyRole": who, "churnProbability": 0.3, "evidence": evidence, "reasons": reasons}
        await self.publish(client, risk, "Create", judged)
        item = {
            "priority": 1,
            "product": {"name": "a month free"},
            "productOffering": {"id": "o", "name": "Month free"},
        }
        made = {"state": "done", "relatedParty": who, "riskAssessment": self.ref(risk, "PartyRoleRiskAssessment")}
        profit = {"unit": "EUR", "value": 12.0}
        shown = {**made, "recommendationItem": [item], "expectedProfit": profit, "reasons": reasons}
        await self.publish(client, offer, "Create", shown)
        before = related(self.docs.get(view, {}), "recommendation")
        seen = {"recommendation": [*before, self.ref(offer, "QueryProductRecommendation")]}
        await self.publish(client, view, "AttributeValueChange", seen)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(f"/{MEASUREMENT}", self.measure, methods=["POST"]),
                Route(f"/{MEASUREMENT}", self.measured, methods=["GET"]),
                Route(f"/{CUSTOMER}", self.add_customers, methods=["PATCH"]),
                Route(f"/{CUSTOMER}", self.list_customers, methods=["GET"]),
                Route("/{rest:path}", self.post, methods=["POST"]),
                Route("/{rest:path}", self.get, methods=["GET"]),
                Route("/{rest:path}", self.delete, methods=["DELETE"]),
            ]
        )


@pytest.fixture(scope="session")
def tiny_operator() -> Operator:
    """120 people, 24 things, 12 cells, a week of history, and an earlier base of 60."""
    return operator(Terms(7, "tiny", AS_OF_S, 60, 1, 6.0))


@pytest.fixture
def road(tiny_operator: Operator) -> Iterator[Road]:
    """The made-up components on a real socket, knowing who uses what in the tiny world."""
    made = Road(owners={thing.id: thing.owner_id for thing in tiny_operator.world.things})
    for instance in tiny_operator.world.instances:
        made.users.setdefault((instance.cell_id, str(instance.service)), []).append(instance.subject_id)
    with served(made.app()) as address:
        made.base = address
        yield made


def demo_settings(road: Road, **more: Any) -> DemoSettings:
    """Settings of a tiny operator beside the made-up components."""
    given: dict[str, Any] = {
        "seed": 7,
        "scale": "tiny",
        "as_of": "2026-01-01T00:00:00Z",
        "past_customers": 60,
        "history_weeks": 1,
        "settle_s": 0.2,
        "assessment_patience_s": 0.0,
        "dependencies": {name: f"{road.base}/{path}" for name, path in COMPONENTS.items()},
    }
    settings = local_settings(component, **(given | more))
    assert isinstance(settings, DemoSettings)
    return settings


Run = Callable[..., AbstractAsyncContextManager[Context[DemoSettings]]]


@pytest.fixture
def running_operator(road: Road) -> Run:
    """A function that gives a context on one database, with `serve` of the same database on a real socket if asked."""
    url = fresh_database(component)
    port = free_port()

    @asynccontextmanager
    async def run(*, serve: bool = False, **more: Any) -> AsyncIterator[Context[DemoSettings]]:
        address = f"http://127.0.0.1:{port}"
        settings = demo_settings(road, database_url=url, public_url=address, port=port, **more)
        with contextlib.ExitStack() as stack:
            if serve:
                app = component.app(settings, worker=False)
                await asyncio.to_thread(stack.enter_context, served(app, port))
            async with component.running(settings) as ctx:
                try:
                    yield ctx
                finally:
                    await asyncio.to_thread(stack.close)

    return run
