"""The door with security on: who is let in, to what, what is written down about it, and what nobody is told."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from shared.tests.support.serving import away, database
from shared.tests.support.shipping import BASE, DEAD_LETTERS, DEPOTS, HUB_V4, HUB_V5, V4, V5, component

from tmfkit.testing import Running, assert_tmf_error, running
from tmfkit.testing_issuer import Issuer

STOCK = "/shipping/tmf-api/depotManagement/v1/stocktaking"
PLANNING = "/shipping/tmf-api/depotManagement/v1/planning"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TABLES = ("shipment", "depot", "subscription", "outbox", "audit", "idempotency", "delivery")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def guarded(issuer: Issuer) -> dict[str, Any]:
    roles = {"clerk": ["shipmentManagement:shipment:create", "shipmentManagement:shipment:retrieve"]}
    return {
        "auth_mode": "oidc",
        "oidc_issuer": issuer.url,
        "oidc_audience": "oda",
        "role_permissions": roles,
        "forwarded_allow": "",
    }


@pytest.fixture(scope="module")
def app(guarded: dict[str, Any]) -> Iterator[Running]:
    with running(component, database_url=database(component), **guarded) as app:
        yield app


def bearer(token: str, **headers: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", **headers}


def stored(app: Running) -> dict[str, int]:
    return {table: app.sql(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


# --- who -----------------------------------------------------------------------------------------------------


def test_nobody_is_let_in_without_a_good_token(app: Running, issuer: Issuer) -> None:
    with Issuer() as stranger:
        foreign = stranger.token("eve", ["*:*:*"])
    good = issuer.token("ann", ["*:*:*"])
    refused = {
        "missing": {},
        "another scheme": {"authorization": "Basic YTpi"},
        "empty": {"authorization": "Bearer "},
        "no token at all": bearer("not.a.token"),
        "expired": bearer(issuer.token("ann", ["*:*:*"], expires_in_s=-60)),
        "for another audience": bearer(issuer.token("ann", ["*:*:*"], audience="elsewhere")),
        "of another issuer": bearer(foreign),
        "not yet valid": bearer(issuer.token("ann", ["*:*:*"], claims={"nbf": 4_000_000_000})),
        "of nobody": bearer(issuer.token("", ["*:*:*"])),
        "changed": bearer(good[:-6] + ("AAAAAA" if not good.endswith("AAAAAA") else "BBBBBB")),
    }
    before = stored(app)
    for what, headers in refused.items():
        for method, path, body in (
            ("GET", V5, None),
            ("POST", V5, {"name": "x"}),
            ("DELETE", f"{V5}/1", None),
            ("POST", HUB_V5, {"callback": "http://127.0.0.1:9/"}),
            ("GET", DEAD_LETTERS, None),
            ("POST", f"{STOCK}/x", None),
            ("GET", "/shipping/unknown/path", None),
            ("GET", "/shipping/tmf-api/shipmentManagement/v5", None),
        ):
            answer = app.request(method, path, json=body, headers=headers)
            assert_tmf_error(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer"), what
    assert stored(app) == before


def test_an_expired_token_is_refused_although_it_was_good_before(app: Running, issuer: Issuer) -> None:
    token = issuer.token("ann", ["*:*:*"], claims={"exp": int(time.time()) - 28})  # the leeway is 30 s
    assert app.get(V5, headers=bearer(token)).status_code == 200
    deadline = time.monotonic() + 20
    while (answer := app.get(V5, headers=bearer(token))).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    error = assert_tmf_error(answer, 401)
    assert error["reason"] == "The token has expired"


@pytest.mark.parametrize(
    "path",
    [
        "/health/live",
        "/health/ready",
        "/health/startup",
        "/shipping/health/live",
        "/metrics",
        "/shipping/metrics",
        "/shipping",
        "/shipping/docs",
        "/shipping/openapi.json",
        f"{BASE}/v5/openapi.json",
    ],
)
def test_what_is_open_needs_no_token(app: Running, path: str) -> None:
    assert app.get(path).status_code in ((200, 503) if "ready" in path or "startup" in path else (200,))


@pytest.mark.parametrize("path", [f"{STOCK}/openapi.json", f"{V5}/openapi.json", f"{HUB_V5}/openapi.json"])
def test_an_open_name_at_the_end_opens_nothing(app: Running, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert_tmf_error(app.request(method, path), 401)


@pytest.mark.parametrize(
    "path", ["/health", "/docs", "/listener", "/shipping/health/x", "/shipping/docs/x", "/metrics/x"]
)
def test_what_begins_like_something_open_is_not_there(app: Running, path: str) -> None:
    assert_tmf_error(app.get(path), 404)


# --- to what -------------------------------------------------------------------------------------------------

OPERATIONS: list[tuple[str, str, Any, str]] = [
    ("GET", V5, None, "shipmentManagement:shipment:list"),
    ("HEAD", V5, None, "shipmentManagement:shipment:list"),
    ("GET", V4, None, "shipmentManagement:shipment:list"),
    ("POST", V5, {"name": "x"}, "shipmentManagement:shipment:create"),
    ("PATCH", V5, [], "shipmentManagement:shipment:create"),
    ("GET", f"{V5}/1", None, "shipmentManagement:shipment:retrieve"),
    ("PATCH", f"{V5}/1", {}, "shipmentManagement:shipment:patch"),
    ("DELETE", f"{V5}/1", None, "shipmentManagement:shipment:delete"),
    ("GET", HUB_V4, None, "shipmentManagement:hub:retrieve"),
    ("GET", f"{HUB_V5}/1", None, "shipmentManagement:hub:retrieve"),
    ("POST", HUB_V5, {}, "shipmentManagement:hub:create"),
    ("DELETE", f"{HUB_V5}/1", None, "shipmentManagement:hub:delete"),
    ("GET", DEPOTS, None, "depotManagement:depot:list"),
    ("GET", DEAD_LETTERS, None, "eventDelivery:deadLetter:list"),
    ("POST", f"{DEAD_LETTERS}/1/replay", None, "eventDelivery:deadLetter:create"),
    ("POST", f"{DEAD_LETTERS}/replay", None, "eventDelivery:deadLetter:create"),
    ("POST", f"{STOCK}/x", None, "depotManagement:stocktaking:create"),
]
EVERY = sorted({permission for *_, permission in OPERATIONS})


@pytest.mark.parametrize(("method", "path", "body", "permission"), OPERATIONS)
def test_each_operation_needs_its_own_permission(
    app: Running, issuer: Issuer, method: str, path: str, body: Any, permission: str
) -> None:
    content = None if body is None else json.dumps(body).encode()
    media = "application/json-patch+json" if isinstance(body, list) else "application/json"

    def answered(*permissions: str) -> int:
        headers = bearer(issuer.token("ann", permissions), **{"content-type": media})
        answer = app.request(method, path, content=content, headers=headers)
        if answer.status_code == 403 and method != "HEAD":
            assert "ann" in assert_tmf_error(answer, 403)["message"]
        return answer.status_code

    before = stored(app)
    assert answered() == 403
    assert answered(*(p for p in EVERY if p != permission), "shipmentManagement", "*", "*:*", "::") == 403
    assert stored(app) == before
    api, resource, operation = permission.split(":")
    for enough in (permission, f"{api}:*:{operation}", f"{api}:{resource}:*", "*:*:*"):
        assert answered(enough) not in (401, 403)


def test_a_role_means_what_the_operator_grants_it(app: Running, issuer: Issuer) -> None:
    clerk = bearer(issuer.token("bob", ["clerk"]))
    made = app.post(V5, {"name": "Rome"}, headers=clerk)
    assert made.status_code == 201
    assert app.get(made.json()["href"], headers=clerk).status_code == 200
    assert_tmf_error(app.delete(made.json()["href"], headers=clerk), 403)
    assert_tmf_error(app.get(V5, headers=clerk), 403)


def test_permissions_may_come_as_a_scope(app: Running, issuer: Issuer) -> None:
    token = issuer.token("bob", claims={"scope": "openid shipmentManagement:shipment:list"})
    assert app.get(V5, headers=bearer(token)).status_code == 200


def test_with_a_token_an_unknown_path_is_not_there(app: Running, issuer: Issuer) -> None:
    token = bearer(issuer.token("ann", ["*:*:*"]))
    for path in ("/shipping/unknown", f"{BASE}/v6/shipment", f"{BASE}/v5/nothing", f"{V5}/1/2", "/shipping//tmf-api"):
        assert_tmf_error(app.get(path, headers=token), 404)


# --- what is written down ------------------------------------------------------------------------------------


def trail(app: Running) -> list[tuple[Any, ...]]:
    rows = app.sql("SELECT subject, operation, resource, resource_id, attributes, trace_id FROM audit ORDER BY seq")
    return [tuple(r) for r in rows]


def test_every_write_leaves_who_what_and_the_trace(app: Running, issuer: Issuer) -> None:
    app.sql("DELETE FROM audit")
    ann = bearer(issuer.token("ann", ["*:*:*"]), traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    bob = bearer(issuer.token("bob", ["*:*:*"]), b3=f"{TRACE}-00f067aa0ba902b7-1")
    one = app.post(V5, {"name": "Rome"}, headers=ann).json()["id"]
    app.patch(f"{V4}/{one}", {"weightKg": 5, "priority": "low"}, headers=bob)
    app.patch(f"{V4}/{one}", {"weightKg": 5}, headers=bob)
    bulk = [{"op": "add", "path": "/", "value": {"name": f"shipment {i}"}} for i in range(2)]
    two, three = (d["id"] for d in app.patch(V5, bulk, "application/json-patch+json", headers=ann).json())
    once = {**ann, "idempotency-key": "once"}
    four, again = (app.post(DEPOTS, {"name": "East"}, headers=once).json()["id"] for _ in range(2))
    assert four == again
    app.delete(f"{V5}/{one}", headers=bob)
    hub = app.post(HUB_V5, {"callback": "http://127.0.0.1:9/x"}, headers=ann).json()["id"]
    app.delete(f"{HUB_V5}/{hub}", headers=bob)
    assert trail(app) == [
        ("ann", "create", "Shipment", one, None, TRACE),
        ("bob", "patch", "Shipment", one, ["lastUpdate", "urgency", "weightKg"], TRACE),
        ("ann", "create", "Shipment", two, None, TRACE),
        ("ann", "create", "Shipment", three, None, TRACE),
        ("ann", "create", "Depot", four, None, TRACE),
        ("bob", "delete", "Shipment", one, None, TRACE),
        ("ann", "create", "Hub", hub, None, TRACE),
        ("bob", "delete", "Hub", hub, None, TRACE),
    ]


def test_what_is_read_or_refused_is_not_written_down(app: Running, issuer: Issuer) -> None:
    app.sql("DELETE FROM audit")
    ann = bearer(issuer.token("ann", ["*:*:*"]))
    app.get(V5, headers=ann)
    app.get(HUB_V5, headers=ann)
    assert_tmf_error(app.post(V5, {"name": 5}, headers=ann), 400)
    assert_tmf_error(app.delete(f"{V5}/none", headers=ann), 404)
    assert_tmf_error(app.post(V5, {"name": "Rome"}, headers=bearer(issuer.token("eve"))), 403)
    assert trail(app) == []


def test_a_write_without_a_trace_begins_one(app: Running, issuer: Issuer) -> None:
    app.sql("DELETE FROM audit")
    app.post(V5, {"name": "Rome"}, headers=bearer(issuer.token("ann", ["*:*:*"])))
    ((*_, trace),) = trail(app)
    assert len(trace) == 32
    assert int(trace, 16) > 0
    assert app.sql("SELECT traceparent FROM outbox ORDER BY seq DESC LIMIT 1")[0][0].split("-")[1] == trace


# --- what nobody is told -------------------------------------------------------------------------------------


def test_an_unexpected_failure_tells_its_trace_and_nothing_else(app: Running, issuer: Issuer) -> None:
    ann = bearer(issuer.token("ann", ["*:*:*"]), traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    answer = app.post(PLANNING, {"depots": 101}, headers=ann)
    error = assert_tmf_error(answer, 500)
    assert error["message"] == f"trace id {TRACE}"
    assert "secret" not in answer.text
    assert app.post(PLANNING, {"depots": 100}, headers=ann).json() == {"depots": 100}


def test_what_the_framework_refuses_has_the_same_body(app: Running, issuer: Issuer) -> None:
    ann = bearer(issuer.token("ann", ["*:*:*"]))
    assert assert_tmf_error(app.post(PLANNING, {"depots": "many"}, headers=ann), 400)["attribute"] == "depots"
    assert assert_tmf_error(app.post(PLANNING, {}, headers=ann), 400)["attribute"] == "depots"
    assert_tmf_error(app.request("POST", PLANNING, content=b"{", headers=ann), 400)
    assert_tmf_error(app.post(PLANNING, {"depots": 1, "x": "y" * 9_000_000}, headers=ann), 413)
    refused = app.get(PLANNING, headers=ann)
    assert_tmf_error(refused, 405)
    assert refused.headers["allow"] == "POST"
    for path, status in ((f"{STOCK}/%00", 404), (f"{STOCK}/x?a=b%00", 400), (f"{STOCK}/a%2Fb", 404)):
        assert_tmf_error(app.post(path, headers=ann), status)


def test_without_a_database_the_answer_is_later(guarded: dict[str, Any], issuer: Issuer) -> None:
    url = database(component)
    ann = bearer(issuer.token("ann", ["*:*:*"]))
    with running(component, database_url=url, **guarded) as app:
        one = app.post(V5, {"name": "Rome"}, headers=ann).json()["id"]
        with away(url):
            for method, path, body in (
                ("GET", V5, None),
                ("GET", f"{V5}/{one}", None),
                ("POST", V5, {"name": "Rome"}),
                ("PATCH", f"{V5}/{one}", {"weightKg": 1}),
                ("DELETE", f"{V5}/{one}", None),
                ("POST", HUB_V5, {"callback": "http://127.0.0.1:9/"}),
                ("GET", DEAD_LETTERS, None),
            ):
                answer = app.request(method, path, json=body, headers=ann)
                assert_tmf_error(answer, 503)
                assert int(answer.headers["retry-after"]) >= 1
            assert app.get("/health/live").status_code == 200
            assert app.get("/health/ready").status_code == 503
        assert app.get(f"{V5}/{one}", headers=ann).json()["name"] == "Rome"
        assert stored(app)["shipment"] == 1


def test_every_connection_that_was_lost_is_replaced() -> None:
    url = database(component)
    with running(component, database_url=url) as app:

        async def at_once() -> list[int]:
            return [a.status_code for a in await asyncio.gather(*(app.client.get(V5) for _ in range(12)))]

        assert set(app.loop.run(at_once())) == {200}
        for _ in range(3):
            with away(url):
                assert set(app.loop.run(at_once(), 20)) == {503}
            assert set(app.loop.run(at_once(), 20)) == {200}
        assert app.post(V5, {"name": "Rome"}).status_code == 201


def test_without_its_issuer_nobody_is_let_in_and_the_answer_is_later() -> None:
    with Issuer() as gone:
        token = gone.token("ann", ["*:*:*"])
        url = gone.url
    with running(component, database_url=database(component), auth_mode="oidc", oidc_issuer=url) as app:
        answer = app.get(V5, headers=bearer(token))
        assert_tmf_error(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        assert app.get("/health/live").status_code == 200


def test_without_an_issuer_configured_security_cannot_be_on() -> None:
    with pytest.raises(SystemExit, match="OIDC_ISSUER is not set"):
        component.app(component.settings(database_url="postgresql://nowhere/", auth_mode="oidc"))


def test_security_off_is_said_loudly(caplog: pytest.LogCaptureFixture) -> None:
    component.app(component.settings(database_url="postgresql://nowhere/", auth_mode="none"))
    (record,) = [r for r in caplog.records if "SECURITY IS OFF" in r.message]
    assert record.levelname == "WARNING"


def test_requests_are_counted_by_route_and_never_by_path(app: Running, issuer: Issuer) -> None:
    ann = bearer(issuer.token("ann", ["*:*:*"]))
    one = app.post(V5, {"name": "Rome"}, headers=ann).json()["id"]
    app.get(f"{V5}/{one}", headers=ann)
    app.get("/shipping/some/unknown/path", headers=ann)
    app.get(f"{V5}/{one}")
    told = app.get("/metrics").text
    counted = {
        tuple(sorted(re.findall(r'="([^"]*)"', line)))
        for line in told.splitlines()
        if line.startswith("http_server_request_duration_seconds_count")
    }
    of_one = f"{V5}/{{id}}"
    for series in (("GET", of_one, "200"), ("POST", V5, "201"), ("GET", of_one, "401"), ("GET", "other", "404")):
        assert tuple(sorted(series)) in counted
    assert one not in told
    assert "unknown" not in told
