"""TMF656 tasks: what they change in problems, and what they answer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service_quality.main import component
from tmfkit.testing import Running, assert_tmf_error, running

Doc = dict[str, Any]
API = "/service-quality/tmf-api/serviceProblemManagement/v5"
PROBLEM = f"{API}/serviceProblem"


def made(app: Running, **changes: Any) -> Doc:
    party = {"role": "originator", "partyOrPartyRole": {"id": "noc", "@referredType": "Organization"}}
    body = {"@type": "ServiceProblem", "category": "c", "priority": 1, "description": "d", "reason": "r", **changes}
    answer = app.post(PROBLEM, {"originatorParty": party, **body})
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
    return {"@type": "ServiceProblemRef", "id": problem["id"], "href": problem["href"]}


def test_a_party_that_is_a_role_alone_is_shown_in_v4_without_an_id_which_its_file_does_not_promise(
    app: Running,
) -> None:
    party = {"@type": "RelatedPartyRefOrPartyRoleRef", "role": "originator"}
    problem = made(app, originatorParty=party)
    shown = app.get(f"{PROBLEM}/{problem['id']}".replace("/v5/", "/v4/")).json()["originatorParty"]
    assert shown["role"] == "originator" and "id" not in shown
    api = next(a for a in component.apis if a.name == "serviceProblemManagement")
    schemas = component.openapi_file(api, "v4")["components"]["schemas"]
    assert "id" not in schemas["ReferredPartyV4"].get("required", [])
    assert "id" in schemas["ReferredPartyV4_Create"]["required"]


def test_a_problem_counts_its_services_until_somebody_gives_another_number(app: Running) -> None:
    def services(*ids: str) -> list[Doc]:
        return [{"@type": "ServiceRef", "id": id} for id in ids]

    def patched(**changes: Any) -> int:
        answer = app.patch(f"{PROBLEM}/{problem['id']}", changes)
        assert answer.status_code == 200, answer.text
        number: int = answer.json()["affectedNumberOfServices"]
        return number

    assert made(app)["affectedNumberOfServices"] == 0
    assert made(app, affectedNumberOfServices=7)["affectedNumberOfServices"] == 7
    problem = made(app, affectedService=services("a", "b"))
    assert problem["affectedNumberOfServices"] == 2
    assert patched(affectedService=services("a", "b", "c")) == 3
    assert patched(affectedNumberOfServices=40) == 40
    assert patched(affectedService=services("a")) == 40


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


def test_a_task_of_v4_is_shown_in_v5_with_the_class_of_all_that_is_in_it(app: Running) -> None:
    problem = made(app)
    characteristic = {"name": "shift", "value": "late"}
    record = {"systemId": "noc", "characteristic": [{**characteristic, "characteristicRelationship": [{"id": "1"}]}]}
    body = {"problem": [{"id": problem["id"]}], "trackingRecord": record}
    sent = app.post(f"{API}/problemAcknowledgement".replace("/v5/", "/v4/"), body)
    assert sent.status_code == 201, sent.text
    shown = app.get(f"{API}/problemAcknowledgement/{sent.json()['id']}").json()
    references = [{"@type": "ServiceProblemRef", "id": problem["id"]}]
    assert (shown["problem"], shown["ackProblem"]) == (references, references)
    related = {"@type": "CharacteristicRelationship", "id": "1"}
    typed_characteristic = {"@type": "Characteristic", **characteristic, "characteristicRelationship": [related]}
    typed = {"@type": "TrackingRecord", **record, "characteristic": [typed_characteristic]}
    assert shown["trackingRecord"] == typed
    assert now(app, problem)["trackingRecord"][0].items() >= typed.items()


def test_a_problem_says_of_what_class_the_record_of_a_task_without_one_is(app: Running) -> None:
    problem = made(app)
    task(app, "problemUnacknowledgement", {"problem": [ref(problem)]})
    assert [t["@type"] for t in now(app, problem)["trackingRecord"]] == ["TrackingRecord"]


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


def records(app: Running, problem: Doc) -> list[Doc]:
    params = {"serviceProblem.id": problem["id"], "sort": "recordTime"}
    found: list[Doc] = app.get(f"{API}/serviceProblemEventRecord", params=params).json()
    return found


def test_the_events_of_a_problem_are_recorded_as_they_happen(app: Running) -> None:
    problem = made(app, name="video slow")
    app.patch(f"{PROBLEM}/{problem['id']}", {"priority": 2})
    app.patch(f"{PROBLEM}/{problem['id']}", {"status": "inProgress"})
    found = records(app, problem)
    assert [r["eventType"] for r in found] == ["ServiceProblemCreateEvent", "ServiceProblemStateChangeEvent"]
    assert found[1]["serviceProblem"]["name"] == "video slow"
    told = found[1]["notification"]
    assert told["event"]["serviceProblem"]["status"] == "inProgress"
    sent = app.sql("SELECT event_id FROM outbox WHERE resource_id = $1 ORDER BY seq", problem["id"])
    assert told["eventId"] in {row["event_id"] for row in sent}
    v4 = app.get(f"{API}/serviceProblemEventRecord/{found[1]['id']}".replace("/v5/", "/v4/")).json()
    assert v4["notification"] == told


def test_the_events_of_an_alarm_under_a_problem_are_recorded_with_it(app: Running) -> None:
    alarm = app.post(
        "/service-quality/tmf-api/alarm/v4/alarm",
        {
            "alarmType": "equipmentAlarm",
            "perceivedSeverity": "major",
            "probableCause": "powerProblem",
            "alarmedObject": {"id": "site-3"},
            "sourceSystemId": "ran-manager",
            "state": "raised",
            "alarmRaisedTime": "2026-11-10T12:00:00Z",
        },
    ).json()
    problem = made(app, underlyingAlarm=[{"@type": "ResourceAlarmRef", "id": alarm["id"]}])
    app.patch(alarm["href"], {"state": "cleared"})
    types = [r["eventType"] for r in records(app, problem)]
    assert types[0] == "ServiceProblemCreateEvent"
    assert sorted(types[1:]) == ["AlarmAttributeValueChangeEvent", "AlarmStateChangeEvent"]


def test_when_a_problem_changed_its_status_and_was_resolved_is_told_by_the_server(app: Running) -> None:
    problem = made(app)
    assert problem["statusChangeDate"] == problem["creationDate"]
    resolved = app.patch(f"{PROBLEM}/{problem['id']}", {"status": "resolved"}).json()
    assert resolved["statusChangeDate"] == resolved["resolutionDate"] > problem["statusChangeDate"]
    again = app.patch(f"{PROBLEM}/{problem['id']}", {"status": "inProgress"}).json()
    assert "resolutionDate" not in again


def test_a_rule_is_judged_as_the_form_that_its_type_names(app: Running) -> None:
    rules = "/service-quality/tmf-api/performanceThresholding/v5/thresholdRule"
    body = {"@type": "SimpleThresholdRule", "name": "raise", "condition": "Raise", "severity": "MAJOR"}
    made_rule = app.post(rules, {**body, "conformanceTargetUpper": 50, "gracePeriods": 2})
    assert made_rule.status_code == 201, made_rule.text
    for change, attribute in (
        ({"conformanceTargetUpper": "fifty"}, "conformanceTargetUpper"),
        ({"@type": "AlgorithmThresholdRule", "algorithmParams": [{"value": 1}]}, "algorithmParams[0].name"),
    ):
        assert assert_tmf_error(app.post(rules, {**body, **change}), 400)["attribute"] == attribute
    assert assert_tmf_error(app.patch(made_rule.json()["href"], {"gracePeriods": "two"}), 400)["attribute"]
    found = app.get(rules, params={"conformanceTargetUpper.gt": "40"}).json()
    assert [rule["id"] for rule in found] == [made_rule.json()["id"]]


def inventory(request: httpx.Request) -> httpx.Response:
    """A service inventory that has one service."""
    known = request.url.path.endswith("/service/svc-1")
    return httpx.Response(200, json={"id": "svc-1"}) if known else httpx.Response(404, json={"code": "404"})


def test_a_service_that_the_inventory_does_not_know_is_refused() -> None:
    where = {"serviceInventory": "http://inventory.test"}
    with running(component, dependencies=where, transports={"serviceInventory": httpx.MockTransport(inventory)}) as app:
        known = {"@type": "ServiceRef", "id": "svc-1", "@referredType": "Service"}
        problem = made(app, affectedService=[known])
        refused = app.patch(f"{PROBLEM}/{problem['id']}", {"affectedService": [known, {**known, "id": "svc-2"}]})
        assert assert_tmf_error(refused, 400)["attribute"] == "affectedService[1].id"
