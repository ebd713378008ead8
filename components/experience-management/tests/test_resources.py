"""The declared resources of experience management: what they take, what they refuse, how v4 sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from experience_management import resources, specification
from tmfkit.errors import Conflict
from tmfkit.types import Entity
from tmfkit.versions import view

Document = dict[str, Any]
KEY = {"id": "7", "href": "https://cem.example/7"}

INTERACTION: Document = {
    "reason": "video stalls",
    "direction": "inbound",
    "relatedChannel": [{"role": "used", "channel": {"id": "call"}}],
}
INTERACTION_V4: Document = {
    "reason": "video stalls",
    "direction": "inbound",
    "status": "completed",
    "interactionDate": {"startDateTime": "2026-03-01T10:00:00Z"},
    "channel": [{"id": "call", "href": "https://op.example/channel/call", "role": "used", "@referredType": "Channel"}],
}
SPECIFICATION: Document = {
    "name": "video",
    "version": "1.0",
    "subjectType": "person",
    "contributors": [{"kqi": "stall_ratio", "good": 0.0, "bad": 0.1, "weight": 2.0, "unit": "ratio"}],
}
SCORE: Document = {
    "subject": {"id": "42", "subjectType": "person", "@referredType": "Customer"},
    "indexSpecification": {"id": "video", "version": "1.0"},
    "score": 61.5,
    "band": "fair",
    "coverage": 0.8,
    "n": 12,
    "observedWindow": {"startDateTime": "2026-03-01T10:00:00Z", "endDateTime": "2026-03-01T11:00:00Z"},
    "computedAt": "2026-03-01T11:00:01Z",
}
ANSWER: Document = {
    "respondent": {"id": "42", "@referredType": "Customer"},
    "survey": "after call",
    "metric": "NPS",
    "rating": 9,
    "respondedAt": "2026-03-01T12:00:00Z",
}
MINIMAL: list[tuple[type[Entity], Document]] = [
    (resources.PartyInteraction, INTERACTION),
    (resources.PartyInteractionV4, INTERACTION_V4),
    (resources.ExperienceIndexSpecification, SPECIFICATION),
    (resources.ExperienceScore, {k: v for k, v in SCORE.items() if k != "score"} | {"band": "notEnoughData"}),
    (resources.SurveyResponse, ANSWER),
]
FULL_V4: Document = {
    **INTERACTION_V4,
    "description": "asked why video stalls",
    "relatedParty": [
        {
            "id": "42",
            "href": "https://op.example/customer/42",
            "role": "customer",
            "name": "Ada",
            "@referredType": "Customer",
        }
    ],
    "interactionItem": [
        {
            "id": "i1",
            "reason": "stalls",
            "channel": [
                {"id": "call", "href": "https://op.example/channel/call", "@referredType": "Channel", "role": "used"}
            ],
            "item": {"id": "t1", "role": "ticket", "@referredType": "TroubleTicket"},
            "relatedParty": [
                {"id": "7", "href": "https://op.example/party/7", "role": "agent", "@referredType": "Individual"}
            ],
            "note": [{"text": "polite"}],
        }
    ],
    "interactionRelationship": [{"id": "6", "relationshipType": "follows"}],
    "attachment": [{"name": "recording", "mimeType": "audio/ogg", "size": {"amount": 1.5, "units": "MB"}}],
    "note": [{"author": "agent", "text": "call back"}],
}
FULL: list[tuple[type[Entity], Document]] = [
    (resources.PartyInteractionV4, FULL_V4),
    (
        resources.PartyInteraction,
        {
            **INTERACTION,
            "status": "completed",
            "externalIdentifier": [{"id": "crm-1", "owner": "crm"}],
            "relatedParty": [{"role": "customer", "partyOrPartyRole": {"id": "42"}}],
            "interactionItem": [
                {
                    "id": "i1",
                    "interactionItemType": "survey",
                    "item": {"role": "answer", "entity": {"@type": "Answer", "rating": 9}},
                    "interactionItemRelationship": [{"id": "i0", "relationshipType": "follows"}],
                }
            ],
            "interactionRelationship": [{"id": "6", "relationshipType": "follows"}],
        },
    ),
    (
        resources.ExperienceIndexSpecification,
        {
            **SPECIFICATION,
            "description": "video at home",
            "serviceSpecification": {"id": "video", "version": "3"},
            "weights": {"mean": 0.7, "lowDecile": 0.3, "expertLabels": 300},
            "lifecycleStatus": "Active",
            "validFor": {"startDateTime": "2026-01-01T00:00:00Z"},
        },
    ),
    (
        resources.ExperienceScore,
        {
            **SCORE,
            "service": {"id": "s1"},
            "interval": {"low": 55.0, "high": 67.0, "level": 0.95},
            "contributions": [{"kqi": "stallRatio", "score": 61.5, "weight": 1.0, "loss": 38.5, "value": 0.0385}],
            "previousScore": 88.0,
            "opinionScore": 3.4,
            "cause": [{"id": "p1", "@referredType": "ServiceProblem"}],
        },
    ),
    (
        resources.SurveyResponse,
        {
            **ANSWER,
            "question": "Would you recommend us?",
            "comment": "mostly",
            "channel": {"id": "sms"},
            "service": {"id": "s1"},
            "partyInteraction": {"id": "7"},
        },
    ),
]


def validated(model: type[Entity], body: Document) -> Entity:
    return model.model_validate_json(json.dumps({**KEY, **body}), strict=True)


def refused(model: type[Entity], body: Document) -> tuple[int | str, ...]:
    """Where the body is wrong."""
    with pytest.raises(ValidationError) as caught:
        validated(model, body)
    (error,) = caught.value.errors()
    return error["loc"]


@pytest.mark.parametrize(("model", "body"), MINIMAL + FULL)
def test_a_body_with_what_is_mandatory_and_more_is_taken_and_given_back(model: type[Entity], body: Document) -> None:
    assert validated(model, body).model_dump(mode="json", exclude_unset=True) == {**KEY, **body}


@pytest.mark.parametrize(("model", "body", "name"), [(m, b, n) for m, b in MINIMAL for n in b])
def test_a_missing_mandatory_attribute_is_named(model: type[Entity], body: Document, name: str) -> None:
    assert refused(model, {k: v for k, v in body.items() if k != name}) == (name,)


def test_an_interaction_of_a_v4_client_comes_back_to_it_as_it_was() -> None:
    v4 = view(resources.PARTY_INTERACTION, "v4", "v5")
    stored = v4.up(FULL_V4)
    validated(resources.PartyInteraction, stored)
    assert "channel" not in stored
    assert stored["relatedChannel"][0]["channel"]["id"] == "call"
    assert stored["interactionItem"][0]["item"]["entity"]["id"] == "t1"
    assert v4.down(stored) == FULL_V4


def test_a_v4_patch_of_an_item_keeps_what_only_v5_shows() -> None:
    v4 = view(resources.PARTY_INTERACTION, "v4", "v5")
    stored = {**INTERACTION, "interactionItem": [{"id": "i1", "reason": "stalls", "interactionItemType": "complaint"}]}
    before = v4.down(stored)
    after = {**before, "interactionItem": [{"id": "i1", "reason": "long stalls"}]}
    merged = v4.merge(stored, before, after)
    assert merged["interactionItem"] == [{"id": "i1", "reason": "long stalls", "interactionItemType": "complaint"}]


def test_a_thing_has_no_opinion() -> None:
    thing = {**SCORE, "subject": {"id": "meter-1", "subjectType": "thing"}}
    validated(resources.ExperienceScore, thing)
    assert refused(resources.ExperienceScore, {**thing, "opinionScore": 4.0}) == ("opinionScore",)


@pytest.mark.parametrize("wrong", [{"score": None}, {"band": "notEnoughData"}])
def test_not_enough_data_is_a_verdict_and_never_a_score(wrong: Document) -> None:
    assert refused(resources.ExperienceScore, {**SCORE, **wrong}) == ("band",)


@pytest.mark.parametrize("score", [-0.1, 100.1])
def test_a_score_lies_between_0_and_100(score: float) -> None:
    assert ("score",) in {e["loc"] for e in _errors(resources.ExperienceScore, {**SCORE, "score": score})}


def _errors(model: type[Entity], body: Document) -> list[Any]:
    with pytest.raises(ValidationError) as caught:
        validated(model, body)
    return list(caught.value.errors())


def test_an_interval_is_ordered() -> None:
    where = refused(resources.ExperienceScore, {**SCORE, "interval": {"low": 70.0, "high": 60.0, "level": 0.95}})
    assert where == ("interval",)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"contributors": []}, ("contributors",)),
        ({"contributors": SPECIFICATION["contributors"] * 2}, ("contributors",)),
        ({"contributors": [{**SPECIFICATION["contributors"][0], "bad": 0.0}]}, ("contributors", 0)),
        ({"contributors": [{**SPECIFICATION["contributors"][0], "weight": 0.0}]}, ("contributors", 0, "weight")),
        ({"weights": {"mean": 0.7, "lowDecile": 0.2}}, ("weights",)),
        ({"subjectType": "household"}, ("subjectType",)),
    ],
)
def test_an_index_that_cannot_be_computed_is_refused(change: Document, where: tuple[int | str, ...]) -> None:
    assert refused(resources.ExperienceIndexSpecification, {**SPECIFICATION, **change}) == where


def test_an_index_in_use_keeps_its_meaning() -> None:
    draft = {**SPECIFICATION, "lifecycleStatus": "In design"}
    reweighted = [{**SPECIFICATION["contributors"][0], "good": 0.01}]
    changed = {**draft, "contributors": reweighted}
    assert specification.judged(None, draft) == draft
    assert specification.judged(draft, changed) == changed
    active = {**draft, "lifecycleStatus": "Active"}
    assert specification.judged(active, {**active, "description": "new words"})["description"] == "new words"
    with pytest.raises(Conflict, match="contributors"):
        specification.judged(active, {**active, "contributors": reweighted})


@pytest.mark.parametrize(("metric", "low", "high"), [("NPS", 0, 10), ("CSAT", 1, 5), ("CES", 1, 7)])
def test_a_rating_lies_on_the_scale_of_its_metric(metric: str, low: int, high: int) -> None:
    for rating in (low, high):
        validated(resources.SurveyResponse, {**ANSWER, "metric": metric, "rating": rating})
    for rating in (low - 1, high + 1):
        assert refused(resources.SurveyResponse, {**ANSWER, "metric": metric, "rating": rating}) == ("rating",)


def test_only_events_that_the_published_file_knows_are_raised() -> None:
    assert resources.PARTY_INTERACTION.event_kinds == {"Create", "AttributeValueChange", "Delete", "StatusChange"}


def test_clients_read_scores_and_never_write_them() -> None:
    assert resources.EXPERIENCE_SCORE.operations == {"list", "retrieve"}
