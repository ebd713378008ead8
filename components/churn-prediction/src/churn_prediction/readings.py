"""What events say, read tolerantly and without a database: a customer's characteristics, and an experience score.

The door of the ledger stands here: a characteristic is a feature only if its publisher marked it so, the outcome and
protected attributes are kept apart, and what churn prediction itself has produced is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from churn_prediction.domain.experience import REVIEWED
from churn_prediction.domain.features import OWN_ORIGIN, Group, Kind, category

CUSTOMER_ORIGIN = "customer-360"
LIVE_ORIGIN = "experienceScore"
NUMERIC_TYPES = frozenset({"integer", "number", "float", "double", "decimal", "long", "int"})
CATEGORICAL_TYPES = frozenset({"string", "boolean", "text"})
YES, NO = frozenset({"yes", "true", "1"}), frozenset({"no", "false", "0"})
OWNER_ROLES = ("owner", "customer")


@dataclass(frozen=True, slots=True)
class FeatureReading:
    """One characteristic with usage feature. `value` as text (None: told to be unknown); `as_of` None: not dated."""

    name: str
    value: str | None
    kind: Kind
    group: Group
    origin: str
    reviewed: str
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class OutcomeReading:
    """Left or stayed; `label_from` is when the window began in which it was watched, if the publisher dates it."""

    name: str
    churned: bool
    label_from: datetime | None


@dataclass(frozen=True, slots=True)
class CustomerReading:
    id: str
    name: str | None
    href: str | None
    status: str | None
    features: tuple[FeatureReading, ...]
    outcome: OutcomeReading | None
    protected: Mapping[str, Any]
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoreReading:
    """An experience score of a customer's service. `causes` are the references that its `cause` holds."""

    id: str
    href: str | None
    customer_id: str
    service_id: str
    score: float
    start: datetime
    end: datetime
    computed_at: datetime
    causes: tuple[dict[str, Any], ...]


