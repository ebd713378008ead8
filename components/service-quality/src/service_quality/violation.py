"""ServiceLevelViolation documents: what a watch found in the windows of one series. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from service_quality.domain.slo import Windows
from service_quality.watches import Judgement, Watch
from tmfkit.write import rfc3339

Document = dict[str, Any]
EVIDENCE_WINDOWS = 12


def instant_at(windows: Windows, window: int) -> datetime:
    """Where a window begins (the one after the last: where it ends)."""
    return datetime.fromtimestamp(windows.start_s + window * windows.window_s, UTC)


def began(windows: Windows, bad: np.ndarray[Any, np.dtype[np.bool_]]) -> datetime:
    """The beginning of the first bad window; of the last window if none is bad."""
    found = np.flatnonzero(bad)
    return instant_at(windows, int(found[0]) if len(found) else len(bad) - 1)


def opened(
    watch: Watch, service: str, resource: str, unit: str, seen: Windows, judged: Judgement, row: int, now: datetime
) -> Document:
    """A new violation; `row` is the series in `seen` and `judged`, `now` the clock's instant of writing."""
    bad = np.flatnonzero(judged.bad[row])
    known = np.flatnonzero(~np.isnan(seen.value[row]))
    actual = float(seen.value[row, bad[-1] if len(bad) else known[-1]])
    ends = instant_at(seen, seen.value.shape[1])
    relation = "" if watch.conformance_target is None else f" in {watch.conformance_target:.0%} of windows"
    violation: Document = {
        "parameterName": watch.kpi,
        "operator": str(watch.operator),
        "referenceValue": watch.limit,
        "actualValue": actual,
        "unit": unit,
        "comment": f"{len(bad)} of {len(known)} windows of {seen.window_s} s did not conform",
    }
    optional = {
        "tolerance": watch.tolerance,
        "conformanceTarget": watch.conformance_target,
        "conformanceRatio": _ratio(judged, row),
        "consequence": watch.consequence,
    }
    violation |= {name: value for name, value in optional.items() if value is not None}
    doc: Document = {
        "@type": "ServiceLevelViolation",
        "name": f"{watch.kpi} of {service} at {resource}",
        "description": f"{actual:g} {unit} where {watch.operator} {watch.limit:g} {unit}{relation} is promised",
        "state": "open",
        "serviceLevelObjective": watch.reference,
        "affectedService": {"id": service, "@referredType": "ServiceSpecification"},
        "violation": violation,
        "period": {"startDateTime": rfc3339(began(seen, judged.bad[row])), "endDateTime": rfc3339(ends)},
        "raisedTime": rfc3339(ends),
        "lastUpdate": rfc3339(now),
        "evidence": evidence(watch.kpi, unit, seen, row),
        "relatedEntity": [
            {"role": "resource", "entity": {"id": resource, "@type": "EntityRef", "@referredType": "Resource"}}
        ],
    }
    return doc | ({"serviceLevelSpecification": watch.specification} if watch.specification else {})


def cleared(doc: Document, seen: Windows, judged: Judgement, row: int, now: datetime) -> Document:
    """A violation that is over: the objective is met again at the end of the last window."""
    bad = np.flatnonzero(judged.bad[row])
    over = instant_at(seen, int(bad[-1]) + 1 if len(bad) else 0)
    violation = dict(doc["violation"])
    if (ratio := _ratio(judged, row)) is not None:
        violation["conformanceRatio"] = ratio
    at = rfc3339(instant_at(seen, seen.value.shape[1]))
    period = {**doc["period"], "endDateTime": max(rfc3339(over), doc["period"]["endDateTime"])}
    return {**_closed(doc, at, now), "violation": violation, "period": period}


def withdrawn(doc: Document, at: datetime, now: datetime) -> Document:
    """A violation whose objective or threshold job is no longer in force."""
    violation = {**doc["violation"], "comment": "what was promised is no longer in force"}
    return {**_closed(doc, rfc3339(at), now), "violation": violation}


def _closed(doc: Document, at: str, now: datetime) -> Document:
    return {**doc, "state": "cleared", "clearedTime": at, "lastUpdate": rfc3339(now)}


def _ratio(judged: Judgement, row: int) -> float | None:
    if judged.conformance_ratio is None or np.isnan(judged.conformance_ratio[row]):
        return None
    return float(judged.conformance_ratio[row])


def evidence(kpi: str, unit: str, seen: Windows, row: int) -> list[Document]:
    """The last windows of a series that have data, oldest first."""
    total = seen.value.shape[1]
    return [
        {
            "name": kpi,
            "value": float(seen.value[row, at]),
            "unit": unit,
            "sampleCount": int(seen.count[row, at]),
            "period": {
                "startDateTime": rfc3339(instant_at(seen, at)),
                "endDateTime": rfc3339(instant_at(seen, at + 1)),
            },
        }
        for at in range(max(0, total - EVIDENCE_WINDOWS), total)
        if seen.count[row, at]
    ]
