"""Releases on a real Kubernetes API: install, upgrade from the version before, change, rollback, uninstall.

There is no node, so nothing starts; but the API server validates every object, admits pods of the profile "restricted"
only, and the controllers make pods of the Deployments. Both Helm 3 and Helm 4 do it.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

import chart_tools
from facts import CHARTS, HELM

sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))

from api_server import Cluster, api_server

SPACE = "components"
KINDS = (
    "deployments,statefulsets,replicasets,pods,services,endpointslices,secrets,configmaps,serviceaccounts,roles,rolebindings,"
    "networkpolicies,horizontalpodautoscalers,poddisruptionbudgets,jobs,persistentvolumeclaims"
)
TRIAL = ["--set", "auth.mode=none", "--set", "demoDatabase.enabled=true"]
PATIENCE_S = 60.0


class Counted(Protocol):
    def expect(self, holds: bool, problem: str) -> None: ...


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(HELM.parent), *arguments], capture_output=True, check=True).stdout


def version(chart: str, revision: str = "") -> str:
    """Version of a chart, now or in a commit; empty where it was not there."""
    try:
        text = git("show", f"{revision}:helm/{chart}/Chart.yaml").decode() if revision else ""
    except subprocess.CalledProcessError:
        return ""
    text = text or (HELM / chart / "Chart.yaml").read_text()
    return next(line.split()[1] for line in text.splitlines() if line.startswith("version:"))


def before(chart: str, folder: Path) -> Path | None:
    """The chart as it was in its last commit with another version, with its library; None if it never had one."""
    present = version(chart)
    for revision in git("log", "--format=%H", "--", "helm").decode().split():
        found = version(chart, revision)
        if found and found != present:
            with tarfile.open(fileobj=io.BytesIO(git("archive", revision, "helm"))) as archive:
                archive.extractall(folder, filter="data")
            return folder / "helm" / chart
    return None


class Releases:
    """One Helm against one cluster."""

    def __init__(self, helm: str, cluster: Cluster) -> None:
        self.helm, self.cluster = helm, cluster

    def run(self, *arguments: str) -> str:
        environment = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig)}
        done = subprocess.run(
            [self.helm, "--namespace", SPACE, *arguments], capture_output=True, text=True, check=False, env=environment
        )
        if done.returncode:
            raise RuntimeError(f"helm {' '.join(arguments[:3])}: {done.stderr.strip()[-1500:]}")
        return done.stdout

    def objects(self, release: str) -> list[str]:
        """kind/name of all objects with the release's label."""
        selector = f"app.kubernetes.io/instance={release}"
        out = self.cluster.kubectl("-n", SPACE, "get", KINDS, "-l", selector, "-o", "name")
        return sorted(out.split())

    def one(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.cluster.kubectl("-n", SPACE, "get", kind, name, "-o", "json"))
        return found

    def pods(self, name: str) -> int:
        """Pods of a Deployment that were admitted; waits for the first."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            selector = f"oda.tmforum.org/componentName={name},app.kubernetes.io/component=serve"
            found = self.cluster.kubectl("-n", SPACE, "get", "pods", "-l", selector, "-o", "name").split()
            if found:
                return len(found)
            time.sleep(0.5)
        return 0


def life(helm: Releases, chart: str, old: Path | None, canvas: bool, checks: Counted) -> None:
    """One release from install to uninstall."""
    release, name = "r1", f"r1-{chart}"
    values = [*TRIAL, "--set", f"canvas.enabled={str(canvas).lower()}"]
    helm.run("install", release, str(old or HELM / chart), *values)
    checks.expect(helm.pods(name) == 1, f"{name}: no pod was admitted")
    password = helm.one("secret", f"{name}-database")["data"]["password"]

    upgraded = helm.run("upgrade", release, str(HELM / chart), *values)
    checks.expect("STATUS: deployed" in upgraded, f"{name}: the upgrade says {upgraded[:300]}")
    kept = helm.one("secret", f"{name}-database")["data"]["password"]
    checks.expect(kept == password, f"{name}: the upgrade made another password for the demo database")
    label = helm.one("deployment", name)["metadata"]["labels"]["helm.sh/chart"]
    checks.expect(label == f"{chart}-{version(chart)}", f"{name}: after the upgrade it is {label}")

    more = ["--set", "autoscaling.enabled=true", "--set", "availability.budget=chart", "--set", "replicas=2"]
    helm.run("upgrade", release, str(HELM / chart), *values, *more)
    found = helm.objects(release)
    for kind in (
        "horizontalpodautoscaler.autoscaling",
        "poddisruptionbudget.policy",
        "networkpolicy.networking.k8s.io",
    ):
        checks.expect(f"{kind}/{name}" in found, f"{name}: no {kind} after it was switched on")

    helm.run("rollback", release, "2")
    found = helm.objects(release)
    checks.expect(
        f"horizontalpodautoscaler.autoscaling/{name}" not in found, f"{name}: the rollback left the autoscaler"
    )
    history = json.loads(helm.run("history", release, "-o", "json"))
    checks.expect([h["status"] for h in history][-1] == "deployed", f"{name}: history after the rollback: {history}")

    helm.run("uninstall", release)
    until = time.monotonic() + PATIENCE_S
    claim = [f"persistentvolumeclaim/data-{name}-database-0"]
    while (left := helm.objects(release)) != claim and time.monotonic() < until:
        time.sleep(0.5)
    checks.expect(left == claim, f"{name}: left behind {left}, not just the claim that the notes name")
    helm.cluster.kubectl("-n", SPACE, "delete", *claim, "--wait=false")


def check(checks: Counted) -> None:
    crds = os.environ.get("CRDS", "")
    with tempfile.TemporaryDirectory(prefix="before-") as folder, api_server() as cluster:
        if crds:
            cluster.kubectl("apply", "--server-side", "-f", crds)
        else:
            print("  without CRDS=DIR the releases have no Component", flush=True)
        for number, (label, program) in enumerate((("3", chart_tools.helm_3()), ("4", chart_tools.helm_4()))):
            cluster.namespace(SPACE, pod_security="restricted")
            helm = Releases(program, cluster)
            for chart in CHARTS:
                old = before(chart, Path(folder) / f"{number}-{chart}")
                if old is not None:
                    helm.run("dependency", "build", str(old))
                told = f"upgrade from {version_of(old)}" if old else "no version before: upgrade from the same"
                started = time.monotonic()
                life(helm, chart, old, bool(crds), checks)
                print(f"  Helm {label}: {chart}: {told}: {time.monotonic() - started:.1f} s", flush=True)


def version_of(chart: Path) -> str:
    lines = (chart / "Chart.yaml").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("version:"))
