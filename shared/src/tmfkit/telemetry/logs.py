"""Log records: one JSON object or one line each, with component and trace id; and their way to OTLP."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import orjson
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry._logs import LoggerProvider, SeverityNumber
from opentelemetry.util.types import AnyValue

from tmfkit.telemetry.traces import COMPONENT

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_EXPORTERS_OWN = ("opentelemetry", "urllib3", "requests")
_SEVERITIES = (
    (logging.CRITICAL, SeverityNumber.FATAL, "FATAL"),
    (logging.ERROR, SeverityNumber.ERROR, "ERROR"),
    (logging.WARNING, SeverityNumber.WARN, "WARN"),
    (logging.INFO, SeverityNumber.INFO, "INFO"),
)


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra=`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, component, trace_id and span_id within a span, extras,
    exception."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "component": self._component,
        }
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            told["trace_id"] = trace.format_trace_id(span.trace_id)
            told["span_id"] = trace.format_span_id(span.span_id)
        told |= {name: value for name, value in _extras(record).items() if name not in told}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(told, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class TextFormatter(logging.Formatter):
    """One line for people: time, level, component, logger, message, and the trace id within a span."""

    def __init__(self, component: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)-7s {component.replace('%', '%%')} %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (a method of logging.Formatter)
        span = trace.get_current_span().get_span_context()
        line = super().formatMessage(record)
        return f"{line} [trace {trace.format_trace_id(span.trace_id)}]" if span.is_valid else line


class OfComponent(logging.Filter):
    """Keeps what this component's work logs, and what belongs to no component's work."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def filter(self, record: logging.LogRecord) -> bool:
        at_work = otel_context.get_value(COMPONENT)
        return at_work is None or at_work == self._component


class OtlpHandler(logging.Handler):
    """Hands records to an OTel logger provider, with the trace at work. (The SDK's own handler is deprecated.)"""

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(_EXPORTERS_OWN):
            return  # a failing exporter must not feed itself
        try:
            severity = next(((n, t) for level, n, t in _SEVERITIES if record.levelno >= level), _DEBUG)
            attributes: dict[str, AnyValue] = {"code.function.name": record.funcName, "code.line.number": record.lineno}
            attributes |= {name: _plain(value) for name, value in _extras(record).items()}
            self._provider.get_logger(record.name).emit(
                timestamp=int(record.created * 1e9),
                severity_number=severity[0],
                severity_text=severity[1],
                body=record.getMessage(),
                attributes=attributes,
                exception=record.exc_info[1] if record.exc_info else None,
            )
        except Exception:
            self.handleError(record)


_DEBUG = (SeverityNumber.DEBUG, "DEBUG")


def _plain(value: Any) -> AnyValue:
    return value if isinstance(value, str | bool | int | float) else str(value)
