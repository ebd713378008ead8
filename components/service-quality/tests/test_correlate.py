"""The correlation flow: violations to one problem per fault, with inventories that are real HTTP applications."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from service_quality import correlate, evaluate
from service_quality import resources as r
from service_quality.main import component
from tmfkit.testing import Running, running

Doc = dict[str, Any]
NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
START = datetime(2026, 11, 9, tzinfo=UTC)
ROOT = "/service-quality/tmf-api"
OBJECTIVE = f"{ROOT}/serviceQualityManagement/v4/serviceLevelObjective"
VIOLATION = f"{ROOT}/serviceLevelViolation/v1/serviceLevelViolation"
PROBLEM = f"{ROOT}/serviceProblemManagement/v5/serviceProblem"
CELLS = [f"cell-{n:03d}" for n in range(1, 25)]
SITE = {cell: f"site-{n // 3 + 1}" for n, cell in enumerate(CELLS)}
DU = {cell: f"du-{n // 12 + 1}" for n, cell in enumerate(CELLS)}
INDUSTRIAL = {cell for n, cell in enumerate(CELLS) if n % 4 == 0}
HEALTHY = 13  # slots sent before any fault: more than an hour of baseline


class Inventories:
    """TMF638 and TMF639 of a small network: 24 cells of 8 sites and 2 DU pools; two viewers and one meter per cell."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.delay_s = 0.0
        self.tells_services = True
        routes = [
            Route("/tmf-api/serviceInventoryManagement/v5/service", self.services),
            Route("/tmf-api/resourceInventoryManagement/v4/resource", self.resources),
        ]
        self.app = Starlette(routes=routes)

    def transports(self) -> dict[str, httpx.AsyncBaseTransport]:
        return {name: Line(self, name) for name in ("serviceInventory", "resourceInventory")}

    async def resources(self, request: Request) -> JSONResponse:
        def of(id: str, category: str, *related: tuple[str, str]) -> Doc:
            links = [{"relationshipType": kind, "id": other} for kind, other in related]
            return {"id": id, "name": id.upper(), "category": category, "resourceRelationship": links}

        docs = [of(f"du-{n}", "du", ("contains", f"site-{4 * n}")) for n in (1, 2)]
        docs += [
            of(site, "site", ("containedIn", DU[cell])) for cell, site in SITE.items() if CELLS.index(cell) % 3 == 0
        ]
        docs += [of("slice-embb", "slice"), of("slice-urllc", "slice"), of("slice-mmtc", "slice")]
        for cell in CELLS:
            doc = of(cell, "cell", ("containedIn", SITE[cell]))
            for name, kinds in (("slice-embb", ["video"]), (meter_slice(cell), ["telemetry"])):
                told = [{"name": "service", "value": kinds}]
                more = {"resourceRelationshipCharacteristic": told} if self.tells_services else {}
                doc["resourceRelationship"].append({"relationshipType": "belongsTo", "id": name, **more})
            docs.append(doc)
        return paged(request, docs, 100)

    async def services(self, request: Request) -> JSONResponse:
        docs = []
        for n, cell in enumerate(CELLS):
            for viewer in range(2):
                user = {
                    "role": "user",
                    "partyOrPartyRole": {"id": f"cust-{2 * n + viewer}", "@referredType": "Customer"},
                }
                docs.append(service(f"svc-v{n}-{viewer}", "video", [cell, "slice-embb"], relatedParty=[user]))
            meter = {"role": "user", "entity": {"id": f"thing-{n}", "@referredType": "PhysicalResource"}}
            owner = {"role": "owner", "partyOrPartyRole": {"id": "cust-owner", "@referredType": "Customer"}}
            more = {"relatedEntity": [meter], "relatedParty": [owner]}
            docs.append(service(f"svc-t{n}", "telemetry", [cell, meter_slice(cell)], **more))
        asked = {
            k: set(v.split(",")) for k, v in request.query_params.items() if k not in ("fields", "offset", "limit")
        }
        found = [
            d
            for d in docs
            if d["serviceSpecification"]["id"] in asked["serviceSpecification.id"]
            and {x["id"] for x in d["supportingResource"]} & asked["supportingResource.id"]
        ]
        return paged(request, found, 2)


class Line(httpx.ASGITransport):
    """The network between the component and an inventory, which can be cut or slow."""

    def __init__(self, inventories: Inventories, name: str) -> None:
        super().__init__(inventories.app)
        self.inventories, self.name = inventories, name

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self.inventories.delay_s)
        if self.name in self.inventories.down:
            raise httpx.ConnectError("refused", request=request)
        return await super().handle_async_request(request)


