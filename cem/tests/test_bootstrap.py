"""What is done before anything is installed: the lock is read, and uv is told what pip is configured to use."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).resolve().parents[1] / "bootstrap.py"


@pytest.fixture(scope="module")
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_package_is_taken_out_of_a_lock_with_all_its_hashes(bootstrap: ModuleType) -> None:
    wanted = "uv==2.0 \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\n"
    lock = "uv-build==1.0 \\\n    --hash=sha256:0\n" + wanted + "    # via x\nz==1\n"
    assert bootstrap.pinned("uv", lock) == wanted
    with pytest.raises(SystemExit, match="does not hold nobody"):
        bootstrap.pinned("nobody", lock)


def test_the_lock_of_this_repository_holds_uv_with_hashes(bootstrap: ModuleType) -> None:
    found = bootstrap.pinned("uv", bootstrap.LOCK.read_text())
    assert re.match(r"uv==\S+ \\\n", found)
    assert found.count("--hash=sha256:") >= 2


def test_every_package_of_the_repository_is_installed(bootstrap: ModuleType) -> None:
    names = {Path(folder).name for folder in bootstrap.packages()}
    assert {"shared", "cem", "service-quality", "experience-management", "customer-360", "churn-prediction"} <= names


def test_of_pip_s_settings_the_environment_wins_over_files(bootstrap: ModuleType) -> None:
    listed = (
        "global.index-url='https://a.example/simple'\n"
        ":env:.index-url='https://b.example/simple'\n"
        "global.index-url='https://c.example/simple'\n"
        "install.trusted-host='c.example'\n"
        "download.index-url='https://d.example/simple'\n"
    )
    assert bootstrap.pip_settings(listed) == {
        "index-url": "https://b.example/simple",
        "trusted-host": "c.example",
    }


def test_uv_is_told_the_indexes_the_certificate_and_the_folders_of_pip(bootstrap: ModuleType) -> None:
    settings = {
        "index-url": "https://a.example/simple",
        "extra-index-url": "https://b.example/simple\\nhttps://c.example/simple",
        "find-links": "/wheels /more",
        "cert": "/etc/ca.pem",
        "no-index": "true",
    }
    assert bootstrap.uv_environment(settings, {}) == {
        "UV_DEFAULT_INDEX": "https://a.example/simple",
        "UV_INDEX": "https://b.example/simple https://c.example/simple",
        "UV_FIND_LINKS": "/wheels,/more",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_NO_INDEX": "1",
    }


def test_what_is_set_for_uv_itself_stays(bootstrap: ModuleType) -> None:
    told = bootstrap.uv_environment(
        {"index-url": "https://a.example/simple"},
        {"UV_DEFAULT_INDEX": "https://own.example/simple", "UV_INDEX_STRATEGY": "first-index"},
    )
    assert told == {"UV_INDEX_STRATEGY": "first-index"}


def test_it_needs_nothing_that_is_not_part_of_python() -> None:
    command = [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({str(FILE)!r})"]
    assert subprocess.run(command, capture_output=True, text=True).stderr == ""


def test_an_old_python_is_told_which_one_is_needed(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "MINIMUM", (4, 0))
    with pytest.raises(SystemExit, match=r"Python 4\.0 or newer is needed.*make PYTHON="):
        bootstrap.main()
