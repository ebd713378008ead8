"""Who leaves: base rates, the ceiling of any model, the price of a bad week, and that no feature knows the future."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from demo_operator.domain.faults import DRAWN_KINDS, WEEK_S, draw, incidents
from demo_operator.domain.hazard import (
    COEFFICIENTS,
    FEATURES,
    Snapshot,
    TrainingSet,
    monthly_logit,
    ranking_auc,
    snapshot,
    training_set,
    true_probability,
)
from demo_operator.domain.network import TINY
from demo_operator.domain.people import hit_by
from demo_operator.domain.randomness import Floats
from demo_operator.domain.world import REFERENCE_AS_OF_S as NOW_S
from demo_operator.domain.world import World, build


def _design(state: Snapshot) -> Floats:
    numbers = [state.number(one.name) for one in FEATURES if one.kind == "number"]
    contract, payment = state.features["contract"], state.features["payment_method"]
    dummies = [np.asarray(contract == name, dtype=float) for name in ("yearly", "two_year")]
    dummies += [np.asarray(payment == name, dtype=float) for name in ("card", "wallet", "invoice")]
    return np.column_stack([np.log1p(state.number("tenure_months") / 12.0), *numbers, *dummies])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_base_rates_and_ceiling_are_those_documented(seed: int) -> None:
    world = build(seed, cohort="past")
    known = training_set(world, NOW_S, incidents(world, NOW_S - 13 * WEEK_S, NOW_S))
    assert 0.13 < known.left_30d.mean() < 0.19
    assert 0.20 < known.left_60d.mean() < 0.28
    assert 0.84 < ranking_auc(known.probability_30d, known.left_30d) < 0.88
    assert 0.84 < ranking_auc(known.probability_60d, known.left_60d) < 0.88


def test_labels_are_drawn_with_the_true_probability(labelled: TrainingSet) -> None:
    for chance, left in (
        (labelled.probability_30d, labelled.left_30d),
        (labelled.probability_60d, labelled.left_60d),
    ):
        order = np.argsort(chance)
        for decile in np.array_split(order, 10):
            expected = chance[decile].mean()
            margin = 4.0 * np.sqrt(expected * (1.0 - expected) / len(decile))
            assert abs(left[decile].mean() - expected) < margin
    assert (labelled.left_60d >= labelled.left_30d).all()


def test_a_plain_model_on_published_features_comes_close_to_the_ceiling(labelled: TrainingSet) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    fitted = cross_val_predict(model, _design(labelled.state), labelled.left_60d, cv=5, method="predict_proba")[:, 1]
    reached = ranking_auc(np.asarray(fitted), labelled.left_60d)
    ceiling = ranking_auc(labelled.probability_60d, labelled.left_60d)
    assert 0.80 < reached < 0.88
    assert ceiling - 0.03 < reached < ceiling + 0.005


def test_a_bad_week_multiplies_the_odds_of_leaving_by_three_to_six(full: World) -> None:
    calm = snapshot(full, NOW_S)
    for seed in range(8):
        one = draw(seed, full, NOW_S - 2 * 86_400, DRAWN_KINDS)
        shaken = snapshot(full, NOW_S, [one])
        hit = np.zeros(len(full.people), dtype=bool)
        hit[hit_by(full, one)] = True
        odds = np.exp(COEFFICIENTS.felt_badness * shaken.felt_badness[hit])
        assert 2.5 < np.median(odds) < 7.0, one.id
        assert (true_probability(shaken, 30)[hit] > true_probability(calm, 30)[hit]).all()
        assert np.array_equal(true_probability(shaken, 30)[~hit], true_probability(calm, 30)[~hit])


def test_the_mean_effect_of_a_violated_week_lies_between_three_and_six(labelled: TrainingSet) -> None:
    bad = labelled.state.felt_badness > 0.0
    odds = np.exp(monthly_logit(labelled.state) - monthly_logit(labelled.state, memory=0.0))
    assert 0.05 < bad.mean() < 0.30
    assert 3.0 < odds[bad].mean() < 6.0
    assert (odds[~bad] == 1.0).all()


def test_features_end_where_labels_begin() -> None:
    world = build(5, TINY, cohort="past")
    before = incidents(world, NOW_S - 13 * WEEK_S, NOW_S)
    after = incidents(world, NOW_S, NOW_S + 4 * WEEK_S)
    assert after
    first, second = snapshot(world, NOW_S, before), snapshot(world, NOW_S, (*before, *after))
    for feature in FEATURES:
        assert np.array_equal(first.features[feature.name], second.features[feature.name]), feature.name


def test_published_features_are_exactly_those_listed(labelled: TrainingSet) -> None:
    state = labelled.state
    assert list(state.features) == [feature.name for feature in FEATURES]
    assert not {"felt_badness", "frailty", "left_30d"} & set(state.features)
    for feature in FEATURES:
        column = state.features[feature.name]
        assert len(column) == 5000
        if feature.kind == "number":
            assert np.isfinite(state.number(feature.name)).all()
    record = state.record(41)
    assert record["contract"] in ("monthly", "yearly", "two_year")
    assert isinstance(record["services"], int)
    assert isinstance(record["monthly_charge"], float)
    for name in ("experience_mean_7d", "experience_min_7d", "experience_baseline"):
        assert 0.0 <= state.number(name).min() <= state.number(name).max() <= 100.0


def test_no_single_feature_gives_the_label_away(labelled: TrainingSet) -> None:
    for feature in FEATURES:
        if feature.kind == "number":
            alone = ranking_auc(labelled.state.number(feature.name), labelled.left_60d)
            assert 0.2 < alone < 0.8, feature.name


def test_contract_and_tenure_protect_and_price_drives_away(labelled: TrainingSet) -> None:
    state, left = labelled.state, labelled.left_60d
    contract = state.features["contract"]
    rate = [left[contract == name].mean() for name in ("monthly", "yearly", "two_year")]
    assert rate[0] > rate[1] > rate[2]
    tenure = state.number("tenure_months")
    assert left[tenure < 12].mean() > 2.0 * left[tenure > 48].mean()


def test_ranking_auc_counts_ties_half_and_needs_both_classes() -> None:
    label = np.array([False, False, True, True])
    assert ranking_auc(np.array([0.1, 0.2, 0.3, 0.4]), label) == 1.0
    assert ranking_auc(np.array([0.5, 0.5, 0.5, 0.5]), label) == 0.5
    assert ranking_auc(np.array([0.1, 0.4, 0.4, 0.8]), label) == pytest.approx(0.875)
    assert np.isnan(ranking_auc(np.array([0.1, 0.2]), np.array([True, True])))
