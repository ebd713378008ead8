"""A small HTTP server on a thread that receives notifications and remembers them."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_BYTES = 32 * 1024 * 1024
POLL_S = 0.05


@dataclass(frozen=True)
class Notification:
    """What was posted to a callback. `readable`: status of a GET of the resource at the moment of arrival."""

    token: str
    body: Any
    text: str
    at: float
    arrived: datetime
    answered: int
    readable: int | None = None

    @property
    def envelope(self) -> dict[str, Any]:
        return self.body if isinstance(self.body, dict) else {}

    @property
    def kind(self) -> str:
        return str(self.envelope.get("eventType", ""))

    @property
    def id(self) -> str:
        return str(self.envelope.get("eventId", ""))

    @property
    def resource(self) -> dict[str, Any]:
        """The resource in it: the first object below `event`."""
        event = self.envelope.get("event")
        values = event.values() if isinstance(event, dict) else ()
        return next((v for v in values if isinstance(v, dict)), {})

    def evidence(self) -> dict[str, Any]:
        """For a report."""
        text = self.text if len(self.text) <= 1500 else f"{self.text[:1500]} ... ({len(self.text)} bytes)"
        return {
            "request": {"method": "POST", "url": f"(to the kit) /listener/{self.token}", "headers": {}, "body": text},
            "response": {"status": self.answered, "headers": {}, "body": f"arrived {self.arrived.isoformat()}"},
            "took_ms": 0.0,
        }


Probe = Callable[[dict[str, Any]], int | None]


@dataclass
class Listener:
    """`host`: under which name the implementation reaches us; `refuse`: token -> how often to answer with 503 first."""

    host: str = "127.0.0.1"
    port: int = 0
    probe: Probe | None = None
    refuse: dict[str, int] = field(default_factory=dict)
    received: list[Notification] = field(default_factory=list)

    def __post_init__(self) -> None:
        local = self.host in ("127.0.0.1", "localhost")
        outer = self
        self._lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                length = min(int(self.headers.get("content-length") or 0), MAX_BYTES)
                status = outer.arrived(self.path, self.rfile.read(length))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                if not isinstance(sys.exc_info()[1], ConnectionError):  # who notifies may hang up at any time
                    super().handle_error(request, client_address)

        self._server = Server(("127.0.0.1" if local else "0.0.0.0", self.port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_S,), name="ctk listener", daemon=True
        )
        self._thread.start()

    def callback(self, token: str) -> str:
        """Address to register at a hub; the token tells the subscriptions apart."""
        return f"http://{self.host}:{self.port}/listener/{token}"

    def arrived(self, path: str, content: bytes) -> int:
        """Remember a notification; the status to answer with. Paths below the callback are fine (listener paths)."""
        token = path.removeprefix("/listener/").split("/")[0].split("?")[0]
        at, arrived = time.monotonic(), datetime.now(UTC)
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            body = None
        readable = self.probe(body) if self.probe and isinstance(body, dict) else None
        with self._lock:
            left = self.refuse.get(token, 0)
            self.refuse[token] = max(0, left - 1)
            answered = 503 if left > 0 else 201
            text = content.decode("utf-8", "replace")
            self.received.append(Notification(token, body, text, at, arrived, answered, readable))
        return answered

    def of(self, token: str) -> list[Notification]:
        """What a subscription got, in the order of arrival."""
        with self._lock:
            return sorted((n for n in self.received if n.token == token), key=lambda n: n.at)

    def about(self, token: str, id: str) -> list[Notification]:
        """What a subscription got about one resource."""
        return [n for n in self.of(token) if str(n.resource.get("id", "")) == id]

    def wait(self, enough: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until it is enough, but not longer than that."""
        deadline = time.monotonic() + timeout_s
        while not enough():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
