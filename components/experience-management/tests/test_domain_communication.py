"""What a receiver gets, where, when it is tried again, and what becomes of a message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experience_management.domain.communication import (
    Outcome,
    address,
    channel,
    ended,
    filled,
    kinds_of_address,
    outcome,
    wait_s,
)

EVERYWHERE = {"phoneNumber": "+49 1", "email": "a@b.example", "appUserId": "app-1", "ip": "192.0.2.1"}


@pytest.mark.parametrize(
    ("message_type", "expected"),
    [
        ("SMS", "+49 1"),
        ("Email", "a@b.example"),
        ("e-mail", "a@b.example"),
        ("Mobile app push notification", "app-1"),
        ("WhatsApp", "+49 1"),
        ("carrier pigeon", "+49 1"),
    ],
)
def test_the_type_of_a_message_tells_the_address(message_type: str, expected: str) -> None:
    assert address(message_type, EVERYWHERE) == expected


def test_a_receiver_without_a_fitting_address_has_none() -> None:
    assert address("SMS", {"email": "a@b.example"}) is None
    assert address("Email", {"email": "  "}) is None
    assert address("push", {"ip": "192.0.2.1"}) == "192.0.2.1"


@given(st.text(max_size=20))
def test_channels_are_compared_without_case_and_blanks(name: str) -> None:
    assert channel(name.upper()) == channel(f" {name.upper()} ")
    assert kinds_of_address(name)


def test_placeholders_are_replaced_with_and_without_their_sign() -> None:
    text = "Dear $name, $offer1 and $offer10"
    assert filled(text, {"$name": "Ada", "offer1": "one", "offer10": "ten"}) == "Dear Ada, one and ten"


def test_what_a_value_holds_is_not_replaced_again() -> None:
    assert filled("$a $b", {"a": "$b", "b": "2"}) == "$b 2"


@given(st.text(), st.dictionaries(st.sampled_from(["", "$", "$$"]), st.text()))
def test_names_that_are_no_names_change_nothing(text: str, values: dict[str, str]) -> None:
    assert filled(text, values) == text


@pytest.mark.parametrize(
    ("status", "sent", "again"),
    [
        *((status, True, False) for status in (200, 202, 204)),
        *((status, False, False) for status in (301, 400, 404, 410)),
        *((status, False, True) for status in (408, 425, 429, 500, 503)),
    ],
)
def test_an_answer_means_done_never_or_later(status: int, sent: bool, again: bool) -> None:
    found = outcome(status)
    assert (found.sent, found.again) == (sent, again)
    assert found == Outcome(True) if sent else str(status) in str(found.reason)


def test_waits_double_up_to_the_longest() -> None:
    assert [wait_s(tries, 10.0, 60.0) for tries in (1, 2, 3, 4, 50)] == [10.0, 20.0, 40.0, 60.0, 60.0]


def test_a_gateway_may_ask_for_a_longer_wait_but_not_for_ever() -> None:
    assert wait_s(1, 10.0, 60.0, told_s=30.0) == 30.0
    assert wait_s(2, 10.0, 60.0, told_s=5.0) == 20.0
    assert wait_s(1, 10.0, 60.0, told_s=1e9) == 60.0


def test_a_message_ends_when_its_last_receiver_does() -> None:
    assert ended(["completed", "initial"]) is None
    assert ended(["completed", "inProgress"]) is None
    assert ended(["completed", "completed"]) == ("completed", None)
    assert ended(["completed", "failed", "failed"]) == ("failed", "2 of 3 receivers not reached")
