"""Bearer tokens of a real issuer over HTTP, permissions, and client credentials."""

import asyncio
import base64
import contextlib
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tmfkit.errors import Forbidden, ServiceUnavailable, TmfError, Unauthorized
from tmfkit.security import (
    ANONYMOUS,
    ClaimMapping,
    ClientCredentials,
    Principal,
    Verifier,
    allowed,
    announce_mode,
    require,
)
from tmfkit.testing_issuer import Client, Issuer


@pytest.fixture(scope="module")
def shared_issuer() -> Iterator[Issuer]:
    with Issuer(clients={"quality": Client("s3cret/+", ("serviceInventory:*:list",))}) as issuer:
        yield issuer


@pytest.fixture
def issuer(shared_issuer: Issuer) -> Issuer:
    shared_issuer.requests.clear()
    return shared_issuer


def verifier(issuer: Issuer, **more: Any) -> Verifier:
    return Verifier(issuer.url, issuer.audience, **({"leeway_s": 0.0} | more))


def principal_of(verifier: Verifier, token: str) -> Principal:
    return asyncio.run(verifier.authenticate(f"Bearer {token}"))


def refusal(verifier: Verifier, authorization: str | None) -> Unauthorized:
    with pytest.raises(Unauthorized) as caught:
        asyncio.run(verifier.authenticate(authorization))
    assert caught.value.status == 401
    return caught.value


def test_a_good_token_names_its_subject_and_permissions(issuer: Issuer) -> None:
    token = issuer.token("ann", ["customerManagement:*:list"], claims={"scope": "read write"})
    principal = principal_of(verifier(issuer), token)
    assert principal.subject == "ann"
    assert principal.permissions == {"customerManagement:*:list", "read", "write"}
    assert principal.claims["iss"] == issuer.url


def test_the_keys_are_discovered_and_fetched_once(issuer: Issuer) -> None:
    checked = verifier(issuer)
    for name in ("ann", "bob"):
        principal_of(checked, issuer.token(name))
    assert issuer.requests == ["/.well-known/openid-configuration", "/jwks"]


def test_given_keys_need_no_discovery(issuer: Issuer) -> None:
    principal_of(verifier(issuer, jwks_uri=issuer.jwks_uri), issuer.token("ann"))
    assert issuer.requests == ["/jwks"]


def test_many_callers_at_the_start_cause_one_fetch(issuer: Issuer) -> None:
    checked = verifier(issuer)

    async def crowd() -> list[Principal]:
        tokens = [issuer.token(f"caller{n}") for n in range(20)]
        return await asyncio.gather(*(checked.authenticate(f"Bearer {token}") for token in tokens))

    assert len(asyncio.run(crowd())) == 20
    assert issuer.requests.count("/jwks") == 1


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer  ", "Basic YTpi"])
def test_no_bearer_token_is_a_401_that_says_missing(issuer: Issuer, authorization: str | None) -> None:
    error = refusal(verifier(issuer), authorization)
    assert error.reason == "A bearer token is missing"
    assert error.headers == {"WWW-Authenticate": "Bearer"}


def test_an_expired_token_says_expired(issuer: Issuer) -> None:
    error = refusal(verifier(issuer), f"Bearer {issuer.token('ann', expires_in_s=-5)}")
    assert error.reason == "The token has expired"
    assert error.headers["WWW-Authenticate"] == (
        'Bearer error="invalid_token", error_description="The token has expired"'
    )


def test_the_leeway_bridges_a_clock_that_is_off(issuer: Issuer) -> None:
    token = issuer.token("ann", expires_in_s=-5)
    assert principal_of(verifier(issuer, leeway_s=30.0), token).subject == "ann"


def test_a_remembered_token_expires_too(issuer: Issuer) -> None:
    # `exp` is in whole seconds: the leeway gives the token between 0.5 and 1.5 seconds more.
    checked, token = verifier(issuer, leeway_s=1.5), issuer.token("ann", expires_in_s=0)
    assert principal_of(checked, token).subject == "ann"
    time.sleep(1.55)
    assert refusal(checked, f"Bearer {token}").reason == "The token has expired"


def test_a_token_for_somebody_else_says_audience(issuer: Issuer) -> None:
    error = refusal(verifier(issuer), f"Bearer {issuer.token('ann', audience='billing')}")
    assert error.reason == "The token is for another audience"
    assert principal_of(verifier(issuer), issuer.token("ann", audience=["billing", "oda"])).subject == "ann"


def test_without_an_audience_any_will_do(issuer: Issuer) -> None:
    anybody = Verifier(issuer.url, None)
    assert principal_of(anybody, issuer.token("ann", audience="billing")).subject == "ann"


