"""Records become columns; what may not be known is refused by name."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import numpy as np
import pytest

from churn_prediction.domain.features import (
    Feature,
    FeatureValueError,
    Group,
    Kind,
    LeakageError,
    Record,
    Specification,
    frame,
    labelled,
    specification,
)

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
SPECIFICATION = Specification(
    (
        Feature("tenure", Kind.NUMERIC, Group.CONTRACT, "customer-360"),
        Feature("contract", Kind.CATEGORICAL, Group.CONTRACT, "customer-360"),
    )
)


def _record(tenure: Any = 3.0, contract: Any = "one year", **more: Any) -> Record:
    return cast(Record, {"id": "42", "as_of": AS_OF, "features": {"tenure": tenure, "contract": contract}, **more})


def test_records_become_numeric_and_categorical_columns() -> None:
    table = frame(SPECIFICATION, [_record(), _record(tenure=5, contract="two years")])
    assert table.columns["tenure"].tolist() == [3.0, 5.0]
    assert table.columns["contract"].tolist() == ["one year", "two years"]
    assert table.ids == ("42", "42")


def test_a_missing_value_stays_missing_in_whatever_way_it_is_absent() -> None:
    absent = Record(id="42", as_of=AS_OF, features={})
    table = frame(SPECIFICATION, [_record(None, None), _record(math.nan, ""), absent])
    assert np.isnan(table.columns["tenure"]).all()
    assert table.columns["contract"].tolist() == [None, None, None]
    assert table.value("tenure", 0) is None


def test_booleans_and_numbers_have_one_category_each_written_as_json_writes_them() -> None:
    table = frame(SPECIFICATION, [_record(contract=value) for value in (True, False, 1, 1.0, 2.5)])
    assert table.columns["contract"].tolist() == ["true", "false", "1", "1", "2.5"]


@pytest.mark.parametrize("value", ["12", "", math.inf])
def test_a_number_must_be_a_finite_number_and_the_error_names_record_and_column(value: Any) -> None:
    with pytest.raises(FeatureValueError, match="record 42, tenure"):
        frame(SPECIFICATION, [_record(tenure=value)])


@pytest.mark.parametrize("origin", ["churn-prediction", "churn_prediction", "churnPrediction", "Churn Prediction"])
def test_a_feature_of_our_own_making_is_refused_by_name(origin: str) -> None:
    with pytest.raises(LeakageError, match=r"riskOfLeaving.*never feeds a churn feature"):
        Specification((Feature("riskOfLeaving", Kind.NUMERIC, Group.CARE, origin),))


def test_a_value_of_our_own_making_is_refused_whatever_its_feature_declares() -> None:
    with pytest.raises(LeakageError, match=r"tenure.*churn-prediction"):
        frame(SPECIFICATION, [_record(origins={"tenure": "churn-prediction"})])
    assert len(frame(SPECIFICATION, [_record(origins={"tenure": "billing", "elsewhere": "churn-prediction"})])) == 1


def test_a_value_dated_after_as_of_is_refused_and_one_dated_at_as_of_is_not() -> None:
    assert len(frame(SPECIFICATION, [_record(observed_at={"tenure": AS_OF})])) == 1
    with pytest.raises(LeakageError, match=r"tenure: record 42 dates it 2026-03-01T00:00:01.*after its as_of"):
        frame(SPECIFICATION, [_record(observed_at={"tenure": AS_OF + timedelta(seconds=1)})])


def test_times_are_compared_as_instants_across_offsets() -> None:
    east = timezone(timedelta(hours=9))
    same = datetime(2026, 3, 1, 9, 0, tzinfo=east)
    assert len(frame(SPECIFICATION, [_record(observed_at={"tenure": same})])) == 1
    with pytest.raises(LeakageError):
        frame(SPECIFICATION, [_record(observed_at={"tenure": same + timedelta(minutes=1)})])


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(FeatureValueError, match="as_of"):
        frame(SPECIFICATION, [Record(id="42", as_of=datetime(2026, 3, 1), features={})])
    with pytest.raises(FeatureValueError, match="tenure"):
        frame(SPECIFICATION, [_record(observed_at={"tenure": datetime(2026, 2, 1)})])


def test_only_records_with_a_known_outcome_are_labelled() -> None:
    known, churned = labelled([_record(churned=True), _record(churned=None), _record(churned=False), _record()])
    assert len(known) == 2
    assert churned.tolist() == [1, 0]


def test_features_as_of_a_time_inside_the_label_window_are_refused() -> None:
    labelled([_record(churned=True, label_from=AS_OF)])
    with pytest.raises(LeakageError, match="after its label window began"):
        labelled([_record(churned=True, label_from=AS_OF - timedelta(days=1))])


def test_a_specification_is_data_and_comes_back_from_its_document() -> None:
    reviewed = Feature("experienceScore", Kind.NUMERIC, Group.NETWORK, "experience-management", "measured before as_of")
    whole = Specification((*SPECIFICATION.features, reviewed))
    assert specification(whole.document()) == whole


def test_a_specification_names_each_feature_once() -> None:
    with pytest.raises(ValueError, match="distinct names"):
        Specification((SPECIFICATION.features[0], SPECIFICATION.features[0]))
