"""What a resource is: a typed model and the few facts the model cannot say by itself. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tmfkit.types import Document, Entity, ReadOnly

OPERATIONS = frozenset({"list", "retrieve", "create", "patch", "delete"})


@dataclass(frozen=True)
class Lifecycle:
    """Published life cycle of one attribute: where it starts and which moves are legal (else 409).

    `moves` maps a state to the states that may follow it; a state that is not a key is final.
    `event` is the word of the standard for its event: StateChange or StatusChange.
    """

    attribute: str
    initial: str | None = None
    moves: Mapping[str, Sequence[str]] | None = None
    event: str = "StateChange"

    @cached_property
    def final(self) -> frozenset[str]:
        """States that nothing follows."""
        return frozenset(s for s in self.states if not (self.moves or {}).get(s))

    @cached_property
    def states(self) -> frozenset[str]:
        """All states that the moves speak of; empty where any text is a state."""
        if self.moves is None:
            return frozenset()
        return frozenset(self.moves) | {s for after in self.moves.values() for s in after}


@dataclass(frozen=True)
class Resource:
    """One declared resource.

    model        the stored shape: the model of the newest version served
    v4           the model of the v4 shape, where v4 is served beside v5
    lifecycle    the state attribute, its legal moves and its event
    operations   what the API offers to clients; the component itself may always write through its store
    index        dotted paths for which order and range questions get an expression index
    prepare      pure hook (old or None, new) -> new, under the row lock, before validation
    created, updated  names of the attributes the store keeps as creation and update instants
    events       kinds that the published API knows; others are not raised
    accepted     POST is answered with 202 and a monitor (declare Resource(Monitor, operations=READ) in the same API);
                 a flow of the component brings the resource to a final state of its life cycle
    perform      what a task does when it is created: (transaction, document) -> document, in the transaction that
                 stores it; the answer is 201 with the outcome
    event_names  kind -> the kinds that are raised for it, where they are others or more than itself
    event_href   "path": events name the resource by its path alone, as a listener of the Canvas reads it
    refers       references to resources of dependent APIs: an unknown one is refused (references.py)
    payload      the attribute of an event that holds the resource, where it is not the resource's own name
    extensions   registered subclasses (told by @type) whose extra attributes may be filtered and sorted by
    """

    model: type[Entity]
    v4: type[Entity] | None = None
    lifecycle: Lifecycle | None = None
    operations: frozenset[str] = OPERATIONS
    index: tuple[str, ...] = ()
    prepare: Callable[[Document | None, Document], Document] | None = None
    created: str | None = None
    updated: str | None = None
    events: frozenset[str] | None = None
    accepted: bool = False
    perform: Callable[[Any, Document], Awaitable[Document]] | None = None
    event_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    event_href: str = "absolute"
    refers: tuple[Any, ...] = ()
    extensions: tuple[type[Entity], ...] = ()
    path: str = field(default="")
    payload: str = field(default="")

    def __post_init__(self) -> None:
        if not self.path:
            object.__setattr__(self, "path", self.name[0].lower() + self.name[1:])
        if not self.payload:
            object.__setattr__(self, "payload", self.path)

    @property
    def name(self) -> str:
        return self.model.__name__

    @cached_property
    def table(self) -> str:
        return "".join("_" + c.lower() if c.isupper() else c for c in self.path).lstrip("_")

    @cached_property
    def event_kinds(self) -> frozenset[str]:
        if self.events is not None:
            return self.events
        state = {self.lifecycle.event} if self.lifecycle else set()
        return frozenset({"Create", "AttributeValueChange", "Delete"} | state)

    def raised(self, kinds: Sequence[str]) -> list[str]:
        """The kinds of the events that are sent where these happen."""
        return [name for k in kinds if k in self.event_kinds for name in self.event_names.get(k, (k,))]

    def event_type(self, kind: str) -> str:
        return f"{self.name}{kind}" if kind.endswith("Notification") else f"{self.name}{kind}Event"

    @cached_property
    def server_owned(self) -> frozenset[str]:
        """Wire names that no client may set: the standard's and those marked ReadOnly."""
        marked = {
            info.alias or name
            for name, info in self.model.model_fields.items()
            if any(isinstance(m, ReadOnly) or m is ReadOnly for m in info.metadata)
        }
        kept = {n for n in (self.created, self.updated) if n}
        return frozenset({"id", "href"} | marked | kept)


READ: frozenset[str] = frozenset({"list", "retrieve"})
TASK: frozenset[str] = frozenset({"list", "retrieve", "create"})
