"""Customer 360: who is this, and what has happened?"""

from customer_360 import assemble, ingest, products, tables
from customer_360 import resources as r
from customer_360.privacy import resources as privacy
from customer_360.settings import Customer360Settings
from tmfkit import Api, Component, Every, Follow
from tmfkit.roles import ROLES, SECURITY_FUNCTION

component = Component(
    name="customer-360",
    package="customer_360",
    settings=Customer360Settings,
    metadata=tables.metadata,
    apis=(
        Api("TMF717", "customer360", ("v5",), (r.CUSTOMER_360,)),
        Api("TMF629", "customerManagement", ("v4", "v5"), (r.CUSTOMER,)),
        Api(
            "TMF644",
            "privacyManagement",
            ("v4",),
            (
                privacy.PARTY_PRIVACY_PROFILE,
                privacy.PARTY_PRIVACY_PROFILE_SPECIFICATION,
                privacy.PARTY_PRIVACY_AGREEMENT,
            ),
        ),
        *SECURITY_FUNCTION,
    ),
    follows=(
        Follow(
            dependency="experienceManagement",
            path="tmf-api/experienceManagement/v1",
            resource="experienceScore",
            events=(
                "ExperienceScoreCreateEvent",
                "ExperienceScoreAttributeValueChangeEvent",
                "ExperienceScoreDeleteEvent",
            ),
            handle=ingest.on_score,
            wake="assemble",
        ),
        Follow(
            dependency="serviceQuality",
            path="tmf-api/serviceProblemManagement/v5",
            resource="serviceProblem",
            events=(
                "ServiceProblemCreateEvent",
                "ServiceProblemAttributeValueChangeEvent",
                "ServiceProblemStateChangeEvent",
            ),
            handle=ingest.on_problem,
            wake="assemble",
        ),
        Follow(
            dependency="churnPrediction",
            path="tmf-api/riskManagement/v4",
            resource="partyRoleRiskAssessment",
            events=("PartyRoleRiskAssessmentCreateEvent", "PartyRoleRiskAssessmentDeleteEvent"),
            handle=ingest.on_assessment,
            wake="assemble",
        ),
        Follow(
            dependency="churnPrediction",
            path="tmf-api/recommendationManagement/v4",
            resource="queryProductRecommendation",
            events=("QueryProductRecommendationCreateEvent", "QueryProductRecommendationStateChangeEvent"),
            handle=ingest.on_recommendation,
            wake="assemble",
        ),
    ),
    flows=(
        Every(1, assemble.due, "assemble"),
        Every(10, products.due, "products"),
        Every(3600, assemble.reconcile, "reconcile"),
        ROLES,
    ),
    dependencies=("productInventory", "party"),
)
