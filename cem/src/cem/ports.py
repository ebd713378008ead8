"""Whether the ports we want are free, and if not, who has them."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

import psutil


def free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def busy(host: str, ports: Iterable[int]) -> list[int]:
    return [port for port in ports if not free(host, port)]


def holder(port: int) -> str | None:
    """Program and process id of who listens there, as far as we may know it."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                if connection.pid is None:
                    return None
                return f"{psutil.Process(connection.pid).name()}, process {connection.pid}"
    except psutil.Error:
        return None
    return None


def complaint(host: str, wanted: Mapping[int, str]) -> str | None:
    """A sentence about the ports that are taken; None when all are free. `wanted` maps a port to who wants it."""
    taken = busy(host, wanted)
    if not taken:
        return None
    told = []
    for port in taken:
        who = holder(port)
        told.append(f"{port} ({wanted[port]})" + (f" by {who}" if who else ""))
    are = "port is" if len(taken) == 1 else "ports are"
    return f"{len(taken)} {are} taken: {'; '.join(told)}. Stop what listens there, or choose others with --port-base."


def free_base(host: str, offsets: Iterable[int], first: int, step: int = 100) -> int:
    """The first port base from `first` on, in steps, whose ports are all free. OSError if there is none."""
    offsets = tuple(offsets)
    for base in range(first, 65_000, step):
        if all(free(host, base + offset) for offset in offsets):
            return base
    raise OSError(f"no {len(offsets)} free ports from {first} on")
