"""The exit over OTLP/HTTP: spans and log records in batches, and the Prometheus registry read at intervals."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry
from prometheus_client import Metric as Family
from prometheus_client.samples import Sample

_logger = logging.getLogger("tmfkit.telemetry")
_SCOPE = InstrumentationScope("tmfkit")
_UNITS = {"seconds": "s", "ratio": "1", "bytes": "By"}
_CONVENTIONAL = {
    "http_server_request_duration": "http.server.request.duration",
    "http_client_request_duration": "http.client.request.duration",
    "http_request_method": "http.request.method",
    "http_route": "http.route",
    "http_response_status_code": "http.response.status_code",
}
_UNKNOWN: Any = None  # the SDK's type has no word for a minimum that nobody kept; the encoder leaves None out

Labels = tuple[tuple[str, str], ...]


def span_processor(endpoint: str) -> SpanProcessor:
    return BatchSpanProcessor(OTLPSpanExporter(_signal(endpoint, "traces")))


def logger_provider(endpoint: str, resource: Resource) -> LoggerProvider:
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(_signal(endpoint, "logs"))))
    return provider


def _signal(endpoint: str, signal: str) -> str:
    return f"{endpoint.rstrip('/')}/v1/{signal}"


class MetricsSender:
    """Reads a Prometheus registry at intervals, and a last time when closed, and sends it as OTel metrics."""

    def __init__(self, endpoint: str, registry: CollectorRegistry, resource: Resource, interval_s: float) -> None:
        self._exporter = OTLPMetricExporter(_signal(endpoint, "metrics"))
        self._registry, self._resource, self._interval_s = registry, resource, interval_s
        self._started_ns = time.time_ns()
        self._sending = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics over OTLP", daemon=True)
        self._thread.start()

    def send(self) -> None:
        """Read and send now."""
        with self._sending:
            families = self._registry.collect()
            self._exporter.export(otel_metrics(families, self._resource, self._started_ns, time.time_ns()))

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._exporter.shutdown()

    def _run(self) -> None:
        closing = False
        while not closing:
            closing = self._closing.wait(self._interval_s)
            try:
                self.send()
            except Exception:
                _logger.exception("metrics could not be sent")


def otel_metrics(families: Iterable[Family], resource: Resource, started_ns: int, now_ns: int) -> MetricsData:
    """Prometheus metric families as OTel metrics, by the OTel specification of Prometheus compatibility.

    Counters become monotonic cumulative sums, gauges gauges, histograms explicit-bucket histograms with counts per
    bucket instead of running totals. `_created` gives the start time where it is kept.
    """
    metrics = [made for family in families if (made := _metric(family, started_ns, now_ns)) is not None]
    scope = ScopeMetrics(_SCOPE, metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metric(family: Family, started_ns: int, now_ns: int) -> Metric | None:
    created = {
        _labels(sample): int(sample.value * 1e9) for sample in family.samples if sample.name.endswith("_created")
    }

    def number(sample: Sample) -> NumberDataPoint:
        labels = _labels(sample)
        return NumberDataPoint(_attributes(labels), created.get(labels, started_ns), now_ns, sample.value)

    data: Sum | Gauge | Histogram
    if family.type == "counter":
        totals = [number(sample) for sample in family.samples if sample.name.endswith("_total")]
        data = Sum(totals, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    elif family.type == "gauge":
        data = Gauge([number(sample) for sample in family.samples])
    elif family.type == "histogram":
        series: dict[Labels, list[Sample]] = defaultdict(list)
        for sample in family.samples:
            series[_labels(sample)].append(sample)
        points = [_histogram(labels, s, created.get(labels, started_ns), now_ns) for labels, s in series.items()]
        data = Histogram(points, AggregationTemporality.CUMULATIVE)
    else:
        return None
    name = family.name.removesuffix(f"_{family.unit}") if family.unit else family.name
    return Metric(_CONVENTIONAL.get(name, name), family.documentation, _UNITS.get(family.unit, family.unit), data)


def _histogram(labels: Labels, samples: Sequence[Sample], start_ns: int, now_ns: int) -> HistogramDataPoint:
    running = [(float(s.labels["le"]), int(s.value)) for s in samples if s.name.endswith("_bucket")]
    counts = [count - before for (_, count), before in zip(running, [0, *(c for _, c in running)], strict=False)]
    total = next((sample.value for sample in samples if sample.name.endswith("_sum")), 0.0)
    return HistogramDataPoint(
        attributes=_attributes(labels),
        start_time_unix_nano=start_ns,
        time_unix_nano=now_ns,
        count=running[-1][1],
        sum=total,
        bucket_counts=counts,
        explicit_bounds=[bound for bound, _ in running[:-1]],
        min=_UNKNOWN,
        max=_UNKNOWN,
    )


def _labels(sample: Sample) -> Labels:
    return tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))


def _attributes(labels: Labels) -> dict[str, str | int]:
    return {
        _CONVENTIONAL.get(name, name): int(value) if name == "http_response_status_code" else value
        for name, value in labels
    }
