"""Prometheus for the check: Debian's package, promtool, and a server of its own in a temporary folder on loopback."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

POLICY = Path("/usr/sbin/policy-rc.d")
"""Asked by Debian's packages before they start a service; 101 means no."""
Series = list[tuple[dict[str, str], list[float]]]


def install() -> None:
    """Install Debian's package unless its programs are there. Its service is not started."""
    if shutil.which("prometheus") and shutil.which("promtool"):
        return
    if not shutil.which("apt-get"):
        raise SystemExit("prometheus and promtool are needed: install Prometheus; this is no Debian.")
    print("installing the package prometheus", flush=True)
    root = [] if os.geteuid() == 0 else ["sudo"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    ours = not POLICY.exists()
    if ours:
        no = b"#!/bin/sh\nexit 101\n"
        subprocess.run([*root, "tee", str(POLICY)], input=no, stdout=subprocess.DEVNULL, check=True)
        subprocess.run([*root, "chmod", "755", str(POLICY)], check=True)
    try:
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "prometheus"]):
            subprocess.run([*root, "apt-get", *command], env=environment, stdout=subprocess.DEVNULL, check=True)
    finally:
        if ours:
            subprocess.run([*root, "rm", "-f", str(POLICY)], check=True)


def promtool(*arguments: str) -> tuple[bool, str]:
    """Whether promtool is content, and what it said."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


@dataclass(frozen=True)
class Prometheus:
    """A server's query API, over a stretch of time."""

    url: str
    start: float = 0.0
    end: float = 0.0
    step: float = 2.0

    def ask(self, path: str, **parameters: Any) -> Any:
        answer = httpx.post(f"{self.url}/api/v1/{path}", data=parameters, timeout=60, trust_env=False)
        told = answer.json()
        if told["status"] != "success":
            raise ValueError(told["error"])
        return told["data"]

    def over_time(self, expression: str) -> Series:
        """Every series of an expression with its numbers, NaN left out."""
        found = self.ask("query_range", query=expression, start=self.start, end=self.end, step=self.step)["result"]
        return [(s["metric"], _numbers(s["values"])) for s in found]

    def at_the_end(self, expression: str) -> Series:
        found = self.ask("query", query=expression, time=self.end)
        if found["resultType"] == "scalar":
            return [({}, _numbers([found["result"]]))]
        return [(s["metric"], _numbers([s["value"]])) for s in found["result"]]

    def values(self, label: str, selected: str) -> list[str]:
        """The values of a label in what is selected."""
        answer = httpx.get(
            f"{self.url}/api/v1/label/{label}/values",
            params={"match[]": selected, "start": self.start, "end": self.end},
            timeout=60,
            trust_env=False,
        )
        found: list[str] = answer.raise_for_status().json()["data"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.url}/api/v1/rules", timeout=60, trust_env=False).raise_for_status().json()
        return [rule for group in answer["data"]["groups"] for rule in group["rules"]]


def _numbers(points: Iterable[tuple[float, str]]) -> list[float]:
    return [number for _, text in points if not math.isnan(number := float(text))]


@contextlib.contextmanager
def scraping(
    folder: Path, port: int, targets: Mapping[str, str], rules: Iterable[Path], interval_s: float = 2.0
) -> Iterator[Prometheus]:
    """A server that scrapes each target (job -> address) every few seconds and evaluates the rules.

    Labels are those that a ServiceMonitor gives.
    """
    configuration = {
        "global": {"scrape_interval": f"{interval_s:g}s", "evaluation_interval": "5s"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [
                    {"targets": [address], "labels": {"namespace": "demo", "service": job, "pod": f"{job}-0"}}
                ],
            }
            for job, address in targets.items()
        ],
    }
    folder.mkdir(parents=True)
    (folder / "prometheus.json").write_text(json.dumps(configuration))  # YAML, as every JSON is
    url = f"http://127.0.0.1:{port}"
    with (folder / "prometheus.log").open("wb") as log:
        server = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.json'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        _until_ready(url, server, folder / "prometheus.log")
        yield Prometheus(url, step=interval_s)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _until_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"prometheus ended with {server.returncode}:\n{log.read_text()[-2000:]}")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200:
                return
        time.sleep(0.2)
    raise SystemExit("prometheus is not ready after 60 s")
