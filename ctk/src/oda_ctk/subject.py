"""One resource under judgement, with the steps that checks are told in."""

from __future__ import annotations

import copy
import re
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from oda_ctk import payloads
from oda_ctk.check import Blocked, Failure, NotApplicable
from oda_ctk.contract import Attribute, Operation, ResourceFacts
from oda_ctk.exchange import Exchange, Target, query
from oda_ctk.shapes import attribute_at
from oda_ctk.suite import ResourcePlan

if TYPE_CHECKING:
    from oda_ctk.session import Session

Document = dict[str, Any]
LABELS = ("a", "a", "b", "c", "d")
"""Values of the marker among the specimens: two share one, so that a filter has something to find and to leave."""
PAGE = 100
MAX_ROWS = 2000
NEVER_CHANGED = ("id", "href", "@type", "@baseType", "@schemaLocation")
SERVER_SET = frozenset(
    {
        "id",
        "href",
        "creationDate",
        "createdDate",
        "lastUpdate",
        "lastUpdateDate",
        "lastModified",
        "statusChangeDate",
        "statusChangeHistory",
        "statusChange",
        "stateChangeDate",
        "statusChangeReason",
    }
)


class Subject:
    """A resource of the contract in one session."""

    def __init__(self, session: Session, facts: ResourceFacts) -> None:
        self.session, self.facts = session, facts
        self._parents: dict[str, str] = {}

    @property
    def api(self) -> Session:
        return self.session

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def plan(self) -> ResourcePlan:
        return self.session.suite.plan(self.name)

    @property
    def target(self) -> Target:
        return self.session.target

    def has(self, *operations: str) -> bool:
        """Whether the contract offers these: list, retrieve, create, patch, delete, events."""
        known = set(self.facts.methods) | ({"events"} if self.facts.events and self.session.has_hub() else set())
        return set(operations) <= known

    @cached_property
    def told_as(self) -> frozenset[str]:
        """The members of `event` that the file names for this resource's events, and the resource's own name."""
        schemas = self.session.contract.schemas
        found = {self.name}
        for event in self.facts.events:
            envelope = schemas.get(event)
            payload = envelope.attribute("event") if envelope else None
            inner = schemas.get(payload.type) if payload else None
            found |= {a.name for a in inner.attributes if a.type == self.facts.schema} if inner else set()
        return frozenset(found)

    def operation(self, method: str, one: bool = False) -> Operation | None:
        return self.session.contract.operation(method, self.facts.path + ("/{id}" if one else ""))

    # --- addresses ---------------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """Path of the collection; the parents in it are made when they are needed."""
        return re.sub(r"\{([^}]*)\}", lambda m: self._parent(m[1]), self.facts.path)

    def _parent(self, parameter: str) -> str:
        if parameter not in self._parents:
            name = self.plan.parents.get(parameter, parameter.removesuffix("Id"))
            subject = self.session.subject(name)
            if subject is None:
                raise Blocked(f"nothing is known to make for {{{parameter}}}")
            self._parents[parameter] = quote(str(subject.created()["id"]), safe="")
        return self._parents[parameter]

    def one(self, id: Any) -> str:
        return f"{self.path}/{quote(str(id), safe='')}"

    # --- bodies ------------------------------------------------------------------------------------------

    def body(self, form: str = "minimal", label: str = "", index: int = 0) -> Document:
        """A valid body: the suite's or one made from the contract; with a label, its marker tells it apart."""
        create = self.facts.create
        given = self.plan.minimal if form == "minimal" else (self.plan.full or None)
        if given is not None:
            body = copy.deepcopy(dict(given))
        elif create is None:
            raise NotApplicable("the API does not create this resource")
        else:
            body = (payloads.minimal if form == "minimal" else payloads.full)(self.session.contract, create)
            if form != "minimal" and self.plan.minimal is not None:
                body |= copy.deepcopy(dict(self.plan.minimal))
        body = dict(self.session.filled(body))
        if self.session.v5:
            body.setdefault("@type", payloads.class_name(create or self.facts.schema))
        if label and self.marker:
            body[self.marker] = self.mark(label)
            self._spread(body, index)
        return body

    def mark(self, label: str) -> str:
        """A value of the marker that is of this run alone."""
        return f"ctk-{self.session.run}-{label}"

    def _spread(self, body: Document, index: int) -> None:
        """Different instants and numbers in each specimen, so that ranges and orders mean something."""
        for attribute in self.creatable:
            value = body.get(attribute.name)
            if attribute.many or attribute.enum or value is None:
                continue
            if attribute.format == "date-time" and isinstance(value, str):
                body[attribute.name] = f"2026-01-{10 + index:02d}T10:00:00.000Z"
            elif attribute.type in ("integer", "number") and isinstance(value, int | float):
                body[attribute.name] = value + index

    @cached_property
    def creatable(self) -> tuple[Attribute, ...]:
        schema = self.session.contract.schemas.get(self.facts.create or "")
        return schema.attributes if schema else ()

    @cached_property
    def updatable(self) -> tuple[Attribute, ...]:
        schema = self.session.contract.schemas.get(self.facts.update or "")
        return schema.attributes if schema else ()

    def attribute(self, dotted: str) -> Attribute | None:
        return attribute_at(self.session.contract, self.facts.schema, dotted)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """First-level attributes that take any text at creation and in a change, the likeliest first."""
        wanted = {a.name for a in self.updatable} if self.has("patch") else None
        state = self.plan.lifecycle.attribute if self.plan.lifecycle else ""
        found = [
            a.name
            for a in self.creatable
            if a.type == "string"
            and not (a.many or a.enum or a.format)
            and not a.name.startswith("@")
            and a.name not in SERVER_SET | {state}
            and not re.search(r"(status|state|version|href|url|type|id|priority|severity)$", a.name, re.IGNORECASE)
            and (wanted is None or a.name in wanted)
            and a.name not in self.server_set
        ]
        likely = ("name", "description", "reason", "comment", "statusReason")
        return tuple(sorted(found, key=lambda n: likely.index(n) if n in likely else len(likely)))

    @cached_property
    def marker(self) -> str | None:
        return self.plan.marker or next(iter(self.texts), None)

    @cached_property
    def given_by_server(self) -> frozenset[str]:
        """First-level attributes that a server may set without a look at what the client says."""
        return SERVER_SET | set(self.plan.server_set)

    @cached_property
    def volatile(self) -> frozenset[str]:
        """First-level attributes that change by themselves: two answers need not say the same of them."""
        return frozenset(self.plan.volatile)

    @cached_property
    def server_set(self) -> frozenset[str]:
        """First-level attributes of which a server may say something else than the client."""
        lifecycle = {self.plan.lifecycle.attribute} if self.plan.lifecycle else set()
        task = {self.plan.task.attribute} if self.plan.task else set()
        return self.given_by_server | self.volatile | lifecycle | task

    @cached_property
    def present(self) -> bool:
        """Whether the implementation has the resource at all: its collection is not answered with 404."""
        if self.has("list"):
            return self.ask(limit=1).status != 404
        return not self.has("create") or self.post({}).status != 404

    # --- steps -------------------------------------------------------------------------------------------

    def get(self, id: Any, **options: Any) -> Exchange:
        return self.target.get(self.one(id), **options)

    def ask(self, *pairs: tuple[str, str], raw: str = "", **named: str | int) -> Exchange:
        """GET of the collection with a query of pairs and named values; `raw` is appended as it is."""
        parts = [p for p in (query(*pairs, **named), raw) if p]
        return self.target.get(self.path + ("?" + "&".join(parts) if parts else ""))

    def post(self, body: Any) -> Exchange:
        return self.target.post(self.path, body)

    def patch(self, doc: Document, change: Document, **options: Any) -> Exchange:
        """A merge patch of that resource."""
        return self.target.patch(self.one(doc["id"]), self.accompanied(doc, change), **options)

    def accompanied(self, doc: Document, change: Document) -> Document:
        """The change with what the file makes mandatory in a body of PATCH, as it stands in the resource.

        For a merge it says nothing, but who validates bodies by the file refuses a change without it.
        """
        closed = self.server_set - {"@type"}
        must = (a.name for a in self.updatable if a.required and a.name in doc and a.name not in closed)
        return {**{name: doc[name] for name in must if name not in change}, **change}

    def created(self, body: Document | None = None, form: str = "minimal") -> Document:
        """A new resource as GET shows it (as POST answered, where there is no GET). Blocked when it is refused."""
        if not self.has("create"):
            raise NotApplicable("the API does not create this resource")
        exchange = self.post(self.body(form) if body is None else body)
        if body is None and form != "minimal" and 400 <= exchange.status < 600:
            exchange = self.post(self.body())  # create.full judges the refusal; the others can go on with less
        if exchange.status not in (200, 201, 202):
            raise Blocked(f"a {self.name} could not be made: POST was answered with {exchange.status}")
        id = exchange.document.get("id") or exchange.headers.get("location", "").rstrip("/").rpartition("/")[2]
        if not id:
            raise Blocked(f"a {self.name} was made, but the answer names no id")
        if not self.has("retrieve"):
            return exchange.document
        deadline = time.monotonic() + self.session.patience_s
        while True:
            read = self.get(id)
            if read.status == 200 or exchange.status != 202 or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        if read.status != 200 or not read.document:
            raise Blocked(f"a {self.name} was made, but GET of it is answered with {read.status}")
        return read.document

    @cached_property
    def _specimens(self) -> list[Document] | Blocked | NotApplicable:
        try:
            if not self.has("create"):
                rows = self.ask(limit=20).rows if self.has("list") else []
                return rows or NotApplicable("the API does not create this resource, and none exists")
            found = []
            for index, label in enumerate(LABELS):
                found.append(self._specimen("minimal" if index < 3 else "full", label, index))
            return found
        except (Blocked, NotApplicable) as why:
            return why

    def _specimen(self, form: str, label: str, index: int) -> Document:
        """With many attributes if that is accepted: that it is not is what create.full judges."""
        try:
            return self.created(self.body(form, label, index))
        except Blocked:
            if form == "minimal":
                raise
            return self.created(self.body("minimal", label, index))

    def specimens(self) -> list[Document]:
        """Some resources: made by the kit, or those that exist where the API does not create any."""
        found = self._specimens
        if isinstance(found, Exception):
            raise found
        return copy.deepcopy(found)

    @cached_property
    def _whole(self) -> Document | Blocked | NotApplicable:
        try:
            return self.created(form="full") if self.has("create") else self.specimens()[0]
        except (Blocked, NotApplicable) as why:
            return why

    def whole(self) -> Document:
        """One resource with as many attributes as the suite knows; checks may read but not change it."""
        found = self._whole
        if isinstance(found, Exception):
            raise found
        return copy.deepcopy(found)

    def read(self, *pairs: tuple[str, str], raw: str = "", limit: int = PAGE) -> tuple[list[Document], Exchange]:
        """Everything a question finds, page by page, up to MAX_ROWS; and the first answer."""
        rows: list[Document] = []
        first: Exchange | None = None
        while len(rows) < MAX_ROWS:
            page = self.ask(*pairs, raw=raw, limit=limit, offset=len(rows))
            first = first or page
            if page.status not in (200, 206) or not isinstance(page.json, list):
                raise Failure(f"{page.told()} instead of a list", page)
            rows += page.rows
            total = page.headers.get("x-total-count", "")
            if not page.rows or (total.isdigit() and len(rows) >= int(total)):
                break
            if not total.isdigit() and len(page.rows) < limit:
                break
        assert first is not None
        return rows, first

    def listed(self, id: Any) -> tuple[Document | None, Exchange]:
        """The resource as the list has it; where the list cannot be asked for an id, the whole list is read."""
        answer = self.ask(("id", str(id)))
        if answer.status in (400, 501):  # list.filter.id judges that
            rows, answer = self.read()
        else:
            rows, answer = self.read(("id", str(id)))
        return next((r for r in rows if str(r.get("id")) == str(id)), None), answer

    def change(self) -> Document:
        """A merge patch that the resource allows."""
        if self.plan.change:
            return dict(self.session.filled(dict(self.plan.change)))
        if not self.texts:
            raise NotApplicable("no attribute is known that may be changed to any text; the suite can name one")
        return {self.texts[0]: f"changed by ctk {self.session.run}"}
