"""What a churn model may know of a customer: features declared as data, records turned into columns.

Here stand the laws that need no labels: a churn score never feeds a churn feature, nothing dated after the record's
as-of time enters, and an absent value stays absent (it gets an indicator in the design, never a made-up number).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NotRequired, Required, TypedDict

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Value = float | int | str | bool | None

OWN_ORIGIN = "churn-prediction"


class Kind(StrEnum):
    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


class Group(StrEnum):
    """The driver a feature belongs to: who in the company could act on it. CUSTOMER is nobody's lever."""

    PRICE = "price"
    NETWORK = "network"
    SERVICE = "service"
    CONTRACT = "contract"
    DEVICE = "device"
    USAGE = "usage"
    CARE = "care"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One column that may not be used, with the reason in a sentence and the number behind it, if there is one."""

    column: str
    why: str
    evidence: float | None = None

    def __str__(self) -> str:
        return f"{self.column}: {self.why}"


class LeakageError(ValueError):
    """A column knows the answer, or would: refused with its name and the reason."""

    def __init__(self, *refusals: Refusal) -> None:
        super().__init__("; ".join(str(refusal) for refusal in refusals))
        self.refusals = refusals


class FeatureValueError(ValueError):
    """A value that is not of its feature's kind; the message names the record and the column."""


class Record(TypedDict, total=False):
    """A customer as known at one time. `observed_at` and `origins` speak of single features and may be partial."""

    id: Required[str]
    as_of: Required[datetime]
    features: Required[Mapping[str, Value]]
    observed_at: NotRequired[Mapping[str, datetime]]
    origins: NotRequired[Mapping[str, str]]
    churned: NotRequired[bool | None]
    label_from: NotRequired[datetime | None]


def _own(origin: str) -> bool:
    return "".join(c for c in origin.lower() if c.isalnum()) == OWN_ORIGIN.replace("-", "")


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature. `reviewed` says why a name that sounds like the outcome is none (see `leakage`)."""

    name: str
    kind: Kind
    group: Group
    origin: str
    reviewed: str = ""


@dataclass(frozen=True, slots=True)
class Specification:
    """The features of a model, in order. Refuses what churn-prediction itself produced, and a name given twice."""

    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        own = [
            Refusal(f.name, "its origin is churn-prediction, and a churn score never feeds a churn feature")
            for f in self.features
            if _own(f.origin)
        ]
        if own:
            raise LeakageError(*own)
        names = [f.name for f in self.features]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"a specification needs features with distinct names, not {names}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.features)

    def document(self) -> list[dict[str, str]]:
        """JSON-able form; `specification` reads it back."""
        return [
            {"name": f.name, "kind": f.kind.value, "group": f.group.value, "origin": f.origin}
            | ({"reviewed": f.reviewed} if f.reviewed else {})
            for f in self.features
        ]


def specification(declared: Iterable[Mapping[str, str]]) -> Specification:
    """Specification from data: name, kind, group, origin and, where the name needs it, reviewed."""
    return Specification(
        tuple(
            Feature(d["name"], Kind(d["kind"]), Group(d["group"]), d["origin"], d.get("reviewed", "")) for d in declared
        )
    )


@dataclass(frozen=True, slots=True)
class Frame:
    """Records as columns: float64 with NaN for missing (numeric), str or None in an object array (categorical)."""

    specification: Specification
    ids: tuple[str, ...]
    as_of: tuple[datetime, ...]
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Integers) -> Frame:
        """The rows at these positions, in this order."""
        picked = rows.tolist()
        return Frame(
            self.specification,
            tuple(self.ids[i] for i in picked),
            tuple(self.as_of[i] for i in picked),
            {name: column[rows] for name, column in self.columns.items()},
        )

    def value(self, name: str, row: int) -> float | str | None:
        """One value as a plain Python object; None when missing."""
        value = self.columns[name][row]
        if value is None or isinstance(value, str):
            return value
        return None if math.isnan(value) else float(value)


def _check_times_and_origins(known: frozenset[str], record: Record) -> None:
    as_of = record["as_of"]
    if as_of.tzinfo is None:
        raise FeatureValueError(f"record {record['id']}: as_of {as_of} has no offset")
    if "observed_at" not in record and "origins" not in record:
        return
    for name, at in record.get("observed_at", {}).items():
        if name not in known:
            continue
        if at.tzinfo is None:
            raise FeatureValueError(f"record {record['id']}, {name}: observed_at {at} has no offset")
        if at > as_of:
            raise LeakageError(
                Refusal(name, f"record {record['id']} dates it {at.isoformat()}, after its as_of {as_of.isoformat()}")
            )
    for name, origin in record.get("origins", {}).items():
        if name in known and _own(origin):
            raise LeakageError(
                Refusal(name, f"record {record['id']} has it from {OWN_ORIGIN}; a churn score never feeds a feature")
            )


def _numbers(name: str, records: Sequence[Record], known: Sequence[Mapping[str, Value]]) -> Floats:
    values = [features.get(name) for features in known]
    for record, value in zip(records, values, strict=True):
        if isinstance(value, str) or (isinstance(value, float) and math.isinf(value)):
            raise FeatureValueError(f"record {record['id']}, {name}: {value!r} is not a finite number")
    return np.array(values, dtype=np.float64)


def category(value: Value) -> str | None:
    """Wire form of a categorical value: true/false as JSON writes them; an empty string or NaN is missing."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if isinstance(value, float) and math.isnan(value) else format(value, "g")


def _categories(name: str, known: Sequence[Mapping[str, Value]]) -> NDArray[Any]:
    column = np.empty(len(known), dtype=object)
    values = [features.get(name) for features in known]
    column[:] = [(value or None) if type(value) is str else category(value) for value in values]
    return column


def frame(specification: Specification, records: Sequence[Record]) -> Frame:
    """Columns of the declared features; other keys of a record are not looked at.

    Raises LeakageError for a value dated after its record's as_of or coming from churn-prediction,
    FeatureValueError for a value of the wrong kind.
    """
    names = frozenset(specification.names)
    for record in records:
        _check_times_and_origins(names, record)
    known = [record["features"] for record in records]
    return Frame(
        specification,
        tuple(record["id"] for record in records),
        tuple(record["as_of"] for record in records),
        {
            f.name: _numbers(f.name, records, known) if f.kind is Kind.NUMERIC else _categories(f.name, known)
            for f in specification.features
        },
    )


def labelled(records: Sequence[Record]) -> tuple[list[Record], Integers]:
    """The records whose outcome is known, and the outcomes (1 = churned), shape (n,).

    Refuses a record whose features are as of a time after its label window has begun: part of the outcome would
    already be in the features.
    """
    known = [record for record in records if record.get("churned") is not None]
    for record in known:
        start = record.get("label_from")
        if start is not None and record["as_of"] > start:
            raise LeakageError(
                Refusal(
                    "as_of",
                    f"record {record['id']} is as of {record['as_of'].isoformat()}, after its label window began "
                    f"({start.isoformat()})",
                )
            )
    return known, np.array([1 if record.get("churned") else 0 for record in known], dtype=np.int64)
