"""The door's judgement of a measurement: a row of JSON becomes a Measurement, or a Rejection that says what is wrong.

Nothing here knows the hour or the database: the instant of judgement is an argument, and exactly-once storing rests on
the id alone, which is made from what was measured where and when if the sender gives none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from math import isfinite
from typing import Any, NamedTuple, final

from service_quality.domain.kpi import CATALOGUE, Kpi, scale, units_like

MAX_TEXT = 255
MAX_GRANULARITY_S = 31 * 86_400


@final
class Measurement(NamedTuple):
    """One value of one indicator. A named tuple, not a dataclass: immutable as well and a quarter of the cost to make,
    because millions are loaded.

    `resource` is what was measured at (a cell, a probe), `observed_at` (UTC) the beginning of the granularity period
    [observed_at, observed_at + granularity_s); granularity 0 is a reading at an instant. `unit` is the catalogue's for
    a KPI it knows, as given for any other.
    """

    id: str
    resource: str
    service: str
    kpi: str
    value: float
    unit: str
    observed_at: datetime
    granularity_s: int
    source: str


@final
@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a row was not taken: the wire attribute at fault (empty: the row itself) and its index in the batch."""

    reason: str
    attribute: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What the door lets in: how far ahead of `now` a clock may run, and how old a row may be (None: any age)."""

    now: datetime
    max_ahead_s: float = 300.0
    max_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row read from a file, ready for `parse`, with the line it began on."""

    line: int
    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SourceFault:
    """What could not be read from a file: the line, the element or column, and the reason in a sentence."""

    line: int
    element: str
    reason: str


_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.0*)?S)?)?")
_TMF628_GRANULARITY: Mapping[str, int] = {
    "g_1mn": 60,
    "g_5mn": 300,
    "g_15mn": 900,
    "g_30mn": 1800,
    "g_1h": 3600,
    "g_24h": 86_400,
    "na": 0,
}


def granularity_s(value: object) -> int | None:
    """Seconds of a granularity period given as a number, an ISO 8601 duration (PT15M) or TMF628's word (g_15mn).

    None when it is none of these, negative, or longer than 31 days. Months and years have no fixed length: not taken.
    """
    if isinstance(value, str):
        named = _TMF628_GRANULARITY.get(value.lower())
        if named is not None:
            return named
        match = _DURATION.fullmatch(value)
        if match is None or not any(match.groups()):
            return None
        days, hours, minutes, seconds = (
            min(int(part), MAX_GRANULARITY_S + 1) if part else 0 for part in match.groups()
        )
        total = days * 86_400 + hours * 3600 + minutes * 60 + seconds
        return total if total <= MAX_GRANULARITY_S else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_GRANULARITY_S:
        return None
    return int(value) if int(value) == value else None


