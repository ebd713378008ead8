"""The client of a dependent API against real apps: retries, several providers, circuit breaking and paging."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tmfkit.errors import ServiceUnavailable, TmfError
from tmfkit.security import ClientCredentials
from tmfkit.telemetry import Telemetry, TelemetrySettings
from tmfkit.upstream import Breaker, Upstream, UpstreamError, UpstreamUnavailable

Answer = Callable[[Request], Awaitable[Response]]


class Provider:
    """An app that answers with the given answers in turn, the last one for ever, and keeps what it was asked."""

    def __init__(self, *answers: Response | Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST", "PATCH", "DELETE"])])

    async def _answer(self, request: Request) -> Response:
        target = request.scope["raw_path"].decode() + (f"?{request.url.query}" if request.url.query else "")
        self.asked.append((request.method, target))
        self.headers.append(dict(request.headers))
        self.bodies.append(await request.body())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, Response) else await answer(request)


def upstream(provider: Provider, **more: Any) -> Upstream:
    options: dict[str, Any] = {
        "transport": httpx.ASGITransport(provider.app),
        "backoff_s": 0.001,
        "max_backoff_s": 0.05,
    }
    return Upstream("serviceInventory", "http://inventory/c/tmf-api/x/v4/", **(options | more))


def ok(value: Any = "fine", **headers: str) -> JSONResponse:
    return JSONResponse(value, headers=headers)


def fails(status: int, **headers: str) -> JSONResponse:
    return JSONResponse({"code": f"ERR{status}", "reason": "told so"}, status, headers)


def error(call: Awaitable[Any]) -> UpstreamError:
    async def run() -> Any:
        return await call

    with pytest.raises(UpstreamError) as caught:
        asyncio.run(run())
    return caught.value


def closed_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@asynccontextmanager
async def misbehaving(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[tuple[str, list[int]]]:
    """A server below HTTP: it reads a request and does what it is told."""
    connections: list[int] = []
    serving: set[asyncio.Task[Any] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        serving.add(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        await answer(writer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
    finally:
        server.close()
        await asyncio.gather(*(task for task in serving if task is not None))


async def hang_up(writer: asyncio.StreamWriter) -> None:
    return


async def be_slow(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.3)


# --- the methods ---


def test_each_method_sends_what_its_name_says() -> None:
    provider = Provider(ok({"id": "1"}))
    client = upstream(provider)

    async def use() -> list[Any]:
        return [
            await client.get("service/1", {"fields": "name", "a": None, "b": ["x", "y"]}),
            await client.post("service", {"name": "é"}),
            await client.patch("service/1", {"name": None}),
            (await client.request("DELETE", "service/1")).status_code,
        ]

    assert asyncio.run(use()) == [{"id": "1"}, {"id": "1"}, {"id": "1"}, 200]
    base = "/c/tmf-api/x/v4/service"
    assert provider.asked == [
        ("GET", f"{base}/1?fields=name&b=x&b=y"),
        ("POST", base),
        ("PATCH", f"{base}/1"),
        ("DELETE", f"{base}/1"),
    ]
    assert provider.bodies == [b"", '{"name":"é"}'.encode(), b'{"name":null}', b""]
    assert [h.get("content-type") for h in provider.headers] == [None, "application/json", "application/json", None]


def test_an_answer_without_a_body_is_none_and_one_that_is_no_json_an_error() -> None:
    assert asyncio.run(upstream(Provider(Response(status_code=202))).post("x", {})) is None
    assert "not JSON" in str(error(upstream(Provider(Response("<html>"))).get("x")))


def test_parts_of_a_path_are_quoted_so_that_an_id_stays_an_id() -> None:
    provider = Provider(ok())
    client = upstream(provider)

    async def use() -> None:
        for id in ("a/b c?d#e", "..", "ü"):
            await client.get(("service", id))

    asyncio.run(use())
    assert [path.rpartition("/service/")[2] for _, path in provider.asked] == ["a%2Fb%20c%3Fd%23e", "%2E%2E", "%C3%BC"]


def test_an_absolute_address_is_refused_for_our_token_must_not_travel() -> None:
    with pytest.raises(ValueError, match="below the base URL"):
        asyncio.run(upstream(Provider(ok())).get("http://elsewhere/service/1"))


def test_a_refusal_is_a_502_that_names_the_dependency_and_keeps_the_rest_for_the_log() -> None:
    refused = error(upstream(Provider(fails(404))).get("service/1"))
    assert (refused.status, refused.upstream_status) == (502, 404)
    assert refused.body()["message"] == "serviceInventory answered 404"
    assert str(refused) == "serviceInventory answered 404 at http://inventory/c/tmf-api/x/v4/service/1: told so"
    assert not isinstance(refused, UpstreamUnavailable)


def test_a_redirect_is_not_followed() -> None:
    provider = Provider(Response(status_code=302, headers={"location": "http://elsewhere/"}))
    assert error(upstream(provider).get("x")).upstream_status == 302
    assert len(provider.asked) == 1


def test_deleting_what_is_not_there_is_fine_where_it_is_said() -> None:
    asyncio.run(upstream(Provider(fails(404))).delete("hub/1", missing_ok=True))
    assert error(upstream(Provider(fails(404))).delete("hub/1")).upstream_status == 404
    assert error(upstream(Provider(fails(403))).delete("hub/1", missing_ok=True)).upstream_status == 403


# --- retries ---


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    provider = Provider(fails(status), fails(status), ok())
    assert asyncio.run(upstream(provider).get("x")) == "fine"
    assert len(provider.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 409, 500, 501])
def test_what_does_not_pass_is_not_tried_again(status: int) -> None:
    provider = Provider(fails(status), ok())
    assert error(upstream(provider).get("x")).upstream_status == status
    assert len(provider.asked) == 1


def test_the_tries_end() -> None:
    provider = Provider(fails(503))
    refused = error(upstream(provider, retries=3).get("x"))
    assert (refused.status, refused.upstream_status, len(provider.asked)) == (503, 503, 4)
    assert isinstance(refused, UpstreamUnavailable)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_must_not_happen_twice_is_sent_once(method: str) -> None:
    provider = Provider(fails(503), ok())
    refused = error(upstream(provider).request(method, "x", json={}))
    assert (refused.upstream_status, len(provider.asked)) == (503, 1)


def test_a_post_with_an_idempotency_key_is_repeated_with_the_same_key_and_body() -> None:
    provider = Provider(fails(502), ok())
    assert asyncio.run(upstream(provider).post("x", {"a": 1}, idempotency_key="k1")) == "fine"
    assert [headers["idempotency-key"] for headers in provider.headers] == ["k1", "k1"]
    assert provider.bodies == [b'{"a":1}'] * 2


def test_a_deletion_whose_answer_was_lost_is_done() -> None:
    asyncio.run(upstream(Provider(fails(502), fails(404))).delete("hub/1"))


def test_retry_after_is_honoured_in_seconds_and_as_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) - timedelta(seconds=5), usegmt=True)
    provider = Provider(fails(503, **{"retry-after": "0.04"}), fails(429, **{"retry-after": soon}), ok())
    started = time.monotonic()
    assert asyncio.run(upstream(provider).get("x")) == "fine"
    assert time.monotonic() - started >= 0.04


def test_a_provider_that_wants_to_be_left_alone_for_long_is_not_waited_for() -> None:
    provider = Provider(fails(503, **{"retry-after": "120"}), ok())
    started = time.monotonic()
    refused = error(upstream(provider).get("x"))
    assert (len(provider.asked), refused.headers) == (1, {"Retry-After": "120"})
    assert time.monotonic() - started < 1


def test_the_pauses_grow() -> None:
    provider = Provider(fails(503), fails(503), fails(503), ok())
    started = time.monotonic()
    asyncio.run(upstream(provider, retries=3, backoff_s=0.02, max_backoff_s=1.0).get("x"))
    assert time.monotonic() - started >= (0.02 + 0.04 + 0.08) / 2


def test_a_closed_port_is_unavailable_also_for_what_was_never_sent() -> None:
    gone = Upstream("party", f"http://127.0.0.1:{closed_port()}", backoff_s=0.001)
    refused = error(gone.post("x", {}))
    assert (refused.status, refused.upstream_status) == (503, None)
    assert refused.body()["message"] == "party did not answer"
    assert "ConnectError" in refused.detail


@pytest.mark.parametrize(("behaviour", "error_name"), [(hang_up, "RemoteProtocolError"), (be_slow, "ReadTimeout")])
@pytest.mark.parametrize(("method", "tries"), [("GET", 3), ("POST", 1)])
def test_a_lost_answer_is_asked_for_again_unless_it_may_have_had_an_effect(
    behaviour: Callable[[asyncio.StreamWriter], Awaitable[None]], error_name: str, method: str, tries: int
) -> None:
    async def use() -> tuple[str, int]:
        async with misbehaving(behaviour) as (url, connections):
            async with Upstream("party", url, timeout_s=0.1, backoff_s=0.001) as client:
                with pytest.raises(UpstreamUnavailable) as caught:
                    await client.request(method, "x")
            return caught.value.detail, len(connections)

    detail, connections = asyncio.run(use())
    assert detail.startswith(error_name)
    assert connections == tries


# --- several providers ---


class Hosts(httpx.AsyncBaseTransport):
    """Joins apps to host names; an unknown host cannot be reached."""

    def __init__(self, **providers: Provider) -> None:
        self._apps = {name: httpx.ASGITransport(provider.app) for name, provider in providers.items()}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host not in self._apps:
            raise httpx.ConnectError("no route", request=request)
        return await self._apps[request.url.host].handle_async_request(request)


def several(transport: httpx.AsyncBaseTransport, **more: Any) -> Upstream:
    addresses = ["http://one", "http://two", "http://three"]
    return Upstream("serviceInventory", addresses, transport=transport, backoff_s=0.001, **more)


def test_providers_are_tried_in_order_and_the_last_good_one_first() -> None:
    two, three = Provider(ok("two")), Provider(ok("three"))
    hosts = Hosts(two=two, three=three)
    client = several(hosts)

    async def use() -> list[Any]:
        first = [await client.get("x"), await client.post("x", {})]
        two.answers = [fails(503)]
        return [*first, await client.get("x"), await client.get("x")]

    assert asyncio.run(use()) == ["two", "two", "three", "three"]
    assert (len(two.asked), len(three.asked)) == (3, 2)


def test_a_refusal_of_one_provider_is_an_answer_and_the_others_are_not_asked() -> None:
    two, three = Provider(fails(404)), Provider(ok("three"))
    assert error(several(Hosts(two=two, three=three)).get("x")).upstream_status == 404
    assert three.asked == []


def test_a_post_that_one_provider_may_have_taken_does_not_go_to_the_next() -> None:
    one, two = Provider(fails(504)), Provider(ok())
    assert error(several(Hosts(one=one, two=two)).post("x", {})).upstream_status == 504
    assert two.asked == []


def test_the_addresses_may_come_from_a_function() -> None:
    found = ["http://one/"]

    async def addresses() -> list[str]:
        return found

    one, two = Provider(ok("one")), Provider(ok("two"))
    client = Upstream("x", addresses, transport=Hosts(one=one, two=two))

    async def use() -> list[Any]:
        first = await client.get("x")
        found[0] = "http://two"
        return [first, await client.get("x")]

    assert asyncio.run(use()) == ["one", "two"]


def test_without_an_address_a_dependency_is_unavailable() -> None:
    assert error(Upstream("party", []).get("x")).status == 503


# --- circuit breaking ---


def test_a_provider_that_fails_again_and_again_is_left_alone_and_then_tried_once() -> None:
    provider = Provider(fails(503))
    client = upstream(provider, retries=0, breaker=Breaker(failures=3, cool_down_s=0.1))
    base = "http://inventory/c/tmf-api/x/v4"

    async def tried() -> type[Exception] | None:
        try:
            await client.get("x")
        except UpstreamUnavailable as e:
            return type(e)
        return None

    async def use() -> None:
        for _ in range(3):
            assert client.circuits().get(base, "closed") == "closed"
            await tried()
        assert client.circuits() == {base: "open"}
        with pytest.raises(UpstreamUnavailable, match="left alone") as caught:
            await client.get("x")
        assert caught.value.headers == {"Retry-After": "1"}
        assert len(provider.asked) == 3
        await asyncio.sleep(0.11)
        assert client.circuits() == {base: "half-open"}
        await tried()
        assert (len(provider.asked), client.circuits()) == (4, {base: "open"})
        await asyncio.sleep(0.11)
        provider.answers = [ok()]
        assert await tried() is None
        assert client.circuits() == {base: "closed"}

    asyncio.run(use())


def test_a_half_open_circuit_lets_one_trial_through_at_a_time() -> None:
    async def slowly(request: Request) -> Response:
        await asyncio.sleep(0.02)
        return ok()

    provider = Provider(fails(503), slowly)
    client = upstream(provider, retries=0, breaker=Breaker(failures=1, cool_down_s=0.02))

    async def use() -> list[Any]:
        with pytest.raises(UpstreamUnavailable):
            await client.get("x")
        await asyncio.sleep(0.03)
        return await asyncio.gather(*(client.get("x") for _ in range(5)), return_exceptions=True)

    outcomes = asyncio.run(use())
    assert [outcome for outcome in outcomes if outcome == "fine"] == ["fine"]
    assert sum(isinstance(outcome, UpstreamUnavailable) for outcome in outcomes) == 4
    assert len(provider.asked) == 2


def test_a_trial_that_is_cancelled_leaves_room_for_another() -> None:
    async def never(request: Request) -> Response:
        await asyncio.sleep(10)
        return ok()

    provider = Provider(fails(503), never, ok())
    client = upstream(provider, retries=0, breaker=Breaker(failures=1, cool_down_s=0.01))

    async def use() -> Any:
        with pytest.raises(UpstreamUnavailable):
            await client.get("x")
        await asyncio.sleep(0.02)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.get("x"), 0.02)
        return await client.get("x")

    assert asyncio.run(use()) == "fine"


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_a_provider_that_answers_is_alive_whatever_it_says(status: int) -> None:
    provider = Provider(fails(status))
    client = upstream(provider, retries=0, breaker=Breaker(failures=1))

    async def use() -> None:
        for _ in range(3):
            with pytest.raises(UpstreamError):
                await client.get("x")

    asyncio.run(use())
    assert list(client.circuits().values()) == ["closed"]


def test_one_success_forgives_the_failures_before() -> None:
    provider = Provider(fails(503), ok(), fails(503), ok())
    client = upstream(provider, breaker=Breaker(failures=2, cool_down_s=60))

    async def use() -> list[Any]:
        return [await client.get("x"), await client.get("x")]

    assert asyncio.run(use()) == ["fine", "fine"]


# --- paging ---


def collection(
    count: int, *, total: bool = False, link: bool = False, most: int = 1000, partial: bool = False
) -> Answer:
    """Answers with items 0..count by offset and limit, telling what it is asked to tell."""

    async def answer(request: Request) -> Response:
        offset, limit = int(request.query_params["offset"]), min(most, int(request.query_params["limit"]))
        items = [{"id": n} for n in range(offset, min(count, offset + limit))]
        headers = {"x-total-count": str(count)} if total else {}
        if link:
            rels = [f'<http://gateway/elsewhere?offset=0&limit={limit}>; rel="first"']
            if offset + limit < count:
                query = request.url.include_query_params(offset=offset + limit, limit=limit).query
                rels.append(f'<http://gateway/elsewhere?{query}>; rel="next"')
            headers["link"] = ", ".join(rels)
        return JSONResponse(items, 206 if partial and len(items) < count else 200, headers)

    return answer


def paged(answer: Answer, page_size: int = 10, **params: Any) -> tuple[list[int], list[str]]:
    provider = Provider(answer)

    async def use() -> list[int]:
        return [item["id"] async for item in upstream(provider).pages("service", params, page_size=page_size)]

    return asyncio.run(use()), [path.partition("?")[2] for _, path in provider.asked]


@pytest.mark.parametrize(
    ("count", "options", "requests"),
    [
        (25, {"total": True}, 3),
        (30, {"total": True}, 3),
        (25, {"link": True}, 3),
        (30, {"link": True}, 3),
        (25, {}, 3),
        (30, {}, 4),
        (0, {}, 1),
        (25, {"total": True, "most": 4}, 7),
        (25, {"link": True, "most": 4}, 7),
        (25, {"partial": True, "most": 4}, 8),
    ],
)
def test_every_item_comes_once_however_the_server_tells_of_more(
    count: int, options: dict[str, Any], requests: int
) -> None:
    items, asked = paged(collection(count, **options))
    assert items == list(range(count))
    assert len(asked) == requests


def test_the_other_parameters_are_kept_on_every_page() -> None:
    _, asked = paged(collection(25, link=True), state="active", fields=["id", "name"])
    assert all("state=active" in query and "fields=id&fields=name" in query for query in asked)


def test_a_server_that_ignores_paging_is_read_once() -> None:
    async def everything(request: Request) -> Response:
        return JSONResponse([{"id": n} for n in range(20)])

    items, asked = paged(everything)
    assert items == list(range(20))
    assert len(asked) == 2


def test_a_total_that_is_too_large_does_not_go_on_for_ever() -> None:
    async def overstated(request: Request) -> Response:
        answer = await collection(12)(request)
        answer.headers["x-total-count"] = "1000"
        return answer

    items, asked = paged(overstated)
    assert (items, len(asked)) == (list(range(12)), 3)


def test_a_link_is_followed_with_cursors_until_there_is_none() -> None:
    async def cursors(request: Request) -> Response:
        after = int(request.query_params.get("after", 0))
        headers = {"x-total-count": "6"}
        if after < 4:
            headers["link"] = f'<http://inventory/service?after={after + 2}>; rel="next"'
        return JSONResponse([{"id": after}, {"id": after + 1}], headers=headers)

    assert paged(cursors) == ([0, 1, 2, 3, 4, 5], ["offset=0&limit=10", "after=2", "after=4"])


def test_all_pages_come_from_one_provider() -> None:
    one, two = Provider(collection(25), fails(503)), Provider(collection(25))
    client = several(Hosts(one=one, two=two), retries=1)

    async def use() -> None:
        with pytest.raises(UpstreamUnavailable):
            async for _ in client.pages("service", page_size=10):
                pass

    asyncio.run(use())
    assert two.asked == []


def test_a_collection_that_is_no_array_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="not an array"):
        paged(Provider(ok({"id": 1}))._answer)


# --- tokens and traces ---


def test_a_token_that_is_not_to_be_had_is_no_fault_of_the_provider() -> None:
    auth = ClientCredentials("me", "secret", token_url=f"http://127.0.0.1:{closed_port()}/token")
    provider = Provider(ok())
    client = upstream(provider, auth=auth, breaker=Breaker(failures=1))
    with pytest.raises(ServiceUnavailable) as caught:
        asyncio.run(client.get("x"))
    assert isinstance(caught.value, TmfError)
    assert (provider.asked, list(client.circuits().values())) == ([], ["closed"])


def test_a_call_is_a_client_span_whose_context_travels_and_is_counted() -> None:
    exporter = InMemorySpanExporter()
    settings = TelemetrySettings(sample_ratio=1.0)
    telemetry = Telemetry("quality", settings, span_processors=(SimpleSpanProcessor(exporter),))
    provider = Provider(fails(503), ok())

    async def use() -> str:
        with telemetry.span("evaluate") as span:
            await upstream(provider, telemetry=telemetry).get("x")
            return span.trace_id

    trace_id = asyncio.run(use())
    calls = [span for span in exporter.get_finished_spans() if span.kind is SpanKind.CLIENT]
    assert [span.name for span in calls] == ["GET serviceInventory"] * 2
    assert [headers["traceparent"][3:52] for headers in provider.headers] == [
        f"{trace_id}-{span.context.span_id:016x}" for span in calls
    ]
    assert [dict(span.attributes or {})["http.response.status_code"] for span in calls] == [503, 200]
    for status in ("503", "200"):
        labels = {
            "dependency": "serviceInventory",
            "http_request_method": "GET",
            "http_response_status_code": status,
        }
        count = telemetry.registry.get_sample_value("http_client_request_duration_seconds_count", labels)
        assert count == 1


def test_without_telemetry_the_context_at_work_travels_all_the_same() -> None:
    telemetry, provider = Telemetry("quality"), Provider(ok())

    async def use() -> str:
        with telemetry.span("evaluate") as span:
            await upstream(provider).get("x")
            return span.traceparent

    assert asyncio.run(use()) == provider.headers[0]["traceparent"]
