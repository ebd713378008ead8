"""The TMF915 monitor of a new model: in progress until everybody has been assessed by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tmfkit.testing import assert_tmf_error

API = "/churn-prediction/tmf-api/AiM/v4"


def test_a_new_model_is_done_when_everybody_has_been_assessed(
    world: Callable[..., Any], served: str, copied: Callable[[str], str]
) -> None:
    url = copied(served)
    with world([], database_url=url, worker=False) as waiting:
        (model,) = waiting.app.get(f"{API}/aiModel").json()
        (monitor,) = waiting.app.get(f"{API}/monitor").json()
        assert monitor["state"] == "inProgress" and "response" not in monitor
        assert monitor["sourceHref"].endswith(f"{API}/aiModel/{model['id']}")
        assert monitor["request"]["to"].endswith(f"{API}/aiModel")
        assert json.loads(monitor["request"]["body"])["name"] == "churn"
        assert_tmf_error(waiting.app.post(f"{API}/monitor", {"state": "completed"}), 405)
    with world([], database_url=url) as working:
        working.until(lambda: working.app.get(f"{API}/monitor/{monitor['id']}").json()["state"] != "inProgress")
        done = working.app.get(f"{API}/monitor/{monitor['id']}").json()
        assert (done["state"], done["response"]["statusCode"]) == ("completed", "201")
        assert json.loads(done["response"]["body"])["id"] == model["id"]
        assert working.app.sql("SELECT count(*) FROM assessed")[0][0] == 30
        kinds = working.app.sql("SELECT kind FROM outbox WHERE resource = 'Monitor' ORDER BY seq")
        assert [r["kind"] for r in kinds] == ["Create", "StateChange", "AttributeValueChange"]


def test_a_model_that_is_replaced_before_it_was_done_ends_in_an_error(
    world: Callable[..., Any], served: str, copied: Callable[[str], str]
) -> None:
    with world([], database_url=copied(served), worker=False) as opened:
        opened.app.sql("DELETE FROM outcome WHERE customer_id < 'past-0100'")
        outcome = opened.train()
        former, newer = opened.app.get(f"{API}/monitor?sort=sourceHref").json()
        if newer["state"] == "inError":
            former, newer = newer, former
        assert (former["state"], newer["state"]) == ("inError", "inProgress")
        assert former["response"]["body"] == f"replaced by model {outcome.model_id}"
        assert newer["sourceHref"].endswith(outcome.model_id)
