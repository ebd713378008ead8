"""Where a dependent API is, as the information service of the ODA Canvas knows it; Kubernetes: canvas_kubernetes.py.

The Canvas writes one TMF638 service for each resolved dependency (use case UC007), with the characteristics
componentName, dependencyName and url. The service collection is `http://info.canvas.svc.cluster.local/service`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from typing import Any

import httpx

from tmfkit.upstream import Upstream, UpstreamError, UpstreamUnavailable

_logger = logging.getLogger("tmfkit.canvas")
_ASK_TIMEOUT_S = 5.0
_RETRY_S = 5.0
_ENDED = frozenset({"inactive", "terminated"})


class CanvasAddresses:
    """Addresses of the providers of one dependency, for `Upstream(addresses=...)`.

    info_url        the service collection of the information service
    component_name  our own name in the Canvas: `<release>-<component>`
    dependency_name name of the dependency in our Component manifest, where it has no capitals
    ttl_s           age at which the Canvas is asked again, seconds
    fallback_url    used while the Canvas knows no provider and none was known before
    cut             text from which on an address is cut off: the Canvas gives the address of the whole API, our
                    paths begin with tmf-api; None keeps all

    While the information service does not answer, the last good addresses stay in use.
    """

    def __init__(
        self,
        info_url: str,
        component_name: str,
        dependency_name: str,
        *,
        ttl_s: float = 60.0,
        fallback_url: str | None = None,
        cut: str | None = "/tmf-api/",
        auth: httpx.Auth | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        base, _, self._path = info_url.rstrip("/").rpartition("/")
        self._info = Upstream(
            "canvasInformation",
            base,
            auth=auth,
            timeout_s=_ASK_TIMEOUT_S,
            retries=0,
            transport=transport,
            tls=tls,
        )
        self._component, self._dependency = component_name, dependency_name
        self._ttl_s, self._fallback, self._cut = ttl_s, fallback_url, cut
        self._known: list[str] = []
        self._due = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def __call__(self) -> list[str]:
        """Base URLs in the order of the Canvas. Raises UpstreamUnavailable when there is none at all."""
        if time.monotonic() >= self._due:
            asking = self._ask_once()
            # Whoever has addresses does not wait for newer ones.
            if not self._known:
                await asyncio.shield(asking)
        if self._known:
            return self._known
        if self._fallback is not None:
            return [self._fallback]
        raise UpstreamUnavailable(
            None, "", "the Canvas knows no provider", name=self._dependency, retry_after_s=_RETRY_S
        )

    async def refresh(self) -> None:
        """Ask now and wait for the answer."""
        await asyncio.shield(self._ask_once())

    async def aclose(self) -> None:
        await self._info.aclose()

    def _ask_once(self) -> asyncio.Task[None]:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return self._asking

    async def _ask(self) -> None:
        try:
            found = [url async for service in self._info.pages(self._path) if (url := self._address(service))]
        except UpstreamError as error:
            kept = "the last good addresses stay in use" if self._known else "there are none yet"
            _logger.warning("%s: %s; %s", self._dependency, error, kept)
            self._due = time.monotonic() + min(self._ttl_s, _RETRY_S)
            return
        found = list(dict.fromkeys(found))
        # A provider that is only being replaced comes back; until then the old address is the better guess than none.
        if found and found != self._known:
            _logger.info("%s is at %s", self._dependency, ", ".join(found))
            self._known = found
        self._due = time.monotonic() + (self._ttl_s if found else min(self._ttl_s, _RETRY_S))

    def _address(self, service: Any) -> str | None:
        """The url of a service record that is about our dependency."""
        if not isinstance(service, dict) or service.get("state") in _ENDED:
            return None
        characteristics = service.get("serviceCharacteristic")
        told = {
            c.get("name"): c.get("value")
            for c in (characteristics if isinstance(characteristics, list) else [])
            if isinstance(c, dict)
        }
        dependency = str(told.get("dependencyName")).lower()
        if told.get("componentName") != self._component or dependency != self._dependency.lower():
            return None
        return provider_base(told.get("url"), self._dependency, self._cut)


def provider_base(url: Any, dependency: str, cut: str | None = "/tmf-api/") -> str | None:
    """The address of an API, without what our own paths begin with; None, and a warning, if it is none."""
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        _logger.warning("%s: the Canvas gives no usable address: %r", dependency, url)
        return None
    return (url.partition(cut)[0] if cut else url).rstrip("/")
