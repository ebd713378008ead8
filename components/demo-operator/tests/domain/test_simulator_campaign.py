"""Offers with known effect: both outcomes agree with the probabilities, and the four quadrants exist."""

from __future__ import annotations

import numpy as np

from demo_operator.domain.campaign import ACCEPTANCE, Attitude, Quadrant, attitude_share, campaign, offer_effect
from demo_operator.domain.hazard import TrainingSet
from demo_operator.domain.people import latent
from demo_operator.domain.world import World


def test_a_quadrant_is_what_happens_with_and_without_the_offer(past: World, labelled: TrainingSet) -> None:
    state, traits = labelled.state, latent(past)
    effect = offer_effect(past, state, traits)
    everyone = np.ones(len(past.people), dtype=bool)
    treated = campaign(past, state, traits, everyone).left
    untreated = campaign(past, state, traits, ~everyone).left
    assert np.array_equal(untreated, labelled.left_30d)
    assert np.array_equal(effect.quadrant == Quadrant.PERSUADABLE, untreated & ~treated)
    assert np.array_equal(effect.quadrant == Quadrant.SURE_THING, ~untreated & ~treated)
    assert np.array_equal(effect.quadrant == Quadrant.LOST_CAUSE, untreated & treated)
    assert np.array_equal(effect.quadrant == Quadrant.SLEEPING_DOG, ~untreated & treated)
    assert np.bincount(effect.quadrant, minlength=4).min() > 20


def test_uplift_has_the_sign_of_the_attitude(past: World, labelled: TrainingSet) -> None:
    effect = offer_effect(past, labelled.state, latent(past))
    assert (effect.uplift[effect.attitude == Attitude.RECONCILED] > 0.0).all()
    assert (effect.uplift[effect.attitude == Attitude.INDIFFERENT] == 0.0).all()
    assert (effect.uplift[effect.attitude == Attitude.REMINDED] < 0.0).all()


def test_expected_uplift_is_right_on_average_and_ranks_those_worth_an_offer(past: World, labelled: TrainingSet) -> None:
    effect = offer_effect(past, labelled.state, latent(past))
    order = np.argsort(effect.expected_uplift)
    for fifth in np.array_split(order, 5):
        standard_error = effect.uplift[fifth].std() / np.sqrt(len(fifth))
        assert abs(effect.uplift[fifth].mean() - effect.expected_uplift[fifth].mean()) < 4.0 * standard_error
    assert effect.expected_uplift[order[:500]].mean() < 0.0
    top = order[-500:]
    share = np.bincount(effect.quadrant[top], minlength=4) / 500
    assert share[Quadrant.PERSUADABLE] > 2.0 * np.mean(effect.quadrant == Quadrant.PERSUADABLE)


def test_a_bad_week_makes_an_offer_more_welcome(past: World, labelled: TrainingSet) -> None:
    share = attitude_share(labelled.state)
    assert np.allclose(share.sum(axis=1), 1.0)
    bad = labelled.state.felt_badness > 0.5
    assert share[bad, Attitude.RECONCILED].mean() > 1.5 * share[~bad, Attitude.RECONCILED].mean()
    assert share[bad, Attitude.REMINDED].mean() < share[~bad, Attitude.REMINDED].mean()


def test_about_one_in_ten_accepts_and_only_those_asked(past: World, labelled: TrainingSet) -> None:
    treated = np.arange(len(past.people)) % 2 == 0
    outcome = campaign(past, labelled.state, latent(past), treated)
    assert not outcome.accepted[~treated].any()
    assert 0.07 < outcome.accepted[treated].mean() < 0.13
    assert ACCEPTANCE[Attitude.RECONCILED] > ACCEPTANCE[Attitude.INDIFFERENT] > ACCEPTANCE[Attitude.REMINDED]
