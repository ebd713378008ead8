"""Trace context: read from W3C and B3 headers, carried in events, written as W3C; and the span that uses it.

W3C Trace Context level 2 (traceparent, tracestate); B3 as Zipkin's b3-propagation has it, single and multi header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, Tracer, TraceState
from opentelemetry.util.types import AttributeValue

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_B3_SINGLE = re.compile(r"([0-9a-fA-F]{32}|[0-9a-fA-F]{16})-([0-9a-fA-F]{16})(?:-([01d]))?(?:-[0-9a-fA-F]{16})?")
_B3_TRACE = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{16}")
_B3_SPAN = re.compile(r"[0-9a-fA-F]{16}")
_LONGEST_TRACESTATE = 512
_SAMPLED, _NOT_SAMPLED = TraceFlags(TraceFlags.SAMPLED), TraceFlags(TraceFlags.DEFAULT)

COMPONENT = otel_context.create_key("tmfkit.component")
"""Key of the OTel context that names the component at work; the log handlers go by it."""


def parse_traceparent(text: str | None, tracestate: str | None = None) -> SpanContext | None:
    """The remote span that a traceparent names; None for one that is not valid, which then counts as not sent."""
    found = _TRACEPARENT.fullmatch(text.strip()) if text else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more):
        return None
    state = TraceState.from_header([tracestate]) if tracestate and len(tracestate) <= _LONGEST_TRACESTATE else None
    return _valid(SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16)), state))


def _valid(context: SpanContext) -> SpanContext | None:
    return context if context.is_valid else None


def _b3(trace_id: str, span_id: str, sampled: bool) -> SpanContext | None:
    return _valid(SpanContext(int(trace_id, 16), int(span_id, 16), True, _SAMPLED if sampled else _NOT_SAMPLED))


def extract(headers: Iterable[tuple[bytes, bytes]]) -> SpanContext | None:
    """The remote span that a request's raw headers name: traceparent, else b3, else X-B3-*.

    B3 that carries a sampling decision but no ids names no span: the decision is then ours.
    """
    told: dict[bytes, str] = {}
    for key, value in headers:
        if key in _CARRIERS and key not in told:
            told[key] = value.decode("latin-1")
    if not told:
        return None
    remote = parse_traceparent(told.get(b"traceparent"), told.get(b"tracestate"))
    if remote is not None:
        return remote
    single = _B3_SINGLE.fullmatch(told.get(b"b3", ""))
    if single is not None:
        return _b3(single[1], single[2], single[3] in {"1", "d"})
    trace_id, span_id = told.get(b"x-b3-traceid", ""), told.get(b"x-b3-spanid", "")
    if _B3_TRACE.fullmatch(trace_id) and _B3_SPAN.fullmatch(span_id):
        sampled = told.get(b"x-b3-sampled") in {"1", "true"} or told.get(b"x-b3-flags") == "1"
        return _b3(trace_id, span_id, sampled)
    return None


_CARRIERS = frozenset(
    {b"traceparent", b"tracestate", b"b3", b"x-b3-traceid", b"x-b3-spanid", b"x-b3-sampled", b"x-b3-flags"}
)


def _written(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def current_traceparent() -> str | None:
    """The span at work as W3C traceparent, to be stored with an event or sent along; None outside of any span."""
    context = trace.get_current_span().get_span_context()
    return _written(context) if context.is_valid else None


def current_trace_id() -> str | None:
    """Trace id of the span at work, 32 hex digits; None outside of any span."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


class Span:
    """`with telemetry.span(name) as span:` makes a span the one at work, in this task and those it starts.

    An exception that leaves the block marks the span as failed, with its type; its text goes to the log, not the trace.
    """

    __slots__ = ("_attributes", "_context", "_kind", "_name", "_span", "_token", "_tracer")

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        context: Context,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: dict[str, AttributeValue] | None = None,
    ) -> None:
        self._tracer, self._name, self._context, self._kind, self._attributes = tracer, name, context, kind, attributes

    def __enter__(self) -> Self:
        self._span = self._tracer.start_span(self._name, self._context, self._kind, self._attributes)
        self._token = otel_context.attach(trace.set_span_in_context(self._span, self._context))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        otel_context.detach(self._token)
        if error is not None and isinstance(error, Exception) and self._span.is_recording():
            self._span.set_attribute("error.type", type(error).__qualname__)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()

    @property
    def traceparent(self) -> str:
        """This span as W3C traceparent."""
        return _written(self._span.get_span_context())

    @property
    def trace_id(self) -> str:
        """32 hex digits."""
        return f"{self._span.get_span_context().trace_id:032x}"

    @property
    def recording(self) -> bool:
        """Whether attributes are kept: False for a span that is not sampled."""
        return self._span.is_recording()

    def set(self, name: str, value: AttributeValue) -> None:
        """Add an attribute."""
        self._span.set_attribute(name, value)

    def fail(self, kind: str) -> None:
        """Mark the span as failed although no exception leaves it."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)

    def rename(self, name: str) -> None:
        """Give the span its name once it is known (the route of a request)."""
        self._span.update_name(name)


def remote_context(base: Context, remote: SpanContext) -> Context:
    """An OTel context in which a remote span is the one at work."""
    return trace.set_span_in_context(NonRecordingSpan(remote), base)
