"""Fits the churn model with scikit-learn and hands it over as plain numbers. Needed in training only.

Additive by choice: on public telecom sets a spline logistic ranks as well as boosted trees where there are no strong
interactions, is calibrated almost as it comes, and explains itself exactly. Hyper-parameters are fixed, not searched.
No resampling: it never helped the ranking and damages the calibration.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

from churn_prediction.domain import spline
from churn_prediction.domain.features import Feature, Floats, Frame, Integers, Kind
from churn_prediction.domain.model import Block, Model, probability

KNOTS = 6
DEGREE = 3
INVERSE_PENALTY = 1.0
RARE_COUNT = 10


def _empty(feature: Feature, column: Any) -> Block:
    """The block of a feature before its coefficients are known: knots or categories learnt from the column."""
    if feature.kind is Kind.NUMERIC:
        knots = spline.quantile_knots(column, KNOTS)
        degree = max(0, min(DEGREE, len(knots) - 1))
        width = len(knots) + degree if degree else 1
        return Block(feature, knots, degree, (), np.zeros(width), np.zeros(width))
    counts = Counter(value for value in column.tolist() if value is not None)
    kept = tuple(sorted(value for value, count in counts.items() if count >= RARE_COUNT))
    return Block(feature, np.empty(0), 0, kept, np.zeros(len(kept) + 2), np.zeros(len(kept) + 2))


def _encoder(block: Block) -> Any:
    if block.feature.kind is Kind.CATEGORICAL:
        return OneHotEncoder(categories=[np.arange(len(block.means), dtype=np.float64)], sparse_output=False)
    absent = MissingIndicator(features="all")
    if not block.missing:
        return absent
    bend = SplineTransformer(degree=block.degree, knots=block.knots[:, None], handle_missing="zeros")
    return make_union(bend, absent)


def blocks(frame: Frame) -> tuple[Block, ...]:
    """What is learnt of each feature without the labels; categories with fewer than RARE_COUNT rows are left out."""
    return tuple(_empty(feature, frame.columns[feature.name]) for feature in frame.specification.features)


def inputs(learnt: tuple[Block, ...], frame: Frame) -> Floats:
    """The frame as scikit-learn takes it: numbers with NaN, categories as their codes, shape (n, F)."""
    columns = [
        frame.columns[b.feature.name] if b.feature.kind is Kind.NUMERIC else b.codes(frame.columns[b.feature.name])
        for b in learnt
    ]
    return np.column_stack(columns).astype(np.float64)


def estimator(learnt: tuple[Block, ...]) -> Pipeline:
    """The unfitted scikit-learn pipeline: splines and indicators, one-hot, L2 logistic regression."""
    encoders = [(f"{i}", _encoder(block), [i]) for i, block in enumerate(learnt)]
    logistic = LogisticRegression(C=INVERSE_PENALTY, solver="newton-cholesky", tol=1e-8, max_iter=200)
    return make_pipeline(ColumnTransformer(encoders), logistic)


def _covariance(matrix: Floats, p: Floats) -> Floats:
    """(X'WX + I/C)^-1 with the intercept unpenalised, X with a leading column of ones."""
    full = np.hstack([np.ones((len(matrix), 1)), matrix])
    information = full.T @ (full * (p * (1.0 - p))[:, None])
    information[np.diag_indices_from(information)] += np.r_[0.0, np.full(matrix.shape[1], 1.0 / INVERSE_PENALTY)]
    return np.asarray(np.linalg.inv(information))


def _neutral(coefficients: Floats, means: Floats, indicators: int) -> Floats:
    """Coefficients with every indicator that training never saw set so that it contributes nothing.

    Left at zero it would score an unknown customer as an arbitrary reference, not as the average one.
    """
    settled = coefficients.copy()
    untrained = means == 0.0
    untrained[:-indicators] = False
    settled[untrained] = coefficients[~untrained] @ means[~untrained]
    return settled


def freeze(fitted: Pipeline, learnt: tuple[Block, ...], frame: Frame, churned: Integers) -> Model:
    """The fitted pipeline as a Model. Equal to its predict_proba wherever training saw the indicators involved."""
    logistic: LogisticRegression = fitted[-1]
    matrix = np.asarray(fitted[:-1].transform(inputs(learnt, frame)), dtype=np.float64)
    coefficients, means = logistic.coef_[0], matrix.mean(axis=0)
    covariance = _covariance(matrix, probability(matrix @ coefficients + logistic.intercept_[0]))
    frozen, start = [], 0
    for i, block in enumerate(learnt):
        part = slice(start, start + len(block.means))
        knots = block.knots
        if block.feature.kind is Kind.NUMERIC and block.missing:
            union = fitted[0].named_transformers_[f"{i}"]
            knots = np.asarray(union.transformer_list[0][1].bsplines_[0].t, dtype=np.float64)
        settled = _neutral(coefficients[part], means[part], 1 if block.feature.kind is Kind.NUMERIC else 2)
        frozen.append(Block(block.feature, knots, block.degree, block.categories, settled, means[part].copy()))
        start = part.stop
    return Model(
        tuple(frozen), float(logistic.intercept_[0]), covariance, INVERSE_PENALTY, len(frame), int(churned.sum())
    )


def fit(frame: Frame, churned: Integers) -> Model:
    """Fit on these rows alone: knots, categories, coefficients and covariance. Both outcomes must occur."""
    learnt = blocks(frame)
    return freeze(estimator(learnt).fit(inputs(learnt, frame), churned), learnt, frame, churned)
