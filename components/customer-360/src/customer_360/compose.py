"""The view of one customer, made of what is known: the customer, their products, what happened to them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from customer_360.domain.timeline import Entry, Timeline, folded
from customer_360.settings import Customer360Settings
from tmfkit.types import Document
from tmfkit.write import rfc3339

OWN = "customerManagement"
PRODUCTS = "productInventory"
OF_CUSTOMER = ("name", "status", "engagedParty", "contactMedium", "relatedParty", "validFor")
PASSING = ("asOf", "freshUntil")
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Products:
    """The products of a customer as they were told last; `items` None: never told. stale: the source is silent."""

    items: Sequence[Document] | None
    read_at: datetime | None
    stale: bool


@dataclass(frozen=True, slots=True)
class History:
    """The rows of a customer in the order of the timeline, the latest of each slot, and those to be forgotten."""

    rows: tuple[Row, ...]
    latest: tuple[Row, ...]
    dropped: tuple[Row, ...]

    def of(self, slot: str) -> list[Row]:
        """The latest row of a slot, or of every slot of a family, the newest first."""
        found = [row for row in self.latest if row["slot"] == slot or row["slot"].startswith(f"{slot}/")]
        return sorted(found, key=lambda row: (row["occurred_at"], row["reference"]), reverse=True)


def history(rows: Sequence[Row], settings: Customer360Settings) -> History:
    """Fold the rows of one customer into a timeline of bounded length."""
    by_identity = {(row["slot"], row["reference"], row["occurred_at"]): row for row in rows}
    timeline = folded(Timeline(), [_entry(row) for row in rows], settings.timeline_limit)
    kept = tuple(by_identity[entry.identity] for entry in timeline.entries)
    found = History(kept, tuple(by_identity[entry.identity] for entry in timeline.latest), ())
    problems = {row["slot"] for row in found.of("serviceProblem")[settings.problem_limit :]}
    latest = tuple(row for row in found.latest if row["slot"] not in problems)
    alive = {id(row) for row in (*kept, *latest)}
    return History(kept, latest, tuple(row for row in rows if id(row) not in alive))


def _entry(row: Row) -> Entry:
    return Entry(
        slot=row["slot"],
        reference=row["reference"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        source=row["source"],
        title=row["title"],
    )


def view(
    customer: Document, href: str, past: History, products: Products, settings: Customer360Settings, now: datetime
) -> Document:
    """The CustomerExperience360 of a customer. A slot of which nothing was ever told is absent, not empty."""
    scores = [row["payload"] for row in past.of("experienceScore")]
    doc: Document = {
        "id": customer["id"],
        "@type": "CustomerExperience360",
        "@baseType": "Customer360",
    }
    own = {"id": customer["id"], "href": href} | {n: customer[n] for n in OF_CUSTOMER if n in customer}
    if "engagedParty" in own:
        own["engagedParty"] = {"@type": "PartyRef", **own["engagedParty"]}
    slots: dict[str, Any] = {
        "customer": own,
        "product": products.items,
        "serviceProblem": [_problem(row["payload"], scores) for row in past.of("serviceProblem")],
        "recommendation": [row["payload"] for row in past.of("recommendation")],
        "experienceScore": scores,
        "churnRisk": next((row["payload"] for row in past.of("churnRisk")), None),
        "timeline": [_happening(row) for row in past.rows],
    }
    told = {name: value for name, value in slots.items() if value or (name == "product" and value is not None)}
    doc |= {name: _typed(name, value) for name, value in told.items()}
    doc["slotState"] = _states(past, products, settings, now)
    return doc


def _typed(slot: str, value: Any) -> Any:
    """A slot, or each of its members, with the class that the standard (or we) call it by."""
    if isinstance(value, Mapping):
        return {"@type": f"Customer360{slot[0].upper()}{slot[1:]}VO", **value}
    return [_typed(slot, member) for member in value]


def _problem(payload: Document, scores: Sequence[Document]) -> Document:
    """With the services of this customer that it hits: those whose score names it as cause."""
    hit = [
        score["service"]
        for score in scores
        if "service" in score and any(cause["id"] == payload["id"] for cause in score.get("cause", ()))
    ]
    return {**payload, "affectedService": [{"@type": "ServiceRef", **service} for service in hit]} if hit else payload


def _happening(row: Row) -> Document:
    entity = {"id": row["reference"], "href": row["href"], "@referredType": row["referred_type"]}
    return {
        "eventTime": rfc3339(row["occurred_at"]),
        "eventType": row["event_type"],
        "title": row["title"],
        "entity": {name: value for name, value in entity.items() if value is not None},
    }


def _states(past: History, products: Products, settings: Customer360Settings, now: datetime) -> list[Document]:
    fresh_s = {
        "churnRisk": settings.risk_fresh_s,
        "experienceScore": settings.experience_fresh_s,
        "recommendation": settings.recommendation_fresh_s,
        "serviceProblem": settings.problem_fresh_s,
    }
    found = [{"slot": "customer", "source": OWN, "asOf": rfc3339(now)}]
    for slot, seconds in fresh_s.items():
        newest = next(iter(past.of(slot)), None)
        if newest is not None:
            found.append(_state(slot, newest["source"], newest["occurred_at"], seconds))
    if products.read_at is not None or products.stale:
        found.append(_state("product", PRODUCTS, products.read_at, settings.product_fresh_s, stale=products.stale))
    return found


def _state(slot: str, source: str, as_of: datetime | None, fresh_s: float, *, stale: bool = False) -> Document:
    state: Document = {"slot": slot, "source": source}
    if as_of is not None:
        state |= {"asOf": rfc3339(as_of), "freshUntil": rfc3339(as_of + timedelta(seconds=fresh_s))}
    return {**state, "stale": True} if stale else state


def differs(old: Document, new: Document) -> bool:
    """Whether a view says something else than before, the passing of time aside."""
    return _timeless(old) != _timeless(new)


def _timeless(doc: Document) -> Document:
    states = [{n: v for n, v in state.items() if n not in PASSING} for state in doc.get("slotState", [])]
    return {**doc, "slotState": states}
