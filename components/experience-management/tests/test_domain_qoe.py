"""The opinion models give the published values, move the right way and say what they do not know."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experience_management.domain.qoe import (
    CODECS,
    Path,
    Scale,
    good_or_better_ratio,
    kqi_score,
    loss_impairment,
    mos_from_r,
    mos_stalling,
    mos_web,
    poor_or_worse_ratio,
    r_from_mos,
    r_narrowband,
    r_wideband,
    video,
    voice,
    web,
)


@pytest.mark.parametrize(
    ("delay_ms", "r", "mos"),
    [
        (0, 93.2062, 4.4094),
        (20, 92.5313, 4.3960),
        (50, 91.7562, 4.3796),
        (100, 90.664, 4.355),
        (150, 89.539, 4.3275),
        (177, 88.0754, 4.2890),
        (200, 85.805, 4.223),
        (250, 79.1771, 3.9925),
        (300, 72.666, 3.719),
        (400, 62.247, 3.216),
    ],
)
def test_delay_lowers_the_rating_as_in_g107(delay_ms: float, r: float, mos: float) -> None:
    rating = r_narrowband(delay_ms, 0.0)
    assert float(rating) == pytest.approx(r, abs=0.005)
    assert float(mos_from_r(rating)) == pytest.approx(mos, abs=0.001)


@pytest.mark.parametrize(
    ("loss_ratio", "ie", "bpl", "burst_ratio", "delay_ms", "r", "mos"),
    [
        (0.005, 0, 4.3, 1, 0, 83.3104, 4.1427),
        (0.01, 0, 4.3, 1, 0, 75.282, 3.834),
        (0.02, 0, 4.3, 1, 0, 63.048, 3.256),
        (0.05, 0, 4.3, 1, 0, 42.131, 2.170),
        (0.10, 0, 4.3, 1, 0, 26.7726, 1.481),
        (0.01, 0, 25.1, 1, 0, 89.566, 4.328),
        (0.02, 0, 4.3, 2, 0, 57.357, 2.962),
        (0.02, 0, 4.3, 4, 0, 53.6229, 2.7658),
        (0.00, 11, 19, 1, 0, 82.206, 4.105),
        (0.01, 11, 19, 1, 0, 78.006, 3.947),
        (0.05, 11, 19, 1, 0, 64.7062, 3.340),
        (0.01, 11, 19, 1, 100, 75.464, 3.842),
    ],
)
def test_loss_lowers_the_rating_as_in_g107(
    loss_ratio: float, ie: float, bpl: float, burst_ratio: float, delay_ms: float, r: float, mos: float
) -> None:
    rating = r_narrowband(delay_ms, loss_ratio, ie, bpl, burst_ratio)
    assert float(rating) == pytest.approx(r, abs=0.005)
    assert float(mos_from_r(rating)) == pytest.approx(mos, abs=0.001)


def test_ratings_broadcast() -> None:
    table = r_narrowband(np.array([[0.0], [100.0]]), np.array([0.0, 0.01]))
    np.testing.assert_allclose(table, [[93.2062, 75.2817], [90.6637, 72.7392]], atol=0.005)


def test_the_talker_echo_of_other_sidetones_is_reckoned() -> None:
    loud, usual, faint = (float(r_narrowband(200, 0.0, path=Path(stmr=stmr))) for stmr in (7.0, 15.0, 25.0))
    assert loud < usual
    assert faint < usual
    echoing = float(r_narrowband(200, 0.0, path=Path(telr=40.0)))
    assert echoing < usual


@pytest.mark.parametrize(
    ("r", "mos", "good", "poor"),
    [
        (50, 2.575, 0.266, 0.377),
        (60, 3.100, 0.500, 0.174),
        (70, 3.597, 0.734, 0.059),
        (80, 4.024, 0.894, 0.014),
        (90, 4.339, 0.970, 0.002),
        (93.2, 4.409, 0.981, 0.001),
    ],
)
def test_a_rating_becomes_opinion_and_shares_of_users(r: float, mos: float, good: float, poor: float) -> None:
    assert float(mos_from_r(r)) == pytest.approx(mos, abs=0.0006)
    assert good_or_better_ratio(r) == pytest.approx(good, abs=0.0006)
    assert poor_or_worse_ratio(r) == pytest.approx(poor, abs=0.0006)


def test_the_opinion_of_the_ends() -> None:
    np.testing.assert_allclose(mos_from_r([-5.0, 0.0, 3.0, 6.5, 100.0, 120.0]), [1, 1, 1, 1, 4.5, 4.5], atol=1e-4)
    np.testing.assert_allclose(r_from_mos([0.5, 1.0, 4.5, 5.0]), [6.5, 6.5, 100, 100], atol=0.05)


@given(st.floats(6.6, 100.0))
@settings(deadline=None)
def test_rating_and_opinion_turn_into_one_another(r: float) -> None:
    assert float(r_from_mos(mos_from_r(r))) == pytest.approx(r, abs=0.02)


@given(st.floats(-10, 110), st.floats(0, 50))
@settings(deadline=None)
def test_a_better_rating_is_never_a_worse_opinion(r: float, more: float) -> None:
    assert mos_from_r(r + more) >= mos_from_r(r) - 1e-12


@given(st.floats(1, 600), st.floats(0, 400), st.floats(0, 0.5), st.floats(0, 0.5))
@settings(deadline=None)
def test_more_delay_or_loss_never_raises_the_rating(delay_ms: float, later: float, loss: float, more: float) -> None:
    rating = float(r_narrowband(delay_ms, loss))
    assert float(r_narrowband(delay_ms + later, loss)) <= rating + 1e-9
    assert float(r_narrowband(delay_ms, loss + more)) <= rating + 1e-9
    assert 0.0 <= rating <= 100.0


@pytest.mark.parametrize(
    ("codec", "mos"),
    [("AMR-WB-23.05", 4.494), ("AMR-WB-23.85", 4.421), ("AMR-WB-12.65", 4.337096), ("AMR-WB-8.85", 4.018),
     ("AMR-WB-6.6", 3.512)],
)  # fmt: skip
def test_wideband_opinions_are_those_of_g107_1(codec: str, mos: float) -> None:
    opinion = voice(CODECS[codec], 0.0, 0.0)
    assert opinion.mos == pytest.approx(mos, abs=0.0005)
    assert (opinion.scale, opinion.grounded) == (Scale.WIDEBAND, True)


@pytest.mark.parametrize(("loss_percent", "mos"), [(0, 4.408), (1, 3.929), (3, 3.063)])
def test_fullband_opinions_are_those_of_g107_2(loss_percent: float, mos: float) -> None:
    ie_eff = loss_impairment(loss_percent / 100, 10.2, 4.3, ie_max=132.0)
    assert float(mos_from_r((148 - ie_eff) / 1.48)) == pytest.approx(mos, abs=0.0006)


def test_a_call_has_an_opinion_on_the_scale_of_its_codec() -> None:
    narrow = voice(CODECS["G.711"], 0.0, 0.01)
    assert narrow.mos == pytest.approx(3.834, abs=0.001)
    assert (narrow.scale, narrow.grounded) == (Scale.NARROWBAND, True)
    full = voice(CODECS["EVS-SWB-24.4"], 50.0, 0.01)
    assert (full.scale, full.grounded) == (Scale.FULLBAND, True)
    assert full.r is not None
    assert full.r == pytest.approx(148 - float(loss_impairment(0.01, 7.2, 11.4, ie_max=132.0)))


@pytest.mark.parametrize(
    ("codec", "delay_ms", "loss_ratio", "burst_ratio"),
    [("G.729A-VAD", 50, 0.0, 1), ("AMR-WB-12.65", 200, 0.0, 1), ("EVS-SWB-48", 50, 0.01, 2)],
)
def test_what_was_not_read_at_the_source_is_not_grounded(
    codec: str, delay_ms: float, loss_ratio: float, burst_ratio: float
) -> None:
    opinion = voice(CODECS[codec], delay_ms, loss_ratio, burst_ratio)
    assert opinion.mos is not None
    assert not opinion.grounded


@pytest.mark.parametrize("codec", ["G.729", "AMR-WB-12.65"])
def test_a_codec_without_published_robustness_has_no_opinion_under_loss(codec: str) -> None:
    lossy = voice(CODECS[codec], 50.0, 0.001)
    assert (lossy.mos, lossy.r, lossy.grounded) == (None, None, False)
    assert voice(CODECS[codec], 50.0, 0.0).mos is not None


@pytest.mark.parametrize(
    ("delay_ms", "loss_ratio", "burst_ratio"),
    [(math.nan, 0, 1), (-1, 0, 1), (50, math.nan, 1), (50, 1.1, 1), (50, 0.1, 0), (math.inf, 0, 1)],
)
def test_no_measurement_is_no_opinion(delay_ms: float, loss_ratio: float, burst_ratio: float) -> None:
    opinion = voice(CODECS["G.711"], delay_ms, loss_ratio, burst_ratio)
    assert (opinion.mos, opinion.grounded) == (None, False)


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ("fast", [4.467, 3.543, 2.620, 1.697, 1]),
        ("medium", [4.782, 4.067, 3.351, 2.636, 1.987]),
        ("slow", [5, 5, 4.423, 3.774, 3.186]),
    ],
)
def test_web_opinions_fall_with_the_logarithm_of_time(context: str, expected: list[float]) -> None:
    np.testing.assert_allclose(mos_web([1, 2, 4, 8, 15], context), expected, atol=0.001)


def test_a_web_opinion_says_that_it_is_not_grounded() -> None:
    opinion = web(2.0)
    assert opinion.mos == pytest.approx(3.543, abs=0.001)
    assert (opinion.scale, opinion.grounded) == (Scale.WEB, False)
    assert web(0.0).mos == 5.0
    assert web(math.nan).mos is None


@pytest.mark.parametrize(
    ("stalls_per_s", "stall_length_s", "mos"),
    [(0.1, 2.5, 2.8604), (0.05, 5, 2.7433), (0.1 / 3, 7.5, 2.4397), (0.025, 10, 2.1772), (0, 0, 5.0), (0, 9, 5.0)],
)
def test_stalls_lower_the_opinion_on_video(stalls_per_s: float, stall_length_s: float, mos: float) -> None:
    assert float(mos_stalling(stalls_per_s, stall_length_s)) == pytest.approx(mos, abs=0.0001)


def test_a_video_opinion_needs_its_measurements() -> None:
    assert video(0.1, 2.5).mos == pytest.approx(2.8604, abs=0.0001)
    assert video(0.1, 2.5).grounded
    assert video(math.nan, 2.5).mos is None


@given(st.floats(0, 1), st.floats(0, 60), st.floats(0, 1), st.floats(0, 60))
@settings(deadline=None)
def test_more_or_longer_stalls_never_raise_the_opinion(f: float, length: float, more: float, longer: float) -> None:
    assert mos_stalling(f + more, length + longer) <= mos_stalling(f, length) + 1e-12


def test_indicator_scores_are_linear_between_bad_and_good() -> None:
    np.testing.assert_allclose(
        kqi_score([0.97, 8.0, 0.5, 1.5], [0.85, 12, 0.85, 0.85], [1.0, 4.5, 1.0, 1.0]), [80, 53.33, 0, 100], atol=0.01
    )
    assert math.isnan(float(kqi_score(math.nan, 0.0, 1.0)))


def test_wideband_ratings_fall_with_delay() -> None:
    ratings = r_wideband([0.0, 100.0, 200.0, 400.0], ie=13.0)
    assert ratings[0] == ratings[1] == 116.0
    assert ratings[1] > ratings[2] > ratings[3]
