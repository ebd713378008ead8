"""A component as a process: its health, its pages, its commands, its flows, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from shared.tests.support import accounting
from shared.tests.support.serving import away, database, free_port, until

from customer_360.main import component as customer_360
from tmfkit import Component, Context, Every, Settings, TmfError, migrate
from tmfkit.database import dsn, new_id
from tmfkit.embedded import create
from tmfkit.testing import Running, assert_tmf_error, database_named, fresh_database, running, server

CUSTOMERS = "/customer-360/tmf-api/customerManagement/v5/customer"
ADA = {"name": "Ada", "engagedParty": {"id": "1", "@type": "PartyRef"}}


@pytest.fixture(scope="module")
def migrated() -> str:
    return fresh_database(customer_360)


@pytest.fixture(scope="module")
def app(migrated: str) -> Iterator[Running]:
    with running(customer_360, database_url=migrated) as app:
        yield app


def empty_database() -> str:
    name = f"empty_{new_id().replace('-', '')}"
    create(server(), [name])
    return database_named(name)


# --- health ------------------------------------------------------------------------------------------------


def healths(app: Running, prefix: str = "") -> dict[str, int]:
    return {name: app.get(f"{prefix}/health/{name}").status_code for name in ("live", "startup", "ready")}


def test_a_component_is_healthy_outside_of_its_api_path_and_inside(app: Running) -> None:
    for prefix in ("", "/customer-360"):
        assert healths(app, prefix) == {"live": 200, "startup": 200, "ready": 200}
    assert app.get("/health/ready").json()["status"] == "ready"


def test_a_component_is_not_ready_before_its_database_is_migrated() -> None:
    url = empty_database()
    with running(customer_360, database_url=url) as app:
        assert healths(app) == {"live": 200, "startup": 503, "ready": 503}
        assert app.get("/health/ready").json()["status"] == "database not migrated"
        asyncio.run(migrate.upgrade(customer_360.package, url))
        assert healths(app) == {"live": 200, "startup": 200, "ready": 200}
        app.sql("UPDATE alembic_version SET version_num = 'of a newer release'")
        assert healths(app)["ready"] == 200
        asyncio.run(migrate.upgrade(customer_360.package, url))  # after a rollback: it is left as it is
        assert app.sql("SELECT version_num FROM alembic_version")[0][0] == "of a newer release"
        app.sql("DELETE FROM alembic_version")
        assert healths(app)["ready"] == 503


def test_a_component_lives_but_is_not_ready_while_its_database_is_away() -> None:
    url = fresh_database(customer_360)
    with running(customer_360, database_url=url) as app:
        assert healths(app)["ready"] == 200
        with away(url):
            assert healths(app) == {"live": 200, "startup": 503, "ready": 503}
            assert app.get("/health/ready").json()["status"] == "no database"
            assert app.get("/metrics").status_code == 200
        assert healths(app)["ready"] == 200


def test_readiness_tells_whom_a_component_follows_and_does_not_depend_on_them() -> None:
    nobody = {"shipping": f"http://127.0.0.1:{free_port()}/shipping"}
    url = fresh_database(customer_360)
    everybody = dict.fromkeys(customer_360.all_dependencies, nobody["shipping"])
    with running(customer_360, worker=True, database_url=url, dependencies=everybody, upstream_retries=0) as app:
        told = app.get("/health/ready")
        assert told.status_code == 200
        assert told.json()["follows"] == {f.name: "waiting" for f in customer_360.follows}


# --- pages -------------------------------------------------------------------------------------------------


def test_the_documentation_needs_no_other_server(app: Running) -> None:
    page = app.get("/customer-360/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+|src=|@import|url\(", page.text) == []
    files = json.loads(re.search(r"const apis=(\[.*?\]);", page.text)[1])  # type: ignore[index]
    assert len(files) == 1 + sum(len(api.versions) for api in customer_360.apis)
    for file in files:
        told = app.get(file)
        assert told.status_code == 200
        assert told.json()["openapi"].startswith("3.1")
        assert told.json()["paths"]


def test_every_base_path_answers(app: Running) -> None:
    entry = app.get("/customer-360")
    assert entry.status_code == 200
    assert entry.json()["component"] == "customer-360"
    assert len(entry.json()["apis"]) == sum(len(api.versions) for api in customer_360.apis)
    for path in entry.json()["apis"]:
        for spelling in (path, f"{path}/"):
            told = app.get(spelling)
            assert told.status_code == 200
            assert "hub" in told.json()["resources"]
    assert app.get(f"{CUSTOMERS}/").json() == []


def test_the_metrics_are_those_of_prometheus(app: Running) -> None:
    app.post(CUSTOMERS, ADA)
    for path in ("/metrics", "/customer-360/metrics"):
        told = app.get(path)
        assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
        for name in (
            "http_server_request_duration_seconds_bucket",
            "tmfkit_outbox_waiting",
            "tmfkit_outbox_lag_seconds",
            "tmfkit_deliveries_pending",
            "tmfkit_dead_letters_total",
            "tmfkit_database_connections_max",
            "process_cpu_seconds_total",
        ):
            assert re.search(rf"^{name}[ {{]", told.text, re.M), name


def test_connections_are_counted_when_the_metrics_are_read(app: Running) -> None:
    used = re.compile(r'^tmfkit_database_connections\{state="used"\} (\d+)', re.M)

    def count() -> int:
        found = used.search(app.ctx.telemetry.render().decode())
        assert found
        return int(found[1])

    async def within() -> int:
        async with app.ctx.transaction():
            return count()

    before = count()
    assert app.loop.run(within()) == before + 1
    assert count() == before


def test_a_flow_that_never_ran_is_seen_as_such() -> None:
    with running(customer_360, worker=True, database_url=fresh_database(customer_360)) as app:
        told = app.get("/metrics").text
        assert 'tmfkit_flow_duration_seconds_count{flow="assemble",outcome="failed"} 0.0' in told


def test_the_outbox_is_seen_in_the_metrics() -> None:
    with running(customer_360, worker=True, database_url=fresh_database(customer_360)) as app:
        app.post("/customer-360/tmf-api/customerManagement/v5/hub", {"callback": f"http://127.0.0.1:{free_port()}/x"})
        app.post(CUSTOMERS, ADA)
        until(lambda: app.sql("SELECT count(*) FROM delivery WHERE attempts > 0")[0][0], "an attempt")
        until(lambda: "tmfkit_deliveries_pending 1.0" in app.get("/metrics").text, "the gauge")
        assert 'tmfkit_delivery_duration_seconds_count{outcome="failed"}' in app.get("/metrics").text
        waits = re.compile(r"^tmfkit_deliveries_lag_seconds [1-9]", re.M)
        until(lambda: waits.search(app.get("/metrics").text), "its age")
        pruned = re.compile(r'tmfkit_flow_duration_seconds_count\{flow="prune",outcome="ok"\} [1-9]')
        until(lambda: pruned.search(app.get("/metrics").text), "the flow")


# --- commands ----------------------------------------------------------------------------------------------


def environment(**values: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "AUTH_MODE": "none", **values}


def commanded(*arguments: str, **values: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "customer_360", *arguments],
        env=environment(**values),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_migrations_at_once_are_one_and_check_finds_what_was_changed_by_hand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = empty_database()
    at_once = [commanded("migrate", DATABASE_URL=url) for _ in range(2)]
    for process in at_once:
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(dsn(url))
        await connection.execute(statement)
        await connection.close()

    monkeypatch.setenv("DATABASE_URL", url)
    assert customer_360.main(["check"]) == 0
    assert capsys.readouterr().out == ""
    asyncio.run(execute("ALTER TABLE customer ADD COLUMN by_hand text; DROP INDEX ix_customer_doc"))
    assert customer_360.main(["check"]) == 1
    told = capsys.readouterr().out
    assert "by_hand" in told
    assert "ix_customer_doc" in told


def test_openapi_writes_a_file_for_each_api_and_version_without_a_database(tmp_path: Path) -> None:
    assert customer_360.main(["openapi", "--out", str(tmp_path)]) == 0
    written = {p.name: json.loads(p.read_text()) for p in (tmp_path / "customer-360").iterdir()}
    assert written == json.loads(json.dumps(customer_360.openapi_files()))
    assert {f"{a.name}.{v}.json" for a in customer_360.apis for v in a.versions} | {"own.json"} == set(written)


def test_openapi_without_a_folder_writes_to_the_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert customer_360.main(["openapi"]) == 0
    assert '"title": "TMF629 customerManagement"' in capsys.readouterr().out


NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "DATABASE_URL: Field required"),
        ({"DATABASE_URL": "mysql://x/y"}, "DATABASE_URL: it begins with postgresql://"),
        ({"DATABASE_URL": NOWHERE, "PORT": "eighty"}, "PORT: Input should be a valid integer"),
        ({"DATABASE_URL": NOWHERE, "AUTH_MODE": "maybe"}, "AUTH_MODE: Input should be 'oidc' or 'none'"),
        ({"DATABASE_URL": NOWHERE, "MAX_LIMIT": "0"}, "MAX_LIMIT: Input should be greater than or equal to 1"),
        ({"DATABASE_URL": NOWHERE, "DEPENDENCIES": "{bad"}, 'error parsing value for field "dependencies"'),
        ({"DATABASE_URL": NOWHERE, "CALLBACK_ALLOW": '["a/b"]'}, "CALLBACK_ALLOW: neither a network nor a host: 'a/b'"),
        ({"DATABASE_URL": NOWHERE, "FORWARDED_ALLOW": "the gateway"}, "FORWARDED_ALLOW: 'the gateway'"),
        ({"DATABASE_URL": NOWHERE, "LOG_LEVEL": "loud"}, "LOG_LEVEL: it is DEBUG, INFO"),
    ],
)
def test_a_wrong_setting_ends_with_a_sentence(
    values: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in customer_360.settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        customer_360.main(["check"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(sentence)
    assert len(told.splitlines()) == 1
    assert "nobody@" not in told


@pytest.mark.parametrize("command", ["migrate", "check", "work"])
def test_a_database_that_does_not_answer_ends_with_a_sentence(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    monkeypatch.setenv("AUTH_MODE", "none")
    assert customer_360.main([command]) == 1
    assert "the database does not answer" in capsys.readouterr().err


def test_an_unknown_command_or_argument_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["dance"], ["check", "--hard"], ["revision"]):
        with pytest.raises(SystemExit) as ended:
            customer_360.main(arguments)
        assert ended.value.code == 2
        assert "usage: python -m customer_360" in capsys.readouterr().err


# --- the end -----------------------------------------------------------------------------------------------


def test_a_component_finishes_what_it_has_begun_when_it_is_told_to_end() -> None:
    url, port = fresh_database(customer_360), free_port()
    process = commanded("serve", DATABASE_URL=url, PORT=str(port), PUBLIC_URL=f"http://127.0.0.1:{port}")
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            until(lambda: _answers(client), "the start", 60)
            one = client.post(CUSTOMERS, json=ADA).json()["href"]
            answers: list[httpx.Response] = []
            asking = threading.Thread(target=lambda: answers.append(client.patch(one, json={"status": "changed"})))
            asyncio.run(_while_locked(url, asking, process))
            asking.join(60)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert [a.status_code for a in answers] == [200]
    assert answers[0].json()["status"] == "changed"
    assert process.returncode in (0, -signal.SIGTERM)
    assert "SECURITY IS OFF" in told
    assert "Traceback" not in told


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


async def _while_locked(url: str, asking: threading.Thread, process: subprocess.Popen[str]) -> None:
    """Hold the customer until the request waits for it and the process has been told to end."""
    connection = await asyncpg.connect(dsn(url))
    async with connection.transaction():
        await connection.execute("SELECT * FROM customer FOR UPDATE")
        asking.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while not await connection.fetchval(waiting):
            await asyncio.sleep(0.01)
        process.terminate()
        await asyncio.sleep(0.3)
        assert process.poll() is None
    await connection.close()


def test_work_relays_without_serving_and_ends_when_told(migrated: str) -> None:
    process = commanded("work", DATABASE_URL=migrated)
    try:
        with running(customer_360, database_url=migrated) as app:
            before = app.sql("SELECT count(*) FROM outbox WHERE relayed_at IS NULL")[0][0]
            app.post(CUSTOMERS, ADA)
            assert app.sql("SELECT count(*) FROM outbox WHERE relayed_at IS NULL")[0][0] == before + 1
            until(lambda: app.sql("SELECT count(*) FROM outbox WHERE relayed_at IS NULL")[0][0] == 0, "the relay", 60)
        process.terminate()
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, told
    assert "Traceback" not in told


# --- flows -------------------------------------------------------------------------------------------------

RUNS: list[str] = []
TROUBLE: list[Exception] = []


async def counted(ctx: Context[Any]) -> None:
    RUNS.append(ctx.settings.public_url)
    if TROUBLE:
        raise TROUBLE.pop()


def flowing(seconds: float = 3600) -> Component:
    return Component(
        name="flowing",
        package="shared.tests.test_component",
        settings=Settings,
        apis=(),
        metadata=accounting.tables(),
        flows=(Every(seconds, counted, "count"),),
    )


@pytest.fixture
def runs() -> Iterator[list[str]]:
    RUNS.clear()
    TROUBLE.clear()
    yield RUNS
    TROUBLE.clear()


def test_a_flow_runs_at_the_start_when_it_is_time_and_when_it_is_woken(runs: list[str]) -> None:
    component = flowing()
    url = database(component)
    with running(component, worker=True, database_url=url), running(component, database_url=url) as other:
        until(lambda: runs, "the first run")
        time.sleep(0.3)
        begun = len(runs)
        assert begun <= 2  # a flow is also woken when signals connect, for what may have been missed
        other.loop.loop.call_soon_threadsafe(other.ctx.wake, "count")
        until(lambda: len(runs) == begun + 1, "being woken from another process")
    RUNS.clear()
    with running(flowing(0.1), worker=True, database_url=url):
        until(lambda: len(runs) > 3, "running again and again")


def test_of_two_replicas_one_runs_the_flows_and_the_other_takes_over(runs: list[str]) -> None:
    first, second = flowing(0.1), flowing(0.1)
    url = database(first)
    with running(first, worker=True, database_url=url, public_url="http://first"):
        until(lambda: len(runs) > 2, "the first")
        with running(second, worker=True, database_url=url, public_url="http://second"):
            begun = len(runs)
            until(lambda: len(runs) > begun + 5, "the first, still")
            assert set(runs) == {"http://first"}
    with running(second, worker=True, database_url=url, public_url="http://second"):
        until(lambda: "http://second" in runs, "the second")


def test_a_flow_that_fails_is_counted_and_runs_again(runs: list[str]) -> None:
    TROUBLE.append(TmfError("not now"))
    component = flowing(0.1)
    with running(component, worker=True, database_url=database(component)) as app:
        until(lambda: len(runs) >= 2, "the next run")
        until(lambda: 'tmfkit_flow_duration_seconds_count{flow="count",outcome="ok"}' in app.get("/metrics").text, "ok")
        assert 'tmfkit_flow_duration_seconds_count{flow="count",outcome="failed"} 1.0' in app.get("/metrics").text
        assert_tmf_error(app.get("/flowing/nothing"), 404)
