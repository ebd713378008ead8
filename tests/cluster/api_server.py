"""A real Kubernetes API on loopback: etcd, kube-apiserver and kube-controller-manager, with RBAC and Pod Security.

    with api_server() as cluster: cluster.kubectl("get", "namespaces")
    .venv/bin/python tests/cluster/api_server.py --keep

There is no node: what runs pods is told in kubelet.py. Everything lies in a temporary folder and ends with the caller.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from kubernetes_binaries import ToolMissing, ended_by_signals, program
from pki import Authority, signing_key

LOOPBACK = "127.0.0.1"
SERVICE_NETWORK = "10.96.0.0/16"
PATIENCE_S = 300.0
MERGE = {"content-type": "application/merge-patch+json"}


class ClusterError(Exception):
    """The cluster did not do what was asked; the message is a sentence."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


class Ran:
    """Processes started one after the other, each with its log; ended in the opposite order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own: Ctrl-C is for us, the order of the end is ours."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=None if environment is None else dict(environment),
                start_new_session=True,
            )
        self._running.append((name, process))
        return process

    def dead(self) -> str | None:
        """A sentence about the first process that ended by itself."""
        for name, process in self._running:
            if process.poll() is not None:
                return f"{name} ended with {process.returncode}:\n{self.tail(name)}"
        return None

    def text(self, name: str) -> str:
        """All that a process has said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def tail(self, name: str, lines: int = 15) -> str:
        return "\n".join(self.text(name).splitlines()[-lines:])

    def end(self, budget_s: float = 10.0) -> None:
        for _, process in reversed(self._running):
            end(process, budget_s)
        self._running.clear()


def end(process: subprocess.Popen[bytes], budget_s: float = 10.0) -> None:
    """TERM, and after the budget KILL, to the process and what it started."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(budget_s)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, 9)
    process.wait()


@dataclass(frozen=True)
class Cluster:
    """A running cluster: where it is, and how an administrator of it is known."""

    folder: Path
    url: str
    kubeconfig: Path
    authority: Authority
    client: httpx.Client

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as administrator; what it printed. Errors: ClusterError."""
        done = subprocess.run(
            [str(program("kubectl")), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
        )
        if done.returncode:
            raise ClusterError(f"kubectl {' '.join(arguments[:4])}: {done.stderr.strip()}")
        return done.stdout

    def get(self, path: str, **parameters: str) -> dict[str, Any] | None:
        """An object or list by its path below the server's address; None if it is not there."""
        answer = self.client.get(path, params=parameters)
        if answer.status_code == 404:
            return None
        return _well(answer)

    def items(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (self.get(path, **parameters) or {}).get("items") or []
        return found

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return _well(self.client.post(path, json=body))

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """A merge patch; None if the object is not there (any more)."""
        answer = self.client.patch(path, content=json.dumps(body), headers=MERGE)
        return None if answer.status_code == 404 else _well(answer)

    def delete(self, path: str, **options: Any) -> None:
        answer = self.client.request("DELETE", path, json={"apiVersion": "v1", "kind": "DeleteOptions", **options})
        if answer.status_code != 404:
            _well(answer)

    def namespace(self, name: str, *, pod_security: str = "") -> None:
        """Make a namespace; `pod_security`: the level that is enforced in it."""
        labels = {"pod-security.kubernetes.io/enforce": pod_security} if pod_security else {}
        if self.get(f"/api/v1/namespaces/{name}") is None:
            self.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})

    def user(self, name: str, group: str) -> Path:
        """A kubeconfig for somebody of this name and group; what they may do is for RBAC to say."""
        certificate, key = self.authority.sign(name.replace(":", "-"), name, group=group)
        return _kubeconfig(self.folder / f"{name}.kubeconfig", self.url, self.authority.certificate, certificate, key)


