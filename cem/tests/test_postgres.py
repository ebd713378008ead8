"""The PostgreSQL of an instance: started, stopped, and put right after whatever ended it before."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import asyncpg
import psutil
import pytest

from cem import postgres
from cem.instance import InstanceError
from tmfkit import testing
from tmfkit.database import new_id


def ask(url: str, statement: str) -> object:
    async def fetch() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(fetch())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that holds a table with a row, its server stopped."""
    path = tmp_path_factory.mktemp("instance") / "postgres"
    with postgres.server(path, None, ["one", "two"]) as databases:
        assert set(databases) == {"one", "two"}
        ask(databases["one"], "CREATE TABLE kept AS SELECT 42 AS value")
    return path


def test_the_server_stops_with_the_block_and_keeps_its_data(folder: Path) -> None:
    assert postgres.postmaster(folder) is None
    with postgres.server(folder, None, ["one", "two"]) as databases:
        assert ask(databases["one"], "SELECT value FROM kept") == 42
        assert ask(databases["two"], "SELECT to_regclass('kept')") is None
        running = postgres.postmaster(folder)
        assert running is not None
    assert postgres.postmaster(folder) is None
    assert not (folder / "postmaster.pid").exists()


def test_after_a_kill_of_the_server_the_next_start_has_what_was_committed(folder: Path) -> None:
    with postgres.server(folder, None, ["one"]) as databases:
        ask(databases["one"], "CREATE TABLE IF NOT EXISTS later AS SELECT 7 AS value")
        running = postgres.postmaster(folder)
        assert running is not None
        running.kill()
        deadline = time.monotonic() + 5.0
        while postgres.postmaster(folder) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    with postgres.server(folder, None, ["one"]) as databases:
        assert ask(databases["one"], "SELECT value FROM later") == 7


def test_a_process_id_file_that_names_another_program_stops_nobody(folder: Path) -> None:
    (folder / "postmaster.pid").write_text(
        f"{os.getpid()}\n{folder}\n{int(time.time())}\n5432\n{folder}\n\n0 0\nready\n"
    )
    assert postgres.postmaster(folder) is None
    with postgres.server(folder, None, ["one"]) as databases:
        assert ask(databases["one"], "SELECT value FROM kept") == 42
    assert psutil.Process().is_running()


def test_the_server_of_a_killed_supervisor_is_replaced(folder: Path) -> None:
    block = postgres.server(folder, None, ["one"])
    block.__enter__()  # a supervisor that is killed here never leaves the block
    first = postgres.postmaster(folder)
    with postgres.server(folder, None, ["one"]) as databases:
        second = postgres.postmaster(folder)
        assert first is not None and second is not None and first.pid != second.pid
        assert ask(databases["one"], "SELECT value FROM kept") == 42
    assert postgres.postmaster(folder) is None


def test_a_server_that_does_not_listen_to_a_soft_request_is_stopped_by_a_harder_one(folder: Path) -> None:
    with postgres.server(folder, None, ["one"]):
        running = postgres.postmaster(folder)
        assert running is not None
        running.send_signal(signal.SIGSTOP)  # hangs; only SIGKILL gets through
        started = time.monotonic()
        postgres.stop(folder, 0.2)
        assert postgres.postmaster(folder) is None
        assert time.monotonic() - started < 8.0


def test_an_external_server_gets_a_database_for_each_component_and_goes_on_running() -> None:
    name = f"cem_{new_id().replace('-', '')}"
    with postgres.server(Path("unused"), testing.server(), [name]) as databases:
        assert ask(databases[name], "SELECT current_database()") == name
    assert ask(testing.server(), f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == 1
    assert not Path("unused").exists()


def test_an_external_server_that_cannot_be_reached_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "REACH_BUDGET_S", 0.1)
    with (
        pytest.raises(InstanceError, match="PostgreSQL cannot be reached"),
        postgres.server(Path("unused"), "postgresql://nobody@127.0.0.1:9/none", ["a"]),
    ):
        pytest.fail("reached")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:5432/db", "postgresql://u:p@h:5432/other"),
        ("postgres://u:p@h/db?sslmode=require", "postgresql://u:p@h/other?sslmode=require"),
        ("postgresql+asyncpg://h", "postgresql://h/other"),
        ("postgresql://postgres:@/postgres?host=/tmp/x", "postgresql://postgres:@/other?host=/tmp/x"),
    ],
)
def test_the_url_of_another_database_differs_in_the_database_only(url: str, expected: str) -> None:
    assert postgres.database(url, "other") == expected
