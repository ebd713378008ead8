"""What goes on in people: bad weeks are felt, faults cause calls, surveys are biased by who answers."""

from __future__ import annotations

import numpy as np

from demo_operator.domain.faults import WEEK_S, Fault, FaultKind, fault, incidents
from demo_operator.domain.people import care_contacts, felt_badness, hit_by, latent, net_promoter_score, survey
from demo_operator.domain.qoe import experience
from demo_operator.domain.world import REFERENCE_AS_OF_S as NOW_S
from demo_operator.domain.world import World


def _past(world: World) -> tuple[Fault, ...]:
    return incidents(world, NOW_S - WEEK_S, NOW_S, per_week=8.0)


def test_a_healthy_week_is_felt_by_nobody_and_a_fault_by_those_it_reaches(full: World) -> None:
    traits = latent(full)
    one = fault(full, FaultKind.LATENCY_STEP, "du-02", NOW_S - 86_400, 7200, 500.0)
    healthy = felt_badness(full, traits, experience(full, NOW_S))
    after = felt_badness(full, traits, experience(full, NOW_S, [one]))
    reached = np.zeros(len(full.people), dtype=bool)
    reached[hit_by(full, one)] = True
    assert not healthy.any()
    assert (after[reached] > 0.0).all()
    assert not after[~reached].any()
    assert 0.5 < after[reached].mean() < 1.2


def test_calls_do_not_depend_on_the_span_asked_for(full: World) -> None:
    traits, past = latent(full), _past(full)
    long = care_contacts(full, traits, NOW_S - 4 * WEEK_S, NOW_S, past)
    short = care_contacts(full, traits, NOW_S - WEEK_S, NOW_S, past)
    inside = long.time_s >= NOW_S - WEEK_S
    assert sorted(zip(long.time_s[inside], long.customer[inside], strict=True)) == sorted(
        zip(short.time_s, short.customer, strict=True)
    )
    assert (np.diff(long.time_s) >= 0).all()


def test_a_fault_makes_those_it_hits_call_and_complain(full: World) -> None:
    traits = latent(full)
    one = fault(full, FaultKind.CALL_SETUP_FAILURES, "du-05", NOW_S, 7200, 40.0)
    quiet = care_contacts(full, traits, NOW_S, NOW_S + WEEK_S)
    loud = care_contacts(full, traits, NOW_S, NOW_S + WEEK_S, [one])
    hit = hit_by(full, one)
    more = loud.count(5000, NOW_S, NOW_S + WEEK_S) - quiet.count(5000, NOW_S, NOW_S + WEEK_S)
    assert set(np.flatnonzero(more)) <= set(hit.tolist())
    assert 0.10 < more[hit].mean() < 0.35
    complaints = loud.count(5000, NOW_S, NOW_S + WEEK_S, complaints_only=True).sum()
    assert complaints > 2 * quiet.count(5000, NOW_S, NOW_S + WEEK_S, complaints_only=True).sum()
    assert loud.time_s.min() >= NOW_S
    ordinary = quiet.count(5000, NOW_S, NOW_S + WEEK_S).mean()
    assert 0.02 < ordinary < 0.05


def test_a_survey_is_answered_by_few_and_by_the_unhappy_first(full: World) -> None:
    traits = latent(full)
    lived = experience(full, NOW_S, _past(full))
    wave = survey(full, traits, lived)
    share = len(wave.respondent) / len(full.people)
    assert 0.05 <= share <= 0.10
    unhappy = felt_badness(full, traits, lived) > 0.3
    answered = np.zeros(len(full.people), dtype=bool)
    answered[wave.respondent] = True
    assert answered[unhappy].mean() > 3.0 * answered[~unhappy].mean()
    assert answered[traits.outspokenness > 0].mean() > 1.5 * answered[traits.outspokenness <= 0].mean()
    assert net_promoter_score(wave.would_answer) - net_promoter_score(wave.answer) > 10.0
    assert wave.answer.min() >= 0
    assert wave.answer.max() <= 10


def test_answers_weighted_by_their_true_probability_give_the_true_score(full: World) -> None:
    traits = latent(full)
    off = []
    for week in range(12):
        wave = survey(full, traits, experience(full, NOW_S + week * WEEK_S, _past(full)))
        weight = 1.0 / wave.response_probability[wave.respondent]
        step = (wave.answer >= 9).astype(float) - (wave.answer <= 6)
        off.append(100.0 * np.average(step, weights=weight) - net_promoter_score(wave.would_answer))
    assert abs(np.mean(off)) < 3.0


def test_the_net_promoter_score_of_nobody_is_not_a_number() -> None:
    assert np.isnan(net_promoter_score(np.array([], dtype=np.int64)))
    assert net_promoter_score(np.array([10] * 50 + [7] * 30 + [3] * 20)) == 30.0
