"""The road end to end: five processes, five databases, real HTTP, every caller with a token.

One fault goes from the measurement to an offer; each resource refers to the one before; one trace runs through all.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cem.ports import free_base
from cem.suite import DEMO, DEMO_OPERATOR, LOOPBACK, Plan
from tmfkit.database import new_id
from tmfkit.embedded import create
from tmfkit.testing import database_named, server
from tmfkit.testing_issuer import Client, Issuer

PAST = 600
STEPS = (
    "serviceLevelObjective",
    "serviceLevelViolation",
    "serviceProblem",
    "experienceScore",
    "partyRoleRiskAssessment",
    "queryProductRecommendation",
    "customer360",
)
QUIET = {"OPENBLAS_NUM_THREADS": "1", "LOG_LEVEL": "WARNING"}


class Road:
    """The whole suite as processes of their own, with OIDC on."""

    def __init__(self, folder: Path, issuer: Issuer) -> None:
        self.folder, self.issuer = folder, issuer
        base = free_base(LOOPBACK, [m.port for m in DEMO], 18600)
        self.plan = Plan(DEMO, port_base=base)
        run = new_id()[-12:]
        self.environment: dict[str, dict[str, str]] = {}
        for member in DEMO:
            database = f"road_{member.package}_{run}"
            create(server(), [database])
            own = {
                "AUTH_MODE": "oidc",
                "OIDC_ISSUER": issuer.url,
                "OIDC_AUDIENCE": "oda",
                "CLIENT_ID": member.name,
                "CLIENT_SECRET": f"secret of {member.name}",
                "TOKEN_URL": issuer.token_url,
                "TRACE_RATIO": "1",
                "DATABASE_CONNECTIONS": "6",
                "SCALE": "tiny",
                "PAST_CUSTOMERS": str(PAST),
                "HISTORY_WEEKS": "1",
                "MIN_CUSTOMERS": "1",
            }
            given = self.plan.environment(member, database_named(database))
            self.environment[member.name] = {**os.environ, **given, **own, **QUIET}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.client = httpx.Client(headers={"Authorization": f"Bearer {self.token()}"}, timeout=30)

    def token(self) -> str:
        return self.issuer.token("test", ["*:*:*"], expires_in_s=3600)

    def start(self) -> None:
        for member in DEMO:
            log = (self.folder / f"{member.name}.log").open("ab")
            self.processes[member.name] = subprocess.Popen(
                [sys.executable, "-m", member.package, "serve", "--migrate"],
                env=self.environment[member.name],
                stdout=log,
                stderr=log,
            )
            log.close()
        for member in DEMO:
            self.until_ready(member.name)

    def until_ready(self, name: str) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            assert self.processes[name].poll() is None, self.log(name)
            with contextlib.suppress(httpx.HTTPError):
                if self.client.get(f"{self.plan.addresses[name]}/health/ready").status_code == 200:
                    return
            time.sleep(0.2)
        raise AssertionError(f"{name} is not ready: {self.log(name)}")

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()[-4000:]

    def command(self, name: str, *arguments: str, timeout: float = 240) -> str:
        package = next(m.package for m in DEMO if m.name == name)
        done = subprocess.run(
            [sys.executable, "-m", package, *arguments],
            env=self.environment[name],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"{name} {arguments}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def stop(self) -> None:
        self.client.close()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    clients = {m.name: Client(f"secret of {m.name}", ("*:*:*",)) for m in DEMO}
    with Issuer(clients=clients, expires_in_s=3600) as issuer:
        road = Road(tmp_path_factory.mktemp("road"), issuer)
        try:
            road.start()
            road.command(DEMO_OPERATOR.name, "load")
            road.command("churn-prediction", "train", "--wait", str(PAST))
            yield road
        finally:
            road.stop()


@pytest.fixture(scope="module")
def loop(road: Road) -> dict[str, Any]:
    """One fault of known truth through the whole loop."""
    file = road.folder / "loop.json"
    road.command(DEMO_OPERATOR.name, "once", "--seed", "3", "--fault", "throughput_collapse", "--json", str(file))
    summary: dict[str, Any] = json.loads(file.read_text())
    summary["by_name"] = {s["step"]: s for s in summary["steps"]}
    return summary


def test_one_fault_becomes_an_offer_and_each_step_can_be_fetched(road: Road, loop: dict[str, Any]) -> None:
    for name in STEPS:
        href = loop["by_name"][name]["href"]
        answer = road.client.get(href)
        assert answer.status_code == 200, f"{name}: {answer.text}"
        assert answer.json()["id"] == loop["by_name"][name]["id"]


def test_the_cause_that_was_found_is_the_true_one(loop: dict[str, Any]) -> None:
    assert loop["closed"] is True, loop["notClosedBecause"]
    assert loop["cause"]["verdict"] == "exact", loop["cause"]


def test_nobody_gets_in_without_a_token(road: Road, loop: dict[str, Any]) -> None:
    with httpx.Client() as stranger:
        for name in STEPS:
            answer = stranger.get(loop["by_name"][name]["href"])
            assert answer.status_code == 401
            assert answer.json()["code"] == "ERR401"
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_one_trace_runs_from_the_measurement_to_the_offer(road: Road, loop: dict[str, Any]) -> None:
    traces = {}
    for member, resource, step in (
        ("service-quality", "ServiceLevelViolation", "serviceLevelViolation"),
        ("experience-management", "ExperienceScore", "experienceScore"),
        ("churn-prediction", "PartyRoleRiskAssessment", "partyRoleRiskAssessment"),
        ("churn-prediction", "QueryProductRecommendation", "queryProductRecommendation"),
    ):
        traces[step] = trace_ids(road, member, resource, loop["by_name"][step]["id"])
    shared = set.intersection(*traces.values())
    assert shared, traces


def trace_ids(road: Road, member: str, resource: str, id: str) -> set[str]:
    """Trace ids under which a resource was written, from the audit of its component."""
    import asyncio

    import asyncpg

    from tmfkit.database import dsn

    async def ask() -> set[str]:
        connection = await asyncpg.connect(dsn(road.environment[member]["DATABASE_URL"]))
        rows = await connection.fetch(
            "SELECT trace_id FROM audit WHERE resource = $1 AND resource_id = $2 AND trace_id IS NOT NULL", resource, id
        )
        await connection.close()
        return {r[0] for r in rows}

    return asyncio.run(ask())


def test_metrics_tell_the_business_numbers(road: Road, loop: dict[str, Any]) -> None:
    told = {
        "service-quality": "service_quality_violations_open",
        "experience-management": "experience_subjects_scored_total",
        "churn-prediction": "churn_recommendations_total",
        "customer-360": "tmfkit_outbox_waiting",
    }
    for member, number in told.items():
        text = road.client.get(f"{road.plan.addresses[member]}/metrics").text
        assert "http_server_request_duration_seconds_count" in text
        assert 'tmfkit_delivery_duration_seconds_count{outcome="ok"}' in text
        assert number in text
