"""The programs of a Kubernetes control plane, made once from their public sources and kept outside of the repository.

    .venv/bin/python tests/cluster/kubernetes_binaries.py

kube-apiserver and kube-controller-manager are built from the Go module k8s.io/kubernetes (a quarter of an hour on two
cores the first time, then never again). etcd and kubectl are Debian's packages. KUBERNETES_BINARIES names a folder
that has all four already.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

VERSION = "v1.36.4"
GO = "1.26"
BUILT = ("kube-apiserver", "kube-controller-manager")
PACKAGED = {"etcd": "etcd-server", "kubectl": "kubernetes-client"}
TELL_EVERY_S = 30.0

# k8s.io/kubernetes names its staging modules as v0.0.0 and tells their places by replace lines, which a module that is
# required by another one loses (kubernetes#79384): the wrapper module repeats them.
STAGING = """
    api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider cluster-bootstrap
    code-generator component-base component-helpers controller-manager cri-api cri-client cri-streaming
    csi-translation-lib dynamic-resource-allocation endpointslice externaljwt kms kube-aggregator
    kube-controller-manager kube-proxy kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission
    sample-apiserver sample-cli-plugin sample-controller streaming
"""


class ToolMissing(Exception):
    """A program is not here and cannot be made here; the message is a sentence."""


def cache_folder(*names: str) -> Path:
    """Where what is made once lies, outside of the repository."""
    given = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(given) if given else Path.home() / ".cache").joinpath("oda-cem", *names)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def ended_by_signals() -> None:
    """A script that is told to end unwinds, and takes with it what it started."""
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, lambda number, _: sys.exit(128 + number))


@contextlib.contextmanager
def alone(folder: Path, waiting: str = "") -> Iterator[None]:
    """One process at a time works with this folder; the others wait for it, and tell `waiting`."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                print(waiting, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def program(name: str) -> Path:
    """A program of the control plane by its name. Errors: ToolMissing."""
    if given := os.environ.get("KUBERNETES_BINARIES"):
        path = Path(given) / name
        if not path.exists():
            raise ToolMissing(f"There is no {name} in KUBERNETES_BINARIES={given}.")
        return path
    return _built(name) if name in BUILT else _packaged(name)


def _built(name: str) -> Path:
    path = cache_folder("kubernetes", VERSION) / name
    if not path.exists():
        with alone(path.parent):
            if not path.exists():
                _build(path)
    return path


def _packaged(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        package = PACKAGED[name]
        sentence = f"There is no {name} here: install it (Debian and Ubuntu: apt-get install {package})."
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            raise ToolMissing(sentence)
        print(f"{name}: installing the package {package}", flush=True)
        command = ["apt-get", "install", "--yes", "--no-install-recommends", package]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        found = shutil.which(name)
        if found is None:
            raise ToolMissing(f"{sentence}\n{done.stderr[-800:]}")
    return Path(found)


def _build(path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise ToolMissing(
            f"{path.name} is built once from its sources, and there is no Go here: install Go {GO} or newer, "
            "or name a folder with the programs in KUBERNETES_BINARIES."
        )
    sources = cache_folder("kubernetes", "src")
    if not (sources / "go.mod").exists():
        staging = "".join(f"\tk8s.io/{name} => k8s.io/{name} v0{VERSION[2:]}\n" for name in STAGING.split())
        (sources / "go.mod").write_text(
            f"module example.invalid/kubernetes-binaries\n\ngo {GO}\n\nrequire k8s.io/kubernetes {VERSION}\n\n"
            f"replace (\n{staging})\n"
        )
        (sources / "tools.go").write_text("//go:build tools\n\npackage tools\n")
    major, minor, _ = VERSION[1:].split(".")
    stamps = {
        "k8s.io/component-base/version.gitVersion": VERSION,
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/component-base/version.gitTreeState": "clean",
        "k8s.io/client-go/pkg/version.gitVersion": VERSION,
    }
    flags = "-s -w " + " ".join(f"-X {name}={value}" for name, value in stamps.items())
    part = path.with_suffix(".part")
    command = [go, "build", "-trimpath", "-ldflags", flags, "-o", str(part), f"k8s.io/kubernetes/cmd/{path.name}"]
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    log = sources / f"{path.name}.log"
    print(f"{path.name} {VERSION}: building from source, once; log: {log}", flush=True)
    with log.open("wb") as file, _told_while(path.name):
        build = subprocess.Popen(["nice", "-n", "8", *command], cwd=sources, env=environment, stdout=file, stderr=file)
        try:
            build.wait()
        finally:
            if build.poll() is None:
                build.terminate()
                build.wait()
    if build.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise ToolMissing(f"{path.name} could not be built (Go {GO} or newer, k8s.io/kubernetes {VERSION}):\n{tail}")
    part.replace(path)


@contextlib.contextmanager
def _told_while(name: str) -> Iterator[None]:
    """A line now and then while something long runs."""
    ended, began = threading.Event(), time.monotonic()

    def tell() -> None:
        while not ended.wait(TELL_EVERY_S):
            print(f"{name}: still building after {time.monotonic() - began:.0f} s", flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
    print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


def main() -> int:
    ended_by_signals()
    try:
        for name in (*PACKAGED, *BUILT):
            print(f"{name}: {program(name)}", flush=True)
    except ToolMissing as e:
        print(e, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
