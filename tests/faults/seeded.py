"""A running component of ours with one fault in it: switched on by argument, around the app, none of it in the product.

`Seeded` is the component's ASGI app with a seat for one fault: a kind (seeded_answers.py, seeded_lists.py,
seeded_changes.py) stands between the caller and the app, or (seeded_events.py) between the relay and the listener.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

import httpx
import yaml

from tmfkit import Component, Settings
from tmfkit.query import model_fields

Doc = dict[str, Any]
FILE = Path(__file__).with_name("faults.yaml")
NO_FILTERS = frozenset({"fields", "offset", "limit", "sort", "filter", "before", "after"})
NAME = re.compile(r"[@\w.\-]+")


@dataclass(frozen=True)
class Fault:
    """One entry of faults.yaml. `clause`: what it violates; each of them says so."""

    id: str
    api: str
    version: str
    resource: str
    fault: str
    detail: Mapping[str, Any]
    clause: tuple[str, ...]
    says: str


def faults(file: Path = FILE) -> list[Fault]:
    """The list, in its order."""
    entries: list[Doc] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return [Fault(**{**e, "clause": tuple(e["clause"])}) for e in entries]


# --- what goes in and what comes out ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A request. `id` is None for the collection; `query` holds the parameters as they were written."""

    method: str
    path: str
    id: str | None
    query: tuple[str, ...]
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def json(self) -> Any:
        """The body; None where it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def document(self) -> Doc:
        sent = self.json
        return sent if isinstance(sent, dict) else {}

    @property
    def media(self) -> str:
        found = [v.decode() for k, v in self.headers if k == b"content-type"]
        return found[-1].partition(";")[0].strip().lower() if found else "application/json"

    @property
    def merges(self) -> bool:
        return self.method == "PATCH" and self.media in ("application/json", "application/merge-patch+json")

    @property
    def lists(self) -> bool:
        return self.method == "GET" and self.id is None

    @property
    def creates(self) -> bool:
        return self.method == "POST" and self.id is None

    @property
    def filters(self) -> tuple[str, ...]:
        """The parameters that filter by an attribute."""
        return tuple(p for p in self.query if named(p) not in NO_FILTERS)

    def parameter(self, name: str) -> str | None:
        found = [unquote_plus(p.partition("=")[2]) for p in self.query if named(p) == name]
        return found[-1] if found else None

    def without(self, *names: str) -> Call:
        return replace(self, query=tuple(p for p in self.query if named(p) not in names))

    def unfiltered(self) -> Call:
        return replace(self, query=tuple(p for p in self.query if p not in self.filters))

    def setting(self, name: str, value: object) -> Call:
        """With that parameter in place of those of the same name."""
        return replace(self, query=(*self.without(name).query, f"{quote(name, safe='@')}={quote(str(value), safe='')}"))

    def sending(self, value: Any, media: str | None = None) -> Call:
        headers = tuple(h for h in self.headers if h[0] != b"content-length" and (h[0] != b"content-type" or not media))
        extra = ((b"content-type", media.encode()),) if media else ()
        return replace(self, headers=(*headers, *extra), body=json.dumps(value).encode())

    def reading(self, id: str | None = None, query: tuple[str, ...] = ()) -> Call:
        """GET of the resource that this call is about, or of that id in its collection."""
        path = self.path if id is None else f"{self.path}/{quote(id, safe='')}"
        kept = tuple(h for h in self.headers if h[0] not in (b"content-length", b"content-type"))
        return Call("GET", path, self.id or id, query, kept, b"")


def named(parameter: str) -> str:
    """The attribute or word that a query parameter begins with."""
    found = NAME.match(unquote_plus(parameter))
    return found[0] if found else ""


@dataclass
class Answer:
    """A response; its headers have lower-case names."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k == name), None)

    def set(self, name: str, value: object | None) -> Answer:
        self.headers = [(k, v) for k, v in self.headers if k != name]
        if value is not None:
            self.headers.append((name, str(value)))
        return self

    def put(self, value: Any) -> Answer:
        self.body = json.dumps(value, ensure_ascii=False).encode()
        return self.set("content-type", self.header("content-type") or "application/json")

    @property
    def documents(self) -> list[Doc]:
        """The resources it shows, one or many."""
        value = self.json if self.ok else None
        return [d for d in (value if isinstance(value, list) else [value]) if isinstance(d, dict)]

    def changed(self, change: Callable[[Doc], object]) -> Answer:
        """With each resource changed in place."""
        value = self.json if self.ok else None
        shown = [d for d in (value if isinstance(value, list) else [value]) if isinstance(d, dict)]
        for doc in shown:
            change(doc)
        return self.put(value) if shown else self


# --- one fault in its place -------------------------------------------------------------------------------------


@dataclass
class Seat:
    """A fault that is switched on: where it works and what it remembers. `undo` is done when it is switched off."""

    fault: Fault
    base: str
    attributes: tuple[str, ...]
    inner: Callable[[Call], Awaitable[Answer]]
    memory: dict[str, Any] = field(default_factory=dict)
    undo: list[Call] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def detail(self) -> Mapping[str, Any]:
        return self.fault.detail

    @property
    def subject(self) -> str:
        return f"{self.base}/{'hub' if self.fault.fault.startswith('hub_') else self.fault.resource}"

    async def ask(self, call: Call) -> Answer:
        """What the component itself answers."""
        return await self.inner(call)

    async def current(self, call: Call) -> Doc:
        """The resource that a call is about, as it is now; empty where it is not there."""
        answer = await self.ask(call.reading())
        value = answer.json if answer.ok else None
        return value if isinstance(value, dict) else {}

    def remembered(self, name: str, empty: Callable[[], Any] = dict) -> Any:
        if name not in self.memory:
            self.memory[name] = empty()
        return self.memory[name]

    def refusal(self, status: int, reason: str) -> Answer:
        """An error as the component would write it."""
        body: Doc = {"code": f"ERR{status}", "reason": reason, "status": str(status)}
        if self.fault.version != "v4":
            body["@type"] = "Error"
        return Answer(status, [("content-type", "application/json")], json.dumps(body).encode())


