"""What is seen in a pipe: plain lines, nothing that moves, nothing cut."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from cem.screen import Screen


@pytest.fixture
def told() -> StringIO:
    return StringIO()


@pytest.fixture
def screen(told: StringIO) -> Screen:
    return Screen(Console(file=told, highlight=False))


def test_a_line_is_shown_as_it_is_however_long_and_with_brackets(screen: Screen, told: StringIO) -> None:
    text = "[bold]not markup[/bold] " + "x" * 500
    screen.line(text, "dim")
    assert told.getvalue() == text + "\n"


def test_a_phase_is_timed_and_told_at_its_end(screen: Screen, told: StringIO) -> None:
    with screen.phase("model trained"):
        assert told.getvalue() == ""
    assert told.getvalue() == f"model trained: {screen.timings['model trained']:.1f} s\n"


def test_a_phase_that_fails_is_not_told_as_done(screen: Screen, told: StringIO) -> None:
    with pytest.raises(ValueError, match="no"), screen.phase("model trained"):
        raise ValueError("no")
    assert told.getvalue() == ""
    assert screen.timings == {}


def test_progress_in_a_pipe_is_told_every_few_seconds_only(
    screen: Screen, told: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    with screen.progress("customers", 7043) as bar:
        for _ in range(1000):
            bar.add(1)
        assert told.getvalue() == ""
        monkeypatch.setattr("cem.screen.TOLD_EVERY_S", 0.0)
        bar.add(500)
    assert told.getvalue() == "customers: 1,500 of 7,043\n"


def test_the_table_of_addresses_names_each_api_with_its_versions(screen: Screen, told: StringIO) -> None:
    base = "http://127.0.0.1:8633/customer-360"
    screen.addresses([("customer-360", base, {"customerManagement": ["v4", "v5"], "customer360": ["v5"]})])
    shown = told.getvalue()
    assert base in shown
    assert "customerManagement/v4+v5, customer360/v5" in shown
    assert "/docs" in shown and "/metrics" in shown


def test_trouble_shows_the_end_of_the_log(screen: Screen, told: StringIO) -> None:
    screen.trouble("customer-360 ended: exit code 1.", ["Traceback", "ValueError: [no]"])
    assert told.getvalue() == "customer-360 ended: exit code 1.\n  | Traceback\n  | ValueError: [no]\n"
