"""TMF681: messages reach a real gateway over HTTP, again after a failure and never again after a success."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from experience_management import deliver
from experience_management.main import component
from experience_management.settings import ExperienceSettings
from tmfkit.testing import Running, assert_tmf_error, running
from tmfkit.types import Document

PATH = "/experience-management/tmf-api/communicationManagement/v4/communicationMessage"


class Gateway:
    """Keeps what it gets, and answers 202 or what the test has told it to."""

    def __init__(self) -> None:
        self.got: list[Document] = []
        self.keys: list[str] = []
        self.answers: list[int] = []
        self.refused: frozenset[str] = frozenset()
        self.retry_after: str | None = None
        self.meanwhile: Callable[[], object] = lambda: None
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                gateway.got.append(body)
                gateway.keys.append(self.headers["idempotency-key"])
                gateway.meanwhile()
                status = gateway.answers.pop(0) if gateway.answers else 202
                self.send_response(400 if body["address"] in gateway.refused else status)
                if gateway.retry_after:
                    self.send_header("retry-after", gateway.retry_after)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing is printed."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/send"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


CLOCK = Clock()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Running, Gateway]]:
    gateway = Gateway()
    channels = {"SMS": gateway.url, "metadata": "http://169.254.169.254/latest", "nobody": "http://127.0.0.1:9/"}
    try:
        with running(component, clock=CLOCK, communication_channels=channels, communication_backoff_s=10.0) as app:
            yield app, gateway
    finally:
        gateway.close()


@pytest.fixture
def app(served: tuple[Running, Gateway]) -> Running:
    return served[0]


@pytest.fixture
def gateway(served: tuple[Running, Gateway]) -> Gateway:
    gateway = served[1]
    gateway.got, gateway.keys, gateway.answers, gateway.retry_after = [], [], [], None
    gateway.refused, gateway.meanwhile = frozenset(), lambda: None
    return gateway


def posted(app: Running, **more: object) -> Document:
    message = {
        "content": "Dear $name, your service is back",
        "messageType": "SMS",
        "sender": {"name": "Operator"},
        "receiver": [{"id": "c1", "phoneNumber": "+49 1"}],
        "characteristic": [{"name": "$name", "value": "Ada"}],
    }
    answer = app.post(PATH, {**message, **more})
    assert answer.status_code == 201, answer.text
    made: Document = answer.json()
    return made


def delivered(app: Running, id: str) -> Document:
    app.loop.run(deliver.due(app.ctx))
    answer = app.get(f"{PATH}/{id}")
    assert answer.status_code == 200
    now: Document = answer.json()
    return now


def states(message: Document) -> list[str]:
    return [status["state"] for status in message["deliveryStatus"]]


def test_a_message_reaches_its_receiver_with_its_placeholders_filled(app: Running, gateway: Gateway) -> None:
    made = posted(app, subject="For $name")
    assert made["state"] == "initial"
    sent = delivered(app, made["id"])
    (got,) = gateway.got
    assert (got["address"], got["content"]) == ("+49 1", "Dear Ada, your service is back")
    assert (got["subject"], got["messageId"]) == ("For Ada", made["id"])
    assert gateway.keys == [f"{made['id']}/0"]
    assert sent["state"] == "completed"
    assert sent["sendTime"] == sent["sendTimeComplete"] == "2026-03-01T12:00:00.000Z"
    assert sent["deliveryStatus"] == [
        {"position": 0, "receiverId": "c1", "state": "completed", "tryTimes": 1, "sendTime": sent["sendTime"]}
    ]


def test_what_was_sent_is_not_sent_again(app: Running, gateway: Gateway) -> None:
    made = posted(app)
    once = delivered(app, made["id"])
    assert delivered(app, made["id"]) == once
    assert len(gateway.got) == 1


def test_a_gateway_that_is_down_is_asked_again_later_and_later(app: Running, gateway: Gateway) -> None:
    gateway.answers = [503, 500]
    made = posted(app)
    waiting = delivered(app, made["id"])
    assert (waiting["state"], states(waiting)) == ("inProgress", ["initial"])
    assert waiting["deliveryStatus"][0]["reason"] == "the gateway answered 503"
    CLOCK.pass_s(9)
    delivered(app, made["id"])
    assert len(gateway.got) == 1
    CLOCK.pass_s(1)
    delivered(app, made["id"])
    CLOCK.pass_s(19)
    delivered(app, made["id"])
    assert len(gateway.got) == 2
    CLOCK.pass_s(1)
    sent = delivered(app, made["id"])
    assert (sent["state"], sent["deliveryStatus"][0]["tryTimes"]) == ("completed", 3)
    assert set(gateway.keys) == {f"{made['id']}/0"}
    assert "reason" not in sent["deliveryStatus"][0]


def test_a_gateway_may_ask_for_time(app: Running, gateway: Gateway) -> None:
    gateway.answers, gateway.retry_after = [429], "120"
    made = posted(app)
    delivered(app, made["id"])
    CLOCK.pass_s(60)
    delivered(app, made["id"])
    assert len(gateway.got) == 1
    CLOCK.pass_s(60)
    assert delivered(app, made["id"])["state"] == "completed"


@pytest.mark.parametrize("retries", [0, 1])
def test_try_times_limits_the_tries(app: Running, gateway: Gateway, retries: int) -> None:
    gateway.answers = [500] * 5
    made = posted(app, tryTimes=retries)
    for _ in range(5):
        failed = delivered(app, made["id"])
        CLOCK.pass_s(3600)
    assert len(gateway.got) == retries + 1
    assert (failed["state"], failed["stateReason"]) == ("failed", "1 of 1 receivers not reached")
    assert failed["tryTimes"] == retries


def test_each_receiver_has_its_own_fate(app: Running, gateway: Gateway) -> None:
    gateway.refused = frozenset({"+49 2"})
    receivers = [{"phoneNumber": "+49 1"}, {"phoneNumber": "+49 2"}, {"email": "a@b.example"}]
    failed = delivered(app, posted(app, receiver=receivers)["id"])
    assert states(failed) == ["completed", "failed", "failed"]
    assert [s.get("reason") for s in failed["deliveryStatus"]] == [None, "the gateway answered 400", "no phoneNumber"]
    assert (failed["state"], failed["stateReason"]) == ("failed", "2 of 3 receivers not reached")


def test_many_receivers_are_all_reached_once(app: Running, gateway: Gateway) -> None:
    receivers = [{"phoneNumber": f"+49 {i}"} for i in range(deliver.AT_ONCE + 7)]
    sent = delivered(app, posted(app, receiver=receivers)["id"])
    assert sent["state"] == "completed"
    assert sorted(got["address"] for got in gateway.got) == sorted(r["phoneNumber"] for r in receivers)
    assert app.sql("SELECT count(*) FROM message_delivery")[0][0] == 0


def test_a_message_waits_for_its_time(app: Running, gateway: Gateway) -> None:
    later = (CLOCK() + timedelta(hours=1)).isoformat()
    made = posted(app, scheduledSendTime=later)
    assert delivered(app, made["id"])["state"] == "initial"
    CLOCK.pass_s(3600)
    assert delivered(app, made["id"])["state"] == "completed"
    assert len(gateway.got) == 1


def test_the_smaller_priority_goes_first(app: Running, gateway: Gateway) -> None:
    receivers = {name: [{"phoneNumber": name}] for name in ("none", "nine", "one")}
    posted(app, receiver=receivers["none"])
    for name, priority in (("nine", "9"), ("one", "1")):
        CLOCK.pass_s(0)
        posted(app, receiver=receivers[name], priority=priority)
    ids = [row["id"] for row in app.sql(deliver.DUE, CLOCK(), 10)]
    found = [app.get(f"{PATH}/{id}").json()["receiver"][0]["phoneNumber"] for id in ids]
    assert found == ["one", "nine", "none"]
    app.loop.run(deliver.due(app.ctx))


def test_a_type_without_a_gateway_ends_the_message(app: Running, gateway: Gateway) -> None:
    failed = delivered(app, posted(app, messageType="letter")["id"])
    assert (failed["state"], failed["stateReason"]) == ("failed", "no gateway for messages of type letter")
    assert states(failed) == ["failed"]
    assert gateway.got == []


def test_a_gateway_lies_where_callbacks_may_lie(app: Running) -> None:
    failed = delivered(app, posted(app, messageType="metadata")["id"])
    assert (failed["state"], failed["deliveryStatus"][0]["tryTimes"]) == ("failed", 1)
    assert "is not permitted" in failed["deliveryStatus"][0]["reason"]


def test_a_gateway_has_a_scheme_that_callbacks_may_have(gateway: Gateway) -> None:
    with running(component, callback_schemes=["https"], communication_channels={"SMS": gateway.url}) as app:
        failed = delivered(app, posted(app)["id"])
    assert failed["deliveryStatus"][0]["reason"] == "the gateway is not permitted: its scheme must be https"
    assert gateway.got == []


def test_nobody_at_the_gateway_is_a_reason_to_try_again(app: Running) -> None:
    made = posted(app, messageType="nobody", tryTimes=0)
    failed = delivered(app, made["id"])
    assert failed["deliveryStatus"][0]["reason"] == "the gateway does not answer: ConnectError"


def test_after_a_restart_only_tries_without_a_known_answer_are_repeated(app: Running, gateway: Gateway) -> None:
    gateway.answers = [503, 503]
    made = posted(app, receiver=[{"phoneNumber": "+49 1"}, {"phoneNumber": "+49 2"}, {"phoneNumber": "+49 3"}])
    delivered(app, made["id"])
    open_ones = app.sql("SELECT position FROM message_delivery WHERE state = 'initial' ORDER BY position")
    # The process ended after the gateway had been asked for one of them, before its answer was written.
    app.sql("UPDATE message_delivery SET state = 'inProgress' WHERE position = $1", open_ones[0]["position"])
    gateway.got, gateway.keys = [], []
    CLOCK.pass_s(10)
    assert delivered(app, made["id"])["state"] == "completed"
    assert sorted(gateway.keys) == [f"{made['id']}/{row['position']}" for row in open_ones]


def test_a_cancelled_message_is_not_tried_again(app: Running, gateway: Gateway) -> None:
    gateway.answers = [503]
    made = posted(app, receiver=[{"phoneNumber": "+49 1"}])
    delivered(app, made["id"])
    assert app.patch(f"{PATH}/{made['id']}", {"state": "cancelled"}).status_code == 200
    CLOCK.pass_s(60)
    cancelled = delivered(app, made["id"])
    assert (cancelled["state"], states(cancelled), len(gateway.got)) == ("cancelled", ["cancelled"], 1)


def test_cancelling_stops_what_has_not_begun(app: Running, gateway: Gateway) -> None:
    receivers = [{"phoneNumber": f"+49 {i}"} for i in range(deliver.AT_ONCE + 10)]
    made = posted(app, receiver=receivers)
    gateway.meanwhile = lambda: app.patch(f"{PATH}/{made['id']}", {"state": "cancelled"})
    cancelled = delivered(app, made["id"])
    assert 0 < len(gateway.got) <= 2 * deliver.PARALLEL
    assert cancelled["state"] == "cancelled"
    assert states(cancelled).count("completed") == len(gateway.got)
    assert states(cancelled).count("cancelled") == len(receivers) - len(gateway.got)


def test_a_message_that_is_deleted_on_its_way_leaves_nothing(app: Running, gateway: Gateway) -> None:
    gateway.answers = [503]
    made = posted(app)
    delivered(app, made["id"])
    assert app.delete(f"{PATH}/{made['id']}").status_code == 204
    CLOCK.pass_s(60)
    app.loop.run(deliver.due(app.ctx))
    assert len(gateway.got) == 1
    assert app.sql("SELECT count(*) FROM message_delivery")[0][0] == 0


def test_clients_cancel_and_the_delivery_does_all_else(app: Running, gateway: Gateway) -> None:
    made = posted(app)
    for state in ("inProgress", "completed", "failed"):
        assert_tmf_error(app.patch(f"{PATH}/{made['id']}", {"state": state}), 409)
    delivered(app, made["id"])
    changes: list[Document] = [{"state": "cancelled"}, {"content": "something else"}, {"receiver": []}]
    for change in changes:
        assert_tmf_error(app.patch(f"{PATH}/{made['id']}", change), 409)
    assert app.patch(f"{PATH}/{made['id']}", {"description": "told"}).status_code == 200
    assert_tmf_error(
        app.post(
            PATH, {**{k: made[k] for k in ("content", "messageType", "sender", "receiver")}, "state": "inProgress"}
        ),
        409,
    )


def test_a_message_in_a_final_state_is_a_record_and_is_not_sent(app: Running, gateway: Gateway) -> None:
    made = posted(app, state="completed")
    assert delivered(app, made["id"]) == made
    assert gateway.got == []


def test_the_log_flag_has_every_try_logged(app: Running, gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "experience_management.deliver")
    quiet, loud = posted(app), posted(app, logFlag=True)
    delivered(app, loud["id"])
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"message {loud['id']}, receiver 0, try 1: taken by the gateway"]
    assert quiet["id"] not in told[0]


@pytest.mark.parametrize("address", ["ftp://gateway.example", "gateway.example", "http://"])
def test_a_gateway_has_an_http_address(address: str) -> None:
    with pytest.raises(ValueError, match="http or https"):
        ExperienceSettings(database_url="postgresql://u:p@h/d", communication_channels={"SMS": address})
