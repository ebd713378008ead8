"""Parties as the v4 files of churn prediction want them named."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tmfkit.types import RelatedParty


class TypedParty(RelatedParty):
    """A party in a role, whose type the files demand."""

    at_referredType: Annotated[str, Field(alias="@referredType")]
