"""The resources of churn prediction: TMF915 v4 models and contracts, TMF696 v4 risk assessments, TMF680 v4
recommendations; the last two with our declared extensions, told by @type."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from tmfkit.resource import TASK, Lifecycle, Resource
from tmfkit.types import (
    Attachment,
    CharacteristicV4,
    CreateOnly,
    Document,
    Entity,
    EntityRef,
    EntityValue,
    Instant,
    Money,
    Note,
    OrderItemAction,
    Price,
    PriceAlteration,
    ProductStatus,
    Quantity,
    ReadOnly,
    RelatedEntityRefOrValueV4,
    RelatedParty,
    RelatedPlaceRefOrValueV4,
    RelatedPlaceV4,
    TimePeriod,
    TmfModel,
    VersionedRef,
)

# --- TMF915: the model, and what is promised about it ------------------------------------------------------


class TargetSchema(TmfModel):
    """The class that a specification describes, and its schema (TargetEntitySchema, TargetProductSchema)."""

    at_type: Annotated[str, Field(alias="@type")]
    at_schemaLocation: Annotated[str, Field(alias="@schemaLocation")]


class SpecificationRelationship(TmfModel):
    """How one specification relates to another (EntitySpecificationRelationship, ServiceSpecRelationship)."""

    id: str | None = None
    href: str | None = None
    name: str | None = None
    relationshipType: str
    role: str | None = None
    associationSpec: EntityRef | None = None
    validFor: TimePeriod | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class CharacteristicValueSpecification(TmfModel):
    """A value, or a range of values, that a characteristic may take."""

    value: Any = None
    valueType: str | None = None
    valueFrom: int | None = None
    valueTo: int | None = None
    rangeInterval: str | None = None
    regex: str | None = None
    unitOfMeasure: str | None = None
    isDefault: bool | None = None
    validFor: TimePeriod | None = None


class CharacteristicSpecificationAttributes(TmfModel):
    """What a characteristic of a specification and one of a feature have in common."""

    id: str | None = None
    description: str | None = None
    valueType: str | None = None
    regex: str | None = None
    configurable: bool | None = None
    extensible: bool | None = None
    isUnique: bool | None = None
    minCardinality: int | None = None
    maxCardinality: int | None = None
    validFor: TimePeriod | None = None
    at_valueSchemaLocation: Annotated[str | None, Field(alias="@valueSchemaLocation")] = None


class CharacteristicSpecificationRelationship(TmfModel):
    id: str | None = None
    href: str | None = None
    name: str | None = None
    relationshipType: str | None = None
    characteristicSpecificationId: str | None = None
    parentSpecificationId: str | None = None
    parentSpecificationHref: str | None = None
    validFor: TimePeriod | None = None


class CharacteristicSpecification(CharacteristicSpecificationAttributes):
    """A characteristic that an instance can have."""

    name: str | None = None
    charSpecRelationship: list[CharacteristicSpecificationRelationship] | None = None
    characteristicValueSpecification: list[CharacteristicValueSpecification] | None = None


class FeatureSpecificationCharacteristicRelationship(TmfModel):
    id: str | None = None
    href: str | None = None
    name: str | None = None
    relationshipType: str | None = None
    characteristicId: str | None = None
    featureId: str | None = None
    resourceSpecificationId: str | None = None
    resourceSpecificationHref: str | None = None
    validFor: TimePeriod | None = None


class FeatureSpecificationCharacteristic(CharacteristicSpecificationAttributes):
    """A characteristic that an instance of the feature can have."""

    name: str
    featureSpecCharRelationship: list[FeatureSpecificationCharacteristicRelationship] | None = None
    featureSpecCharacteristicValue: list[CharacteristicValueSpecification] | None = None


class FeatureSpecificationRelationship(TmfModel):
    id: str | None = None
    href: str | None = None
    name: str
    relationshipType: str
    featureId: str | None = None
    parentSpecificationId: str | None = None
    parentSpecificationHref: str | None = None
    validFor: TimePeriod | None = None


class FeatureSpecification(TmfModel):
    """A capability that an instance can have switched on."""

    id: str | None = None
    href: str | None = None
    name: str | None = None
    version: str | None = None
    isBundle: bool | None = None
    isEnabled: bool | None = None
    constraint: list[VersionedRef] | None = None
    featureSpecCharacteristic: list[FeatureSpecificationCharacteristic] | None = None
    featureSpecRelationship: list[FeatureSpecificationRelationship] | None = None
    validFor: TimePeriod | None = None


class SpecificationAttributes(TmfModel):
    """What the specifications of a model and of a contract have in common."""

    name: str | None = None
    version: str | None = None
    description: str | None = None
    isBundle: bool | None = None
    lifecycleStatus: str | None = None
    lastUpdate: Instant | None = None
    validFor: TimePeriod | None = None
    attachment: list[Attachment] | None = None
    constraint: list[VersionedRef] | None = None
    entitySpecRelationship: list[SpecificationRelationship] | None = None
    relatedParty: list[RelatedParty] | None = None
    specCharacteristic: list[CharacteristicSpecification] | None = None
    targetEntitySchema: TargetSchema | None = None


class AiModelSpecificationAttributes(SpecificationAttributes):
    """The model's papers: each of the seven records is a free object, for instance {description, url}."""

    modelDataSheet: Document | None = None
    modelTrainingData: Document | None = None
    modelEvaluationData: Document | None = None
    modelSpecificationHistory: Document | None = None
    modelContractVersionHistory: Document | None = None
    inheritedModel: Document | None = None
    deploymentRecord: Document | None = None
    featureSpecification: list[FeatureSpecification] | None = None
    resourceSpecification: list[VersionedRef] | None = None
    serviceLevelSpecification: list[EntityRef] | None = None
    serviceSpecRelationship: list[SpecificationRelationship] | None = None


