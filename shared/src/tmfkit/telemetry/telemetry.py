"""The one object that a component counts, traces and logs with."""

from __future__ import annotations

import contextlib
import logging
import sys
import uuid
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from fastapi.telemetry import TelemetryConfig
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from tmfkit.telemetry import otlp
from tmfkit.telemetry.logs import JsonFormatter, OfComponent, OtlpHandler, TextFormatter
from tmfkit.telemetry.metrics import Metrics
from tmfkit.telemetry.traces import COMPONENT, Span, extract, parse_traceparent, remote_context

FASTAPI_TELEMETRY_OFF: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""`FastAPI(telemetry=...)`: FastAPI's own spans and metrics would count every request a second time."""


@dataclass(frozen=True)
class TelemetrySettings:
    """What is exported and how much.

    otlp_endpoint      base URL of an OTLP/HTTP collector (`http://collector:4318`); None exports nothing
    sample_ratio       share of new traces that is recorded; who continues a trace does as its parent did
    log_format         text for people, json for machines
    log_level          least level that is logged
    export_interval_s  time between two exports of the metrics, seconds
    """

    otlp_endpoint: str | None = None
    sample_ratio: float = 0.05
    log_format: Literal["text", "json"] = "text"
    log_level: str = "INFO"
    export_interval_s: float = 15.0


class Telemetry(Metrics):
    """Tracer, instruments and log handlers of one component.

    `span_processors` are added to the exporters (a test's memory, another vendor's exporter).
    """

    def __init__(
        self,
        service_name: str,
        settings: TelemetrySettings | None = None,
        *,
        version: str | None = None,
        span_processors: tuple[SpanProcessor, ...] = (),
    ) -> None:
        super().__init__(service_name)
        self.name = service_name
        self.settings = settings = settings or TelemetrySettings()
        described = {"service.name": service_name, "service.instance.id": str(uuid.uuid4())}
        resource = Resource.create(described | ({"service.version": version} if version else {}))
        self.tracer_provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(settings.sample_ratio), resource=resource, shutdown_on_exit=False
        )
        for processor in span_processors:
            self.tracer_provider.add_span_processor(processor)
        self._logs = self._sender = None
        if settings.otlp_endpoint is not None:
            self.tracer_provider.add_span_processor(otlp.span_processor(settings.otlp_endpoint))
            self._logs = otlp.logger_provider(settings.otlp_endpoint, resource)
            self._sender = otlp.MetricsSender(
                settings.otlp_endpoint, self.registry, resource, settings.export_interval_s
            )
        self.tracer = self.tracer_provider.get_tracer("tmfkit")
        self._root = Context({COMPONENT: service_name})
        self._attached: list[tuple[logging.Logger, logging.Handler]] = []
        self._closed = False

    # --- traces ---

    def request(self, scope: MutableMapping[str, Any]) -> Span:
        """The span of a request that is served, continued from its W3C or B3 headers; `served` completes it."""
        remote = extract(scope["headers"])
        context = self._root if remote is None else remote_context(self._root, remote)
        return Span(self.tracer, scope["method"], context, SpanKind.SERVER)

    def span(
        self,
        name: str,
        traceparent: str | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: dict[str, AttributeValue] | None = None,
    ) -> Span:
        """A span below the one at work, or below the one that a stored event's traceparent names: with it one trace
        runs from the measurement to the offer, over events and processes."""
        remote = parse_traceparent(traceparent)
        if remote is not None:
            context = remote_context(self._root, remote)
        else:
            context = otel_context.get_current()
            if context.get(COMPONENT) != self.name:
                context = otel_context.set_value(COMPONENT, self.name, context)
        return Span(self.tracer, name, context, kind, attributes)

    def served(self, method: str, route: str, status: int, duration_s: float) -> None:
        """A request was served: counted and timed, and its span named. To be called while the span is open.

        `route` is the template of the path, never the path itself: each makes a series.
        """
        super().served(method, route, status, duration_s)
        span = trace.get_current_span()
        if span.is_recording():
            span.update_name(f"{method} {route}")
            span.set_attributes(
                {"http.request.method": method, "http.route": route, "http.response.status_code": status}
            )
            if status >= 500:
                span.set_attribute("error.type", str(status))
                span.set_status(trace.StatusCode.ERROR)

    # --- logs ---

    def attach_logs(self, logger: logging.Logger | None = None) -> None:
        """Write what a logger (by default the root) and those below it log to standard error, and to OTLP if it is
        configured. With several components in one process attach each to the logger of its own package; of shared
        loggers a component keeps only what its own spans log."""
        logger = logger or logging.getLogger()
        written = logging.StreamHandler(sys.stderr)
        written.setFormatter((JsonFormatter if self.settings.log_format == "json" else TextFormatter)(self.name))
        handlers: list[logging.Handler] = [written]
        if self._logs is not None:
            handlers.append(OtlpHandler(self._logs))
        for handler in handlers:
            handler.addFilter(OfComponent(self.name))
            logger.addHandler(handler)
            self._attached.append((logger, handler))
        logger.setLevel(self.settings.log_level.upper())
        # One line for each request to a neighbour says nothing that spans and metrics do not say.
        logging.getLogger("httpx").setLevel(logging.WARNING)

    # --- the end ---

    def flush(self) -> None:
        """Send what has been collected so far. Blocks."""
        self.tracer_provider.force_flush()
        if self._logs is not None:
            self._logs.force_flush()
        if self._sender is not None:
            self._sender.send()

    def close(self) -> None:
        """Send what is left and stop the exporters; calling it again does nothing. Blocks."""
        for logger, handler in self._attached:
            logger.removeHandler(handler)
            with contextlib.suppress(ValueError):
                handler.close()
        self._attached = []
        if self._closed:
            return
        self._closed = True
        self.tracer_provider.shutdown()
        if self._logs is not None:
            self._logs.shutdown()
        if self._sender is not None:
            self._sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def configure(service_name: str, settings: TelemetrySettings | None = None, *, version: str | None = None) -> Telemetry:
    """Providers, instruments and exporters of one component, and nothing global."""
    return Telemetry(service_name, settings, version=version)
