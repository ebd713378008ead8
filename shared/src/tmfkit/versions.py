"""One stored document, served in several API versions. Pure.

The stored shape is the newest version's. A View turns it down to an older shape and an older shape up again; the
rules are read off the two models: same name, StoredAs (another name), Related (v5 keeps the reference inside, v4 wrote
it flat). What only the newer version declares is hidden from the older one and survives its PATCH.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from tmfkit.query import Names, Path, model_fields, names_of, unwrapped
from tmfkit.resource import Resource
from tmfkit.types import Document, Entity, Related, StoredAs

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
        for name in before.keys() | after.keys():
            turn = self.turns.get(name)
            key = turn.stored if turn else name
            if name not in after:
                out.pop(key, None)
            elif name not in before or key not in stored:
                out[key] = _each(turn.up if turn else None, after[name])
            elif before[name] != after[name]:
                out[key] = self._merge_value(turn, stored[key], before[name], after[name])
        return out

    @staticmethod
    def _merge_value(turn: Turn | None, stored: Any, before: Any, after: Any) -> Any:
        if turn is None:
            return after
        if isinstance(after, list):
            pairs = list(zip(before, stored, strict=False)) if isinstance(before, list) else []
            return [_merge_element(turn, pairs, item) for item in after]
        return _merge_one(turn, stored, before, after)


def _merge_element(turn: Turn, pairs: list[tuple[Any, Any]], item: Any) -> Any:
    for before, stored in pairs:
        if before == item:
            return stored
    for before, stored in pairs:
        if isinstance(before, dict) and isinstance(item, dict) and "id" in item and before.get("id") == item["id"]:
            return _merge_one(turn, stored, before, item)
    return turn.up(item) if turn.up else item


def _merge_one(turn: Turn, stored: Any, before: Any, after: Any) -> Any:
    if turn.shape is not None:
        return turn.shape.merge(stored, before, after)
    fresh = turn.up(after) if turn.up else after
    if turn.inner and isinstance(stored, dict) and isinstance(fresh, dict):
        shown = {k for k in before if k != "role"} if isinstance(before, dict) else set()
        kept = {k: v for k, v in (stored.get(turn.inner) or {}).items() if k not in shown}
        return {**stored, **fresh, turn.inner: {**kept, **(fresh.get(turn.inner) or {})}}
    return fresh


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
        if not isinstance(value, dict) or not isinstance(value.get(inner), dict):
            return value
        out = {k: v for k, v in value[inner].items() if k != "@type"}
        kind = value[inner].get("@type")
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
        rest = {k: v for k, v in value.items() if k != "role"}
        out: Document = {"@type": related.__name__, inner: {"@type": _ref_type(inner, rest), **rest}}
        if "role" in value:
            out["role"] = value["role"]
        return out

    return up


def _ref_type(inner: str, ref: Document) -> str:
    if inner == "partyOrPartyRole":
        return "PartyRef" if ref.get("@referredType", "Individual") in PARTY_TYPES else "PartyRoleRef"
    return {"entity": "EntityRef", "place": "PlaceRef", "channel": "ChannelRef"}.get(inner, "EntityRef")


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
    if turn.opaque and rest:
        return None
    if turn.inner and rest and rest[0] != "role":
        rest = [turn.inner, *rest]
    elif turn.shape and rest:
        inner = _mapped(turn.shape, rest)
        if inner is None:
            return None
        rest = inner
    return [turn.stored, *rest]
