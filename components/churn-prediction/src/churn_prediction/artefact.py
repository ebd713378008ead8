"""Trained models as they are kept: a JSON document under its own sha256, one of them active."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from churn_prediction.domain.predictor import Predictor
from tmfkit import Transaction

CACHED = 4
_predictors: dict[str, Predictor] = {}  # by content, so it may serve any database


@dataclass(frozen=True)
class Active:
    """The model in service, and the id of its AiModel."""

    version: str
    predictor: Predictor
    model_id: str
    horizon_days: int
    covers_all: bool


def canonical(document: Any) -> str:
    """The JSON text whose sha256 domain.fingerprint takes: the version of a model can be checked by anybody."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


async def active(tx: Transaction) -> Active | None:
    """The model in service; None before the first training."""
    row = await tx.fetchrow("SELECT version, model_id, horizon_days, covers_all FROM artefact WHERE active")
    if row is None:
        return None
    predictor = _predictors.get(row["version"])
    if predictor is None:
        text = await tx.fetchval("SELECT document FROM artefact WHERE version = $1", row["version"])
        while len(_predictors) >= CACHED:
            del _predictors[next(iter(_predictors))]
        predictor = _predictors[row["version"]] = Predictor.of(orjson.loads(text))
    return Active(row["version"], predictor, row["model_id"], row["horizon_days"], row["covers_all"])


async def activate(
    tx: Transaction, predictor: Predictor, card: dict[str, Any], model_id: str, horizon_days: int, at: datetime
) -> None:
    """Keep the model if it is new, and put it into service in the place of the one that was."""
    await tx.execute("UPDATE artefact SET active = false WHERE active AND version <> $1", predictor.version)
    await tx.execute(
        "INSERT INTO artefact (version, document, card, model_id, horizon_days, active, covers_all, created_at)"
        " VALUES ($1, $2, $3, $4, $5, true, false, $6)"
        " ON CONFLICT (version) DO UPDATE SET active = true, covers_all = false",
        predictor.version, canonical(predictor.document()), canonical(card), model_id, horizon_days, at,
    )  # fmt: skip
