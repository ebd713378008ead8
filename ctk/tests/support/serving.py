"""A real HTTP server on a thread, made of one function."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = tuple[int, dict[str, str], Any]


class Serving:
    """Subclasses give `answered`; a body that is not bytes is sent as JSON."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 20
            wbufsize = -1
            disable_nagle_algorithm = True

            def handle_one(self) -> None:
                content = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {k.lower(): v for k, v in self.headers.items()}
                status, sent, body = outer.answered(self.command, self.path, headers, content)
                data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
                if not isinstance(body, bytes) and body is not None:
                    sent = {"content-type": "application/json", **sent}
                self.send_response(status)
                for name, value in {**sent, "content-length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_one

            def log_message(self, format: str, *args: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def answered(self, method: str, path: str, headers: dict[str, str], content: bytes) -> Answer:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)
