"""The bad input tour: each a TMF Error with the right status and the attribute at fault, and nothing stored.

docs/bad-input.md is the table of it; the test holds both together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from churn_prediction.main import component as churn
from customer_360.main import component
from service_quality.main import component as quality
from tmfkit.testing import Loop, Running, assert_tmf_error, running
from tmfkit.testing_issuer import Issuer

TABLE = Path(__file__).parents[1] / "docs" / "bad-input.md"
V5 = "/customer-360/tmf-api/customerManagement/v5/customer"
V4 = "/customer-360/tmf-api/customerManagement/v4/customer"
HUB = "/customer-360/tmf-api/customerManagement/v5/hub"
PROBLEM = "/service-quality/tmf-api/serviceProblemManagement/v5/serviceProblem"
GOOD = {"@type": "Customer", "name": "Ada", "engagedParty": {"id": "1", "@type": "PartyRef"}}
JSON = {"content-type": "application/json"}


class Bad(NamedTuple):
    """One request that must be refused. `{id}` stands for a stored customer."""

    case: str
    method: str
    path: str
    status: int
    attribute: str | None = None
    content: bytes | None = None
    headers: dict[str, str] = {}


def body(**more: Any) -> bytes:
    return orjson.dumps({**GOOD, **more})


CASES = [
    Bad("malformed JSON", "POST", V5, 400, None, b'{"name": "Ada",', JSON),
    Bad("empty body", "POST", V5, 400, None, b"", JSON),
    Bad("broken UTF-8", "POST", V5, 400, None, b'{"name": "\xff\xfe"}', JSON),
    Bad("array instead of object", "POST", V5, 400, None, b"[1, 2]", JSON),
    Bad("null instead of object", "POST", V5, 400, None, b"null", JSON),
    Bad("wrong media type", "POST", V5, 415, None, b"<customer/>", {"content-type": "application/xml"}),
    Bad("wrong charset", "POST", V5, 415, None, body(), {"content-type": "application/json; charset=utf-16"}),
    Bad("media type of a patch on POST", "POST", V5, 415, None, b"[]", {"content-type": "application/json-patch+json"}),
    Bad("answer in a language we do not write", "GET", V5, 406, None, None, {"accept": "text/html"}),
    Bad("10 MB body", "POST", V5, 413, None, b'{"name": "' + b"a" * 10_000_000 + b'"}', JSON),
    Bad("nested 500 levels", "POST", V5, 400, None, b'{"name":"Ada","x":' + b"[" * 500 + b"]" * 500 + b"}", JSON),
    Bad("character NUL", "POST", V5, 400, None, b'{"name": "A\\u0000da", "engagedParty": {"id": "1"}}', JSON),
    Bad("missing mandatory attribute", "POST", V5, 400, "name", orjson.dumps({"engagedParty": {"id": "1"}}), JSON),
    Bad("wrong type", "POST", V5, 400, "name", body(name=5), JSON),
    Bad("wrong type inside", "POST", V5, 400, "engagedParty.id", body(engagedParty={"id": 7}), JSON),
    Bad("object instead of list", "POST", V5, 400, "relatedParty", body(relatedParty={"role": "x"}), JSON),
    Bad("no instant", "POST", V5, 400, "validFor.startDateTime", body(validFor={"startDateTime": "soon"}), JSON),
    Bad("month 13", "POST", V5, 400, "validFor.startDateTime", body(validFor={"startDateTime": "2026-13-01T00:00Z"}), JSON),
    Bad("id that is no text", "POST", V5, 400, "id", body(id=["x"]), JSON),
    Bad("id of 300 characters", "POST", V5, 400, "id", body(id="x" * 300), JSON),
    Bad("unknown state", "POST", PROBLEM, 400, "status", b'{"@type":"ServiceProblem","category":"c","description":"d","originatorParty":{"@type":"RelatedPartyRefOrPartyRoleRef","role":"r","partyOrPartyRole":{"id":"1"}},"priority":1,"reason":"r","status":"lost"}', JSON),
    Bad("unknown attribute in a filter", "GET", f"{V5}?colour=red", 400, "colour"),
    Bad("unknown attribute in a v4 filter", "GET", f"{V4}?description=x", 400, "description"),
    Bad("unknown operator in a filter", "GET", f"{V5}?name.nearly=Ada", 400, "name.nearly"),
    Bad("filter value of the wrong type", "GET", f"{V5}?validFor.startDateTime.gt=soon", 400, "validFor.startDateTime"),
    Bad("between with one value", "GET", f"{V5}?name.between=a", 400, "name"),
    Bad("regular expression that does not close", "GET", f"{V5}?name.regex=%5Ba", 400, "name"),
    Bad("sort by an unknown attribute", "GET", f"{V5}?sort=-colour", 400, "colour"),
    Bad("sort by a list", "GET", f"{V5}?sort=relatedParty.role", 400, "relatedParty.role"),
    Bad("negative offset", "GET", f"{V5}?offset=-1", 400, "offset"),
    Bad("limit that is no number", "GET", f"{V5}?limit=many", 400, "limit"),
    Bad("query of 10,000 characters", "GET", f"{V5}?name={'a' * 10_000}", 400, "query"),
    Bad("JSONPath that does not close", "GET", f"{V5}?filter=%24%5B%3F(%40.name", 400, "filter"),
    Bad("JSONPath with a script", "GET", f"{V5}?filter=%24%5B(%40.length-1)%5D", 501, "filter"),
    Bad("id with a slash", "GET", f"{V5}/a%2Fb", 404, "id"),
    Bad("id with unicode", "GET", f"{V5}/%C3%A4%F0%9F%98%80", 404, "id"),
    Bad("id that climbs", "GET", f"{V5}/..%2F..%2Fetc%2Fpasswd", 404, "id"),
    Bad("id with a quote", "GET", f"{V5}/x'%3B--", 404, "id"),
    Bad("unknown path", "GET", f"{V5}/1/2/3", 404),
    Bad("unknown resource", "GET", "/customer-360/tmf-api/customerManagement/v5/costumer", 404),
    Bad("unknown version", "GET", "/customer-360/tmf-api/customerManagement/v9/customer", 404),
    Bad("method that is not there", "PUT", f"{V5}/1", 405, None, body(), JSON),
    Bad("method nobody knows", "BREW", V5, 405),
    Bad("OPTIONS", "OPTIONS", V5, 405),
    Bad("writing what may only be read", "POST", "/customer-360/tmf-api/customer360/v5/customer360", 405, None, b"{}", JSON),
    Bad("patch of id", "PATCH", V5 + "/{id}", 400, "id", b'{"id": "other"}', JSON),
    Bad("patch of href", "PATCH", V5 + "/{id}", 400, "href", b'{"href": "http://elsewhere/1"}', JSON),
    Bad("patch of @type", "PATCH", V5 + "/{id}", 400, "@type", b'{"@type": "Supplier"}', JSON),
    Bad("removing what is mandatory", "PATCH", V5 + "/{id}", 400, "name", b'{"name": null}', JSON),
    Bad("patch that is no object", "PATCH", V5 + "/{id}", 400, None, b'"x"', JSON),
    Bad("patch of nobody", "PATCH", f"{V5}/nobody", 404, "id", b'{"name": "x"}', JSON),
    Bad("JSON Patch that finds nothing", "PATCH", V5 + "/{id}", 400, None, b'[{"op": "remove", "path": "/nowhere"}]', {"content-type": "application/json-patch+json"}),
    Bad("JSON Patch whose test fails", "PATCH", V5 + "/{id}", 409, None, b'[{"op": "test", "path": "/name", "value": "Bob"}]', {"content-type": "application/json-patch+json"}),
    Bad("If-Match of an old version", "PATCH", V5 + "/{id}", 412, None, b'{"name": "x"}', {**JSON, "if-match": '"77"'}),
    Bad("empty Idempotency-Key", "POST", V5, 400, "Idempotency-Key", body(), {**JSON, "idempotency-key": ""}),
    Bad("illegal state move", "PATCH", PROBLEM + "/{problem}", 409, "status", b'{"status": "closed"}', JSON),
    Bad("bulk create with one bad", "PATCH", V5, 400, "[1].value.name", orjson.dumps([{"op": "add", "path": "/", "value": GOOD}, {"op": "add", "path": "/", "value": {"engagedParty": {"id": "1"}}}]), {"content-type": "application/json-patch+json"}),
    Bad("callback to a forbidden network", "POST", HUB, 403, "callback", b'{"callback": "http://169.254.169.254/latest"}', JSON),
    Bad("callback with another scheme", "POST", HUB, 400, "callback", b'{"callback": "file:///etc/passwd"}', JSON),
    Bad("no callback", "POST", HUB, 400, "callback", b'{"query": "eventType=CustomerCreateEvent"}', JSON),
    Bad("hub query that is none", "POST", HUB, 400, "query", b'{"callback": "http://example.com/", "query": "$[?("}', JSON),
    Bad("listener with a guessed key", "POST", "/customer-360/listener/serviceQuality.serviceProblemManagement.serviceProblem/00", 401, None, b"{}", JSON),
    Bad("no token", "GET", V5, 401, None, None, {"authorization": ""}),
    Bad("expired token", "GET", V5, 401, None, None, {"authorization": "EXPIRED"}),
    Bad("token for somebody else", "GET", V5, 401, None, None, {"authorization": "AUDIENCE"}),
    Bad("token signed by nobody", "GET", V5, 401, None, None, {"authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}),
    Bad("permission that is not held", "POST", V5, 403, None, body(), {**JSON, "authorization": "READER"}),
]  # fmt: skip


class Tour:
    """Three components with OIDC on, and a token for each kind of caller."""

    def __init__(self, issuer: Issuer, apps: dict[str, Running]) -> None:
        self.apps = apps
        self.tokens = {
            "": issuer.token("tester", ["*:*:*"]),
            "EXPIRED": issuer.token("tester", ["*:*:*"], expires_in_s=-120),
            "AUDIENCE": issuer.token("tester", ["*:*:*"], audience="another"),
            "READER": issuer.token("reader", ["customerManagement:*:list"]),
        }
        self.customer = self.made(V5, GOOD)
        self.problem = self.made(PROBLEM, orjson.loads(CASES[20].content or b"{}") | {"status": "acknowledged"})

    def app(self, path: str) -> Running:
        return self.apps[path.split("/")[1]]

    def made(self, path: str, doc: Any) -> str:
        headers = {"authorization": f"Bearer {self.tokens['']}"}
        answer = self.app(path).post(path, doc, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def ask(self, bad: Bad) -> Any:
        headers = {"authorization": f"Bearer {self.tokens['']}", **bad.headers}
        wanted = headers["authorization"]
        if wanted in self.tokens and wanted:
            headers["authorization"] = f"Bearer {self.tokens[wanted]}"
        if wanted == "":
            del headers["authorization"]
        path = bad.path.replace("{id}", self.customer).replace("{problem}", self.problem)
        return self.app(path).request(bad.method, path, content=bad.content, headers=headers)

    def stored(self) -> dict[str, int]:
        tables = ("customer", "service_problem", "outbox", "subscription", "audit", "idempotency", "inbox")
        out = {}
        for name, app in self.apps.items():
            for table in tables:
                if app.sql("SELECT to_regclass($1) IS NOT NULL", table)[0][0]:
                    out[f"{name} {table}"] = app.sql(f"SELECT count(*) FROM {table}")[0][0]
        return out


@pytest.fixture(scope="module")
def tour() -> Iterator[Tour]:
    loop = Loop()
    with Issuer() as issuer:
        settings = {"auth_mode": "oidc", "oidc_issuer": issuer.url, "oidc_audience": "oda", "database_connections": 4}
        with running(component, loop, **settings) as a, running(quality, loop, **settings) as b:
            yield Tour(issuer, {"customer-360": a, "service-quality": b})
    loop.close()


@pytest.mark.parametrize("bad", CASES, ids=[b.case for b in CASES])
def test_is_refused_and_leaves_nothing(tour: Tour, bad: Bad) -> None:
    before = tour.stored()
    error = assert_tmf_error(tour.ask(bad), bad.status)
    if bad.attribute is not None:
        assert error["attribute"] == bad.attribute
    assert tour.stored() == before


def test_the_table_in_the_docs_is_the_tour() -> None:
    rows = re.findall(r"^\| ([^|]+) \| `(\w+)` \| (\d+) \| ([^|]*) \|$", TABLE.read_text(), re.M)
    told = [(case.strip(), method, int(status), attribute.strip(" `")) for case, method, status, attribute in rows]
    assert told == [(b.case, b.method, b.status, b.attribute or "") for b in CASES]


def test_no_component_is_without_the_tour() -> None:
    """The refusals are the kernel's: another component gives the same ones."""
    path = "/churn-prediction/tmf-api/riskManagement/v4/partyRoleRiskAssessment"
    with running(churn) as app:
        assert_tmf_error(app.request("POST", path, content=b"{", headers=JSON), 400)
        assert assert_tmf_error(app.post(path, {}), 400)["attribute"] == "partyRole"
        assert assert_tmf_error(app.get(f"{path}?colour=red"), 400)["attribute"] == "colour"
        assert_tmf_error(app.patch(f"{path}/1", {}), 405)
