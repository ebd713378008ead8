"""The part of the Common Expression Language that rules of CRDs are written in.

has(), size(), field paths, indexes, comparisons, !, && and ||. As in Kubernetes an error (a field that is not there)
counts as a broken rule, unless the other side of an && or || decides alone.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+)|(?P<text>'[^']*'|\"[^\"]*\")|(?P<name>[A-Za-z_]\w*)|(?P<mark>&&|\|\||[!=<>]=|[!<>().\[\],]))"
)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class NotUnderstood(ValueError):
    """The rule uses more of the language than is known here."""


class NoSuchField(LookupError):
    """The rule asks for something that is not there."""


Term = Callable[[Any], Any]


def here_or_first(names: Sequence[str]) -> str:
    """The rule that all these fields stand at the root, or all of them in specification[0]."""
    here = " && ".join(f"has(self.{n})" for n in names)
    first = " && ".join(f"has(self.specification[0].{n})" for n in names)
    return f"({here}) || (size(self.specification) > 0 && {first})"


def worded(rule: str) -> str:
    """The rule in words, where it is one of here_or_first; else as it is written."""
    names = list(dict.fromkeys(re.findall(r"has\(self\.(\w+)\)", rule)))

    def bare(text: str) -> str:
        return re.sub(r"[\s()]", "", text)

    if names and bare(rule) == bare(here_or_first(names)):
        return f"that {', '.join(names)} stand all at the root or all in specification[0]"
    return rule


def holds(rule: str, value: Any) -> bool:
    """Whether a value keeps a rule. Rules about a change (oldSelf) say nothing of a new document."""
    if "oldSelf" in rule:
        return True
    try:
        return bool(parsed(rule)(value))
    except NoSuchField:
        return False


def parsed(rule: str) -> Term:
    """The rule as a function; NotUnderstood where it is beyond this module."""
    reader = _Reader(rule)
    term = reader.either()
    if reader.left:
        raise NotUnderstood(rule)
    return term


class _Reader:
    """Recursive descent: either > both > compared > single."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        self.left: list[tuple[str, str]] = []
        at = 0
        text = rule.rstrip()
        while at < len(text):
            found = TOKEN.match(text, at)
            if not found:
                raise NotUnderstood(rule)
            self.left.append((str(found.lastgroup), found[found.lastgroup or 0]))
            at = found.end()

    def took(self, *marks: str) -> str:
        """The next token, if it is one of these."""
        return self.left.pop(0)[1] if self.left and self.left[0][1] in marks else ""

    def must(self, mark: str) -> None:
        if not self.took(mark):
            raise NotUnderstood(self.rule)

    def either(self) -> Term:
        terms = [self.both()]
        while self.took("||"):
            terms.append(self.both())
        return terms[0] if len(terms) == 1 else lambda v: _decided(terms, v, True)

    def both(self) -> Term:
        terms = [self.compared()]
        while self.took("&&"):
            terms.append(self.compared())
        return terms[0] if len(terms) == 1 else lambda v: _decided(terms, v, False)

    def compared(self) -> Term:
        one = self.single()
        mark = self.took(*COMPARE)
        if not mark:
            return one
        other = self.single()
        return lambda v: COMPARE[mark](one(v), other(v))

    def single(self) -> Term:
        if not self.left:
            raise NotUnderstood(self.rule)
        if self.took("!"):
            term = self.single()
            return lambda v: not term(v)
        if self.took("("):
            inner = self.either()
            self.must(")")
            return inner
        kind, word = self.left.pop(0)
        if kind == "number":
            return lambda v: int(word)
        if kind == "text":
            return lambda v: word[1:-1]
        if word in ("true", "false"):
            return lambda v: word == "true"
        if word in ("has", "size"):
            self.must("(")
            steps = self.path()
            self.must(")")
            return (lambda v: _has(steps, v)) if word == "has" else (lambda v: len(_found(steps, v)))
        self.left.insert(0, (kind, word))
        steps = self.path()
        return lambda v: _found(steps, v)

    def path(self) -> list[str | int]:
        """self.specification[0].url as its steps."""
        self.must("self")
        steps: list[str | int] = []
        while mark := self.took(".", "["):
            kind, word = self.left.pop(0) if self.left else ("", "")
            if mark == "." and kind == "name":
                steps.append(word)
            elif mark == "[" and kind == "number":
                steps.append(int(word))
                self.must("]")
            else:
                raise NotUnderstood(self.rule)
        if self.left and self.left[0][1] == "(":  # a method
            raise NotUnderstood(self.rule)
        return steps


def _decided(terms: Sequence[Term], value: Any, by: bool) -> bool:
    """One term that is `by` decides; else an error of any term is the error of all."""
    wrong: NoSuchField | None = None
    for term in terms:
        try:
            if bool(term(value)) is by:
                return by
        except NoSuchField as fault:
            wrong = fault
    if wrong:
        raise wrong
    return not by


def _found(steps: Sequence[str | int], value: Any) -> Any:
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError) as fault:
            raise NoSuchField(str(step)) from fault
    return value


def _has(steps: Sequence[str | int], value: Any) -> bool:
    """has(a.b.c): a.b must be there, c may."""
    last = _found(steps[:-1], value)
    return isinstance(last, dict) and steps[-1] in last
