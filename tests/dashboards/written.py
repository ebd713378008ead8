"""Writes the dashboards and alert rules into helm/: `python tests/dashboards/written.py`. A test compares them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import alerts
import grafana
from boards import BUSINESS, board

ROOT = Path(__file__).resolve().parents[2]
NAMES = tuple(BUSINESS)


def dashboard_file(name: str) -> Path:
    return ROOT / "helm" / name / "dashboards" / f"{name}.json"


def rules_file(name: str) -> Path:
    return ROOT / "helm" / name / "rules" / f"{name}.yaml"


def files() -> Iterator[tuple[Path, str]]:
    """Every file and what is to be in it."""
    for name in NAMES:
        yield dashboard_file(name), grafana.text(board(name))
        yield rules_file(name), alerts.text(name)


def main() -> None:
    for path, content in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        print(f"{path.relative_to(ROOT)}  {len(content):,} bytes")


if __name__ == "__main__":
    main()
