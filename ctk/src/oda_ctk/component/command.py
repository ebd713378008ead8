"""`ctk component`: judge an ODA component by its chart, its manifest, its running service, or in a cluster."""

from __future__ import annotations

import argparse
import ssl
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from oda_ctk import options
from oda_ctk.component.case import REGISTRY, Case
from oda_ctk.component.cel import NotUnderstood
from oda_ctk.component.chart import NoHelm, Rendering, rendered
from oda_ctk.component.cluster import Cluster, Live, read_live
from oda_ctk.component.crd import Key, from_crd
from oda_ctk.component.kubeconfig import NoCluster, access, found
from oda_ctk.component.manifest import BadManifest, Document, Manifest, read
from oda_ctk.component.run import run
from oda_ctk.component.running import Running
from oda_ctk.component.schema import Node, component_v1
from oda_ctk.options import CannotRun
from oda_ctk.run import Choice, Report, to_stderr

V1: Key = ("oda.tmforum.org", "v1", "Component")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("what", nargs="?", metavar="CHART|MANIFEST", help="a chart, a YAML file, or - for stdin")
    parser.add_argument("--live", metavar="RELEASE", help="a release in a cluster instead")
    chart = parser.add_argument_group("chart")
    chart.add_argument("--helm", default="helm", metavar="PATH", help="the helm to render with")
    chart.add_argument("--release", default="", metavar="NAME", help="name of the release (ctk for a chart)")
    chart.add_argument("--namespace", default="", metavar="NS", help="components for a chart")
    chart.add_argument("-f", "--values", action="append", default=[], type=Path, metavar="FILE")
    chart.add_argument("--set", action="append", default=[], metavar="A=B", dest="sets")
    facts = parser.add_argument_group("what it is judged by")
    facts.add_argument("--crd", action="append", default=[], type=Path, metavar="FILE", help="a CRD instead of ours")
    facts.add_argument("--golden", type=Path, metavar="FILE", help="the standard component that it claims to be")
    facts.add_argument("--fetch", action="store_true", help="also fetch the specifications that the APIs name")
    place = parser.add_argument_group("where it runs")
    place.add_argument("--url", metavar="BASE", help="what stands before the declared paths")
    place.add_argument(
        "--service",
        action="append",
        default=[],
        metavar="NAME[:PORT]=BASE",
        help="the same for one Service",
    )
    place.add_argument("--ca", type=Path, metavar="FILE", help="whom to trust besides the usual authorities")
    place.add_argument("--insecure", action="store_true", help="trust any certificate of the component")
    place.add_argument("--kubeconfig", type=Path, metavar="FILE", help="default: KUBECONFIG, or ~/.kube/config")
    place.add_argument("--context", default="", metavar="NAME", help="of the kubeconfig; default: its current one")
    options.add(parser)
    parser.set_defaults(command=command)


def command(given: argparse.Namespace) -> int:
    """Judge; the exit code."""
    if given.list:
        options.listed(REGISTRY.checks)
        return 0
    try:
        case, report, choice = prepared(given)
    except (CannotRun, BadManifest, NoHelm, NoCluster) as why:
        return options.cannot(why)
    for line in case.manifest.notes:
        to_stderr(line)
    run(case, choice, report)
    for line in report.hangs or ():
        to_stderr(f"hangs: {line}")
    return options.told(report, given.report)


