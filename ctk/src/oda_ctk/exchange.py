"""Requests and answers: what the kit sends, what comes back, and the record of both."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

import httpx

JSON_MEDIA = "application/json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
PATCH_QUERY = "application/json-patch-query+json"
SECRET = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "apikey"})
SHOWN = frozenset(
    {"content-type", "location", "link", "x-total-count", "x-result-count", "allow", "etag", "retry-after"}
)
MAX_EVIDENCE = 1500
Watcher = Callable[["Exchange"], None]


class Unanswered(Exception):
    """No answer at all: refused, cut off or too late. `nobody`: there was not even a connection."""

    def __init__(self, told: str, nobody: bool = False) -> None:
        super().__init__(told)
        self.nobody = nobody


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    method: str
    url: str
    sent_headers: Mapping[str, str]
    sent: bytes
    status: int
    headers: httpx.Headers
    content: bytes
    took_s: float

    @cached_property
    def path(self) -> str:
        return httpx.URL(self.url).path

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    @cached_property
    def json(self) -> Any:
        """The body as JSON; None where it is none (told apart from null by `is_json`)."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None

    @property
    def is_json(self) -> bool:
        return self.json is not None or self.content.strip() == b"null"

    @property
    def document(self) -> dict[str, Any]:
        """The body as an object; empty where it is none."""
        return self.json if isinstance(self.json, dict) else {}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The body as a list of objects."""
        return [row for row in self.json if isinstance(row, dict)] if isinstance(self.json, list) else []

    def told(self) -> str:
        """In few words: "POST /customer -> 201"."""
        return f"{self.method} {self.path} -> {self.status}"

    def evidence(self) -> dict[str, Any]:
        """For a report: shortened, and without secrets."""
        sent = {k: ("(hidden)" if k.lower() in SECRET else v) for k, v in self.sent_headers.items()}
        return {
            "request": {"method": self.method, "url": self.url, "headers": sent, "body": shortened(self.sent)},
            "response": {
                "status": self.status,
                "headers": {k: v for k, v in self.headers.items() if k in SHOWN},
                "body": shortened(self.content),
            },
            "took_ms": round(self.took_s * 1000, 1),
        }


def shortened(body: bytes, limit: int = MAX_EVIDENCE) -> str:
    """A body as text of bounded length."""
    text = body[: 4 * limit].decode("utf-8", "replace")
    return text if len(text) <= limit else f"{text[:limit]} ... ({len(body)} bytes)"


def query(*pairs: tuple[str, str], **named: str | int) -> str:
    """A query string: names as they are, values percent-encoded."""
    every: Iterable[tuple[str, str]] = [*pairs, *((k, str(v)) for k, v in named.items())]
    return "&".join(f"{quote(name, safe='@.-_')}={quote(value, safe='')}" for name, value in every)


class Target:
    """The implementation under judgement. Safe for use from several threads."""

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        timeout_s: float,
        watch: Watcher,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self.base = base.rstrip("/")
        self.headers = {"accept": JSON_MEDIA, **{k.lower(): v for k, v in headers.items()}}
        self.watch = watch
        self.stopping = False
        self.unanswered: list[str] = []
        self._verify = verify
        self._client = httpx.Client(timeout=timeout_s, follow_redirects=False, verify=verify)
        self._lock = threading.Lock()

    def address(self, path: str) -> str:
        return path if path.startswith(("http://", "https://")) else self.base + path

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: bytes | None = None,
        media: str = JSON_MEDIA,
        headers: Mapping[str, str] | None = None,
        anonymous: bool = False,
    ) -> Exchange:
        """Send and record. `body` becomes JSON, `content` goes as it is; a path is appended to the base."""
        if self.stopping:  # between requests, so that every answer that made something is recorded
            raise KeyboardInterrupt
        if content is None and body is not None:
            content = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        sent = {} if anonymous else dict(self.headers)
        if content is not None:
            sent["content-type"] = media
        sent |= {k.lower(): v for k, v in (headers or {}).items()}
        url = self.address(path)
        begun = time.monotonic()
        try:
            answer = self._answer(method, url, content, sent)
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            told = f"{method} {url[:300]}: {type(fault).__name__} {fault}".strip()
            with self._lock:
                self.unanswered.append(told)
            raise Unanswered(told, isinstance(fault, httpx.ConnectError | httpx.ConnectTimeout)) from fault
        exchange = Exchange(
            method,
            str(answer.request.url),
            sent,
            content or b"",
            answer.status_code,
            answer.headers,
            answer.content,
            time.monotonic() - begun,
        )
        with self._lock:
            self.watch(exchange)
        return exchange

    def _answer(self, method: str, url: str, content: bytes | None, headers: dict[str, str]) -> httpx.Response:
        """The answer, asked for once more where a kept connection was closed under the request (RFC 9112 9.3.1).

        A server may close an idle connection at any time. Only where nothing of an answer came on a connection that
        was used before can this be so; on a fresh one it is the server's failure.
        """
        seen: set[str] = set()

        def watch(event: str, info: object) -> None:
            seen.add(event)

        try:
            return self._client.request(method, url, content=content, headers=headers, extensions={"trace": watch})
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if "connection.connect_tcp.started" in seen or "http11.receive_response_headers.complete" in seen:
                raise
        with httpx.Client(timeout=self._client.timeout, follow_redirects=False, verify=self._verify) as fresh:
            return fresh.request(method, url, content=content, headers=headers)

    def get(self, path: str, **options: Any) -> Exchange:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Exchange:
        return self.request("POST", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Exchange:
        return self.request("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> Exchange:
        return self.request("DELETE", path, **options)

    def close(self) -> None:
        self._client.close()
