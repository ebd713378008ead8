"""The manifest against the component itself, started with the environment that the chart gives it.

What is declared is served, what is served is declared, and the kit judges both together: probes, hubs, roles, metrics,
documents, events.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Protocol

import chart_tools
import httpx
import yaml
from facts import CHARTS, HELM, component

sys.path.insert(0, str(Path(__file__).parents[1] / "judges"))

from serving import process

OURS = {"DATABASE_URL", "PORT", "HOST", "PUBLIC_URL", "LISTENER_URL", "AUTH_MODE", "FORWARDED_ALLOW"}
"""What is another in the test than in a cluster."""


class Counted(Protocol):
    def expect(self, holds: bool, problem: str) -> None: ...


def declared(manifest: dict[str, Any]) -> set[str]:
    """Paths of the APIs in all functions but the management's."""
    spec = manifest["spec"]
    apis = spec["coreFunction"]["exposedAPIs"] + spec["securityFunction"]["exposedAPIs"]
    return {s["path"] for api in apis for s in api["specification"]}


def rendered(chart: str) -> tuple[str, list[dict[str, Any]]]:
    values = HELM / chart / "ci" / "canvas-values.yaml"
    command = [
        chart_tools.helm_3(),
        "template",
        "r1",
        str(HELM / chart),
        "--namespace",
        "components",
        "-f",
        str(values),
    ]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return text, [d for d in yaml.safe_load_all(text) if d]


def environment(documents: list[dict[str, Any]]) -> dict[str, str]:
    """The plain values of the container's environment."""
    (deployment,) = [d for d in documents if d["kind"] == "Deployment"]
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return {e["name"]: e["value"] for e in env if "value" in e and e["name"] not in OURS}


def compare(chart: str, checks: Counted) -> None:
    text, documents = rendered(chart)
    (manifest,) = [d for d in documents if d["kind"] == "Component"]
    base = f"/r1-{chart}"
    with process(component(chart), **environment(documents)) as address, httpx.Client(base_url=address) as client:
        entry = client.get(base).json()
        served = set(entry["apis"])
        for path in sorted(declared(manifest) - served):
            checks.expect(False, f"{chart}: {path} is declared and not served")
        for path in sorted(served - declared(manifest)):
            checks.expect(False, f"{chart}: {path} is served and not declared")
        for path in sorted(served & declared(manifest)):
            checks.expect(client.get(path).status_code == 200, f"{chart}: {path} does not answer 200")
        for event in manifest["spec"]["eventNotification"]["publishedEvents"]:
            for told in event["specification"]:
                checks.expect(client.get(told["hub"]).status_code == 200, f"{chart}: no hub at {told['hub']}")
        for event in manifest["spec"]["eventNotification"]["subscribedEvents"]:
            for told in event["specification"]:
                answer = client.post(f"{told['callback']}/wrong", json={})
                problem = f"{chart}: {told['callback']} is no listener: {answer.status_code}"
                checks.expect(answer.status_code == 401, problem)  # it wants the key that only the publisher knows
        with tempfile.TemporaryDirectory(prefix="manifest-") as folder:
            file = Path(folder) / "manifest.yaml"
            file.write_text(text)
            command = [sys.executable, "-m", "oda_ctk", "component", str(file), "--url", address, "--report", folder]
            subprocess.run(command, capture_output=True, check=False)
            report = json.loads((Path(folder) / "report.json").read_text())
        for result in report["results"]:
            if result["outcome"] != "not applicable":
                checks.expect(result["outcome"] == "pass", f"{chart}: {result['id']}: {result['reason'][:800]}")
    print(f"  {chart}: {len(served)} APIs served and declared", flush=True)


def check(checks: Counted) -> None:
    for chart in CHARTS:
        compare(chart, checks)