def instant(text: Any) -> datetime | None:
    """An instant as the TMF files write it; without an offset it is UTC. None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _plain(text: Any) -> str:
    return "".join(c for c in str(text or "").lower() if c.isalnum())


def _kind(characteristic: Mapping[str, Any], value: Any) -> Kind:
    told = str(characteristic.get("valueType") or characteristic.get("@type") or "").lower()
    told = told.removesuffix("characteristic")
    if told in NUMERIC_TYPES:
        return Kind.NUMERIC
    if told in CATEGORICAL_TYPES:
        return Kind.CATEGORICAL
    return Kind.NUMERIC if isinstance(value, int | float) and not isinstance(value, bool) else Kind.CATEGORICAL


def written(value: Any, kind: Kind) -> str | None:
    """The value as the ledger keeps it. Raises ValueError, saying why, for one that is not of the kind."""
    if value is None or value == "":
        return None
    if kind is Kind.CATEGORICAL:
        if not isinstance(value, str | bool | int | float):
            raise ValueError("its value is no single value")
        return category(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{type(value).__name__} is not a number")
    try:
        number = float(value)
    except ValueError:
        raise ValueError("its value is not a number") from None
    if not math.isfinite(number):
        raise ValueError("its value is not finite")
    return repr(number)


def _feature(characteristic: Mapping[str, Any], name: str) -> FeatureReading:
    """Raises ValueError with the reason when the characteristic may not become a feature."""
    origin = str(characteristic.get("origin") or CUSTOMER_ORIGIN)
    if _plain(origin) == _plain(OWN_ORIGIN):
        raise ValueError("it comes from churn-prediction, and a churn score never feeds a churn feature")
    value = characteristic.get("value")
    kind = _kind(characteristic, value)
    group = characteristic.get("group")
    return FeatureReading(
        name,
        written(value, kind),
        kind,
        Group(group) if group in set(Group) else Group.CUSTOMER,
        origin,
        str(characteristic.get("reviewed") or REVIEWED.get(name, "")),
        instant(characteristic.get("asOf")),
    )


def _outcome(characteristic: Mapping[str, Any], name: str) -> OutcomeReading:
    value = characteristic.get("value")
    text = str(value).strip().lower()
    if text not in YES | NO:
        raise ValueError("the outcome is neither yes nor no")
    return OutcomeReading(name, text in YES, instant(characteristic.get("asOf")))


def customer(document: Mapping[str, Any]) -> CustomerReading | None:
    """A TMF629 Customer (v4 or v5) as the ledger takes it; None without an id.

    A characteristic carries, as extension attributes, `usage` (feature, protected, outcome; anything else is not used
    here), for a feature `group`, `origin` and `reviewed`, and `asOf`: since when the value holds, or for the outcome,
    when its window began. A characteristic given twice counts once, the first time.
    """
    if not isinstance(document.get("id"), str):
        return None
    features: dict[str, FeatureReading] = {}
    outcome: OutcomeReading | None = None
    protected: dict[str, Any] = {}
    refused: dict[str, str] = {}
    characteristics = document.get("characteristic")
    for characteristic in characteristics if isinstance(characteristics, list) else []:
        name = characteristic.get("name") if isinstance(characteristic, dict) else None
        if not isinstance(name, str) or not name:
            continue
        try:
            match characteristic.get("usage"):
                case "feature" if name not in features:
                    features[name] = _feature(characteristic, name)
                case "protected":
                    protected.setdefault(name, characteristic.get("value"))
                case "outcome" if outcome is None:
                    outcome = _outcome(characteristic, name)
        except ValueError as e:
            refused[name] = str(e)
    apart = protected.keys() | ({outcome.name} if outcome else set())
    for name in apart & features.keys():
        refused[name] = "the same customer carries it as an outcome or protected attribute too"
    return CustomerReading(
        document["id"],
        document.get("name"),
        document.get("href"),
        document.get("status"),
        tuple(f for n, f in features.items() if n not in apart),
        outcome,
        protected,
        refused,
    )


def _related(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(role, id) of the related parties, flat as v4 writes them or nested as v5 does."""
    parties = document.get("relatedParty")
    found = []
    for party in parties if isinstance(parties, list) else []:
        inner = party.get("partyOrPartyRole", party) if isinstance(party, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("id"), str):
            found.append((str(party.get("role") or ""), inner["id"]))
    return found


def _customer_of(document: Mapping[str, Any], subject: Mapping[str, Any]) -> str | None:
    """The customer whose experience it is, the customer of a user who is none, or the owner of a thing."""
    id = subject.get("id") if isinstance(subject.get("id"), str) else None
    if subject.get("subjectType") != "thing" and subject.get("@referredType") == "Customer":
        return id
    for wanted in OWNER_ROLES:
        for role, party in _related(document):
            if role == wanted:
                return party
    return None if subject.get("subjectType") == "thing" else id


def score(document: Mapping[str, Any]) -> ScoreReading | None:
    """An ExperienceScore as the ledger takes it; None where there is no score, no customer or no instant."""
    subject, value = document.get("subject"), document.get("score")
    if not isinstance(subject, dict) or not isinstance(document.get("id"), str):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    customer_id = _customer_of(document, subject)
    window = document.get("observedWindow") or {}
    computed_at = instant(document.get("computedAt"))
    end = instant(window.get("endDateTime")) or computed_at
    if customer_id is None or end is None:
        return None
    start = min(instant(window.get("startDateTime")) or end, end)
    service = document.get("service")
    service_id = service.get("id") if isinstance(service, dict) else None
    causes = document.get("cause")
    return ScoreReading(
        document["id"],
        document.get("href"),
        customer_id,
        str(service_id or subject.get("id") or document["id"]),
        float(value),
        start,
        end,
        computed_at or end,
        tuple(c for c in causes if isinstance(c, dict) and c.get("id")) if isinstance(causes, list) else (),
    )
