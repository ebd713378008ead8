"""Who is calling and what they may do: bearer tokens of an OIDC issuer, permissions per API operation.

Deny by default. A permission is `<apiName>:<resource>:<operation>`, each part possibly `*`
(`customerManagement:*:list`). A token is verified once and remembered by its hash until it expires.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import httpx
import jwt

from tmfkit.errors import Forbidden, ServiceUnavailable, Unauthorized

_logger = logging.getLogger("tmfkit.security")

_ASYMMETRIC = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
NO_TOKEN = "A bearer token is missing"
_ISSUER_TIMEOUT_S = 5.0
_RETRY_S = 1.0
_FORCED_REFRESH_INTERVAL_S = 5.0
_LIFETIME_UNTOLD_S = 60.0


@dataclass(frozen=True)
class Principal:
    """The caller: `permissions` are the token's own values and what its roles are granted."""

    subject: str
    permissions: frozenset[str]
    claims: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)


ANONYMOUS = Principal("anonymous", frozenset({"*:*:*"}))
"""The caller in mode `none`, which is for the local run only: it may do everything."""


def announce_mode(logger: logging.Logger, issuer: str | None) -> None:
    """Say at start who is let in; loudly when it is everybody."""
    if issuer is None:
        logger.warning("SECURITY IS OFF: every caller may do everything. This mode is for a local run only.")
    else:
        logger.info("callers are authenticated with bearer tokens of %s", issuer)


def allowed(principal: Principal, api: str, resource: str, operation: str) -> bool:
    """Whether one of the caller's permissions covers `<api>:<resource>:<operation>`; `*` covers any part."""
    held = principal.permissions
    return (
        f"{api}:{resource}:{operation}" in held
        or f"{api}:{resource}:*" in held
        or f"{api}:*:{operation}" in held
        or f"{api}:*:*" in held
        or f"*:{resource}:{operation}" in held
        or f"*:{resource}:*" in held
        or f"*:*:{operation}" in held
        or "*:*:*" in held
    )


def require(principal: Principal, api: str, resource: str, operation: str) -> None:
    """Raise a 403 that names the missing permission unless the caller holds it."""
    if not allowed(principal, api, resource, operation):
        raise Forbidden(f"{principal.subject} lacks the permission {api}:{resource}:{operation}")


@dataclass(frozen=True)
class ClaimMapping:
    """Where a token says what. A path is dotted; of `subject` the first claim present counts, of `permissions` all.

    A value of `permissions` is a list of strings or one string of words (`scope`, RFC 8693 section 4.2).
    """

    subject: tuple[str, ...] = ("sub",)
    permissions: tuple[str, ...] = ("realm_access.roles", "scope")


def _claim(claims: Any, path: str) -> Any:
    """Value under a dotted path; names that hold dots themselves (URLs, component names) are found too."""
    if not isinstance(claims, Mapping):
        return None
    if path in claims:
        return claims[path]
    at = path.find(".")
    while at != -1:
        if path[:at] in claims:
            found = _claim(claims[path[:at]], path[at + 1 :])
            if found is not None:
                return found
        at = path.find(".", at + 1)
    return None


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [word for word in value if isinstance(word, str)] if isinstance(value, list | tuple) else []


async def _discovered(client: httpx.AsyncClient, issuer: str, name: str) -> str:
    """One address of the issuer's metadata (OpenID Connect Discovery 1.0, section 4)."""
    answer = await client.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    told = answer.raise_for_status().json()
    if told["issuer"] != issuer:
        raise ValueError(f"the metadata is that of {told['issuer']}")
    return str(told[name])


