"""From the path of a patch operation to the places in a document: JSON Pointer, and the selectors of JSON Patch Query.

TMF630 part 5 is written in several dialects by the published files themselves; one reading serves them all:

    /note?id=77                                  members of an array
    /characteristic/value?characteristic.name=x  a name that the path begins with says whose attribute is meant
    /characteristic/value?/characteristic/name=x the same with slashes
    /characteristic/value?name=x                 else it is the members of the target, or the enclosing member
    .note[?(@.date=='...')]   /note[?(@.id=='77')]/text   JSONPath filters, between slashes or dots
    /version?version=1.0                         no array at all: a condition on the object
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from tmfkit import jsonpath
from tmfkit.jsonpath_tree import Each, Filter, Index, Step
from tmfkit.types import Json

MAX_PATH_CHARS = 1_000
MAX_CONDITIONS = 5

Token = str | int


class PatchError(ValueError):
    """Why a patch cannot be applied. `attribute`: the first-level attribute concerned, where one is known."""

    def __init__(self, reason: str, attribute: str | None = None, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.attribute = attribute
        self.status = status


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operation acts: keys and indexes from the root. `picked`: an array member that a condition chose."""

    tokens: tuple[Token, ...]
    picked: bool = False


def pointer(path: str) -> Place:
    """JSON Pointer (RFC 6901). A missing leading slash is forgiven, as the published files leave it out."""
    _short(path)
    if path == "":
        return Place(())
    return Place(tuple(_unescaped(t, path) for t in path.removeprefix("/").split("/")))


def _short(path: str) -> None:
    if len(path) > MAX_PATH_CHARS:
        raise PatchError(f"a path is longer than {MAX_PATH_CHARS} characters")


def _unescaped(token: str, path: str) -> str:
    if "~" not in token:
        return token
    if re.search(r"~(?![01])", token):
        raise PatchError(f"{path!r} has a ~ that is neither ~0 nor ~1")
    return token.replace("~1", "/").replace("~0", "~")


def selects(path: str) -> bool:
    return "?" in path or "[" in path


def selected(document: Json, path: str, creating: bool) -> list[Place]:
    """The places that a path with or without a selector means, in document order; none where nothing matches.

    `creating` lets the last name be absent, and `-` stand for the end of an array.
    """
    _short(path)
    if not selects(path):
        dotted = re.sub(r"^\$?\.", "", path)
        return [pointer(path) if dotted == path else Place(tuple(dotted.split(".")))]
    steps, conditions = _parsed(path)
    chains = list(_walk(((("", document),)), steps, creating))
    picking = bool(conditions) or any(isinstance(s, Filter) for s in steps)
    kept: dict[int, set[int] | None] = dict.fromkeys(range(len(chains)))
    for condition in conditions:
        hits = condition.hits(chains)
        kept = {n: _both(of, hits[n]) for n, of in kept.items() if n in hits}
    places = []
    for n, members in kept.items():
        tokens = tuple(token for token, _ in chains[n][1:])
        ends: list[tuple[Token, ...]] = [()] if members is None else [(m,) for m in sorted(members)]
        places += [_place(tokens + end, picking) for end in ends]
    return places


def _place(tokens: tuple[Token, ...], picking: bool) -> Place:
    return Place(tokens, picking and bool(tokens) and isinstance(tokens[-1], int))


def _both(one: set[int] | None, other: set[int] | None) -> set[int] | None:
    """None is: no condition on the members of the target."""
    if one is None or other is None:
        return one if other is None else other
    return one & other


# --- reading the path --------------------------------------------------------------------------------------

_AND = re.compile(r"&&?(?=[/.@$\w][\w/.@$-]*=)")
_SLASHED = re.compile(r"[^/\[?]+")
_DOTTED = re.compile(r"[^./\[?]+")
_CONDITION = re.compile(r"\s*([/.@$\w-]+?)\s*==?\s*(.*?)\s*", re.DOTALL)


def _parsed(path: str) -> tuple[list[str | Step], list[Condition]]:
    text = re.sub(r"^\$(?=[./\[])", "", path)
    name = _SLASHED if "/" in re.split(r"[\[?]", text)[0] else _DOTTED
    steps: list[str | Step] = []
    at = 0
    while at < len(text) and text[at] != "?":
        if text[at] == "[":
            try:
                step, at = jsonpath.step_at(text, at)
            except jsonpath.JsonPathError as e:
                raise PatchError(f"{path!r}: {e}") from e
            steps.append(step)
            continue
        if text[at] in "/.":
            name = _SLASHED if text[at] == "/" else _DOTTED
            at += 1
        found = name.match(text, at)
        if found is not None:
            steps.append(_unescaped(found[0], path))
            at = found.end()
        elif steps or text[at : at + 1] not in ("[", "?"):  # a separator right before the first [ or ? means nothing
            raise PatchError(f"{path!r} names nothing at character {at + 1}")
    conditions = [_condition(part, path) for part in _AND.split(text[at + 1 :])] if at < len(text) else []
    if len(conditions) > MAX_CONDITIONS:
        raise PatchError(f"a path has more than {MAX_CONDITIONS} conditions")
    return steps, conditions


def _condition(text: str, path: str) -> Condition:
    found = _CONDITION.fullmatch(text)
    left = re.sub(r"^[@$](?=[./])", "", found[1]) if found else ""
    names = tuple(n for n in re.split(r"[./]", left) if n)
    if found is None or not names:
        raise PatchError(f"{path!r}: a condition is attribute=value")
    return Condition(names, found[2])


# --- walking the document ----------------------------------------------------------------------------------

Chain = tuple[tuple[Token, Json], ...]
"""The nodes from the root to a place, each with the token that leads to it."""


class _Missing:
    pass


