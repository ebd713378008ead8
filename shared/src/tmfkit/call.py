"""Who is asking, and under which trace: carried beside the work, not through every signature."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    subject: str
    traceparent: str | None = None

    @property
    def trace_id(self) -> str | None:
        return self.traceparent[3:35] if self.traceparent else None


COMPONENT = Call("component")
CALL: ContextVar[Call] = ContextVar("tmfkit_call", default=COMPONENT)
