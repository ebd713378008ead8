"""One stored document, two API versions: what each sees, and that a change through the old one loses nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from shared.tests.support import shipments
from shared.tests.support.serving import Listener, database
from shared.tests.support.shipping import (
    BASE,
    DEPOTS,
    HUB_V4,
    HUB_V5,
    SHIPMENT,
    V4,
    V5,
    Shipment,
    ShipmentV4,
    component,
)

from tmfkit.event import envelope
from tmfkit.patch import changed
from tmfkit.query import matches, names_of, parse
from tmfkit.testing import LOCAL, Running, assert_tmf_error, running
from tmfkit.types import Document
from tmfkit.versions import paired, view

OLD, NEW = view(SHIPMENT, "v4", "v5"), view(SHIPMENT, "v5", "v5")
JSON_PATCH = "application/json-patch+json"
PARTY = {"id": "42", "role": "sender", "name": "Ann", "@referredType": "Individual"}


def random_documents(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    with running(component, database_url=database(component)) as app:
        yield app


def created(app: Running, path: str = V5, **attributes: Any) -> Document:
    name = "shipmentName" if path == V4 else "name"
    answer = app.post(path, {name: "Rome", **attributes})
    assert answer.status_code == 201, answer.text
    doc: Document = answer.json()
    return doc


def plain(doc: Document) -> Document:
    """A document without what the server adds."""
    return {k: v for k, v in doc.items() if k not in ("id", "href", "creationDate", "lastUpdate")}


def v5_mistakes(doc: Document) -> list[str]:
    """What of a stored document contradicts the v5 model; v4 clients may leave out what v5 makes mandatory."""
    try:
        Shipment.model_validate({**doc, "id": "x", "href": "x"})
    except ValidationError as e:
        return [f"{m['loc']}: {m['msg']}" for m in e.errors() if m["type"] != "missing"]
    return []


# --- what a v4 client does, a v5 client keeps --------------------------------------------------------------


def assert_nothing_is_lost(stored: Document, patched: shipments.Patched, after: Document) -> None:
    """Every hidden value of every member that is still there is where it was."""
    assert after.get("description") == stored.get("description")
    if "destination" in patched.view:
        assert after["destination"].get("code") == stored["destination"].get("code")
    for name, origin in patched.origins.items():
        assert len(after[name]) == len(origin)
        for i, j in enumerate(origin):
            if j is None:
                continue
            old, new = stored[name][j], after[name][i]
            if name == "relatedParty":
                assert new["partyOrPartyRole"]["@type"] == old["partyOrPartyRole"]["@type"]
                assert new.get("x_since") == old.get("x_since")
                assert new["@type"] == old["@type"]
            hidden = {"leg": "seal", "insurance": "id"}.get(name, "")
            assert new.get(hidden) == old.get(hidden)
            if name == "leg" and i in patched.stops:
                codes = [None if k is None else old["stop"][k].get("code") for k in patched.stops[i]]
                assert [s.get("code") for s in new["stop"]] == codes
            elif name == "leg":
                assert new.get("stop") == old.get("stop")


@random_documents(400)
@given(st.data())
def test_a_v4_change_never_loses_what_only_v5_shows(data: st.DataObject) -> None:
    stored = data.draw(shipments.shipments())
    given_to_it = copy.deepcopy(stored)
    before = OLD.down(stored)
    patched = data.draw(shipments.v4_patches(before))
    after = OLD.merge(stored, before, patched.view)
    assert_nothing_is_lost(stored, patched, after)
    assert OLD.down(after) == patched.view
    assert v5_mistakes(after) == []
    assert stored == given_to_it


@random_documents(40)
@given(st.data())
def test_a_v4_patch_over_http_never_loses_what_only_v5_shows(app: Running, data: st.DataObject) -> None:
    sent = data.draw(shipments.shipments())
    stored = app.post(V5, sent).json()
    assert not changed(plain(stored), sent)
    before = app.get(f"{V4}/{stored['id']}").json()
    patched = data.draw(shipments.v4_patches(before))
    operations = [
        {"op": "replace" if name in before else "add", "path": f"/{name}", "value": patched.view[name]}
        if name in patched.view
        else {"op": "remove", "path": f"/{name}"}
        for name in changed(before, patched.view)
    ]
    answer = app.patch(f"{V4}/{stored['id']}", operations, JSON_PATCH)
    assert answer.status_code == 200, answer.text
    assert plain(answer.json()) == plain(patched.view)
    assert_nothing_is_lost(stored, patched, app.get(f"{V5}/{stored['id']}").json())


@random_documents(100)
@given(shipments.shipments())
def test_a_v4_client_that_changes_nothing_changes_nothing(stored: Document) -> None:
    before = OLD.down(stored)
    assert OLD.merge(stored, before, copy.deepcopy(before)) == stored


@random_documents(100)
@given(shipments.shipments())
def test_what_v4_sees_goes_up_and_down_again_unchanged(stored: Document) -> None:
    seen = OLD.down(stored)
    assert OLD.down(OLD.up(seen)) == seen
    assert v5_mistakes(OLD.up(seen)) == []


@random_documents(100)
@given(shipments.shipments())
def test_v4_shows_only_what_it_declares_and_extensions(stored: Document) -> None:
    seen = OLD.down(stored)
    assert "only v5 knows" not in str(seen)
    assert not {"name", "description", "urgency"} & seen.keys()
    assert not any("partyOrPartyRole" in p for p in seen.get("relatedParty", []))


def test_a_member_that_nothing_tells_apart_is_found_at_its_place() -> None:
    stored = {"name": "Rome", "insurance": [{"id": "a", "amount": 1}, {"id": "b", "amount": 1}]}
    before = OLD.down(stored)
    after = OLD.merge(stored, before, {**before, "insurance": [{"amount": 1}, {"amount": 2}]})
    assert after["insurance"] == [{"id": "a", "amount": 1}, {"id": "b", "amount": 2}]
    after = OLD.merge(stored, before, {**before, "insurance": [{"amount": 2}, {"amount": 1}]})
    assert after["insurance"] == [{"id": "a", "amount": 2}, {"id": "b", "amount": 1}]


def test_a_member_with_another_id_is_another_member() -> None:
    stored = {
        "name": "Rome",
        "leg": [{"id": "1", "carrier": "x", "seal": "s1"}, {"id": "2", "carrier": "y", "seal": "s2"}],
    }
    before = OLD.down(stored)
    after = OLD.merge(stored, before, {**before, "leg": [{"id": "2", "carrier": "z"}, {"id": "3", "carrier": "x"}]})
    assert after["leg"] == [{"id": "2", "carrier": "z", "seal": "s2"}, {"id": "3", "carrier": "x"}]


def test_a_long_list_is_paired_quickly() -> None:
    before = [{"amount": i} for i in range(20_000)]
    after = [{"amount": i, "currency": "EUR"} for i in range(20_000)]
    assert paired(before, after) == {i: i for i in range(20_000)}
    assert paired(before, after[1:]) == {}
    assert len(paired(before, before[::-1])) == 20_000


def test_true_is_not_one_when_a_v4_client_changes_it(app: Running) -> None:
    doc = created(app, V4, x_flag=1, leg=[{"id": "1", "x_flag": 1}])
    changed_to = app.patch(f"{V4}/{doc['id']}", {"x_flag": True, "leg": [{"id": "1", "x_flag": True}]}).json()
    assert changed_to["x_flag"] is True
    assert changed_to["leg"][0]["x_flag"] is True


# --- shapes ------------------------------------------------------------------------------------------------


def test_what_v4_posts_v5_shows_in_its_own_shape(app: Running) -> None:
    place = {"id": "7", "role": "dock", "name": "East", "@referredType": "Place"}
    old = created(app, V4, priority="high", relatedParty=[PARTY], place=place, leg=[{"stop": [{"name": "Bern"}]}])
    new = app.get(f"{V5}/{old['id']}").json()
    assert (old["shipmentName"], old["priority"], old["relatedParty"], old["place"]) == ("Rome", "high", [PARTY], place)
    assert (new["name"], new["urgency"], new["leg"]) == ("Rome", 2, [{"stop": [{"name": "Bern"}]}])
    ref = {"@type": "PartyRef", "id": "42", "name": "Ann", "@referredType": "Individual"}
    assert new["relatedParty"] == [{"@type": "RelatedPartyOrPartyRole", "role": "sender", "partyOrPartyRole": ref}]
    assert new["place"]["place"] == {"@type": "PlaceRef", "id": "7", "name": "East", "@referredType": "Place"}
    assert "shipmentName" not in new
    assert "priority" not in new


def test_what_v5_posts_v4_shows_in_its_own_shape(app: Running) -> None:
    party = {"role": "sender", "partyOrPartyRole": {"@type": "PartyRoleRef", "id": "9", "name": "Depot"}}
    new = created(
        app, relatedParty=[party], description="for v5 alone", urgency=0, destination={"name": "Bern", "code": "B"}
    )
    old = app.get(f"{V4}/{new['id']}").json()
    assert old["relatedParty"] == [{"role": "sender", "id": "9", "name": "Depot", "@referredType": "PartyRole"}]
    assert (old["priority"], old["destination"]) == ("low", {"name": "Bern"})
    assert "description" not in old


def test_a_v4_party_keeps_its_kind_until_a_client_changes_it(app: Running) -> None:
    party = {"role": "sender", "partyOrPartyRole": {"@type": "Organization", "id": "9"}}
    new = created(app, relatedParty=[party])
    old = app.get(f"{V4}/{new['id']}").json()["relatedParty"][0]
    app.patch(f"{V4}/{new['id']}", {"relatedParty": [{**old, "name": "Named"}]})
    kept = app.get(f"{V5}/{new['id']}").json()["relatedParty"][0]["partyOrPartyRole"]
    assert kept == {"@type": "Organization", "id": "9", "name": "Named"}
    app.patch(f"{V4}/{new['id']}", {"relatedParty": [{**old, "@referredType": "Supplier"}]})
    told = app.get(f"{V5}/{new['id']}").json()["relatedParty"][0]["partyOrPartyRole"]
    assert told == {"@type": "PartyRoleRef", "id": "9", "@referredType": "Supplier"}


def test_the_class_that_a_v4_client_gives_its_party_is_not_the_class_of_the_reference(app: Running) -> None:
    old = created(app, V4, relatedParty=[{**PARTY, "@type": "RelatedParty"}, {"role": "watcher", "id": "1"}])
    new = app.get(f"{V5}/{old['id']}").json()
    assert [p["partyOrPartyRole"]["@type"] for p in new["relatedParty"]] == ["PartyRef", "PartyRef"]


def test_removing_through_v4_removes_the_whole_member(app: Running) -> None:
    new = created(app, leg=[{"id": "1", "seal": "s1"}, {"id": "2", "seal": "s2"}], urgency=1)
    app.patch(f"{V4}/{new['id']}", {"leg": [{"id": "2"}], "priority": None})
    after = app.get(f"{V5}/{new['id']}").json()
    assert after["leg"] == [{"id": "2", "seal": "s2"}]
    assert "urgency" not in after


def test_a_v4_client_may_name_what_only_v5_declares_but_not_with_another_type(app: Running) -> None:
    doc = created(app, V4, description="named by v4")
    assert app.get(f"{V5}/{doc['id']}").json()["description"] == "named by v4"
    for name, value in (("description", {"a": 1}), ("urgency", 7), ("name", 5)):
        refused = app.post(V4, {"shipmentName": "Rome", name: value})
        assert assert_tmf_error(refused, 400)["attribute"] == name
        assert assert_tmf_error(app.patch(f"{V4}/{doc['id']}", {name: value}), 400)["attribute"] == name
    assert app.get(f"{V5}/{doc['id']}").json()["description"] == "named by v4"


def test_what_is_create_only_or_read_only_is_so_in_both_versions(app: Running) -> None:
    for path in (V4, V5):
        doc = created(app, path, origin="Oslo", route="by sea")
        assert (doc["origin"], "route" in doc) == ("Oslo", False)
        for name in ("origin", "route", "creationDate"):
            answer = app.patch(f"{path}/{doc['id']}", {name: "2001-01-01T00:00:00Z"})
            assert assert_tmf_error(answer, 400)["attribute"] == name


def test_both_versions_share_one_revision(app: Running) -> None:
    doc = created(app)
    etag = app.get(f"{V4}/{doc['id']}").headers["etag"]
    assert app.patch(f"{V5}/{doc['id']}", {"weightKg": 3}, headers={"if-match": etag}).status_code == 200
    assert_tmf_error(app.patch(f"{V4}/{doc['id']}", {"weightKg": 4}, headers={"if-match": etag}), 412)
    assert app.get(f"{V4}/{doc['id']}").json()["weightKg"] == 3


def test_the_life_cycle_holds_in_both_versions(app: Running) -> None:
    for path in (V4, V5):
        doc = created(app, path)
        assert doc["status"] == "planned"
        error = assert_tmf_error(app.patch(f"{path}/{doc['id']}", {"status": "delivered"}), 409)
        assert error["attribute"] == "status"
        assert app.patch(f"{path}/{doc['id']}", {"status": "moving"}).json()["status"] == "moving"


# --- questions ---------------------------------------------------------------------------------------------

QUESTIONS = [
    "shipmentName=Bern",
    "shipmentName.regex=^[A-C]",
    "relatedParty.id=party 1",
    "relatedParty.role=sender&relatedParty.name=Cork",
    "leg.stop.name=Cork",
    "leg.carrier=carrier 1;fragile=true",
    "destination.name.ne=Bern",
    "insurance.amount.gte=100",
    "weightKg.between=1,3",
    "leg.stop.window.startDateTime.gt=2025",
    "place.id=place 1",
    "place.isnull=true",
    "filter=relatedParty[?(@.id=='party 1')]",
    "filter=relatedParty[?(@.role=='sender' %26%26 @.name=='Cork')]",
    "filter=$.leg[?(@.stop[?(@.name=='Cork')])]",
    "filter=$[?(@.shipmentName=='Bern' || @.destination.name=='Bern')]",
    "filter=place[?(!(@.role=='none'))]",
    "filter=leg[*].stop[0].window",
    "filter=insurance[?(@.amount>50)]&fragile=true",
]


def test_v4_questions_find_what_a_v4_client_sees(app: Running) -> None:
    for seed in range(40):
        assert app.post(V5, shipment(seed)).status_code == 201
    everything = app.get(f"{V4}?limit=1000").json()
    names = names_of(ShipmentV4)
    found_any = 0
    for question in QUESTIONS:
        raw = question.replace(" ", "%20")
        answer = app.get(f"{V4}?{raw}&limit=1000")
        assert answer.status_code == 200, answer.text
        query = parse(raw, names)
        expected = [d["id"] for d in everything if matches(d, query)]
        assert [d["id"] for d in answer.json()] == expected, question
        found_any += 0 < len(expected) < len(everything)
    assert found_any == len(QUESTIONS)


def shipment(seed: int) -> Document:
    """One of a fixed family of shipments in which every question finds some and not all."""
    i, name = seed % 4, shipments.NAMES[seed % 6]
    doc: Document = {"name": name, "fragile": seed % 2 == 0, "weightKg": seed}
    if i > 0:
        stops = [
            {"name": shipments.NAMES[(seed + k) % 6], "code": "x", "window": shipments.WINDOWS[k % 2]} for k in range(i)
        ]
        doc["leg"] = [{"id": "1", "carrier": f"carrier {i}", "seal": "y", "stop": stops}]
        party = {"@type": "PartyRef", "id": f"party {i}", "name": name}
        doc["relatedParty"] = [{"role": ["sender", "receiver"][seed % 2], "partyOrPartyRole": party}]
        doc["destination"] = {"name": shipments.NAMES[seed % 3], "code": "z"}
    if i > 1:
        doc["insurance"] = [{"id": "a", "amount": 100 * (i - 1) - 20}]
        doc["place"] = {"role": "dock", "place": {"id": f"place {i - 1}"}}
    return doc


def test_v4_sorts_by_its_own_names() -> None:
    with running(component, database_url=database(component)) as app:
        for name in ("Bern", "Cork", "Aachen"):
            created(app, name=name, destination={"name": name[::-1]})
        down = app.get(f"{V4}?sort=-shipmentName").json()
        assert [d["shipmentName"] for d in down] == ["Cork", "Bern", "Aachen"]
        inner = app.get(f"{V4}?sort=destination.name&fields=shipmentName").json()
        assert [d["shipmentName"] for d in inner] == ["Cork", "Aachen", "Bern"]
        assert all(set(d) == {"id", "href", "shipmentName"} for d in inner)


@pytest.mark.parametrize(
    ("question", "status", "attribute"),
    [
        ("name=Rome", 400, "name"),
        ("description=x", 400, "description"),
        ("leg.seal=x", 400, "leg.seal"),
        ("relatedParty.partyOrPartyRole.id=1", 400, "relatedParty.partyOrPartyRole.id"),
        ("sort=name", 400, "name"),
        ("priority=high", 400, "priority"),
        ("sort=priority", 400, "priority"),
        ("filter=$[?(@.description=='x')]", 400, "filter"),
        ("filter=leg[?(@.seal=='x')]", 400, "filter"),
        ("filter=$[?(@.priority=='high')]", 400, "filter"),
    ],
)
def test_v4_cannot_ask_for_what_it_does_not_show(app: Running, question: str, status: int, attribute: str) -> None:
    error = assert_tmf_error(app.get(httpx.URL(V4, params=question).raw_path.decode()), status)
    assert error["attribute"] == attribute


def test_v5_can_ask_for_what_only_it_shows(app: Running) -> None:
    doc = created(app, description="sought", leg=[{"seal": "unique seal"}])
    for question in ("description=sought", "leg.seal=unique seal", "filter=leg[?(@.seal=='unique seal')]"):
        assert [d["id"] for d in app.get(httpx.URL(V5, params=question).raw_path.decode()).json()] == [doc["id"]]


def test_fields_are_named_as_the_version_names_them(app: Running) -> None:
    doc = created(app, V4, relatedParty=[PARTY], priority="low")
    old = app.get(f"{V4}/{doc['id']}?fields=shipmentName,relatedParty.id,name,priority").json()
    assert {k: old[k] for k in old if k not in ("id", "href", "@type")} == {
        "shipmentName": "Rome",
        "relatedParty": [{"id": "42"}],
        "priority": "low",
    }
    new = app.get(f"{V5}/{doc['id']}?fields=name,relatedParty.partyOrPartyRole.id").json()
    assert new["relatedParty"] == [{"partyOrPartyRole": {"id": "42"}}]


# --- events ------------------------------------------------------------------------------------------------


def test_each_subscriber_hears_events_in_its_own_version() -> None:
    with running(component, worker=True, database_url=database(component)) as app, Listener() as old, Listener() as new:
        assert app.post(HUB_V4, {"callback": old.callback}).status_code == 201
        assert app.post(HUB_V5, {"callback": new.callback}).status_code == 201
        doc = created(app, V4, relatedParty=[PARTY])
        (v4,), (v5,) = old.wait(1), new.wait(1)
    assert v4["eventId"] == v5["eventId"]
    assert v4["eventType"] == v5["eventType"] == "ShipmentCreateEvent"
    assert ("timeOcurred" in v4, "timeOccurred" in v4, "@type" in v4) == (True, False, False)
    assert ("timeOcurred" in v5, "timeOccurred" in v5, v5["@type"]) == (False, True, "ShipmentCreateEvent")
    assert v4["event"]["shipment"] == doc
    assert v5["event"]["shipment"]["href"] == f"{LOCAL}{V5}/{doc['id']}"
    assert v5["event"]["shipment"]["relatedParty"][0]["partyOrPartyRole"]["id"] == "42"


def test_a_subscriber_asks_in_the_names_of_its_version() -> None:
    with running(component, worker=True, database_url=database(component)) as app, Listener() as old, Listener() as new:
        wanted = "event.shipment.shipmentName=Bern"
        app.post(HUB_V4, {"callback": old.callback, "query": wanted})
        app.post(HUB_V5, {"callback": new.callback, "query": wanted})
        app.post(HUB_V5, {"callback": f"{new.callback}/named", "query": "event.shipment.name=Bern"})
        created(app, name="Cork")
        created(app, name="Bern")
        (heard,) = old.wait(1)
        new.wait(1)
    assert heard["event"]["shipment"]["shipmentName"] == "Bern"
    assert new.paths == ["/listener/named"]


def test_the_time_of_an_event_is_spelt_as_the_files_of_the_version_do() -> None:
    from datetime import UTC, datetime

    def of(path: str, version: str) -> set[str]:
        made = envelope(
            event_id="1", at=datetime(2026, 1, 1, tzinfo=UTC), name=path.title(), path=path, kind="Create", resource={},
            version=version, domain="d", traceparent=None,
        )  # fmt: skip
        return {name for name in made if name.startswith("timeO")}

    assert of("partyInteraction", "v4") == of("customer", "v4") == {"timeOcurred"}
    assert of("customer", "v5") == of("violation", "v1") == {"timeOccurred"}


# --- errors and addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "typed"),
    [
        (f"{V4}/none", False),
        (f"{V5}/none", True),
        (f"{HUB_V4}/none", False),
        (f"{HUB_V5}/none", True),
        (f"{DEPOTS}/none", True),
        (f"{BASE}/v5/nothing", True),
        (f"{BASE}/v4/nothing", False),
        ("/nothing/at/all", False),
    ],
)
def test_an_error_has_a_type_but_in_v4(app: Running, path: str, typed: bool) -> None:
    error = assert_tmf_error(app.get(path), 404)
    assert error.get("@type") == ("Error" if typed else None)
    assert set(error) <= {"@type", "code", "reason", "message", "status", "referenceError", "attribute"}


def test_an_address_leads_back_to_the_version_it_was_asked_in(app: Running) -> None:
    doc = created(app)
    for path in (V4, V5):
        shown = app.get(f"{path}/{doc['id']}").json()
        assert shown["href"] == f"{LOCAL}{path}/{doc['id']}"
        assert app.get(shown["href"]).json() == shown
        answer = app.post(path, {"shipmentName": "x", "name": "x"})
        assert answer.headers["location"] == answer.json()["href"]
        assert f"<{LOCAL}{path}?" in app.get(f"{path}?limit=1").headers["link"]


def test_the_base_path_is_a_setting() -> None:
    for base, prefix in (("/", ""), ("/telco/oda/", "/telco/oda")):
        with running(component, database_url=database(component), base_path=base) as app:
            path = f"{prefix}/tmf-api/shipmentManagement/v5/shipment"
            doc = created(app, path)
            assert doc["href"] == f"{LOCAL}{path}/{doc['id']}"
            assert app.get(doc["href"]).json() == doc
            assert app.get(path.rsplit("/", 1)[0]).status_code == 200
            assert_tmf_error(app.get(V5), 404)


FORWARDED = {"x-forwarded-proto": "https, http", "x-forwarded-host": "api.example.org", "x-forwarded-prefix": "/telco/"}


def test_a_trusted_gateway_says_how_we_are_reached() -> None:
    with running(component, database_url=database(component), forwarded_allow="10.0.0.0/8, 127.0.0.1") as app:
        answer = app.post(V5, {"name": "Rome"}, headers=FORWARDED)
        base = f"https://api.example.org/telco{V5}"
        assert answer.json()["href"] == answer.headers["location"] == f"{base}/{answer.json()['id']}"
        listed = app.get(V5, headers=FORWARDED)
        assert listed.json()[0]["href"].startswith(base)
        assert listed.headers["link"].startswith(f"<{base}?")
        hub = app.post(HUB_V5, {"callback": "http://127.0.0.1:9/x"}, headers=FORWARDED)
        assert hub.headers["location"].startswith(f"https://api.example.org/telco{HUB_V5}/")
        shown = app.get(V5, headers={"x-forwarded-proto": "https", "host": "inside:8443"})
        assert shown.json()[0]["href"].startswith(f"https://inside:8443{V5}")


def test_a_stranger_does_not_say_how_we_are_reached() -> None:
    with running(component, database_url=database(component), forwarded_allow="10.0.0.0/8") as app:
        assert app.post(V5, {"name": "Rome"}, headers=FORWARDED).json()["href"].startswith(f"{LOCAL}{V5}/")
    with running(component, database_url=database(component), forwarded_allow="*") as app:
        assert (
            app.post(V5, {"name": "Rome"}, headers=FORWARDED).json()["href"].startswith("https://api.example.org/telco")
        )


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-host": 'evil.example"><script>'},
        {"x-forwarded-prefix": "/a b"},
        {"x-forwarded-prefix": '/"'},
        {"host": "evil.example/path"},
    ],
)
def test_nonsense_in_forwarded_headers_falls_back_to_the_configured_address(headers: dict[str, str]) -> None:
    known = "https://known.example/"
    with running(component, database_url=database(component), public_url=known, forwarded_allow="*") as app:
        doc = app.post(V5, {"name": "Rome"}, headers=headers).json()
        assert doc["href"] == f"https://known.example{V5}/{doc['id']}"


def test_an_event_leads_to_where_its_subscriber_came_from() -> None:
    with (
        running(component, worker=True, database_url=database(component), forwarded_allow="*") as app,
        Listener() as listener,
    ):
        app.post(HUB_V4, {"callback": listener.callback}, headers=FORWARDED)
        doc = created(app)
        (event,) = listener.wait(1)
    assert event["event"]["shipment"]["href"] == f"https://api.example.org/telco{V4}/{doc['id']}"


def test_a_whole_number_may_be_written_with_a_point(app: Running) -> None:
    doc = created(app, urgency=2.0, insurance=[{"amount": 8.0}, {"amount": 3}])
    assert (doc["urgency"], doc["insurance"]) == (2, [{"amount": 8}, {"amount": 3}])
    assert isinstance(doc["urgency"], int)
    for wrong in (1.5, 1e300, -9223372036854775809, "2"):
        assert_tmf_error(app.post(V5, {"name": "Rome", "insurance": [{"amount": wrong}]}), 400)


def test_a_merge_into_what_is_not_there_is_a_conflict(app: Running) -> None:
    bare, full = created(app), created(app, destination={"name": "Oslo"})
    error = assert_tmf_error(app.patch(f"{V5}/{bare['id']}", {"destination": {"code": "OSL"}}), 409)
    assert error["attribute"] == "destination.name"
    merged = app.patch(f"{V5}/{full['id']}", {"destination": {"code": "OSL"}})
    assert merged.json()["destination"] == {"name": "Oslo", "code": "OSL"}
    beside = {"destination": {"code": "OSL"}, "insurance": [{"amount": 8.0}]}
    assert_tmf_error(app.patch(f"{V5}/{bare['id']}", beside), 409)
    assert_tmf_error(app.patch(f"{V5}/{bare['id']}", {"destination": {"name": 5}}), 400)
    assert_tmf_error(app.patch(f"{V5}/{bare['id']}", {"leg": [{"stop": [{"code": "OSL"}]}]}), 400)
