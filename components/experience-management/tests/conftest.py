"""A component on a real database, and the neighbours it asks: tiny apps that answer from dictionaries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from experience_management import evaluate, ingest
from experience_management.main import component
from tmfkit import Event
from tmfkit.follow import take
from tmfkit.testing import Running, running
from tmfkit.types import Document

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HEALTHY_VIDEO = {"DRB.UEThpDl": (40.0, "Mbit/s", 3.0), "Video.StallRatio": (0.2, "%", 0.05)}
BROKEN_VIDEO = {"DRB.UEThpDl": (1.0, "Mbit/s", 0.1), "Video.StallRatio": (70.0, "%", 3.0)}
HEALTHY_CONTROL = {
    "DRB.AirIfDelayDl": (12.0, "ms", 1.0),
    "Thing.DeadlineMissRatio": (0.02, "%", 0.01),
    "Thing.Availability": (99.99, "%", 0.001),
}
BROKEN_CONTROL = {
    "DRB.AirIfDelayDl": (12.0, "ms", 1.0),
    "Thing.DeadlineMissRatio": (30.0, "%", 2.0),
    "Thing.Availability": (93.0, "%", 0.5),
}


class Neighbours:
    """Service quality and the service inventory, as far as they are asked. `down` names who does not answer."""

    def __init__(self) -> None:
        self.services: dict[str, Document] = {}
        self.summaries: dict[tuple[str, str], list[Document]] = {}
        self.problems: list[Document] = []
        self.down: set[str] = set()
        self.asked: list[str] = []
        self.callback = ""
        self.now = START

    @property
    def transports(self) -> dict[str, httpx.AsyncBaseTransport]:
        quality = [
            Route("/tmf-api/performanceMeasurement/v1/kpiSummary", self._summary),
            Route("/tmf-api/serviceProblemManagement/v5/hub", self._hub, methods=["POST"]),
            Route("/tmf-api/serviceProblemManagement/v5/serviceProblem", self._problems),
        ]
        inventory = [Route("/tmf-api/serviceInventoryManagement/v5/service", self._services)]
        return {
            "serviceQuality": httpx.ASGITransport(app=Starlette(routes=quality)),
            "serviceInventory": httpx.ASGITransport(app=Starlette(routes=inventory)),
        }

    async def _summary(self, request: Request) -> Response:
        return self._answer(
            "serviceQuality",
            [
                row
                for resource in request.query_params["resource"].split(",")
                for row in self.summaries.get((request.query_params["service"], resource), [])
            ],
        )

    async def _services(self, request: Request) -> Response:
        self.asked.append(request.query_params["id"])
        wanted = request.query_params["id"].split(",")
        return self._answer("serviceInventory", [self.services[id] for id in wanted if id in self.services])

    async def _hub(self, request: Request) -> Response:
        if "serviceQuality" in self.down:
            return JSONResponse({"code": "ERR503", "reason": "down"}, 503)
        self.callback = (await request.json())["callback"]
        return JSONResponse({"id": "hub-1", "callback": self.callback}, 201)

    async def _problems(self, request: Request) -> Response:
        return self._answer("serviceQuality", self.problems)

    def _answer(self, name: str, items: list[Document]) -> Response:
        if name in self.down:
            return JSONResponse({"code": "ERR503", "reason": "down"}, 503)
        return JSONResponse(items, headers={"x-total-count": str(len(items))})

    def measured(
        self,
        service: str,
        resource: str,
        kpis: dict[str, tuple[float, str, float]],
        usual: dict[str, tuple[float, str, float]],
        minutes: int = 0,
    ) -> None:
        """What the summary of a place says from now on: KPI -> (mean, unit, standard deviation)."""
        at = START + timedelta(minutes=minutes)
        self.summaries[service, resource] = [
            {
                "resource": resource,
                "service": service,
                "kpi": kpi,
                "unit": unit,
                "n": 6,
                "mean": mean,
                "p10": mean - 1.28 * sd,
                "p90": mean + 1.28 * sd,
                "last": mean,
                "lastObservedAt": at.isoformat(),
                "baselineMean": usual[kpi][0],
                "baselineSd": usual[kpi][2],
            }
            for kpi, (mean, unit, sd) in kpis.items()
        ]

    def person(self, number: int, kind: str = "video", cell: str = "cell-017") -> str:
        """A customer and the service they use; the id of the service."""
        return self._service(
            f"svc-{kind}-{number:04d}",
            kind,
            cell,
            relatedParty=[
                {
                    "role": "user",
                    "partyOrPartyRole": {"id": f"cust-{number:04d}", "name": "Ada", "@referredType": "Customer"},
                }
            ],
        )

    def thing(self, number: int, kind: str = "telemetry", cell: str = "cell-017") -> str:
        return self._service(
            f"svc-{kind}-t{number:04d}",
            kind,
            cell,
            relatedParty=[{"role": "owner", "partyOrPartyRole": {"id": "cust-9999", "@referredType": "Customer"}}],
            relatedEntity=[
                {"role": "user", "entity": {"id": f"meter-{number:04d}", "@referredType": "PhysicalResource"}}
            ],
        )

    def _service(self, id: str, kind: str, cell: str, **related: Any) -> str:
        self.services[id] = {
            "id": id,
            "href": f"http://op.test/service/{id}",
            "state": "active",
            "serviceSpecification": {"id": kind},
            "supportingResource": [{"id": cell}, {"id": "slice-embb"}],
            **related,
        }
        return id


class Told:
    """A running component, told what happens."""

    def __init__(self, app: Running, neighbours: Neighbours) -> None:
        self.app, self.neighbours = app, neighbours

    def hear(self, problem: Document, kind: str = "Create", event_id: str | None = None) -> bool:
        """A service problem event; whether it was new."""
        event = Event(
            event_id or f"{problem['id']}-{kind}-{problem.get('lastUpdate')}",
            f"ServiceProblem{kind}Event",
            str(problem.get("lastUpdate", "")),
            problem,
            {},
            TRACE,
        )
        (follow,) = component.follows
        assert follow.handle is ingest.on_problem
        return self.app.loop.run(take(self.app.ctx, follow, event))

    def evaluate(self) -> None:
        self.app.loop.run(evaluate.due(self.app.ctx))

    def scores(self, **where: Any) -> list[Document]:
        asked = {"limit": 1000, **{name.replace("__", "."): value for name, value in where.items()}}
        answer = self.app.get("/experience-management/tmf-api/experienceManagement/v1/experienceScore", params=asked)
        assert answer.status_code in (200, 206), answer.text
        found: list[Document] = answer.json()
        return found

    def events(self) -> list[str]:
        rows = self.app.sql("SELECT kind FROM outbox WHERE resource = 'ExperienceScore' ORDER BY seq")
        return [row["kind"] for row in rows]


def problem(services: list[str], *, minutes: int = 0, **more: Any) -> Document:
    return {
        "id": "sp-1",
        "href": "http://sq.test/serviceProblem/sp-1",
        "category": "serviceQuality",
        "status": "inProgress",
        "lastUpdate": (START + timedelta(minutes=minutes)).isoformat(),
        "rootCauseResource": [{"id": "cell-017", "@referredType": "LogicalResource"}],
        "affectedService": [{"id": id, "href": f"http://op.test/service/{id}"} for id in services],
        **more,
    }


@pytest.fixture
def neighbours() -> Neighbours:
    return Neighbours()


@pytest.fixture
def told(neighbours: Neighbours) -> Iterator[Told]:
    with started(neighbours) as app:
        yield Told(app, neighbours)


def started(neighbours: Neighbours, **values: Any) -> Any:
    return running(
        component,
        transports=neighbours.transports,
        clock=lambda: neighbours.now,
        dependencies={"serviceQuality": "http://sq.test", "serviceInventory": "http://op.test"},
        upstream_retries=0,
        **values,
    )