class AiModelSpecification(AiModelSpecificationAttributes, Entity):
    """What a model is, learned from and is good at: the place of the model card."""

    name: str


class AiModelSpecificationValue(AiModelSpecificationAttributes, EntityValue):
    """A model specification inside a model, by reference (id alone) or by value."""


class AiContractSpecification(SpecificationAttributes, Entity):
    """What contracts about models can promise."""

    name: str


class ServiceState(StrEnum):
    FEASIBILITY_CHECKED = "feasibilityChecked"
    DESIGNED = "designed"
    RESERVED = "reserved"
    INACTIVE = "inactive"
    ACTIVE = "active"
    TERMINATED = "terminated"


class FeatureRelationship(TmfModel):
    id: str | None = None
    name: str
    relationshipType: str
    validFor: TimePeriod | None = None


class Feature(TmfModel):
    """A capability of an instance, switched on or off."""

    id: str | None = None
    name: str
    isBundle: bool | None = None
    isEnabled: bool | None = None
    constraint: list[VersionedRef] | None = None
    featureCharacteristic: list[CharacteristicV4]
    featureRelationship: list[FeatureRelationship] | None = None


class RelatedServiceOrderItem(TmfModel):
    """The order item that made, changed or ended a service."""

    id: str | None = None
    href: str | None = None
    serviceOrderId: str | None = None
    serviceOrderHref: str | None = None
    itemId: str | None = None
    itemAction: OrderItemAction | None = None
    role: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class ServiceRelationship(TmfModel):
    id: str | None = None
    href: str | None = None
    relationshipType: str
    service: ServiceValue | None = None
    serviceRelationshipCharacteristic: list[CharacteristicV4] | None = None


