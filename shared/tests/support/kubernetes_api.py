"""As much of a Kubernetes API server as the kernel asks: two reads of custom resources, with TLS, tokens and RBAC."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Object = dict[str, Any]
GROUP = "oda.tmforum.org"
NAMESPACE = "components"


def component(name: str, *urls: str, segment: str = "coreAPIs") -> Object:
    """A Component with its status as the Canvas's component operator writes it."""
    apis = [{"name": f"{name}-{n}", "uid": str(n), "url": url, "ready": True} for n, url in enumerate(urls)]
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Component",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "status": {segment: apis, "summary/status": {"deployment_status": "Complete"}},
    }


def dependent_api(of: str, name: str, url: Any = None, *, ready: bool = True, version: str = "v4") -> Object:
    """A DependentAPI as the component operator makes it; with a url, as the dependent API operator resolves it."""
    made: Object = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "DependentAPI",
        "metadata": {
            "name": f"{of}-{name}-{version}",
            "namespace": NAMESPACE,
            "labels": {f"{GROUP}/componentName": of},
            "ownerReferences": [{"apiVersion": f"{GROUP}/v1", "kind": "Component", "name": of, "uid": "1"}],
        },
        "spec": {"name": name, "apiType": "openapi", "specification": {"url": "https://x/y.json", "version": version}},
    }
    if url is not None:
        made["status"] = {"depapiStatus": {"url": url, "svcInvID": "5"}, "implementation": {"ready": ready}}
    return made


class KubernetesApi:
    """The server, and the folder of a service account that may ask it.

    objects    (plural, namespace, name) -> object
    allowed    (verb, plural) that the Role allows
    installed  whether the CRDs are there
    asked      (method, path, token) of every request
    """

    def __init__(self, folder: Path) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.allowed = {("get", "components"), ("list", "dependentapis")}
        self.installed = True
        self.token = "first"
        self.broken: int | None = None
        self.asked: list[tuple[str, str, str]] = []
        self.account = folder / "serviceaccount"
        self.account.mkdir()
        authority, key = _certificate(folder)
        (self.account / "ca.crt").write_bytes(authority.read_bytes())
        (self.account / "token").write_text(self.token)
        (self.account / "namespace").write_text(NAMESPACE)
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(authority, key)
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    def put(self, *objects: Object) -> None:
        for made in objects:
            meta, plural = made["metadata"], {"Component": "components", "DependentAPI": "dependentapis"}[made["kind"]]
            self.objects[plural, meta["namespace"], meta["name"]] = made

    def start(self) -> None:
        server = _Server(("127.0.0.1", self.port), _Handler)
        server.api = self
        server.socket = self._tls.wrap_socket(server.socket, server_side=True)
        self._server, self.port = server, server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.02,), name="kubernetes", daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """What the kubelet tells a pod of the API server."""
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port)}

    def kubeconfig(self, namespace: str = NAMESPACE) -> Path:
        """A file for a process outside of the cluster, which reads the same token."""
        cluster = {
            "server": f"https://127.0.0.1:{self.port}",
            "certificate-authority": str(self.account / "ca.crt"),
        }
        context = {"cluster": "test", "user": "test", "namespace": namespace}
        file = self.account.parent / "kubeconfig"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"tokenFile": str(self.account / "token")}}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }
        file.write_text(json.dumps(content))
        return file

    def answer(self, path: str, token: str) -> tuple[int, Object | str]:
        """Status and body as kube-apiserver gives them; who may not do a thing is not told whether it exists."""
        if self.broken is not None:
            return self.broken, {"kind": "Status", "code": self.broken, "message": "etcdserver: request timed out"}
        if token != self.token:
            return 401, {"kind": "Status", "code": 401, "message": "Unauthorized"}
        parts = path.strip("/").split("/")
        if parts[:4] != ["apis", GROUP, "v1", "namespaces"] or len(parts) not in (6, 7):
            return 404, "404 page not found\n"
        namespace, plural, name = parts[4], parts[5], parts[6] if len(parts) == 7 else None
        verb = "list" if name is None else "get"
        if (verb, plural) not in self.allowed or namespace != NAMESPACE:
            message = f'{plural}.{GROUP} is forbidden: User "system:serviceaccount:x:y" cannot {verb} resource'
            return 403, {"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}
        if not self.installed:
            return 404, "404 page not found\n"
        if name is None:
            items = [made for (p, n, _), made in sorted(self.objects.items()) if (p, n) == (plural, namespace)]
            return 200, {"kind": "List", "items": items}
        found = self.objects.get((plural, namespace, name))
        if found is None:
            details = {"name": name, "group": GROUP, "kind": plural}
            return 404, {"kind": "Status", "code": 404, "message": f'"{name}" not found', "details": details}
        return 200, found


class _Server(ThreadingHTTPServer):
    api: KubernetesApi

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate ends the connection."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _told(self) -> None:
        token = self.headers.get("authorization", "").partition(" ")[2]
        path = self.path.partition("?")[0]
        self.server.api.asked.append((self.command, path, token))
        status, body = self.server.api.answer(path, token)
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _told

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the tests read `asked`."""


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes of a test")])
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=False, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    told, secret = folder / "server.crt", folder / "server.key"
    told.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return told, secret
