"""Regular expressions that PostgreSQL and this process read alike, searched in linear time.

A subset that both engines share is parsed here, and written again in one canonical form that means the same to
PostgreSQL (`~`, and `like_regex` with flag "s") and to Python's `re`. Here it runs on an automaton: a subscriber's
pattern meets every event of everybody, and a backtracking engine could be held for hours by `(a+)+b`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

MAX_CHARS = 200
"""Length of a pattern as a client writes it."""
MAX_POSITIONS = 128
"""Characters to match once bounded repeats are spelled out: `a{3}` has three."""
MAX_REPEAT = 100
MAX_DEPTH = 10
MAX_CANONICAL_CHARS = 8_000
MAX_FOLDED_RANGE = 512
"""Longest range of a class whose cases are spelled out when case is ignored."""
_MAX_MOVES = 10_000


class RegexError(ValueError):
    """Outside of the subset. `position` counts from zero."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} at character {position + 1} of the regular expression")
        self.position = position


Ranges = tuple[tuple[int, int], ...]

_DIGIT: Ranges = ((48, 57),)
_WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Ranges = ((9, 13), (32, 32))
_SHORTHAND = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ ")


@dataclass(frozen=True, slots=True)
class _Chars:
    """One character out of, or outside of, some ranges of code points."""

    ranges: Ranges
    negated: bool = False

    def holds(self, char: str) -> bool:
        code = ord(char)
        return any(low <= code <= high for low, high in self.ranges) != self.negated

    def canonical(self) -> str:
        if not self.negated and len(self.ranges) == 1 and self.ranges[0][0] == self.ranges[0][1]:
            return _spelled(self.ranges[0][0])
        spans = (_spelled(a) if a == b else f"{_spelled(a)}-{_spelled(b)}" for a, b in self.ranges)
        return f"[{'^' if self.negated else ''}{''.join(spans)}]"


# A text of PostgreSQL holds no NUL, so this is any character, the line end included; a plain dot is read differently
# by the engines.
_ANY = _Chars(((0, 0),), negated=True)


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple[_Node, ...]

    def canonical(self) -> str:
        return "".join(f"(?:{p.canonical()})" if isinstance(p, _Choice) else p.canonical() for p in self.parts)


@dataclass(frozen=True, slots=True)
class _Choice:
    branches: tuple[_Node, ...]

    def canonical(self) -> str:
        return "|".join(b.canonical() for b in self.branches)


@dataclass(frozen=True, slots=True)
class _Repeat:
    node: _Node
    low: int
    high: int | None

    def canonical(self) -> str:
        inner = self.node.canonical()
        if not isinstance(self.node, _Chars):
            inner = f"(?:{inner})"
        short = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((self.low, self.high))
        return inner + (short or f"{{{self.low},{'' if self.high is None else self.high}}}")


_Node = _Chars | _Sequence | _Choice | _Repeat


@dataclass(frozen=True, slots=True)
class _Branch:
    """One alternative of the whole pattern, which may be held at the start or at the end of the text."""

    node: _Node
    at_start: bool
    at_end: bool

    def canonical(self) -> str:
        inner = f"(?:{self.node.canonical()})" if isinstance(self.node, _Choice) else self.node.canonical()
        return ("\\A" if self.at_start else "") + inner + ("\\Z" if self.at_end else "")


