"""The door takes good rows as they are, refuses bad ones with attribute and index, and gives stable ids."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_quality.domain.kpi import CATALOGUE
from service_quality.domain.measurement import (
    Limits,
    Measurement,
    Rejection,
    granularity_s,
    instant,
    measurement_id,
    parse,
    parse_batch,
)

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
LIMITS = Limits(NOW)
GOOD: dict[str, Any] = {
    "resource": "cell-017",
    "service": "video",
    "kpi": "latency_ms",
    "value": 23.5,
    "unit": "ms",
    "observedAt": "2026-11-02T11:55:00Z",
    "granularity": 300,
    "source": "probe-3",
}


def taken(**changes: Any) -> Measurement:
    result = parse({**GOOD, **changes}, LIMITS)
    assert isinstance(result, Measurement), result
    return result


def refused(**changes: Any) -> Rejection:
    row = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    result = parse(row, LIMITS)
    assert isinstance(result, Rejection), result
    return result


def test_a_good_row_becomes_a_measurement() -> None:
    observed_at = datetime(2026, 11, 2, 11, 55, tzinfo=UTC)
    identity = measurement_id("probe-3", "cell-017", "video", "latency_ms", observed_at, 300)
    assert taken() == Measurement(
        identity, "cell-017", "video", "latency_ms", 23.5, "ms", observed_at, 300, "probe-3"
    )  # fmt: skip


@pytest.mark.parametrize("attribute", ["resource", "service", "kpi", "value", "observedAt"])
def test_a_mandatory_attribute_that_is_missing_is_named(attribute: str) -> None:
    assert refused(**{attribute: ...}) == Rejection("missing", attribute)


@pytest.mark.parametrize("attribute", ["resource", "service", "kpi", "source", "id"])
@pytest.mark.parametrize("text", [7, "a" * 256, "a\x00b", "a\nb", "\ud800"])
def test_names_are_short_printable_strings(attribute: str, text: Any) -> None:
    rejection = refused(**{attribute: text})
    assert rejection.attribute == attribute
    assert rejection.reason


@pytest.mark.parametrize("attribute", ["resource", "service", "kpi", "id"])
def test_an_empty_name_is_refused(attribute: str) -> None:
    assert refused(**{attribute: ""}) == Rejection("a non-empty string is required", attribute)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_a_value_that_is_not_finite_is_refused(value: float) -> None:
    assert refused(value=value) == Rejection("not a finite number", "value")


@pytest.mark.parametrize("value", ["23.5", True, [1], {}])
def test_a_value_that_is_no_number_is_refused(value: Any) -> None:
    assert refused(value=value) == Rejection("a number is required", "value")


def test_a_whole_number_is_taken_as_a_value() -> None:
    assert taken(value=23).value == 23.0


def test_a_value_outside_the_plausible_range_is_refused_with_the_range() -> None:
    rejection = refused(kpi="availability_ratio", value=1.2, unit="ratio")
    assert rejection == Rejection("1.2 ratio is outside 0..1 ratio of availability_ratio", "value")


def test_a_known_kpi_is_stored_in_the_unit_of_the_catalogue() -> None:
    measurement = taken(value=0.0235, unit="s")
    assert measurement.value == pytest.approx(23.5)
    assert measurement.unit == "ms"
    assert taken(kpi="availability_ratio", value=99.5, unit="%").value == pytest.approx(0.995)
    assert taken(kpi="DRB.UEThpDl", value=18_250, unit="kbit/s").value == pytest.approx(18.25)


def test_a_known_kpi_without_unit_is_in_the_unit_of_the_catalogue() -> None:
    assert taken(unit=None).unit == "ms"


def test_a_unit_that_does_not_fit_the_kpi_is_refused_with_those_that_do() -> None:
    assert refused(unit="kbit/s") == Rejection(
        "'kbit/s' is no unit of latency_ms; one of us, 0.1ms, ms, s, min, h", "unit"
    )
    assert refused(unit=5) == Rejection("a string is required", "unit")


def test_an_unknown_kpi_is_taken_with_its_unit_as_given() -> None:
    assert taken(kpi="vendor.weirdness", unit="furlong", value=-7e12)[3:6] == ("vendor.weirdness", -7e12, "furlong")
    assert taken(kpi="vendor.weirdness", unit=None).unit == ""
    assert taken(kpi="vendor.weirdness", unit="").unit == ""
    assert refused(kpi="vendor.weirdness", unit="a\x00").attribute == "unit"
    assert refused(kpi="vendor.weirdness", unit=3).attribute == "unit"


@pytest.mark.parametrize(
    ("observed", "reason"),
    [
        ("yesterday", "not an RFC 3339 instant"),
        (1_800_000_000, "not an RFC 3339 instant"),
        ("2026-11-02T11:55:00", "an offset is required (Z or +hh:mm)"),
        (datetime(2026, 11, 2, 11, 55), "an offset is required (Z or +hh:mm)"),
        ("0001-01-01T00:00:00+01:00", "outside the calendar"),
        ("2026-11-02T12:05:01Z", "more than 300 s ahead of the clock here"),
    ],
)
def test_an_instant_that_cannot_be_is_refused(observed: Any, reason: str) -> None:
    assert refused(observedAt=observed) == Rejection(reason, "observedAt")


def test_a_clock_may_run_ahead_up_to_the_limit() -> None:
    assert taken(observedAt="2026-11-02T12:05:00Z").observed_at == NOW + timedelta(minutes=5)


def test_rows_older_than_the_limit_are_refused_only_when_there_is_one() -> None:
    old = {**GOOD, "observedAt": "2026-01-01T00:00:00Z"}
    assert isinstance(parse(old, LIMITS), Measurement)
    assert parse(old, Limits(NOW, max_age_s=86_400)) == Rejection("older than 86400 s", "observedAt")
    assert isinstance(parse(GOOD, Limits(NOW, max_age_s=86_400)), Measurement)


def test_the_same_instant_in_another_offset_is_the_same_measurement() -> None:
    local = datetime(2026, 11, 2, 12, 55, tzinfo=timezone(timedelta(hours=1)))
    assert taken() == taken(observedAt="2026-11-02T12:55:00+01:00") == taken(observedAt=local)


def test_the_id_given_is_kept() -> None:
    assert taken(id="m-1").id == "m-1"


@pytest.mark.parametrize(
    ("granularity", "seconds"),
    [(0, 0), (300, 300), (300.0, 300), ("PT15M", 900), ("PT900S", 900), ("P1D", 86_400), ("P1DT1H0M1S", 90_001),
     ("g_5mn", 300), ("G_24H", 86_400), ("na", 0)],
)  # fmt: skip
def test_granularity_is_seconds_a_duration_or_the_word_of_tmf628(granularity: Any, seconds: int) -> None:
    assert granularity_s(granularity) == seconds
    assert taken(granularity=granularity).granularity_s == seconds


@pytest.mark.parametrize(
    "granularity", [-1, 0.5, math.nan, math.inf, True, "P", "PT", "P1M", "soon", "PT99999999999H", 10**9, None, "g_1y"]
)
def test_other_granularities_are_refused(granularity: Any) -> None:
    assert granularity_s(granularity) is None
    if granularity is not None:
        assert refused(granularity=granularity).attribute == "granularity"


def test_what_is_not_said_has_a_default() -> None:
    row = {name: GOOD[name] for name in ("resource", "service", "kpi", "value", "observedAt")}
    measurement = parse(row, LIMITS, source="mediation")
    assert isinstance(measurement, Measurement)
    assert (measurement.unit, measurement.granularity_s, measurement.source) == ("ms", 0, "mediation")


@pytest.mark.parametrize("row", [None, [], "row", 5])
def test_a_row_that_is_no_object_is_refused(row: Any) -> None:
    assert parse(row, LIMITS) == Rejection("a measurement is a JSON object", "")


def test_a_batch_keeps_the_good_rows_and_tells_the_index_of_the_bad() -> None:
    rows = [GOOD, {**GOOD, "value": None}, "x", {**GOOD, "service": "voice"}]
    measurements, rejections = parse_batch(rows, LIMITS)
    assert [measurement.service for measurement in measurements] == ["video", "voice"]
    assert rejections == [Rejection("missing", "value", 1), Rejection("a measurement is a JSON object", "", 2)]


def test_a_bad_instant_is_refused_in_every_row_that_has_it() -> None:
    rows = [{**GOOD, "observedAt": "never"}] * 3
    assert [rejection.index for rejection in parse_batch(rows, LIMITS)[1]] == [0, 1, 2]


@given(
    st.lists(
        st.one_of(
            st.fixed_dictionaries(
                {},
                optional={
                    name: st.one_of(st.just(value), st.none(), st.text(max_size=3), st.floats(), st.booleans())
                    for name, value in {**GOOD, "id": "m-1"}.items()
                },
            ),
            st.none(),
        ),
        max_size=5,
    )
)
@settings(deadline=None)
def test_every_row_is_taken_or_refused_and_never_raises(rows: list[Any]) -> None:
    measurements, rejections = parse_batch(rows, LIMITS)
    assert len(measurements) + len(rejections) == len(rows)
    for measurement in measurements:
        known = CATALOGUE.get(measurement.kpi)
        assert math.isfinite(measurement.value)
        assert known is None or known.low <= measurement.value <= known.high
        assert measurement.observed_at.utcoffset() == timedelta(0)
    assert all(rejection.reason for rejection in rejections)


NAMES = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=4)
PLACES = st.tuples(NAMES, NAMES, NAMES, NAMES, st.integers(0, 3), st.integers(0, 2))


@given(PLACES, PLACES)
@settings(deadline=None)
def test_ids_are_equal_exactly_when_what_was_measured_is(
    one: tuple[str, str, str, str, int, int], other: tuple[str, str, str, str, int, int]
) -> None:
    def identity(place: tuple[str, str, str, str, int, int]) -> str:
        source, resource, service, kpi, minute, granularity = place
        return measurement_id(source, resource, service, kpi, NOW + timedelta(minutes=minute), granularity)

    assert (identity(one) == identity(other)) == (one == other)


def test_an_instant_is_turned_into_utc_and_a_number_is_none() -> None:
    assert instant("2026-11-02T13:00:00+01:00") == NOW
    assert instant(5) == "not an RFC 3339 instant"
