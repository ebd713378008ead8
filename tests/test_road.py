"""The road end to end: five processes, five databases, real HTTP, every caller with a token.

One fault goes from the measurement to an offer; each resource refers to the one before; one trace runs through all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cem.suite import DEMO_OPERATOR
from road_processes import Road, clients
from tmfkit.testing_issuer import Issuer

STEPS = (
    "serviceLevelObjective",
    "serviceLevelViolation",
    "serviceProblem",
    "experienceScore",
    "partyRoleRiskAssessment",
    "queryProductRecommendation",
    "customer360",
)


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    with Issuer(clients=clients(), expires_in_s=3600) as issuer:
        road = Road(tmp_path_factory.mktemp("road"), issuer)
        try:
            road.start()
            road.fill()
            yield road
        finally:
            road.close()


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
