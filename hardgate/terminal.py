"""How progress looks: bars on a terminal, plain lines elsewhere. Always on standard error."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from hardgate import progress

QUIET = 10.0  # seconds between two plain lines of one step


class Bars:
    """One line per stage that is done, and one moving bar per step under way."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._steps: dict[str, TaskID] = {}
        self._guard = threading.Lock()

    def entered(self, stage: str, *, reused: bool) -> None:
        """Print the stage's name above the bars."""
        remark = "  up to date" if reused else ""
        self._bars.console.print(f"[bold]{stage}[/bold][dim]{remark}[/dim]", highlight=False)

    def started(self, step: str, total: int | None) -> None:
        """Add a bar."""
        with self._guard:
            self._steps[step] = self._bars.add_task(step, total=total, note="")

    def advanced(self, step: str) -> None:
        """Move the bar."""
        if step in self._steps:
            self._bars.advance(self._steps[step])

    def noted(self, step: str, text: str) -> None:
        """Write a remark behind the bar."""
        if step in self._steps:
            self._bars.update(self._steps[step], note=text)

    def finished(self, step: str) -> None:
        """Take the bar away."""
        with self._guard:
            if step in self._steps:
                self._bars.remove_task(self._steps.pop(step))


class Lines:
    """A line per stage, and one per long step every ten seconds."""

    def __init__(self) -> None:
        self._totals: dict[str, int | None] = {}
        self._counts: dict[str, int] = {}
        self._notes: dict[str, str] = {}
        self._begun: dict[str, float] = {}
        self._said: dict[str, float] = {}

    def entered(self, stage: str, *, reused: bool) -> None:
        """Print the stage's name."""
        _say(f"{stage}: up to date" if reused else stage)

    def started(self, step: str, total: int | None) -> None:
        """Remember when the step began."""
        self._totals[step] = total
        self._counts[step] = 0
        self._notes[step] = ""
        self._begun[step] = self._said[step] = time.monotonic()

    def advanced(self, step: str) -> None:
        """Print where the step is, unless that was said a moment ago."""
        if step not in self._counts:
            return
        self._counts[step] += 1
        now = time.monotonic()
        if now - self._said[step] < QUIET:
            return
        self._said[step] = now
        done, total = self._counts[step], self._totals[step]
        left = f", {(now - self._begun[step]) / done * (total - done):.0f} s left" if total else ""
        note = f" ({self._notes[step]})" if self._notes[step] else ""
        _say(f"  {step}: {done}{f' of {total}' if total else ''}{left}{note}")

    def noted(self, step: str, text: str) -> None:
        """Keep the remark for the next line."""
        if step in self._notes:
            self._notes[step] = text

    def finished(self, step: str) -> None:
        """Forget the step."""
        self._counts.pop(step, None)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


@contextmanager
def shown() -> Iterator[None]:
    """Show progress for the length of the block, as fits standard error."""
    if not sys.stderr.isatty():
        with progress.listening(Lines()):
            yield
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    console = Console(stderr=True)
    with (
        Progress(*columns, console=console, transient=True) as bars,
        progress.listening(Bars(bars)),
    ):
        yield
