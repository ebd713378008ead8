"""TMF680 v4: questions for products worth offering, and our declared extension for what would keep a customer."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from churn_prediction.resources.party import TypedParty
from churn_prediction.resources.risk import ChurnReason
from churn_prediction.resources.specification import TargetSchema
from tmfkit.resource import TASK, Lifecycle, Resource
from tmfkit.types import (
    CharacteristicV4,
    Document,
    Entity,
    EntityRef,
    EntityValue,
    Instant,
    Money,
    Price,
    PriceAlteration,
    ProductStatus,
    Quantity,
    ReadOnly,
    RelatedPlaceRefOrValueV4,
    TimePeriod,
    TmfModel,
    VersionedRef,
)


class AgreementItemRef(EntityRef):
    agreementItemId: str | None = None


class ProductSpecificationRef(VersionedRef):
    targetProductSchema: TargetSchema | None = None


class RelatedProductOrderItem(TmfModel):
    productOrderId: str
    productOrderHref: str | None = None
    orderItemId: str
    orderItemAction: str | None = None
    role: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class ProductPrice(TmfModel):
    name: str | None = None
    description: str | None = None
    priceType: str
    price: Price
    recurringChargePeriod: str | None = None
    unitOfMeasure: str | None = None
    billingAccount: EntityRef | None = None
    productOfferingPrice: EntityRef | None = None
    productPriceAlteration: list[PriceAlteration] | None = None


class ProductTerm(TmfModel):
    name: str | None = None
    description: str | None = None
    duration: Quantity | None = None
    validFor: TimePeriod | None = None


class ProductRelationship(TmfModel):
    relationshipType: str
    product: ProductValue


class ProductValue(EntityValue):
    """A product by reference (id alone) or by value (ProductRefOrValue)."""

    description: str | None = None
    isBundle: bool | None = None
    isCustomerVisible: bool | None = None
    productSerialNumber: str | None = None
    orderDate: Instant | None = None
    startDate: Instant | None = None
    terminationDate: Instant | None = None
    status: ProductStatus | None = None
    agreement: list[AgreementItemRef] | None = None
    billingAccount: EntityRef | None = None
    place: list[RelatedPlaceRefOrValueV4] | None = None
    product: list[ProductValue] | None = None
    productCharacteristic: list[CharacteristicV4] | None = None
    productOffering: EntityRef | None = None
    productOrderItem: list[RelatedProductOrderItem] | None = None
    productPrice: list[ProductPrice] | None = None
    productRelationship: list[ProductRelationship] | None = None
    productSpecification: ProductSpecificationRef | None = None
    productTerm: list[ProductTerm] | None = None
    realizingResource: list[EntityRef] | None = None
    realizingService: list[EntityRef] | None = None
    relatedParty: list[TypedParty] | None = None


ProductRelationship.model_rebuild()


class RecommendationItem(TmfModel):
    """One product worth offering; the lowest priority number comes first."""

    id: str | None = None
    priority: int | None = None
    product: ProductValue
    productOffering: EntityRef | None = None


class ItemRef(TmfModel):
    """An item of a cart or of an order."""

    itemId: str | None = None
    entityId: str | None = None
    entityHref: str | None = None
    name: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class TaskState(StrEnum):
    ACCEPTED = "accepted"
    IN_PROGRESS = "inProgress"
    DONE = "done"
    TERMINATED_WITH_ERROR = "terminatedWithError"


class QueryProductRecommendation(Entity):
    """A question for products worth offering to a party, and, once done, its answer: state, stateReason (ours) and
    recommendationItem belong to the answer."""

    name: str | None = None
    description: str | None = None
    recommendationType: str | None = None
    instantSyncRecommendation: bool | None = None
    state: Annotated[TaskState | None, ReadOnly()] = None
    stateReason: Annotated[str | None, ReadOnly()] = None
    validFor: Annotated[TimePeriod | None, ReadOnly()] = None
    relatedParty: TypedParty | None = None
    place: RelatedPlaceRefOrValueV4 | None = None
    category: list[VersionedRef] | None = None
    channel: list[EntityRef] | None = None
    productOrder: list[EntityRef] | None = None
    productOrderItem: list[ItemRef] | None = None
    shoppingCart: list[EntityRef] | None = None
    shoppingCartItem: list[ItemRef] | None = None
    recommendationItem: Annotated[list[RecommendationItem] | None, ReadOnly()] = None


class RetentionRecommendation(QueryProductRecommendation):
    """Declared extension of QueryProductRecommendation, told by @type: an offer made to keep a customer at a profit.

    considered holds every offer that was valued, with its parts; causalStatus is associational as long as no control
    group has shown what an offer causes.
    """

    riskAssessment: EntityRef | None = None
    expectedProfit: Money | None = None
    reasons: list[ChurnReason] | None = None
    causalStatus: str | None = None
    assumptions: Document | None = None
    considered: list[Document] | None = None


QUERY_PRODUCT_RECOMMENDATION = Resource(
    QueryProductRecommendation,
    lifecycle=Lifecycle(
        "state",
        TaskState.ACCEPTED,
        {
            "accepted": ("inProgress", "done", "terminatedWithError"),
            "inProgress": ("done", "terminatedWithError"),
        },
    ),
    operations=TASK,
    index=("expectedProfit.value",),
    extensions=(RetentionRecommendation,),
    events=frozenset({"Create", "StateChange"}),
)
