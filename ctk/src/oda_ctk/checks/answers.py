"""What all answers of the run have in common. Judged at the end, over everything that the other checks have caused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from oda_ctk.check import FILE, MUST, PART_1, SHOULD, NotApplicable, check, expect
from oda_ctk.contract import shape
from oda_ctk.exchange import Exchange
from oda_ctk.session import Session
from oda_ctk.shapes import nulls, violations, zoneless
from oda_ctk.subject import Subject

DOTTED_FIELDS = re.compile(r"[?&]fields=[^&]*\.")


def _mine(s: Subject) -> Iterator[tuple[Exchange, bool]]:
    """The answers to requests of this resource, and whether of one member."""
    depth = shape(s.facts.path).count("/")
    parts = s.facts.path.strip("/").split("/")
    prefix = s.target.base.partition("://")[2].partition("/")[2].strip("/")
    for exchange in s.session.exchanges:
        found = exchange.path.strip("/").removeprefix(prefix).strip("/").split("/")
        if not all(p == f or p.startswith("{") for p, f in zip(parts, found, strict=False)):
            continue
        if len(found) in (depth, depth + 1):
            yield exchange, len(found) == depth + 1


def _successes(s: Subject) -> list[tuple[Exchange, bool]]:
    found = [(e, one) for e, one in _mine(s) if e.ok and e.content and e.status != 202]
    if not found:
        raise NotApplicable("there was no answer to judge")
    return found


@check("answers.schema", MUST, f"{FILE}: {{resource}} (types, enumerations, mandatory attributes)", last=True)
def schema(s: Subject) -> str:
    """Every answer of the run has the published types, enumerations and mandatory attributes."""
    judged = 0
    for exchange, document in _shown(s):
        partial = "fields=" in exchange.url
        wrong = violations(s.session.contract, s.facts.schema, document, partial=partial)
        expect(not wrong, f"{exchange.told()}: {'; '.join(wrong[:3])}", exchange)
        judged += 1
    return f"{judged} resources"


def _shown(s: Subject) -> Iterator[tuple[Exchange, Any]]:
    """Every resource in the answers, but those that should have been refused and those of which a part is shown."""
    for exchange, _ in _successes(s):
        if DOTTED_FIELDS.search(exchange.url):  # of inner objects, too, a part is shown
            continue
        for document in exchange.rows if isinstance(exchange.json, list) else [exchange.json]:
            if not (isinstance(document, dict) and str(document.get("id")) in s.session.tainted):
                yield exchange, document


@check("answers.zone", MUST, f"{FILE}: {{resource}} (date-time)", last=True)
def instants_have_a_zone(s: Subject) -> None:
    """Every date-time of the run has its zone (RFC 3339 5.6)."""
    for exchange, document in _shown(s):
        wrong = zoneless(s.session.contract, s.facts.schema, document)
        expect(not wrong, f"{exchange.told()}: without zone, {'; '.join(wrong[:3])}", exchange)


@check("answers.null", SHOULD, f"{FILE}: {{resource}} (types)", last=True)
def absent_is_not_null(s: Subject) -> None:
    """An attribute without a value is left out; null is of none of the published types."""
    for exchange, document in _shown(s):
        names = nulls(s.session.contract, s.facts.schema, document)
        expect(not names, f"{exchange.told()}: null is shown for {', '.join(names[:5])}", exchange)


@check("answers.shape", MUST, f"{FILE}: {{resource}}", last=True)
def list_or_object(s: Subject) -> None:
    """A list is answered with an array, one resource with an object, both as JSON."""
    for exchange, one in _successes(s):
        if exchange.method == "GET":
            wanted = dict if one else list
            expect(isinstance(exchange.json, wanted), f"{exchange.told()} is no {wanted.__name__}", exchange)
        elif exchange.method == "POST":
            expect(isinstance(exchange.json, dict), f"{exchange.told()} is no object", exchange)


def _errors(exchanges: list[Exchange]) -> list[Exchange]:
    return [e for e in exchanges if e.status >= 400 and e.method != "HEAD"]


@check("errors.body", MUST, f"{PART_1} 3.4", scope="api", last=True)
def error_body(s: Session) -> str:
    """Every refusal of the run has a body with code and reason (and in version 5 @type)."""
    found = _errors(s.exchanges)
    if not found:
        raise NotApplicable("nothing was refused")
    for exchange in found:
        error = exchange.document
        for name in ("code", "reason", *(("@type",) if s.v5 else ())):
            value = error.get(name)
            expect(value not in (None, ""), f"{exchange.told()}: the error has no {name}", exchange)
            expect(isinstance(value, str), f"{exchange.told()}: {name} is {value!r}, which is no text", exchange)
    return f"{len(found)} refusals"


@check("errors.media", MUST, f"{PART_1} 3.4", scope="api", last=True)
def error_media(s: Session) -> None:
    """Every refusal is JSON and says so."""
    for exchange in _errors(s.exchanges):
        media = exchange.headers.get("content-type", "").split(";")[0].strip().lower()
        expect(media.endswith("json"), f"{exchange.told()} is {media!r}", exchange)


@check("errors.status", MUST, f"{PART_1} 3.4", scope="api", last=True)
def error_status(s: Session) -> None:
    """An error that repeats the status repeats the right one, as a text."""
    for exchange in _errors(s.exchanges):
        told = exchange.document.get("status")
        expect(told is None or told == str(exchange.status), f"{exchange.told()}: status is {told!r}", exchange)


@check("answers.no-5xx", MUST, f"{PART_1} 3.3", scope="api", last=True)
def no_failure(s: Session) -> str:
    """Every request of the run is answered, and none with 5xx (501 says that something is not offered)."""
    for exchange in s.exchanges:
        expect(exchange.status < 500 or exchange.status == 501, exchange.told(), exchange)
    lost = s.target.unanswered
    expect(not lost, f"{len(lost)} without an answer, the first: {lost[0] if lost else ''}")
    return f"{len(s.exchanges)} requests"


@check("answers.published-status", MUST, f"{FILE}: statuses", last=True)
def published_status(s: Subject) -> None:
    """Every success has a status that is published for its operation (and 206 for pages)."""
    for exchange, one in _mine(s):
        operation = s.operation(exchange.method, one)
        if exchange.ok and operation is not None and operation.success:
            allowed = {*operation.success, *(("206",) if operation.many else ())}
            expect(
                str(exchange.status) in allowed,
                f"{exchange.told()}, published: {', '.join(operation.success)}",
                exchange,
            )
