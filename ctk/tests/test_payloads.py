"""Bodies: those of the suites, those made from a contract, and those with one thing wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest

from oda_ctk import payloads, suite
from oda_ctk.contract import Contract, ResourceFacts, shipped, tables
from oda_ctk.shapes import violations

CREATED = [
    (api, version, facts)
    for api, version in tables()
    for facts in shipped(api, version).resources()
    if facts.create and facts.name != "hub"
]
IDS = [f"{api}-{version}-{facts.name}" for api, version, facts in CREATED]


def resolved(value: Any) -> Any:
    """Placeholders replaced by a text."""
    if isinstance(value, dict):
        return {k: resolved(v) for k, v in value.items()}
    if isinstance(value, list):
        return [resolved(v) for v in value]
    return re.sub(r"\$\{[^}]*\}", "placeholder", value) if isinstance(value, str) else value


@pytest.mark.parametrize(("api", "version", "facts"), CREATED, ids=IDS)
def test_the_payloads_of_a_suite_keep_the_contract(api: str, version: str, facts: ResourceFacts) -> None:
    contract = shipped(api, version)
    plan = suite.shipped(api, version).plan(facts.name)
    for body in (plan.minimal, plan.full):
        assert body is not None
        assert violations(contract, str(facts.create), resolved(dict(body))) == []
    assert plan.full is not None and plan.minimal is not None
    assert plan.minimal.keys() <= plan.full.keys()


@pytest.mark.parametrize(("api", "version", "facts"), CREATED, ids=IDS)
def test_bodies_made_from_a_contract_keep_it(api: str, version: str, facts: ResourceFacts) -> None:
    contract, create = shipped(api, version), str(facts.create)
    for body in (payloads.minimal(contract, create), payloads.full(contract, create)):
        assert violations(contract, create, body) == []


@pytest.mark.parametrize(("api", "version", "facts"), CREATED, ids=IDS)
def test_each_body_with_one_thing_wrong_breaks_the_contract(api: str, version: str, facts: ResourceFacts) -> None:
    contract, create = shipped(api, version), str(facts.create)
    body = payloads.full(contract, create)
    for path in payloads.mandatory(contract, create, body):
        wrong = payloads.without(body, path)
        if path[-1] != "@type":  # without it, another variant may be meant
            assert violations(contract, create, wrong), payloads.told(path)
    for told, wrong in (
        *payloads.wrong_types(contract, create, body),
        *payloads.wrong_enums(contract, create, body),
    ):
        assert violations(contract, create, wrong), told


def customers() -> tuple[Contract, str]:
    return shipped("TMF629", "v4"), "Customer_Create"


def test_mandatory_attributes_are_found_at_every_level() -> None:
    contract, create = customers()
    body = payloads.full(contract, create)
    paths = {payloads.told(p) for p in payloads.mandatory(contract, create, body)}
    assert {
        "name",
        "engagedParty",
        "engagedParty.id",
        "relatedParty[0].@referredType",
        "characteristic[0].value",
    } <= paths
    assert "status" not in paths


def test_a_slip_in_a_suite_is_told() -> None:
    for text, word in (
        ("resources: {customer: {minimun: {}}}", "minimun"),
        ("resource: {}", "resource"),
        ("resources: []", "mapping"),
        ("resources: {customer: {task: {attribute: state}}}", "final"),
        ("resources: {customer: {lifecycle: {attribute: state, legal: [[a]]}}}", "customer"),
    ):
        with pytest.raises(suite.BadSuite, match=word):
            suite.parsed(text, "file")


def test_a_suite_on_top_replaces_what_it_names_and_leaves_the_rest() -> None:
    below = suite.parsed("bases: [/a]\nresources: {x: {marker: name, change: {name: b}}, y: {marker: z}}", "below")
    above = suite.parsed("bases: [/b]\nresources: {x: {marker: text}}", "above").over(below)
    assert above.bases == ("/b", "/a")
    assert (above.plan("x").marker, above.plan("x").change) == ("text", {"name": "b"})
    assert above.plan("y").marker == "z"
    assert above.plan("nothing") == suite.ResourcePlan()
