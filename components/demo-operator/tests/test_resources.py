"""The inventories of the simulated operator: what they take and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from demo_operator import resources
from tmfkit import resource as kernel
from tmfkit.query import names_of
from tmfkit.types import Entity

Document = dict[str, Any]
KEY = {"id": "7", "href": "https://op.example/7"}

SERVICE: Document = {"state": "active", "serviceSpecification": {"id": "video"}}
MINIMAL: list[tuple[type[Entity], Document]] = [
    (resources.Product, {}),
    (resources.Service, SERVICE),
    (resources.Resource, {"name": "cell 17"}),
    (resources.PhysicalResource, {"name": "antenna 17"}),
    (resources.LogicalResource, {}),
]
FULL: list[tuple[type[Entity], Document]] = [
    (
        resources.Product,
        {
            "name": "mobile L",
            "status": "active",
            "isBundle": True,
            "startDate": "2025-01-01T00:00:00Z",
            "relatedParty": [{"role": "customer", "partyOrPartyRole": {"id": "42", "@type": "PartyRoleRef"}}],
            "realizingService": [{"id": "s1"}],
            "product": [{"id": "pr2"}, {"name": "roaming", "product": [{"id": "pr3"}]}],
            "productOffering": {"id": "mobile-l", "version": "2"},
            "productOrderItem": [{"role": "origin", "orderId": "o1", "orderItemId": "1", "orderItemAction": "add"}],
            "agreementItem": [{"agreementId": "g1", "agreementItemId": "1"}],
            "productPrice": [
                {
                    "priceType": "recurring",
                    "recurringChargePeriod": "month",
                    "price": {"taxIncludedAmount": {"unit": "EUR", "value": 29.9}, "taxRate": 19.0},
                    "priceAlteration": [{"priceType": "discount", "price": {"percentage": 10.0}, "priority": 1}],
                }
            ],
            "productRelationship": [{"id": "pr4", "relationshipType": "reliesOn"}],
            "productSpecification": {"id": "mobile", "targetProductSchema": {"@type": "Mobile"}},
            "productTerm": [{"name": "two years", "duration": {"amount": 24, "units": "month"}}],
            "productCharacteristic": [{"name": "gb", "value": 50}],
            "place": [{"role": "home", "place": {"id": "a1"}}],
            "intent": {"id": "in1"},
        },
    ),
    (
        resources.Service,
        {
            **SERVICE,
            "name": "video of Ada",
            "operatingStatus": "degraded",
            "relatedParty": [{"role": "user", "partyOrPartyRole": {"id": "42"}}],
            "supportingResource": [{"id": "cell-17", "@referredType": "Resource"}],
            "supportingService": [{"id": "s2"}, {"name": "access", "state": "active"}],
            "serviceRelationship": [{"relationshipType": "reliesOn", "service": {"id": "s2"}}],
            "feature": [
                {
                    "name": "hd",
                    "isEnabled": True,
                    "featureRelationship": [{"relationshipType": "may include", "name": "uhd"}],
                }
            ],
            "relatedEntity": [{"role": "slice", "entity": {"id": "embb"}}],
            "serviceOrderItem": [{"serviceOrderId": "so1", "itemAction": "add"}],
            "externalIdentifier": [{"id": "imsi-1", "externalIdentifierType": "IMSI"}],
            "serviceCharacteristic": [{"name": "5qi", "value": 7}],
        },
    ),
    (
        resources.Resource,
        {
            "name": "cell 17",
            "@type": "Cell",
            "category": "cell",
            "resourceStatus": "alarm",
            "operationalState": "enable",
            "administrativeState": "unlocked",
            "usageState": "busy",
            "place": {"id": "p1", "href": "https://op.example/place/p1", "role": "site"},
            "resourceCharacteristic": [{"name": "band", "value": "n78"}],
            "resourceRelationship": [{"id": "site-3", "relationshipType": "partOf"}],
            "resourceSpecification": {"id": "nr-cell"},
        },
    ),
    (
        resources.PhysicalResource,
        {"name": "antenna 17", "serialNumber": "A17", "manufactureDate": "2024-01-01T00:00:00Z"},
    ),
    (resources.LogicalResource, {"value": "+44 20 7946 0000"}),
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


@pytest.mark.parametrize(
    ("model", "body", "where"),
    [
        (resources.Product, {"status": "gone"}, ("status",)),
        (resources.Product, {"productPrice": [{"priceType": "recurring"}]}, ("productPrice", 0, "price")),
        (resources.Service, {**SERVICE, "operatingStatus": "tired"}, ("operatingStatus",)),
        (resources.Resource, {"name": "cell 17", "resourceStatus": "broken"}, ("resourceStatus",)),
    ],
)
def test_a_value_outside_the_contract_is_refused_where_it_stands(
    model: type[Entity], body: Document, where: tuple[int | str, ...]
) -> None:
    with pytest.raises(ValidationError) as refused:
        validated(model, body)
    assert [e["loc"] for e in refused.value.errors()] == [where]


@pytest.mark.parametrize("status", ["aborted", "aborted "])
def test_an_aborted_product_is_taken_with_and_without_the_blank_of_the_published_file(status: str) -> None:
    assert validated(resources.Product, {"status": status}).model_dump(mode="json")["status"] == status


@pytest.mark.parametrize(
    ("resource", "dotted"),
    [
        (resources.PRODUCT, "relatedParty.partyOrPartyRole.id"),
        (resources.PRODUCT, "product.product.name"),
        (resources.SERVICE, "supportingResource.id"),
        (resources.SERVICE, "serviceRelationship.service.name"),
        (resources.RESOURCE, "resourceRelationship.id"),
    ],
)
def test_what_the_components_look_up_can_be_asked_for(resource: kernel.Resource, dotted: str) -> None:
    assert names_of(resource.model)(dotted) is not None


def test_only_events_that_the_published_files_know_are_raised() -> None:
    common = {"Create", "AttributeValueChange", "Delete", "StateChange"}
    assert resources.PRODUCT.event_kinds == common | {"ProductBatch"}
    assert resources.SERVICE.event_kinds == common | {"OperatingStatusChange"}
    assert resources.RESOURCE.event_kinds == common
    assert resources.LOGICAL_RESOURCE.event_kinds == set()
