"""An offer is recommended when it is expected to earn, and never otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from churn_prediction.domain.features import Group
from churn_prediction.domain.retention import (
    Assumptions,
    Offer,
    expected_profit,
    recommend,
    saved_value,
)
from churn_prediction.domain.risk import Assessment, Band, Reason

ASSUMPTIONS = Assumptions(
    horizon_months=24, annual_discount_rate=0.10, monthly_hazard_after_save=0.03, currency="EUR", source="test"
)
DISCOUNT = Offer("o1", "discount", 30.0, 1.0, 0.30, 0.60, 0.90, frozenset({Group.PRICE, Group.CONTRACT}))
REPAIR = Offer("o2", "line repair", 10.0, 2.0, 0.50, 0.20, 0.60, frozenset({Group.NETWORK}))


def _assessment(probability: float = 0.40) -> Assessment:
    reasons = (
        Reason("contract", "contract", "month-to-month", 0.7),
        Reason("latency_ms", "network", 20.0, -0.4),
        Reason("charge", "price", 90.0, 0.2),
    )
    return Assessment(
        "42",
        datetime(2026, 3, 1, tzinfo=UTC),
        probability,
        probability - 0.05,
        probability + 0.05,
        Band.HIGH,
        0.0,
        -0.5,
        reasons,
        {r.group: r.contribution for r in reasons},
        {r.feature: r.contribution for r in reasons},
        {r.feature: r.value for r in reasons},
        (),
        "v1",
    )


def test_expected_profit_by_hand() -> None:
    # saved .4*.3*.9*500 = 54; accepts .4*.3 + .6*.6 = .48 -> 14.40; contact 1
    assert expected_profit(0.40, DISCOUNT, 500.0) == pytest.approx(54.0 - 14.4 - 1.0)
    # the same with one stayer in fifty provoked: .6*.02*500 = 6
    assert expected_profit(0.40, replace(DISCOUNT, provoked_churn=0.02), 500.0) == pytest.approx(38.6 - 6.0)
    assert expected_profit(0.0, REPAIR, 500.0) == pytest.approx(-10.0 * 0.2 - 2.0)


def test_the_value_saved_is_the_finite_horizon_value_under_the_assumed_hazard() -> None:
    rate = 1.10 ** (1.0 / 12.0) - 1.0
    expected = sum(20.0 * 0.97**t / (1.0 + rate) ** t for t in range(1, 25))
    assert saved_value(20.0, ASSUMPTIONS) == pytest.approx(expected)


def test_the_offer_of_largest_expected_profit_is_recommended_with_its_reasons() -> None:
    bigger = replace(DISCOUNT, id="o3", name="bigger discount", cost=60.0)
    found = recommend(_assessment(), 20.0, [bigger, DISCOUNT], ASSUMPTIONS)
    assert found.offer == DISCOUNT
    assert found.best is not None
    assert found.best.expected_profit == pytest.approx(expected_profit(0.40, DISCOUNT, saved_value(20.0, ASSUMPTIONS)))
    assert "discount is expected to earn" in found.why
    assert found.reasons == (
        "contract = month-to-month: 2 times the odds of leaving (average = 1)",
        "charge = 90: 1.2 times the odds of leaving (average = 1)",
    )
    assert [v.offer.id for v in found.considered] == ["o3", "o1"]


def test_the_parts_of_a_valuation_add_up_and_its_interval_is_that_of_the_probability() -> None:
    best = recommend(_assessment(), 20.0, [replace(DISCOUNT, provoked_churn=0.01)], ASSUMPTIONS).best
    assert best is not None
    assert best.expected_profit == pytest.approx(
        best.saved_value - best.offer_cost - best.contact_cost - best.provoked_loss
    )
    value = saved_value(20.0, ASSUMPTIONS)
    assert best.low == pytest.approx(expected_profit(0.35, best.offer, value))
    assert best.high == pytest.approx(expected_profit(0.45, best.offer, value))


def test_no_offer_is_made_when_none_earns_its_cost() -> None:
    found = recommend(_assessment(0.06), 5.0, [DISCOUNT], ASSUMPTIONS)
    assert found.offer is None
    assert "no offer earns its cost" in found.why
    assert found.considered[0].expected_profit < 0.0


def test_an_offer_that_exactly_breaks_even_is_not_made() -> None:
    free = Offer("o4", "nothing", 0.0, 0.0, 0.0, 0.0, 0.0)
    assert recommend(_assessment(), 20.0, [free], ASSUMPTIONS).offer is None


def test_an_offer_that_acts_on_no_driver_of_the_risk_is_ruled_out_and_says_so() -> None:
    found = recommend(_assessment(), 200.0, [REPAIR], ASSUMPTIONS)
    assert found.offer is None
    assert found.considered[0].expected_profit > 0.0
    assert found.considered[0].ruled_out == "it acts on network, which does not raise this risk"
    assert recommend(_assessment(), 200.0, [REPAIR, DISCOUNT], ASSUMPTIONS).offer == DISCOUNT


def test_an_offer_without_addressed_drivers_suits_any_customer() -> None:
    anyone = replace(REPAIR, addresses=frozenset())
    assert recommend(_assessment(), 200.0, [anyone], ASSUMPTIONS).offer == anyone


def test_who_may_not_be_contacted_gets_no_offer_however_profitable() -> None:
    found = recommend(_assessment(), 200.0, [DISCOUNT], ASSUMPTIONS, do_not_contact="consent withdrawn")
    assert found.offer is None
    assert found.why == "not to be contacted: consent withdrawn"
    assert found.considered[0].expected_profit > 0.0


def test_an_unknown_margin_is_not_enough_data_and_not_a_margin_of_zero() -> None:
    found = recommend(_assessment(), None, [DISCOUNT], ASSUMPTIONS)
    assert found.offer is None
    assert found.clv_saved is None
    assert "not enough data" in found.why
    assert recommend(_assessment(), 20.0, [], ASSUMPTIONS).why == "there is no offer"


def test_the_result_carries_its_evidence_and_admits_that_it_is_associational() -> None:
    document = json.loads(json.dumps(recommend(_assessment(), 20.0, [DISCOUNT], ASSUMPTIONS).document()))
    assert document["causalStatus"] == "associational"
    assert document["assumptions"]["monthlyHazardAfterSave"] == 0.03
    assert document["offer"]["offer"] == "o1"
    assert document["probability"] == 0.40
    assert document["modelVersion"] == "v1"
    assert document["clvSaved"] == pytest.approx(saved_value(20.0, ASSUMPTIONS))


def test_a_probability_outside_0_to_1_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="stay_given_acceptance is a probability"):
        replace(DISCOUNT, stay_given_acceptance=1.2)
    with pytest.raises(ValueError, match="monthly_hazard_after_save"):
        replace(ASSUMPTIONS, monthly_hazard_after_save=-0.1)
