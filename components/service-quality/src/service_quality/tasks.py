"""TMF656 tasks: acknowledge problems or take it back, put problems under a parent or take them out again.

A task does its work in the transaction that stores it. Problems that are not there, or that are over, are left out of
its answer; if none is left the task ends with an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from service_quality.resources import ServiceProblem
from service_quality.service_problem import FINAL, moved
from tmfkit import Transaction
from tmfkit.call import CALL
from tmfkit.write import rfc3339

Document = dict[str, Any]
Change = Callable[[Document], Document]


async def acknowledge(tx: Transaction, task: Document) -> Document:
    """Problems are taken up: one that waits (pending, held) is in progress again; the task's record goes into each."""

    def change(problem: Document) -> Document:
        if problem["status"] in ("pending", "held"):
            problem = moved(problem, "inProgress", "acknowledged", _now())
        return _recorded(problem, "acknowledged", task)

    done = await _changed(tx, task["problem"], change)
    return _ended({**task, "ackProblem": _kept(task["problem"], done)}, done)


async def unacknowledge(tx: Transaction, task: Document) -> Document:
    """An acknowledgement is taken back: the problem waits for somebody else (pending)."""

    def change(problem: Document) -> Document:
        if problem["status"] in ("acknowledged", "inProgress", "held"):
            problem = moved(problem, "pending", "acknowledgement taken back", _now())
        return _recorded(problem, "acknowledgement taken back", task)

    done = await _changed(tx, task["problem"], change)
    return _ended({**task, "unackProblem": _kept(task["problem"], done)}, done)


async def group(tx: Transaction, task: Document) -> Document:
    """Problems become parts of a parent: parentProblem in each, underlyingProblem in the parent."""
    parent, children = task["parentProblem"], task["childProblem"]
    found = await _locked(tx, [parent, *children])
    inside = [ref for ref in children if ref["id"] in found and ref["id"] != parent["id"]]
    if parent["id"] not in found or not inside:
        return _ended(task, set())
    for ref in inside:
        await _write(tx, found[ref["id"]], "parentProblem", add=[parent])
    await _write(tx, found[parent["id"]], "underlyingProblem", add=inside)
    return _ended(task, {ref["id"] for ref in inside})


async def ungroup(tx: Transaction, task: Document) -> Document:
    """Problems are taken out of their parent."""
    parent, children = task["parentProblem"], task["childProblem"]
    found = await _locked(tx, [parent, *children])
    done = {ref["id"] for ref in children if ref["id"] in found}
    for id in sorted(done):
        await _write(tx, found[id], "parentProblem", drop={parent["id"]})
    if parent["id"] in found:
        await _write(tx, found[parent["id"]], "underlyingProblem", drop=done)
    return _ended(task, done)


async def _locked(tx: Transaction, refs: Iterable[Document]) -> dict[str, Document]:
    """Problems by id, locked in one order, so that two tasks never wait in a circle."""
    found = {}
    for id in sorted({ref["id"] for ref in refs}):
        problem = await tx[ServiceProblem].find(id, lock=True)
        if problem is not None and problem["status"] not in FINAL:
            found[id] = problem
    return found


async def _changed(tx: Transaction, refs: list[Document], change: Change) -> set[str]:
    found = await _locked(tx, refs)
    for problem in found.values():
        await tx[ServiceProblem].replace(problem, change(problem))
    return set(found)


async def _write(
    tx: Transaction, problem: Document, name: str, *, add: Iterable[Document] = (), drop: Iterable[str] = ()
) -> None:
    gone = set(drop) | {ref["id"] for ref in add}
    references = [ref for ref in problem.get(name) or [] if ref["id"] not in gone] + list(add)
    new = {k: v for k, v in problem.items() if k != name} | ({name: references} if references else {})
    if new != problem:
        await tx[ServiceProblem].replace(problem, {**new, "lastUpdate": _now()})


def _recorded(problem: Document, what: str, task: Document) -> Document:
    said = task.get("trackingRecord") or {"@type": "TrackingRecord"}
    record = {**said, "description": what, "user": CALL.get().subject, "time": _now()}
    return {**problem, "trackingRecord": [*(problem.get("trackingRecord") or []), record], "lastUpdate": _now()}


def _kept(refs: list[Document], done: set[str]) -> list[Document]:
    return [ref for ref in refs if ref["id"] in done]


def _ended(task: Document, done: set[str]) -> Document:
    return {**task, "state": "done" if done else "terminatedWithError"}


def _now() -> str:
    return rfc3339(datetime.now(UTC))
