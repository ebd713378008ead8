"""Traces, metrics and logs: carried between processes, apart in one process, and sent to a real OTLP receiver."""

import asyncio
import gzip
import http.server
import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from tmfkit.telemetry import (
    CONTENT_TYPE,
    FASTAPI_TELEMETRY_OFF,
    JsonFormatter,
    Telemetry,
    TelemetrySettings,
    TextFormatter,
    configure,
    current_trace_id,
    current_traceparent,
    extract,
    parse_traceparent,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
W3C = f"00-{TRACE}-{SPAN}-01"


def scope(**headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "GET", "path": "/x", "headers": [(b"host", b"c"), *raw]}


class Recorded:
    """A telemetry whose spans stay in memory."""

    def __init__(self, name: str = "quality", ratio: float = 1.0) -> None:
        self.exporter = InMemorySpanExporter()
        processors = (SimpleSpanProcessor(self.exporter),)
        self.telemetry = Telemetry(name, TelemetrySettings(sample_ratio=ratio), span_processors=processors)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def ids(context: SpanContext | None) -> tuple[str, str, bool] | None:
    if context is None:
        return None
    assert context.is_remote
    return f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled


# --- trace context ---


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (W3C, True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f" {W3C} ", True),
        (f"01-{TRACE}-{SPAN}-01-what-comes-later", True),
    ],
)
def test_a_valid_traceparent_names_its_span(text: str, sampled: bool) -> None:
    assert ids(parse_traceparent(text)) == (TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0x",
        f"00-+{TRACE[1:]}-{SPAN}-01",
    ],
)
def test_an_invalid_traceparent_counts_as_not_sent(text: str | None) -> None:
    assert parse_traceparent(text) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"traceparent": W3C}, (TRACE, SPAN, True)),
        ({"b3": f"{TRACE}-{SPAN}-1"}, (TRACE, SPAN, True)),
        ({"b3": f"{TRACE}-{SPAN}-d"}, (TRACE, SPAN, True)),
        ({"b3": f"{TRACE}-{SPAN}-0"}, (TRACE, SPAN, False)),
        ({"b3": f"{TRACE}-{SPAN}"}, (TRACE, SPAN, False)),
        ({"b3": f"{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90"}, (TRACE, SPAN, True)),
        ({"b3": f"{TRACE[16:]}-{SPAN}-1"}, ("0" * 16 + TRACE[16:], SPAN, True)),
        ({"b3": f"{TRACE.upper()}-{SPAN.upper()}-1"}, (TRACE, SPAN, True)),
        ({"x_b3_traceid": TRACE, "x_b3_spanid": SPAN, "x_b3_sampled": "1"}, (TRACE, SPAN, True)),
        ({"x_b3_traceid": TRACE, "x_b3_spanid": SPAN, "x_b3_sampled": "0"}, (TRACE, SPAN, False)),
        ({"x_b3_traceid": TRACE, "x_b3_spanid": SPAN, "x_b3_flags": "1"}, (TRACE, SPAN, True)),
        ({"traceparent": "broken", "b3": f"{TRACE}-{SPAN}-1"}, (TRACE, SPAN, True)),
        ({"traceparent": W3C, "b3": f"{TRACE[::-1]}-{SPAN}-0"}, (TRACE, SPAN, True)),
        ({"b3": "0"}, None),
        ({"x_b3_sampled": "1"}, None),
        ({"x_b3_traceid": TRACE, "x_b3_spanid": "xyz"}, None),
        ({"b3": f"{'0' * 32}-{SPAN}-1"}, None),
        ({}, None),
    ],
)
def test_a_request_is_continued_from_w3c_or_b3(headers: dict[str, str], expected: tuple[str, str, bool] | None) -> None:
    assert ids(extract(scope(**headers)["headers"])) == expected


def test_tracestate_travels_along() -> None:
    remote = extract(scope(traceparent=W3C, tracestate="vendor=a,other=b")["headers"])
    assert remote is not None and remote.trace_state.to_header() == "vendor=a,other=b"


def test_the_span_of_a_request_is_a_child_of_the_callers(recorded: Recorded) -> None:
    with recorded.telemetry.request(scope(traceparent=W3C)) as span:
        assert current_trace_id() == TRACE == span.trace_id
        assert current_traceparent() == span.traceparent
        recorded.telemetry.served("GET", "/x/{id}", 200, 0.01)
    made = recorded.spans["GET /x/{id}"]
    assert made.kind is SpanKind.SERVER
    assert made.parent is not None and f"{made.parent.span_id:016x}" == SPAN
    assert dict(made.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/x/{id}",
        "http.response.status_code": 200,
    }


