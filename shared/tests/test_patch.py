"""The three patches: the RFCs' rules, TM Forum's dialects, and what is refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmfkit.patch import (
    MAX_DEPTH,
    MAX_OPERATIONS,
    MAX_PATH_CHARS,
    PatchError,
    changed,
    json_patch,
    json_patch_query,
    merge,
    touched_server_owned,
)

CUSTOMER: dict[str, Any] = {
    "id": "c-1",
    "@type": "Customer",
    "name": "Moon Rowing Club",
    "status": "approved",
    "version": "3",
    "contactMedium": [
        {"@type": "EmailContactMedium", "id": "m1", "city": "Oslo", "preferred": True, "emailAddress": "a@example.com"},
        {"@type": "PhoneContactMedium", "id": "m2", "city": "Lima", "preferred": False, "phoneNumber": "+51 1 555"},
        {"@type": "PhoneContactMedium", "id": "m3", "city": "Lima", "preferred": False, "phoneNumber": "+51 1 777"},
    ],
    "characteristic": [
        {"@type": "NumberCharacteristic", "id": "k1", "name": "seats", "value": 4},
        {"@type": "StringCharacteristic", "id": "k2", "name": "market segment", "value": "sport"},
        {"@type": "BooleanCharacteristic", "id": "k3", "name": "isRoaming", "value": False},
        {"@type": "ObjectCharacteristic", "id": "k4", "name": "speed", "value": {"volume": 100, "unit": "Mbps"}},
    ],
    "relatedParty": [
        {"role": "owner", "partyOrPartyRole": {"@type": "PartyRef", "id": "p1", "name": "Ada"}},
        {"role": "user", "partyOrPartyRole": {"@type": "PartyRef", "id": "p2", "name": "Bo"}},
    ],
    "accountRelationship": [{"type": "pays", "account": {"id": "a1"}}, {"type": "uses", "account": {"id": "a2"}}],
    "orderItem": [
        {"id": "1", "quantity": 1, "product": {"relatedParty": [{"role": "customer", "name": "Mary"}]}, "note": []},
        {"id": "2", "quantity": 2, "product": {"relatedParty": [{"role": "customer", "name": "Jim"}]}, "note": []},
    ],
    "note": [
        {"id": "n1", "date": "2026-01-01T00:00:00.000Z", "author": "Ada", "text": "held"},
        {"id": "n2", "date": "2026-01-02T00:00:00.000Z", "author": "Bo", "text": "released"},
    ],
    "criteria": [{"filter": "node=R1/2?x"}, {"filter": "node=R2"}],
    "tag": ["gold", "east"],
    "validFor": {"startDateTime": "2026-01-01T00:00:00Z"},
}


def operation(op: str, path: str, *value: Any, source: str | None = None) -> dict[str, Any]:
    sent: dict[str, Any] = {"op": op, "path": path}
    if value:
        sent["value"] = value[0]
    if source is not None:
        sent["from"] = source
    return sent


# --- merge patch -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "patch", "after"),
    [
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"a": 1}, {"b": {"c": None, "d": 1}}, {"a": 1, "b": {"d": 1}}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": 1}, {"b": None}, {"a": 1}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": [{"b": None}]}, {"a": [{"b": None}]}, {"a": [{"b": None}]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 5}}, {"a": {"b": 5, "c": 2}}),
        ({"a": {"b": 1}}, {"a": "x"}, {"a": "x"}),
        ({"a": "x"}, {"a": {"b": 1, "c": None}}, {"a": {"b": 1}}),
        ({"a": None}, {"b": False}, {"a": None, "b": False}),
        ([1], {"a": 1}, {"a": 1}),
        ({"a": 1}, ["x"], ["x"]),
        ({"a": 1}, None, None),
        ({}, {}, {}),
    ],
)
def test_a_merge_patch_merges_objects_and_replaces_the_rest(target: Any, patch: Any, after: Any) -> None:
    before = copy.deepcopy((target, patch))
    assert merge(target, patch) == after
    assert (target, patch) == before


scalars = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x"])
values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda v: st.lists(v, max_size=2) | st.dictionaries(st.sampled_from("abc"), v, max_size=3), max_leaves=8
)


@settings(max_examples=200, deadline=None, database=None)
@given(values, values)
def test_a_merge_patch_applied_twice_changes_nothing_more(target: Any, patch: Any) -> None:
    once = merge(target, patch)
    assert json.dumps(merge(once, patch), sort_keys=True) == json.dumps(once, sort_keys=True)


def test_the_answer_shares_nothing_with_what_was_given() -> None:
    patch = {"tag": ["new"], "place": {"id": "1"}}
    before = copy.deepcopy(CUSTOMER)
    operations = [operation("add", "/place", patch["place"]), operation("copy", "/other", source="/place")]
    for after in (merge(CUSTOMER, patch), json_patch(CUSTOMER, operations), json_patch_query(CUSTOMER, operations)):
        after["place"]["id"] = "2"
        after["tag"].append("changed")
        after["note"][0]["text"] = "changed"
        assert after.get("other") in (None, {"id": "1"})
    assert before == CUSTOMER
    assert patch == {"tag": ["new"], "place": {"id": "1"}}


# --- JSON Patch --------------------------------------------------------------------------------------------

DOCUMENT: dict[str, Any] = {"a": 1, "list": [10, 20, 30], "o": {"p": {"q": "x"}}, "n": None, "a/b": 1, "m~n": 2, "": 3}


@pytest.mark.parametrize(
    ("operations", "after"),
    [
        ([operation("add", "/b", [1])], {"b": [1]}),
        ([operation("add", "/a", 2)], {"a": 2}),
        ([operation("add", "/n/", 2)], None),
        ([operation("add", "/list/0", 5)], {"list": [5, 10, 20, 30]}),
        ([operation("add", "/list/3", 5)], {"list": [10, 20, 30, 5]}),
        ([operation("add", "/list/-", {"x": None})], {"list": [10, 20, 30, {"x": None}]}),
        ([operation("add", "/list", {"x": 1})], {"list": [10, 20, 30, {"x": 1}]}),
        ([operation("add", "/list", [1])], {"list": [1]}),
        ([operation("add", "/list", 1)], {"list": 1}),
        ([operation("add", "/o", {"x": 1})], {"o": {"x": 1}}),
        ([operation("add", "/o/p/r", None)], {"o": {"p": {"q": "x", "r": None}}}),
        ([operation("remove", "/list/1")], {"list": [10, 30]}),
        ([operation("delete", "/list/1")], {"list": [10, 30]}),
        ([operation("replace", "/n", {"x": 1})], {"n": {"x": 1}}),
        ([operation("replace", "/list/2", None)], {"list": [10, 20, None]}),
        ([operation("replace", "a", 9)], {"a": 9}),
        ([operation("replace", "o/p/q", 9)], {"o": {"p": {"q": 9}}}),
        ([operation("replace", "/a~1b", 9)], {"a/b": 9}),
        ([operation("replace", "/m~0n", 9)], {"m~n": 9}),
        ([operation("add", "/~01", 9)], {"~1": 9}),
        ([operation("replace", "/", 9)], {"": 9}),
        ([operation("move", "/z", source="/a")], {"a": ..., "z": 1}),
        ([operation("move", "/list/0", source="/list/2")], {"list": [30, 10, 20]}),
        ([operation("move", "/list/2", source="/list/0")], {"list": [20, 30, 10]}),
        ([operation("move", "/list/-", source="/list/0")], {"list": [20, 30, 10]}),
        ([operation("move", "/o", source="/o/p")], {"o": {"q": "x"}}),
        ([operation("move", "/a", source="/a")], {}),
        ([operation("copy", "/o/p/r", source="/o")], {"o": {"p": {"q": "x", "r": {"p": {"q": "x"}}}}}),
        ([operation("copy", "/list", source="/o")], {"list": {"p": {"q": "x"}}}),
        ([operation("test", "/list", [10, 20.0, 30])], {}),
        ([operation("test", "/o", {"p": {"q": "x"}}), operation("remove", "/o")], {"o": ...}),
        ([operation("add", "/b", 1), operation("move", "/c", source="/b")], {"c": 1}),
        ([{**operation("add", "/b", 1), "comment": "ignored"}], {"b": 1}),
        ([], {}),
    ],
)
def test_a_json_patch_does_what_rfc_6902_says(operations: list[Any], after: dict[str, Any] | None) -> None:
    before = copy.deepcopy(DOCUMENT)
    if after is None:
        with pytest.raises(PatchError):
            json_patch(DOCUMENT, operations)
        return
    expected = {k: v for k, v in {**DOCUMENT, **after}.items() if v is not ...}
    assert json_patch(DOCUMENT, operations) == expected
    assert json_patch_query(DOCUMENT, operations) == expected
    assert before == DOCUMENT


def test_the_whole_document_is_a_place_too() -> None:
    assert json_patch(DOCUMENT, [operation("replace", "", {"x": 1})]) == {"x": 1}
    assert json_patch(DOCUMENT, [operation("add", "", {"x": 1})]) == {"x": 1}
    assert json_patch({"x": 1}, [operation("copy", "/y", source="")]) == {"x": 1, "y": {"x": 1}}
    assert json_patch({"x": {"y": 1}}, [operation("move", "", source="/x")]) == {"y": 1}
    assert json_patch({"x": 1}, [operation("test", "", {"x": 1})]) == {"x": 1}


@pytest.mark.parametrize(
    ("operations", "status", "attribute"),
    [
        ([operation("remove", "/gone")], 400, "gone"),
        ([operation("replace", "/gone", 1)], 400, "gone"),
        ([operation("replace", "/o/gone", 1)], 400, "o"),
        ([operation("add", "/o/gone/x", 1)], 400, "o"),
        ([operation("add", "/a/x", 1)], 400, "a"),
        ([operation("add", "/list/4", 1)], 400, "list"),
        ([operation("add", "/list/x", 1)], 400, "list"),
        ([operation("add", "/list/01", 1)], 400, "list"),
        ([operation("add", "/list/-1", 1)], 400, "list"),
        ([operation("add", "/list/1e0", 1)], 400, "list"),
        ([operation("remove", "/list/3")], 400, "list"),
        ([operation("remove", "/list/-")], 400, "list"),
        ([operation("test", "/list/-", 30)], 409, "list"),
        ([operation("remove", "")], 400, None),
        ([operation("replace", "/m~2n", 1)], 400, None),
        ([operation("replace", "/m~", 1)], 400, None),
        ([operation("move", "/o/p/x", source="/o")], 400, "o"),
        ([operation("move", "/o/x", source="")], 400, None),
        ([operation("move", "/x", source="/gone")], 400, "gone"),
        ([operation("copy", "/x", source="/list/-")], 400, "list"),
        ([operation("test", "/a", 2)], 409, "a"),
        ([operation("test", "/a", True)], 409, "a"),
        ([operation("test", "/a", "1")], 409, "a"),
        ([operation("test", "/gone", None)], 409, "gone"),
        ([operation("test", "/list", [10, 20])], 409, "list"),
        ([operation("add", "/x")], 400, None),
        ([operation("replace", "/a")], 400, None),
        ([operation("test", "/a")], 400, None),
        ([operation("move", "/a")], 400, None),
        ([operation("copy", "/a")], 400, None),
        ([operation("merge", "/a", 1)], 400, None),
        ([{"path": "/a", "value": 1}], 400, None),
        ([{"op": ["add"], "path": "/a", "value": 1}], 400, None),
        ([{"op": "add", "path": 7, "value": 1}], 400, None),
        ([{"op": "copy", "path": "/a", "from": 7}], 400, None),
        (["add"], 400, None),
        ({"op": "add", "path": "/a", "value": 1}, 400, None),
        (None, 400, None),
    ],
)
def test_a_bad_operation_is_refused_with_its_reason(operations: Any, status: int, attribute: str | None) -> None:
    before = copy.deepcopy(DOCUMENT)
    for apply in (json_patch, json_patch_query):
        with pytest.raises(PatchError) as failure:
            apply(DOCUMENT, operations)
        assert (failure.value.status, failure.value.attribute) == (status, attribute)
        assert failure.value.reason
    assert before == DOCUMENT


def test_a_patch_is_applied_as_a_whole_or_not_at_all() -> None:
    before = copy.deepcopy(DOCUMENT)
    with pytest.raises(PatchError) as failure:
        json_patch(DOCUMENT, [operation("remove", "/o"), operation("add", "/list/-", 1), operation("test", "/a", 2)])
    assert failure.value.reason.startswith("operation 3 (test)")
    assert before == DOCUMENT


@settings(max_examples=200, deadline=None, database=None)
@given(st.dictionaries(st.sampled_from("abc"), values, max_size=3), values)
def test_what_was_added_passes_a_test_and_goes_again(document: dict[str, Any], value: Any) -> None:
    there = json_patch(document, [operation("add", "/new", value), operation("test", "/new", value)])
    assert json_patch(there, [operation("move", "/x~1y", source="/new"), operation("remove", "/x~1y")]) == document


# --- JSON Patch Query --------------------------------------------------------------------------------------


def queried(op: str, path: str, *value: Any) -> dict[str, Any]:
    before = copy.deepcopy(CUSTOMER)
    after: dict[str, Any] = json_patch_query(CUSTOMER, [operation(op, path, *value)])
    assert before == CUSTOMER
    return after


@pytest.mark.parametrize(
    ("path", "attribute", "index", "name"),
    [
        ("/note/text?id=n2", "note", 1, "text"),
        ("/note/text?note.id=n2", "note", 1, "text"),
        ("/note/text?/note/id=n2", "note", 1, "text"),
        ("/note/text?/note.id=n2", "note", 1, "text"),
        ("/note/text?id='n2'", "note", 1, "text"),
        ("/note/text?id==n2", "note", 1, "text"),
        ("/note/text?@.id==n2", "note", 1, "text"),
        ("note/text?id=n2", "note", 1, "text"),
        ("note.text?note.id=n2", "note", 1, "text"),
        ("/note/text?author=Bo&text=released", "note", 1, "text"),
        ("/note/text?note.author=Bo&id=n2", "note", 1, "text"),
        ("/note[?(@.id=='n2')]/text", "note", 1, "text"),
        (".note[?(@.date=='2026-01-02T00:00:00.000Z')].text", "note", 1, "text"),
        ("$.note[?(@.id=='n2')].text", "note", 1, "text"),
        ("/note[?(@.author=='Bo' && @.text =~ 'rel')]/text", "note", 1, "text"),
        ("/criteria[?(@.filter=='node=R1/2?x')]/filter", "criteria", 0, "filter"),
        ("/criteria/filter?filter=node=R1/2?x", "criteria", 0, "filter"),
        ("/characteristic/value?characteristic.name=seats", "characteristic", 0, "value"),
        ("/characteristic/value?/characteristic/name=market segment", "characteristic", 1, "value"),
        ("/characteristic/value?name=market%20segment", "characteristic", 1, "value"),
        ("/characteristic/value?characteristic.value=false", "characteristic", 2, "value"),
        ("/characteristic/value?value=4", "characteristic", 0, "value"),
        ("/characteristic/value?value=4.0", "characteristic", 0, "value"),
        ("/characteristic/value?id=k4", "characteristic", 3, "value"),
        ("/contactMedium/preferred?city=Oslo", "contactMedium", 0, "preferred"),
        ("/relatedParty/partyOrPartyRole?relatedParty.role=user", "relatedParty", 1, "partyOrPartyRole"),
        ("/relatedParty/partyOrPartyRole?partyOrPartyRole.id=p2", "relatedParty", 1, "partyOrPartyRole"),
        ("/relatedParty/partyOrPartyRole?relatedParty.partyOrPartyRole.id=p2", "relatedParty", 1, "partyOrPartyRole"),
        ("/orderItem/quantity?product.relatedParty.name=Jim", "orderItem", 1, "quantity"),
        (
            "/orderItem/quantity?orderItem.product.relatedParty.role=customer&orderItem.product.relatedParty.name=Jim",
            "orderItem",
            1,
            "quantity",
        ),
    ],
)
def test_every_dialect_of_json_patch_query_finds_its_member(path: str, attribute: str, index: int, name: str) -> None:
    expected = copy.deepcopy(CUSTOMER)
    expected[attribute][index][name] = "changed"
    assert queried("replace", path, "changed") == expected


def test_a_value_deep_in_a_selected_member_is_replaced() -> None:
    after = queried("replace", "/relatedParty/partyOrPartyRole/id?relatedParty.role=user", "p9")
    assert [p["partyOrPartyRole"]["id"] for p in after["relatedParty"]] == ["p1", "p9"]


def test_a_selected_member_keeps_what_its_replacement_does_not_mention() -> None:
    after = queried("replace", "/note?id=n1", {"text": "changed", "author": None})
    assert after["note"][0] == {"id": "n1", "date": "2026-01-01T00:00:00.000Z", "text": "changed"}
    assert after["note"][1] == CUSTOMER["note"][1]
    assert queried("replace", ".note[?(@.id=='n1')]", {"text": "changed"})["note"][0]["author"] == "Ada"
    assert queried("replace", "/note/0", {"text": "changed"})["note"][0] == {"text": "changed"}
    value = queried("replace", "/characteristic/value?name=speed", {"volume": 1})["characteristic"][3]["value"]
    assert value == {"volume": 1}


@pytest.mark.parametrize("op", ["remove", "delete"])
def test_selected_members_are_removed_all_of_them(op: str) -> None:
    assert [m["id"] for m in queried(op, "/contactMedium?city=Lima")["contactMedium"]] == ["m1"]
    assert [
        r["type"] for r in queried(op, "/accountRelationship?/accountRelationship.account.id=a2")["accountRelationship"]
    ] == ["pays"]
    assert queried(op, "/tag?tag=gold")["tag"] == ["east"]
    assert all("city" not in m for m in queried(op, "/contactMedium[*]/city")["contactMedium"])


def test_what_is_added_under_a_selected_member_may_be_new() -> None:
    after = queried("add", "/contactMedium/validFor?id=m2", {"startDateTime": "2026-01-01T00:00:00Z"})
    assert ["validFor" in m for m in after["contactMedium"]] == [False, True, False]
    after = queried("add", "/orderItem/note?orderItem.id=2", {"text": "new"})
    assert [i["note"] for i in after["orderItem"]] == [[], [{"text": "new"}]]
    after = queried("add", "/orderItem/note/-?orderItem.id=2", "new")
    assert [i["note"] for i in after["orderItem"]] == [[], ["new"]]


def test_a_condition_without_any_array_is_one_on_the_object() -> None:
    assert queried("replace", "/version?version=3", "4")["version"] == "4"
    assert queried("replace", "/status?version=3", "held")["status"] == "held"
    assert queried("replace", "/validFor/startDateTime?version=3", "2027")["validFor"] == {"startDateTime": "2027"}
    with pytest.raises(PatchError):
        queried("replace", "/version?version=2", "4")


def test_paths_without_a_selector_are_those_of_json_patch() -> None:
    assert queried("replace", "/status", "held")["status"] == "held"
    assert queried("replace", ".validFor.startDateTime", "2027")["validFor"] == {"startDateTime": "2027"}
    with pytest.raises(PatchError):
        queried("replace", "/note/text", "changed")


@pytest.mark.parametrize(
    "path",
    [
        "/note?id=c-1",
        "/note?id=n9",
        "/note?status=approved",
        "/tag?tag=silver",
        "/note/author?id=n1&author=Bo",
        "/note[?(@.id=='n9')]",
        "/gone[?(@.id=='n1')]",
        "/gone?id=n1",
        "/gone?id=c-1",
        "/note/9?id=n1",
        "/note[5]/text",
        "/note/gone?id=n1",
    ],
)
def test_what_matches_nothing_is_a_400_and_no_wider_match(path: str) -> None:
    for op in ("remove", "replace"):
        with pytest.raises(PatchError) as failure:
            queried(op, path, 1)
        assert failure.value.status == 400
        assert "nothing matches" in failure.value.reason or "gone" in failure.value.reason
        assert failure.value.attribute in ("note", "tag", "gone")


def test_a_test_of_what_is_not_there_fails_with_409() -> None:
    assert queried("test", "/note/author?id=n1", "Ada") == CUSTOMER
    for path in ("/note/author?id=n2", "/note/author?id=n9"):
        with pytest.raises(PatchError) as failure:
            queried("test", path, "Ada")
        assert failure.value.status == 409


@pytest.mark.parametrize(
    "path",
    [
        "/note?",
        "/note?=n1",
        "/note?id",
        "/note?id=n1&&",
        "/note[?(@.id=='n1']",
        "/note[(@.length-1)]",
        "/note[",
        "//note?id=n1",
        "/note[?(@.id)]//text",
        "/note/m~2?id=n1",
        "/note?" + "&".join(["id=n1"] * 6),
    ],
)
def test_a_selector_that_cannot_be_read_is_a_400(path: str) -> None:
    with pytest.raises(PatchError) as failure:
        queried("replace", path, 1)
    assert failure.value.status == 400


def test_move_and_copy_select_one_place() -> None:
    after = json_patch_query(CUSTOMER, [operation("move", "/first", source="/note?id=n1")])
    assert (after["first"]["id"], [n["id"] for n in after["note"]]) == ("n1", ["n2"])
    after = json_patch_query(CUSTOMER, [operation("copy", "/note/text?id=n2", source="/note/text?id=n1")])
    assert [n["text"] for n in after["note"]] == ["held", "held"]
    with pytest.raises(PatchError):
        json_patch_query(CUSTOMER, [operation("copy", "/x", source="/contactMedium?city=Lima")])
    with pytest.raises(PatchError):
        json_patch_query(CUSTOMER, [operation("copy", "/contactMedium/city?city=Lima", source="/name")])
    with pytest.raises(PatchError):
        json_patch_query(CUSTOMER, [operation("move", "/note/text?id=n1", source="/note?id=n1")])


# --- limits and differences --------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_a_patch_is_bounded_in_operations_depth_path_and_growth() -> None:
    assert json_patch({}, [operation("add", "/a", 1)] * MAX_OPERATIONS) == {"a": 1}
    doubling = [operation("copy", "/a/-", source="/a")] * 40
    too_much = [
        [operation("add", "/a", 1)] * (MAX_OPERATIONS + 1),
        [operation("add", "/" + "a" * MAX_PATH_CHARS, 1)],
        [operation("add", "/a", nested(MAX_DEPTH))],
        [operation("add", "/a", nested(MAX_DEPTH - 1)), operation("copy", "/b/0", source="/a")],
        [operation("add", "/a", [1]), *doubling],
        [operation("add", "/a", [{"x": n} for n in range(15_000)])] + [operation("add", "/a/x?x=1", 1)] * 199,
    ]
    for operations in too_much:
        for apply in (json_patch, json_patch_query):
            with pytest.raises(PatchError) as failure:
                apply({"b": []}, operations)
            assert failure.value.status == 400
    assert merge({}, {"a": nested(MAX_DEPTH - 1)}) == {"a": nested(MAX_DEPTH - 1)}
    for patch in ({"a": nested(MAX_DEPTH)}, json.loads('{"a":' * 70 + "1" + "}" * 70)):
        with pytest.raises(PatchError):
            merge({}, patch)


def test_changed_names_the_first_level_attributes_that_differ() -> None:
    old = {"a": 1, "b": [1, {"c": True}], "d": "x", "e": None, "f": {"g": 1}}
    assert changed(old, copy.deepcopy(old)) == set()
    assert changed(old, {**old, "a": 1.0}) == set()
    assert changed(old, {**old, "a": True}) == {"a"}
    assert changed(old, {**old, "b": [1, {"c": 1}]}) == {"b"}
    assert changed(old, {**old, "b": [{"c": True}, 1], "h": None}) == {"b", "h"}
    assert changed(old, {"a": 1, "b": old["b"], "d": "y"}) == {"d", "e", "f"}
    assert changed(old, {**old, "f": {"g": 1, "h": 2}}) == {"f"}


def test_attributes_of_the_server_that_were_touched_are_named() -> None:
    owned = frozenset({"id", "href", "lastUpdate"})
    old = {"id": "1", "href": "/x/1", "name": "n"}
    assert touched_server_owned(old, {**old, "name": "m"}, owned) == []
    assert touched_server_owned(old, {"id": "2", "name": "n", "lastUpdate": "2026"}, owned) == [
        "href",
        "id",
        "lastUpdate",
    ]