class ServiceAttributes(TmfModel):
    """What a model in operation has in common with any other service."""

    name: str | None = None
    description: str | None = None
    category: str | None = None
    serviceType: str | None = None
    serviceDate: Annotated[str | None, CreateOnly()] = None
    startDate: Instant | None = None
    endDate: Instant | None = None
    startMode: str | None = None
    hasStarted: bool | None = None
    isBundle: bool | None = None
    isServiceEnabled: bool | None = None
    isStateful: bool | None = None
    state: ServiceState | None = None
    feature: list[Feature] | None = None
    note: list[Note] | None = None
    place: list[RelatedPlaceRefOrValueV4] | None = None
    relatedEntity: list[RelatedEntityRefOrValueV4] | None = None
    relatedParty: list[RelatedParty] | None = None
    serviceCharacteristic: list[CharacteristicV4] | None = None
    serviceOrderItem: list[RelatedServiceOrderItem] | None = None
    serviceRelationship: list[ServiceRelationship] | None = None
    serviceSpecification: VersionedRef | None = None
    supportingResource: list[EntityRef] | None = None
    supportingService: list[ServiceValue] | None = None


class ServiceValue(ServiceAttributes, EntityValue):
    """A service by reference (id alone) or by value (ServiceRefOrValue)."""


ServiceRelationship.model_rebuild()


class SoftwareRef(EntityRef):
    softwareVersion: str | None = None


class AiModel(ServiceAttributes, Entity):
    """A trained model in operation; the standard describes it as a service.

    Legal moves of `state`, chosen here because the standard publishes the states without them: forward along
    feasibilityChecked, designed, reserved, inactive, active, where steps may be left out; inactive and active both
    ways; terminated from any and for good.
    """

    state: ServiceState
    aiModelSpecification: AiModelSpecificationValue
    software: list[SoftwareRef]
    trainingData: EntityRef | None = None
    gpu: EntityRef | None = None


class TemplateRef(EntityRef):
    description: str | None = None


class AiContract(Entity):
    """What is promised about a model, between the parties. `state` is free text: any move is legal."""

    name: str | None = None
    description: str | None = None
    version: str | None = None
    state: str
    approved: bool | None = None
    approvalDate: Instant | None = None
    validFor: TimePeriod | None = None
    aiContractSpecification: EntityRef
    aiModel: EntityRef
    relatedParty: list[RelatedParty]
    characteristic: list[CharacteristicV4] | None = None
    rule: list[EntityValue] | None = None
    template: TemplateRef | None = None


class AttachmentRef(EntityRef):
    description: str | None = None
    url: str | None = None


class Violation(TmfModel):
    """Promised against observed; the standard writes its numbers as text."""

    id: str | None = None
    href: str | None = None
    actualValue: str
    operator: str
    referenceValue: str
    consequence: str
    comment: str | None = None
    tolerance: str | None = None
    unit: str | None = None
    violationAverage: str | None = None
    attachment: AttachmentRef | None = None
    rule: EntityRef | None = None


class AiContractViolation(Entity):
    """A model did not keep its contract: drift, lost accuracy, unfairness."""

    date: Instant | None = None
    aiContract: EntityRef
    violation: Violation
    relatedParty: list[RelatedParty] | None = None


# --- TMF696: the risk --------------------------------------------------------------------------------------


class RiskType(StrEnum):
    """The risks that the standard knows, and ours."""

    FRAUD = "FraudRisk"
    BAD_PAYMENT = "BadPaymentRisk"
    CREDIT_GAMING = "CreditGamingRisk"
    ID_CONFIDENCE = "IDConfidenceRisk"
    PAYMENT_METHOD = "PaymentMethodRisk"
    CHURN = "ChurnRisk"


class RiskScore(TmfModel):
    riskName: RiskType | None = None
    score: float | None = None


class RiskAssessmentResult(TmfModel):
    overallScore: float | None = None
    score: list[RiskScore] | None = None
    validFor: TimePeriod | None = None


