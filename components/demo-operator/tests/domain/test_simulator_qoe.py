"""True quality of experience: published vectors, direction of every input, and what a fault does to a score."""

from __future__ import annotations

import numpy as np
import pytest

from demo_operator.domain.catalogue import SERVICE_INDEX, Service
from demo_operator.domain.faults import FaultKind, draw, fault
from demo_operator.domain.kpi import values
from demo_operator.domain.qoe import (
    experience,
    mos_score,
    scores,
    thing_score,
    video_mos,
    video_score,
    voice_rating,
    voice_score,
    web_mos,
)
from demo_operator.domain.world import REFERENCE_AS_OF_S as NOW_S
from demo_operator.domain.world import World


def test_voice_rating_meets_the_cole_rosenbluth_values() -> None:
    delay = np.array([50.0, 200.0, 300.0])
    assert voice_rating(delay, np.zeros(3)) == pytest.approx([93.0, 86.903, 73.503], abs=0.001)


def test_voice_loss_costs_what_g107_says_for_g711() -> None:
    # G.107 with all defaults: R 93.206 without loss, 75.282 at 1 %, 63.048 at 2 %, 42.131 at 5 % (Bpl 4.3).
    lost = voice_rating(np.zeros(3), np.zeros(3)) - voice_rating(np.zeros(3), np.array([1.0, 2.0, 5.0]))
    assert lost == pytest.approx([93.2062 - 75.282, 93.2062 - 63.048, 93.2062 - 42.131], abs=0.005)


def test_video_meets_the_iqx_values() -> None:
    for stalls, length_s, mos in ((0, 0, 5.0), (1, 1, 3.9912), (1, 3, 3.3455), (2, 3, 2.4731), (3, 5, 1.7086)):
        assert video_mos(np.array([float(stalls)]), float(length_s)) == pytest.approx([mos], abs=0.001)


def test_web_meets_the_g1030_values_of_the_medium_context() -> None:
    session_s = np.array([1.0, 2.0, 4.0, 8.0, 15.0])
    assert web_mos(session_s) == pytest.approx([4.782, 4.067, 3.351, 2.636, 1.987], abs=0.001)


def test_a_mos_becomes_a_score_linearly() -> None:
    assert mos_score(np.array([1.0, 3.0, 5.0])).tolist() == [0.0, 50.0, 100.0]


def test_a_score_never_rises_when_a_kpi_gets_worse() -> None:
    worse = np.linspace(0.0, 100.0, 201)
    healthy = np.zeros(201)
    falling = (
        voice_score(100.0 - worse, healthy, healthy + 10.0),
        voice_score(healthy + 100.0, worse, healthy + 10.0),
        voice_score(healthy + 100.0, healthy, 10.0 * worse),
        video_score(worse),
        mos_score(web_mos(worse + 0.1)),
        thing_score(worse, healthy, healthy + 100.0),
        thing_score(healthy, worse, healthy + 100.0),
        thing_score(healthy, healthy, 100.0 - worse),
    )
    for score in falling:
        assert (np.diff(score) <= 0.0).all()
        assert score[0] > 90.0
        assert score[-1] < 30.0
        assert score.min() >= 0.0


def test_healthy_scores_are_good_and_a_fault_ruins_the_services_it_names(full: World) -> None:
    for seed in range(12):
        one = draw(seed, full, NOW_S + 18 * 3600)
        good = scores(values(full, one.start_s + 600, 300, 6, cells=one.cells))
        bad = scores(values(full, one.start_s + 600, 300, 6, [one], one.cells))
        assert good.min() > 70.0
        for service in Service:
            at = SERVICE_INDEX[service]
            if service in one.services:
                assert bad[:, at].max() < 45.0
            else:
                assert (bad[:, at] > 70.0).all()


def test_experience_falls_for_those_hit_and_for_nobody_else(tiny: World) -> None:
    one = fault(tiny, FaultKind.THROUGHPUT_COLLAPSE, "site-002", NOW_S - 86_400, 5400, 1.0)
    before, after = experience(tiny, NOW_S), experience(tiny, NOW_S, [one])
    columns = tiny.columns
    data = np.isin(columns.service, [SERVICE_INDEX[Service.VIDEO], SERVICE_INDEX[Service.BROADBAND]])
    hit = np.zeros(len(tiny.people), dtype=bool)
    hit[columns.customer[data & np.isin(columns.cell, one.cells)]] = True
    assert 5 < hit.sum() < len(hit)
    assert (after.min_7d[hit] < 40.0).all()
    assert (after.mean_7d[hit] < before.mean_7d[hit]).all()
    assert (after.trend_7d[hit] < before.trend_7d[hit]).all()
    assert np.array_equal(after.min_7d[~hit], before.min_7d[~hit])
    assert np.array_equal(after.baseline, before.baseline)
    assert (before.min_7d > 65.0).all()


def test_experience_holds_nothing_of_the_future(tiny: World) -> None:
    later = fault(tiny, FaultKind.PACKET_LOSS, "site-001", NOW_S, 7200, 12.0)
    with_future, without = experience(tiny, NOW_S, [later]), experience(tiny, NOW_S)
    assert np.array_equal(with_future.min_7d, without.min_7d)
    assert np.array_equal(with_future.mean_7d, without.mean_7d)