def _well(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        try:
            told = answer.json().get("message", answer.text)
        except ValueError:
            told = answer.text
        raise ClusterError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {told}")
    found: dict[str, Any] = answer.json()
    return found


def _kubeconfig(file: Path, url: str, authority: Path, certificate: Path, key: Path) -> Path:
    """Written as JSON, which is YAML."""
    cluster = {"server": url, "certificate-authority": str(authority)}
    user = {"client-certificate": str(certificate), "client-key": str(key)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user", "namespace": "default"}}],
        "current-context": "test",
    }
    file.touch(mode=0o600)
    file.write_text(json.dumps(content, indent=1))
    return file


def _etcd(ran: Ran) -> str:
    url, peers = f"http://{LOOPBACK}:{free_port()}", f"http://{LOOPBACK}:{free_port()}"
    ran.start(
        "etcd",
        [
            program("etcd"),
            f"--data-dir={ran.folder / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",  # the data is for as long as the process
        ],
    )
    return url


def _apiserver(ran: Ran, etcd: str, authority: Authority, tokens: tuple[Path, Path]) -> str:
    port = free_port()
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")
    certificate, key = authority.sign("apiserver", "kube-apiserver", hosts=(LOOPBACK, "10.96.0.1", *names))
    ran.start(
        "kube-apiserver",
        [
            program("kube-apiserver"),
            f"--etcd-servers={etcd}",
            f"--bind-address={LOOPBACK}",
            f"--advertise-address={LOOPBACK}",
            f"--secure-port={port}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={authority.certificate}",
            "--authorization-mode=RBAC",
            "--anonymous-auth=false",
            f"--service-account-signing-key-file={tokens[0]}",
            f"--service-account-key-file={tokens[1]}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--endpoint-reconciler-type=none",  # a loopback address cannot be an endpoint
            "--profiling=false",
        ],
    )
    return f"https://{LOOPBACK}:{port}"


def _controllers(ran: Ran, url: str, authority: Authority, tokens: tuple[Path, Path]) -> None:
    certificate, key = authority.sign("controllers", "system:kube-controller-manager")
    kubeconfig = _kubeconfig(ran.folder / "controllers.kubeconfig", url, authority.certificate, certificate, key)
    ran.start(
        "kube-controller-manager",
        [
            program("kube-controller-manager"),
            f"--kubeconfig={kubeconfig}",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={tokens[0]}",
            f"--root-ca-file={authority.certificate}",
            f"--cluster-signing-cert-file={authority.certificate}",
            f"--cluster-signing-key-file={authority.key}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={free_port()}",
            "--leader-elect=false",
            "--controllers=*,-node-lifecycle-controller",  # the stand-in of a node has no heart that beats
            "--kube-api-qps=100",
            "--kube-api-burst=200",
        ],
    )


def _until_there(ran: Ran, client: httpx.Client, path: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        if dead := ran.dead():
            raise ClusterError(dead)
        with contextlib.suppress(httpx.HTTPError):
            if client.get(path).status_code == 200:
                return
        if time.monotonic() > deadline:
            raise ClusterError(f"The cluster is not ready after {PATIENCE_S:.0f} s: {path} does not answer.")
        time.sleep(0.1)


@contextlib.contextmanager
def api_server(*, told: bool = True) -> Iterator[Cluster]:
    """Run a control plane and end it. Errors: ToolMissing, ClusterError."""
    for name in ("etcd", "kubectl", "kube-apiserver", "kube-controller-manager"):
        program(name)
    began, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="oda-cem-cluster-"))
    ran = Ran(folder)
    try:
        authority = Authority(folder / "pki", "oda-cem test cluster")
        tokens = signing_key(folder / "pki")
        url = _apiserver(ran, _etcd(ran), authority, tokens)
        certificate, key = authority.sign("admin", "admin", group="system:masters")
        kubeconfig = _kubeconfig(folder / "admin.kubeconfig", url, authority.certificate, certificate, key)
        context = ssl.create_default_context(cafile=str(authority.certificate))
        context.load_cert_chain(certificate, key)
        with httpx.Client(base_url=url, verify=context, timeout=30, trust_env=False) as client:
            _until_there(ran, client, "/readyz")  # the controllers wait ten seconds for it, no longer
            _controllers(ran, url, authority, tokens)
            _until_there(ran, client, "/api/v1/namespaces/default/serviceaccounts/default")
            if told:
                version = client.get("/version").json()["gitVersion"]
                print(f"Kubernetes API {version} on {url}: {time.monotonic() - began:.1f} s", flush=True)
            yield Cluster(folder, url, kubeconfig, authority, client)
    finally:
        ran.end()
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests/cluster/api_server.py", description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="print the kubeconfig's path and run until Ctrl-C")
    given = parser.parse_args(arguments)
    ended_by_signals()
    try:
        with api_server(told=not given.keep) as cluster:
            if given.keep:
                print(cluster.kubeconfig, flush=True)
                while True:
                    time.sleep(3600)
            print(cluster.kubectl("get", "namespaces"), end="")
    except (ToolMissing, ClusterError) as e:
        print(e, file=sys.stderr)
        return 2 if isinstance(e, ToolMissing) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
