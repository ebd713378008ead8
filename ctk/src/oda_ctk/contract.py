"""The contract of one Open API in one version, as facts: operations, schemas, attributes, enumerations, events.

It comes from an OpenAPI document (oda_ctk.openapi) or from the tables in contracts/, which hold the same facts
line by line. No description, no example: what can be checked, and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

KINDS = ("string", "integer", "number", "boolean", "any", "object")
"""Types of an attribute that are not the name of a schema; `any` is any JSON value, `object` one of unknown shape."""


@dataclass(frozen=True)
class Attribute:
    """One attribute of a schema. `type` is one of KINDS or the name of a schema; `many`: an array of it."""

    name: str
    type: str
    many: bool
    required: bool
    enum: tuple[str, ...] = ()
    format: str = ""


@dataclass(frozen=True)
class Schema:
    """A schema with everything it inherits. `variants`: value of `@type` and the schema it stands for."""

    name: str
    attributes: tuple[Attribute, ...]
    variants: tuple[tuple[str, str], ...] = ()

    def attribute(self, name: str) -> Attribute | None:
        """The attribute of that name, if the schema has it."""
        return next((a for a in self.attributes if a.name == name), None)


@dataclass(frozen=True)
class Operation:
    """A method of a path (without base). `request` and `answer` are names of schemas; `many`: the answer is an array.

    `statuses` are all that the document names, `default` among them; `answer` is the body of success.
    """

    method: str
    path: str
    statuses: tuple[str, ...]
    request: str | None
    answer: str | None
    many: bool
    query: tuple[str, ...]
    media: tuple[str, ...] = ()

    @property
    def success(self) -> tuple[str, ...]:
        """The status codes of success."""
        return tuple(s for s in self.statuses if s.startswith("2"))


@dataclass(frozen=True)
class ResourceFacts:
    """What the contract says of one resource: `name` "customer", at `path` "/customer", of `schema` "Customer"."""

    name: str
    path: str
    schema: str
    create: str | None
    update: str | None
    methods: tuple[str, ...]
    events: tuple[str, ...]


@dataclass(frozen=True)
class Contract:
    """One API ("TMF629") in one version ("v4"); `events` are the values of eventType, "CustomerCreateEvent"."""

    api: str
    version: str
    base: str
    operations: tuple[Operation, ...]
    schemas: Mapping[str, Schema]
    events: tuple[str, ...]

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation of that method and path; the names of path parameters do not count."""
        return next((o for o in self.operations if o.method == method and shape(o.path) == shape(path)), None)

    def resources(self) -> tuple[ResourceFacts, ...]:
        """The resources in the order of their paths; hub and listener are none.

        `methods` are out of list, create, retrieve, patch, replace, delete, and "replace all", "patch all",
        "delete all" for the same without an id. An event belongs to the resource with the longest fitting name.
        """
        grouped: dict[str, list[Operation]] = {}
        for operation in self.operations:
            if not (operation.path == "/hub" or operation.path.startswith("/hub/")):
                grouped.setdefault(_collection(operation.path), []).append(operation)
        names = {path: _last_word(path) for path in grouped}
        owner = {event: _owner(event, names.values()) for event in self.events}
        return tuple(
            ResourceFacts(
                name=names[path],
                path=path,
                schema=next((o.answer for o in sorted(operations, key=_tells) if o.answer), ""),
                create=next((o.request for o in operations if o.method == "POST"), None),
                update=next((o.request for o in operations if o.method in ("PATCH", "PUT")), None),
                methods=tuple(_word(o) for o in operations),
                events=tuple(event for event in self.events if owner[event] == names[path]),
            )
            for path, operations in grouped.items()
        )


def shape(path: str) -> str:
    """A path with its parameters unnamed: "/topic/{topicId}/event" is "/topic/{}/event"."""
    return re.sub(r"\{[^}]*\}", "{}", path.rstrip("/"))


def _collection(path: str) -> str:
    return re.sub(r"/\{[^}]*\}$", "", path.rstrip("/"))


def _last_word(path: str) -> str:
    return next((part for part in reversed(path.split("/")) if part and not part.startswith("{")), "")


def _owner(event: str, names: Iterable[str]) -> str:
    fitting = [name for name in names if event.lower().startswith(name.lower())]
    return max(fitting, key=len, default="")


def _tells(operation: Operation) -> int:
    """Whose answer names the resource: retrieve first, then list, then the others."""
    return 2 if operation.method != "GET" else int(operation.many)


def _word(operation: Operation) -> str:
    word = {"GET": "retrieve", "POST": "create", "PATCH": "patch", "PUT": "replace"}.get(operation.method, "delete")
    if operation.path != _collection(operation.path) or word == "create":
        return word
    return "list" if word == "retrieve" else f"{word} all"