AnswerKind = Callable[[Seat, Call], Awaitable[Answer]]
ANSWERS: dict[str, AnswerKind] = {}


def kind(function: AnswerKind) -> AnswerKind:
    """The function stands between caller and app when a fault of its name is on."""
    ANSWERS[getattr(function, "__name__")] = function  # noqa: B009
    return function


class Seeded:
    """A component's app with at most one fault in it."""

    def __init__(self, component: Component, settings: Settings) -> None:
        import seeded_answers
        import seeded_changes
        import seeded_events
        import seeded_lists

        assert seeded_answers and seeded_changes and seeded_lists  # importing them is what registers the kinds
        self.component, self.settings = component, settings
        self.seat: Seat | None = None
        transport = component.callbacks(settings).transport()
        self.courier = seeded_events.Courier(transport, lambda: self.seat)
        self._client = httpx.AsyncClient(transport=self.courier, timeout=settings.delivery_timeout_s)
        self.app = component.app(settings, callback_client=self._client)
        self._loop: asyncio.AbstractEventLoop | None = None

    def place(self, api: str, version: str) -> str | None:
        """The base path of an API; None where the component does not serve it."""
        found = [a for a in self.component.apis if a.id == api and version in a.versions]
        return found[0].path(self.component.base(self.settings), version) if found else None

    @contextlib.contextmanager
    def with_fault(self, fault: Fault) -> Iterator[Seat]:
        """The fault is on inside the block. KeyError where the component does not serve the resource."""
        base = self.place(fault.api, fault.version)
        views = [
            v
            for (name, version, _), v in self.component.views.items()
            if version == fault.version and v.resource.path == fault.resource and self._is(name, fault.api)
        ]
        if base is None or not views:
            raise KeyError(f"{self.component.name} does not serve {fault.api} {fault.version} {fault.resource}")
        seat = Seat(fault, base, tuple(model_fields(views[0].model)), self._never)
        self.seat = seat
        try:
            yield seat
        finally:
            self.seat = None
            if self._loop is not None and self._loop.is_running():
                asyncio.run_coroutine_threadsafe(self._cleared(seat), self._loop).result(30)

    def _is(self, name: str, api: str) -> bool:
        return any(a.name == name and a.id == api for a in self.component.apis)

    @staticmethod
    async def _never(call: Call) -> Answer:
        raise AssertionError(f"{call.method} {call.path} before the first request")

    async def _cleared(self, seat: Seat) -> None:
        for task in seat.tasks:
            task.cancel()
        await asyncio.gather(*seat.tasks, return_exceptions=True)
        for call in seat.undo:
            await seat.ask(call)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            self._loop = asyncio.get_running_loop()
            await self.app(scope, receive, send)
            await self._client.aclose()
            return
        seat = self.seat
        path = scope["raw_path"].decode() if scope.get("raw_path") else quote(scope["path"])
        path = path.partition("?")[0]
        if scope["type"] != "http" or seat is None or not f"{path}/".startswith(f"{seat.subject}/"):
            await self.app(scope, receive, send)
            return
        judged = ANSWERS.get(seat.fault.fault)
        if judged is None:
            await self.app(scope, receive, send)
            return
        own = {k: v for k, v in scope.items() if not k.startswith("tmfkit.")}

        async def inner(call: Call) -> Answer:
            return await self._asked(own, call)

        seat.inner = inner
        rest = path.removeprefix(seat.subject).strip("/")
        answer = await judged(
            seat,
            Call(
                scope["method"],
                path,
                unquote(rest) if rest else None,
                tuple(p for p in scope["query_string"].decode("latin-1").split("&") if p),
                tuple((bytes(k), bytes(v)) for k, v in scope["headers"]),
                await _body(receive),
            ),
        )
        body = b"" if answer.status == 204 else answer.body
        if answer.status != 204:
            answer.set("content-length", len(body))
        headers = [(k.encode(), v.encode("latin-1")) for k, v in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _asked(self, scope: Mapping[str, Any], call: Call) -> Answer:
        given, parts, begun = False, list[bytes](), dict[str, Any]()

        async def receive() -> Doc:
            nonlocal given
            if given:
                await asyncio.Event().wait()
            given = True
            return {"type": "http.request", "body": call.body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                begun.update(message)
            else:
                parts.append(message.get("body", b""))

        asked = dict(scope) | {
            "method": call.method,
            "path": unquote(call.path),
            "raw_path": call.path.encode(),
            "query_string": "&".join(call.query).encode("latin-1"),
            "headers": [h for h in call.headers if h[0] != b"content-length"]
            + ([(b"content-length", str(len(call.body)).encode())] if call.body else []),
            "state": deepcopy(scope.get("state", {})),
        }
        await self.app(asked, receive, send)
        headers = [(k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in begun["headers"]]
        return Answer(begun["status"], [h for h in headers if h[0] != "content-length"], b"".join(parts))


async def _body(receive: Any) -> bytes:
    parts, more = list[bytes](), True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)
