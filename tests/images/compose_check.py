"""Compose for real: everything is built, brought up, told to carry one fault through the whole loop, and taken down.

    .venv/bin/python tests/images/compose_check.py [--scale full] [--seed N] [--fault KIND]

Exit code 0 only if every step happened. BASE_IMAGE, POSTGRES_IMAGE and PIP_CONF as for the images. Whatever the reason
for the end, nothing stays behind but the images.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from build_images import built, images
from docker_engine import EngineError, docker
from image_locks import ROOT

from cem.ports import free_base
from cem.suite import COMPONENTS, DEMO, DEMO_OPERATOR, LOOPBACK, PORT_BASE, named

TAG = "compose-check"
PORTS_FROM = PORT_BASE + 10_000
HARDENED = ("postgres", *(m.name for m in DEMO))
STEPS = (
    "measurement",
    "serviceLevelObjective",
    "serviceLevelViolation",
    "serviceProblem",
    "experienceScore",
    "partyRoleRiskAssessment",
    "queryProductRecommendation",
    "customer360",
)
# A small operator is made and loaded in seconds; its faults concern few customers.
TINY = {"SCALE": "tiny", "PAST_CUSTOMERS": "600", "HISTORY_WEEKS": "1", "MIN_CUSTOMERS": "1"}
FULL = {"SCALE": "full", "PAST_CUSTOMERS": "3000"}
ORDERS = {"tiny": ("3", "throughput_collapse"), "full": ("7", "random")}


class CheckFailed(Exception):
    """Something is not as it should be; the message is a sentence."""


def require(condition: bool, what: str) -> None:
    if not condition:
        raise CheckFailed(what)


def variable(name: str, suffix: str) -> str:
    return f"{name.upper().replace('-', '_')}_{suffix}"


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """A part of the check; how long it took is told when it went well."""
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.1f} s", flush=True)


class Project:
    """One Compose project with its own name, ports and passwords."""

    def __init__(self, folder: Path, scale: str) -> None:
        self.name = f"oda-cem-check-{os.getpid()}"
        self.base = free_base(LOOPBACK, [m.port for m in DEMO], PORTS_FROM)
        demo = f"http://{DEMO_OPERATOR.name}:8000/{DEMO_OPERATOR.name}"
        self.settings = {
            "AUTH_MODE": "none",
            "IMAGE_TAG": TAG,
            "POSTGRES_PASSWORD": secrets.token_hex(24),
            **{variable(m.name, "DB_PASSWORD"): secrets.token_hex(24) for m in DEMO},
            **{variable(m.name, "PORT"): str(self.base + m.port) for m in DEMO},
            **{f"{kind}_INVENTORY_URL": demo for kind in ("SERVICE", "RESOURCE", "PRODUCT")},
            **named("service-quality").environment,
            **named("experience-management").environment,
            **(TINY if scale == "tiny" else FULL),
        }
        for image in ("BASE_IMAGE", "POSTGRES_IMAGE"):
            if given := os.environ.get(image):
                self.settings[image] = given
        self._file = folder / "settings.env"
        self._lacking = folder / "lacking.env"
        self._write(self._file, self.settings)

    @staticmethod
    def _write(file: Path, settings: dict[str, str]) -> None:
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def compose(self, *arguments: str, quiet: bool = True, file: Path | None = None, apart: bool = False) -> str:
        """One Compose command on this project. Errors: EngineError."""
        where = [
            "--progress",
            "quiet",
            "--project-name",
            self.name,
            "--project-directory",
            str(ROOT),
            "--env-file",
            str(file or self._file),
        ]
        return docker("compose", *where, *arguments, quiet=quiet, without=tuple(self.settings), apart=apart)

    def container(self, service: str) -> dict[str, Any]:
        id = self.compose("--profile", "demo", "ps", "--quiet", service).strip()
        require(bool(id), f"{service} does not run.")
        found: dict[str, Any] = json.loads(docker("container", "inspect", id))[0]
        return found

    def address(self, name: str) -> str:
        """Base of a component as the machine outside reaches it."""
        return f"http://{LOOPBACK}:{self.base + named(name).port}/{name}"

    def refuses(self, lacking: str) -> None:
        """Without this setting nothing starts, and a sentence names it."""
        self._write(self._lacking, {k: v for k, v in self.settings.items() if k != lacking})
        try:
            self.compose("config", "--quiet", file=self._lacking)
        except EngineError as e:
            require(lacking in str(e), f"Compose does not name {lacking}: {e}")
        else:
            raise CheckFailed(f"Compose does without {lacking}.")

    def fails(self, *arguments: str, saying: str = "") -> bool:
        """Whether a command ends with an error that says so."""
        try:
            self.compose(*arguments)
        except EngineError as e:
            return saying in str(e)
        return False

    def down(self) -> None:
        """Take everything away, and see that it is gone."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "20", apart=True)
        mine = ["--quiet", "--filter", f"label=com.docker.compose.project={self.name}"]
        for kind, everything in (("container", ["--all"]), ("volume", []), ("network", [])):
            left = docker(kind, "ls", *everything, *mine, apart=True).split()
            require(not left, f"{kind}s left behind: {', '.join(left)}")


