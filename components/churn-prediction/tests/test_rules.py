"""TMF915 rules: what they say is left to their class."""

from __future__ import annotations

from churn_prediction.main import component
from tmfkit.testing import running

PATH = "/churn-prediction/tmf-api/AiM/v4/rule"


def test_a_rule_keeps_what_its_class_says_and_a_change_of_its_state_is_told() -> None:
    with running(component) as app:
        sent = {"name": "auc floor", "@type": "ThresholdRule", "@baseType": "Rule", "floor": 0.8, "state": "draft"}
        rule = app.post(PATH, sent).json()
        assert rule.items() >= sent.items()
        assert app.patch(rule["href"], {"state": "active"}).json()["state"] == "active"
        kinds = app.sql("SELECT kind FROM outbox WHERE resource_id = $1 ORDER BY seq", rule["id"])
        assert [r["kind"] for r in kinds] == ["Create", "StateChange"]
