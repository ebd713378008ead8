"""What the door lets in of an event, and what not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from churn_prediction import readings
from churn_prediction.domain.features import Group, Kind

Document = dict[str, Any]


def of(*characteristics: Any) -> readings.CustomerReading:
    reading = readings.customer({"id": "c1", "characteristic": list(characteristics)})
    assert reading is not None
    return reading


def test_each_usage_goes_its_own_way_and_what_is_not_marked_goes_nowhere(told: Callable[..., Document]) -> None:
    reading = of(
        told("tenure_months", 12),
        told("gender", "f", "protected"),
        told("churned", True, "outcome"),
        {"name": "shoeSize", "value": 44},
        told("internalNote", "x", "somethingElse"),
    )
    assert [(f.name, f.value, f.kind, f.group) for f in reading.features] == [
        ("tenure_months", "12.0", Kind.NUMERIC, Group.CONTRACT)
    ]
    assert reading.protected == {"gender": "f"}
    assert reading.outcome is not None and reading.outcome.churned
    assert reading.refused == {}


@pytest.mark.parametrize("origin", ["churn-prediction", "Churn Prediction", "churnPrediction"])
def test_what_churn_prediction_itself_made_is_refused(told: Callable[..., Document], origin: str) -> None:
    reading = of(told("leavingRisk", 0.8, origin=origin), told("tenure_months", 3, origin="billing"))
    assert [(f.name, f.origin) for f in reading.features] == [("tenure_months", "billing")]
    assert "never feeds" in reading.refused["leavingRisk"]


def test_a_name_that_is_outcome_and_feature_of_one_customer_is_no_feature(told: Callable[..., Document]) -> None:
    reading = of(told("churned", "Yes"), told("churned", "Yes", "outcome"), told("tenure_months", 3))
    assert [f.name for f in reading.features] == ["tenure_months"]
    assert "churned" in reading.refused


@pytest.mark.parametrize(
    ("value", "value_type", "kind", "written"),
    [
        (3, "integer", Kind.NUMERIC, "3.0"),
        ("3.5", "number", Kind.NUMERIC, "3.5"),
        (True, "boolean", Kind.CATEGORICAL, "true"),
        (2, "string", Kind.CATEGORICAL, "2"),
        ("", "string", Kind.CATEGORICAL, None),
        (None, "number", Kind.NUMERIC, None),
        (1.5, None, Kind.NUMERIC, "1.5"),
        (False, None, Kind.CATEGORICAL, "false"),
    ],
)
def test_a_value_is_written_as_its_kind_has_it(value: Any, value_type: Any, kind: Kind, written: Any) -> None:
    feature = of({"name": "x", "value": value, "valueType": value_type, "usage": "feature"}).features[0]
    assert (feature.kind, feature.value, feature.group) == (kind, written, Group.CUSTOMER)


@pytest.mark.parametrize("value", ["many", True, [1], float("inf"), "nan"])
def test_a_number_that_is_none_is_refused(value: Any) -> None:
    reading = of({"name": "x", "value": value, "valueType": "number", "usage": "feature"})
    assert reading.features == () and list(reading.refused) == ["x"]


@pytest.mark.parametrize(("value", "left"), [(True, True), ("Yes", True), ("no", False), (0, False), ("1", True)])
def test_an_outcome_is_yes_or_no(told: Callable[..., Document], value: Any, left: bool) -> None:
    outcome = of({**told("churned", True, "outcome"), "value": value}).outcome
    assert outcome is not None and outcome.churned is left


def test_an_outcome_that_is_neither_is_refused(told: Callable[..., Document]) -> None:
    reading = of(told("churned", "perhaps", "outcome"))
    assert reading.outcome is None and "churned" in reading.refused


@pytest.mark.parametrize("document", [{}, {"id": 7}, {"id": "c1", "characteristic": "none"}, {"id": "c1"}])
def test_a_customer_without_characteristics_has_none(document: Document) -> None:
    reading = readings.customer(document)
    assert reading is None or reading.features == ()


SCORE: Document = {
    "id": "xs1",
    "subject": {"id": "c1", "subjectType": "person"},
    "service": {"id": "svc1"},
    "score": 41.5,
    "observedWindow": {"startDateTime": "2026-03-01T10:00:00Z", "endDateTime": "2026-03-01T10:30:00Z"},
    "computedAt": "2026-03-01T10:31:00Z",
}
FLAT = [{"id": "u9", "role": "user"}, {"id": "c7", "role": "owner"}]
NESTED = [{"role": "owner", "partyOrPartyRole": {"id": "c7", "@referredType": "Customer"}}]


def test_a_score_is_read_with_its_window_and_its_causes() -> None:
    cause = {"id": "sp1", "@referredType": "ServiceProblem"}
    reading = readings.score({**SCORE, "cause": [cause, "noise"]})
    assert reading is not None
    assert (reading.customer_id, reading.service_id, reading.score) == ("c1", "svc1", 41.5)
    assert (reading.end - reading.start).total_seconds() == 1800
    assert reading.causes == (cause,)


@pytest.mark.parametrize("parties", [FLAT, NESTED])
def test_the_score_of_a_thing_is_its_owners(parties: list[Document]) -> None:
    thing = {**SCORE, "subject": {"id": "thing-1", "subjectType": "thing"}, "relatedParty": parties}
    reading = readings.score(thing)
    assert reading is not None and reading.customer_id == "c7"


def test_the_score_of_a_person_is_the_customers_who_may_be_somebody_else() -> None:
    for referred_type, customer in (("Customer", "c1"), ("Individual", "c7")):
        person = {**SCORE["subject"], "@referredType": referred_type}
        reading = readings.score({**SCORE, "subject": person, "relatedParty": NESTED})
        assert reading is not None and reading.customer_id == customer


@pytest.mark.parametrize(
    "change",
    [
        {"score": None},
        {"score": "41"},
        {"score": True},
        {"subject": None},
        {"subject": {"id": "thing-1", "subjectType": "thing"}},
        {"observedWindow": {}, "computedAt": None},
        {"id": None},
    ],
)
def test_a_score_that_says_nothing_of_a_customer_is_not_read(change: Document) -> None:
    assert readings.score({**SCORE, **change}) is None


def test_an_instant_without_an_offset_is_utc() -> None:
    at = readings.instant("2026-03-01T10:00:00")
    assert at is not None and at.isoformat() == "2026-03-01T10:00:00+00:00"
    assert readings.instant("yesterday") is None
    assert readings.instant(5) is None
