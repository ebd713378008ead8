"""What is served: the model and its calibrator together, under one version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from churn_prediction.domain.calibration import Calibration
from churn_prediction.domain.features import Floats, Frame, Specification
from churn_prediction.domain.fingerprint import fingerprint
from churn_prediction.domain.intervals import Z
from churn_prediction.domain.model import Model, Scores


@dataclass(frozen=True, slots=True)
class Prediction:
    """Calibrated probabilities of a frame with 95 % intervals, each (n,), and the scores they come from.

    The interval is of the parameters (delta method on the log-odds, mapped through the calibrator): how sure the model
    is of the churn rate among customers like this one, not of what this one will do.
    """

    probability: Floats
    low: Floats
    high: Floats
    scores: Scores


@dataclass(frozen=True)
class Predictor:
    model: Model
    calibration: Calibration

    @property
    def specification(self) -> Specification:
        return self.model.specification

    @property
    def base_rate(self) -> float:
        """Churn rate of the population the probabilities speak of."""
        return self.calibration.population_rate

    @cached_property
    def version(self) -> str:
        """sha256 over every number that a prediction depends on."""
        return fingerprint(self.document())

    def predict(self, frame: Frame) -> Prediction:
        scores = self.model.score(frame)
        half = Z * scores.standard_error
        ends = (
            self.calibration.probability(scores.log_odds - half),
            self.calibration.probability(scores.log_odds + half),
        )
        return Prediction(self.calibration.probability(scores.log_odds), np.minimum(*ends), np.maximum(*ends), scores)

    def document(self) -> dict[str, Any]:
        return {"model": self.model.document(), "calibration": self.calibration.document()}

    @staticmethod
    def of(document: Mapping[str, Any]) -> Predictor:
        return Predictor(Model.of(document["model"]), Calibration.of(document["calibration"]))
