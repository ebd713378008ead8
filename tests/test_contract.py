"""The tables of the standard, what reads OpenAPI documents, and our own files held against the tables."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oda_ctk.contract import Attribute, Contract, Operation, Schema, read, shipped, tables, write
from oda_ctk.openapi import from_openapi

sys.path.insert(0, str(Path(__file__).parent))  # its neighbours are scripts

from openapi_check import OPENAPI, deviations, exported, main, published, runs, served, unused
from openapi_compare import compare

TABLES = tables()
NAMES = [f"{api}-{version}" for api, version in TABLES]
SERVED = served()

OLD: dict[str, Any] = {
    "swagger": "2.0",
    "info": {"title": "TMF999 Shelf", "version": "4.1.0"},
    "basePath": "/tmf-api/shelf/v4/",
    "consumes": ["application/json;charset=utf-8"],
    "paths": {
        "/shelf": {
            "get": {
                "parameters": [{"name": "fields", "in": "query"}, {"name": "limit", "in": "query"}],
                "responses": {"200": {"schema": {"type": "array", "items": {"$ref": "#/definitions/Shelf"}}}},
            },
            "post": {
                "parameters": [{"name": "shelf", "in": "body", "schema": {"$ref": "#/definitions/Shelf_Create"}}],
                "responses": {
                    "201": {"schema": {"$ref": "#/definitions/Shelf"}},
                    "400": {"schema": {"$ref": "#/definitions/Error"}},
                },
            },
        },
        "/shelf/{id}": {"delete": {"responses": {"204": {"description": "Gone"}}}},
        "/hub": {"post": {"responses": {"201": {"description": "Done"}}}},
        "/listener/shelfCreateEvent": {
            "post": {"parameters": [{"name": "data", "in": "body", "schema": {"$ref": "#/definitions/ShelfMade"}}]}
        },
    },
    "definitions": {
        "Shelf": {
            "required": ["state"],
            "properties": {
                "id": {"type": "string"},
                "state": {"$ref": "#/definitions/State"},
                "book": {"type": "array", "items": {"$ref": "#/definitions/Book"}},
                "built": {"type": "string", "format": "date-time"},
                "colour": {"type": "array", "items": {"type": "string", "enum": ["red", "dark red"]}},
                "value": {"$ref": "#/definitions/Any"},
                "size": {"type": "object", "properties": {"height": {"type": "number"}}},
                "label": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "Shelf_Create": {"allOf": [{"$ref": "#/definitions/Shelf"}, {"required": ["built"]}]},
        "State": {"type": "string", "enum": ["open", "closed "]},
        "Any": {},
        "Book": {
            "discriminator": "@type",
            "properties": {"shelf": {"$ref": "#/definitions/Shelf"}, "@type": {"type": "string"}},
        },
        "Comic": {"allOf": [{"$ref": "#/definitions/Book"}, {"properties": {"hero": {"type": "string"}}}]},
        "Error": {"required": ["code"], "properties": {"code": {"type": "string"}}},
        "ShelfMade": {"properties": {"event": {"properties": {"shelf": {"$ref": "#/definitions/Shelf"}}}}},
        "Unused": {"properties": {"id": {"type": "string"}}},
    },
}

NEW: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "TMF999 shelf", "version": "v5"},
    "servers": [{"url": "{root}/tmf-api/shelf/v5/", "variables": {"root": {"default": "https://host:8080"}}}],
    "paths": {
        "/shelf/{shelfId}/book": {
            "parameters": [{"$ref": "#/components/parameters/Fields"}],
            "post": {
                "requestBody": {"$ref": "#/components/requestBodies/Book"},
                "responses": {"201": {"$ref": "#/components/responses/Book"}, "202": {}, "default": {}},
            },
        }
    },
    "webhooks": {
        "bookCreateEvent": {
            "post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Event"}}}}
            }
        }
    },
    "components": {
        "parameters": {"Fields": {"name": "fields", "in": "query"}},
        "requestBodies": {
            "Book": {
                "content": {
                    "application/json-patch+json": {"schema": {"$ref": "#/components/schemas/Operations"}},
                    "application/json": {"schema": {"$ref": "#/components/schemas/Book_FVO"}},
                }
            }
        },
        "responses": {"Book": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Book"}}}}},
        "schemas": {
            "Extensible": {"required": ["@type"], "properties": {"@type": {"type": "string"}}},
            "Book_FVO": {
                "allOf": [{"$ref": "#/components/schemas/Extensible"}],
                "properties": {"title": {"type": ["string", "null"]}},
                "required": ["title"],
            },
            "Book": {
                "allOf": [{"$ref": "#/components/schemas/Book_FVO"}, {"properties": {"id": {"type": "string"}}}],
                "properties": {
                    "author": {"$ref": "#/components/schemas/AuthorOrRef"},
                    "editor": {"anyOf": [{"$ref": "#/components/schemas/Author"}, {"type": "null"}]},
                    "sequel": {"anyOf": [{"type": "array", "items": {"$ref": "#/components/schemas/Book"}}]},
                    "note": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    "kind": {"const": "paper"},
                },
            },
            "AuthorOrRef": {
                "oneOf": [{"$ref": "#/components/schemas/Author"}, {"$ref": "#/components/schemas/AuthorRef"}],
                "discriminator": {
                    "propertyName": "@type",
                    "mapping": {"Person": "#/components/schemas/Author", "AuthorRef": "AuthorRef"},
                },
            },
            "Author": {"properties": {"name": {"type": "string"}}},
            "AuthorRef": {"required": ["id"], "properties": {"id": {"type": "string"}}},
            "Operations": {"type": "array", "items": {"type": "object"}},
            "Event": {"properties": {"eventType": {"type": "string"}, "event": {"type": "object"}}},
        },
    },
}


def attributes(contract: Contract, schema: str) -> dict[str, Attribute]:
    return {a.name: a for a in contract.schemas[schema].attributes}


@pytest.mark.parametrize(("api", "version"), TABLES, ids=NAMES)
def test_a_table_reads_and_is_written_back_the_same(api: str, version: str) -> None:
    text = (OPENAPI / "contract" / f"{api}-{version}.txt").read_text(encoding="utf-8")
    contract = read(text)
    assert (contract.api, contract.version) == (api, version)
    assert write(contract) == text
    assert contract == shipped(api, version)


@pytest.mark.parametrize(("api", "version"), TABLES, ids=NAMES)
def test_a_table_is_whole_every_name_in_it_leads_somewhere(api: str, version: str) -> None:
    contract = shipped(api, version)
    names = {a.type for s in contract.schemas.values() for a in s.attributes}
    names |= {target for s in contract.schemas.values() for _, target in s.variants}
    names |= {name for o in contract.operations for name in (o.request, o.answer) if name}
    assert names - {"string", "integer", "number", "boolean", "any", "object"} <= contract.schemas.keys()
    assert set(contract.events) <= contract.schemas.keys()
    assert sorted(e for r in contract.resources() for e in r.events) == sorted(contract.events)
    itself = compare(contract, contract)
    assert itself.differences == ()
    assert itself.operations[0] == itself.operations[1] == len(contract.operations)
    assert itself.attributes[0] == itself.attributes[1]


def test_seventeen_apis_in_twenty_one_files() -> None:
    assert len(TABLES) == 21
    assert len({api for api, _ in TABLES}) == 17


def test_a_table_that_is_not_understood_is_told_with_its_line() -> None:
    with pytest.raises(ValueError, match=r"Line 3 .*'  id string sometimes'"):
        read("api TMF999 v4\nschema Shelf\n  id string sometimes\n")
    with pytest.raises(KeyError):
        shipped("TMF999", "v4")


def test_swagger_2_is_read_with_its_references_arrays_enumerations_and_cycles() -> None:
    contract = from_openapi(OLD)
    assert (contract.api, contract.version, contract.base) == ("TMF999", "v4", "/tmf-api/shelf/v4")
    assert contract.operations[1:3] == (
        Operation("GET", "/shelf", ("200",), None, "Shelf", True, ("fields", "limit")),
        Operation("POST", "/shelf", ("201", "400"), "Shelf_Create", "Shelf", False, (), ("application/json",)),
    )
    assert attributes(contract, "Shelf") == {
        "book": Attribute("book", "Book", True, False),
        "built": Attribute("built", "string", False, False, (), "date-time"),
        "colour": Attribute("colour", "string", True, False, ("red", "dark red")),
        "id": Attribute("id", "string", False, False),
        "label": Attribute("label", "object", False, False),
        "size": Attribute("size", "Shelf.size", False, False),
        "state": Attribute("state", "string", False, True, ("open", "closed ")),
        "value": Attribute("value", "any", False, False),
    }
    assert attributes(contract, "Shelf_Create")["built"].required
    assert attributes(contract, "Shelf_Create")["state"].required
    assert attributes(contract, "Shelf.size")["height"].type == "number"
    assert contract.schemas["Book"].variants == (("Comic", "Comic"),)
    assert attributes(contract, "Comic").keys() == {"@type", "shelf", "hero"}
    assert "Unused" not in contract.schemas
    assert read(write(contract)) == contract


def test_openapi_3_is_read_with_discriminators_choices_and_webhooks() -> None:
    contract = from_openapi(NEW)
    assert (contract.version, contract.base) == ("v5", "/tmf-api/shelf/v5")
    assert contract.operations == (
        Operation(
            "POST",
            "/shelf/{shelfId}/book",
            ("201", "202", "default"),
            "Book_FVO",
            "Book",
            False,
            ("fields",),
            ("application/json", "application/json-patch+json"),
        ),
    )
    assert attributes(contract, "Book") == {
        "@type": Attribute("@type", "string", False, True),
        "author": Attribute("author", "AuthorOrRef", False, False),
        "editor": Attribute("editor", "Author", False, False),
        "id": Attribute("id", "string", False, False),
        "kind": Attribute("kind", "string", False, False, ("paper",)),
        "note": Attribute("note", "any", False, False),
        "sequel": Attribute("sequel", "Book", True, False),
        "title": Attribute("title", "string", False, True),
    }
    assert contract.schemas["AuthorOrRef"] == Schema(
        "AuthorOrRef", (), (("AuthorRef", "AuthorRef"), ("Person", "Author"))
    )
    assert contract.events == ("BookCreateEvent",)
    assert attributes(contract, "BookCreateEvent").keys() == {"event", "eventType"}
    assert read(write(contract)) == contract


def test_the_resources_of_a_contract_are_its_paths_with_their_events() -> None:
    shelf, *others = from_openapi(OLD).resources()
    assert (shelf.name, shelf.path, shelf.schema, shelf.create) == ("shelf", "/shelf", "Shelf", "Shelf_Create")
    assert (shelf.methods, shelf.events, others) == (("list", "create", "delete"), ("ShelfCreateEvent",), [])
    ticket, specification = shipped("TMF621", "v5").resources()
    assert specification.name == "troubleTicketSpecification"
    assert "TroubleTicketSpecificationCreateEvent" in specification.events
    assert "TroubleTicketSpecificationCreateEvent" not in ticket.events


def test_a_document_without_listeners_tells_its_events_by_their_envelopes() -> None:
    without = {**NEW, "webhooks": {}}
    envelope = NEW["components"]["schemas"]["Event"]
    schemas = {**NEW["components"]["schemas"], "BookDeleteEvent": envelope}
    assert from_openapi({**without, "components": {**NEW["components"], "schemas": schemas}}).events == (
        "BookDeleteEvent",
    )


def test_a_reference_that_leads_nowhere_is_told() -> None:
    broken = json.loads(json.dumps(OLD))
    broken["definitions"]["Shelf"]["properties"]["id"] = {"$ref": "#/definitions/Gone"}
    with pytest.raises(ValueError, match="#/definitions/Gone"):
        from_openapi(broken)


def changed(**of: Any) -> Contract:
    """The contract of OLD with one attribute of Shelf (and so of Shelf_Create) replaced by another."""
    contract = from_openapi(OLD)
    name, new = next(iter(of.items()))
    schemas = dict(contract.schemas)
    for schema in ("Shelf", "Shelf_Create"):
        kept = [new if a.name == name else a for a in schemas[schema].attributes]
        schemas[schema] = replace(schemas[schema], attributes=tuple(a for a in kept if a is not None))
    return replace(contract, schemas=schemas)


@pytest.mark.parametrize(
    ("ours", "told"),
    [
        (changed(id=None), {"Shelf.id: missing (string)", "Shelf_Create.id: missing (string)"}),
        (changed(id=Attribute("id", "integer", False, False)), {"Shelf.id: integer, not string"}),
        (changed(id=Attribute("id", "string", True, False)), {"Shelf.id: array of string, not string"}),
        (changed(id=Attribute("id", "string", False, True)), {"Shelf_Create.id: required here, not by the standard"}),
        (changed(state=Attribute("state", "string", False, False)), {"Shelf.state: optional here, required by the"}),
        (changed(state=Attribute("state", "string", False, True, ("open",))), {"Shelf.state: enum value missing"}),
        (changed(id=Attribute("id", "string", False, False, ("a", "b"))), {"Shelf.id: only a, b; any string"}),
        (changed(id=Attribute("id", "string", False, False, (), "uuid")), {"Shelf.id: format uuid, not any"}),
        (changed(value=Attribute("value", "string", False, False)), {"Shelf.value: string, not any"}),
        (changed(size=Attribute("size", "object", False, False)), {"Shelf.size: object, not the shape of Shelf.size"}),
        (changed(label=Attribute("label", "Shelf", False, False)), {"Shelf_Create.label: requires state"}),
    ],
)
def test_what_is_missing_or_narrower_is_a_difference(ours: Contract, told: set[str]) -> None:
    found = [str(d) for d in compare(from_openapi(OLD), ours).differences]
    for expected in told:
        assert any(text.startswith(expected) for text in found), found


def test_operations_statuses_events_and_forms_that_are_missing_are_differences() -> None:
    standard = from_openapi(OLD)
    fewer = [replace(o, statuses=("204",), query=(), media=()) for o in standard.operations if o.path == "/shelf"]
    forms = {**standard.schemas, "Book": replace(standard.schemas["Book"], variants=())}
    found = compare(standard, replace(standard, operations=tuple(fewer), events=(), schemas=forms))
    assert found.operations == (2, 4)
    assert [str(d) for d in found.differences] == [
        "POST /hub: operation missing",
        "GET /shelf: status 200 missing",
        "GET /shelf: query parameter fields missing",
        "GET /shelf: query parameter limit missing",
        "Book as Comic: attributes missing: hero",
        "POST /shelf: status 201 missing",
        "POST /shelf: media type application/json missing",
        "DELETE /shelf/{id}: operation missing",
        "event ShelfCreateEvent: missing",
    ]


def test_what_is_more_or_wider_is_none() -> None:
    standard = from_openapi(OLD)
    free = Attribute("state", "string", False, True)
    for ours in (changed(state=free), changed(id=Attribute("id", "any", False, False))):
        wider = replace(ours, operations=(*ours.operations, replace(ours.operations[0], path="/more")))
        assert compare(standard, wider).differences == ()


@pytest.mark.parametrize("one", SERVED, ids=[f"{s.api}-{s.version}-{s.component}" for s in SERVED])
def test_our_file_has_all_that_the_standard_has(one: Any) -> None:
    assert [str(d) for d in one.unlisted(deviations())] == []


def test_every_deviation_is_one_and_has_its_reason() -> None:
    assert unused(deviations(), SERVED) == ()


def test_every_exported_file_of_a_tm_forum_api_is_compared() -> None:
    titles = {}
    for path in OPENAPI.glob("*/*.json"):
        info = json.loads(path.read_text(encoding="utf-8"))["info"]
        titles[path] = (info["title"].split(" ")[0], info["version"])
    with_table = [key for key in titles.values() if key in TABLES]
    assert sorted(with_table) == sorted((c.api, c.version) for _, c in exported())


def test_the_check_of_the_tables_needs_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "TMF629_Shelf_v4.0.0_swagger.json").write_text(json.dumps(OLD))
    (tmp_path / "TMF629-Shelf-v4.1.0.swagger.json").write_text(json.dumps(OLD))
    assert published(tmp_path) == {("TMF629", "v4"): tmp_path / "TMF629-Shelf-v4.1.0.swagger.json"}
    assert main([str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "TMF629 v4: the table is not what TMF629-Shelf-v4.1.0.swagger.json says" in told
    assert "TMF657 v4: no file of it in" in told
    assert "0 of 20 tables equal" in told
    for none in ("", str(tmp_path / "nowhere")):
        with pytest.raises(SystemExit, match="2"):
            main([none])


def test_ten_words_in_a_row_are_found_in_descriptions() -> None:
    text = "One two three, four five six seven eight nine ten eleven."
    found = set(runs({"info": [{"description": text, "name": text}]}))
    assert len(found) == 2
    assert set(runs({"summary": text.upper()})) == found
