"""The client of one dependent API: addresses, tokens, time limits, retries, circuit breaking and paging.

Safe to repeat are GET, HEAD, OPTIONS, PUT and DELETE (RFC 9110 section 9.2.2), anything with an Idempotency-Key, and
any request that was never sent because no connection came about. Only these are repeated.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx
import orjson
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tmfkit.errors import BadGateway

if TYPE_CHECKING:
    from tmfkit.telemetry import Telemetry

Addresses = str | Sequence[str] | Callable[[], Awaitable[Sequence[str]]]
Path = str | tuple[str, ...]
Params = Mapping[str, Any] | httpx.QueryParams

_logger = logging.getLogger("tmfkit.upstream")
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_PASSING = frozenset({429, 502, 503, 504})
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_W3C = TraceContextTextMapPropagator()


class UpstreamError(BadGateway):
    """A dependent API answered something else than success: 502 for our own caller.

    upstream_status  what it answered; None when it did not answer
    url, detail      for the log; our caller is told only which dependency it was
    """

    def __init__(self, upstream_status: int | None, url: str, detail: str, *, name: str = "", **more: Any) -> None:
        told = "did not answer" if upstream_status is None else f"answered {upstream_status}"
        super().__init__(f"{name or 'the dependent API'} {told}", **more)
        self.upstream_status, self.url, self.detail = upstream_status, url, detail

    def __str__(self) -> str:
        return f"{self.message} at {self.url}: {self.detail}"


class UpstreamUnavailable(UpstreamError):
    """No provider of a dependent API can answer now: 503 for our own caller, with Retry-After where it is known."""

    default_status = 503
    default_reason = "A dependent API is not available now"

    def __init__(
        self,
        upstream_status: int | None,
        url: str,
        detail: str,
        *,
        name: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        headers = {} if retry_after_s is None else {"Retry-After": str(max(1, round(retry_after_s)))}
        super().__init__(upstream_status, url, detail, name=name, headers=headers)


@dataclass(frozen=True)
class Breaker:
    """When a provider is left alone: after so many failures in a row, for so long; then one trial decides.

    Failures are connection errors, timeouts and 502, 503, 504. Any other answer shows that the provider is alive.
    """

    failures: int = 5
    cool_down_s: float = 30.0


class _Circuit:
    """State of one provider: closed, open until a moment, or half open with one trial under way."""

    def __init__(self, policy: Breaker) -> None:
        self._policy = policy
        self._failures = 0
        self._open_until: float | None = None
        self._trial = False

    @property
    def state(self) -> str:
        if self._open_until is None:
            return "closed"
        return "half-open" if self._trial or time.monotonic() >= self._open_until else "open"

    @property
    def wait_s(self) -> float:
        return max(0.0, (self._open_until or 0.0) - time.monotonic())

    def enter(self) -> bool:
        """Whether a request may go now; when half open, one at a time."""
        if self._open_until is None:
            return True
        if self._trial or time.monotonic() < self._open_until:
            return False
        self._trial = True
        return True

    def leave(self, succeeded: bool | None) -> None:
        """How the request ended; None when it tells nothing about the provider."""
        self._trial = False
        if succeeded:
            self._failures, self._open_until = 0, None
        elif succeeded is False:
            self._failures += 1
            if self._open_until is not None or self._failures >= self._policy.failures:
                self._open_until = time.monotonic() + self._policy.cool_down_s


@cache
def _default_tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


class Upstream:
    """Client of a dependent API, possibly with several providers: the last good one first, then in the given order.

    name          of the dependency, for errors, spans and metrics
    addresses     base URL, several of them, or a function that finds them (CanvasAddresses)
    auth          for each request, e.g. ClientCredentials
    timeout_s     for a connection and for each piece of an answer, seconds
    retries       further rounds over the providers after the first
    breaker       when a provider is left alone
    backoff_s     first pause between rounds; doubles each time up to max_backoff_s, less up to half of it by chance
    transport     instead of the network (httpx.ASGITransport)
    tls           trust for the providers' certificates (a private CA)
    telemetry     where calls are traced and counted
    """

    def __init__(
        self,
        name: str,
        addresses: Addresses,
        *,
        auth: httpx.Auth | None = None,
        timeout_s: float = 10.0,
        retries: int = 2,
        breaker: Breaker | None = None,
        backoff_s: float = 0.2,
        max_backoff_s: float = 5.0,
        transport: httpx.AsyncBaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.name = name
        self._addresses = [addresses] if isinstance(addresses, str) else addresses
        self._auth, self._timeout_s, self._tls = auth, timeout_s, tls
        self._retries, self._backoff_s, self._max_backoff_s = retries, backoff_s, max_backoff_s
        self._policy = breaker or Breaker()
        self._transport, self._telemetry = transport, telemetry
        self._circuits: dict[str, _Circuit] = {}
        self._last_good: str | None = None
        self._client: httpx.AsyncClient | None = None

    async def get(self, path: Path, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON value of a resource or a query. A tuple as path is quoted part by part."""
        return self._value(await self.request("GET", path, params=params))

    async def post(
        self, path: Path, body: Any, *, params: Mapping[str, Any] | None = None, idempotency_key: str | None = None
    ) -> Any:
        """The JSON value of the answer, None if it has none. Repeated only with an idempotency key."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return self._value(await self.request("POST", path, params=params, json=body, headers=headers))

    async def patch(self, path: Path, body: Any, *, media_type: str = "application/json") -> Any:
        """The JSON value of the answer. application/json means merge patch in v4 and in v5."""
        return self._value(await self.request("PATCH", path, json=body, headers={"Content-Type": media_type}))

    async def delete(self, path: Path, *, missing_ok: bool = False) -> None:
        """Delete a resource. With `missing_ok` one that is not there is fine."""
        try:
            await self.request("DELETE", path)
        except UpstreamError as error:
            if not (missing_ok and error.upstream_status in {404, 410}):
                raise

    async def pages(
        self, path: Path, params: Mapping[str, Any] | None = None, page_size: int = 100
    ) -> AsyncIterator[dict[str, Any]]:
        """Every item of a collection, page by page, all from one provider.

        Goes on while Link has rel=next, or without Link while X-Total-Count says that there is more, or without either
        while pages are full (or 206). A server that ignores offset and sends the same page again ends it too.
        """
        query = _query(params).merge({"offset": 0, "limit": page_size})
        provider: str | None = None
        previous, taken, linked = b"", 0, False
        while True:
            answer = await self.request("GET", path, params=query, provider=provider)
            provider = self._last_good  # before others can run: whoever answered this page answers the next
            items = self._value(answer)
            if not isinstance(items, list):
                raise self._error(answer, "the answer is not an array")
            if not items or answer.content == previous:
                return
            for item in items:
                yield item
            previous, taken = answer.content, taken + len(items)
            following = answer.links.get("next", {}).get("url")
            if following:
                # Only its query is believed: behind a gateway its host and path may be other than ours.
                query, linked = httpx.URL(following).params, True
            elif linked or not _more(answer, taken, len(items) >= page_size):
                return
            else:
                query = query.merge({"offset": taken})

    async def request(
        self,
        method: str,
        path: Path,
        *,
        params: Params | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        provider: str | None = None,
    ) -> httpx.Response:
        """A successful answer (2xx). Errors: UpstreamError for any other answer, UpstreamUnavailable when there is none
        after all retries or when every provider is being left alone. `provider` is one of the base URLs."""
        sent = {key.lower(): value for key, value in (headers or {}).items()}
        if json is not None:
            content = orjson.dumps(json)
            sent.setdefault("content-type", "application/json")
        repeatable = method in _REPEATABLE or "idempotency-key" in sent
        call = _Call(method, _relative(path), _query(params), content, sent, repeatable)
        bases = [provider] if provider else await self._bases()
        failure = _Failure(None, bases[0], "not asked")
        for attempt in range(self._retries + 1):
            outcome = await self._round(bases, call)
            if isinstance(outcome, httpx.Response):
                # A deletion that is not there when repeated was done by the try before; only its answer was lost.
                if outcome.is_success or (method == "DELETE" and attempt and outcome.status_code == 404):
                    return outcome
                raise self._error(outcome, _reason(outcome))
            failure = outcome
            pause_s = min(self._max_backoff_s, self._backoff_s * 2**attempt) * random.uniform(0.5, 1.0)
            wait_s = max(pause_s, failure.retry_after_s or 0.0)
            if attempt == self._retries or failure.final or wait_s > self._max_backoff_s:
                break
            await asyncio.sleep(wait_s)
        raise UpstreamUnavailable(
            failure.status, failure.url, failure.detail, name=self.name, retry_after_s=failure.retry_after_s
        )

    async def aclose(self) -> None:
        """Close the connections, and what finds the addresses if it can be closed."""
        if (close := getattr(self._addresses, "aclose", None)) is not None:
            await close()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def circuits(self) -> dict[str, str]:
        """State of each provider asked so far: closed, open or half-open."""
        return {base: circuit.state for base, circuit in self._circuits.items()}

    async def _bases(self) -> list[str]:
        found = await self._addresses() if callable(self._addresses) else self._addresses
        bases = [base.rstrip("/") for base in found]
        if not bases:
            raise UpstreamUnavailable(None, "", "no address is known", name=self.name)
        return sorted(bases, key=lambda base: base != self._last_good)

    async def _round(self, bases: Sequence[str], call: _Call) -> httpx.Response | _Failure:
        """Ask the providers in turn until one answers."""
        failure: _Failure | None = None
        for base in bases:
            circuit = self._circuits.setdefault(base, _Circuit(self._policy))
            if not circuit.enter():
                continue
            succeeded: bool | None = None
            url = f"{base}/{call.path}"
            try:
                response = await self._send(url, call)
                status = response.status_code
                succeeded = status not in _PASSING or status == 429
                if status not in _PASSING:
                    self._last_good = base
                    return response
                failure = _Failure(status, url, _reason(response), _retry_after(response), final=not call.repeatable)
            except httpx.TransportError as error:
                never_sent = isinstance(error, _NEVER_SENT)
                succeeded = None if isinstance(error, httpx.PoolTimeout) else False
                detail = f"{type(error).__name__}: {error}"
                failure = _Failure(None, url, detail, final=not (call.repeatable or never_sent))
            finally:
                circuit.leave(succeeded)
            _logger.info("%s %s: %s", call.method, url, failure.detail)
            if failure.final:
                break
        if failure is None:
            wait_s = min(self._circuits[base].wait_s for base in bases)
            return _Failure(None, bases[0], "left alone after failures", wait_s, final=True)
        return failure

    async def _send(self, url: str, call: _Call) -> httpx.Response:
        if self._client is None:
            self._client = httpx.AsyncClient(
                auth=self._auth,
                timeout=self._timeout_s,
                transport=self._transport,
                verify=self._tls or _default_tls(),
                follow_redirects=False,
                headers={"Accept": "application/json"},
            )
        headers = dict(call.headers)
        started, status = time.perf_counter(), 0
        telemetry = self._telemetry
        span = telemetry.span(f"{call.method} {self.name}", kind=SpanKind.CLIENT) if telemetry else nullcontext()
        try:
            with span as at_work:
                _W3C.inject(headers)
                target = httpx.URL(url)
                if call.query:
                    target = target.copy_merge_params(call.query)
                response = await self._client.request(call.method, target, content=call.content, headers=headers)
                status = response.status_code
                if at_work is not None:
                    at_work.set("http.response.status_code", status)
                return response
        finally:
            if telemetry is not None:
                telemetry.upstream(self.name, call.method, status, time.perf_counter() - started)

    def _value(self, response: httpx.Response) -> Any:
        if not response.content:
            return None
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError as error:
            raise self._error(response, "the answer is not JSON") from error

    def _error(self, response: httpx.Response, detail: str) -> UpstreamError:
        return UpstreamError(response.status_code, str(response.request.url), detail, name=self.name)


@dataclass(frozen=True)
class _Call:
    method: str
    path: str
    query: httpx.QueryParams
    content: bytes | None
    headers: Mapping[str, str]
    repeatable: bool


@dataclass(frozen=True)
class _Failure:
    """A try that may be worth repeating, unless it is final."""

    status: int | None
    url: str
    detail: str
    retry_after_s: float | None = None
    final: bool = False


def _relative(path: Path) -> str:
    if isinstance(path, tuple):
        return "/".join(part.replace(".", "%2E") if part in {".", ".."} else quote(part, safe="") for part in path)
    if "://" in path:
        raise ValueError(f"a path below the base URL is needed, not {path}")  # our token must not travel elsewhere
    return path.lstrip("/")


def _reason(response: httpx.Response) -> str:
    """What a TMF Error body says, in short."""
    try:
        body = orjson.loads(response.content)
        told = body.get("message") or body.get("reason") or body.get("detail")
    except (orjson.JSONDecodeError, AttributeError):
        told = None
    return str(told or response.reason_phrase)[:300]


def _retry_after(response: httpx.Response) -> float | None:
    """Retry-After in seconds, given as such or as a date (RFC 9110 section 10.2.3)."""
    told = response.headers.get("retry-after")
    if told is None:
        return None
    try:
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(told)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment.tzinfo else None


def _more(answer: httpx.Response, taken: int, full: bool) -> bool:
    """Whether a page that names no next one is followed by another."""
    total = answer.headers.get("x-total-count", "")
    if total.isdigit():
        return taken < int(total)
    return "link" not in answer.headers and (full or answer.status_code == 206)


def _query(params: Params | None) -> httpx.QueryParams:
    if isinstance(params, httpx.QueryParams):
        return params
    return httpx.QueryParams({key: value for key, value in (params or {}).items() if value is not None})
