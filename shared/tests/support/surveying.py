"""A component of the tests' own with work that takes long: a request for it is answered with 202 and a monitor."""

from __future__ import annotations

from tmfkit import Api, Component, Context, Every, Lifecycle, Resource, Settings
from tmfkit.resource import READ, TASK
from tmfkit.types import Entity, Monitor

FLOW = "survey"


class LandSurvey(Entity):
    area: str
    state: str | None = None
    squareMetres: int | None = None


LAND_SURVEY = Resource(
    LandSurvey,
    operations=TASK,
    lifecycle=Lifecycle(
        "state",
        initial="accepted",
        moves={"accepted": ("inProgress",), "inProgress": ("done", "terminatedWithError")},
    ),
    accepted=True,
)


async def survey(ctx: Context[Settings]) -> None:
    """One step of each survey: begun, then ended; what has no size ends with an error."""
    for before, after in (("inProgress", "done"), ("accepted", "inProgress")):
        async with ctx.transaction() as tx:
            for old in await tx[LandSurvey].select({"state": before}):
                found = {"squareMetres": len(old["area"])} if after == "done" else {}
                state = "terminatedWithError" if after == "done" and old["area"] == "nowhere" else after
                await tx[LandSurvey].replace(old, {**old, "state": state, **found})


component = Component(
    name="surveying",
    package="shared.tests.support.surveying",
    settings=Settings,
    apis=(Api("own", "landSurvey", ("v1",), (LAND_SURVEY, Resource(Monitor, operations=READ))),),
    flows=(Every(3600, survey, FLOW),),
)
BASE = "/surveying/tmf-api/landSurvey/v1"
