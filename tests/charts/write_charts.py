"""Writes what in the charts follows from something else: facts, shared values, schemas, README tables.

    .venv/bin/python tests/charts/write_charts.py [--check]

--check changes nothing and ends with 1 when a file is not as it would be written.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import chart_tools
import facts
import values
from facts import CHARTS, HELM


def write(helm: Path) -> None:
    """Everything below a folder of charts."""
    for name in CHARTS:
        chart = helm / name
        (chart / "files").mkdir(exist_ok=True)
        (chart / "files" / "component.json").write_text(facts.written(name))
        own = chart / "values.yaml"
        own.write_text(values.joined(own.read_text(), (helm / "library" / "common.yaml").read_text()))
    for chart in (*(helm / name for name in CHARTS), helm / "cem"):
        (chart / "values.schema.json").write_text(values.schema_text(chart / "values.yaml"))
    charts = [argument for chart in (*CHARTS, "cem") for argument in ("--chart-to-generate", str(helm / chart))]
    search = ["--chart-search-root", str(helm), *charts, "--sort-values-order", "file", "--log-level", "warning"]
    subprocess.run([chart_tools.helm_docs(), *search], check=True)
    for page in helm.glob("*/README.md"):
        page.write_text(page.read_text().rstrip() + "\n")


def differences(helm: Path) -> list[str]:
    """Files that are not as they would be written."""
    with tempfile.TemporaryDirectory(prefix="charts-") as name:
        fresh = Path(name) / "helm"
        shutil.copytree(helm, fresh)
        write(fresh)
        written = {p.relative_to(fresh) for p in fresh.rglob("*") if p.is_file()}
        return sorted(
            str(p) for p in written if not (helm / p).is_file() or (helm / p).read_bytes() != (fresh / p).read_bytes()
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        found = differences(HELM)
        for path in found:
            print(f"helm/{path} is not as it would be written: make charts", file=sys.stderr)
        return 1 if found else 0
    write(HELM)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
