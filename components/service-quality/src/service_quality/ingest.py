"""The door of measurements: batches in (JSON array or NDJSON), rows and summaries out.

Bad rows are named and counted, good ones kept; a body that is no batch at all is a 400 and nothing is stored.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from service_quality import readings, summary
from service_quality.domain.measurement import Limits, Rejection, parse_batch
from service_quality.ledger import Key, Ledger, Record, Refusal, key_of, ledger
from service_quality.settings import ServiceQualitySettings
from tmfkit import Context, context, http, permit
from tmfkit.errors import BadRequest
from tmfkit.router import Page

API = "performanceMeasurement"
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
SLICE = 2000  # rows judged before other requests get their turn
ERRORS_SHOWN = 100
REASONS_KEPT = 100

router = APIRouter(prefix=f"/tmf-api/{API}/v1", tags=[API])
Ctx = Annotated[Context[ServiceQualitySettings], Depends(context)]


class NotJson:
    """Stands in a batch for a line that is no JSON."""


class Batch:
    """The rows of one request: judged as they arrive, stored together at the end."""

    def __init__(self, ctx: Context[ServiceQualitySettings], book: Ledger, limits: Limits) -> None:
        self.ctx, self.book, self.limits = ctx, book, limits
        self.records: dict[str, Record] = {}
        self.rows = self.rejected = self.repeated = self.unreadable = 0
        self.errors: list[dict[str, Any]] = []
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.examples: dict[tuple[str, str], str] = {}

    async def add(self, rows: list[Any], lines: Sequence[int] | None = None) -> None:
        """Judge rows; `lines`: where each stands in its file, if they come from one."""
        for row in rows:
            if type(row) is dict and "granularityS" in row:
                row["granularity"] = row["granularityS"]
        await self.book.learn_units(self.ctx, rows, self.limits)
        good, bad = parse_batch(rows, self.limits, self.book.catalogue)
        for rejection in bad:
            self._reject(rejection, rows[rejection.index], lines[rejection.index] if lines else None)
        known, records, unknown = self.book.series, self.records, []
        for m in good:
            key, id = key_of(m.id)
            if key in records:
                self.repeated += 1
                continue
            series: Key = (m.resource, m.service, m.kpi)
            number = known.get(series)
            if number is None:
                unknown.append((key, series))
                number = 0
            records[key] = (key, number, m.observed_at, m.value, m.granularity_s, m.source, id)
        if unknown:
            await self.book.learn_series(self.ctx, {series for _, series in unknown})
            for key, series in unknown:
                record = records[key]
                records[key] = (key, known[series], *record[2:])
        self.rows += len(rows)
        await asyncio.sleep(0)

    def fault(self, line: int, element: str, reason: str) -> None:
        """Something in a file that did not become a row."""
        self.rejected += 1
        if len(self.errors) < ERRORS_SHOWN:
            self.errors.append({"line": line, "id": None, "attribute": element, "reason": reason})
        self._count((element, reason), "")

    def _reject(self, rejection: Rejection, row: Any, line: int | None) -> None:
        self.rejected += 1
        attribute, reason = rejection.attribute, rejection.reason
        if isinstance(row, NotJson):
            self.unreadable += 1
            reason = "the line is not JSON"
        if attribute == "granularity" and "granularityS" in row:
            attribute = "granularityS"
        id = row.get("id") if isinstance(row, dict) else None
        if len(self.errors) < ERRORS_SHOWN:
            place = {"index": self.rows + rejection.index} if line is None else {"line": line}
            error = {**place, "id": id[:255] if isinstance(id, str) else None, "attribute": attribute}
            self.errors.append({**error, "reason": reason})
        self._count((attribute, reason), _example(row))

    def _count(self, kind: tuple[str, str], example: str) -> None:
        if kind in self.reasons or len(self.reasons) < REASONS_KEPT:
            self.reasons[kind] += 1
            self.examples.setdefault(kind, example)

    def refusals(self) -> list[Refusal]:
        named = [Refusal(*kind, rows, self.examples[kind]) for kind, rows in self.reasons.items()]
        rest = self.rejected - sum(r.rows for r in named)
        return [*named, Refusal("", "other reasons", rest, "")] if rest else named


def _example(row: Any) -> str:
    if not isinstance(row, dict):
        return ""
    plain = {name: value for name, value in row.items() if not isinstance(value, dict | list)}
    return orjson.dumps(plain).decode()[:500]


@router.post(
    "/measurement",
    operation_id="createMeasurement",
    response_model=readings.BatchResult,
    openapi_extra=readings.ndjson_and_json(readings.MeasurementIn),
)
async def accept(request: Request, ctx: Ctx) -> Response:
    """Take a batch. The whole batch is one transaction; sent again it adds nothing."""
    permit(request, API, "measurement", "create")
    media = http.media_type(request.scope, (http.JSON_MEDIA, *NDJSON))
    book = ledger(ctx)
    batch = Batch(ctx, book, await book.limits(ctx))
    if media in NDJSON:
        async for lines in _lines(request):
            await batch.add(_read(lines))
        if batch.unreadable and batch.unreadable == batch.rows:
            raise BadRequest("no line of the body is JSON")
    else:
        rows = _array(await http.body(request.scope, request.receive, ctx.settings.max_body_bytes))
        for first in range(0, len(rows), SLICE):
            await batch.add(rows[first : first + SLICE])
    return await stored(ctx, book, batch)


async def stored(ctx: Context[ServiceQualitySettings], book: Ledger, batch: Batch) -> Response:
    """Store what was taken, and say what became of the batch."""
    new = await book.store(ctx, batch.records, batch.refusals())
    if new:
        ctx.wake("evaluate")
    duplicates = batch.repeated + len(batch.records) - new
    counted = ctx.telemetry.counter("service_quality_measurements", "Measurements received, by outcome.", ("outcome",))
    for outcome, count in (("accepted", new), ("duplicate", duplicates), ("rejected", batch.rejected)):
        counted.labels(outcome).inc(count)
    result = {"accepted": new, "duplicates": duplicates, "rejected": batch.rejected, "errors": batch.errors}
    return Response(orjson.dumps(result), media_type=http.JSON_MEDIA)


def _array(body: bytes) -> list[Any]:
    try:
        rows = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise BadRequest(f"the body is not JSON: {e.msg} at line {e.lineno} column {e.colno}") from e
    if not isinstance(rows, list):
        raise BadRequest("a batch is a JSON array of measurements")
    return rows


async def _lines(request: Request) -> AsyncIterator[list[bytes]]:
    """The lines of a body as they arrive. No database is held while a sender takes its time."""
    rest = b""
    async for chunk in request.stream():
        *lines, rest = (rest + chunk).split(b"\n")
        for first in range(0, len(lines), SLICE):
            yield lines[first : first + SLICE]
    yield [rest]


def _read(lines: list[bytes]) -> list[Any]:
    """Lines as values; all at once where they are all good, one by one to find those that are not."""
    lines = [line for line in lines if line.strip()]
    try:
        rows = orjson.loads(b"[" + b",".join(lines) + b"]")
        if len(rows) == len(lines):
            return list(rows)
    except orjson.JSONDecodeError:
        pass
    return [_value(line) for line in lines]


def _value(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return NotJson()


# --- out ---

Text = Annotated[str | None, Query(description="one value, or several with commas")]
DATE_TIME = {"format": "date-time"}
From = Annotated[str | None, Query(alias="from", description="instant, included", json_schema_extra=DATE_TIME)]
To = Annotated[str | None, Query(description="instant, not included", json_schema_extra=DATE_TIME)]


@router.get("/measurement", operation_id="listMeasurement", response_model=list[readings.Measurement])
async def list_measurements(
    request: Request,
    ctx: Ctx,
    resource: Text = None,
    service: Text = None,
    kpi: Text = None,
    from_: From = None,
    to: To = None,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    limit: Annotated[int | None, Query(ge=0, le=2**31)] = None,
) -> Response:
    """Measurements as they are kept, oldest first."""
    permit(request, API, "measurement", "list")
    wanted = summary.Wanted.of(resource, service, kpi, from_, to)
    count = min(ctx.settings.default_limit if limit is None else limit, ctx.settings.max_limit)
    rows, total = await summary.measurements(ctx, wanted, offset, count)
    return _page(request, ctx, rows, Page(offset, count, len(rows), total))


@router.get("/kpiSummary", operation_id="listKpiSummary", response_model=list[readings.KpiSummary])
async def list_kpi_summaries(
    request: Request,
    ctx: Ctx,
    resource: Text = None,
    service: Text = None,
    kpi: Text = None,
    from_: From = None,
    to: To = None,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    limit: Annotated[int | None, Query(ge=0, le=2**31)] = None,
) -> Response:
    """Each series over a window (default: up to its newest measurement) and over the time before as its baseline."""
    permit(request, API, "kpiSummary", "list")
    wanted = summary.Wanted.of(resource, service, kpi, from_, to)
    count = min(ctx.settings.max_limit if limit is None else limit, ctx.settings.max_limit)
    rows, total = await summary.summaries(ctx, wanted, offset, count)
    return _page(request, ctx, rows, Page(offset, count, len(rows), total))


def _page(request: Request, ctx: Context[Any], rows: list[dict[str, Any]], page: Page) -> Response:
    base = http.origin(request.scope, ctx.settings.public_url) + request.url.path
    headers = {
        "X-Total-Count": str(page.total),
        "X-Result-Count": str(page.count),
        "Link": page.link(base, request.url.query),
    }
    partial = page.partial and rows and ctx.settings.partial_content
    return Response(orjson.dumps(rows, option=orjson.OPT_UTC_Z), 206 if partial else 200, headers, http.JSON_MEDIA)
