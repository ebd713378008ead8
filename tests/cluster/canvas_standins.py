"""What stands around the Canvas's operators here: Keycloak, the TMF638 information service, the gateway.

As much of each as the operators and components use: Keycloak's clients and roles and its tokens (signed, with keys to
be fetched), services found by the value of one characteristic, TLS in front of the prefixes of VirtualServices.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import uvicorn
from api_server import Cluster, ClusterError
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, HTTPException, Request, Response
from service_network import held, local, poured

REALM = "odari"
ADMIN, PASSWORD = "admin", "adpass"
TOKEN_S = 3600
KEY_ID = "test"

Object = dict[str, Any]


class Served:
    """An app on an address of this machine, on a thread of its own."""

    def __init__(self, app: FastAPI, host: str) -> None:
        self._socket = socket.create_server((host, 0))
        self.host, self.port = host, int(self._socket.getsockname()[1])
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


class Keycloak:
    """Clients and roles of one realm, and tokens of it. `url`: how others reach it."""

    def __init__(self, url: str) -> None:
        self.url, self.issuer = url, f"{url}/realms/{REALM}"
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.clients: dict[str, Object] = {}
        self.roles: dict[str, dict[str, str]] = {}
        self.add("canvassystem")
        self.app = FastAPI()
        self._routes()

    def add(self, name: str) -> str:
        id = str(uuid.uuid4())
        self.clients[id], self.roles[id] = {"id": id, "clientId": name}, {}
        return id

    def roles_of(self, name: str) -> dict[str, str] | None:
        """Role -> description of a client; None if there is no such client."""
        for id, client in self.clients.items():
            if client["clientId"] == name:
                return self.roles[id]
        return None

    def token(self, subject: str, roles: list[str]) -> str:
        """A bearer token as Keycloak writes it."""
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": subject, "iat": now, "exp": now + TOKEN_S, "azp": subject}
        claims |= {"realm_access": {"roles": roles}}
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": KEY_ID})

    def _known(self, id: str) -> dict[str, str]:
        if id not in self.roles:
            raise HTTPException(404)
        return self.roles[id]

    def _routes(self) -> None:
        app, admin = self.app, f"/admin/realms/{REALM}/clients"

        @app.post("/realms/{realm}/protocol/openid-connect/token")
        async def token(realm: str, request: Request) -> Object:
            body = (await request.body()).decode()
            subject = "admin" if realm == "master" else "component"
            if realm == "master" and f"username={ADMIN}" not in body:
                raise HTTPException(401)
            return {"access_token": self.token(subject, ["Component"]), "token_type": "Bearer", "expires_in": TOKEN_S}

        @app.get(f"/realms/{REALM}/.well-known/openid-configuration")
        def configuration() -> Object:
            connect = f"{self.issuer}/protocol/openid-connect"
            return {"issuer": self.issuer, "jwks_uri": f"{connect}/certs", "token_endpoint": f"{connect}/token"}

        @app.get(f"/realms/{REALM}/protocol/openid-connect/certs")
        def keys() -> Object:
            key = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
            return {"keys": [{**key, "kid": KEY_ID, "alg": "RS256", "use": "sig"}]}

        @app.get(admin)
        def clients(clientId: str | None = None) -> list[Object]:  # noqa: N803 - Keycloak's name
            return [c for c in self.clients.values() if clientId in (None, c["clientId"])]

        @app.post(admin, status_code=201)
        def create(client: Object) -> None:
            if self.roles_of(client["clientId"]) is not None:
                raise HTTPException(409)
            self.add(client["clientId"])

        @app.delete(admin + "/{id}", status_code=204)
        def delete(id: str) -> None:
            self._known(id)
            del self.clients[id], self.roles[id]

        @app.post(admin + "/{id}/roles", status_code=201)
        def add_role(id: str, role: Object) -> None:
            if role["name"] in self._known(id):
                raise HTTPException(409)
            self.roles[id][role["name"]] = role.get("description", "")

        @app.delete(admin + "/{id}/roles/{role}", status_code=204)
        def delete_role(id: str, role: str) -> None:
            if role not in self._known(id):
                raise HTTPException(404)
            del self.roles[id][role]


class Information:
    """TMF638 as the dependent API operator writes it and components ask it."""

    def __init__(self) -> None:
        self.services: dict[str, Object] = {}
        self.app = FastAPI()
        app = self.app

        @app.get("/service")
        def found(request: Request) -> list[Object]:
            wanted = request.query_params
            return [s for s in self.services.values() if self._fits(s, dict(wanted))]

        @app.post("/service", status_code=201)
        def create(service: Object) -> Object:
            service["id"] = str(uuid.uuid4())
            self.services[service["id"]] = service
            return service

        @app.get("/service/{id}")
        def one(id: str) -> Object:
            return self._known(id)

        @app.patch("/service/{id}")
        def change(id: str, service: Object) -> Object:
            self._known(id).update(service)
            return self.services[id]

        @app.delete("/service/{id}")
        def delete(id: str) -> Response:
            self._known(id)
            del self.services[id]
            return Response(status_code=204)

    def _known(self, id: str) -> Object:
        if id not in self.services:
            raise HTTPException(404)
        return self.services[id]

    @staticmethod
    def _fits(service: Object, wanted: dict[str, str]) -> bool:
        values = [c["value"] for c in service["serviceCharacteristic"]]
        state, value = wanted.get("state"), wanted.get("serviceCharacteristic.value")
        return (state is None or service["state"] == state) and (value is None or value in values)

    def urls(self, component: str) -> list[str]:
        """Addresses found for a component's dependencies."""
        found = []
        for service in self.services.values():
            values = {c["name"]: c["value"] for c in service["serviceCharacteristic"]}
            if values["componentName"] == component:
                found.append(values["url"])
        return found


