"""Does the conformance kit bite? Each seeded fault is switched on alone in a running component, and the kit judges it.

    .venv/bin/python tests/faults/mutants.py [--only ID ...] [--jobs 2] [--whole] [--patience 3]

First the kit judges every API file of the clean components, and one resource of each version through an empty seat, so
that nothing is the instrument's doing: each failed MUST or SHOULD there is a false alarm. Then each fault is judged by
the checks of its own resource and of the API. A fault is caught when a check fails that did not fail on the clean one,
that was really made (not "not judged"), and whose clause is one of the fault's own:

- TMF630: the same part and section ("Part 1 §4.4" and "Part 1 4.4 (filters)"; without a section, the same part).
- A topic of part 1 that has no number in faults.yaml: the same topic or its section. Notifications are section 5; PATCH
  is section 6 and the RFCs of its media types (7396, 6902); DELETE is section 3.3 (statuses) in a check of deletion.
- An API's file: the same API, version and subject. The subject is the resource, the hub or the events; where both name
  a method it has to be the same, and a clause that names none ("/customer (types)") is about every method.

To be fast, the checks of the fault's clauses are made first, and all checks of the resource only if those find nothing
(`--whole`: always all). A fault whose API or resource is not served counts as escaped. The last line is caught/total;
exit code 1 below 95 % or with a false alarm.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from online import PACKAGES, declared, furnish, online
from seeded import Fault, Seeded, faults

from oda_ctk import api as kit
from oda_ctk.check import REGISTRY
from oda_ctk.run import Choice, Report, Result, run

ENOUGH = 0.95
NOT_JUDGED = "not judged:"
OF_TMF630 = re.compile(r"TMF630 Part (?P<part>\d)(?: §?(?P<section>\d[\d.]*))?(?:,? \(?(?P<topic>[A-Za-z]+))?")
OF_FILE = re.compile(r"(TMF\d+) (v\d+)(?: file)?:\s*(.*)")
METHOD = re.compile(r"(GET|POST|PATCH|PUT|DELETE)\b\s*")
PATCH_RFCS = ("RFC 7396", "RFC 6902")
Tell = Callable[..., None]


# --- clauses ---------------------------------------------------------------------------------------------------


def same_clause(own: str, other: str, check: str = "") -> bool:
    """Whether the clause of a check (with that id) is the fault's own; the rule of the module's docstring."""
    part, others = OF_TMF630.match(own), OF_TMF630.match(other)
    if part and part["topic"] == "PATCH":
        return other.startswith(PATCH_RFCS) or _section(others, "6") or _topic(others, "PATCH")
    if part and part["topic"] == "notifications":
        return _section(others, "5") or _topic(others, "notification")
    if part and part["topic"] == "DELETE":
        return check.startswith("delete.") and (_section(others, "3.3") or _topic(others, "DELETE"))
    if part:
        section = part["section"]
        return others is not None and others["part"] == part["part"] and (not section or _section(others, section))
    file, others_file = OF_FILE.match(own), OF_FILE.match(other)
    if not file or not others_file or file.groups()[:2] != others_file.groups()[:2]:
        return False
    return _same_subject(file[3], others_file[3])


def _section(found: re.Match[str] | None, section: str) -> bool:
    """Whether a clause is of that section of its part, or of one below."""
    return found is not None and f"{found['section'] or ''}.".startswith(f"{section}.")


def _topic(found: re.Match[str] | None, topic: str) -> bool:
    return found is not None and found["part"] == "1" and (found["topic"] or "").lower().startswith(topic.lower())


def _same_subject(own: str, other: str) -> bool:
    method, others_method = METHOD.match(own), METHOD.match(other)
    if method and others_method and method[1] != others_method[1]:
        return False
    subject, others = METHOD.sub("", own, count=1), METHOD.sub("", other, count=1)
    if subject.endswith(("Event", "Notification")):
        return others.startswith("events")
    return re.split(r"[/ ({]", others.lstrip("/"), maxsplit=1)[0] == subject


def catches(fault: Fault, result: Result) -> bool:
    """Whether a failed check is one of the fault's own."""
    made = result.outcome == "fail" and not result.reason.startswith(NOT_JUDGED)
    return (
        made
        and result.resource in (fault.resource, "")
        and any(same_clause(c, result.clause, result.id) for c in fault.clause)
    )


