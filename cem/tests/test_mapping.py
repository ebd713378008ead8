"""Rows of a file become TMF629 customers; the outcome stays apart from what predicts it."""

from __future__ import annotations

import copy
import csv
import io
from importlib.resources import files
from typing import Any

import pytest
import yaml

from cem.mapping import CustomerMapping, MappingError, RowError, Usage, customer, read, unmapped

HEADER = (
    "customerID,gender,SeniorCitizen,Partner,Dependents,tenure,PhoneService,MultipleLines,InternetService,"
    "OnlineSecurity,OnlineBackup,DeviceProtection,TechSupport,StreamingTV,StreamingMovies,Contract,"
    "PaperlessBilling,PaymentMethod,MonthlyCharges,TotalCharges,Churn"
)
ROWS = [
    "0001-AAAAA,Female,1,No,No,2,Yes,Yes,Fiber optic,No,No,No,No,Yes,Yes,"
    "Month-to-month,Yes,Electronic check,95.5,190,Yes",
    "0002-BBBBB,Male,0,Yes,Yes,0,Yes,No,No,No internet service,No internet service,No internet service,"
    "No internet service,No internet service,No internet service,Two year,No,Mailed check,20.05, ,No",
]
SMALL: dict[str, Any] = {
    "name": "small",
    "id": {"column": "msisdn"},
    "customerName": {"column": "who"},
    "engagedParty": {"column": "party", "referredType": "Organization"},
    "missing": ["", "n/a"],
    "columns": [
        {"column": "state", "attribute": "status"},
        {
            "column": "months",
            "characteristic": "tenure",
            "valueType": "integer",
            "usage": "feature",
            "group": "contract",
        },
        {"column": "fee", "characteristic": "fee", "valueType": "number", "usage": "feature", "group": "price"},
        {"column": "app", "characteristic": "app", "valueType": "boolean", "usage": "feature", "group": "service"},
        {
            "column": "left",
            "characteristic": "churned",
            "valueType": "boolean",
            "usage": "outcome",
            "values": {"y": True, "n": False},
        },
    ],
}
SMALL_ROW = {
    "msisdn": "4917",
    "who": "Bakery",
    "party": "p1",
    "state": "active",
    "months": "12",
    "fee": "9.90",
    "app": "TRUE",
    "left": "n",
}


@pytest.fixture(scope="module")
def shipped() -> CustomerMapping:
    return read(yaml.safe_load((files("cem") / "mappings" / "ibm_telco.yaml").read_text(encoding="utf-8")))


def _rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("\n".join([HEADER, *ROWS]))))


def _named(payload: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {characteristic["name"]: characteristic for characteristic in payload["characteristic"]}


def _changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(SMALL), **changes}


def _with_column(**entry: Any) -> dict[str, Any]:
    return _changed(columns=[*SMALL["columns"], entry])


def test_a_row_becomes_a_tmf629_v5_customer(shipped: CustomerMapping) -> None:
    payload = customer(shipped, _rows()[0])
    assert payload["@type"] == "Customer"
    assert payload["id"] == payload["name"] == "0001-AAAAA"
    assert payload["engagedParty"] == {"@type": "PartyRef", "id": "0001-AAAAA", "@referredType": "Individual"}
    found = _named(payload)
    assert found["tenure"] == {
        "@type": "IntegerCharacteristic",
        "name": "tenure",
        "valueType": "integer",
        "value": 2,
        "usage": "feature",
        "group": "contract",
    }
    assert (found["monthlyCharges"]["@type"], found["monthlyCharges"]["value"]) == ("NumberCharacteristic", 95.5)
    assert (found["contract"]["@type"], found["contract"]["value"]) == ("StringCharacteristic", "Month-to-month")
    assert found["phoneService"]["value"] is True
    assert found["seniorCitizen"]["value"] is True


def test_the_outcome_travels_marked_and_no_feature_is_made_of_it(shipped: CustomerMapping) -> None:
    for row, left in zip(_rows(), (True, False), strict=True):
        payload = customer(shipped, row)
        outcomes = [c for c in payload["characteristic"] if c["usage"] == "outcome"]
        assert [(c["name"], c["value"], "group" in c) for c in outcomes] == [("churned", left, False)]
    assert shipped.outcome is not None
    assert shipped.outcome.column == "Churn"
    features = [c for c in shipped.characteristics if c.usage is Usage.FEATURE]
    assert "Churn" not in {c.column for c in features}
    assert len(features) == 15


def test_protected_attributes_are_kept_and_marked(shipped: CustomerMapping) -> None:
    found = _named(customer(shipped, _rows()[0]))
    protected = {name for name, c in found.items() if c["usage"] == "protected"}
    assert protected == {"gender", "seniorCitizen", "partner", "dependents"}


def test_every_column_of_the_file_is_mapped_and_every_feature_has_a_known_group(shipped: CustomerMapping) -> None:
    assert unmapped(shipped, HEADER.split(",")) == ()
    known = {"price", "network", "service", "contract", "device", "usage", "care", "customer"}
    assert {c.group for c in shipped.characteristics if c.usage is Usage.FEATURE} <= known


