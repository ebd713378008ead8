"""schemathesis against every exported OpenAPI file: every operation and check, on seeded data, with tokens asked for.

    .venv/bin/python tests/judges/fuzz.py [--examples 500] [--only TMF629] [--path REGEX] [--phases fuzzing,stateful]

Each component is a process of its own behind a socket. Prints per API: operations, calls, failures; then each failure
with its curl line. Ends with 1 when anything failed.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from generated import exact, with_bulk
from serving import components, ended_by_signals, filled, process, served

from tmfkit import Component
from tmfkit.samples import body
from tmfkit.testing import cases, fresh_database
from tmfkit.testing_issuer import Issuer

EXAMPLES = 500
SEEDS = range(100, 104)
PHASES = "examples,coverage,fuzzing,stateful"
HOURS = 12
PAGE = "10"
"""Default size of a page: what is created fills the lists, and every answer would be a long one.

Nor is there a worker: hundreds of callbacks are registered where nobody listens, each to be tried for every event.
"""
HOOKS = "import generated\n\ngenerated.register()\n"
SEEDED_SHARE = 0.5
"""How often an id in a path is that of a resource that is there."""


@dataclass(frozen=True)
class Fuzzed:
    """What came out for one exported file."""

    name: str
    operations: int
    calls: int
    kinds: dict[str, int]
    told: str
    """The failures as schemathesis tells them, each with its curl line."""
    seconds: float
    complete: bool

    @property
    def failures(self) -> int:
        return sum(self.kinds.values())


@dataclass(frozen=True)
class Document:
    """An exported file, where it is served, and the ids that are there: path -> ids."""

    name: str
    content: dict[str, Any]
    base: str
    ids: dict[str, list[str]]


def stored(component: Component, url: str) -> dict[str, list[str]]:
    made = {c.path for c in cases(component, "create")}
    newest = {(a.name, a.newest) for a in component.apis}
    names = {(a.name, v): a.path(component.base(), v) for a in component.apis for v in a.versions}
    own = [
        c
        for c in cases(component)
        if c.path not in made and (c.api, c.view.version) in newest and c.path.startswith(names[c.api, c.view.version])
    ]
    return asyncio.run(filled(component, url, own, SEEDS))


def posted(component: Component, client: httpx.Client) -> dict[str, list[str]]:
    """Documents of every resource that can be created, by every version's door."""
    found = defaultdict(list)
    for case in cases(component, "create"):
        for seed in SEEDS:
            answer = client.post(case.path, json=body(case.form, seed, full=seed % 2 == 0))
            if answer.status_code in (200, 201):
                found[case.path].append(str(answer.json()["id"]))
            elif answer.status_code >= 500:
                raise RuntimeError(f"POST {case.path}: {answer.status_code} {answer.text[:500]}")
    return dict(found)


def documents(component: Component, ids: dict[str, list[str]]) -> list[Document]:
    """The exported files of a component: one of each API and version, and that of its own routes."""
    files = component.openapi_files()
    found = []
    for s in served([component]):
        content = copy.deepcopy(files[f"{s.api.name}.{s.version}.json"])
        for case in cases(component, "create"):
            path = case.path.removeprefix(s.path)
            if path in content["paths"]:
                with_bulk(content, path, [body(case.form, seed, full=True) for seed in SEEDS])
        below = {path.removeprefix(s.path): known for path, known in ids.items() if path.startswith(s.path + "/")}
        found.append(Document(str(s), content, s.path, below))
    if files["own.json"].get("paths"):
        found.append(Document(f"own routes {component.name}", files["own.json"], "", {}))
    return found


def configuration(document: Document, token: str) -> str:
    """schemathesis.toml: every check, the token, and the ids that are there."""
    lines = []
    operations = []
    for number, (path, ids) in enumerate(sorted(document.ids.items())):
        lines += [f"[dictionaries.ids{number}]", f"values = {json.dumps(ids)}", ""]
        for found in document.content["paths"]:
            if found == f"{path}/{{id}}" or found.startswith(f"{path}/{{id}}/"):
                parameters = f'{{ "path.id" = {{ dictionary = "ids{number}", probability = {SEEDED_SHARE} }} }}'
                operations += ["[[operations]]", f"include-path = {json.dumps(found)}", f"parameters = {parameters}"]
    schemes = document.content.get("components", {}).get("securitySchemes", {})
    for name in schemes:
        lines += [f"[auth.openapi.{name}]", f"bearer = {json.dumps(token)}", ""]
    if not schemes:
        lines += ["[headers]", f'Authorization = "Bearer {token}"', ""]
    return "\n".join([*lines, *operations, ""])