# --- the kit ---------------------------------------------------------------------------------------------------


class Kit:
    """The kit as its command would run, in this process."""

    def __init__(self, app: Seeded, address: str, patience_s: float) -> None:
        self.app, self.address = app, address
        self.options = ["--profile", "extended", "--patience", str(patience_s)]

    def judged(self, api: str, version: str, pairs: Iterable[tuple[str, str]] | None = None) -> Report:
        """All checks, or those of these (id, resource). kit.CannotRun where nothing can be judged."""
        base = self.app.place(api, version)
        parser = argparse.ArgumentParser()
        kit.arguments(parser)
        where = ["--url", f"{self.address}{base}", "--version", version]
        given = parser.parse_args([api, *where, "--timeout", "20", *self.options])
        session, report, _ = kit.prepared(given)
        choice = Choice(pairs=None if pairs is None else frozenset(pairs))
        run(session, choice, report, lambda line: None)
        if report.interrupted:
            raise KeyboardInterrupt
        return report


def failures(results: Iterable[Result]) -> dict[tuple[str, str], Result]:
    return {r.key: r for r in results if r.outcome == "fail"}


def judge_fault(judge: Kit, fault: Fault, clean: Report, whole: bool) -> tuple[list[Result], list[Result]]:
    """The failed checks of the fault's own clauses, and those of others."""
    of_clean = failures(clean.results)
    here = [r for r in clean.results if r.resource in (fault.resource, "")]
    own = {r.key for r in here if any(same_clause(c, r.clause, r.id) for c in fault.clause)}
    every = {r.key for r in here}
    failed: list[Result] = []
    for pairs in [every] if whole else [own, every]:
        if not pairs:
            continue
        with judge.app.with_fault(fault):
            report = judge.judged(fault.api, fault.version, pairs)
        failed = [r for key, r in failures(report.results).items() if key not in of_clean]
        if any(catches(fault, r) for r in failed):
            break
    return [r for r in failed if catches(fault, r)], [r for r in failed if not catches(fault, r)]


def artefacts(judge: Kit, clean: Report, wanted: Sequence[Fault]) -> list[Result]:
    """What fails only because something stands between the kit and the component, though it changes nothing."""
    mine = [f for f in wanted if (f.api, f.version) == (clean.api, clean.version)]
    empty = replace(mine[0], id="nothing", fault="nothing", detail={})
    pairs = {r.key for r in clean.results if r.resource in (empty.resource, "")}
    try:
        with judge.app.with_fault(empty):
            report = judge.judged(empty.api, empty.version, pairs)
    except KeyError:  # not served yet: the fault itself says so
        return []
    return [r for key, r in failures(report.results).items() if key not in failures(clean.results)]


# --- one component: a process that tells lines of JSON ---------------------------------------------------------


