"""On a real terminal: a step without a known end is shown, and nothing of a library's bars."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

STEPS = """
from hardgate import progress, terminal
with terminal.shown():
    for _ in progress.track(iter(range(3)), "reading"):
        pass
    for _ in progress.track(list(range(3)), "counting"):
        pass
"""


def on_a_terminal(words: list[str], **options: object) -> tuple[int, str]:
    """Run a command with a pseudo-terminal for all three streams; give its status and output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, **options)
    os.close(theirs)
    said = b""
    while True:
        ready, _, _ = select.select([ours], [], [], 0.2)
        try:
            block = os.read(ours, 65536) if ready else b""
        except OSError:  # the other end was closed
            break
        if ready and not block:
            break
        said += block
        if process.poll() is not None and not ready:
            break
    os.close(ours)
    return process.wait(), said.decode(errors="replace")


def test_a_step_without_a_known_end_is_shown() -> None:
    status, said = on_a_terminal([sys.executable, "-c", STEPS], env=os.environ | {"TERM": "xterm"})
    assert status == 0, said
    assert "Traceback" not in said


@pytest.mark.slow
def test_hardening_on_a_terminal_shows_stages_and_no_bar_of_a_library(project: Project) -> None:
    status, said = on_a_terminal(
        [sys.executable, "-m", "hardgate.cli", "harden", "tiny"],
        cwd=project.root,
        env=project.environment() | {"TERM": "xterm"},
    )
    assert status == 0, said[-3000:]
    assert "tiny/1: promotable" in said
    for noise in ("Traceback", "Collecting files", "Checking cache", "memory://", "file/s"):
        assert noise not in said
