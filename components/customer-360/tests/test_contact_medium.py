"""Contact media between v4 and v5: nothing may be lost on the way, whatever the client wrote."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_360.contact_medium import ATTRIBUTES, CHARACTERISTICS, down, up

Document = dict[str, Any]

words = st.text(max_size=4)
characteristics = st.dictionaries(st.sampled_from([*sorted(CHARACTERISTICS), "floor", "@type"]), words, max_size=5)
v4_media = st.fixed_dictionaries(
    {
        "mediumType": st.sampled_from(["email", "E-Mail", "TelephoneNumber", "MailingAddress", "other", "fax"]) | words,
        "characteristic": characteristics,
    },
    optional={
        "preferred": st.booleans(),
        "validFor": st.just({"startDateTime": "2026-01-01T00:00:00Z"}),
        "id": words,
        "x-verified": st.booleans(),
        "@type": st.just("PigeonContactMedium"),
    },
)
v5_media = st.tuples(
    st.sampled_from([*ATTRIBUTES, "PigeonContactMedium"]),
    st.dictionaries(
        st.sampled_from([*sorted(CHARACTERISTICS), "id", "preferred", "geographicAddress", "x-verified"]), words
    ),
).map(lambda parts: {"@type": parts[0], **parts[1]})


@given(v4_media)
def test_a_v4_medium_survives_the_way_to_v5_and_back(medium: Document) -> None:
    assert down(up(medium)) == medium


@given(v5_media)
def test_a_v5_medium_survives_the_way_to_v4_and_back(medium: Document) -> None:
    assert up(down(medium)) == medium


@given(v4_media)
def test_every_v4_medium_becomes_a_typed_one_without_being_changed_itself(medium: Document) -> None:
    before = copy.deepcopy(medium)
    assert up(medium)["@type"].endswith("ContactMedium")
    assert medium == before


@pytest.mark.parametrize(
    ("medium_type", "characteristic", "kind"),
    [
        ("email", {"emailAddress": "a@b.example"}, "EmailContactMedium"),
        ("TelephoneNumber", {"phoneNumber": "1"}, "PhoneContactMedium"),
        ("mobile", {"phoneNumber": "1"}, "PhoneContactMedium"),
        ("MailingAddress", {"city": "Hull"}, "GeographicAddressContactMedium"),
        ("postal address", {"city": "Hull"}, "GeographicAddressContactMedium"),
        ("fax", {"faxNumber": "1"}, "FaxContactMedium"),
        ("social network", {"socialNetworkId": "@ada"}, "SocialContactMedium"),
        ("work", {"emailAddress": "a@b.example"}, "EmailContactMedium"),
        ("carrier pigeon", {"contactType": "urgent"}, "ContactMedium"),
    ],
)
def test_the_class_follows_the_word_and_else_the_attributes(
    medium_type: str, characteristic: Document, kind: str
) -> None:
    stored = up({"mediumType": medium_type, "characteristic": characteristic})
    assert stored["@type"] == kind
    assert characteristic.items() <= stored.items()


def test_v4_reads_a_v5_medium_in_its_own_shape() -> None:
    shown = down({"@type": "PhoneContactMedium", "phoneNumber": "1", "contactType": "home", "preferred": True})
    assert shown == {
        "mediumType": "phone",
        "characteristic": {"phoneNumber": "1", "contactType": "home"},
        "preferred": True,
    }


def test_a_stored_medium_without_class_is_told_by_its_attributes() -> None:
    assert down({"emailAddress": "a@b.example"})["mediumType"] == "email"
    assert up(down({"emailAddress": "a@b.example"}))["@type"] == "EmailContactMedium"
