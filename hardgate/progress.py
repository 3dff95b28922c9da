"""Progress of long work. The library says where it is; whoever listens decides how it looks.

A stage calls :func:`track` around its loops. Nothing is shown until a listener is set, which the
command does: bars on a terminal, plain lines elsewhere.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from types import FrameType
from typing import Protocol, TypeVar

T = TypeVar("T")


class Listener(Protocol):
    """Whoever shows progress. Calls may come from several threads."""

    def entered(self, stage: str, *, reused: bool) -> None:
        """Show that a stage begins, or that its earlier result still holds."""

    def started(self, step: str, total: int | None) -> None:
        """Show that a step begins; ``total`` is how many advances it will take, if known."""

    def advanced(self, step: str) -> None:
        """Show one advance of a step."""

    def noted(self, step: str, text: str) -> None:
        """Show a short remark on a step, such as a loss."""

    def finished(self, step: str) -> None:
        """Show that a step ended, well or not."""


class Silent:
    """Shows nothing."""

    def entered(self, stage: str, *, reused: bool) -> None:
        """Show nothing."""

    def started(self, step: str, total: int | None) -> None:
        """Show nothing."""

    def advanced(self, step: str) -> None:
        """Show nothing."""

    def noted(self, step: str, text: str) -> None:
        """Show nothing."""

    def finished(self, step: str) -> None:
        """Show nothing."""


# One per process, not per thread or context: tasks run in threads that Prefect makes.
_listeners: list[Listener] = [Silent()]
_under_way: set[str] = set()
_naming = threading.Lock()
_interrupted = threading.Event()


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send progress to ``listener`` for the length of the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def listener() -> Listener:
    """Give whoever listens now."""
    return _listeners[-1]


def enter(stage: str, *, reused: bool = False) -> None:
    """Say that a stage begins, or that its earlier result still holds."""
    _listeners[-1].entered(stage, reused=reused)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the work of every thread for the length of the block, not the main one's only.

    Python tells the main thread alone, and the others would go on until their work is done.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # started so as not to be stopped
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _interrupted.clear()


def heed() -> None:
    """End the work of this thread if somebody pressed Ctrl-C; costs nothing, so ask often."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def track(
    items: Iterable[T],
    step: str,
    total: int | None = None,
    *,
    remark: Callable[[], str] | None = None,
) -> Iterator[T]:
    """Iterate and report: ``for batch in track(batches, "PGD", total=8)``.

    ``remark`` is asked for a few words after every item, such as a loss. A second loop of the
    same name at the same time is told apart by a number.
    """
    listener = _listeners[-1]
    step = _take(step)
    if total is None and isinstance(items, Sized):
        total = len(items)
    listener.started(step, total)
    try:
        for item in items:
            heed()
            yield item
            if remark is not None:
                listener.noted(step, remark())
            listener.advanced(step)
    finally:
        listener.finished(step)
        _under_way.discard(step)


def _take(step: str) -> str:
    """Find a name that no loop under way has."""
    with _naming:
        names = (step, *(f"{step} ({number})" for number in range(2, len(_under_way) + 3)))
        name = next(name for name in names if name not in _under_way)
        _under_way.add(name)
    return name
