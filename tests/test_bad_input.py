"""The bad input tour, over real HTTP with OIDC on: each a TMF Error with the right status and the attribute at fault,
and nothing stored. docs/bad-input.md is the table of it; the test holds both together.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson
import pytest
from shared.tests.support.serving import Online

from churn_prediction.main import component as churn
from customer_360.main import component as customers
from experience_management.main import component as experience
from service_quality.main import component as quality
from tmfkit.testing import assert_tmf_error, fresh_database, running
from tmfkit.testing_issuer import Issuer

TABLE = Path(__file__).parents[1] / "docs" / "bad-input.md"
V5 = "/customer-360/tmf-api/customerManagement/v5/customer"
V4 = "/customer-360/tmf-api/customerManagement/v4/customer"
HUB = "/customer-360/tmf-api/customerManagement/v5/hub"
PROBLEM = "/service-quality/tmf-api/serviceProblemManagement/v5/serviceProblem"
GOOD = {"@type": "Customer", "name": "Ada", "engagedParty": {"id": "1", "@type": "PartyRef"}}
MODEL = "/churn-prediction/tmf-api/AiM/v4/aiModel"
MEASUREMENT = "/service-quality/tmf-api/performanceMeasurement/v1/measurement"
SURVEYS = "/experience-management/tmf-api/experienceManagement/v1/surveyResult"
LISTENER = "/customer-360/listener/serviceQuality.serviceProblemManagement.serviceProblem/00"
JSON = {"content-type": "application/json"}
PATCH_JSON = {"content-type": "application/json-patch+json"}
PATCH_QUERY = {"content-type": "application/json-patch-query+json"}
LONG = secrets.token_hex(3000)
"""Text that PostgreSQL cannot make short."""


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
    Bad("half a surrogate pair", "POST", V5, 400, None, b'{"name": "\\ud800", "engagedParty": {"id": "1"}}', JSON),
    Bad("name that comes twice", "POST", V5, 400, "name", b'{"name": "Ada", "name": "Eve", "engagedParty": {"id": "1"}}', JSON),
    Bad("name that comes twice, written otherwise", "POST", V5, 400, "id", b'{"name": "Ada:", "engagedParty": {"id": "1", "\\u0069d": "2"}, "x": "\\u003a"}', JSON),
    Bad("compressed body", "POST", V5, 400, None, b"\x1f\x8b\x08\x00", {**JSON, "content-encoding": "gzip"}),
    Bad("array instead of object", "POST", V5, 400, None, b"[1, 2]", JSON),
    Bad("null instead of object", "POST", V5, 400, None, b"null", JSON),
    Bad("wrong media type", "POST", V5, 415, None, b"<customer/>", {"content-type": "application/xml"}),
    Bad("wrong charset", "POST", V5, 415, None, body(), {"content-type": "application/json; charset=utf-16"}),
    Bad("media type of a patch on POST", "POST", V5, 415, None, b"[]", {"content-type": "application/json-patch+json"}),
    Bad("answer in a language we do not write", "GET", V5, 406, None, None, {"accept": "text/html"}),
    Bad("Accept that is none", "GET", V5, 406, None, None, {"accept": "whatever"}),
    Bad("Accept that excludes JSON", "GET", V5, 406, None, None, {"accept": "application/json;q=0, text/html"}),
    Bad("10 MB body", "POST", V5, 413, None, b'{"name": "' + b"a" * 10_000_000 + b'"}', JSON),
    Bad("nested 500 levels", "POST", V5, 400, None, b'{"name":"Ada","x":' + b"[" * 500 + b"]" * 500 + b"}", JSON),
    Bad("character NUL", "POST", V5, 400, None, b'{"name": "A\\u0000da", "engagedParty": {"id": "1"}}', JSON),
    Bad("missing mandatory attribute", "POST", V5, 400, "name", orjson.dumps({"engagedParty": {"id": "1"}}), JSON),
    Bad("wrong type", "POST", V5, 400, "name", body(name=5), JSON),
    Bad("wrong type inside", "POST", V5, 400, "engagedParty.id", body(engagedParty={"id": 7}), JSON),
    Bad("number for a truth value", "POST", V5, 400, "contactMedium[0].preferred", body(contactMedium=[{"preferred": 1}]), JSON),
    Bad("number larger than any", "POST", V5, 400, None, b'{"name": "Ada", "engagedParty": {"id": "1"}, "x": 1e400}', JSON),
    Bad("whole number larger than any", "POST", V5, 400, "creditProfile[0].creditScore", body(creditProfile=[{"creditScore": 0}]).replace(b":0", b":" + b"9" * 30), JSON),
    Bad("fraction for a whole number", "POST", V5, 400, "creditProfile[0].creditScore", body(creditProfile=[{"creditScore": 0.5}]), JSON),
    Bad("object instead of list", "POST", V5, 400, "relatedParty", body(relatedParty={"role": "x"}), JSON),
    Bad("no instant", "POST", V5, 400, "validFor.startDateTime", body(validFor={"startDateTime": "soon"}), JSON),
    Bad("month 13", "POST", V5, 400, "validFor.startDateTime", body(validFor={"startDateTime": "2026-13-01T00:00Z"}), JSON),
    Bad("offset that no zone has", "POST", V5, 400, "validFor.startDateTime", body(validFor={"startDateTime": "2026-01-01T00:00:00+25:00"}), JSON),
    Bad("text too long for its index", "POST", V5, 400, "name", body(name=LONG), JSON),
    Bad("newer attribute with another type", "POST", V4, 400, "description", b'{"name": "Ada", "engagedParty": {"id": "1"}, "description": 5}', JSON),
    Bad("value that an enumeration lacks", "POST", MODEL, 400, "state", b'{"name": "m", "state": "flying", "serviceSpecification": {"id": "1"}}', JSON),
    Bad("empty id", "POST", V5, 400, "id", body(id=""), JSON),
    Bad("id that is no text", "POST", V5, 400, "id", body(id=["x"]), JSON),
    Bad("id of 300 characters", "POST", V5, 400, "id", body(id="x" * 300), JSON),
    Bad("unknown state", "POST", PROBLEM, 400, "status", b'{"@type":"ServiceProblem","category":"c","description":"d","originatorParty":{"@type":"RelatedPartyRefOrPartyRoleRef","role":"r","partyOrPartyRole":{"id":"1"}},"priority":1,"reason":"r","status":"lost"}', JSON),
    Bad("unknown attribute in a filter", "GET", f"{V5}?colour=red", 400, "colour"),
    Bad("unknown attribute in a v4 filter", "GET", f"{V4}?description=x", 400, "description"),
    Bad("unknown operator in a filter", "GET", f"{V5}?name.nearly=Ada", 400, "name.nearly"),
    Bad("unknown parameter of one resource", "GET", V5 + "/{id}?colour=red", 400, "colour"),
    Bad("NUL in a filter", "GET", f"{V5}?name.contains=a%00", 400, "name"),
    Bad("NUL in a query of another route", "GET", f"{MEASUREMENT}?resource=%00", 400, "resource"),
    Bad("filter value of the wrong type", "GET", f"{V5}?validFor.startDateTime.gt=soon", 400, "validFor.startDateTime"),
    Bad("between with one value", "GET", f"{V5}?name.between=a", 400, "name"),
    Bad("regular expression that does not close", "GET", f"{V5}?name.regex=%5Ba", 400, "name"),
    Bad("sort by an unknown attribute", "GET", f"{V5}?sort=-colour", 400, "colour"),
    Bad("sort by a list", "GET", f"{V5}?sort=relatedParty.role", 400, "relatedParty.role"),
    Bad("fields with a JSONPath that does not close", "GET", f"{V5}?fields=contactMedium%5B%3F(", 400, "fields"),
    Bad("more values than are compared", "GET", f"{V5}?id={','.join('abcdefghijklm' * 20)}", 400, "query"),
    Bad("negative offset", "GET", f"{V5}?offset=-1", 400, "offset"),
    Bad("offset that is no number", "GET", f"{V5}?offset=9e99", 400, "offset"),
    Bad("negative offset of another route", "GET", f"{MEASUREMENT}?offset=-1", 400, "offset"),
    Bad("missing parameter of another route", "GET", SURVEYS, 400, "surveyName"),
    Bad("limit that is no number", "GET", f"{V5}?limit=many", 400, "limit"),
    Bad("query of 10,000 characters", "GET", f"{V5}?name={'a' * 10_000}", 400, "query"),
    Bad("JSONPath that does not close", "GET", f"{V5}?filter=%24%5B%3F(%40.name", 400, "filter"),
    Bad("JSONPath with a script", "GET", f"{V5}?filter=%24%5B(%40.length-1)%5D", 400, "filter"),
    Bad("JSONPath over what v4 does not show", "GET", f"{V4}?filter=%24%5B%3F(%40.description%3D%3D'x')%5D", 400, "filter"),
    Bad("id with a slash", "GET", f"{V5}/a%2Fb", 404, "id"),
    Bad("id with unicode", "GET", f"{V5}/%C3%A4%F0%9F%98%80", 404, "id"),
    Bad("id that climbs", "GET", f"{V5}/..%2F..%2Fetc%2Fpasswd", 404, "id"),
    Bad("id with a quote", "GET", f"{V5}/x'%3B--", 404, "id"),
    Bad("id of 5,000 characters", "GET", f"{V5}/{'x' * 5_000}", 404, "id"),
    Bad("id with NUL", "GET", f"{V5}/%00", 404),
    Bad("HEAD of nobody", "HEAD", f"{V5}/nobody", 404),
    Bad("unknown path", "GET", f"{V5}/1/2/3", 404),
    Bad("unknown resource", "GET", "/customer-360/tmf-api/customerManagement/v5/costumer", 404),
    Bad("unknown version", "GET", "/customer-360/tmf-api/customerManagement/v9/customer", 404),
    Bad("method that is not there", "PUT", f"{V5}/1", 405, None, body(), JSON),
    Bad("method of another protocol", "PROPFIND", V5, 405),
    Bad("OPTIONS", "OPTIONS", V5, 405),
    Bad("TRACE", "TRACE", V5, 405),
    Bad("DELETE of a collection", "DELETE", V5, 405),
    Bad("writing what may only be read", "POST", "/customer-360/tmf-api/customer360/v5/customer360", 405, None, b"{}", JSON),
    Bad("patch of id", "PATCH", V5 + "/{id}", 400, "id", b'{"id": "other"}', JSON),
    Bad("patch of href", "PATCH", V5 + "/{id}", 400, "href", b'{"href": "http://elsewhere/1"}', JSON),
    Bad("patch of @type", "PATCH", V5 + "/{id}", 400, "@type", b'{"@type": "Supplier"}', JSON),
    Bad("removing what is mandatory", "PATCH", V5 + "/{id}", 400, "name", b'{"name": null}', JSON),
    Bad("patch that is no object", "PATCH", V5 + "/{id}", 400, None, b'"x"', JSON),
    Bad("patch nested 100 levels", "PATCH", V5 + "/{id}", 400, None, b'{"x":' * 100 + b"1" + b"}" * 100, JSON),
    Bad("wrong media type of a patch", "PATCH", V5 + "/{id}", 415, None, b"name: x", {"content-type": "text/yaml"}),
    Bad("patch with fields that do not close", "PATCH", V5 + "/{id}?fields=a%5B%3F(", 400, "fields", b'{"status": "stored?"}', JSON),
    Bad("patch of nobody", "PATCH", f"{V5}/nobody", 404, "id", b'{"name": "x"}', JSON),
    Bad("JSON Patch that finds nothing", "PATCH", V5 + "/{id}", 400, "nowhere", b'[{"op": "remove", "path": "/nowhere"}]', {"content-type": "application/json-patch+json"}),
    Bad("JSON Patch with an unknown operation", "PATCH", V5 + "/{id}", 400, None, b'[{"op": "double", "path": "/name"}]', PATCH_JSON),
    Bad("JSON Patch that is no list", "PATCH", V5 + "/{id}", 400, None, b'{"op": "remove", "path": "/status"}', PATCH_JSON),
    Bad("JSON Patch of what the server owns", "PATCH", V5 + "/{id}", 400, "id", b'[{"op": "replace", "path": "/id", "value": "x"}]', PATCH_JSON),
    Bad("JSON Patch Query that selects nothing", "PATCH", V5 + "/{id}", 400, "relatedParty", b'[{"op": "remove", "path": "/relatedParty?id=none"}]', PATCH_QUERY),
    Bad("JSON Patch whose test fails", "PATCH", V5 + "/{id}", 409, "name", b'[{"op": "test", "path": "/name", "value": "Bob"}]', {"content-type": "application/json-patch+json"}),
    Bad("If-Match of an old version", "PATCH", V5 + "/{id}", 412, None, b'{"name": "x"}', {**JSON, "if-match": '"77"'}),
    Bad("If-Match that is no tag", "PATCH", V5 + "/{id}", 412, None, b'{"name": "x"}', {**JSON, "if-match": "yesterday"}),
    Bad("If-Match of an old version on DELETE", "DELETE", V5 + "/{id}", 412, None, None, {"if-match": '"77"'}),
    Bad("empty Idempotency-Key", "POST", V5, 400, "Idempotency-Key", body(), {**JSON, "idempotency-key": ""}),
    Bad("Idempotency-Key of 300 characters", "POST", V5, 400, "Idempotency-Key", body(), {**JSON, "idempotency-key": "k" * 300}),
    Bad("illegal state move", "PATCH", PROBLEM + "/{problem}", 409, "status", b'{"status": "closed"}', JSON),
    Bad("bulk create with one bad", "PATCH", V5, 400, "[1].value.name", orjson.dumps([{"op": "add", "path": "/", "value": GOOD}, {"op": "add", "path": "/", "value": {"engagedParty": {"id": "1"}}}]), {"content-type": "application/json-patch+json"}),
    Bad("bulk create of nothing", "PATCH", V5, 400, None, b"[]", PATCH_JSON),
    Bad("bulk create of too many", "PATCH", V5, 413, None, orjson.dumps([{"op": "add", "path": "/", "value": GOOD}] * 1001), PATCH_JSON),
    Bad("bulk create with an id that is taken", "PATCH", V5, 409, "id", b'[{"op":"add","path":"/","value":{"id":"{id}","name":"Eve","engagedParty":{"id":"1"}}}]', PATCH_JSON),
    Bad("id that is taken", "POST", V5, 409, "id", b'{"id":"{id}","name":"Eve","engagedParty":{"id":"1"}}', JSON),
    Bad("batch of measurements that is none", "POST", MEASUREMENT, 400, None, b"5", JSON),
    Bad("callback to a forbidden network", "POST", HUB, 403, "callback", b'{"callback": "http://169.254.169.254/latest"}', JSON),
    Bad("callback with another scheme", "POST", HUB, 400, "callback", b'{"callback": "file:///etc/passwd"}', JSON),
    Bad("callback with credentials", "POST", HUB, 400, "callback", b'{"callback": "http://a:b@example.com/"}', JSON),
    Bad("callback too long to be kept", "POST", HUB, 400, "callback", orjson.dumps({"callback": f"http://127.0.0.1/{LONG}"}), JSON),
    Bad("no callback", "POST", HUB, 400, "callback", b'{"query": "eventType=CustomerCreateEvent"}', JSON),
    Bad("hub query that is none", "POST", HUB, 400, "query", b'{"callback": "http://example.com/", "query": "$[?("}', JSON),
    Bad("listener with a guessed key", "POST", LISTENER, 401, None, b"{}", JSON),
    Bad("dead letter that is none", "POST", "/customer-360/tmf-api/eventDelivery/v1/deadLetter/%C2%B2/replay", 404, "id"),
    Bad("path of no component", "GET", "/nowhere", 404),
    Bad("no token", "GET", V5, 401, None, None, {"authorization": ""}),
    Bad("expired token", "GET", V5, 401, None, None, {"authorization": "EXPIRED"}),
    Bad("token for somebody else", "GET", V5, 401, None, None, {"authorization": "AUDIENCE"}),
    Bad("token signed by nobody", "GET", V5, 401, None, None, {"authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}),
    Bad("permission that is not held", "POST", V5, 403, None, body(), {**JSON, "authorization": "READER"}),
]  # fmt: skip


class Tour:
    """Four components on real sockets with OIDC on, and a token for each kind of caller."""

    def __init__(self, issuer: Issuer, online: dict[str, Online]) -> None:
        self.online = online
        self.tokens = {
            "": issuer.token("tester", ["*:*:*"]),
            "EXPIRED": issuer.token("tester", ["*:*:*"], expires_in_s=-120),
            "AUDIENCE": issuer.token("tester", ["*:*:*"], audience="another"),
            "READER": issuer.token("reader", ["customerManagement:*:list"]),
        }
        unknown = next(b for b in CASES if b.case == "unknown state")
        self.customer = self.made(V5, GOOD)
        self.client(LISTENER).post(LISTENER)  # the first one makes the component's secret
        self.problem = self.made(PROBLEM, orjson.loads(unknown.content or b"{}") | {"status": "acknowledged"})

    def client(self, path: str) -> httpx.Client:
        return self.online.get(path.split("/")[1], self.online["customer-360"]).client

    def made(self, path: str, doc: Any) -> str:
        headers = {"authorization": f"Bearer {self.tokens['']}"}
        answer = self.client(path).post(path, json=doc, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def ask(self, bad: Bad) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.tokens['']}", **bad.headers}
        wanted = headers["authorization"]
        if wanted in self.tokens and wanted:
            headers["authorization"] = f"Bearer {self.tokens[wanted]}"
        if wanted == "":
            del headers["authorization"]
        path = bad.path.replace("{id}", self.customer).replace("{problem}", self.problem)
        content = None if bad.content is None else bad.content.replace(b"{id}", self.customer.encode())
        return self.client(path).request(bad.method, path, content=content, headers=headers)

    def stored(self) -> dict[str, int]:
        """How many rows each table of each component has, and how often the customer was changed."""
        query = "SELECT string_agg(format('SELECT %L AS name, count(*) AS n FROM %I', relname, relname), ' UNION ALL ')"
        tables = "FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND NOT relispartition"
        out: dict[str, int] = {}
        for name, component in self.online.items():
            (counting,) = component.sql(f"{query} {tables}")[0]
            out |= {f"{name} {row['name']}": row["n"] for row in component.sql(counting)}
        (changed,) = self.online["customer-360"].sql("SELECT sum(revision) FROM customer")[0]
        return out | {"changes": changed}


@pytest.fixture(scope="module")
def tour() -> Iterator[Tour]:
    with Issuer() as issuer, ExitStack() as stack:
        settings = {"auth_mode": "oidc", "oidc_issuer": issuer.url, "oidc_audience": "oda", "worker": False}
        online = {
            c.name: stack.enter_context(Online(c, database_url=fresh_database(c), **settings))
            for c in (customers, quality, churn, experience)
        }
        yield Tour(issuer, online)


@pytest.mark.parametrize("bad", CASES, ids=[b.case for b in CASES])
def test_is_refused_and_leaves_nothing(tour: Tour, bad: Bad) -> None:
    before = tour.stored()
    answer = tour.ask(bad)
    if bad.method == "HEAD":
        assert (answer.status_code, answer.content) == (bad.status, b"")
    else:
        assert assert_tmf_error(answer, bad.status).get("attribute") == bad.attribute
    assert tour.stored() == before


def shown(bad: Bad) -> str:
    """The request as the table has it: what comes behind tmf-api, cut where it is long."""
    text = f"{bad.method} {bad.path.partition('/tmf-api/')[2] or bad.path}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def test_the_table_in_the_docs_is_the_tour() -> None:
    rows = re.findall(r"^\| ([^|]+) \| `([^`]+)` \| (\d+) \| ([^|]*) \|$", TABLE.read_text(), re.M)
    told = [(case.strip(), request, int(status), attribute.strip(" `")) for case, request, status, attribute in rows]
    assert told == [(b.case, shown(b), b.status, b.attribute or "") for b in CASES]
    assert len({b.case for b in CASES}) == len(CASES)


def test_no_component_is_without_the_tour() -> None:
    """The refusals are the kernel's: another component gives the same ones."""
    path = "/churn-prediction/tmf-api/riskManagement/v4/partyRoleRiskAssessment"
    with running(churn) as app:
        assert_tmf_error(app.request("POST", path, content=b"{", headers=JSON), 400)
        assert assert_tmf_error(app.post(path, {}), 400)["attribute"] == "partyRole"
        assert assert_tmf_error(app.get(f"{path}?colour=red"), 400)["attribute"] == "colour"
        assert_tmf_error(app.patch(f"{path}/1", {}), 405)
