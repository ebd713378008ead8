"""Faults of PATCH and DELETE: lost updates, merges that are none, protected attributes, states, deletions that delete
nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from seeded import Answer, Call, Doc, Seat, kind

SLOW_S = 0.15
"""So long a change lies between reading and writing where updates get lost."""


def merged(target: Any, patch: Any) -> Any:
    """JSON Merge Patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


# --- PATCH -----------------------------------------------------------------------------------------------------


@kind
async def patch_lost_update(seat: Seat, call: Call) -> Answer:
    """What others have changed between the reading and the writing is set back to what was read."""
    if not call.merges or not call.document:
        return await seat.ask(call)
    done: list[tuple[str | None, set[str]]] = seat.remembered("done", list)
    turn: asyncio.Lock = seat.remembered("turn", asyncio.Lock)
    since = len(done)
    read = await seat.current(call)
    await asyncio.sleep(SLOW_S)
    async with turn:
        others = {name for id, names in done[since:] if id == call.id for name in names} - set(call.document)
        back = {name: read.get(name) for name in others}
        answer = await seat.ask(call.sending({**back, **call.document}))
        if answer.ok:
            done.append((call.id, set(call.document)))
    return answer


@kind
async def patch_old_state(seat: Seat, call: Call) -> Answer:
    before = await seat.current(call) if call.method == "PATCH" else {}
    answer = await seat.ask(call)
    return answer.put(before) if before and answer.ok else answer


@kind
async def patch_without_effect(seat: Seat, call: Call) -> Answer:
    before = await seat.current(call) if call.merges else {}
    if not before or not call.document or {"id", "href", "@type"} & set(call.document):
        return await seat.ask(call)
    return Answer(200, [], b"").put(merged(before, call.document))


@kind
async def id_changed(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if call.method != "PATCH":
        return answer
    return answer.changed(lambda doc: doc.update(id=f"{doc.get('id')}-2"))


@kind
async def patch_protected_accepted(seat: Seat, call: Call) -> Answer:
    sent = call.document
    if call.merges and sent.pop(seat.detail["attribute"], None) is not None:
        return await seat.ask(call.sending(sent))
    return await seat.ask(call)


@kind
async def merge_appends(seat: Seat, call: Call) -> Answer:
    if not call.merges or not call.document:
        return await seat.ask(call)
    before = await seat.current(call)
    sent = {
        name: [*before[name], *value] if isinstance(value, list) and isinstance(before.get(name), list) else value
        for name, value in call.document.items()
    }
    return await seat.ask(call.sending(sent))


@kind
async def merge_keeps_null(seat: Seat, call: Call) -> Answer:
    def kept(value: Any) -> Any:
        return {k: kept(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else value

    return await seat.ask(call.sending(kept(call.document)) if call.merges and call.document else call)


@kind
async def merge_replaces_objects(seat: Seat, call: Call) -> Answer:
    if not call.merges or not call.document:
        return await seat.ask(call)
    before = await seat.current(call)

    def replacing(old: Any, new: Any) -> Any:
        if not isinstance(new, dict) or not isinstance(old, dict):
            return new
        return {**{k: None for k in old if k not in new}, **{k: replacing(old.get(k), v) for k, v in new.items()}}

    return await seat.ask(call.sending({k: replacing(before.get(k), v) for k, v in call.document.items()}))


@kind
async def json_patch_query_ignored(seat: Seat, call: Call) -> Answer:
    if call.method == "PATCH" and call.media == "application/json-patch-query+json":
        return await seat.ask(call.reading())
    return await seat.ask(call)


@kind
async def json_patch_not_atomic(seat: Seat, call: Call) -> Answer:
    steps = call.json
    if call.method != "PATCH" or call.media != "application/json-patch+json" or not isinstance(steps, list):
        return await seat.ask(call)
    answer = await seat.ask(call.sending([]) if not steps else call.sending(steps[:1]))
    for step in steps[1:]:
        if not answer.ok:
            break
        answer = await seat.ask(call.sending([step]))
    return answer


@kind
async def illegal_state_accepted(seat: Seat, call: Call) -> Answer:
    """What is refused with 409 is shown from then on as if it were stored, until the next change."""
    name = seat.detail["attribute"]
    shown: dict[Any, Any] = seat.remembered("shown")
    answer = await seat.ask(call)
    if call.method == "PATCH":
        shown.pop(call.id, None)
        if answer.status == 409 and name in call.document:
            shown[call.id] = call.document[name]
            answer = await seat.ask(call.reading())

    def change(doc: Doc) -> None:
        if doc.get("id") in shown:
            doc[name] = shown[doc["id"]]

    return answer.changed(change)


# --- DELETE ----------------------------------------------------------------------------------------------------


@kind
async def delete_status(seat: Seat, call: Call) -> Answer:
    answer = await seat.ask(call)
    if call.method == "DELETE" and answer.status == 204:
        return Answer(seat.detail["status"], [], b"").put({})
    return answer


@kind
async def delete_kept(seat: Seat, call: Call) -> Answer:
    if call.method == "DELETE" and await seat.current(call):
        seat.undo.append(call)
        return Answer(204, [], b"")
    return await seat.ask(call)


@kind
async def delete_repeated(seat: Seat, call: Call) -> Answer:
    gone = seat.remembered("gone", set)
    answer = await seat.ask(call)
    if call.method == "DELETE":
        if answer.ok:
            gone.add(call.id)
        elif answer.status == 404 and call.id in gone:
            return Answer(204, [], b"")
    return answer