def guarded(project: Project, service: str) -> None:
    """A container runs as docker-compose.yml promises: healthy, without rights, on loopback, unable to write."""
    found = project.container(service)
    host = found["HostConfig"]
    require(found["State"]["Health"]["Status"] == "healthy", f"{service} is not healthy.")
    require(host["ReadonlyRootfs"], f"{service} can write to its root file system.")
    require("ALL" in host["CapDrop"], f"{service} keeps capabilities.")
    require(any("no-new-privileges" in o for o in host["SecurityOpt"]), f"{service} may gain privileges.")
    require(host["Memory"] > 0 and host["NanoCpus"] > 0 and host["PidsLimit"] > 0, f"{service} has no limits.")
    published = [each["HostIp"] for ports in (host["PortBindings"] or {}).values() for each in ports]
    require(set(published) <= {LOOPBACK}, f"{service} is published on {published}.")
    if service != "postgres":
        require(not host["CapAdd"], f"{service} is given capabilities.")
        require(re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", found["Config"]["User"]) is not None, f"{service} runs as root.")
    require(project.fails("--profile", "demo", "exec", "-T", service, "touch", "/written"), f"{service} could write.")


def separated(project: Project) -> None:
    """Each component's user reaches its own database and no other one."""
    for member in COMPONENTS:
        other = next(m for m in COMPONENTS if m is not member)
        password = project.settings[variable(member.name, "DB_PASSWORD")]
        for database, well in ((member.package, True), (other.package, False), ("postgres", False)):
            address = f"postgresql://{member.package}:{password}@127.0.0.1/{database}"
            refused = project.fails("exec", "-T", "postgres", "psql", address, "-c", "SELECT 1")
            require(refused is not well, f"{member.package} in database {database}: {'refused' if refused else 'in'}")


def loop(project: Project, seed: str, fault: str) -> None:
    """One fault by the demo operator, and its summary looked through: every step there, and none broken."""
    demo = ("--profile", "demo", "exec", "-T", DEMO_OPERATOR.name, DEMO_OPERATOR.name)
    project.compose(*demo, "once", "--seed", seed, "--fault", fault, "--json", "/tmp/loop.json", quiet=False)
    summary = json.loads(project.compose(*demo[:-1], "cat", "/tmp/loop.json"))
    steps = summary["steps"]
    require(summary.get("closed") is True, f"The loop did not close: {summary.get('notClosedBecause')}")
    require(tuple(s["step"] for s in steps) == STEPS, f"Steps: {', '.join(s['step'] for s in steps)}")
    require(not any(s.get("broken") for s in steps), "A step does not refer to the one before.")
    customer = steps[-1]["id"]
    answer = httpx.get(
        f"{project.address('customer-360')}/tmf-api/customer360/v5/customer360/{customer}", trust_env=False
    )
    require(answer.status_code == 200, f"Outside of the containers {customer} is answered with {answer.status_code}.")
    print(f"steps: {', '.join(s['step'] for s in steps)}; customer {customer} read through the published port")


def check(project: Project, seed: str, fault: str) -> None:
    with step("images built"):
        for made in images():
            built(made, made.reference(TAG))
    for lacking in ("POSTGRES_PASSWORD", "AUTH_MODE", *(variable(m.name, "DB_PASSWORD") for m in COMPONENTS)):
        project.refuses(lacking)
    print("without a password or AUTH_MODE Compose starts nothing and names it")
    with step("four components and PostgreSQL up and healthy"):
        project.compose("up", "--detach", "--wait", "--no-build")
    with step("demo operator up and healthy"):
        project.compose("--profile", "demo", "up", "--detach", "--wait", "--no-build")
    for service in HARDENED:
        guarded(project, service)
    separated(project)
    print("read-only, numeric users, no capabilities, limits, loopback; each user in its own database alone")
    training = ("exec", "-T", "churn-prediction", "churn-prediction", "train")
    require(project.fails(*training, saying="take the training image"), "What serves holds the training libraries.")
    with step("history loaded"):
        project.compose("--profile", "demo", "exec", "-T", DEMO_OPERATOR.name, DEMO_OPERATOR.name, "load", quiet=False)
    with step("model trained by the image with the training libraries"):
        train = ("run", "--rm", "-T", "training", "--wait", project.settings["PAST_CUSTOMERS"])
        project.compose("--profile", "training", *train, quiet=False)
    with step("loop"):
        loop(project, seed, fault)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests/images/compose_check.py", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=("tiny", "full"), default="tiny", help="of the demo operator's world")
    parser.add_argument("--seed", help="draws the fault")
    parser.add_argument("--fault", help="kind of the fault")
    given = parser.parse_args(arguments)
    seed, fault = ORDERS[given.scale]
    began, code = time.monotonic(), 1

    def unwind(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, unwind)
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder), given.scale)
        try:
            check(project, given.seed or seed, given.fault or fault)
            code = 0
        except (CheckFailed, EngineError, httpx.HTTPError) as e:
            print(e, file=sys.stderr, flush=True)
            with contextlib.suppress(EngineError):
                project.compose("--profile", "demo", "logs", "--no-color", "--tail", "30", quiet=False)
        finally:
            for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the way down is short, and is gone to its end
                signal.signal(sign, signal.SIG_IGN)
            try:
                with step("down, nothing left behind"):
                    project.down()
            except (CheckFailed, EngineError) as e:
                print(e, file=sys.stderr)
                code = 1
    print(f"compose-check {'passed' if code == 0 else 'FAILED'} after {time.monotonic() - began:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
