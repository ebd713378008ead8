"""Files that go with a resource, by reference and by value. Pure."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from tmfkit.base import EntityRef, Forms, Quantity, TimePeriod, TmfModel


class AttachmentRef(EntityRef):
    """A file that lives elsewhere."""

    description: str | None = None
    url: str | None = None


class AttachmentValue(TmfModel):
    """A file, or where to get it: by value."""

    id: str | None = None
    href: str | None = None
    name: str | None = None
    description: str | None = None
    attachmentType: str | None = None
    content: str | None = None
    mimeType: str | None = None
    url: str | None = None
    size: Quantity | None = None
    validFor: TimePeriod | None = None


class AttachmentByValue(AttachmentValue):
    """v5: a file by value, of which is told what it is for and of what kind. `@type` is Attachment."""

    attachmentType: str
    mimeType: str


class Attachment(AttachmentValue):
    """v4: by reference or by value, in one class."""

    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class AttachmentRefOrValue(Attachment):
    """v5: by reference or by value, told by `@type`."""

    forms: ClassVar[Forms] = {"Attachment": AttachmentByValue, "AttachmentRef": AttachmentRef}
