"""From events to rows: once each, appended, told and derived kept apart. Over the component's own listener."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

Document = dict[str, Any]
NOW = datetime.now(UTC).replace(microsecond=0)
FEATURES = {"tenure_months": 12.0, "contract": "one year"}
WEEK = {"experience_mean_7d": 90.0, "experience_min_7d": 80.0, "experience_trend_7d": 0.0, "services": 2.0}


@pytest.fixture(scope="module")
def open_world(world: Callable[..., Any]) -> Iterator[Any]:
    with world([]) as opened:
        yield opened


def rows(open_world: Any, customer_id: str, table: str = "feature_row") -> list[Any]:
    found: list[Any] = open_world.app.sql(f"SELECT * FROM {table} WHERE customer_id = $1", customer_id)
    return found


def test_an_event_that_comes_twice_counts_once(open_world: Any, somebody: Callable[..., Document]) -> None:
    open_world.customers.tell(open_world.app, "Create", somebody("twice", FEATURES))
    event = open_world.scores.tell(open_world.app, "Create", open_world.score_event("twice", 30.0, NOW))
    known = rows(open_world, "twice")
    again = {**event, "event": {"experienceScore": open_world.score_event("twice", 20.0, NOW + timedelta(hours=1))}}
    open_world.scores.send(open_world.app, again)
    assert rows(open_world, "twice") == known
    assert len(rows(open_world, "twice", "observation")) == 1


def test_only_what_changed_is_appended_and_nothing_is_overwritten(
    open_world: Any, somebody: Callable[..., Document]
) -> None:
    def tell(kind: str, features: Document, hour: int) -> None:
        at = (NOW + timedelta(hours=hour)).isoformat()
        open_world.customers.tell(open_world.app, kind, somebody("appended", features), eventTime=at)

    tell("Create", FEATURES, 0)
    tell("AttributeValueChange", {**FEATURES, "tenure_months": 13.0}, 1)
    tell("AttributeValueChange", {"tenure_months": 13.0}, 2)
    found = [(r["feature"], r["value"], r["as_of"] - NOW) for r in rows(open_world, "appended")]
    assert sorted(found[:2]) == [("contract", "one year", timedelta(0)), ("tenure_months", "12.0", timedelta(0))]
    assert found[2:] == [("tenure_months", "13.0", timedelta(hours=1)), ("contract", None, timedelta(hours=2))]


def test_an_older_event_that_comes_late_does_not_hide_what_is_newer(
    open_world: Any, somebody: Callable[..., Document]
) -> None:
    for tenure, hour in ((13.0, 1), (12.0, 0)):
        at = (NOW + timedelta(hours=hour)).isoformat()
        doc = somebody("late", {"tenure_months": tenure})
        open_world.customers.tell(open_world.app, "AttributeValueChange", doc, eventTime=at)
    assert open_world.latest("late") == {"tenure_months": "13.0"}


def test_a_churn_score_is_refused_at_the_door_and_the_rest_of_the_customer_is_taken(
    open_world: Any, somebody: Callable[..., Document], told: Callable[..., Document]
) -> None:
    doc = somebody("looped", FEATURES)
    doc["characteristic"].append(told("leavingRisk", 0.8, origin="churn-prediction"))
    open_world.customers.tell(open_world.app, "Create", doc)
    assert set(open_world.latest("looped")) == set(FEATURES)
    refused = open_world.app.sql("SELECT why, count FROM refusal WHERE name = 'leavingRisk'")
    assert [r["count"] for r in refused] == [1] and "never feeds a churn feature" in refused[0]["why"]


def test_the_outcome_and_what_is_protected_are_kept_apart_and_never_become_features(
    open_world: Any, somebody: Callable[..., Document], told: Callable[..., Document]
) -> None:
    doc = somebody("labelled", FEATURES, status="past")
    doc["characteristic"] += [
        told("churned", True, "outcome", asOf="2026-03-01T00:00:00Z"),
        told("gender", "f", "protected"),
    ]
    open_world.customers.tell(open_world.app, "Create", doc)
    assert set(open_world.latest("labelled")) == set(FEATURES)
    (label,) = rows(open_world, "labelled", "outcome")
    assert (label["churned"], label["label_from"]) == (True, datetime(2026, 3, 1, tzinfo=UTC))
    assert [(r["name"], r["value"]) for r in rows(open_world, "labelled", "protected")] == [("gender", '"f"')]
    names = {r["name"] for r in open_world.app.sql("SELECT name FROM feature")}
    assert not names & {"churned", "gender"}


def test_a_feature_keeps_the_kind_it_was_declared_with(
    open_world: Any, somebody: Callable[..., Document], told: Callable[..., Document]
) -> None:
    open_world.customers.tell(open_world.app, "Create", somebody("first", {"complaints_30d": 1.0}))
    open_world.customers.tell(open_world.app, "Create", somebody("second", {"complaints_30d": "often", **FEATURES}))
    assert set(open_world.latest("second")) == set(FEATURES)
    (refused,) = open_world.app.sql("SELECT why FROM refusal WHERE name = 'complaints_30d'")
    assert refused["why"] == "it was declared as numeric and now comes as categorical"


def test_a_state_change_is_known_and_a_deleted_customer_is_forgotten(
    open_world: Any, somebody: Callable[..., Document]
) -> None:
    doc = somebody("leaver", {**FEATURES, **WEEK})
    open_world.customers.tell(open_world.app, "Create", doc)
    open_world.scores.tell(open_world.app, "Create", open_world.score_event("leaver", 30.0, NOW))
    open_world.customers.tell(open_world.app, "StateChange", {**doc, "status": "closed"})
    assert open_world.app.sql("SELECT status FROM customer WHERE id = 'leaver'")[0]["status"] == "closed"
    open_world.customers.tell(open_world.app, "Delete", {"id": "leaver"})
    left = [t for t in ("feature_row", "observation", "outcome", "protected") if rows(open_world, "leaver", t)]
    assert left == [] and open_world.app.sql("SELECT id FROM customer WHERE id = 'leaver'") == []


def test_a_bad_score_moves_the_weeks_features_and_a_new_snapshot_does_not_hide_it(
    open_world: Any, somebody: Callable[..., Document]
) -> None:
    open_world.customers.tell(open_world.app, "Create", somebody("hit", {**FEATURES, **WEEK}))
    open_world.scores.tell(open_world.app, "Create", open_world.score_event("hit", 30.0, NOW))
    after = open_world.latest("hit")
    assert after["experience_min_7d"] == "30.0"
    assert float(after["experience_mean_7d"]) == pytest.approx(90.0 - 60.0 / 48 / 2 / 7, abs=1e-3)
    assert float(after["experience_trend_7d"]) < 0.0
    told_min = [r for r in rows(open_world, "hit") if r["feature"] == "experience_min_7d"]
    assert [(r["value"], r["origin"]) for r in told_min] == [("80.0", "customer-360"), ("30.0", "experienceScore")]
    assert told_min[0]["as_of"] < told_min[1]["as_of"]
    refreshed = somebody("hit", {**FEATURES, **WEEK, "experience_min_7d": 79.0})
    open_world.customers.tell(open_world.app, "AttributeValueChange", refreshed)
    assert open_world.latest("hit")["experience_min_7d"] == "30.0"


def test_the_score_of_a_thing_moves_its_owners_week(open_world: Any, somebody: Callable[..., Document]) -> None:
    open_world.customers.tell(open_world.app, "Create", somebody("owner", {**FEATURES, **WEEK}))
    owner = [{"role": "owner", "partyOrPartyRole": {"id": "owner", "@referredType": "Customer"}}]
    thing = {"id": "thing-1", "subjectType": "thing", "@referredType": "PhysicalResource"}
    doc = open_world.score_event("thing-1", 20.0, NOW, subject=thing, relatedParty=owner)
    open_world.scores.tell(open_world.app, "Create", doc)
    assert open_world.latest("owner")["experience_min_7d"] == "20.0"


def test_scores_that_come_before_their_customer_count_when_the_customer_comes(
    open_world: Any, somebody: Callable[..., Document]
) -> None:
    open_world.scores.tell(open_world.app, "Create", open_world.score_event("early", 25.0, NOW))
    assert open_world.latest("early") == {}
    open_world.customers.tell(open_world.app, "Create", somebody("early", {**FEATURES, **WEEK}))
    assert open_world.latest("early")["experience_min_7d"] == "25.0"


def test_a_bad_hour_fades_when_it_is_older_than_a_week(world: Callable[..., Any], somebody: Any) -> None:
    with world([somebody("healed", {**FEATURES, **WEEK}), somebody("other", {**FEATURES, **WEEK})]) as fading:
        fading.scores.tell(fading.app, "Create", fading.score_event("healed", 30.0, NOW))
        fading.scores.tell(fading.app, "Create", fading.score_event("other", 90.0, NOW + timedelta(days=6)))
        assert fading.latest("healed")["experience_min_7d"] == "30.0"
        fading.scores.tell(fading.app, "Create", fading.score_event("other", 90.0, NOW + timedelta(days=8)))
        fading.until(lambda: fading.latest("healed")["experience_min_7d"] == "80.0")
        assert fading.latest("healed")["experience_mean_7d"] == "90.0"
