"""The list of seeded faults is whole, and a fault that is on can be seen by anybody, until it is off."""

from __future__ import annotations

import concurrent.futures
import http.server
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mutants import OF_FILE, OF_TMF630, same_clause
from online import declared, online
from seeded import ANSWERS, Fault, Seeded, faults
from seeded_events import EVENTS

from oda_ctk.contract import shipped, tables

LIST = faults()
CUSTOMER = {
    "@type": "Customer",
    "name": "Ana",
    "engagedParty": {"@type": "PartyRef", "@referredType": "Individual", "id": "7", "name": "Ana"},
}


def seeded_fault(id: str) -> Fault:
    return next(f for f in LIST if f.id == id)


class TestTheList:
    def test_it_has_a_hundred_faults_and_each_has_its_own_id(self) -> None:
        assert len(LIST) >= 110
        assert len({f.id for f in LIST}) == len(LIST)

    def test_every_api_file_in_both_versions_has_faults(self) -> None:
        assert {(f.api, f.version) for f in LIST} == set(tables())
        assert {f.version for f in LIST} == {"v4", "v5"}

    def test_hub_and_events_have_faults_in_both_versions(self) -> None:
        for beginning in ("hub_", "event"):
            assert {f.version for f in LIST if f.fault.startswith(beginning)} == {"v4", "v5"}

    def test_every_resource_is_one_of_its_contract(self) -> None:
        for fault in LIST:
            names = {r.name for r in shipped(fault.api, fault.version).resources()}
            assert fault.resource in names, fault.id

    def test_every_kind_can_be_switched_on_and_none_is_unused(self) -> None:
        import seeded_answers
        import seeded_changes
        import seeded_lists

        assert seeded_answers and seeded_changes and seeded_lists
        kinds = {*ANSWERS, *EVENTS}
        assert {f.fault for f in LIST} | {"nothing"} == kinds

    def test_every_fault_says_in_a_sentence_what_it_violates(self) -> None:
        for fault in LIST:
            assert fault.says.endswith(".") and " " in fault.says, fault.id
            assert fault.clause, fault.id
            for clause in fault.clause:
                assert OF_TMF630.match(clause) or OF_FILE.match(clause), clause
                assert " file:" not in clause


class TestTheRuleOfClauses:
    def test_a_section_of_tmf630_is_the_same_however_it_is_written(self) -> None:
        assert same_clause("TMF630 Part 1 §4.4", "TMF630 Part 1 4.4")
        assert same_clause("TMF630 Part 6", "TMF630 Part 6 3")
        assert same_clause("TMF630 Part 1, notifications", "TMF630 Part 1 5 (notification)")
        assert same_clause("TMF630 Part 1, notifications", "TMF630 Part 1 (notification)")
        assert same_clause("TMF630 Part 1, PATCH", "RFC 7396 1")

    def test_statuses_are_a_matter_of_deletion_only_in_a_check_of_deletion(self) -> None:
        assert same_clause("TMF630 Part 1, DELETE", "TMF630 Part 1 3.3", "delete.gone")
        assert not same_clause("TMF630 Part 1, DELETE", "TMF630 Part 1 3.3", "create.malformed")

    def test_other_sections_and_parts_are_not(self) -> None:
        assert not same_clause("TMF630 Part 1 §4.4", "TMF630 Part 1 4.5")
        assert not same_clause("TMF630 Part 1 §4.4", "TMF630 Part 2 4.4")
        assert not same_clause("TMF630 Part 1 §4.4", "TMF630 Part 1 (notification)")
        assert not same_clause("TMF630 Part 1 §4.4", "TMF630 Part 1")
        assert not same_clause("TMF630 Part 1, notifications", "TMF630 Part 1 4.5")
        assert not same_clause("TMF630 Part 1, PATCH", "TMF630 Part 1 3.3")

    def test_a_file_is_the_same_by_api_version_and_subject(self) -> None:
        own = "TMF629 v4: POST customer"
        assert same_clause(own, "TMF629 v4 file: POST /customer")
        assert same_clause(own, "TMF629 v4 file: /customer (mandatory attributes)")
        assert not same_clause(own, "TMF629 v4 file: DELETE /customer")
        assert not same_clause(own, "TMF629 v5 file: POST /customer")
        assert not same_clause(own, "TMF629 v4 file: POST /hub")
        assert not same_clause("TMF717 v5: GET customer", "TMF717 v5 file: GET /customer360")

    def test_events_of_a_file_are_one_subject(self) -> None:
        own = "TMF629 v4: CustomerCreateEvent"
        assert same_clause(own, "TMF629 v4 file: events (types)")
        assert not same_clause(own, "TMF629 v4 file: POST /customer")


