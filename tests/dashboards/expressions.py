"""What is in the files in helm/: the expressions of dashboards and alerts, and the metrics and labels they name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from written import dashboard_file, rules_file

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^{}]*)\}")
_MATCHER = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)\s*"')
_GROUPED = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
_WORD = re.compile(r"(?<![\w$.])([a-zA-Z_:][a-zA-Z0-9_:]*)(?!\w)(?!\s*\()")
_KEYWORDS = frozenset({"and", "or", "unless", "by", "without", "on", "ignoring", "bool", "offset", "inf", "nan"})


@dataclass(frozen=True)
class Shown:
    """One expression of a panel."""

    component: str
    panel: str
    expression: str
    instant: bool


def load_dashboard(component: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dashboard_file(component).read_text())
    return found


def load_alerts(component: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load(rules_file(component).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def shown(component: str) -> Iterator[Shown]:
    for panel in load_dashboard(component)["panels"]:
        for target in panel.get("targets", []):
            yield Shown(component, panel["title"], target["expr"], target.get("instant", False))


def selectors(expression: str) -> list[tuple[str, frozenset[str]]]:
    """Metric name and labels that are matched, of every selector. Selectors are written with braces, always."""
    found = []
    for name, matchers in _SELECTOR.findall(_masked(expression)):
        found.append((name, frozenset(_MATCHER.findall(matchers))))
    return found


def grouped(expression: str) -> frozenset[str]:
    """Labels that are summed by or matched on."""
    lists = _GROUPED.findall(_masked(expression))
    return frozenset(label.strip() for names in lists for label in names.split(",") if label.strip())


def bare_names(expression: str) -> set[str]:
    """Words that are neither a function, a keyword, a label nor a selector with braces: metrics that nobody restricted
    to the component."""
    rest = _GROUPED.sub(" ", _SELECTOR.sub(" ", _masked(expression)))
    rest = re.sub(r"\[[^\]]*\]", " ", _STRING.sub(" ", rest))
    return {word for word in _WORD.findall(rest) if word not in _KEYWORDS}


def _masked(expression: str) -> str:
    """The same without what is in quotation marks: a pattern may hold braces."""
    return _STRING.sub('""', expression)
