"""What is watched: TMF657 objectives and TMF649 threshold jobs, as one shape that evaluation applies to windows.

Reads of the extension attributes of an objective (all optional):

| attribute | meaning | default |
| --- | --- | --- |
| x_unit | unit of its numbers | the unit in which the KPI is measured |
| x_reading | what conformanceTarget is: `ratio` of windows, or `value` of the KPI | ratio if thresholdTarget is given |
| x_granularityS, x_statistic | length of a window, and its value: mean, min, max, p05, p10, p50, p90, p95 | 300, mean |
| x_windowS | period of the promise, whose windows make the error budget | 1800 |
| x_raise, x_clear | [count, of] bad windows that raise, good ones that clear; one number: all of them | [2, 3], 6 |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args

import numpy as np

from service_quality.domain.kpi import scale
from service_quality.domain.measurement import granularity_s, instant
from service_quality.domain.slo import (
    Comparator,
    Flags,
    Floats,
    Policy,
    Rule,
    Statistic,
    Windows,
    evaluate,
    objective_of,
    policy_faults,
)
from service_quality.domain.thresholds import Condition, met, parse

Document = dict[str, Any]
MAX_WINDOWS = 288  # windows of a period: a day of five minutes; each evaluation reads all of them
_NEGATED = {
    Comparator.GREATER: Comparator.LESS_OR_EQUAL,
    Comparator.GREATER_OR_EQUAL: Comparator.LESS,
    Comparator.LESS: Comparator.GREATER_OR_EQUAL,
    Comparator.LESS_OR_EQUAL: Comparator.GREATER,
    Comparator.EQUAL: Comparator.NOT_EQUAL,
    Comparator.NOT_EQUAL: Comparator.EQUAL,
}


class Unreadable(Exception):
    """Why an objective or a threshold job cannot be applied, in a sentence."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """Of each series, shape (series,): is it violated, is it certainly well; and its bad windows (series, windows)."""

    violated: Flags
    well: Flags
    bad: Flags
    conformance_ratio: Floats | None = None


@dataclass(frozen=True, eq=False)
class Watch:
    """One KPI under one promise. `services` and `resources` None: any. `judge` takes windows and what was violated."""

    id: str
    revision: str
    kind: Literal["ServiceLevelObjective", "Threshold"]
    reference: Document
    kpi: str
    scope: tuple[tuple[frozenset[str] | None, frozenset[str] | None], ...]
    policy: Policy
    windows: int
    operator: Comparator
    limit: float
    judge: Callable[[Windows, Flags], Judgement]
    tolerance: float | None = None
    conformance_target: float | None = None
    consequence: str | None = None
    specification: Document | None = None

    def applies(self, service: str, resource: str) -> bool:
        return any((s is None or service in s) and (r is None or resource in r) for s, r in self.scope)

    @property
    def better(self) -> str:
        """Which way the KPI is better: higher, lower, or near a value."""
        if self.operator in (Comparator.GREATER, Comparator.GREATER_OR_EQUAL):
            return "higher"
        return "lower" if self.operator in (Comparator.LESS, Comparator.LESS_OR_EQUAL) else "near"


# --- TMF657 ---


def objective(doc: Document, revision: int, href: str, units: Mapping[str, str], now: datetime | None) -> Watch | None:
    """The watch of an objective; None when it is not in force at `now` (data time). Raises Unreadable."""
    parameter = doc.get("serviceLevelObjectiveParameter") or {}
    kpi = parameter.get("name")
    if not kpi:
        raise Unreadable("serviceLevelObjectiveParameter.name: names no KPI")
    if now is not None and not _in_force(doc.get("validFor") or {}, now):
        return None
    target, kept = objective_of(doc, reading=_reading(doc)), units.get(kpi, "")
    if isinstance(target, tuple):
        raise Unreadable("; ".join(f"{fault.attribute}: {fault.reason}" for fault in target))
    factor = _factor(doc.get("x_unit"), kept)
    warning = None if target.warning_limit is None else target.warning_limit * factor
    target = replace(target, limit=target.limit * factor, tolerance=target.tolerance * factor, warning_limit=warning)
    policy, windows = _policy(doc)

    def judge(seen: Windows, violated_before: Flags) -> Judgement:
        verdicts = evaluate(seen, target, policy, violated_before)
        well = ~verdicts.violated & ~verdicts.unknown
        return Judgement(verdicts.violated, well, verdicts.bad, verdicts.conformance_ratio)

    related = parameter.get("relatedEntity") or []
    actions = [c.get("prescribedAction") for c in doc.get("serviceLevelObjectiveConsequence") or []]
    return Watch(
        id=doc["id"],
        revision=f"{revision} {kept}",
        kind="ServiceLevelObjective",
        reference=_reference(doc, href, "ServiceLevelObjective"),
        kpi=kpi,
        scope=((_role(related, "service"), _role(related, "resource")),),
        policy=policy,
        windows=windows,
        operator=target.comparator,
        limit=target.limit,
        tolerance=target.tolerance,
        conformance_target=target.conformance_target,
        consequence=next((action for action in actions if action), None),
        judge=judge,
    )


def _reading(doc: Document) -> Literal["value", "ratio"]:
    told = doc.get("x_reading")
    if told in ("value", "ratio"):
        return "ratio" if told == "ratio" else "value"
    try:
        share = 0.0 <= float(doc.get("conformanceTarget", "")) <= 1.0
    except (TypeError, ValueError):
        share = False
    return "ratio" if share and doc.get("thresholdTarget") is not None else "value"


def _policy(doc: Document) -> tuple[Policy, int]:
    """Windows and hysteresis of an objective, and how many windows are read: those of its period, at least as many as
    its rules look at."""
    window_s = _whole(doc, "x_granularityS", 300)
    period_s = _whole(doc, "x_windowS", 1800)
    statistic = doc.get("x_statistic", "mean")
    if statistic not in get_args(Statistic):
        raise Unreadable(f"x_statistic: one of {', '.join(get_args(Statistic))} is required")
    raise_rule, clear_rule = _rule(doc, "x_raise", Rule(2, 3)), _rule(doc, "x_clear", Rule(6, 6))
    policy = Policy(window_s, statistic, raise_rule, clear_rule, min(3, raise_rule.of))
    if faults := policy_faults(policy):
        raise Unreadable("; ".join(f"{fault.attribute}: {fault.reason}" for fault in faults))
    windows = max(period_s // window_s, raise_rule.of, clear_rule.of)
    if windows > MAX_WINDOWS:
        raise Unreadable(f"x_windowS: at most {MAX_WINDOWS} windows of x_granularityS")
    return policy, windows


def _whole(doc: Document, name: str, default: int) -> int:
    value = doc.get(name, default)
    if type(value) is not int or value <= 0:
        raise Unreadable(f"{name}: a positive whole number is required")
    return value


def _rule(doc: Document, name: str, default: Rule) -> Rule:
    match doc.get(name):
        case None:
            return default
        case int(of) if type(of) is int:
            return Rule(of, of)
        case [int(count), int(of)]:
            return Rule(count, of)
        case _:
            raise Unreadable(f"{name}: [count, of] or one whole number is required")


def _factor(given: Any, kept: str) -> float:
    """What turns the objective's numbers into the unit the KPI is kept in."""
    if given is None or not kept:
        return 1.0
    factor = scale(given, kept) if isinstance(given, str) else None
    if factor is None:
        raise Unreadable(f"x_unit: {given!r} cannot be turned into {kept}, in which the KPI is measured")
    return factor


