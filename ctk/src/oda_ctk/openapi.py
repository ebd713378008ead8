"""The facts of a contract read from an OpenAPI document: Swagger 2.0, OpenAPI 3.0 and 3.1.

What a schema inherits (allOf) is written out; a reference becomes a name, so that cycles need no care; schemas that
are an enumeration, an array or a plain type are resolved into the attributes that use them. An object written
inside another one is called after its place: "CustomerCreateEvent.event".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from oda_ctk.contract import Attribute, Contract, Operation, Schema

METHODS = ("get", "post", "put", "patch", "delete")
MERGED = ("application/json", "application/merge-patch+json")
PLAIN = ("string", "integer", "number", "boolean")
Json = Mapping[str, Any]


def from_openapi(document: Json, *, api: str = "", version: str = "") -> Contract:
    """The contract in an OpenAPI document; only schemas that operations and events reach.

    `api` and `version` are taken from the document's title and version when not given. The events are those that
    listener paths (TMF630 part 1) or webhooks (OpenAPI 3.1) name; a document without either, those of its schemas
    that are event envelopes.
    """
    return _Reader(document).contract(api, version)


class _Reader:
    def __init__(self, document: Json) -> None:
        self.document = document
        self.old = "swagger" in document
        components = document.get("components") or {}
        self.named: Json = (document.get("definitions") if self.old else components.get("schemas")) or {}
        self.prefix = "#/definitions/" if self.old else "#/components/schemas/"
        self.schemas: dict[str, Schema] = {}
        self.waiting: list[tuple[str, Json]] = []

    def contract(self, api: str, version: str) -> Contract:
        info = self.document.get("info") or {}
        told = re.search(r"TMF\d+", f"{info.get('title', '')} {info.get('description', '')}")
        major = re.match(r"v?(\d+)", str(info.get("version", "")))
        operations: list[Operation] = []
        events: list[str] = []
        for path, item in (self.document.get("paths") or {}).items():
            if "/listener/" in path:
                events += self._events(path.rsplit("/", 1)[-1], item)
            else:
                operations += [self._operation(path, method, item) for method in METHODS if method in item]
        for name, item in (self.document.get("webhooks") or {}).items():
            events += self._events(name, item)
        self._finish()
        if not events:
            events = [name for name in self.named if self._is_envelope(name)]
            self._finish()
        return Contract(
            api=api or (told[0] if told else ""),
            version=version or (f"v{major[1]}" if major else ""),
            base=self._base(),
            operations=tuple(sorted(operations, key=lambda o: (o.path, METHODS.index(o.method.lower())))),
            schemas={name: self.schemas[name] for name in sorted(self.schemas)},
            events=tuple(sorted(set(events))),
        )

    # operations

    def _base(self) -> str:
        if self.old:
            return str(self.document.get("basePath") or "").rstrip("/")
        servers = self.document.get("servers") or [{}]
        url = str(servers[0].get("url", ""))
        for name, variable in (servers[0].get("variables") or {}).items():
            url = url.replace("{" + name + "}", str(variable.get("default", "")))
        return urlsplit(url).path.rstrip("/")

    def _operation(self, path: str, method: str, item: Json) -> Operation:
        operation = item[method]
        parameters = [self._target(p)[1] for p in (*item.get("parameters", ()), *operation.get("parameters", ()))]
        place = f"{method.upper()}:{path}"
        bodies = self._request(operation, parameters)
        request = next((bodies[m] for m in MERGED if m in bodies), next(iter(bodies.values()), None))
        answer, many = None, False
        responses = {str(status): self._target(r)[1] for status, r in (operation.get("responses") or {}).items()}
        for status in sorted(responses):
            schema = self._body(responses[status])
            if schema is None:
                continue
            kind, array, _, _ = self._kind(schema, f"{place}:{status}")
            if status.startswith("2") and answer is None:
                answer, many = kind, array
        return Operation(
            method=method.upper(),
            path=path,
            statuses=tuple(sorted(responses)),
            request=None if request is None else self._kind(request, f"{place}:request")[0],
            answer=answer,
            many=many,
            query=tuple(sorted({p["name"] for p in parameters if p.get("in") == "query"})),
            media=tuple(sorted(m for m in bodies if m)),
        )

    def _request(self, operation: Json, parameters: Iterable[Json]) -> dict[str, Json]:
        """The schema of the request body for each of its media types; "" where the document tells none."""
        if self.old:
            body = next((p.get("schema") or {} for p in parameters if p.get("in") == "body"), None)
            consumes = operation.get("consumes") or self.document.get("consumes") or [""]
            return {} if body is None else {_media(m): body for m in consumes}
        content = self._target(operation.get("requestBody") or {})[1].get("content") or {}
        return {_media(m): c.get("schema") or {} for m, c in content.items()}

    def _body(self, response: Json) -> Json | None:
        if "schema" in response:
            return dict(response["schema"])
        for content in (response.get("content") or {}).values():
            return dict(content.get("schema") or {})
        return None

    # events

    def _events(self, listener: str, item: Json) -> Iterator[str]:
        """The event that a listener takes, its schema under the event's own name: some documents' differ."""
        operation = item.get("post") or {}
        parameters = [self._target(p)[1] for p in operation.get("parameters", ())]
        name = listener[:1].upper() + listener[1:]
        for body in self._request(operation, parameters).values():
            self._enter(name, self._target(body)[1])
        yield name

    def _is_envelope(self, name: str) -> bool:
        if not name.endswith("Event"):
            return False
        has = {a.name for a in self._attributes(self.named[name], name)}
        if not {"event", "eventType"} <= has or name == "Event":
            return False
        self._enter(name, self.named[name])
        return True

    # schemas

    def _finish(self) -> None:
        while self.waiting:
            name, schema = self.waiting.pop()
            self.schemas[name] = Schema(
                name, tuple(sorted(self._attributes(schema, name), key=lambda a: a.name)), self._variants(name, schema)
            )

    def _enter(self, name: str, schema: Json) -> str:
        if name not in self.schemas:
            self.schemas[name] = Schema(name, ())
            self.waiting.append((name, schema))
        return name

    def _target(self, part: Json) -> tuple[str, Json]:
        """What a part refers to (a chain of references followed) and its name; itself with "" when it is no $ref."""
        name, seen = "", set()
        while "$ref" in part:
            reference = str(part["$ref"])
            if not reference.startswith("#/") or reference in seen:
                raise ValueError(f"Reference that leads nowhere: {reference}")
            seen.add(reference)
            found: Any = self.document
            for key in reference[2:].split("/"):
                key = key.replace("~1", "/").replace("~0", "~")
                if not isinstance(found, Mapping) or key not in found:
                    raise ValueError(f"Reference that leads nowhere: {reference}")
                found = found[key]
            part, name = found, reference.rsplit("/", 1)[-1]
        return name, part

    def _kind(self, part: Json, place: str) -> tuple[str, bool, tuple[str, ...], str]:
        """Type, whether it is an array of it, enumeration and format of a schema at a place."""
        name, schema = self._target(part)
        enum = tuple(str(e) for e in schema.get("enum") or ([schema["const"]] if "const" in schema else ()))
        choices = [c for c in schema.get("anyOf") or schema.get("oneOf") or () if c.get("type") != "null"]
        if "discriminator" not in schema:
            choices = [c for n, c in enumerate(choices) if not any(self._covers(o, c) for o in choices[:n])]
        if len(choices) == 1:
            return self._kind(choices[0], place)
        if len(choices) > 1:
            kinds = {self._kind(c, f"{place}.{n}") for n, c in enumerate(choices)}
            if len(kinds) == 1:
                return kinds.pop()
            if any(many or kind in (*PLAIN, "any", "object") for kind, many, _, _ in kinds):
                return "any", False, (), ""
            return self._enter(name or place, schema), False, (), ""
        if schema.get("properties") or schema.get("allOf") or self._variants(name, schema):
            alone = schema.get("allOf") or []
            if len(alone) == 1 and not name and not schema.get("properties") and not schema.get("required"):
                return self._kind(alone[0], place)
            return self._enter(name or place, schema), False, (), ""
        kinds_told = [t for t in _list(schema.get("type")) if t != "null"]
        if len(kinds_told) > 1:
            return "any", False, enum, ""
        kind = next(iter(kinds_told), None)
        if kind == "array":
            inner, _, enum, form = self._kind(schema.get("items") or {}, place)
            return inner, True, enum, form
        if kind in PLAIN:
            return kind, False, enum, str(schema.get("format") or "")
        if kind == "object" or "additionalProperties" in schema:
            return "object", False, (), ""
        return ("string" if enum else "any"), False, enum, ""

    def _covers(self, one: Json, other: Json) -> bool:
        """Whether a choice tells nothing that the one before it does not: an answer cut down by the request."""
        told, less = (self._target(part)[1].get("properties") or {} for part in (one, other))
        return bool(less) and set(less) < set(told)

    def _attributes(self, schema: Json, place: str) -> tuple[Attribute, ...]:
        found: dict[str, Attribute] = {}
        required: set[str] = set()
        for part in self._parts(schema):
            required |= set(part.get("required") or ())
            for name, value in (part.get("properties") or {}).items():
                kind, many, enum, form = self._kind(value, f"{place}.{name}")
                found[name] = Attribute(name, kind, many, False, enum, form)
        missing = {name: Attribute(name, "any", False, True) for name in required - found.keys()}
        return tuple(
            Attribute(a.name, a.type, a.many, a.name in required, a.enum, a.format) for a in (found | missing).values()
        )

    def _parts(self, schema: Json, above: tuple[int, ...] = ()) -> Iterator[Json]:
        """The schema after all that it inherits, the farthest first; a schema that inherits itself adds nothing."""
        for parent in schema.get("allOf") or ():
            _, target = self._target(parent)
            if id(target) not in above:
                yield from self._parts(target, (*above, id(schema)))
        yield schema

    def _variants(self, name: str, schema: Json) -> tuple[tuple[str, str], ...]:
        """@type and schema of each form: from the discriminator, or else the heirs or the choices themselves."""
        told = schema.get("discriminator")
        mapping = (told.get("mapping") or {}) if isinstance(told, Mapping) else {}
        forms = {str(value): str(reference).rsplit("/", 1)[-1] for value, reference in mapping.items()}
        if not forms:
            choices = [c for c in schema.get("oneOf") or schema.get("anyOf") or () if "$ref" in c]
            forms = {target: target for target in (str(c["$ref"]).rsplit("/", 1)[-1] for c in choices)}
        if told and not forms and name:
            mine = {"$ref": self.prefix + name}
            forms = {other: other for other, s in self.named.items() if mine in (s.get("allOf") or ())}
        for target in forms.values():
            if target not in self.named:
                raise ValueError(f"A form of {name or 'a schema'} that the document does not define: {target}")
            self._enter(target, self.named[target])
        return tuple(sorted(forms.items()))


def _list(types: Any) -> list[Any]:
    return types if isinstance(types, list) else [types] if types else []


def _media(name: str) -> str:
    """A media type without parameters: application/json;charset=utf-8 is application/json."""
    return str(name).split(";", 1)[0].strip()
