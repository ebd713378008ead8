"""Make the virtual environment of this repository: `python3 cem/bootstrap.py .venv`.

Needs nothing but Python: it runs before anything is installed, on any version, so that it can say which one is needed.
Everything comes from requirements.lock, by its hashes. pip installs uv from there, and uv the rest, because it takes
seconds where pip takes a minute; uv is told what pip is configured to use here. Where uv does not succeed, pip does
all of it. The packages of the repository are installed as they stand (editable), without asking an index.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
MINIMUM = (3, 11)
STAMP = ".installed"
STARTED = (
    "uvicorn uvloop sklearn.linear_model cem.run cem.load churn_prediction.main customer_360.main demo_operator.main "
    "experience_management.main service_quality.main"
)
COMPILE = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception:  # whoever starts it will tell what is wrong with it
        pass
"""


def packages() -> list[str]:
    """Folders of the repository's own packages."""
    return sorted(str(p.parent) for p in [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("components/*/pyproject.toml")])


def pinned(name: str, lock: str) -> str:
    """The lines of one package in a lock file, with its hashes."""
    found = re.search(rf"^{re.escape(name)}==(?:[^\n]*\\\n)*[^\n]*", lock, re.M)
    if not found:
        raise SystemExit(f"requirements.lock does not hold {name}")
    return found[0] + "\n"


def pip_settings(listed: str) -> dict[str, str]:
    """What `pip config list` says, by option; the environment wins over files, later files over earlier ones."""
    rank = {"global": 0, "install": 1, ":env:": 2}
    settings: dict[str, str] = {}
    best: dict[str, int] = {}
    for section, option, value in re.findall(r"^(global|install|:env:)\.([\w-]+)=(.*)$", listed, re.M):
        if rank[section] >= best.get(option, -1):
            settings[option], best[option] = value.strip().strip("'\""), rank[section]
    return settings


def uv_environment(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The same for uv, which reads none of pip's configuration. What is set for uv itself stays."""
    translated = {}
    for option, variable, separator in (
        ("index-url", "UV_DEFAULT_INDEX", None),
        ("extra-index-url", "UV_INDEX", " "),
        ("find-links", "UV_FIND_LINKS", ","),
        ("trusted-host", "UV_INSECURE_HOST", " "),
        ("cert", "SSL_CERT_FILE", None),
        ("proxy", "ALL_PROXY", None),
        ("default-timeout", "UV_HTTP_TIMEOUT", None),
        ("timeout", "UV_HTTP_TIMEOUT", None),
    ):
        value = settings.get(option)
        if value and variable not in environment:
            parts = re.split(r"(?:\s|\\n)+", value.strip())
            translated[variable] = separator.join(parts) if separator else value
    # pip looks at all indexes for the best match; the hashes decide what may be installed.
    translated.setdefault("UV_INDEX_STRATEGY", environment.get("UV_INDEX_STRATEGY", "unsafe-best-match"))
    if settings.get("no-index", "").lower() in ("1", "true", "yes"):
        translated["UV_NO_INDEX"] = "1"
    return translated


def environment_made(folder: Path) -> list[str]:
    """A virtual environment with pip in it; the command that is pip there. One that works is kept and brought up to
    date."""
    python = folder / "bin" / "python"
    if _works([str(python), "-m", "pip", "--version"]):
        return [str(python), "-m", "pip"]
    if folder.exists():
        shutil.rmtree(folder)
    if subprocess.run([sys.executable, "-m", "venv", str(folder)], stdout=subprocess.DEVNULL).returncode == 0:
        return [str(python), "-m", "pip"]
    # Debian keeps ensurepip in a package of its own; a pip elsewhere can install into an environment without one.
    without = subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)])
    outside = [sys.executable, "-m", "pip"]
    if without.returncode == 0 and _works([*outside, "--version"]):
        return [*outside, "--python", str(python)]
    raise SystemExit(
        f"{sys.executable} can make no virtual environment: its venv or pip is missing "
        "(on Debian and Ubuntu: apt install python3-venv)."
    )


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def installed(folder: Path, pip: list[str]) -> str:
    """Requirements and packages, by uv or else by pip; how."""
    python = str(folder / "bin" / "python")
    own = [part for package in packages() for part in ("-e", package)]
    offline = ["--no-deps", "--no-build-isolation"]
    with tempfile.TemporaryDirectory() as scratch:
        only_uv = Path(scratch) / "uv.txt"
        only_uv.write_text(pinned("uv", LOCK.read_text()))
        first = [*pip, "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "-r", str(only_uv)]
        if subprocess.run(first).returncode == 0:
            listed = subprocess.run([*pip, "config", "list"], stdout=subprocess.PIPE, text=True).stdout
            environment = {**os.environ, **uv_environment(pip_settings(listed), os.environ)}
            uv = [str(folder / "bin" / "uv"), "pip", "install", "--quiet", "--python", python]
            if (
                subprocess.run([*uv, "--require-hashes", "-r", str(LOCK)], env=environment).returncode == 0
                and subprocess.run([*uv, "--offline", *offline, *own], env=environment).returncode == 0
            ):
                return "uv"
            print("uv did not succeed; pip does it, which takes longer", file=sys.stderr)
    subprocess.run([*pip, "install", "--quiet", "--require-hashes", "-r", str(LOCK)], check=True)
    subprocess.run([*pip, "install", "--quiet", "--no-index", *offline, *own], check=True)
    return "pip"


def main() -> None:
    if sys.version_info < MINIMUM:
        raise SystemExit(
            f"Python {MINIMUM[0]}.{MINIMUM[1]} or newer is needed, this is {sys.version.split()[0]}. "
            "Name another one: make PYTHON=python3.12 ..."
        )
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".venv").resolve()
    print(f"making {folder.name} from requirements.lock", file=sys.stderr)
    started = time.monotonic()
    pip = environment_made(folder)
    try:
        by = installed(folder, pip)
    except subprocess.CalledProcessError as e:
        raise SystemExit(f"Installing failed: {' '.join(e.cmd[:6])} ... ended with {e.returncode}.") from None
    # Compiled once, by one process: otherwise each of the five that start together does it again.
    writing = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([str(folder / "bin" / "python"), "-c", COMPILE, *STARTED.split()], env=writing)
    (folder / STAMP).touch()
    print(f"{folder.name} ready (by {by}): {time.monotonic() - started:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