def test_a_request_without_a_caller_begins_a_trace_even_inside_of_another(recorded: Recorded) -> None:
    with recorded.telemetry.span("outer") as outer, recorded.telemetry.request(scope()) as inner:
        assert inner.trace_id != outer.trace_id
    assert recorded.spans["GET"].parent is None


def test_one_trace_runs_from_the_measurement_to_the_offer_over_stored_events() -> None:
    quality, churn = Recorded("service-quality"), Recorded("churn-prediction")
    with quality.telemetry.request(scope()), quality.telemetry.span("evaluate"):
        stored = current_traceparent()
    assert current_traceparent() is None
    assert stored is not None
    with churn.telemetry.span("listen ServiceProblemCreateEvent", stored), churn.telemetry.span("assess"):
        onwards = current_traceparent()
    with churn.telemetry.span("offer", onwards):
        pass
    traces = {f"{span.context.trace_id:032x}" for r in (quality, churn) for span in r.spans.values()}
    assert traces == {stored[3:35]}
    assert len(churn.spans) == 3
    parent = churn.spans["listen ServiceProblemCreateEvent"].parent
    assert parent is not None and parent.span_id == quality.spans["evaluate"].context.span_id


def test_an_event_without_a_traceparent_continues_the_span_at_work(recorded: Recorded) -> None:
    with recorded.telemetry.span("outer") as outer, recorded.telemetry.span("inner", None) as inner:
        assert inner.trace_id == outer.trace_id


def test_the_span_at_work_is_that_of_the_task() -> None:
    telemetry = Recorded().telemetry

    async def one(name: str) -> tuple[str, str | None]:
        with telemetry.span(name) as span:
            await asyncio.sleep(0.001)
            return span.traceparent, current_traceparent()

    async def many() -> list[tuple[str, str | None]]:
        return await asyncio.gather(*(one(f"s{n}") for n in range(10)))

    found = asyncio.run(many())
    assert len({own for own, _ in found}) == 10
    assert all(own == at_work for own, at_work in found)


def test_an_exception_marks_its_span_without_telling_its_text(recorded: Recorded) -> None:
    with pytest.raises(ValueError, match="secret"), recorded.telemetry.span("work"):
        raise ValueError("secret")
    span = recorded.spans["work"]
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {}) == {"error.type": "ValueError"}
    assert (span.events, span.status.description) == ((), None)
    assert current_traceparent() is None


def test_a_5xx_answer_marks_its_span(recorded: Recorded) -> None:
    with recorded.telemetry.request(scope()):
        recorded.telemetry.served("GET", "/x", 503, 0.01)
    assert recorded.spans["GET /x"].status.status_code is StatusCode.ERROR


def test_a_span_can_be_given_attributes_a_name_and_a_failure(recorded: Recorded) -> None:
    with recorded.telemetry.span("a", kind=SpanKind.CLIENT, attributes={"peer": "b"}) as span:
        assert span.recording
        span.set("n", 3)
        span.rename("c")
        span.fail("timeout")
    made = recorded.spans["c"]
    assert dict(made.attributes or {}) == {"peer": "b", "n": 3, "error.type": "timeout"}
    assert (made.kind, made.status.status_code) == (SpanKind.CLIENT, StatusCode.ERROR)


@pytest.mark.parametrize(("flags", "kept"), [("01", 1), ("00", 0)])
def test_who_continues_a_trace_records_as_its_parent_does(flags: str, kept: int) -> None:
    recorded = Recorded(ratio=1.0 - int(flags))
    with recorded.telemetry.request(scope(traceparent=f"00-{TRACE}-{SPAN}-{flags}")) as span:
        assert span.traceparent.startswith(f"00-{TRACE}-")
        assert span.recording == bool(kept)
    assert len(recorded.spans) == kept


def test_the_ratio_decides_about_new_traces() -> None:
    recorded = Recorded(ratio=0.25)
    for _ in range(2000):
        with recorded.telemetry.span("work"):
            pass
    assert 380 < len(recorded.exporter.get_finished_spans()) < 620  # 500 +- 6 standard deviations


