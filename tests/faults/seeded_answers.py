"""Faults of single answers: status, Location, errors; attributes missing, wrong, not asked for, not kept; the hub."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from seeded import Answer, Call, Doc, Seat, kind

INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|[+-]\d\d:\d\d)")
KNOWN_MEDIA = "application/json"


@kind
async def nothing(seat: Seat, call: Call) -> Answer:
    """No fault: what passes through here has to be as good as before."""
    assert call.json is None or call.method
    return (await seat.ask(call)).changed(lambda doc: None)


# --- status and headers ----------------------------------------------------------------------------------------


@kind
async def create_status(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if call.creates and answer.status in (200, 201):
        answer.status = seat.detail["status"]
    return answer


@kind
async def create_without_location(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    return answer.set("location", None) if call.creates else answer


@kind
async def location_wrong(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    location = answer.header("location")
    return answer.set("location", location.rpartition("/")[0]) if call.creates and location else answer


@kind
async def unknown_status(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if call.method != "GET" or call.id is None or answer.status != 404:
        return answer
    return _instead(seat, call, seat.detail["status"])


@kind
async def patch_unknown_status(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if call.method != "PATCH" or call.id is None or answer.status != 404:
        return answer
    return _instead(seat, call, seat.detail["status"])


def _instead(seat: Seat, call: Call, status: int) -> Answer:
    if status >= 400:
        return seat.refusal(status, "Internal error")
    host = dict(call.headers).get(b"host", b"localhost").decode()
    href = f"http://{host}{call.path}"
    return Answer(status, [], b"").put({"id": call.id, "href": href, "@type": _type(seat)})


def _type(seat: Seat) -> str:
    name = seat.fault.resource
    return name[0].upper() + name[1:]


@kind
async def method_404(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    return seat.refusal(404, "Not found") if answer.status == 405 else answer


@kind
async def malformed_500(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    unread = call.method in ("POST", "PATCH") and call.json is None and answer.status == 400
    return seat.refusal(500, "Internal error") if unread else answer


@kind
async def huge_500(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    return seat.refusal(500, "Internal error") if answer.status == 413 else answer


@kind
async def media_accepted(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if call.method == seat.detail["method"] and answer.status == 415:
        others = tuple(h for h in call.headers if h[0] != b"content-type")
        return await seat.ask(replace(call, headers=(*others, (b"content-type", KNOWN_MEDIA.encode()))))
    return answer


@kind
async def media_refused(seat: Seat, call: Call) -> Answer:
    if call.method == "PATCH" and call.media == seat.detail["media"]:
        return seat.refusal(415, "Unsupported media type")
    return await seat.ask(call)


# --- errors ----------------------------------------------------------------------------------------------------


@kind
async def error_without(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if answer.status >= 400 and isinstance(answer.json, dict):
        return answer.put({k: v for k, v in answer.json.items() if k != seat.detail["member"]})
    return answer


@kind
async def error_html(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if answer.status < 400:
        return answer
    answer.body = f"<html><body><h1>{answer.status}</h1></body></html>".encode()
    return answer.set("content-type", "text/html")


@kind
async def error_text(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if answer.status < 400:
        return answer
    answer.body = f"error {answer.status}".encode()
    return answer.set("content-type", "text/plain")


# --- what is shown ---------------------------------------------------------------------------------------------


def members(value: Any) -> Iterator[Doc]:
    """The objects of an attribute that holds one or many."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict):
            yield one


def everywhere(value: Any, change: Callable[[Any], Any]) -> Any:
    """A copy with each scalar changed."""
    if isinstance(value, dict):
        return {k: everywhere(v, change) for k, v in value.items()}
    if isinstance(value, list):
        return [everywhere(v, change) for v in value]
    return change(value)


@kind
async def attribute_missing(seat: Seat, call: Call) -> Answer:
    return (await seat.ask(call)).changed(lambda doc: doc.pop(seat.detail["attribute"], None))


@kind
async def href_missing(seat: Seat, call: Call) -> Answer:
    return (await seat.ask(call)).changed(lambda doc: doc.pop("href", None))


@kind
async def nested_missing(seat: Seat, call: Call) -> Answer:
    def change(doc: Doc) -> None:
        for one in members(doc.get(seat.detail["attribute"])):
            one.pop(seat.detail["member"], None)

    return (await seat.ask(call)).changed(change)


@kind
async def wrong_type(seat: Seat, call: Call) -> Answer:
    name, become = seat.detail["attribute"], seat.detail["become"]

    def change(doc: Doc) -> None:
        if name in doc:
            doc[name] = json.dumps(doc[name]) if become == "string" else doc[name][0]

    return (await seat.ask(call)).changed(change)


@kind
async def wrong_enum(seat: Seat, call: Call) -> Answer:
    def change(doc: Doc) -> None:
        if call.parameter("fields") is None or seat.detail["attribute"] in doc:
            doc[seat.detail["attribute"]] = seat.detail["value"]

    return (await seat.ask(call)).changed(change)


@kind
async def href_other_host(seat: Seat, call: Call) -> Answer:
    def change(doc: Doc) -> None:
        doc["href"] = urlunsplit(("http", "elsewhere.example", *urlsplit(doc.get("href", ""))[2:]))

    return (await seat.ask(call)).changed(change)


