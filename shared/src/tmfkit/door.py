"""What every request passes first: trace, caller, metrics. One ASGI layer, for each layer costs on every request."""

from __future__ import annotations

import ipaddress
import logging
import time
from typing import Any
from urllib.parse import quote

import asyncpg
from starlette.requests import ClientDisconnect

from tmfkit.call import CALL, Call
from tmfkit.context import Context
from tmfkit.errors import BadRequest, NotFound, ServiceUnavailable, TmfError, response
from tmfkit.http import Receive, Scope, Send, header
from tmfkit.hub import REGISTRAR, HubEndpoint
from tmfkit.router import Routes
from tmfkit.security import ANONYMOUS, Principal, Verifier
from tmfkit.telemetry import Telemetry

log = logging.getLogger("tmfkit")
NO_DATABASE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection whose server has just said that it ends
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # a database that accepts no connections
    ConnectionError,
)
NOBODY = Principal("anonymous", frozenset())
"""Who is not asked for a token: what is open to everybody asks for no permission."""
OPEN = frozenset({"health", "metrics", "listener", "docs", "openapi.json"})
"""First path segments (below the component's) that carry no personal data or guard themselves."""


class Door:
    """Outermost layer of the app. Resources and hubs are answered from here; all else goes on to FastAPI.

    Without a caller: health, metrics, documentation, listeners (they hold a key), the entry page, and the hub of roles
    for callbacks that are trusted by name.
    """

    def __init__(
        self,
        ctx: Context[Any],
        telemetry: Telemetry,
        base: str,
        verifier: Verifier | None,
        routes: Routes,
        unguarded: tuple[str, ...] = (),
    ) -> None:
        self.unguarded = unguarded
        self.ctx, self.telemetry, self.base, self.verifier, self.routes = ctx, telemetry, base, verifier, routes
        self.app: Any = None
        allow = [a.strip() for a in ctx.settings.forwarded_allow.split(",") if a.strip()]
        self._any_peer = "*" in allow
        self._peers = [ipaddress.ip_network(a, strict=False) for a in allow if a != "*"]
        self._peer_cache: dict[str, bool] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def sending(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self.telemetry.request(scope) as span:
            try:
                await self._admitted(scope, receive, sending, span.traceparent)
            except TmfError as e:
                await response(e, scope["path"])(scope, receive, sending)
            except NO_DATABASE as e:
                log.warning("%s %s: %s: %s", scope["method"], scope["path"], type(e).__name__, e)
                if status:
                    raise
                await response(no_database(), scope["path"])(scope, receive, sending)
            except ClientDisconnect:
                log.debug("the client left %s %s", scope["method"], scope["path"])
            except Exception:
                log.exception("unexpected failure of %s %s", scope["method"], scope["path"])
                if status:
                    raise
                await response(TmfError(f"trace id {span.trace_id}"), scope["path"])(scope, receive, sending)
            finally:
                route = scope.get("tmfkit.route") or getattr(scope.get("route"), "path", None) or "other"
                self.telemetry.served(scope["method"], route, status or 499, time.perf_counter() - started)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send, traceparent: str) -> None:
        client = scope.get("client")
        scope["tmfkit.trusted"] = self._any_peer or (client is not None and self._trusted(client[0]))
        found = self.routes.find(scope.get("raw_path") or quote(scope["path"]).encode())
        if found is not None:
            scope["tmfkit.route"] = found[0].path if found[1] is None else found[0].route
        principal = ANONYMOUS
        if self.verifier is not None:
            authorization = header(scope, b"authorization")
            if found is None and self._open(scope["path"]):
                principal = NOBODY
            elif authorization is None and found is not None and self._trusting(scope["method"], *found):
                principal = REGISTRAR
            else:
                principal = await self.verifier.authenticate(authorization)
        scope["tmfkit.principal"] = principal
        token = CALL.set(Call(principal.subject, traceparent))
        try:
            if found is None:
                refuse_nul(scope)
                await self.app(scope, receive, send)
            else:
                endpoint, id = found
                await endpoint(scope, receive, send, id)
        finally:
            CALL.reset(token)

    @staticmethod
    def _trusting(method: str, endpoint: Any, id: str | None) -> bool:
        return method == "POST" and id is None and isinstance(endpoint, HubEndpoint) and bool(endpoint.trusted)

    def _open(self, path: str) -> bool:
        if not path.startswith(self.base):
            return path.lstrip("/").split("/", 1)[0] in OPEN
        rest = path[len(self.base) :].strip("/")
        parts = rest.split("/")
        is_file = parts[-1] == "openapi.json" and len(parts) == (4 if parts[0] == "tmf-api" else 3)
        return not rest or parts[0] in OPEN or is_file or rest.startswith(self.unguarded)

    def _trusted(self, peer: str) -> bool:
        known = self._peer_cache.get(peer)
        if known is None:
            try:
                address = ipaddress.ip_address(peer)
                known = any(address in network for network in self._peers)
            except ValueError:
                known = False
            if len(self._peer_cache) < 10_000:
                self._peer_cache[peer] = known
        return known


def no_database() -> TmfError:
    return ServiceUnavailable("the database does not answer", retry_after_s=1)


def refuse_nul(scope: Scope) -> None:
    """PostgreSQL's text has no character NUL: no path holds it, and in a query it is a 400 for every route."""
    if "\x00" in scope["path"]:
        raise NotFound("no path holds the character NUL")
    if b"%00" in scope["query_string"]:
        name = next(p for p in scope["query_string"].split(b"&") if b"%00" in p).partition(b"=")[0]
        raise BadRequest("a value cannot hold the character NUL", attribute=name.decode("latin-1"))
