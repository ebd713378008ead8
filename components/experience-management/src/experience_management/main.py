"""Experience Management: how does it feel, to whom, on which service?"""

from tmfkit import Api, Component, Settings

from experience_management import resources as r

component = Component(
    name="experience-management",
    package="experience_management",
    settings=Settings,
    apis=(
        Api("TMF683", "partyInteractionManagement", ("v4", "v5"), (r.PARTY_INTERACTION,)),
        Api("own", "experienceManagement", ("v1",), (r.EXPERIENCE_INDEX_SPECIFICATION, r.EXPERIENCE_SCORE, r.SURVEY_RESPONSE)),
    ),
)