class PartyRoleRiskAssessment(Entity):
    """An assessment of the risks that a party role brings. `status` is free text: any move is legal.

    Version 4.0.0 forgot all attributes but partyRole in this class; those of its base class RiskAssessment, which
    its siblings and its samples show, are meant and used here. status (Succeeded, Failed) and result are the output
    of the task; statusReason, ours, says why it failed.
    """

    partyRole: RelatedParty
    status: Annotated[str | None, ReadOnly()] = None
    statusReason: Annotated[str | None, ReadOnly()] = None
    characteristic: list[CharacteristicV4] | None = None
    place: RelatedPlaceV4 | None = None
    riskAssessmentResult: Annotated[RiskAssessmentResult | None, ReadOnly()] = None


Probability = Annotated[float, Field(ge=0, le=1)]


class ProbabilityInterval(TmfModel):
    """Confidence interval of the probability at `level`, for instance 0.95."""

    low: Probability
    high: Probability
    level: Annotated[float, Field(gt=0, lt=1)]


class ChurnReason(TmfModel):
    """What drives the prediction, never a claim about what the customer thinks.

    contribution is in log-odds: positive raises the risk. group is the kind of remedy: price, network, service,
    contract, device.
    """

    driver: str
    group: str | None = None
    contribution: float
    text: str | None = None


class EvidenceRef(EntityRef):
    """An experience score, service problem or other resource that the assessment rests on."""

    at_referredType: Annotated[str, Field(alias="@referredType")]


class ChurnRiskAssessment(PartyRoleRiskAssessment):
    """Declared extension of PartyRoleRiskAssessment, told by @type: the risk that the customer leaves.

    churnProbability is the calibrated chance to leave within horizonDays, absent where there was not enough data;
    band says it in a word (low, medium, high, critical); coverage is the share (0..1) of the model's features that were
    known; expectedProfit is that of the best retention offer; probabilityChange is against previousAssessment, absent
    where that was another model's.
    """

    churnProbability: Probability | None = None
    interval: ProbabilityInterval | None = None
    band: str | None = None
    horizonDays: Annotated[int | None, Field(gt=0)] = None
    coverage: Annotated[float | None, Field(ge=0, le=1)] = None
    aiModel: VersionedRef | None = None
    reasons: list[ChurnReason] | None = None
    evidence: list[EvidenceRef] | None = None
    expectedProfit: Money | None = None
    assessedAt: Instant | None = None
    previousAssessment: EntityRef | None = None
    probabilityChange: Annotated[float | None, Field(ge=-1, le=1)] = None


# --- TMF680: what would keep them --------------------------------------------------------------------------


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
    relatedParty: list[RelatedParty] | None = None


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
    relatedParty: RelatedParty | None = None
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


# --- Declarations ------------------------------------------------------------------------------------------

_CHANGES = frozenset({"Create", "AttributeValueChange", "Delete"})

AI_MODEL = Resource(
    AiModel,
    lifecycle=Lifecycle(
        "state",
        moves={
            "feasibilityChecked": ("designed", "reserved", "inactive", "active", "terminated"),
            "designed": ("reserved", "inactive", "active", "terminated"),
            "reserved": ("inactive", "active", "terminated"),
            "inactive": ("active", "terminated"),
            "active": ("inactive", "terminated"),
        },
    ),
    events=_CHANGES | {"StateChange"},
)
AI_MODEL_SPECIFICATION = Resource(AiModelSpecification, updated="lastUpdate", events=_CHANGES)
AI_CONTRACT = Resource(AiContract, lifecycle=Lifecycle("state"), events=_CHANGES | {"StateChange"})
AI_CONTRACT_SPECIFICATION = Resource(AiContractSpecification, updated="lastUpdate", events=_CHANGES)
AI_CONTRACT_VIOLATION = Resource(AiContractViolation, operations=TASK, index=("date",), events=_CHANGES)

PARTY_ROLE_RISK_ASSESSMENT = Resource(
    PartyRoleRiskAssessment,
    lifecycle=Lifecycle("status", event="StatusChange"),
    operations=TASK | {"delete"},
    index=("churnProbability", "assessedAt"),
    extensions=(ChurnRiskAssessment,),
    events=frozenset({"Create", "Delete", "StatusChange"}),
)
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
