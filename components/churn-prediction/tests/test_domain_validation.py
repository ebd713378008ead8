"""Cross-validation that cannot be flattered by twins."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from churn_prediction.domain.evaluation import auc
from churn_prediction.domain.features import Floats, Integers, Record, frame, labelled
from churn_prediction.domain.training import Training
from churn_prediction.domain.validation import NotEnough, cross_validate, folds, groups


def _oversampled(records: list[Record]) -> list[Record]:
    """Churners four times, each copy under a new id: what random oversampling before the split does."""
    copies = [
        cast(Record, {**record, "id": f"{record['id']}-copy{k}"})
        for record in records
        if record["churned"]
        for k in (1, 2, 3)
    ]
    return [*records, *copies]


def _memory(keys: list[Any], churned: Integers, fold: Integers) -> Floats:
    """Predictions of a model that has only learnt its training rows by heart."""
    predicted = np.empty(len(keys))
    for k in np.unique(fold).tolist():
        seen: dict[Any, list[int]] = {}
        for i in np.flatnonzero(fold != k).tolist():
            seen.setdefault(keys[i], []).append(int(churned[i]))
        for i in np.flatnonzero(fold == k).tolist():
            predicted[i] = np.mean(seen[keys[i]]) if keys[i] in seen else 0.5
    return predicted


def test_folds_hold_the_same_share_of_churners(population: Any) -> None:
    declared, records, _ = population
    known, churned = labelled(records)
    fold = folds(groups(frame(declared, known)), churned, 5, seed=1)
    rates = [float(churned[fold == k].mean()) for k in range(5)]
    assert max(rates) - min(rates) < 0.002
    assert np.bincount(fold).max() - np.bincount(fold).min() <= 2


def test_oversampled_twins_share_a_fold_so_that_learning_by_heart_earns_nothing(population: Any) -> None:
    declared, records, _ = population
    known, churned = labelled(_oversampled(records[:1500]))
    table = frame(declared, known)
    keys = [tuple(table.value(name, i) for name in declared.names) for i in range(len(table))]
    naive = np.random.default_rng(0).integers(0, 5, len(table))
    flattered = auc(churned, _memory(keys, churned, naive)).value
    assert flattered is not None
    assert flattered > 0.95
    fold = folds(groups(table), churned, 5, seed=1)
    assert auc(churned, _memory(keys, churned, fold)).value == 0.5


def test_no_group_is_split_between_folds(population: Any) -> None:
    declared, records, _ = population
    known, churned = labelled(_oversampled(records[:1500]))
    group = groups(frame(declared, known))
    fold = folds(group, churned, 5, seed=3)
    assert len(np.unique(group)) == 1500
    assert len(np.unique(np.column_stack([group, fold]), axis=0)) == 1500


def test_rows_of_one_customer_are_one_group_through_any_chain_of_twins(population: Any) -> None:
    declared, records, _ = population
    first, second, third = records[:3]
    chain = [first, cast(Record, {**first, "id": "x"}), cast(Record, {**second, "id": "x"}), third]
    assert len(set(groups(frame(declared, chain))[:3].tolist())) == 1
    assert len(set(groups(frame(declared, chain)).tolist())) == 2


def test_missing_values_do_not_keep_twins_apart(population: Any) -> None:
    declared, records, _ = population
    without = next(record for record in records if record["features"]["latency_ms"] is None)
    assert len(set(groups(frame(declared, [without, cast(Record, {**without, "id": "twin"})])).tolist())) == 1


def test_out_of_fold_ranking_is_close_to_the_best_possible_and_the_probabilities_hold(
    population: Any, trained: Training
) -> None:
    _, records, truth = population
    _, churned = labelled(records)
    best = auc(churned, np.sum(list(truth.values()), axis=0)).value
    result = trained.validation
    assert np.array_equal(result.churned, churned)
    found = auc(churned, result.log_odds).value
    assert best is not None
    assert found is not None
    assert best - 0.01 < found <= best
    for low in (0.1, 0.3, 0.5, 0.7):
        inside = (result.probability >= low) & (result.probability < low + 0.1)
        assert float(churned[inside].mean()) == pytest.approx(float(result.probability[inside].mean()), abs=0.06)


def test_the_alert_threshold_is_learnt_inside_and_its_precision_is_near_the_aim(trained: Training) -> None:
    result = trained.validation
    assert 100 < int(result.flagged.sum()) < len(result.churned) // 3
    assert float(result.churned[result.flagged].mean()) == pytest.approx(0.85, abs=0.06)


def test_a_seed_repeats_the_split_and_another_seed_makes_another(population: Any) -> None:
    declared, records, _ = population
    known, churned = labelled(records)
    group = groups(frame(declared, known))
    assert np.array_equal(folds(group, churned, 5, seed=1), folds(group, churned, 5, seed=1))
    assert not np.array_equal(folds(group, churned, 5, seed=1), folds(group, churned, 5, seed=2))


def test_too_few_distinct_customers_are_not_enough_data(population: Any) -> None:
    declared, records, _ = population
    twins = [cast(Record, {**records[i % 3], "id": str(i), "churned": i % 3 == 0}) for i in range(300)]
    known, churned = labelled(twins)
    result = cross_validate(frame(declared, known), churned, seed=1)
    assert isinstance(result, NotEnough)
    assert (result.n, result.churners) == (300, 100)
    assert "distinct customers" in result.why
