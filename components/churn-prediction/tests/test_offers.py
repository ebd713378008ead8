"""Offers as data: what ships is valid, and a file that is wrong is said to be so."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from churn_prediction import offers
from churn_prediction.domain.features import Group
from churn_prediction.offers import OffersError
from churn_prediction.settings import ChurnSettings


def settings(**values: Any) -> ChurnSettings:
    return ChurnSettings(database_url="postgresql://nowhere/none", **values)


@pytest.fixture
def shipped() -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(offers.document(settings(), {})["file"])
    return found


def test_the_shipped_offers_cover_every_group_that_somebody_can_act_on(shipped: dict[str, Any]) -> None:
    read = offers.terms(offers.document(settings(), {}))
    assert len({o.id for o in read.offers}) == len(shipped["offers"])
    assert frozenset().union(*(o.addresses for o in read.offers)) == set(Group) - {Group.CUSTOMER}
    assert "assumed" in read.assumptions.source


def test_the_margin_is_a_share_of_the_first_charge_that_is_known() -> None:
    read = offers.terms(offers.document(settings(charge_features=["bill", "monthlyCharges"]), {}))
    assert read.monthly_margin({"monthlyCharges": 80.0}) == pytest.approx(0.45 * 80.0)
    assert read.monthly_margin({"bill": 40.0, "monthlyCharges": 80.0}) == pytest.approx(0.45 * 40.0)
    assert read.monthly_margin({"bill": None}) is None


def test_references_carry_the_address_where_it_is_known() -> None:
    known = offers.terms(offers.document(settings(), {"AiModel": "http://c/aiModel"}))
    assert known.reference("AiModel", "a/b") == {
        "id": "a/b",
        "href": "http://c/aiModel/a%2Fb",
        "@referredType": "AiModel",
    }
    assert "href" not in known.reference("PartyRoleRiskAssessment", "1")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["currency"], None, "the file: currency is missing"),
        (["horizonMonths"], "two years", "the file: invalid literal"),
        (["offers", 1, "cost"], None, r"offers\[1\]: cost is missing"),
        (["offers", 0, "addresses"], ["weather"], r"offers\[0\]: 'weather' is not a valid Group"),
        (["offers", 2, "acceptanceIfStaying"], 1.5, r"offers\[2\]: acceptance_if_staying is a probability"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(
    shipped: dict[str, Any], tmp_path: Path, path: list[Any], value: Any, said: str
) -> None:
    inner: Any = shipped
    for step in path[:-1]:
        inner = inner[step]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    file = tmp_path / "offers.json"
    file.write_text(json.dumps(shipped))
    with pytest.raises(OffersError, match=said):
        offers.terms(offers.document(settings(offers_file=str(file)), {}))


def test_a_file_that_is_not_there_or_no_json_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(OffersError, match="No such file"):
        offers.document(settings(offers_file=str(tmp_path / "none.json")), {})
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(OffersError, match="Expecting property name"):
        offers.document(settings(offers_file=str(broken)), {})


def test_while_the_file_is_wrong_the_offers_before_hold(
    world: Callable[..., Any], shipped: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "offers.json"
    file.write_text(json.dumps({**shipped, "offers": shipped["offers"][:1]}))
    with world([], worker=False, offers_file=str(file)) as opened:
        read = opened.app.loop.run(offers.current(opened.app.ctx))
        assert [o.id for o in read.offers] == [shipped["offers"][0]["id"]]
        file.write_text("{")
        os.utime(file, ns=(0, 0))
        assert opened.app.loop.run(offers.current(opened.app.ctx)) == read
        assert "the offers before hold" in caplog.text
