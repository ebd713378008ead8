"""What the person in front of the screen sees. On a terminal with colour and motion, in a pipe plain lines."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

PIPE_WIDTH = 140
TOLD_EVERY_S = 5.0


class Screen:
    """Lines, phases with their time, tables, progress. `timings` collects how long each phase took, in seconds."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = PIPE_WIDTH
        self.timings: dict[str, float] = {}

    def line(self, text: str, style: str | None = None) -> None:
        self.console.print(text, style=style, markup=False, soft_wrap=True)

    def trouble(self, text: str, tail: Sequence[str] = ()) -> None:
        """Something went wrong: a sentence, and the end of a log."""
        self.line(text, "bold red")
        for line in tail:
            self.line(f"  | {line}", "dim")

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A part of the run that is timed; its end is told when it went well."""
        started = time.monotonic()
        yield
        self.timings[name] = time.monotonic() - started
        self.line(f"{name}: {self.timings[name]:.1f} s", "dim")

    @contextlib.contextmanager
    def progress(self, name: str, total: int | None) -> Iterator[Bar]:
        """Counted work; in a pipe it is told every few seconds."""
        if not self.console.is_terminal:
            yield Bar(self, name, total, None)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            yield Bar(self, name, total, progress)

    def addresses(self, rows: Sequence[tuple[str, str, Mapping[str, Sequence[str]]]]) -> None:
        """Member, its base address, and below it the APIs it serves with their versions."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        for name, base, apis in rows:
            table.add_row(escape(name), escape(base), style="bold")
            table.add_row("", ", ".join(f"{escape(api)}/{'+'.join(versions)}" for api, versions in apis.items()))
        self.console.print(table)
        self.line("APIs below /tmf-api of each address; also there: /docs, /metrics, /health/ready", "dim")


class Bar:
    """Progress of one counted piece of work."""

    def __init__(self, screen: Screen, name: str, total: int | None, progress: Progress | None) -> None:
        self._screen, self._name, self._total, self._progress = screen, name, total, progress
        self._task = progress.add_task(escape(name), total=total) if progress else None
        self._told_at = time.monotonic()
        self.done = 0

    def reach(self, done: int) -> None:
        """So much is done now, counted from the beginning."""
        self.done = done
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done)
        elif time.monotonic() - self._told_at >= TOLD_EVERY_S:
            self._told_at = time.monotonic()
            of = f" of {self._total:,}" if self._total is not None else ""
            self._screen.line(f"{self._name}: {done:,}{of}", "dim")

    def add(self, more: int) -> None:
        self.reach(self.done + more)
