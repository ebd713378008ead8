"""What TMF639 documents tell of where a resource belongs."""

from __future__ import annotations

from typing import Any

import pytest

from service_quality.topology import Topology, built

Doc = dict[str, Any]


def resource(id: str, category: str | None, *related: Doc, **characteristics: Any) -> Doc:
    told = [{"name": name, "value": value} for name, value in characteristics.items()]
    doc = {"id": id, "resourceRelationship": list(related), "resourceCharacteristic": told}
    return doc | ({"category": category} if category else {"@type": "LogicalResource"})


def link(kind: str, id: str, **more: Any) -> Doc:
    return {"relationshipType": kind, "id": id, **more}


def topology(*docs: Doc) -> Topology:
    return built(docs, ["contains", "hasPart"], ["area", "slice"])


def test_a_resource_lies_in_all_that_is_above_it() -> None:
    found = topology(
        resource("c1", "cell", link("isContainedIn", "s1")), resource("s1", "site", link("partOf", "a1")),
        resource("a1", "area"),
    )  # fmt: skip
    assert found.elements("c1", "video") == {"cell": "c1", "site": "s1", "area": "a1", "service": "video"}
    assert found.within("c1", "video", "area", ["a1"])
    assert found.within("c1", "video", "resource", ["c1"])
    assert not found.within("c1", "video", "area", ["a2"])
    assert not found.within("c1", "video", "slice", ["a1"])


def test_a_relationship_that_leads_downwards_is_not_followed() -> None:
    found = topology(resource("s1", "site", link("has-part", "c1"), link("Contains", "c2")),
                     resource("c1", "cell"), resource("c2", "cell"))  # fmt: skip
    assert found.elements("s1", "video") == {"site": "s1", "service": "video"}


def test_relationships_in_a_circle_come_to_an_end() -> None:
    found = topology(resource("a", "site", link("next", "b")), resource("b", "area", link("next", "a")))
    assert found.elements("a", "video") == {"site": "a", "area": "b", "service": "video"}


def test_version_5_nests_the_other_resource() -> None:
    found = topology(
        resource("c1", "cell", {"relationshipType": "in", "resource": {"id": "s1"}}), resource("s1", "site")
    )
    assert found.elements("c1", "video")["site"] == "s1"


def test_characteristics_name_elements_whether_they_are_resources_or_not() -> None:
    found = topology(resource("c1", "cell", area="a1", slice=["x"], colour="red"), resource("a1", "region"))
    assert found.elements("c1", "video") == {"cell": "c1", "region": "a1", "slice": "x", "service": "video"}


def test_one_kind_at_two_levels_is_two_dimensions() -> None:
    found = topology(resource("c1", None, link("in", "s1")), resource("s1", None))
    assert found.elements("c1", "video") == {"logicalresource": "c1", "logicalresource+": "s1", "service": "video"}


@pytest.mark.parametrize(("service", "slice_"), [("video", "embb"), ("meter", "urllc"), ("voice", None)])
def test_a_relationship_can_hold_for_some_services_only(service: str, slice_: str | None) -> None:
    def carries(*kinds: str) -> Doc:
        return {"resourceRelationshipCharacteristic": [{"name": "service", "value": list(kinds)}]}

    found = topology(
        resource("c1", "cell", link("on", "embb", **carries("video")), link("on", "urllc", **carries("meter"))),
        resource("embb", "slice"), resource("urllc", "slice"),
    )  # fmt: skip
    assert found.elements("c1", service).get("slice") == slice_


def test_a_resource_nobody_knows_is_its_own_element() -> None:
    assert topology().elements("c9", "video") == {"resource": "c9", "service": "video"}
    assert topology(resource("c1", "cell")).within("c9", "video", "resource", ["c9"])


def test_odd_documents_do_no_harm() -> None:
    odd: list[Doc] = [{}, {"id": "c1", "resourceRelationship": None, "resourceCharacteristic": [{"name": "area"}]},
                      {"id": "c2", "resourceRelationship": [{}, {"resource": None}]}]  # fmt: skip
    assert topology(*odd).elements("c1", "video") == {"resource": "c1", "service": "video"}