def _spelled(code: int) -> str:
    char = chr(code)
    if char in _PLAIN or (code > 127 and char.isprintable()):
        return char
    if 32 < code < 127:
        return "\\" + char
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.ignore_case = text.startswith("(?i)")
        if self.ignore_case:
            self.at = 4

    def fail(self, reason: str, at: int | None = None) -> RegexError:
        return RegexError(reason, self.at if at is None else at)

    def peek(self, expected: str) -> bool:
        return self.text.startswith(expected, self.at)

    def take(self, expected: str) -> bool:
        found = self.text.startswith(expected, self.at)
        if found:
            self.at += len(expected)
        return found

    def char(self) -> str:
        if self.at >= len(self.text):
            raise self.fail("unexpected end")
        self.at += 1
        return self.text[self.at - 1]

    def whole(self) -> tuple[_Branch, ...]:
        branches = []
        while True:
            at_start = self.take("^") or self.take("\\A")
            node = self.sequence(anchored=at_start)
            branches.append(_Branch(node, at_start, self.take("$") or self.take("\\Z")))
            if self.at == len(self.text):
                return tuple(branches)
            if not self.take("|"):
                raise self.fail(f"unexpected {self.text[self.at]!r}")

    def sequence(self, anchored: bool = False) -> _Node:
        parts: list[_Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)$" and not self.peek("\\Z"):
            parts.append(self.repeated(self.atom()))
        if not parts and not anchored and not self.peek("$") and not self.peek("\\Z"):
            raise self.fail("nothing to match")
        return parts[0] if len(parts) == 1 else _Sequence(tuple(parts))

    def group(self) -> _Node:
        start = self.at - 1
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"more than {MAX_DEPTH} nested groups", start)
        if self.peek("?") and not self.take("?:"):
            raise self.fail("only plain and (?: groups are supported", start)
        branches = [self.sequence()]
        while self.take("|"):
            branches.append(self.sequence())
        if not self.take(")"):
            raise self.fail(
                "a group has no end" if self.at == len(self.text) else "^ and $ hold only outside of groups"
            )
        self.depth -= 1
        return branches[0] if len(branches) == 1 else _Choice(tuple(branches))

    def atom(self) -> _Node:
        at = self.at
        c = self.char()
        if c == "(":
            return self.group()
        if c == "[":
            return self.bracket()
        if c == ".":
            return _ANY
        if c == "\\":
            return self.cased(self.escape())
        if c in "*+?{}^]":
            raise self.fail(f"{c!r} must be escaped to stand for itself", at)
        return self.cased(_Chars(((ord(c), ord(c)),)))

    def escape(self) -> _Chars:
        at = self.at - 1
        c = self.char()
        if c.lower() in _SHORTHAND:
            return _Chars(_SHORTHAND[c.lower()], negated=c.isupper())
        if c in _CONTROL:
            c = _CONTROL[c]
        elif c in "uU":
            digits = self.text[self.at : self.at + (4 if c == "u" else 8)]
            if len(digits) != (4 if c == "u" else 8) or not all(d in "0123456789abcdefABCDEF" for d in digits):
                raise self.fail(f"\\{c} needs {4 if c == 'u' else 8} hexadecimal digits", at)
            self.at += len(digits)
            code = int(digits, 16)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise self.fail("no such character", at)
            c = chr(code)
        elif c.isalnum() or c.isspace() or ord(c) > 127:
            raise self.fail(f"\\{c} is not supported", at)
        return _Chars(((ord(c), ord(c)),))

    def bracket(self) -> _Node:
        start = self.at - 1
        negated = self.take("^")
        ranges: list[tuple[int, int]] = []
        while not self.take("]"):
            at = self.at
            low = self.member()
            if isinstance(low, _Chars):
                ranges += low.ranges
                continue
            high: _Chars | int = low
            if self.peek("-") and not self.peek("-]"):
                self.at += 1
                high = self.member()
            if isinstance(high, _Chars) or high < low:
                raise self.fail("a range needs two characters in order", at)
            ranges.append((low, high))
        if not ranges:
            raise self.fail("an empty class", start)
        return self.cased(_Chars(_merged(ranges), negated))

    def member(self) -> _Chars | int:
        at = self.at
        c = self.char()
        if c == "[":
            raise self.fail("'[' must be escaped inside of a class", at)
        if c != "\\":
            return ord(c)
        inner = self.escape()
        if inner.negated:
            raise self.fail("a negated shorthand cannot stand inside of a class", at)
        low, high = inner.ranges[0]
        return low if len(inner.ranges) == 1 and low == high else inner

    def cased(self, chars: _Chars) -> _Chars:
        if not self.ignore_case:
            return chars
        folded = list(chars.ranges)
        for low, high in chars.ranges:
            if high - low >= MAX_FOLDED_RANGE:
                raise self.fail("a range is too wide to ignore case")
            for code in range(low, high + 1):
                cases = {chr(code).lower(), chr(code).upper()}
                folded += [(ord(c), ord(c)) for c in cases if len(c) == 1]
        return _Chars(_merged(folded), chars.negated)

    def repeated(self, node: _Node) -> _Node:
        at = self.at
        if self.take("*"):
            low, high = 0, None
        elif self.take("+"):
            low, high = 1, None
        elif self.take("?"):
            low, high = 0, 1
        elif self.take("{"):
            low, high = self.bounds(at)
        else:
            return node
        self.take("?")  # lazy or greedy finds the same texts
        if self.at < len(self.text) and self.text[self.at] in "*+?{":
            raise self.fail("a repeat of a repeat needs a group")
        return _Repeat(node, low, high)

    def bounds(self, at: int) -> tuple[int, int | None]:
        end = self.text.find("}", self.at)
        inner = self.text[self.at : end] if end >= 0 else ""
        first, comma, second = inner.partition(",")
        if not (first.isascii() and first.isdigit()) or not (second == "" or (second.isascii() and second.isdigit())):
            raise self.fail("a repeat is {n}, {n,} or {n,m}", at)
        self.at = end + 1
        low = int(first)
        high = int(second) if second else None if comma else low
        if max(low, high or 0) > MAX_REPEAT or (high is not None and high < low):
            raise self.fail(f"a repeat counts in order and to {MAX_REPEAT} at most", at)
        return low, high


