"""Small facts of HTTP that every route needs: bodies with a limit, media types, the address the caller used."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from tmfkit.errors import BadRequest, NotAcceptable, PayloadTooLarge, UnsupportedMediaType

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON_MEDIA = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
JSON_PATCH_QUERY = "application/json-patch-query+json"
MAX_DEPTH = 64
_JSON_FIRST = f"{JSON_MEDIA},"
_AUTHORITY = re.compile(r"[\w.\-:\[\]]+\Z")
_PREFIX = re.compile(r"[\w.\-/~%]*\Z")


def header(scope: Scope, name: bytes) -> str | None:
    """One header; of a repeated one the last. The dictionary is made once per request."""
    headers: dict[bytes, bytes] | None = scope.get("tmfkit.headers")
    if headers is None:
        headers = scope["tmfkit.headers"] = dict(scope["headers"])
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


async def body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The request body; 413 as soon as it is known to be larger than the limit."""
    length = header(scope, b"content-length")
    if length is not None and length.isdigit() and int(length) > limit:
        raise PayloadTooLarge(f"the body has {length} bytes, the limit is {limit}")
    message = await receive()
    data: bytes = message.get("body", b"")
    if not message.get("more_body") and len(data) <= limit:
        return data
    parts, size = [data], len(data)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the client closed the connection before the body was complete")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise PayloadTooLarge(f"the body is larger than the limit of {limit} bytes")
        parts.append(part)
    return b"".join(parts)


def media_type(scope: Scope, accepted: tuple[str, ...]) -> str:
    """The media type of the body; absent means JSON. 415 if it is none of those accepted."""
    value = header(scope, b"content-type")
    if not value:
        return JSON_MEDIA
    media, _, parameters = value.partition(";")
    media = media.strip().lower()
    if media not in accepted:
        raise UnsupportedMediaType(
            f"{media or 'no media type'} is not accepted here; use {', '.join(accepted)}",
            headers={"Accept-Patch": ", ".join(accepted)},
        )
    charset = parameters.partition("charset=")[2].strip().strip('"').lower()
    if charset and charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(f"charset {charset} is not accepted here; use utf-8")
    return media


def acceptable(scope: Scope) -> None:
    """406 when the client refuses JSON."""
    value = header(scope, b"accept")
    if not value or value in ("*/*", JSON_MEDIA) or value.startswith(_JSON_FIRST):
        return
    for part in value.split(","):
        media, _, parameters = part.partition(";")
        media = media.strip().lower()
        if media in ("*/*", "application/*", JSON_MEDIA) or media.endswith("+json"):
            if parameters.replace(" ", "") in ("q=0", "q=0.0"):
                continue
            return
    raise NotAcceptable(f"only {JSON_MEDIA} is served here, which Accept: {value[:200]} excludes")


def parsed(data: bytes) -> Any:
    """JSON from bytes; 400 with the position if it is none, and for what PostgreSQL's jsonb cannot hold."""
    return read(data)[0]


def read(data: bytes) -> tuple[Any, bytes]:
    """As `parsed`, with the value written as JSON again: what it says once it has been read (1e2 is 100.0)."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as e:
        raise BadRequest(f"the body is not JSON: {e.msg} at line {e.lineno} column {e.colno}") from e
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise BadRequest(f"the body is nested deeper than {MAX_DEPTH} levels")
    if b"\\u0000" in data and _has_nul(value):
        raise BadRequest("the body holds the character NUL, which cannot be stored")
    # A name that comes twice loses a colon on the way through; only \u003a can hide that.
    written = orjson.dumps(value)
    if data.count(b":") != written.count(b":") or b"\\u003" in data:
        json.loads(data, object_pairs_hook=_unique)
    return value, written


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        twice = Counter(n for n, _ in pairs).most_common(1)[0][0]
        raise BadRequest(f"{twice[:100]!r} comes twice in one object", attribute=twice[:100])
    return names


def _depth(value: Any) -> int:
    level, nodes = 0, [value]
    while nodes and level <= MAX_DEPTH:
        level += 1
        nodes = [
            child
            for node in nodes
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return level


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in k or _has_nul(v) for k, v in value.items())
    return isinstance(value, list) and any(_has_nul(v) for v in value)


def origin(scope: Scope, fallback: str) -> str:
    """Scheme, authority and prefix under which the caller reached us, behind any number of gateways.

    X-Forwarded-* are believed only where the door marked the peer as trusted.
    """
    proto, host, prefix = scope.get("scheme", "http"), header(scope, b"host"), ""
    if scope.get("tmfkit.trusted", False):
        forwarded = header(scope, b"x-forwarded-proto")
        if forwarded is not None and (first := forwarded.split(",")[0].strip()) in ("http", "https"):
            proto = first
        forwarded = header(scope, b"x-forwarded-host")
        if forwarded:
            host = forwarded.split(",")[0].strip()
        forwarded = header(scope, b"x-forwarded-prefix")
        if forwarded and forwarded.startswith("/"):
            prefix = forwarded.split(",")[0].strip().rstrip("/")
    if not host or not _AUTHORITY.match(host) or not _PREFIX.match(prefix):
        return fallback.rstrip("/")
    return f"{proto}://{host}{prefix}"


async def respond(send: Send, status: int, content: bytes, headers: Headers, *, head: bool = False) -> None:
    if status != 204:
        headers = [(b"content-type", b"application/json"), *headers]
    headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else content})
