"""For tests of components built on tmfkit: a real database each, the app on a thread of its own, and the laws.

The laws hold for every declared resource in every version: a resource gets them by being declared.

    class TestLaws(laws(component)): ...
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import tempfile
import threading
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx
import jsonschema
import orjson
import pytest

from tmfkit import migrate
from tmfkit.component import Component
from tmfkit.context import Context
from tmfkit.database import new_id
from tmfkit.embedded import THROW_AWAY, Embedded, create
from tmfkit.query import ALWAYS, ALWAYS_V4, kind_of, matches, model_fields, names_of, parse
from tmfkit.samples import body
from tmfkit.settings import Settings
from tmfkit.types import Document
from tmfkit.versions import View
from tmfkit.write import Form

T = TypeVar("T")
LOCAL = "http://component.test"


@cache
def server() -> str:
    """URL of a real PostgreSQL for this test run: TEST_DATABASE_URL, or one delivered by pip in a temporary folder."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return given
    folder = tempfile.TemporaryDirectory(prefix="tmfkit-pg-")
    embedded = Embedded(Path(folder.name), THROW_AWAY)

    def end() -> None:
        embedded.stop()
        folder.cleanup()

    atexit.register(end)
    return embedded.url()


def database_named(name: str) -> str:
    scheme, _, rest = server().partition("://")
    authority, _, tail = rest.partition("/")
    query = tail.partition("?")[2]
    return f"{scheme}://{authority}/{name}" + (f"?{query}" if query else "")


@cache
def _template(package: str) -> str:
    """A migrated, empty database of a component: test databases are copies of it."""
    name = f"template_{package}_{os.getpid()}"
    create(server(), [name])
    asyncio.run(migrate.upgrade(package, database_named(name)))
    return name


def fresh_database(component: Component) -> str:
    """URL of an empty, migrated database that nothing else uses."""
    template = _template(component.package)
    name = f"test_{component.package}_{new_id().replace('-', '')}"
    create(server(), [name], template=template)
    return database_named(name)


def local_settings(component: Component, **values: Any) -> Settings:
    """Settings for a test: own database, no security, small pool."""
    given: dict[str, Any] = {
        "auth_mode": "none",
        "public_url": LOCAL,
        "database_connections": 6,
        "callback_allow": ["127.0.0.0/8", "::1"],
    }
    given |= values
    if "database_url" not in given:
        given["database_url"] = fresh_database(component)
    return component.settings(**given)


