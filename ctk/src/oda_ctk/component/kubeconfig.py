"""A kubeconfig: which server, whom to trust, and as whom to ask."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class NoCluster(Exception):
    """The cluster cannot be asked."""


@dataclass(frozen=True)
class Access:
    """How a cluster is reached."""

    server: str
    namespace: str
    headers: Mapping[str, str]
    basic: tuple[str, str] | None
    verify: ssl.SSLContext | bool
    server_name: str = ""


def found(given: Path | None) -> Path:
    """The file that is named, else the first that KUBECONFIG names, else ~/.kube/config."""
    named = [Path(p) for p in os.environ.get("KUBECONFIG", "").split(os.pathsep) if p]
    for file in [given] if given else [*named, Path.home() / ".kube" / "config"]:
        if file.is_file():
            return file
    raise NoCluster(f"no kubeconfig: {given or 'neither KUBECONFIG nor ~/.kube/config'} is no file")


def access(file: Path, context: str = "") -> Access:
    """What the kubeconfig says of a context, or of its current one."""
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        name = context or document["current-context"]
        chosen = _named(document, "contexts", name)["context"]
        cluster = _named(document, "clusters", chosen["cluster"])["cluster"]
        user = _named(document, "users", chosen["user"]).get("user") or {} if chosen.get("user") else {}
        return Access(
            server=str(cluster["server"]).rstrip("/"),
            namespace=chosen.get("namespace", ""),
            headers=_headers(user, file.parent),
            basic=(user["username"], user.get("password", "")) if "username" in user else None,
            verify=_verify(cluster, user, file.parent),
            server_name=cluster.get("tls-server-name", ""),
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as fault:
        raise NoCluster(f"kubeconfig {file}: {type(fault).__name__}: {fault}") from fault


def _named(document: Any, kind: str, name: str) -> dict[str, Any]:
    for one in document.get(kind) or []:
        if one["name"] == name:
            return dict(one)
    raise KeyError(f"{kind} has no {name}")


def _headers(user: Mapping[str, Any], folder: Path) -> dict[str, str]:
    if "exec" in user or "auth-provider" in user:
        raise ValueError("a login by another program (exec, auth-provider) is not supported; give a token")
    token = user.get("token") or ("tokenFile" in user and (folder / user["tokenFile"]).read_text().strip())
    return {"authorization": f"Bearer {token}"} if token else {}


def _verify(cluster: Mapping[str, Any], user: Mapping[str, Any], folder: Path) -> ssl.SSLContext | bool:
    """Trust in the server and the client's certificate. OpenSSL reads a key from a file only."""
    authority = _content(cluster, "certificate-authority", folder)
    trust = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
    certificate = _content(user, "client-certificate", folder)
    key = _content(user, "client-key", folder)
    if certificate and key:
        with tempfile.TemporaryDirectory() as safe:  # 0700
            both = Path(safe) / "client.pem"
            both.write_bytes(certificate + b"\n" + key)
            trust.load_cert_chain(both)
    return trust


def _content(facts: Mapping[str, Any], name: str, folder: Path) -> bytes:
    if f"{name}-data" in facts:
        return base64.b64decode(facts[f"{name}-data"])
    return (folder / str(facts[name])).read_bytes() if name in facts else b""
