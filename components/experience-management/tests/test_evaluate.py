"""Hop by hop: a service problem becomes the scores of its subjects, once, with evidence, and heals again.

The component runs on a real database; the neighbours it asks are tiny apps that answer from dictionaries.
"""

from __future__ import annotations

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

from experience_management import evaluate, ingest
from experience_management.main import component
from experience_management.resources import ExperienceScore
from tmfkit import Event
from tmfkit.follow import take
from tmfkit.testing import Running, running
from tmfkit.types import Document

SPECIFICATIONS = "/experience-management/tmf-api/experienceManagement/v1/experienceIndexSpecification"
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


def started(neighbours: Neighbours, **values: Any) -> AbstractContextManager[Running]:
    return running(
        component,
        transports=neighbours.transports,
        clock=lambda: neighbours.now,
        dependencies={"serviceQuality": "http://sq.test", "serviceInventory": "http://op.test"},
        upstream_retries=0,
        **values,
    )


def video_breaks(neighbours: Neighbours, subjects: int) -> Document:
    neighbours.measured("video", "cell-017", BROKEN_VIDEO, HEALTHY_VIDEO)
    return problem([neighbours.person(n) for n in range(subjects)])


def test_everybody_a_problem_hits_gets_a_score_with_its_evidence(told: Told, neighbours: Neighbours) -> None:
    told.hear(video_breaks(neighbours, 120))
    told.evaluate()
    scores = told.scores()
    assert {(s["subject"]["id"], s["service"]["id"]) for s in scores} == {
        (f"cust-{n:04d}", f"svc-video-{n:04d}") for n in range(120)
    }
    one = scores[0]
    ExperienceScore.model_validate(one)
    assert one["subject"]["subjectType"] == "person"
    assert one["score"] < 20 < 85 < one["previousScore"]
    assert one["band"] == "bad"
    assert sum(part["loss"] for part in one["contributions"]) == pytest.approx(100 - one["score"], abs=0.01)
    assert one["interval"]["low"] <= one["score"] <= one["interval"]["high"]
    assert (one["coverage"], one["n"]) == (1.0, 6)
    assert one["cause"] == [
        {"id": "sp-1", "href": "http://sq.test/serviceProblem/sp-1", "@referredType": "ServiceProblem"}
    ]
    assert one["indexSpecification"]["id"] == "video-person-1.0"
    assert 1 <= one["opinionScore"] <= 5
    assert one["observedWindow"]["endDateTime"].startswith("2026-03-02T10:00:00")
    assert told.events() == ["Create"] * 120
    assert len(neighbours.asked) == 2


def test_the_trace_of_the_problem_runs_on_in_its_scores(told: Told, neighbours: Neighbours) -> None:
    told.hear(video_breaks(neighbours, 1))
    told.evaluate()
    (row,) = told.app.sql("SELECT traceparent FROM outbox WHERE resource = 'ExperienceScore'")
    assert row["traceparent"][3:35] == TRACE[3:35]


def test_an_event_that_comes_twice_counts_once(told: Told, neighbours: Neighbours) -> None:
    broken = video_breaks(neighbours, 3)
    assert told.hear(broken, event_id="e1")
    assert not told.hear(broken, event_id="e1")
    told.evaluate()
    assert told.hear(broken, event_id="backfill:same content")
    told.evaluate()
    assert told.events() == ["Create"] * 3


def test_news_that_change_nothing_for_subjects_give_no_new_score(told: Told, neighbours: Neighbours) -> None:
    told.hear(video_breaks(neighbours, 2))
    told.evaluate()
    told.hear({**video_breaks(neighbours, 2), "priority": 1, "lastUpdate": "2026-03-02T10:05:00Z"})
    assert told.app.sql("SELECT generation FROM problem")[0][0] == 1


def test_older_news_do_not_undo_newer_ones(told: Told, neighbours: Neighbours) -> None:
    services = [neighbours.person(n) for n in range(2)]
    neighbours.measured("video", "cell-017", BROKEN_VIDEO, HEALTHY_VIDEO)
    told.hear(problem(services, minutes=10), "AttributeValueChange")
    told.hear(problem(services[:1], minutes=0, status="resolved"), "StateChange")
    (row,) = told.app.sql("SELECT open, (SELECT count(*) FROM affected_service) AS n FROM problem")
    assert (row["open"], row["n"]) == (True, 2)


def test_a_thing_is_scored_by_its_worst_need_and_has_no_opinion(told: Told, neighbours: Neighbours) -> None:
    neighbours.measured("telemetry", "cell-017", BROKEN_CONTROL, HEALTHY_CONTROL)
    told.hear(problem([neighbours.thing(1)]))
    told.evaluate()
    (score,) = told.scores()
    assert score["subject"]["id"] == "meter-0001"
    assert score["subject"]["subjectType"] == "thing"
    assert score["score"] == 0
    assert score["previousScore"] > 95
    assert "opinionScore" not in score
    (owner,) = score["relatedParty"]
    assert (owner["role"], owner["partyOrPartyRole"]["id"]) == ("owner", "cust-9999")
    assert told.app.sql("SELECT outcome FROM impact")[0]["outcome"] == "scored"


