"""Rules that no compiler holds: who may import whom, what the workshop may not touch, how things are called."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = [ROOT / "shared/src", ROOT / "cem/src", *sorted((ROOT / "components").glob("*/src"))]
IMPURE = {"datetime.now", "datetime.utcnow", "time.time", "time.monotonic", "random.random", "os.environ", "os.getenv"}


def modules() -> Iterator[Path]:
    for source in SOURCES:
        yield from (p for p in sorted(source.rglob("*.py")) if "migrations" not in p.parts)


def test_imports_run_one_way() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workshop_knows_no_clock_no_file_and_no_chance() -> None:
    found = []
    for path in modules():
        if "domain" not in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called == "open" or any(called.endswith(name) for name in IMPURE):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {called}")
                if called.endswith("default_rng") and not node.args:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {called} without a seed")
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(p.relative_to(ROOT))
        for p in modules()
        if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert silent == []


def test_names_are_names_of_things() -> None:
    vague = re.compile(r"(^|_)(utils?|helpers?|managers?|common|misc)(_|$)")
    assert [str(p.relative_to(ROOT)) for p in modules() if vague.search(p.stem)] == []


def test_nothing_is_left_for_later() -> None:
    words = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|NotImplemented" + r"Error)\b")
    found = []
    for path in [*modules(), *sorted((ROOT / "tests").glob("*.py"))]:
        found += [
            f"{path.relative_to(ROOT)}:{n}" for n, t in enumerate(path.read_text().splitlines(), 1) if words.search(t)
        ]
    assert found == []


def test_importing_reads_no_environment_and_opens_nothing() -> None:
    names = []
    for source in SOURCES:
        for path in sorted(source.rglob("*.py")):
            if "migrations" in path.parts or path.stem == "__main__":
                continue
            parts = path.relative_to(source).with_suffix("").parts
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    code = f"""
import importlib, os, sys
names = {names!r}
ours = tuple(sorted({{n.split(".")[0] + "." for n in names}}))

def asked_by_us(depth=2):
    frames = [sys._getframe(depth), sys._getframe(depth + 1)]  # the caller, or the caller of os.getenv
    return any((f.f_globals.get("__name__", "") + ".").startswith(ours) for f in frames)

class Environment(dict):
    def __getitem__(self, key):
        if asked_by_us():
            raise RuntimeError(f"reads {{key}}")
        raise KeyError(key)

    def get(self, key, default=None):
        if asked_by_us():
            raise RuntimeError(f"reads {{key}}")
        return default

def audit(event, args):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen"):
        raise RuntimeError(f"{{event}} {{args}}")
    if event == "open" and isinstance(args[1], str) and ("w" in args[1] or "a" in args[1]):
        raise RuntimeError(f"writes {{args[0]}}")

sys.dont_write_bytecode = True
os.environ = Environment()
sys.addaudithook(audit)
for name in names:
    importlib.import_module(name)
print(len(names))
"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], env={"PATH": "/usr/bin"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[0]) == len(names) > 100