def work(package: str, wanted: Sequence[Fault], narrow: bool, whole: bool, patience_s: float, tell: Tell) -> None:
    """Judge the clean component, then each fault. Tells what is found as it is found."""
    component = declared(package)
    with online(component) as (app, address):
        furnish(app, address)
        judge = Kit(app, address, patience_s)
        clean: dict[tuple[str, str], Report] = {}
        seated: set[str] = set()
        for api, version in dict.fromkeys((f.api, f.version) for f in wanted):
            begun = time.monotonic()
            names = {f.resource for f in wanted if (f.api, f.version) == (api, version)} | {""}
            pairs = {(id, name) for id in REGISTRY.checks for name in names} if narrow else None
            try:
                report = judge.judged(api, version, pairs)
            except kit.CannotRun as why:
                tell(kind="clean", api=api, version=version, alarms=[f"it cannot be judged: {why}"], checks=0, took_s=0)
                continue
            clean[api, version] = report
            alarms = [f"{r.level} {r.id} {r.resource}: {r.reason}" for r in failures(report.results).values()]
            if version not in seated:
                alarms += [f"(empty seat) {r.id} {r.resource}: {r.reason}" for r in artefacts(judge, report, wanted)]
            seated.add(version)
            checks = sum(r.outcome != "not applicable" for r in report.results)
            took_s = time.monotonic() - begun
            tell(kind="clean", api=api, version=version, alarms=alarms, checks=checks, took_s=took_s)
        for fault in wanted:
            begun = time.monotonic()
            own: list[Result] = []
            others: list[Result] = []
            why_not = ""
            try:
                if (fault.api, fault.version) in clean:
                    own, others = judge_fault(judge, fault, clean[fault.api, fault.version], whole)
                else:
                    why_not = "the clean component could not be judged"
            except KeyError as why:
                why_not = str(why.args[0])
            except kit.CannotRun as why:
                why_not = f"the kit could not run: {why}"
            tell(
                kind="fault",
                id=fault.id,
                own=[f"{r.id} [{r.clause}]: {r.reason[:150]}" for r in own],
                others=[f"{r.id} [{r.clause}]" for r in others],
                why_not=why_not,
                took_s=time.monotonic() - begun,
            )


def worker(arguments: argparse.Namespace) -> int:
    """What a child process does: `work`, told as lines on standard output."""
    logging.disable(logging.CRITICAL)
    known = {f.id: f for f in faults()}

    def tell(**line: Any) -> None:
        print(json.dumps(line), flush=True)

    try:
        wanted = [known[id] for id in sys.stdin.read().split()]
        work(arguments.package, wanted, arguments.narrow, arguments.whole, arguments.patience, tell)
    except KeyboardInterrupt:
        return 130
    return 0


# --- all components --------------------------------------------------------------------------------------------


class Run:
    """What is found, collected from the processes."""

    def __init__(self, wanted: Sequence[Fault]) -> None:
        self.wanted = {f.id: f for f in wanted}
        self.caught: set[str] = set()
        self.escaped: dict[str, str] = {}
        self.alarms: list[str] = []
        self.checks = 0
        self.processes: list[subprocess.Popen[str]] = []
        self._lock = threading.Lock()

    def take(self, line: dict[str, Any]) -> None:
        with self._lock:
            if line["kind"] == "clean":
                name = f"{line['api']} {line['version']}"
                self.checks += line["checks"]
                self.alarms += [f"{name} {a}" for a in line["alarms"]]
                print(
                    f"clean {name}: {line['checks']} checks, {len(line['alarms'])} false alarms, {line['took_s']:.0f} s"
                )
                for alarm in line["alarms"]:
                    print(f"    FALSE ALARM {alarm}")
            else:
                self._fault(line)
            sys.stdout.flush()

    def _fault(self, line: dict[str, Any]) -> None:
        id = line["id"]
        if line["own"]:
            self.caught.add(id)
        else:
            others = ", ".join(line["others"][:6])
            self.escaped[id] = line["why_not"] or (f"told by other clauses only: {others}" if others else "not told")
        number = len(self.caught) + len(self.escaped)
        found = line["own"][0] if line["own"] else f"ESCAPED: {self.escaped[id]}"
        print(f"[{number}/{len(self.wanted)}] {id} ({line['took_s']:.0f} s): {found}")

    def told(self) -> int:
        """The end of the report; the exit code."""
        for id in self.wanted.keys() - self.caught - self.escaped.keys():
            self.escaped[id] = "not judged: the process of its component ended"
        if self.escaped:
            print("\nescaped:")
        for id in sorted(self.escaped):
            fault = self.wanted[id]
            print(f"  {id}: {fault.says} [{'; '.join(fault.clause)}]\n    {self.escaped[id]}")
        print(f"\n{self.checks} checks on clean components, {len(self.alarms)} false alarms")
        for alarm in self.alarms:
            print(f"  {alarm}")
        print(f"{len(self.caught)}/{len(self.wanted)}")
        return 1 if self.alarms or len(self.caught) < ENOUGH * len(self.wanted) else 0


