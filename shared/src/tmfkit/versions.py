"""One stored document, served in several API versions. Pure.

The stored shape is the newest version's. A View turns it down to an older shape and an older shape up again; the
rules are read off the two models: same name, StoredAs (another name), Related (v5 keeps the reference inside, v4 wrote
it flat). What only the newer version declares is hidden from the older one and survives its PATCH.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import orjson
from pydantic import BaseModel

from tmfkit.base import forms_of
from tmfkit.errors import BadRequest
from tmfkit.jsonpath_tree import And, Expression, Filter, Member, Not, Or, Step, Steps, Test
from tmfkit.patch import changed
from tmfkit.query import Names, Path, Query, model_fields, names_of, unwrapped
from tmfkit.resource import Resource
from tmfkit.types import Document, Entity, Related, StoredAs

MOST_COMPARED = 10_000
Unsure = dict[type[BaseModel], set[str]]
PARTY_TYPES = frozenset({"Individual", "Organization", "Party"})


@dataclass(frozen=True)
class Turn:
    """How one attribute of the older shape is found in the stored document."""

    stored: str
    down: Callable[[Any], Any] | None = None
    up: Callable[[Any], Any] | None = None
    inner: str | None = None
    shape: Shape | None = None
    opaque: bool = False

    def fresh(self, value: Any) -> Any:
        return self.up(value) if self.up else value


@dataclass(frozen=True)
class Shape:
    """The correspondence of an older model with the stored one."""

    turns: dict[str, Turn] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()

    @cached_property
    def plain(self) -> bool:
        return not self.hidden and all(
            name == t.stored and t.down is None and (t.shape is None or t.shape.plain) for name, t in self.turns.items()
        )

    @cached_property
    def by_stored(self) -> dict[str, str]:
        return {t.stored: name for name, t in self.turns.items()}

    def down(self, doc: Any) -> Any:
        if not isinstance(doc, dict):
            return doc
        out: Document = {}
        for key, value in doc.items():
            name = self.by_stored.get(key)
            if name is not None:
                out[name] = _each(self.turns[name].down, value)
            elif key not in self.hidden:
                out[key] = value
        return out

    def up(self, view: Any) -> Any:
        if not isinstance(view, dict):
            return view
        return {t.stored if (t := self.turns.get(k)) else k: _each(t.up if t else None, v) for k, v in view.items()}

    def merge(self, stored: Any, before: Any, after: Any) -> Any:
        """`after` in the stored shape, keeping of `stored` all that the older shape does not show."""
        if not isinstance(stored, dict) or not isinstance(before, dict) or not isinstance(after, dict):
            return self.up(after)
        out = dict(stored)
        for name in changed(before, after):
            turn = self.turns.get(name)
            key = turn.stored if turn else name
            if name not in after:
                out.pop(key, None)
            elif name not in before or key not in stored:
                out[key] = _each(turn.up if turn else None, after[name])
            else:
                out[key] = self._merge_value(turn, stored[key], before[name], after[name])
        return out

    @staticmethod
    def _merge_value(turn: Turn | None, stored: Any, before: Any, after: Any) -> Any:
        if turn is None or turn.down is None:
            return after
        if isinstance(after, list):
            old = before if isinstance(before, list) and isinstance(stored, list) else []
            known = paired(old, after)
            return [
                _merge_one(turn, stored[known[i]], old[known[i]], item) if i in known else turn.fresh(item)
                for i, item in enumerate(after)
            ]
        return _merge_one(turn, stored, before, after)


def paired(before: list[Any], after: list[Any]) -> dict[int, int]:
    """Which member of a list each member of the patched list was: the same one, the one of the same id, the one in its
    place in a list as long as before, the one most alike; where as many are left as were there, they are in order."""
    found = {i: i for i, (one, other) in enumerate(zip(before, after, strict=False)) if _whole(one) == _whole(other)}
    for key in (_whole, _id):
        places: dict[Any, deque[int]] = defaultdict(deque)
        taken = set(found.values())
        for j, member in enumerate(before):
            if j not in taken and (known := key(member)) is not None:
                places[known].append(j)
        for i, member in enumerate(after):
            if i not in found and (same := places.get(key(member))):
                found[i] = same.popleft()
    taken = set(found.values())
    free = {j for j, m in enumerate(before) if j not in taken and isinstance(m, dict) and "id" not in m}
    left = {i for i, m in enumerate(after) if i not in found and isinstance(m, dict) and "id" not in m}
    if len(before) == len(after):
        found |= {i: i for i in left & free}
        free, left = free - left, left - free
    if len(free) * len(left) <= MOST_COMPARED:
        for likeness, _, i, j in sorted((-_alike(before[j], after[i]), abs(i - j), i, j) for i in left for j in free):
            if likeness and i in left and j in free:
                found[i] = j
                left.remove(i)
                free.remove(j)
    if len(free) == len(left):
        found |= zip(sorted(left), sorted(free), strict=True)
    return found


def _whole(member: Any) -> bytes:
    return orjson.dumps(member, option=orjson.OPT_SORT_KEYS)


def _id(member: Any) -> str | None:
    known = member.get("id") if isinstance(member, dict) else None
    return known if isinstance(known, str) else None


def _alike(one: Document, other: Document) -> int:
    return sum(name in other and other[name] == value for name, value in one.items())


def _merge_one(turn: Turn, stored: Any, before: Any, after: Any) -> Any:
    both = isinstance(before, dict) and isinstance(after, dict)
    if both and not changed(before, after):
        return stored
    if turn.shape is not None:
        return turn.shape.merge(stored, before, after)
    if turn.inner and both and isinstance(stored.get(turn.inner), dict):
        return _merge_related(turn.inner, stored, before, after)
    return turn.fresh(after)


def _merge_related(inner: str, stored: Document, before: Document, after: Document) -> Document:
    """Only what changed in the flat form goes into the nested one: to the role, the reference or an extension."""
    out, held = dict(stored), dict(stored[inner])
    for name in changed(before, after) - {"@type"}:
        place = out if name == "role" or (name in stored and name not in held) else held
        if name in after:
            place[name] = after[name]
        else:
            place.pop(name, None)
    if before.get("@referredType") != after.get("@referredType"):
        held["@type"] = _ref_type(inner, after)
    return {**out, inner: held}


def _each(turn: Callable[[Any], Any] | None, value: Any) -> Any:
    if turn is None:
        return value
    return [turn(v) for v in value] if isinstance(value, list) else turn(value)


def correspondence(old: type[BaseModel], new: type[BaseModel]) -> Shape:
    """Read the two models and find out how they correspond."""
    new_fields = model_fields(new)
    turns: dict[str, Turn] = {}
    for name, info in model_fields(old).items():
        renamed = next((m for m in info.metadata if isinstance(m, StoredAs)), None)
        stored = renamed.name if renamed else name
        target = new_fields.get(stored)
        if renamed and renamed.down:
            turns[name] = Turn(stored, renamed.down, renamed.up, opaque=True)
        elif target is None:
            turns[name] = Turn(stored)
        else:
            turns[name] = _turn(stored, unwrapped(info.annotation)[0], unwrapped(target.annotation)[0])
    shown = {t.stored for t in turns.values()}
    return Shape(turns, frozenset(n for n in new_fields if n not in shown))


def _turn(stored: str, old: Any, new: Any) -> Turn:
    if not (_model(old) and _model(new)) or old is new:
        return Turn(stored)
    if issubclass(new, Related) and not issubclass(old, Related):
        return Turn(stored, flat(new), nested(new), inner=new.inner)
    shape = correspondence(old, new)
    return Turn(stored) if shape.plain else Turn(stored, shape.down, shape.up, shape=shape)


def _model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def flat(related: type[Related]) -> Callable[[Any], Any]:
    """v5 {role, partyOrPartyRole: {id, ...}} -> v4 {id, ..., role}."""
    inner = related.inner

    def down(value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(held := value.get(inner, {}), dict):
            return value
        out = {k: v for k, v in held.items() if k != "@type"}
        kind = held.get("@type")
        if kind and "@referredType" not in out:
            out["@referredType"] = kind.removesuffix("Ref")
        return {**{k: v for k, v in value.items() if k not in (inner, "@type")}, **out}

    return down


def nested(related: type[Related]) -> Callable[[Any], Any]:
    """v4 {id, ..., role} -> v5 {role, partyOrPartyRole: {id, ...}}."""
    inner = related.inner

    def up(value: Any) -> Any:
        if not isinstance(value, dict) or inner in value:
            return value
        rest = {k: v for k, v in value.items() if k not in ("role", "@type")}  # of the flat class, which v5 has not
        out: Document = {"@type": related.__name__}
        if rest:
            out[inner] = {"@type": _ref_type(inner, rest), **rest}
        if "role" in value:
            out["role"] = value["role"]
        return out

    return up


def _ref_type(inner: str, ref: Document) -> str:
    if inner == "partyOrPartyRole":
        return "PartyRef" if ref.get("@referredType", "Individual") in PARTY_TYPES else "PartyRoleRef"
    return {"entity": "EntityRef", "place": "PlaceRef", "channel": "ChannelRef"}.get(inner, "EntityRef")


def unsure(resource: Resource) -> Unsure:
    """Attributes that one version demands and the other does not, by model: an answer may lack them, as a client of the
    other version did not have to say them."""
    found: Unsure = defaultdict(set)
    if resource.v4 is not None:
        _compare(resource.v4, resource.model, found, set())
    return found


def _compare(old: type[BaseModel], new: type[BaseModel], found: Unsure, seen: set[Any]) -> None:
    if old is new or (old, new) in seen:
        return
    seen.add((old, new))
    for one, other in [(old, form) for form in forms_of(new).values()] + [(f, new) for f in forms_of(old).values()]:
        _compare(one, other, found, seen)
    new_fields, demanded = model_fields(new), set()
    for name, info in model_fields(old).items():
        renamed = next((m for m in info.metadata if isinstance(m, StoredAs)), None)
        target = new_fields.get(renamed.name if renamed else name)
        if info.is_required() and (target is None or not target.is_required()):
            found[old].add(name)
        if target is None:
            continue
        if info.is_required():
            demanded.add(renamed.name if renamed else name)
        inside = unwrapped(info.annotation)[0], unwrapped(target.annotation)[0]
        if not all(map(_model, inside)):
            continue
        if (renamed and renamed.down) or issubclass(inside[1], Related) != issubclass(inside[0], Related):
            flat_id = model_fields(inside[0]).get("id")
            sure = {"id"} if flat_id is not None and flat_id.is_required() else set()
            _all_unsure(inside[0], sure if _identified(inside[1]) else set(), found, seen)
            _all_unsure(inside[1], sure, found, seen)
        else:
            _compare(*inside, found, seen)
    found[new] |= {name for name, info in new_fields.items() if info.is_required() and name not in demanded}


def _identified(shape: type[BaseModel]) -> bool:
    """Whether a party is always told of: v5 may name a role alone, and v4 then has no id to show."""
    return not issubclass(shape, Related) or model_fields(shape)[shape.inner].is_required()


def _all_unsure(model: type[BaseModel], sure: set[str], found: Unsure, seen: set[Any]) -> None:
    """Where the two versions have another shape, at most the identity is sure."""
    if model in seen:
        return
    seen.add(model)
    fields = model_fields(model)
    found[model] |= {name for name, info in fields.items() if info.is_required() and name not in sure}
    below = [unwrapped(info.annotation)[0] for info in fields.values()]
    for inner in (*filter(_model, below), *forms_of(model).values()):
        _all_unsure(inner, sure, found, seen)


@dataclass(frozen=True)
class View:
    """A resource as one API version shows it."""

    resource: Resource
    version: str
    model: type[Entity]
    shape: Shape | None
    names: Names

    @property
    def stored(self) -> bool:
        return self.shape is None

    def down(self, doc: Document) -> Document:
        return doc if self.shape is None else self.shape.down(doc)

    def up(self, view: Document) -> Document:
        return view if self.shape is None else self.shape.up(view)

    def merge(self, stored: Document, before: Document, after: Document) -> Document:
        return after if self.shape is None else self.shape.merge(stored, before, after)

    def query(self, query: Query) -> Query:
        """A query whose JSONPath speaks of this version, as one of the stored document. Errors: TmfError 400."""
        if self.shape is None or query.expression is None:
            return query
        return replace(query, expression=Expression(_stored_steps(Turn("", shape=self.shape), query.expression.steps)))

    @property
    def newer(self) -> frozenset[str]:
        """Attributes that only the stored version declares, under names that this one leaves free."""
        return frozenset(model_fields(self.resource.model)).difference(self.shape.turns) if self.shape else frozenset()


def view(resource: Resource, version: str, newest: str) -> View:
    """The view of a resource in one of its API's versions; the newest is the stored one."""
    stored_names = names_of(resource.model, *resource.extensions)
    if version == newest or resource.v4 is None:
        return View(resource, version, resource.model, None, stored_names)
    shape = correspondence(resource.v4, resource.model)
    old_names = names_of(resource.v4, *resource.extensions)

    def names(dotted: str) -> Path | None:
        if old_names(dotted) is None:
            return None
        mapped = _mapped(shape, dotted.split("."))
        return None if mapped is None else stored_names(".".join(mapped)) or old_names(dotted)

    return View(resource, version, resource.v4, shape, names)


