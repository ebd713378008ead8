"""From KPIs to KQIs to the index of a place: units, names, deciles, models, and nothing from nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experience_management.domain import qoe
from experience_management.domain.assessment import Plan, assessed
from experience_management.domain.index import Contributor, Specification, SubjectKind
from experience_management.domain.kqi import Level, Models, Window, baseline_of, factor, read

AT = datetime(2026, 3, 2, tzinfo=UTC)
MODELS = Models()


def window(kpi: str, unit: str, mean: float, sd: float = 0.0, **more: float) -> Window:
    return Window(kpi, unit, 6, mean, mean - 1.28 * sd, mean + 1.28 * sd, AT, **more)


def named(*windows: Window) -> dict[str, Window]:
    return {one.kpi: one for one in windows}


def plan(subject: SubjectKind, *parts: Contributor, mean_share: float = 0.7) -> Plan:
    return Plan(Specification("s", "1", subject, parts), mean_share)


@pytest.mark.parametrize(
    ("unit", "into", "expected"),
    [
        ("%", "ratio", 0.01),
        ("kbit/s", "Mbit/s", 0.001),
        ("0.1ms", "ms", 0.1),
        ("MOS", "MOS", 1.0),
        ("s", "ratio", None),
    ],
)
def test_units_that_measure_the_same_are_turned_into_each_other(unit: str, into: str, expected: float | None) -> None:
    assert factor(unit, into) == (None if expected is None else pytest.approx(expected))


def test_a_decile_is_worse_on_the_side_that_is_bad_for_the_user() -> None:
    delay = named(window("DRB.AirIfDelayDl", "ms", 20.0, 5.0))
    worse = read("latency_ms", delay, Level.WORSE, MODELS, higher_is_better=False)
    better = read("latency_ms", delay, Level.BETTER, MODELS, higher_is_better=False)
    assert worse is not None
    assert better is not None
    assert worse.value == pytest.approx(26.4)
    assert better.value == pytest.approx(13.6)


def test_the_first_name_that_has_data_counts_and_an_alien_unit_does_not() -> None:
    windows = named(window("loss_ratio", "s", 1.0), window("DRB.PacketLossRateUl", "ppm", 5000.0))
    found = read("loss_ratio", windows, Level.MEAN, MODELS, higher_is_better=False)
    assert found is not None
    assert found.value == pytest.approx(0.005)


def test_a_ratio_stays_a_ratio_at_its_deciles() -> None:
    windows = named(window("Thing.Availability", "%", 99.99, 1.0))
    found = read("availability_ratio", windows, Level.BETTER, MODELS, higher_is_better=True)
    assert found is not None
    assert found.value == 1.0


def test_a_mos_is_modelled_where_it_is_not_measured() -> None:
    windows = named(window("DRB.AirIfDelayDl", "ms", 15.0), window("DRB.PacketLossRateUl", "%", 1.0))
    found = read("voice.mos", windows, Level.MEAN, MODELS, higher_is_better=True)
    expected = qoe.voice(qoe.CODECS["EVS-SWB-24.4"], 75.0, 0.01).mos
    assert found is not None
    assert found.value == expected
    assert read("voice.mos", named(window("latency_ms", "ms", 15.0)), Level.MEAN, MODELS, higher_is_better=True) is None
    measured = named(*windows.values(), window("mos", "MOS", 2.5))
    probed = read("voice.mos", measured, Level.MEAN, MODELS, higher_is_better=True)
    assert probed is not None
    assert probed.value == 2.5


def test_stalling_and_page_time_have_models_too() -> None:
    windows = named(window("Video.StallRatio", "%", 30.0), window("Web.PageSessionTime", "s", 4.0))
    video = read("video.mos", windows, Level.MEAN, MODELS, higher_is_better=True)
    web = read("web.mos", windows, Level.MEAN, MODELS, higher_is_better=True)
    assert video is not None
    assert web is not None
    assert video.value == pytest.approx(float(qoe.mos_stalling(0.1, 3.0)))
    assert web.value == pytest.approx(float(qoe.mos_web(4.0, "medium")))


def test_an_indicator_nobody_knows_or_measures_is_none() -> None:
    assert read("mood", {}, Level.MEAN, MODELS, higher_is_better=True) is None
    assert read("jitter_ms", {}, Level.MEAN, MODELS, higher_is_better=False) is None


def test_the_baseline_is_a_normal_window_of_its_own() -> None:
    before = baseline_of(window("latency_ms", "ms", 90.0, baseline_mean=12.0, baseline_sd=2.0))
    assert before is not None
    assert before.mean == 12.0
    assert before.p10 == pytest.approx(9.437, abs=0.001)
    assert before.p90 == pytest.approx(14.563, abs=0.001)
    assert baseline_of(window("latency_ms", "ms", 90.0)) is None


def test_the_bad_moments_count_beside_the_mean() -> None:
    of = plan(SubjectKind.PERSON, Contributor("latency_ms", 1.0, 100.0, 0.0), mean_share=0.7)
    found = assessed(of, named(Window("latency_ms", "ms", 9, 20.0, 10.0, 60.0, AT)), MODELS)
    assert found.score == pytest.approx(0.7 * 80 + 0.3 * 40)
    assert found.parts[0].lost == pytest.approx(100 - 68)
    assert found.interval is not None
    assert found.interval.low < 68 < found.interval.high


def test_what_was_usual_is_the_same_index_of_the_time_before() -> None:
    of = plan(SubjectKind.PERSON, Contributor("latency_ms", 1.0, 100.0, 0.0))
    found = assessed(of, named(window("latency_ms", "ms", 90.0, baseline_mean=10.0, baseline_sd=0.0)), MODELS)
    assert found.usual == pytest.approx(90.0)
    assert assessed(of, named(window("latency_ms", "ms", 90.0)), MODELS).usual is None


def test_only_a_person_has_an_opinion_and_two_scales_leave_none() -> None:
    mos = Contributor("voice.mos", 0.5, 1.0, 4.5)
    windows = named(window("voice.mos", "MOS", 3.0), window("web.mos", "MOS", 4.0), window("success_ratio", "ratio", 1))
    success = Contributor("success_ratio", 0.5, 0.5, 1.0)
    assert assessed(plan(SubjectKind.PERSON, mos, success), windows, MODELS).opinion == 3.0
    both = plan(SubjectKind.PERSON, mos, Contributor("web.mos", 0.5, 1.0, 4.5))
    assert assessed(both, windows, MODELS).opinion is None
    assert assessed(plan(SubjectKind.THING, success), windows, MODELS).opinion is None


def test_without_data_there_is_no_score() -> None:
    found = assessed(plan(SubjectKind.PERSON, Contributor("jitter_ms", 1.0, 50.0, 5.0)), {}, MODELS)
    assert (found.score, found.band, found.coverage, found.n, found.observed_at) == (None, None, 0.0, 0, None)


def test_the_newest_measurement_dates_the_score() -> None:
    later = AT + timedelta(minutes=5)
    windows = named(window("latency_ms", "ms", 9.0), Window("loss_ratio", "ratio", 3, 0.0, 0.0, 0.0, later))
    of = plan(SubjectKind.PERSON, Contributor("latency_ms", 0.5, 99.0, 1.0), Contributor("loss_ratio", 0.5, 0.1, 0.0))
    found = assessed(of, windows, MODELS)
    assert (found.observed_at, found.n) == (later, 3)


@given(
    mean=st.floats(0, 200),
    sd=st.floats(0, 50),
    loss=st.floats(0, 1),
    share=st.floats(0, 1),
    subject=st.sampled_from(list(SubjectKind)),
)
def test_losses_always_explain_the_whole_score(
    mean: float, sd: float, loss: float, share: float, subject: SubjectKind
) -> None:
    parts = (Contributor("latency_ms", 0.6, 150.0, 10.0), Contributor("loss_ratio", 0.4, 0.2, 0.0))
    windows = named(window("latency_ms", "ms", mean, sd), window("loss_ratio", "ratio", loss, 0.01))
    found = assessed(plan(subject, *parts, mean_share=share), windows, MODELS)
    assert found.score is not None
    assert 0 <= found.score <= 100
    assert sum(part.lost for part in found.parts) == pytest.approx(100 - found.score)
    assert found.interval is not None
    assert found.interval.low <= found.score <= found.interval.high
