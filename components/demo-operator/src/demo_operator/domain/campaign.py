"""Retention offers with known effect: both outcomes of every person, with and without the offer, and the four
quadrants.

The quadrants are those of uplift modelling: persuadable (stays only with the offer), sure thing (stays anyway), lost
cause (leaves anyway), sleeping dog (leaves only because of the offer).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from demo_operator.domain.hazard import Snapshot, leaving_chance, monthly_logit, probability
from demo_operator.domain.people import Flags, Latent
from demo_operator.domain.randomness import Floats, Ints, generator
from demo_operator.domain.world import World


class Quadrant(IntEnum):
    PERSUADABLE = 0
    SURE_THING = 1
    LOST_CAUSE = 2
    SLEEPING_DOG = 3


class Attitude(IntEnum):
    """How an offer moves a person: reconciled (logit -2.0), indifferent (0), reminded that one could leave (+1.3)."""

    RECONCILED = 0
    INDIFFERENT = 1
    REMINDED = 2


LOGIT_SHIFT = np.array([-2.0, 0.0, 1.3])
ACCEPTANCE = np.array([0.30, 0.05, 0.01])


@dataclass(frozen=True, eq=False, slots=True)
class OfferEffect:
    """Truth about one offer made at the snapshot, [person].

    leaves_without, leaves_with: 30-day probability of leaving. uplift: their difference, positive when the offer helps.
    expected_uplift: the same averaged over the attitudes people of these circumstances have: the best any estimator
    that cannot see attitude may hope for, as far as it knows the hazard. quadrant: from both outcomes.
    """

    attitude: Ints
    leaves_without: Floats
    leaves_with: Floats
    uplift: Floats
    expected_uplift: Floats
    quadrant: Ints


@dataclass(frozen=True, eq=False, slots=True)
class CampaignOutcome:
    """What the operator sees of a campaign, [person]: whether the offer was accepted (never by the untreated) and
    whether the customer left within 30 days."""

    treated: Flags
    accepted: Flags
    left: Flags


def attitude_share(state: Snapshot) -> Floats:
    """Probability of each attitude, [person, attitude], by multinomial logit: a bad week and a high charge make an
    offer welcome; a long quiet tenure makes it a reminder."""
    dear = (state.number("monthly_charge") - 50.0) / 20.0
    settled = np.log1p(state.number("tenure_months") / 12.0) - 1.0
    weight = np.stack(
        [
            -0.6 + 1.4 * state.felt_badness + 0.5 * dear,
            np.full_like(dear, 0.8),
            -1.0 + 0.9 * settled - 1.5 * state.felt_badness,
        ],
        axis=1,
    )
    share = np.exp(weight)
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def offer_effect(world: World, state: Snapshot, traits: Latent) -> OfferEffect:
    """Both potential outcomes of everybody for an offer made at the snapshot."""
    share = attitude_share(state)
    attitude = (traits.pliancy[:, None] > np.cumsum(share, axis=1)[:, :-1]).sum(axis=1)
    logit = monthly_logit(state)
    without = probability(logit)
    by_attitude = probability(logit[:, None] + LOGIT_SHIFT[None, :])
    with_offer = by_attitude[np.arange(len(without)), attitude]
    chance = leaving_chance(world, state.as_of_s)[:, 0]
    leaves, leaves_treated = chance < without, chance < with_offer
    quadrant = np.select(
        [leaves & ~leaves_treated, ~leaves & ~leaves_treated, leaves & leaves_treated],
        [Quadrant.PERSUADABLE, Quadrant.SURE_THING, Quadrant.LOST_CAUSE],
        Quadrant.SLEEPING_DOG,
    )
    return OfferEffect(
        attitude=np.asarray(attitude, dtype=np.int64),
        leaves_without=without,
        leaves_with=with_offer,
        uplift=without - with_offer,
        expected_uplift=without - (share * by_attitude).sum(axis=1),
        quadrant=np.asarray(quadrant, dtype=np.int64),
    )


def campaign(world: World, state: Snapshot, traits: Latent, treated: Flags) -> CampaignOutcome:
    """The outcome of offering to `treated`. Somebody left out behaves as without any campaign, the same person who
    would have left leaves."""
    effect = offer_effect(world, state, traits)
    rng = generator(world.seed, f"{world.cohort}.campaign/{state.as_of_s}")
    accepted = treated & (rng.random(len(treated)) < ACCEPTANCE[effect.attitude])
    chance = leaving_chance(world, state.as_of_s)[:, 0]
    return CampaignOutcome(treated, accepted, chance < np.where(treated, effect.leaves_with, effect.leaves_without))
