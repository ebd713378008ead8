"""What every request passes first: trace, caller, metrics. One ASGI layer, for each layer costs on every request."""

from __future__ import annotations

import ipaddress
import time
from typing import Any

from tmfkit.call import CALL, Call
from tmfkit.context import Context
from tmfkit.errors import TmfError, response
from tmfkit.http import Receive, Scope, Send, header
from tmfkit.security import ANONYMOUS, Verifier
from tmfkit.telemetry import Telemetry

OPEN = frozenset({"health", "metrics", "listener", "docs", "openapi.json"})
"""First path segments (below the component's) that carry no personal data or guard themselves."""


class Door:
    """Wraps the app. Without a caller: health, metrics, documentation, listeners (they hold a key), the entry page."""

    def __init__(self, app: Any, ctx: Context[Any], telemetry: Telemetry, base: str, verifier: Verifier | None) -> None:
        self.app, self.ctx, self.telemetry, self.base, self.verifier = app, ctx, telemetry, base, verifier
        allow = [a.strip() for a in ctx.settings.forwarded_allow.split(",") if a.strip()]
        self._any_peer = "*" in allow
        self._peers = [ipaddress.ip_network(a, strict=False) for a in allow if a != "*"]
        self._peer_cache: dict[str, bool] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        client = scope.get("client")
        scope["tmfkit.trusted"] = self._any_peer or (client is not None and self._trusted(client[0]))
        scope["tmfkit.principal"] = ANONYMOUS
        status = 500

        async def sending(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self.telemetry.request(scope) as span:
            token = None
            try:
                if self.verifier is not None and not self._open(scope["path"]):
                    scope["tmfkit.principal"] = await self.verifier.authenticate(header(scope, b"authorization"))
                token = CALL.set(Call(scope["tmfkit.principal"].subject, span.traceparent))
                await self.app(scope, receive, sending)
            except TmfError as e:
                await response(e, scope["path"])(scope, receive, sending)
            finally:
                if token is not None:
                    CALL.reset(token)
                route = scope.get("tmfkit.route") or getattr(scope.get("route"), "path", None) or "other"
                self.telemetry.served(scope["method"], route, status, time.perf_counter() - started)

    def _open(self, path: str) -> bool:
        if not path.startswith(self.base):
            return path.lstrip("/").split("/", 1)[0] in OPEN
        rest = path[len(self.base) :].strip("/")
        return not rest or rest.split("/", 1)[0] in OPEN or rest.endswith("/openapi.json")

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
