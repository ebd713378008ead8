"""The command as a process with real components: up, Ctrl-C, kill, and up again with everything still there."""

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

import httpx
import psutil
import pytest

from cem import ports, postgres
from cem.suite import COMPONENTS, LOOPBACK

READY_S = 120.0
HEADER = "customer,name,months,left"
MAPPING = {
    "name": "small",
    "id": {"column": "customer"},
    "customerName": {"column": "name"},
    "engagedParty": {"column": "customer", "referredType": "Individual"},
    "columns": [
        {
            "column": "months",
            "characteristic": "tenure",
            "valueType": "integer",
            "usage": "feature",
            "group": "contract",
        }
    ],
}


class Up:
    """`cem up` in a folder, as a shell would start it."""

    def __init__(self, folder: Path, port_base: int) -> None:
        self.folder, self.port_base = folder, port_base
        self.output = folder.parent / f"up-{time.monotonic_ns()}.txt"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                cem("up", "--folder", str(folder), "--port-base", str(port_base)),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={k: v for k, v in os.environ.items() if k != "DATABASE_URL"},
            )
        self.ours: list[psutil.Process] = []

    def ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while "ready; Ctrl-C stops" not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)
        postmaster = postgres.postmaster(self.folder / "postgres")
        assert postmaster is not None
        self.ours = [*psutil.Process(self.process.pid).children(recursive=True), postmaster]

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def record(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.folder / "instance.json").read_text())
        return told

    @property
    def left(self) -> list[psutil.Process]:
        """Our processes that still live."""
        return [p for p in self.ours if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def cem(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cem", *arguments]


def customers(base: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{base}/tmf-api/customerManagement/v5/customer", trust_env=False)
    found: list[dict[str, Any]] = answer.raise_for_status().json()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cem") / "run"


@pytest.fixture(scope="module")
def up(folder: Path) -> Iterator[Up]:
    """A running suite. Whatever the tests did to it, nothing of it stays."""
    instance = Up(folder, ports.free_base(LOOPBACK, [m.port for m in COMPONENTS], 21_000))
    try:
        instance.ready()
        yield instance
    finally:
        instance.process.kill()
        instance.process.wait()
        subprocess.run(cem("stop", "--folder", str(folder)), check=True)


def test_a_suite_that_is_up_is_loaded_interrupted_killed_and_stopped_without_leaving_anything(
    up: Up, folder: Path, tmp_path: Path
) -> None:
    assert len(up.ours) == len(COMPONENTS) + 1
    assert set(up.record["addresses"]) == {m.name for m in COMPONENTS}
    base = up.record["addresses"]["customer-360"]
    assert base in up.said and "customerManagement/v4+v5" in up.said

    # own customers, through the instance that runs there
    (tmp_path / "mapping.json").write_text(json.dumps(MAPPING))
    (tmp_path / "c.csv").write_text(f"{HEADER}\nc1,Ada,3,no\nc2,Bo,x,no\nc3,Cy,5,no\n")
    command = cem("load", "customers", str(tmp_path / "c.csv"), "--mapping", str(tmp_path / "mapping.json"))
    loaded = subprocess.run([*command, "--folder", str(folder)], capture_output=True, text=True)
    assert loaded.returncode == 1, loaded.stderr  # one row cannot be read, and that is told
    assert "2 created, 0 changed, 0 already there, 1 refused" in loaded.stdout
    assert "row 2 (c2), column months: 'x' is no integer" in loaded.stdout
    assert sorted(c["id"] for c in customers(base)) == ["c1", "c3"]

    # a second one in the same folder, and one on the same ports
    second = subprocess.run(cem("up", "--folder", str(folder)), capture_output=True, text=True)
    assert second.returncode == 1 and f"process {up.process.pid}" in second.stderr
    command = cem("up", "--folder", str(tmp_path / "other"), "--port-base", str(up.port_base))
    third = subprocess.run(command, capture_output=True, text=True)
    assert third.returncode == 1 and "4 ports are taken" in third.stderr

    # Ctrl-C
    started = time.monotonic()
    os.killpg(up.process.pid, signal.SIGINT)
    assert up.process.wait(15) == 0, up.said
    assert time.monotonic() - started < 10.0
    assert up.left == []
    assert not (folder / "instance.json").exists()

    # up again with its data; then killed, which leaves orphans; the next one ends them and goes on
    killed = Up(folder, up.port_base)
    killed.ready()
    assert len(customers(base)) == 2
    killed.process.kill()
    killed.process.wait()
    assert len(killed.left) == len(COMPONENTS) + 1
    third_time = Up(folder, up.port_base)
    third_time.ready()
    assert killed.left == []
    assert "left over from an earlier run" in third_time.said
    assert len(customers(base)) == 2

    # a component that dies is told with the end of its log, and takes the others with it
    victim = next(p for p in third_time.record["processes"] if p["name"] == "customer-360")
    os.kill(victim["pid"], signal.SIGKILL)
    assert third_time.process.wait(20) == 1
    assert "customer-360 ended: killed by SIGKILL." in third_time.said
    assert "  | " in third_time.said
    assert third_time.left == []