def test_where_no_user_is_named_the_customer_is(told: Told, neighbours: Neighbours) -> None:
    broken = video_breaks(neighbours, 1)
    (service,) = neighbours.services.values()
    service["relatedParty"] = [{"role": "Customer", "id": "cust-7", "@referredType": "Customer"}]
    told.hear(broken)
    told.evaluate()
    (score,) = told.scores()
    assert score["subject"]["id"] == "cust-7"
    assert "relatedParty" not in score


def test_when_the_problem_ends_the_score_recovers(told: Told, neighbours: Neighbours) -> None:
    broken = video_breaks(neighbours, 2)
    told.hear(broken)
    told.evaluate()
    low = told.scores()[0]["score"]
    neighbours.measured("video", "cell-017", HEALTHY_VIDEO, BROKEN_VIDEO, minutes=90)
    told.hear({**broken, "status": "resolved", "lastUpdate": "2026-03-02T11:30:00Z"}, "StateChange")
    told.evaluate()
    for score in told.scores():
        assert score["previousScore"] == low
        assert score["score"] > 85
        assert score["cause"][0]["id"] == "sp-1"
    assert told.events() == ["Create"] * 2 + ["AttributeValueChange"] * 2
    assert told.app.sql("SELECT evaluated_generation = generation AND NOT open AS done FROM problem")[0]["done"]


def test_what_was_usual_is_that_of_the_time_before_the_problem(told: Told, neighbours: Neighbours) -> None:
    told.hear(video_breaks(neighbours, 1))
    told.evaluate()
    neighbours.measured("video", "cell-017", BROKEN_VIDEO, BROKEN_VIDEO, minutes=60)
    services = [*neighbours.services, neighbours.person(7)]
    told.hear(problem(services, minutes=60), "AttributeValueChange")
    told.evaluate()
    (late,) = told.scores(subject__id="cust-0007")
    assert late["previousScore"] > 85


def test_two_problems_are_both_the_cause_until_one_ends(told: Told, neighbours: Neighbours) -> None:
    first = video_breaks(neighbours, 1)
    second = {**first, "id": "sp-2", "href": "http://sq.test/serviceProblem/sp-2"}
    told.hear(first)
    told.hear(second)
    told.evaluate()
    (score,) = told.scores()
    assert [c["id"] for c in score["cause"]] == ["sp-1", "sp-2"]
    told.hear({**first, "status": "resolved", "lastUpdate": "2026-03-02T10:30:00Z"}, "StateChange")
    told.evaluate()
    assert [c["id"] for c in told.scores()[0]["cause"]] == ["sp-2"]


def test_an_open_problem_is_looked_at_again_when_there_are_new_measurements(told: Told, neighbours: Neighbours) -> None:
    told.hear(video_breaks(neighbours, 2))
    told.evaluate()
    neighbours.now = START + timedelta(seconds=120)
    told.evaluate()
    assert told.events() == ["Create"] * 2
    halved = {**BROKEN_VIDEO, "DRB.UEThpDl": (8.0, "Mbit/s", 0.1)}
    neighbours.measured("video", "cell-017", halved, HEALTHY_VIDEO, minutes=5)
    neighbours.now = START + timedelta(seconds=240)
    told.evaluate()
    assert told.events() == ["Create"] * 2 + ["AttributeValueChange"] * 2


def test_too_few_indicators_are_not_enough_data_and_never_a_zero(told: Told, neighbours: Neighbours) -> None:
    neighbours.measured("video", "cell-017", {"DRB.UEThpDl": (1.0, "Mbit/s", 0.1)}, HEALTHY_VIDEO)
    told.hear(problem([neighbours.person(1)]))
    told.evaluate()
    (score,) = told.scores()
    assert score["band"] == "notEnoughData"
    assert "score" not in score
    assert score["coverage"] == 0.3


def test_a_new_version_of_the_index_is_used_from_then_on(told: Told, neighbours: Neighbours) -> None:
    broken = video_breaks(neighbours, 1)
    told.hear(broken)
    told.evaluate()
    stalling_only = {
        "id": "video-2",
        "name": "video",
        "version": "1.1",
        "subjectType": "person",
        "serviceSpecification": {"id": "video"},
        "contributors": [{"kqi": "stall_ratio", "good": 0, "bad": 200, "weight": 3, "unit": "%"}],
        "lifecycleStatus": "Active",
    }
    assert told.app.post(SPECIFICATIONS, stalling_only).status_code == 201
    assert told.scores()[0]["indexSpecification"]["version"] == "1.0"
    told.hear({**broken, "slaViolation": [{"id": "v2"}], "lastUpdate": "2026-03-02T10:06:00Z"}, "AttributeValueChange")
    told.evaluate()
    (score,) = told.scores()
    assert score["indexSpecification"] == {
        "id": "video-2",
        "href": f"http://component.test{SPECIFICATIONS}/video-2",
        "name": "video",
        "version": "1.1",
        "@referredType": "ExperienceIndexSpecification",
    }
    assert score["score"] == pytest.approx(100 * (1 - (0.7 * 70 + 0.3 * 73.84) / 200), abs=0.1)


