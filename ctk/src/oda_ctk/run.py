"""Making the checks: in order, with progress, and with everything taken away again at the end."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, Protocol

import oda_ctk.checks
from oda_ctk.check import REGISTRY, Blocked, Check, Failure, NotApplicable
from oda_ctk.exchange import Exchange, Target, Unanswered
from oda_ctk.session import Session
from oda_ctk.subject import Subject

Outcome = Literal["pass", "fail", "not applicable"]
PRESENCE = ("reach.list", "create.minimal")
"""Checks that tell when a resource is not there; all others of it are then not judged."""
SHOWN_ON_PASS = 1
SHOWN_ON_FAIL = 4
assert oda_ctk.checks  # importing it is what registers the checks


@dataclass(frozen=True)
class Result:
    """What a check found about one resource (or about the API, where `resource` is empty)."""

    id: str
    resource: str
    level: str
    clause: str
    title: str
    outcome: Outcome
    reason: str
    evidence: tuple[dict[str, Any], ...] = ()
    took_s: float = 0.0
    blocked: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.id, self.resource


@dataclass
class Report:
    """Everything about a run. `hangs`: where a component would stay In-Progress, and why; None of an API."""

    api: str
    version: str
    url: str
    profile: str
    started: str
    results: list[Result] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)
    not_deleted: list[str] = field(default_factory=list)
    requests: int = 0
    took_s: float = 0.0
    interrupted: bool = False
    hangs: list[str] | None = None

    def count(self, outcome: str, level: str | None = None) -> int:
        return sum(r.outcome == outcome and level in (None, r.level) for r in self.results)

    @property
    def exit_code(self) -> int:
        """0: every MUST passes; 1: some MUST fails; 2: the run was broken off or nothing could be judged."""
        if self.interrupted or not any(r.outcome != "not applicable" for r in self.results):
            return 2
        return 1 if self.count("fail", "MUST") else 0


@dataclass(frozen=True)
class Choice:
    """Which checks are made. `pairs`: only these (id, resource), as a former report names them."""

    only: tuple[str, ...] = ()
    pairs: frozenset[tuple[str, str]] | None = None

    def wants(self, check: Check, resource: str) -> bool:
        if self.pairs is not None and (check.id, resource) not in self.pairs:
            return False
        return not self.only or any(fnmatchcase(check.id, p) or check.id.startswith(f"{p}.") for p in self.only)


class Stoppable(Protocol):
    """What sends its requests through a target."""

    target: Target


@contextmanager
def gently(session: Stoppable) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) ends the run before its next request; the second one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        if session.target.stopping:
            raise KeyboardInterrupt
        session.target.stopping = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


Tell = Callable[[str], None]


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def planned(session: Session, choice: Choice) -> list[tuple[Check, Session | Subject]]:
    """The checks to make: of each resource all, then what is judged at the end."""
    checks = REGISTRY.checks.values()
    work: list[tuple[Check, Session | Subject]] = []
    for last in (False, True):
        for subject in session.subjects.values():
            work += [
                (c, subject)
                for c in checks
                if c.scope == "resource" and c.last == last and choice.wants(c, subject.name)
            ]
        work += [(c, session) for c in checks if c.scope == "api" and c.last == last and choice.wants(c, "")]
    return work


def judge(session: Session, check: Check, where: Session | Subject) -> Result:
    """Make one check."""
    resource = where.name if isinstance(where, Subject) else ""
    filled = check.clause.format(api=session.contract.api, version=session.contract.version, resource=f"/{resource}")
    result = Result(check.id, resource, check.level, filled, check.title, "not applicable", "")
    if check.profile == "extended" and session.profile == "core":
        return replace(result, reason="belongs to the extended profile")
    if isinstance(where, Subject) and not where.has(*check.needs):
        lacks = [n for n in check.needs if not where.has(n)]
        return replace(result, reason=f"the API does not offer {', '.join(lacks)} here")
    begun, first = time.monotonic(), len(session.exchanges)
    shown: Sequence[Exchange] = ()
    notifications: Iterable[Any] = ()
    blocked = False
    try:
        if session.gone_since and not check.last:
            raise Blocked(f"nobody answers since {session.gone_since}")
        if (
            isinstance(where, Subject)
            and check.id not in PRESENCE
            and "{" not in where.facts.path
            and not where.present
        ):
            raise Blocked("the resource is not there (404)")
        said = check.judge(where)
        outcome: Outcome = "pass"
        reason = said or "as published"
    except Failure as failure:
        outcome, reason, shown = "fail", failure.reason, failure.exchanges
        notifications = getattr(failure, "notifications", ())
    except NotApplicable as why:
        outcome, reason = "not applicable", str(why)
    except Blocked as why:
        outcome, reason, blocked = "not applicable", f"not judged: {why}", True
    except Unanswered as why:
        if session.gone_since:
            outcome, reason, blocked = "not applicable", f"not judged: nobody answers since {session.gone_since}", True
        else:
            outcome, reason = "fail", f"no answer: {why}"
    except KeyError as lacking:
        outcome, reason = "fail", f"an answer lacks {lacking}"
    except (TypeError, AttributeError, IndexError, ValueError, StopIteration) as fault:
        outcome, reason = "fail", f"an answer is not of the form that was expected ({type(fault).__name__}: {fault})"
    made = session.exchanges[first:] or session.exchanges[-1:] * reason.startswith("no answer")
    kept = list(shown) or made[-(SHOWN_ON_PASS if outcome == "pass" else SHOWN_ON_FAIL) :]
    evidence = (*(n.evidence() for n in notifications), *(e.evidence() for e in kept))
    return replace(
        result,
        outcome=outcome,
        reason=reason[:600],
        evidence=evidence,
        blocked=blocked,
        took_s=round(time.monotonic() - begun, 3),
    )


def run(session: Session, choice: Choice, report: Report, tell: Tell = to_stderr) -> Report:
    """Make all checks; what was created is deleted in any case, also when the run is broken off."""
    begun = time.monotonic()
    work = planned(session, choice)
    try:
        with gently(session):
            for number, (check, where) in enumerate(work, 1):
                missed = len(session.target.unanswered)
                result = judge(session, check, where)
                report.results.append(result)
                if len(session.target.unanswered) > missed and not session.gone_since and not session.is_there():
                    session.gone_since = f"{check.id} {result.resource}".rstrip()
                    tell(f"nobody answers any more since {session.gone_since}; what is left is not judged")
                if result.outcome == "not applicable":
                    continue
                word = {"pass": "pass", "fail": "FAIL"}[result.outcome]
                tell(
                    f"[{number}/{len(work)}] {word} {result.level} {result.id} {result.resource}".rstrip()
                    + (f": {result.reason}" if result.outcome == "fail" else "")
                )
    except KeyboardInterrupt:
        report.interrupted = True
        tell("broken off; what was created is being deleted")
    finally:
        report.requests = len(session.exchanges)
        session.target.stopping = False
        try:
            session.close()
        except KeyboardInterrupt:
            report.interrupted = True
            report.not_deleted.append("the deletion itself was broken off")
        report.left_behind += session.ledger.left_behind
        report.not_deleted += session.ledger.not_deleted
        report.took_s = round(time.monotonic() - begun, 1)
    report.results = [_settled(r, report.results) for r in report.results]
    return report


def _settled(result: Result, results: list[Result]) -> Result:
    """What could not be judged is a failure, unless a failed MUST of the same resource or API tells the cause."""
    if not result.blocked:
        return result
    cause = any(r.outcome == "fail" and r.level == "MUST" and r.resource in (result.resource, "") for r in results)
    elsewhere = any(r.outcome == "fail" and r.id.startswith("create.") for r in results)
    return result if cause or elsewhere else replace(result, outcome="fail")