def meter_slice(cell: str) -> str:
    return "slice-urllc" if cell in INDUSTRIAL else "slice-mmtc"


def service(id: str, kind: str, resources: list[str], **more: Any) -> Doc:
    below = [{"id": name, "@referredType": "LogicalResource"} for name in resources]
    return {"id": id, "href": f"http://inventory/{id}", "state": "active", "serviceSpecification": {"id": kind},
            "supportingResource": below, **more}  # fmt: skip


def paged(request: Request, docs: list[Doc], most: int) -> JSONResponse:
    offset, limit = int(request.query_params.get("offset", 0)), min(int(request.query_params["limit"]), most)
    page = docs[offset : offset + limit]
    return JSONResponse(page, 200 if len(page) == len(docs) else 206, {"X-Total-Count": str(len(docs))})


class Network:
    """The component with its inventories, fed with five-minute steps of every cell."""

    def __init__(self, app: Running, inventories: Inventories) -> None:
        self.app, self.inventories, self.slot = app, inventories, 0
        for kind, kpi, comparator, limit in (
            ("video", "DRB.UEThpDl", ">=", "5"), ("telemetry", "DRB.AirIfDelayDl", "<=", "50")
        ):  # fmt: skip
            related = [{"role": "service", "id": kind, "@referredType": "ServiceSpecification"}]
            body = {
                "name": kpi,
                "conformanceComparator": comparator,
                "conformanceTarget": "0.8",
                "thresholdTarget": limit,
                "serviceLevelObjectiveParameter": {"name": kpi, "relatedEntity": related},
            }
            assert app.post(OBJECTIVE, body).status_code == 201

    def step(self, video: Collection[str] = (), telemetry: Collection[str] = (), trace: int = 0) -> None:
        """Five minutes in which video (or telemetry) fails in some cells; then both flows run."""
        self.send(video, telemetry, trace)
        self.app.loop.run(evaluate.due(self.app.ctx))
        self.correlate()

    def send(self, video: Collection[str] = (), telemetry: Collection[str] = (), trace: int = 0) -> None:
        at = (START + timedelta(minutes=5 * self.slot)).isoformat()
        rows = []
        for n, cell in enumerate(CELLS):
            wobble = 1 + 0.02 * ((7 * n + 11 * self.slot) % 13 - 6) / 6
            given = {"resource": cell, "observedAt": at, "granularityS": 300}
            mbps, ms = (1.0 if cell in video else 12.0 + n % 4), (400.0 if cell in telemetry else 10.0 + n % 3)
            rows.append({**given, "service": "video", "kpi": "DRB.UEThpDl", "value": mbps * wobble, "unit": "Mbit/s"})
            rows.append(
                {**given, "service": "telemetry", "kpi": "DRB.AirIfDelayDl", "value": ms * wobble, "unit": "ms"}
            )
        headers = {"traceparent": f"00-{trace:032x}-00000000000000aa-01"} if trace else {}
        path = f"{ROOT}/performanceMeasurement/v1/measurement"
        answer = self.app.post(path, rows, headers=headers).json()
        assert answer["accepted"] == len(rows), answer
        self.slot += 1

    def correlate(self) -> None:
        self.app.loop.run(correlate.due(self.app.ctx))

    def healthy(self, steps: int = HEALTHY) -> None:
        for _ in range(steps):
            self.step()

    def problems(self, **query: str) -> list[Doc]:
        found: list[Doc] = self.app.get(PROBLEM, params=query).json()
        for problem in found:
            r.ServiceProblem.model_validate(problem)
        return found

    def problem(self) -> Doc:
        (found,) = self.problems()
        return found

    def events(self, id: str) -> list[str]:
        return [row["kind"] for row in self.app.sql("SELECT kind FROM outbox WHERE resource_id = $1 ORDER BY seq", id)]


def ids(references: list[Doc] | None, role: str | None = None) -> set[str]:
    """Ids of references, or of those in a role."""
    if role is None:
        return {one["id"] for one in references or []}
    inside = [one.get("entity") or one["partyOrPartyRole"] for one in references or [] if one["role"] == role]
    return {one["id"] for one in inside}


SETTINGS: Doc = {
    "dependencies": {"serviceInventory": "http://inventory", "resourceInventory": "http://inventory"},
    "upstream_retries": 0,
    "topology_ttl_s": 1e-6,
    "inventory_patience_s": 2.0,
}


@pytest.fixture
def inventories() -> Inventories:
    return Inventories()


