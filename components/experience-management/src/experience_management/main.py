"""Experience Management: how does it feel, to whom, on which service?"""

from experience_management import answer, deliver, evaluate, ingest, nested, survey, tables
from experience_management import resources as r
from experience_management.settings import ExperienceSettings
from tmfkit import Api, Every, Follow
from tmfkit.roles import ROLES, SECURITY_FUNCTION

component = nested.Nesting(
    name="experience-management",
    package="experience_management",
    settings=ExperienceSettings,
    metadata=tables.metadata,
    apis=(
        Api("TMF683", "partyInteractionManagement", ("v4", "v5"), (r.PARTY_INTERACTION,)),
        Api("TMF621", "troubleTicket", ("v4", "v5"), (r.TROUBLE_TICKET, r.TROUBLE_TICKET_SPECIFICATION)),
        Api("TMF681", "communicationManagement", ("v4",), (r.COMMUNICATION_MESSAGE,)),
        Api("TMF921", "intentManagement", ("v5",), (r.INTENT, r.INTENT_REPORT, r.INTENT_SPECIFICATION)),
        Api(
            "own",
            "experienceManagement",
            ("v1",),
            (r.EXPERIENCE_INDEX_SPECIFICATION, r.EXPERIENCE_SCORE, r.SURVEY_RESPONSE),
        ),
        *SECURITY_FUNCTION,
    ),
    routes=(survey.router, nested.router),
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
    flows=(
        Every(5, evaluate.due, "evaluate"),
        Every(3600, evaluate.forget, "forget"),
        Every(2, deliver.due, "deliver"),
        Every(5, answer.due, "answer"),
        ROLES,
    ),
    dependencies=("serviceInventory",),
)
