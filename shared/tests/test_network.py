"""Callbacks reach subscribers, and nothing that the caller could not reach by itself."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tmfkit.errors import BadRequest, Forbidden, TmfError
from tmfkit.network import Callbacks

NAMES = {
    "inside.svc.cluster.local": ["10.1.2.3"],
    "outside.example": ["203.0.114.7", "2600::1"],
    "half.example": ["203.0.114.7", "127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "localhost": ["127.0.0.1", "::1"],
    "nothing.example": [],
}


async def names(host: str, port: int) -> Sequence[str]:
    """A DNS of our own: names from the table, numbers as they are."""
    if host in NAMES:
        return NAMES[host]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(where[0]) for *_, where in found]


def callbacks(*allow: str, **more: Any) -> Callbacks:
    return Callbacks(allow, **({"resolver": names} | more))


def check(judge: Callbacks, url: str) -> list[str]:
    return [str(address) for address in asyncio.run(judge.check(url))]


def refusal(judge: Callbacks, url: str) -> TmfError:
    with pytest.raises(TmfError) as caught:
        check(judge, url)
    assert caught.value.attribute == "callback"
    return caught.value


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("http://inside.svc.cluster.local:8080/listener", ["10.1.2.3"]),
        ("https://outside.example/hook", ["203.0.114.7", "2600::1"]),
        ("https://OUTSIDE.example./hook", ["203.0.114.7", "2600::1"]),
        ("http://192.168.7.8/", ["192.168.7.8"]),
        ("http://[fd12::8]:9000/", ["fd12::8"]),
        ("http://[64:ff9b::cb00:7207]/", ["64:ff9b::cb00:7207"]),
        ("http://100.64.3.4/", ["100.64.3.4"]),
    ],
)
def test_public_private_and_shared_addresses_are_reachable(url: str, addresses: list[str]) -> None:
    assert check(callbacks(), url) == addresses


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://metadata.example/",
        "http://[fd00:ec2::254]/",
        "http://168.63.129.16/",
        "http://100.100.100.200/",
        "http://0.0.0.0/",
        "http://0.1.2.3/",
        "http://[::]/",
        "http://224.0.0.251/",
        "http://[ff02::1]/",
        "http://255.255.255.255/",
        "http://127.0.0.1/",
        "http://127.255.0.9/",
        "http://[::1]/",
        "http://localhost:8000/",
        "http://half.example/",
        "http://169.254.3.4/",
        "http://[fe80::1]/",
        "http://240.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:7f00:1::]/",
        "http://[::127.0.0.1]/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://127.1/",
        "http://127。0。0。1/",
    ],
)
def test_what_a_subscriber_never_is_cannot_be_reached(url: str) -> None:
    error = refusal(callbacks(), url)
    assert error.status == 403
    assert isinstance(error, Forbidden)


def test_a_refusal_does_not_tell_what_a_name_resolves_to() -> None:
    assert refusal(callbacks(), "http://metadata.example/").body()["message"] == (
        "callback: the host metadata.example is not permitted"
    )


@pytest.mark.parametrize(
    "url",
    [
        "ftp://outside.example/",
        "file:///etc/passwd",
        "gopher://outside.example/",
        "outside.example/hook",
        "",
        "http://",
        "http:///hook",
        "http://user:secret@outside.example/",
        "http://outside.example:99999/",
        "http://outside.example:0/",
        "http://0177.0.0.1/",
        "http://[::1/",
        "http://outside.example/\n",
        "http://nothing.example/",
        "http://unknown.invalid/",
        "http://" + "a" * 300 + "/",
    ],
)
def test_what_is_no_callback_address_is_a_400(url: str) -> None:
    error = refusal(callbacks(), url)
    assert error.status == 400
    assert isinstance(error, BadRequest)


def test_the_schemes_are_a_setting() -> None:
    judge = callbacks(schemes=["https"])
    assert check(judge, "https://outside.example/")
    assert refusal(judge, "http://outside.example/").message == "callback: its scheme must be https"


@pytest.mark.parametrize("entry", ["127.0.0.0/8", "127.0.0.1", "local.test", "*.test"])
def test_loopback_is_reachable_where_it_is_allowed(entry: str) -> None:
    async def local(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    judge = callbacks(entry, resolver=local)
    assert check(judge, "http://local.test:8000/listener") == ["127.0.0.1"]
    assert refusal(callbacks("10.0.0.0/8", resolver=local), "http://local.test/").status == 403


def test_allowing_does_not_open_the_metadata_services() -> None:
    judge = callbacks("0.0.0.0/0", "::/0", "metadata.example")
    assert refusal(judge, "http://metadata.example/").status == 403
    assert refusal(judge, "http://[::ffff:169.254.169.254]/").status == 403
    assert check(judge, "http://127.0.0.1/") == ["127.0.0.1"]


def test_deny_wins_over_allow() -> None:
    judge = callbacks("10.0.0.0/8", "127.0.0.0/8", deny=["10.1.0.0/16", "127.0.0.2", "*.example"])
    assert refusal(judge, "http://inside.svc.cluster.local/").status == 403
    assert refusal(judge, "http://127.0.0.2/").status == 403
    assert refusal(judge, "https://outside.example/").status == 403
    assert check(judge, "http://10.2.0.1/") and check(judge, "http://127.0.0.1/")


def test_only_is_exhaustive_and_does_not_lift_the_rules_for_loopback() -> None:
    judge = callbacks(only=["10.0.0.0/8", "*.example", "127.0.0.0/8"])
    assert check(judge, "http://inside.svc.cluster.local/") and check(judge, "https://outside.example/")
    assert refusal(judge, "http://192.168.0.1/").status == 403
    assert refusal(judge, "http://127.0.0.1/").status == 403


@pytest.mark.parametrize("entry", ["10.0.0.0/40", "http://a", "a/b", ""])
def test_an_entry_that_is_neither_network_nor_host_is_refused_at_the_start(entry: str) -> None:
    with pytest.raises(ValueError, match="neither a network nor a host"):
        Callbacks(deny=[entry])


def test_resolving_judges_nothing_and_is_remembered_shortly() -> None:
    asked: list[str] = []

    async def counting(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    judge = callbacks(resolver=counting, ttl_s=0.05)

    async def ask() -> None:
        for _ in range(3):
            assert [str(a) for a in await judge.resolve("http://rebind.example/")] == ["127.0.0.1"]
        await asyncio.sleep(0.06)
        await judge.resolve("http://rebind.example/")

    asyncio.run(ask())
    assert asked == ["rebind.example", "rebind.example"]


def test_a_name_that_changes_its_meaning_is_judged_again() -> None:
    answers = [["203.0.114.7"], ["127.0.0.1"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    judge = callbacks(resolver=rebinding, ttl_s=0.0)
    assert check(judge, "http://rebind.example/") == ["203.0.114.7"]
    assert refusal(judge, "http://rebind.example/").status == 403


def test_a_dns_that_does_not_answer_is_a_400() -> None:
    async def silent(host: str, port: int) -> list[str]:
        await asyncio.sleep(10)
        return []

    assert refusal(callbacks(resolver=silent, timeout_s=0.02), "http://slow.example/").status == 400


def test_the_dns_of_this_machine_is_asked_by_default() -> None:
    assert "127.0.0.1" in check(Callbacks(["127.0.0.0/8", "::1"]), "http://localhost/")


# --- the guarded transport ---


@pytest.fixture(scope="module")
def listener() -> Iterator[int]:
    async def hear(request: Request) -> Response:
        return Response(f"{request.headers['host']} {len(await request.body())}", 201)

    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    app = Starlette(routes=[Route("/listener", hear, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none", loop="asyncio"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    yield bound.getsockname()[1]
    server.should_exit = True
    thread.join()


def post(judge: Callbacks, url: str) -> httpx.Response:
    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=judge.transport(), timeout=2.0) as client:
            return await client.post(url, content=b"event")

    return asyncio.run(call())


def test_the_transport_delivers_to_the_address_that_was_judged(listener: int) -> None:
    asked: list[str] = []

    async def dead_then_alive(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.9", "127.0.0.1"]

    answer = post(callbacks("127.0.0.0/8", resolver=dead_then_alive), f"http://listener.test:{listener}/listener")
    assert (answer.status_code, answer.text) == (201, f"listener.test:{listener} 5")
    assert asked == ["listener.test"]


def test_the_transport_does_not_connect_to_what_is_not_permitted(listener: int) -> None:
    with pytest.raises(Forbidden):
        post(callbacks(), f"http://127.0.0.1:{listener}/listener")


def test_the_transport_catches_a_name_that_changed_after_the_check(listener: int) -> None:
    answers = [["203.0.114.7"], ["127.0.0.1"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    judge = callbacks(resolver=rebinding, ttl_s=0.0)
    assert check(judge, "http://rebind.test/")
    with pytest.raises(Forbidden):
        post(judge, f"http://rebind.test:{listener}/listener")


def certificate(name: str, folder: Path) -> Path:
    """A certificate of its own for a host name, with its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "listener.pem"
    path.write_bytes(private + made.public_bytes(pem))
    return path


def test_the_transport_holds_a_tls_listener_to_the_name_of_the_callback(tmp_path: Path) -> None:
    pem = certificate("listener.test", tmp_path)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(pem)
    asked_for: list[str | None] = []
    server_side.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    trusting = ssl.create_default_context(cafile=str(pem))

    async def local(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async def use() -> int:
        judge = callbacks("127.0.0.0/8", resolver=local)
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_side)
        port = server.sockets[0].getsockname()[1]
        async with server, httpx.AsyncClient(transport=judge.transport(tls=trusting)) as client:
            heard = await client.post(f"https://listener.test:{port}/")
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await client.post(f"https://other.test:{port}/")
        return heard.status_code

    assert asyncio.run(use()) == 204
    assert asked_for == ["listener.test", "other.test"]


def test_an_unknown_name_is_a_connection_error_to_be_tried_again(listener: int) -> None:
    with pytest.raises(httpx.ConnectError):
        post(callbacks(), "http://unknown.invalid/listener")