def test_another_issuer_says_issuer(issuer: Issuer) -> None:
    error = refusal(verifier(issuer), f"Bearer {issuer.token('ann', claims={'iss': 'https://elsewhere'})}")
    assert error.reason == "The token is from another issuer"


def test_a_token_of_the_future_is_not_valid_yet(issuer: Issuer) -> None:
    error = refusal(verifier(issuer), f"Bearer {issuer.token('ann', claims={'nbf': int(time.time()) + 60})}")
    assert error.reason == "The token is not valid yet"


@pytest.mark.parametrize("claim", ["exp", "iss", "aud"])
def test_a_token_that_lacks_a_needed_claim_says_which(issuer: Issuer, claim: str) -> None:
    error = refusal(verifier(issuer), f"Bearer {issuer.token('ann', claims={claim: None})}")
    assert error.reason == f"The token lacks the claim {claim}"


def test_a_token_without_a_subject_is_refused(issuer: Issuer) -> None:
    assert refusal(verifier(issuer), f"Bearer {issuer.token('')}").reason == "The token names no subject"


def test_a_changed_token_says_bad_signature(issuer: Issuer) -> None:
    header, payload, signature = issuer.token("ann").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = base64.urlsafe_b64encode(json.dumps(claims | {"sub": "root"}).encode()).decode().rstrip("=")
    error = refusal(verifier(issuer), f"Bearer {header}.{forged}.{signature}")
    assert error.reason == "The token has a bad signature"


@pytest.mark.parametrize("junk", ["x", "a.b.c", "....", "ey.ey.ey", "€"])
def test_junk_cannot_be_read(issuer: Issuer, junk: str) -> None:
    assert refusal(verifier(issuer), f"Bearer {junk}").reason == "The token cannot be read"


def test_a_token_without_signature_or_with_a_symmetric_one_is_refused(issuer: Issuer) -> None:
    claims = {"iss": issuer.url, "sub": "root", "aud": "oda", "exp": time.time() + 60}
    published = issuer.keys[0].public_jwk()["n"]
    for forged in (
        jwt.encode(claims, "", algorithm="none", headers={"kid": issuer.keys[0].id}),
        jwt.encode(claims, published, algorithm="HS256", headers={"kid": issuer.keys[0].id}),
    ):
        reason = refusal(verifier(issuer), f"Bearer {forged}").reason
        assert reason == "The token has a signature algorithm that is not accepted"


def test_symmetric_algorithms_cannot_be_configured() -> None:
    with pytest.raises(ValueError, match="HS256, none"):
        Verifier("https://issuer", "oda", algorithms=["RS256", "none", "HS256"])


def test_a_foreign_key_under_a_published_name_does_not_verify(issuer: Issuer) -> None:
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = {"iss": issuer.url, "sub": "root", "aud": "oda", "exp": time.time() + 60}
    forged = jwt.encode(claims, foreign, algorithm="RS256", headers={"kid": issuer.keys[0].id})
    assert refusal(verifier(issuer), f"Bearer {forged}").reason == "The token has a bad signature"


def test_a_token_that_names_no_key_is_tried_with_all() -> None:
    with Issuer() as issuer:
        issuer.rotate()
        oldest = issuer.keys[-1]
        claims = {"iss": issuer.url, "sub": "ann", "aud": "oda", "exp": time.time() + 60}
        unnamed = jwt.encode(claims, oldest.private, algorithm="RS256")
        assert principal_of(verifier(issuer), unnamed).subject == "ann"


def test_an_elliptic_key_verifies_where_its_algorithm_is_accepted() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(private.public_key(), as_dict=True) | {"kid": "e"}
    with Issuer() as issuer:
        issuer.extra_jwks.append(jwk)
        claims = {"iss": issuer.url, "sub": "ann", "aud": "oda", "exp": time.time() + 60}
        token = jwt.encode(claims, private, algorithm="ES256", headers={"kid": "e"})
        assert principal_of(verifier(issuer), token).subject == "ann"
        only_rsa = verifier(issuer, algorithms=["RS256"])
        assert "algorithm" in refusal(only_rsa, f"Bearer {token}").reason


def test_a_new_key_of_the_issuer_is_fetched_when_first_seen() -> None:
    with Issuer() as issuer:
        checked, old = verifier(issuer), issuer.token("ann")
        assert principal_of(checked, old).subject == "ann"
        issuer.rotate()
        assert principal_of(checked, issuer.token("bob")).subject == "bob"
        assert principal_of(checked, old).subject == "ann"


