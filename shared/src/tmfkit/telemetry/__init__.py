"""What a component tells about itself: traces, metrics and logs, each Telemetry object apart from every other.

Nothing here is global, so that several components can live in one process. This package alone imports the OTel SDK.
"""

from tmfkit.telemetry.logs import JsonFormatter, TextFormatter
from tmfkit.telemetry.metrics import CONTENT_TYPE, Metrics
from tmfkit.telemetry.telemetry import FASTAPI_TELEMETRY_OFF, Telemetry, TelemetrySettings, configure
from tmfkit.telemetry.traces import Span, current_trace_id, current_traceparent, extract, parse_traceparent

__all__ = [
    "CONTENT_TYPE",
    "FASTAPI_TELEMETRY_OFF",
    "JsonFormatter",
    "Metrics",
    "Span",
    "Telemetry",
    "TelemetrySettings",
    "TextFormatter",
    "configure",
    "current_trace_id",
    "current_traceparent",
    "extract",
    "parse_traceparent",
]
