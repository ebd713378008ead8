"""The safe subset of TMF630 part 6 `filter=`: text to a tree (jsonpath_tree), and the questions asked of the tree.

Nothing is ever evaluated as a script; length, number of clauses and nesting are bounded.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from functools import lru_cache

from tmfkit import regex
from tmfkit.jsonpath_tree import (
    And,
    Comparison,
    Each,
    Exists,
    Expression,
    Filter,
    Index,
    Literal,
    Match,
    Member,
    Not,
    Or,
    Step,
    Steps,
    Test,
    evaluate,
)
from tmfkit.types import Document, Json

__all__ = ["Expression", "JsonPathError", "evaluate", "parse", "project", "safe_regex", "step_at"]

MAX_CHARS = 2_000
MAX_CLAUSES = 20
"""Comparisons and existence tests in one expression."""
MAX_DEPTH = 8
"""Parentheses, negations and filters inside one another."""
MAX_STEPS = 20
"""Names, indexes, wildcards and filters in one path."""
MAX_INDEX = 1_000_000


class JsonPathError(ValueError):
    """No JSONPath, or JSONPath outside of the subset: `reason` tells. `position` counts from zero."""

    def __init__(self, reason: str, position: int = 0) -> None:
        super().__init__(f"{reason} at character {position + 1}")
        self.reason = reason
        self.position = position


class _Absent:
    pass


_ABSENT = _Absent()


def project(text: str, document: Document) -> tuple[str, Json]:
    """One JSONPath of `fields=`: the first-level attribute it names, and what is left of its value, or None.

    Arrays keep their matching members (none: an empty array), objects the one attribute that the path goes on with.
    """
    steps = parse(text).steps
    first = steps[0]
    if not isinstance(first, Member):
        raise JsonPathError("a projection begins with an attribute")
    picked = _picked(document.get(first.name, _ABSENT), steps[1:])
    return first.name, None if isinstance(picked, _Absent) else picked


def _picked(value: Json | _Absent, steps: Steps) -> Json | _Absent:
    if not steps or isinstance(value, _Absent):
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, Member):
        if isinstance(value, list):
            parts = [_picked(m, steps) for m in value if isinstance(m, dict)]
            return [p for p in parts if not isinstance(p, _Absent)]
        part = _picked(value.get(step.name, _ABSENT), rest) if isinstance(value, dict) else _ABSENT
        return part if isinstance(part, _Absent) else {step.name: part}
    kept = step.of([value])
    if isinstance(value, list):
        parts = [_picked(m, rest) for m in kept]
        return [p for p in parts if not isinstance(p, _Absent)]
    return _picked(kept[0], rest) if kept else _ABSENT


# --- reading -----------------------------------------------------------------------------------------------

_BLANK = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r"@?[^\W\d]\w*(?:-\w+)*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,18})(\.\d{1,30})?([eE][+-]?\d{1,3})?(?![\w.])", re.ASCII)
_INDEX = re.compile(r"\d+", re.ASCII)
_OPERATOR = re.compile(r"==|!=|<=|>=|=~|<|>")
_WORD = re.compile(r"(?:true|false|null)(?!\w)")
_REGEX = re.compile(r"/((?:[^/\\]|\\.)*)/(\w*)", re.DOTALL)
_UNSUPPORTED = re.compile(r"\.\.|\.\s*\*|\[\s*(?:\(|-\s*\d|\d+\s*[:,]|:|['\"][^'\"]*['\"]\s*,)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", "'": "'", '"': '"'}
_WORDS = {"true": True, "false": False, "null": None}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TYPE_NAMES = frozenset({"type", "baseType", "schemaLocation", "referredType"})


@lru_cache(maxsize=512)
def parse(text: str) -> Expression:
    """The tree of a filter such as `note[?(@.author=='X')]`, `$.note[0].text` or `$[?(@.status=='held')]`.

    Also read: `[?(@size==300)]` without the dot, as in the published files (yet @type, @baseType, @schemaLocation and
    @referredType are the attributes of that name), `[?@.a]` without parentheses (RFC 9535), `['name']`, `/pattern/i`.
    Errors: JsonPathError for what is no JSONPath, and for functions, scripts, slices, `..` and `.*`.
    """
    if len(text) > MAX_CHARS:
        raise JsonPathError(f"longer than {MAX_CHARS} characters", MAX_CHARS)
    return Expression(_Reader(text).whole())


def step_at(text: str, at: int) -> tuple[Step, int]:
    """The step whose bracket opens at a place inside of a longer text, `[?(...)]` for one, and where it ends."""
    reader = _Reader(text[: at + MAX_CHARS])
    reader.at = at
    reader.supported()
    return reader.bracket(), reader.at


def _storable(text: str) -> bool:
    """PostgreSQL's text has no NUL and no lone surrogate."""
    return "\0" not in text and re.search("[\ud800-\udfff]", text) is None


