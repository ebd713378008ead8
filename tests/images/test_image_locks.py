"""Each image holds what its component declares, in the versions and hashes that everything was tested with."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

sys.path.insert(0, str(Path(__file__).parent))  # its neighbours are scripts

from image_locks import ROOT_LOCK, Lock, locks

LOCKS = [pytest.param(lock, id=f"{lock.path.parent.name}/{lock.path.name}") for lock in locks()]
TRAINING_LIBRARIES = {"scikit-learn", "scipy", "joblib", "threadpoolctl"}
ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)((?:[^\n]*\\\n)*[^\n]*)", re.M)


@cache
def pinned(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Name -> version and hashes of a lock file."""
    return {
        canonicalize_name(name): (version, frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", rest)))
        for name, version, rest in ENTRY.findall(path.read_text())
    }


def needed(wanted: tuple[str, ...], *, everywhere: bool) -> set[str]:
    """Names of what these requirements lead to, by the metadata of what is installed: all that may ever be needed
    (`everywhere`), or what is needed on this machine."""
    found: set[str] = set()
    todo = [(Requirement(text), "") for text in wanted]
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement, of_extra = todo.pop()
        marker = requirement.marker
        if marker is not None:
            extra_only = "extra" in str(marker)
            if extra_only and not marker.evaluate({"extra": of_extra}) and not (everywhere and of_extra):
                continue
            if not extra_only and not everywhere and not marker.evaluate():
                continue
        name = canonicalize_name(requirement.name)
        found.add(name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                try:
                    todo += [(Requirement(text), extra) for text in requires(name) or ()]
                except PackageNotFoundError:  # not for this machine
                    continue
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_an_image_gets_the_versions_and_hashes_of_the_root_lock(lock: Lock) -> None:
    root = pinned(ROOT_LOCK)
    entries = pinned(lock.path)
    assert entries
    for name, (version, hashes) in entries.items():
        assert hashes, name
        assert (version, hashes) == root[name], f"{name}: make image-locks"


@pytest.mark.parametrize("lock", LOCKS)
def test_an_image_gets_all_that_its_pyproject_files_lead_to(lock: Lock) -> None:
    assert needed(lock.wanted, everywhere=False) <= pinned(lock.path).keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_an_image_gets_nothing_else(lock: Lock) -> None:
    assert pinned(lock.path).keys() <= needed(lock.wanted, everywhere=True)


def test_only_training_gets_the_training_libraries() -> None:
    for lock in locks():
        expected = TRAINING_LIBRARIES if lock.path.name == "requirements-training.lock" else set()
        assert TRAINING_LIBRARIES & pinned(lock.path).keys() == expected, lock.path
    assert pinned(next(lock.path for lock in locks() if lock.path.name == "requirements-training.lock"))
