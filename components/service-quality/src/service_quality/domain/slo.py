"""Service level objectives: rows become windows, windows become a verdict, with hysteresis and an error budget.

A verdict is a function of the windows alone, of all series of an objective at once: order of arrival, lateness and
batching cannot change it. What is not known stays UNKNOWN; no data is neither good nor bad.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

Statistic = Literal["mean", "min", "max", "p05", "p10", "p50", "p90", "p95"]
_QUANTILE: Mapping[str, float] = {"min": 0.0, "p05": 0.05, "p10": 0.1, "p50": 0.5, "p90": 0.9, "p95": 0.95, "max": 1.0}
_EPSILON = 1e-9  # a budget of (1 - 0.9) * 10 windows is one window, whatever binary fractions say


class State(StrEnum):
    OK = "ok"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


class Comparator(StrEnum):
    """The relation a value has to the limit while the objective is kept."""

    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    EQUAL = "="
    NOT_EQUAL = "!="


_SPELLINGS: Mapping[Comparator, str] = {
    Comparator.GREATER: "> gt greater greaterthan",
    Comparator.GREATER_OR_EQUAL: ">= => ≥ ge gte greaterorequal greaterthanorequal greaterthanorequals"
    " greaterthanorequalto atleast",
    Comparator.LESS: "< lt less lessthan",
    Comparator.LESS_OR_EQUAL: "<= =< ≤ le lte lessorequal lessthanorequal lessthanorequals lessthanorequalto atmost",
    Comparator.EQUAL: "= == eq equal equals equalto",
    Comparator.NOT_EQUAL: "!= <> ≠ ne neq notequal notequals notequalto",
}
_COMPARATORS = {word: comparator for comparator, words in _SPELLINGS.items() for word in words.split()}


def comparator(text: str) -> Comparator | None:
    """The comparator a text means: a sign, or the words with any case, blanks, hyphens or underscores between them.

    TMF657's conformanceComparator is free text. It is read as the relation a conforming value has, as in TM Forum's own
    sample (upload bandwidth > 32). "above" and "below" are not read: they could mean either side.
    """
    return _COMPARATORS.get("".join(c for c in text.lower() if c not in " -_"))


def conforms(values: Floats, relation: Comparator, limit: float, tolerance: float = 0.0) -> Flags:
    """Whether each value has `relation` to `limit`, loosened by `tolerance` (in the same unit). NaN never conforms."""
    match relation:
        case Comparator.GREATER:
            return values > limit - tolerance
        case Comparator.GREATER_OR_EQUAL:
            return values >= limit - tolerance
        case Comparator.LESS:
            return values < limit + tolerance
        case Comparator.LESS_OR_EQUAL:
            return values <= limit + tolerance
        case Comparator.EQUAL:
            return np.abs(values - limit) <= tolerance
        case _:
            return np.abs(values - limit) > tolerance


@dataclass(frozen=True, slots=True)
class Rule:
    """`count` of the last `of` windows that have data."""

    count: int
    of: int


@dataclass(frozen=True, slots=True)
class Objective:
    """What is promised of each window, and of how many windows.

    A window is kept when its value has `comparator` to `limit`, loosened by `tolerance`; at least `conformance_target`
    (ratio, 0..1) of the windows are to be kept. Past `warning_limit` a kept window is in danger. `grace_times` windows
    in a row may lack data before the state is unknown.
    """

    comparator: Comparator
    limit: float
    conformance_target: float = 1.0
    tolerance: float = 0.0
    warning_limit: float | None = None
    grace_times: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """How windows are formed and how quickly a state may change.

    A violation is raised in a bad window when `raise_rule` is met, or when the error budget of the period is spent by
    at least `raise_rule.count` bad windows; it is cleared in a good window when `clear_rule` is met. Fewer than
    `min_windows` windows with data say nothing.
    """

    window_s: int = 300
    statistic: Statistic = "mean"
    raise_rule: Rule = Rule(2, 3)
    clear_rule: Rule = Rule(6, 6)
    min_windows: int = 3


@dataclass(frozen=True, slots=True)
class Window:
    """One window of one series: half-open [started_at, ends_at), None where it has no data."""

    started_at: datetime
    ends_at: datetime
    value: float | None
    count: int
    conforms: bool | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement on one series. `evidence` are the last windows, as many as the longer rule looks at."""

    state: State
    conformance_ratio: float | None
    budget_left_ratio: float | None
    at_risk: bool
    windows_known: int
    windows_bad: int
    evidence: tuple[Window, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Values and sample counts of all series, shape (series, windows), oldest first; NaN where no sample fell."""

    start_s: float
    window_s: int
    value: Floats
    count: Integers


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """The judgement on every series, shape (series,); NaN where nothing can be said."""

    violated: Flags
    unknown: Flags
    conformance_ratio: Floats
    budget_left_ratio: Floats
    at_risk: Flags
    windows_known: Integers
    windows_bad: Integers
    windows: Windows
    bad: Flags
    evidence_windows: int

    def state(self, series: int) -> State:
        if self.unknown[series]:
            return State.UNKNOWN
        return State.VIOLATED if self.violated[series] else State.OK

    def verdict(self, series: int) -> Verdict:
        """The verdict on one series, with its evidence."""
        ratio, left = float(self.conformance_ratio[series]), float(self.budget_left_ratio[series])
        return Verdict(
            state=self.state(series),
            conformance_ratio=None if math.isnan(ratio) else ratio,
            budget_left_ratio=None if math.isnan(left) else left,
            at_risk=bool(self.at_risk[series]),
            windows_known=int(self.windows_known[series]),
            windows_bad=int(self.windows_bad[series]),
            evidence=self._evidence(series),
        )

    def _evidence(self, series: int) -> tuple[Window, ...]:
        width, total = self.windows.window_s, self.windows.value.shape[1]
        found = []
        for at in range(max(0, total - self.evidence_windows), total):
            value, began = float(self.windows.value[series, at]), self.windows.start_s + at * width
            known = not math.isnan(value)
            found.append(
                Window(
                    started_at=datetime.fromtimestamp(began, UTC),
                    ends_at=datetime.fromtimestamp(began + width, UTC),
                    value=value if known else None,
                    count=int(self.windows.count[series, at]),
                    conforms=not self.bad[series, at] if known else None,
                )
            )
        return tuple(found)


def windowed(
    series: Integers, observed_s: Floats, value: Floats, start_s: float, shape: tuple[int, int], policy: Policy
) -> Windows:
    """Rows as windows: row i is `value[i]` of series `series[i]` at `observed_s[i]` (epoch seconds).

    Window w of `shape` (series, windows) is [start_s + w * window_s, start_s + (w+1) * window_s). Rows outside and NaN
    are left out. Quantiles are nearest-rank. Rows are sorted first, so that their order changes not even the last bit.
    """
    place = np.floor((observed_s - start_s) / policy.window_s)
    inside = (place >= 0) & (place < shape[1]) & (series >= 0) & (series < shape[0]) & ~np.isnan(value)
    slot = (series[inside] * shape[1] + place[inside]).astype(np.int64)
    order = np.lexsort((value[inside], slot))
    slot, sample = slot[order], value[inside][order]
    found, first, counts = np.unique(slot, return_index=True, return_counts=True)
    count = np.zeros(shape[0] * shape[1], dtype=np.int64)
    out = np.full(shape[0] * shape[1], np.nan)
    count[found] = counts
    if len(found):
        if policy.statistic == "mean":
            out[found] = np.add.reduceat(sample, first) / counts
        else:
            rank = np.ceil(_QUANTILE[policy.statistic] * counts - _EPSILON).astype(np.int64)
            out[found] = sample[first + np.maximum(rank, 1) - 1]
    return Windows(start_s, policy.window_s, out.reshape(shape), count.reshape(shape))


def evaluate(windows: Windows, objective: Objective, policy: Policy, violated_before: Flags | None = None) -> Verdicts:
    """The verdict on every series after its last window.

    The windows are replayed from the first one, which starts as kept unless `violated_before` says otherwise. The error
    budget is (1 - conformance_target) x number of windows given (Beyer et al., The Site Reliability Workbook, ch. 2):
    give as many windows as the period of the promise has. A window without data is skipped by the rules; more than
    `grace_times` of them at the end make the state unknown.
    """
    values = windows.value
    known = ~np.isnan(values)
    bad = known & ~conforms(values, objective.comparator, objective.limit, objective.tolerance)
    budget = (1.0 - objective.conformance_target) * values.shape[1]

    violated = np.zeros(len(values), dtype=np.bool_) if violated_before is None else violated_before.copy()
    bad_bits, good_bits = np.zeros(len(values), dtype=np.uint64), np.zeros(len(values), dtype=np.uint64)
    spent, gap = np.zeros(len(values), dtype=np.int64), np.zeros(len(values), dtype=np.int64)
    for known_now, bad_now in zip(known.T, bad.T, strict=True):
        good_now = known_now & ~bad_now
        bad_bits = np.where(known_now, _remembered(bad_bits, bad_now, policy.raise_rule.of), bad_bits)
        good_bits = np.where(known_now, _remembered(good_bits, good_now, policy.clear_rule.of), good_bits)
        spent += bad_now
        gap = np.where(known_now, 0, gap + 1)
        acute = np.bitwise_count(bad_bits) >= policy.raise_rule.count
        overspent = (spent > budget + _EPSILON) & (spent >= policy.raise_rule.count)
        raised = bad_now & (acute | overspent)
        cleared = good_now & (np.bitwise_count(good_bits) >= policy.clear_rule.count)
        violated = (violated | raised) & ~cleared

    windows_known, windows_bad = known.sum(axis=1), bad.sum(axis=1)
    said = windows_known >= max(policy.min_windows, 1)
    unknown = ~said | (gap > objective.grace_times)
    ratio = np.where(said, 1.0 - windows_bad / np.maximum(windows_known, 1), np.nan)
    if budget > _EPSILON:
        left = np.clip(1.0 - windows_bad / budget, 0.0, 1.0)
    else:
        left = np.where(windows_bad > 0, 0.0, 1.0)
    return Verdicts(
        violated=violated & ~unknown,
        unknown=unknown,
        conformance_ratio=ratio,
        budget_left_ratio=np.where(said, left, np.nan),
        at_risk=_in_danger(values, known, objective) & ~violated & ~unknown,
        windows_known=windows_known,
        windows_bad=windows_bad,
        windows=windows,
        bad=bad,
        evidence_windows=max(policy.raise_rule.of, policy.clear_rule.of),
    )


def _remembered(bits: NDArray[np.uint64], now: Flags, of: int) -> NDArray[np.uint64]:
    """The last `of` outcomes as bits, the newest lowest."""
    return ((bits << np.uint64(1)) | now) & np.uint64((1 << of) - 1)


def _in_danger(values: Floats, known: Flags, objective: Objective) -> Flags:
    """Whether the last value a series has is past the warning limit."""
    if objective.warning_limit is None or values.shape[1] == 0:
        return np.zeros(len(values), dtype=np.bool_)
    last = values.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    latest = values[np.arange(len(values)), last]
    return known.any(axis=1) & ~conforms(latest, objective.comparator, objective.warning_limit)


def burn_rate(bad_ratio: float, conformance_target: float) -> float | None:
    """How many times faster than allowed the budget is spent: bad_ratio / (1 - target), 1 = just spent at the end.

    Beyer et al., The Site Reliability Workbook, ch. 5. None when there is no budget (target 1).
    """
    budget = 1.0 - conformance_target
    return bad_ratio / budget if budget > 0 else None


@dataclass(frozen=True, slots=True)
class ObjectiveFault:
    """What is wrong with an objective as written, by wire attribute."""

    attribute: str
    reason: str


def objective_of(
    document: Mapping[str, Any], *, reading: Literal["value", "ratio"], default_ratio: float = 1.0
) -> Objective | tuple[ObjectiveFault, ...]:
    """A TMF657 ServiceLevelObjective (whose numbers are strings) as an Objective, or everything that is wrong with it.

    `reading="value"` is TM Forum's own sample: conformanceTarget is the limit of the KPI and thresholdTarget the
    warning limit; the ratio of windows is the extension attribute conformanceRatio, else `default_ratio`.
    `reading="ratio"`: conformanceTarget is the ratio of windows to be kept and thresholdTarget the limit.
    toleranceTarget is in the unit of the KPI and graceTimes a count in both.
    """
    faults: list[ObjectiveFault] = []

    def number(attribute: str, default: float | None, low: float = -math.inf, high: float = math.inf) -> float | None:
        given = document.get(attribute)
        if given is None:
            return default
        try:
            value = math.nan if isinstance(given, bool) else float(given)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            faults.append(ObjectiveFault(attribute, "a number is required"))
        elif not low <= value <= high:
            faults.append(ObjectiveFault(attribute, f"must lie in {low:g}..{high:g}"))
        return value

    text = document.get("conformanceComparator")
    relation = comparator(text) if isinstance(text, str) else None
    if relation is None:
        signs = ", ".join(Comparator)
        faults.append(ObjectiveFault("conformanceComparator", f"one of {signs} or its words (greaterThan) is required"))
    if reading == "value":
        limit, warning = number("conformanceTarget", None), number("thresholdTarget", None)
        ratio, limit_attribute = number("conformanceRatio", default_ratio, 0.0, 1.0), "conformanceTarget"
    else:
        limit, warning = number("thresholdTarget", None), None
        ratio, limit_attribute = number("conformanceTarget", default_ratio, 0.0, 1.0), "thresholdTarget"
    tolerance, grace = number("toleranceTarget", 0.0, 0.0), number("graceTimes", 0.0, 0.0)
    if limit is None:
        faults.append(ObjectiveFault(limit_attribute, "missing"))
    if grace is not None and math.isfinite(grace) and grace != int(grace):
        faults.append(ObjectiveFault("graceTimes", "a whole number is required"))
    if faults or relation is None or limit is None or ratio is None or tolerance is None or grace is None:
        return tuple(faults)
    return Objective(relation, limit, ratio, tolerance, warning, int(grace))


def policy_faults(policy: Policy) -> Sequence[ObjectiveFault]:
    """What is wrong with a policy: rules that can never be met, no window length."""
    faults = []
    if policy.window_s <= 0:
        faults.append(ObjectiveFault("window_s", "must be positive"))
    for name, rule in (("raise_rule", policy.raise_rule), ("clear_rule", policy.clear_rule)):
        if not 1 <= rule.count <= rule.of <= 64:
            faults.append(ObjectiveFault(name, f"{rule.count} of {rule.of} cannot be met: 1 <= count <= of <= 64"))
    return faults