class Hearer:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        heard = self.events

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(201)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.callback = f"http://127.0.0.1:{self._server.server_port}/listener"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def about(self, id: str, count: int) -> list[dict[str, Any]]:
        """The events of one resource, as soon as there are so many. Those of others may come late from before."""
        end = time.monotonic() + 20
        while True:
            found = [e for e in self.events if next(iter(e["event"].values()))["id"] == id]
            if len(found) >= count or time.monotonic() > end:
                return found
            time.sleep(0.02)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class TestAFaultIsSeen:
    @pytest.fixture(scope="class")
    @classmethod
    def place(cls) -> Iterator[tuple[Seeded, httpx.Client]]:
        with online(declared("customer_360")) as (app, address), httpx.Client(trust_env=False, timeout=30) as client:
            client.base_url = f"{address}{app.place('TMF629', 'v4')}"
            yield app, client

    def test_a_status_is_wrong_only_as_long_as_its_fault_is_on(self, place: tuple[Seeded, httpx.Client]) -> None:
        app, client = place
        with app.with_fault(seeded_fault("629v4-customer-create-status")):
            assert client.post("/customer", json=CUSTOMER).status_code == 200
        assert client.post("/customer", json=CUSTOMER).status_code == 201

    def test_an_empty_seat_changes_nothing(self, place: tuple[Seeded, httpx.Client]) -> None:
        app, client = place
        id = client.post("/customer", json=CUSTOMER).json()["id"]
        calls = (
            "/customer?limit=1&sort=-name",
            f"/customer/{id}",
            "/customer/none",
            "/customer?name=Ana,Bo&fields=name",
        )
        before = [client.get(path) for path in calls]
        nothing = Fault("nothing", "TMF629", "v4", "customer", "nothing", {}, (), "Nothing.")
        with app.with_fault(nothing):
            after = [client.get(path) for path in calls]
        for one, other in zip(before, after, strict=True):
            assert (one.status_code, one.json()) == (other.status_code, other.json())
            for name in ("x-total-count", "x-result-count", "link", "content-type", "etag"):
                assert one.headers.get(name) == other.headers.get(name)

    def test_a_filter_loses_a_row_and_its_counts_agree(self, place: tuple[Seeded, httpx.Client]) -> None:
        app, client = place
        id = client.post("/customer", json=CUSTOMER).json()["id"]
        with app.with_fault(seeded_fault("629v4-customer-filter-drops")):
            answer = client.get("/customer", params={"id": id})
        assert (answer.json(), answer.headers["x-total-count"]) == ([], "0")
        assert [d["id"] for d in client.get("/customer", params={"id": id}).json()] == [id]

    def test_of_two_changes_at_once_one_is_lost(self, place: tuple[Seeded, httpx.Client]) -> None:
        app, client = place
        path = f"/customer/{client.post('/customer', json=CUSTOMER).json()['id']}"
        lost = seeded_fault("669v4-partyRole-patch-lost-update")
        here = Fault(**{**vars(lost), "api": "TMF629", "resource": "customer"})
        with app.with_fault(here), concurrent.futures.ThreadPoolExecutor(2) as pool:
            changes = [{"statusReason": "moved"}, {"x_note": "called"}]
            answers = list(pool.map(lambda change: client.patch(path, json=change), changes))
        assert [a.status_code for a in answers] == [200, 200]
        now = client.get(path).json()
        assert (now.get("statusReason") == "moved") + (now.get("x_note") == "called") == 1

    def test_what_delete_kept_is_deleted_when_the_fault_is_off(self, place: tuple[Seeded, httpx.Client]) -> None:
        app, client = place
        path = f"/customer/{client.post('/customer', json=CUSTOMER).json()['id']}"
        kept = seeded_fault("672v5-permissionSpecificationSet-delete-kept")
        here = Fault(**{**vars(kept), "api": "TMF629", "version": "v4", "resource": "customer"})
        with app.with_fault(here):
            assert client.delete(path).status_code == 204
            assert client.get(path).status_code == 200
        assert client.get(path).status_code == 404

    def test_a_creation_is_told_twice_and_a_deletion_before_the_change(
        self, place: tuple[Seeded, httpx.Client]
    ) -> None:
        app, client = place
        hearer = Hearer()
        hub = client.post("/hub", json={"callback": hearer.callback}).json()["id"]
        try:
            twice = seeded_fault("642v4-alarm-event-duplicated")
            with app.with_fault(Fault(**{**vars(twice), "api": "TMF629", "resource": "customer"})):
                id = client.post("/customer", json=CUSTOMER).json()["id"]
                told = hearer.about(id, 2)
                assert [e["eventType"] for e in told] == ["CustomerCreateEvent"] * 2
            assert len({e["eventId"] for e in told}) == 2
            with app.with_fault(seeded_fault("629v4-customer-events-swapped")):
                client.patch(f"/customer/{id}", json={"statusReason": "moved"})
                client.delete(f"/customer/{id}")
                told = hearer.about(id, 4)[2:]
            assert [e["eventType"] for e in told] == ["CustomerDeleteEvent", "CustomerAttributeValueChangeEvent"]
        finally:
            client.delete(f"/hub/{hub}")
            hearer.close()
