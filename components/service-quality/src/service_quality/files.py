"""The door of measurement files: 3GPP PM XML (TS 32.435) and CSV, by a mapping that comes with them.

A file is one batch: its good rows are kept, the others are named by their line, and sent again it adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_type_hints

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import TypeAdapter, ValidationError

from service_quality import readings
from service_quality.domain import pm_csv, pm_xml
from service_quality.domain.measurement import SourceFault, SourceRow
from service_quality.ingest import API, SLICE, Batch, stored
from service_quality.ledger import ledger
from service_quality.settings import ServiceQualitySettings
from tmfkit import Context, context, http, permit
from tmfkit.errors import BadRequest

XML = ("application/xml", "text/xml")
CSV = "text/csv"
CHUNK = 64 * 1024
OWN_NAMES = {
    "id": "id", "resource": "resource", "service": "service", "kpi": "kpi", "value": "value", "unit": "unit",
    "observedAt": "observedAt", "granularity": "granularityS", "source": "source",
}  # fmt: skip
"""Attribute -> column of a CSV file that comes without a mapping: it speaks as the batches do."""

router = APIRouter(prefix=f"/tmf-api/{API}/v1", tags=[API])
Ctx = Annotated[Context[ServiceQualitySettings], Depends(context)]
MappingText = Annotated[
    str | None,
    Query(description="how the file's names become ours, as JSON", json_schema_extra={"format": "measurement-mapping"}),
]
_PM = TypeAdapter(pm_xml.PmMapping)


@router.post(
    "/file",
    operation_id="createMeasurementFile",
    response_model=readings.FileResult,
    openapi_extra=readings.FILE_BODY,
)
async def accept_file(request: Request, ctx: Ctx, mapping: MappingText = None) -> Response:
    """Take a file. It is read as far as it can be, and its rows are one transaction."""
    permit(request, API, "measurement", "create")
    media = http.media_type(request.scope, (*XML, CSV))
    given = _object(mapping)
    body = await http.body(request.scope, request.receive, ctx.settings.max_body_bytes)
    found = _xml(body, given) if media in XML else _csv(body, given)
    book = ledger(ctx)
    batch = Batch(ctx, book, await book.limits(ctx))
    rows: list[SourceRow] = []
    for item in found:
        if isinstance(item, SourceFault):
            batch.fault(item.line, item.element, item.reason)
            continue
        rows.append(item)
        if len(rows) == SLICE:
            await batch.add([r.row for r in rows], [r.line for r in rows])
            rows.clear()
    await batch.add([r.row for r in rows], [r.line for r in rows])
    return await stored(ctx, book, batch)


def _object(mapping: str | None) -> dict[str, Any] | None:
    if mapping is None:
        return None
    try:
        given = orjson.loads(mapping)
    except orjson.JSONDecodeError as e:
        raise BadRequest(f"not JSON: {e.msg}", attribute="mapping") from e
    if not isinstance(given, dict):
        raise BadRequest("a JSON object is expected", attribute="mapping")
    return given


def _xml(body: bytes, given: dict[str, Any] | None) -> Iterator[SourceRow | SourceFault]:
    mapping = _pm_mapping(given or {})
    return pm_xml.read((body[i : i + CHUNK] for i in range(0, len(body), CHUNK)), mapping)


def _pm_mapping(given: dict[str, Any]) -> pm_xml.PmMapping:
    counters = given.get("counters")
    places: list[tuple[str, dict[str, Any], type]] = [("", given, pm_xml.PmMapping)]
    if isinstance(counters, dict):
        places += [(f"counters.{name}.", c, pm_xml.Counter) for name, c in counters.items() if isinstance(c, dict)]
    for where, entry, model in places:
        for name in entry.keys() - get_type_hints(model).keys():
            raise BadRequest("not known in a mapping", attribute=f"mapping.{where}{name}")
    try:
        return _PM.validate_python(given)
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        raise BadRequest(first["msg"], attribute=f"mapping.{at}") from e


def _csv(body: bytes, given: dict[str, Any] | None) -> Iterator[SourceRow | SourceFault]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise BadRequest(f"the file is not UTF-8: byte {e.start}") from e
    if given is None:
        header = {name.strip() for name in text.partition("\n")[0].split(",")}
        given = {"columns": {a: c for a, c in OWN_NAMES.items() if c in header}}
    mapping = pm_csv.csv_mapping(given)
    if isinstance(mapping, tuple):
        first = mapping[0]
        raise BadRequest(first.reason, attribute=f"mapping.{first.attribute}")
    return pm_csv.read(text.splitlines(keepends=True), mapping)
