"""Connections: one that was kept and is closed under a request is no failure of the server, a fresh one is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from oda_ctk.exchange import Target, Unanswered

ANSWER = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}"


@contextmanager
def answering(*connections: int) -> Iterator[tuple[str, list[int]]]:
    """A server that answers so many requests on each connection in turn, reads one more and hangs up."""
    read: list[int] = []

    def serve() -> None:
        for answers in connections:
            with listening.accept()[0] as line:
                for number in range(answers + 1):
                    request = b""
                    while not request.endswith(b"\r\n\r\n{}") and (part := line.recv(65536)):
                        request += part
                    if not request:
                        break
                    read.append(number)
                    if number < answers:
                        line.sendall(ANSWER)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", read
        thread.join(5)


def test_a_request_on_a_kept_connection_that_was_closed_is_sent_once_more() -> None:
    with answering(1, 1) as (address, read):
        target = Target(address, {}, 5.0, lambda exchange: None)
        assert [target.post("/customer", {}).status for _ in range(2)] == [201, 201]
        target.close()
    assert read == [0, 1, 0]


def test_a_fresh_connection_that_is_closed_without_an_answer_is_a_failure() -> None:
    with answering(0) as (address, read):
        target = Target(address, {}, 5.0, lambda exchange: None)
        with pytest.raises(Unanswered):
            target.post("/customer", {})
        target.close()
    assert read == [0]
