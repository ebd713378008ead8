"""The wire shapes of the measurement API, for its documentation and for typed clients."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class MeasurementIn(BaseModel):
    """One row as it is sent. `id` is made of what was measured where and when if it is absent."""

    id: str | None = None
    resource: str
    service: str
    kpi: str
    value: float
    unit: str | None = None
    observedAt: datetime
    granularityS: int = 0
    source: str = ""


class Measurement(MeasurementIn):
    """One row as it is kept; `unit` is that of the first measurement of its kpi."""

    id: str
    unit: str


class RowError(BaseModel):
    """Why a row was refused: its place in the batch from 0, the attribute at fault (empty: the row itself)."""

    index: int
    id: str | None = None
    attribute: str
    reason: str


class BatchResult(BaseModel):
    """What became of a batch; `errors` names the first hundred of the rejected rows."""

    accepted: int
    duplicates: int
    rejected: int
    errors: list[RowError] = Field(default_factory=list)


class FileError(BaseModel):
    """Why something in a file was refused: its line from 1, the element, column or attribute at fault."""

    line: int
    id: str | None = None
    attribute: str
    reason: str


class FileResult(BaseModel):
    """What became of a file; `errors` names the first hundred of what was rejected."""

    accepted: int
    duplicates: int
    rejected: int
    errors: list[FileError] = Field(default_factory=list)


class KpiSummary(BaseModel):
    """One series over a window; quantiles are nearest-rank, the baseline is the time before the window."""

    resource: str
    service: str
    kpi: str
    unit: str
    n: int
    mean: float | None = None
    p10: float | None = None
    p90: float | None = None
    last: float | None = None
    lastObservedAt: datetime | None = None
    baselineMean: float | None = None
    baselineSd: float | None = None


def ndjson_and_json(model: type[BaseModel]) -> dict[str, Any]:
    """The request body of a batch for the OpenAPI file: an array, or one object per line."""
    other = {"description": "Any other row is refused by itself: `errors` of the answer tells why"}
    schema = {"anyOf": [model.model_json_schema(), other]}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"type": "array", "items": schema}},
                "application/x-ndjson": {"schema": schema},
            },
        }
    }


FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {media: {"schema": {"type": "string"}} for media in ("application/xml", "text/xml", "text/csv")},
    }
}
"""The request body of a file for the OpenAPI file."""
