"""Who leaves: a monthly hazard with known coefficients, the features an operator may know, and labelled snapshots.

The base rate is a teaching one: real postpaid bases lose 0.5 to 3 % a month, which in 5,000 customers would leave too
few leavers to learn from or to judge a model by (the interval of an AUC on 100 leavers is 0.05 to either side).
Coefficients have the signs and the order of size of published churn models (contract and tenure first), and one more
term: how bad the last week felt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from demo_operator.domain.faults import Fault
from demo_operator.domain.people import Flags, Latent, care_contacts, felt_badness, latent
from demo_operator.domain.qoe import Experience, experience
from demo_operator.domain.randomness import Floats, Ints, generator
from demo_operator.domain.subscribers import MONTH_S, Contract, PaymentMethod
from demo_operator.domain.world import World

DAY_S = 86_400
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Feature:
    """A published feature: what an operator's own systems know at the as-of instant."""

    name: str
    kind: Literal["number", "category"]
    unit: str
    meaning: str


FEATURES: tuple[Feature, ...] = (
    Feature("tenure_months", "number", "month", "since the customer joined"),
    Feature("contract", "category", "", "monthly, yearly or two_year"),
    Feature("monthly_charge", "number", "currency/month", "sum over all services and things"),
    Feature("payment_method", "category", "", "direct_debit, card, wallet or invoice"),
    Feature("services", "number", "1", "number of different services"),
    Feature("device_age_months", "number", "month", "age of the phone"),
    Feature("care_contacts_30d", "number", "1", "calls to care in the last 30 days"),
    Feature("complaints_90d", "number", "1", "complaints in the last 90 days"),
    Feature("experience_mean_7d", "number", "score 0..100", "mean over services and 30 min windows of the last 7 days"),
    Feature("experience_min_7d", "number", "score 0..100", "worst 30 min window of the worst service, last 7 days"),
    Feature("experience_trend_7d", "number", "score/day", "slope of the daily means of the last 7 days"),
    Feature("experience_baseline", "number", "score 0..100", "mean over the four weeks before those 7 days"),
    Feature("usage_trend", "number", "ratio", "change of usage, last 30 days against the 30 before"),
)


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Monthly logit of leaving. Categories are differences to monthly contract and direct debit."""

    intercept: float = -0.85
    yearly: float = -1.8
    two_year: float = -3.3
    log_tenure_years: float = -1.1  # per ln(1 + tenure in years)
    charge_per_20: float = 0.45  # per 20 currency units above 50
    card: float = 0.1
    wallet: float = 0.3
    invoice: float = 0.7
    extra_service: float = -0.2  # per service beyond the first
    device_year: float = 0.15  # per year of device age
    care_contact: float = 0.25  # per call in 30 days, 4 counted at most
    complaint: float = 0.6  # per complaint in 90 days, 3 counted at most
    felt_badness: float = 1.4  # odds times 4.1 for a week with felt badness 1
    usage_trend: float = -3.0
    second_month_memory: float = 0.3  # share of felt badness left in the second month


COEFFICIENTS = Coefficients()


@dataclass(frozen=True, eq=False, slots=True)
class Snapshot:
    """Everybody's state at `as_of_s`, [person]: `features` may be published, `felt_badness` and `frailty` not."""

    as_of_s: int
    customer_id: tuple[str, ...]
    features: dict[str, Floats | Ints | Texts]
    felt_badness: Floats
    frailty: Floats

    def number(self, name: str) -> Floats:
        """A numeric feature as floats."""
        return np.asarray(self.features[name], dtype=np.float64)

    def record(self, row: int) -> dict[str, float | int | str]:
        """The published features of one person as plain values."""
        return {name: column[row].item() for name, column in self.features.items()}


