"""TM Forum's own conformance kits against our components: whatever kits lie in a folder, each on an empty store.

    .venv/bin/python tests/judges/official_kits.py DIR [--as-is]

explained.yaml lists, with the clause, what contradicts the served version: assertions, and names that an older kit
still uses. Ends with 1 when a failure is not explained, with 2 when there is nothing to run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kits
import yaml
from kits import Kit, Translation
from serving import Served, cache_folder, components, ended_by_signals, filled, process, served

from cem.suite import COMPONENTS
from tmfkit.testing import cases, fresh_database

HERE = Path(__file__).parent
PACKAGES = ("newman", "ajv", "ajv-formats", "yamljs")
NOT_KNOWN = "nothing here serves it"
REQUEST_MS = 20_000
TOLD = 400
SEEDS = range(2)


@dataclass(frozen=True)
class Failure:
    """One assertion that did not hold, or a request or script that broke."""

    request: str
    assertion: str
    message: str


@dataclass(frozen=True)
class Explanation:
    """Why assertions of a kit contradict what the served version says."""

    kit: str
    served: str
    failing: Mapping[str, Sequence[str]]
    """Request -> its assertions, each by its whole name."""
    reason: str
    clause: str

    def covers(self, kit: Kit, against: Served, failure: Failure) -> bool:
        judged = (self.kit, self.served) == (kit.name, f"{against.api.id} {against.version}")
        return judged and failure.assertion in self.failing.get(failure.request, ())


@dataclass(frozen=True)
class Verdict:
    """What a kit said of one component."""

    kit: Kit
    against: Served
    total: int
    failures: tuple[tuple[Failure, Explanation | None], ...]
    asserted: int
    """How many of the failures are assertions; the others are requests or scripts that broke."""
    translation: Translation | None

    @property
    def unexplained(self) -> list[Failure]:
        return [failure for failure, explanation in self.failures if explanation is None]


@dataclass(frozen=True)
class Known:
    """What explained.yaml lists."""

    assertions: tuple[Explanation, ...] = ()
    translations: tuple[Translation, ...] = ()

    def translation(self, kit: Kit, against: Served) -> Translation | None:
        place = (kit.name, f"{against.api.id} {against.version}")
        return next((t for t in self.translations if (t.kit, t.served) == place), None)


def known() -> Known:
    listed = yaml.safe_load((HERE / "explained.yaml").read_text())
    return Known(
        tuple(Explanation(**entry) for entry in listed["assertions"]),
        tuple(Translation(**entry) for entry in listed["translations"]),
    )


def packages() -> Path:
    """newman and ajv in a folder of their own outside of the repository; installed when they are not there."""
    folder = cache_folder()
    if not all((folder / "node_modules" / name).is_dir() for name in PACKAGES):
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit("npm is not here: the kits need Node.js")
        command = [npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), *PACKAGES]
        subprocess.run(command, check=True)
    return folder / "node_modules"


def subjects(kit: Kit, all_served: list[Served]) -> list[Served]:
    """Who serves what the kit judges: by its API, else by its resources; in its version, else the nearest older API."""
    of_api = [s for s in all_served if s.api.id == kit.api]
    if not of_api and kit.api is None:
        asked = {name.lower() for name in kit.resources}
        of_api = [s for s in all_served if asked and asked <= {r.path.lower() for r in s.api.resources}]
    versions = sorted({s.version for s in of_api})
    if not versions:
        return []
    version = kit.version if kit.version in versions else versions[0]
    return [s for s in of_api if s.version == version]


def run(kit: Kit, against: Served, listed: Known, modules: Path) -> Verdict:
    """One kit against one component on a fresh database."""
    url = fresh_database(against.component)
    paths = {f"{against.path}/{name}" for name in kit.reads_only}
    known = [c for c in cases(against.component) if c.path in paths]
    # of v5 only what is mandatory: some choices in its files are such that no value is exactly one of them
    asyncio.run(filled(against.component, url, known, SEEDS, full=against.version == "v4"))
    with (
        process(against.component, url) as address,
        tempfile.TemporaryDirectory(prefix="kit-") as folder,
    ):
        base, translation = f"{address}{against.path}", listed.translation(kit, against)
        if kit.kind == "cypress":
            total, failures, asserted = cypress(kit, base, modules, Path(folder))
        else:
            total, failures, asserted = newman(kit, base, modules, Path(folder), translation)
    if not total and not failures:
        failures = [Failure(kit.file.name, "anything is asserted", "no request came to its tests")]
    found = tuple((f, next((e for e in listed.assertions if e.covers(kit, against, f)), None)) for f in failures)
    return Verdict(kit, against, total, found, asserted, translation)


def newman(
    kit: Kit, base: str, modules: Path, folder: Path, translation: Translation | None
) -> tuple[int, list[Failure], int]:
    content = kits.prepared(kit)
    content = translation.applied(content) if translation else content
    (folder / "collection.json").write_text(json.dumps(content))
    (folder / "environment.json").write_text(json.dumps(kits.environment(kit, base)))
    out = folder / "out.json"
    _node(
        modules / "newman" / "bin" / "newman.js",
        *("run", str(folder / "collection.json"), "--environment", str(folder / "environment.json"), "--insecure"),
        *("--timeout-request", str(REQUEST_MS), "--reporters", "json", "--reporter-json-export", str(out)),
        modules=modules,
        accepted=(0, 1),
    )
    result: dict[str, Any] = json.loads(out.read_text())["run"]
    answers = {e["cursor"]["ref"]: e.get("response") or {} for e in result["executions"]}
    failures = []
    for entry in result["failures"]:
        error, source = entry["error"], entry.get("source") or {}
        above = (entry.get("parent") or {}).get("name", "")
        name = error["test"] if error.get("name") == "AssertionError" and "test" in error else error.get("name", "")
        message = str(error.get("message", "")).partition("\n")[0]
        if "status" in name.lower():
            message = f"{message}: {_text(answers.get(entry['cursor']['ref'], {}))}"
        failures.append(Failure(f"{above} / {source.get('name', '')}", str(name), message))
    return result["stats"]["assertions"]["total"], failures, result["stats"]["assertions"]["failed"]


def _text(answer: dict[str, Any]) -> str:
    """What was answered, as far as it helps to understand a wrong status."""
    content = bytes((answer.get("stream") or {}).get("data", []))
    return content.decode(errors="replace")[:TOLD]


def cypress(kit: Kit, base: str, modules: Path, folder: Path) -> tuple[int, list[Failure], int]:
    out = folder / "out.json"
    _node(HERE / "cypress_kit.js", str(kit.folder), base, str(out), kits.NOWHERE, modules=modules, accepted=(0,))
    assertions = json.loads(out.read_text())
    failures = [Failure(a["request"], a["name"], a["error"]) for a in assertions if a["error"]]
    return len(assertions), failures, len(failures)


def _node(program: Path, *arguments: str, modules: Path, accepted: tuple[int, ...]) -> None:
    node = shutil.which("node")
    if node is None:
        raise SystemExit("node is not here: the kits need Node.js")
    done = subprocess.run(
        [node, str(program), *arguments],
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in accepted:
        raise RuntimeError(f"{program.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def row(verdict: Verdict) -> str:
    failed, open_ = len(verdict.failures), len(verdict.unexplained)
    passed = f"{verdict.total - verdict.asserted}/{verdict.total}"
    return f"{verdict.kit.name:<40} {verdict.against!s:<32} {passed:>9} {failed:>6} {failed - open_:>9}"


def tell(verdicts: list[Verdict]) -> None:
    """Each failed assertion by name, with its reason."""
    for verdict in (v for v in verdicts if v.failures or v.translation):
        print(f"\n{verdict.kit.name} against {verdict.against}")
        if told := verdict.translation:
            changes = [f"{old} -> {new}" for old, new in told.rename.items()]
            changes += [f"{path} = {value}" for path, value in told.bodies.items()]
            print(f"  translated: {', '.join(changes)}\n      {told.reason} ({told.clause})")
        for failure, explanation in verdict.failures:
            print(f"  {'explained' if explanation else 'FAILED'}  {failure.request} / {failure.assertion}")
            print(f"      {failure.message}")
            if explanation:
                print(f"      {explanation.reason} ({explanation.clause})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default="", metavar="DIR", help="where the kits lie")
    parser.add_argument("--as-is", action="store_true", help="translate and explain nothing")
    arguments = parser.parse_args()
    ended_by_signals()
    folder = Path(arguments.folder)
    if not arguments.folder or not folder.is_dir():
        print(f"no folder of kits: {arguments.folder or 'make official-kits KITS=DIR'}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="kits-") as room:
        found = kits.found_in(folder, kits.unpacked(folder, Path(room)))
        return judged(found, Known() if arguments.as_is else known(), folder)


def judged(found: list[Kit], listed: Known, folder: Path) -> int:
    """Run the kits and tell what they said; the exit code."""
    all_served = served(components(COMPONENTS))
    pairs = [(kit, against) for kit in found if not kit.problem for against in subjects(kit, all_served)]
    print(f"{'kit':<40} {'API':<32} {'passed':>9} {'failed':>6} {'explained':>9}", flush=True)
    for kit in found:
        if kit.problem or not subjects(kit, all_served):
            print(f"{kit.name:<40} {kit.api or '?'} {kit.version or ''}: {kit.problem or NOT_KNOWN}", flush=True)
    unread = sum(kit.problem.startswith(kits.UNREADABLE) for kit in found)
    if not pairs:
        print(f"no kit in {folder} judges an API that is served here", file=sys.stderr)
        return 2
    modules, verdicts = packages(), list[Verdict]()
    for kit, against in pairs:
        try:
            verdicts.append(run(kit, against, listed, modules))
        except (RuntimeError, ValueError, LookupError, TypeError, OSError) as error:  # the others are run all the same
            broken = Failure(kit.file.name, "the kit can be run", repr(error)[:TOLD])
            verdicts.append(Verdict(kit, against, 0, ((broken, None),), 0, None))
        print(row(verdicts[-1]), flush=True)
    tell(verdicts)
    open_ = sum(len(v.unexplained) for v in verdicts) + unread
    print(f"\n{len(verdicts)} runs, {sum(v.total for v in verdicts)} assertions, {open_} failures not explained")
    return 1 if open_ else 0


if __name__ == "__main__":
    raise SystemExit(main())
