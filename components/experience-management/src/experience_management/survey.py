"""What people answered, summed up: GET .../experienceManagement/v1/surveyResult?surveyName=."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, repeat
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from experience_management.domain import survey
from experience_management.resources import SurveyInterval, SurveyMetric, SurveyResult
from experience_management.settings import ExperienceSettings
from tmfkit import Context, context, permit

API = "experienceManagement"
LEVEL = 0.95
router = APIRouter(prefix=f"/tmf-api/{API}/v1", tags=[API])


@router.get(
    "/surveyResult",
    operation_id="listSurveyResult",
    response_model=list[SurveyResult],
    response_model_exclude_none=True,
)
async def list_survey_result(
    request: Request,
    response: Response,
    ctx: Annotated[Context[ExperienceSettings], Depends(context)],
    survey_name: Annotated[str, Query(alias="surveyName", min_length=1, description="name of the survey")],
) -> list[SurveyResult]:
    """One result for each metric that the survey asked for, with its 95 % interval; none for an unknown survey."""
    permit(request, API, "surveyResult", "list")
    rows = await ctx.database.pool.fetch(
        "SELECT doc ->> 'metric' AS metric, (doc ->> 'rating')::int AS rating, count(*) AS n FROM survey_response"
        " WHERE doc @> $1::jsonb GROUP BY 1, 2 ORDER BY 1, 2",
        orjson.dumps({"survey": survey_name}).decode(),
    )
    answers: dict[str, dict[int, int]] = {}
    for row in rows:
        answers.setdefault(row["metric"], {})[row["rating"]] = row["n"]
    found = [
        result(survey_name, SurveyMetric(metric), counts, ctx.settings.survey_min_answers)
        for metric, counts in answers.items()
    ]
    response.headers["X-Total-Count"] = response.headers["X-Result-Count"] = str(len(found))
    return found


def result(name: str, metric: SurveyMetric, counts: Mapping[int, int], min_n: int) -> SurveyResult:
    """NPS, CSAT or CES of answers that are given as rating -> how often."""
    given = chain.from_iterable(repeat(rating, times) for rating, times in counts.items())
    if metric is SurveyMetric.NPS:
        nps = survey.nps(given, min_n=min_n)
        return _told(name, metric, nps, method=nps.method)
    if metric is SurveyMetric.CSAT:
        return _told(name, metric, survey.csat(given, min_n=min_n))
    ces = survey.ces(given, min_n=min_n)
    return _told(name, metric, ces, top_box=ces.top_box.value)


def _told(
    name: str,
    metric: SurveyMetric,
    found: survey.Nps | survey.Share | survey.Ces,
    *,
    method: str | None = None,
    top_box: float | None = None,
) -> SurveyResult:
    told: dict[str, object] = {"surveyName": name, "metric": metric, "n": found.n, "refused": found.refused}
    if found.value is not None and found.low is not None and found.high is not None:
        told["value"] = found.value
        told["interval"] = SurveyInterval(low=found.low, high=found.high, level=LEVEL)
        if method is not None:
            told["method"] = method
        if top_box is not None:
            told["topBox"] = top_box
    return SurveyResult.model_validate({"@type": "SurveyResult", **told})
