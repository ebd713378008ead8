"""A Canvas on this machine: a real control plane and the Canvas's real operators, with stand-ins around them.

with canvas(source) as it: it.install("sq", "service-quality", {}); it.sequence("sq-service-quality")
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from api_server import Cluster, ClusterError, Ran, api_server
from canvas_operators import LISTENER, LISTENER_PORT, NAMESPACE, OPERATORS, command, environment, listening
from canvas_resources import SERVICE_MONITOR, VIRTUAL_SERVICE, defined, oda_definitions, plural_path
from canvas_standins import ADMIN, PASSWORD, REALM, Gateway, Information, Keycloak, Served, outside, until
from kubelet import Kubelet
from kubernetes_binaries import ToolMissing
from service_network import ServiceNetwork, local

from cem.suite import COMPONENTS, named
from tmfkit.embedded import create
from tmfkit.testing import database_named, server

ROOT = Path(__file__).resolve().parent.parent.parent
CANVAS = "canvas"
HOSTNAME = "components.test"
GATEWAY_PORT = 8443
GATEWAY_ADDRESS = "10.1.0.1"
KEYCLOAK_ADDRESS = "10.1.0.2"
INFORMATION_ADDRESS = "10.1.0.3"
LISTENER_ADDRESS = "10.1.0.4"
KEYCLOAK_PORT = 8080
INFORMATION_PORT = 80 if os.geteuid() == 0 else 8638
KEYCLOAK_URL = f"http://keycloak.{CANVAS}.svc.cluster.local:{KEYCLOAK_PORT}"
INFORMATION_URL = f"http://info.{CANVAS}.svc.cluster.local:{INFORMATION_PORT}"
COMPLETE = "Complete"
ADMINISTRATOR = "Admin"
PATIENCE_S = 600.0  # what the Canvas's own tests allow; an operator that meets a conflict waits a minute
QUIET_S = 3.0

Object = dict[str, Any]
Seen = list[tuple[float, str]]


def helm() -> str:
    """Helm's command, as the chart checks have it. Errors: ToolMissing."""
    path = ROOT / "tests" / "charts" / "chart_tools.py"
    spec = importlib.util.spec_from_file_location("chart_tools", path)
    if spec is None or spec.loader is None:
        raise ToolMissing(f"{path} is not there.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        return str(module.helm_3())
    except (RuntimeError, OSError, subprocess.CalledProcessError) as e:
        raise ToolMissing(f"Helm cannot be had: {e}") from e


class Statuses:
    """What `deployment_status` each Component has had, and when."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._seen: dict[str, Seen] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="statuses", daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(0.2):
            with contextlib.suppress(httpx.HTTPError, ClusterError):
                for found in self._cluster.items(plural_path("components", NAMESPACE)):
                    status = (found.get("status") or {}).get("summary/status", {}).get("deployment_status", "(none)")
                    seen = self._seen.setdefault(found["metadata"]["name"], [])
                    if not seen or seen[-1][1] != status:
                        seen.append((time.monotonic(), status))

    def now(self, name: str) -> str:
        """The status of a Component; empty where it was never seen."""
        seen = self._seen.get(name)
        return seen[-1][1] if seen else ""

    def since(self, name: str, began: float) -> Seen:
        """The statuses from a moment on, in seconds after it."""
        return [(at - began, status) for at, status in list(self._seen.get(name, [])) if at >= began]

    def close(self) -> None:
        self._ended.set()
        self._thread.join(10)


def sequence(seen: Seen) -> str:
    return " -> ".join(f"{status} {at:.1f} s" for at, status in seen)


@dataclass
class Canvas:
    """All of it, running."""

    cluster: Cluster
    network: ServiceNetwork
    kubelet: Kubelet
    keycloak: Keycloak
    information: Information
    gateway: Gateway
    statuses: Statuses
    operators: Ran
    helm_command: str
    charts: Path

    def helm(self, *arguments: str) -> str:
        """Run Helm in the components' namespace. Errors: ClusterError."""
        done = subprocess.run(
            [self.helm_command, *arguments, "--namespace", NAMESPACE],
            capture_output=True,
            text=True,
            check=False,
            env={**_homes(self.cluster.folder), "KUBECONFIG": str(self.cluster.kubeconfig)},
        )
        if done.returncode:
            raise ClusterError(f"helm {' '.join(arguments[:3])}: {(done.stderr or done.stdout).strip()[-1500:]}")
        return done.stdout

    def values(self, component: str, more: Object) -> Path:
        """A values file: what this place needs, and more."""
        values: Object = {
            "database": {"existingSecret": f"{component}-database"},
            "auth": {
                "issuer": self.keycloak.issuer,
                "rolePermissions": {ADMINISTRATOR: ["*:*:*"], "Component": ["*:*:*"]},
                "client": {"existingSecret": "issuer-client"},
            },
            "authorities": {"existingConfigMap": "gateway-authority"},
            "callbacks": {"allow": ["127.0.0.0/8"]},
            "forwardedAllow": "127.0.0.0/8",
            "canvas": {"informationUrl": f"{INFORMATION_URL}/service", "systemRole": ADMINISTRATOR},
            "settings": {"DEPENDENCY_TTL_S": 2, "FOLLOW_INTERVAL_S": 3},
        }
        for name, value in more.items():
            values[name] = {**values.get(name, {}), **value} if isinstance(value, dict) else value
        file = self.cluster.folder / f"{component}-values.json"
        file.write_text(json.dumps(values))
        return file

    def install(self, release: str, component: str, more: Object, *, verb: str = "install") -> float:
        """Install or upgrade a component; the moment before. Errors: ClusterError."""
        began = time.monotonic()
        chart, values = str(self.charts / component), str(self.values(component, more))
        self.helm(verb, release, chart, "--values", values)
        return began

    def reaches(self, name: str, began: float, wanted: str = COMPLETE, seconds: float = PATIENCE_S) -> str:
        """Wait for a status; the sequence to it. Errors: ClusterError."""

        def there() -> bool:
            seen = self.statuses.since(name, began)
            return bool(seen) and seen[-1][1] == wanted

        if not until(there, seconds):
            told = sequence(self.statuses.since(name, began)) or "no status"
            raise ClusterError(f"{name} is not {wanted} after {seconds:.0f} s: {told}\n{self.state(name)}")
        return sequence(self.statuses.since(name, began))

    def settled(self, name: str) -> None:
        """Wait until the operators have nothing under way for a Component. Errors: ClusterError.

        What changes while the component operator is at work can pass it by: it remembers the new specification as
        handled, though its handlers ran with the old one.
        """
        path, since, last = f"{plural_path('components', NAMESPACE)}/{name}", time.monotonic(), ""

        def quiet() -> bool:
            nonlocal since, last
            found = self.cluster.get(path) or {"metadata": {}}
            if found["metadata"].get("resourceVersion", "") != last:
                since, last = time.monotonic(), found["metadata"].get("resourceVersion", "")
            busy = (found.get("status") or {}).get("kopf", {}).get("progress")
            return not busy and time.monotonic() - since > QUIET_S

        if not until(quiet, PATIENCE_S):
            raise ClusterError(f"The operators do not come to rest over {name}.")

    def again(self) -> str:
        """How often each operator's handlers gave up for a minute, by their logs."""
        counts = {o.name: self.operators.text(o.name).count("failed temporarily") for o in OPERATORS}
        return ", ".join(f"{name} {count}" for name, count in counts.items())

    def state(self, name: str) -> str:
        """What a Component still waits for, and what the last lines of all concerned are."""
        found = self.cluster.get(f"{plural_path('components', NAMESPACE)}/{name}") or {}
        parts: list[str] = []
        for segment in ("coreAPIs", "managementAPIs", "securityAPIs", "coreDependentAPIs"):
            apis = (found.get("status") or {}).get(segment, [])
            parts += [f"{segment} {a['name']}: url {a.get('url')}, ready {a.get('ready')}" for a in apis]
        logs = [f"--- {o.name}\n{self.operators.tail(o.name, 12)}" for o in OPERATORS]
        return "\n".join([*parts, *logs, self.kubelet.tails()])

    def url(self, name: str, segment: str, part: str) -> str:
        """The public address of an API as the Component's status tells it. Errors: ClusterError."""
        found = self.cluster.get(f"{plural_path('components', NAMESPACE)}/{name}") or {}
        for api in found.get("status", {}).get(segment, []):
            if part in api.get("url", ""):
                return str(api["url"])
        raise ClusterError(f"{name} tells no address of {part}: {found.get('status', {}).get(segment)}")

    def request(self, method: str, url: str, body: Object | None = None) -> httpx.Response:
        """A request through the gateway, by somebody with the administrator's role."""
        host, here = f"{HOSTNAME}:{GATEWAY_PORT}", f"{self.gateway.host}:{self.gateway.port}"
        tls = ssl.create_default_context(cafile=str(self.cluster.authority.certificate))
        token = self.keycloak.token("administrator", [ADMINISTRATOR])
        headers = {"authorization": f"Bearer {token}", "host": host}
        with httpx.Client(verify=tls, trust_env=False, timeout=60) as client:
            return client.request(method, url.replace(host, here), json=body, headers=headers)

    def fetch(self, component: str, statement: str) -> list[str]:
        """First column of what a component's database answers."""

        async def ask() -> list[str]:
            connection = await asyncpg.connect(database_named(_database(component)))
            try:
                return [str(row[0]) for row in await connection.fetch(statement)]
            finally:
                await connection.close()

        return asyncio.run(ask())


def _database(component: str) -> str:
    return f"canvas_{named(component).package}"


def _secret(cluster: Cluster, name: str, content: dict[str, str]) -> None:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    cluster.post(f"/api/v1/namespaces/{NAMESPACE}/secrets", {"metadata": {"name": name}, "data": data})


def _prepared(cluster: Cluster) -> None:
    """What whoever runs a Canvas has made before: namespace, gateway's Service, databases, clients, authorities."""
    cluster.namespace(NAMESPACE, pod_security="restricted")
    cluster.namespace("istio-ingress")
    services = "/api/v1/namespaces/istio-ingress/services"
    ports: list[Object] = [{"name": "http2", "port": GATEWAY_PORT}]
    spec: Object = {"type": "LoadBalancer", "ports": ports, "allocateLoadBalancerNodePorts": False}
    cluster.post(services, {"metadata": {"name": "istio-ingress", "labels": {"istio": "ingressgateway"}}, "spec": spec})
    balancer: Object = {"loadBalancer": {"ingress": [{"hostname": HOSTNAME}]}}
    cluster.patch(f"{services}/istio-ingress/status", {"status": balancer})
    create(server(), [_database(member.name) for member in COMPONENTS])
    for member in COMPONENTS:
        _secret(cluster, f"{member.name}-database", {"url": database_named(_database(member.name))})
    _secret(cluster, "issuer-client", {"client_id": "component", "client_secret": "secret"})
    authority = {"ca.crt": cluster.authority.certificate.read_text()}
    content: Object = {"metadata": {"name": "gateway-authority"}, "data": authority}
    cluster.post(f"/api/v1/namespaces/{NAMESPACE}/configmaps", content)


def _built(tool: str, charts: Path, folder: Path) -> Path:
    """A copy of the charts with the library chart as it is now in each. Errors: ClusterError."""
    copy = folder / "charts"
    shutil.copytree(charts, copy, ignore=shutil.ignore_patterns("*.tgz"))
    for member in COMPONENTS:
        command = [tool, "dependency", "update", "--skip-refresh", str(copy / member.name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_homes(folder))
        if done.returncode:
            raise ClusterError(f"helm dependency update {member.name}: {done.stderr.strip()}")
    return copy


def _homes(folder: Path) -> dict[str, str]:
    """The environment with Helm's folders among what goes away."""
    return {**os.environ, **{f"HELM_{kind}_HOME": str(folder / "helm" / kind) for kind in ("CACHE", "CONFIG", "DATA")}}


def _started(source: Path, cluster: Cluster, network: ServiceNetwork, ran: Ran) -> None:
    """The operators' processes, and the identity listener's."""
    shared = {
        "PATH": os.defpath,
        "HOME": str(ran.folder),
        "KUBECONFIG": str(cluster.kubeconfig),
        "LOGGING": "20",
        "COMPONENT_NAMESPACE": NAMESPACE,
        "KEYCLOAK_USER": ADMIN,
        "KEYCLOAK_PASSWORD": PASSWORD,
        "KEYCLOAK_BASE": KEYCLOAK_URL,
        "KEYCLOAK_REALM": REALM,
        "CANVAS_INFO_ENDPOINT": INFORMATION_URL,
        "APIOPERATORISTIO_COMPONENTGATEWAY": f"{CANVAS}/component-gateway",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for operator in OPERATORS:
        line = command(source, operator, environment(source, operator))
        ran.start(operator.name, network.inside(line), {**shared, **operator.environment})
    line, path = listening(source, environment(source, LISTENER), f"{local(LISTENER_ADDRESS)}:{LISTENER_PORT}")
    ran.start(LISTENER.name, network.inside(line), {**shared, **path})


@contextlib.contextmanager
def canvas(source: Path, charts: Path, crds: Path | None = None) -> Iterator[Canvas]:
    """Run all of it, and end it. Errors: ToolMissing, ClusterError."""
    tool = helm()
    for operator in (*OPERATORS, LISTENER):
        environment(source, operator)
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(api_server())
        defined(cluster, [*oda_definitions(source, tool, crds), VIRTUAL_SERVICE, SERVICE_MONITOR])
        built = _built(tool, charts, cluster.folder)
        network = ServiceNetwork(cluster, {HOSTNAME: local(GATEWAY_ADDRESS)})
        stack.callback(network.close)
        network.check()
        keycloak, information = Keycloak(KEYCLOAK_URL), Information()
        issuer = Served(keycloak.app, local(KEYCLOAK_ADDRESS))
        stack.callback(issuer.close)
        inventory = Served(information.app, local(INFORMATION_ADDRESS))
        stack.callback(inventory.close)
        outside(cluster, CANVAS, "keycloak", KEYCLOAK_PORT, KEYCLOAK_ADDRESS, issuer.port)
        outside(cluster, CANVAS, "info", INFORMATION_PORT, INFORMATION_ADDRESS, inventory.port)
        outside(cluster, CANVAS, "idlistkey", LISTENER_PORT, LISTENER_ADDRESS, LISTENER_PORT)
        _prepared(cluster)
        hosts = (HOSTNAME, local(GATEWAY_ADDRESS))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*cluster.authority.sign("gateway", HOSTNAME, hosts=hosts))
        gateway = Gateway(cluster, local(GATEWAY_ADDRESS), GATEWAY_PORT, tls)
        stack.callback(gateway.close)
        kubelet = Kubelet(cluster, network)
        stack.callback(kubelet.close)
        folder = cluster.folder / "operators"
        folder.mkdir()
        ran = Ran(folder)
        stack.callback(ran.end)
        _started(source, cluster, network, ran)
        statuses = Statuses(cluster)
        stack.callback(statuses.close)
        yield Canvas(cluster, network, kubelet, keycloak, information, gateway, statuses, ran, tool, built)
