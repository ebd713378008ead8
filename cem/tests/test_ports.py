"""Ports: free, taken, and a sentence that says by whom."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from cem import ports
from cem.suite import LOOPBACK


@pytest.fixture
def taken() -> Iterator[int]:
    with closing(socket.create_server((LOOPBACK, 0))) as server:
        yield server.getsockname()[1]


def test_a_port_is_busy_while_somebody_listens_there_and_free_afterwards() -> None:
    with closing(socket.create_server((LOOPBACK, 0))) as server:
        port = server.getsockname()[1]
        assert ports.busy(LOOPBACK, [port]) == [port]
    assert ports.busy(LOOPBACK, [port]) == []


def test_the_complaint_names_the_port_who_wants_it_and_who_has_it(taken: int) -> None:
    complaint = ports.complaint(LOOPBACK, {taken: "customer-360"})
    assert complaint is not None
    assert f"{taken} (customer-360)" in complaint
    assert f"process {os.getpid()}" in complaint
    assert "--port-base" in complaint


def test_there_is_no_complaint_when_all_ports_are_free(taken: int) -> None:
    base = ports.free_base(LOOPBACK, [1, 2], 20_000)
    assert ports.complaint(LOOPBACK, {base + 1: "a", base + 2: "b"}) is None


def test_a_free_base_is_one_whose_ports_are_all_free(taken: int) -> None:
    found = ports.free_base(LOOPBACK, [1, 2], taken - 2, step=10)
    assert found >= taken - 2 + 10
    assert all(ports.free(LOOPBACK, found + offset) for offset in (1, 2))


def test_without_any_free_ports_it_says_so(taken: int) -> None:
    with pytest.raises(OSError, match="no 1 free ports"):
        ports.free_base(LOOPBACK, [0], taken, step=70_000)
