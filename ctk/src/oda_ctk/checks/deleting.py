"""DELETE, and that it stays deleted."""

from __future__ import annotations

from oda_ctk.check import FILE, MUST, PART_1, check, expect
from oda_ctk.subject import Subject

NEEDS = ("delete", "create", "retrieve")


@check("delete.status", MUST, f"{FILE}: DELETE {{resource}}", needs=("delete", "create"))
def status(s: Subject) -> None:
    """DELETE is answered with the published status and without a body."""
    doc = s.created()
    operation = s.operation("DELETE", one=True)
    allowed = operation.success if operation else ("204",)
    answer = s.target.delete(s.one(doc["id"]))
    expect(str(answer.status) in allowed, f"{answer.told()}, but {' or '.join(allowed)} is published", answer)
    expect(answer.status != 204 or not answer.content, "204 with a body", answer)


@check("delete.gone", MUST, f"{PART_1} 3.3", needs=NEEDS)
def gone(s: Subject) -> None:
    """What is deleted is found neither by GET nor in the list, and cannot be changed."""
    doc = s.created()
    deleted = s.target.delete(s.one(doc["id"]))
    answer = s.get(doc["id"])
    expect(answer.status in (404, 410), f"after DELETE, {answer.told()}", deleted, answer)
    if s.has("list"):
        row, listed = s.listed(doc["id"])
        expect(row is None, "after DELETE, the list still has it", deleted, listed)
    if s.has("patch"):
        changed = s.patch(doc, {})
        expect(changed.status in (404, 410), f"after DELETE, {changed.told()}", deleted, changed)


@check("delete.alone", MUST, f"{FILE}: DELETE {{resource}}", needs=NEEDS)
def alone(s: Subject) -> None:
    """DELETE takes away one resource only."""
    kept, taken = s.created(), s.created()
    deleted = s.target.delete(s.one(taken["id"]))
    answer = s.get(kept["id"])
    expect(answer.status == 200, f"after DELETE of another, {answer.told()}", deleted, answer)


@check("delete.repeated", MUST, f"{PART_1} 3.3", needs=NEEDS)
def repeated(s: Subject) -> None:
    """A second DELETE of the same resource is answered with 404 and does no harm."""
    doc = s.created()
    s.target.delete(s.one(doc["id"]))
    answer = s.target.delete(s.one(doc["id"]))
    expect(answer.status in (404, 410), f"the second time, {answer.told()}", answer)


@check("delete.unknown", MUST, f"{PART_1} 3.3", needs=("delete",))
def unknown(s: Subject) -> None:
    """DELETE of an id that does not exist is answered with 404."""
    answer = s.target.delete(s.one(f"ctk-no-such-{s.session.run}"))
    expect(answer.status == 404, f"{answer.told()} instead of 404", answer)