def _mapped(shape: Shape, names: list[str]) -> list[str] | None:
    turn = shape.turns.get(names[0])
    if turn is None:
        return names
    rest = names[1:]
    if turn.opaque:  # its values are others in the stored document
        return None
    if turn.inner and rest and rest[0] != "role":
        rest = [turn.inner, *rest]
    elif turn.shape and rest:
        inner = _mapped(turn.shape, rest)
        if inner is None:
            return None
        rest = inner
    return [turn.stored, *rest]


def _stored_steps(turn: Turn | None, steps: Steps) -> Steps:
    """The steps of a JSONPath in the stored document, from the value of an attribute on."""
    out: list[Step] = []
    for step in steps:
        if isinstance(step, Filter):
            out.append(Filter(_stored_test(turn, step.test)))
        elif not isinstance(step, Member) or turn is None:
            out.append(step)
        elif turn.inner:
            out += [step] if step.name == "role" else [Member(turn.inner), step]
            turn = None
        elif turn.shape:
            name, hidden = step.name, turn.shape.hidden
            if name in hidden:
                raise BadRequest(f"filter: this version has no attribute {name!r}", attribute="filter")
            turn = turn.shape.turns.get(name)
            if turn and turn.opaque:
                raise BadRequest(f"filter: {name!r} cannot be asked for in this version", attribute="filter")
            out.append(Member(turn.stored) if turn else step)
        else:
            out.append(step)
    return tuple(out)


def _stored_test(turn: Turn | None, test: Test) -> Test:
    if isinstance(test, And | Or):
        return type(test)(tuple(_stored_test(turn, t) for t in test.tests))
    if isinstance(test, Not):
        return Not(_stored_test(turn, test.test))
    return replace(test, path=_stored_steps(turn, test.path))
