"""What goes into each image, pinned by hash: compiled from the pyproject files, in the versions of requirements.lock.

.venv/bin/python tests/images/image_locks.py
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ROOT_LOCK = ROOT / "requirements.lock"
BUILD_BACKEND = ("hatchling",)
OWN = ("tmfkit",)
COMPONENTS = tuple(sorted(path.parent.name for path in ROOT.glob("components/*/Dockerfile")))


@dataclass(frozen=True)
class Lock:
    """One lock file: `wanted` are the requirements it is compiled from."""

    path: Path
    wanted: tuple[str, ...]


def _declared(folder: Path, extra: str = "") -> list[str]:
    """The dependencies of a package of ours that are not ours, as its pyproject.toml declares them."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    found = [*project["dependencies"], *(project["optional-dependencies"][extra] if extra else ())]
    return [requirement for requirement in found if requirement not in OWN]


def locks() -> list[Lock]:
    """All lock files of the images: one per component, one more per extra, and one for the tool that builds wheels."""
    kernel = _declared(ROOT / "shared")
    found = [Lock(ROOT / "requirements-build.lock", BUILD_BACKEND)]
    for name in COMPONENTS:
        folder = ROOT / "components" / name
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        for extra in ("", *project.get("optional-dependencies", {})):
            file = f"requirements-{extra}.lock" if extra else "requirements.lock"
            found.append(Lock(folder / file, tuple(sorted({*kernel, *_declared(folder, extra)}))))
    return found


def compile_lock(lock: Lock) -> None:
    """Write one lock file."""
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    command = [
        str(uv), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes",
        "--no-header", "--no-annotate", "--no-emit-index-url", "--constraint", str(ROOT_LOCK),
        "--output-file", str(lock.path), "-",
    ]  # fmt: skip
    subprocess.run(command, input="\n".join(lock.wanted) + "\n", text=True, check=True, cwd=ROOT)


def main() -> int:
    for lock in locks():
        compile_lock(lock)
        pinned = sum("==" in line for line in lock.path.read_text().splitlines())
        print(f"{lock.path.relative_to(ROOT)}: {pinned} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
