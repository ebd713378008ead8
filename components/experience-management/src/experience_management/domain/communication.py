"""A message to many receivers: what each gets, at which address, when it is tried again, and what became of all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FIRST_OF = ("phoneNumber", "email", "appUserId", "ip")
"""Addresses of a receiver, in the order in which one is taken for a type of message that tells none."""
LATER = frozenset({408, 425, 429})
"""Answers below 500 that mean later, not never (RFC 9110, RFC 8470, RFC 6585)."""


def channel(message_type: str) -> str:
    """Types of message are free text: SMS, sms and Sms are one channel."""
    return " ".join(message_type.casefold().split())


def kinds_of_address(message_type: str) -> tuple[str, ...]:
    """The attributes of a receiver that may hold the address for a type of message, the best first."""
    name = channel(message_type)
    if "mail" in name:
        return ("email",)
    if any(word in name for word in ("sms", "mms", "phone", "voice", "whatsapp")):
        return ("phoneNumber",)
    if any(word in name for word in ("push", "app")):
        return ("appUserId", "ip")
    return FIRST_OF


def address(message_type: str, receiver: Mapping[str, Any]) -> str | None:
    """Where a message of that type reaches the receiver; None if nothing tells."""
    for kind in kinds_of_address(message_type):
        value = receiver.get(kind)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def filled(text: str, values: Mapping[str, Any]) -> str:
    """The text with its placeholders replaced: `$name`, for a characteristic of that name, with or without the $.

    In one pass, the longest name first: $Parameter10 is not $Parameter1 and a 0, and what a value holds stays.
    """
    named = {name if name.startswith("$") else f"${name}": value for name, value in values.items() if name.strip("$")}
    if not named:
        return text
    pattern = "|".join(re.escape(name) for name in sorted(named, key=len, reverse=True))
    return re.sub(pattern, lambda found: str(named[found.group()]), text)


@dataclass(frozen=True)
class Outcome:
    """What one try came to. `again`: it may go better later."""

    sent: bool
    again: bool = False
    reason: str | None = None


def outcome(status: int) -> Outcome:
    """What the status of a gateway's answer means."""
    if 200 <= status < 300:
        return Outcome(True)
    return Outcome(False, status in LATER or status >= 500, f"the gateway answered {status}")


def wait_s(tries: int, first_s: float, longest_s: float, told_s: float | None = None) -> float:
    """Seconds until the next try after `tries` failed ones: first * 2^(tries - 1), at most `longest_s`; longer where
    the gateway told so (Retry-After, RFC 9110 clause 10.2.3)."""
    own = min(longest_s, first_s * 2.0 ** min(max(tries, 1) - 1, 30))
    return max(own, min(told_s, longest_s)) if told_s is not None else own


def ended(states: Sequence[str]) -> tuple[str, str | None] | None:
    """State of a message and its reason, from the states of its receivers; None while one is still open."""
    if any(state not in ("completed", "failed", "cancelled") for state in states):
        return None
    missed = _missed(states)
    if missed:
        return "failed", f"{missed} of {len(states)} receivers not reached"
    return "completed", None


def _missed(states: Iterable[str]) -> int:
    return sum(state != "completed" for state in states)