class Loop:
    """An event loop on a thread of its own, for tests that are plain functions."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="test loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout: float = 60) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class Running:
    """A component's app, running: requests go through ASGI, all else is real."""

    def __init__(self, component: Component, loop: Loop, settings: Settings, **options: Any) -> None:
        self.component, self.loop, self.settings = component, loop, settings
        self.app = component.app(settings, **options)
        self._stack = contextlib.AsyncExitStack()
        self.loop.run(self._stack.enter_async_context(self.app.router.lifespan_context(self.app)))
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app, raise_app_exceptions=False), base_url=LOCAL
        )

    @property
    def ctx(self) -> Context[Any]:
        ctx: Context[Any] = self.app.state.ctx
        return ctx

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.loop.run(self.client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return self.request("POST", path, json=json, **options)

    def patch(self, path: str, json: Any = None, media: str = "application/json", **options: Any) -> httpx.Response:
        return self.request(
            "PATCH",
            path,
            content=orjson.dumps(json),
            headers={"content-type": media, **options.pop("headers", {})},
            **options,
        )

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def sql(self, statement: str, *args: Any) -> list[Any]:
        async def ask() -> list[Any]:
            return list(await self.ctx.database.pool.fetch(statement, *args))

        return self.loop.run(ask())

    def close(self) -> None:
        self.loop.run(self.client.aclose())
        self.loop.run(self._stack.aclose())


@contextlib.contextmanager
def running(component: Component, loop: Loop | None = None, **values: Any) -> Iterator[Running]:
    """Start a component on a fresh database; `worker`, `transports` and `clock` go to its app, the rest to settings."""
    own = loop or Loop()
    options = {k: values.pop(k) for k in ("worker", "transports", "callback_client", "clock") if k in values}
    options.setdefault("worker", False)
    app = Running(component, own, local_settings(component, **values), **options)
    try:
        yield app
    finally:
        app.close()
        if loop is None:
            own.close()


# --- the laws ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One resource in one version."""

    api: str
    view: View
    form: Form
    path: str

    def __str__(self) -> str:
        return f"{self.view.resource.name}-{self.view.version}"

    def has(self, *operations: str) -> bool:
        return set(operations) <= self.view.resource.operations


def cases(component: Component, *operations: str) -> list[Case]:
    base = component.base()
    found = []
    apis = {api.name: api for api in component.apis}
    for (api, version, _), view in component.views.items():
        case = Case(api, view, Form(view), f"{apis[api].path(base, version)}/{view.resource.path}")
        if case.has(*operations):
            found.append(case)
    return found


class Subject:
    """A case and the running component, with the steps that the laws are told in."""

    def __init__(self, running: Running, case: Case) -> None:
        self.running, self.case = running, case
        self.resource = case.view.resource

    def body(self, seed: int = 0, *, full: bool = True) -> Document:
        return body(self.case.form, seed, full=full)

    def created(self, seed: int = 0, *, full: bool = True) -> Document:
        answer = self.running.post(self.case.path, self.body(seed, full=full))
        assert answer.status_code == 201, answer.text
        doc: Document = answer.json()
        return doc

    def stored(self, seed: int = 0) -> str:
        """A document made by the component itself, for resources that clients may not create."""
        from tmfkit.write import normal

        doc = self.case.view.up(body(self.case.form, seed, full=True))
        doc = normal(self.case.view.model, {**doc, "id": "x", "href": "x"}) if self.case.view.stored else doc
        doc = {k: v for k, v in doc.items() if k not in ("id", "href")}

        async def insert() -> str:
            async with self.running.ctx.transaction() as tx:
                return str((await tx[self.resource.model].insert(doc))["id"])

        return self.running.loop.run(insert())

    def one(self, id: str) -> str:
        return f"{self.case.path}/{id}"

    def events(self, id: str) -> list[str]:
        rows = self.running.sql(
            "SELECT kind FROM outbox WHERE resource = $1 AND resource_id = $2 ORDER BY seq", self.resource.name, id
        )
        return [r["kind"] for r in rows]

    def changeable(self) -> str | None:
        """A first-level text attribute that a client may change and that is no state."""
        form = self.case.form
        lifecycle = self.resource.lifecycle
        closed = (
            self.resource.server_owned | form.read_only | form.create_only | {"@type", "@baseType", "@schemaLocation"}
        )
        for name, info in model_fields(self.case.view.model).items():
            if name in closed or (lifecycle and name == lifecycle.attribute) or name.startswith("@"):
                continue
            if info.annotation in (str, str | None) and kind_of(info.annotation) == "text":
                return name
        return None


def assert_tmf_error(answer: httpx.Response, status: int) -> Document:
    """The answer is a TMF Error of that status."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text[:500]}"
    error: Document = answer.json()
    assert error["code"] and error["reason"], error
    assert error["status"] == str(status)
    if "/v5/" in answer.request.url.path:
        assert error["@type"] == "Error"
    return error


def laws(component: Component) -> type:
    """A pytest class with every law over every resource of the component."""

    def over(*operations: str) -> pytest.MarkDecorator:
        found = cases(component, *operations)
        return pytest.mark.parametrize("case", found, ids=[str(c) for c in found])

    def given(running: Running, case: Case) -> Subject:
        return Subject(running, case)

    class Laws:
        @pytest.fixture(scope="class")
        @classmethod
        def app(cls) -> Iterator[Running]:
            with running(component) as app:
                yield app

        @over("create", "retrieve")
        def test_what_is_posted_can_be_read(self, app: Running, case: Case) -> None:
            s = given(app, case)
            for seed, full in ((1, True), (2, False)):
                sent = s.body(seed, full=full)
                answer = app.post(case.path, sent)
                assert answer.status_code == 201, answer.text
                doc = answer.json()
                assert answer.headers["location"] == doc["href"] == f"{LOCAL}{case.path}/{doc['id']}"
                assert app.get(s.one(doc["id"])).json() == doc
                owned = s.resource.server_owned | case.form.read_only
                missing = not_kept({k: v for k, v in sent.items() if k not in owned}, doc)
                assert not missing, missing
                assert doc["@type"] == s.resource.name

        @over("list")
        def test_an_empty_answer_is_an_empty_list(self, app: Running, case: Case) -> None:
            answer = app.get(f"{case.path}?id=no-such-id")
            assert (answer.status_code, answer.json()) == (200, [])
            assert (answer.headers["x-total-count"], answer.headers["x-result-count"]) == ("0", "0")

        @over("retrieve")
        def test_what_is_not_there_is_a_404(self, app: Running, case: Case) -> None:
            for id in ("missing", "a%2Fb", "%C3%A4%20%F0%9F%98%80", "..%2F..%2Fetc"):
                assert_tmf_error(app.get(f"{case.path}/{id}"), 404)

        @over("create")
        def test_the_server_owns_what_it_owns(self, app: Running, case: Case) -> None:
            s = given(app, case)
            doc = app.post(case.path, {**s.body(3), "href": "http://elsewhere/1"}).json()
            assert doc["href"].startswith(LOCAL)
            for name in (s.resource.created, s.resource.updated):
                if name and name in model_fields(case.view.model):
                    other = app.post(case.path, {**s.body(3), name: "1999-01-01T00:00:00Z"}).json()
                    assert not other[name].startswith("1999")

        @over("create", "patch")
        def test_what_the_server_owns_is_not_patched(self, app: Running, case: Case) -> None:
            s = given(app, case)
            doc = s.created(4)
            for name in sorted(s.resource.server_owned | case.form.read_only | {"@type"}):
                answer = app.patch(s.one(doc["id"]), {name: "2001-01-01T00:00:00Z"})
                assert assert_tmf_error(answer, 400)["attribute"] == name
            assert app.get(s.one(doc["id"])).json() == doc

        @over("create")
        def test_unknown_attributes_are_kept(self, app: Running, case: Case) -> None:
            s = given(app, case)
            doc = app.post(case.path, {**s.body(5), "x_extension": {"a": [1, "é"]}}).json()
            assert doc["x_extension"] == {"a": [1, "é"]}

        @over("create")
        def test_a_client_id_is_kept_in_v5_and_taken_once(self, app: Running, case: Case) -> None:
            s = given(app, case)
            id = f"own {case.view.version} é/1"
            first = app.post(case.path, {**s.body(6), "id": id})
            assert first.status_code == 201, first.text
            if case.view.version == "v4":
                assert first.json()["id"] != id
                return
            assert first.json()["id"] == id
            assert app.get(first.json()["href"]).json() == first.json()
            assert_tmf_error(app.post(case.path, {**s.body(6), "id": id}), 409)

        @over("create")
        def test_a_missing_mandatory_attribute_is_named(self, app: Running, case: Case) -> None:
            s = given(app, case)
            before = app.sql(f"SELECT count(*) FROM {s.resource.table}")[0][0]
            sent = s.body(7, full=False)
            fields = model_fields(case.form.create_model)
            for name in [n for n in sent if n in fields and fields[n].is_required()]:
                answer = app.post(case.path, {k: v for k, v in sent.items() if k != name})
                assert assert_tmf_error(answer, 400)["attribute"] == name
            assert_tmf_error(app.post(case.path, [sent]), 400)
            assert app.sql(f"SELECT count(*) FROM {s.resource.table}")[0][0] == before

        @over("create", "patch")
        def test_merge_patch_is_idempotent_and_null_removes(self, app: Running, case: Case) -> None:
            s = given(app, case)
            doc = s.created(8)
            change = {"x_note": "changed", "x_object": {"a": 1, "b": 2}}
            once = app.patch(s.one(doc["id"]), change).json()
            answer = app.patch(s.one(doc["id"]), change)
            assert answer.status_code == 200
            assert answer.json() == once
            gone = app.patch(
                s.one(doc["id"]), {"x_note": None, "x_object": {"a": None}}, "application/merge-patch+json"
            ).json()
            assert "x_note" not in gone
            assert gone["x_object"] == {"b": 2}

        @over("create", "patch")
        def test_a_json_patch_applies_whole_or_not_at_all(self, app: Running, case: Case) -> None:
            s = given(app, case)
            doc = s.created(9)
            media = "application/json-patch+json"
            done = app.patch(s.one(doc["id"]), [{"op": "add", "path": "/x_new", "value": 1}], media)
            assert done.json()["x_new"] == 1
            failed = app.patch(
                s.one(doc["id"]),
                [{"op": "replace", "path": "/x_new", "value": 2}, {"op": "test", "path": "/x_new", "value": 3}],
                media,
            )
            assert_tmf_error(failed, 409)
            assert app.get(s.one(doc["id"])).json() == done.json()
            assert_tmf_error(app.patch(s.one(doc["id"]), [{"op": "remove", "path": "/nowhere"}], media), 400)

        @over("create", "retrieve")
        def test_fields_select_and_identity_stays(self, app: Running, case: Case) -> None:
            s = given(app, case)
            doc = s.created(10)
            identity = {k: doc[k] for k in (ALWAYS_V4 if case.view.version == "v4" else ALWAYS)}
            assert app.get(f"{s.one(doc['id'])}?fields=none").json() == identity
            for name in doc:
                answer = app.get(s.one(doc["id"]), params={"fields": f"{name},unknown"})
                assert answer.json() == {**identity, name: doc[name]}
            assert app.get(f"{case.path}?fields=none&id={doc['id']}").json() == [identity]

        @over("create", "list")
        def test_a_filter_finds_what_the_matcher_finds(self, app: Running, case: Case) -> None:
            s = given(app, case)
            docs = [s.created(seed) for seed in range(20, 24)]
            everything = app.get(f"{case.path}?limit=1000").json()
            for name in leaf_paths(case, docs[0]):
                path = case.view.names(name)
                if path is None or not leaves_of(s.body(20), name):  # what no client said may be told for others
                    continue
                own = names_of(case.view.model, *s.resource.extensions)
                value = next(iter(leaves_of(docs[0], name)), None)
                if not isinstance(value, str | int | float | bool):
                    continue
                text = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
                raw = str(httpx.QueryParams({name: text.replace(",", "\\,")}))
                answer = app.get(f"{case.path}?{raw}&limit=1000")
                assert answer.status_code == 200, answer.text
                query = parse(raw, own)
                expected = [d["id"] for d in everything if matches(d, query)]
                assert [d["id"] for d in answer.json()] == expected, raw
                assert docs[0]["id"] in expected
                assert answer.headers["x-total-count"] == str(len(expected))

        @over("list")
        def test_a_bad_question_is_a_400_that_names_its_attribute(self, app: Running, case: Case) -> None:
            for raw, attribute in (
                ("nosuch=1", "nosuch"),
                ("id.nosuch=1", "id.nosuch"),
                ("sort=nosuch", "nosuch"),
                ("offset=-1", "offset"),
                ("limit=ten", "limit"),
                ("filter=%24%5B%3F(", "filter"),
            ):
                error = assert_tmf_error(app.get(f"{case.path}?{raw}"), 400)
                assert error["attribute"] == attribute

        @over("create", "list")
        def test_pages_joined_are_the_whole(self, app: Running, case: Case) -> None:
            s = given(app, case)
            for seed in range(30, 34):
                s.created(seed)
            whole = app.get(f"{case.path}?limit=1000")
            assert whole.status_code == 200
            total = len(whole.json())
            joined: list[Document] = []
            url: str | None = f"{case.path}?limit=3&fields=id"
            while url:
                page = app.get(url)
                joined += page.json()
                assert page.headers["x-total-count"] == str(total)
                assert page.headers["x-result-count"] == str(len(page.json()))
                assert page.status_code == (206 if len(page.json()) < total else 200)
                url = page.links["next"]["url"] if "next" in page.links else None
            assert [d["id"] for d in joined] == [d["id"] for d in whole.json()]
            beyond = app.get(f"{case.path}?offset=100000")
            assert (beyond.status_code, beyond.json(), beyond.headers["x-total-count"]) == (200, [], str(total))

        @over("create", "patch", "delete")
        def test_one_change_one_event_no_change_none(self, app: Running, case: Case) -> None:
            s = given(app, case)
            doc = s.created(11)
            app.patch(s.one(doc["id"]), {"x_extra": 1})
            app.patch(s.one(doc["id"]), {"x_extra": 1})
            assert app.delete(s.one(doc["id"])).status_code == 204
            assert s.events(doc["id"]) == s.resource.raised(("Create", "AttributeValueChange", "Delete"))
            assert_tmf_error(app.get(s.one(doc["id"])), 404)
            assert_tmf_error(app.delete(s.one(doc["id"])), 404)

        @over("create", "patch")
        def test_illegal_moves_are_a_409_and_legal_ones_raise_their_event(self, app: Running, case: Case) -> None:
            s = given(app, case)
            lifecycle = s.resource.lifecycle
            if lifecycle is None or lifecycle.moves is None or lifecycle.initial is None:
                return
            doc = s.created(12)
            start = doc[lifecycle.attribute]
            legal = list(lifecycle.moves.get(start, ()))
            for state in sorted(lifecycle.states - {start, *legal}):
                assert_tmf_error(app.patch(s.one(doc["id"]), {lifecycle.attribute: state}), 409)
            if legal:
                moved = app.patch(s.one(doc["id"]), {lifecycle.attribute: legal[0]})
                assert moved.status_code == 200, moved.text
                assert moved.json()[lifecycle.attribute] == legal[0]
                assert lifecycle.event in s.events(doc["id"]) or lifecycle.event not in s.resource.event_kinds

        @over("create", "patch")
        def test_two_patches_at_once_both_survive(self, app: Running, case: Case) -> None:
            s = given(app, case)
            doc = s.created(13)

            async def both() -> list[httpx.Response]:
                return await asyncio.gather(*(app.client.patch(s.one(doc["id"]), json={f"x_{i}": i}) for i in range(8)))

            assert {r.status_code for r in app.loop.run(both())} == {200}
            after = app.get(s.one(doc["id"])).json()
            assert all(after[f"x_{i}"] == i for i in range(8))

        @over("create", "patch")
        def test_if_match_guards_a_patch(self, app: Running, case: Case) -> None:
            s = given(app, case)
            doc = s.created(14)
            etag = app.get(s.one(doc["id"])).headers["etag"]
            first = app.patch(s.one(doc["id"]), {"x_a": 1}, headers={"if-match": etag})
            assert first.status_code == 200
            assert first.headers["etag"] != etag
            assert_tmf_error(app.patch(s.one(doc["id"]), {"x_a": 2}, headers={"if-match": etag}), 412)
            assert app.get(s.one(doc["id"])).json()["x_a"] == 1
            assert app.get(s.one(doc["id"]), headers={"if-none-match": first.headers["etag"]}).status_code == 304

        @over("create")
        def test_an_idempotency_key_creates_once(self, app: Running, case: Case) -> None:
            s = given(app, case)
            headers = {"idempotency-key": new_id()}
            sent = s.body(15)
            first = app.post(case.path, sent, headers=headers)
            again = app.post(case.path, sent, headers=headers)
            assert (first.status_code, again.status_code) == (201, 201)
            assert first.json() == again.json()
            assert_tmf_error(app.post(case.path, {**sent, "x_other": 1}, headers=headers), 422)

        @over("create")
        def test_bulk_create_is_all_or_nothing(self, app: Running, case: Case) -> None:
            s = given(app, case)
            good = [{"op": "add", "path": "/", "value": s.body(seed)} for seed in (40, 41)]
            before = int(app.get(f"{case.path}?limit=0").headers["x-total-count"]) if case.has("list") else 0
            done = app.patch(case.path, good, "application/json-patch+json")
            assert done.status_code == 200, done.text
            assert len(done.json()) == 2
            bad = [*good, {"op": "add", "path": "/", "value": "no object"}]
            assert_tmf_error(app.patch(case.path, bad, "application/json-patch+json"), 400)
            if case.has("list"):
                assert int(app.get(f"{case.path}?limit=0").headers["x-total-count"]) == before + 2

        @over()
        def test_methods_and_media_that_are_not_there(self, app: Running, case: Case) -> None:
            answer = app.request("PUT", case.path)
            assert_tmf_error(answer, 405)
            assert "GET" in answer.headers["allow"] or "POST" in answer.headers["allow"]
            if not case.has("delete"):
                assert_tmf_error(app.delete(f"{case.path}/1"), 405)
            if not case.has("create"):
                assert_tmf_error(app.post(case.path, {}), 405)
            if case.has("create"):
                assert_tmf_error(
                    app.request("POST", case.path, content=b"<a/>", headers={"content-type": "text/xml"}), 415
                )
                assert_tmf_error(
                    app.request("POST", case.path, content=b'{"a":', headers={"content-type": "application/json"}), 400
                )
            if case.has("list"):
                assert_tmf_error(app.get(case.path, headers={"accept": "text/html"}), 406)

        @over("create", "retrieve", "list")
        def test_answers_are_as_the_openapi_file_says(self, app: Running, case: Case) -> None:
            s = given(app, case)
            api = next(a for a in component.apis if a.name == case.api)
            document = component.openapi_file(api, case.view.version)
            schema = {
                **document["components"]["schemas"][case.view.model.__name__],
                "components": document["components"],
            }
            validator = jsonschema.Draft202012Validator(schema)
            for full in (True, False):
                doc = s.created(16, full=full)
                validator.validate(doc)
                validator.validate(app.get(f"{case.path}?id={doc['id']}").json()[0])

        @over("create")
        def test_a_failed_commit_is_never_a_201(self, app: Running, case: Case) -> None:
            s = given(app, case)
            table = s.resource.table
            app.sql(
                f"CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'refused at commit'; END $$"
            )
            app.sql(
                f"CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED"
                f" FOR EACH ROW EXECUTE FUNCTION refuse_{table}()"
            )
            before = app.sql("SELECT count(*) FROM outbox")[0][0]
            try:
                for headers in ({}, {"idempotency-key": new_id()}):
                    assert_tmf_error(app.post(case.path, s.body(17), headers=headers), 500)
            finally:
                app.sql(f"DROP TRIGGER refuse ON {table}")
                app.sql(f"DROP FUNCTION refuse_{table}()")
            assert app.sql("SELECT count(*) FROM outbox")[0][0] == before

        @over("retrieve")
        def test_what_the_component_writes_itself_can_be_read(self, app: Running, case: Case) -> None:
            s = given(app, case)
            id = s.stored(18)
            answer = app.get(s.one(id))
            assert answer.status_code == 200
            assert answer.json()["href"] == f"{LOCAL}{s.one(id)}"
            assert s.events(id) == s.resource.raised(("Create",))

        def test_the_database_is_as_declared(self, app: Running) -> None:
            url = app.settings.database_url.get_secret_value()
            assert asyncio.run(migrate.differences(url, component.schema)) == []

        @over()
        def test_the_base_path_of_each_api_answers(self, app: Running, case: Case) -> None:
            base = case.path.rsplit("/", 1)[0]
            assert app.get(base).status_code == 200
            file = app.get(f"{base}/openapi.json").json()
            assert f"/{case.view.resource.path}" in file["paths"] or not case.has("list")

    for name, law in list(vars(Laws).items()):  # a law without a case would be reported as skipped
        if any(m.name == "parametrize" and not m.args[1] for m in getattr(law, "pytestmark", [])):
            delattr(Laws, name)
    Laws.__name__ = Laws.__qualname__ = "Laws"
    return Laws


def not_kept(sent: Any, found: Any, path: str = "") -> list[str]:
    """What of a body is not found again in the answer; the answer may say more (types of references)."""
    if isinstance(sent, dict):
        if not isinstance(found, dict):
            return [f"{path}: {found!r} instead of an object"]
        return [m for k, v in sent.items() for m in not_kept(v, found.get(k), f"{path}.{k}".lstrip("."))]
    if isinstance(sent, list):
        if not isinstance(found, list) or len(found) != len(sent):
            return [f"{path}: {found!r} instead of {sent!r}"]
        return [m for i, (a, b) in enumerate(zip(sent, found, strict=True)) for m in not_kept(a, b, f"{path}[{i}]")]
    return [] if sent == found else [f"{path}: {found!r} instead of {sent!r}"]


def leaf_paths(case: Case, doc: Document) -> list[str]:
    """Dotted paths of the attributes that this document has and its model declares, down to two levels."""
    out = []
    for name, value in doc.items():
        out.append(name)
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict):
            out += [f"{name}.{k}" for k in inner]
    return out


def leaves_of(doc: Any, dotted: str) -> list[Any]:
    nodes = [doc]
    for name in dotted.split("."):
        nodes = [n[name] for n in nodes if isinstance(n, Mapping) and name in n]
        nodes = [m for n in nodes for m in (n if isinstance(n, list) else [n])]
    return nodes
