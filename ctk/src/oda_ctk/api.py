"""`ctk api`: judge an implementation of one Open API by its address."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from oda_ctk import contract as contracts
from oda_ctk import report as reports
from oda_ctk import suite as suites
from oda_ctk.check import REGISTRY
from oda_ctk.contract import Contract
from oda_ctk.exchange import Target, Unanswered
from oda_ctk.openapi import from_openapi
from oda_ctk.run import Choice, Report, run, to_stderr
from oda_ctk.session import Session

CANNOT = 2


class CannotRun(Exception):
    """Why no judgement could be made."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("api", nargs="?", help="TMF657")
    parser.add_argument("--url", help="base of the API (…/tmf-api/customerManagement/v4), or what stands before it")
    parser.add_argument("--version", help="v4, v5; found in the address where it is not given")
    parser.add_argument("--profile", choices=("core", "extended"), default="core")
    parser.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'", help="sent with every request"
    )
    parser.add_argument("--token", help="sent as a bearer token")
    parser.add_argument(
        "--payloads", action="append", default=[], type=Path, metavar="FILE", help="a suite of your own"
    )
    parser.add_argument("--spec", type=Path, metavar="FILE", help="an OpenAPI file that is the contract")
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
    parser.set_defaults(command=command)


def command(given: argparse.Namespace) -> int:
    """Judge; the exit code."""
    if given.list:
        for check in REGISTRY.checks.values():
            told = check.clause.replace("{{", "{").replace("}}", "}")
            mark = " (extended)" if check.profile == "extended" else ""
            print(f"{check.id:32} {check.level:7} {told}{mark}\n{'':40} {check.title}")
        return 0
    try:
        session, report, choice = prepared(given)
    except (CannotRun, suites.BadSuite) as why:
        print(f"ctk: {why}", file=sys.stderr)
        return CANNOT
    run(session, choice, report)
    if given.report:
        reports.write(report, given.report)
    _told(report, given.report)
    return report.exit_code


def _told(report: Report, folder: Path | None) -> None:
    for level in ("MUST", "SHOULD"):
        to_stderr(
            f"{level}: {report.count('pass', level)} passed, {report.count('fail', level)} failed, "
            f"{report.count('not applicable', level)} not applicable"
        )
    for line in report.not_deleted:
        to_stderr(f"not deleted: {line}")
    if report.left_behind:
        to_stderr(f"{len(report.left_behind)} resources stay, since the API has no DELETE for them")
    if folder:
        to_stderr(f"report: {folder / 'report.html'}")


def prepared(given: argparse.Namespace) -> tuple[Session, Report, Choice]:
    """Contract, suite, address and choice; CannotRun where one of them cannot be had."""
    if not given.url:
        raise CannotRun("--url says where the implementation is")
    if urlsplit(given.url).scheme not in ("http", "https"):
        raise CannotRun(f"{given.url!r} is no http address")
    contract = _contract(given)
    suite = suites.shipped(contract.api, contract.version)
    for file in given.payloads:
        suite = suites.read(file).over(suite)
    host, _, port = given.listener.partition(":")
    headers = _headers(given)
    base = found_base(given.url, contract, suite, headers, given.timeout)
    pairs = None
    if given.failed_of:
        try:
            pairs = reports.failures(given.failed_of)
        except (OSError, ValueError, KeyError) as fault:
            raise CannotRun(f"--failed-of: {fault}") from fault
        if not pairs:
            raise CannotRun(f"nothing failed according to {given.failed_of}")
    unknown = [p for p in given.only if not any(Choice(only=(p,)).wants(c, "") for c in REGISTRY.checks.values())]
    if unknown:
        raise CannotRun(f"no check is called {', '.join(unknown)}; --list names them")
    try:
        session = Session(
            contract=contract,
            suite=suite,
            base=base,
            headers=headers,
            profile=given.profile,
            patience_s=given.patience,
            timeout_s=given.timeout,
            listener_host=host,
            listener_port=int(port or 0),
        )
    except ValueError as fault:
        raise CannotRun(f"--listener: {fault}") from fault
    report = Report(
        contract.api, contract.version, base, given.profile, datetime.now(UTC).isoformat(timespec="seconds")
    )
    return session, report, Choice(tuple(given.only), pairs)


def _headers(given: argparse.Namespace) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in given.header:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise CannotRun(f"--header is written 'Name: value', not {line!r}")
        headers[name.strip().lower()] = value.strip()
    if given.token:
        headers["authorization"] = f"Bearer {given.token}"
    return headers


def _contract(given: argparse.Namespace) -> Contract:
    if given.spec:
        try:
            document: Any = yaml.safe_load(given.spec.read_text(encoding="utf-8"))
            contract = from_openapi(document)
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as fault:
            raise CannotRun(f"--spec {given.spec}: {type(fault).__name__}: {fault}") from fault
        if not contract.resources():
            raise CannotRun(f"--spec {given.spec} has no resource")
        return contract
    if not given.api:
        raise CannotRun("which API? TMF657, or --spec FILE")
    api = given.api.upper()
    versions = [v for a, v in contracts.tables() if a == api]
    if not versions:
        known = ", ".join(dict.fromkeys(a for a, _ in contracts.tables()))
        raise CannotRun(f"no contract of {api} comes with the kit (there are {known}); --spec FILE brings one")
    told = re.search(r"/(v\d+)(/|$)", urlsplit(given.url).path)
    version = given.version or (told[1] if told else versions[0] if len(versions) == 1 else None)
    if version is None:
        raise CannotRun(f"which version of {api}? --version {' or '.join(versions)}")
    if version not in versions:
        raise CannotRun(f"{api} comes in {', '.join(versions)}, not in {version}")
    return contracts.shipped(api, version)


def found_base(url: str, contract: Contract, suite: suites.Suite, headers: dict[str, str], timeout_s: float) -> str:
    """Where the resources stand: the address itself, or it followed by a base of the contract or the suite."""
    url = url.rstrip("/")
    bases = [b.strip("/") for b in (*suite.bases, contract.base) if b.strip("/")]
    tried = list(dict.fromkeys([url, *(f"{url}/{b}" for b in bases)]))
    lists = [r.path for r in contract.resources() if "list" in r.methods and "{" not in r.path]
    paths = lists or [r.path for r in contract.resources() if "{" not in r.path]
    answers = []
    for base in tried:
        target = Target(base, headers, min(timeout_s, 15.0), lambda exchange: None)
        try:
            for one in paths:
                answer = target.get(f"{one}?limit=1")
                answers.append(f"{base}{one}: {answer.status}")
                if answer.status != 404 and (answer.is_json or answer.status in (401, 403, 405)):
                    return base
        except Unanswered as fault:
            raise CannotRun(f"no answer from {fault}") from fault
        finally:
            target.close()
    raise CannotRun("the API is not found there: " + "; ".join(answers))
