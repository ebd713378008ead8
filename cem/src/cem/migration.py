"""`cem migration`: the next migration of a component, by comparing its tables with a database made for that."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from cem import postgres
from cem.instance import InstanceError
from cem.suite import DEMO, named


def revise(component: str, message: str) -> int:
    """Write the migration into the component's sources; the exit code of the component's own command."""
    if component not in {m.name for m in DEMO} or not message:
        names = ", ".join(m.name for m in DEMO)
        raise InstanceError(f"A component ({names}) and a message are needed: COMPONENT=... MESSAGE=...")
    package = named(component).package
    with (
        tempfile.TemporaryDirectory(prefix="cem-migration-") as folder,
        postgres.server(Path(folder), None, [package]) as databases,
    ):
        command = [sys.executable, "-m", package, "revision", "--message", message]
        return subprocess.run(command, env={**os.environ, "DATABASE_URL": databases[package]}).returncode
