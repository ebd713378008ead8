"""What Kubernetes holds of us: our own Component and our DependentAPIs, read now and then, and never written.

Off unless CANVAS_KUBERNETES is set. It takes get of our own Component and list of the DependentAPIs of its namespace.
The client library is imported when first needed, and called in a thread: it blocks.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tmfkit.canvas import CanvasAddresses, provider_base

T = TypeVar("T")
Object = dict[str, Any]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts a pod's token, the authority that signs for the API server, and the namespace."""
_GROUP, _VERSION, _COMPONENTS, _DEPENDENT_APIS = "oda.tmforum.org", "v1", "components", "dependentapis"
_LABEL = "oda.tmforum.org/componentName"
_SEGMENTS = ("coreAPIs", "managementAPIs", "securityAPIs")
_TIMEOUT_S = 5.0
_RETRY_S = 10.0
_logger = logging.getLogger("tmfkit.canvas")


@dataclass(frozen=True)
class Unreadable:
    """Why something could not be read: a word for the health page, and a sentence for the log."""

    state: str
    sentence: str


class Cluster:
    """The two readings, blocking. Everything is read anew each time: tokens and authorities are replaced in place.

    kubeconfig       file to use outside of a cluster; without it a pod's service account
    namespace        of the Component; default the service account's, or that of the kubeconfig's context
    service_account  folder with token, ca.crt and namespace
    """

    def __init__(
        self, kubeconfig: str | None = None, namespace: str | None = None, service_account: Path = SERVICE_ACCOUNT
    ) -> None:
        self._kubeconfig, self._namespace, self._account = kubeconfig, namespace, service_account

    def read(self, component: str) -> tuple[Object | Unreadable, list[Object] | Unreadable]:
        """The Component of this name, and the DependentAPIs of its namespace; each of them, or why not."""
        try:
            with self._api() as (api, namespace):
                where = f"namespace {namespace}"
                own: Object | Unreadable = _tried(
                    lambda: _object(
                        api.get_namespaced_custom_object(
                            _GROUP, _VERSION, namespace, _COMPONENTS, component, _request_timeout=_TIMEOUT_S
                        )
                    ),
                    f"Component {component} in {where}",
                    f"get of {_COMPONENTS}.{_GROUP} {component}",
                )
                if isinstance(own, Unreadable) and own.state == "away":
                    return own, own
                declared: list[Object] | Unreadable = _tried(
                    lambda: _objects(
                        api.list_namespaced_custom_object(
                            _GROUP, _VERSION, namespace, _DEPENDENT_APIS, _request_timeout=_TIMEOUT_S
                        ).get("items")
                    ),
                    f"DependentAPIs in {where}",
                    f"list of {_DEPENDENT_APIS}.{_GROUP}",
                )
                return own, declared
        except Exception as error:  # no service account, a kubeconfig that is none, an authority that is no certificate
            trouble = Unreadable("misconfigured", f"Kubernetes cannot be asked: {error or type(error).__name__}")
            return trouble, trouble

    @contextmanager
    def _api(self) -> Iterator[tuple[Any, str]]:
        # Not import statements: a type checker would read some 30 MB of generated code at each of its runs.
        client, config = import_module("kubernetes.client"), import_module("kubernetes.config")
        settings = client.Configuration()
        if self._kubeconfig:
            config.load_kube_config(self._kubeconfig, client_configuration=settings, persist_config=False)
            _, context = config.list_kube_config_contexts(self._kubeconfig)
            namespace = self._namespace or context["context"].get("namespace") or "default"
        else:
            token, authority = str(self._account / "token"), str(self._account / "ca.crt")
            loader = import_module("kubernetes.config.incluster_config").InClusterConfigLoader
            loader(token, authority, try_refresh_token=False).load_and_set(settings)
            namespace = self._namespace or (self._account / "namespace").read_text().strip()
        settings.retries = False  # we ask again by ourselves; the library would log each try
        api = client.ApiClient(settings)
        try:
            yield client.CustomObjectsApi(api), namespace
        finally:
            api.close()


