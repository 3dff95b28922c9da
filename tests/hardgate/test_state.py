"""The state folder is its owner's alone, and one run of a model keeps the others out."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hardgate import state
from hardgate.errors import UnavailableError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "state"
    monkeypatch.setenv("HARDGATE_HOME", str(path))
    return path


HOLD = """
import sys
from hardgate import state
with state.exclusive("tiny"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder() -> subprocess.Popen[str]:
    """Start a process that holds the lock until its standard input closes."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_it_is_made_on_first_use_for_its_owner_alone(home: Path) -> None:
    assert state.room("keys") == home / "keys"
    for path in (home, home / "keys"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert [path.name for path in home.iterdir()] == ["keys"]


def test_it_lies_in_the_project_unless_it_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HARDGATE_HOME")
    assert state.home() == Path(".hardgate")
    assert not home.exists()


def test_it_is_closed_again_if_it_stands_open(home: Path) -> None:
    home.mkdir(mode=0o755)
    state.home()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_file_in_its_place_is_named_with_the_way_out(home: Path) -> None:
    home.write_text("mine")
    with pytest.raises(UnavailableError) as raised:
        state.home()
    said = str(raised.value)
    assert str(home) in said
    assert "File exists; move what is there out of the way" in said
    assert "HARDGATE_HOME" in said
    assert home.read_text() == "mine"


def test_a_file_above_it_or_in_the_place_of_a_room_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    (home / "keys").write_text("mine")
    with pytest.raises(UnavailableError, match="keys: File exists; move what is there"):
        state.room("keys")
    monkeypatch.setenv("HARDGATE_HOME", str(home / "keys" / "below"))
    with pytest.raises(UnavailableError, match="below: Not a directory; move what is there"):
        state.home()


def test_a_folder_that_cannot_be_written_is_unavailable(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody, the superuser included, makes a folder below /proc.
    monkeypatch.setenv("HARDGATE_HOME", "/proc/hardgate")
    with pytest.raises(UnavailableError, match="state folder cannot be used: /proc/hardgate"):
        state.home()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_folder_is_unavailable(home: Path) -> None:
    home.parent.chmod(0o500)
    try:
        with pytest.raises(UnavailableError, match="Permission denied; make it writable"):
            state.home()
    finally:
        home.parent.chmod(0o700)


def test_a_second_process_is_told_which_one_is_at_work(home: Path) -> None:
    with holder() as process:
        with pytest.raises(UnavailableError) as raised, state.exclusive("tiny"):
            pytest.fail("both hold it")
        assert f"another run of tiny is under way (process {process.pid})" in str(raised.value)
        with state.exclusive("other"):
            pass
        process.communicate("")


def test_the_lock_is_free_again_however_its_holder_ended(home: Path) -> None:
    with holder() as process:
        process.kill()
    with state.exclusive("tiny"):
        assert (home / "locks" / "tiny.lock").read_text() == str(os.getpid())
    with state.exclusive("tiny"):
        pass


def test_who_holds_the_lock_may_ask_for_it_again_and_still_holds_it(home: Path) -> None:
    with state.exclusive("tiny"):
        with state.exclusive("tiny"):
            pass
        code = HOLD.replace("sys.stdin.read()", "")
        refused = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "another run of tiny is under way" in refused.stderr


def test_another_thread_is_another_run() -> None:
    said: list[str] = []

    def run() -> None:
        try:
            with state.exclusive("tiny"):
                said.append("held")
        except UnavailableError as error:
            said.append(str(error))

    with state.exclusive("tiny"):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert said == [
        f"another run of tiny is under way (process {os.getpid()}); wait for it, or stop it first"
    ]


@pytest.mark.parametrize("name", ["../outside", "a/b", "..", "mean radius"])
def test_no_name_leads_out_of_the_folder(home: Path, name: str) -> None:
    with state.exclusive(name):
        (lock,) = (home / "locks").iterdir()
        assert lock.is_file()
    assert [path.name for path in home.parent.iterdir()] == ["state"]
