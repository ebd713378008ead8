"""A contract compared with the standard's: what is missing or narrower is a difference, an addition is none.

Both are walked together from the operations and events, so that names of schemas need not agree. What goes in must
accept all that the standard lets clients send; what comes out must know all that the standard lets them read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from oda_ctk.contract import KINDS, Attribute, Contract, Operation, Schema


@dataclass(frozen=True)
class Difference:
    """`where` ("POST /customer", "Customer.account") and `what`, in the words of the standard's names."""

    where: str
    what: str
    seen: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Comparison:
    """What was compared: operations and attributes found out of all that the standard has, and the differences."""

    operations: tuple[int, int]
    attributes: tuple[int, int]
    differences: tuple[Difference, ...]


def compare(standard: Contract, ours: Contract) -> Comparison:
    """The differences of a contract from the standard's, in the order of the standard's paths."""
    walk = _Walk(standard, ours)
    found = 0
    for operation in standard.operations:
        here = ours.operation(operation.method, operation.path)
        if here is None:
            walk.tell(f"{operation.method} {operation.path}", "operation missing")
            continue
        found += 1
        walk.operation(operation, here)
    for event in standard.events:
        if event not in ours.events or event not in ours.schemas:
            walk.tell(f"event {event}", "missing")
        else:
            walk.schema(event, event, incoming=False, seen=f"event {event}")
    if "Error" in standard.schemas and "Error" in ours.schemas:
        walk.schema("Error", "Error", incoming=False, seen="errors")
    total = {(s.name, a.name) for s in _reached(standard) for a in s.attributes}
    return Comparison(
        operations=(found, len(standard.operations)),
        attributes=(len(total & walk.visited - walk.faulty), len(total)),
        differences=tuple(walk.differences),
    )


def _reached(contract: Contract) -> Iterator[Schema]:
    """The schemas that operations (in the main media type), events and errors reach."""
    roots = [*contract.events, "Error"]
    for operation in contract.operations:
        roots += [name for name in (operation.request, operation.answer) if name]
    seen: set[str] = set()
    while roots:
        name = roots.pop()
        if name in seen or name not in contract.schemas:
            continue
        seen.add(name)
        schema = contract.schemas[name]
        yield schema
        roots += [a.type for a in schema.attributes] + [target for _, target in schema.variants]


