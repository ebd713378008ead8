"""Churn Prediction: who will leave, why, and what would keep them at a profit?"""

from tmfkit import Api, Component, Settings

from churn_prediction import resources as r

component = Component(
    name="churn-prediction",
    package="churn_prediction",
    settings=Settings,
    apis=(
        Api("TMF915", "AiM", ("v4",), (r.AI_MODEL, r.AI_MODEL_SPECIFICATION, r.AI_CONTRACT, r.AI_CONTRACT_SPECIFICATION, r.AI_CONTRACT_VIOLATION)),
        Api("TMF696", "riskManagement", ("v4",), (r.PARTY_ROLE_RISK_ASSESSMENT,)),
        Api("TMF680", "recommendationManagement", ("v4",), (r.QUERY_PRODUCT_RECOMMENDATION,)),
    ),
)
