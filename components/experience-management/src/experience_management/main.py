"""Experience Management: how does it feel, to whom, on which service?"""

from experience_management import evaluate, ingest, survey, tables
from experience_management import resources as r
from experience_management.settings import ExperienceSettings
from tmfkit import Api, Component, Every, Follow

component = Component(
    name="experience-management",
    package="experience_management",
    settings=ExperienceSettings,
    metadata=tables.metadata,
    apis=(
        Api("TMF683", "partyInteractionManagement", ("v4", "v5"), (r.PARTY_INTERACTION,)),
        Api(
            "own",
            "experienceManagement",
            ("v1",),
            (r.EXPERIENCE_INDEX_SPECIFICATION, r.EXPERIENCE_SCORE, r.SURVEY_RESPONSE),
        ),
    ),
    routes=(survey.router,),
    follows=(
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
            wake="evaluate",
        ),
    ),
    flows=(Every(5, evaluate.due, "evaluate"), Every(3600, evaluate.forget, "forget")),
    dependencies=("serviceInventory",),
)
