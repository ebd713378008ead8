"""Models with forms: `@type` says which one is meant; another `@type` is an extension and is kept as it was sent."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tmfkit.errors import TmfError
from tmfkit.query import names_of
from tmfkit.types import Characteristic, Document, PlaceRefOrValue, RelatedPartyOrPartyRole
from tmfkit.write import normal


def related(**party: object) -> Document:
    return {"role": "owner", "partyOrPartyRole": party}


@pytest.mark.parametrize(
    "party",
    [
        {"@type": "PartyRef", "id": "42", "@referredType": "Individual"},
        {"@type": "PartyRoleRef", "id": "42", "partyId": "7", "partyName": "Ada"},
        {"@type": "Individual", "givenName": "Ada", "status": "validated"},
        {"@type": "Organization", "tradingName": "Sails", "isHeadOffice": True},
        {"@type": "Supplier", "name": "ropes", "engagedParty": {"@type": "PartyRef", "id": "7"}},
        {"@type": "Crew", "id": "42", "ship": {"name": "Rome"}},
        {"id": "42"},
    ],
)
def test_every_form_is_kept_as_it_was_sent(party: Document) -> None:
    assert normal(RelatedPartyOrPartyRole, related(**party)) == related(**party)


@pytest.mark.parametrize(
    ("party", "attribute"),
    [
        ({"@type": "Individual", "givenName": 7}, "partyOrPartyRole.givenName"),
        ({"@type": "Individual", "status": "closed"}, "partyOrPartyRole.status"),
        ({"@type": "PartyRef"}, "partyOrPartyRole.id"),
        ({"@type": "Crew"}, "partyOrPartyRole.id"),
        ({}, "partyOrPartyRole.id"),
        ({"@type": 7, "id": "42"}, "partyOrPartyRole.@type"),
    ],
)
def test_only_what_is_wrong_with_the_form_that_was_named_is_told(party: Document, attribute: str) -> None:
    with pytest.raises(TmfError) as refused:
        normal(RelatedPartyOrPartyRole, related(**party))
    assert refused.value.attribute == attribute
    assert refused.value.message is not None
    assert refused.value.message.startswith(f"{attribute}: ")
    assert ";" not in refused.value.message


def test_forms_inside_forms_are_judged_too() -> None:
    inner = related(**{"@type": "Organization", "name": 3})
    with pytest.raises(TmfError) as refused:
        normal(RelatedPartyOrPartyRole, related(**{"@type": "Individual", "relatedParty": [inner]}))
    assert refused.value.attribute == "partyOrPartyRole.relatedParty[0].partyOrPartyRole.name"


def test_instants_of_a_form_are_given_an_offset_and_the_document_sent_stays_as_it_is() -> None:
    medium = {"@type": "PhoneContactMedium", "validFor": {"startDateTime": "2026-01-01T00:00:00"}}
    sent = related(**{"@type": "Individual", "birthDate": "1815-12-10T00:00:00", "contactMedium": [medium]})
    stored = normal(RelatedPartyOrPartyRole, sent)["partyOrPartyRole"]
    assert stored["birthDate"] == "1815-12-10T00:00:00Z"
    assert stored["contactMedium"][0]["validFor"]["startDateTime"] == "2026-01-01T00:00:00Z"
    assert sent["partyOrPartyRole"]["birthDate"] == "1815-12-10T00:00:00"


def test_an_instant_of_a_form_that_is_none_is_named_with_its_whole_path() -> None:
    sent = related(**{"@type": "Organization", "existsDuring": {"endDateTime": "0001-01-01T00:00:00+23:59"}})
    with pytest.raises(TmfError) as refused:
        normal(RelatedPartyOrPartyRole, sent)
    assert refused.value.attribute == "partyOrPartyRole.existsDuring.endDateTime"


@pytest.mark.parametrize(
    ("kind", "value", "wrong"),
    [
        ("StringCharacteristic", "blue", 7),
        ("IntegerCharacteristic", 7, 7.5),
        ("NumberCharacteristic", 7.5, "7.5"),
        ("BooleanCharacteristic", True, "true"),
        ("ObjectCharacteristic", {"a": 1}, "a"),
        ("StringArrayCharacteristic", ["a"], "a"),
        ("NumberArrayCharacteristic", [1, 2.5], [1, "2"]),
    ],
)
def test_the_value_of_a_characteristic_is_of_the_type_that_its_class_says(
    kind: str, value: object, wrong: object
) -> None:
    sent = {"@type": kind, "name": "colour", "value": value}
    assert normal(Characteristic, sent) == sent
    with pytest.raises(TmfError):
        normal(Characteristic, {**sent, "value": wrong})
    plain = {"@type": "Characteristic", "name": "colour", "value": wrong}
    assert normal(Characteristic, plain) == plain


def test_a_model_in_python_is_the_form_that_was_named() -> None:
    place = PlaceRefOrValue.__pydantic_validator__.validate_python({"@type": "GeographicAddress", "city": "Rome"})
    assert type(place).__name__ == "GeographicAddress"
    with pytest.raises(ValidationError):
        PlaceRefOrValue.__pydantic_validator__.validate_python({"@type": "GeographicAddress", "city": 7})


def test_attributes_of_all_forms_may_be_asked_for() -> None:
    names = names_of(RelatedPartyOrPartyRole)
    for known in ("id", "givenName", "tradingName", "partyId", "contactMedium.phoneNumber", "engagedParty.id"):
        assert str(names(f"partyOrPartyRole.{known}")) == f"partyOrPartyRole.{known}"
    birth = names("partyOrPartyRole.birthDate")
    assert birth is not None
    assert birth.kind == "instant"
    assert names("partyOrPartyRole.ship") is None
