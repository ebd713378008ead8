"""The command `ctk`. Each subcommand has a module of its own, which adds its arguments and names its function."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import oda_ctk.api
import oda_ctk.component.command

SUBCOMMANDS = {
    "api": (oda_ctk.api.arguments, "judge an implementation of a TM Forum Open API"),
    "component": (oda_ctk.component.command.arguments, "judge an ODA component by chart, manifest, address or cluster"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; 0: all MUST pass, 1: some MUST fails, 2: it could not be run."""
    parser = argparse.ArgumentParser(
        prog="ctk", description="Conformance kit for TM Forum Open APIs and ODA components"
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (add, purpose) in SUBCOMMANDS.items():
        add(subparsers.add_parser(name, help=purpose, description=purpose))
    given = parser.parse_args(arguments)
    return int(given.command(given))


if __name__ == "__main__":
    sys.exit(main())
