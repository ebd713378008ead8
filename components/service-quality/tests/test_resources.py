"""The declared resources of service quality: what they take, what they refuse, how v4 sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from service_quality import resources
from tmfkit.resource import Resource
from tmfkit.types import Entity
from tmfkit.versions import view

Document = dict[str, Any]
KEY = {"id": "7", "href": "https://cem.example/7"}
PARTY_V4 = {"id": "noc", "role": "originator", "@referredType": "Organization"}
PARTY = {"role": "originator", "partyOrPartyRole": {"id": "noc", "@referredType": "Organization"}}
PROBLEM = {"category": "degradation", "priority": 2, "description": "slow video in cell 17", "reason": "threshold"}

MINIMAL: list[tuple[type[Entity], Document]] = [
    (
        resources.ServiceLevelObjective,
        {
            "conformanceComparator": "<=",
            "conformanceTarget": "0.99",
            "serviceLevelObjectiveParameter": {"name": "latency_ms"},
        },
    ),
    (resources.ServiceLevelSpecification, {"name": "gold", "relatedServiceLevelObjective": [{"id": "1"}]}),
    (resources.Threshold, {"name": "latency", "thresholdRule": [{"id": "raise"}]}),
    (resources.ThresholdRule, {"name": "raise", "condition": "Raise", "severity": "MAJOR"}),
    (resources.ThresholdJob, {"granularity": "G_5MN"}),
    (resources.ServiceProblem, {**PROBLEM, "originatorParty": PARTY}),
    (resources.ServiceProblemV4, {**PROBLEM, "originatorParty": PARTY_V4}),
    (resources.ProblemAcknowledgement, {"problem": [{"id": "1"}]}),
    (resources.ProblemUnacknowledgement, {"problem": [{"id": "1"}]}),
    (resources.ProblemGroup, {"parentProblem": {"id": "1"}, "childProblem": [{"id": "2"}]}),
    (resources.ProblemUngroup, {"parentProblem": {"id": "1"}, "childProblem": [{"id": "2"}]}),
    (
        resources.ServiceLevelViolation,
        {
            "state": "open",
            "serviceLevelObjective": {"id": "1"},
            "affectedService": {"id": "video"},
            "violation": {
                "parameterName": "latency_ms",
                "operator": "<=",
                "referenceValue": 50,
                "actualValue": 81.5,
            },
            "period": {"startDateTime": "2026-03-01T10:00:00Z", "endDateTime": "2026-03-01T10:05:00Z"},
            "raisedTime": "2026-03-01T10:05:00Z",
        },
    ),
]

PROBLEM_V4: Document = {
    **PROBLEM,
    "name": "video",
    "status": "inProgress",
    "originatingSystem": "service-quality",
    "affectedNumberOfServices": 2,
    "originatorParty": PARTY_V4,
    "responsibleParty": {"id": "ran", "role": "fixer", "name": "RAN operations", "@referredType": "Organization"},
    "relatedParty": [{"id": "42", "role": "customer", "@referredType": "Customer", "name": "Ada"}],
    "firstAlert": {"id": "a1", "role": "alarm", "@referredType": "Alarm"},
    "relatedEntity": [{"id": "cell-17", "role": "cell", "@referredType": "Resource"}],
    "affectedLocation": [{"id": "p1", "role": "site", "name": "North"}],
    "affectedService": [{"id": "s1"}, {"id": "s2", "name": "video"}],
    "rootCauseResource": [{"id": "cell-17"}],
    "slaViolation": [{"id": "v1"}],
    "underlyingAlarm": [{"id": "a1", "changeRequest": {"id": "cr1"}}],
    "relatedEvent": [{"id": "e1", "eventTime": "2026-03-01T10:00:00Z"}],
    "characteristic": [{"name": "cell", "value": {"id": "17", "band": "n78"}}],
    "impactPattern": {"description": "evening", "characteristic": [{"name": "hours", "value": [18, 23]}]},
    "trackingRecord": [{"systemId": "service-quality", "time": "2026-03-01T10:05:00Z"}],
    "note": [{"text": "seen before"}],
    "x-operator": {"shift": "late"},
}

FULL: list[tuple[type[Entity], Document]] = [
    (
        resources.ServiceLevelObjective,
        {
            "name": "video latency",
            "conformanceComparator": "<=",
            "conformanceTarget": "0.99",
            "thresholdTarget": "0.995",
            "toleranceTarget": "5",
            "graceTimes": "2",
            "conformancePeriod": {"startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2026-02-01T00:00:00Z"},
            "serviceLevelObjectiveParameter": {
                "name": "latency_ms",
                "parameterType": "KQI",
                "relatedEntity": [{"id": "video", "role": "service", "@referredType": "Service"}],
            },
            "serviceLevelObjectiveConsequence": [{"prescribedAction": "open a problem"}],
            "validFor": {"startDateTime": "2026-01-01T00:00:00Z"},
        },
    ),
    (
        resources.ThresholdJob,
        {
            "granularity": "G_15MN",
            "adminState": "UNLOCKED",
            "executionState": "Active",
            "jobPriority": 1,
            "monitoredObjectsCriteria": [{"monitoredObjectFilter": "cell=17"}],
            "performanceThreshold": {"id": "latency"},
            "scheduleDefinition": {
                "id": "nights",
                "recurringFrequency": "15 minutes",
                "scheduleDefinitionHourRange": [{"startHour": "22:00", "endHour": "06:00"}],
                "weeklyScheduleDefinition": [{"days": [1, 2]}],
                "monthlyScheduleDayOfWeekDefinition": {"dayOfMonthRecurrence": [{"days": [1]}]},
                "excludedDate": ["2026-12-25T00:00:00Z"],
            },
        },
    ),
    (
        resources.ThresholdRule,
        {
            "name": "raise",
            "condition": "Raise",
            "severity": "MAJOR",
            "measurement": {"id": "latency", "version": "1"},
            "consequence": [{"name": "alarm"}],
            "performanceAlarmSpecification": {"perfAlarmSpecSeverity": "MAJOR"},
            "conformanceComparatorUpper": "GT",
            "conformanceTargetUpper": 50,
            "gracePeriods": 2,
        },
    ),
    (resources.ServiceProblemV4, PROBLEM_V4),
    (
        resources.ServiceLevelViolation,
        {
            **MINIMAL[-1][1],
            "state": "cleared",
            "clearedTime": "2026-03-01T10:35:00Z",
            "serviceLevelSpecification": {"id": "gold"},
            "sla": {"id": "sla1", "version": "2"},
            "violation": {
                **MINIMAL[-1][1]["violation"],
                "conformanceRatio": 0.81,
                "conformanceTarget": 0.99,
                "unit": "ms",
            },
            "evidence": [{"name": "latency_ms p95", "value": 81.5, "unit": "ms", "sampleCount": 312}],
            "relatedEntity": [{"role": "cell", "entity": {"id": "cell-17", "@referredType": "Resource"}}],
            "relatedParty": [PARTY],
            "serviceProblem": {"id": "p1"},
            "characteristic": [{"name": "slice", "value": "embb"}],
        },
    ),
]


def validated(model: type[Entity], body: Document) -> Entity:
    return model.model_validate_json(json.dumps({**KEY, **body}), strict=True)


@pytest.mark.parametrize(("model", "body"), MINIMAL + FULL)
def test_a_body_with_what_is_mandatory_and_more_is_taken_and_given_back(model: type[Entity], body: Document) -> None:
    sent = json.loads(json.dumps(body))
    assert validated(model, body).model_dump(mode="json", exclude_unset=True) == {**KEY, **sent}


@pytest.mark.parametrize(("model", "body", "name"), [(m, b, n) for m, b in MINIMAL for n in b])
def test_a_missing_mandatory_attribute_is_named(model: type[Entity], body: Document, name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validated(model, {k: v for k, v in body.items() if k != name})
    assert [e["loc"] for e in refused.value.errors()] == [(name,)]


def test_a_state_that_the_standard_does_not_know_is_refused() -> None:
    with pytest.raises(ValidationError) as refused:
        validated(resources.ServiceProblem, {**PROBLEM, "originatorParty": PARTY, "status": "solved"})
    assert refused.value.errors()[0]["loc"] == ("status",)


def test_a_conformance_ratio_is_a_share() -> None:
    body = MINIMAL[-1][1]
    with pytest.raises(ValidationError) as refused:
        validated(resources.ServiceLevelViolation, {**body, "violation": {**body["violation"], "conformanceRatio": 99}})
    assert refused.value.errors()[0]["loc"] == ("violation", "conformanceRatio")


def test_a_problem_of_a_v4_client_comes_back_to_it_as_it_was() -> None:
    v4 = view(resources.SERVICE_PROBLEM, "v4", "v5")
    stored = v4.up(PROBLEM_V4)
    validated(resources.ServiceProblem, stored)
    assert v4.down(stored) == {
        **PROBLEM_V4,
        "affectedLocation": [{**PROBLEM_V4["affectedLocation"][0], "@referredType": "Place"}],
    }


def test_a_v4_client_sees_no_error_messages_and_its_patch_keeps_them() -> None:
    v4 = view(resources.SERVICE_PROBLEM, "v4", "v5")
    stored = {**PROBLEM, "originatorParty": PARTY, "errorMessage": [{"code": "E1", "reason": "no probe"}]}
    shown = v4.down(stored)
    assert "errorMessage" not in shown
    assert v4.merge(stored, shown, {**shown, "priority": 1}) == {**stored, "priority": 1}


def test_every_published_problem_state_can_be_reached_and_three_are_final() -> None:
    lifecycle = resources.SERVICE_PROBLEM.lifecycle
    assert lifecycle is not None and lifecycle.moves is not None and lifecycle.initial is not None
    reached, edge = {lifecycle.initial}, [lifecycle.initial]
    while edge:
        edge = [s for state in edge for s in lifecycle.moves.get(state, ()) if s not in reached]
        reached |= set(edge)
    assert reached == set(resources.ServiceProblemState)
    assert reached - set(lifecycle.moves) == {"rejected", "cancelled", "closed"}


def test_a_cleared_violation_stays_cleared() -> None:
    lifecycle = resources.SERVICE_LEVEL_VIOLATION.lifecycle
    assert lifecycle is not None and lifecycle.moves is not None
    assert lifecycle.moves == {"open": ("cleared",)}


@pytest.mark.parametrize(
    ("resource", "kinds"),
    [
        (resources.SERVICE_LEVEL_OBJECTIVE, {"Create", "AttributeValueChange", "Delete"}),
        (resources.THRESHOLD_JOB, {"Create", "AttributeValueChange", "Delete", "StateChange"}),
        (
            resources.SERVICE_PROBLEM,
            {"Create", "AttributeValueChange", "Delete", "StateChange", "InformationRequired"},
        ),
        (resources.SERVICE_PROBLEM_EVENT_RECORD, set()),
        (resources.PROBLEM_GROUP, {"Create", "StateChange", "Delete"}),
    ],
)
def test_only_events_that_the_published_file_knows_are_raised(resource: Resource, kinds: set[str]) -> None:
    assert resource.event_kinds == kinds
