"""`ctk api`: judge an implementation of one Open API by its address."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from oda_ctk import contract as contracts
from oda_ctk import options
from oda_ctk import suite as suites
from oda_ctk.check import REGISTRY
from oda_ctk.contract import Contract
from oda_ctk.exchange import Target, Unanswered
from oda_ctk.openapi import from_openapi
from oda_ctk.options import CannotRun as CannotRun
from oda_ctk.run import Choice, Report, run
from oda_ctk.session import Session


class AsWritten(yaml.SafeLoader):
    """YAML with instants left as texts: examples in OpenAPI files hold days that no month has."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("api", nargs="?", help="TMF657")
    parser.add_argument("--url", help="base of the API (…/tmf-api/customerManagement/v4), or what stands before it")
    parser.add_argument("--version", help="v4, v5; found in the address where it is not given")
    parser.add_argument("--profile", choices=("core", "extended"), default="core")
    parser.add_argument(
        "--payloads", action="append", default=[], type=Path, metavar="FILE", help="a suite of your own"
    )
    parser.add_argument("--spec", type=Path, metavar="FILE", help="an OpenAPI file that is the contract")
    options.add(parser)
    parser.set_defaults(command=command)


def command(given: argparse.Namespace) -> int:
    """Judge; the exit code."""
    if given.list:
        options.listed(REGISTRY.checks)
        return 0
    try:
        session, report, choice = prepared(given)
    except (CannotRun, suites.BadSuite) as why:
        return options.cannot(why)
    run(session, choice, report)
    return options.told(report, given.report)


def prepared(given: argparse.Namespace) -> tuple[Session, Report, Choice]:
    """Contract, suite, address and choice; CannotRun where one of them cannot be had."""
    if not given.url:
        raise CannotRun("--url says where the implementation is")
    if urlsplit(given.url).scheme not in ("http", "https"):
        raise CannotRun(f"{given.url!r} is no http address")
    contract = _contract(given)
    suite = suites.shipped(contract.api, contract.version)
    contract = replace(contract, api=contract.api or (given.api or "API").upper())  # not every file tells its number
    for file in given.payloads:
        suite = suites.read(file).over(suite)
    host, _, port = given.listener.partition(":")
    headers = options.headers(given)
    base = found_base(given.url, contract, suite, headers, given.timeout)
    choice = options.choice(given, REGISTRY.checks)
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
    return session, report, choice


def _contract(given: argparse.Namespace) -> Contract:
    if given.spec:
        try:
            document: Any = yaml.load(given.spec.read_text(encoding="utf-8"), Loader=AsWritten)  # a safe loader
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