class _Keys:
    """The issuer's public keys: fetched when first needed, after the TTL and for a key id not seen before.

    While the issuer does not answer, the last good keys stay in use.
    """

    def __init__(
        self,
        issuer: str,
        jwks_uri: str | None,
        ttl_s: float,
        unknown_interval_s: float,
        tls: ssl.SSLContext | None,
        removed: Callable[[], None],
    ) -> None:
        self._issuer, self._uri, self._tls = issuer, jwks_uri, tls
        self._ttl_s, self._unknown_interval_s = ttl_s, unknown_interval_s
        self._removed = removed
        self._jwks: list[dict[str, Any]] = []
        self._built: dict[tuple[int, str], jwt.PyJWK] = {}
        self._due = self._unknown_due = 0.0
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, algorithm: str) -> list[jwt.PyJWK]:
        """Keys that may have signed a token; all that fit the algorithm when it names none."""
        if not self._jwks:
            if self._is_fetching() or time.monotonic() >= self._due:
                await asyncio.shield(self._fetch_once())
            if not self._jwks:
                raise ServiceUnavailable("the identity issuer does not answer", retry_after_s=_RETRY_S)
        self.refresh_when_due()
        found = self._matching(key_id, algorithm)
        if not found and time.monotonic() >= self._unknown_due:
            self._unknown_due = time.monotonic() + self._unknown_interval_s
            await asyncio.shield(self._fetch_once())
            found = self._matching(key_id, algorithm)
        return found

    def refresh_when_due(self) -> None:
        """Start a fetch in the background when the keys are older than their TTL."""
        if time.monotonic() >= self._due:
            self._fetch_once()

    def _matching(self, key_id: str | None, algorithm: str) -> list[jwt.PyJWK]:
        found = []
        for at, jwk in enumerate(self._jwks):
            if key_id is not None and jwk.get("kid") != key_id:
                continue
            if jwk.get("alg", algorithm) == algorithm and (key := self._key(at, algorithm)) is not None:
                found.append(key)
        return found

    def _key(self, at: int, algorithm: str) -> jwt.PyJWK | None:
        if (at, algorithm) not in self._built:
            try:
                self._built[at, algorithm] = jwt.PyJWK(self._jwks[at], algorithm)
            except jwt.PyJWTError:
                return None
        return self._built[at, algorithm]

    def _is_fetching(self) -> bool:
        return self._fetching is not None and not self._fetching.done()

    def _fetch_once(self) -> asyncio.Task[None]:
        if self._fetching is None or self._fetching.done():
            self._due = time.monotonic() + min(self._ttl_s, _RETRY_S)
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            async with httpx.AsyncClient(timeout=_ISSUER_TIMEOUT_S, verify=self._tls or True) as client:
                uri = self._uri or await _discovered(client, self._issuer, "jwks_uri")
                told = (await client.get(uri)).raise_for_status().json()["keys"]
            usable = [k for k in told if k.get("kty") in {"RSA", "EC", "OKP"} and k.get("use", "sig") == "sig"]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, AttributeError) as error:
            kept = "the last good keys stay in use" if self._jwks else "there are none yet"
            _logger.warning("no keys from %s (%s: %s); %s", self._issuer, type(error).__name__, error, kept)
            return
        if any(key not in usable for key in self._jwks):
            self._removed()
        if usable != self._jwks:
            self._jwks, self._built = usable, {}
        self._due = time.monotonic() + self._ttl_s


