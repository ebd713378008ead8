"""A suite: what the kit has to know of an API beyond its contract, as data. Vendors write their own; no code.

    api: TMF657
    version: v4
    bases: [/tmf-api/serviceQualityManagement/v4]     # where implementations are found, beside the contract's base
    resources:
      serviceLevelObjective:
        minimal: {...}            # a valid body with mandatory attributes only
        full: {...}               # a valid body with as many attributes as sensible
        change: {name: changed}   # what a merge patch may change
        marker: name              # a text attribute that takes any value
        filters: [name]           # dotted paths that can be filtered by; found in the answers if not given
        server_set: [lastUpdate]  # attributes a server may set itself
        volatile: [state]         # attributes that change by themselves, in the time between two requests
        lifecycle: {attribute: state, start: {}, legal: [[a, b]], illegal: [[b, a]]}
        task: {attribute: state, final: [done, terminatedWithError]}
        parents: {topicId: topic} # path parameter: the resource that is made for it

In texts, ${customer.id} is an attribute of a resource made for the purpose (${customer#2.id} of another one), ${run}
a text of this run alone,
${n} a number that is never the same, ${now} the present instant. All of it may be left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

LISTS = ("filters", "server_set", "volatile")
KNOWN = frozenset({"minimal", "full", "change", "marker", *LISTS, "lifecycle", "task", "parents"})


class BadSuite(ValueError):
    """A suite that cannot be understood; the text tells where."""


@dataclass(frozen=True)
class Lifecycle:
    """`start`: state -> what a body says to begin in it; a state without entry is said by the attribute itself.

    `free`: states of an attribute that any text may be in and whose moves are not published; only events need them.
    """

    attribute: str
    start: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    legal: tuple[tuple[str, str], ...] = ()
    illegal: tuple[tuple[str, str], ...] = ()
    free: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """A resource that does something when it is created, and says in `attribute` how far it is."""

    attribute: str
    final: tuple[str, ...]


@dataclass(frozen=True)
class ResourcePlan:
    """How one resource is exercised."""

    minimal: Mapping[str, Any] | None = None
    full: Mapping[str, Any] | None = None
    change: Mapping[str, Any] | None = None
    marker: str | None = None
    filters: tuple[str, ...] = ()
    server_set: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    lifecycle: Lifecycle | None = None
    task: Task | None = None
    parents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """What is known of an API's resources, by name."""

    bases: tuple[str, ...] = ()
    resources: Mapping[str, ResourcePlan] = field(default_factory=dict)

    def plan(self, name: str) -> ResourcePlan:
        return self.resources.get(name, ResourcePlan())

    def over(self, other: Suite) -> Suite:
        """This suite on top of another: a resource that this one has replaces the other's, key by key."""
        merged = dict(other.resources)
        for name, own in self.resources.items():
            below = merged.get(name, ResourcePlan())
            merged[name] = ResourcePlan(**{k: getattr(own, k) or getattr(below, k) for k in vars(own)})
        return Suite(self.bases + other.bases, merged)


def shipped(api: str, version: str) -> Suite:
    """The suite that comes with the kit; an empty one where there is none."""
    file = files("oda_ctk").joinpath("suites", f"{api}-{version}.yaml")
    return parsed(file.read_text(encoding="utf-8"), file.name) if file.is_file() else Suite()


def read(path: Path) -> Suite:
    """The suite in a file."""
    try:
        return parsed(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise BadSuite(f"{path}: {fault}") from fault


def parsed(text: str, where: str) -> Suite:
    """The suite in a text; a word that is not known is an error, so that no wish is lost by a slip of the pen."""
    document = yaml.safe_load(text) or {}
    if not isinstance(document, dict) or not isinstance(document.get("resources", {}), dict):
        raise BadSuite(f"{where}: a suite is a mapping with `resources`")
    unknown = document.keys() - {"api", "version", "bases", "resources"}
    if unknown:
        raise BadSuite(f"{where}: {sorted(unknown)} is not known")
    plans = {name: _plan(f"{where}: {name}", given or {}) for name, given in document.get("resources", {}).items()}
    return Suite(tuple(document.get("bases", ())), plans)


def _plan(where: str, given: Any) -> ResourcePlan:
    if not isinstance(given, dict):
        raise BadSuite(f"{where} is a mapping")
    unknown = given.keys() - KNOWN
    if unknown:
        raise BadSuite(f"{where}: {sorted(unknown)} is not known")
    values = dict(given)
    try:
        for name in LISTS:
            values[name] = tuple(values.get(name, ()))
        if "lifecycle" in values:
            values["lifecycle"] = _lifecycle(values["lifecycle"])
        if "task" in values:
            values["task"] = Task(values["task"]["attribute"], tuple(values["task"]["final"]))
        return ResourcePlan(**values)
    except (TypeError, KeyError, ValueError) as fault:
        raise BadSuite(f"{where}: {fault}") from fault


def _lifecycle(given: dict[str, Any]) -> Lifecycle:
    moves = {}
    for name in ("legal", "illegal"):
        moves[name] = tuple((str(before), str(after)) for before, after in given.get(name, ()))
    return Lifecycle(given["attribute"], given.get("start") or {}, free=tuple(given.get("free", ())), **moves)