def test_a_blank_is_left_out_and_not_turned_into_a_zero(shipped: CustomerMapping) -> None:
    found = _named(customer(shipped, _rows()[1]))
    assert "totalCharges" not in found
    assert found["tenure"]["value"] == 0


@pytest.mark.parametrize(
    ("column", "text", "why"),
    [
        ("tenure", "two", "'two' is no integer"),
        ("tenure", "2.5", "'2.5' is no integer"),
        ("MonthlyCharges", "1_000", "'1_000' is no number"),
        ("MonthlyCharges", "1e999", "'1e999' is no number"),
        ("MonthlyCharges", "NaN", "'NaN' is no number"),
        ("Churn", "Maybe", "'Maybe' is none of Yes, No"),
    ],
)
def test_an_unreadable_value_names_row_and_column(shipped: CustomerMapping, column: str, text: str, why: str) -> None:
    with pytest.raises(RowError) as refused:
        customer(shipped, {**_rows()[0], column: text}, number=17)
    assert str(refused.value) == f"row 17 (0001-AAAAA), column {column}: {why}"
    assert (refused.value.row, refused.value.column) == ("row 17 (0001-AAAAA)", column)


def test_a_row_without_id_or_column_names_its_number(shipped: CustomerMapping) -> None:
    with pytest.raises(RowError, match="row 3, column customerID: a value is required here"):
        customer(shipped, {**_rows()[0], "customerID": " "}, number=3)
    short = {column: text for column, text in _rows()[0].items() if column != "Churn"}
    with pytest.raises(RowError, match=r"row 3 \(0001-AAAAA\), column Churn: the row has no such column"):
        customer(shipped, short, number=3)


def test_attributes_names_and_parties_come_from_their_own_columns() -> None:
    payload = customer(read(SMALL), SMALL_ROW)
    assert (payload["id"], payload["name"], payload["status"]) == ("4917", "Bakery", "active")
    assert payload["engagedParty"] == {"@type": "PartyRef", "id": "p1", "@referredType": "Organization"}
    assert _named(payload)["app"]["value"] is True
    assert _named(payload)["churned"]["value"] is False


def test_a_missing_text_leaves_attribute_feature_and_outcome_out() -> None:
    payload = customer(read(SMALL), {**SMALL_ROW, "state": "n/a", "fee": " n/a ", "left": ""})
    assert "status" not in payload
    assert set(_named(payload)) == {"tenure", "app"}


def test_columns_the_mapping_does_not_read_are_told_and_those_it_lacks_are_an_error() -> None:
    mapping = read(SMALL)
    assert unmapped(mapping, [*SMALL_ROW, "notes"]) == ("notes",)
    with pytest.raises(MappingError, match="small: the file has no column fee, left"):
        unmapped(mapping, [column for column in SMALL_ROW if column not in ("fee", "left")])


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"name": "x"}, "mapping: columns, customerName, engagedParty, id is missing"),
        (_changed(typo=1), "mapping: typo is not known here"),
        (_changed(id="msisdn"), "id: an object is expected"),
        (_changed(missing=[None]), "missing: a list of quoted texts"),
        (_changed(columns={}), "columns: a list is expected"),
        (_with_column(column="a", attribute="href"), r"columns\[5\]: attribute is one of"),
        (_with_column(column="a", characteristic="b", usage="feature"), r"columns\[5\]: valueType is missing"),
        (
            _with_column(column="a", characteristic="b", valueType="date", usage="feature", group="price"),
            "valueType is one of",
        ),
        (_with_column(column="a", characteristic="b", valueType="string", usage="label"), "usage is one of"),
        (_with_column(column="a", characteristic="b", valueType="string", usage="feature"), "a feature has a group"),
        (
            _with_column(column="a", characteristic="b", valueType="boolean", usage="outcome", group="price"),
            "nothing else has one",
        ),
        (_with_column(column="a", characteristic="b", valueType="string", usage="outcome"), "outcome is a boolean"),
        (_with_column(column="a", characteristic="b", valueType="boolean", usage="outcome"), "at most one outcome"),
        (
            _with_column(column="a", characteristic="fee", valueType="string", usage="protected"),
            "characteristic fee is given twice",
        ),
        (
            _with_column(column="left", characteristic="gone", valueType="string", usage="feature", group="care"),
            "column left is given twice",
        ),
        (
            _with_column(
                column="a",
                characteristic="b",
                valueType="boolean",
                usage="protected",
                values={True: True, False: False},
            ),
            "must be quoted",
        ),
        (
            _with_column(column="a", characteristic="b", valueType="boolean", usage="protected", values={"1": 1}),
            "is no boolean",
        ),
        (
            _with_column(column="a", characteristic="b", valueType="integer", usage="protected", values={"1": True}),
            "is no integer",
        ),
    ],
)
def test_a_wrong_mapping_is_refused_with_the_entry_that_is_wrong(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        read(mapping)
