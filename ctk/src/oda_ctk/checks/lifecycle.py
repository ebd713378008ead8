"""Published life cycles and tasks, as far as the suite names them."""

from __future__ import annotations

import time

from oda_ctk.check import FILE, MUST, PART_4, Blocked, NotApplicable, check, expect
from oda_ctk.subject import Document, Subject
from oda_ctk.suite import Lifecycle


def _plan(s: Subject) -> Lifecycle:
    if s.plan.lifecycle is None:
        raise NotApplicable("the suite names no life cycle for this resource")
    return s.plan.lifecycle


def in_state(s: Subject, plan: Lifecycle, state: str) -> Document:
    """A new resource in that state: created with it, or brought there by the patches that `start` names."""
    start = plan.start.get(state)
    doc = s.created({**s.body(), **(s.session.filled(dict(start)) if start is not None else {plan.attribute: state})})
    if doc.get(plan.attribute) != state:
        route = _route(plan, str(doc.get(plan.attribute)), state)
        for step in route:
            answer = s.patch(doc, {plan.attribute: step})
            if not answer.ok:
                raise Blocked(f"the state {state} could not be reached: {answer.told()}")
        doc = s.get(doc["id"]).document
    if doc.get(plan.attribute) != state:
        raise Blocked(f"the state {state} could not be reached, it is {doc.get(plan.attribute)}")
    return doc


def _route(plan: Lifecycle, start: str, goal: str) -> list[str]:
    """The shortest way over legal moves."""
    ways: list[list[str]] = [[start]]
    seen = {start}
    while ways:
        way = ways.pop(0)
        if way[-1] == goal:
            return way[1:]
        for before, after in plan.legal:
            if before == way[-1] and after not in seen:
                seen.add(after)
                ways.append([*way, after])
    raise Blocked(f"the suite names no way from {start} to {goal}")


@check("lifecycle.legal", MUST, PART_4, needs=("patch", "create", "retrieve"))
def legal(s: Subject) -> str:
    """Every move that is published is made."""
    plan = _plan(s)
    if not plan.legal:
        raise NotApplicable("the suite names no legal move")
    for before, after in plan.legal:
        doc = in_state(s, plan, before)
        answer = s.patch(doc, {plan.attribute: after})
        expect(answer.ok, f"{before} to {after} is answered with {answer.status}", answer)
        read = s.get(doc["id"])
        expect(read.document.get(plan.attribute) == after, f"{before} to {after} is not made", answer, read)
    return f"tried: {', '.join(f'{a} to {b}' for a, b in plan.legal)}"


@check("lifecycle.illegal", MUST, PART_4, needs=("patch", "create", "retrieve"))
def illegal(s: Subject) -> str:
    """A move that is not published is refused with 409, and the state stays."""
    plan = _plan(s)
    if not plan.illegal:
        raise NotApplicable("the suite names no illegal move")
    for before, after in plan.illegal:
        doc = in_state(s, plan, before)
        answer = s.patch(doc, {plan.attribute: after})
        expect(answer.status in (409, 400, 422), f"{before} to {after} is answered with {answer.status}", answer)
        read = s.get(doc["id"])
        expect(read.document.get(plan.attribute) == before, "the state changed all the same", answer, read)
        expect(answer.status == 409, f"{before} to {after} is refused with {answer.status} instead of 409", answer)
    return f"tried: {', '.join(f'{a} to {b}' for a, b in plan.illegal)}"


@check("task.done", MUST, f"{FILE}: {{resource}}", needs=("create", "retrieve"))
def task_ends(s: Subject) -> str:
    """A task comes to an end that is published."""
    task = s.plan.task
    if task is None:
        raise NotApplicable("the resource is no task")
    doc = s.created()
    deadline = time.monotonic() + s.session.patience_s
    read = s.get(doc["id"])
    while read.document.get(task.attribute) not in task.final and time.monotonic() < deadline:
        time.sleep(0.2)
        read = s.get(doc["id"])
    found = read.document.get(task.attribute)
    expect(found in task.final, f"after {s.session.patience_s:g} s the task is {found!r}", read)
    return f"it is {found}"
