"""The churn model as plain numbers: an additive spline logistic regression, scored and explained in numpy alone.

log-odds = average + sum of one contribution per feature, exactly. The fitted model is a JSON document (no pickle), so
that what serves needs neither scikit-learn nor trust in a binary. `fitting` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churn_prediction.domain import spline
from churn_prediction.domain.features import (
    Feature,
    Floats,
    Frame,
    Integers,
    Kind,
    Specification,
    specification,
)

FORMAT = "spline-logistic/1"


@dataclass(frozen=True, slots=True)
class Block:
    """The design columns of one feature, with their coefficients and their means in training, shape (width,).

    Numeric: spline basis, then a missing indicator (the basis is zero for a missing value). Categorical: one column per
    known category, then missing, then unseen (which is also where categories too rare to learn were put).
    """

    feature: Feature
    knots: Floats
    degree: int
    categories: tuple[str, ...]
    coefficients: Floats
    means: Floats

    @property
    def missing(self) -> int:
        return len(self.means) - (1 if self.feature.kind is Kind.NUMERIC else 2)

    def codes(self, column: NDArray[Any]) -> Integers:
        """Position of each categorical value among this block's columns, shape (n,)."""
        known: dict[str | None, int] = {value: i for i, value in enumerate(self.categories)}
        known[None] = self.missing
        unseen = self.missing + 1
        return np.array([known.get(value, unseen) for value in column.tolist()], dtype=np.int64)

    def fill(self, matrix: Floats, column: NDArray[Any]) -> None:
        """Write the design columns of this feature into a zero matrix of shape (n, width)."""
        if self.feature.kind is Kind.CATEGORICAL:
            matrix[np.arange(len(column)), self.codes(column)] = 1.0
            return
        absent = np.isnan(column)
        matrix[:, self.missing] = absent
        if self.missing:
            matrix[~absent, : self.missing] = spline.basis(column[~absent], self.knots, self.degree)

    def column_names(self) -> list[str]:
        name = self.feature.name
        if self.feature.kind is Kind.NUMERIC:
            return [f"{name}[{i}]" for i in range(self.missing)] + [f"{name}?missing"]
        return [f"{name}={value}" for value in self.categories] + [f"{name}?missing", f"{name}?unseen"]

    def document(self) -> dict[str, Any]:
        return {
            "feature": Specification((self.feature,)).document()[0],
            "knots": self.knots.tolist(),
            "degree": self.degree,
            "categories": list(self.categories),
            "coefficients": self.coefficients.tolist(),
            "means": self.means.tolist(),
        }


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a frame. n customers, F features.

    log_odds and standard_error (n,); contributions (n, F), log-odds relative to the training mean, so that
    log_odds = average_log_odds + contributions.sum(axis=1); unknown (n, F): value missing, or a category never learnt.
    """

    log_odds: Floats
    standard_error: Floats
    contributions: Floats
    unknown: NDArray[np.bool_]
    average_log_odds: float

    @property
    def probability(self) -> Floats:
        return probability(self.log_odds)


def probability(log_odds: Floats) -> Floats:
    """Logistic function without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -log_odds)))


@dataclass(frozen=True)
class Model:
    """Fitted model. `covariance` is of (intercept, every coefficient in block order), shape (P + 1, P + 1):
    the inverse of the penalised information at the optimum (Laplace approximation of the posterior).
    """

    blocks: tuple[Block, ...]
    intercept: float
    covariance: Floats
    inverse_penalty: float
    n: int
    churners: int

    @cached_property
    def specification(self) -> Specification:
        return Specification(tuple(block.feature for block in self.blocks))

    @cached_property
    def average_log_odds(self) -> float:
        """Mean log-odds over the training rows: where the contributions start from."""
        return self.intercept + float(sum(block.coefficients @ block.means for block in self.blocks))

    @cached_property
    def _parts(self) -> tuple[slice, ...]:
        ends = np.cumsum([len(block.means) for block in self.blocks]).tolist()
        return tuple(slice(end - len(block.means), end) for end, block in zip(ends, self.blocks, strict=True))

    @property
    def base_rate(self) -> float:
        return self.churners / self.n

    def design(self, frame: Frame) -> Floats:
        """Design matrix, shape (n, P), columns named by `column_names`."""
        if frame.specification.features != self.specification.features:
            raise ValueError("the frame was made for another feature specification than the model")
        matrix = np.zeros((len(frame), sum(len(block.means) for block in self.blocks)))
        for block, part in zip(self.blocks, self._parts, strict=True):
            block.fill(matrix[:, part], frame.columns[block.feature.name])
        return matrix

    def column_names(self) -> list[str]:
        return [name for block in self.blocks for name in block.column_names()]

    def score(self, frame: Frame) -> Scores:
        """Log-odds, its standard error by the delta method (x' V x), and the exact contribution of every feature."""
        matrix = self.design(frame)
        contributions = np.empty((len(frame), len(self.blocks)))
        unknown = np.empty((len(frame), len(self.blocks)), dtype=np.bool_)
        for i, (block, part) in enumerate(zip(self.blocks, self._parts, strict=True)):
            columns = matrix[:, part]
            contributions[:, i] = columns @ block.coefficients - block.coefficients @ block.means
            unknown[:, i] = columns[:, block.missing :].any(axis=1)
        total = self.average_log_odds + contributions.sum(axis=1)
        variance = self.covariance[0, 0] + 2.0 * (matrix @ self.covariance[1:, 0])
        variance += np.einsum("ij,ij->i", matrix @ self.covariance[1:, 1:], matrix)
        return Scores(total, np.sqrt(np.maximum(variance, 0.0)), contributions, unknown, self.average_log_odds)

    def document(self) -> dict[str, Any]:
        """The whole model as JSON-able data; `of` reads it back to the same numbers."""
        return {
            "format": FORMAT,
            "blocks": [block.document() for block in self.blocks],
            "intercept": self.intercept,
            "covariance": self.covariance.tolist(),
            "inversePenalty": self.inverse_penalty,
            "n": self.n,
            "churners": self.churners,
        }

    @staticmethod
    def of(document: Mapping[str, Any]) -> Model:
        if document.get("format") != FORMAT:
            raise ValueError(f"not a {FORMAT} document: format is {document.get('format')!r}")
        blocks = tuple(
            Block(
                specification([block["feature"]]).features[0],
                np.array(block["knots"], dtype=np.float64),
                int(block["degree"]),
                tuple(block["categories"]),
                np.array(block["coefficients"], dtype=np.float64),
                np.array(block["means"], dtype=np.float64),
            )
            for block in document["blocks"]
        )
        return Model(
            blocks,
            float(document["intercept"]),
            np.array(document["covariance"], dtype=np.float64),
            float(document["inversePenalty"]),
            int(document["n"]),
            int(document["churners"]),
        )
