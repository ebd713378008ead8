"""What all commands have in common: which checks are made, what is sent along, and how the result is told."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from oda_ctk import report as reports
from oda_ctk.check import Check
from oda_ctk.run import Choice, Report, to_stderr

CANNOT = 2
SHOWN_LINES = 5


class CannotRun(Exception):
    """Why no judgement could be made."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options of every command."""
    parser.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'", help="sent with every request"
    )
    parser.add_argument("--token", help="sent as a bearer token")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write report.html, report.xml and report.json")
    parser.add_argument("--failed-of", type=Path, metavar="FILE", help="only what failed according to a report.json")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="ID", help="only these checks; * and prefixes are fine"
    )
    parser.add_argument(
        "--listener",
        default="127.0.0.1",
        metavar="HOST[:PORT]",
        help="under which address the implementation reaches this machine",
    )
    parser.add_argument("--patience", type=float, default=10.0, metavar="S", help="how long an event is awaited")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="S", help="how long an answer is awaited")
    parser.add_argument("--list", action="store_true", help="list the checks and end")


def listed(checks: Mapping[str, Check]) -> None:
    """Print the checks."""
    for check in checks.values():
        told = check.clause.replace("{{", "{").replace("}}", "}")
        mark = " (extended)" if check.profile == "extended" else ""
        print(f"{check.id:32} {check.level:7} {told}{mark}\n{'':40} {check.title}")


def headers(given: argparse.Namespace) -> dict[str, str]:
    """The headers that every request carries."""
    found: dict[str, str] = {}
    for line in given.header:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise CannotRun(f"--header is written 'Name: value', not {line!r}")
        found[name.strip().lower()] = value.strip()
    if given.token:
        found["authorization"] = f"Bearer {given.token}"
    return found


def choice(given: argparse.Namespace, checks: Mapping[str, Check]) -> Choice:
    """Which checks are made."""
    pairs = None
    if given.failed_of:
        try:
            pairs = reports.failures(given.failed_of)
        except (OSError, ValueError, KeyError) as fault:
            raise CannotRun(f"--failed-of: {fault}") from fault
        if not pairs:
            raise CannotRun(f"nothing failed according to {given.failed_of}")
    unknown = [p for p in given.only if not any(Choice(only=(p,)).wants(c, "") for c in checks.values())]
    if unknown:
        raise CannotRun(f"no check is called {', '.join(unknown)}; --list names them")
    return Choice(tuple(given.only), pairs)


def told(report: Report, folder: Path | None) -> int:
    """Write the reports, tell the result, and give the exit code."""
    if folder:
        reports.write(report, folder)
    for level in ("MUST", "SHOULD"):
        to_stderr(
            f"{level}: {report.count('pass', level)} passed, {report.count('fail', level)} failed, "
            f"{report.count('not applicable', level)} not applicable"
        )
    for line in report.not_deleted[:SHOWN_LINES]:
        to_stderr(f"not deleted: {line}")
    if len(report.not_deleted) > SHOWN_LINES:
        to_stderr(f"not deleted: {len(report.not_deleted) - SHOWN_LINES} more, which the report lists")
    if report.left_behind:
        to_stderr(f"{len(report.left_behind)} resources stay, since the API has no DELETE for them")
    if folder:
        to_stderr(f"report: {folder / 'report.html'}")
    return report.exit_code


def cannot(why: Exception) -> int:
    """Tell why no judgement could be made; the exit code."""
    print(f"ctk: {why}", file=sys.stderr)
    return CANNOT
