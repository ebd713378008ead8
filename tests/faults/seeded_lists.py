"""Faults of lists: filters, paging, counts, sorting, field selection, and what a list shows or hides."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote, unquote_plus

from seeded import Answer, Call, Doc, Seat, kind, named

TOTAL, RESULT = "x-total-count", "x-result-count"


def rows(answer: Answer) -> list[Doc]:
    return answer.documents if isinstance(answer.json, list) else []


def relisted(answer: Answer, shown: list[Doc]) -> Answer:
    """The list with other rows; its counts follow."""
    difference = len(shown) - len(rows(answer))
    total = answer.header(TOTAL)
    if total is not None:
        answer.set(TOTAL, int(total) + difference)
    return answer.put(shown).set(RESULT, len(shown))


def _value(parameter: str) -> str:
    return unquote_plus(parameter.partition("=")[2])


# --- filters ---------------------------------------------------------------------------------------------------


@kind
async def filter_ignored(seat: Seat, call: Call) -> Answer:
    return await seat.ask(call.unfiltered() if call.lists else call)


@kind
async def filter_adds(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if not call.lists or not call.filters or not answer.ok:
        return answer
    shown = rows(answer)
    known = {d.get("id") for d in shown}
    others = [d for d in rows(await seat.ask(call.unfiltered().without("offset", "limit"))) if d.get("id") not in known]
    return relisted(answer, shown + others[:1])


@kind
async def filter_drops(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    return relisted(answer, rows(answer)[:-1]) if call.lists and call.filters and rows(answer) else answer


@kind
async def or_comma_ignored(seat: Seat, call: Call) -> Answer:
    def first(parameter: str) -> str:
        if parameter not in call.filters or "," not in _value(parameter):
            return parameter
        return f"{parameter.partition('=')[0]}={quote(_value(parameter).split(',')[0], safe='')}"

    return await seat.ask(replace(call, query=tuple(first(p) for p in call.query)) if call.lists else call)


@kind
async def or_repeated_last(seat: Seat, call: Call) -> Answer:
    last = {named(p): p for p in call.query}
    return await seat.ask(replace(call, query=tuple(last.values())) if call.lists else call)


@kind
async def and_as_first(seat: Seat, call: Call) -> Answer:
    kept = tuple(p for p in call.query if p not in call.filters) + call.filters[:1]
    return await seat.ask(replace(call, query=kept) if call.lists else call)


@kind
async def dotted_filter_ignored(seat: Seat, call: Call) -> Answer:
    operators = {"eq", "ne", "gt", "gte", "lt", "lte", "regex", "in"}

    def dotted(parameter: str) -> bool:
        return parameter in call.filters and bool(set(named(parameter).split(".")[1:]) - operators)

    return await seat.ask(replace(call, query=tuple(p for p in call.query if not dotted(p))) if call.lists else call)


@kind
async def operator_inclusive(seat: Seat, call: Call) -> Answer:
    def wider(parameter: str) -> str:
        name, equals, value = parameter.partition("=")
        if equals and parameter in call.filters and name.endswith((".gt", ".lt")):
            return f"{name}e={value}"
        plain = unquote_plus(parameter)
        for sign in "><":
            if parameter in call.filters and sign in plain and f"{sign}=" not in plain:
                left, _, right = plain.partition(sign)
                return f"{quote(left, safe='@')}{quote(sign)}={quote(right, safe='')}"
        return parameter

    return await seat.ask(replace(call, query=tuple(wider(p) for p in call.query)) if call.lists else call)


@kind
async def type_filter_ignored(seat: Seat, call: Call) -> Answer:
    return await seat.ask(call.without("@type") if call.lists else call)


@kind
async def jsonpath_ignored(seat: Seat, call: Call) -> Answer:
    return await seat.ask(call.without("filter") if call.lists else call)


@kind
async def jsonpath_bad_accepted(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    unread = call.lists and call.parameter("filter") is not None and answer.status == 400
    return await seat.ask(call.without("filter")) if unread else answer


@kind
async def empty_404(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    empty = call.lists and call.filters and answer.ok and answer.json == []
    return seat.refusal(404, "Nothing matches") if empty else answer


# --- pages and counts ------------------------------------------------------------------------------------------


@kind
async def total_unfiltered(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if not call.lists or not answer.ok:
        return answer
    everything = await seat.ask(call.unfiltered().without("filter", "fields"))
    return answer.set(TOTAL, everything.header(TOTAL))


@kind
async def total_of_page(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    return answer.set(TOTAL, len(rows(answer))) if call.lists and answer.ok else answer


@kind
async def total_missing(seat: Seat, call: Call) -> Answer:
    return (await seat.ask(call)).set(TOTAL, None)


@kind
async def result_count_wrong(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    return answer.set(RESULT, len(rows(answer)) + seat.detail["by"]) if call.lists and answer.ok else answer


@kind
async def limit_ignored(seat: Seat, call: Call) -> Answer:
    return await seat.ask(call.without("limit") if call.lists else call)


@kind
async def offset_shift(seat: Seat, call: Call) -> Answer:
    offset = call.parameter("offset") or "0"
    if call.lists and offset.isdigit() and int(offset) > 0:
        return await seat.ask(call.setting("offset", int(offset) + seat.detail["by"]))
    return await seat.ask(call)


@kind
async def negative_accepted(seat: Seat, call: Call) -> Answer:
    name = seat.detail["parameter"]
    negative = call.lists and (call.parameter(name) or "").startswith("-")
    return await seat.ask(call.without(name) if negative else call)


@kind
async def partial_200(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    answer.status = 200 if answer.status == 206 else answer.status
    return answer


@kind
async def full_206(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    answer.status = 206 if call.lists and answer.status == 200 else answer.status
    return answer


# --- sorting and fields ----------------------------------------------------------------------------------------


@kind
async def sort_ignored(seat: Seat, call: Call) -> Answer:
    return await seat.ask(call.without("sort") if call.lists else call)


@kind
async def sort_reversed(seat: Seat, call: Call) -> Answer:
    keys = call.parameter("sort")
    if not call.lists or not keys:
        return await seat.ask(call)
    turned = [k.strip()[1:] if k.strip().startswith("-") else f"-{k.strip().lstrip('+')}" for k in keys.split(",")]
    return await seat.ask(call.setting("sort", ",".join(turned)))


@kind
async def sort_minus_ignored(seat: Seat, call: Call) -> Answer:
    keys = call.parameter("sort")
    if not call.lists or not keys:
        return await seat.ask(call)
    return await seat.ask(call.setting("sort", ",".join(k.strip().lstrip("-+") for k in keys.split(","))))


@kind
async def fields_ignored(seat: Seat, call: Call) -> Answer:
    return await seat.ask(call.without("fields"))


@kind
async def fields_first_only(seat: Seat, call: Call) -> Answer:
    names = call.parameter("fields")
    return await seat.ask(call.setting("fields", names.split(",")[0]) if names else call)


@kind
async def fields_without_id(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    return answer.changed(lambda doc: doc.pop("id", None)) if call.parameter("fields") is not None else answer


@kind
async def fields_without_href(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    return answer.changed(lambda doc: doc.pop("href", None)) if call.parameter("fields") is not None else answer


# --- what a list shows -----------------------------------------------------------------------------------------


@kind
async def list_wrapped(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    return answer.put({"items": answer.json}) if call.lists and answer.ok else answer


@kind
async def created_unlisted(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    new = seat.remembered("new", set)
    if call.creates:
        new |= {d.get("id") for d in answer.documents}
    elif call.lists and answer.ok:
        return relisted(answer, [d for d in rows(answer) if d.get("id") not in new])
    return answer


@kind
async def created_not_retrievable(seat: Seat, call: Call) -> Answer:
    new = seat.remembered("new", set)
    if call.method == "GET" and call.id in new:
        return seat.refusal(404, "Not found")
    answer = await seat.ask(call)
    if call.creates:
        new |= {d.get("id") for d in answer.documents}
    return answer


@kind
async def deleted_listed(seat: Seat, call: Call) -> Answer:
    gone: dict[str, Doc] = seat.remembered("gone")
    before = await seat.current(call) if call.method == "DELETE" else {}
    answer = await seat.ask(call)
    if before and answer.ok:
        gone[before["id"]] = before
    wanted = call.parameter("id")
    only_id = all(named(p) == "id" for p in call.filters) and call.parameter("filter") is None
    if call.lists and answer.ok and only_id and call.parameter("offset") in (None, "0"):
        return relisted(answer, rows(answer) + [d for id, d in gone.items() if wanted in (None, id)])
    return answer
