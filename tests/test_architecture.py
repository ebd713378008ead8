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
CLOCK = r"(datetime|date)\.(now|utcnow|today)|time\.(time|time_ns|monotonic|perf_counter|sleep)|localtime|gmtime"
FILES = r"open|input|print|(.*\.)?(read_text|write_text|read_bytes|write_bytes|urlopen)|os\.(getenv|environ.*|urandom)"
CHANCE = r"random\.[a-z]\w*|(np|numpy)\.random\.(?!default_rng)[a-z]\w*|(.*\.)?uuid[14]|secrets\..*"
SEEDED = r"random\.Random|(.*\.)?(default_rng|Philox|PCG64|SeedSequence)"


def modules() -> Iterator[Path]:
    for source in SOURCES:
        yield from (p for p in sorted(source.rglob("*.py")) if "migrations" not in p.parts)


def test_imports_run_one_way() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def impure(source: str) -> Iterator[tuple[int, str]]:
    """Calls of a module that have no place in the workshop: a clock, a file, or chance that nobody can repeat."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if re.fullmatch(f"{CLOCK}|{FILES}|{CHANCE}", called):
                yield node.lineno, called
            if re.fullmatch(SEEDED, called) and not node.args and not node.keywords:
                yield node.lineno, f"{called} without a seed"


def test_the_workshop_knows_no_clock_no_file_and_no_chance() -> None:
    domains = [path for path in modules() if "domain" in path.parts]
    assert len(domains) > 20
    found = [f"{p.relative_to(ROOT)}:{line} {called}" for p in domains for line, called in impure(p.read_text())]
    assert found == []


def test_a_clock_a_file_and_chance_are_found_out() -> None:
    guilty = [
        "datetime.now(UTC)", "date.today()", "time.time()", "time.monotonic()", "open('x')", "Path('x').read_text()",
        "random.random()", "random.Random()", "np.random.rand(3)", "np.random.default_rng()", "uuid.uuid4()",
        "print(1)",
    ]  # fmt: skip
    innocent = ["random.Random(7)", "np.random.default_rng(seed)", "datetime(2026, 1, 1)", "rng.random()", "reopen(1)"]
    assert [line for line, _ in impure("\n".join([*guilty, *innocent]))] == list(range(1, len(guilty) + 1))


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


WATCHED = '''
import importlib, os, sys

names, ours = sys.argv[1].split(), tuple(sys.argv[2].split())
found = []


def by_us():
    """Whether one of our modules is at work: before the importing of anything, from the innermost frame out."""
    frame = sys._getframe(2)
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        if frame.f_globals.get("__name__", "").split(".")[0] in ours:
            return True
        frame = frame.f_back
    return False


def watched(name):
    def read(self, *args):
        of_pydantic = args and str(args[0]).startswith("PYDANTIC_")  # asked whenever a model is declared
        if by_us() and not of_pydantic:
            found.append(f"{importing} reads the environment ({name} {args})")
        return getattr(dict, name)(self, *args)
    return read


READING = ("__getitem__", "get", "__contains__", "__iter__", "keys", "items", "values", "copy", "__len__", "__or__")
Environment = type("Environment", (dict,), {name: watched(name) for name in READING})
EVERYBODY = ("socket.connect", "socket.bind", "socket.sendto", "subprocess.Popen", "os.system", "os.mkdir", "os.remove")


def audit(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if event in EVERYBODY or writes or (event == "open" and by_us()):
        found.append(f"{importing}: {event} {args}")


sys.dont_write_bytecode = True
os.environ = Environment()
importing = ""
sys.addaudithook(audit)
for importing in names:
    importlib.import_module(importing)
print(len(names))
print("\\n".join(found), end="")
'''


def watched_import(names: list[str], *, beside: Path | None = None) -> list[str]:
    """What these modules read and open while they are imported in a fresh interpreter with an empty environment."""
    ours = sorted({name.split(".")[0] for name in names})
    env = {"PYTHONPATH": str(beside)} if beside else {}
    command = [sys.executable, "-B", "-c", WATCHED, " ".join(names), " ".join(ours)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    count, *found = done.stdout.splitlines()
    assert int(count) == len(names)
    return found


def test_importing_reads_no_environment_and_opens_nothing() -> None:
    names = []
    for source in SOURCES:
        for path in sorted(source.rglob("*.py")):
            if "migrations" in path.parts or path.stem == "__main__":
                continue
            parts = path.relative_to(source).with_suffix("").parts
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    assert len(names) > 100
    assert watched_import(names) == []


def test_what_reads_or_opens_while_it_is_imported_is_found_out(tmp_path: Path) -> None:
    guilty = {
        "asks": "import os\nHOME = os.getenv('HOME')",
        "takes": "import os\nPATH = os.environ.get('PATH')",
        "looks": "import os\nLOCAL = 'LOCAL' in os.environ",
        "copies": "import os\nALL = dict(os.environ.items())",
        "settles": "from tmfkit import Settings\nS = Settings(database_url='postgresql://x/y')",
        "reads": "from pathlib import Path\nTEXT = Path(__file__).read_text()",
        "writes": "import tempfile\nFILE = tempfile.TemporaryFile('w')",
        "calls": "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))",
        "starts": "import subprocess\nsubprocess.run(['true'], check=False)",
    }
    innocent = "import os\ndef later() -> str:\n    return os.environ['HOME'] + open('x').read()"
    for name, text in [*guilty.items(), ("waits", innocent)]:
        (tmp_path / f"{name}.py").write_text(text)
    found = watched_import([*guilty, "waits"], beside=tmp_path)
    assert {line.split(":")[0].split(" ")[0] for line in found} == set(guilty)