@pytest.fixture
def network(inventories: Inventories) -> Iterator[Network]:
    with running(component, clock=lambda: NOW, transports=inventories.transports(), **SETTINGS) as app:
        yield Network(app, inventories)


def test_a_failing_cell_is_one_problem_with_whom_it_affects(network: Network) -> None:
    network.healthy()
    for _ in range(3):
        network.step(video={"cell-005"}, telemetry={"cell-005"})
    found = network.problem()
    assert [(c["id"], c["name"]) for c in found["rootCauseResource"]] == [("cell-005", "CELL-005")]
    assert (found["category"], found["status"]) == ("serviceQuality", "inProgress")
    assert ids(found["affectedService"]) == {"svc-v4-0", "svc-v4-1", "svc-t4"}
    assert found["affectedNumberOfServices"] == 3
    assert ids(found["relatedParty"], "affectedCustomer") == {"cust-8", "cust-9", "cust-owner"}
    assert ids(found["relatedEntity"], "affectedThing") == {"thing-4"}
    assert ids(found["relatedEntity"], "service") == {"video", "telemetry"}
    assert found["originatorParty"]["partyOrPartyRole"]["id"] == "service-quality"
    violations = network.app.get(VIOLATION).json()
    assert ids(found["slaViolation"]) == {v["id"] for v in violations}
    for reference in found["slaViolation"]:
        violation = network.app.get(reference["href"]).json()
        assert network.app.get(violation["serviceProblem"]["href"]).json() == found
    assert network.events(found["id"]) == ["Create", "StateChange"]
    old = network.app.get(f"{ROOT}/serviceProblemManagement/v4/serviceProblem/{found['id']}").json()
    r.ServiceProblemV4.model_validate(old)
    assert {p["id"] for p in old["relatedParty"]} == {"cust-8", "cust-9", "cust-owner"}


def test_a_failing_site_is_one_problem_at_the_site(network: Network) -> None:
    network.healthy()
    for _ in range(3):
        network.step(video={"cell-004", "cell-005", "cell-006"})
    found = network.problem()
    assert ids(found["rootCauseResource"]) == {"site-2"}
    assert ids(found["affectedResource"]) == {"cell-004", "cell-005", "cell-006"}
    assert len(found["affectedService"]) == 6


def test_a_starved_slice_is_found_across_the_sites_it_crosses(network: Network) -> None:
    network.healthy()
    for _ in range(3):
        network.step(telemetry=INDUSTRIAL)
    found = network.problem()
    assert ids(found["rootCauseResource"]) == {"slice-urllc"}
    assert ids(found["relatedEntity"], "affectedThing") == {f"thing-{CELLS.index(cell)}" for cell in INDUSTRIAL}


def test_which_slice_carries_a_service_is_looked_up_where_the_topology_does_not_say(network: Network) -> None:
    network.inventories.tells_services = False
    network.healthy()
    for _ in range(3):
        network.step(telemetry=INDUSTRIAL)
    assert ids(network.problem()["rootCauseResource"]) == {"slice-urllc"}


def test_a_service_that_fails_everywhere_is_named_as_the_root(network: Network) -> None:
    network.healthy()
    for _ in range(3):
        network.step(video=CELLS)
    found = network.problem()
    assert ids(found.get("rootCauseResource")) | ids(found.get("rootCauseService")) <= {"slice-embb", "video"}
    assert found["affectedNumberOfServices"] == 48


def test_two_faults_at_once_are_two_problems(network: Network) -> None:
    network.healthy()
    for _ in range(3):
        network.step(video={"cell-004", "cell-005", "cell-006"}, telemetry={"cell-020"})
    assert sorted(min(ids(p["rootCauseResource"])) for p in network.problems()) == ["cell-020", "site-2"]


def test_a_fault_seen_in_part_at_first_stays_one_problem(network: Network) -> None:
    network.healthy()
    whole = set(CELLS[:12])
    network.step(video={"cell-001"})
    network.step(video={"cell-001"})
    first = network.problem()
    assert ids(first["rootCauseResource"]) == {"cell-001"}
    for _ in range(3):
        network.step(video=whole)
    found = network.problem()
    assert found["id"] == first["id"]
    assert ids(found["rootCauseResource"]) == {"du-1"}
    assert len(found["slaViolation"]) == 12
    assert found["affectedNumberOfServices"] == 24


