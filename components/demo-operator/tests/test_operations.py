"""The operator as a process: told over HTTP what to do, driven by commands, and stopped by signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo_operator.main import component
from demo_operator.operations import operation
from tmfkit.testing import assert_tmf_error, fresh_database, running

LOOP = "/demo-operator/loop"
TINY: dict[str, Any] = {
    "seed": 7,
    "scale": "tiny",
    "as_of": "2026-01-01T00:00:00Z",
    "past_customers": 60,
    "history_weeks": 1,
}


def until(app: Any, phase: str, after: int = 0, timeout_s: float = 30) -> list[dict[str, Any]]:
    """Follow the status as a supervisor does, until a phase is reached; the lines told on the way."""
    lines: list[dict[str, Any]] = []
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        status = app.get(f"{LOOP}/status?after={after}").json()
        lines += status["lines"]
        after = lines[-1]["n"] if lines else after
        if status["phase"] == phase:
            return lines
        time.sleep(0.05)
    raise AssertionError(f"{phase} was not reached: {status}")


@pytest.fixture
def app(road: Any) -> Iterator[Any]:
    names = {"serviceQuality": "service-quality", "experienceManagement": "experience-management"}
    names |= {"customer360": "customer-360", "churnPrediction": "churn-prediction"}
    dependencies = {name: f"{road.base}/{path}" for name, path in names.items()}
    with running(component, worker=True, dependencies=dependencies, **TINY) as app:
        yield app


def test_it_does_nothing_but_fill_its_inventories_until_told(app: Any, road: Any) -> None:
    until(app, "idle")
    services = "/demo-operator/tmf-api/serviceInventoryManagement/v5/service?limit=0"
    deadline = time.monotonic() + 20
    while app.get(services).headers["x-total-count"] == "0":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (road.batches, road.customers) == (0, {})


def test_told_to_load_it_loads_and_tells_every_line_once(app: Any, road: Any) -> None:
    assert app.post(f"{LOOP}/start", {"phase": "load"}).json() == {"phase": "loading"}
    assert_tmf_error(app.post(f"{LOOP}/start", {"phase": "live"}), 409)
    lines = until(app, "loaded")
    assert [line["n"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1]["text"] == "loaded"
    status = app.get(f"{LOOP}/status").json()
    assert status["customersLoaded"] is True
    assert set(status["milestones"]) == {"inventory", "customers", "history", "objectives"}
    assert status["measurementsLoaded"] == len(road.measurements)


def test_a_load_that_is_refused_fails_with_the_reason_and_can_be_ordered_again(app: Any, road: Any) -> None:
    road.refuse = "unknown unit"
    app.post(f"{LOOP}/start", {"phase": "load"})
    until(app, "failed")
    assert "unknown unit" in app.get(f"{LOOP}/status").json()["reason"]
    road.refuse = ""
    app.post(f"{LOOP}/start", {"phase": "load"})
    until(app, "loaded")
    assert app.get(f"{LOOP}/status").json()["reason"] is None


@pytest.mark.parametrize(
    "order", [{}, {"phase": "sleep"}, {"phase": "live", "speed": 0}, {"phase": "live", "fault": "x"}]
)
def test_an_order_that_makes_no_sense_is_refused(app: Any, order: dict[str, Any]) -> None:
    assert app.post(f"{LOOP}/start", order).status_code in (400, 422)
    assert operation(app.ctx).phase == "idle"


def test_only_lines_after_a_number_are_told(app: Any) -> None:
    now = operation(app.ctx)
    for text in ("one", "two", "three"):
        now.tell(text)
    assert app.get(f"{LOOP}/status?after=1").json()["lines"] == [{"n": 2, "text": "two"}, {"n": 3, "text": "three"}]


# --- as processes ---


class Processes:
    """`serve` on a port, and commands beside it, on one database."""

    def __init__(self, road: Any, port: int, folder: Path) -> None:
        self.folder = folder
        names = {"serviceQuality": "service-quality", "experienceManagement": "experience-management"}
        names |= {"customer360": "customer-360", "churnPrediction": "churn-prediction"}
        self.environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
            "DATABASE_URL": fresh_database(component),
            "AUTH_MODE": "none",
            "PORT": str(port),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "DEPENDENCIES": json.dumps({name: f"{road.base}/{path}" for name, path in names.items()}),
            "SEED": "7",
            "SCALE": "tiny",
            "AS_OF": "2026-01-01T00:00:00Z",
            "PAST_CUSTOMERS": "60",
            "HISTORY_WEEKS": "1",
            "SETTLE_S": "0.2",
            "PAUSE_STEPS": "2",
            "ASSESSMENT_PATIENCE_S": "0",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "demo_operator", *arguments]
        return subprocess.Popen(
            command,
            env=self.environment,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def finished(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=90)
        return process.returncode, out + err


@pytest.fixture
def processes(road: Any, free: int, tmp_path: Path) -> Processes:
    return Processes(road, free, tmp_path)


def test_the_commands_load_close_a_loop_and_end_on_a_signal(road: Any, processes: Processes) -> None:
    code, told = processes.finished("once", "--timeout", "5")
    assert (code, "not loaded yet" in told) == (2, True), told
    serve = processes.start("serve")
    try:
        code, told = processes.finished("load")
        assert (code, told.splitlines()[-1]) == (0, "loaded"), told
        quick = ("--seed", "3", "--fault", "throughput_collapse", "--speed", "6000")
        code, told = processes.finished("once", *quick, "--json", "loop.json", "--timeout", "60")
        assert code == 0, told
        summary = json.loads((processes.folder / "loop.json").read_text())
        assert (summary["closed"], len(summary["steps"])) == (True, 8)
        road.mute = "QueryProductRecommendation"
        code, told = processes.finished("once", *quick, "--json", "open.json", "--timeout", "6")
        assert code == 1, told
        assert json.loads((processes.folder / "open.json").read_text())["closed"] is False

        live = processes.start("live", "--speed", "3000")
        assert live.stdout is not None
        assert "LIVE" in live.stdout.readline()
        live.send_signal(signal.SIGTERM)
        out, err = live.communicate(timeout=30)
        assert (live.returncode, out.splitlines()[-1]) == (0, "stopped"), err
        assert road.hubs == {}
    finally:
        serve.send_signal(signal.SIGTERM)
        out, err = serve.communicate(timeout=30)
    assert "Traceback" not in out + err, err