def _in_force(period: Mapping[str, Any], now: datetime) -> bool:
    begins, ends = (instant(period.get(name)) for name in ("startDateTime", "endDateTime"))
    return not (isinstance(begins, datetime) and now < begins) and not (isinstance(ends, datetime) and now >= ends)


def _role(related: Iterable[Document], role: str) -> frozenset[str] | None:
    found = frozenset(entity["id"] for entity in related if entity.get("role") == role and entity.get("id"))
    return found or None


def _reference(doc: Document, href: str, kind: str) -> Document:
    reference = {"id": doc["id"], "href": href, "@referredType": kind}
    return reference | ({"name": doc["name"]} if doc.get("name") else {})


# --- TMF649 ---


def threshold_job(
    job: Document, threshold: Document | None, rules: Sequence[tuple[Document, int]], revision: str, href: str
) -> list[Watch]:
    """The watches of an unlocked threshold job: one per KPI that its rules name. Raises Unreadable.

    A rule raises, or clears if its condition is `Clear` or its severity CLEARED; without a clearing rule a crossing is
    over when no raising rule holds any more.
    """
    if threshold is None:
        raise Unreadable("performanceThreshold: no such Threshold")
    window_s = granularity_s(job["granularity"])
    if not window_s:
        raise Unreadable("granularity: a period such as G_5MN or PT5M is required")
    missing = len(threshold["thresholdRule"]) - len(rules)
    if missing:
        raise Unreadable(f"thresholdRule: {missing} of its rules do not exist")
    scope = _scope(job.get("monitoredObjectsCriteria") or [])
    revision = " ".join([revision, *(str(number) for _, number in rules)])
    by_kpi: dict[str, list[tuple[Document, Condition]]] = {}
    for rule, _ in rules:
        measured = rule.get("measurement") or {}
        kpi = measured.get("name") or measured.get("id")
        if not kpi:
            raise Unreadable(f"measurement: rule {rule['id']} names no KPI")
        by_kpi.setdefault(kpi, []).append((rule, condition(rule)))
    return [_crossing(job, threshold, kpi, found, window_s, scope, revision, href) for kpi, found in by_kpi.items()]


