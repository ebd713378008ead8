"""What goes on in people: latent need and expectation, how bad a week felt, whom they call, what they answer in a
survey.

Latent quantities are the simulator's own; no process may publish them. Everything drawn is keyed by cohort and time, so
that asking twice, or for a longer span, gives the same people doing the same things.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from demo_operator.domain.catalogue import SERVICE_INDEX, SERVICES, Service
from demo_operator.domain.faults import WEEK_S, Fault, subjects_hit
from demo_operator.domain.qoe import Experience
from demo_operator.domain.randomness import Floats, Ints, generator
from demo_operator.domain.subscribers import Segment
from demo_operator.domain.world import World

Flags = npt.NDArray[np.bool_]

_SEGMENT_NEED: dict[Segment, tuple[float, float, float, float]] = {  # voice, video, broadband, telemetry
    Segment.VALUE: (1.0, 0.9, 0.9, 0.9),
    Segment.PREMIUM: (1.1, 1.0, 1.1, 0.9),
    Segment.FAMILY: (1.0, 1.0, 1.0, 0.9),
    Segment.YOUTH: (0.8, 1.1, 1.1, 0.8),
    Segment.SMALL_BUSINESS: (1.15, 0.8, 1.1, 1.2),
}
_SEGMENT_EXPECTATION: dict[Segment, float] = {
    Segment.VALUE: 62.0,
    Segment.PREMIUM: 70.0,
    Segment.FAMILY: 65.0,
    Segment.YOUTH: 64.0,
    Segment.SMALL_BUSINESS: 70.0,
}
_SERIOUS_SHORTFALL = 45.0
_HIGHEST_EXPECTATION = 74.0  # below the worst window of a healthy network, which nobody finds bad
_WORST_FEELING = 1.4


@dataclass(frozen=True, eq=False, slots=True)
class Latent:
    """need [person, service]: how much a service matters, about 1. expectation: the score below which a window is felt
    as bad. outspokenness: standard normal, raises calling and answering, nothing else. frailty: logit of leaving that
    no published feature explains. pliancy: uniform, decides with the circumstances how an offer is taken."""

    need: Floats
    expectation: Floats
    outspokenness: Floats
    frailty: Floats
    pliancy: Floats


def latent(world: World) -> Latent:
    """The latent traits of every person of the world, fixed for life."""
    rng = generator(world.seed, f"{world.cohort}.latent")
    count = len(world.people)
    need = np.array([_SEGMENT_NEED[person.segment] for person in world.people])
    expectation = np.array([_SEGMENT_EXPECTATION[person.segment] for person in world.people])
    return Latent(
        need=need * np.exp(rng.normal(0.0, 0.15, (count, len(SERVICES)))),
        expectation=np.minimum(expectation + rng.normal(0.0, 4.0, count), _HIGHEST_EXPECTATION),
        outspokenness=rng.standard_normal(count),
        frailty=rng.normal(0.0, 0.3, count),
        pliancy=rng.random(count),
    )


def felt_badness(world: World, traits: Latent, lived: Experience) -> Floats:
    """How bad the last seven days felt, [person]: 0 for a week within expectation, about 1 for a week with a fault, 1.4
    at most. max over instances of need * clamp((expectation - worst window) / 45)."""
    columns = world.columns
    short = np.clip((traits.expectation[columns.customer] - lived.instance_min_7d) / _SERIOUS_SHORTFALL, 0.0, 1.0)
    felt = np.minimum(short * traits.need[columns.customer, columns.service], _WORST_FEELING)
    worst = np.zeros(len(world.people))
    np.maximum.at(worst, columns.customer, felt)
    return worst


@dataclass(frozen=True, eq=False, slots=True)
class CareContacts:
    """Calls to care in order of time, as columns: person row, instant, whether it was a complaint, service it was
    about."""

    customer: Ints
    time_s: Ints
    complaint: Flags
    service: Ints

    def count(self, people: int, start_s: int, end_s: int, complaints_only: bool = False) -> Ints:
        """Calls (or complaints) per person in [start_s, end_s)."""
        inside = (self.time_s >= start_s) & (self.time_s < end_s)
        if complaints_only:
            inside &= self.complaint
        return np.asarray(np.bincount(self.customer[inside], minlength=people), dtype=np.int64)


_CALLS_PER_WEEK = 0.03
_COMPLAINT_SHARE = 0.15
_FAULT_CALL_SHARE = 0.20
_FAULT_COMPLAINT_SHARE = 0.5
_FAULT_LAG_S = 8 * 3600.0
_LONGEST_LAG_S = 3 * 86_400


def care_contacts(world: World, traits: Latent, start_s: int, end_s: int, faults: Sequence[Fault] = ()) -> CareContacts:
    """Calls in [start_s, end_s): everybody's ordinary ones (Poisson, 0.03 a week at outspokenness 0), and after a fault
    those who suffered call with probability 0.2 * need * e^(0.4 outspokenness), at the earliest when it begins and
    within three days; half of those are complaints, 15 % of the ordinary ones."""
    count = len(world.people)
    customer: list[Ints] = []
    time_s: list[Ints] = []
    complaint: list[Flags] = []
    service: list[Ints] = []

    def note(who: Ints, when_s: Ints, is_complaint: Flags, about: Ints) -> None:
        inside = (when_s >= start_s) & (when_s < end_s)
        customer.append(who[inside])
        time_s.append(when_s[inside])
        complaint.append(is_complaint[inside])
        service.append(about[inside])

    talk = np.exp(0.4 * traits.outspokenness)
    main_service = np.array([SERVICE_INDEX[person.services[0]] for person in world.people], dtype=np.int64)
    for week in range(start_s // WEEK_S, -(-end_s // WEEK_S)):
        rng = generator(world.seed, f"{world.cohort}.care/{week}")
        who = np.repeat(np.arange(count, dtype=np.int64), rng.poisson(_CALLS_PER_WEEK * talk))
        when_s = week * WEEK_S + rng.integers(0, WEEK_S, len(who))
        note(who, when_s, rng.random(len(who)) < _COMPLAINT_SHARE, main_service[who])
    for fault in faults:
        if not fault.services or fault.start_s >= end_s or fault.start_s + _LONGEST_LAG_S < start_s:
            continue
        rng = generator(world.seed, f"{world.cohort}.care/{fault.id}")
        rows = subjects_hit(world, fault.cells, fault.services)
        who, first = np.unique(world.columns.customer[rows], return_index=True)
        about = world.columns.service[rows[first]]
        call = rng.random(len(who)) < np.minimum(0.9, _FAULT_CALL_SHARE * traits.need[who, about] * talk[who])
        lag_s = np.minimum(rng.exponential(_FAULT_LAG_S, len(who)), _LONGEST_LAG_S - 1).astype(np.int64)
        angry = rng.random(len(who)) < _FAULT_COMPLAINT_SHARE
        note(who[call], fault.start_s + lag_s[call], angry[call], about[call])
    order = np.argsort(np.concatenate(time_s), kind="stable")
    return CareContacts(
        customer=np.concatenate(customer)[order],
        time_s=np.concatenate(time_s)[order],
        complaint=np.concatenate(complaint)[order],
        service=np.concatenate(service)[order],
    )


@dataclass(frozen=True, eq=False, slots=True)
class Survey:
    """One wave of "how likely are you to recommend us", 0..10. `respondent` and `answer` are what the operator gets;
    `would_answer` and `response_probability` [person] are the truth behind it."""

    as_of_s: int
    respondent: Ints
    answer: Ints
    would_answer: Ints
    response_probability: Floats


def net_promoter_score(answer: Ints) -> float:
    """100 (share of 9..10 - share of 0..6); nan without answers."""
    return float(100.0 * (np.mean(answer >= 9) - np.mean(answer <= 6))) if len(answer) else float("nan")


def survey(world: World, traits: Latent, lived: Experience) -> Survey:
    """A wave sent to everybody. An answer is 8.2 + 0.08 (mean_7d - 94) - 4.5 felt badness + noise of sd 1.4, rounded.

    Answering has logit -3.2 + 1.4 felt badness + 0.6 outspokenness: 5 to 10 % in all, and the unhappy far more often,
    so that the raw NPS of respondents is too low. Outspokenness is seen by no estimator and moves no answer.
    """
    rng = generator(world.seed, f"{world.cohort}.survey/{lived.as_of_s}")
    count = len(world.people)
    bad = felt_badness(world, traits, lived)
    opinion = 8.2 + 0.08 * (lived.mean_7d - 94.0) - 4.5 * bad + rng.normal(0.0, 1.4, count)
    would_answer = np.clip(np.rint(opinion), 0, 10).astype(np.int64)
    probability = 1.0 / (1.0 + np.exp(3.2 - 1.4 * bad - 0.6 * traits.outspokenness))
    respondent = np.flatnonzero(rng.random(count) < probability)
    return Survey(lived.as_of_s, respondent, would_answer[respondent], would_answer, probability)


def hit_by(world: World, fault: Fault, service: Service | None = None) -> Ints:
    """Rows of the people a fault reaches through their own services or their things', in order, each once."""
    services = fault.services if service is None else (service,)
    return np.unique(world.columns.customer[subjects_hit(world, fault.cells, services)])
