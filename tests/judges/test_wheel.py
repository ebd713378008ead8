"""The kit as a stranger has it: built as a wheel, alone in an empty environment, judging a component by its address."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

sys.path.insert(0, str(Path(__file__).parent))

from serving import process

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
OURS = ("tmfkit", "cem", "customer_360", "service_quality", "experience_management", "churn_prediction")


def command(*parts: str | Path) -> str:
    """What a command prints; it sees nothing of this environment and needs no network."""
    known = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")}
    known |= {"UV_OFFLINE": "1", "UV_NO_INDEX": "1", "UV_NO_CONFIG": "1"}
    done = subprocess.run([str(p) for p in parts], env=known, cwd="/", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{parts}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def needed(requirements: list[str] | None) -> set[str]:
    """The distributions that these requirements mean here, and those which they need."""
    found: set[str] = set()
    waiting = [Requirement(r) for r in requirements or []]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        waiting += [Requirement(r) for r in distribution(name).requires or []]
    return found


def copied(names: set[str], folder: Path) -> None:
    """Put the installed files of those distributions into another environment's folder of packages."""
    for name in names:
        for file in distribution(name).files or []:
            if ".." not in file.parts and file.suffix != ".pyc":
                target = folder / Path(file)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(Path(str(file.locate())), target)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    how = ("--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable)
    command(UV, "build", *how, "--out-dir", folder, ROOT / "ctk")
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it says it needs, in the locked versions, and nothing else."""
    folder = tmp_path_factory.mktemp("stranger") / "venv"
    command(UV, "venv", "--quiet", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    command(UV, "pip", "install", "--quiet", "--no-deps", "--python", python, wheel)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    (declared,) = distributions(path=[str(packages)])
    copied(needed(declared.requires), packages)
    return folder


def test_the_wheel_brings_everything_but_three_libraries(environment: Path) -> None:
    python = environment / "bin" / "python"
    command(UV, "pip", "check", "--quiet", "--python", python)
    installed = {p["name"] for p in json.loads(command(UV, "pip", "list", "--format", "json", "--python", python))}
    direct = {Requirement(r).name.lower() for r in distribution("oda-ctk").requires or []}
    assert direct == {"httpx", "jinja2", "pyyaml"}
    assert installed == {"oda-ctk"} | needed(sorted(direct))
    probe = f"import importlib.util as u; print([n for n in {OURS!r} if u.find_spec(n)])"
    assert command(python, "-c", probe).strip() == "[]"


def test_a_stranger_judges_a_running_component_by_its_address(environment: Path, tmp_path: Path) -> None:
    component = importlib.import_module("customer_360.main").component
    api = next(a for a in component.apis if a.id == "TMF629")
    with process(component) as address:
        url = address + api.path(component.base(), "v4")
        command(environment / "bin" / "ctk", "api", "TMF629", "--url", url, "--report", tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["exit_code"] == 0
    assert report["summary"]["MUST"]["pass"] > 50
    assert report["left_behind"] == report["not_deleted"] == []
    assert "Conformant" in (tmp_path / "report.html").read_text()