class Gateway:
    """TLS in front of all components: the longest prefix among the VirtualServices tells the Service."""

    def __init__(self, cluster: Cluster, host: str, port: int, tls: ssl.SSLContext) -> None:
        self._cluster, self.host, self.port, self._tls = cluster, host, port, tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        self._thread.start()
        self._requests: set[asyncio.Task[Any]] = set()
        opening = asyncio.start_server(held(self._requests, self._serve), host, port, ssl=tls)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(10)

    def close(self) -> None:
        async def ended() -> None:
            self._server.close()
            here = asyncio.current_task()
            tasks = [task for task in asyncio.all_tasks() if task is not here]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(ended(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        if not self._thread.is_alive():
            self._loop.close()

    def route(self, path: str) -> tuple[str, int] | None:
        """Where the VirtualServices send a path."""
        best: tuple[int, str, str, int] | None = None
        for found in self._cluster.items("/apis/networking.istio.io/v1alpha3/virtualservices"):
            for rule in found["spec"]["http"]:
                prefix = rule["match"][0]["uri"]["prefix"]
                to = rule["route"][0]["destination"]
                if path.startswith(prefix) and (best is None or len(prefix) > best[0]):
                    best = (len(prefix), found["metadata"]["namespace"], to["host"], to["port"]["number"])
        if best is None:
            return None
        service = self._cluster.get(f"/api/v1/namespaces/{best[1]}/services/{best[2]}")
        return (local(service["spec"]["clusterIP"]), best[3]) if service else None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request on each connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head[:-4].split(b"\r\n")
            path = first.split(b" ")[1].decode("latin-1")
            target = await asyncio.to_thread(self.route, path.partition("?")[0])
            if target is None:
                writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            kept = [line for line in lines if not line.lower().startswith((b"connection:", b"x-forwarded-"))]
            host = next((line[5:].strip() for line in lines if line.lower().startswith(b"host:")), b"")
            kept += [b"connection: close", b"x-forwarded-proto: https", b"x-forwarded-host: " + host]
            there, back = await asyncio.open_connection(*target)
            try:
                back.write(b"\r\n".join([first, *kept]) + b"\r\n\r\n")
                sent = asyncio.create_task(poured(reader, back))
                await poured(there, writer)
                sent.cancel()
            finally:
                back.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, httpx.HTTPError, ClusterError):
            return
        finally:
            with contextlib.suppress(OSError):
                await writer.drain()
            writer.close()


def outside(cluster: Cluster, namespace: str, name: str, port: int, address: str, served: int) -> None:
    """A Service for something outside of the cluster: what is served on this machine at `local(address)`."""
    cluster.namespace(namespace)
    meta = {"name": name, "namespace": namespace}
    ports: list[Object] = [{"name": "http", "port": port, "targetPort": served}]
    cluster.post(f"/api/v1/namespaces/{namespace}/services", {"metadata": meta, "spec": {"ports": ports}})
    labels = {"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "stand-in"}
    cluster.post(
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        {
            "metadata": {"name": name, "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": served, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        },
    )


def until(condition: Callable[[], bool], seconds: float, every_s: float = 0.2) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(every_s)
    return condition()