def test_tokens_of_a_withdrawn_key_are_no_longer_good_even_if_remembered() -> None:
    with Issuer() as issuer:
        checked, old = verifier(issuer), issuer.token("ann")
        assert principal_of(checked, old).subject == "ann"
        issuer.rotate(keep_old=False)
        assert principal_of(checked, issuer.token("bob")).subject == "bob"
        assert (
            refusal(checked, f"Bearer {old}").reason
            == "The token is signed with a key that the issuer does not publish"
        )


def test_a_withdrawn_key_is_noticed_when_the_keys_get_old() -> None:
    with Issuer() as issuer:
        checked, old = verifier(issuer, keys_ttl_s=0.05), issuer.token("ann")

        async def ask_until_refused() -> str:
            assert (await checked.authenticate(f"Bearer {old}")).subject == "ann"
            issuer.rotate(keep_old=False)
            for _ in range(100):
                await asyncio.sleep(0.02)
                try:
                    await checked.authenticate(f"Bearer {old}")
                except Unauthorized as error:
                    return error.reason
            return "never refused"

        assert "does not publish" in asyncio.run(ask_until_refused())


def test_unknown_keys_do_not_flood_the_issuer() -> None:
    with Issuer() as issuer, Issuer() as stranger:
        checked = verifier(issuer)
        principal_of(checked, issuer.token("ann"))
        for _ in range(10):
            stranger.rotate(keep_old=False)
            refusal(checked, f"Bearer {stranger.token('eve')}")
        assert issuer.requests.count("/jwks") == 2


