"""Parties and entities in a role as v4 writes them, flat: the files of TMF656 and TMF657 demand their type."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tmfkit.types import RelatedEntityV4, RelatedParty


class ReferredPartyV4(RelatedParty):
    """A party in a role."""

    at_referredType: Annotated[str, Field(alias="@referredType")]


class ReferredEntityV4(RelatedEntityV4):
    """An entity in a role."""

    at_referredType: Annotated[str, Field(alias="@referredType")]
