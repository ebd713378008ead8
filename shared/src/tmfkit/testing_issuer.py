"""A small real OIDC issuer for tests: it serves discovery, keys and client-credentials tokens over HTTP.

Test support that ships with the kernel, because the tests of every component need somebody to ask for a token.
"""

from __future__ import annotations

import base64
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote_plus

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


@dataclass(frozen=True)
class Client:
    """Who may ask for a token with client credentials, and what the token then allows."""

    secret: str
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Key:
    id: str
    private: rsa.RSAPrivateKey

    def public_jwk(self) -> dict[str, Any]:
        jwk: dict[str, Any] = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return jwk | {"kid": self.id, "alg": "RS256", "use": "sig"}


def _new_key() -> _Key:
    return _Key(secrets.token_hex(4), rsa.generate_private_key(public_exponent=65537, key_size=2048))


class Issuer:
    """`with Issuer() as issuer:` serves on 127.0.0.1; the port is kept over stop() and start().

    Tokens carry their permissions as Keycloak does, in `realm_access.roles`. `requests` lists the paths asked for,
    `extra_jwks` are published beside the issuer's own keys.
    """

    def __init__(self, *, audience: str = "oda", expires_in_s: int = 300, clients: dict[str, Client] | None = None):
        self.audience = audience
        self.expires_in_s = expires_in_s
        self.clients = {} if clients is None else clients
        self.requests: list[str] = []
        self.keys = [_new_key()]
        self.extra_jwks: list[dict[str, Any]] = []
        self._port = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def jwks_uri(self) -> str:
        return f"{self.url}/jwks"

    @property
    def token_url(self) -> str:
        return f"{self.url}/token"

    def start(self) -> None:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", self._port))
        self._port = bound.getsockname()[1]
        config = uvicorn.Config(self._app(), log_config=None, lifespan="off", ws="none", loop="asyncio")
        server = self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="issuer", daemon=True)
        self._thread.start()
        while not server.started and self._thread.is_alive():
            time.sleep(0.005)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def rotate(self, *, keep_old: bool = True) -> None:
        """Sign with a new key from now on; the old ones stay published unless told otherwise."""
        self.keys = [_new_key(), *(self.keys if keep_old else [])]

    def token(
        self,
        sub: str,
        permissions: Iterable[str] = (),
        expires_in_s: int | None = None,
        audience: str | list[str] | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Mint a signed access token; further claims are added, one given as None is left out."""
        now = int(time.time())
        payload = {
            "iss": self.url,
            "sub": sub,
            "aud": audience or self.audience,
            "iat": now,
            "exp": now + (self.expires_in_s if expires_in_s is None else expires_in_s),
            "jti": secrets.token_hex(8),
            "realm_access": {"roles": list(permissions)},
        } | dict(claims or {})
        key = self.keys[0]
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, key.private, algorithm="RS256", headers={"kid": key.id})

    def _app(self) -> Starlette:
        async def discovery(request: Request) -> JSONResponse:
            self.requests.append(request.url.path)
            told = {"issuer": self.url, "jwks_uri": self.jwks_uri, "token_endpoint": self.token_url}
            return JSONResponse(told)

        async def jwks(request: Request) -> JSONResponse:
            self.requests.append(request.url.path)
            return JSONResponse({"keys": [key.public_jwk() for key in self.keys] + self.extra_jwks})

        async def token(request: Request) -> JSONResponse:
            self.requests.append(request.url.path)
            form = dict(pair.partition("=")[::2] for pair in (await request.body()).decode().split("&"))
            if form.get("grant_type") != "client_credentials":
                return JSONResponse({"error": "unsupported_grant_type"}, 400)
            name, secret = _credentials(request, form)
            client = self.clients.get(name)
            if client is None or not secrets.compare_digest(client.secret, secret):
                return JSONResponse({"error": "invalid_client"}, 401)
            access = self.token(name, client.permissions, claims={"client_id": name})
            return JSONResponse({"access_token": access, "token_type": "Bearer", "expires_in": self.expires_in_s})

        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", discovery),
                Route("/jwks", jwks),
                Route("/token", token, methods=["POST"]),
            ]
        )


def _credentials(request: Request, form: dict[str, str]) -> tuple[str, str]:
    """RFC 6749 section 2.3.1: HTTP Basic with form-encoded parts, or both in the body."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        name, _, secret = base64.b64decode(encoded).decode().partition(":")
    else:
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
    return unquote_plus(name), unquote_plus(secret)
