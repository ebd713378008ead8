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
    run.add_argument("--timeout", type=float, metavar="S", help="with --once: limit of the loop")
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

    _load_parser(commands.add_parser("load", help="customers, inventory, measurements of a real operator"))

    migration = commands.add_parser("migration", help="write the next migration of a component")
    migration.add_argument("component")
    migration.add_argument("-m", "--message", required=True)
    migration.set_defaults(act=_migration)

    stop = commands.add_parser("stop", help="stop what runs from here, and end what a killed run left behind")
    stop.add_argument("--folder", type=Path, help="of one instance; without: of all")
    stop.set_defaults(act=_stop)
    return parser


def _load_parser(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", required=True)

    customers = what.add_parser("customers", help="a CSV file through TMF629; trains where outcomes are known")
    customers.add_argument("file", type=Path)
    customers.add_argument("--mapping", default="ibm-telco", help="a mapping by its name or file (default ibm-telco)")
    customers.add_argument(
        "--train", action=argparse.BooleanOptionalAction, help="default: if the mapping has an outcome"
    )
    customers.set_defaults(act=_load_customers)

    inventory = what.add_parser("inventory", help="JSON or NDJSON of TMF637, TMF638, TMF639 resources")
    inventory.add_argument("file", type=Path, nargs="+")
    inventory.add_argument("--kind", choices=("product", "service", "resource"), help="if their @type does not say it")
    inventory.set_defaults(act=_load_inventory)

    measurements = what.add_parser("measurements", help="3GPP PM XML (TS 32.435), CSV, JSON, NDJSON; also .gz")
    measurements.add_argument("file", type=Path, nargs="+")
    measurements.add_argument("--mapping", type=Path, help="YAML or JSON: how the file's names become ours")
    measurements.set_defaults(act=_load_measurements)

    for each in (customers, inventory, measurements):
        each.add_argument("--url", help="base of the receiver, the part before /tmf-api; default: what runs here")
        each.add_argument("--folder", type=Path, default=OWN_FOLDER, help=f"of the instance (default {OWN_FOLDER})")


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

    for option in ("json", "timeout"):
        if getattr(given, option) is not None and not given.once:
            raise InstanceError(f"--{option} is about one loop: it needs --once.")
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


def _load_customers(given: argparse.Namespace) -> int:
    from cem import load
    from cem.screen import Screen
    from cem.target import Target, to

    screen = Screen()
    by = load.customer_mapping(given.mapping)
    customers = load.customers(given.file, by)
    screen.line(f"{given.file.name}: {len(customers.payloads):,} customers, {customers.labelled:,} with known outcome")
    if customers.unmapped:
        screen.line(f"columns that {by.name} does not use: {', '.join(customers.unmapped)}", "dim")

    async def job(target: Target) -> int:
        delivered = await load.load_customers(target.client, target.address("customer-360"), customers, screen)
        if given.train is not False and (given.train or by.outcome):
            if target.train is None:
                screen.line("not run from here: train with `python -m churn_prediction train` in its environment")
                return 1 if given.train else 0
            await load.train(target, customers, screen)
        return 1 if delivered.refused or customers.faults else 0

    return to(given.folder, "customer-360", given.url, job, screen)


def _load_inventory(given: argparse.Namespace) -> int:
    from cem import files, load
    from cem.screen import Screen
    from cem.target import Target, to

    screen = Screen()
    documents = [document for file in given.file for document in files.documents(file)]

    async def job(target: Target) -> int:
        url = target.address("demo-operator")
        return 0 if await load.load_inventory(target.client, url, documents, given.kind, screen) else 1

    return to(given.folder, "demo-operator", given.url, job, screen)


def _load_measurements(given: argparse.Namespace) -> int:
    from cem import files, load
    from cem.screen import Screen
    from cem.target import Target, to

    screen = Screen()
    by = files.structure(given.mapping) if given.mapping else None

    async def job(target: Target) -> int:
        url, well = target.address("service-quality"), True
        for file in given.file:
            try:
                well = await load.load_measurements(target.client, url, file, by, screen) and well
            except InstanceError as e:  # the other files may be good
                screen.trouble(f"{file}: {e}")
                well = False
        return 0 if well else 1

    return to(given.folder, "service-quality", given.url, job, screen)


def _migration(given: argparse.Namespace) -> int:
    from cem.migration import revise

    return revise(given.component, given.message)


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
