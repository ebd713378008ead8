"""What a check is: one small function with an id, a level and a clause, found by its decorator.

    @check("retrieve.unknown", MUST, f"{PART_1} 3.3", needs=("retrieve",))
    def unknown_id(s: Subject) -> None:
        "An id that does not exist is answered with 404."

The function returns if all is well (a returned text is told in the report), and raises Failure, NotApplicable or
Blocked if not. `expect` raises Failure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from oda_ctk.exchange import Exchange

Level = Literal["MUST", "SHOULD"]
Profile = Literal["core", "extended"]
Scope = Literal["api", "resource"]
MUST: Level = "MUST"
SHOULD: Level = "SHOULD"
PART_1 = "TMF630 Part 1"
PART_2 = "TMF630 Part 2"
PART_4 = "TMF630 Part 4"
PART_5 = "TMF630 Part 5"
PART_6 = "TMF630 Part 6"
FILE = "{api} {version} file"
"""A clause of the API's own file; `{api}`, `{version}` and `{resource}` are filled in when a result is made."""

Judge = Callable[[Any], str | None]
F = TypeVar("F", bound=Judge)


class Failure(Exception):
    """The clause is not kept. `exchanges` are the requests and answers that show it."""

    def __init__(self, reason: str, *exchanges: Exchange) -> None:
        super().__init__(reason)
        self.reason, self.exchanges = reason, exchanges


class NotApplicable(Exception):
    """The clause says nothing about this API, resource or profile, or it is optional and not offered."""


class Blocked(Exception):
    """What the check needs could not be made; the check that judges the making tells why."""


@dataclass(frozen=True)
class Check:
    """`needs`: operations the resource must have in the contract (or "events"); `last`: judges what others sent."""

    id: str
    level: Level
    clause: str
    title: str
    judge: Judge
    scope: Scope = "resource"
    needs: tuple[str, ...] = ()
    profile: Profile = "core"
    last: bool = False


@dataclass
class Registry:
    """All checks, in the order of their modules."""

    checks: dict[str, Check] = field(default_factory=dict)

    def add(self, check: Check) -> None:
        if check.id in self.checks:
            raise ValueError(f"two checks are called {check.id}")
        self.checks[check.id] = check


REGISTRY = Registry()


def check(
    id: str,
    level: Level,
    clause: str,
    *,
    needs: tuple[str, ...] = (),
    scope: Scope = "resource",
    profile: Profile = "core",
    last: bool = False,
) -> Callable[[F], F]:
    """Register a function as a check; the first line of its docstring is its title."""

    def register(function: F) -> F:
        title = (function.__doc__ or "").strip().partition("\n")[0]
        REGISTRY.add(Check(id, level, clause, title, function, scope, needs, profile, last))
        return function

    return register


def expect(condition: object, reason: str, *exchanges: Exchange) -> None:
    """Fail with this reason unless the condition holds."""
    if not condition:
        raise Failure(reason, *exchanges)