def prepared(given: argparse.Namespace) -> tuple[Case, Report, Choice]:
    """What is judged, and which checks; CannotRun (or what the reading raises) where something cannot be had."""
    if bool(given.what) == bool(given.live):
        raise CannotRun("what is judged? a chart, a manifest (- for stdin), or --live RELEASE")
    choice = options.choice(given, REGISTRY.checks)
    schemas = _schemas(given.crd)
    golden = _golden(given.golden) if given.golden else None
    services = dict(_service(line) for line in given.service)
    for address in (given.url, *services.values()):
        if address and urlsplit(address).scheme not in ("http", "https"):
            raise CannotRun(f"{address!r} is no http address")
    live: Live | None = None
    running = _running(given, services) if given.url or services or given.live else None
    if given.live:
        live, manifest = _live(given)
    else:
        manifest = _manifest(given)
    if live and running:
        running.published = live.urls()
    case = Case(manifest, schemas, golden, running, live, given.fetch)
    where = given.url or (live.cluster.access.server if live else "")
    profile = "live" if live else "running" if running else "static"
    name = manifest.name if len(manifest.components) == 1 else manifest.source
    report = Report(
        f"Component {name}",
        "v1",
        " at ".join(w for w in (manifest.source, where) if w),
        profile,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return case, report, choice


def _manifest(given: argparse.Namespace) -> Manifest:
    if given.what == "-":
        return Manifest(read(sys.stdin.read(), "stdin"), "stdin", given.release)
    path = Path(given.what)
    if path.is_dir() or path.name.endswith((".tgz", ".tar.gz")):
        if path.is_dir() and not (path / "Chart.yaml").is_file():
            raise CannotRun(f"{path} is a folder without Chart.yaml, so it is no chart")
        how = Rendering(
            given.helm, given.release or "ctk", given.namespace or "components", tuple(given.values), tuple(given.sets)
        )
        return rendered(path, how)
    if given.values or given.sets:
        raise CannotRun("values are for a chart; this is a manifest")
    try:
        return Manifest(read(path.read_text(encoding="utf-8"), str(path)), str(path), given.release)
    except (OSError, UnicodeDecodeError) as fault:
        raise CannotRun(f"{path}: {fault}") from fault


def _live(given: argparse.Namespace) -> tuple[Live, Manifest]:
    reached = access(found(given.kubeconfig), given.context)
    namespace = given.namespace or reached.namespace or "components"
    cluster = Cluster(reached, namespace, given.timeout)
    try:
        return read_live(cluster, given.live)
    except NoCluster:
        cluster.close()
        raise


def _running(given: argparse.Namespace, services: Mapping[str, str]) -> Running:
    host, _, port = given.listener.partition(":")
    try:
        verify = ssl.create_default_context()
        if given.ca:
            verify.load_verify_locations(given.ca)
        if given.insecure:
            verify.check_hostname = False
            verify.verify_mode = ssl.CERT_NONE
        return Running(
            base=(given.url or "").rstrip("/"),
            services=services,
            headers=options.headers(given),
            patience_s=given.patience,
            timeout_s=given.timeout,
            listener_host=host,
            listener_port=int(port or 0),
            verify=verify,
        )
    except (OSError, ssl.SSLError) as fault:
        raise CannotRun(f"--ca {given.ca}: {fault}") from fault
    except ValueError as fault:
        raise CannotRun(f"--listener: {fault}") from fault


def _service(line: str) -> tuple[str, str]:
    name, equals, base = line.partition("=")
    if not equals or not name:
        raise CannotRun(f"--service is written NAME=BASE or NAME:PORT=BASE, not {line!r}")
    return name, base


def _schemas(files: list[Path]) -> dict[Key, Node]:
    """The shipped facts of the Component, and over them what CRD files say."""
    schemas = {V1: component_v1()}
    for file in files:
        try:
            for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
                if document is not None:
                    schemas |= from_crd(document)
        except NotUnderstood as fault:
            raise CannotRun(f"--crd {file}: this rule is not understood: {fault}") from fault
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as fault:
            raise CannotRun(f"--crd {file}: {type(fault).__name__}: {fault}") from fault
    return schemas


def _golden(file: Path) -> Document:
    try:
        documents = read(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as fault:
        raise CannotRun(f"--golden {file}: {fault}") from fault
    for document in documents:
        if document.kind == "Component":
            return document
    raise CannotRun(f"--golden {file} holds no Component")
