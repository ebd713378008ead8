"""Dashboards and alerts name what the components really tell; without a Prometheus (that is dashboards_check.py's)."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))  # its neighbours are scripts

import written
from expressions import bare_names, grouped, load_alerts, load_dashboard, selectors, shown

from tmfkit.telemetry.metrics import Metrics

ROOT = written.ROOT
NAMES = written.NAMES
OF_THE_TARGET = {"job", "instance", "namespace"}
OF_THE_SCRAPE = {"up": frozenset[str](), "scrape_duration_seconds": frozenset[str]()}
MADE_HERE = {"api", "resource"}
"""Labels that label_replace reads from the route."""
BOARD_BYTES = 40 * 1024
HERE = Path(__file__).parent


# --- what a component tells ---


def instruments(folder: Path) -> Iterator[tuple[str, frozenset[str]]]:
    """Names of samples and their labels, from the calls that declare instruments."""
    for file in sorted(folder.rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or not call.args:
                continue
            kind, first = call.func.attr, call.args[0]
            if kind not in ("counter", "gauge", "histogram"):
                continue
            if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
                continue
            given = {k.arg: k.value for k in call.keywords}
            labels = call.args[2] if len(call.args) > 2 else given.get("labels")
            names = frozenset(ast.literal_eval(labels)) if labels is not None else frozenset[str]()
            unit = ast.literal_eval(given["unit"]) if "unit" in given else ""
            name = f"{first.value}_{unit}" if unit else first.value
            if kind == "histogram":
                yield f"{name}_bucket", names | {"le"}
                yield from ((f"{name}_{part}", names) for part in ("sum", "count"))
            else:
                yield f"{name}_total" if kind == "counter" else name, names


@cache
def declared(component: str) -> dict[str, frozenset[str]]:
    """Every sample that a component can show at /metrics, with its labels."""
    kernel = ROOT / "shared" / "src" / "tmfkit"
    own = ROOT / "components" / component / "src"
    shown_at_once = {s.name: frozenset(s.labels) for f in Metrics(component).registry.collect() for s in f.samples}
    return {**shown_at_once, **dict(instruments(kernel)), **dict(instruments(own)), **OF_THE_SCRAPE}


def expressions(component: str) -> list[str]:
    queries = [v["query"]["query"] for v in load_dashboard(component)["templating"]["list"] if v["type"] == "query"]
    within = [re.sub(r"label_values\((.*), \w+\)", r"\1", query) for query in queries]
    return [*within, *(s.expression for s in shown(component)), *(a["expr"] for a in load_alerts(component))]


@pytest.mark.parametrize("component", NAMES)
def test_every_metric_and_label_is_one_that_the_component_declares(component: str) -> None:
    told = declared(component)
    wrong: list[str] = []
    for expression in expressions(component):
        found = selectors(expression)
        assert found, expression
        known = OF_THE_TARGET | MADE_HERE
        for name, labels in found:
            if name not in told:
                wrong.append(f"{name} is no metric of {component}: {expression}")
                continue
            wrong += [f"{name} has no label {label}" for label in labels - told[name] - OF_THE_TARGET]
            known |= told[name]
        wrong += [f"no label {label} in {expression}" for label in grouped(expression) - known]
        wrong += [f"{word} without a selector in {expression}" for word in bare_names(expression)]
    assert wrong == []


@pytest.mark.parametrize("component", NAMES)
def test_every_number_that_the_component_tells_about_its_trade_is_shown(component: str) -> None:
    own = {name for name, _ in instruments(ROOT / "components" / component / "src")}
    used = {name for s in shown(component) for name, _ in selectors(s.expression)}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in own}
    assert families
    assert families - {re.sub(r"_(bucket|sum|count)$", "", name) for name in used} == set()


@pytest.mark.parametrize("component", NAMES)
def test_every_expression_is_of_this_component_alone(component: str) -> None:
    for board_expression in (s.expression for s in shown(component)):
        assert board_expression.count('job=~"$job"') == len(selectors(board_expression)), board_expression
    for alert in load_alerts(component):
        own = f'job=~"(.+-)?{component}"'
        assert alert["expr"].count(own) == len(selectors(alert["expr"])), alert["alert"]


# --- the files ---


@pytest.mark.parametrize(("path", "content"), [pytest.param(p, c, id=p.name) for p, c in written.files()])
def test_the_file_in_the_chart_is_what_is_written_here(path: Path, content: str) -> None:
    assert path.read_text() == content, "run: python tests/dashboards/written.py"


@pytest.mark.parametrize("component", NAMES)
def test_a_dashboard_is_complete_and_small(component: str) -> None:
    file = written.dashboard_file(component)
    assert file.stat().st_size < BOARD_BYTES
    board = json.loads(file.read_text())
    assert "__inputs" not in board and board["id"] is None
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    titles = [panel["title"] for panel in panels if panel["type"] != "row"]
    assert len(set(titles)) == len(titles)
    for panel in panels:
        assert panel["title"]
        if panel["type"] == "row":
            continue
        assert panel["description"].endswith(".") and panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"] and all(t["expr"] for t in panel["targets"]), panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert len({t["refId"] for t in panel["targets"]}) == len(panel["targets"])
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names == ["datasource", "namespace", "job", "instance"]


@pytest.mark.parametrize("component", NAMES)
def test_no_panel_covers_another(component: str) -> None:
    places = [(p["title"], p["gridPos"]) for p in load_dashboard(component)["panels"]]
    for (one, a), (other, b) in combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart or above, f"{one} and {other}"
    assert all(place["x"] + place["w"] <= 24 for _, place in places)


def test_dashboards_have_ids_and_titles_of_their_own() -> None:
    boards = [load_dashboard(component) for component in NAMES]
    for key in ("uid", "title"):
        assert len({board[key] for board in boards}) == len(NAMES)
    assert all(len(board["uid"]) <= 40 for board in boards)


# --- alerts ---


@pytest.mark.parametrize("component", NAMES)
def test_an_alert_says_what_is_wrong_and_where_to_read_what_to_do(component: str) -> None:
    runbook = (ROOT / "docs" / "monitoring.md").read_text()
    anchors = {heading.lower() for heading in re.findall(r"^#+ (\S+)$", runbook, re.M)}
    alerts = load_alerts(component)
    assert len({alert["alert"] for alert in alerts}) == len(alerts)
    for alert in alerts:
        name = alert["alert"]
        assert alert["labels"] == {"severity": alert["labels"]["severity"], "component": component}
        assert alert["labels"]["severity"] in ("critical", "warning")
        notes = alert["annotations"]
        assert notes["summary"] and notes["description"].endswith("."), name
        assert notes["runbook_url"] == f"docs/monitoring.md#{name.lower()}"
        assert name.lower() in anchors, f"docs/monitoring.md says nothing of {name}"


def cases(kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((HERE / f"{kind}_test.yaml").read_text())["tests"]
    return found


def told(case: dict[str, Any]) -> list[set[str]]:
    """The alerts that fire at each time that a case looks at."""
    return [
        {name for sample in look["exp_samples"] for name in re.findall(r'alertname="(\w+)"', sample["labels"])}
        for look in case["promql_expr_test"]
    ]


@pytest.mark.parametrize("component", NAMES)
def test_every_alert_has_a_case_in_which_it_fires_and_a_time_in_it_when_it_does_not(component: str) -> None:
    judged = [told(case) for kind in ("common", component) for case in cases(kind)]
    for alert in load_alerts(component):
        name = alert["alert"]
        assert any(any(name in at for at in case) and any(name not in at for at in case) for case in judged), name
    names = {alert["alert"] for alert in load_alerts(component)}
    assert {name for case in judged for at in case for name in at} <= names


# --- how expressions are read ---


def test_selectors_are_found_with_their_labels() -> None:
    expression = 'sum by (a) (rate(x_total{job=~"a|b{2}",c!="d"}[5m])) / on (b) group_left () y{}'
    assert selectors(expression) == [("x_total", frozenset({"job", "c"})), ("y", frozenset())]
    assert grouped(expression) == {"a", "b"}
    assert bare_names(expression) == set()


def test_a_metric_without_braces_is_found() -> None:
    assert bare_names('rate(x_total[5m]) > 0 and y{a="z"}') == {"x_total"}
    assert bare_names("time() - max by (job) (start_seconds) * 1e3") == {"start_seconds"}