def test_two_components_in_one_process_share_nothing() -> None:
    one, two = Recorded("one"), Recorded("two")
    with one.telemetry.span("work"):
        one.telemetry.served("GET", "/x", 200, 0.1)
    one.telemetry.counter("violations", "Violations.").inc()
    two.telemetry.counter("violations", "Violations.").inc(5)
    assert (set(one.spans), set(two.spans)) == ({"GET /x"}, set())
    assert b'http_route="/x"' in one.telemetry.render() and b'http_route="/x"' not in two.telemetry.render()
    assert b"violations_total 1.0" in one.telemetry.render() and b"violations_total 5.0" in two.telemetry.render()
    assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"


# --- metrics ---


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def test_requests_are_counted_and_timed_by_method_route_and_status() -> None:
    telemetry = configure("quality")
    for seconds in (0.001, 0.02, 3.0):
        telemetry.served("GET", "/x/{id}", 200, seconds)
    telemetry.served("GET", "/x/{id}", 404, 0.001)
    telemetry.served("BREW", "/x/{id}", 405, 0.001)
    found = {"http_request_method": "GET", "http_route": "/x/{id}", "http_response_status_code": "200"}
    name = "http_server_request_duration_seconds"
    assert value(telemetry, f"{name}_count", **found) == 3
    assert value(telemetry, f"{name}_sum", **found) == pytest.approx(3.021)
    assert value(telemetry, f"{name}_bucket", le="0.025", **found) == 2
    assert value(telemetry, f"{name}_count", **(found | {"http_response_status_code": "404"})) == 1
    other = found | {"http_request_method": "_OTHER", "http_response_status_code": "405"}
    assert value(telemetry, f"{name}_count", **other) == 1


def test_the_kernels_own_numbers_are_there_from_the_start() -> None:
    telemetry = configure("quality")
    telemetry.outbox(3, 1.5, 7, 2)
    telemetry.delivered("ok", 0.01)
    telemetry.delivered("failed", 0.01)
    telemetry.dead_letter()
    telemetry.flow("evaluate", "ok", 0.2)
    telemetry.upstream("serviceInventory", "GET", 200, 0.1)
    for name, labels, expected in [
        ("tmfkit_outbox_waiting", {}, 3),
        ("tmfkit_outbox_lag_seconds", {}, 1.5),
        ("tmfkit_deliveries_pending", {}, 7),
        ("tmfkit_deliveries_dead", {}, 2),
        ("tmfkit_dead_letters_total", {}, 1),
        ("tmfkit_delivery_duration_seconds_count", {"outcome": "failed"}, 1),
        ("tmfkit_flow_duration_seconds_count", {"flow": "evaluate", "outcome": "ok"}, 1),
    ]:
        assert value(telemetry, name, **labels) == expected
    upstream = {"dependency": "serviceInventory", "http_request_method": "GET", "http_response_status_code": "200"}
    assert value(telemetry, "http_client_request_duration_seconds_count", **upstream) == 1


def test_a_component_declares_its_business_numbers_and_may_ask_for_them_again() -> None:
    telemetry = configure("quality")
    telemetry.counter("violations", "Objectives violated.", ("severity",)).labels("major").inc()
    telemetry.counter("violations", "Objectives violated.", ("severity",)).labels("major").inc(2)
    telemetry.gauge("conformance", "Share of windows kept.", unit="ratio").set(0.97)
    telemetry.histogram("delay", "Delay.", unit="seconds", buckets=(0.1, 1.0)).observe(0.5)
    assert value(telemetry, "violations_total", severity="major") == 3
    assert value(telemetry, "conformance_ratio") == 0.97
    assert value(telemetry, "delay_seconds_bucket", le="1.0") == 1
    with pytest.raises(ValueError, match="declared already"):
        telemetry.gauge("violations", "Objectives violated.", ("severity",))
    with pytest.raises(ValueError, match="declared already"):
        telemetry.counter("violations", "Objectives violated.", ("cause",))


def test_the_prometheus_page_names_the_component_and_is_free_of_creation_times() -> None:
    telemetry = configure("quality")
    telemetry.served("GET", "/x", 200, 0.1)
    page = telemetry.render().decode()
    assert 'target_info{service_name="quality"} 1.0' in page
    assert "# TYPE http_server_request_duration_seconds histogram" in page
    assert "_created" not in page
    plain, content_type = telemetry.exposition("")
    assert content_type == CONTENT_TYPE
    assert steady(plain) == steady(telemetry.render())


