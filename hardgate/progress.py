"""Progress of long work. The library says where it is; whoever listens decides how it looks.

A stage calls :func:`track` around its loops. Nothing is shown until a listener is set, which the
command does: bars on a terminal, plain lines elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
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


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send progress to ``listener`` for the length of the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def enter(stage: str, *, reused: bool = False) -> None:
    """Say that a stage begins, or that its earlier result still holds."""
    _listeners[-1].entered(stage, reused=reused)


def track(
    items: Iterable[T],
    step: str,
    total: int | None = None,
    *,
    remark: Callable[[], str] | None = None,
) -> Iterator[T]:
    """Iterate and report: ``for batch in track(batches, "PGD", total=8)``.

    ``remark`` is asked for a few words after every item, such as a loss.
    """
    listener = _listeners[-1]
    if total is None and isinstance(items, Sized):
        total = len(items)
    listener.started(step, total)
    try:
        for item in items:
            yield item
            if remark is not None:
                listener.noted(step, remark())
            listener.advanced(step)
    finally:
        listener.finished(step)
