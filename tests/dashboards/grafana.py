"""Grafana's dashboard JSON, as much of it as the boards need: rows, single figures, graphs and variables.

A board is a list of rows; places on the grid of 24 columns are given here. Sizes are kept small, for charts carry it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SCHEMA_VERSION = 42
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24


@dataclass(frozen=True)
class Panel:
    """One panel. `queries` maps an expression's legend to the expression; `figure`: one number of now, not a graph."""

    title: str
    description: str
    unit: str
    queries: dict[str, str]
    figure: bool = False
    limits: tuple[tuple[float, str], ...] = ()
    decimals: int | None = None
    width: int = field(default=8)


@dataclass(frozen=True)
class Row:
    title: str
    panels: Sequence[Panel]


def graph(title: str, description: str, unit: str, queries: dict[str, str], *, width: int = 8) -> Panel:
    return Panel(title, description, unit, queries, width=width)


def figure(
    title: str,
    description: str,
    unit: str,
    query: str,
    *,
    limits: tuple[tuple[float, str], ...] = (),
    decimals: int | None = None,
) -> Panel:
    """One number of now; `limits` are the values from which on it has another colour."""
    return Panel(title, description, unit, {"": query}, True, limits, decimals, width=4)


def dashboard(name: str, title: str, description: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The whole document of one component's board."""
    return {
        "annotations": {"list": []},
        "description": description,
        "editable": True,
        "graphTooltip": 1,
        "id": None,
        "links": [
            {
                "asDropdown": True,
                "includeVars": False,
                "keepTime": True,
                "tags": ["oda-cem"],
                "title": "Other components",
                "type": "dashboards",
            }
        ],
        "panels": _panels(rows),
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": ["oda-cem", name],
        "templating": {"list": _variables(name)},
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "title": title,
        "uid": f"oda-cem-{name}",
        "version": 1,
    }


def _variables(name: str) -> list[dict[str, Any]]:
    own = f'target_info{{service_name="{name}"'
    return [
        {"label": "Data source", "name": "datasource", "query": "prometheus", "type": "datasource"},
        _variable("namespace", "Namespace", f"label_values({own}}}, namespace)", everything=".*"),
        _variable("job", "Job", f'label_values({own},namespace=~"$namespace"}}, job)'),
        _variable(
            "instance",
            "Instance",
            f'label_values({own},namespace=~"$namespace",job=~"$job"}}, instance)',
            everything=".*",
        ),
    ]


def _variable(name: str, label: str, query: str, everything: str | None = None) -> dict[str, Any]:
    """All is the default. `everything`: what All stands for; without it all values that were found."""
    made: dict[str, Any] = {
        "current": {"text": "All", "value": "$__all"},
        "datasource": SOURCE,
        "definition": query,
        "includeAll": True,
        "label": label,
        "multi": True,
        "name": name,
        "query": {"qryType": 1, "query": query, "refId": f"variable-{name}"},
        "refresh": 2,
        "sort": 1,
        "type": "query",
    }
    return made if everything is None else {**made, "allValue": everything}


def _panels(rows: Sequence[Row]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        made.append(_place(len(made) + 1, {"title": row.title, "type": "row"}, 0, y))
        y += 1
        x = height = 0
        for panel in row.panels:
            tall = 4 if panel.figure else 8
            if x + panel.width > COLUMNS or (height and tall != height):
                x, y = 0, y + height
            made.append(_place(len(made) + 1, _panel(panel), x, y, panel.width, tall))
            x, height = x + panel.width, tall
        y += height
    return made


def _place(id: int, panel: dict[str, Any], x: int, y: int, width: int = COLUMNS, height: int = 1) -> dict[str, Any]:
    return {**panel, "gridPos": {"h": height, "w": width, "x": x, "y": y}, "id": id}


def _panel(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    options: dict[str, Any]
    if panel.figure:
        steps = [{"color": "green", "value": None}, *({"color": c, "value": v} for v, c in panel.limits)]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        options = {
            "colorMode": "value" if panel.limits else "none",
            "graphMode": "none",
            "reduceOptions": {"calcs": ["lastNotNull"]},
        }
    else:
        defaults["custom"] = {"fillOpacity": 10}
        if panel.unit == "percentunit":
            defaults["min"] = 0
        options = {"tooltip": {"mode": "multi"}}
    return {
        "datasource": SOURCE,
        "description": panel.description,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "expr": expression,
                "refId": chr(ord("A") + place),
                **({"instant": True} if panel.figure else {"legendFormat": legend}),
            }
            for place, (legend, expression) in enumerate(panel.queries.items())
        ],
        "title": panel.title,
        "type": "stat" if panel.figure else "timeseries",
    }


def text(board: dict[str, Any]) -> str:
    """The document as it is written to a file: one line for each panel and variable, for readers of differences."""
    lines = []
    for name, value in board.items():
        if name == "panels":
            value = ",\n  ".join(_line(panel) for panel in value)
            lines.append(f' "panels": [\n  {value}\n ]')
        elif name == "templating":
            value = ",\n  ".join(_line(variable) for variable in value["list"])
            lines.append(f' "templating": {{"list": [\n  {value}\n ]}}')
        else:
            lines.append(f" {json.dumps(name)}: {_line(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
