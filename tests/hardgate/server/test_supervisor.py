"""The supervisor with tiny real services: it restarts them, and ends what it started, no more."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from hardgate import records
from hardgate.errors import UnavailableError
from hardgate.server import settings, supervisor
from hardgate.server.services import Service
from hardgate.server.supervisor import Process, Running, Supervisor

# A service with a child that listens where it is told, as a web server has workers.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", sys.argv[1], *sys.argv[2:]])
open("child", "w").write(str(child.pid))
time.sleep(600)
"""
CHILD = """
import signal, socket, sys, time
if "deaf" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
held = socket.socket()
held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
held.bind(("127.0.0.1", int(sys.argv[1])))
held.listen()
open("listening", "w").write("yes")
time.sleep(600)
"""
PATIENCE = 60.0  # seconds


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sleeper(name: str = "sleeper", seconds: float = 600) -> Service:
    return Service(name, (sys.executable, "-S", "-c", f"import time; time.sleep({seconds})"))


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARDGATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(supervisor, "AGAIN", (0.0, 0.2))
    monkeypatch.setattr(supervisor, "STOP", 3.0)
    return settings.room()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def held(room: Path, said: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(said.append)
    yield made
    made.stop()


@pytest.fixture
def family(tmp_path: Path) -> Service:
    """A service whose child holds a port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    return Service("family", (sys.executable, "-S", "-c", PARENT, CHILD, port))


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of ours."""
    process = subprocess.Popen(sleeper().command, start_new_session=True)
    yield process
    process.kill()
    process.wait()


def described(process: subprocess.Popen[bytes], started: float | None = None) -> Process:
    real = psutil.Process(process.pid).create_time()
    return Process(name="sleeper", pid=process.pid, started=real if started is None else started)


def look(held: Supervisor) -> None:
    for child in held._children.values():
        held._look_after(child)


def pid(held: Supervisor, name: str = "sleeper") -> int:
    return held._children[name].process.pid


def child_of(folder: Path) -> int:
    """Wait for the child of a family that listens."""
    until(lambda: (folder / "listening").exists())
    (folder / "listening").unlink()
    return int((folder / "child").read_text())


def gone(number: int) -> bool:
    try:
        return psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_what_runs_is_written_down(held: Supervisor) -> None:
    held.start(sleeper())
    found = supervisor.running()
    assert found is not None
    assert found.supervisor.pid == os.getpid()
    assert found.services["sleeper"].pid == pid(held)


def test_a_service_that_dies_is_started_again(held: Supervisor, said: list[str]) -> None:
    held.start(sleeper())
    first = pid(held)
    os.kill(first, signal.SIGKILL)
    until(lambda: look(held) or pid(held) != first)
    assert not gone(pid(held))
    assert "sleeper ended with status -9" in said[0]
    found = supervisor.running()
    assert found is not None and found.services["sleeper"].pid == pid(held)


def test_a_service_that_keeps_dying_is_started_ever_later(
    held: Supervisor, said: list[str]
) -> None:
    held.start(sleeper(seconds=0))
    until(lambda: look(held) or len(said) >= 3)
    assert "in 0 s" in said[0]
    child = held._children["sleeper"]
    assert child.failures >= 3


def test_earlier_failures_are_forgotten(held: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    held.start(sleeper())
    child = held._children["sleeper"]
    child.failures = 3
    look(held)
    assert child.failures == 3
    monkeypatch.setattr(supervisor, "STEADY", -1.0)
    look(held)
    assert child.failures == 0


def test_a_service_that_dies_takes_its_children_along(
    held: Supervisor, family: Service, tmp_path: Path
) -> None:
    """Or they would hold the port that the new one needs."""
    held.start(family)
    first, child = pid(held, "family"), child_of(tmp_path)
    os.kill(first, signal.SIGKILL)
    until(lambda: look(held) or pid(held, "family") != first)
    assert gone(child)
    assert not gone(child_of(tmp_path))


def test_stopping_ends_children_too(held: Supervisor, family: Service, tmp_path: Path) -> None:
    held.start(family)
    parent, child = pid(held, "family"), child_of(tmp_path)
    held.stop()
    assert gone(parent) and gone(child)
    assert supervisor.running() is None


def test_who_does_not_listen_is_killed(held: Supervisor, family: Service, tmp_path: Path) -> None:
    held.start(Service("family", (*family.command, "deaf")))
    child = child_of(tmp_path)
    held.stop()
    assert gone(child)


def test_orphans_are_ended_with_the_others(
    held: Supervisor, family: Service, tmp_path: Path
) -> None:
    held.start(family)
    parent, child = pid(held, "family"), child_of(tmp_path)
    os.kill(parent, signal.SIGKILL)
    held._children["family"].process.wait()
    held.stop()
    assert gone(child)


def test_stopping_ends_nobody_else(held: Supervisor, stranger: subprocess.Popen[bytes]) -> None:
    held.start(sleeper())
    held.stop()
    assert stranger.poll() is None


def test_the_number_of_a_service_that_ended_may_be_somebody_elses(
    held: Supervisor, stranger: subprocess.Popen[bytes]
) -> None:
    held.start(sleeper(seconds=0))
    process = held._children["sleeper"].process
    process.wait()
    process.pid = stranger.pid
    held.stop()
    assert stranger.poll() is None


def test_the_last_one_is_ended_first(held: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    end = supervisor._end
    for name in ("first", "second"):
        held.start(sleeper(name))
    pids = [pid(held, "second"), pid(held, "first")]
    monkeypatch.setattr(supervisor, "_end", lambda number: (ended.append(number), end(number)))
    held.stop()
    assert ended == pids


def test_a_service_that_ends_at_once_says_why(held: Supervisor) -> None:
    words = "import sys; print('the port is taken'); sys.exit(3)"
    service = Service("broken", (sys.executable, "-c", words), {}, "http://127.0.0.1:9/health")
    with pytest.raises(UnavailableError, match="broken ended at once: the port is taken"):
        held.start(service)


def test_the_environment_is_the_services_own(
    held: Supervisor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "somebody's")
    words = (
        "import os; open('seen.new', 'w').write(os.environ['OWN'] "
        "+ os.environ.get('MLFLOW_TRACKING_PASSWORD', '')); os.rename('seen.new', 'seen')"
    )
    held.start(Service("looker", (sys.executable, "-S", "-c", words), {"OWN": "its own"}))
    until((tmp_path / "seen").exists)
    assert (tmp_path / "seen").read_text() == "its own"


# -- after a supervisor was killed ----------------------------------------------------------------


@pytest.fixture
def ended_supervisor() -> Process:
    """A supervisor that is no more."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    started = psutil.Process(process.pid).create_time()
    process.wait()
    return Process(name="supervisor", pid=process.pid, started=started)


def test_leftovers_are_found_and_ended(
    room: Path, stranger: subprocess.Popen[bytes], ended_supervisor: Process
) -> None:
    services = {"sleeper": described(stranger)}
    records.write(Running(supervisor=ended_supervisor, services=services), room / supervisor.FILE)
    assert supervisor.running() is None
    (left,) = supervisor.leftovers()
    supervisor.end(left)
    assert gone(stranger.pid)


def test_orphans_of_a_leftover_are_found_and_ended(
    room: Path, family: Service, tmp_path: Path, ended_supervisor: Process
) -> None:
    parent = subprocess.Popen(family.command, start_new_session=True)
    services = {"family": described(parent)}
    child = child_of(tmp_path)
    parent.kill()
    parent.wait()
    records.write(Running(supervisor=ended_supervisor, services=services), room / supervisor.FILE)
    (left,) = supervisor.leftovers()
    supervisor.end(left)
    until(lambda: gone(child))
    assert supervisor.leftovers() == []


def test_nothing_is_left_over_while_a_supervisor_runs(held: Supervisor) -> None:
    held.start(sleeper())
    assert list(supervisor.leftovers()) == []


@pytest.mark.parametrize("age", [-3600.0, 3600.0])
def test_another_process_of_the_same_number_is_not_killed(
    room: Path, stranger: subprocess.Popen[bytes], age: float, ended_supervisor: Process
) -> None:
    """Numbers come back; the time of the start tells."""
    other = described(stranger, psutil.Process(stranger.pid).create_time() + age)
    records.write(
        Running(supervisor=ended_supervisor, services={"sleeper": other}), room / supervisor.FILE
    )
    assert list(supervisor.leftovers()) == []
    supervisor.end(other)
    time.sleep(0.2)
    assert stranger.poll() is None


def test_another_process_of_the_supervisors_number_is_no_supervisor(
    room: Path, stranger: subprocess.Popen[bytes]
) -> None:
    other = described(stranger, 1.0)
    records.write(Running(supervisor=other), room / supervisor.FILE)
    assert supervisor.running() is None


def test_a_supervisor_ends_when_asked(room: Path, stranger: subprocess.Popen[bytes]) -> None:
    records.write(Running(supervisor=described(stranger)), room / supervisor.FILE)
    found = supervisor.running()
    assert found is not None
    supervisor.ask_to_end(found)
    assert stranger.wait(timeout=PATIENCE) == -signal.SIGTERM


def test_a_supervisor_that_does_not_end_is_told_of(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print(flush=True); time.sleep(600)"
    )
    monkeypatch.setattr(supervisor, "STOP", 0.3)
    with subprocess.Popen([sys.executable, "-S", "-c", deaf], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(UnavailableError, match="does not end"):
            supervisor.ask_to_end(Running(supervisor=described(process)))
        process.kill()
