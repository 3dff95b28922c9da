"""Start services, watch them, and end them all: by their process ids and nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
from pydantic import Field

from hardgate import records
from hardgate.errors import UnavailableError
from hardgate.records import Record
from hardgate.server import services, settings
from hardgate.server.services import Service

FILE: Final = "processes.json"
START: Final = 240.0  # seconds until a service must be well
STOP: Final = 20.0  # seconds until a service that was asked to end is killed
AGAIN: Final = (1.0, 5.0, 30.0)  # seconds before a service that ended is started again
STEADY: Final = 300.0  # seconds after which earlier failures are forgotten


class Process(Record):
    """A process that was started, told apart from another of the same number by its age."""

    name: str
    pid: int
    started: float  # seconds since 1970, as the system says


class Running(Record):
    """What is running; the supervisor itself first."""

    supervisor: Process
    services: dict[str, Process] = Field(default_factory=dict)


Say = Callable[[str], None]


@dataclass
class _Child:
    service: Service
    process: subprocess.Popen[bytes]
    failures: int = 0
    due: float = 0.0  # when to start it again
    since: float = field(default_factory=time.monotonic)


class Supervisor:
    """Holds the services of one state folder."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._children: dict[str, _Child] = {}
        self._room = settings.room()

    def start(self, service: Service) -> None:
        """Start a service and wait until it is well.

        Raises
        ------
        UnavailableError
            If it ends or does not answer in time; says its last words.
        """
        child = _Child(service, self._spawn(service))
        self._children[service.name] = child
        self._write()
        deadline = time.monotonic() + START
        while not is_well(service):
            if child.process.poll() is not None:
                raise UnavailableError(f"{service.name} ended at once{self._last_words(service)}")
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"{service.name} does not answer after {START:.0f} s{self._last_words(service)}"
                )
            time.sleep(0.2)

    def watch(self) -> None:
        """Keep the services running until somebody asks to end; a signal raises that."""
        while True:
            for child in self._children.values():
                self._look_after(child)
            time.sleep(1)

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process.poll() is None:
            if now - child.since > STEADY:
                child.failures = 0
            return
        name = child.service.name
        if not child.due:
            wait = AGAIN[min(child.failures, len(AGAIN) - 1)]
            self._say(
                f"{name} ended with status {child.process.returncode}"
                f"{self._last_words(child.service)}; it is started again in {wait:.0f} s"
            )
            _end_orphans(child.process.pid)  # they hold its port
            child.due, child.failures = now + wait, child.failures + 1
        elif now >= child.due:
            child.process, child.due, child.since = self._spawn(child.service), 0.0, now
            self._write()

    def stop(self) -> None:
        """End the services, the last one first."""
        for child in reversed(self._children.values()):
            if child.process.poll() is None:  # or its number may be somebody else's by now
                _end(child.process.pid)
                child.process.wait()
            _end_orphans(child.process.pid)
        (self._room / FILE).unlink(missing_ok=True)

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        with self.log(service).open("ab") as log:
            return subprocess.Popen(  # noqa: S603  our own commands
                service.command,
                env=services.inherited() | dict(service.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends them in order
            )

    def log(self, service: Service) -> Path:
        """Name the file that a service writes to."""
        folder = self._room / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{service.name}.log"

    def _last_words(self, service: Service) -> str:
        said = self.log(service).read_text(errors="replace").strip().splitlines()
        return f": {said[-1].strip()} ({self.log(service)} says more)" if said else ""

    def _write(self) -> None:
        records.write(
            Running(
                supervisor=_described("supervisor", os.getpid()),
                services={
                    name: _described(name, child.process.pid)
                    for name, child in self._children.items()
                    if child.process.poll() is None
                },
            ),
            self._room / FILE,
        )


def running() -> Running | None:
    """Tell what is running; None when no supervisor is."""
    found = _last()
    return found if found is not None and is_alive(found.supervisor) else None


def _last() -> Running | None:
    """Read what a supervisor noted; one that ended in order left nothing."""
    path = settings.room() / FILE
    return records.read(Running, path) if path.is_file() else None


def leftovers() -> Sequence[Process]:
    """List services whose supervisor was killed."""
    found = _last()
    if found is None or is_alive(found.supervisor):
        return ()
    return [
        process for process in found.services.values() if is_alive(process) or _orphans(process.pid)
    ]


def end(process: Process) -> None:
    """End a process that was started earlier, with its children."""
    if is_alive(process):
        _end(process.pid)
    _end_orphans(process.pid)


def ask_to_end(found: Running) -> None:
    """Ask the supervisor to end everything, and wait until it has.

    Raises
    ------
    UnavailableError
        If it does not in time.
    """
    os.kill(found.supervisor.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP * (len(found.services) + 1)
    while is_alive(found.supervisor):
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"the supervisor (process {found.supervisor.pid}) does not end; look at "
                f"{settings.room() / 'logs'}"
            )
        time.sleep(0.1)


def is_alive(process: Process) -> bool:
    """Tell whether a process is still the one that was started."""
    try:
        found = psutil.Process(process.pid)
        same = abs(found.create_time() - process.started) < 1
        return bool(same and found.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def is_well(service: Service) -> bool:
    """Ask a service whether it is well."""
    if service.health is None:
        return True
    try:
        with urllib.request.urlopen(service.health, timeout=5) as answer:  # noqa: S310  ours
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _described(name: str, pid: int) -> Process:
    return Process(name=name, pid=pid, started=psutil.Process(pid).create_time())


def _orphans(pid: int) -> list[int]:
    """List what a service that has ended left in its session.

    While they live, the system gives the service's number to nobody else; so where somebody has it,
    nothing of ours is left.
    """
    if psutil.pid_exists(pid):
        return []
    found = []
    for each in psutil.process_iter():
        with suppress(OSError, psutil.Error):
            if os.getsid(each.pid) == pid and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each.pid)
    return found


def _end_orphans(pid: int) -> None:
    for orphan in _orphans(pid):
        _end(orphan)


def _end(pid: int) -> None:
    """Ask a process and its children to end; kill who does not."""
    try:
        parent = psutil.Process(pid)
        family = [*parent.children(recursive=True), parent]
    except psutil.Error:
        return
    for member in family:
        _signal(member, signal.SIGTERM)
    _, left = psutil.wait_procs(family, timeout=STOP)
    for member in left:
        _signal(member, signal.SIGKILL)


def _signal(process: psutil.Process, what: signal.Signals) -> None:
    with suppress(psutil.Error):
        process.send_signal(what)
