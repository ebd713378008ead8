"""The condition of a TMF649 threshold rule: a small grammar, its parser and its evaluation.

    condition   = disjunction [ "for" count [ "of" count ] ]
    disjunction = conjunction { "or" conjunction }
    conjunction = comparison { "and" comparison }
    comparison  = "value" comparator number

TMF649 leaves the text free. `value` is the measurement of the rule; comparators are those of `slo.comparator`, signs or
words. "for 3" asks for three samples in a row, "for 3 of 5" for three of the last five.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service_quality.domain.slo import Comparator, comparator, conforms

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MAX_SAMPLES = 1000

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<word>[^\W\d]\w*)|(?P<sign>[<>=!≤≥≠]+)|(?P<other>\S))"
)


@dataclass(frozen=True, slots=True)
class Comparison:
    relation: Comparator
    limit: float

    def __str__(self) -> str:
        return f"value {self.relation} {self.limit!r}"


@dataclass(frozen=True, slots=True)
class Condition:
    """Any of `any_of` holds, each when all its comparisons do, for `count` of the last `of` samples."""

    any_of: tuple[tuple[Comparison, ...], ...]
    count: int = 1
    of: int = 1

    def __str__(self) -> str:
        """The condition in normal form; parsing it gives the same condition."""
        text = " or ".join(" and ".join(map(str, all_of)) for all_of in self.any_of)
        if self.of == 1:
            return text
        return f"{text} for {self.count}" + ("" if self.count == self.of else f" of {self.of}")


@dataclass(frozen=True, slots=True)
class ConditionFault:
    """Why a text is no condition, and at which character (from 0)."""

    position: int
    reason: str


class _Unreadable(Exception):
    def __init__(self, position: int, reason: str) -> None:
        self.fault = ConditionFault(position, reason)


def parse(text: str) -> Condition | ConditionFault:
    """The condition a text means, or where and why it is none."""
    try:
        return _Parser(text).condition()
    except _Unreadable as unreadable:
        return unreadable.fault


class _Parser:
    """Recursive descent over the tokens (position, kind, text) of one condition; the last one is the end."""

    def __init__(self, text: str) -> None:
        found = [(match.start(match.lastgroup or 0), match) for match in _TOKEN.finditer(text)]
        self._tokens = [(at, str(match.lastgroup), match[match.lastgroup or 0]) for at, match in found]
        self._tokens.append((len(text), "end", ""))
        self._next = 0

    def condition(self) -> Condition:
        any_of = [self._conjunction()]
        while self._took("or"):
            any_of.append(self._conjunction())
        count = of = 1
        if self._took("for"):
            count = of = self._count()
            if self._took("of"):
                at = self._tokens[self._next][0]
                of = self._count()
                if of < count:
                    raise _Unreadable(at, f"{count} of {of} can never be met")
        at, _, left = self._tokens[self._next]
        if left:
            wanted = "'and', 'or', 'for' or the end" if count == of == 1 else "the end"
            raise _Unreadable(at, f"{wanted} is expected, not {left!r}")
        return Condition(tuple(any_of), count, of)

    def _conjunction(self) -> tuple[Comparison, ...]:
        all_of = [self._comparison()]
        while self._took("and"):
            all_of.append(self._comparison())
        return tuple(all_of)

    def _comparison(self) -> Comparison:
        at, _, found = self._tokens[self._next]
        if not self._took("value"):
            raise _Unreadable(at, f"'value' is expected, not {found!r}" if found else "'value' is expected")
        at, kind, found = self._take()
        relation = comparator(found) if kind in ("sign", "word") else None
        if relation is None:
            raise _Unreadable(at, f"a comparator is expected, one of {', '.join(Comparator)}")
        at, kind, found = self._take()
        if kind != "number":
            raise _Unreadable(at, "a number is expected")
        limit = float(found)
        if not np.isfinite(limit):
            raise _Unreadable(at, "the number is too large")
        return Comparison(relation, limit)

    def _count(self) -> int:
        at, kind, found = self._take()
        if kind != "number" or not found.isdecimal() or not 1 <= int(found[:5]) <= MAX_SAMPLES or len(found) > 4:
            raise _Unreadable(at, f"a whole number from 1 to {MAX_SAMPLES} is expected")
        return int(found)

    def _take(self) -> tuple[int, str, str]:
        token = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _took(self, word: str) -> bool:
        _, kind, found = self._tokens[self._next]
        if kind == "word" and found.lower() == word:
            self._next += 1
            return True
        return False


def met(condition: Condition, values: Floats) -> tuple[Flags, Flags]:
    """Whether a condition is met by the newest samples of many series, and where that is certain.

    `values` has shape (series, samples), oldest first, NaN where a sample is missing. Returns (met, certain): missing
    samples leave a series uncertain only when they could change the answer.
    """
    recent = values[:, -condition.of :]
    known = ~np.isnan(recent)
    holding = np.zeros(recent.shape, dtype=np.bool_)
    for all_of in condition.any_of:
        every = known.copy()
        for comparison in all_of:
            every &= conforms(recent, comparison.relation, comparison.limit)
        holding |= every
    yes = holding.sum(axis=1)
    open_ = condition.of - known.sum(axis=1)
    return yes >= condition.count, (yes >= condition.count) | (yes + open_ < condition.count)


def holds(condition: Condition, samples: Sequence[float | None]) -> bool | None:
    """Whether the newest samples (the last is the newest, None is missing) meet a condition; None: not enough data."""
    row = np.array([[np.nan if sample is None else sample for sample in samples]], dtype=np.float64)
    is_met, certain = met(condition, row)
    return bool(is_met[0]) if certain[0] else None
