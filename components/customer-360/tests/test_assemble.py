"""Hop by hop: what other components tell becomes one view of each customer, in order, once, bounded, and honest about
what is not known now.

The component runs on a real database; the neighbours it asks are tiny apps that answer from dictionaries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from customer_360 import assemble, products
from customer_360.main import component
from customer_360.resources import CustomerExperience360
from tmfkit import Event
from tmfkit.follow import take
from tmfkit.testing import Running, assert_tmf_error, running
from tmfkit.types import Document

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CUSTOMERS = "/customer-360/tmf-api/customerManagement/v5/customer"
VIEWS = "/customer-360/tmf-api/customer360/v5/customer360"
FOLLOWS = {follow.name.rsplit(".", 1)[-1]: follow for follow in component.follows}


class Neighbours:
    """The product inventory and the hubs of the components that are followed. `down` names who does not answer."""

    def __init__(self) -> None:
        self.products: dict[str, list[str]] = {}
        self.resources: dict[str, list[Document]] = {}
        self.callbacks: dict[str, str] = {}
        self.down: set[str] = set()
        self.asked: list[str] = []
        self.now = START

    @property
    def transports(self) -> dict[str, httpx.AsyncBaseTransport]:
        routes = [
            Route("/{dependency}/tmf-api/productInventoryManagement/v5/product", self._products),
            Route("/{dependency}/tmf-api/{api}/{version}/hub", self._hub, methods=["POST"]),
            Route("/{dependency}/tmf-api/{api}/{version}/{resource}", self._resources),
        ]
        transport = httpx.ASGITransport(app=Starlette(routes=routes))
        return dict.fromkeys(component.all_dependencies, transport)

    async def _products(self, request: Request) -> Response:
        wanted = request.query_params["relatedParty.partyOrPartyRole.id"]
        self.asked.append(wanted)
        items = [
            {
                "id": product,
                "href": f"http://op.test/product/{product}",
                "name": "Fibre 300",
                "status": "active",
                "relatedParty": [{"role": "customer", "partyOrPartyRole": {"id": customer}}],
            }
            for customer in wanted.split(",")
            for product in self.products.get(customer, [])
        ]
        return self._answer(request, items)

    async def _hub(self, request: Request) -> Response:
        dependency = request.path_params["dependency"]
        if dependency in self.down:
            return JSONResponse({"code": "ERR503", "reason": "down"}, 503)
        callback = (await request.json())["callback"]
        self.callbacks[request.path_params["api"]] = callback
        return JSONResponse({"id": f"hub-{request.path_params['api']}", "callback": callback}, 201)

    async def _resources(self, request: Request) -> Response:
        return self._answer(request, self.resources.get(request.path_params["resource"], []))

    def _answer(self, request: Request, items: list[Document]) -> Response:
        if request.path_params["dependency"] in self.down:
            return JSONResponse({"code": "ERR503", "reason": "down"}, 503)
        return JSONResponse(items, headers={"x-total-count": str(len(items))})


class Told:
    """A running component, told what happens."""

    def __init__(self, app: Running) -> None:
        self.app = app

    def customer(self, id: str, **more: Any) -> Document:
        body = {"id": id, "name": f"Ada {id}", "status": "active", "engagedParty": {"id": f"p-{id}"}, **more}
        answer = self.app.post(CUSTOMERS, body, headers={"traceparent": TRACE})
        assert answer.status_code == 201, answer.text
        made: Document = answer.json()
        return made

    def hear(self, resource: str, document: Document, kind: str = "Create", event_id: str | None = None) -> bool:
        return self.app.loop.run(take(self.app.ctx, FOLLOWS[resource], event(resource, document, kind, event_id)))

    def assemble(self) -> None:
        self.app.loop.run(assemble.due(self.app.ctx))

    def look_up(self) -> None:
        self.app.loop.run(products.due(self.app.ctx))
        self.assemble()

    def view(self, id: str) -> Document:
        answer = self.app.get(f"{VIEWS}/{id}")
        assert answer.status_code == 200, answer.text
        found: Document = answer.json()
        CustomerExperience360.model_validate(found)
        return found

    def state(self, id: str, slot: str) -> Document | None:
        return next((s for s in self.view(id)["slotState"] if s["slot"] == slot), None)

    def events(self) -> list[str]:
        rows = self.app.sql("SELECT kind FROM outbox WHERE resource = 'Customer360' ORDER BY seq")
        return [row["kind"] for row in rows]

    def count(self, table: str) -> int:
        return int(self.app.sql(f"SELECT count(*) FROM {table}")[0][0])


def event(resource: str, document: Document, kind: str = "Create", event_id: str | None = None) -> Event:
    name = resource[0].upper() + resource[1:]
    at = START.isoformat()
    return Event(event_id or f"{document['id']} {kind} {document}", f"{name}{kind}Event", at, document, {}, TRACE)


def score(customer: str, value: float | None = 21.0, minutes: float = 0, **more: Any) -> Document:
    return {
        "id": f"es-{customer}",
        "href": f"http://xm.test/experienceScore/es-{customer}",
        "subject": {"id": customer, "subjectType": "person"},
        "service": {"id": f"svc-{customer}", "@referredType": "Service"},
        "score": value,
        "band": "notEnoughData" if value is None else "bad",
        "previousScore": 92.0,
        "interval": {"low": 15.0, "high": 27.0, "level": 0.95},
        "cause": [{"id": "sp-1", "href": "http://sq.test/serviceProblem/sp-1", "@referredType": "ServiceProblem"}],
        "computedAt": (START + timedelta(minutes=minutes)).isoformat(),
        **more,
    }


def problem(customers: list[str], status: str = "inProgress", minutes: float = 0, **more: Any) -> Document:
    at = (START + timedelta(minutes=minutes)).isoformat()
    return {
        "id": "sp-1",
        "href": "http://sq.test/serviceProblem/sp-1",
        "category": "serviceQuality",
        "description": "video in cell-017",
        "priority": 2,
        "status": status,
        "statusChangeDate": at,
        "lastUpdate": at,
        "relatedParty": [
            *({"role": "affectedCustomer", "partyOrPartyRole": {"id": id}} for id in customers),
            {"role": "engineer", "partyOrPartyRole": {"id": "eng-1"}},
        ],
        **more,
    }


def risk(customer: str, probability: float, minutes: float = 0) -> Document:
    return {
        "id": f"ra-{customer}-{minutes}",
        "@type": "ChurnRiskAssessment",
        "partyRole": {"id": customer, "role": "customer", "@referredType": "Customer"},
        "churnProbability": probability,
        "interval": {"low": probability - 0.05, "high": probability + 0.05, "level": 0.95},
        "horizonDays": 30,
        "reasons": [{"driver": "experience_min_7d", "group": "network", "contribution": 0.8}],
        "assessedAt": (START + timedelta(minutes=minutes)).isoformat(),
    }


def recommendation(customer: str, state: str = "done") -> Document:
    return {
        "id": f"qr-{customer}",
        "href": f"http://cp.test/queryProductRecommendation/qr-{customer}",
        "state": state,
        "relatedParty": {"id": customer, "@referredType": "Customer"},
        "recommendationItem": [{"priority": 1, "product": {"id": "p"}, "productOffering": {"id": "o", "name": "TV"}}],
        "riskAssessment": {"id": f"ra-{customer}"},
        "expectedProfit": {"value": 14.5, "unit": "EUR"},
    }


def started(neighbours: Neighbours, **values: Any) -> AbstractContextManager[Running]:
    return running(
        component,
        transports=neighbours.transports,
        clock=lambda: neighbours.now,
        dependencies={name: f"http://neighbour.test/{name}" for name in component.all_dependencies},
        upstream_retries=0,
        **values,
    )


@pytest.fixture
def neighbours() -> Neighbours:
    return Neighbours()


@pytest.fixture
def told(neighbours: Neighbours) -> Iterator[Told]:
    with started(neighbours, timeline_limit=5, problem_limit=3) as app:
        yield Told(app)


def test_a_new_customer_has_a_view_of_who_they_are(told: Told) -> None:
    made = told.customer("c1")
    told.assemble()
    view = told.view("c1")
    assert view["@type"] == "CustomerExperience360"
    assert view["customer"] == {
        "@type": "Customer360CustomerVO",
        "id": "c1",
        "href": made["href"],
        "name": "Ada c1",
        "status": "active",
        "engagedParty": {"@type": "PartyRef", "id": "p-c1"},
    }
    assert not {"timeline", "serviceProblem", "churnRisk", "product"} & view.keys()
    (row,) = told.app.sql("SELECT traceparent FROM outbox WHERE resource = 'Customer360'")
    assert row["traceparent"][3:35] == TRACE[3:35]


def test_the_whole_road_stands_on_one_page(told: Told) -> None:
    told.customer("c1")
    told.hear("serviceProblem", problem(["c1"]))
    told.hear("experienceScore", score("c1", minutes=1))
    told.hear("partyRoleRiskAssessment", risk("c1", 0.41, minutes=2))
    told.hear("queryProductRecommendation", recommendation("c1"))
    told.assemble()
    view = told.view("c1")
    assert view["serviceProblem"][0]["affectedService"] == [
        {"@type": "ServiceRef", "id": "svc-c1", "@referredType": "Service"}
    ]
    assert view["experienceScore"][0] | {"score": 21.0, "low": 15.0, "high": 27.0} == view["experienceScore"][0]
    assert view["churnRisk"]["churnProbability"] == 0.41
    assert view["recommendation"][0]["name"] == "TV"
    assert view["recommendation"][0]["expectedProfit"] == {"value": 14.5, "unit": "EUR"}
    assert [entry["title"] for entry in view["timeline"]] == [
        "Risk of leaving 41% within 30 days",
        "Experience of svc-c1 fell from 92 to 21 (bad)",
        "Service problem inProgress: video in cell-017",
        "Recommended: TV",
    ]
    assert view["timeline"][1]["entity"] == {
        "id": "es-c1",
        "href": "http://xm.test/experienceScore/es-c1",
        "@referredType": "ExperienceScore",
    }
    assert told.state("c1", "experienceScore") == {
        "slot": "experienceScore",
        "source": "experienceManagement",
        "asOf": "2026-03-02T10:01:00.000Z",
        "freshUntil": "2026-03-03T10:01:00.000Z",
    }
    found = told.app.get(VIEWS, params={"churnRisk.churnProbability.gt": 0.4, "fields": "id"}).json()
    assert [one["id"] for one in found] == ["c1"]


def test_what_is_told_twice_stands_there_once(told: Told) -> None:
    told.customer("c1")
    assert told.hear("experienceScore", score("c1"), event_id="e1")
    assert not told.hear("experienceScore", score("c1"), event_id="e1")
    told.assemble()
    assert told.hear("experienceScore", score("c1"), event_id="backfill:1")
    assert told.hear("queryProductRecommendation", recommendation("c1"), event_id="e2")
    assert told.hear("queryProductRecommendation", recommendation("c1"), event_id="backfill:2")
    told.assemble()
    assert len(told.view("c1")["timeline"]) == 2
    assert told.events() == ["Create", "AttributeValueChange"]


def test_a_late_event_takes_its_place(told: Told) -> None:
    told.customer("c1")
    for minutes, value in ((10, 30.0), (0, 80.0), (5, 55.0)):
        told.hear("experienceScore", score("c1", value, minutes))
        told.assemble()
    view = told.view("c1")
    assert [entry["eventTime"][11:16] for entry in view["timeline"]] == ["10:10", "10:05", "10:00"]
    assert view["experienceScore"][0]["score"] == 30.0


def test_older_news_of_the_same_state_do_not_undo_newer_ones(told: Told) -> None:
    told.customer("c1")
    later = (START + timedelta(minutes=9)).isoformat()
    told.hear("serviceProblem", problem(["c1"], priority=1, lastUpdate=later), "AttributeValueChange")
    told.hear("serviceProblem", problem(["c1"], priority=3))
    told.assemble()
    view = told.view("c1")
    assert [p["priority"] for p in view["serviceProblem"]] == [1]
    assert len(view["timeline"]) == 1


def test_each_state_of_a_problem_is_an_entry_and_the_last_one_holds(told: Told) -> None:
    told.customer("c1")
    told.hear("serviceProblem", problem(["c1"], "inProgress", 0))
    told.hear("serviceProblem", problem(["c1"], "resolved", 60), "StateChange")
    told.assemble()
    view = told.view("c1")
    assert [p["status"] for p in view["serviceProblem"]] == ["resolved"]
    assert len(view["timeline"]) == 2


def test_the_timeline_is_bounded_and_what_holds_outlives_it(told: Told) -> None:
    told.customer("c1")
    told.hear("partyRoleRiskAssessment", risk("c1", 0.2))
    for number in range(1, 9):
        told.hear("experienceScore", score("c1", 50.0 - number, minutes=number))
    for number in range(5):
        told.hear("serviceProblem", {**problem(["c1"], minutes=-60 + number), "id": f"old-{number}"})
    told.assemble()
    view = told.view("c1")
    assert [entry["eventTime"][11:16] for entry in view["timeline"]] == ["10:08", "10:07", "10:06", "10:05", "10:04"]
    assert view["churnRisk"]["churnProbability"] == 0.2
    assert [p["id"] for p in view["serviceProblem"]] == ["old-4", "old-3", "old-2"]
    assert told.count("timeline") == 5 + 1 + 3
    told.hear("experienceScore", score("c1", 99.0, minutes=-300))
    told.assemble()
    assert told.view("c1")["timeline"] == view["timeline"]


def test_a_problem_of_many_customers_reaches_every_view(told: Told) -> None:
    ids = [f"c{number:03d}" for number in range(120)]
    bulk = [{"op": "add", "path": "/", "value": {"id": id, "name": id, "engagedParty": {"id": id}}} for id in ids]
    assert told.app.patch(CUSTOMERS, bulk, "application/json-patch+json").status_code == 200
    told.hear("serviceProblem", problem(ids))
    told.assemble()
    assert all(told.view(id)["serviceProblem"][0]["id"] == "sp-1" for id in ids)
    assert told.events() == ["Create"] * 120
    assert told.count("touched") == 0


def test_what_a_thing_feels_is_on_the_timeline_of_its_owner_alone(told: Told) -> None:
    told.customer("meter-1")
    told.customer("c1")
    owner = [
        {"role": "owner", "partyOrPartyRole": {"id": "c1"}},
        {"role": "installer", "partyOrPartyRole": {"id": "x"}},
    ]
    thing = {"id": "meter-1", "subjectType": "thing"}
    told.hear("experienceScore", score("meter-1", subject=thing, relatedParty=owner))
    told.assemble()
    assert "timeline" not in told.view("meter-1")
    assert told.view("c1")["experienceScore"][0]["subject"] == thing


def test_what_cannot_be_read_or_recommends_nothing_is_passed_over(told: Told) -> None:
    told.customer("c1")
    assert told.hear("experienceScore", {"id": "broken", "subject": "c1"})
    assert told.hear("queryProductRecommendation", recommendation("c1", state="inProgress"))
    assert told.hear("queryProductRecommendation", {**recommendation("c1"), "recommendationItem": []})
    told.assemble()
    assert "timeline" not in told.view("c1")


def test_products_are_looked_up_for_those_to_whom_something_happened(told: Told, neighbours: Neighbours) -> None:
    neighbours.products = {"c1": ["pr-1", "pr-2"], "c2": ["pr-3"]}
    for id in ("c1", "c2"):
        told.customer(id)
    told.hear("experienceScore", score("c1"))
    told.assemble()
    told.look_up()
    assert [p["id"] for p in told.view("c1")["product"]] == ["pr-1", "pr-2"]
    assert "product" not in told.view("c2")
    assert neighbours.asked == ["c1"]
    neighbours.now = START + timedelta(hours=1)
    told.hear("experienceScore", score("c1", 30.0, minutes=60))
    told.assemble()
    told.look_up()
    assert neighbours.asked == ["c1", "c1"]
    state = told.state("c1", "product")
    assert state is not None
    assert state["source"] == "productInventory"


def test_while_the_inventory_is_silent_the_view_says_so_and_keeps_what_it_had(
    told: Told, neighbours: Neighbours
) -> None:
    neighbours.products = {"c1": ["pr-1"]}
    told.customer("c1")
    told.hear("experienceScore", score("c1"))
    neighbours.down = {"productInventory"}
    told.assemble()
    told.look_up()
    assert told.state("c1", "product") == {"slot": "product", "source": "productInventory", "stale": True}
    assert "product" not in told.view("c1")
    neighbours.down = set()
    told.look_up()
    state = told.state("c1", "product")
    assert state is not None
    assert "stale" not in state
    neighbours.now = START + timedelta(hours=1)
    neighbours.down = {"productInventory"}
    told.hear("experienceScore", score("c1", 30.0, minutes=60))
    told.assemble()
    told.look_up()
    state = told.state("c1", "product")
    assert state is not None
    assert (state["stale"], state["asOf"]) == (True, "2026-03-02T10:00:00.000Z")
    assert [p["id"] for p in told.view("c1")["product"]] == ["pr-1"]


def test_a_customer_who_is_gone_leaves_nothing_behind(told: Told, neighbours: Neighbours) -> None:
    neighbours.products = {"c1": ["pr-1"]}
    told.customer("c1")
    told.hear("experienceScore", score("c1"))
    told.assemble()
    told.look_up()
    assert told.app.delete(f"{CUSTOMERS}/c1").status_code == 204
    told.assemble()
    assert_tmf_error(told.app.get(f"{VIEWS}/c1"), 404)
    assert told.events()[-1] == "Delete"
    assert [told.count(t) for t in ("timeline", "product_view", "assembled", "touched", "customer360")] == [0] * 5


def test_a_change_of_the_customer_is_a_change_of_the_view_and_no_change_is_none(told: Told) -> None:
    told.customer("c1")
    told.assemble()
    assert told.app.patch(f"{CUSTOMERS}/c1", {"status": "suspended"}).status_code == 200
    told.assemble()
    assert told.view("c1")["customer"]["status"] == "suspended"
    assert told.app.patch(f"{CUSTOMERS}/c1", {"description": "not shown"}).status_code == 200
    told.assemble()
    told.assemble()
    assert told.events() == ["Create", "AttributeValueChange"]


def test_what_is_told_before_the_customer_is_known_waits_for_them(told: Told) -> None:
    told.hear("experienceScore", score("c1"))
    told.assemble()
    assert_tmf_error(told.app.get(f"{VIEWS}/c1"), 404)
    told.customer("c1")
    told.assemble()
    assert len(told.view("c1")["timeline"]) == 1


def test_a_withdrawn_assessment_leaves_the_view(told: Told) -> None:
    told.customer("c1")
    told.hear("partyRoleRiskAssessment", risk("c1", 0.4))
    told.assemble()
    told.hear("partyRoleRiskAssessment", risk("c1", 0.4), "Delete")
    told.assemble()
    assert "churnRisk" not in told.view("c1")


def test_reconciling_finds_what_no_event_tells(told: Told, neighbours: Neighbours) -> None:
    told.customer("c1")
    told.customer("c2")
    told.assemble()
    told.hear("experienceScore", score("stranger"))
    told.app.sql("UPDATE customer SET revision = 9, doc = jsonb_set(doc, '{name}', '\"Bea\"') WHERE id = 'c1'")
    told.app.sql("DELETE FROM customer WHERE id = 'c2'")
    told.app.sql("DELETE FROM outbox")
    neighbours.now = datetime.now(UTC) + timedelta(days=30)
    told.app.loop.run(assemble.reconcile(told.app.ctx))
    told.assemble()
    assert told.view("c1")["customer"]["name"] == "Bea"
    assert_tmf_error(told.app.get(f"{VIEWS}/c2"), 404)
    assert told.count("timeline") == 0


def test_nothing_is_lost_when_events_come_while_views_are_made(told: Told) -> None:
    ids = [f"c{number}" for number in range(6)]
    for id in ids:
        told.customer(id)

    async def hear(number: int) -> None:
        news = {**problem(ids, minutes=number), "id": f"sp-{number}"}
        await take(told.app.ctx, FOLLOWS["serviceProblem"], event("serviceProblem", news))

    async def make() -> None:
        for _ in range(10):
            await assemble.due(told.app.ctx)
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(make(), *(hear(number) for number in range(30)))
        await assemble.due(told.app.ctx)

    told.app.loop.run(both())
    for id in ids:
        assert [entry["entity"]["id"] for entry in told.view(id)["timeline"]] == [
            f"sp-{number}" for number in range(29, 24, -1)
        ]


def test_the_business_numbers_are_shown(told: Told) -> None:
    told.customer("c1")
    told.assemble()
    metrics = told.app.get("/metrics").text
    assert "customer360_assembled_total 1.0" in metrics
    assert "customer360_assembly_delay_seconds_count 1.0" in metrics


def test_a_component_that_joins_later_catches_up_and_then_hears(neighbours: Neighbours) -> None:
    neighbours.resources = {"experienceScore": [score("c1")], "serviceProblem": [problem(["c1"])]}
    neighbours.down = {"experienceManagement", "serviceQuality", "churnPrediction", "productInventory"}
    with started(neighbours, worker=True) as app:
        told = Told(app)
        told.customer("c1")
        until(lambda: app.get(f"{VIEWS}/c1").status_code == 200)
        assert app.get("/health/ready").status_code == 200
        neighbours.down = {"productInventory"}
        until(lambda: len(told.view("c1").get("timeline", [])) == 2)
        until(lambda: "riskManagement" in neighbours.callbacks)
        path = neighbours.callbacks["riskManagement"].removeprefix("http://component.test")
        message = {
            "eventId": "e1",
            "eventType": "PartyRoleRiskAssessmentCreateEvent",
            "eventTime": START.isoformat(),
            "traceparent": TRACE,
            "event": {"partyRoleRiskAssessment": risk("c1", 0.4, minutes=3)},
        }
        for _ in range(2):
            assert app.post(path, message).status_code == 201
        until(lambda: "churnRisk" in told.view("c1"))
        assert len(told.view("c1")["timeline"]) == 3
        rows = app.sql("SELECT traceparent FROM outbox WHERE doc ? 'churnRisk' ORDER BY seq LIMIT 1")
        assert rows[0]["traceparent"][3:35] == TRACE[3:35]


def until(true: Callable[[], bool], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)
