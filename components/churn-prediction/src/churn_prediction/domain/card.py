"""The model card: what the model was made of, how it was judged, and where it must not be trusted. A plain dict."""

from __future__ import annotations

from typing import Any

import numpy as np

from churn_prediction.domain import fitting
from churn_prediction.domain.calibration import Choice, expected_calibration_error, reliability
from churn_prediction.domain.evaluation import Evaluation
from churn_prediction.domain.features import Frame, Integers, Kind, Record
from churn_prediction.domain.fingerprint import fingerprint
from churn_prediction.domain.intervals import wilson
from churn_prediction.domain.model import probability
from churn_prediction.domain.predictor import Predictor
from churn_prediction.domain.validation import FOLDS, INNER_FOLDS, CrossValidation

CARD_FORMAT = "churn-model-card/1"


def data_fingerprint(frame: Frame, churned: Integers) -> str:
    """sha256 of the labelled rows, whatever their order."""
    names = frame.specification.names
    rows = [
        [frame.ids[i], frame.as_of[i].isoformat(), int(churned[i]), [frame.value(name, i) for name in names]]
        for i in range(len(frame))
    ]
    return fingerprint(sorted(rows, key=lambda row: (row[0], row[1])))


def _missing_share(frame: Frame, name: str, kind: Kind) -> float:
    column = frame.columns[name]
    if kind is Kind.NUMERIC:
        return float(np.isnan(column).mean())
    return sum(value is None for value in column.tolist()) / len(column)


def _limits(frame: Frame, known: list[Record], predictor: Predictor) -> list[str]:
    limits = [
        "Contributions and recommendations are associational: without a control group no effect of an offer is proven.",
        "Reasons explain the score; they are not the reasons a customer would state.",
        "Intervals of single predictions cover the uncertainty of the coefficients, not the outcome of one customer.",
        "Additive model: it does not see an effect that exists only in the combination of two features.",
    ]
    if len(set(frame.as_of)) == 1:
        limits.append("All rows are as of one time: no out-of-time test was possible, forward accuracy may be lower.")
    undated = sum(record.get("label_from") is None for record in known)
    if undated:
        limits.append(
            f"{undated} of {len(known)} rows do not date their label window: "
            "that no feature was written after the outcome could not be checked for them."
        )
    if predictor.base_rate != predictor.calibration.sample_rate:
        limits.append(
            "Probabilities are corrected to the population's base rate; list precision measured on the sample is not."
        )
    return limits


def card(
    predictor: Predictor,
    frame: Frame,
    churned: Integers,
    known: list[Record],
    validation: CrossValidation,
    evaluation: Evaluation,
    choice: Choice,
) -> dict[str, Any]:
    """Model card after Mitchell et al. (FAT* 2019), JSON-able. `known` are the labelled records behind the frame."""
    n, churners = len(churned), int(churned.sum())
    flagged = int(validation.flagged.sum())
    hits = int(churned[validation.flagged].sum())
    raw = reliability(churned, probability(validation.log_odds))
    served = reliability(churned, validation.probability)
    low, high = wilson(churners, n)
    alert_low, alert_high = wilson(hits, flagged)
    starts = sorted(start.isoformat() for record in known if (start := record.get("label_from")) is not None)
    return {
        "format": CARD_FORMAT,
        "modelVersion": predictor.version,
        "data": {
            "n": n,
            "customers": len(set(frame.ids)),
            "churners": churners,
            "baseRate": {"value": churners / n, "low": low, "high": high, "method": "Wilson"},
            "populationRate": predictor.base_rate,
            "period": {"from": min(frame.as_of).isoformat(), "to": max(frame.as_of).isoformat()},
            "labelWindowStarts": {"from": starts[0], "to": starts[-1]} if starts else None,
            "features": [
                declared | {"missingShare": _missing_share(frame, feature.name, feature.kind)}
                for declared, feature in zip(frame.specification.document(), frame.specification.features, strict=True)
            ],
        },
        "method": {
            "model": "spline logistic regression, L2, one-hot categories, indicators for missing and unseen",
            "knots": fitting.KNOTS,
            "degree": fitting.DEGREE,
            "inversePenalty": fitting.INVERSE_PENALTY,
            "rareCount": fitting.RARE_COUNT,
            "validation": f"stratified {FOLDS}-fold, {INNER_FOLDS} inner folds; rows of one customer and identical "
            "rows in one fold; no resampling; fixed hyper-parameters",
            "seed": validation.seed,
        },
        "metrics": evaluation.document(),
        "alert": {
            "rule": "threshold that reached 85 % precision on inner out-of-fold predictions",
            "flagged": flagged,
            "precision": {"value": hits / flagged, "low": alert_low, "high": alert_high, "method": "Wilson"}
            if flagged
            else {"value": None, "low": None, "high": None, "method": "nobody was flagged"},
            "recall": hits / churners,
        },
        "calibration": {
            "method": predictor.calibration.method,
            "crossFittedBrier": choice.brier,
            "outerFolds": list(validation.calibrators),
            "eceRaw": expected_calibration_error(raw),
            "eceServed": expected_calibration_error(served),
            "reliability": [
                {"n": b.n, "predicted": b.predicted, "observed": b.observed, "low": b.low, "high": b.high}
                for b in served
            ],
        },
        "limits": _limits(frame, known, predictor),
        "hashes": {
            "data": data_fingerprint(frame, churned),
            "features": fingerprint(frame.specification.document()),
            "coefficients": fingerprint(predictor.model.document()),
        },
    }
