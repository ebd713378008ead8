"""The declared resources of customer 360: what they take, what they refuse, how v4 sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from customer_360 import resources
from tmfkit.base import mistakes
from tmfkit.query import names_of
from tmfkit.types import Entity
from tmfkit.versions import view

Document = dict[str, Any]
KEY = {"id": "42", "href": "https://cem.example/42"}

CUSTOMER: Document = {"name": "Ada", "engagedParty": {"id": "p42", "@type": "PartyRef"}}
CUSTOMER_V4: Document = {"name": "Ada", "engagedParty": {"id": "p42", "@referredType": "Individual"}}


def slotted(view: Document) -> Document:
    """With the class of each slot, which the standard demands."""

    def typed(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [typed(name, member) for member in value]
        plain = name.startswith("@") or name == "validFor"
        return value if plain else {"@type": f"Customer360{name[0].upper()}{name[1:]}VO", **value}

    return {name: typed(name, value) for name, value in view.items()}


MINIMAL: list[tuple[type[Entity], Document]] = [
    (resources.Customer, CUSTOMER),
    (resources.CustomerV4, CUSTOMER_V4),
    (resources.Customer360, {}),
]
FULL_V4: Document = {
    **CUSTOMER_V4,
    "status": "active",
    "statusReason": "paid",
    "validFor": {"startDateTime": "2024-05-01T00:00:00Z"},
    "characteristic": [{"name": "segment", "value": "family"}, {"name": "lines", "value": 3, "valueType": "integer"}],
    "account": [{"id": "b1", "name": "home", "description": "pays all", "@referredType": "BillingAccount"}],
    "agreement": [{"id": "g1"}],
    "contactMedium": [
        {"mediumType": "email", "preferred": True, "characteristic": {"emailAddress": "ada@mail.example"}},
        {"mediumType": "TelephoneNumber", "characteristic": {"phoneNumber": "+44 20 7946 0000", "contactType": "home"}},
        {"mediumType": "postalAddress", "characteristic": {"street1": "1 Mill Road", "city": "Hull", "country": "UK"}},
    ],
    "paymentMethod": [{"id": "m1"}],
    "creditProfile": [
        {
            "creditProfileDate": "2026-01-01T00:00:00Z",
            "creditScore": 610,
            "validFor": {"endDateTime": "2027-01-01T00:00:00Z"},
        }
    ],
    "relatedParty": [{"id": "p9", "role": "payer", "name": "Bob", "@referredType": "Individual"}],
}
FULL: list[tuple[type[Entity], Document]] = [
    (resources.CustomerV4, FULL_V4),
    (
        resources.Customer,
        {
            **CUSTOMER,
            "description": "three lines",
            "role": "subscriber",
            "status": "active",
            "partyRoleSpecification": {"id": "residential"},
            "account": [{"id": "b1"}],
            "contactMedium": [
                {"@type": "EmailContactMedium", "id": "c1", "preferred": True, "emailAddress": "ada@mail.example"},
                {"@type": "GeographicAddressContactMedium", "city": "Hull", "geographicAddress": {"id": "a1"}},
            ],
            "relatedParty": [{"role": "payer", "partyOrPartyRole": {"id": "p9", "@type": "PartyRef"}}],
        },
    ),
    (
        resources.CustomerExperience360,
        slotted(
            {
                "@type": "CustomerExperience360",
                "customer": {"id": "42", "name": "Ada", "engagedParty": {"id": "p42"}},
                "account": [{"id": "b1", "state": "active"}],
                "agreement": [{"id": "g1", "agreementSpecification": {"id": "as1"}}],
                "appointment": [{"id": "ap1", "status": "confirmed"}],
                "customerBill": [{"id": "cb1", "state": "partiallyPaid"}],
                "partyInteraction": [{"id": "i1", "reason": "stalls"}],
                "loyaltyBalance": [{"id": "l1", "quantity": {"value": 12.5, "unit": "points"}}],
                "paymentMethod": [{"id": "m1", "isPreferred": True}],
                "productOrder": [{"id": "o1", "state": "inProgress.accepted"}],
                "product": [{"id": "pr1", "status": "active", "productOffering": {"id": "fibre"}}],
                "promotion": [{"id": "po1", "type": "discount"}],
                "quote": [{"id": "q1", "state": "approved"}],
                "recommendation": [{"id": "r1", "category": {"id": "tv"}}],
                "serviceProblem": [{"id": "sp1", "priority": 2, "affectedService": [{"id": "s1"}]}],
                "troubleTicket": [{"id": "t1", "status": "pending"}],
                "validFor": {"startDateTime": "2026-03-01T00:00:00Z"},
                "experienceScore": [
                    {"service": {"id": "s1"}, "score": 61.5, "low": 55.0, "high": 67.0, "coverage": 0.8}
                ],
                "churnRisk": {
                    "id": "ra1",
                    "churnProbability": 0.31,
                    "horizonDays": 30,
                    "reasons": [{"driver": "stallRatio", "group": "network", "contribution": 0.7}],
                },
                "timeline": [
                    {
                        "eventTime": "2026-03-01T10:05:00Z",
                        "eventType": "ServiceProblemCreateEvent",
                        "entity": {"id": "sp1"},
                    }
                ],
            }
        ),
    ),
]


def validated(model: type[Entity], body: Document) -> Entity:
    return model.model_validate_json(json.dumps({**KEY, **body}), strict=True)


@pytest.mark.parametrize(("model", "body"), MINIMAL + FULL)
def test_a_body_with_what_is_mandatory_and_more_is_taken_and_given_back(model: type[Entity], body: Document) -> None:
    assert validated(model, body).model_dump(mode="json", exclude_unset=True) == {**KEY, **body}


@pytest.mark.parametrize(("model", "body", "name"), [(m, b, n) for m, b in MINIMAL for n in b])
def test_a_missing_mandatory_attribute_is_named(model: type[Entity], body: Document, name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validated(model, {k: v for k, v in body.items() if k != name})
    assert [e["loc"] for e in refused.value.errors()] == [(name,)]


ROLE: Document = {"@type": "Supplier", "name": "ropes", "engagedParty": {"@type": "PartyRef", "id": "p7"}}


def played(role: Document) -> Document:
    related = {"@type": "RelatedPartyOrPartyRole", "role": "supplier", "partyOrPartyRole": role}
    return {**CUSTOMER, "relatedParty": [related]}


def told(characteristic: Document) -> Document:
    return {**CUSTOMER, "characteristic": [{"@type": "StringCharacteristic", "name": "segment", **characteristic}]}


@pytest.mark.parametrize(
    ("model", "body", "missing"),
    [
        (resources.CustomerV4, {"name": "Ada", "engagedParty": {"id": "p42"}}, ["@referredType"]),
        (resources.CustomerV4, {**CUSTOMER_V4, "relatedParty": [{"id": "p9", "role": "payer"}]}, ["@referredType"]),
        (resources.Customer, told({}), ["value"]),
        (resources.Customer, told({"value": "s", "characteristicRelationship": [{}]}), ["id", "relationshipType"]),
        (resources.Customer, played({k: v for k, v in ROLE.items() if k == "@type"}), ["name", "engagedParty"]),
    ],
)
def test_what_is_mandatory_deep_inside_is_mandatory(model: type[Entity], body: Document, missing: list[str]) -> None:
    with pytest.raises(ValidationError) as refused:
        validated(model, body)
    assert [place[-1] for place, _ in mistakes(refused.value)] == missing
    validated(resources.Customer, played(ROLE))
    validated(
        resources.CustomerV4,
        {**CUSTOMER_V4, "characteristic": [{"name": "a", "value": 1, "characteristicRelationship": [{}]}]},
    )


def test_v4_asks_for_the_kind_and_the_characteristic_of_a_contact_medium() -> None:
    with pytest.raises(ValidationError) as refused:
        validated(resources.CustomerV4, {**CUSTOMER_V4, "contactMedium": [{"preferred": True}]})
    assert [e["loc"][-1] for e in refused.value.errors()] == ["mediumType", "characteristic"]


def test_a_customer_of_a_v4_client_comes_back_to_it_as_it_was() -> None:
    v4 = view(resources.CUSTOMER, "v4", "v5")
    stored = v4.up(FULL_V4)
    validated(resources.Customer, stored)
    assert [m["@type"] for m in stored["contactMedium"]] == [
        "EmailContactMedium",
        "PhoneContactMedium",
        "GeographicAddressContactMedium",
    ]
    assert stored["relatedParty"][0]["partyOrPartyRole"]["id"] == "p9"
    assert v4.down(stored) == FULL_V4


def test_a_v4_patch_keeps_what_only_v5_shows() -> None:
    v4 = view(resources.CUSTOMER, "v4", "v5")
    stored = FULL[1][1]
    before = v4.down(stored)
    assert not {"description", "role", "partyRoleSpecification"} & before.keys()
    media = json.loads(json.dumps(before["contactMedium"]))
    media[0]["characteristic"]["emailAddress"] = "lovelace@mail.example"
    after = {**before, "status": "suspended", "contactMedium": media}
    expected = json.loads(json.dumps(stored))
    expected["status"] = "suspended"
    expected["contactMedium"][0]["emailAddress"] = "lovelace@mail.example"
    assert v4.merge(stored, before, after) == expected


def test_the_declared_extension_can_be_asked_for_by_its_attributes() -> None:
    names = names_of(resources.CUSTOMER_360.model, *resources.CUSTOMER_360.extensions)
    assert names("churnRisk.churnProbability") is not None
    assert names("experienceScore.score") is not None
    assert names("experienceScore.mood") is None


def test_only_events_that_the_published_files_know_are_raised() -> None:
    assert resources.CUSTOMER.event_kinds == {"Create", "AttributeValueChange", "Delete", "StateChange"}
    assert resources.CUSTOMER_360.event_kinds == {"Create", "AttributeValueChange", "Delete"}
    assert resources.CUSTOMER_360.operations == {"list", "retrieve"}