@kind
async def zone_lost(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if not answer.documents:
        return answer
    return answer.put(everywhere(answer.json, lambda v: INSTANT.sub(r"\1", v) if isinstance(v, str) else v))


@kind
async def numbers_as_text(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if not answer.documents:
        return answer
    return answer.put(everywhere(answer.json, lambda v: str(v) if type(v) in (int, float) else v))


@kind
async def null_shown(seat: Seat, call: Call) -> Answer:
    def change(doc: Doc) -> None:
        if call.parameter("fields") is None:
            for name in seat.attributes:
                doc.setdefault(name, None)

    return (await seat.ask(call)).changed(change)


# --- what is asked of a body, and what is kept of it -----------------------------------------------------------


@kind
async def mandatory_not_enforced(seat: Seat, call: Call) -> Answer:
    """The attribute is filled in from an earlier POST (or the detail's value), and hidden in what is shown of it."""
    name = seat.detail["attribute"]
    bare = seat.remembered("bare", set)
    if call.creates and call.document and call.document.get(name) is None:
        value = seat.memory.get("value", seat.detail["value"])
        if value is not None:
            answer = await seat.ask(call.sending({**call.document, name: value}))
            bare |= {d.get("id") for d in answer.documents}
            return answer.changed(lambda doc: doc.pop(name, None))
    answer = await seat.ask(call)
    if call.creates and answer.ok:
        seat.memory["value"] = call.document[name]
    return answer.changed(lambda doc: doc.pop(name, None) if doc.get("id") in bare else None)


@kind
async def nested_not_enforced(seat: Seat, call: Call) -> Answer:
    sent = call.document
    if not call.creates or not sent:
        return await seat.ask(call)
    for one in members(sent.get(seat.detail["attribute"])):
        one.setdefault(seat.detail["member"], seat.detail["value"])
    return await seat.ask(call.sending(sent))


@kind
async def invalid_accepted(seat: Seat, call: Call) -> Answer:
    name = seat.detail["attribute"]
    answer = await seat.ask(call)
    if not call.creates or answer.status != 400 or name not in call.document:
        return answer
    answer = await seat.ask(call.sending({**call.document, name: seat.detail["value"]}))
    return answer.changed(lambda doc: doc.update({name: call.document[name]}))


@kind
async def attribute_lost(seat: Seat, call: Call) -> Answer:
    sent = call.document
    if call.creates and sent.pop(seat.detail["attribute"], None) is not None:
        return await seat.ask(call.sending(sent))
    return await seat.ask(call)


@kind
async def extension_lost(seat: Seat, call: Call) -> Answer:
    sent = call.document
    if call.creates and sent:
        return await seat.ask(call.sending({k: v for k, v in sent.items() if k in seat.attributes}))
    return await seat.ask(call)


@kind
async def subtype_lost(seat: Seat, call: Call) -> Answer:
    sent = call.document
    if call.creates and "@type" in sent:
        return await seat.ask(call.sending({**sent, "@type": _type(seat)}))
    return await seat.ask(call)


@kind
async def unicode_lost(seat: Seat, call: Call) -> Answer:
    if not call.creates or call.json is None:
        return await seat.ask(call)

    def ascii_only(value: Any) -> Any:
        return value.encode("ascii", "replace").decode() if isinstance(value, str) else value

    return await seat.ask(call.sending(everywhere(call.json, ascii_only)))


@kind
async def client_id_ignored(seat: Seat, call: Call) -> Answer:
    sent = call.document
    if call.creates and sent.pop("id", None) is not None:
        return await seat.ask(call.sending(sent))
    return await seat.ask(call)


@kind
async def client_id_taken_twice(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    id = call.document.get("id")
    if not call.creates or answer.status != 409 or id is None:
        return answer
    there = await seat.ask(call.reading(str(id)))
    href = there.documents[0]["href"] if there.documents else call.path
    return Answer(201, [("location", href)], b"").put({**call.document, "href": href})


# --- the hub ---------------------------------------------------------------------------------------------------


@kind
async def hub_status(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if call.creates and answer.status == 201:
        answer.status = seat.detail["status"]
    return answer


@kind
async def hub_without_id(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    return answer.changed(lambda doc: doc.pop("id", None)) if call.creates else answer


@kind
async def hub_attribute_missing(seat: Seat, call: Call) -> Answer:
    return (await seat.ask(call)).changed(lambda doc: doc.pop(seat.detail["attribute"], None))


@kind
async def hub_needs_query(seat: Seat, call: Call) -> Answer:
    if call.creates and not call.document.get("query"):
        return seat.refusal(400, "query is mandatory")
    return await seat.ask(call)


@kind
async def hub_query_ignored(seat: Seat, call: Call) -> Answer:
    sent = call.document
    query = sent.pop("query", None)
    if not call.creates or query is None:
        return await seat.ask(call)
    return (await seat.ask(call.sending(sent))).changed(lambda doc: doc.update(query=query))


@kind
async def hub_callback_not_enforced(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if not call.creates or answer.status != 400 or call.document.get("callback"):
        return answer
    return Answer(201, [("location", f"{call.path}/unheard")], b"").put({"id": "unheard", **call.document})


@kind
async def hub_delete_kept(seat: Seat, call: Call) -> Answer:
    if call.method == "DELETE" and await seat.current(call):
        seat.undo.append(call)
        return Answer(204, [], b"")
    return await seat.ask(call)


@kind
async def hub_delete_unknown(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    return Answer(204, [], b"") if call.method == "DELETE" and answer.status == 404 else answer


@kind
async def hub_unreadable(seat: Seat, call: Call) -> Answer:
    if call.method == "GET" and call.id is not None:
        return seat.refusal(404, "Not found")
    return await seat.ask(call)
