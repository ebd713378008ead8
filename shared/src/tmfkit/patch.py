"""The three patches of TMF630: JSON Merge Patch (RFC 7396), JSON Patch (RFC 6902), JSON Patch Query (part 5). Pure.

Every function answers with a document of its own: nothing given is changed, nothing given is shared with the answer.
A patch is applied as a whole or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tmfkit.selector import MAX_PATH_CHARS, PatchError, Place, Token, pointer, selected, selects
from tmfkit.types import Document, Json

__all__ = ["MAX_PATH_CHARS", "PatchError", "changed", "json_patch", "json_patch_query", "merge", "touched_server_owned"]

MAX_OPERATIONS = 200
MAX_LOOKED_AT = 300_000
"""Values that the selectors of one patch look at: the size of the document, for each path that selects."""
MAX_DEPTH = 64
"""Objects and arrays inside one another, in a patch and in the document it leaves."""
MAX_WRITTEN = 100_000
"""Values that one patch writes in all. A few `copy` operations could otherwise double a document thirty times."""


# --- merge -------------------------------------------------------------------------------------------------


def merge(target: Json, patch: Json) -> Json:
    """RFC 7396: objects merge name by name, null removes, everything else (arrays too) replaces. Errors: PatchError."""
    return _merged(target, patch, _Copies(math.inf))


def _merged(target: Json, patch: Json, copies: _Copies, depth: int = 0) -> Json:
    if not isinstance(patch, dict):
        return copies.of(patch, depth)
    if depth >= MAX_DEPTH:
        raise PatchError(f"nested deeper than {MAX_DEPTH}")
    before = target if isinstance(target, dict) else {}
    after = {name: copies.of(value, depth + 1) for name, value in before.items() if name not in patch}
    for name, value in patch.items():
        if value is not None:
            after[name] = _merged(before.get(name), value, copies, depth + 1)
    return {name: after[name] for name in [*before, *patch] if name in after}


class _Copies:
    """Deep copies of JSON, counted, and bounded in depth and number."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.made = 0

    def of(self, value: Json, depth: int = 0) -> Json:
        self.made += 1
        if self.made > self.limit:
            raise PatchError(f"the patch writes more than {self.limit} values")
        if isinstance(value, dict):
            self.deep(depth)
            return {name: self.of(inner, depth + 1) for name, inner in value.items()}
        if isinstance(value, list):
            self.deep(depth)
            return [self.of(inner, depth + 1) for inner in value]
        return value

    def deep(self, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise PatchError(f"nested deeper than {MAX_DEPTH}")


# --- operations --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Operation:
    op: str
    path: str
    source: str
    value: Json


_NEEDS = {"add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from", "remove": None}
_SYNONYMS = {"delete": "remove"}

Find = Callable[[Json, str, bool], list[Place]]


def json_patch(doc: Json, operations: Json) -> Json:
    """RFC 6902, with what the published TM Forum files take for granted.

    `path` may lack its leading slash; `delete` is `remove`; `add` of an object where the path holds an array appends to
    it (RFC 6902 would replace the array, and the published samples show an append).
    Errors: PatchError 400, and 409 for a `test` that fails.
    """
    return _patched(doc, operations, lambda _document, path, _creating: [pointer(path)])


def json_patch_query(doc: Json, operations: Json) -> Json:
    """JSON Patch whose paths may select (see selector.py); an operation acts on every place that matches.

    A selected path stands for the JSON Pointers it matches, and RFC 6902 says the rest; but `replace` of a selected
    array member by an object merges into it (RFC 7396), as the published request and answer pairs show. `from`, and the
    path of `move` and `copy`, must match one place. Errors: as json_patch, and 400 where nothing matches.
    """
    return _patched(doc, operations, selected)


def _patched(doc: Json, operations: Json, find: Find) -> Json:
    if not isinstance(operations, list):
        raise PatchError("a JSON Patch is an array of operations")
    if len(operations) > MAX_OPERATIONS:
        raise PatchError(f"more than {MAX_OPERATIONS} operations")
    read = [_operation(o, n) for n, o in enumerate(operations, 1)]
    work = _Work(doc, find)
    for n, operation in enumerate(read, 1):
        try:
            work.apply(operation)
        except PatchError as e:
            raise PatchError(f"operation {n} ({operation.op}): {e.reason}", e.attribute, e.status) from e
    return work.root[""]


def _operation(sent: Json, n: int) -> _Operation:
    if not isinstance(sent, dict):
        raise PatchError(f"operation {n} is not an object")
    op = sent.get("op")
    op = _SYNONYMS.get(op, op) if isinstance(op, str) else None
    if op not in _NEEDS:
        raise PatchError(f"operation {n}: op is one of {', '.join(_NEEDS)}")
    needed = _NEEDS[op]
    if needed is not None and needed not in sent:
        raise PatchError(f"operation {n} ({op}) lacks {needed!r}")
    path, source = sent.get("path"), sent.get("from", "")
    if not isinstance(path, str) or not isinstance(source, str):
        raise PatchError(f"operation {n} ({op}): path and from are texts")
    return _Operation(op, path, source, sent.get("value"))


class _Work:
    """The document under way. It hangs under the name "" so that the whole document is a place like any other."""

    def __init__(self, doc: Json, find: Find) -> None:
        first = _Copies(math.inf)
        self.root: dict[str, Json] = {"": first.of(doc)}
        self.given = first.made
        self.looked_at = 0
        self.find = find
        self.copies = _Copies(MAX_WRITTEN)

    def apply(self, o: _Operation) -> None:
        if o.op in ("move", "copy"):
            self.transfer(o)
            return
        places = self.places(o.path, creating=o.op == "add", status=409 if o.op == "test" else 400)
        for place in reversed(places):  # from the end, so that an index still means the same member
            if o.op == "add":
                self.add(place, o.value, appending=True)
            elif o.op == "remove":
                self.remove(place)
            elif o.op == "replace":
                self.replace(place, o.value)
            else:
                self.test(place, o.value)

    def places(self, path: str, creating: bool, status: int = 400) -> list[Place]:
        if selects(path) and self.find is selected:
            self.looked_at += self.given + self.copies.made
            if self.looked_at > MAX_LOOKED_AT:
                raise PatchError("too many selectors for a document of this size", _first(path))
        places = self.find(self.root[""], path, creating)
        if not places:
            raise PatchError(f"nothing matches {path!r}", _first(path), status)
        return places

    def one(self, path: str, creating: bool) -> Place:
        places = self.places(path, creating)
        if len(places) > 1:
            raise PatchError(f"{path!r} matches {len(places)} places, not one", _first(path))
        return places[0]

    def transfer(self, o: _Operation) -> None:
        source, target = self.one(o.source, creating=False), self.one(o.path, creating=True)
        value = self.get(source)
        if o.op == "copy":
            self.add(target, value)
            return
        ahead = [str(t) for t in source.tokens]
        behind = [str(t) for t in target.tokens]
        if ahead == behind:
            return
        if behind[: len(ahead)] == ahead:
            raise PatchError("a value cannot move into itself", _first(o.source))
        self.remove(source)
        self.add(self.one(o.path, creating=True), value)

    def parent(self, place: Place) -> tuple[Json, Token]:
        """The container that a place is in, and its key there."""
        node: Json = self.root
        tokens: tuple[Token, ...] = ("", *place.tokens)
        for token in tokens[:-1]:
            node = node[_existing(node, token, place)]
        return node, tokens[-1]

    def get(self, place: Place) -> Json:
        container, token = self.parent(place)
        return container[_existing(container, token, place)]

    def add(self, place: Place, given: Json, appending: bool = False) -> None:
        container, token = self.parent(place)
        value = self.copies.of(given, len(place.tokens))
        if isinstance(container, dict):
            held = container.get(str(token))
            if appending and isinstance(held, list) and isinstance(value, dict):
                held.append(value)
            else:
                container[str(token)] = value
        elif isinstance(container, list):
            end = len(container)
            container.insert(end if token == "-" else _index(token, end + 1, place), value)
        else:
            raise _absent(place)

    def remove(self, place: Place) -> None:
        if not place.tokens:
            raise PatchError("the whole document cannot be removed")
        container, token = self.parent(place)
        del container[_existing(container, token, place)]

    def replace(self, place: Place, value: Json) -> None:
        container, token = self.parent(place)
        key = _existing(container, token, place)
        if place.picked and isinstance(container[key], dict) and isinstance(value, dict):
            container[key] = _merged(container[key], value, self.copies, len(place.tokens))
        else:
            container[key] = self.copies.of(value, len(place.tokens))

    def test(self, place: Place, value: Json) -> None:
        try:
            held = self.get(place)
        except PatchError as e:
            raise PatchError(e.reason, e.attribute, 409) from e
        if not _same(held, value):
            raise PatchError(f"{_text(place)} is not the value tested for", _name(place), 409)


def _existing(container: Json, token: Token, place: Place) -> Token:
    """The token as a key of its container. Errors: PatchError where there is nothing of that name."""
    if isinstance(container, dict):
        if str(token) in container:
            return str(token)
    elif isinstance(container, list):
        return _index(token, len(container), place)
    raise _absent(place)


def _index(token: Token, end: int, place: Place) -> int:
    if isinstance(token, str):
        if not (token.isascii() and token.isdigit()) or (token[0] == "0" and token != "0") or len(token) > 9:
            raise _absent(place)
        token = int(token)
    if token >= end:
        raise _absent(place)
    return token


def _absent(place: Place) -> PatchError:
    return PatchError(f"there is no {_text(place)}", _name(place))


def _text(place: Place) -> str:
    return "/" + "/".join(str(t).replace("~", "~0").replace("/", "~1") for t in place.tokens)


def _name(place: Place) -> str | None:
    return str(place.tokens[0]) if place.tokens else None


def _first(path: str) -> str | None:
    name = path.lstrip("$").lstrip("/.")
    for end in "/.[?":
        name = name.split(end)[0]
    return name or None


# --- differences -------------------------------------------------------------------------------------------


def _same(one: Json, other: Json) -> bool:
    """Equality of JSON: numbers by value, and true is not 1."""
    kind = type(one)
    if kind is not type(other):
        return {kind, type(other)} == {int, float} and bool(one == other)
    if kind is dict:
        return len(one) == len(other) and all(n in other and _same(v, other[n]) for n, v in one.items())
    if kind is list:
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def changed(old: Document, new: Document) -> set[str]:
    """Names of the first-level attributes that were added, removed or got another value."""
    kept = old.keys() & new.keys()
    return (old.keys() ^ new.keys()) | {name for name in kept if not _same(old[name], new[name])}


def touched_server_owned(old: Document, new: Document, owned: frozenset[str]) -> list[str]:
    """The attributes of the server, sorted, that differ between two documents."""
    return sorted(changed(old, new) & owned)
