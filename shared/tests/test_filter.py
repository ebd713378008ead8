"""Filters whose value is written in more than one way: an href for an id, a value in quotation marks."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
from shared.tests.support.serving import database
from shared.tests.support.shipping import V4, V5, component

from tmfkit.testing import Running, assert_tmf_error, running
from tmfkit.types import Document


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    with running(component, database_url=database(component)) as app:
        yield app


@pytest.fixture(scope="module")
def two(app: Running) -> list[Document]:
    answers = [app.post(V5, {"name": name, "weightKg": weight}) for name, weight in (("Rome", 3), ('"Oslo"', 4))]
    assert [a.status_code for a in answers] == [201, 201]
    return [a.json() for a in answers]


def found(app: Running, query: str, path: str = V5) -> list[str]:
    answer = app.get(f"{path}?{query}")
    assert answer.status_code == 200, answer.text
    return [doc["id"] for doc in answer.json()]


@pytest.mark.parametrize("path", [V4, V5])
def test_an_href_finds_what_it_is_of_in_the_version_that_gave_it(app: Running, two: list[Document], path: str) -> None:
    for doc in two:
        href = app.get(f"{path}/{doc['id']}").json()["href"]
        for told in (href, quote(href, safe=""), urlsplit(href).path):
            assert found(app, f"href={told}", path) == [doc["id"]]
    both = {doc["id"] for doc in two}
    one, other = (app.get(f"{path}/{doc['id']}").json()["href"] for doc in two)
    assert set(found(app, f"href={one},{other}", path)) == both
    assert set(found(app, f"href.in={one},{other}", path)) == both
    assert found(app, f"href.ne={one}", path) == [two[1]["id"]]
    assert set(found(app, "href.isnull=false", path)) == both
    assert found(app, "sort=-href", path) == sorted(both, reverse=True)


def test_an_href_of_something_else_is_nobodys_and_a_part_of_one_is_refused(app: Running, two: list[Document]) -> None:
    of_v4 = app.get(f"{V4}/{two[0]['id']}").json()["href"]
    for told in (of_v4, two[0]["href"] + "0", two[0]["id"], "https://elsewhere.example/1", ""):
        assert found(app, f"href={told}") == []
    assert len(found(app, "href.ne=https://elsewhere.example/1")) == 2
    assert_tmf_error(app.get(f"{V5}?href.startsWith={two[0]['href']}"), 400)


def test_a_value_in_quotation_marks_is_the_text_with_or_without_them(app: Running, two: list[Document]) -> None:
    for mark in ("'", '"'):
        assert found(app, f"name={quote(f'{mark}Rome{mark}')}") == [two[0]["id"]]
        assert found(app, f"weightKg={mark}3{mark}") == [two[0]["id"]]
        created = str(two[0]["creationDate"])
        assert two[0]["id"] in found(app, f"creationDate={mark}{quote(created)}{mark}")
    assert found(app, f"name={quote(chr(34) + 'Oslo' + chr(34))}") == [two[1]["id"]]
    assert found(app, "name=Oslo") == []
    assert found(app, "name=%22Rome") == []
    assert_tmf_error(app.get(f"{V5}?weightKg=%22heavy%22"), 400)
