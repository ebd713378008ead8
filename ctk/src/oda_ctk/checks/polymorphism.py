"""Classes and their extension."""

from __future__ import annotations

from oda_ctk import payloads
from oda_ctk.check import MUST, PART_2, SHOULD, NotApplicable, check, expect
from oda_ctk.subject import Document, Subject


def _extended(s: Subject) -> Document:
    base = payloads.class_name(s.facts.create or s.facts.schema)
    return {
        **s.body(),
        "@type": f"Ctk{base}",
        "@baseType": base,
        "@schemaLocation": "https://example.org/ctk/extension.schema.json",
        "ctkExtension": {"number": 1, "list": ["a", "b"]},
    }


@check("type.extension", SHOULD, PART_2, needs=("create", "retrieve"))
def extension_is_kept(s: Subject) -> None:
    """A subclass with its own attribute is accepted and comes back whole."""
    sent = _extended(s)
    answer = s.post(sent)
    expect(answer.ok, f"a subclass is answered with {answer.status}", answer)
    read = s.get(answer.document.get("id"))
    expect(read.document.get("ctkExtension") == sent["ctkExtension"], "its attribute is lost", answer, read)
    expect(read.document.get("@type") == sent["@type"], f"its @type is {read.document.get('@type')!r}", answer, read)


@check("type.extension-found", SHOULD, PART_2, needs=("create", "list"))
def extension_is_found(s: Subject) -> None:
    """A subclass is found by its @type, and by that of no other class."""
    sent = _extended(s)
    answer = s.post(sent)
    if not answer.ok or answer.document.get("@type") != sent["@type"]:
        raise NotApplicable("the subclass is not kept; type.extension judges that")
    rows, listed = s.read(("@type", str(sent["@type"])))
    ids = {r.get("id") for r in rows}
    expect(answer.document.get("id") in ids, "it is not found by its @type", answer, listed)
    strangers = [r for r in rows if r.get("@type") != sent["@type"]]
    expect(not strangers, f"{len(strangers)} of other classes are found", listed)


@check("type.default", MUST, PART_2, needs=("create", "retrieve"))
def class_is_kept(s: Subject) -> None:
    """The @type that is posted is the @type that is read."""
    base = payloads.class_name(s.facts.create or s.facts.schema)
    answer = s.post({**s.body(), "@type": base})
    if not answer.ok:
        s.created()  # refused with any @type: then create.minimal tells why
    expect(answer.ok, f"with @type {base}, {answer.told()}", answer)
    read = s.get(answer.document.get("id"))
    expect(read.document.get("@type") == base, f"@type is {read.document.get('@type')!r}", answer, read)
