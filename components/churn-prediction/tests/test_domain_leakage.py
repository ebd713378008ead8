"""The guard refuses planted leaks by name and lets honest columns pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from churn_prediction.domain.features import (
    Feature,
    Group,
    Kind,
    LeakageError,
    Record,
    Specification,
    frame,
    labelled,
)
from churn_prediction.domain.leakage import guard, name_refusal, refusals, single_feature_auc
from churn_prediction.domain.training import train


def _with(
    declared: Specification, records: list[Record], feature: Feature, of: Callable[[int], Any]
) -> tuple[Specification, list[Record]]:
    """The population with one more column."""
    more = [
        cast(Record, {**record, "features": {**record["features"], feature.name: of(i)}})
        for i, record in enumerate(records)
    ]
    return Specification((*declared.features, feature)), more


def _found(declared: Specification, records: list[Record]) -> dict[str, str]:
    known, churned = labelled(records)
    return {refusal.column: refusal.why for refusal in refusals(frame(declared, known), churned)}


def test_honest_columns_pass(population: Any) -> None:
    declared, records, _ = population
    assert _found(declared, records) == {}


@pytest.mark.parametrize(
    "name",
    [
        "Churn Score",
        "churnReason",
        "Satisfaction Score",
        "customer_status",
        "ChurnCategory",
        "cancellationDate",
        "Customerstatus",
    ],
)
def test_a_name_that_states_the_outcome_is_refused_with_the_word(name: str) -> None:
    refusal = name_refusal(Feature(name, Kind.NUMERIC, Group.CARE, "customer-360"))
    assert refusal is not None
    assert refusal.column == name
    assert "a word for the outcome" in refusal.why


def test_a_reviewed_name_passes_but_still_meets_the_alarm(population: Any) -> None:
    declared, records, _ = population
    feature = Feature("experienceScore", Kind.NUMERIC, Group.NETWORK, "experience-management", "measured before as_of")
    assert name_refusal(feature) is None
    leaking = _with(declared, records, feature, lambda i: 10.0 * bool(records[i].get("churned")) + i % 7)
    assert "alone it separates churners" in _found(*leaking)["experienceScore"]


def test_a_number_written_after_the_fact_raises_the_alarm(population: Any) -> None:
    declared, records, _ = population
    feature = Feature("propensityIndex", Kind.NUMERIC, Group.CARE, "elsewhere")
    noise = np.random.default_rng(0).normal(size=len(records))
    leaking = _with(declared, records, feature, lambda i: float(noise[i]) - 3.0 * bool(records[i].get("churned")))
    assert "AUC 0.98" in _found(*leaking)["propensityIndex"]


def test_a_text_that_only_leavers_have_is_caught_by_its_absence(population: Any) -> None:
    declared, records, _ = population
    feature = Feature("closingRemark", Kind.CATEGORICAL, Group.CARE, "care")
    words = ("price", "network", "moved")
    leaking = _with(declared, records, feature, lambda i: words[i % 3] if records[i].get("churned") else None)
    assert "after the fact" in _found(*leaking)["closingRemark"]


def test_a_number_that_leaks_in_the_middle_of_its_range_is_caught(population: Any) -> None:
    declared, records, _ = population
    feature = Feature("daysToBill", Kind.NUMERIC, Group.PRICE, "billing")
    rng = np.random.default_rng(3)
    inside, outside = rng.uniform(4.0, 6.0, len(records)), rng.choice([1.0, 2.0, 8.0, 9.0], len(records))
    leaking = _with(declared, records, feature, lambda i: float((inside if records[i].get("churned") else outside)[i]))
    assert "daysToBill" in _found(*leaking)


def test_a_leak_is_seen_in_a_small_sample() -> None:
    churned = (np.arange(120) % 4 == 0).astype(np.int64)
    feature = Feature("visits", Kind.NUMERIC, Group.CARE, "care")
    leaking = np.random.default_rng(1).normal(size=120) - 3.2 * churned
    assert single_feature_auc(feature, leaking, churned) > 0.97


def test_a_column_that_identifies_the_customer_is_refused(population: Any) -> None:
    declared, records, _ = population
    feature = Feature("accountNumber", Kind.CATEGORICAL, Group.CONTRACT, "billing")
    assert "identify the customer" in _found(*_with(declared, records, feature, lambda i: f"A{i}"))["accountNumber"]


def test_many_levels_of_noise_do_not_look_like_a_signal() -> None:
    rng = np.random.default_rng(5)
    churned = (rng.random(4000) < 0.2).astype(np.int64)
    column = np.array([f"cell-{k}" for k in rng.integers(0, 400, 4000)], dtype=object)
    feature = Feature("cell", Kind.CATEGORICAL, Group.NETWORK, "inventory")
    assert single_feature_auc(feature, column, churned) < 0.56


def test_customers_that_occur_twice_at_one_time_are_refused(population: Any) -> None:
    declared, records, _ = population
    assert "no resampled rows" in _found(declared, [*records, records[0]])["id"]


def test_the_guard_names_every_refused_column_at_once_and_training_stops(population: Any) -> None:
    declared, records, _ = population
    once = _with(declared, records, Feature("churnLabel", Kind.NUMERIC, Group.CARE, "crm"), lambda i: 0.0)
    leaking = _with(*once, Feature("exitSurvey", Kind.NUMERIC, Group.CARE, "crm"), lambda i: records[i].get("churned"))
    with pytest.raises(LeakageError) as refused:
        train(leaking[0], leaking[1], seed=1)
    assert [refusal.column for refusal in refused.value.refusals] == ["churnLabel", "exitSurvey"]
    assert "churnLabel" in str(refused.value)
    assert "exitSurvey" in str(refused.value)
    known, churned = labelled(records)
    guard(frame(declared, known), churned)