class Verifier:
    """Turns an Authorization header into a Principal, or into a 401 that says why not.

    issuer              the `iss` of accepted tokens
    audience            one of these must be in `aud`; None takes any audience
    algorithms          accepted signatures, asymmetric ones only
    jwks_uri            where the keys are; None asks the issuer's metadata
    leeway_s            how far the issuer's clock may be off, seconds
    claims, grants      where subject and permissions are; what a role (or scope) is granted
    keys_ttl_s          age at which the keys are fetched anew, seconds
    unknown_interval_s  least time between fetches caused by unknown key ids, seconds
    cache_size          number of verified tokens remembered
    tls                 trust for the issuer's certificate (a private CA)
    """

    def __init__(
        self,
        issuer: str,
        audience: str | Collection[str] | None,
        *,
        algorithms: Sequence[str] = ("RS256", "PS256", "ES256"),
        jwks_uri: str | None = None,
        leeway_s: float = 30.0,
        claims: ClaimMapping | None = None,
        grants: Mapping[str, Collection[str]] | None = None,
        keys_ttl_s: float = 600.0,
        unknown_interval_s: float = 10.0,
        cache_size: int = 10_000,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if unfit := set(algorithms) - _ASYMMETRIC:
            raise ValueError(f"not an asymmetric signature algorithm: {', '.join(sorted(unfit))}")
        self.issuer = issuer
        self._audience = [audience] if isinstance(audience, str) else None if audience is None else list(audience)
        self._algorithms = frozenset(algorithms)
        self._leeway_s = leeway_s
        self._mapping = claims or ClaimMapping()
        self._grants = {role: frozenset(granted) for role, granted in (grants or {}).items()}
        self._cache_size = cache_size
        self._verified: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._keys = _Keys(issuer, jwks_uri, keys_ttl_s, unknown_interval_s, tls, self._verified.clear)

    async def authenticate(self, authorization: str | None) -> Principal:
        """The caller named by an Authorization header (RFC 6750 section 2.1).

        Raises Unauthorized, or ServiceUnavailable when the issuer's keys could never be fetched.
        """
        if authorization is None:
            raise Unauthorized(reason=NO_TOKEN)
        digest = hashlib.sha256(authorization.encode()).digest()
        known = self._verified.get(digest)
        if known is not None:
            if known[1] > time.time():
                self._verified.move_to_end(digest)
                self._keys.refresh_when_due()
                return known[0]
            del self._verified[digest]
        claims = await self._verify(authorization)
        principal = self._principal(claims)
        self._verified[digest] = (principal, float(claims["exp"]) + self._leeway_s)
        if len(self._verified) > self._cache_size:
            self._verified.popitem(last=False)
        return principal

    async def _verify(self, authorization: str) -> dict[str, Any]:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not (token := token.strip()):
            raise Unauthorized(reason=NO_TOKEN)
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if algorithm not in self._algorithms:
                raise _refusal("The token has a signature algorithm that is not accepted")
            keys = await self._keys.find(header.get("kid"), algorithm)
            if not keys:
                raise _refusal("The token is signed with a key that the issuer does not publish")
            for key in keys[:-1]:
                try:
                    return self._decode(token, key)
                except jwt.InvalidSignatureError:
                    continue
            return self._decode(token, keys[-1])
        except jwt.PyJWTError as error:
            raise _refusal(_told(error)) from error

    def _decode(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=self._audience,
            issuer=self.issuer,
            leeway=self._leeway_s,
            options={
                "require": ["exp", "iss"],
                "verify_aud": self._audience is not None,
                "enforce_minimum_key_length": True,
            },
        )

    def _principal(self, claims: dict[str, Any]) -> Principal:
        named = (_claim(claims, path) for path in self._mapping.subject)
        subject = next((name for name in named if isinstance(name, str) and name), None)
        if subject is None:
            raise _refusal("The token names no subject")
        held = {word for path in self._mapping.permissions for word in _words(_claim(claims, path))}
        granted = (self._grants[role] for role in held & self._grants.keys())
        return Principal(subject, frozenset(held).union(*granted), MappingProxyType(claims))


def _refusal(reason: str) -> Unauthorized:
    return Unauthorized(reason=reason, challenge=f'Bearer error="invalid_token", error_description="{reason}"')


def _told(error: jwt.PyJWTError) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "The token has expired"
        case jwt.InvalidAudienceError():
            return "The token is for another audience"
        case jwt.InvalidIssuerError():
            return "The token is from another issuer"
        case jwt.InvalidSignatureError():
            return "The token has a bad signature"
        case jwt.ImmatureSignatureError():
            return "The token is not valid yet"
        case jwt.MissingRequiredClaimError():
            return f"The token lacks the claim {error.claim}"
        case _:
            return "The token cannot be read"


class ClientCredentials(httpx.Auth):
    """Access tokens for calls to other components (RFC 6749 section 4.4), for `httpx.AsyncClient(auth=...)`.

    A token is kept until shortly before it expires, one is asked for at a time, and a 401 is tried once more
    with a new one. Give `token_url`, or `issuer` to have it discovered.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        token_url: str | None = None,
        issuer: str | None = None,
        scope: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if (token_url is None) == (issuer is None):
            raise ValueError("give either token_url or issuer")
        self._credentials = httpx.BasicAuth(quote(client_id, safe=""), quote(client_secret, safe=""))
        self._client_id, self._scope, self._tls = client_id, scope, tls
        self._token_url, self._issuer = token_url, issuer
        self._token: str | None = None
        self._renew_at = self._forced_at = 0.0
        self._asking: asyncio.Task[str] | None = None

    async def token(self) -> str:
        """A token that is good for the next moments. Raises ServiceUnavailable when there is none to be had."""
        if self._token is not None and time.monotonic() < self._renew_at:
            return self._token
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        await request.aread()  # so that the body can be sent a second time
        used = await self.token()
        request.headers["Authorization"] = f"Bearer {used}"
        response = yield request
        if response.status_code != 401:
            return
        if used == self._token:
            # A caller that is refused again and again must not turn every request into two and a new token.
            if self._forced_at and time.monotonic() < self._forced_at + _FORCED_REFRESH_INTERVAL_S:
                return
            self._forced_at, self._token = time.monotonic(), None
        request.headers["Authorization"] = f"Bearer {await self.token()}"
        yield request

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        raise RuntimeError("ClientCredentials is for httpx.AsyncClient")

    async def _ask(self) -> str:
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        try:
            async with httpx.AsyncClient(timeout=_ISSUER_TIMEOUT_S, verify=self._tls or True) as client:
                if self._token_url is None:
                    self._token_url = await _discovered(client, str(self._issuer), "token_endpoint")
                answer = await client.post(self._token_url, data=form, auth=self._credentials)
            told = answer.raise_for_status().json()
            token, lifetime_s = str(told["access_token"]), float(told.get("expires_in", _LIFETIME_UNTOLD_S))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError) as error:
            _logger.warning("no access token for client %s: %s: %s", self._client_id, type(error).__name__, error)
            raise ServiceUnavailable(f"no access token for client {self._client_id}", retry_after_s=_RETRY_S) from error
        self._token = token
        self._renew_at = time.monotonic() + lifetime_s - min(30.0, lifetime_s / 10)
        return token