@contextlib.contextmanager
def told(name: str) -> Iterator[list[str]]:
    """What a logger says, whatever the root logger does with it."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger, level = logging.getLogger(name), logging.getLogger(name).level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_the_last_good_keys_stay_in_use_while_the_issuer_is_down() -> None:
    with Issuer() as issuer, told("tmfkit.security") as lines:
        checked, later = verifier(issuer, keys_ttl_s=0.0), issuer.token("bob")
        principal_of(checked, issuer.token("ann"))
        issuer.stop()

        async def ask() -> Principal:
            principal = await checked.authenticate(f"Bearer {later}")
            await asyncio.sleep(0.1)
            return principal

        assert asyncio.run(ask()).subject == "bob"
        assert any("the last good keys stay in use" in line for line in lines)
        issuer.start()
        issuer.rotate(keep_old=False)
        assert principal_of(checked, issuer.token("cyd")).subject == "cyd"


def test_an_issuer_that_never_answered_is_a_503_and_not_the_callers_fault() -> None:
    with Issuer() as issuer:
        token = issuer.token("ann")
    checked = verifier(issuer)
    with pytest.raises(ServiceUnavailable) as caught:
        principal_of(checked, token)
    assert caught.value.headers["Retry-After"] == "1"


def test_the_metadata_of_another_issuer_is_not_believed(issuer: Issuer) -> None:
    alias = issuer.url.replace("127.0.0.1", "localhost")
    with pytest.raises(ServiceUnavailable):
        principal_of(Verifier(alias, "oda"), issuer.token("ann", claims={"iss": alias}))


def test_remembered_tokens_are_bounded(issuer: Issuer) -> None:
    checked = verifier(issuer, cache_size=3)
    for name in "abcde":
        principal_of(checked, issuer.token(name))
    assert len(checked._verified) == 3


def test_a_remembered_token_is_the_same_principal(issuer: Issuer) -> None:
    checked, token = verifier(issuer), issuer.token("ann")
    assert principal_of(checked, token) is principal_of(checked, token)


def test_the_claim_mapping_finds_nested_dotted_and_client_roles(issuer: Issuer) -> None:
    mapping = ClaimMapping(
        subject=("nothing", "azp", "sub"),
        permissions=("resource_access.prod-1.churn.roles", "https://oda.example/roles", "groups"),
    )
    token = issuer.token(
        "ann",
        ["ignored"],
        claims={
            "azp": "shop",
            "resource_access": {"prod-1.churn": {"roles": ["agent", 5]}},
            "groups": "night day",
            "https://oda.example/roles": ["lead"],
        },
    )
    principal = principal_of(verifier(issuer, claims=mapping), token)
    assert principal.subject == "shop"
    assert principal.permissions == {"agent", "lead", "night", "day"}


def test_a_role_is_granted_its_permissions(issuer: Issuer) -> None:
    grants = {"care-agent": ("customerManagement:*:*", "tag:*:list"), "other": ("*:*:*",)}
    principal = principal_of(verifier(issuer, grants=grants), issuer.token("ann", ["care-agent"]))
    assert allowed(principal, "customerManagement", "customer", "patch")
    assert allowed(principal, "tag", "tag", "list")
    assert not allowed(principal, "tag", "tag", "create")


@pytest.mark.parametrize(
    ("permission", "covered"),
    [
        ("customerManagement:customer:list", True),
        ("customerManagement:*:list", True),
        ("customerManagement:customer:*", True),
        ("*:customer:list", True),
        ("*:*:list", True),
        ("*:customer:*", True),
        ("customerManagement:*:*", True),
        ("*:*:*", True),
        ("customerManagement:customer:create", False),
        ("customerManagement:customerRole:list", False),
        ("other:*:list", False),
        ("customer*:*:list", False),
        ("*", False),
        ("", False),
    ],
)
def test_a_wildcard_stands_for_one_whole_part(permission: str, covered: bool) -> None:
    principal = Principal("ann", frozenset({permission}))
    assert allowed(principal, "customerManagement", "customer", "list") is covered


def test_nothing_is_allowed_by_default() -> None:
    nobody = Principal("ann", frozenset())
    assert not allowed(nobody, "a", "b", "list")
    with pytest.raises(Forbidden, match="ann lacks the permission a:b:list"):
        require(nobody, "a", "b", "list")


def test_mode_none_may_do_everything_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test")
    with caplog.at_level(logging.INFO):
        announce_mode(logger, None)
        announce_mode(logger, "https://issuer")
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "SECURITY IS OFF" in caplog.text
    require(ANONYMOUS, "any", "thing", "delete")


# --- client credentials ---


def credentials(issuer: Issuer) -> ClientCredentials:
    return ClientCredentials("quality", "s3cret/+", token_url=issuer.token_url)


def protected(seen: list[str], refuse_first: int = 0) -> Starlette:
    async def answer(request: Request) -> Response:
        seen.append(request.headers["authorization"])
        if len(seen) <= refuse_first:
            return Response(status_code=401)
        return JSONResponse({"echo": (await request.body()).decode()})

    return Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])


async def call(auth: ClientCredentials, app: Starlette, times: int = 1) -> list[httpx.Response]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api", auth=auth) as client:
        return [await client.post("/", content=b"body") for _ in range(times)]


def test_a_call_carries_a_token_that_the_receiver_accepts(issuer: Issuer) -> None:
    seen: list[str] = []
    asyncio.run(call(credentials(issuer), protected(seen)))
    principal = asyncio.run(verifier(issuer).authenticate(seen[0]))
    assert (principal.subject, set(principal.permissions)) == ("quality", {"serviceInventory:*:list"})


def test_the_token_endpoint_is_discovered(issuer: Issuer) -> None:
    asyncio.run(ClientCredentials("quality", "s3cret/+", issuer=issuer.url).token())
    assert issuer.requests == ["/.well-known/openid-configuration", "/token"]


def test_one_token_serves_many_calls_also_at_once(issuer: Issuer) -> None:
    auth, seen = credentials(issuer), list[str]()

    async def crowd() -> None:
        await asyncio.gather(*(call(auth, protected(seen), times=3) for _ in range(10)))

    asyncio.run(crowd())
    assert (len(seen), len(set(seen)), issuer.requests.count("/token")) == (30, 1, 1)


def test_a_token_is_renewed_before_it_expires() -> None:
    with Issuer(expires_in_s=1, clients={"quality": Client("s3cret/+")}) as issuer:
        auth = credentials(issuer)

        async def twice() -> set[str]:
            first = await auth.token()
            await asyncio.sleep(0.95)
            return {first, await auth.token()}

        assert len(asyncio.run(twice())) == 2


def test_a_401_is_tried_once_more_with_a_new_token_and_the_same_body(issuer: Issuer) -> None:
    seen: list[str] = []
    (answer,) = asyncio.run(call(credentials(issuer), protected(seen, refuse_first=1)))
    assert answer.json() == {"echo": "body"}
    assert (len(seen), len(set(seen))) == (2, 2)


def test_a_caller_that_is_always_refused_does_not_ask_for_a_token_each_time(issuer: Issuer) -> None:
    seen: list[str] = []
    answers = asyncio.run(call(credentials(issuer), protected(seen, refuse_first=99), times=5))
    assert [answer.status_code for answer in answers] == [401] * 5
    assert (len(seen), issuer.requests.count("/token")) == (6, 2)


def test_wrong_credentials_are_a_503_that_does_not_tell_the_secret(issuer: Issuer) -> None:
    auth = ClientCredentials("quality", "wrong", token_url=issuer.token_url)
    with pytest.raises(TmfError) as caught:
        asyncio.run(auth.token())
    assert caught.value.status == 503
    assert "wrong" not in str(caught.value.body())


def test_exactly_one_way_to_the_token_endpoint_is_given() -> None:
    with pytest.raises(ValueError, match="either token_url or issuer"):
        ClientCredentials("a", "b")
