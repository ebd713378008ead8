"""What schemathesis has to know to make valid requests where JSON Schema cannot say what valid is.

TMF630 filters are JSONPath, patches speak of places in a document, a callback is an address that the operator allows: a
random text is no valid one of these. Invalid ones are sent by tests/test_any_input.py.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import hypothesis
import jsonschema_rs
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response
from schemathesis.core.failures import Failure

WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789 äé", min_size=1, max_size=12)
NAME = st.sampled_from(["x_note", "x_mark", "x_level"])
VALUE = st.one_of(WORD, st.integers(-1000, 1000), st.booleans(), st.lists(WORD, max_size=2))
COMPARED = st.sampled_from(["==", "!="])

FILTER = st.builds(
    lambda name, how, word: f"$[?(@.{name}{how}{json.dumps(word, ensure_ascii=False)})]",
    st.sampled_from(["id", "href"]),
    COMPARED,
    WORD,
)
NAMES = st.lists(st.from_regex(r"@?[a-zA-Z]{1,20}(\.[a-zA-Z]{1,9})?", fullmatch=True), max_size=4).map(",".join)
ORDER = st.sampled_from(["", "id", "-id", "+id"])
EVENTS = st.builds(
    lambda name, how, word: f"{name}{how}{word}",
    st.sampled_from(["eventType", "eventId", "event.any.thing"]),
    st.sampled_from(["=", ".ne=", ".in="]),
    st.text("abcdefghijklmnopqrstuvwxyzABC0123456789", min_size=1, max_size=12),
)
ANOTHER = itertools.count()
ADDRESS = st.builds(
    lambda port, path: f"http://127.0.0.1:{port}/{path}{next(ANOTHER)}",
    st.integers(1, 9),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789", max_size=12),
)
"""Loopback, where nobody listens. Each its own: who deletes a registration deletes it for all with its callback."""
INSTANT = st.builds(
    lambda moment, digits, zone: moment.isoformat()[:19] + digits + zone,
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),
    st.sampled_from(["", ".5", ".123", ".123456"]),
    st.sampled_from(["Z", "+00:00", "+01:00", "-05:30", "+14:00"]),
)
"""Of the years 1 to 9999, also in UTC: databases and programs know no others."""
ADDED = st.builds(lambda name, value: {"op": "add", "path": f"/{name}", "value": value}, NAME, VALUE)
CSV = st.just(
    b"resource,service,kpi,value,unit,observedAt,granularityS\ncell-1,video,DRB.UEThpDl,1.5,Mbit/s,2026-01-01T00:00:00Z,300\n"
)
XML = st.just(b"<measCollecFile></measCollecFile>")
MAPPING = json.dumps({"service": "video", "counters": {}})
CONTRIBUTORS = [{"kqi": "setup_time_s", "good": 4.5, "bad": 12.0, "weight": 1.0, "unit": "s"}]

BULK = "x-bulk"
SELECTION = {"$ref": "#/components/schemas/Selection"}


def _bytes(operations: list[dict[str, object]]) -> bytes:
    return json.dumps(operations).encode()


PATCH = st.lists(ADDED, min_size=1, max_size=3).map(_bytes)


def untargeted(observation: float, *, label: str = "") -> float:
    """In the place of `hypothesis.target`, by which schemathesis leans toward accepted requests.

    The requests here are made to be accepted; the climbing took two fifths of the time and made many of them alike.
    """
    return observation


def register() -> None:
    """Make the strategies known, once."""
    hypothesis.target = untargeted
    formats = {
        "jsonpath": FILTER,
        "attribute-names": NAMES,
        "attribute-order": ORDER,
        "event-filter": EVENTS,
        "uri": ADDRESS,
        "date-time": INSTANT,
    }
    for name, strategy in formats.items():
        schemathesis.openapi.format(name, strategy)
    schemathesis.openapi.media_type("application/json-patch+json", PATCH)
    schemathesis.openapi.media_type("application/json-patch-query+json", PATCH)
    schemathesis.openapi.media_type("text/csv", CSV)
    schemathesis.openapi.media_type("application/xml", XML)
    schemathesis.openapi.media_type("text/xml", XML)
    schemathesis.hook("flatmap_case")(creations)
    schemathesis.hook("map_case")(by_the_rules)
    schemathesis.hook("before_add_examples")(examples_by_the_rules)


def exact(document: dict[str, Any]) -> dict[str, Any]:
    """The document with what its discriminators say written out in JSON Schema, which knows of none: a form is what its
    `@type` says, and what says nothing is none of the named forms."""
    document = copy.deepcopy(document)
    for schema in document.get("components", {}).get("schemas", {}).values():
        told = schema.pop("discriminator", None) if "anyOf" in schema else None
        if told is None:
            continue
        names = {ref: [n for n, r in told["mapping"].items() if r == ref] for ref in told["mapping"].values()}
        *forms, other = (choice["$ref"] for choice in schema["anyOf"])
        named = [name for form in forms for name in names[form]]
        schema["anyOf"] = [
            *({"allOf": [{"$ref": form}, _says(names[form])]} for form in forms),
            {"allOf": [{"$ref": other}, {"not": _says(named)}]},
        ]
    return document


def _says(names: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": {"@type": {"enum": names}}, "required": ["@type"]}


def with_bulk(document: dict[str, Any], path: str, bodies: Sequence[dict[str, Any]]) -> None:
    """Give the bulk creation of a collection a body, for the phases that take none from a strategy. Changes the
    document."""
    operation = document["paths"][path].get("patch")
    if operation is not None:
        # Examples inside of the resource would become bodies, and of a patch only bytes are taken.
        for content in operation["requestBody"]["content"].values():
            content["schema"]["items"]["properties"]["value"] = {"type": "object"}
        operation[BULK] = [{"op": "add", "path": "/", "value": body} for body in bodies]


def creations(context: HookContext, case: Case[Any]) -> st.SearchStrategy[Case[Any]]:
    """The same media type is a patch below an id, and a bulk creation on a collection: there, of valid bodies."""
    operation = context.operation
    if operation is None or operation.method != "patch" or operation.path.endswith("{id}"):
        return st.just(case)
    creating = operation.schema[operation.path]["POST"].as_strategy(generation_mode=GenerationMode.POSITIVE)

    def bulk(made: Sequence[Case[Any]]) -> Case[Any]:
        adding: Any = [{"op": "add", "path": "/", "value": by_the_rules(context, one).body} for one in made]
        case.body = adding
        return case

    return st.lists(creating, min_size=1, max_size=2).map(bulk)


def by_the_rules(context: HookContext, case: Case[Any]) -> Case[Any]:
    """Rules between the attributes of a document, which its schema cannot say."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive:
        return case
    body: Any = case.body
    if "experienceIndexSpecification" in case.path and isinstance(body, dict) and isinstance(body.get("weights"), dict):
        body["weights"] |= {"mean": 0.75, "lowDecile": 0.25}
    bulk = case.operation.definition.raw.get(BULK)
    if bulk is not None and isinstance(body, bytes):
        case.body = bulk
    elif case.path.endswith("/file"):
        case.query.pop("mapping", None)
        if case.media_type in ("application/xml", "text/xml"):
            case.query["mapping"] = MAPPING
    elif isinstance(body, dict) and "contributors" in body:
        body["contributors"] = CONTRIBUTORS
        if "subjectType" in body:  # no patch changes it
            body["subjectType"] = "person"
    elif isinstance(body, dict) and "metric" in body and "rating" in body:
        body["rating"] = 1 + body["rating"] % 5
    return case