def snapshot(
    world: World,
    as_of_s: int,
    faults: Sequence[Fault] = (),
    traits: Latent | None = None,
    lived: Experience | None = None,
) -> Snapshot:
    """The base at an instant (a multiple of 1800 s), from what happened before it and nothing later. `traits` and
    `lived` spare the work when the caller has them."""
    traits = latent(world) if traits is None else traits
    lived = experience(world, as_of_s, faults) if lived is None else lived
    people, count = world.people, len(world.people)
    calls = care_contacts(world, traits, as_of_s - 90 * DAY_S, as_of_s, faults)
    rng = generator(world.seed, f"{world.cohort}.usage/{as_of_s}")
    features: dict[str, Floats | Ints | Texts] = {
        "tenure_months": np.array([max(0.0, round(person.tenure_months(as_of_s), 1)) for person in people]),
        "contract": np.array([str(person.contract) for person in people]),
        "monthly_charge": np.array([person.monthly_charge for person in people]),
        "payment_method": np.array([str(person.payment_method) for person in people]),
        "services": np.array([len(person.services) for person in people], dtype=np.int64),
        "device_age_months": np.array(
            [max(0.0, round((as_of_s - person.device_since_s) / MONTH_S, 1)) for person in people]
        ),
        "care_contacts_30d": calls.count(count, as_of_s - 30 * DAY_S, as_of_s),
        "complaints_90d": calls.count(count, as_of_s - 90 * DAY_S, as_of_s, complaints_only=True),
        "experience_mean_7d": np.round(lived.mean_7d, 3),
        "experience_min_7d": np.round(lived.min_7d, 3),
        "experience_trend_7d": np.round(lived.trend_7d, 4),
        "experience_baseline": np.round(lived.baseline, 3),
        "usage_trend": np.round(rng.normal(0.0, 0.16, count), 4),
    }
    ids = tuple(person.id for person in people)
    return Snapshot(as_of_s, ids, features, felt_badness(world, traits, lived), traits.frailty)


def monthly_logit(state: Snapshot, memory: float = 1.0, known: Coefficients = COEFFICIENTS) -> Floats:
    """True log odds of leaving within a month of the snapshot, [person]; `memory` scales the bad week."""
    contract, payment = state.features["contract"], state.features["payment_method"]
    total = known.intercept + state.frailty + memory * known.felt_badness * state.felt_badness
    total = total + known.yearly * (contract == Contract.YEARLY) + known.two_year * (contract == Contract.TWO_YEAR)
    total += known.card * (payment == PaymentMethod.CARD) + known.wallet * (payment == PaymentMethod.WALLET)
    total += known.invoice * (payment == PaymentMethod.INVOICE)
    total += known.log_tenure_years * np.log1p(state.number("tenure_months") / 12.0)
    total += known.charge_per_20 * (state.number("monthly_charge") - 50.0) / 20.0
    total += known.extra_service * (state.number("services") - 1.0)
    total += known.device_year * state.number("device_age_months") / 12.0
    total += known.care_contact * np.minimum(state.number("care_contacts_30d"), 4.0)
    total += known.complaint * np.minimum(state.number("complaints_90d"), 3.0)
    total += known.usage_trend * state.number("usage_trend")
    return np.asarray(total)


def probability(logit: Floats) -> Floats:
    """1 / (1 + e^-logit)."""
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def true_probability(state: Snapshot, days: Literal[30, 60], known: Coefficients = COEFFICIENTS) -> Floats:
    """True probability of leaving within 30 days, h1, or 60 days, 1 - (1 - h1)(1 - h2), the second month with what
    memory is left of the bad week. No model that sees the published features alone can rank better."""
    first = probability(monthly_logit(state, known=known))
    if days == 30:
        return first
    return 1.0 - (1.0 - first) * (1.0 - probability(monthly_logit(state, known.second_month_memory, known)))


@dataclass(frozen=True, eq=False, slots=True)
class TrainingSet:
    """Snapshot with labels: who of these left within 30 and 60 days after it, and with which true probability."""

    state: Snapshot
    left_30d: Flags
    left_60d: Flags
    probability_30d: Floats
    probability_60d: Floats


def training_set(world: World, as_of_s: int, faults: Sequence[Fault] = ()) -> TrainingSet:
    """Labelled snapshot of a past instant. Labels are drawn by the true hazard from a stream of their own, so that they
    hold nothing about a customer that the hazard does not; features end at `as_of_s`, labels begin there."""
    state = snapshot(world, as_of_s, faults)
    chance = leaving_chance(world, as_of_s)
    first = chance[:, 0] < probability(monthly_logit(state))
    second = chance[:, 1] < probability(monthly_logit(state, COEFFICIENTS.second_month_memory))
    return TrainingSet(state, first, first | second, true_probability(state, 30), true_probability(state, 60))


def leaving_chance(world: World, as_of_s: int) -> Floats:
    """The uniform numbers, [person, month], below which a hazard must lie for a person to stay. They are the same
    whether or not an offer is made, which makes both outcomes of a person known."""
    return generator(world.seed, f"{world.cohort}.leaving/{as_of_s}").random((len(world.people), 2))


def ranking_auc(score: Floats, label: Flags) -> float:
    """Area under the ROC curve as the Mann-Whitney statistic, ties by mean rank; nan when a class is missing."""
    positive = int(label.sum())
    negative = len(label) - positive
    if not positive or not negative:
        return float("nan")
    _, place, size = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(size) - 0.5 * (size - 1)
    return float((mean_rank[place][label].sum() - 0.5 * positive * (positive + 1)) / (positive * negative))
