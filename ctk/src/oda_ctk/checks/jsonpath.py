"""filter= with a JSONPath expression. Optional; who does not have it answers 501."""

from __future__ import annotations

from oda_ctk.check import MUST, PART_6, Failure, NotApplicable, check, expect
from oda_ctk.exchange import Exchange
from oda_ctk.shapes import same
from oda_ctk.subject import PAGE, Document, Subject


def _asked(s: Subject, expression: str, *more: tuple[str, str]) -> Exchange:
    answer = s.ask(("filter", expression), *more, limit=PAGE)
    if answer.status == 501:
        raise NotApplicable("JSONPath is not offered (501), which is allowed")
    return answer


def _array(doc: Document) -> tuple[str, str, str | int | float]:
    """An array of objects, a member's attribute and its value."""
    for name, value in doc.items():
        for item in value if isinstance(value, list) else ():
            for key, inner in item.items() if isinstance(item, dict) else ():
                simple = isinstance(inner, str | int | float) and not isinstance(inner, bool)
                if simple and not key.startswith("@") and key != "href" and "'" not in str(inner):
                    return name, key, inner
    raise NotApplicable("the resource has no array of objects")


def _written(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


@check("list.jsonpath.array", MUST, PART_6, needs=("list",))
def members(s: Subject) -> str:
    """filter=array[?(@.attribute==value)] gives the resources that have such a member (or 501)."""
    docs = s.specimens()
    name, key, value = _array(docs[-1])
    expression = f"{name}[?(@.{key}=={_written(value)})]"
    answer = _asked(s, expression)
    expect(answer.status in (200, 206), f"{answer.told()} for filter={expression}", answer)

    def holds(doc: Document) -> bool:
        return any(isinstance(m, dict) and same(m.get(key), value) for m in doc.get(name) or ())

    wrong = [r for r in answer.rows if not holds(r)]
    expect(not wrong, f"filter={expression} finds {len(wrong)} that do not match", answer)
    lost = docs[-1]["id"] not in {r.get("id") for r in answer.rows} and len(answer.rows) < PAGE
    expect(not lost, f"filter={expression} does not find what matches", answer)
    nothing = _asked(s, f"{name}[?(@.{key}=='ctk-none-{s.session.run}')]")
    expect(nothing.status == 200 and nothing.json == [], "a value that nobody has finds something", nothing)
    one = _asked(s, expression, ("id", str(docs[-1]["id"])))
    expect([r.get("id") for r in one.rows] == [docs[-1]["id"]], "it does not combine with a plain filter", one)
    return f"tried: {expression}"


@check("list.jsonpath.root", MUST, PART_6, needs=("list",))
def root(s: Subject) -> None:
    """filter=$[?(@.attribute==value)] gives the resources with that value (or 501)."""
    if not s.marker:
        raise NotApplicable("no attribute is known that tells the resources apart")
    docs = s.specimens()
    value = str(docs[0].get(s.marker))
    expected = {d["id"] for d in docs if d.get(s.marker) == value}
    answer = _asked(s, f"$[?(@.{s.marker}=={_written(value)})]")
    expect(answer.status in (200, 206), f"{answer.told()}", answer)
    found = {r.get("id") for r in answer.rows if r.get(s.marker) == value}
    expect(len(found) == len(answer.rows), "resources are found that do not match", answer)
    expect(expected <= found or len(answer.rows) >= PAGE, "resources are not found that match", answer)


@check("list.jsonpath.syntax", MUST, PART_6, needs=("list",))
def syntax(s: Subject) -> None:
    """A JSONPath expression that is none is refused with 400 (or 501)."""
    for expression in ("$[?(@.name==", "note[?(", "][", "$[?(@.name=='x' &&)]"):
        answer = s.ask(("filter", expression))
        if answer.status not in (400, 501):
            raise Failure(f"filter={expression} is answered with {answer.status}", answer)
