"""The components as they are, judged by the kit: one component, some of its APIs, told as lines of JSON.

    .venv/bin/python tests/faults/judged.py customer_360 TMF629-v4 TMF629-v5

Made are the MUST checks of the core profile, of every resource and of the hub. SHOULD is what `make ctk-mutants` looks
at, too; leaving it out here is what makes this fast enough for every run of the tests.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from online import declared, furnish, online

from oda_ctk import api as kit
from oda_ctk.check import REGISTRY
from oda_ctk.run import Choice, run

PATIENCE_S = 10.0
MUSTS = tuple(c.id for c in REGISTRY.checks.values() if c.level == "MUST" and c.profile == "core")


def work(package: str, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What the kit says of these APIs ("TMF629-v4") of the component."""
    with online(declared(package)) as (app, address):
        furnish(app, address)
        for name in wanted:
            api, version = name.split("-")
            parser = argparse.ArgumentParser()
            kit.arguments(parser)
            where = ["--url", f"{address}{app.place(api, version)}", "--version", version]
            session, report, _ = kit.prepared(parser.parse_args([api, *where, "--patience", str(PATIENCE_S)]))
            run(session, Choice(only=MUSTS), report, lambda line: None)
            failed = [r for r in report.results if r.outcome == "fail"]
            yield {
                "file": [package, api, version],
                "passed": report.count("pass", "MUST"),
                "failed": [f"{r.id} {r.resource} [{r.clause}]: {r.reason}" for r in failed],
                "evidence": [r.evidence[:2] for r in failed],
                "took_s": report.took_s,
            }


def main(arguments: Sequence[str]) -> int:
    logging.disable(logging.CRITICAL)
    for line in work(arguments[0], arguments[1:]):
        print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
