"""The component as it runs: where each of its APIs answers, and what the kit has made there."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from oda_ctk.check import NotApplicable
from oda_ctk.component.manifest import Api
from oda_ctk.exchange import Exchange, Target, Unanswered
from oda_ctk.listener import Listener

MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass
class Running:
    """`base`: what stands before every declared path; `services`: the same for single Services, NAME or NAME:PORT;
    `published`: addresses that the cluster tells, by the label of the API, with the declared path in them."""

    base: str = ""
    services: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = 10.0
    timeout_s: float = 30.0
    listener_host: str = "127.0.0.1"
    listener_port: int = 0
    verify: ssl.SSLContext | bool = True

    def __post_init__(self) -> None:
        self.run = uuid.uuid4().hex[:8]
        self.exchanges: list[Exchange] = []
        self.target = Target("", self.headers, self.timeout_s, self.exchanges.append, verify=self.verify)
        self.not_deleted: list[str] = []
        self.made_here: list[str] = []
        self._listener: Listener | None = None

    def origin(self, service: str, port: Any) -> str:
        """What stands before the paths of a Service, where it is told."""
        told = self.services.get(f"{service}:{port}") or self.services.get(service) or self.base
        return told.rstrip("/")

    def address(self, api: Api) -> str:
        """Where an API answers, with its declared path; NotApplicable when nobody says where."""
        origin = self.origin(api.implementation, api.port)
        if origin:
            return origin + api.base
        if api.label in self.published:
            return self.published[api.label].rstrip("/")
        raise NotApplicable("where this API answers is not told: --url, --service, or a url in the cluster")

    def beside(self, api: Api, path: str) -> str:
        """Another path of the same server; an address is taken as it is."""
        if urlsplit(path).scheme:
            return path
        address = self.address(api)
        return address.removesuffix(api.base.rstrip("/")).rstrip("/") + "/" + path.lstrip("/")

    def get(self, address: str, **options: Any) -> Exchange:
        """GET, following redirections as the Canvas's kits do."""
        answer = self.target.get(address, **options)
        for _ in range(MAX_REDIRECTS):
            if answer.status not in REDIRECTS or "location" not in answer.headers:
                break
            answer = self.target.get(urljoin(answer.url, answer.headers["location"]), **options)
        return answer

    def made(self, collection: str, answer: Exchange) -> str:
        """Note what a POST made; its address, empty where the answer tells none."""
        if not answer.ok:
            return ""
        id = answer.document.get("id")
        location = answer.headers.get("location", "")
        one = f"{collection}/{quote(str(id), safe='')}" if id else urljoin(answer.url, location) if location else ""
        if one and one not in self.made_here:
            self.made_here.append(one)
        return one

    def delete(self, address: str) -> Exchange:
        """Take away something that the kit has made."""
        answer = self.target.delete(address)
        if (answer.ok or answer.status in (404, 410)) and address in self.made_here:
            self.made_here.remove(address)
        return answer

    @property
    def listener(self) -> Listener:
        """The kit's own listener, running from the first use on."""
        if self._listener is None:
            self._listener = Listener(self.listener_host, self.listener_port)
        return self._listener

    def close(self) -> None:
        """Delete what is left of what was made, the newest first, and end."""
        self.target.stopping = False
        try:
            for address in reversed(list(self.made_here)):
                try:
                    answer = self.delete(address)
                    if address in self.made_here:
                        self.not_deleted.append(f"{address}: DELETE was answered with {answer.status}")
                except Unanswered as fault:
                    self.not_deleted.append(f"{address}: {fault}")
        finally:
            self.target.close()
            if self._listener is not None:
                self._listener.close()
