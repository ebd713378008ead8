"""Our components as the judges meet them: each a process of its own on a fresh database, behind a real socket."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError

from cem.ports import free_base
from cem.suite import DEMO, LOOPBACK, Member
from tmfkit import Api, Component, TmfError
from tmfkit.base import forms_of
from tmfkit.query import model_fields, unwrapped
from tmfkit.samples import body
from tmfkit.testing import Case, fresh_database, local_settings
from tmfkit.types import Document
from tmfkit.write import normal

FIRST_PORT = 18900
PATIENCE_S = 120.0


def components(members: Iterable[Member] = DEMO) -> list[Component]:
    """The components of the suite; all of them with the operator's other systems that the demo stands for."""
    return [importlib.import_module(f"{member.package}.main").component for member in members]


@dataclass(frozen=True)
class Served:
    """One API in one version, and the component that serves it."""

    component: Component
    api: Api
    version: str

    @property
    def path(self) -> str:
        return self.api.path(self.component.base(), self.version)

    def __str__(self) -> str:
        name = self.api.name if self.api.id == "own" else self.api.id
        return f"{name} {self.version} {self.component.name}"


def served(among: list[Component] | None = None) -> list[Served]:
    """Every API in every version that is served."""
    found = components() if among is None else among
    return [Served(c, api, version) for c in found for api in c.apis for version in api.versions]


@contextlib.contextmanager
def process(component: Component, database_url: str | None = None, **environment: str) -> Iterator[str]:
    """Start a component without security, on an empty database or the given one; its address, up to the port."""
    port = free_base(LOOPBACK, [0], FIRST_PORT + os.getpid() % 997, 1)
    address = f"http://{LOOPBACK}:{port}"
    with tempfile.TemporaryFile() as log:
        running = subprocess.Popen(
            [sys.executable, "-m", component.package, "serve"],
            env={
                **os.environ,
                "DATABASE_URL": database_url or fresh_database(component),
                "AUTH_MODE": "none",
                "PORT": str(port),
                "PUBLIC_URL": address,
                "LOG_LEVEL": "WARNING",
                "OPENBLAS_NUM_THREADS": "1",
                "CALLBACK_ALLOW": '["127.0.0.0/8", "::1"]',
                **environment,
            },
            stdout=log,
            stderr=log,
        )
        try:
            _until_ready(address, running)
            yield address
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace")[-4000:])
            raise
        finally:
            running.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(15)
            if running.poll() is None:
                running.kill()
                running.wait()


def _until_ready(address: str, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if running.poll() is not None:
            raise RuntimeError(f"it ended with {running.returncode} before it was ready")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{address}/health/ready").status_code == 200:
                return
        time.sleep(0.2)
    raise RuntimeError(f"it is not ready after {PATIENCE_S:.0f} s")


async def filled(
    component: Component, url: str, wanted: Sequence[Case], seeds: Iterable[int], *, full: bool = True
) -> dict[str, list[str]]:
    """Documents as the component itself writes them, for what clients may not create: path -> ids."""
    found: dict[str, list[str]] = defaultdict(list)
    if not wanted:
        return {}
    async with component.running(local_settings(component, database_url=url)) as ctx:
        for case in wanted:
            for seed in seeds:
                doc = case.view.up(body(case.form, seed, full=full))
                if case.view.stored:
                    try:
                        doc = normal(case.view.model, {**doc, "id": "x", "href": "x"})
                    except TmfError:  # a rule between attributes that the sample does not know of
                        continue
                if case.view.version != "v4":
                    doc = classed(case.view.model, doc)
                doc = {k: v for k, v in doc.items() if k not in ("id", "href")}
                async with ctx.transaction() as tx:
                    written = await tx[case.view.resource.model].insert(doc)
                found[case.path].append(str(written["id"]))
    return dict(found)


def classed(model: type[BaseModel], doc: Document) -> Document:
    """A document with the class of everything that is in it: @type is mandatory at every level of the v5 files."""
    out = dict(doc)
    for name, info in model_fields(model).items():
        kind, _, _ = unwrapped(info.annotation)
        if name in out and isinstance(kind, type) and issubclass(kind, BaseModel):
            found = out[name]
            out[name] = [_named(kind, one) for one in found] if isinstance(found, list) else _named(kind, found)
    return out


def _named(model: type[BaseModel], value: Any) -> Any:
    """Of a choice of forms the first that the value fits, else the model itself."""
    if not isinstance(value, dict):
        return value
    for name, form in [*forms_of(model).items(), (model.__name__, model)]:
        with contextlib.suppress(ValidationError):
            named = classed(form, {"@type": name, **value})
            model.model_validate(named)
            return named
    return value


def ended_by_signals() -> None:
    """A judge that is told to end takes the processes with it that it started."""
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, lambda number, _: sys.exit(128 + number))


def cache_folder() -> Path:
    """Where what is installed for the judges lies, outside of the repository."""
    given = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(given) if given else Path.home() / ".cache") / "oda-cem" / "judges"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