def _walk(chain: Chain, steps: list[str | Step], creating: bool) -> Iterator[Chain]:
    if not steps:
        yield chain
        return
    node = chain[-1][1]
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        yield from _named(chain, step, steps, creating)
    elif not isinstance(node, list):
        if step.of([node]):
            yield from _walk(chain, rest, creating)
    else:
        for n, member in enumerate(node):
            if _passes(step, n, member):
                yield from _walk((*chain, (n, member)), rest, creating)


def _named(chain: Chain, name: str, steps: list[str | Step], creating: bool) -> Iterator[Chain]:
    node = chain[-1][1]
    rest = steps[1:]
    if isinstance(node, dict):
        if name in node:
            yield from _walk((*chain, (name, node[name])), rest, creating)
        elif creating and not rest:
            yield (*chain, (name, _Missing()))
    elif isinstance(node, list):
        if name == "-":
            if creating and not rest:
                yield (*chain, (len(node), _Missing()))
        elif re.fullmatch(r"0|[1-9][0-9]{0,8}", name):
            if int(name) < len(node):
                yield from _walk((*chain, (int(name), node[int(name)])), rest, creating)
        else:
            for n, member in enumerate(node):
                if isinstance(member, dict):
                    yield from _walk((*chain, (n, member)), steps, creating)


def _passes(step: Step, n: int, member: Json) -> bool:
    if isinstance(step, Filter):
        return bool(step.test.verdict(member))
    if isinstance(step, Index):
        return step.at == n
    return isinstance(step, Each) or (isinstance(member, dict) and step.name in member)


# --- conditions --------------------------------------------------------------------------------------------

Reading = Callable[[Chain], list[tuple[int | None, Json]]]
"""Whose attribute a condition may mean: the members of the target by index, or one node of the chain (None)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`names=value`. The first reading in which the attribute exists anywhere decides, matching or not."""

    names: tuple[str, ...]
    value: str

    def hits(self, chains: list[Chain]) -> dict[int, set[int] | None]:
        for reading, names in self.readings(chains):
            found = [(n, member, _leaves(node, names)) for n, c in enumerate(chains) for member, node in reading(c)]
            if not any(leaves for _, _, leaves in found):
                continue
            hits: dict[int, set[int] | None] = {}
            for n, member, leaves in found:
                if not any(_says(leaf, self.value) for leaf in leaves):
                    continue
                known = hits.setdefault(n, None if member is None else set())
                if member is not None and known is not None:
                    known.add(member)
            return hits
        return {}

    def readings(self, chains: list[Chain]) -> Iterator[tuple[Reading, tuple[str, ...]]]:
        for path in {_names(c): None for c in chains}:
            start, length = _repeated(path, self.names)
            if length and start + length == len(path):
                yield _members_or_itself, self.names[length:]
            elif length:
                yield _after(path[: start + length]), self.names[length:]
        yield _members, self.names
        depth = max((len(c) for c in chains), default=0)
        for n in range(depth):
            yield _enclosing(n), self.names
        if not any(isinstance(node, list) for c in chains for _, node in c):
            for n in range(depth):
                yield _object(n), self.names


def _names(chain: Chain) -> tuple[str, ...]:
    return tuple(token for token, _ in chain[1:] if isinstance(token, str))


def _repeated(path: tuple[str, ...], names: tuple[str, ...]) -> tuple[int, int]:
    """Where in the path, and for how long, the condition repeats the names of the path."""
    best = (0, 0)
    for start in range(len(path)):
        length = 0
        while length < min(len(names), len(path) - start) and path[start + length] == names[length]:
            length += 1
        if length > best[1]:
            best = (start, length)
    return best


def _members(chain: Chain) -> list[tuple[int | None, Json]]:
    target = chain[-1][1]
    return list(enumerate(target)) if isinstance(target, list) else []


def _members_or_itself(chain: Chain) -> list[tuple[int | None, Json]]:
    return _members(chain) if isinstance(chain[-1][1], list) else [(None, chain[-1][1])]


def _after(path: tuple[str, ...]) -> Reading:
    def deepest(chain: Chain) -> list[tuple[int | None, Json]]:
        nodes = [node for n, (_, node) in enumerate(chain) if _names(chain[: n + 1]) == path]
        return [(None, nodes[-1])] if nodes else []

    return deepest


def _enclosing(nth: int) -> Reading:
    def member(chain: Chain) -> list[tuple[int | None, Json]]:
        members = [node for token, node in reversed(chain) if isinstance(token, int)]
        return [(None, members[nth])] if nth < len(members) else []

    return member


def _object(nth: int) -> Reading:
    def parent(chain: Chain) -> list[tuple[int | None, Json]]:
        objects = [node for _, node in reversed(chain) if isinstance(node, dict)]
        return [(None, objects[nth])] if nth < len(objects) else []

    return parent


def _leaves(node: Json, names: tuple[str, ...]) -> list[Json]:
    """What a dotted name means, looking into arrays; no objects, which no text can equal."""
    if isinstance(node, list):
        return [leaf for member in node for leaf in _leaves(member, names)]
    if isinstance(node, dict):
        return _leaves(node[names[0]], names[1:]) if names and names[0] in node else []
    return [] if names or isinstance(node, _Missing) else [node]


_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def _says(leaf: Json, text: str) -> bool:
    """Whether a value is what the untyped text of a condition says; quotes and percent-encoding are forgiven."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    if isinstance(leaf, str):
        return leaf in (text, unquote(text)) or (quoted and leaf == text[1:-1])
    if leaf is None or isinstance(leaf, bool):
        return text == {None: "null", True: "true", False: "false"}[leaf]
    return _NUMBER.fullmatch(text) is not None and leaf == (int(text) if text.lstrip("-").isdigit() else float(text))
