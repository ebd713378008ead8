"""From labelled records to a model that may be served: guard, cross-validate, fit, calibrate, describe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from churn_prediction.domain import calibration, fitting, leakage
from churn_prediction.domain.card import card
from churn_prediction.domain.evaluation import Evaluation, evaluate
from churn_prediction.domain.features import Record, Specification, frame, labelled
from churn_prediction.domain.predictor import Predictor
from churn_prediction.domain.validation import CrossValidation, NotEnough, cross_validate

MINIMUM_OF_EACH = 50


@dataclass(frozen=True, slots=True)
class Training:
    """A trained model with everything that was found out about it."""

    predictor: Predictor
    card: dict[str, Any]
    evaluation: Evaluation
    validation: CrossValidation


def train(
    specification: Specification, records: Sequence[Record], seed: int, population_rate: float | None = None
) -> Training | NotEnough:
    """Train on the records whose outcome is known.

    Raises LeakageError naming every refused column. The served model is fitted on all rows, its calibrator on the outer
    out-of-fold predictions. population_rate: churn rate where the model will be used, if the rows were sampled.
    """
    known, churned = labelled(records)
    n, churners = len(known), int(churned.sum())
    if min(churners, n - churners) < MINIMUM_OF_EACH:
        why = f"at least {MINIMUM_OF_EACH} customers who left and as many who stayed are needed"
        return NotEnough(why, n, churners)
    rows = frame(specification, known)
    leakage.guard(rows, churned)
    validated = cross_validate(rows, churned, seed)
    if isinstance(validated, NotEnough):
        return validated
    choice = calibration.choose(validated.log_odds, churned, seed)
    rate = choice.calibration.sample_rate if population_rate is None else population_rate
    predictor = Predictor(fitting.fit(rows, churned), calibration.at_base_rate(choice.calibration, rate))
    evaluation = evaluate(churned, validated.probability, seed)
    described = card(predictor, rows, churned, known, validated, evaluation, choice)
    return Training(predictor, described, evaluation, validated)
