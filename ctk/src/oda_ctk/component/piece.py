"""A part of a manifest as evidence, and what a check found there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import yaml

from oda_ctk.check import Failure

MAX_TOLD = 8
MAX_TEXT = 1500


@dataclass(frozen=True)
class Piece:
    """Where in which document, and what stands there."""

    document: str
    path: str
    value: Any

    def evidence(self) -> dict[str, Any]:
        """For a report."""
        if isinstance(self.value, dict | list):
            text = yaml.safe_dump(self.value, sort_keys=False, allow_unicode=True, default_flow_style=False)
        else:
            text = str(self.value)
        text = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} ... ({len(text)} characters)"
        return {"manifest": {"document": self.document, "path": self.path, "text": text}}


class Evident(Protocol):
    """What can be shown in a report: a piece of a manifest, an exchange, a notification."""

    def evidence(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Found:
    """One place where a clause is not kept."""

    reason: str
    shown: tuple[Evident, ...] = ()


class Broken(Failure):
    """A clause that is not kept in one or several places."""

    def __init__(self, found: Iterable[Found]) -> None:
        places = list(found)
        told = list(dict.fromkeys(f.reason for f in places))
        more = [f"and {len(told) - MAX_TOLD} more"] if len(told) > MAX_TOLD else []
        super().__init__("; ".join([*told[:MAX_TOLD], *more]))
        self.shown = tuple(one for f in places[:MAX_TOLD] for one in f.shown)
