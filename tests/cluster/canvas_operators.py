"""The ODA Canvas's own operators, as they are in a checkout of oda-canvas: their environments, settings and processes.

Nothing of theirs is changed. Each gets what its own Dockerfile and requirements.txt say, in a Python 3.12 or newer
(their f-strings need it), once, in the cache folder. Two things are told apart from their images: `cloudevents` is kept
below 2, whose package no longer has the module they import, and the identity listener is served by waitress on an
address of our choice instead of 0.0.0.0:5000.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kubernetes_binaries import ToolMissing, alone, cache_folder

CONSTRAINTS = ("cloudevents<2",)
PYTHONS = ("python3.12", "python3.13", "python3.14")
LEVEL = "20"  # INFO
NAMESPACE = "components"
LISTENER_PORT = 5000
_INSTALLED = re.compile(r"pip install ([^\\&\n]+)")


@dataclass(frozen=True)
class Operator:
    """One operator: where it is in the checkout, and which file says what it needs."""

    name: str
    folder: str
    script: str
    requirements: str
    path: tuple[str, ...] = ()
    kopf: tuple[str, ...] = ("-n", NAMESPACE)
    environment: dict[str, str] = field(default_factory=dict)


OPERATORS = (
    Operator(
        "component",
        "source/operators/TMFOP001-Component-Management/component-management",
        "componentOperator.py",
        "component-operator-dockerfile",
    ),
    Operator(
        "api-istio",
        "source/operators/TMFOP002-API-Management/istio",
        "apiOperatorIstio.py",
        "api-operator-istio-dockerfile",
        environment={"OPENMETRICS_IMPLEMENTATION": "ServiceMonitor"},
    ),
    Operator(
        "dependent-api-simple",
        "source/operators/TMFOP005-Dependency-Management/simple-dependency-management/docker",
        "src/dependentApiSimpleOperator.py",
        "requirements.txt",
        kopf=("--all-namespaces",),
    ),
    Operator(
        "identityconfig-keycloak",
        "source/operators/TMFOP003-Identity-Config/keycloak",
        "identityConfigOperatorKeycloak.py",
        "identityconfig-operator-keycloak-dockerfile",
    ),
)
LISTENER = Operator(
    "identity-listener-keycloak",
    "source/operators/TMFOP003-Identity-Config/keycloak",
    "identity-listener-keycloak/identity-listener-keycloak.py",
    "identity-listener-keycloak/requirements.txt",
)


def requirements(text: str) -> list[str]:
    """What a Dockerfile installs by name, or the lines of a requirements.txt."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    parts = [part for found in _INSTALLED.findall(kept) for part in found.split()] if "FROM " in kept else kept.split()
    return [part for part in parts if part[0].isalpha()]


def checkout(folder: Path) -> Path:
    """The folder if it is a checkout of oda-canvas. Errors: ToolMissing."""
    for operator in (*OPERATORS, LISTENER):
        if not (folder / operator.folder / operator.script).is_file():
            raise ToolMissing(
                f"{folder} is no checkout of github.com/tmforum-oda/oda-canvas: {operator.script} is not in it."
            )
    return folder


def _pythons() -> Iterator[str]:
    for name in PYTHONS:
        if found := shutil.which(name):
            yield found
        for path in sorted(Path.home().glob(f".pyenv/versions/*/bin/{name}")):
            yield str(path)


def python() -> str:
    """A Python that the operators run under. Errors: ToolMissing."""
    if sys.version_info >= (3, 12):
        return sys.executable
    for path in _pythons():  # a shim may be there for a version that is not
        if subprocess.run([path, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return path
    raise ToolMissing("The Canvas's operators need Python 3.12 or newer, and there is none here.")


def environment(source: Path, operator: Operator) -> Path:
    """The interpreter of the operator's environment, which is made if it is not there. Errors: ToolMissing."""
    wanted = sorted(requirements((source / operator.folder / operator.requirements).read_text()))
    digest = hashlib.sha256(" ".join([*wanted, *CONSTRAINTS]).encode()).hexdigest()[:12]
    folder = cache_folder("canvas") / f"{operator.name}-{digest}"
    ready = folder / "bin" / "python"
    marker = folder / ".installed"
    with alone(cache_folder("canvas")):
        if not marker.exists():
            print(f"{operator.name}: an environment with {' '.join(wanted)}", flush=True)
            uv = str(Path(sys.executable).parent / "uv")
            (cache_folder("canvas") / "constraints.txt").write_text("\n".join(CONSTRAINTS) + "\n")
            limits = ["--constraint", str(cache_folder("canvas") / "constraints.txt")]
            for line in (
                [uv, "venv", "--quiet", "--clear", "--python", python(), str(folder)],
                [uv, "pip", "install", "--quiet", "--python", str(ready), *limits, *wanted],
            ):
                done = subprocess.run(["nice", "-n", "8", *line], capture_output=True, text=True, check=False)
                if done.returncode:
                    raise ToolMissing(f"{operator.name}: {' '.join(line[:3])} failed: {done.stderr.strip()[-800:]}")
            marker.touch()
    return ready


def command(source: Path, operator: Operator, interpreter: Path) -> list[str]:
    """How its Dockerfile starts it, without other operators to agree with."""
    script = source / operator.folder / operator.script
    return [str(interpreter), "-m", "kopf", "run", *operator.kopf, "--standalone", str(script)]


def listening(source: Path, interpreter: Path, address: str) -> tuple[list[str], dict[str, str]]:
    """The identity listener's app on an address; command and the variable that finds its modules."""
    script = source / LISTENER.folder / LISTENER.script
    modules = os.pathsep.join((str(script.parent), str(source / LISTENER.folder)))
    served = (
        "import importlib, sys, waitress; waitress.serve(importlib.import_module(sys.argv[1]).app, listen=sys.argv[2])"
    )
    return [str(interpreter), "-c", served, script.stem, address], {"PYTHONPATH": modules}
