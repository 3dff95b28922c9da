"""Overrides for one run leave params.yaml as a person wants it, whatever happens meanwhile."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hardgate import params
from hardgate.errors import UnavailableError

TINY = (Path(__file__).parents[1] / "tiny" / "params.yaml").read_text(encoding="utf-8")
OTHER = TINY[TINY.index("tiny: #") :].replace("tiny", "other")
TEXT = TINY.replace("[tiny]", "[tiny, other]") + OTHER

HOLD = """
import sys
from hardgate import params
with params.overridden("tiny", ["tiny.seed=11"]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARDGATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    file = tmp_path / "params.yaml"
    file.write_text(TEXT, encoding="utf-8")
    return file


def holder() -> subprocess.Popen[str]:
    """Start a process with an override in force until its standard input closes."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def killed() -> None:
    """Leave the file as a run with an override does that is killed."""
    with holder() as process:
        process.kill()


def test_a_second_run_with_overrides_is_told_to_wait_whatever_its_model(path: Path) -> None:
    with holder() as process:
        before = path.read_text()
        with (
            pytest.raises(UnavailableError) as raised,
            params.overridden("other", ["other.seed=3"]),
        ):
            pytest.fail("both have overrides in force")
        assert str(raised.value) == (
            f"another run with overrides is under way (process {process.pid}); wait for it, or "
            "start one at a time"
        )
        assert path.read_text() == before
        process.communicate("")
    assert path.read_text() == TEXT
    with params.overridden("other", ["other.seed=3"]) as changed:
        assert changed.seed == 3


def test_a_run_without_overrides_is_not_kept_out_and_leaves_those_of_others(path: Path) -> None:
    with params.overridden("tiny", ["tiny.seed=11"]):
        with params.overridden("other", []) as read:
            assert read.seed == 7
        assert params.load("tiny").seed == 11
    assert path.read_text() == TEXT


def test_what_a_person_changes_meanwhile_stays(path: Path) -> None:
    with params.overridden("tiny", ["tiny.seed=11", "tiny.training.warmup_epochs=1"]):
        path.write_text(path.read_text().replace("epochs: 3", "epochs: 4"))
    assert path.read_text() == TEXT.replace("epochs: 3", "epochs: 4")


def test_an_override_that_a_person_makes_meanwhile_stays(path: Path) -> None:
    with params.overridden("tiny", ["tiny.seed=11"]):
        params.override("other", ["other.seed=3"])
    assert (params.load("tiny").seed, params.load("other").seed) == (7, 3)


@pytest.mark.parametrize("assignments", [[], ["other.seed=3"]])
def test_what_a_killed_run_left_is_put_back_by_the_next(path: Path, assignments: list[str]) -> None:
    killed()
    assert params.load("tiny").seed == 11
    with params.overridden("other", assignments):
        assert params.load("tiny").seed == 7
    assert path.read_text() == TEXT


def test_it_is_put_back_before_an_override_that_stays(path: Path) -> None:
    killed()
    params.override("other", ["other.seed=3"])
    assert (params.load("tiny").seed, params.load("other").seed) == (7, 3)


def test_a_file_that_was_changed_after_the_kill_is_left_to_its_owner(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed()
    mine = path.read_text().replace("epochs: 3", "epochs: 4")
    path.write_text(mine)
    with caplog.at_level(logging.WARNING), params.overridden("tiny", []) as read:
        assert read.seed == 11
    assert path.read_text() == mine
    assert "see whether you still want tiny.seed=11 in it" in caplog.text
    caplog.clear()
    with params.overridden("tiny", []):
        assert not caplog.records, "said once"


def test_nothing_is_left_in_the_state_folder_but_the_lock(path: Path) -> None:
    with params.overridden("tiny", ["tiny.seed=11"]):
        assert (path.parent / "state" / "locks" / "params.yaml").read_text() == str(os.getpid())
    assert [file.name for file in (path.parent / "state").iterdir()] == ["locks"]