@pytest.mark.parametrize("who", ["serviceInventory", "serviceQuality"])
def test_a_neighbour_that_is_down_only_delays(told: Told, neighbours: Neighbours, who: str) -> None:
    neighbours.down = {who}
    told.hear(video_breaks(neighbours, 3))
    told.evaluate()
    told.evaluate()
    assert told.scores() == []
    assert told.app.sql("SELECT waiting_for FROM problem")[0]["waiting_for"]
    neighbours.down = set()
    told.evaluate()
    assert len(told.scores()) == 3
    assert told.app.sql("SELECT waiting_for FROM problem")[0]["waiting_for"] is None


def test_a_service_nobody_knows_is_passed_over(told: Told, neighbours: Neighbours) -> None:
    broken = video_breaks(neighbours, 1)
    broken["affectedService"].append({"id": "svc-unknown"})
    told.hear(broken)
    told.evaluate()
    assert [s["subject"]["id"] for s in told.scores()] == ["cust-0000"]


def test_an_interrupted_run_goes_on_where_it_stopped(
    told: Told, neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "PORTION", 40)
    told.hear(video_breaks(neighbours, 100))
    told.app.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.doc #>> '{subject,id}' = 'cust-0055' THEN RAISE EXCEPTION 'power cut'; END IF; RETURN NEW; END $$"
    )
    told.app.sql("CREATE TRIGGER refuse BEFORE INSERT ON experience_score FOR EACH ROW EXECUTE FUNCTION refuse()")
    with pytest.raises(Exception, match="power cut"):
        told.evaluate()
    assert len(told.scores()) == 40
    told.app.sql("DROP TRIGGER refuse ON experience_score")
    told.evaluate()
    assert len(told.scores()) == 100
    assert told.events() == ["Create"] * 100


def test_a_problem_that_ended_before_we_joined_scores_nobody(told: Told, neighbours: Neighbours) -> None:
    told.hear({**video_breaks(neighbours, 2), "status": "closed"})
    told.evaluate()
    assert told.scores() == []


def test_what_is_old_is_forgotten(told: Told, neighbours: Neighbours) -> None:
    broken = video_breaks(neighbours, 1)
    told.hear(broken)
    told.evaluate()
    told.hear({**broken, "status": "resolved", "lastUpdate": "2026-03-02T10:30:00Z"}, "StateChange")
    told.evaluate()
    neighbours.now = START + timedelta(days=400)
    told.app.loop.run(evaluate.forget(told.app.ctx))
    left = told.app.sql("SELECT (SELECT count(*) FROM problem) AS problems, (SELECT count(*) FROM impact) AS impacts")
    assert tuple(left[0]) == (0, 0)
    assert len(told.scores()) == 1


def test_the_business_numbers_are_shown(told: Told, neighbours: Neighbours) -> None:
    told.hear(video_breaks(neighbours, 4))
    told.evaluate()
    metrics = told.app.get("/metrics").text
    assert 'experience_subjects_scored_total{service="video",subject="person"} 4.0' in metrics
    assert "experience_scores_below_threshold 4.0" in metrics
    assert "experience_perception_delay_seconds_count 4.0" in metrics


def test_a_component_that_joins_later_catches_up_and_then_hears(neighbours: Neighbours) -> None:
    broken = video_breaks(neighbours, 2)
    neighbours.problems = [broken]
    neighbours.down = {"serviceQuality"}
    with started(neighbours, worker=True) as app:
        told = Told(app, neighbours)
        assert app.get("/health/ready").status_code == 200
        neighbours.down = set()
        until(lambda: len(told.scores()) == 2)
        neighbours.measured("video", "cell-017", HEALTHY_VIDEO, HEALTHY_VIDEO, minutes=60)
        healed = {**broken, "status": "resolved", "lastUpdate": "2026-03-02T11:00:00Z"}
        event = {
            "eventId": "e2",
            "eventType": "ServiceProblemStateChangeEvent",
            "eventTime": "2026-03-02T11:00:00Z",
            "event": {"serviceProblem": healed},
        }
        path = neighbours.callback.removeprefix("http://component.test")
        for _ in range(2):
            assert app.post(path, event).status_code == 201
        until(lambda: all(s["score"] > 85 for s in told.scores()))
        assert told.events() == ["Create"] * 2 + ["AttributeValueChange"] * 2


def until(true: Callable[[], bool], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)
