"""Progress of long work. The library says where it is; whoever listens decides how it looks.

A stage calls :func:`track` around its loops. Nothing is shown until a listener is set, which the
command does: bars on a terminal, plain lines elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


class Listener(Protocol):
    """Whoever shows progress. Calls may come from several threads."""

    def started(self, step: str, total: int | None) -> None:
        """A step begins; ``total`` is how many advances it will take, if known."""

    def advanced(self, step: str, note: str) -> None:
        """One advance of a step; ``note`` is a short remark such as a loss."""

    def finished(self, step: str) -> None:
        """A step ends, well or not."""


class Silent:
    """Shows nothing."""

    def started(self, step: str, total: int | None) -> None:
        """Show nothing."""

    def advanced(self, step: str, note: str) -> None:
        """Show nothing."""

    def finished(self, step: str) -> None:
        """Show nothing."""


# One per process, not per thread or context: tasks run in threads that Prefect makes.
_listeners: list[Listener] = [Silent()]


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send progress to ``listener`` for the length of the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def track(items: Iterable[T], step: str, total: int | None = None) -> Iterator[T]:
    """Iterate and report: ``for batch in track(batches, "PGD", total=8)``."""
    listener = _listeners[-1]
    listener.started(
        step, total if total is not None or not isinstance(items, Sized) else len(items)
    )
    try:
        for item in items:
            yield item
            listener.advanced(step, "")
    finally:
        listener.finished(step)


def note(step: str, text: str) -> None:
    """Remark on a step that :func:`track` does not iterate, or between its advances."""
    _listeners[-1].advanced(step, text)