def test_problems_that_turn_out_to_be_one_fault_become_one(network: Network) -> None:
    network.healthy()
    for _ in range(2):
        network.step(video={"cell-001", "cell-009"})
    assert sorted(min(ids(p["rootCauseResource"])) for p in network.problems()) == ["cell-001", "cell-009"]
    for _ in range(2):
        network.step(video=set(CELLS[:12]))
    (kept,) = network.problems(status="inProgress")
    (gone,) = network.problems(status="cancelled")
    assert ids(kept["rootCauseResource"]) == {"du-1"}
    assert len(kept["slaViolation"]) == 12
    assert ids(gone["parentProblem"]) == {kept["id"]}
    assert network.app.sql("SELECT count(DISTINCT problem_id) FROM breach")[0][0] == 1


def test_a_problem_is_resolved_when_all_is_cleared_and_closed_an_hour_later(network: Network) -> None:
    network.healthy()
    for _ in range(3):
        network.step(video={"cell-005"}, telemetry={"cell-005"})
    for _ in range(6):
        network.step(telemetry={"cell-005"})
    assert network.problem()["status"] == "inProgress"
    network.healthy(6)
    found = network.problem()
    assert (found["status"], found["resolutionDate"]) == ("resolved", "2026-11-10T12:00:00.000Z")
    network.healthy(12)
    assert network.problem()["status"] == "resolved"
    network.healthy(1)
    assert network.problem()["status"] == "closed"
    assert network.events(found["id"])[-3:] == ["StateChange", "AttributeValueChange", "StateChange"]
    network.healthy(1)
    assert network.app.sql("SELECT count(*) FROM cause WHERE open")[0][0] == 0


def test_a_fault_that_comes_back_at_once_reopens_its_problem_and_a_later_one_is_new(network: Network) -> None:
    network.healthy()
    for _ in range(3):
        network.step(video={"cell-005"})
    network.healthy(6)
    first = network.problem()
    assert first["status"] == "resolved"
    for _ in range(2):
        network.step(video={"cell-005"})
    again = network.problem()
    assert (again["id"], again["status"], len(again["slaViolation"])) == (first["id"], "inProgress", 2)
    assert "resolutionDate" not in again
    network.healthy(6 + 6)
    for _ in range(2):
        network.step(video={"cell-005"})
    assert sorted(p["status"] for p in network.problems()) == ["inProgress", "resolved"]


def test_while_the_inventories_are_down_a_problem_is_raised_and_completed_later(network: Network) -> None:
    network.healthy()
    network.inventories.down = {"serviceInventory", "resourceInventory"}
    network.app.loop.run(_forget_topology(network))
    for _ in range(2):
        network.step(video={"cell-004", "cell-005", "cell-006"})
    found = network.problem()
    assert (found["status"], ids(found["rootCauseResource"])) == ("acknowledged", {"cell-004", "cell-005", "cell-006"})
    assert "affectedNumberOfServices" not in found
    network.inventories.down = {"serviceInventory"}
    network.correlate()
    assert ids(network.problem()["rootCauseResource"]) == {"site-2"}
    network.inventories.down = set()
    network.correlate()
    done = network.problem()
    assert (done["id"], done["status"], done["affectedNumberOfServices"]) == (found["id"], "inProgress", 6)
    before = network.events(done["id"])
    network.correlate()
    assert network.events(done["id"]) == before


async def _forget_topology(network: Network) -> None:
    from service_quality.topology import _KEPT

    _KEPT.pop(network.app.ctx, None)


def test_a_topology_once_read_serves_while_the_inventory_is_down(network: Network) -> None:
    network.healthy()
    network.inventories.down = {"resourceInventory"}
    for _ in range(2):
        network.step(video={"cell-004", "cell-005", "cell-006"})
    assert ids(network.problem()["rootCauseResource"]) == {"site-2"}


def test_an_inventory_that_hangs_does_not_hold_up_a_problem(inventories: Inventories) -> None:
    settings = {**SETTINGS, "inventory_patience_s": 0.2}
    with running(component, clock=lambda: NOW, transports=inventories.transports(), **settings) as app:
        network = Network(app, inventories)
        network.healthy()
        inventories.delay_s = 0.6
        for _ in range(2):
            network.step(video={"cell-005"})
        found = network.problem()
        assert (found["status"], "affectedService" in found) == ("acknowledged", False)
        inventories.delay_s = 0.0
        network.correlate()
        assert network.problem()["affectedNumberOfServices"] == 2


def test_the_lists_of_a_problem_are_cut_but_its_number_is_not(inventories: Inventories) -> None:
    with running(
        component, clock=lambda: NOW, transports=inventories.transports(), affected_limit=4, **SETTINGS
    ) as app:
        network = Network(app, inventories)
        network.healthy()
        for _ in range(3):
            network.step(video=set(CELLS[:12]))
        found = network.problem()
        assert (len(found["affectedService"]), found["affectedNumberOfServices"]) == (4, 24)
        assert len(ids(found["relatedParty"], "affectedCustomer")) == 4


