"""One instance at a time in a folder. What a killed one leaves behind is found and ended: that, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cem.instance import Instance, InstanceError, Process, Record

SUPERVISOR = """
import asyncio, pathlib, signal, sys
from cem.instance import Instance
from cem.processes import Group

async def supervise(instance):
    group = Group(instance.add)
    await group.start("child", [sys.executable, "-c", "import time; time.sleep(120)"], {}, instance.log / "child.log")
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    print(group.children[0].process.pid, flush=True)
    await told.wait()
    await group.stop(5.0)

instance = Instance(pathlib.Path(sys.argv[1]))
with instance.claimed("test"):
    asyncio.run(supervise(instance))
"""

SLEEPS = (sys.executable, "-c", "import time; time.sleep(120)")


@contextmanager
def supervisor(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A supervising process with one child; the child's process id."""
    command = [sys.executable, "-c", SUPERVISOR, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEPS) as process:
        try:
            yield process
        finally:
            process.kill()


def gone(pid: int, budget_s: float = 5.0) -> bool:
    deadline = time.monotonic() + budget_s
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def left(folder: Path, process: Process) -> Instance:
    """A folder in which a killed supervisor has left the record of a process."""
    instance = Instance(folder)
    instance.record = Record(2**22 + 1, 0.0, "test", processes=[process])
    folder.mkdir(exist_ok=True)
    instance.write()
    return instance


def test_a_second_instance_in_the_same_folder_is_refused_with_the_process_of_the_first(tmp_path: Path) -> None:
    with supervisor(tmp_path) as (first, _):
        with (
            pytest.raises(InstanceError, match=f"running in .* already .process {first.pid}"),
            Instance(tmp_path).claimed("test"),
        ):
            pytest.fail("both have it")
        record = Instance(tmp_path).running()
        assert record is not None and record.pid == first.pid


def test_an_instance_that_ended_well_leaves_no_record_and_the_folder_is_free(tmp_path: Path) -> None:
    with Instance(tmp_path).claimed("test"):
        assert (tmp_path / "instance.json").exists()
    assert not (tmp_path / "instance.json").exists()
    assert Instance(tmp_path).running() is None
    with Instance(tmp_path).claimed("again") as record:
        assert record.mode == "again"


def test_the_child_of_a_killed_supervisor_is_ended_by_the_next_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with supervisor(tmp_path) as (first, child):
        first.kill()
        first.wait()
        assert psutil.pid_exists(child)
        assert Instance(tmp_path).running() is None
        with Instance(tmp_path).claimed("test"):
            assert gone(child)
        assert f"ended child (process {child})" in capsys.readouterr().err


def test_stopping_reaches_a_living_supervisor_and_waits_until_its_child_is_gone_too(tmp_path: Path) -> None:
    with supervisor(tmp_path) as (first, child):
        assert Instance(tmp_path).stop()
        assert first.wait(5) == 0
        assert gone(child)
    assert not Instance(tmp_path).stop()


def test_stopping_after_a_kill_ends_what_was_left(tmp_path: Path) -> None:
    with supervisor(tmp_path) as (first, child):
        first.kill()
        first.wait()
        assert Instance(tmp_path).stop()
        assert gone(child)


def test_stopping_where_nothing_ever_ran_makes_no_folder(tmp_path: Path) -> None:
    assert not Instance(tmp_path / "none").stop()
    assert not (tmp_path / "none").exists()


def test_a_process_that_was_given_the_same_id_later_is_let_be(tmp_path: Path) -> None:
    with sleeper() as other:
        known = Process.of("child", other.pid, SLEEPS)
        instance = left(tmp_path, replace(known, started=known.started - 100))
        assert not instance.stop()
        assert other.poll() is None
        assert known.found() is not None


def test_a_process_with_another_command_is_let_be(tmp_path: Path) -> None:
    with sleeper() as other:
        instance = left(tmp_path, Process.of("child", other.pid, (sys.executable, "-m", "customer_360", "serve")))
        assert not instance.stop()
        assert other.poll() is None


def test_a_record_that_cannot_be_read_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "instance.json").write_text('{"pid": 1')
    assert Instance(tmp_path).read() is None
    with Instance(tmp_path).claimed("test") as record:
        assert record.pid == os.getpid()


def test_the_record_can_be_read_by_its_owner_only_because_it_holds_addresses_with_passwords(tmp_path: Path) -> None:
    with Instance(tmp_path).claimed("test"):
        assert stat.S_IMODE((tmp_path / "instance.json").stat().st_mode) == 0o600


def test_the_record_holds_what_others_need_to_know(tmp_path: Path) -> None:
    with supervisor(tmp_path) as (first, child):
        told = json.loads((tmp_path / "instance.json").read_text())
        assert told["pid"] == first.pid
        assert told["processes"][0]["pid"] == child
        first.send_signal(signal.SIGTERM)
        assert first.wait(10) == 0
