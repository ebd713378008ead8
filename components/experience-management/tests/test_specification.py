"""Index specifications: shipped once, judged when written, chosen by kind of service, subject and version."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from experience_management import shipped, specification
from experience_management.domain.kqi import Models, Window
from experience_management.main import component
from experience_management.resources import ExperienceIndexSpecification
from tmfkit.errors import BadRequest
from tmfkit.testing import Running, running
from tmfkit.types import Document

PATH = "/experience-management/tmf-api/experienceManagement/v1/experienceIndexSpecification"
NOW = datetime(2026, 3, 2, tzinfo=UTC)
VIDEO: Document = {
    "name": "video",
    "version": "2.0",
    "subjectType": "person",
    "serviceSpecification": {"id": "video"},
    "contributors": [
        {"kqi": "stall_ratio", "good": 0.5, "bad": 10, "weight": 3, "unit": "%"},
        {"kqi": "throughput_mbit_s", "good": 10, "bad": 1, "weight": 1, "unit": "Mbit/s"},
    ],
    "weights": {"mean": 0.6, "lowDecile": 0.4},
}


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    with running(component) as app:
        app.loop.run(shipped.ensure(app.ctx))
        yield app


def test_every_shipped_specification_is_valid_and_served(app: Running) -> None:
    served = app.get(PATH, params={"lifecycleStatus": "Active"}).json()
    assert {s["id"] for s in served} >= {one.id for one in shipped.SHIPPED}
    for one in shipped.SHIPPED:
        document = shipped.document(one, "2026-01-01T00:00:00Z")
        ExperienceIndexSpecification.model_validate({**document, "href": "x"})
        assert specification.plan_of(document).mean_share == 0.7
    kinds = {(one.kind, str(one.subject_type)) for one in shipped.SHIPPED}
    assert {("voice", "person"), ("video", "person"), ("broadband", "person"), ("telemetry", "thing")} <= kinds


def test_what_was_shipped_once_is_never_shipped_again() -> None:
    with running(component) as app:
        app.loop.run(shipped.ensure(app.ctx))
        assert app.delete(f"{PATH}/voice-person-1.0").status_code == 204
        app.loop.run(shipped.ensure(app.ctx))
        assert app.get(f"{PATH}/voice-person-1.0").status_code == 404


def test_an_operator_who_has_an_index_of_their_own_gets_none() -> None:
    with running(component) as app:
        assert app.post(PATH, {**VIDEO, "id": "own"}).status_code == 201
        app.loop.run(shipped.ensure(app.ctx))
        assert app.get(f"{PATH}/video-person-1.0").status_code == 404
        assert app.get(f"{PATH}/video-thing-1.0").status_code == 200


def contributor(**change: Any) -> Document:
    return {"contributors": [{**VIDEO["contributors"][0], **change}, VIDEO["contributors"][1]]}


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        (contributor(kqi="mood"), "contributors[0].kqi"),
        (contributor(unit="s"), "contributors[0].unit"),
        ({"subjectType": "thing", **contributor(kqi="video.mos", unit="MOS")}, "contributors[0].kqi"),
        ({"minCoverage": 1.5}, "minCoverage"),
    ],
)
def test_an_index_that_cannot_be_computed_is_refused_by_the_api(app: Running, change: Document, attribute: str) -> None:
    answer = app.post(PATH, {**VIDEO, **change})
    assert (answer.status_code, answer.json()["attribute"]) == (400, attribute)


def test_an_active_index_is_changed_by_a_new_version_only(app: Running) -> None:
    made = app.post(PATH, {**VIDEO, "lifecycleStatus": "Active"}).json()
    one = f"{PATH}/{made['id']}"
    assert app.patch(one, {"description": "for the living room"}).status_code == 200
    assert app.patch(one, contributor(good=0.1)).status_code == 409
    assert app.patch(one, {"minCoverage": 0.1}).status_code == 409
    assert app.patch(one, {"lifecycleStatus": "Retired"}).status_code == 200


def test_a_draft_may_be_edited_and_is_judged_again(app: Running) -> None:
    one = f"{PATH}/{app.post(PATH, VIDEO).json()['id']}"
    assert app.patch(one, contributor(good=0.1)).status_code == 200
    assert app.patch(one, contributor(kqi="mood")).json()["attribute"] == "contributors[0].kqi"


def test_weights_are_relative_and_limits_are_turned_into_the_unit_of_the_indicator() -> None:
    plan = specification.plan_of(VIDEO)
    stalls, throughput = plan.specification.contributors
    assert (stalls.weight, throughput.weight) == (0.75, 0.25)
    assert (stalls.good, stalls.bad) == (0.005, 0.1)
    assert plan.mean_share == 0.6


def test_an_index_may_name_the_kpi_it_reads() -> None:
    plan = specification.plan_of({**VIDEO, **contributor(kpi="acme.rebuffering")})
    assert plan.kpis == {"stall_ratio": "acme.rebuffering"}
    from experience_management.domain.assessment import assessed

    window = Window("acme.rebuffering", "%", 12, 5.25, 5.25, 5.25, NOW)
    found = assessed(plan, {"acme.rebuffering": window}, Models())
    assert found.score == pytest.approx(50)
    assert (found.coverage, found.n) == (0.75, 12)


def served(**change: Any) -> Document:
    return {**VIDEO, "id": "s", "lifecycleStatus": "Active", **change}


def test_of_several_versions_in_force_the_highest_counts() -> None:
    versions = [served(version=v) for v in ("1.9", "1.10", "1.2")]
    found = specification.chosen(versions, "video", "person", NOW)
    assert found is not None
    assert found["version"] == "1.10"


def test_an_index_for_any_kind_stands_in_where_there_is_none_of_its_own() -> None:
    general = served(id="any", version="9")
    del general["serviceSpecification"]
    for kind, id in (("video", "s"), ("gaming", "any")):
        found = specification.chosen([general, served()], kind, "person", NOW)
        assert found is not None
        assert found["id"] == id
    assert specification.chosen([general, served()], "gaming", "thing", NOW) is None


@pytest.mark.parametrize(
    "change",
    [
        {"lifecycleStatus": "Retired"},
        {"validFor": {"startDateTime": "2026-04-01T00:00:00Z"}},
        {"validFor": {"endDateTime": "2026-03-01T00:00:00Z"}},
    ],
)
def test_an_index_that_is_not_in_force_is_not_chosen(change: Document) -> None:
    assert specification.chosen([served(**change)], "video", "person", NOW) is None


def test_a_refusal_names_the_attribute_of_the_wire() -> None:
    with pytest.raises(BadRequest, match=r"contributors\[1\]\.kqi"):
        specification.plan_of({**VIDEO, "contributors": [VIDEO["contributors"][0]] * 2})
