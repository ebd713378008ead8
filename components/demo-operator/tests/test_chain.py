"""The proof of a loop over made-up resources: closed when each refers to the one before, and every break is named."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest

from demo_operator.chain import STEPS, Candidate, Chain, Given, trace

Documents = dict[str, Any]
SQ = "http://sq/service-quality"
OBJECTIVE = f"{SQ}/tmf-api/serviceQualityManagement/v4/serviceLevelObjective/o1"
VIOLATION = f"{SQ}/tmf-api/serviceLevelViolation/v1/serviceLevelViolation/v1"
PROBLEM = f"{SQ}/tmf-api/serviceProblemManagement/v5/serviceProblem/p1"
SCORE = "http://xm/tmf-api/experienceManagement/v1/experienceScore/s1"
RISK = "http://cp/tmf-api/riskManagement/v4/partyRoleRiskAssessment/r1"
OFFER = "http://cp/tmf-api/recommendationManagement/v4/queryProductRecommendation/q1"
VIEW = "http://c3/tmf-api/customer360/v5/customer360/cust-1"
MEASURED = (
    f"{SQ}/tmf-api/performanceMeasurement/v1/measurement?resource=cell-001&service=video&kpi=Video.StallRatio"
    "&from=2026-01-01T00%3A00%3A00Z&to=2026-01-01T00%3A15%3A00Z"
)
GIVEN = Given(
    cells=frozenset({"cell-001", "cell-002"}),
    series=frozenset({("video", "Video.StallRatio"), ("video", "DRB.UEThpDl")}),
    start_s=1_767_225_600,
    until_s=1_767_226_500,
    owners={"thing-1": "cust-1"},
    service_quality=SQ,
)


def ref(href: str, kind: str = "") -> dict[str, str]:
    return {"id": href.rsplit("/", 1)[1], "href": href, "@referredType": kind}


def closed_loop() -> Documents:
    """A loop about one customer, each resource at its address."""
    who = {"id": "cust-1", "role": "customer", "@referredType": "Customer"}
    return {
        MEASURED: [{"id": "m1", "resource": "cell-001", "kpi": "Video.StallRatio", "value": 60.0, "unit": "%"}],
        OBJECTIVE: {
            "id": "o1",
            "serviceLevelObjectiveParameter": {
                "name": "Video.StallRatio",
                "relatedEntity": [{"role": "service", "id": "video"}],
            },
        },
        VIOLATION: {
            "id": "v1",
            "serviceLevelObjective": ref(OBJECTIVE),
            "affectedService": {"id": "video"},
            "violation": {"parameterName": "Video.StallRatio", "actualValue": 60.0, "referenceValue": 2.0},
            "period": {"startDateTime": "2026-01-01T00:00:00Z"},
            "relatedEntity": [{"role": "resource", "entity": {"id": "cell-001"}}],
        },
        PROBLEM: {"id": "p1", "slaViolation": [ref(VIOLATION)], "rootCauseResource": [{"id": "cell-001"}]},
        SCORE: {"id": "s1", "subject": {"id": "cust-1"}, "cause": [ref(PROBLEM, "ServiceProblem")]},
        RISK: {
            "id": "r1",
            "partyRole": who,
            "evidence": [ref(PROBLEM, "ServiceProblem"), ref(SCORE, "ExperienceScore")],
        },
        OFFER: {"id": "q1", "state": "done", "relatedParty": who, "riskAssessment": ref(RISK)},
        VIEW: {"id": "cust-1", "recommendation": [ref("http://cp/older/q0"), ref(OFFER)]},
    }


ADDRESSES = {
    "serviceLevelObjective": OBJECTIVE,
    "serviceLevelViolation": VIOLATION,
    "serviceProblem": PROBLEM,
    "experienceScore": SCORE,
    "partyRoleRiskAssessment": RISK,
    "queryProductRecommendation": OFFER,
    "customer360": VIEW,
}


def proved(documents: Documents, but: str = "", **more: list[Candidate]) -> Chain:
    """The chain of these documents, all heard of except `but`."""
    heard = {
        name: [Candidate(href.rsplit("/", 1)[1], href, 1.0 + at)]
        for at, (name, href) in enumerate(ADDRESSES.items())
        if name != but
    }

    async def get(href: str) -> Any:
        return documents.get(href)

    return asyncio.run(trace(get, {**heard, **more}, GIVEN))


def test_a_closed_loop_has_every_step_in_order_with_its_reference() -> None:
    chain = proved(closed_loop())
    assert chain.faults == ()
    assert chain.closed
    assert tuple(step.step for step in chain.steps) == STEPS
    referred = {step.step: (step.refers_to or {}).get("attribute") for step in chain.steps}
    assert referred == {
        "measurement": None,
        "serviceLevelObjective": "serviceLevelObjectiveParameter.name",
        "serviceLevelViolation": "serviceLevelObjective",
        "serviceProblem": "slaViolation[0]",
        "experienceScore": "cause[0]",
        "partyRoleRiskAssessment": "evidence[1]",
        "queryProductRecommendation": "riskAssessment",
        "customer360": "recommendation[1]",
    }


def test_each_step_names_its_address_and_its_cause() -> None:
    chain = proved(closed_loop())
    for step in chain.steps[1:]:
        assert step.href == ADDRESSES[step.step]
    measurement, problem = chain.steps[0], chain.steps[3]
    assert (measurement.id, measurement.href, measurement.names["values"]) == ("m1", MEASURED, [60.0])
    assert problem.names["rootCauseResource"] == ["cell-001"]


def test_a_things_loop_closes_over_its_owner() -> None:
    documents = closed_loop()
    documents[SCORE]["subject"] = {"id": "thing-1", "subjectType": "thing"}
    assert proved(documents).closed
    documents[SCORE]["subject"] = {"id": "thing-2", "subjectType": "thing"}
    assert not proved(documents).closed
    documents[SCORE]["relatedParty"] = [{"role": "owner", "partyOrPartyRole": {"id": "cust-1"}}]
    assert proved(documents).closed


@pytest.mark.parametrize("name", list(ADDRESSES))
def test_a_resource_that_cannot_be_fetched_breaks_the_loop(name: str) -> None:
    documents = closed_loop()
    del documents[ADDRESSES[name]]
    chain = proved(documents)
    assert not chain.closed
    assert any(ADDRESSES[name].rsplit("/", 1)[1] in fault or name in fault for fault in chain.faults)


@pytest.mark.parametrize("name", list(STEPS[2:]))
def test_a_step_that_was_never_heard_of_breaks_the_loop(name: str) -> None:
    chain = proved(closed_loop(), but=name)
    assert not chain.closed
    assert any(name in fault or ADDRESSES[name].rsplit("/", 1)[1] in fault for fault in chain.faults)


def without(attribute: str) -> Callable[[dict[str, Any]], None]:
    return lambda doc: doc.pop(attribute)


def setting(attribute: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda doc: doc.update({attribute: value})


BREAKS: list[tuple[str, str, Callable[[dict[str, Any]], None], str]] = [
    ("customer360", VIEW, without("recommendation"), "recommendation refers to no queryProductRecommendation"),
    ("customer360", VIEW, setting("recommendation", [ref("http://cp/x/q9")]), "q9, which was not heard of"),
    ("queryProductRecommendation", OFFER, without("riskAssessment"), "riskAssessment refers to no"),
    ("queryProductRecommendation", OFFER, setting("riskAssessment", ref("http://cp/x/r9")), "r9, which was not"),
    ("queryProductRecommendation", OFFER, setting("riskAssessment", {"id": "r1", "href": "http://cp/x/r1"}), "fetched"),
    ("partyRoleRiskAssessment", RISK, without("evidence"), "evidence refers to no experienceScore"),
    ("partyRoleRiskAssessment", RISK, setting("evidence", [ref(PROBLEM, "ServiceProblem")]), "no experienceScore"),
    ("experienceScore", SCORE, without("cause"), "cause refers to no serviceProblem"),
    ("experienceScore", SCORE, setting("cause", [ref("http://sq/x/p9", "ServiceProblem")]), "p9, which was not"),
    ("serviceProblem", PROBLEM, without("slaViolation"), "slaViolation refers to no serviceLevelViolation"),
    ("serviceProblem", PROBLEM, setting("slaViolation", [ref("http://sq/x/v9")]), "v9, which was not heard of"),
    ("serviceLevelViolation", VIOLATION, without("serviceLevelObjective"), "refers to no serviceLevelObjective"),
    ("serviceLevelViolation", VIOLATION, setting("serviceLevelObjective", ref("http://sq/x/o9")), "o9, which was not"),
    (
        "serviceLevelObjective",
        OBJECTIVE,
        setting("serviceLevelObjectiveParameter", {"name": "DRB.UEThpDl", "relatedEntity": [{"id": "video"}]}),
        "no measurement of DRB.UEThpDl",
    ),
]


@pytest.mark.parametrize(("step", "address", "change", "told"), BREAKS, ids=[f"{b[0]}-{b[3][:24]}" for b in BREAKS])
def test_every_broken_reference_is_named(
    step: str, address: str, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    documents = closed_loop()
    change(documents[address])
    chain = proved(documents)
    assert not chain.closed
    assert any(told in fault for fault in chain.faults), chain.faults
    if step != "serviceLevelObjective":
        assert (found := chain.step(step)) is not None
        assert found.broken is not None


FOREIGN: list[tuple[str, Callable[[dict[str, Any]], None], str]] = [
    (OFFER, setting("state", "inProgress"), "whose state is inProgress"),
    (OFFER, setting("relatedParty", {"id": "cust-2"}), "about cust-2, not cust-1"),
    (RISK, setting("partyRole", {"id": "cust-2"}), "about cust-2, not cust-1"),
    (SCORE, setting("subject", {"id": "cust-2"}), "not about cust-1"),
    (VIOLATION, setting("relatedEntity", [{"role": "resource", "entity": {"id": "cell-009"}}]), "of cell-009, where"),
    (VIOLATION, setting("affectedService", {"id": "voice"}), "Video.StallRatio of voice, which was not degraded"),
    (
        VIOLATION,
        setting("period", {"startDateTime": "2025-12-31T00:00:00Z", "endDateTime": "2025-12-31T01:00:00Z"}),
        "over before the fault began",
    ),
]


@pytest.mark.parametrize(("address", "change", "told"), FOREIGN, ids=[f[2] for f in FOREIGN])
def test_a_resource_of_another_loop_does_not_close_this_one(
    address: str, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    documents = closed_loop()
    change(documents[address])
    chain = proved(documents)
    assert not chain.closed
    assert any(told in fault for fault in chain.faults), chain.faults


def test_another_identity_behind_an_address_breaks_the_loop() -> None:
    documents = closed_loop()
    documents[SCORE]["id"] = "s2"
    assert not proved(documents).closed


def test_measurements_that_are_not_kept_break_the_loop() -> None:
    documents = closed_loop()
    documents[MEASURED] = []
    chain = proved(documents)
    assert chain.missing == (f"no measurement of Video.StallRatio in cell-001 can be fetched at {MEASURED}",)


def test_an_objective_about_another_kpi_than_its_violation_breaks_the_loop() -> None:
    documents = closed_loop()
    documents[VIOLATION]["violation"]["parameterName"] = "DRB.UEThpDl"
    chain = proved(documents)
    assert [step.step for step in chain.steps if step.broken] == ["serviceLevelObjective"]


def test_the_customer_whose_loop_closed_is_found_among_those_whose_did_not() -> None:
    documents = closed_loop()
    other = VIEW.replace("cust-1", "cust-0")
    documents[other] = {"id": "cust-0", "recommendation": [ref("http://cp/x/q9")]}
    chain = proved(documents, customer360=[Candidate("cust-0", other, 0.5), Candidate("cust-1", VIEW, 9.0)])
    assert chain.closed
    assert chain.steps[-1].id == "cust-1"


def test_of_many_violations_one_of_the_fault_is_enough() -> None:
    documents = closed_loop()
    foreign = VIOLATION.replace("/v1/serviceLevelViolation/v1", "/v1/serviceLevelViolation/v0")
    documents[foreign] = {**copy.deepcopy(documents[VIOLATION]), "id": "v0", "affectedService": {"id": "voice"}}
    documents[PROBLEM]["slaViolation"] = [ref(foreign), ref(VIOLATION)]
    heard = [Candidate("v0", foreign, 1.0), Candidate("v1", VIOLATION, 1.0)]
    chain = proved(documents, serviceLevelViolation=heard)
    assert chain.closed
    assert (chain.step("serviceProblem") or chain.steps[0]).refers_to == {
        "step": "serviceLevelViolation",
        "attribute": "slaViolation[1]",
        "id": "v1",
        "href": VIOLATION,
    }


def test_without_an_offer_the_loop_is_told_as_far_as_it_came() -> None:
    chain = proved(closed_loop(), queryProductRecommendation=[], customer360=[])
    assert chain.missing == ("no queryProductRecommendation was heard of", "no customer360 was heard of")
    assert [step.step for step in chain.steps] == list(STEPS[:6])
    assert not any(step.broken for step in chain.steps)


def test_nothing_heard_is_nothing_found() -> None:
    nothing: dict[str, Any] = {name: [] for name in ADDRESSES}
    chain = proved({}, **nothing)
    assert chain.steps == ()
    assert len(chain.missing) == 6