# The tables: an API, its operations, its events, its schemas, one fact a line.
#
#   api TMF629 v5
#   base /tmf-api/customer/v5
#   POST /customer request=Customer_FVO answer=Customer statuses=201,202,400 query=fields media=application/json
#   event CustomerCreateEvent
#   schema Customer
#     account AccountRef[]
#     id string required
#     state string enum=["active","closed"]
#     = BusinessCustomer BusinessCustomer_FVO


def write(contract: Contract) -> str:
    """The contract as a table; `read` gives it back."""
    lines = [
        f"api {_bare(contract.api or '-')} {_bare(contract.version or '-')}",
        f"base {_bare(contract.base or '/')}",
    ]
    for o in contract.operations:
        facts = {
            "request": o.request,
            "answer": o.answer and o.answer + "[]" * o.many,
            "statuses": ",".join(o.statuses),
            "query": ",".join(o.query),
            "media": ",".join(o.media),
        }
        lines.append(" ".join([o.method, _bare(o.path), *(f"{k}={_bare(v)}" for k, v in facts.items() if v)]))
    lines += [f"event {_bare(event)}" for event in contract.events]
    for schema in contract.schemas.values():
        lines.append(f"schema {_bare(schema.name)}")
        for a in schema.attributes:
            parts = [_bare(a.name), _bare(a.type) + "[]" * a.many]
            parts += ["required"] if a.required else []
            parts += [f"format={_bare(a.format)}"] if a.format else []
            parts += ["enum=" + json.dumps(a.enum, separators=(",", ":"))] if a.enum else []
            lines.append("  " + " ".join(parts))
        lines += [f"  = {_bare(value)} {_bare(target)}" for value, target in schema.variants]
    return "\n".join(lines) + "\n"


def _bare(word: str) -> str:
    if not word or re.search(r"\s", word):
        raise ValueError(f"A table cannot hold this name: {word!r}")
    return word


def read(text: str) -> Contract:
    """The contract in a table."""
    api = version = base = ""
    operations: list[Operation] = []
    events: list[str] = []
    schemas: dict[str, tuple[list[Attribute], list[tuple[str, str]]]] = {}
    inside = ""
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.startswith("  = "):
                value, target = line[4:].split(" ")
                schemas[inside][1].append((value, target))
            elif line.startswith("  "):
                schemas[inside][0].append(_attribute(line[2:]))
            else:
                word, rest = line.split(" ", 1)
                if word == "api":
                    api, version = ("" if part == "-" else part for part in rest.split(" "))
                elif word == "base":
                    base = "" if rest == "/" else rest
                elif word == "event":
                    events.append(rest)
                elif word == "schema":
                    inside = rest
                    schemas[inside] = ([], [])
                else:
                    operations.append(_operation(word, rest))
        except (ValueError, KeyError) as fault:
            raise ValueError(f"Line {number} of a table is not understood: {line!r}") from fault
    return Contract(
        api,
        version,
        base,
        tuple(operations),
        {name: Schema(name, tuple(has), tuple(forms)) for name, (has, forms) in schemas.items()},
        tuple(events),
    )


def _attribute(text: str) -> Attribute:
    head, _, enum = text.partition(" enum=")
    name, kind, *more = head.split(" ")
    form = next((part.removeprefix("format=") for part in more if part.startswith("format=")), "")
    if set(more) - {"required", f"format={form}"}:
        raise ValueError(text)
    values = tuple(json.loads(enum)) if enum else ()
    return Attribute(name, kind.removesuffix("[]"), kind.endswith("[]"), "required" in more, values, form)


def _operation(method: str, text: str) -> Operation:
    path, *facts = text.split(" ")
    told = dict(fact.split("=", 1) for fact in facts)
    if not method.isupper() or told.keys() - {"request", "answer", "statuses", "query", "media"}:
        raise ValueError(text)
    lists = {name: tuple(told[name].split(",")) if name in told else () for name in ("statuses", "query", "media")}
    answer = told.get("answer")
    return Operation(
        method=method,
        path=path,
        statuses=lists["statuses"],
        request=told.get("request"),
        answer=answer.removesuffix("[]") if answer else None,
        many=bool(answer and answer.endswith("[]")),
        query=lists["query"],
        media=lists["media"],
    )


def tables() -> tuple[tuple[str, str], ...]:
    """The APIs and versions of which a table is shipped."""
    names = sorted(p.name for p in files(__package__).joinpath("contracts").iterdir() if p.name.endswith(".txt"))
    return tuple((name.split("-")[0], name.split("-")[1].removesuffix(".txt")) for name in names)


@cache
def shipped(api: str, version: str) -> Contract:
    """The contract of a shipped table; KeyError when there is none."""
    table = files(__package__).joinpath("contracts", f"{api}-{version}.txt")
    if not table.is_file():
        raise KeyError(f"{api} {version}")
    return read(table.read_text(encoding="utf-8"))
