"""The served numbers are scikit-learn's, the contributions add up, and the unknown is neutral but less certain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from scipy.interpolate import BSpline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

from churn_prediction.domain import fitting, spline
from churn_prediction.domain.features import Feature, Group, Kind, Record, Specification, frame, labelled
from churn_prediction.domain.model import Model, probability

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def fitted(population: Any) -> Model:
    declared, records, _ = population
    known, churned = labelled(records)
    return fitting.fit(frame(declared, known), churned)


def test_our_spline_basis_is_scipys_and_constant_outside() -> None:
    rng = np.random.default_rng(1)
    knots = np.sort(rng.uniform(0.0, 10.0, 12))
    for degree in (1, 2, 3):
        low, high = float(knots[degree]), float(knots[-degree - 1])
        inside = np.r_[low, rng.uniform(low, high, 200), knots[degree : -degree - 1], high]
        expected = BSpline(knots, np.eye(len(knots) - degree - 1), degree)(inside)
        assert np.allclose(spline.basis(inside, knots, degree), expected, atol=1e-12)
        outside = spline.basis(np.array([low - 5.0, high + 5.0]), knots, degree)
        assert np.allclose(outside, spline.basis(np.array([low, high]), knots, degree))


def test_quantile_knots_are_strictly_increasing_whatever_the_ties() -> None:
    assert spline.quantile_knots(np.array([0.0] * 90 + [1.0] * 10), 6).tolist() == [0.0, 1.0]
    assert spline.quantile_knots(np.array([np.nan, np.nan]), 6).size == 0
    assert spline.quantile_knots(np.array([4.0, 4.0, np.nan]), 6).tolist() == [4.0]


def test_probabilities_equal_scikit_learns_on_customers_it_has_not_seen(generate: Callable[..., Any]) -> None:
    declared, records, _ = generate(3000, 11)
    known, churned = labelled(records)
    train = frame(declared, known)
    learnt = fitting.blocks(train)
    pipeline = fitting.estimator(learnt).fit(fitting.inputs(learnt, train), churned)
    model = Model.of(json.loads(json.dumps(fitting.freeze(pipeline, learnt, train, churned).document())))
    fresh = frame(declared, generate(2000, 12)[1])
    theirs = pipeline.predict_proba(fitting.inputs(learnt, fresh))[:, 1]
    assert np.abs(model.score(fresh).probability - theirs).max() < 1e-9


def test_the_design_is_scikit_learns_encoding_of_the_raw_values(population: Any, fitted: Model) -> None:
    declared, records, _ = population
    table = frame(declared, records[:500])
    design, names = fitted.design(table), fitted.column_names()
    contract = [i for i, name in enumerate(names) if name.startswith("contract=")]
    encoder = OneHotEncoder(sparse_output=False).fit(table.columns["contract"][:, None])
    assert [names[i].removeprefix("contract=") for i in contract] == encoder.categories_[0].tolist()
    assert np.array_equal(design[:, contract], encoder.transform(table.columns["contract"][:, None]))
    charge = np.array([record["features"]["monthly_charge"] for record in records], dtype=np.float64)
    knots = np.quantile(charge, np.linspace(0.0, 1.0, fitting.KNOTS))[:, None]
    bend = SplineTransformer(degree=fitting.DEGREE, knots=knots).fit(charge[:, None])
    columns = [i for i, name in enumerate(names) if name.startswith("monthly_charge[")]
    assert np.allclose(design[:, columns], bend.transform(charge[:500, None]), atol=1e-12)


def test_contributions_add_up_to_the_log_odds_and_average_to_nothing(population: Any, fitted: Model) -> None:
    declared, records, _ = population
    table = frame(declared, records)
    scores = fitted.score(table)
    total = fitted.intercept + fitted.design(table) @ np.concatenate([b.coefficients for b in fitted.blocks])
    assert np.allclose(scores.average_log_odds + scores.contributions.sum(axis=1), total, atol=1e-12)
    assert np.abs(scores.contributions.mean(axis=0)).max() < 1e-12
    assert float(scores.probability.mean()) == pytest.approx(fitted.base_rate, abs=1e-6)


def test_contributions_are_the_true_effects_of_the_generator(population: Any, fitted: Model) -> None:
    declared, records, truth = population
    contributions = fitted.score(frame(declared, records)).contributions
    for i, name in enumerate(declared.names):
        true = truth[name] - truth[name].mean()
        assert float(np.sqrt(np.mean((contributions[:, i] - true) ** 2))) < 0.2, name
        if name != "handset":
            assert float(np.corrcoef(contributions[:, i], true)[0, 1]) > 0.85, name
    assert np.abs(contributions[:, declared.names.index("handset")]).max() < 0.2
    assert np.abs(contributions[:, declared.names.index("contract")]).max() > 1.0


def test_the_missing_indicator_learns_what_missing_means(population: Any, fitted: Model) -> None:
    declared, records, truth = population
    table = frame(declared, records)
    absent = np.isnan(table.columns["latency_ms"])
    learnt = float(fitted.score(table).contributions[absent, declared.names.index("latency_ms")][0])
    assert learnt == pytest.approx(0.3 - truth["latency_ms"].mean(), abs=0.25)


def test_values_training_never_saw_are_neutral_flagged_and_widen_the_interval(population: Any, fitted: Model) -> None:
    declared, records, _ = population
    known = records[0]
    changed = {**known["features"], "contract": "ten years", "tenure_months": None}
    unseen = Record(id="new", as_of=AS_OF, features=changed)
    scores = fitted.score(frame(declared, [known, unseen]))
    for name in ("contract", "tenure_months"):
        column = declared.names.index(name)
        assert scores.contributions[1, column] == pytest.approx(0.0, abs=1e-12)
        assert scores.unknown[:, column].tolist() == [False, True]
    assert scores.standard_error[1] > 2.0 * scores.standard_error[0]


def test_rare_categories_are_learnt_together_as_unseen() -> None:
    declared = Specification((Feature("plan", Kind.CATEGORICAL, Group.PRICE, "crm"),))
    plans = ["a"] * 300 + [f"rare-{i}" for i in range(60)]
    records = [Record(id=str(i), as_of=AS_OF, features={"plan": plan}) for i, plan in enumerate(plans)]
    churned = np.array([i % 10 == 0 for i in range(300)] + [i % 2 == 0 for i in range(60)]).astype(np.int64)
    model = fitting.fit(frame(declared, records), churned)
    assert model.column_names() == ["plan=a", "plan?missing", "plan?unseen"]
    new = Record(id="n", as_of=AS_OF, features={"plan": "never met"})
    assert float(model.score(frame(declared, [new])).probability[0]) == pytest.approx(0.5, abs=0.06)


def test_a_feature_that_never_varies_contributes_nothing() -> None:
    declared = Specification(
        (
            Feature("constant", Kind.NUMERIC, Group.PRICE, "crm"),
            Feature("never_known", Kind.NUMERIC, Group.PRICE, "crm"),
            Feature("binary", Kind.NUMERIC, Group.PRICE, "crm"),
        )
    )
    rows = [{"constant": 4.0, "never_known": None, "binary": float(i % 2)} for i in range(400)]
    records = [Record(id=str(i), as_of=AS_OF, features=row) for i, row in enumerate(rows)]
    churned = np.array([i % 2 == 1 and i % 3 != 0 for i in range(400)]).astype(np.int64)
    scores = fitting.fit(frame(declared, records), churned).score(frame(declared, records))
    assert np.abs(scores.contributions[:, :2]).max() < 1e-9
    assert scores.contributions[1, 2] > 1.0 > -1.0 > scores.contributions[0, 2]


def test_the_interval_of_the_log_odds_covers_the_truth_as_often_as_it_says(generate: Callable[..., Any]) -> None:
    covered, total = 0, 0
    for seed in range(20, 26):
        declared, records, truth = generate(1500, seed)
        known, churned = labelled(records)
        scores = fitting.fit(frame(declared, known), churned).score(frame(declared, known))
        true = -1.2 + np.sum(list(truth.values()), axis=0)
        covered += int((np.abs(scores.log_odds - true) < 1.96 * scores.standard_error).sum())
        total += len(known)
    assert 0.90 < covered / total < 0.99


def test_5000_customers_are_scored_at_once_as_one_by_one(population: Any, fitted: Model) -> None:
    declared, records, _ = population
    scores = fitted.score(frame(declared, records[:5000])).log_odds
    assert len(scores) == 5000
    alone = [fitted.score(frame(declared, [record])).log_odds[0] for record in records[:20]]
    assert scores[:20].tolist() == pytest.approx(alone, abs=1e-9)


def test_a_frame_of_another_specification_and_a_foreign_document_are_refused(fitted: Model) -> None:
    other = Specification((Feature("plan", Kind.CATEGORICAL, Group.PRICE, "crm"),))
    with pytest.raises(ValueError, match="another feature specification"):
        fitted.score(frame(other, [Record(id="1", as_of=AS_OF, features={"plan": "a"})]))
    with pytest.raises(ValueError, match="not a spline-logistic/1 document"):
        Model.of({"format": "pickle"})


def test_the_logistic_function_does_not_overflow() -> None:
    assert probability(np.array([-800.0, 0.0, 800.0])).tolist() == [0.0, 0.5, 1.0]


def test_serving_needs_numpy_alone() -> None:
    code = (
        "import sys, churn_prediction.domain.risk, churn_prediction.domain.retention\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('sklearn', 'scipy', 'pandas')])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