class KubernetesCanvas:
    """What was read last. A reading that fails changes nothing, and is logged when its reason is another than before.

    addresses  path of each of our APIs -> its address at the gateway, as the Canvas tells it in the Component
    states     of the two readings: waiting, read, refused, missing, away, misconfigured or failed
    """

    def __init__(self, cluster: Cluster, component: str, ttl_s: float) -> None:
        self._cluster, self._component, self._ttl_s = cluster, component, ttl_s
        self.addresses: dict[str, str] = {}
        self.states = {"component": "waiting", "dependentAPIs": "waiting"}
        self._providers: dict[str, list[str]] = {}
        self._open: set[str] = set()
        self._told: dict[str, str] = {}
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read once, so that the first references written are right, and from then on in the background."""
        await self.refresh()
        self._keeping = asyncio.create_task(self._keep(), name="canvas")

    async def aclose(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None

    async def refresh(self) -> None:
        """Read now. A dependency that is declared no more keeps its address: its declaration may be being replaced."""
        own, declared = await asyncio.to_thread(self._cluster.read, self._component)
        if self._note("component", own) and isinstance(own, dict):
            self._take_own(own)
        if self._note("dependentAPIs", declared) and isinstance(declared, list):
            self._take_declared(declared)

    def providers(self, dependency: str) -> list[str]:
        """Base addresses of the providers of a dependency, up to the segment before tmf-api."""
        return self._providers.get(dependency.lower(), [])

    async def _keep(self) -> None:
        while True:
            known = self.addresses and not self._open and set(self.states.values()) == {"read"}
            await asyncio.sleep(self._ttl_s if known else min(self._ttl_s, _RETRY_S))
            await self.refresh()

    def _note(self, what: str, found: Object | list[Object] | Unreadable) -> bool:
        """Whether it was read; a change is logged."""
        if isinstance(found, Unreadable):
            self.states[what], sentence = found.state, found.sentence
            if self._told.get(what) != sentence:
                self._told[what] = sentence
                if sentence not in [told for other, told in self._told.items() if other != what]:
                    _logger.warning("%s; what is known stays in use", sentence)
            return False
        self.states[what] = "read"
        if self._told.pop(what, None) is not None:
            _logger.info("Kubernetes: %s is read again", what)
        return True

    def _take_own(self, component: Object) -> None:
        status = _object(component.get("status"))
        found: dict[str, str] = {}
        for segment in _SEGMENTS:
            for api in _objects(status.get(segment)):
                url = api.get("url")
                if isinstance(url, str) and url.startswith(("http://", "https://")):
                    found.setdefault(urlsplit(url).path.rstrip("/"), url.rstrip("/"))
        # What is told no more is kept: an operator that starts anew tells nothing for a moment.
        found = self.addresses | found
        if found != self.addresses:
            _logger.info("we are at %s", ", ".join(found.values()))
            self.addresses = found

    def _take_declared(self, declared: Iterable[Object]) -> None:
        found: dict[str, list[str]] = {}
        for api in declared:
            name = _object(api.get("spec")).get("name")
            if not isinstance(name, str) or not _belongs(api, self._component):
                continue
            urls = found.setdefault(name.lower(), [])  # an API name of the Canvas has no capitals
            status = _object(api.get("status"))
            url = _object(status.get("depapiStatus")).get("url")
            if _object(status.get("implementation")).get("ready") is True and url is not None:
                base = provider_base(url, name)
                if base is not None and base not in urls:
                    urls.append(base)
        self._open = {name for name, urls in found.items() if not urls}
        for name, urls in found.items():
            if urls and urls != self._providers.get(name):
                _logger.info("%s is at %s", name, ", ".join(urls))
                self._providers[name] = urls


class KubernetesAddresses:
    """Addresses of one dependency, for `Upstream(addresses=...)`: Kubernetes' if it has any, else the others."""

    def __init__(self, canvas: KubernetesCanvas, dependency: str, otherwise: CanvasAddresses | Sequence[str]) -> None:
        self._canvas, self._dependency, self._otherwise = canvas, dependency, otherwise

    async def __call__(self) -> Sequence[str]:
        """Base URLs. Never waits for Kubernetes."""
        if found := self._canvas.providers(self._dependency):
            return found
        return await self._otherwise() if isinstance(self._otherwise, CanvasAddresses) else self._otherwise

    async def aclose(self) -> None:
        if isinstance(self._otherwise, CanvasAddresses):
            await self._otherwise.aclose()


def _tried(read: Callable[[], T], what: str, right: str) -> T | Unreadable:
    """What was read, or why not. `right`: what a Role must allow for it."""
    refused = import_module("kubernetes.client.exceptions").ApiException
    unanswered = import_module("urllib3.exceptions").HTTPError
    try:
        return read()
    except Exception as error:
        if isinstance(error, refused) and error.status:
            return _refusal(error.status, error.body, what, right)
        if isinstance(error, refused | unanswered | OSError):
            # The text of these names objects by their place in memory: never twice the same.
            reason = type(error.__cause__ or error.__context__ or error).__name__
            return Unreadable("away", f"the API server of Kubernetes does not answer ({reason})")
        # An answer that is not what the library expects.
        return Unreadable("failed", f"Kubernetes does not show {what} ({type(error).__name__})")


def _refusal(status: int, body: Any, what: str, right: str) -> Unreadable:
    try:
        told = _object(json.loads(body))
    except (TypeError, ValueError):
        told = {}
    if status == 403:
        return Unreadable("refused", f"Kubernetes refuses {what}: the Role of our service account must allow {right}")
    if status == 401:
        return Unreadable("refused", f"Kubernetes refuses {what}: it does not accept our token")
    if status == 404 and _object(told.get("details")).get("name"):
        return Unreadable("missing", f"there is no {what} (CANVAS_NAME, CANVAS_NAMESPACE)")
    if status == 404:
        return Unreadable("missing", f"there can be no {what}: the CRDs of the ODA Canvas are missing")
    return Unreadable("failed", f"Kubernetes does not show {what} (status {status})")


def _belongs(api: Object, component: str) -> bool:
    """By the label of the Canvas, or by the owner that its operator writes."""
    meta = _object(api.get("metadata"))
    owners = _objects(meta.get("ownerReferences"))
    return _object(meta.get("labels")).get(_LABEL) == component or any(
        owner.get("kind") == "Component" and owner.get("name") == component for owner in owners
    )


def _object(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Object]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
