"""Running the kit over a component inside a test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from oda_ctk.component.case import Case
from oda_ctk.component.command import V1
from oda_ctk.component.manifest import Document, Manifest
from oda_ctk.component.run import run
from oda_ctk.component.running import Running
from oda_ctk.component.schema import component_v1
from oda_ctk.run import Choice, Report

STARTED = "2026-01-15T10:00:00+00:00"


def written(documents: Iterable[dict[str, Any]]) -> str:
    return yaml.safe_dump_all(documents, sort_keys=False)


def judged(
    documents: dict[str, dict[str, Any]], *only: str, url: str = "", patience_s: float = 0.6, **more: Any
) -> Report:
    """The report of the checks of those ids (of all, where none is named) over a manifest."""
    manifest = Manifest([Document(d) for d in documents.values()], "test", "r1", **more)
    running = Running(url, patience_s=patience_s, timeout_s=5.0) if url else None
    case = Case(manifest, {V1: component_v1()}, running=running)
    return run(case, Choice(only), Report("Component", "v1", url, "static", STARTED), tell=lambda line: None)


def failed(report: Report) -> set[str]:
    return {r.id for r in report.results if r.outcome == "fail"}


def golden(**spec: Any) -> Document:
    return Document({"apiVersion": "oda.tmforum.org/v1", "kind": "Component", "metadata": {"name": "g"}, "spec": spec})
