"""The one error body of every answer that is not a success: TMF630 part 1 section 3.4.

| status | code | raised as | | status | code | raised as |
| --- | --- | --- | --- | --- | --- | --- |
| 400 | ERR400 | BadRequest | | 415 | ERR415 | UnsupportedMediaType |
| 401 | ERR401 | Unauthorized | | 422 | ERR422 | Unprocessable |
| 403 | ERR403 | Forbidden | | 429 | ERR429 | TooManyRequests |
| 404 | ERR404 | NotFound | | 500 | ERR500 | any other exception |
| 405 | ERR405 | MethodNotAllowed | | 501 | ERR501 | NotSupported |
| 406 | ERR406 | NotAcceptable | | 502 | ERR502 | BadGateway |
| 409 | ERR409 | Conflict | | 503 | ERR503 | ServiceUnavailable |
| 412 | ERR412 | PreconditionFailed | | 504 | ERR504 | (framework only) |
| 413 | ERR413 | PayloadTooLarge | | other | ERR<status> | (framework only) |
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from http.client import responses
from typing import Any, ClassVar, Literal

import orjson
from fastapi.exceptions import RequestValidationError
from opentelemetry import trace
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tmfkit.base import mistakes

ApiVersion = Literal["v4", "v5"]

_logger = logging.getLogger("tmfkit.errors")
_VERSION = re.compile(r"/v(\d+)(?:/|$)")
_SHOWN_MISTAKES = 5


class TmfError(Exception):
    """A failure that the caller is told about.

    status           HTTP status code
    code             stable string for programs; by default the one of the table above
    reason           one line for people, never with internals
    message          detail and what to do; begins with the attribute at fault where one is named
    attribute        dotted wire path of the attribute at fault, with indices (`relatedParty[0].role`)
    reference_error  URI of a page about this error
    headers          further headers of the answer (Allow, Retry-After, WWW-Authenticate, ...)
    """

    default_status: ClassVar[int] = 500
    default_reason: ClassVar[str] = "Internal error"

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int | None = None,
        code: str | None = None,
        reason: str | None = None,
        attribute: str | None = None,
        reference_error: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = self.default_status if status is None else status
        self.code = code or f"ERR{self.status}"
        self.reason = reason or (self.default_reason if status is None else _REASONS.get(status, _phrase(status)))
        if attribute is not None and message is not None and not message.startswith(attribute):
            message = f"{attribute}: {message}"
        self.message = attribute if message is None else message
        self.attribute = attribute
        self.reference_error = reference_error
        self.headers = dict(headers or {})
        super().__init__(f"{self.status} {self.reason}" + (f": {self.message}" if self.message else ""))

    def body(self, version: ApiVersion = "v4") -> dict[str, Any]:
        """The TMF Error object: `code` and `reason` always, `status` a string, `@type` in v5 (mandatory there)."""
        body: dict[str, Any] = {"@type": "Error"} if version == "v5" else {}
        body |= {"code": self.code, "reason": self.reason, "status": str(self.status)}
        if self.message is not None:
            body["message"] = self.message
        if self.reference_error is not None:
            body["referenceError"] = self.reference_error
        if self.attribute is not None:
            body["attribute"] = self.attribute
        return body


class BadRequest(TmfError):
    default_status = 400
    default_reason = "The request is not valid"


class Unauthorized(TmfError):
    """401; `challenge` becomes WWW-Authenticate (RFC 6750 section 3), which a 401 must carry."""

    default_status = 401
    default_reason = "Who is calling is not known"

    def __init__(self, message: str | None = None, *, challenge: str = "Bearer", **more: Any) -> None:
        headers = {"WWW-Authenticate": challenge, **(more.pop("headers", None) or {})}
        super().__init__(message, headers=headers, **more)


class Forbidden(TmfError):
    default_status = 403
    default_reason = "The caller may not do this"


class NotFound(TmfError):
    default_status = 404
    default_reason = "There is no such resource"


class MethodNotAllowed(TmfError):
    """405; `allow` names the methods that the resource has (RFC 9110 section 15.5.6)."""

    default_status = 405
    default_reason = "The resource does not have this method"

    def __init__(self, message: str | None = None, *, allow: Sequence[str] = (), **more: Any) -> None:
        headers = {"Allow": ", ".join(allow), **(more.pop("headers", None) or {})}
        super().__init__(message, headers=headers, **more)


class NotAcceptable(TmfError):
    default_status = 406
    default_reason = "No acceptable representation exists"


class Conflict(TmfError):
    default_status = 409
    default_reason = "The request is in conflict with the state of the resource"


class PreconditionFailed(TmfError):
    default_status = 412
    default_reason = "The resource has changed since it was read"


class PayloadTooLarge(TmfError):
    default_status = 413
    default_reason = "The body is too large"


class UnsupportedMediaType(TmfError):
    default_status = 415
    default_reason = "The media type of the body is not supported"


class Unprocessable(TmfError):
    default_status = 422
    default_reason = "The request is well formed but cannot be done"


class TooManyRequests(TmfError):
    """429; `retry_after_s` becomes Retry-After in whole seconds."""

    default_status = 429
    default_reason = "Too many requests"

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None, **more: Any) -> None:
        super().__init__(message, headers=_retry_after(retry_after_s) | (more.pop("headers", None) or {}), **more)


class NotSupported(TmfError):
    default_status = 501
    default_reason = "This is not supported here"


class BadGateway(TmfError):
    default_status = 502
    default_reason = "A dependent API did not answer as it should"


class ServiceUnavailable(TmfError):
    """503; `retry_after_s` becomes Retry-After in whole seconds."""

    default_status = 503
    default_reason = "The service cannot answer now"

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None, **more: Any) -> None:
        super().__init__(message, headers=_retry_after(retry_after_s) | (more.pop("headers", None) or {}), **more)


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}


def _phrase(status: int) -> str:
    return responses.get(status, "Error")


_KINDS: list[type[TmfError]] = [TmfError, *TmfError.__subclasses__()]
_REASONS = {kind.default_status: kind.default_reason for kind in _KINDS}


def version_of(path: str) -> ApiVersion:
    """API version of a request path: the first `/v<major>` decides. Own APIs (v1) follow v5; without one, v4."""
    found = _VERSION.search(path)
    return "v5" if found and int(found[1]) != 4 else "v4"


def wire_path(location: Sequence[int | str], body: Any = None) -> str:
    """Dotted path of a Pydantic error location: `("a", 0, "b")` is `a[0].b`.

    Pydantic puts the names of union members and validators between the attributes. With the body at hand
    they are recognised because the body has no such attribute; the last part may be one that is missing.
    """
    path, node, known = "", body, body is not None
    for position, part in enumerate(location):
        if isinstance(part, int):
            path += f"[{part}]"
            node = node[part] if isinstance(node, list) and part < len(node) else None
            continue
        if known:
            last = position == len(location) - 1
            if isinstance(node, dict) and part in node:
                node = node[part]
            elif not (last and isinstance(node, dict)):
                continue
        elif not re.fullmatch(r"@?[\w.-]+", part):
            continue
        path += f".{part}" if path else part
    return path


def from_validation(error: ValidationError, body: Any = None) -> BadRequest:
    """400 for a body that its model refuses; `attribute` is the first attribute at fault, `message` names the first
    five. Give the body to have exact paths through unions."""
    return _mistakes([(wire_path(place, body), text) for place, text in mistakes(error)])


def _mistakes(found: Sequence[tuple[str, str]]) -> BadRequest:
    told = [f"{path}: {text}" if path else text for path, text in found[:_SHOWN_MISTAKES]]
    if len(found) > _SHOWN_MISTAKES:
        told.append(f"and {len(found) - _SHOWN_MISTAKES} more")
    return BadRequest("; ".join(told), attribute=next((path for path, _ in found if path), None))


def _from_request_validation(error: RequestValidationError) -> TmfError:
    found = []
    for mistake in error.errors():
        place, *rest = mistake["loc"] or ("body",)
        if mistake["type"] == "json_invalid":
            return BadRequest(f"the body is not JSON: {mistake['ctx']['error']} at character {rest[0] if rest else 0}")
        if place == "body" and not rest:
            found.append(("", "a body is needed" if mistake["type"] == "missing" else f"body: {mistake['msg']}"))
        else:
            found.append((wire_path(rest, error.body if place == "body" else None), mistake["msg"]))
    return _mistakes(found)


def _from_http(error: HTTPException) -> TmfError:
    told = error.detail if isinstance(error.detail, str) and error.detail != _phrase(error.status_code) else None
    return TmfError(told, status=error.status_code, headers=error.headers)


def _unexpected() -> TmfError:
    context = trace.get_current_span().get_span_context()
    told = f"trace id {trace.format_trace_id(context.trace_id)}" if context.is_valid else None
    return TmfError(told)


def response(error: TmfError, path: str) -> Response:
    """The answer for an error on a request path."""
    content = orjson.dumps(error.body(version_of(path)))
    return Response(content, error.status, headers=error.headers, media_type="application/json")


async def _on_tmf(request: Request, error: Exception) -> Response:
    assert isinstance(error, TmfError)
    return response(error, request.scope["path"])


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code in {204, 205, 304} or error.status_code < 200:
        return Response(status_code=error.status_code, headers=error.headers)
    return response(_from_http(error), request.scope["path"])


async def _on_request_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return response(_from_request_validation(error), request.scope["path"])


async def _on_unexpected(request: Request, error: Exception) -> Response:
    return response(_unexpected(), request.scope["path"])


class LastResort:
    """ASGI middleware: 413 for a body over the limit, 500 for an exception that nothing else has caught.

    FastAPI's own `max_body_size` answers text/plain when Content-Length tells the size, and its server-error
    middleware runs after the request's span has ended; this one keeps the TMF body and the trace id.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int | None = None) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        if self.max_body_bytes is not None:
            if _declared_length(scope) > self.max_body_bytes:
                await response(self._too_large(), scope["path"])(scope, receive, send)
                return
            receive = self._counting(receive, self.max_body_bytes)
        try:
            await self.app(scope, receive, sending)
        except ClientDisconnect:
            _logger.debug("the client left %s %s", scope["method"], scope["path"])
        except Exception as error:
            _logger.exception("unexpected %s on %s %s", type(error).__name__, scope["method"], scope["path"])
            if started:
                raise
            await response(_unexpected(), scope["path"])(scope, receive, send)

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"at most {self.max_body_bytes} bytes are accepted")

    def _counting(self, receive: Receive, limit: int) -> Receive:
        size = 0

        async def counting() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                # FastAPI turns any other exception raised while it reads a body into a 400.
                raise HTTPException(413, self._too_large().message)
            return message

        return counting


def _declared_length(scope: Scope) -> int:
    declared = Headers(scope=scope).get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0


def install(app: Starlette, max_body_bytes: int | None = None) -> None:
    """Give every failure of an app (FastAPI is a Starlette) the TMF body. Call it before the app's own middleware is
    added, so that this one lies closest to the routes and inside the request's span."""
    app.add_exception_handler(TmfError, _on_tmf)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_request_validation)
    app.add_exception_handler(Exception, _on_unexpected)
    app.add_middleware(LastResort, max_body_bytes=max_body_bytes)
