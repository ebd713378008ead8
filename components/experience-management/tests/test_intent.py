"""TMF921: intents are kept, and answered by reports below them; nothing here takes one yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from experience_management import answer
from experience_management.main import component
from tmfkit.testing import LOCAL, Running, assert_tmf_error, running
from tmfkit.types import Document

BASE = "/experience-management/tmf-api/intentManagement/v5"
WISH: Document = {
    "@type": "Intent",
    "name": "calm evenings",
    "expression": {
        "@type": "TurtleExpression",
        "iri": "https://op.example/intent/1",
        "expressionValue": "@prefix ex: <https://op.example/> .\nex:i a ex:Intent .",
    },
}


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    with running(component) as app:
        yield app


def wished(app: Running, **more: object) -> Document:
    told = app.post(f"{BASE}/intent", {**WISH, **more})
    assert told.status_code == 201, told.text
    made: Document = told.json()
    return made


def answered(app: Running) -> None:
    app.loop.run(answer.due(app.ctx))


def reports(app: Running, id: str) -> list[Document]:
    told = app.get(f"{BASE}/intent/{id}/intentReport")
    assert told.status_code in (200, 206), told.text
    found: list[Document] = told.json()
    return found


def events(app: Running, resource: str, id: str) -> list[str]:
    rows = app.sql("SELECT kind FROM outbox WHERE resource = $1 AND resource_id = $2 ORDER BY seq", resource, id)
    return [row["kind"] for row in rows]


def test_an_intent_is_created_and_its_expression_kept(app: Running) -> None:
    made = wished(app, lastUpdate="1999-01-01T00:00:00Z")
    assert made["lifecycleStatus"] == "Created"
    assert made["statusChangeDate"] == made["creationDate"] == made["lastUpdate"]
    assert made["expression"] == WISH["expression"]


def test_an_intent_without_a_handler_is_rejected_by_a_report(app: Running) -> None:
    made = wished(app)
    answered(app)
    now = app.get(f"{BASE}/intent/{made['id']}").json()
    assert now["lifecycleStatus"] == "Rejected"
    assert now["expression"] == WISH["expression"]
    (report,) = reports(app, made["id"])
    assert (report["name"], report["reason"]) == ("Rejected", "no handler")
    assert "no handler" in report["description"]
    assert report["intent"]["id"] == made["id"]
    assert report["intent"]["href"] == made["href"]
    assert report["href"] == f"{LOCAL}{BASE}/intent/{made['id']}/intentReport/{report['id']}"
    assert app.get(report["href"]).json() == report
    assert events(app, "Intent", made["id"])[:2] == ["Create", "StatusChange"]
    assert events(app, "IntentReport", report["id"]) == ["Create"]


def test_an_intent_is_answered_once_for_each_expression(app: Running) -> None:
    made = wished(app)
    answered(app)
    answered(app)
    app.patch(f"{BASE}/intent/{made['id']}", {"description": "still the same wish"})
    answered(app)
    assert len(reports(app, made["id"])) == 1
    other = {"expression": {"@type": "IntentExpression", "iri": "https://op.example/intent/2"}}
    changed = app.patch(f"{BASE}/intent/{made['id']}", other).json()
    assert changed["lifecycleStatus"] == "Created"
    assert changed["statusChangeDate"] > made["statusChangeDate"]
    answered(app)
    assert len(reports(app, made["id"])) == 2
    app.patch(f"{BASE}/intent/{made['id']}", {"lifecycleStatus": "Created"})
    answered(app)
    assert len(reports(app, made["id"])) == 3
    back = {"expression": WISH["expression"], "lifecycleStatus": "Active"}
    assert app.patch(f"{BASE}/intent/{made['id']}", back).json()["lifecycleStatus"] == "Active"
    answered(app)
    assert len(reports(app, made["id"])) == 4


def test_reports_are_those_of_their_intent(app: Running) -> None:
    one, other = wished(app), wished(app)
    answered(app)
    (report,) = reports(app, one["id"])
    assert_tmf_error(app.get(f"{BASE}/intent/{other['id']}/intentReport/{report['id']}"), 404)
    assert_tmf_error(app.get(f"{BASE}/intent/missing/intentReport"), 404)
    assert app.get(f"{BASE}/intent/{one['id']}/intentReport?name=nothing").json() == []
    only = app.get(f"{BASE}/intent/{one['id']}/intentReport?fields=reason")
    assert [set(r) for r in only.json()] == [{"id", "href", "reason", "@type"}]
    assert only.headers["x-total-count"] == "1"


def test_reports_are_read_and_deleted_and_never_written_by_clients(app: Running) -> None:
    made = wished(app)
    answered(app)
    (report,) = reports(app, made["id"])
    below = f"{BASE}/intent/{made['id']}/intentReport"
    assert_tmf_error(app.post(below, {"name": "mine"}), 405)
    assert_tmf_error(app.patch(f"{below}/{report['id']}", {"name": "mine"}), 405)
    assert app.delete(f"{below}/{report['id']}").status_code == 204
    assert_tmf_error(app.delete(f"{below}/{report['id']}"), 404)
    assert reports(app, made["id"]) == []
    assert events(app, "IntentReport", report["id"]) == ["Create", "Delete"]
    answered(app)
    assert reports(app, made["id"]) == []


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
def test_a_method_that_reports_do_not_have_is_refused_as_such_below_any_intent(app: Running, method: str) -> None:
    told = app.request(method, f"{BASE}/intent/missing/intentReport/missing", json={})
    assert_tmf_error(told, 405)
    assert told.headers["allow"] == "GET, HEAD, DELETE"


def test_the_version_of_an_intent_stays_as_it_was_given(app: Running) -> None:
    made = wished(app, version="1.0")
    told = app.patch(f"{BASE}/intent/{made['id']}", {"version": "2.0"})
    assert assert_tmf_error(told, 400)["attribute"] == "version"
    assert app.get(f"{BASE}/intent/{made['id']}").json()["version"] == "1.0"


PARTY: Document = {"@type": "RelatedPartyRefOrPartyRoleRef", "role": "owner"}


@pytest.mark.parametrize(
    ("place", "sent"),
    [
        ("intentSpecification", {"intentSpecification": {"@type": "EntityRef", "id": "1"}}),
        ("attachment[0]", {"attachment": [{"@type": "AttachmentRef", "id": "1"}]}),
        *(
            (
                "relatedParty[0].partyOrPartyRole",
                {"relatedParty": [{**PARTY, "partyOrPartyRole": {"@type": kind, "id": "1"}}]},
            )
            for kind in ("PartyRef", "PartyRoleRef")
        ),
    ],
)
def test_a_reference_of_an_intent_needs_the_name_of_what_it_is_to(app: Running, place: str, sent: Document) -> None:
    error = assert_tmf_error(app.post(f"{BASE}/intent", {**WISH, **sent}), 400)
    assert error["attribute"] == f"{place}.name"


def test_reports_go_with_their_intent(app: Running) -> None:
    made = wished(app)
    answered(app)
    (report,) = reports(app, made["id"])
    assert app.delete(f"{BASE}/intent/{made['id']}").status_code == 204
    answered(app)
    assert_tmf_error(app.get(f"{BASE}/intentReport/{report['id']}"), 404)
    assert events(app, "IntentReport", report["id"]) == ["Create", "Delete"]


def test_ids_with_a_slash_have_reports_too(app: Running) -> None:
    made = wished(app, id="network/cell 7")
    answered(app)
    (report,) = reports(app, "network%2Fcell%207")
    assert app.get(report["href"]).json() == report
    assert made["id"] == "network/cell 7"


def test_a_probe_is_an_intent_with_a_type_of_its_own(app: Running) -> None:
    made = wished(app, **{"@type": "ProbeIntent", "@baseType": "Intent"})
    assert app.get(f"{BASE}/intent/{made['id']}").json()["@type"] == "ProbeIntent"


@pytest.mark.parametrize(
    ("expression", "attribute"),
    [
        ({"@type": "TurtleExpression", "iri": "i"}, "expression.expressionValue"),
        ({"@type": "TurtleExpression", "iri": "i", "expressionValue": {"a": 1}}, "expression.expressionValue"),
        ({"@type": "JsonLdExpression", "iri": "i", "expressionValue": "text"}, "expression.expressionValue"),
        ({"expressionValue": "text"}, "expression.iri"),
    ],
)
def test_an_expression_is_judged_by_its_language(app: Running, expression: Document, attribute: str) -> None:
    error = assert_tmf_error(app.post(f"{BASE}/intent", {**WISH, "expression": expression}), 400)
    assert error["attribute"] == attribute


@pytest.mark.parametrize(
    ("stored", "sent", "status"),
    [
        ({"@type": "IntentExpression", "iri": "i"}, {"@type": "JsonLdExpression"}, 409),
        ({"@type": "TurtleExpression", "iri": "i", "expressionValue": "a"}, {"@type": "JsonLdExpression"}, 409),
        ({"@type": "IntentExpression", "iri": "i"}, {"@type": "TurtleExpression", "expressionValue": 5}, 400),
        ({"@type": "TurtleExpression", "iri": "i", "expressionValue": "a"}, {"iri": None}, 400),
        ({"@type": "TurtleExpression", "iri": "i", "expressionValue": "a"}, {"iri": "j"}, 200),
    ],
)
def test_a_patch_that_does_not_go_with_what_is_stored_is_a_conflict_and_a_wrong_one_is_refused(
    app: Running, stored: Document, sent: Document, status: int
) -> None:
    made = wished(app, expression=stored)
    told = app.patch(f"{BASE}/intent/{made['id']}", {"expression": sent})
    assert told.status_code == status, told.text
    if status != 200:
        assert_tmf_error(told, status)
        assert app.get(f"{BASE}/intent/{made['id']}").json() == made


def test_json_ld_is_kept_as_it_comes(app: Running) -> None:
    value = {"@context": {"ex": "https://op.example/"}, "@graph": [{"@id": "https://op.example/i", "ex:goal": 5}]}
    expression = {"@type": "JsonLdExpression", "iri": "https://op.example/i", "expressionValue": value}
    assert wished(app, expression=expression)["expression"] == expression


def test_the_file_shows_the_reports_below_their_intent() -> None:
    api = next(a for a in component.apis if a.name == "intentManagement")
    paths = component.openapi_file(api, "v5")["paths"]
    assert set(paths["/intent/{intentId}/intentReport"]) == {"parameters", "get"}
    assert set(paths["/intent/{intentId}/intentReport/{id}"]) == {"parameters", "get", "delete"}
    ids = [o["operationId"] for path in paths.values() for o in path.values() if isinstance(o, dict)]
    assert len(ids) == len(set(ids))


def test_reports_ask_for_a_caller_like_all_else() -> None:
    settings = component.settings(
        database_url="postgresql://u:p@127.0.0.1:1/d", auth_mode="oidc", oidc_issuer="https://issuer.example"
    )

    async def asked() -> int:
        transport = httpx.ASGITransport(app=component.app(settings))
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as client:
            return (await client.get(f"{BASE}/intent/1/intentReport")).status_code

    assert asyncio.run(asked()) == 401
