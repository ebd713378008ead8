"""Churn Prediction: who will leave, why, and what would keep them at a profit?"""

from dataclasses import replace

from churn_prediction import answer, ingest, measure, score, tables, topics, train
from churn_prediction import resources as r
from churn_prediction.settings import ChurnSettings
from tmfkit import Api, Every, Follow
from tmfkit.roles import ROLES, SECURITY_FUNCTION

OF_PARTY_ROLES = replace(r.PARTY_ROLE_RISK_ASSESSMENT, perform=answer.assess)
RISKS = (
    OF_PARTY_ROLES,
    *(
        replace(resource, perform=answer.without_a_model)
        for resource in (
            r.PRODUCT_OFFERING_RISK_ASSESSMENT,
            r.PARTY_ROLE_PRODUCT_OFFERING_RISK_ASSESSMENT,
            r.SHOPPING_CART_RISK_ASSESSMENT,
            r.PRODUCT_ORDER_RISK_ASSESSMENT,
        )
    ),
)
RECOMMENDATION = replace(r.QUERY_PRODUCT_RECOMMENDATION, perform=answer.recommend)
MODELS = (
    r.AI_MODEL,
    r.AI_MODEL_SPECIFICATION,
    r.AI_CONTRACT,
    r.AI_CONTRACT_SPECIFICATION,
    r.AI_CONTRACT_VIOLATION,
    r.ALARM,
    r.RULE,
    r.MONITOR,
    r.TOPIC,
    r.EVENT,
)
CUSTOMER_EVENTS = (
    "CustomerCreateEvent",
    "CustomerAttributeValueChangeEvent",
    "CustomerStateChangeEvent",
    "CustomerDeleteEvent",
)
SCORE_EVENTS = ("ExperienceScoreCreateEvent", "ExperienceScoreAttributeValueChangeEvent")

component = topics.WithTopics(
    name="churn-prediction",
    package="churn_prediction",
    settings=ChurnSettings,
    metadata=tables.metadata,
    apis=(
        Api("TMF915", "AiM", ("v4",), MODELS),
        Api("TMF696", "riskManagement", ("v4",), RISKS),
        Api("TMF680", "recommendationManagement", ("v4",), (RECOMMENDATION,)),
        *SECURITY_FUNCTION,
    ),
    routes=(topics.router,),
    dependencies=("customer360", "experienceManagement"),
    follows=(
        Follow(
            "customer360", "tmf-api/customerManagement/v5", "customer", CUSTOMER_EVENTS, ingest.on_customer, "score"
        ),
        Follow(
            "experienceManagement",
            "tmf-api/experienceManagement/v1",
            "experienceScore",
            SCORE_EVENTS,
            ingest.on_score,
            "score",
        ),
    ),
    flows=(Every(30.0, score.due, "score"), Every(15.0, measure.due, "measure"), ROLES),
    commands={"train": train.main},
)
