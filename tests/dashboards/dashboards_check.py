"""Dashboards and alerts against the real thing: a Prometheus scrapes the demo run, and every expression must answer.

    .venv/bin/python tests/dashboards/dashboards_check.py [--rules-only] [--scale tiny] [--seed N] [--loops N]

First promtool checks the rules and runs their unit tests. Then the demo runs live, with two faults, while Prometheus
scrapes its four components and evaluates the alerts. Afterwards every expression of every panel and every variable is
evaluated as Grafana would, and has to return a number; the alerts have to be valid and silent. Exit 1 if not.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from alerts import WATCHED
from expressions import load_alerts, load_dashboard, selectors, shown
from scraping import Prometheus, install, promtool, scraping
from written import NAMES, ROOT, rules_file

from cem.ports import free_base
from cem.suite import COMPONENTS, DEMO, LOOPBACK, Plan

HERE = Path(__file__).parent
FIRST_PORT = 29730
PROMETHEUS_PORT = 9
RELEASE = "demo"
SMALL = {"SCALE": "tiny", "PAST_CUSTOMERS": "600", "HISTORY_WEEKS": "1", "MIN_CUSTOMERS": "1"}
LIVELY = {"PAUSE_STEPS": "4"}
SPEED = "300"
PATIENCE_S = 1800.0
SETTLE_S = 12.0


def ended_by_signals() -> None:
    """Who is told to end takes along what it started."""
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, lambda number, _: sys.exit(128 + number))


# --- promtool ---


def rules_hold(folder: Path) -> bool:
    """The rule files are valid, and each alert fires and does not fire as its tests say."""
    well = True
    for name in NAMES:
        good, told = promtool("check", "rules", str(rules_file(name)))
        well = _say(f"promtool check rules  {name}", good, told, _count(r"(\d+) rules found", told, "rules")) and well
        for kind in ("common", name):
            file = folder / f"{name}-{kind}_test.yaml"
            content = filled(kind, name)
            file.write_text(content)
            good, told = promtool("test", "rules", str(file))
            cases = f"{content.count('  interval:')} cases"
            well = _say(f"promtool test rules   {name}, {kind}", good, told, cases) and well
    return well


def filled(kind: str, component: str) -> str:
    """A file of unit tests, for one component."""
    text = (HERE / f"{kind}_test.yaml").read_text()
    flow = WATCHED[component][0].flows[0]
    return text.replace("RULES", str(rules_file(component))).replace("COMPONENT", component).replace("FLOW", flow)


def _count(pattern: str, told: str, what: str) -> str:
    found = re.search(pattern, told)
    return f"{found[1]} {what}" if found else ""


def _say(what: str, good: bool, told: str, figures: str) -> bool:
    print(f"{what:<62} {'ok' if good else 'FAILED'}  {figures}", flush=True)
    if not good:
        print(told, flush=True)
    return good


# --- the demo run ---


def demo(folder: Path, port_base: int, seed: int, scale: str, loops: int) -> bool:
    """Run the demo live until the operator has judged so many faults. Whether it came to that."""
    environment = {**os.environ, **LIVELY, **(SMALL if scale == "tiny" else {}), "PYTHONUNBUFFERED": "1"}
    arguments = ["run", "--seed", str(seed), "--speed", SPEED, "--folder", str(folder), "--port-base", str(port_base)]
    running = subprocess.Popen(
        [sys.executable, "-m", "cem", *arguments], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    limit = threading.Timer(PATIENCE_S, running.terminate)
    limit.start()
    seen = 0
    try:
        assert running.stdout is not None
        for line in running.stdout:
            print(line, end="", flush=True)
            seen += "  LOOP  " in line
            if seen == loops:
                time.sleep(SETTLE_S)
                return True
        return False
    finally:
        limit.cancel()
        running.terminate()
        try:
            running.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()
            subprocess.run([sys.executable, "-m", "cem", "stop", "--folder", str(folder)], check=False)


def window(server: Prometheus, began: float) -> Prometheus:
    """The server, asked about the time in which all components were scraped."""
    whole = replace(server, start=began, end=time.time())
    data = whole.ask("query_range", query="sum(up)", start=whole.start, end=whole.end, step=1.0)["result"]
    all_up = [at for series in data for at, value in series["values"] if float(value) == len(COMPONENTS)]
    if not all_up:
        raise SystemExit("Prometheus never reached all components at once.")
    return replace(whole, start=float(all_up[0]), end=float(all_up[-1]))


# --- what Grafana does ---


def variables(server: Prometheus, component: str, wanted: dict[str, Any]) -> tuple[dict[str, str], list[list[str]]]:
    """Values of the variables when All is chosen everywhere, and a line of the table for each query."""
    chosen: dict[str, str] = {}
    lines = []
    for variable in wanted["templating"]["list"]:
        if variable["type"] != "query":
            continue
        query = substituted(variable["query"]["query"], chosen)
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
        assert found, query
        values = server.values(found[2], found[1])
        lines.append([component, f"variable {variable['name']}", query, str(len(values)), ", ".join(values)])
        several = f"({'|'.join(re.escape(v).replace(chr(92), chr(92) * 2) for v in values)})"
        chosen[variable["name"]] = variable.get("allValue", several)
    return chosen, lines


def substituted(expression: str, chosen: dict[str, str]) -> str:
    for name, value in chosen.items():
        expression = re.sub(rf"\$\{{{name}\}}|\${name}\b", lambda _, value=value: value, expression)  # type: ignore[misc]
    return expression


def built_in(server: Prometheus) -> dict[str, str]:
    """Grafana's own variables for this stretch of time: its rate interval is at least four scrapes."""
    return {
        "__rate_interval": f"{max(2 * server.step, 4 * server.step):g}s",
        "__interval": f"{server.step:g}s",
        "__range": f"{server.end - server.start:.0f}s",
    }


