"""The experience score as a document: who, which service, how it felt, what took how much, and why. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from experience_management.domain.assessment import Assessment
from tmfkit.types import Document
from tmfkit.write import rfc3339

INTERVAL_LEVEL = 0.95
_IDS = uuid.UUID("5d7c2f0e-6b0a-5c43-9f0d-2f6a8f1f7a11")
PASSING = frozenset({"computedAt", "observedWindow", "previousScore", "score", "contributions", "interval", "n"})
"""What changes with every window; of these only the score decides whether there is something new to tell."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The assessment of one place by one specification, for all who use one kind of service there."""

    assessment: Assessment
    specification: Document
    specification_href: str
    window_s: float


def score_id(subject_type: str, subject_id: str, service_id: str) -> str:
    """One score for each subject and service: the same pair has the same id in every database."""
    return str(uuid.uuid5(_IDS, f"{subject_type}\n{subject_id}\n{service_id}"))


def rounded(value: float) -> float:
    return round(value, 3)


def document(
    impact: Mapping[str, Any],
    verdict: Verdict,
    causes: Sequence[Mapping[str, Any]],
    old: Document | None,
    now: datetime,
) -> Document:
    """The score of one subject on one service. previousScore is the score it replaces, at first what was usual."""
    found, specification = verdict.assessment, verdict.specification
    end = found.observed_at or now
    reference = {"id": specification["id"], "href": verdict.specification_href, "name": specification["name"]}
    doc: Document = {
        "id": score_id(impact["subject_type"], impact["subject_id"], impact["service_id"]),
        "@type": "ExperienceScore",
        "subject": _subject(impact),
        "service": _present({"id": impact["service_id"], "href": impact["service_href"], "@referredType": "Service"}),
        "indexSpecification": {**reference, "version": specification["version"]}
        | {"@referredType": "ExperienceIndexSpecification"},
        "band": found.band or "notEnoughData",
        "coverage": rounded(found.coverage),
        "n": found.n,
        "observedWindow": {
            "startDateTime": rfc3339(end - timedelta(seconds=verdict.window_s)),
            "endDateTime": rfc3339(end),
        },
        "cause": [_present({"id": c["id"], "href": c["href"], "@referredType": "ServiceProblem"}) for c in causes],
        "computedAt": rfc3339(now),
    }
    owners = orjson.loads(impact["owners"])
    if owners:
        doc["relatedParty"] = owners
    before = found.usual if old is None else old.get("score", old.get("previousScore"))
    if before is not None:
        doc["previousScore"] = rounded(before)
    if found.score is not None:
        doc |= _judgement(found, found.score)
    if found.opinion is not None and impact["subject_type"] == "person":
        doc["opinionScore"] = rounded(found.opinion)
    return doc


def _subject(impact: Mapping[str, Any]) -> Document:
    return _present(
        {
            "id": impact["subject_id"],
            "href": impact["subject_href"],
            "name": impact["subject_name"],
            "@referredType": impact["referred_type"],
            "subjectType": impact["subject_type"],
            "role": impact["role"],
        }
    )


def _judgement(found: Assessment, score: float) -> Document:
    doc: Document = {
        "score": rounded(score),
        "contributions": [
            {
                "kqi": part.kqi,
                "score": rounded(part.score),
                "weight": rounded(part.weight),
                "loss": rounded(part.lost),
                "value": round(part.value, 6),
                "unit": part.unit,
                "sampleCount": part.n,
            }
            for part in found.parts
        ],
    }
    if found.interval is not None:
        low, high = rounded(found.interval.low), rounded(found.interval.high)
        doc["interval"] = {"low": low, "high": high, "level": INTERVAL_LEVEL}
    return doc


def _present(values: Mapping[str, Any]) -> Document:
    return {name: value for name, value in values.items() if value is not None}


def worth_telling(old: Document, new: Document, change_min: float) -> bool:
    """Whether a new score says more than the passing of time: the score moved by at least `change_min` points, came or
    went, or its band, causes, index or evidence base changed."""
    before, after = old.get("score"), new.get("score")
    if (before is None) is not (after is None):
        return True
    if before is not None and after is not None and before != after and abs(after - before) >= change_min:
        return True
    stable = (old.keys() | new.keys()) - PASSING - {"id", "opinionScore", "subject", "service"}
    return any(old.get(name) != new.get(name) for name in stable)
