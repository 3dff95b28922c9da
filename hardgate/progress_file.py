"""Progress of work in another process: it writes what it does into a file, we show it as our own.

The variable ``HARDGATE_PROGRESS`` names the file to a stage that DVC starts. A file and not a pipe:
DVC hands on neither, and whoever writes must never wait for a reader that was killed.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardgate import progress
from hardgate.progress import Listener

VARIABLE = "HARDGATE_PROGRESS"
PAUSE = 0.2  # seconds between two looks


class Writer:
    """Writes a line of JSON per call; one write each, so that threads do not mix them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def entered(self, stage: str, *, reused: bool) -> None:
        """Write that a stage begins."""
        self._write("entered", stage, reused)

    def started(self, step: str, total: int | None) -> None:
        """Write that a step begins."""
        self._write("started", step, total)

    def advanced(self, step: str) -> None:
        """Write one advance of a step."""
        self._write("advanced", step)

    def noted(self, step: str, text: str) -> None:
        """Write a remark on a step."""
        self._write("noted", step, text)

    def finished(self, step: str) -> None:
        """Write that a step ended."""
        self._write("finished", step)

    def _write(self, *words: object) -> None:
        os.write(self._descriptor, (json.dumps(words) + "\n").encode())


@contextmanager
def written() -> Iterator[None]:
    """Write progress for the length of the block, if somebody named a file for it."""
    path = os.environ.get(VARIABLE)
    if path is None:
        yield
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        with progress.listening(Writer(descriptor)):
            yield
    finally:
        os.close(descriptor)


@contextmanager
def shown(path: Path) -> Iterator[None]:
    """Show what others write into the file during the block; it is emptied before."""
    path.write_bytes(b"")
    ended = threading.Event()
    reader = threading.Thread(target=_follow, args=(path, progress.listener(), ended), daemon=True)
    reader.start()
    try:
        yield
    finally:
        ended.set()
        reader.join()


def _follow(path: Path, listener: Listener, ended: threading.Event) -> None:
    """Repeat every whole line to the listener; end the steps that a killed process left open."""
    under_way: set[str] = set()
    with path.open("rb") as stream:
        rest, last = b"", False
        while not last:
            last = ended.wait(PAUSE)  # what came before the end is still read
            *lines, rest = (rest + stream.read()).split(b"\n")
            for line in lines:
                _repeat(json.loads(line), listener, under_way)
    for step in sorted(under_way):
        listener.finished(step)


def _repeat(words: list[object], listener: Listener, under_way: set[str]) -> None:
    match words:
        case ["entered", str(stage), bool(reused)]:
            listener.entered(stage, reused=reused)
        case ["started", str(step), int() | None as total]:
            under_way.add(step)
            listener.started(step, total)
        case ["advanced", str(step)]:
            listener.advanced(step)
        case ["noted", str(step), str(text)]:
            listener.noted(step, text)
        case ["finished", str(step)]:
            under_way.discard(step)
            listener.finished(step)
