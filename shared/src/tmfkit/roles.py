"""The security function that every component shows the Canvas: its roles, as party roles (TMF669 v4) and as permission
specification sets (TMF672 v5 as the Canvas's identity listener reads it; no file of that resource is published).

The listener knows no Create and Delete events: it waits for ...CreationNotification and ...RemoveNotification, tells
the component from the `href`, and acts only where `@baseType` is the resource's name.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from tmfkit.component import Api
from tmfkit.context import Context
from tmfkit.errors import Conflict
from tmfkit.resource import Lifecycle, Resource
from tmfkit.types import CharacteristicV4, Document, Entity, EntityRef, Instant, TimePeriod, TmfModel, TypedParty
from tmfkit.worker import Every

SYSTEM_ROLE = "canvas-system-role"


class AccountRef(EntityRef):
    """An account; the file demands its name, not its id."""

    id: str | None = None  # type: ignore[assignment]
    name: str
    description: str | None = None


class MediumCharacteristic(TmfModel):
    """What a contact medium consists of."""

    city: str | None = None
    contactType: str | None = None
    country: str | None = None
    emailAddress: str | None = None
    faxNumber: str | None = None
    phoneNumber: str | None = None
    postCode: str | None = None
    socialNetworkId: str | None = None
    stateOrProvince: str | None = None
    street1: str | None = None
    street2: str | None = None


class ContactMedium(TmfModel):
    """A way to reach a party role."""

    mediumType: str
    preferred: bool | None = None
    characteristic: MediumCharacteristic
    validFor: TimePeriod | None = None


class CreditProfile(TmfModel):
    """What was found about creditworthiness, and when."""

    creditProfileDate: Instant
    creditRiskRating: int | None = None
    creditScore: int | None = None
    validFor: TimePeriod


class PartyRole(Entity):
    """TMF669 v4: a role that parties play here; the Canvas makes a client role of each."""

    name: str
    status: str | None = None
    statusReason: str | None = None
    validFor: TimePeriod | None = None
    engagedParty: TypedParty | None = None
    relatedParty: list[TypedParty] | None = None
    account: list[AccountRef] | None = None
    agreement: list[EntityRef] | None = None
    characteristic: list[CharacteristicV4] | None = None
    contactMedium: list[ContactMedium] | None = None
    creditProfile: list[CreditProfile] | None = None
    paymentMethod: list[EntityRef] | None = None


class PermissionSpecification(TmfModel):
    """One permission: what may be done with which function."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    function: str | None = None
    action: str | None = None


class PermissionSpecificationSet(Entity):
    """TMF672 v5: the permissions that make up a role; its name is the name of the role."""

    name: str
    description: str | None = None
    involvementRole: str | None = None
    permissionSpecification: list[PermissionSpecification] | None = None
    at_baseType: Annotated[str | None, Field(alias="@baseType")] = None


def based(name: str) -> Any:
    """What the listener asks for in every event: `@baseType`."""

    def prepare(_old: Document | None, new: Document) -> Document:
        return {"@baseType": name, **new}

    return prepare


PARTY_ROLE = Resource(
    PartyRole,
    lifecycle=Lifecycle("status"),
    prepare=based("PartyRole"),
    event_names={"Create": ("Create", "CreationNotification"), "Delete": ("Delete", "RemoveNotification")},
)
PERMISSION_SPECIFICATION_SET = Resource(
    PermissionSpecificationSet,
    prepare=based("PermissionSpecificationSet"),
    event_names={
        "Create": ("CreationNotification",),
        "AttributeValueChange": ("AttributeValueChangeNotification",),
        "Delete": ("RemoveNotification",),
    },
    event_href="path",
)
SECURITY_FUNCTION = (
    Api("TMF669", "partyRoleManagement", ("v4",), (PARTY_ROLE,), tells_roles=True),
    Api(
        "TMF672",
        "rolesAndPermissionsManagement",
        ("v5",),
        (PERMISSION_SPECIFICATION_SET,),
        root="",
        tells_roles=True,
    ),
)


async def present(ctx: Context[Any]) -> None:
    """The role under which the Canvas administers this component is there from the start."""
    name = ctx.settings.canvas_system_role
    if not name:
        return
    for model in (PartyRole, PermissionSpecificationSet):
        try:
            async with ctx.transaction() as tx:
                if not await tx[model].select({"name": name}, limit=1):
                    role = {"id": SYSTEM_ROLE, "@baseType": model.__name__, "name": name}
                    await tx[model].insert(role)
        except Conflict:  # another replica was first
            continue


ROLES = Every(600.0, present, "roles")
