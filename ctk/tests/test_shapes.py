"""Judging values against a contract, and comparing them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from oda_ctk.contract import shipped
from oda_ctk.shapes import instant, leaf_paths, leaves, not_kept, same, violations

GOOD = {"id": "1", "href": "x", "name": "a", "engagedParty": {"id": "2", "@referredType": "Individual"}}
V4 = shipped("TMF629", "v4")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": 1}, "name is an integer instead of string"),
        ({"account": {}}, "account is an object instead of an array"),
        ({"account": [{"name": True}]}, "account[0].name is a boolean instead of string"),
        ({"engagedParty": {"@referredType": "Individual"}}, "engagedParty.id is mandatory and missing"),
        ({"engagedParty": []}, "engagedParty is an array instead of an object (RelatedParty)"),
        ({"validFor": {"startDateTime": "yesterday"}}, "validFor.startDateTime is 'yesterday', which is no date-time"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(change: dict[str, object], sentence: str) -> None:
    assert violations(V4, "Customer", {**GOOD, **change}) == [sentence]


def test_unknown_attributes_and_optional_nulls_are_fine() -> None:
    assert violations(V4, "Customer", {**GOOD, "own": 1, "status": None}) == []


def test_an_enumeration_is_closed() -> None:
    contract = shipped("TMF621", "v4")
    wrong = violations(contract, "TroubleTicket", {"status": "asleep"}, partial=True)
    assert wrong == ["status is 'asleep', which the enumeration does not have"]


def test_the_variant_that_at_type_names_is_judged() -> None:
    contract = shipped("TMF629", "v5")
    party = {"@type": "PartyRef", "id": "1"}
    doc = {"@type": "Customer", "characteristic": [{"@type": "IntegerCharacteristic", "value": "many"}]}
    wrong = violations(contract, "Customer", {**doc, "engagedParty": party})
    assert wrong == ["characteristic[0].value is a text instead of integer"]


def test_instants_are_read_with_any_zone_and_nothing_else() -> None:
    noon = datetime(2026, 1, 15, 12, tzinfo=UTC)
    for text in ("2026-01-15T12:00:00Z", "2026-01-15T13:00:00+01:00", "2026-01-15T12:00:00.000"):
        assert instant(text) == noon
    for other in ("yesterday", "2026-13-01T00:00:00Z", "12:00", 5, None, "2026-01-15T25:00:00Z"):
        assert instant(other) is None


def test_comparison_knows_json_and_instants() -> None:
    assert same(1, 1.0) and same("2026-01-15T12:00:00Z", "2026-01-15T12:00:00.000+00:00")
    assert same({"a": [1]}, {"a": [1.0]})
    assert not same(True, 1) and not same({"a": 1}, {"a": 1, "b": 2}) and not same("1", 1)
    assert not_kept({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3], "c": 0}}) == ["a.b[1] is 3 instead of 2"]
    assert not_kept({"a": [1]}, {"a": []}) == ["a has 0 items instead of 1"]
    assert not_kept({"a": 1}, {"a": 1, "more": 2}) == []


def test_leaves_are_found_through_arrays() -> None:
    doc = {"a": [{"b": 1}, {"b": 2, "c": {"d": "x"}}], "e": True}
    assert leaves(doc, "a.b") == [1, 2]
    assert leaf_paths(doc) == ["e", "a.b", "a.c.d"]