def dashboards(server: Prometheus) -> tuple[list[list[str]], int]:
    """A line for every variable and expression; how many returned nothing."""
    lines, empty = [], 0
    for component in NAMES:
        chosen, found = variables(server, component, load_dashboard(component))
        empty += sum(line[3] == "0" for line in found)
        lines += found
        for panel in shown(component):
            expression = substituted(panel.expression, {**chosen, **built_in(server)})
            assert "$" not in expression.replace('"$1"', ""), expression
            try:
                series = (server.at_the_end if panel.instant else server.over_time)(expression)
                numbers = [values for _, values in series if values]
                last = f"{numbers[0][-1]:.4g}" if numbers else "NOTHING"
            except ValueError as e:
                series, numbers, last = [], [], f"INVALID: {e}"
            empty += not numbers
            lines.append([component, panel.panel, panel.expression, str(len(series)), last])
    return lines, empty


def alerts_hold(server: Prometheus) -> bool:
    """Every alert is evaluated without an error, from numbers that are there, and none fires."""
    well = True
    states: dict[tuple[str, str], set[str]] = {}
    for labels, _ in server.over_time("ALERTS"):
        states.setdefault((labels["component"], labels["alertname"]), set()).add(labels["alertstate"])
    health = {(r["labels"]["component"], r["name"]): (r["health"], r.get("lastError", "")) for r in server.rules()}
    print(f"\n{'component':<22} {'alert':<26} {'evaluated':<10} {'state':<9} inputs: series in the run")
    for component in NAMES:
        own = f'{{job="{RELEASE}-{component}"}}'
        for alert in load_alerts(component):
            key = (component, alert["alert"])
            state = max(states.get(key, {"silent"}), key=["silent", "pending", "firing"].index)
            names = sorted({name for name, _ in selectors(alert["expr"])})
            inputs = {name: len(server.over_time(name + own)) for name in names}
            told, error = health.get(key, ("missing", ""))
            good = told == "ok" and state != "firing" and all(inputs.values())
            told_inputs = ", ".join(f"{name} {count}" for name, count in inputs.items())
            mark = "" if good else f"  WRONG {error}"
            print(f"{component:<22} {alert['alert']:<26} {told:<10} {state:<9} {told_inputs}{mark}")
            well = well and good
    return well


def table(lines: list[list[str]], *, whole: bool) -> None:
    print(f"\n{'dashboard':<22} {'panel':<32} {'series':>6}  {'last value':<14} expression")
    for component, panel, expression, count, last in lines:
        short = expression if whole or len(expression) <= 90 else expression[:87] + "..."
        print(f"{component:<22} {panel:<32} {count:>6}  {last[:40]:<14} {short}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rules-only", action="store_true", help="promtool alone, without the demo run")
    parser.add_argument("--scale", choices=("full", "tiny"), default="full", help="of the demo operator")
    parser.add_argument("--seed", type=int, default=7, help="of the faults")
    parser.add_argument("--loops", type=int, default=2, help="faults that the operator judges before the run ends")
    parser.add_argument("--whole", action="store_true", help="expressions in full length")
    given = parser.parse_args()
    ended_by_signals()
    install()
    with tempfile.TemporaryDirectory(prefix="dashboards-") as temporary:
        folder = Path(temporary)
        if not rules_hold(folder):
            return 1
        if given.rules_only:
            return 0
        return _live(folder, given)


def _live(folder: Path, given: argparse.Namespace) -> int:
    port_base = free_base(LOOPBACK, [*(m.port for m in DEMO), PROMETHEUS_PORT], FIRST_PORT)
    plan = Plan(DEMO, port_base=port_base)
    targets = {f"{RELEASE}-{m.name}": f"{LOOPBACK}:{plan.port(m)}" for m in COMPONENTS}
    rules = [rules_file(name) for name in NAMES]
    with scraping(folder / "prometheus", port_base + PROMETHEUS_PORT, targets, rules) as server:
        began = time.time()
        if not demo(folder / "run", port_base, given.seed, given.scale, given.loops):
            print("the demo run ended before its faults were judged", file=sys.stderr)
            return 1
        server = window(server, began)
        print(f"\n{server.end - server.start:.0f} s of the demo run, scraped every {server.step:g} s")
        lines, empty = dashboards(server)
        table(lines, whole=given.whole)
        silent = alerts_hold(server)
    count = sum(len(load_alerts(name)) for name in NAMES)
    print(f"\n{len(NAMES)} dashboards, {len(lines)} expressions, {empty} without a number; ", end="")
    print(f"{count} alerts, {'all valid and silent' if silent else 'NOT all valid and silent'}")
    return 1 if empty or not silent else 0


if __name__ == "__main__":
    sys.exit(main())