class _Reader:
    def __init__(self, text: str) -> None:
        if not _storable(text):
            raise JsonPathError("a character that JSON text cannot hold")
        self.text = text
        self.at = 0
        self.depth = 0
        self.clauses = 0

    def fail(self, reason: str, at: int | None = None) -> JsonPathError:
        return JsonPathError(reason, self.at if at is None else at)

    def expected(self, what: str) -> JsonPathError:
        found = self.text[self.at : self.at + 1]
        return self.fail(f"expected {what}, found {found!r}" if found else f"expected {what}, found the end")

    def blank(self) -> None:
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def take(self, symbol: str) -> bool:
        self.blank()
        if self.text.startswith(symbol, self.at):
            self.at += len(symbol)
            return True
        return False

    def whole(self) -> Steps:
        rooted = self.take("$")
        first: Steps = ()
        if not rooted and self.text[self.at : self.at + 1] not in (".", "["):
            first = (Member(self.name()),)
        steps = self.steps(first)
        if not steps:
            raise self.expected("an attribute or a filter")
        if isinstance(steps[0], Index):
            raise self.fail("a place in the collection is not supported")
        self.blank()
        if self.at < len(self.text):
            raise self.expected("the end of the filter")
        return steps

    def steps(self, first: Steps = ()) -> Steps:
        steps = list(first)
        while True:
            self.blank()
            next_char = self.text[self.at : self.at + 1]
            if next_char not in (".", "["):
                if next_char == "(" and steps and isinstance(steps[-1], Member):
                    raise self.fail(f"the function {steps[-1].name} is not supported")
                return tuple(steps)
            if len(steps) == MAX_STEPS:
                raise self.fail(f"more than {MAX_STEPS} steps")
            self.supported()
            if next_char == "[":
                steps.append(self.bracket())
            else:
                self.at += 1
                if self.text[self.at : self.at + 1] != "[":  # `.[` is read as `[`
                    steps.append(Member(self.name()))

    def supported(self) -> None:
        if _UNSUPPORTED.match(self.text, self.at):
            raise self.fail("scripts, slices, unions, places from the end, '..' and '.*' are not supported")

    def name(self) -> str:
        self.blank()
        found = _NAME.match(self.text, self.at)
        if found is None:
            raise self.expected("a name")
        self.at = found.end()
        return found[0]

    def bracket(self) -> Step:
        self.at += 1
        step: Step
        if self.take("?"):
            step = Filter(self.nested())
        elif self.take("*"):
            step = Each()
        elif self.text[self.at : self.at + 1] in ("'", '"'):
            step = Member(self.string())
        elif found := _INDEX.match(self.text, self.at):
            step = Index(int(found[0]))
            if step.at > MAX_INDEX:
                raise self.fail(f"an index above {MAX_INDEX}")
            self.at = found.end()
        else:
            raise self.expected("a name in quotes, an index, * or ?(...)")
        if not self.take("]"):
            raise self.expected("]")
        return step

    def nested(self) -> Test:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"more than {MAX_DEPTH} levels of parentheses, negations and filters")
        test = self.either()
        self.depth -= 1
        return test

    def either(self) -> Test:
        tests = [self.both()]
        while self.take("||"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else Or(tuple(tests))

    def both(self) -> Test:
        tests = [self.single()]
        while self.take("&&"):
            tests.append(self.single())
        return tests[0] if len(tests) == 1 else And(tuple(tests))

    def single(self) -> Test:
        if self.take("("):
            test = self.nested()
            if not self.take(")"):
                raise self.expected("), && or ||")
            return test
        if self.take("!"):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.fail(f"more than {MAX_DEPTH} levels of parentheses, negations and filters")
            self.blank()
            at = self.at
            inner = self.single()
            if isinstance(inner, Comparison | Match) and self.text[at] != "(":
                raise self.fail("a comparison is negated with parentheses: !(...)", at)
            self.depth -= 1
            return Not(inner)
        return self.clause()

    def clause(self) -> Test:
        self.clauses += 1
        if self.clauses > MAX_CLAUSES:
            raise self.fail(f"more than {MAX_CLAUSES} comparisons")
        self.blank()
        if not self.text.startswith("@", self.at):
            return self.mirrored()
        path = self.current()
        op = self.operator()
        if op is None:
            return Exists(path)
        self.blank()
        if op == "=~":
            return Match(path, self.pattern())
        if self.text.startswith(("@", "$"), self.at):
            raise self.fail("comparing two attributes is not supported")
        return Comparison(path, op, self.literal())

    def mirrored(self) -> Test:
        if self.text.startswith("$", self.at):
            raise self.fail("the whole document inside of a filter is not supported")
        at = self.at
        value = self.literal()
        op = self.operator()
        if op is None or op == "=~":
            raise self.fail("expected a test of an attribute, such as @.name == 'x'", at)
        self.blank()
        if not self.text.startswith("@", self.at):
            self.no_function()
            raise self.expected("an attribute: @.name")
        return Comparison(self.current(), _MIRRORED[op], value)

    def current(self) -> Steps:
        self.at += 1
        found = _NAME.match(self.text, self.at)
        if found is None:
            return self.steps()
        self.at = found.end()
        name = found[0]
        return self.steps((Member(f"@{name}" if name in _TYPE_NAMES else name),))

    def operator(self) -> str | None:
        self.blank()
        found = _OPERATOR.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[0]

    def literal(self) -> Literal:
        if self.text[self.at : self.at + 1] in ("'", '"'):
            return self.string()
        if found := _WORD.match(self.text, self.at):
            self.at = found.end()
            return _WORDS[found[0]]
        if found := _NUMBER.match(self.text, self.at):
            start, self.at = self.at, found.end()
            return self.number(found[0], start, whole=not (found[1] or found[2]))
        self.no_function()
        raise self.expected("a text in quotes, a number, true, false or null")

    def no_function(self) -> None:
        name = _NAME.match(self.text, self.at)
        if name is not None and self.text.startswith("(", name.end()):
            raise self.fail(f"the function {name[0]} is not supported")

    def number(self, text: str, at: int, whole: bool) -> int | float:
        """A number that keeps its value on the way through JSON into PostgreSQL's numeric."""
        if whole:
            if abs(int(text)) >= 2**63:
                raise self.fail("a number of more than 64 bits", at)
            return int(text)
        value = float(text)
        if not math.isfinite(value) or Decimal(repr(value)) != Decimal(text):
            raise self.fail("a number of more digits than a double holds", at)
        return value

    def string(self) -> str:
        start = self.at
        quote = self.text[start]
        end = self.closing(quote)
        raw = self.text[start + 1 : end]
        self.at = end + 1
        if "\\" not in raw:
            return raw
        return self.unescaped(raw, start + 1)

    def closing(self, quote: str) -> int:
        at = self.at + 1
        while True:
            end = self.text.find(quote, at)
            if end < 0:
                raise self.fail("a text has no end")
            slash = self.text.find("\\", at, end)
            if slash < 0:
                return end
            at = slash + 2

    def unescaped(self, raw: str, start: int) -> str:
        out: list[str] = []
        at = 0
        while at < len(raw):
            if raw[at] != "\\":
                out.append(raw[at])
                at += 1
                continue
            code = raw[at + 1]
            if code in _ESCAPES:
                out.append(_ESCAPES[code])
                at += 2
                continue
            digits = raw[at + 2 : at + 6]
            if code != "u" or re.fullmatch(r"[0-9a-fA-F]{4}", digits) is None:
                raise self.fail(f"\\{code} is no escape", start + at)
            out.append(chr(int(digits, 16)))
            at += 6
        text = "".join(out).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        if not _storable(text):
            raise self.fail("an escape for a character that JSON text cannot hold", start)
        return text

    def pattern(self) -> regex.Pattern:
        """`/text/`, `/text/i` or a text in quotes, in which a backslash belongs to the pattern."""
        start = self.at
        quote = self.text[start : start + 1]
        if found := _REGEX.match(self.text, start):
            source, flags = found[1], found[2]
            self.at = found.end()
            if flags not in ("", "i"):
                raise self.fail("the only flag of a regular expression is i", found.start(2))
        elif quote in ("'", '"'):
            end = self.closing(quote)
            source, flags = self.text[start + 1 : end].replace(f"\\{quote}", quote), ""
            self.at = end + 1
        else:
            raise self.expected("a regular expression: /text/ or 'text'")
        try:
            return _compiled(f"(?i){source}" if flags else source, source)
        except regex.RegexError as e:
            raise self.fail(str(e), start) from e


def _compiled(text: str, source: str) -> regex.Pattern:
    if len(source) > regex.MAX_CHARS:
        raise regex.RegexError(f"more than {regex.MAX_CHARS} characters", regex.MAX_CHARS)
    return regex.compiled(text)


def safe_regex(text: str) -> str:
    """The canonical form of a pattern: the same to PostgreSQL's `~` and to `re.search`. Errors: JsonPathError 400.

    `re` may need exponential time for it; `regex.compiled(form).search(text)` never does.
    """
    try:
        return _compiled(text, text).text
    except regex.RegexError as e:
        raise JsonPathError(str(e), e.position) from e
