"""Service problems: violations with one root and overlapping time are one problem, with its impact, priority and end.

The grouping is a function of the set of violations, whatever their order. What a problem is called in TMF656 is not
known here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from service_quality.domain.localisation import Element
from service_quality.domain.slo import State


@dataclass(frozen=True, slots=True)
class Violation:
    """One violated objective. `state` is what the objective is now; `cleared_at` since when it is ok again.

    `services` and `subjects` are the ids of the services in it and of the people and things that use them there.
    """

    id: str
    root: Element
    started_at: datetime
    cleared_at: datetime | None = None
    state: State = State.VIOLATED
    services: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Impact:
    """Who feels it. Each service and subject counts once, however many violations touch it."""

    services: frozenset[str]
    subjects: frozenset[str]

    @property
    def affected_services(self) -> int:
        return len(self.services)

    @property
    def affected_subjects(self) -> int:
        return len(self.subjects)


@dataclass(frozen=True, slots=True)
class Problem:
    """One service problem. `key` is the same for every problem of the root: at most one of them is open at a time.

    `violations` in order of their start; `cleared_at` is None while one of them is not cleared.
    """

    key: str
    root: Element
    started_at: datetime
    cleared_at: datetime | None
    violations: tuple[Violation, ...]
    impact: Impact


@dataclass(frozen=True, slots=True)
class PriorityRule:
    """Priority 1 from the first of `subject_steps` affected subjects on, 2 from the second, ...; the last is below all.

    A problem that touches one of `critical_services` (emergency, health) or, by `service_steps`, many services, is at
    least as urgent as these say.
    """

    subject_steps: tuple[int, int, int, int] = (1000, 300, 100, 10)
    service_steps: tuple[int, int, int, int] = (1000, 300, 100, 10)
    critical_services: frozenset[str] = frozenset()
    critical_priority: int = 1


@dataclass(frozen=True, slots=True)
class Resolution:
    """Whether a problem may be called resolved, and why (not)."""

    resolved: bool
    reason: str
    at: datetime | None = None


def key(root: Element) -> str:
    """The de-duplication key of a problem: its root element, `cell:cell-017`."""
    return f"{root.dimension}:{root.value}"


def grouped(violations: Iterable[Violation], gap_s: float = 900.0) -> tuple[Problem, ...]:
    """Problems of a set of violations, by root and start.

    Violations of one root are one problem when their times [started_at, cleared_at) overlap or lie at most `gap_s`
    apart; one that is not cleared lasts. A violation given twice counts once.
    """
    problems = []
    ordered = sorted(set(violations), key=lambda one: (one.root, one.started_at, one.id, one.cleared_at is not None))
    for root, of_root in groupby(ordered, key=lambda one: one.root):
        chain: list[Violation] = []
        until: datetime | None = None
        for violation in of_root:
            if chain and until is not None and violation.started_at - until > timedelta(seconds=gap_s):
                problems.append(_problem(root, chain))
                chain, until = [], violation.started_at
            chain.append(violation)
            until = _later(until, violation) if len(chain) > 1 else violation.cleared_at
        problems.append(_problem(root, chain))
    return tuple(problems)


def _later(until: datetime | None, violation: Violation) -> datetime | None:
    if until is None or violation.cleared_at is None:
        return None
    return max(until, violation.cleared_at)


def _problem(root: Element, chain: list[Violation]) -> Problem:
    cleared = [violation.cleared_at for violation in chain]
    return Problem(
        key=key(root),
        root=root,
        started_at=chain[0].started_at,
        cleared_at=None if None in cleared else max(at for at in cleared if at is not None),
        violations=tuple(chain),
        impact=Impact(
            services=frozenset().union(*(violation.services for violation in chain)),
            subjects=frozenset().union(*(violation.subjects for violation in chain)),
        ),
    )


def priority(impact: Impact, rule: PriorityRule) -> int:
    """1 (highest) to 5, within TMF656's 1 to 10: more subjects or services never make a problem less urgent."""
    urgent = [
        _step(impact.affected_subjects, rule.subject_steps),
        _step(impact.affected_services, rule.service_steps),
    ]
    if impact.services & rule.critical_services:
        urgent.append(rule.critical_priority)
    return min(urgent)


def _step(count: int, steps: tuple[int, ...]) -> int:
    return 1 + sum(count < step for step in steps)


def resolution(problem: Problem, now: datetime, quiet_s: float = 1800.0) -> Resolution:
    """A problem is resolved when all its violations are cleared and stayed so for `quiet_s`.

    No data is no recovery: while one violation's state is unknown the problem stays open.
    """
    violated = sum(violation.state is State.VIOLATED for violation in problem.violations)
    unknown = sum(violation.state is State.UNKNOWN for violation in problem.violations)
    if violated:
        return Resolution(False, f"{violated} of {len(problem.violations)} violations last")
    if unknown:
        return Resolution(False, f"{unknown} of {len(problem.violations)} violations without data")
    if problem.cleared_at is None:
        return Resolution(False, "a violation has no time of clearing")
    quiet = (now - problem.cleared_at).total_seconds()
    if quiet < quiet_s:
        return Resolution(False, f"quiet for {quiet:.0f} s of {quiet_s:.0f} s")
    return Resolution(
        True, f"all {len(problem.violations)} violations cleared, quiet for {quiet:.0f} s", problem.cleared_at
    )
