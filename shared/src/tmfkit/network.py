"""Where callbacks may lead: the guard against a hub being used to reach what its caller could not reach itself.

Every address that a host resolves to is judged, in this order:

1. never: unspecified, multicast and broadcast addresses, and the metadata services of clouds (169.254.169.254, ...);
2. never: what `deny` names;
3. if `only` is given: nothing that it does not name;
4. loopback, link-local and reserved addresses: only what `allow` names;
5. everything else is reachable. Private networks are: subscribers inside a cluster live there. Where the cluster's own
   networks hold what subscribers must not reach, `deny` or `only` say so.

An entry is a network (`10.0.0.0/8`), an address, a host name or `*.` and a domain. An entry of `allow` or `only` that
names a host trusts whoever answers for that name in the DNS.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import httpcore
import httpx

from tmfkit.errors import BadRequest, Forbidden

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

_logger = logging.getLogger("tmfkit.network")
_REMEMBERED_HOSTS = 1024
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

NEVER = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "::/128",
        "224.0.0.0/4",
        "ff00::/8",
        "255.255.255.255/32",
        "169.254.169.254/32",  # metadata: AWS, Azure, Google, OpenStack
        "169.254.170.0/24",  # credentials of containers: AWS
        "fd00:ec2::254/128",  # metadata: AWS
        "fd00:ec2::23/128",  # credentials of containers: AWS
        "fd20:ce::254/128",  # metadata: Google
        "168.63.129.16/32",  # platform services: Azure
        "100.100.100.200/32",  # metadata: Alibaba
        "192.0.0.192/32",  # metadata: Oracle
    )
)


class Unresolved(BadRequest):
    """The host of a callback is not known to the DNS, or the DNS does not answer."""


class _List:
    """Networks and host names."""

    def __init__(self, entries: Iterable[str]) -> None:
        self.networks: list[Network] = []
        self.hosts: set[str] = set()
        self.domains: tuple[str, ...] = ()
        for entry in entries:
            try:
                self.networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                name = entry.lower().rstrip(".")
                if not name or "/" in name or ":" in name:
                    raise ValueError(f"neither a network nor a host: {entry!r}") from None
                if name.startswith("*."):
                    self.domains += (name[1:],)
                else:
                    self.hosts.add(name)

    def names(self, host: str, address: Address) -> bool:
        return (
            host in self.hosts
            or (bool(self.domains) and host.endswith(self.domains))
            or any(address in network for network in self.networks)
        )

    def __bool__(self) -> bool:
        return bool(self.networks or self.hosts or self.domains)


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(where[0]) for *_, where in found]


def _meant(address: Address) -> list[Address]:
    """The addresses a packet to this one may end at: IPv4 hidden in IPv6 counts (RFC 4291, 6052, 3056, 4380)."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    if address.teredo is not None:
        return [address, *address.teredo]
    return [address]


