"""Survey answers come in by the API and are summed up with their intervals; a thing cannot answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from experience_management.main import component
from tmfkit.testing import Running, assert_tmf_error, running
from tmfkit.types import Document

BASE = "/experience-management/tmf-api/experienceManagement/v1"


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    with running(component) as app:
        yield app


def answer(number: int, survey: str, metric: str, rating: int, **more: object) -> Document:
    return {
        "respondent": {"id": f"cust-{number}", "@referredType": "Customer"},
        "survey": survey,
        "metric": metric,
        "rating": rating,
        "respondedAt": "2026-03-01T12:00:00Z",
        **more,
    }


def tell(app: Running, survey: str, metric: str, ratings: list[int]) -> None:
    for number, rating in enumerate(ratings):
        assert app.post(f"{BASE}/surveyResponse", answer(number, survey, metric, rating)).status_code == 201


def results(app: Running, survey: str) -> list[Document]:
    found = app.get(f"{BASE}/surveyResult", params={"surveyName": survey})
    assert found.status_code == 200, found.text
    told: list[Document] = found.json()
    return told


def test_nps_is_promoters_less_detractors_with_its_interval(app: Running) -> None:
    tell(app, "after call", "NPS", [10] * 10 + [8] * 5 + [3] * 5)
    (nps,) = results(app, "after call")
    assert (nps["metric"], nps["n"], nps["value"]) == ("NPS", 20, pytest.approx(25.0))
    assert nps["interval"]["low"] < 25 < nps["interval"]["high"]
    assert (nps["method"], nps["interval"]["level"]) == ("normal", 0.95)


def test_a_survey_may_ask_several_questions(app: Running) -> None:
    tell(app, "relation", "CSAT", [5] * 8 + [2] * 2)
    tell(app, "relation", "CES", [7, 6, 5, 4, 7, 6, 5, 4, 7, 3])
    ces, csat = results(app, "relation")
    assert (csat["metric"], csat["value"]) == ("CSAT", pytest.approx(0.8))
    assert (ces["metric"], ces["value"], ces["topBox"]) == ("CES", pytest.approx(5.4), pytest.approx(0.7))


def test_few_answers_give_their_number_and_no_value(app: Running) -> None:
    tell(app, "pilot", "NPS", [10, 10, 10])
    (nps,) = results(app, "pilot")
    assert nps["n"] == 3
    assert not {"value", "interval", "method"} & nps.keys()


def test_an_unknown_survey_has_no_results_and_a_name_is_mandatory(app: Running) -> None:
    assert results(app, "nobody asked") == []
    assert assert_tmf_error(app.get(f"{BASE}/surveyResult"), 400)["attribute"] == "surveyName"


def test_a_thing_cannot_answer(app: Running) -> None:
    thing = answer(1, "things", "NPS", 10, respondent={"id": "meter-1", "@referredType": "PhysicalResource"})
    assert assert_tmf_error(app.post(f"{BASE}/surveyResponse", thing), 400)["attribute"] == "respondent"