def instant(value: object) -> datetime | str:
    """An RFC 3339 instant with offset, as UTC; otherwise the reason why it is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return "not an RFC 3339 instant"
    if not isinstance(value, datetime):
        return "not an RFC 3339 instant"
    if value.tzinfo is None:
        return "an offset is required (Z or +hh:mm)"
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return "outside the calendar"


def measurement_id(source: str, resource: str, service: str, kpi: str, observed_at: datetime, granularity: int) -> str:
    """The id of a measurement that came without one: 128 bits of BLAKE2b over what was measured where and when.

    The value is not part of it: the same period sent twice is one measurement, also in another offset or another unit.
    """
    return _digest(f"{source}\x1f{resource}\x1f{service}\x1f{kpi}\x1f{observed_at.isoformat()}\x1f{granularity}")


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _judged_instant(value: object, limits: Limits) -> tuple[datetime, str] | Rejection:
    at = instant(value)
    if isinstance(at, str):
        return Rejection(at, "observedAt")
    if at - limits.now > timedelta(seconds=limits.max_ahead_s):
        return Rejection(f"more than {limits.max_ahead_s:g} s ahead of the clock here", "observedAt")
    if limits.max_age_s is not None and limits.now - at > timedelta(seconds=limits.max_age_s):
        return Rejection(f"older than {limits.max_age_s:g} s", "observedAt")
    return at, at.isoformat()


def _text_fault(value: object) -> str:
    if value is None:
        return "missing"
    if not isinstance(value, str) or not value:
        return "a non-empty string is required"
    if len(value) > MAX_TEXT:
        return f"longer than {MAX_TEXT} characters"
    return "control characters are not allowed"


def _value_fault(value: object) -> str:
    if value is None:
        return "missing"
    if isinstance(value, float):
        return "not a finite number"
    return "a number is required"


def _unit_fault(unit: object, kpi: Kpi) -> str:
    if not isinstance(unit, str):
        return "a string is required"
    return f"{unit[:MAX_TEXT]!r} is no unit of {kpi.name}; one of {', '.join(units_like(kpi.unit))}"


Instants = dict[object, tuple[datetime, str] | Rejection]


def _parsed(
    row: Any, catalogue: Mapping[str, Kpi], limits: Limits, default_source: str, instants: Instants
) -> Measurement | Rejection:
    if type(row) is not dict:
        return Rejection("a measurement is a JSON object", "")
    get: Callable[..., Any] = row.get
    resource, service, kpi, source = get("resource"), get("service"), get("kpi"), get("source", default_source)
    # One pass over the common case; which rule was broken is only looked for when one was.
    for attribute, text in (("resource", resource), ("service", service), ("kpi", kpi)):
        if type(text) is not str or not text or len(text) > MAX_TEXT or not text.isprintable():
            return Rejection(_text_fault(text), attribute)
    if type(source) is not str or len(source) > MAX_TEXT or not source.isprintable():
        return Rejection(_text_fault(source), "source")

    value = get("value")
    if type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            return Rejection("not a finite number", "value")
    if type(value) is not float or not isfinite(value):
        return Rejection(_value_fault(value), "value")

    unit = get("unit")
    known = catalogue.get(kpi)
    if known is not None:
        if unit is not None and unit != known.unit:
            factor = scale(unit, known.unit) if type(unit) is str else None
            if factor is None:
                return Rejection(_unit_fault(unit, known), "unit")
            value *= factor
        unit = known.unit
        if not known.low <= value <= known.high:
            return Rejection(f"{value:g} {unit} is outside {known.low:g}..{known.high:g} {unit} of {kpi}", "value")
    elif unit is None:
        unit = ""
    elif type(unit) is not str or len(unit) > MAX_TEXT or not unit.isprintable():
        return Rejection(_text_fault(unit), "unit")

    given = get("granularity", 0)
    granularity = given if type(given) is int and 0 <= given <= MAX_GRANULARITY_S else granularity_s(given)
    if granularity is None:
        return Rejection(
            "seconds (0..2678400), an ISO 8601 duration or a TMF628 granularity is required", "granularity"
        )

    observed = get("observedAt")
    if type(observed) is not str and not isinstance(observed, datetime):
        return Rejection("missing" if observed is None else "not an RFC 3339 instant", "observedAt")
    judged = instants.get(observed)
    if judged is None:
        judged = instants[observed] = _judged_instant(observed, limits)
    if type(judged) is Rejection:
        return judged
    at, at_text = judged

    identity = get("id")
    if identity is None:
        identity = _digest(f"{source}\x1f{resource}\x1f{service}\x1f{kpi}\x1f{at_text}\x1f{granularity}")
    elif type(identity) is not str or not identity or len(identity) > MAX_TEXT or not identity.isprintable():
        return Rejection(_text_fault(identity), "id")
    return Measurement(identity, resource, service, kpi, value, unit, at, granularity, source)


def parse(
    row: Any, limits: Limits, catalogue: Mapping[str, Kpi] = CATALOGUE, source: str = ""
) -> Measurement | Rejection:
    """One wire row as a Measurement, or why not.

    Attributes: `resource`, `service`, `kpi`, `value`, `observedAt` are mandatory; `unit`, `granularity`, `source`, `id`
    optional. A KPI of the catalogue is turned into its unit there (no unit given means that unit) and must lie in its
    plausible range; an unknown KPI keeps the unit given. `source` here is who sends a row that does not say.
    """
    return _parsed(row, catalogue, limits, source, {})


def parse_batch(
    rows: Sequence[Any], limits: Limits, catalogue: Mapping[str, Kpi] = CATALOGUE, source: str = ""
) -> tuple[list[Measurement], list[Rejection]]:
    """`parse` over a batch: the good rows in their order, and the rejections with their index."""
    measurements: list[Measurement] = []
    rejections: list[Rejection] = []
    instants: Instants = {}
    for index, row in enumerate(rows):
        result = _parsed(row, catalogue, limits, source, instants)
        if type(result) is Measurement:
            measurements.append(result)
        else:
            rejections.append(replace(result, index=index))
    return measurements, rejections