def judge(document: Document, address: str, token: str, arguments: argparse.Namespace) -> Fuzzed:
    """Run schemathesis against one exported file."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        (folder / "openapi.json").write_text(json.dumps(exact(document.content)))
        (folder / "schemathesis.toml").write_text(configuration(document, token))
        (folder / "hooks.py").write_text(HOOKS)
        command = [
            sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", "schemathesis.toml",
            "run", "openapi.json", "--url", address + document.base, "--checks", "all",
            "--phases", arguments.phases, "--mode", "all", "--max-examples", str(arguments.examples),
            "--seed", str(arguments.seed), "--continue-on-failure", "--suppress-health-check", "all",
            "--generation-database", "none", "--generation-allow-x00", "false",
            "--report", "json", "--report-json-path", "report.json",
        ]  # fmt: skip
        if arguments.path:
            command += ["--include-path-regex", arguments.path]
        if arguments.minutes:
            command += ["--max-time", str(int(arguments.minutes * 60))]
        if arguments.no_shrink:
            command.append("--no-shrink")
        started = time.monotonic()
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": f"{folder}:{Path(__file__).parent}"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        took = time.monotonic() - started
        if not (folder / "report.json").exists():
            raise RuntimeError(f"{document.name}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
        report = json.loads((folder / "report.json").read_text())
    kinds: dict[str, int] = defaultdict(int)
    for failure in [*report["failures"], *report["errors"]]:
        kinds[f"{failure.get('code', 'error')} {failure['title']}"] += failure["count"]
    parts = re.split(r"^=+ (\w+) =+$", done.stdout, flags=re.M)
    told = "\n".join(
        text.strip() for kind, text in zip(parts[1::2], parts[2::2], strict=True) if kind in ("FAILURES", "ERRORS")
    )
    stopped = report["stop_reason"] not in ("completed", None)
    return Fuzzed(
        document.name,
        report["operations"]["selected"],
        report["test_cases"]["generated"],
        dict(kinds),
        told,
        took,
        not stopped,
    )


def fuzz(component: Component, issuer: Issuer, arguments: argparse.Namespace) -> list[Fuzzed]:
    """Every exported file of one component that was asked for."""
    token = issuer.token("fuzz", ["*:*:*"], expires_in_s=HOURS * 3600)
    url = fresh_database(component)
    ids = stored(component, url)
    security = {"AUTH_MODE": "oidc", "OIDC_ISSUER": issuer.url, "OIDC_AUDIENCE": issuer.audience}
    environment = {**security, "DEFAULT_LIMIT": PAGE, "WORKER": "false"}
    found = []
    with process(component, url, **environment) as address:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=address, headers=headers, timeout=30) as client:
            ids |= posted(component, client)
        for document in documents(component, ids):
            if all(word not in document.name.split() for word in arguments.only) and arguments.only:
                continue
            result = judge(document, address, token, arguments)
            found.append(result)
            print(line(result), flush=True)
    return found


def line(result: Fuzzed) -> str:
    end = "" if result.complete else "  (ended early)"
    figures = f"{result.operations:>10} {result.calls:>9} {result.failures:>8} {result.seconds:>8.0f}"
    return f"{result.name:<44}{figures}{end}"


def wanted(arguments: argparse.Namespace, component: Component) -> bool:
    names = [*(str(s) for s in served([component])), f"own routes {component.name}"]
    return not arguments.only or any(word in name.split() for word in arguments.only for name in names)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="examples per operation (default %(default)s)")
    parser.add_argument(
        "--only", action="append", default=[], help="an API id, a version or a component; may be given again"
    )
    parser.add_argument("--phases", default=PHASES)
    parser.add_argument("--minutes", type=float, help="time limit per file; without, all examples are made")
    parser.add_argument("--path", default="", metavar="REGEX", help="only the operations of these paths")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-shrink", action="store_true", help="do not look for the smallest failing request")
    arguments = parser.parse_args()
    ended_by_signals()
    print(f"{'API':<44}{'operations':>10} {'calls':>9} {'failures':>8} {'seconds':>8}", flush=True)
    results = []
    with Issuer() as issuer:
        for component in components():
            if wanted(arguments, component):
                results += fuzz(component, issuer, arguments)
    failed = [r for r in results if r.failures]
    for result in failed:
        print(
            f"\n#### {result.name}: {', '.join(f'{k}: {n}' for k, n in sorted(result.kinds.items()))}\n\n{result.told}"
        )
    calls = sum(r.calls for r in results)
    print(f"\n{len(results)} files, {sum(r.operations for r in results)} operations, {calls} calls, "
          f"{sum(r.failures for r in results)} failures in {len(failed)} files")  # fmt: skip
    return 1 if failed or not results else 0


if __name__ == "__main__":
    raise SystemExit(main())
