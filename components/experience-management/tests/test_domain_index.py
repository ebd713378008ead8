"""The experience index: bounded, monotone, explained to the last point, and silent where the data are too thin."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experience_management.domain.index import (
    KQIS,
    Baseline,
    Contributor,
    Decayed,
    Kqi,
    Specification,
    SpecificationFault,
    SubjectKind,
    band,
    decayed_mean,
    interval,
    perceived,
    remembered,
    rolled_up,
    score,
    scored,
    specification_of,
)

VIDEO = Specification(
    "video",
    "1",
    SubjectKind.PERSON,
    (
        Contributor("success_ratio", 0.5, 0.85, 1.0),
        Contributor("setup_time_s", 0.3, 12.0, 4.5),
        Contributor("loss_ratio", 0.2, 0.05, 0.0),
    ),
)
METER = replace(
    VIDEO,
    name="meter",
    subject=SubjectKind.THING,
    contributors=(
        Contributor("availability_ratio", 0.5, 0.99, 1.0),
        Contributor("latency_p99_ms", 0.5, 100.0, 20.0),
    ),
)


def test_a_score_is_the_weighted_mean_of_its_contributors() -> None:
    result = score(VIDEO, {"success_ratio": 0.97, "setup_time_s": 8.0, "loss_ratio": 0.0})
    assert result.value == pytest.approx(0.5 * 80 + 0.3 * 53.3333 + 0.2 * 100, abs=0.001)
    assert (result.band, result.missing) == ("good", ())
    assert result.coverage == pytest.approx(1.0)
    assert (result.specification, result.version, result.subject) == ("video", "1", SubjectKind.PERSON)


def test_what_was_lost_is_told_the_greatest_loss_first() -> None:
    result = score(VIDEO, {"success_ratio": 0.97, "setup_time_s": 8.0, "loss_ratio": 0.0})
    assert [(one.kqi, one.value, one.weight) for one in result.contributions] == [
        ("setup_time_s", 8.0, 0.3),
        ("success_ratio", 0.97, 0.5),
        ("loss_ratio", 0.0, 0.2),
    ]
    assert [one.lost for one in result.contributions] == pytest.approx([14.0, 10.0, 0.0])
    assert [one.score for one in result.contributions] == pytest.approx([53.3333, 80.0, 100.0], abs=0.001)


def test_a_missing_contributor_lowers_the_coverage_not_the_score() -> None:
    result = score(VIDEO, {"success_ratio": 0.97, "setup_time_s": None})
    assert result.value == pytest.approx(80.0)
    assert result.coverage == pytest.approx(0.5)
    assert result.missing == ("setup_time_s", "loss_ratio")
    assert [(one.kqi, one.weight) for one in result.contributions] == [("success_ratio", 1.0)]


def test_below_the_least_coverage_there_is_no_score() -> None:
    result = score(VIDEO, {"setup_time_s": 8.0})
    assert (result.value, result.band, result.contributions) == (None, None, ())
    assert result.coverage == pytest.approx(0.3)
    assert score(replace(VIDEO, min_coverage=0.3), {"setup_time_s": 8.0}).value == pytest.approx(53.3333, abs=0.001)
    assert score(replace(VIDEO, min_coverage=0.0), {}).value is None


def test_a_thing_is_as_well_as_its_worst_contributor() -> None:
    result = score(METER, {"availability_ratio": 0.999, "latency_p99_ms": 80.0})
    assert result.value == pytest.approx(25.0)
    assert [(one.kqi, one.lost) for one in result.contributions] == [
        ("latency_p99_ms", pytest.approx(75.0)),
        ("availability_ratio", 0.0),
    ]
    assert score(METER, {"availability_ratio": 0.999}).value == pytest.approx(90.0)
    assert score(METER, {}).value is None


@pytest.mark.parametrize(
    ("value", "name"), [(100, "excellent"), (85, "excellent"), (84.9, "good"), (50, "fair"), (30, "poor"), (0, "bad")]
)
def test_bands_have_names(value: float, name: str) -> None:
    assert band(value) == name


def test_a_score_below_all_bands_is_in_the_last() -> None:
    assert band(5.0, ((50.0, "fine"), (10.0, "not"))) == "not"


# --- laws of the score

PARTS = st.lists(
    st.tuples(st.integers(1, 20), st.sampled_from([(0.0, 1.0), (1.0, 0.0), (-5.0, 7.0)])), min_size=1, max_size=5
)


def specification(parts: list[tuple[int, tuple[float, float]]], subject: SubjectKind) -> Specification:
    total = sum(weight for weight, _ in parts)
    return Specification(
        "any",
        "1",
        subject,
        tuple(Contributor(f"k{index}", weight / total, *ends) for index, (weight, ends) in enumerate(parts)),
        min_coverage=0.2,
    )


VALUES = st.lists(st.one_of(st.none(), st.floats(-10, 10)), min_size=5, max_size=5)
KINDS = st.sampled_from(SubjectKind)


@given(PARTS, VALUES, KINDS)
@settings(deadline=None)
def test_a_score_is_bounded_and_its_losses_sum_to_what_is_missing_from_100(
    parts: list[tuple[int, tuple[float, float]]], values: list[float | None], kind: SubjectKind
) -> None:
    result = score(specification(parts, kind), {f"k{index}": value for index, value in enumerate(values)})
    assert 0.0 <= result.coverage <= 1.0
    if result.value is None:
        assert result.coverage < 0.2 + 1e-9
    else:
        assert 0.0 <= result.value <= 100.0
        assert math.fsum(one.lost for one in result.contributions) == pytest.approx(100.0 - result.value, abs=1e-9)
        assert all(one.lost >= 0 for one in result.contributions)
        assert math.fsum(one.weight for one in result.contributions) == pytest.approx(1.0)


@given(PARTS, VALUES, KINDS, st.integers(0, 4), st.floats(0, 5))
@settings(deadline=None)
def test_a_better_indicator_never_lowers_a_score(
    parts: list[tuple[int, tuple[float, float]]],
    values: list[float | None],
    kind: SubjectKind,
    which: int,
    by: float,
) -> None:
    of = specification(parts, kind)
    which %= len(parts)
    bad, good = parts[which][1]
    better = [
        value if index != which or value is None else value + math.copysign(by, good - bad)
        for index, value in enumerate(values)
    ]
    before = score(of, {f"k{index}": value for index, value in enumerate(values)}).value
    after = score(of, {f"k{index}": value for index, value in enumerate(better)}).value
    assert (before is None) == (after is None)
    if before is not None and after is not None:
        assert after >= before - 1e-9


@given(
    st.lists(st.lists(st.one_of(st.just(math.nan), st.floats(-1, 2)), min_size=2, max_size=2), min_size=1, max_size=5)
)
@settings(deadline=None)
def test_many_subjects_are_scored_as_each_alone(rows: list[list[float]]) -> None:
    table = scored(METER, np.array(rows))
    for row, value in zip(rows, table.value.tolist(), strict=True):
        given_ = {"availability_ratio": row[0], "latency_p99_ms": row[1]}
        alone = score(METER, {name: None if math.isnan(one) else one for name, one in given_.items()}).value
        assert (alone is None) == math.isnan(value)
        assert alone is None or alone == value


# --- specifications

DOCUMENT: dict[str, Any] = {
    "name": "video",
    "version": "1",
    "subjectKind": "person",
    "contributor": [
        {"kqi": "success_ratio", "weight": 0.5, "bad": 0.85, "good": 1.0},
        {"kqi": "setup_time_s", "weight": 0.3, "bad": 12, "good": 4.5},
        {"kqi": "loss_ratio", "weight": 0.2, "bad": 0.05, "good": 0.0},
    ],
}


def test_a_specification_is_read_from_its_document() -> None:
    assert specification_of(DOCUMENT) == VIDEO


def test_weights_near_one_are_made_to_sum_to_one() -> None:
    thirds = [{**part, "weight": 0.3333} for part in DOCUMENT["contributor"]]
    read = specification_of({**DOCUMENT, "contributor": thirds, "minCoverage": 0.25})
    assert isinstance(read, Specification)
    assert math.fsum(part.weight for part in read.contributors) == pytest.approx(1.0, abs=1e-15)
    assert read.min_coverage == 0.25


def test_contributors_without_weights_weigh_alike() -> None:
    bare = [{name: part[name] for name in ("kqi", "bad", "good")} for part in DOCUMENT["contributor"]]
    read = specification_of({**DOCUMENT, "contributor": bare})
    assert isinstance(read, Specification)
    assert [part.weight for part in read.contributors] == pytest.approx([1 / 3] * 3)


def part(**changes: Any) -> list[Any]:
    first, *others = DOCUMENT["contributor"]
    return [{name: value for name, value in {**first, **changes}.items() if value is not ...}, *others]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": ""}, ("name", "a non-empty string is required")),
        ({"version": 1}, ("version", "a non-empty string is required")),
        ({"subjectKind": "dog"}, ("subjectKind", "one of person, thing is required")),
        ({"subjectKind": None}, ("subjectKind", "one of person, thing is required")),
        ({"minCoverage": 1.5}, ("minCoverage", "must lie in 0..1")),
        ({"minCoverage": "half"}, ("minCoverage", "a finite number is required")),
        ({"contributor": []}, ("contributor", "at least one is required")),
        ({"contributor": "all"}, ("contributor", "at least one is required")),
        ({"contributor": [*part()[:2], 5]}, ("contributor[2]", "an object is required")),
        ({"contributor": part(kqi="happiness")}, ("contributor[0].kqi", "'happiness' is no known KQI")),
        ({"contributor": part(kqi=["loss_ratio"])}, ("contributor[0].kqi", "['loss_ratio'] is no known KQI")),
        ({"contributor": part(kqi="loss_ratio")}, ("contributor[2].kqi", "loss_ratio is given twice")),
        ({"contributor": part(weight=-0.5)}, ("contributor[0].weight", "must not be negative")),
        ({"contributor": part(weight=0.4)}, ("contributor", "the weights sum to 0.9, not to 1")),
        ({"contributor": part(weight=...)}, ("contributor[0].weight", "missing")),
        ({"contributor": part(weight=True)}, ("contributor[0].weight", "a finite number is required")),
        ({"contributor": part(bad=math.inf)}, ("contributor[0].bad", "a finite number is required")),
        ({"contributor": part(bad=1)}, ("contributor[0].good", "must differ from bad")),
    ],
)
def test_a_wrong_specification_is_refused_by_attribute(change: dict[str, Any], fault: tuple[str, str]) -> None:
    faults = specification_of({**DOCUMENT, **change})
    assert isinstance(faults, tuple)
    assert SpecificationFault(*fault) in faults


def test_a_thing_has_no_opinion() -> None:
    faults = specification_of({**DOCUMENT, "subjectKind": "thing", "contributor": part(kqi="voice.mos")})
    assert faults == (SpecificationFault("contributor[0].kqi", "voice.mos is an opinion; things have none"),)
    assert isinstance(specification_of({**DOCUMENT, "contributor": part(kqi="voice.mos")}), Specification)


def test_the_known_indicators_are_the_deployers() -> None:
    own = {**KQIS, "happiness": Kqi("happiness", "1..10", opinion=True)}
    assert isinstance(specification_of({**DOCUMENT, "contributor": part(kqi="happiness")}, own), Specification)


# --- roll-up


def test_a_roll_up_is_seven_parts_mean_and_three_parts_p10() -> None:
    result = rolled_up([0] * 10 + [2], [*range(10, 101, 10), 42.0], groups=3)
    np.testing.assert_allclose(result.mean, [55.0, math.nan, 42.0])
    np.testing.assert_allclose(result.p10, [10.0, math.nan, 42.0])
    np.testing.assert_allclose(result.value, [0.7 * 55 + 0.3 * 10, math.nan, 42.0])
    assert result.n.tolist() == [10, 0, 1]


def test_scores_that_are_missing_are_left_out_of_a_roll_up() -> None:
    result = rolled_up([0, 0, 1], [80.0, math.nan, math.nan], groups=2)
    assert result.n.tolist() == [1, 0]
    assert result.value[0] == pytest.approx(80.0)
    assert rolled_up([], [], groups=1).n.tolist() == [0]


SCORES = st.lists(st.tuples(st.integers(0, 3), st.floats(0, 100)), min_size=1, max_size=40)


@given(SCORES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_roll_ups_agree_with_one_another(pairs: list[tuple[int, float]], random: Any) -> None:
    group, values = zip(*pairs, strict=True)
    parts, whole = rolled_up(group, values, 4), rolled_up([0] * len(pairs), values, 1)
    assert np.nansum(parts.mean * parts.n) / parts.n.sum() == pytest.approx(whole.mean[0], abs=1e-9)
    assert min(values) - 1e-9 <= whole.value[0] <= max(values) + 1e-9
    assert min(values) <= whole.mean[0] <= max(values)
    shuffled = list(pairs)
    random.shuffle(shuffled)
    group, values = zip(*shuffled, strict=True)
    np.testing.assert_array_equal(parts.value, rolled_up(group, values, 4).value)


@given(SCORES, st.floats(0, 50))
@settings(deadline=None)
def test_a_better_score_never_lowers_a_roll_up(pairs: list[tuple[int, float]], by: float) -> None:
    group, values = zip(*pairs, strict=True)
    before = rolled_up(group, values, 4).value
    after = rolled_up(group, [min(100.0, values[0] + by), *values[1:]], 4).value
    assert (np.nan_to_num(after) >= np.nan_to_num(before) - 1e-9).all()


# --- time


def test_a_value_of_one_half_life_ago_counts_half() -> None:
    result = decayed_mean([90.0, 60.0], [0.0, 3600.0], 3600.0)
    assert result is not None
    assert [result.value, result.effective_n] == pytest.approx([80.0, 1.8])


def test_regular_windows_decay_as_an_ewma() -> None:
    values, smoothing = [10.0, 50.0, 20.0, 80.0], 1 - 2**-0.5
    ewma, weight = 0.0, 0.0
    for value in values:
        ewma, weight = ewma * (1 - smoothing) + smoothing * value, weight * (1 - smoothing) + smoothing
    result = decayed_mean(values, [900, 600, 300, 0], 600.0)
    assert result is not None
    assert result.value == pytest.approx(ewma / weight)


def test_nothing_known_has_no_mean() -> None:
    assert decayed_mean([], [], 60.0) is None
    assert decayed_mean([math.nan], [0.0], 60.0) is None
    assert decayed_mean([math.nan, 7.0], [0.0, 1e9], 60.0) == Decayed(7.0, 1.0)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1e7)), min_size=1, max_size=20), st.floats(1, 1e6))
@settings(deadline=None)
def test_a_decayed_mean_lies_among_its_values(pairs: list[tuple[float, float]], half_life_s: float) -> None:
    values, ages = zip(*pairs, strict=True)
    result = decayed_mean(values, ages, half_life_s)
    assert result is not None
    assert min(values) <= result.value <= max(values)
    assert 1 - 1e-9 <= result.effective_n <= len(pairs) + 1e-9


# --- what a subject is used to


def test_the_same_score_feels_different_to_who_is_used_to_other() -> None:
    spoilt, modest = Baseline(90.0, 5.0, 50), Baseline(60.0, 5.0, 50)
    assert perceived(75.0, spoilt, None) == pytest.approx(0.135, abs=0.001)
    assert perceived(75.0, modest, None) == pytest.approx(99.865, abs=0.001)
    assert perceived(90.0, spoilt, None) == pytest.approx(50.0)


def test_a_new_subject_is_judged_by_its_segment() -> None:
    segment = Baseline(70.0, 10.0, 20)
    assert perceived(70.0, None, segment) == pytest.approx(50.0)
    assert perceived(70.0, Baseline(80.0, 10.0, 20), segment) == pytest.approx(100 * 0.308538, abs=0.001)
    assert perceived(70.0, None, None) is None
    assert perceived(70.0, Baseline(0.0, 0.0, 0), None) is None


def test_a_baseline_remembers_with_exponential_weights() -> None:
    first = remembered(None, 80.0, 0.1)
    assert first == Baseline(80.0, 0.0, 1.0)
    second = remembered(first, 90.0, 0.1)
    assert [second.mean, second.sd, second.n] == pytest.approx([81.0, 3.0, 2.0])


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(0.01, 1.0))
@settings(deadline=None)
def test_a_baseline_stays_among_the_scores(values: list[float], smoothing: float) -> None:
    baseline: Baseline | None = None
    for value in values:
        baseline = remembered(baseline, value, smoothing)
    assert baseline is not None
    assert min(values) - 1e-9 <= baseline.mean <= max(values) + 1e-9
    assert 0 <= baseline.sd <= 50.0 + 1e-9
    assert baseline.n == len(values)


# --- intervals


@pytest.mark.parametrize(("n", "t"), [(5, 2.776), (10, 2.262), (30, 2.045), (1000, 1.962)])
def test_an_interval_is_students(n: int, t: float) -> None:
    result = interval(50.0, 10.0, n)
    assert result is not None
    assert (result.high - 50.0) * math.sqrt(n) / 10.0 == pytest.approx(t, abs=0.01)
    assert result.high - 50.0 == pytest.approx(50.0 - result.low)


def test_an_interval_needs_samples_and_keeps_the_bounds() -> None:
    assert interval(50.0, 10.0, 4) is None
    assert interval(50.0, 10.0, 20, min_n=30) is None
    near_the_top = interval(99.0, 20.0, 6)
    assert near_the_top is not None
    assert near_the_top.low == pytest.approx(78.0, abs=0.1)
    assert (near_the_top.high, near_the_top.n) == (100.0, 6)
    equal = interval(80.0, 0.0, 9)
    assert equal is not None
    assert equal.low < 80.0 < equal.high