def test_run_twice_or_at_once_it_makes_no_second_problem(network: Network) -> None:
    network.healthy()
    for _ in range(2):
        network.send(video={"cell-004", "cell-005", "cell-006"})
    network.app.loop.run(evaluate.due(network.app.ctx))

    async def at_once() -> list[Any]:
        return await asyncio.gather(*(correlate.due(network.app.ctx) for _ in range(3)), return_exceptions=True)

    network.app.loop.run(at_once())
    network.correlate()
    found = network.problem()
    assert len(found["slaViolation"]) == 3
    assert network.events(found["id"]) == ["Create", "StateChange"]


def test_a_run_that_dies_leaves_nothing_behind(network: Network) -> None:
    network.healthy()
    app = network.app
    app.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'died'; END $$")
    app.sql("CREATE TRIGGER refuse BEFORE INSERT ON cause FOR EACH ROW EXECUTE FUNCTION refuse()")
    network.step(video={"cell-005"})
    with pytest.raises(asyncpg.RaiseError):
        network.step(video={"cell-005"})
    assert network.problems() == []
    assert "serviceProblem" not in app.get(VIOLATION).json()[0]
    app.sql("DROP FUNCTION refuse CASCADE")
    network.correlate()
    assert len(network.problem()["slaViolation"]) == 1


def test_after_a_restart_a_problem_grows_and_ends_as_before(network: Network) -> None:
    network.healthy()
    for _ in range(2):
        network.step(video={"cell-005"})
    found = network.problem()
    url, inventories = network.app.settings.database_url, network.inventories
    with running(
        component, clock=lambda: NOW, transports=inventories.transports(), database_url=url, **SETTINGS
    ) as app:
        again = Network.__new__(Network)
        again.app, again.inventories, again.slot = app, inventories, network.slot
        for _ in range(2):
            again.step(video={"cell-005"}, telemetry={"cell-005"})
        assert (again.problem()["id"], len(again.problem()["slaViolation"])) == (found["id"], 2)
        again.healthy(6)
        assert again.problem()["status"] == "resolved"


def test_what_somebody_ended_by_hand_stays_ended(network: Network) -> None:
    network.healthy()
    for _ in range(2):
        network.step(video={"cell-005"})
    first = network.problem()
    assert network.app.patch(f"{PROBLEM}/{first['id']}", {"status": "cancelled"}).status_code == 200
    for _ in range(2):
        network.step(video={"cell-005"}, telemetry={"cell-005"})
    network.correlate()
    assert sorted(p["status"] for p in network.problems()) == ["cancelled", "inProgress"]
    (second,) = network.problems(status="inProgress")
    assert ids(second["relatedEntity"], "service") == {"telemetry"}


def test_one_trace_runs_from_the_batch_to_the_problem_and_its_end(network: Network) -> None:
    network.healthy()
    for trace in (1, 2):
        network.step(video={"cell-005"}, trace=trace)
    for trace in range(3, 9):
        network.step(trace=trace)
    rows = network.app.sql("SELECT kind, traceparent FROM outbox WHERE resource = 'ServiceProblem' ORDER BY seq")
    assert [(row["kind"], int(row["traceparent"][3:35], 16)) for row in rows] == [
        ("Create", 2), ("StateChange", 2), ("StateChange", 8),
        ("AttributeValueChange", 8),
    ]  # fmt: skip


def test_open_problems_are_a_metric(network: Network) -> None:
    network.healthy()
    for _ in range(2):
        network.step(video={"cell-005"})
    assert "service_quality_problems_open 1.0" in network.app.get("/metrics").text
    network.healthy(6)
    assert "service_quality_problems_open 0.0" in network.app.get("/metrics").text


def test_a_healthy_network_has_no_problem(network: Network) -> None:
    network.healthy(20)
    assert (network.problems(), network.app.get(VIOLATION).json()) == ([], [])


def test_without_inventories_configured_the_component_works_alone_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running(component, clock=lambda: NOW) as app:
        network = Network(app, Inventories())
        network.healthy()
        for _ in range(2):
            network.step(video={"cell-005"})
        assert (network.problem()["status"], app.get("/health/ready").status_code) == ("acknowledged", 200)
        network.correlate()
        told = [record.name for record in caplog.records if record.name.startswith("service_quality")]
        assert sorted(told) == ["service_quality.correlate", "service_quality.topology"]
