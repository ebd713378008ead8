"""The command `cem`: run the suite, load real data, look after what runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cem.instance import Instance, InstanceError

DEMO_FOLDER = Path(".run")
OWN_FOLDER = Path(".run/own")


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        code: int = given.act(given)
    except InstanceError as e:
        print(e, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cem", description="oda-cem: run everything here, load real data.")
    commands = parser.add_subparsers(dest="command", required=True)

    run = commands.add_parser("run", help="the four components and the demo operator, live or once")
    _where(run, DEMO_FOLDER)
    run.add_argument("--once", action="store_true", help="one fault through the whole loop; exit 0 if it closed")
    run.add_argument("--seed", type=int, help="draws the fault; the same seed draws the same")
    run.add_argument("--fault", help="this kind of fault instead of a drawn one; none: a healthy network")
    run.add_argument("--json", type=Path, metavar="FILE", help="with --once: the summary, step by step")
    run.add_argument("--speed", type=float, metavar="X", help="simulated seconds per second in live time")
    run.add_argument("--timeout", type=float, default=120.0, metavar="S", help="with --once: limit of the loop")
    run.set_defaults(act=_run)

    up = commands.add_parser("up", help="the four components alone, for own data")
    _where(up, OWN_FOLDER)
    up.add_argument(
        "--dependency",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="serviceInventory, resourceInventory or productInventory: base of an inventory, the part before /tmf-api",
    )
    up.set_defaults(act=_up)

    stop = commands.add_parser("stop", help="stop what runs from here, and end what a killed run left behind")
    stop.add_argument("--folder", type=Path, help="of one instance; without: of all")
    stop.set_defaults(act=_stop)
    return parser


def _where(parser: argparse.ArgumentParser, folder: Path) -> None:
    from cem.suite import LOOPBACK, PORT_BASE

    parser.add_argument("--folder", type=Path, default=folder, help=f"database, logs, state (default {folder})")
    parser.add_argument("--host", default=LOOPBACK, help=f"address to listen on (default {LOOPBACK})")
    parser.add_argument(
        "--port-base", type=int, default=PORT_BASE, metavar="N", help=f"ports N+1 to N+5 (default {PORT_BASE})"
    )


def _run(given: argparse.Namespace) -> int:
    from cem.run import Options, run
    from cem.screen import Screen

    if given.json and not given.once:
        raise InstanceError("--json tells of one loop: it needs --once.")
    options = Options(
        given.folder,
        given.host,
        given.port_base,
        given.once,
        given.seed,
        given.fault,
        given.json and given.json.resolve(),
        given.speed,
        given.timeout,
    )
    return run(options, Screen())


def _up(given: argparse.Namespace) -> int:
    from cem.run import up
    from cem.screen import Screen

    elsewhere = {}
    for text in given.dependency:
        name, separator, url = text.partition("=")
        if not separator or not url.startswith(("http://", "https://")):
            raise InstanceError(f"--dependency {text}: NAME=http://... is expected.")
        elsewhere[name] = url.rstrip("/")
    return up(given.folder, given.host, given.port_base, elsewhere, Screen())


def _stop(given: argparse.Namespace) -> int:
    from cem import postgres

    for folder in (given.folder,) if given.folder else (OWN_FOLDER, DEMO_FOLDER):
        instance = Instance(folder)
        if instance.stop():
            print(f"stopped {folder}")
        if instance.running() is None:
            postgres.stop(instance.postgres)
    return 0


if __name__ == "__main__":
    sys.exit(main())