def _crossing(
    job: Document,
    threshold: Document,
    kpi: str,
    rules: list[tuple[Document, Condition]],
    window_s: int,
    scope: tuple[tuple[frozenset[str] | None, frozenset[str] | None], ...],
    revision: str,
    href: str,
) -> Watch:
    clearing = [asked for rule, asked in rules if _clears(rule)]
    raising = [asked for rule, asked in rules if not _clears(rule)]
    if not raising:
        raise Unreadable(f"thresholdRule: no rule raises on {kpi}")

    def judge(seen: Windows, violated_before: Flags) -> Judgement:
        raised, over = np.zeros(len(seen.value), np.bool_), np.ones(len(seen.value), np.bool_)
        for asked in raising:
            holds, certain = met(asked, seen.value)
            raised |= holds & certain
            over &= ~holds & certain
        if clearing:
            over = np.zeros(len(seen.value), np.bool_)
            for asked in clearing:
                holds, certain = met(asked, seen.value)
                over |= holds & certain
        bad = np.zeros(seen.value.shape, np.bool_)
        for at in range(seen.value.shape[1]):
            for asked in raising:
                bad[:, at] |= met(Condition(asked.any_of), seen.value[:, at : at + 1])[0]
        return Judgement(raised | (violated_before & ~over), ~raised & over, bad)

    first = raising[0].any_of[0][0]
    actions = [c.get("prescribedAction") for rule, _ in rules for c in rule.get("consequence") or []]
    return Watch(
        id=job["id"],
        revision=revision,
        kind="Threshold",
        reference=_reference(threshold, href, "Threshold"),
        kpi=kpi,
        scope=scope,
        policy=Policy(window_s),
        windows=max(asked.of for asked in raising + clearing),
        operator=_NEGATED[first.relation],
        limit=first.limit,
        consequence=next((action for action in actions if action), None),
        judge=judge,
    )


def _clears(rule: Document) -> bool:
    return str(rule["condition"]).strip().lower() == "clear" or str(rule["severity"]).upper() == "CLEARED"


def condition(rule: Document) -> Condition:
    """The condition of a rule: its text, or where that is only Raise or Clear the bounds of a SimpleThresholdRule.

    Bounds that make a band (GT lower, LT upper) hold together, others (LT lower, GT upper) each alone; gracePeriods
    more periods must hold as well.
    """
    text = str(rule["condition"]).strip()
    if text.lower() in ("raise", "clear"):
        bounds = []
        for side in ("Lower", "Upper"):
            relation, limit = rule.get(f"conformanceComparator{side}"), rule.get(f"conformanceTarget{side}")
            if relation is not None and limit is not None:
                bounds.append((str(relation).upper(), limit))
        band = len(bounds) == 2 and bounds[0][0] in ("GT", "GE") and bounds[1][0] in ("LT", "LE")
        text = (" and " if band else " or ").join(f"value {relation} {limit}" for relation, limit in bounds)
        text += f" for {rule['gracePeriods'] + 1}" if rule.get("gracePeriods") else ""
    found = parse(text)
    if not isinstance(found, Condition):
        raise Unreadable(f"condition: rule {rule['id']}: {found.reason} at character {found.position}")
    if found.of > MAX_WINDOWS:
        raise Unreadable(f"condition: rule {rule['id']}: at most {MAX_WINDOWS} samples")
    return found


_FILTERED = {"resource": 1, "resource.id": 1, "nodeName": 1, "service": 0, "service.id": 0}


def _scope(criteria: Iterable[Document]) -> tuple[tuple[frozenset[str] | None, frozenset[str] | None], ...]:
    """What monitoredObjectFilter means: `service=video&resource=cell-017,cell-018`; several are alternatives."""
    found: list[tuple[frozenset[str] | None, frozenset[str] | None]] = []
    for one in criteria:
        wanted: list[frozenset[str] | None] = [None, None]
        for part in filter(None, str(one.get("monitoredObjectFilter") or "").split("&")):
            name, _, value = part.partition("=")
            if name.strip() not in _FILTERED or not value:
                raise Unreadable(f"monitoredObjectFilter: {part!r} is not understood; name=value of service, resource")
            wanted[_FILTERED[name.strip()]] = frozenset(v.strip() for v in value.split(","))
        found.append((wanted[0], wanted[1]))
    return tuple(found) or ((None, None),)
