"""Builds the images, each from the root files, shared/ and its own folder alone; tells their size, user and hash.

    .venv/bin/python tests/images/build_images.py [--twice] [--tag TAG] [IMAGE ...]

--twice builds each again without cache, from a copy with other file times and permissions, and compares every file.
BASE_IMAGE names another base image, PIP_CONF a file with settings for pip.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from docker_engine import EngineError, docker, files, fingerprint, image
from image_locks import COMPONENTS, ROOT

DEFAULT_BASE = "docker.io/library/python:3.12-slim-bookworm"
PREFIX = "oda-cem"
ROOT_FILES = (".dockerignore", "requirements-build.lock")
ALONE = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info", "tests")


@dataclass(frozen=True)
class Image:
    """One image: its name, the component it is of, and the target in the component's Dockerfile."""

    name: str
    component: str
    target: str | None = None

    def reference(self, tag: str) -> str:
        return f"{PREFIX}/{self.name}:{tag}"


def images() -> tuple[Image, ...]:
    """One per component, and one per further target that is named after it: `<component>-<target>`."""
    found = []
    for name in COMPONENTS:
        found.append(Image(name, name))
        if (ROOT / "components" / name / "requirements-training.lock").exists():
            found.append(Image(f"{name}-training", name, "training"))
    return tuple(found)


def base_image() -> str:
    return os.environ.get("BASE_IMAGE") or DEFAULT_BASE


def revision() -> str:
    """The commit that is built, with a mark if the tree differs from it; unknown outside of a repository."""
    command = ["git", "-c", "safe.directory=*", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def version(component: str) -> str:
    return str(tomllib.loads((ROOT / "components" / component / "pyproject.toml").read_text())["project"]["version"])


def context(folder: Path, component: str) -> None:
    """What the image is built from, alone in a folder."""
    for name in ROOT_FILES:
        shutil.copy2(ROOT / name, folder / name)
    for name in ("shared", f"components/{component}"):
        shutil.copytree(ROOT / name, folder / name, ignore=ALONE)


def as_elsewhere(folder: Path) -> None:
    """The same files with times and permissions as another checkout may have them."""
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1_000_000_000, 1_000_000_000))


def build(made: Image, reference: str, folder: Path, *, cache: bool = True) -> float:
    """Build one image from its context; seconds it took."""
    began = time.monotonic()
    arguments = ["build", "--file", str(folder / "components" / made.component / "Dockerfile"), "--tag", reference]
    for name, value in (("BASE_IMAGE", base_image()), ("VERSION", version(made.component)), ("REVISION", revision())):
        arguments += ["--build-arg", f"{name}={value}"]
    if made.target:
        arguments += ["--target", made.target]
    if not cache:
        arguments.append("--no-cache")
    if settings := os.environ.get("PIP_CONF"):
        arguments += ["--secret", f"id=pip.conf,src={Path(settings).resolve()}"]
    docker(*arguments, str(folder))
    return time.monotonic() - began


def built(made: Image, reference: str) -> float:
    """Build one image from the tree as it is; seconds it took."""
    with tempfile.TemporaryDirectory() as scratch:
        context(Path(scratch), made.component)
        return build(made, reference, Path(scratch))


def same(made: Image, reference: str, found: Sequence[str], folder: Path) -> bool:
    """Build once more without cache, and say which files differ; whether none does."""
    as_elsewhere(folder)
    second = f"{reference}-again"
    seconds = build(made, second, folder, cache=False)
    try:
        other = files(second)
        layers = image(reference)["RootFS"]["Layers"] == image(second)["RootFS"]["Layers"]
    finally:
        docker("image", "rm", "--force", second)
    differing = sorted(set(found) ^ set(other))
    for line in differing[:20]:
        print(f"  differs: {line}")
    told = "the same files" if not differing else f"{len(differing)} lines differ"
    print(f"  again in {seconds:.0f} s: sha256 {fingerprint(other)}, {told}, layers {'equal' if layers else 'differ'}")
    return not differing


def shown(made: Image, reference: str, *, twice: bool) -> bool:
    """Build one image and say what became of it; whether it is as it should be."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        context(folder, made.component)
        seconds = build(made, reference, folder)
        about, found = image(reference), files(reference)
        above = (about["Size"] - image(base_image())["Size"]) / 1e6
        print(
            f"{reference}: {above:.1f} MB above the base of {about['Size'] / 1e6 - above:.1f} MB,"
            f" user {about['Config']['User']}, {len(found)} files, sha256 {fingerprint(found)}, {seconds:.0f} s",
            flush=True,
        )
        return same(made, reference, found, folder) if twice else True


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests/images/build_images.py", description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=", ".join(i.name for i in images()) + "; all")
    parser.add_argument("--twice", action="store_true", help="build again without cache, and compare every file")
    parser.add_argument("--tag", default="latest")
    given = parser.parse_args(arguments)
    unknown = set(given.images) - {i.name for i in images()}
    if unknown:
        parser.error(f"no such image: {', '.join(sorted(unknown))}")
    chosen = [i for i in images() if not given.images or i.name in given.images]
    try:
        well = [shown(made, made.reference(given.tag), twice=given.twice) for made in chosen]
    except EngineError as e:
        print(e, file=sys.stderr)
        return 1
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
