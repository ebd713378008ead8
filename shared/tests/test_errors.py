"""Every failure of an app has the TMF error body, whoever raised it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from opentelemetry import context, trace
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tmfkit import errors
from tmfkit.types import EntityRef, Instant


class Party(BaseModel):
    role: str
    ref: EntityRef


class Mail(BaseModel):
    kind: Literal["mail"]
    address: str


class Phone(BaseModel):
    kind: Literal["phone"]
    number: str


class Customer(BaseModel):
    name: str
    since: Instant | None = None
    relatedParty: list[Party] = []
    contact: list[Annotated[Mail | Phone, Field(discriminator="kind")]] = []
    at_type: Annotated[str | None, Field(alias="@type", max_length=5)] = None


def refused(body: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Customer.model_validate(body)
    return caught.value


def app(max_body_bytes: int | None = 1000) -> FastAPI:
    app = FastAPI(openapi_url=None)
    errors.install(app, max_body_bytes=max_body_bytes)

    @app.post("/x/v4/customer")
    @app.post("/x/v5/customer")
    async def create(body: Customer) -> str:
        return body.name

    @app.get("/x/v5/customer")
    async def find(limit: int = 10) -> int:
        return limit

    @app.get("/x/v5/customer/{id}")
    async def get(id: str) -> None:
        raise errors.NotFound(f"customer {id}", attribute="id")

    @app.get("/x/v4/broken")
    async def broken() -> None:
        raise RuntimeError("password=secret at db.internal")

    @app.get("/x/v4/teapot")
    async def teapot() -> None:
        raise HTTPException(418, detail="short and stout", headers={"X-Lid": "off"})

    @app.get("/x/v4/unchanged")
    async def unchanged() -> None:
        raise HTTPException(304)

    @app.get("/x/v4/half")
    async def half() -> Response:
        async def stream() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("the rest is lost")

        return StreamingResponse(stream())

    async def raw(request: Request) -> Response:
        return Response(str(len(await request.body())))

    app.add_route("/raw", raw, methods=["POST"])
    return app


def ask(method: str, path: str, *, raising: bool = True, to: FastAPI | None = None, **more: Any) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=to or app(), raise_app_exceptions=raising)
        async with httpx.AsyncClient(transport=transport, base_url="http://c") as client:
            return await client.request(method, path, **more)

    return asyncio.run(call())


def test_the_v4_body_has_code_reason_status_and_what_was_given() -> None:
    error = errors.BadRequest("must be positive", attribute="limit", reference_error="https://c/errors#400")
    assert error.body("v4") == {
        "code": "ERR400",
        "reason": "The request is not valid",
        "status": "400",
        "message": "limit: must be positive",
        "referenceError": "https://c/errors#400",
        "attribute": "limit",
    }


def test_the_v5_body_is_the_v4_body_with_its_mandatory_type() -> None:
    error = errors.Conflict("taken")
    assert error.body("v5") == {"@type": "Error", **error.body("v4")}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.BadRequest, 400),
        (errors.Unauthorized, 401),
        (errors.Forbidden, 403),
        (errors.NotFound, 404),
        (errors.MethodNotAllowed, 405),
        (errors.NotAcceptable, 406),
        (errors.Conflict, 409),
        (errors.PreconditionFailed, 412),
        (errors.PayloadTooLarge, 413),
        (errors.UnsupportedMediaType, 415),
        (errors.Unprocessable, 422),
        (errors.TooManyRequests, 429),
        (errors.NotSupported, 501),
        (errors.BadGateway, 502),
        (errors.ServiceUnavailable, 503),
    ],
)
def test_each_kind_has_its_status_and_a_stable_code(kind: type[errors.TmfError], status: int) -> None:
    error = kind()
    assert (error.status, error.code) == (status, f"ERR{status}")
    assert f"| {status} | ERR{status} | {kind.__name__} |" in (errors.__doc__ or "")
    assert errors.TmfError(status=status).reason == error.reason


def test_a_401_challenges_a_405_says_what_is_allowed_and_a_503_says_when() -> None:
    assert errors.Unauthorized().headers == {"WWW-Authenticate": "Bearer"}
    assert errors.MethodNotAllowed(allow=["GET", "POST"]).headers == {"Allow": "GET, POST"}
    assert errors.ServiceUnavailable(retry_after_s=1.2).headers == {"Retry-After": "2"}
    assert errors.TooManyRequests(retry_after_s=0.1).headers == {"Retry-After": "1"}


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/c/tmf-api/x/v4/y", "v4"),
        ("/c/tmf-api/x/v5/y", "v5"),
        ("/c/tmf-api/x/v5", "v5"),
        ("/c/tmf-api/x/v4/y/v5", "v4"),
        ("/health", "v4"),
        ("/v5x/y", "v4"),
    ],
)
def test_the_version_of_the_body_is_that_of_the_path(path: str, version: str) -> None:
    assert errors.version_of(path) == version


def test_validation_names_the_attribute_with_its_index_on_the_wire() -> None:
    error = errors.from_validation(refused({"name": "A", "relatedParty": [{"role": "u", "ref": {"id": "1"}}, {}]}))
    assert error.attribute == "relatedParty[1].role"
    assert error.message == "relatedParty[1].role: Field required; relatedParty[1].ref: Field required"


def test_validation_uses_the_wire_name_of_an_alias() -> None:
    assert errors.from_validation(refused({"name": "A", "@type": "too long"})).attribute == "@type"


def test_validation_leaves_out_what_is_no_attribute() -> None:
    wrong_number = {"name": "A", "contact": [{"kind": "phone", "number": 5}]}
    assert errors.from_validation(refused(wrong_number), wrong_number).attribute == "contact[0].number"
    no_number = {"name": "A", "contact": [{"kind": "phone"}]}
    assert errors.from_validation(refused(no_number), no_number).attribute == "contact[0].number"
    wrong_time = {"name": "A", "since": "tomorrow"}
    assert errors.from_validation(refused(wrong_time)).attribute == "since"


def test_validation_of_many_mistakes_tells_the_first_five_and_counts_the_rest() -> None:
    error = errors.from_validation(refused({"name": "A", "relatedParty": [{}, {}, {}, {}]}))
    assert error.message is not None and error.message.endswith("; and 3 more")
    assert error.message.count("Field required") == 5


def test_an_error_raised_in_a_route_is_answered_in_the_version_of_its_path() -> None:
    answer = ask("GET", "/x/v5/customer/42")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert answer.json() == {
        "@type": "Error",
        "code": "ERR404",
        "reason": "There is no such resource",
        "status": "404",
        "message": "id: customer 42",
        "attribute": "id",
    }


def test_an_unknown_path_has_the_tmf_body() -> None:
    answer = ask("GET", "/x/v5/nothing")
    assert answer.json() == {
        "@type": "Error",
        "code": "ERR404",
        "reason": "There is no such resource",
        "status": "404",
    }


def test_a_method_that_is_not_there_has_the_tmf_body_and_allow() -> None:
    answer = ask("DELETE", "/x/v4/broken")
    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (405, "ERR405", "GET")


def test_a_framework_exception_keeps_its_detail_and_headers() -> None:
    answer = ask("GET", "/x/v4/teapot")
    assert (answer.status_code, answer.headers["x-lid"]) == (418, "off")
    assert answer.json() == {"code": "ERR418", "reason": "I'm a Teapot", "status": "418", "message": "short and stout"}


def test_a_304_has_no_body() -> None:
    answer = ask("GET", "/x/v4/unchanged")
    assert (answer.status_code, answer.content) == (304, b"")


def test_a_body_that_lacks_an_attribute_is_a_400_that_names_it() -> None:
    answer = ask("POST", "/x/v4/customer", json={"relatedParty": []})
    assert (answer.status_code, answer.json()["attribute"]) == (400, "name")
    assert "@type" not in answer.json()


def test_malformed_json_is_a_400_that_says_where() -> None:
    answer = ask("POST", "/x/v4/customer", content=b'{"name": }', headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["message"] == "the body is not JSON: Expecting value at character 9"


def test_a_missing_body_is_a_400() -> None:
    answer = ask("POST", "/x/v4/customer")
    assert (answer.status_code, answer.json()["message"]) == (400, "a body is needed")


def test_a_query_parameter_of_the_wrong_type_is_a_400_that_names_it() -> None:
    answer = ask("GET", "/x/v5/customer?limit=many")
    assert (answer.status_code, answer.json()["attribute"]) == (400, "limit")


def test_an_unexpected_exception_is_a_500_without_internals_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="tmfkit.errors"):
        answer = ask("GET", "/x/v4/broken")
    assert answer.status_code == 500
    assert answer.json() == {"code": "ERR500", "reason": "Internal error", "status": "500"}
    assert "password=secret" in caplog.text


def test_an_unexpected_exception_tells_the_trace_id() -> None:
    remote = trace.SpanContext(0xABC, 0xDEF, is_remote=True)
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(remote)))
    try:
        answer = ask("GET", "/x/v4/broken")
    finally:
        context.detach(token)
    assert answer.json()["message"] == "trace id 00000000000000000000000000000abc"


def test_an_exception_in_other_middleware_has_the_tmf_body_too() -> None:
    broken = app()

    @broken.middleware("http")
    async def fails(request: Request, proceed: Any) -> Response:
        raise RuntimeError("in the middleware")

    answer = ask("GET", "/x/v5/customer", to=broken, raising=False)
    assert (answer.status_code, answer.json()["code"]) == (500, "ERR500")


def test_an_exception_after_the_answer_has_begun_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="the rest is lost"):
        ask("GET", "/x/v4/half")


@pytest.mark.parametrize("path", ["/x/v4/customer", "/raw"])
def test_a_body_whose_declared_size_is_over_the_limit_is_a_413(path: str) -> None:
    answer = ask("POST", path, json={"name": "x" * 2000})
    assert (answer.status_code, answer.json()["code"]) == (413, "ERR413")
    assert answer.json()["message"] == "at most 1000 bytes are accepted"


@pytest.mark.parametrize("path", ["/x/v4/customer", "/raw"])
def test_a_body_that_grows_over_the_limit_while_it_is_read_is_a_413(path: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"name": "'
        for _ in range(20):
            yield b"x" * 100
        yield b'"}'

    answer = ask("POST", path, content=chunks(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "ERR413")


def test_a_body_within_the_limit_is_read() -> None:
    assert ask("POST", "/x/v4/customer", json={"name": "A"}).json() == "A"
    assert json.loads(ask("POST", "/raw", content=b"x" * 1000).content) == 1000


def test_a_client_that_leaves_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Any] = []

    async def leave() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/raw", "headers": [], "query_string": b"", "scheme": "http"}
    with caplog.at_level(logging.WARNING, logger="tmfkit.errors"):
        asyncio.run(app()(scope, leave, send))
    assert (sent, caplog.records) == ([], [])