def _merged(ranges: list[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


class _State:
    """A set of positions just matched, what may come next, and where each character seen so far led."""

    __slots__ = ("at_end", "moves", "reach", "verdict")

    def __init__(self, reach: int, verdict: bool | None, at_end: bool) -> None:
        self.reach = reach
        self.verdict = verdict
        self.at_end = at_end
        self.moves: dict[str, _State] = {}


class _Automaton:
    """Position automaton (V. M. Glushkov, 1961), made deterministic while it reads; sets of positions are bit masks."""

    def __init__(self, branches: tuple[_Branch, ...]) -> None:
        self.positions: list[_Chars] = []
        self.follow: list[int] = []
        self.anywhere = self.ends = self.ends_at_end = 0
        first_of_all = 0
        empty: bool | None = None
        for branch in branches:
            nullable, first, last = self.built(branch.node)
            first_of_all |= first
            if not branch.at_start:
                self.anywhere |= first
            if branch.at_end:
                self.ends_at_end |= last
            else:
                self.ends |= last
            if nullable:  # held at both ends it matches the empty text alone, else every text
                empty = empty or not (branch.at_start and branch.at_end)
        self.accepting: dict[str, int] = {}
        self.states: dict[int, _State] = {}
        self.moves = 0
        self.start = _State(first_of_all, True if empty else None, empty is not None)

    def built(self, node: _Node) -> tuple[bool, int, int]:
        """(matches the empty text, positions it may begin with, positions it may end with)"""
        if isinstance(node, _Chars):
            if len(self.positions) == MAX_POSITIONS:
                raise RegexError(f"more than {MAX_POSITIONS} characters to match, repeats spelled out", 0)
            self.positions.append(node)
            self.follow.append(0)
            bit = 1 << (len(self.positions) - 1)
            return False, bit, bit
        if isinstance(node, _Choice):
            parts = [self.built(b) for b in node.branches]
            first = last = 0
            for _, f, la in parts:
                first |= f
                last |= la
            return any(n for n, _, _ in parts), first, last
        if isinstance(node, _Sequence):
            return self.chained([(p, False) for p in node.parts])
        if node.high is None:
            nullable, first, last = self.chained([(node.node, False)] * (node.low - 1) + [(node.node, True)])
            return nullable or node.low == 0, first, last
        copies = [(node.node, False)] * node.low
        return self.chained(copies + [(_Optional(node.node), False)] * (node.high - node.low))

    def chained(self, parts: Sequence[tuple[_Node | _Optional, bool]]) -> tuple[bool, int, int]:
        nullable, first, last = True, 0, 0
        for part, loops in parts:
            optional = isinstance(part, _Optional)
            n, f, la = self.built(part.node if isinstance(part, _Optional) else part)
            if loops:
                self.link(la, f)
            self.link(last, f)
            if nullable:
                first |= f
            last = la | last if n or optional else la
            nullable = nullable and (n or optional)
        return nullable, first, last

    def link(self, last: int, first: int) -> None:
        for p in _bits(last):
            self.follow[p] |= first

    def moved(self, state: _State, char: str) -> _State:
        if self.moves >= _MAX_MOVES:  # bounded memory; the states of a search under way stay alive through it
            self.accepting.clear()
            self.states.clear()
            self.start.moves.clear()
            self.moves = 0
        accepting = self.accepting.get(char)
        if accepting is None:
            accepting = sum(1 << p for p, chars in enumerate(self.positions) if chars.holds(char))
            self.accepting[char] = accepting
        mask = state.reach & accepting
        found = self.states.get(mask)
        if found is None:
            reach = self.anywhere
            for p in _bits(mask):
                reach |= self.follow[p]
            verdict = True if mask & self.ends else None
            at_end = bool(mask & self.ends_at_end)
            if reach == 0 and verdict is None and not at_end:
                verdict = False
            found = self.states[mask] = _State(reach, verdict, at_end)
        self.moves += 1
        state.moves[char] = found
        return found


@dataclass(frozen=True, slots=True)
class _Optional:
    node: _Node


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern; `text` is the canonical form, for PostgreSQL's `~` or `like_regex ... flag "s"`."""

    text: str
    _automaton: _Automaton = field(compare=False, repr=False)

    def search(self, text: str) -> bool:
        """Whether the pattern is found anywhere in the text; time grows with the length of the text only."""
        automaton = self._automaton
        state = automaton.start
        if state.verdict is not None:
            return state.verdict
        for char in text:
            following = state.moves.get(char)
            if following is None:
                following = automaton.moved(state, char)
            if following.verdict is not None:
                return following.verdict
            state = following
        return state.at_end


@lru_cache(maxsize=256)
def compiled(text: str) -> Pattern:
    r"""The pattern, also of an already canonical text. Errors: RegexError.

    Supported: characters, `.` (any character, line ends too), `[...]` and `[^...]` with ranges, `\d \w \s` (ASCII) and
    outside of classes `\D \W \S`, `\t \n \r \f \v \uXXXX \UXXXXXXXX`, escaped punctuation, groups, `|`, `* + ? {n,m}`
    (lazy or not), `^` and `$` (also `\A \Z`) at the ends of the outermost alternatives, and a leading `(?i)`. `^` and
    `$` mean the ends of the text, not of a line.
    """
    if len(text) > MAX_CANONICAL_CHARS:
        raise RegexError("too long", MAX_CANONICAL_CHARS)
    parser = _Parser(text)
    branches = parser.whole()
    canonical = "|".join(b.canonical() for b in branches)
    return Pattern(canonical, _Automaton(branches))
