"""What a loop came to: found against true, times per hop, and the lines that tell it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo_operator.chain import Chain, Step
from demo_operator.domain.faults import Fault, FaultKind, fault
from demo_operator.domain.truth import FaultTruth, truth
from demo_operator.memory import Operator
from demo_operator.narration import LINES_OF_A_KIND, Narrator
from demo_operator.outcome import STEP_OF, Evidence, Outcome, found_causes, timings
from demo_operator.watch import Heard, related

SINCE = datetime(2026, 1, 1, 12, tzinfo=UTC)
Document = dict[str, Any]


def heard(event_type: str, doc: Document, after_s: float = 1.0) -> Heard:
    doc = {"href": f"http://x/{doc['id']}", **doc}
    return Heard(0, event_type, doc["id"], doc, SINCE + timedelta(seconds=after_s))


def party(role: str, id: str) -> Document:
    return {"role": role, "partyOrPartyRole": {"id": id}}


def outcome(operator: Operator, broken: Fault, evidence: Evidence, chain: Chain | None = None) -> Outcome:
    return Outcome(1, operator, broken, truth(operator.world, broken), chain or Chain(()), evidence, [0.0, 0.5])


@pytest.fixture
def thing_fault(tiny_operator: Operator) -> tuple[Fault, FaultTruth]:
    """A fault that only things feel: their slice is slow."""
    broken = fault(tiny_operator.world, FaultKind.LATENCY_STEP, "slice-mmtc", 0, 3600, 700.0)
    return broken, truth(tiny_operator.world, broken)


def problem(causes: list[str], people: list[str], things: list[str]) -> Document:
    return {
        "id": "p1",
        "rootCauseResource": [{"id": cause} for cause in causes],
        "relatedParty": [party("affectedCustomer", id) for id in people],
        "relatedEntity": [{"role": "affectedThing", "entity": {"id": id}} for id in things],
    }


# --- counting ---


def test_the_newest_state_of_a_resource_counts_and_its_first_event_dates_it() -> None:
    evidence = Evidence(SINCE)
    evidence.add(heard("ServiceProblemCreateEvent", problem(["cell-001"], [], []), 1.0))
    evidence.add(heard("ServiceProblemAttributeValueChangeEvent", problem(["site-001"], ["cust-1"], []), 2.0))
    assert evidence.count("serviceProblem") == 1
    assert evidence.causes == ["site-001"]
    assert evidence.affected("relatedParty", "affectedCustomer") == {"cust-1"}
    assert evidence.candidates("serviceProblem")[0].at_s == 1.0


def test_what_an_earlier_fault_has_left_behind_does_not_count() -> None:
    evidence = Evidence(SINCE)
    evidence.add(heard("ServiceLevelViolationStateChangeEvent", {"id": "v0", "state": "cleared"}))
    evidence.add(heard("ServiceProblemStateChangeEvent", {**problem(["cell-009"], ["cust-9"], []), "status": "closed"}))
    evidence.add(heard("ExperienceScoreAttributeValueChangeEvent", {"id": "s0", "cause": [{"id": "p1"}]}))
    evidence.add(heard("ExperienceScoreCreateEvent", {"id": "s1", "cause": []}))
    evidence.add(heard("PartyRoleRiskAssessmentCreateEvent", {"id": "r0", "evidence": [{"id": "s0"}]}))
    evidence.add(heard("PartyRoleRiskAssessmentCreateEvent", {"id": "r1"}))
    assert {step: evidence.count(step) for step in STEP_OF.values()} == dict.fromkeys(STEP_OF.values(), 0)
    assert evidence.causes == []


def test_a_problem_that_comes_back_counts_while_it_is_open() -> None:
    evidence = Evidence(SINCE)
    evidence.add(heard("ServiceProblemStateChangeEvent", {**problem(["cell-001"], [], []), "status": "inProgress"}))
    assert evidence.causes == ["cell-001"]


def test_events_of_different_publishers_count_in_any_order() -> None:
    events = [
        heard("ServiceProblemCreateEvent", problem(["cell-001"], [], [])),
        heard("ExperienceScoreCreateEvent", {"id": "s1", "cause": [{"id": "p1"}]}),
        heard("PartyRoleRiskAssessmentCreateEvent", {"id": "r1", "evidence": [{"id": "s1"}]}),
        heard("QueryProductRecommendationCreateEvent", {"id": "q1", "riskAssessment": {"id": "r1"}}),
        heard("Customer360CreateEvent", {"id": "c1", "recommendation": [{"id": "q1"}]}),
    ]
    for order in (events, events[::-1]):
        evidence = Evidence(SINCE)
        for event in order:
            evidence.add(event)
        counts = [evidence.count(step) for step in STEP_OF.values()]
        assert counts == [0, 1, 1, 1, 1, 1]


def test_offers_of_this_loop_are_looked_at_before_those_that_came_late() -> None:
    evidence = Evidence(SINCE)
    evidence.add(heard("QueryProductRecommendationCreateEvent", {"id": "late", "riskAssessment": {"id": "r0"}}, 1.0))
    evidence.add(heard("Customer360CreateEvent", {"id": "c0", "recommendation": [{"id": "late"}]}, 1.1))
    evidence.add(heard("ServiceProblemCreateEvent", problem(["cell-001"], [], []), 2.0))
    evidence.add(heard("PartyRoleRiskAssessmentCreateEvent", {"id": "r1", "evidence": [{"id": "p1"}]}, 3.0))
    evidence.add(heard("QueryProductRecommendationCreateEvent", {"id": "q1", "riskAssessment": {"id": "r1"}}, 4.0))
    evidence.add(heard("Customer360CreateEvent", {"id": "c1", "recommendation": [{"id": "q1"}]}, 5.0))
    assert [one.id for one in evidence.candidates("queryProductRecommendation")] == ["q1", "late"]
    assert [one.id for one in evidence.candidates("customer360")] == ["c1", "c0"]


def test_a_customer_view_counts_from_when_it_shows_an_offer_of_this_loop() -> None:
    evidence = Evidence(SINCE)
    evidence.add(heard("Customer360CreateEvent", {"id": "c", "recommendation": [{"id": "older"}]}, 1.0))
    assert evidence.candidates("customer360") == []
    evidence.add(heard("QueryProductRecommendationCreateEvent", {"id": "q"}, 3.0))
    assert evidence.candidates("customer360") == []
    shown = {"id": "c", "recommendation": [{"id": "older"}, {"id": "q"}]}
    evidence.add(heard("Customer360AttributeValueChangeEvent", shown, 4.0))
    assert [(one.id, one.at_s) for one in evidence.candidates("customer360")] == [("c", 4.0)]
    assert evidence.count("customer360") == 1


def test_a_view_that_is_heard_of_before_its_offer_counts_all_the_same() -> None:
    evidence = Evidence(SINCE)
    evidence.add(heard("Customer360CreateEvent", {"id": "c", "recommendation": [{"id": "q"}]}, 1.0))
    evidence.add(heard("QueryProductRecommendationCreateEvent", {"id": "q"}, 1.1))
    assert [one.id for one in evidence.candidates("customer360")] == ["c"]


# --- truth against found ---


def test_an_area_is_the_pool_that_serves_it(tiny_operator: Operator) -> None:
    assert found_causes(tiny_operator, ["area-01", "cell-002"]) == ["cell-002", "du-01"]


def test_a_cause_named_exactly_is_exact_and_none_is_missed(tiny_operator: Operator) -> None:
    broken = fault(tiny_operator.world, FaultKind.CALL_SETUP_FAILURES, "du-02", 0, 3600, 40.0)
    evidence = Evidence(SINCE)
    assert outcome(tiny_operator, broken, evidence).cause.verdict == "missed"
    evidence.add(heard("ServiceProblemCreateEvent", problem(["area-02"], [], [])))
    assert outcome(tiny_operator, broken, evidence).cause.verdict == "exact"


def test_owners_of_things_are_concerned_but_feel_nothing_themselves(
    tiny_operator: Operator, thing_fault: tuple[Fault, FaultTruth]
) -> None:
    broken, known = thing_fault
    evidence = Evidence(SINCE)
    evidence.add(heard("ServiceProblemCreateEvent", problem([], list(known.customer_ids), list(known.subject_ids))))
    sets = outcome(tiny_operator, broken, evidence).sets()
    for name in ("subjects", "things", "customers"):
        assert (sets[name].precision, sets[name].recall) == (1.0, 1.0), name


def test_who_is_named_wrongly_lowers_precision_and_who_is_missed_lowers_recall(tiny_operator: Operator) -> None:
    broken = fault(tiny_operator.world, FaultKind.PACKET_LOSS, "du-01", 0, 3600, 12.0)
    known = truth(tiny_operator.world, broken)
    stranger = next(id for id in tiny_operator.people if id not in known.customer_ids)
    half = list(known.subject_ids)[: len(known.subject_ids) // 2]
    evidence = Evidence(SINCE)
    evidence.add(heard("ServiceProblemCreateEvent", problem(["du-01"], [*half, stranger], [])))
    felt = outcome(tiny_operator, broken, evidence).sets()["subjects"]
    assert felt.precision == pytest.approx(len(half) / (len(half) + 1))
    assert felt.recall == pytest.approx(len(half) / len(known.subject_ids))


def test_the_summary_is_json_and_says_why_a_loop_is_open(tiny_operator: Operator) -> None:
    broken = fault(tiny_operator.world, FaultKind.PACKET_LOSS, "cell-001", 0, 3600, 12.0)
    chain = Chain(
        (Step("serviceProblem", "p1", "http://x/p1", 2.0, {}, None, "slaViolation refers to no v"),), ("no x",)
    )
    document = outcome(tiny_operator, broken, Evidence(SINCE), chain).document()
    assert json.loads(json.dumps(document)) == document
    assert document["notClosedBecause"] == ["no x", "serviceProblem p1: slaViolation refers to no v"]
    assert document["steps"][0]["broken"] == "slaViolation refers to no v"


def test_the_first_hop_counts_from_the_last_batch_before_the_violation() -> None:
    steps = (
        Step("measurement", "m", "", 0.0, {}),
        Step("serviceLevelObjective", "o", "", None, {}),
        Step("serviceLevelViolation", "v", "", 1.4, {}),
        Step("serviceProblem", "p", "", 1.6, {}),
    )
    assert timings(Chain(steps), [0.0, 0.5, 1.0, 1.5]) == {
        "arrivedS": {"measurement": 0.0, "serviceLevelViolation": 1.4, "serviceProblem": 1.6},
        "hopS": {"serviceLevelViolation": 0.4, "serviceProblem": 0.2},
    }


# --- references ---


def test_references_are_read_flat_in_a_role_single_and_many() -> None:
    assert related({"a": {"id": "1"}}, "a") == [{"id": "1"}]
    assert related({"a": [{"id": "1", "role": "x"}, {"name": "none"}]}, "a") == [{"id": "1", "role": "x"}]
    assert related({"a": [party("owner", "c")]}, "a") == [{"id": "c", "role": "owner"}]
    assert related({"a": None}, "a") == related({}, "a") == related(None, "a") == []


# --- lines ---


def told_by(operator: Operator) -> tuple[Narrator, list[str]]:
    lines: list[str] = []
    return Narrator(operator, lines.append), lines


def test_people_and_things_are_told_by_name(tiny_operator: Operator) -> None:
    narrator, _ = told_by(tiny_operator)
    person, thing = tiny_operator.world.people[0], tiny_operator.world.things[0]
    owner = tiny_operator.people[thing.owner_id]
    assert narrator.who(person.id) == f"{person.given_name} {person.family_name} ({person.id})"
    assert narrator.who(thing.id).startswith(f"{thing.kind} {thing.serial_number} of {owner.given_name}")
    assert narrator.who("somebody-else") == "somebody-else"


def test_a_customer_view_is_told_when_it_shows_something_new(tiny_operator: Operator) -> None:
    narrator, lines = told_by(tiny_operator)
    for offers in (["a"], ["a"], ["a", "b"]):
        shown = {"id": "cust-00001", "recommendation": [{"id": offer} for offer in offers]}
        narrator.hear(heard("Customer360AttributeValueChangeEvent", shown))
    assert [line.split("now shows")[1].split("  ")[0] for line in lines] == [" 1 offer(s)", " 2 offer(s)"]


def test_a_line_has_the_hour_the_simulated_hour_what_who_and_where(tiny_operator: Operator) -> None:
    narrator, lines = told_by(tiny_operator)
    person = tiny_operator.world.people[0]
    score = {"id": "s", "subject": {"id": person.id}, "score": 20.4, "previousScore": 91.0, "band": "bad"}
    narrator.hear(heard("ExperienceScoreCreateEvent", {**score, "service": {"id": "svc-voice-00001"}}))
    clock = SINCE.astimezone() + timedelta(seconds=1)
    assert lines == [
        f"{clock:%H:%M:%S}  sim 2026-01-01 00:00  experience      {narrator.who(person.id)}: 20 of 100 (bad), was 91 "
        "with svc-voice-00001  http://x/s"
    ]


@pytest.mark.parametrize(
    "event_type",
    [
        "ServiceLevelViolationCreateEvent",
        "ServiceProblemCreateEvent",
        "ExperienceScoreCreateEvent",
        "PartyRoleRiskAssessmentCreateEvent",
        "QueryProductRecommendationCreateEvent",
    ],
)
def test_an_event_that_says_next_to_nothing_is_told_all_the_same(tiny_operator: Operator, event_type: str) -> None:
    narrator, lines = told_by(tiny_operator)
    narrator.hear(heard(event_type, {"id": "x1"}))
    assert len(lines) == 1


def test_many_events_of_a_kind_are_counted_not_told(tiny_operator: Operator) -> None:
    narrator, lines = told_by(tiny_operator)
    for at in range(50):
        narrator.hear(heard("ExperienceScoreCreateEvent", {"id": f"s{at}"}))
    narrator.rest()
    assert len(lines) == LINES_OF_A_KIND + 1
    assert f"{50 - LINES_OF_A_KIND} more experience events" in lines[-1]
    narrator.begin()
    narrator.hear(heard("ExperienceScoreCreateEvent", {"id": "s"}))
    assert len(lines) == LINES_OF_A_KIND + 2


def test_a_fault_is_announced_with_its_truth(tiny_operator: Operator, thing_fault: tuple[Fault, FaultTruth]) -> None:
    narrator, lines = told_by(tiny_operator)
    narrator.fault(*thing_fault)
    things, owners = len(thing_fault[1].subject_ids), len(thing_fault[1].customer_ids)
    assert "latency step caused by slice-mmtc (Massive internet of things): telemetry in" in lines[0]
    assert lines[0].endswith(f"truly felt by 0 people and {things} things, {owners} customers")
