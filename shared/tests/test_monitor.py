"""Work that takes long: 202, a monitor to ask, and in it at the end the answer that was due."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from shared.tests.support.serving import database
from shared.tests.support.surveying import BASE, component, survey

from tmfkit.testing import Running, assert_tmf_error, running
from tmfkit.types import Document


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    with running(component, database_url=database(component)) as app:
        yield app


def monitored(app: Running, address: str) -> Document:
    """The monitor after one more step of the work."""
    app.loop.run(survey(app.ctx))
    monitor: Document = app.get(address).json()
    return monitor


def test_a_request_for_long_work_is_accepted_and_its_monitor_tells_how_far_it_got(app: Running) -> None:
    sent = {"area": "the whole coast"}
    accepted = app.post(f"{BASE}/landSurvey", sent)
    assert accepted.status_code == 202
    href, id = accepted.json()["href"], accepted.json()["id"]
    address = accepted.headers["location"]
    assert address.endswith(f"{BASE}/monitor/{id}")
    monitor = app.get(address).json()
    assert monitor["sourceHref"] == href
    assert monitor["state"] == "accepted"
    assert "response" not in monitor
    assert monitor["request"]["method"] == "POST"
    assert monitor["request"]["body"]["area"] == sent["area"]
    begun = monitored(app, address)
    assert begun["state"] == "inProgress"
    assert "response" not in begun
    done = monitored(app, address)
    assert done["state"] == "done"
    assert done["response"]["statusCode"] == "201"
    assert done["response"]["body"] == app.get(href).json()
    assert done["response"]["body"]["squareMetres"] == len(sent["area"])


def test_work_that_fails_ends_its_monitor_too(app: Running) -> None:
    address = app.post(f"{BASE}/landSurvey", {"area": "nowhere"}).headers["location"]
    monitored(app, address)
    ended = monitored(app, address)
    assert ended["state"] == "terminatedWithError"
    assert ended["response"]["body"]["state"] == "terminatedWithError"


def test_a_refused_request_has_no_monitor_and_a_monitor_is_not_written_by_clients(app: Running) -> None:
    before = app.get(f"{BASE}/monitor").headers["x-total-count"]
    assert_tmf_error(app.post(f"{BASE}/landSurvey", {"area": 5}), 400)
    assert app.get(f"{BASE}/monitor").headers["x-total-count"] == before
    assert_tmf_error(app.post(f"{BASE}/monitor", {"state": "done"}), 405)


def test_a_repeated_request_with_a_key_is_accepted_once(app: Running) -> None:
    twice = [
        app.post(f"{BASE}/landSurvey", {"area": "a field"}, headers={"Idempotency-Key": "field"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in twice] == [202, 202]
    assert twice[0].headers["location"] == twice[1].headers["location"]
