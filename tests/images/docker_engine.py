"""The container engine's command line, and what is asked of it about an image."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
from collections.abc import Sequence
from typing import IO, Any, cast

NICE = ["nice", "-n", "15"]  # a build takes the machine as long as nobody else wants it


class EngineError(Exception):
    """The engine did not do what it was told; the message is a sentence."""


def docker(*arguments: str, quiet: bool = True, without: Sequence[str] = (), apart: bool = False) -> str:
    """Run one docker command to its end; what it printed (nothing if not quiet). `without`: variables of the
    environment that it is not to see; `apart`: Ctrl-C does not reach it. Errors: EngineError."""
    environment = {k: v for k, v in os.environ.items() if k not in without} | {"DOCKER_BUILDKIT": "1"}
    try:
        done = subprocess.run(
            [*NICE, "docker", *arguments],
            capture_output=quiet,
            text=True,
            check=False,
            env=environment,
            start_new_session=apart,
        )
    except FileNotFoundError as e:
        raise EngineError("There is no docker here: install Docker Engine with Compose v2.") from e
    if done.returncode:
        told = "\n".join((done.stderr or "").splitlines()[-25:])
        raise EngineError(f"docker {' '.join(arguments[:3])} ... ended with {done.returncode}\n{told}".rstrip())
    return done.stdout or ""


def image(name: str) -> dict[str, Any]:
    """What the engine knows of an image. Errors: EngineError if it is not there."""
    return cast("dict[str, Any]", json.loads(docker("image", "inspect", name))[0])


def entries(stream: IO[bytes]) -> list[str]:
    """One line per file of a tar stream: path, kind, mode, owner, group, link, sha256 of the content; sorted."""
    lines = []
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            digest = hashlib.file_digest(cast("Any", content), "sha256").hexdigest() if content else "-"
            kind = member.type.decode("ascii")
            owner = f"{member.uid}:{member.gid}"
            lines.append(f"{member.name} {kind} {member.mode:o} {owner} {member.linkname} {digest}")
    return sorted(lines)


def files(name: str) -> list[str]:
    """The same of all files of an image, those of its base included."""
    container = docker("create", name).strip()
    try:
        with subprocess.Popen([*NICE, "docker", "export", container], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            found = entries(process.stdout)
        if process.returncode:
            raise EngineError(f"docker export of {name} ended with {process.returncode}.")
    finally:
        docker("rm", "--force", container)
    return found


def fingerprint(lines: Sequence[str]) -> str:
    """sha256 over the lines of `files`."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
