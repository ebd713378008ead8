"""All checks of the charts, with their counts: `make charts-check`.

    .venv/bin/python tests/charts/charts_check.py [--only NAME ...]

Helm 3 and Helm 4, every ci/*-values.yaml, templates by pytest, the schemas of the oldest and the newest Kubernetes, the
CRD of the ODA Component with its rules, a policy scanner, manifest against running component, and releases on a real
Kubernetes API. A tool that is missing is made; one that cannot be had fails the check. Ends with 1 when a check failed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chart_tools
import manifests
import releases
import write_charts
import yaml
from facts import CHARTS, HELM

TOP = HELM.parent
ALL = (*CHARTS, "cem")
OLDEST, NEWEST = "1.25", "1.36"
LARGEST = 120 * 1024
NOT_APPLICABLE = "not applicable"
WELL = 10
"""Best grade of kube-score."""
FOREIGN = {"oda.tmforum.org", "monitoring.coreos.com"}
"""Kinds that Kubernetes has no schema of: the ODA's are judged by their CRD, Prometheus's by promtool."""


@dataclass(frozen=True)
class Rendering:
    """One chart with one file of values."""

    chart: str
    values: Path
    text: str

    @property
    def name(self) -> str:
        return f"{self.chart} {self.values.name.removesuffix('-values.yaml').removesuffix('.yaml')}"

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [d for d in yaml.safe_load_all(self.text) if d]


def told(command: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def value_files(chart: str) -> list[Path]:
    """Every ci/*-values.yaml, and the profiles of the umbrella."""
    profiles = sorted((HELM / chart).glob("values-*.yaml"))
    return [*sorted((HELM / chart / "ci").glob("*-values.yaml")), *profiles]


def needed(values: Path) -> list[str]:
    """What a profile leaves to the operator."""
    return [] if values.parent.name == "ci" else ["--set", "global.issuer=https://issuer.example.org/realms/oda"]


def rendered(helm: str, chart: str, values: Path) -> str:
    done = told(
        [helm, "template", "r1", str(HELM / chart), "--namespace", "components", "-f", str(values), *needed(values)]
    )
    if done.returncode:
        raise RuntimeError(f"{chart} with {values.name}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def renderings() -> list[Rendering]:
    helm = chart_tools.helm_3()
    return [Rendering(c, v, rendered(helm, c, v)) for c in ALL for v in value_files(c)]


class Checks:
    """What was looked at, and what was wrong with it."""

    def __init__(self) -> None:
        self.count = 0
        self.problems: list[str] = []

    def expect(self, holds: bool, problem: str) -> None:
        self.count += 1
        if not holds:
            self.problems.append(problem)


def written(checks: Checks) -> None:
    """Facts, shared values, schemas and README tables are as they would be written."""
    found = write_charts.differences(HELM)
    for path in sorted(p for p in HELM.rglob("*") if p.is_file() and "/charts/" not in str(p)):
        name = str(path.relative_to(HELM))
        checks.expect(name not in found, f"helm/{name} is not as it would be written: make charts")


def linted(checks: Checks) -> None:
    """helm lint --strict under Helm 3 and Helm 4, with every file of values."""
    for version, helm in (("3", chart_tools.helm_3()), ("4", chart_tools.helm_4())):
        for chart in ALL:
            for values in value_files(chart):
                done = told([helm, "lint", "--strict", str(HELM / chart), "-f", str(values), *needed(values)])
                problem = f"Helm {version}: {chart} {values.name}: {(done.stdout + done.stderr)[-1500:]}"
                checks.expect(done.returncode == 0, problem)


def alike(checks: Checks) -> None:
    """Helm 3 and Helm 4 render the same objects."""
    newer = chart_tools.helm_4()
    for one in renderings():
        if "demoDatabase" in one.values.read_text():
            continue  # its password is random
        other = Rendering(one.chart, one.values, rendered(newer, one.chart, one.values))
        key = lambda d: (d["kind"], d["metadata"]["name"])  # noqa: E731
        checks.expect(
            sorted(one.documents, key=key) == sorted(other.documents, key=key), f"{one.name}: Helm 3 and 4 differ"
        )


def templates(checks: Checks) -> None:
    """Templates by pytest: what a value does, and which values are refused."""
    with tempfile.TemporaryDirectory(prefix="templates-") as folder:
        report = Path(folder) / "report.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--no-header",
            str(Path(__file__).with_name("check_templates.py")),
        ]
        done = told([*command, f"--junitxml={report}"], cwd=TOP)
        text = report.read_text() if report.exists() else ""
    suite = dict(
        part.split("=")
        for part in text.partition("<testsuite ")[2].partition(">")[0].replace('"', "").split()
        if "=" in part
    )
    checks.count += int(suite.get("tests", 0))
    if done.returncode or int(suite.get("skipped", 1)):
        checks.problems.append(done.stdout[-4000:])


def schemas(checks: Checks) -> None:
    """Strict schemas of the oldest and the newest Kubernetes that are supported."""
    sys.path.append(str(chart_tools.schemas()))  # at the end: what we have ourselves comes first
    validate = importlib.import_module("kubernetes_validate")
    for version in (OLDEST, NEWEST):
        for one in renderings():
            for document in one.documents:
                if document["apiVersion"].partition("/")[0] in FOREIGN:
                    continue
                where = f"{one.name}: {document['kind']} {document['metadata']['name']} on {version}"
                try:
                    validate.validate(document, version, strict=True)
                    checks.count += 1
                except Exception as e:  # its exceptions have no common parent
                    checks.expect(False, f"{where}: {type(e).__name__}: {str(e)[:600]}")


def components(checks: Checks) -> None:
    """The ODA Component by the kit: CRD, its CEL rules, names, labels, ports, paths, what would hang."""
    judged = 0
    for one in renderings():
        components = [d for d in one.documents if d["kind"] == "Component"]
        if not components or one.chart == "cem":
            continue
        with tempfile.TemporaryDirectory(prefix="component-") as folder:
            manifest = Path(folder) / "manifest.yaml"
            manifest.write_text(one.text)
            command = [sys.executable, "-m", "oda_ctk", "component", str(manifest), "--report", folder]
            done = told(command, cwd=TOP)
            report = json.loads((Path(folder) / "report.json").read_text())
        for result in report["results"]:
            if result["outcome"] != NOT_APPLICABLE:
                problem = f"{one.name}: {result['id']} ({result['level']}): {result['reason'][:800]}"
                checks.expect(result["outcome"] == "pass", problem)
        judged += 1
        if done.returncode not in (0, 1):
            checks.problems.append(f"{one.name}: {done.stderr[-1500:]}")
    checks.expect(judged >= len(CHARTS), "no Component was judged")


def policies(checks: Checks) -> None:
    """kube-score over all that is rendered; what is allowed is in helm/policies.yaml, with reasons."""
    linter = chart_tools.go_tool("kube-score")
    allowed = yaml.safe_load((HELM / "policies.yaml").read_text())["allowed"]
    met = set()
    for one in renderings():
        command = [linter, "score", "--kubernetes-version", f"v{NEWEST}", "--output-format", "json", "-"]
        done = told(command, input=one.text)
        for scored in json.loads(done.stdout):
            for found in scored["checks"]:
                test, kind = found["check"]["id"], scored["type_meta"]["kind"]
                if found["skipped"]:
                    continue
                if found["grade"] < WELL and kind in allowed.get(test, {}).get("kinds", ()):
                    met.add(test)
                    continue
                comments = "; ".join(c["summary"] for c in found["comments"] or [])
                checks.expect(found["grade"] >= WELL, f"{one.name}: {scored['object_name']}: {test}: {comments}")
    for test in sorted(set(allowed) - met):
        checks.problems.append(f"helm/policies.yaml allows {test}, which nothing needs any more")


def packages(checks: Checks) -> None:
    """Packaged charts stand alone and are small: Helm keeps them in a Secret that the Canvas's operators copy."""
    helm = chart_tools.helm_3()
    with tempfile.TemporaryDirectory(prefix="packages-") as folder:
        for chart in ALL:
            told([helm, "package", str(HELM / chart), "--destination", folder]).check_returncode()
            (archive,) = Path(folder).glob(f"{chart}-[0-9]*.tgz")
            size = archive.stat().st_size
            print(f"  {archive.name}: {size / 1024:.1f} KiB", flush=True)
            checks.expect(size < LARGEST, f"{archive.name} has {size} bytes, more than {LARGEST}")
            alone = told([helm, "template", "r1", str(archive), "-f", str(value_files(chart)[0])], cwd=folder)
            checks.expect(alone.returncode == 0, f"{archive.name} does not stand alone: {alone.stderr[-800:]}")


CHECKS: dict[str, Callable[[Checks], None]] = {
    "written": written,
    "lint": linted,
    "alike": alike,
    "templates": templates,
    "schemas": schemas,
    "components": components,
    "manifests": manifests.check,
    "policies": policies,
    "packages": packages,
    "releases": releases.check,
}


def dependencies() -> None:
    """The library into each chart, the charts into the umbrella."""
    helm = chart_tools.helm_3()
    for chart in ALL:
        told([helm, "dependency", "build", str(HELM / chart)]).check_returncode()


@contextmanager
def timed(name: str, checks: Checks) -> Iterator[None]:
    print(f"{name} ...", flush=True)
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    print(f"{name:<12}{checks.count:>7} checks {len(checks.problems):>4} problems {seconds:>7.1f} s", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CHECKS), default=list(CHECKS))
    arguments = parser.parse_args()
    os.environ.setdefault("HELM_CACHE_HOME", str(chart_tools.CACHE / "helm" / "cache"))
    dependencies()
    total, problems = 0, 0
    for name in arguments.only:
        checks = Checks()
        with timed(name, checks):
            CHECKS[name](checks)
            checks.expect(checks.count > 0, "nothing was looked at")
        for problem in checks.problems:
            print(f"  {problem}", file=sys.stderr)
        total += checks.count
        problems += len(checks.problems)
    print(f"\n{total} checks, {problems} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except chart_tools.Missing as e:
        print(e, file=sys.stderr)
        raise SystemExit(2) from e
    except KeyboardInterrupt:
        raise SystemExit(130) from None
