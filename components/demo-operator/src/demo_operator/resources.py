"""The inventories of the operator that the simulator stands for: TMF637 v5 products, TMF638 v5 services, TMF639 v4
resources. Who uses which service over which cell is looked up here, not assumed."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from tmfkit import resource as kernel
from tmfkit.types import (
    Attachment,
    Characteristic,
    CharacteristicV4,
    Duration,
    Entity,
    EntityRef,
    EntityValue,
    ExternalIdentifier,
    Instant,
    Note,
    OrderItemAction,
    Price,
    PriceAlteration,
    ProductStatus,
    ReadOnly,
    RelatedEntityRefOrValue,
    RelatedParty,
    RelatedPartyOrPartyRole,
    RelatedPlace,
    RelatedPlaceRefOrValueV4,
    TimePeriod,
    TmfModel,
    VersionedRef,
)

# --- TMF637: what was sold ---------------------------------------------------------------------------------


class AgreementItemRef(TmfModel):
    agreementId: str
    agreementItemId: str
    agreementHref: str | None = None
    agreementName: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class BillingAccountRef(EntityRef):
    ratingType: str | None = None


class RelatedOrderItem(TmfModel):
    role: str
    orderId: str
    orderItemId: str
    orderHref: str | None = None
    orderItemAction: OrderItemAction | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class TargetProductSchema(TmfModel):
    """The class of the product and, as @schemaLocation, its schema."""


class ProductSpecificationRef(VersionedRef):
    targetProductSchema: TargetProductSchema | None = None


class ProductPrice(TmfModel):
    name: str | None = None
    description: str | None = None
    priceType: str
    price: Price
    recurringChargePeriod: str | None = None
    unitOfMeasure: str | None = None
    productOfferingPrice: VersionedRef | None = None
    priceAlteration: list[PriceAlteration] | None = None


class ProductTerm(TmfModel):
    name: str | None = None
    description: str | None = None
    duration: Duration | None = None
    validFor: TimePeriod | None = None


class ProductRelationship(EntityRef):
    relationshipType: str


class ProductAttributes(TmfModel):
    """What a product has, whether it stands alone or inside another."""

    name: str | None = None
    description: str | None = None
    isBundle: bool | None = None
    isCustomerVisible: bool | None = None
    productSerialNumber: str | None = None
    creationDate: Annotated[Instant | None, ReadOnly()] = None
    orderDate: Instant | None = None
    startDate: Instant | None = None
    terminationDate: Instant | None = None
    status: ProductStatus | None = None
    agreementItem: list[AgreementItemRef] | None = None
    billingAccount: BillingAccountRef | None = None
    intent: EntityValue | None = None
    place: list[RelatedPlace] | None = None
    product: list[ProductValue] | None = None
    productCharacteristic: list[Characteristic] | None = None
    productOffering: VersionedRef | None = None
    productOrderItem: list[RelatedOrderItem] | None = None
    productPrice: list[ProductPrice] | None = None
    productRelationship: list[ProductRelationship] | None = None
    productSpecification: ProductSpecificationRef | None = None
    productTerm: list[ProductTerm] | None = None
    realizingResource: list[EntityRef] | None = None
    realizingService: list[EntityRef] | None = None
    relatedParty: list[RelatedPartyOrPartyRole] | None = None


class ProductValue(ProductAttributes, EntityValue):
    """A product by reference (id alone) or by value (ProductRefOrValue)."""


class Product(ProductAttributes, Entity):
    """What a party has bought. The inventory records what other systems decide, so any move of `status` is legal."""


# --- TMF638: what is delivered -----------------------------------------------------------------------------


class ServiceState(StrEnum):
    FEASIBILITY_CHECKED = "feasibilityChecked"
    DESIGNED = "designed"
    RESERVED = "reserved"
    INACTIVE = "inactive"
    ACTIVE = "active"
    TERMINATED = "terminated"
    SUSPENDED = "suspended"


class ServiceOperatingStatus(StrEnum):
    PENDING = "pending"
    CONFIGURED = "configured"
    STARTING = "starting"
    RUNNING = "running"
    DEGRADED = "degraded"
    FAILED = "failed"
    LIMITED = "limited"
    STOPPING = "stopping"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


class RelatedServiceOrderItem(TmfModel):
    """The order item that made, changed or ended a service."""

    serviceOrderId: str | None = None
    serviceOrderHref: str | None = None
    itemId: str | None = None
    itemAction: OrderItemAction | None = None
    role: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class FeatureRelationship(TmfModel):
    id: str | None = None
    name: str
    relationshipType: Literal["excluded", "includes", "may include", "requires"]
    validFor: TimePeriod | None = None


class Feature(TmfModel):
    """A capability of a service, switched on or off."""

    id: str | None = None
    name: str
    isBundle: bool | None = None
    isEnabled: bool | None = None
    constraint: list[VersionedRef] | None = None
    featureCharacteristic: list[Characteristic] | None = None
    featureRelationship: list[FeatureRelationship] | None = None


class ServiceRelationship(TmfModel):
    relationshipType: str
    service: ServiceValue | None = None
    serviceRelationshipCharacteristic: list[Characteristic] | None = None


class ServiceAttributes(TmfModel):
    """What a service has, whether it stands alone or inside another."""

    name: str | None = None
    description: str | None = None
    category: str | None = None
    serviceType: str | None = None
    serviceDate: Annotated[str | None, ReadOnly()] = None
    startDate: Instant | None = None
    endDate: Instant | None = None
    startMode: str | None = None
    hasStarted: bool | None = None
    isBundle: bool | None = None
    isServiceEnabled: bool | None = None
    isStateful: bool | None = None
    state: ServiceState | None = None
    operatingStatus: ServiceOperatingStatus | None = None
    externalIdentifier: list[ExternalIdentifier] | None = None
    feature: list[Feature] | None = None
    intent: EntityValue | None = None
    note: list[Note] | None = None
    place: list[RelatedPlace] | None = None
    relatedEntity: list[RelatedEntityRefOrValue] | None = None
    relatedParty: list[RelatedPartyOrPartyRole] | None = None
    serviceCharacteristic: list[Characteristic] | None = None
    serviceOrderItem: list[RelatedServiceOrderItem] | None = None
    serviceRelationship: list[ServiceRelationship] | None = None
    serviceSpecification: VersionedRef | None = None
    supportingResource: list[EntityRef] | None = None
    supportingService: list[ServiceValue] | None = None


class ServiceValue(ServiceAttributes, EntityValue):
    """A service by reference (id alone) or by value (ServiceRefOrValue)."""


ServiceRelationship.model_rebuild()


class Service(ServiceAttributes, Entity):
    """A service that runs for somebody over some resources. Any move of `state` is legal, as for products."""

    state: ServiceState
    serviceSpecification: VersionedRef


# --- TMF639: what it runs on -------------------------------------------------------------------------------


class ResourceAdministrativeState(StrEnum):
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    SHUTDOWN = "shutdown"


class ResourceOperationalState(StrEnum):
    ENABLE = "enable"
    DISABLE = "disable"


class ResourceStatus(StrEnum):
    STANDBY = "standby"
    ALARM = "alarm"
    AVAILABLE = "available"
    RESERVED = "reserved"
    UNKNOWN = "unknown"
    SUSPENDED = "suspended"


class ResourceUsageState(StrEnum):
    IDLE = "idle"
    ACTIVE = "active"
    BUSY = "busy"


class ResourceRelationship(TmfModel):
    """The other resource is named by id and href beside the kind of the relationship."""

    id: str | None = None
    href: str | None = None
    relationshipType: str | None = None
    resourceRelationshipCharacteristic: list[CharacteristicV4] | None = None


class ResourceAttributes(TmfModel):
    """What every resource has."""

    category: str | None = None
    description: str | None = None
    resourceVersion: str | None = None
    startOperatingDate: Instant | None = None
    endOperatingDate: Instant | None = None
    administrativeState: ResourceAdministrativeState | None = None
    operationalState: ResourceOperationalState | None = None
    resourceStatus: ResourceStatus | None = None
    usageState: ResourceUsageState | None = None
    attachment: list[Attachment] | None = None
    note: list[Note] | None = None
    place: RelatedPlaceRefOrValueV4 | None = None
    relatedParty: list[RelatedParty] | None = None
    resourceCharacteristic: list[CharacteristicV4] | None = None
    resourceRelationship: list[ResourceRelationship] | None = None
    resourceSpecification: VersionedRef | None = None


class Resource(ResourceAttributes, Entity):
    """Any resource of the network: a cell, a slice, a link."""

    name: str


class PhysicalResource(ResourceAttributes, Entity):
    """A resource that can be touched."""

    name: str
    manufactureDate: Instant | None = None
    powerState: str | None = None
    serialNumber: str | None = None
    versionNumber: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class LogicalResource(ResourceAttributes, Entity):
    """A resource that cannot be touched, for instance a number; `value` is its value."""

    name: str | None = None
    value: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


# --- Declarations ------------------------------------------------------------------------------------------

_CHANGES = frozenset({"Create", "AttributeValueChange", "Delete", "StateChange"})

PRODUCT = kernel.Resource(
    Product,
    lifecycle=kernel.Lifecycle("status"),
    created="creationDate",
    events=_CHANGES | {"ProductBatch"},
)
SERVICE = kernel.Resource(Service, lifecycle=kernel.Lifecycle("state"), events=_CHANGES | {"OperatingStatusChange"})
RESOURCE = kernel.Resource(Resource, lifecycle=kernel.Lifecycle("resourceStatus"), events=_CHANGES)
PHYSICAL_RESOURCE = kernel.Resource(PhysicalResource, lifecycle=kernel.Lifecycle("resourceStatus"), events=_CHANGES)
LOGICAL_RESOURCE = kernel.Resource(LogicalResource, lifecycle=kernel.Lifecycle("resourceStatus"), events=frozenset())
