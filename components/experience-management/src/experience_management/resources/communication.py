"""TMF681 v4: messages to customers, and how far each of their receivers was reached."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from experience_management import message
from experience_management.resources.related import TypedParty
from tmfkit.resource import Lifecycle, Resource
from tmfkit.types import Attachment, CharacteristicV4, Entity, Instant, ReadOnly, TmfModel


class CommunicationMessageState(StrEnum):
    """How far a message is, and how far each of its receivers."""

    INITIAL = "initial"
    IN_PROGRESS = "inProgress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Sender(TmfModel):
    """In whose name a message is sent."""

    id: str | None = None
    name: str | None = None
    email: str | None = None
    phoneNumber: str | None = None
    party: TypedParty | None = None


class Receiver(TmfModel):
    """Whom a message is for; which address is used depends on the type of the message."""

    id: str | None = None
    name: str | None = None
    appUserId: str | None = None
    email: str | None = None
    ip: str | None = None
    phoneNumber: str | None = None
    party: TypedParty | None = None


class DeliveryStatus(TmfModel):
    """Our own: what became of the message for one receiver. `position` counts from 0 in `receiver`.

    `tryTimes` counts how often it was handed to the gateway; `sendTime` is when the gateway took it.
    """

    position: int
    receiverId: str | None = None
    state: CommunicationMessageState
    tryTimes: int
    sendTime: Instant | None = None
    reason: str | None = None


class CommunicationMessage(Entity):
    """A message to one receiver or many, on the channel that its type names.

    `$name` of a characteristic is replaced in content and subject. `tryTimes`: how often to try again. With `logFlag`
    every try is logged. `deliveryStatus` and `stateReason` are our own.
    """

    content: str
    messageType: str
    receiver: list[Receiver]
    sender: Sender
    subject: str | None = None
    description: str | None = None
    priority: str | None = None
    state: CommunicationMessageState | None = None
    stateReason: Annotated[str | None, ReadOnly()] = None
    scheduledSendTime: Instant | None = None
    sendTime: Annotated[Instant | None, ReadOnly()] = None
    sendTimeComplete: Annotated[Instant | None, ReadOnly()] = None
    tryTimes: int | None = None
    logFlag: bool | None = None
    attachment: list[Attachment] | None = None
    characteristic: list[CharacteristicV4] | None = None
    deliveryStatus: Annotated[list[DeliveryStatus] | None, ReadOnly()] = None


COMMUNICATION_MESSAGE = Resource(
    CommunicationMessage,
    lifecycle=Lifecycle("state", message.INITIAL, message.MOVES),
    prepare=message.sendable,
    events=frozenset(),  # the file has a hub and no event
)