class Callbacks:
    """Judges callback addresses by the rules above. Names are resolved at most once in `ttl_s` seconds."""

    def __init__(
        self,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        schemes: Sequence[str] = ("http", "https"),
        *,
        only: Sequence[str] = (),
        ttl_s: float = 30.0,
        timeout_s: float = 5.0,
        resolver: Resolver = _resolve,
    ) -> None:
        self._allow, self._deny, self._only = _List(allow), _List(deny), _List(only)
        self._schemes = frozenset(scheme.lower() for scheme in schemes)
        self._ttl_s, self._timeout_s = ttl_s, timeout_s
        self._resolver = resolver
        self._known: dict[str, tuple[float, tuple[Address, ...]]] = {}

    async def check(self, url: str) -> tuple[Address, ...]:
        """The addresses of a callback, all of them permitted. Errors: 400 for what is no callback address or does not
        resolve, 403 for one that is not permitted; `attribute` is callback."""
        parsed = self._parsed(url)
        return await self.addresses(parsed.raw_host.decode("ascii"), _port(parsed))

    async def resolve(self, url: str) -> tuple[Address, ...]:
        """The addresses of a callback, permitted or not. Errors: 400 as `check`."""
        parsed = self._parsed(url)
        return await self._resolved(parsed.raw_host.decode("ascii"), _port(parsed))

    async def addresses(self, host: str, port: int) -> tuple[Address, ...]:
        """The addresses of a host, all of them permitted. Errors: 400, 403 as `check`."""
        host = host.lower().rstrip(".")
        found = await self._resolved(host, port)
        for address in found:
            for meant in _meant(address):
                if (why := self._objection(host, meant)) is not None:
                    # The address is for the operator alone: the answer must not tell what our DNS knows.
                    _logger.warning("callback to %s refused: %s is %s", host, address, why)
                    raise Forbidden(f"the host {host} is not permitted", attribute="callback")
        return found

    def transport(
        self, *, tls: ssl.SSLContext | None = None, limits: httpx.Limits | None = None
    ) -> httpx.AsyncBaseTransport:
        """A transport for httpx.AsyncClient that connects only to addresses judged at that moment, and to the very
        address that was judged: a name cannot change its meaning between the check and the call (DNS rebinding).

        Refused addresses raise Forbidden, unknown names httpx.ConnectError.
        """
        return _GuardedTransport(self, tls, limits or httpx.Limits(max_connections=200, max_keepalive_connections=50))

    def _parsed(self, url: str) -> httpx.URL:
        # httpx will make the call, so httpx must be the one to say what the host is.
        try:
            parsed = httpx.URL(url)
            host = parsed.raw_host.decode("ascii")
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise BadRequest("not an address", attribute="callback") from error
        if parsed.scheme not in self._schemes:
            schemes = " or ".join(sorted(self._schemes))
            raise BadRequest(f"its scheme must be {schemes}", attribute="callback")
        if not host:
            raise BadRequest("it names no host", attribute="callback")
        if not 0 < _port(parsed) < 65536:
            raise BadRequest("its port does not exist", attribute="callback")
        if parsed.userinfo:
            raise BadRequest("it must not hold credentials", attribute="callback")
        return parsed

    async def _resolved(self, host: str, port: int) -> tuple[Address, ...]:
        known = self._known.get(host)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        try:
            texts = await asyncio.wait_for(self._resolver(host, port), self._timeout_s)
            found = tuple(dict.fromkeys(ipaddress.ip_address(text) for text in texts))
        except (OSError, UnicodeError, ValueError) as error:
            raise Unresolved(f"the host {host} does not resolve", attribute="callback") from error
        if not found:
            raise Unresolved(f"the host {host} does not resolve", attribute="callback")
        if len(self._known) >= _REMEMBERED_HOSTS:
            self._known.pop(next(iter(self._known)))
        self._known[host] = (time.monotonic() + self._ttl_s, found)
        return found

    def _objection(self, host: str, address: Address) -> str | None:
        if any(address in network for network in NEVER):
            return "never reachable"
        if self._deny.names(host, address):
            return "denied"
        if self._only and not self._only.names(host, address):
            return "not in the list of the only reachable ones"
        special = address.is_loopback or address.is_link_local or address.is_reserved
        if special and not self._allow.names(host, address):
            return "loopback, link-local or reserved, and not allowed"
        return None


def _port(url: httpx.URL) -> int:
    return url.port if url.port is not None else 443 if url.scheme == "https" else 80


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._callbacks.addresses(host, port)
        except Unresolved as error:
            raise httpcore.ConnectError(error.message) from error
        failed: Exception | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore.ConnectError(host)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Any = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("a callback is not a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport over a pool that has our network backend; httpx offers no argument for that."""

    def __init__(self, callbacks: Callbacks, tls: ssl.SSLContext | None, limits: httpx.Limits) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or httpx.create_ssl_context(),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_GuardedBackend(callbacks),
        )