def steady(page: bytes) -> list[bytes]:
    """Lines of a page that do not change by themselves: what the process has used does."""
    return [line for line in page.splitlines() if not line.startswith(b"process_")]


def test_a_scraper_that_prefers_openmetrics_gets_it() -> None:
    page, content_type = configure("quality").exposition("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert page.endswith(b"# EOF\n")


# --- logs ---


def record(message: str, *args: Any, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("tmfkit.relay", logging.WARNING, "relay.py", 7, message, args, None, "deliver")
    vars(made).update(more)
    return made


def test_a_json_record_is_one_line_with_component_trace_and_extras(recorded: Recorded) -> None:
    with recorded.telemetry.span("work") as span:
        line = JsonFormatter("quality").format(record("event %s\nfailed", "e1", attempts=3, at={1: object}))
    told = json.loads(line)
    assert "\n" not in line
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "WARNING",
        "logger": "tmfkit.relay",
        "message": "event e1\nfailed",
        "component": "quality",
        "trace_id": span.trace_id,
        "span_id": span.traceparent[36:52],
        "attempts": 3,
        "at": {"1": "<class 'object'>"},
    }


def test_a_json_record_outside_of_a_trace_has_no_ids_and_keeps_the_exception() -> None:
    try:
        raise ValueError("reason")
    except ValueError as error:
        made = record("broken", exc_info=(ValueError, error, error.__traceback__))
    told = json.loads(JsonFormatter("quality").format(made))
    assert "trace_id" not in told
    assert told["exception"].endswith("ValueError: reason")


def test_a_text_record_is_for_people(recorded: Recorded) -> None:
    formatter = TextFormatter("100%quality")
    assert formatter.format(record("hello")).endswith("WARNING 100%quality tmfkit.relay: hello")
    with recorded.telemetry.span("work") as span:
        assert formatter.format(record("hello")).endswith(f"hello [trace {span.trace_id}]")


def test_of_a_shared_logger_a_component_keeps_what_its_own_work_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = logging.getLogger("test.shared")
    shared.propagate = False
    output = {"one": io.StringIO(), "two": io.StringIO()}
    components = {}
    for name, stream in output.items():
        monkeypatch.setattr("sys.stderr", stream)
        components[name] = Telemetry(name, TelemetrySettings(log_level="debug"))
        components[name].attach_logs(shared)
    with components["one"].span("a"):
        shared.debug("from one")
        with components["two"].span("b"):
            shared.debug("from two")
        shared.debug("again from one")
    shared.debug("from nobody")
    for telemetry in components.values():
        telemetry.close()
    shared.debug("after the end")
    lines = {
        name: [line.split(": ")[1].split(" [")[0] for line in s.getvalue().splitlines()] for name, s in output.items()
    }
    assert lines == {"one": ["from one", "again from one", "from nobody"], "two": ["from two", "from nobody"]}
    assert shared.handlers == []


# --- OTLP ---


class Collector(http.server.BaseHTTPRequestHandler):
    received: dict[str, list[Any]]
    kinds: dict[str, Any] = {
        "/v1/traces": ExportTraceServiceRequest,
        "/v1/metrics": ExportMetricsServiceRequest,
        "/v1/logs": ExportLogsServiceRequest,
    }

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.received.setdefault(self.path, []).append(self.kinds[self.path].FromString(body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def collector() -> Iterator[tuple[str, dict[str, list[Any]]]]:
    received: dict[str, list[Any]] = {}
    handler = type("Receiving", (Collector,), {"received": received})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


def attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def test_spans_metrics_and_logs_reach_an_otlp_collector(collector: tuple[str, dict[str, list[Any]]]) -> None:
    endpoint, received = collector
    settings = TelemetrySettings(otlp_endpoint=endpoint, sample_ratio=1.0)
    logger = logging.getLogger("test.otlp")
    logger.propagate = False
    with Telemetry("quality", settings, version="1.2") as telemetry:
        telemetry.attach_logs(logger)
        with telemetry.request(scope(traceparent=W3C)):
            for seconds in (0.003, 0.02, 99.0):
                telemetry.served("GET", "/x/{id}", 200, seconds)
            logger.warning("slow: %s", "x", extra={"attempts": 3})
            try:
                raise ValueError("reason")
            except ValueError:
                logger.exception("broken")
        telemetry.counter("violations", "Violations.", ("severity",)).labels("major").inc(4)
        telemetry.gauge("conformance", "Share kept.", unit="ratio").set(0.5)
        telemetry.flush()

    (spans,) = received["/v1/traces"]
    resource = attributes(spans.resource_spans[0].resource.attributes)
    assert (resource["service.name"], resource["service.version"]) == ("quality", "1.2")
    (span,) = spans.resource_spans[0].scope_spans[0].spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("GET /x/{id}", TRACE, SPAN)

    sent = received["/v1/metrics"][0].resource_metrics[0]
    assert attributes(sent.resource.attributes)["service.name"] == "quality"
    metrics = {metric.name: metric for metric in sent.scope_metrics[0].metrics}
    requests = metrics["http.server.request.duration"]
    (point,) = requests.histogram.data_points
    assert (requests.unit, point.count, point.sum) == ("s", 3, pytest.approx(99.023))
    assert list(point.bucket_counts) == [1, 0, 1, *[0] * 11, 1]
    assert list(point.explicit_bounds) == [
        0.005,
        0.01,
        0.025,
        0.05,
        0.075,
        0.1,
        0.25,
        0.5,
        0.75,
        1.0,
        2.5,
        5.0,
        7.5,
        10.0,
    ]
    assert not point.HasField("min") and not point.HasField("max")
    assert 0 < point.start_time_unix_nano <= point.time_unix_nano
    assert attributes(point.attributes) == {
        "http.request.method": "GET",
        "http.route": "/x/{id}",
        "http.response.status_code": 200,
    }
    violations = metrics["violations"].sum
    assert violations.is_monotonic and violations.aggregation_temporality == 2
    assert violations.data_points[0].as_double == 4
    assert attributes(violations.data_points[0].attributes) == {"severity": "major"}
    assert (metrics["conformance"].unit, metrics["conformance"].gauge.data_points[0].as_double) == ("1", 0.5)

    records = [r for sent in received["/v1/logs"] for r in sent.resource_logs[0].scope_logs[0].log_records]
    slow, broken = records
    assert (slow.body.string_value, slow.severity_text, slow.trace_id.hex()) == ("slow: x", "WARN", TRACE)
    assert attributes(slow.attributes)["attempts"] == 3
    assert attributes(broken.attributes)["exception.type"] == "ValueError"


def test_metrics_leave_by_themselves_and_a_last_time_at_the_end(collector: tuple[str, dict[str, list[Any]]]) -> None:
    endpoint, received = collector
    telemetry = Telemetry("quality", TelemetrySettings(otlp_endpoint=endpoint, export_interval_s=0.02))
    deadline = time.monotonic() + 5
    while not received.get("/v1/metrics") and time.monotonic() < deadline:
        time.sleep(0.01)
    before = len(received["/v1/metrics"])
    telemetry.counter("late", "Late.").inc()
    telemetry.close()
    telemetry.close()
    assert len(received["/v1/metrics"]) > before
    last = received["/v1/metrics"][-1].resource_metrics[0].scope_metrics[0].metrics
    assert "late" in {metric.name for metric in last}


def test_without_a_collector_nothing_is_sent_and_no_thread_runs() -> None:
    before = threading.active_count()
    telemetry = configure("quality", TelemetrySettings(sample_ratio=1.0))
    with telemetry.span("work"):
        pass
    telemetry.flush()
    assert threading.active_count() == before
    telemetry.close()


def test_fastapis_own_telemetry_is_off_and_ours_counts_each_request_once() -> None:
    recorded = Recorded()
    app = FastAPI(openapi_url=None, telemetry=FASTAPI_TELEMETRY_OFF)

    @app.get("/x/{id}")
    async def get(id: str) -> str | None:
        return current_traceparent()

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        with recorded.telemetry.request(scope):
            await app(scope, receive, send)
            recorded.telemetry.served(scope["method"], scope["route"].path, 200, 0.01)

    async def call() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(counted), base_url="http://c") as client:
            return (await client.get("/x/1", headers={"traceparent": W3C})).json()

    assert asyncio.run(call())[3:35] == TRACE
    assert [span.name for span in recorded.exporter.get_finished_spans()] == ["GET /x/{id}"]
    assert app._native_telemetry.enabled() is False
