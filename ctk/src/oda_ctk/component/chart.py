"""A Helm chart, rendered by the helm that is installed, and how large it is when packed."""

from __future__ import annotations

import gzip
import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from oda_ctk.component.manifest import Manifest, read

TIMEOUT_S = 120


class NoHelm(Exception):
    """There is no helm, or it could not render the chart."""


@dataclass(frozen=True)
class Rendering:
    """What helm is told."""

    helm: str = "helm"
    release: str = "ctk"
    namespace: str = "components"
    values: Sequence[Path] = ()
    sets: Sequence[str] = ()


def rendered(chart: Path, how: Rendering) -> Manifest:
    """The manifest that `helm install` would send, hooks included."""
    helm = shutil.which(how.helm)
    if helm is None:
        raise NoHelm(
            f"{chart} is a chart, and helm is not installed ({how.helm!r} is not found); install helm, name it with "
            "--helm PATH, or give what `helm template` printed"
        )
    command = [helm, "template", how.release, str(chart), "--namespace", how.namespace]
    command += [word for file in how.values for word in ("--values", str(file))]
    command += [word for pair in how.sets for word in ("--set", pair)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise NoHelm(f"{helm} could not be run: {fault}") from fault
    if done.returncode:
        raise NoHelm(f"helm template ended with {done.returncode}: {done.stderr.strip()[:800]}")
    documents = read(done.stdout, str(chart))
    return Manifest(documents, str(chart), how.release, packed_bytes(chart), chart=True)


def packed_bytes(chart: Path) -> int:
    """Bytes of the packed chart: what Helm keeps in a Secret of the release, with the manifest."""
    if chart.is_file():
        return chart.stat().st_size
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        for file in _kept(chart):
            tar.add(file, str(Path(chart.name) / file.relative_to(chart)))
    return len(packed.getvalue())


def _kept(chart: Path) -> Iterator[Path]:
    """The files that .helmignore leaves in the chart."""
    ignore = chart / ".helmignore"
    lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    for file in sorted(chart.rglob("*")):
        inside = file.relative_to(chart)
        places = [inside, *list(inside.parents)[:-1]]
        if file.is_file() and not any(_ignored(place, place != inside, patterns) for place in places):
            yield file


def _ignored(place: Path, folder: bool, patterns: Sequence[str]) -> bool:
    """As in .gitignore, but without **: the last pattern that fits decides, and ! takes it back."""
    out = False
    for pattern in patterns:
        back = pattern.startswith("!")
        bare = pattern.lstrip("!")
        if bare.endswith("/") and not folder:
            continue
        bare = re.sub(r"/$", "", bare)
        name = str(place) if "/" in bare else place.name
        if fnmatch(name, bare.lstrip("/")):
            out = not back
    return out
