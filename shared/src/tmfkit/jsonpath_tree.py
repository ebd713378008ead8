"""The tree of a JSONPath filter and what it means, here and in PostgreSQL.

Each form says its meaning twice, side by side: `of` or `verdict` for a document at hand, `postgres` for
`jsonb_path_exists(doc, path, variables, true)`. Both are the lax mode of SQL/JSON (ISO/IEC 9075-2:2016, 9.39): a name
or a filter looks into the members of an array by itself (one level), what is missing is an empty answer and no error,
and a comparison of different types is unknown, which `!` leaves unknown.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tmfkit import regex
from tmfkit.types import Json

Variables = dict[str, Json]
Verdict = bool | None
"""None is SQL/JSON's unknown."""
Literal = str | int | float | bool | None


# --- steps -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    """`.name` or `['name']`: of an object, or of each object in an array."""

    name: str

    def of(self, items: list[Json]) -> list[Json]:
        name = self.name
        found = []
        for item in items:
            if isinstance(item, dict):
                if name in item:
                    found.append(item[name])
            elif isinstance(item, list):
                found += [m[name] for m in item if isinstance(m, dict) and name in m]
        return found

    def postgres(self, variables: Variables) -> str:
        return f".{_quoted(self.name)}"


@dataclass(frozen=True, slots=True)
class Each:
    """`[*]`: the members of an array; anything else is its own only member."""

    def of(self, items: list[Json]) -> list[Json]:
        found: list[Json] = []
        for item in items:
            if isinstance(item, list):
                found += item
            else:
                found.append(item)
        return found

    def postgres(self, variables: Variables) -> str:
        return "[*]"


@dataclass(frozen=True, slots=True)
class Index:
    """`[n]`: one member of an array; anything else is its own member 0."""

    at: int

    def of(self, items: list[Json]) -> list[Json]:
        at = self.at
        found = []
        for item in items:
            if isinstance(item, list):
                found += item[at : at + 1]
            elif at == 0:
                found.append(item)
        return found

    def postgres(self, variables: Variables) -> str:
        return f"[{self.at}]"


@dataclass(frozen=True, slots=True)
class Filter:
    """`[?(test)]`: the members of an array that pass; anything else passes itself."""

    test: Test

    def of(self, items: list[Json]) -> list[Json]:
        verdict = self.test.verdict
        found = []
        for item in items:
            if isinstance(item, list):
                found += [m for m in item if verdict(m)]
            elif verdict(item):
                found.append(item)
        return found

    def postgres(self, variables: Variables) -> str:
        return f" ? ({self.test.postgres(variables)})"


_EACH = Each()
Step = Member | Each | Index | Filter
Steps = tuple[Step, ...]


def items(steps: Steps, root: Json) -> list[Json]:
    items = [root]
    for step in steps:
        if not items:
            break
        items = step.of(items)
    return items


def _postgres(root: str, steps: Steps, variables: Variables) -> str:
    return root + "".join(step.postgres(variables) for step in steps)


def _quoted(text: str) -> str:
    """A string as PostgreSQL's jsonpath reads it: the escapes of JSON."""
    return json.dumps(text, ensure_ascii=False)


# --- tests -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison:
    """`@.path op literal`: true if it holds for any value found, else unknown if any value has another type."""

    path: Steps
    op: str
    value: Literal

    def verdict(self, item: Json) -> Verdict:
        unknown = False
        for found in _EACH.of(items(self.path, item)):
            answer = compared(found, self.op, self.value)
            if answer:
                return True
            unknown = unknown or answer is None
        return None if unknown else False

    def postgres(self, variables: Variables) -> str:
        path = _postgres("@", self.path, variables)
        name = f"v{len(variables)}"
        variables[name] = self.value
        return f"{path} {self.op} ${name}"


@dataclass(frozen=True, slots=True)
class Match:
    """`@.path =~ pattern`: found anywhere in any text; other values are unknown."""

    path: Steps
    pattern: regex.Pattern

    def verdict(self, item: Json) -> Verdict:
        unknown = False
        for found in _EACH.of(items(self.path, item)):
            if not isinstance(found, str):
                unknown = True
            elif self.pattern.search(found):
                return True
        return None if unknown else False

    def postgres(self, variables: Variables) -> str:
        return f'{_postgres("@", self.path, variables)} like_regex {_quoted(self.pattern.text)} flag "s"'


@dataclass(frozen=True, slots=True)
class Exists:
    """`@.path`: there is such a value, be it null, false or empty."""

    path: Steps

    def verdict(self, item: Json) -> Verdict:
        return bool(items(self.path, item))

    def postgres(self, variables: Variables) -> str:
        return f"exists ({_postgres('@', self.path, variables)})"


@dataclass(frozen=True, slots=True)
class Not:
    test: Test

    def verdict(self, item: Json) -> Verdict:
        answer = self.test.verdict(item)
        return None if answer is None else not answer

    def postgres(self, variables: Variables) -> str:
        return f"!({self.test.postgres(variables)})"


@dataclass(frozen=True, slots=True)
class And:
    tests: tuple[Test, ...]

    def verdict(self, item: Json) -> Verdict:
        unknown = False
        for test in self.tests:
            answer = test.verdict(item)
            if answer is False:
                return False
            unknown = unknown or answer is None
        return None if unknown else True

    def postgres(self, variables: Variables) -> str:
        return " && ".join(f"({test.postgres(variables)})" for test in self.tests)


@dataclass(frozen=True, slots=True)
class Or:
    tests: tuple[Test, ...]

    def verdict(self, item: Json) -> Verdict:
        unknown = False
        for test in self.tests:
            answer = test.verdict(item)
            if answer:
                return True
            unknown = unknown or answer is None
        return None if unknown else False

    def postgres(self, variables: Variables) -> str:
        return " || ".join(f"({test.postgres(variables)})" for test in self.tests)


Test = Comparison | Match | Exists | Not | And | Or

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EXACT = 2**53


def compared(found: Json, op: str, value: Literal) -> Verdict:
    """One value of a document against a literal, as PostgreSQL's compareItems does.

    Texts by code point, false before true, numbers by value; null equals null alone and is unequal to all else, objects
    and arrays included; any other pair of types, and objects or arrays themselves, is unknown.
    """
    if isinstance(found, str):
        if isinstance(value, str):
            return _ORDER[op](found, value)
    elif found is None:
        if value is None:
            return op in ("==", "<=", ">=")
    elif isinstance(found, bool):
        if isinstance(value, bool):
            return _ORDER[op](found, value)
    elif isinstance(found, int | float) and isinstance(value, int | float) and not isinstance(value, bool):
        if type(found) is not type(value) and abs(found) >= _EXACT:
            # A JSON number is its decimal text: 1e23 is 10**23, which the nearest binary number is not.
            return _ORDER[op](Decimal(repr(found)), Decimal(repr(value)))
        return _ORDER[op](found, value)
    if found is None or value is None:
        return op == "!="
    return None


# --- the whole ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed filter. `$` is the document; a filter right on `$` reads `$` as the collection the document is in."""

    steps: Steps

    def postgres(self) -> tuple[str, Variables]:
        """Path and variables for `jsonb_path_exists(doc, $1::jsonpath, $2::jsonb, true)`."""
        variables: Variables = {}
        return _postgres("$", self.steps, variables), variables


def evaluate(expression: Expression, document: Json) -> bool:
    """Whether the path finds anything; agrees with `jsonb_path_exists` in lax mode."""
    return bool(items(expression.steps, document))
