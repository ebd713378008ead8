"""Random v5 shipments and random v4 patches of them, with what a v4 client cannot see marked and followed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tmfkit.types import Document

Draw = Callable[[Any], Any]
NAMES = ["Aachen", "Bern", "Cork", "Dover", "Essen", "Faro"]
WINDOWS = [{"startDateTime": "2026-01-01T00:00:00Z"}, {"endDateTime": "2026-02-01T00:00:00Z"}]
PARTIES = [
    {"@type": "PartyRef", "@referredType": "Individual"},
    {"@type": "PartyRoleRef", "@referredType": "Supplier"},
    {"@type": "PartyRef"},
    {"@type": "Organization"},
]


class Hidden:
    """Values that only v5 shows: each is unique, so that it can be found again."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return f"only v5 knows {self.count}"


def some(draw: Draw, doc: Document, **attributes: Any) -> Document:
    """A document with each of these attributes, or without it."""
    for name, value in attributes.items():
        if draw(st.booleans()):
            doc[name] = draw(value) if isinstance(value, st.SearchStrategy) else value()
    return doc


def several(draw: Draw, make: Callable[[int], Document]) -> Callable[[], list[Document]]:
    return lambda: [make(i) for i in range(draw(st.integers(0, 3)))]


@st.composite
def shipments(draw: Draw) -> Document:
    """A shipment in the v5 shape, as it is sent: nested lists, members with and without an id, extensions."""
    hidden = Hidden()
    windows = st.sampled_from(WINDOWS)

    def stop(i: int) -> Document:
        return some(draw, {"name": NAMES[i]}, code=hidden, window=windows)

    def leg(i: int) -> Document:
        carrier = {"carrier": f"carrier {i}"}
        return some(
            draw, carrier, id=lambda: f"leg {i}", seal=hidden, stop=several(draw, stop), x_crew=st.integers(1, 2)
        )

    def insurance(i: int) -> Document:
        return some(draw, {"amount": 100 * i}, id=hidden, currency=st.sampled_from(["EUR", "CHF"]))

    def party(i: int) -> Document:
        ref = {**draw(st.sampled_from(PARTIES)), "id": f"party {i}"}
        role = draw(st.sampled_from(["sender", "receiver"]))
        related = {"@type": "RelatedPartyOrPartyRole", "role": role, "partyOrPartyRole": ref}
        some(draw, ref, name=st.sampled_from(NAMES))
        return some(draw, related, x_since=st.sampled_from(["2020", "2021"]))

    def place() -> Document:
        return {"@type": "RelatedPlace", "role": "dock", "place": {"@type": "PlaceRef", "id": "place 1"}}

    return some(
        draw,
        {"@type": "Shipment", "name": draw(st.sampled_from(NAMES)), "status": "planned"},
        description=hidden,
        urgency=st.integers(0, 2),
        weightKg=st.sampled_from([1, 2.5, 1000]),
        fragile=st.booleans(),
        label=st.lists(st.sampled_from(["cold", "heavy"]), max_size=2),
        leg=several(draw, leg),
        destination=lambda: stop(draw(st.integers(0, 3))),
        insurance=several(draw, insurance),
        relatedParty=several(draw, party),
        place=place,
        x_extension=st.sampled_from([1, "text", {"a": [1, {"b": True}]}]),
    )


@dataclass
class Patched:
    """A v4 view after a change, and which member of the old lists each member of the new ones was (None: it is new)."""

    view: Document
    origins: dict[str, list[int | None]] = field(default_factory=dict)
    stops: dict[int, list[int | None]] = field(default_factory=dict)


def edited(draw: Draw, members: list[Any], change: Callable[[Any], None], fresh: Any) -> list[int | None]:
    """Change a list in one of the ways in which clients do; where each member came from."""
    way = draw(st.sampled_from(["leave", "change", "remove", "append", "reorder"]))
    origin: list[int | None] = list(range(len(members)))
    if way == "change":
        for member in members:
            if draw(st.booleans()):
                change(member)
    elif way == "append":
        members.append(copy.deepcopy(fresh))
        origin.append(None)
    elif way in ("remove", "reorder"):
        order = draw(st.permutations(range(len(members))))
        kept = sorted(order[: len(members) // 2]) if way == "remove" else order
        members[:] = [members[i] for i in kept]
        origin = list(kept)
    return origin


@st.composite
def v4_patches(draw: Draw, before: Document) -> Patched:
    """What a v4 client may make of what it sees."""
    view = copy.deepcopy(before)
    patched = Patched(view)
    changes: dict[str, Any] = {
        "shipmentName": "Genoa", "priority": "medium", "weightKg": 7.5, "fragile": True, "label": ["new"],
        "x_extension": 2,
    }  # fmt: skip
    for name, value in changes.items():
        way = draw(st.sampled_from(["leave", "leave", "set", "remove"]))
        if way == "set":
            view[name] = value
        elif way == "remove" and name != "shipmentName":
            view.pop(name, None)
    if "destination" in view and draw(st.booleans()):
        view["destination"]["window"] = {"endDateTime": "2027-01-01T00:00:00Z"}
    if "place" in view and draw(st.booleans()):
        view["place"]["name"] = "the dock"

    def renamed(member: Document) -> None:
        member["x_changed"] = "yes"

    fresh: dict[str, Document] = {
        "leg": {"carrier": "a new one", "stop": [{"name": "a new stop"}]},
        "insurance": {"amount": 999},
        "relatedParty": {"id": "a new party", "role": "payer", "@referredType": "Individual"},
    }
    for name, member in fresh.items():
        if name in view:
            patched.origins[name] = edited(draw, view[name], renamed, member)
    for i, leg in enumerate(view.get("leg", [])):
        same = patched.origins["leg"] == list(range(len(before["leg"])))
        if "stop" in leg and (same or "id" in leg) and patched.origins["leg"][i] is not None:
            patched.stops[i] = edited(draw, leg["stop"], renamed, {"name": "a new stop"})
    return patched
