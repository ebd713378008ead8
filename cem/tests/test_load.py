"""Loading into a small TMF server that is not ours, for what other servers may and may not do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cem import load
from cem.deliver import Collection, Delivered, contains, difference
from cem.instance import InstanceError
from cem.screen import Screen

T = TypeVar("T")
BASE = "http://other.test"


def error(status: int, message: str) -> Response:
    return JSONResponse({"code": str(status), "reason": "refused", "message": message}, status)


@dataclass
class OtherServer:
    """Collections of documents by path. `bulk`: it knows PATCH on a collection; `own_ids`: it gives ids itself;
    `refuses`: an id that it does not take. `requests` are remembered as method and path."""

    bulk: bool = True
    own_ids: bool = False
    refuses: str | None = None
    stored: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    files: list[tuple[str, str, bytes]] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/tmf-api/performanceMeasurement/v1/{door}", self.measured, methods=["POST"]),
                Route("/tmf-api/{api}/{version}/{name}", self.collection, methods=["GET", "POST", "PATCH"]),
                Route("/tmf-api/{api}/{version}/{name}/{id:path}", self.one, methods=["GET", "PATCH"]),
            ]
        )

    def of(self, name: str) -> dict[str, dict[str, Any]]:
        return self.stored.setdefault(name, {})

    def take(self, name: str, document: dict[str, Any]) -> dict[str, Any] | Response:
        documents = self.of(name)
        id = document.get("id")
        if id is not None and id == self.refuses:
            return error(400, f"{id} is not wanted")
        if id is None or self.own_ids:
            id = f"own-{len(documents) + 1}"
        if id in documents:
            return error(409, f"{id} exists already")
        documents[id] = {**document, "id": id, "href": f"{BASE}/{id}", "lastUpdate": "2026-01-01T00:00:00Z"}
        return documents[id]

    async def collection(self, request: Request) -> Response:
        name = request.path_params["name"]
        self.requests.append(f"{request.method} {name}")
        if request.method == "GET":
            listed = list(self.of(name).values())
            return JSONResponse(listed[:1], headers={"X-Total-Count": str(len(listed))})
        if request.method == "POST":
            taken = self.take(name, await request.json())
            return taken if isinstance(taken, Response) else JSONResponse(taken, 201)
        if not self.bulk:
            return error(405, "PATCH is not defined here")
        before, answers = dict(self.of(name)), []
        for operation in await request.json():
            assert operation["op"] == "add"
            taken = self.take(name, operation["value"])
            if isinstance(taken, Response):
                self.stored[name] = before
                return taken
            answers.append(taken)
        return JSONResponse(answers)

    async def one(self, request: Request) -> Response:
        name, id = request.path_params["name"], request.path_params["id"]
        self.requests.append(f"{request.method} {name}/{id}")
        if id not in self.of(name):
            return error(404, f"no {name} {id}")
        if request.method == "PATCH":
            self.of(name)[id] |= await request.json()
        return JSONResponse(self.of(name)[id])

    async def measured(self, request: Request) -> Response:
        body = await request.body()
        self.files.append((request.headers["content-type"], request.query_params.get("mapping", ""), body))
        if b"refuse" in body:
            return error(400, "kpi: missing")
        lines = body.splitlines()
        errors = [
            {"line": i, "attribute": "value", "reason": "no number"}
            for i, line in enumerate(lines, 1)
            if b"bad" in line
        ]
        return JSONResponse(
            {"accepted": len(lines) - 1 - len(errors), "duplicates": 0, "rejected": len(errors), "errors": errors}
        )


def with_client(server: OtherServer, work: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
    async def joined() -> T:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(server.app())) as client:
            return await work(client)

    return asyncio.run(joined())


def delivered(server: OtherServer, documents: list[dict[str, Any]], name: str = "customer") -> Delivered:
    async def work(client: httpx.AsyncClient) -> Delivered:
        return await Collection(client, f"{BASE}/tmf-api/any/v5/{name}").deliver(documents, lambda done: None)

    return with_client(server, work)


def people(count: int) -> list[dict[str, Any]]:
    return [
        {"@type": "Customer", "id": f"c/{i}", "name": f"N{i}", "characteristic": [trait("x", i)]} for i in range(count)
    ]


def trait(name: str, value: Any) -> dict[str, Any]:
    return {"name": name, "value": value}


@pytest.fixture
def told() -> StringIO:
    """What the screen has shown."""
    return StringIO()


@pytest.fixture
def screen(told: StringIO) -> Screen:
    return Screen(Console(file=told, highlight=False))


# --- delivering ------------------------------------------------------------------------------------------------


def test_new_documents_go_in_bulk() -> None:
    server = OtherServer()
    assert delivered(server, people(1200)) == Delivered(created=1200)
    assert server.requests == ["PATCH customer"] * 3
    assert len(server.of("customer")) == 1200


def test_a_second_time_nothing_is_changed_although_the_server_has_added_attributes() -> None:
    server = OtherServer()
    delivered(server, people(20))
    assert delivered(server, people(20)) == Delivered(unchanged=20)
    assert not [r for r in server.requests if r.startswith(("POST", "PATCH customer/"))]


def test_only_what_differs_is_patched_and_what_is_new_is_created() -> None:
    server = OtherServer()
    delivered(server, people(3))
    again = people(4)
    again[1]["name"] = "renamed"
    assert delivered(server, again) == Delivered(created=1, changed=1, unchanged=2)
    assert [r for r in server.requests if r.startswith("PATCH customer/")] == ["PATCH customer/c/1"]
    assert server.of("customer")["c/1"]["name"] == "renamed"


def test_a_server_without_bulk_is_asked_once_for_it_and_then_gets_one_after_the_other() -> None:
    server = OtherServer(bulk=False)
    assert delivered(server, people(1100)) == Delivered(created=1100)
    assert server.requests.count("PATCH customer") == 1


def test_one_document_that_is_refused_does_not_keep_the_others_out() -> None:
    server = OtherServer(refuses="c/2")
    result = delivered(server, people(5))
    assert (result.created, result.refused) == (4, {"c/2": "400 c/2 is not wanted"})


def test_documents_without_an_id_are_created_each_time() -> None:
    server = OtherServer()
    assert delivered(server, [{"name": "a"}, {"name": "b"}]).created == 2
    assert delivered(server, [{"name": "a"}, {"name": "b"}]).created == 2
    assert len(server.of("customer")) == 4


def test_ids_that_the_server_has_replaced_are_counted() -> None:
    assert delivered(OtherServer(own_ids=True), people(3)).renamed == 3
    assert delivered(OtherServer(own_ids=True, bulk=False), people(3)).renamed == 3


def test_characteristics_of_others_stay_when_ours_are_patched() -> None:
    stored = {"characteristic": [trait("theirs", 1), trait("x", 2)]}
    assert difference(stored, {"characteristic": [trait("x", 3), trait("y", 4)]}) == {
        "characteristic": [trait("theirs", 1), trait("x", 3), trait("y", 4)]
    }
    assert difference(stored, {"characteristic": [trait("x", 2)]}) == {}


@pytest.mark.parametrize(
    ("stored", "sent", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ([1, 2], [1], False),
        ([{"a": 1, "b": 2}], [{"a": 1}], True),
        (1, 1.0, True),
        (1, True, False),
        (True, 1, False),
        (None, {}, False),
    ],
)
def test_what_was_sent_is_contained_in_what_is_stored(stored: Any, sent: Any, expected: bool) -> None:
    assert contains(stored, sent) is expected


def test_a_server_that_fails_ends_the_load() -> None:
    async def failing(request: Request) -> Response:
        return error(503, "later")

    app = Starlette(routes=[Route("/{path:path}", failing, methods=["GET", "PATCH"])])

    async def work() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            await Collection(client, f"{BASE}/customer").deliver(people(1), lambda done: None)

    with pytest.raises(httpx.HTTPStatusError, match="503"):
        asyncio.run(work())


# --- customers -------------------------------------------------------------------------------------------------

TELCO = (
    "customerID,gender,SeniorCitizen,Partner,Dependents,tenure,PhoneService,MultipleLines,InternetService,"
    "OnlineSecurity,OnlineBackup,DeviceProtection,TechSupport,StreamingTV,StreamingMovies,Contract,"
    "PaperlessBilling,PaymentMethod,MonthlyCharges,TotalCharges,Churn,Colour"
)


def telco(id: str, tenure: str = "2", churn: str = "Yes") -> str:
    rest = "Yes,Yes,DSL,No,No,No,No,Yes,Yes,Two year,Yes,Mailed check,95.5,190"
    return f"{id},Female,1,No,No,{tenure},{rest},{churn},red"


def test_rows_that_cannot_be_read_are_told_and_the_others_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    rows = [telco("A"), telco("B", tenure="two"), telco("A", tenure="9"), telco("C", churn="")]
    file.write_text("\n".join([TELCO, *rows]) + "\n")
    found = load.customers(file, load.customer_mapping("ibm-telco"))
    assert [p["id"] for p in found.payloads] == ["A", "C"]
    assert found.labelled == 1
    assert found.unmapped == ("Colour",)
    assert found.faults == ["row 2 (B), column tenure: 'two' is no integer", "row 3: A stands in row 1 already"]


def test_a_file_that_lacks_a_column_of_the_mapping_is_refused_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("customerID\nA\n")
    with pytest.raises(InstanceError, match="the file has no column gender"):
        load.customers(tmp_path / "c.csv", load.customer_mapping("ibm-telco"))


def test_a_mapping_is_found_by_its_name_or_as_a_file_and_an_unknown_one_is_told_with_those_that_are_here(
    tmp_path: Path,
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        json.dumps(
            {
                "name": "own",
                "id": {"column": "a"},
                "customerName": {"column": "a"},
                "engagedParty": {"column": "a", "referredType": "Individual"},
                "columns": [],
            }
        )
    )
    assert load.customer_mapping(str(own)).name == "own"
    assert load.customer_mapping("ibm-telco").name == "ibm-telco"
    with pytest.raises(InstanceError, match="ibm_telco"):
        load.customer_mapping("nobody")
    own.write_text("{}")
    with pytest.raises(InstanceError, match="is missing"):
        load.customer_mapping(str(own))


def test_loading_customers_says_what_became_of_them_and_how_many_there_are(
    tmp_path: Path, screen: Screen, told: StringIO
) -> None:
    file = tmp_path / "c.csv"
    file.write_text("\n".join([TELCO, telco("A"), telco("B"), telco("C", tenure="x")]) + "\n")
    given = load.customers(file, load.customer_mapping("ibm-telco"))
    server = OtherServer()
    with_client(server, lambda client: load.load_customers(client, BASE, given, screen))
    assert "customers: 2 created, 0 changed, 0 already there, 1 refused" in told.getvalue()
    assert "column tenure: 'x' is no integer" in told.getvalue()
    assert "in TMF629 now: 2 customers" in told.getvalue()
    assert set(server.of("customer")) == {"A", "B"}


def test_waiting_for_assessments_ends_when_everybody_has_one(screen: Screen, told: StringIO) -> None:
    server = OtherServer()

    async def work(client: httpx.AsyncClient) -> int:
        waiting = asyncio.create_task(load.assessed(client, BASE, 3, screen))
        for i in range(3):
            await asyncio.sleep(0.01)
            assert not waiting.done()
            server.of("partyRoleRiskAssessment")[str(i)] = {"id": str(i)}
        return await waiting

    assert with_client(server, work) == 3
    assert "in TMF696 now: 3 risk assessments" in told.getvalue()


# --- inventory -------------------------------------------------------------------------------------------------


def test_an_inventory_goes_where_the_type_of_each_resource_belongs(screen: Screen, told: StringIO) -> None:
    server = OtherServer()
    documents = [
        {"id": "p", "@type": "Product"},
        {"id": "s", "@type": "CustomerFacingService", "@baseType": "Service"},
        {"id": "r1", "@type": "LogicalResource"},
        {"id": "r2", "@type": "PhysicalResource"},
    ]
    assert with_client(server, lambda client: load.load_inventory(client, BASE, documents, None, screen))
    assert {name: set(found) for name, found in server.stored.items()} == {
        "product": {"p"},
        "service": {"s"},
        "resource": {"r1", "r2"},
    }


def test_an_inventory_may_be_sent_to_one_collection_whatever_its_types_are(screen: Screen) -> None:
    server = OtherServer()
    url = f"{BASE}/tmf-api/resourceInventoryManagement/v5/logicalResource"
    documents = [{"id": "cell-1", "@type": "Gnb"}]
    assert with_client(server, lambda client: load.load_inventory(client, url, documents, None, screen))
    assert set(server.of("logicalResource")) == {"cell-1"}


def test_a_type_that_says_nothing_needs_the_kind() -> None:
    with pytest.raises(InstanceError, match="--kind"):
        load.collection_of({"id": "x", "@type": "Gnb"}, None)
    assert load.collection_of({"id": "x", "@type": "Gnb"}, "resource") == "resource"


def test_a_server_that_gives_its_own_ids_is_warned_of(screen: Screen, told: StringIO) -> None:
    server = OtherServer(own_ids=True)
    documents = [{"id": "cell-1", "@type": "LogicalResource"}]
    assert with_client(server, lambda client: load.load_inventory(client, BASE, documents, None, screen))
    assert "1 got another id than in the file" in told.getvalue()


# --- measurements ----------------------------------------------------------------------------------------------


def measured(server: OtherServer, file: Path, by: dict[str, Any] | None, screen: Screen) -> bool:
    return with_client(server, lambda client: load.load_measurements(client, BASE, file, by, screen))


def test_an_xml_file_goes_as_it_is_with_its_mapping(tmp_path: Path, screen: Screen, told: StringIO) -> None:
    file, server = tmp_path / "A20260101.xml", OtherServer()
    file.write_bytes(b'<?xml version="1.0"?>\n<measCollecFile>\n</measCollecFile>')
    assert measured(server, file, {"service": "video"}, screen)
    assert server.files == [("application/xml", '{"service": "video"}', file.read_bytes())]
    assert "A20260101.xml: 2 accepted, 0 already there, 0 rejected" in told.getvalue()


def test_the_lines_of_a_table_in_parts_are_told_as_lines_of_the_file(
    tmp_path: Path, screen: Screen, told: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "PART_BYTES", 20)
    file, server = tmp_path / "m.csv", OtherServer()
    file.write_text("resource,value\ncell,1\ncell,2\ncell,3\ncell,bad\ncell,5\n")
    assert not measured(server, file, None, screen)
    assert len(server.files) > 1
    assert "4 accepted, 0 already there, 1 rejected" in told.getvalue()
    assert "line 5: value: no number" in told.getvalue()


def test_rows_in_json_go_as_lines(tmp_path: Path, screen: Screen) -> None:
    file, server = tmp_path / "m.json", OtherServer()
    file.write_text('[{"kpi": "a"}, {"kpi": "b"}]')
    assert measured(server, file, None, screen)
    assert server.files == [("application/x-ndjson", "", b'{"kpi": "a"}\n{"kpi": "b"}')]


def test_a_file_that_is_refused_as_a_whole_is_told_with_the_reason(tmp_path: Path, screen: Screen) -> None:
    file = tmp_path / "m.csv"
    file.write_text("a\nrefuse\n")
    with pytest.raises(InstanceError, match="400 kpi: missing"):
        measured(OtherServer(), file, None, screen)