def owners(wanted: Sequence[Fault]) -> tuple[dict[str, list[Fault]], dict[str, str]]:
    """Package -> the faults that are judged there; and why a component cannot be started at all."""
    served: dict[tuple[str, str], list[str]] = defaultdict(list)
    broken: dict[str, str] = {}
    for package in PACKAGES:
        try:
            component = declared(package)
        except Exception as why:
            broken[package] = f"{type(why).__name__}: {why}"
            continue
        for api in component.apis:
            for version in api.versions:
                served[api.id, version].append(package)
    shares: dict[str, list[Fault]] = defaultdict(list)
    for fault in wanted:
        packages = served.get((fault.api, fault.version), [])
        shares[packages[-1] if packages else ""].append(fault)
    return shares, broken


def child(package: str, share: Sequence[Fault], given: argparse.Namespace, found: Run) -> None:
    """One component in a process of its own; its lines are taken as they come."""
    command = [sys.executable, __file__, "--package", package, "--patience", str(given.patience)]
    command += ["--narrow"] * bool(given.only) + ["--whole"] * given.whole
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            start_new_session=True,  # Ctrl-C reaches us alone, and we pass it on once
        ) as process,
    ):
        found.processes.append(process)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("\n".join(f.id for f in share))
        process.stdin.close()
        for line in process.stdout:
            if line.startswith("{"):
                found.take(json.loads(line))
        if process.wait() not in (0, 130):
            complaints.seek(0)
            print(f"{package} ended with {process.returncode}:\n{complaints.read()[-3000:]}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="ID", help="these faults; a beginning is enough")
    parser.add_argument("--jobs", type=int, default=2, help="components at the same time")
    parser.add_argument("--whole", action="store_true", help="all checks of the resource for each fault")
    parser.add_argument("--patience", type=float, default=3.0, metavar="S", help="how long the kit awaits an event")
    parser.add_argument("--package", help=argparse.SUPPRESS)
    parser.add_argument("--narrow", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.package:
        return worker(given)
    wanted = [f for f in faults() if not given.only or f.id.startswith(tuple(given.only))]
    if not wanted:
        parser.error("no fault begins so")
    found = Run(wanted)
    try:
        from tmfkit.testing import server

        os.environ["TEST_DATABASE_URL"] = server()
        return judged(wanted, given, found)
    except KeyboardInterrupt:
        print("\nbroken off; the components are being ended")
        for process in found.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            for process in found.processes:
                process.wait(30)
        found.told()
        return 130


def judged(wanted: Sequence[Fault], given: argparse.Namespace, found: Run) -> int:
    """Every component in turn, `jobs` at a time; the exit code."""
    shares, broken = owners(wanted)
    for package, why in broken.items():
        print(f"{package} cannot be started: {why}")
    for fault in shares.pop("", []):
        line = {"kind": "fault", "id": fault.id, "own": [], "others": [], "took_s": 0.0}
        found.take({**line, "why_not": f"no component serves {fault.api} {fault.version}"})
    waiting = sorted(shares, key=lambda p: len(shares[p]))
    lock = threading.Lock()

    def turns() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                package = waiting.pop()
            child(package, shares[package], given, found)

    threads = [threading.Thread(target=turns, daemon=True) for _ in range(max(1, given.jobs))]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.5)
    finally:
        waiting.clear()
    return found.told()


if __name__ == "__main__":
    sys.exit(main())
