"""TMF656 tasks: what they change in problems, and what they answer."""

from __future__ import annotations

from typing import Any

import pytest

from tmfkit.testing import Running

Doc = dict[str, Any]
API = "/service-quality/tmf-api/serviceProblemManagement/v5"
PROBLEM = f"{API}/serviceProblem"


def made(app: Running, **changes: Any) -> Doc:
    party = {"role": "originator", "partyOrPartyRole": {"id": "noc", "@referredType": "Organization"}}
    body = {"@type": "ServiceProblem", "category": "c", "priority": 1, "description": "d", "reason": "r", **changes}
    answer = app.post(PROBLEM, {**body, "originatorParty": party})
    assert answer.status_code == 201, answer.text
    doc: Doc = answer.json()
    return doc


def task(app: Running, path: str, body: Doc) -> Doc:
    answer = app.post(f"{API}/{path}", {"@type": path[0].upper() + path[1:], **body})
    assert answer.status_code == 201, answer.text
    doc: Doc = answer.json()
    return doc


def now(app: Running, problem: Doc) -> Doc:
    doc: Doc = app.get(f"{PROBLEM}/{problem['id']}").json()
    return doc


def ref(problem: Doc) -> Doc:
    return {"id": problem["id"], "href": problem["href"]}


def test_an_acknowledged_problem_is_taken_up_and_says_by_whom(app: Running) -> None:
    waiting, over = made(app, status="pending"), made(app, status="closed")
    told = {"problem": [ref(waiting), ref(over), {"id": "nowhere"}], "trackingRecord": {"systemId": "noc"}}
    answer = task(app, "problemAcknowledgement", told)
    assert (answer["state"], answer["ackProblem"]) == ("done", [ref(waiting)])
    after = now(app, waiting)
    assert after["status"] == "inProgress"
    assert [(t["description"], t["systemId"], t["user"]) for t in after["trackingRecord"]] == [
        ("acknowledged", "noc", "anonymous")
    ]
    assert now(app, over) == over


def test_an_acknowledgement_can_be_taken_back(app: Running) -> None:
    problem = made(app)
    assert task(app, "problemUnacknowledgement", {"problem": [ref(problem)]})["unackProblem"] == [ref(problem)]
    assert now(app, problem)["status"] == "pending"


def test_problems_are_grouped_and_ungrouped(app: Running) -> None:
    parent, one, two = made(app), made(app), made(app)
    body = {"parentProblem": ref(parent), "childProblem": [ref(one), ref(two), ref(parent)]}
    assert task(app, "problemGroup", body)["state"] == "done"
    assert now(app, parent)["underlyingProblem"] == [ref(one), ref(two)]
    assert [now(app, child)["parentProblem"] for child in (one, two)] == [[ref(parent)]] * 2
    task(app, "problemGroup", body)
    assert now(app, parent)["underlyingProblem"] == [ref(one), ref(two)]
    assert task(app, "problemUngroup", {**body, "childProblem": [ref(one)]})["state"] == "done"
    assert now(app, parent)["underlyingProblem"] == [ref(two)]
    assert "parentProblem" not in now(app, one)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("problemAcknowledgement", {"problem": [{"id": "nowhere"}]}),
        ("problemUnacknowledgement", {"problem": [{"id": "nowhere"}]}),
        ("problemGroup", {"parentProblem": {"id": "nowhere"}, "childProblem": [{"id": "neither"}]}),
        ("problemUngroup", {"parentProblem": {"id": "nowhere"}, "childProblem": [{"id": "neither"}]}),
    ],
)
def test_a_task_that_finds_no_problem_ends_with_an_error(app: Running, path: str, body: Doc) -> None:
    assert task(app, path, body)["state"] == "terminatedWithError"
