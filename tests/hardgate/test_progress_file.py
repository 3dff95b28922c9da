"""What one process writes of its progress, another shows as its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hardgate import progress, progress_file

WORK = """
import os, signal
from hardgate import progress, progress_file
with progress_file.written():
    progress.enter("training", reused=True)
    for _ in progress.track(range(3), "epochs", remark=lambda: "loss 0.5"):
        pass
    for _ in progress.track(range(2), "batches"):
        if {killed}:
            os.kill(os.getpid(), signal.SIGKILL)
"""


class Ear:
    """Remembers what it is told."""

    def __init__(self):
        self.heard = []

    def entered(self, stage, *, reused):
        self.heard.append(("entered", stage, reused))

    def started(self, step, total):
        self.heard.append(("started", step, total))

    def advanced(self, step):
        self.heard.append(("advanced", step))

    def noted(self, step, text):
        self.heard.append(("noted", step, text))

    def finished(self, step):
        self.heard.append(("finished", step))


@pytest.fixture
def path(tmp_path, monkeypatch):
    path = tmp_path / "progress.jsonl"
    monkeypatch.setenv(progress_file.VARIABLE, str(path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    return path


def heard(path, *, killed):
    ear = Ear()
    with progress.listening(ear), progress_file.shown(path):
        subprocess.run([sys.executable, "-c", WORK.format(killed=killed)], check=not killed)
    return ear.heard


EPOCHS = [
    ("entered", "training", True),
    ("started", "epochs", 3),
    *[("noted", "epochs", "loss 0.5"), ("advanced", "epochs")] * 3,
    ("finished", "epochs"),
    ("started", "batches", 2),
]


def test_everything_is_heard_in_its_order(path):
    batches = [("advanced", "batches")] * 2
    assert heard(path, killed=False) == [*EPOCHS, *batches, ("finished", "batches")]


def test_a_step_that_a_kill_left_open_is_ended(path):
    assert heard(path, killed=True) == [*EPOCHS, ("finished", "batches")]


def test_what_an_earlier_run_wrote_is_not_heard_again(path):
    path.write_text('["entered","old",false]\n', encoding="utf-8")
    assert ("entered", "old", False) not in heard(path, killed=False)


def test_without_the_variable_nothing_is_written(path, monkeypatch, tmp_path):
    monkeypatch.delenv(progress_file.VARIABLE)
    with progress_file.written():
        progress.enter("training")
    assert list(tmp_path.iterdir()) == []
