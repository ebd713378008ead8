"""Child processes, real ones: what they say is kept, what dies is told, and nothing outlives its group."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from cem.instance import Process
from cem.processes import Child, Group, ending

READY = "import signal, sys, time\nsys.stdout.write('ready\\n')\nsys.stdout.flush()\n"
WAITS = READY + "time.sleep(60)"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WAITS
PARENT = (
    "import subprocess, sys, time\n"
    "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print(p.pid, flush=True)\n"
    "time.sleep(60)"
)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def said(child: Child, budget_s: float = 10.0) -> str:
    """The first line of a child's log."""
    deadline = time.monotonic() + budget_s
    while not (lines := child.tail()):
        assert time.monotonic() < deadline, "the child has said nothing"
        await asyncio.sleep(0.02)
    return lines[0]


def with_group(work: Callable[[Group, list[Process]], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        recorded: list[Process] = []
        group = Group(recorded.append)
        try:
            await work(group, recorded)
        finally:
            await group.stop(1.0)

    asyncio.run(all_of_it())


def test_what_a_child_says_is_in_its_log_and_the_log_before_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "log" / "child.log"

    async def work(group: Group, _: list[Process]) -> None:
        for word in ("first", "second"):
            child = await group.start("child", python(f"print('{word}')"), {}, log)
            await child.process.wait()

    with_group(work)
    assert log.read_text() == "second\n"
    assert log.with_suffix(".log.1").read_text() == "first\n"


def test_a_child_has_the_environment_it_is_given_on_top_of_ours(tmp_path: Path) -> None:
    async def work(group: Group, _: list[Process]) -> None:
        code = "import os; print(os.environ['GIVEN'], 'PATH' in os.environ)"
        child = await group.start("child", python(code), {"GIVEN": "here"}, tmp_path / "a.log")
        await child.process.wait()
        assert child.tail() == ["here True"]

    with_group(work)


def test_a_child_that_ends_is_told_with_its_exit_code_and_its_last_lines(tmp_path: Path) -> None:
    async def work(group: Group, _: list[Process]) -> None:
        await group.start("steady", python(WAITS), {}, tmp_path / "a.log")
        code = "print('\\n'.join(str(i) for i in range(100)), flush=True); raise SystemExit(3)"
        child = await group.start("frail", python(code), {}, tmp_path / "b.log")
        await child.process.wait()
        died = child.died()
        assert str(died) == "frail ended: exit code 3."
        assert died.tail == [str(i) for i in range(75, 100)]

    with_group(work)


def test_a_killed_child_is_told_by_the_name_of_the_signal() -> None:
    assert ending(-9) == "killed by SIGKILL"
    assert ending(0) == "exit code 0"


def test_a_group_stops_its_last_child_before_the_others(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    sys.stdout.write(f'{time.time()}\\n'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
    ) + WAITS

    async def work(group: Group, _: list[Process]) -> None:
        children = [await group.start(f"c{i}", python(code), {}, tmp_path / f"{i}.log") for i in range(3)]
        for child in children:
            assert await said(child) == "ready"
        assert await group.stop(5.0) == []
        ended = [float(child.tail()[-1]) for child in children]
        assert ended[2] < min(ended[:2])
        assert [child.process.returncode for child in children] == [0, 0, 0]

    with_group(work)


def test_a_child_that_does_not_end_in_time_is_killed_and_named(tmp_path: Path) -> None:
    async def work(group: Group, _: list[Process]) -> None:
        child = await group.start("stubborn", python(STUBBORN), {}, tmp_path / "a.log")
        await said(child)
        started = time.monotonic()
        assert await group.stop(1.0) == ["stubborn"]
        assert time.monotonic() - started < 5.0
        assert not alive(child.process.pid)

    with_group(work)


def test_what_a_child_has_started_ends_with_it(tmp_path: Path) -> None:
    async def work(group: Group, _: list[Process]) -> None:
        child = await group.start("parent", python(PARENT), {}, tmp_path / "a.log")
        grandchild = int(await said(child))
        assert alive(grandchild)
        await group.stop(2.0)
        deadline = time.monotonic() + 5.0
        while alive(grandchild) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        assert not alive(grandchild)

    with_group(work)


def test_every_process_that_is_started_is_recorded_with_its_start_time(tmp_path: Path) -> None:
    async def work(group: Group, recorded: list[Process]) -> None:
        child = await group.start("child", python(WAITS), {}, tmp_path / "a.log")
        await said(child)
        await group.finished("command", python("print('done')"), {}, lambda line: None)
        assert [p.name for p in recorded] == ["child", "command"]
        assert recorded[0].pid == child.process.pid
        found = recorded[0].found()
        assert found is not None and found.pid == child.process.pid
        assert recorded[1].found() is None

    with_group(work)


def test_a_command_is_heard_line_by_line_and_its_exit_code_is_told() -> None:
    async def work(group: Group, _: list[Process]) -> None:
        lines: list[str] = []
        code = "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('x' * 200_000)\nsys.exit(4)"
        assert await group.finished("command", python(code), {}, lines.append) == 4
        assert sorted(line[:3] for line in lines) == ["one", "two", "xxx"]
        assert max(len(line) for line in lines) == 200_000

    with_group(work)


def test_a_command_that_is_no_longer_wanted_is_ended() -> None:
    async def work(group: Group, recorded: list[Process]) -> None:
        heard = asyncio.Event()
        running = asyncio.create_task(group.finished("command", python(WAITS), {}, lambda line: heard.set()))
        await asyncio.wait_for(heard.wait(), 10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not alive(recorded[0].pid)

    with_group(work)


def test_a_child_leads_a_session_so_that_ctrl_c_in_our_terminal_does_not_reach_it(tmp_path: Path) -> None:
    async def work(group: Group, _: list[Process]) -> None:
        child = await group.start("child", python(WAITS), {}, tmp_path / "a.log")
        await said(child)
        assert os.getsid(child.process.pid) == child.process.pid != os.getsid(0)

    with_group(work)