def examples_by_the_rules(context: HookContext, examples: list[Case[Any]]) -> None:
    """The same for the cases that are made of the file's own examples."""
    for case in examples:
        by_the_rules(context, case)


@schemathesis.check
def whole_answer(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """Without `fields` an answer has all that is mandatory: the file allows a selection everywhere, as it cannot say
    when."""
    if "fields" in (case.query or {}) or response.status_code >= 300 or not response.content:
        return
    told = case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("content", {})
    schema = told.get("application/json", {}).get("schema", {})
    whole = _whole(schema)
    if whole == schema:
        return
    document = case.operation.schema.raw_schema
    name = json.dumps(whole)
    key = (id(document), name)
    if key not in _VALIDATORS:
        _VALIDATORS[key] = jsonschema_rs.validator_for({**whole, "components": document["components"]})
    for error in _VALIDATORS[key].iter_errors(response.json()):
        raise Failure(
            operation=case.operation.label,
            title="An answer that is not whole",
            message=f"{error.message[:300]} at {'/'.join(map(str, error.instance_path))}",
        )


_VALIDATORS: dict[tuple[int, str], jsonschema_rs.Validator] = {}


def _whole(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") == "array":
        return {**schema, "items": _whole(schema["items"])}
    choices = schema.get("anyOf", [])
    return choices[0] if SELECTION in choices else schema
