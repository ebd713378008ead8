"""What each process is told in its environment, and under which addresses it is found."""

from __future__ import annotations

import json

import pytest

from cem.suite import COMPONENTS, DEMO, DEMO_OPERATOR, Plan, named


def test_five_members_have_five_ports_above_the_port_base() -> None:
    assert Plan(DEMO, port_base=9000).ports == {
        9001: "service-quality",
        9002: "experience-management",
        9003: "customer-360",
        9004: "churn-prediction",
        9005: "demo-operator",
    }


def test_a_member_is_told_its_database_its_address_and_where_the_others_are() -> None:
    told = Plan(DEMO, port_base=9000).environment(named("customer-360"), "postgresql:///customer_360")
    assert told["DATABASE_URL"] == "postgresql:///customer_360"
    assert (told["HOST"], told["PORT"], told["PUBLIC_URL"]) == ("127.0.0.1", "9003", "http://127.0.0.1:9003")
    assert told["AUTH_MODE"] == "none"
    assert "127.0.0.0/8" in json.loads(told["CALLBACK_ALLOW"])
    assert json.loads(told["DEPENDENCIES"]) == {
        "serviceQuality": "http://127.0.0.1:9001/service-quality",
        "experienceManagement": "http://127.0.0.1:9002/experience-management",
        "churnPrediction": "http://127.0.0.1:9004/churn-prediction",
        "productInventory": "http://127.0.0.1:9005/demo-operator",
    }


def test_without_the_demo_operator_nobody_is_told_of_it() -> None:
    plan = Plan(COMPONENTS)
    for member in COMPONENTS:
        assert "demo-operator" not in plan.environment(member, "postgresql:///x")["DEPENDENCIES"]


def test_an_inventory_elsewhere_is_told_to_those_who_depend_on_it() -> None:
    plan = Plan(COMPONENTS, elsewhere={"serviceInventory": "https://inventory.example/tmf"})

    def dependencies(name: str) -> dict[str, str]:
        told: dict[str, str] = json.loads(plan.environment(named(name), "postgresql:///x")["DEPENDENCIES"])
        return told

    assert dependencies("service-quality") == {"serviceInventory": "https://inventory.example/tmf"}
    assert dependencies("experience-management")["serviceInventory"] == "https://inventory.example/tmf"
    assert "serviceInventory" not in dependencies("customer-360")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8635/demo-operator"),
        ("0.0.0.0", "http://127.0.0.1:8635/demo-operator"),
        ("::", "http://[::1]:8635/demo-operator"),
        ("::1", "http://[::1]:8635/demo-operator"),
        ("192.0.2.7", "http://192.0.2.7:8635/demo-operator"),
    ],
)
def test_an_address_is_one_that_can_be_reached_on_whatever_the_processes_listen(host: str, address: str) -> None:
    assert Plan(DEMO, host).address(DEMO_OPERATOR) == address


def test_callbacks_may_reach_the_address_that_the_others_listen_on() -> None:
    told = Plan(DEMO, "192.0.2.7").environment(DEMO_OPERATOR, "postgresql:///x")
    assert "192.0.2.7" in json.loads(told["CALLBACK_ALLOW"])


def test_simulated_time_that_runs_ahead_is_taken_by_the_measurement_door() -> None:
    told = Plan(DEMO).environment(named("service-quality"), "postgresql:///x")
    assert int(told["MEASUREMENT_FUTURE_LIMIT_S"]) > 365 * 86_400