class _Walk:
    def __init__(self, standard: Contract, ours: Contract) -> None:
        self.standard, self.ours = standard, ours
        self.differences: dict[Difference, None] = {}
        self.visited: set[tuple[str, str]] = set()
        self.faulty: set[tuple[str, str]] = set()
        self.done: set[tuple[str, str, bool]] = set()

    def tell(self, where: str, what: str, seen: str = "") -> None:
        self.differences.setdefault(Difference(where, what, seen))

    def operation(self, there: Operation, here: Operation) -> None:
        where = f"{there.method} {there.path}"
        for status in there.success:
            if status not in here.statuses:
                self.tell(where, f"status {status} missing")
        for name in there.query:
            if name not in here.query:
                self.tell(where, f"query parameter {name} missing")
        for media in there.media:
            if media and media not in here.media:
                self.tell(where, f"media type {media} missing")
        if there.request:
            self.body(where, "request", there.request, here.request)
        if there.answer:
            if there.many != here.many:
                self.tell(where, f"answer is {_of(here.answer, here.many)}, not {_of(there.answer, there.many)}")
            self.body(where, "answer", there.answer, here.answer)

    def body(self, where: str, part: str, there: str, here: str | None) -> None:
        if there in KINDS:
            return
        if here in self.ours.schemas and here is not None:
            self.schema(there, here, incoming=part == "request", seen=f"{where} {part}")
        else:
            self.tell(where, f"{part} is {here or 'empty'}, not {there}")

    def schema(self, there: str, here: str, *, incoming: bool, seen: str) -> None:
        """Each attribute of a schema of the standard, and each of its forms, looked for in one of ours."""
        if (there, here, incoming) in self.done:
            return
        self.done.add((there, here, incoming))
        schema = self.standard.schemas[there]
        known = self.known(here)
        for attribute in schema.attributes:
            self.attribute(schema, attribute, known.get(attribute.name), incoming, f"{seen} {attribute.name}")
        if incoming and (schema.attributes or not schema.variants):
            expected = {a.name for a in schema.attributes if a.required}
            for name, own in self.known(here, alone=True).items():
                if own.required and name not in expected:
                    self.fault(schema.name, name, "required here, not by the standard", f"{seen} {name}")
        for value, form in schema.variants:
            if form != there:
                self.form(schema, value, form, here, incoming, seen)

    def form(self, schema: Schema, value: str, form: str, here: str, incoming: bool, seen: str) -> None:
        """A form of a schema: ours of the same @type, or else our schema when it knows all attributes of the form."""
        own = dict(self.ours.schemas[here].variants).get(value)
        known = self.known(here)
        lost = [a.name for a in self.standard.schemas[form].attributes if a.name not in known]
        if own is None and lost:
            self.tell(f"{schema.name} as {value}", f"attributes missing: {', '.join(lost)}", seen)
        else:
            self.schema(form, own or here, incoming=incoming, seen=f"{seen} as {value}")

    def known(self, name: str, alone: bool = False) -> dict[str, Attribute]:
        """The attributes of one of our schemas and, unless it stands alone, those of its forms."""
        schema = self.ours.schemas[name]
        found = {a.name: a for a in schema.attributes}
        if not alone:
            for _, target in schema.variants:
                for attribute in self.ours.schemas[target].attributes:
                    found.setdefault(attribute.name, attribute)
        return found

    def fault(self, schema: str, name: str, what: str, seen: str) -> None:
        self.faulty.add((schema, name))
        self.tell(f"{schema}.{name}", what, seen)

    def attribute(self, schema: Schema, there: Attribute, here: Attribute | None, incoming: bool, seen: str) -> None:
        self.visited.add((schema.name, there.name))
        if here is None:
            self.fault(schema.name, there.name, f"missing ({_told(there)})", seen)
            return
        what = _narrower(there, here)
        if what:
            self.fault(schema.name, there.name, what, seen)
            return
        if there.required and not here.required and not incoming:
            self.fault(schema.name, there.name, "optional here, required by the standard", seen)
        if there.type in self.standard.schemas:
            if here.type in self.ours.schemas:
                self.schema(there.type, here.type, incoming=incoming, seen=seen)
            else:
                shape = _of(there.type, there.many)
                self.fault(schema.name, there.name, f"{_of(here.type, here.many)}, not the shape of {shape}", seen)
        elif here.type in self.ours.schemas and incoming:
            needed = [a.name for a in self.ours.schemas[here.type].attributes if a.required]
            if needed:
                self.fault(schema.name, there.name, f"requires {', '.join(needed)}, which is any object", seen)


def _of(kind: str | None, many: bool) -> str:
    return f"array of {kind}" if many else str(kind)


def _told(attribute: Attribute) -> str:
    text = _of(attribute.type, attribute.many)
    text += f" {attribute.format}" if attribute.format else ""
    text += f" {' | '.join(attribute.enum)}" if attribute.enum else ""
    return text + (", required" if attribute.required else "")


def _narrower(there: Attribute, here: Attribute) -> str:
    """What the type of ours does not take of the standard's; "" when nothing."""
    if here.type == "any" and not here.many:
        return ""
    if there.many != here.many or not _takes(there.type, here.type):
        return f"{_of(here.type, here.many)}, not {_of(there.type, there.many)}"
    lost = [value for value in there.enum if value not in here.enum] if here.enum else []
    if lost:
        return f"enum value missing: {', '.join(map(repr, lost))}"
    if here.enum and not there.enum:
        return f"only {', '.join(here.enum)}; any {there.type} by the standard"
    if here.format and here.format != there.format and not (here.type != "string" and there.type == here.type):
        return f"format {here.format}, not {there.format or 'any'}"
    return ""


def _takes(there: str, here: str) -> bool:
    if here == "any" or here == there or (there, here) == ("integer", "number"):
        return True
    plain = set(KINDS) - {"any", "object"}
    return there != "any" and there not in plain and here not in plain
