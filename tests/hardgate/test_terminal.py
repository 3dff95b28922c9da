"""Plain lines where nobody looks at a terminal, bars where somebody does; never on stdout."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from types import SimpleNamespace

import pytest

from hardgate import progress, terminal

SHOW = """
import time
from hardgate import progress, terminal
with terminal.shown():
    progress.enter("validation", reused=True)
    progress.enter("training")
    for _ in progress.track(range(3), "epochs", remark=lambda: "loss 0.5"):
        time.sleep(0.15)
"""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(terminal, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_without_a_terminal_a_stage_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.shown():
        progress.enter("validation", reused=True)
        progress.enter("training")
    said = capsys.readouterr()
    assert said.err == "validation: up to date\ntraining\n"
    assert said.out == ""


def test_a_long_step_is_a_line_every_ten_seconds_with_the_time_left(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with terminal.shown():
        for _ in progress.track(range(10), "epochs", remark=lambda: "loss 0.5"):
            clock[0] += 4
    assert capsys.readouterr().err.splitlines() == [
        "  epochs: 3 of 10, 28 s left (loss 0.5)",
        "  epochs: 6 of 10, 16 s left (loss 0.5)",
        "  epochs: 9 of 10, 4 s left (loss 0.5)",
    ]


def test_a_step_of_unknown_length_is_counted(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with terminal.shown():
        for _ in progress.track(iter("ab"), "reading"):
            clock[0] += 11
    assert capsys.readouterr().err.splitlines() == ["  reading: 1", "  reading: 2"]


def test_a_short_step_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.shown():
        list(progress.track(range(1000), "batches"))
    assert capsys.readouterr().err == ""


def test_nothing_is_shown_after_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.shown():
        pass
    progress.enter("training")
    assert capsys.readouterr().err == ""


def test_a_process_without_a_terminal_writes_no_control_signs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == ""
    assert done.stderr == "validation: up to date\ntraining\n"


def test_on_a_terminal_there_are_bars_and_stages_stay() -> None:
    said = on_a_terminal(SHOW)
    assert "\x1b[" in said
    assert "validation" in said
    assert "up to date" in said
    assert "epochs" in said
    assert "/3" in said
    assert "loss 0.5" in said


def on_a_terminal(code: str) -> str:
    """Run code whose standard error is a terminal; give what it wrote there."""
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=follower,
        env=environment,
    ) as process:
        os.close(follower)
        said = b""
        while True:
            try:
                block = os.read(leader, 4096)
            except OSError:  # how Linux says that the other end is closed
                break
            if not block:
                break
            said += block
        out, _ = process.communicate(timeout=60)
    os.close(leader)
    assert out == b""
    assert process.returncode == 0
    return said.decode()
