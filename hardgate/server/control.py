"""What ``hardgate up``, ``down`` and ``audit`` do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from hardgate import state
from hardgate.errors import UnavailableError
from hardgate.server import services, settings, stores, supervisor
from hardgate.server.services import POOL
from hardgate.server.settings import (
    GATE_USER,
    PASSWORD,
    PREFECT_PASSWORD,
    WATCHER_USER,
    Secrets,
    Settings,
)
from hardgate.server.supervisor import Supervisor

if TYPE_CHECKING:
    from hardgate.registry.audit import Entry

Say = Callable[[str], None]
READY = "ready"
START = 600.0  # seconds until everything is up in the background


class _Ended(Exception):  # noqa: N818  a wish, not a mistake
    """Somebody asked to end."""


def run(known: Settings, say: Say) -> None:
    """Start everything, watch it, and end it when asked to.

    Raises
    ------
    UnavailableError
        If it is running already, a port is taken, or a service does not start.
    """
    from hardgate.evidence import signing

    _alone()
    _end_leftovers(say)
    stores.prepare(known)
    settings.remember(known)
    hidden = settings.secret()
    trusted = state.room("keys") / "trusted"
    signing.open_signer(f"file2:{state.room('keys') / 'evidence.pem'}", trusted=trusted)
    services.write_rules(trusted)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ask)
    held = Supervisor(say)
    try:
        _start(held, known, hidden, say)
        say(f"{READY}; Ctrl-C ends it")
        held.watch()
    except _Ended:
        say("ending")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        held.stop()


def _ask(_number: int, _frame: FrameType | None) -> None:
    raise _Ended


def _start(held: Supervisor, known: Settings, hidden: Secrets, say: Say) -> None:
    from hardgate import params
    from hardgate.registry.rules import GATE, WATCHER

    mlflow, prefect, webhook, worker = services.all_of(known, hidden)
    held.start(mlflow)
    people = services.administrator(known, hidden)
    people.make_roles()
    people.add(GATE_USER, hidden.gate_password, GATE)
    people.add(WATCHER_USER, hidden.watcher_password, WATCHER)
    for model in params.models():
        people.make_model(model)
    say(f"MLflow   {known.mlflow}  user admin, password in {_shown(settings.room() / PASSWORD)}")
    held.start(prefect)
    word = _shown(settings.room() / PREFECT_PASSWORD)
    say(f"Prefect  {known.prefect.removesuffix('/api')}  asks once; the answer is in {word}")
    _deploy(known, hidden)
    held.start(webhook)
    people.subscribe(f"http://{known.near}:{known.webhook_port}/", hidden.webhook_secret)
    held.start(worker)
    say(f"worker   schedules of prefect.yaml; logs in {_shown(settings.room() / 'logs')}")


def _shown(path: Path) -> str:
    return os.path.relpath(path)


def _alone() -> None:
    found = supervisor.running()
    if found is not None:
        raise UnavailableError(
            f"it is running already (process {found.supervisor.pid}); hardgate down ends it"
        )


def _end_leftovers(say: Say) -> None:
    for process in supervisor.leftovers():
        say(f"{process.name} is left over from a start that was killed; it is ended")
        supervisor.end(process)


def _deploy(known: Settings, hidden: Secrets) -> None:
    """Make the work pool and the deployments of prefect.yaml."""
    environment = services.inherited() | services.client(known, hidden)
    for words in (
        ("work-pool", "create", POOL, "--type", "process", "--overwrite"),
        ("--no-prompt", "deploy", "--all"),
    ):
        done = subprocess.run(  # noqa: S603  our own command
            [sys.executable, "-m", "prefect", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip().splitlines()
            raise UnavailableError(
                f"prefect {' '.join(words)} failed: {said[-1] if said else 'it said nothing'}"
            )


def detach(known: Settings, say: Say) -> None:
    """Start everything in the background, and wait until it is ready.

    Raises
    ------
    UnavailableError
        If a store cannot be used, or it ends before it is ready; says its last words.
    """
    _alone()
    stores.prepare(known)
    settings.remember(known)
    log = settings.room() / "up.log"
    with log.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "hardgate.cli", "up"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline, shown = time.monotonic() + START, 0
    while time.monotonic() < deadline:
        lines = log.read_text(errors="replace").splitlines()
        for line in lines[shown:]:
            if line.startswith(READY):
                say(f"{READY}, in the background (process {child.pid}); hardgate down ends it")
                return
            say(line)
        shown = len(lines)
        if child.poll() is not None:
            raise UnavailableError(f"it ended with status {child.returncode}; {log} says why")
        time.sleep(0.2)
    raise UnavailableError(f"it is not ready after {START:.0f} s; {log} says how far it came")


def end(say: Say) -> None:
    """End what is running."""
    found = supervisor.running()
    if found is None:
        _end_leftovers(say)
        say("nothing is running")
        return
    supervisor.ask_to_end(found)
    say("ended")


def join() -> None:
    """Let this process speak to the running server, unless its environment names another."""
    if supervisor.running() is None:
        return
    for name, value in services.client(settings.load(), settings.secret()).items():
        if name.startswith(("MLFLOW_TRACKING", "PREFECT_API")):
            os.environ.setdefault(name, value)


def join_as_watcher() -> None:
    """Let this process speak to this machine's registry as the release watcher."""
    if not (settings.room() / settings.SECRETS).is_file():
        return  # a registry elsewhere: the environment says who we are
    os.environ["MLFLOW_TRACKING_URI"] = settings.load().mlflow
    os.environ["MLFLOW_TRACKING_USERNAME"] = WATCHER_USER
    os.environ["MLFLOW_TRACKING_PASSWORD"] = settings.secret().watcher_password


def audit() -> tuple[Entry, ...]:
    """Read the audit of this machine's registry, chain and all.

    Raises
    ------
    UnavailableError
        If no registry was set up here.
    IntegrityError
        Names the first entry that is not what it was.
    """
    import sqlalchemy

    from hardgate.registry import audit as kept

    known = settings.load()
    if not (settings.room() / services.RULES).is_file():
        raise UnavailableError("no registry was set up here yet; start it with hardgate up")
    try:
        return kept.entries(sqlalchemy.create_engine(_with_driver(known.database)))
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise UnavailableError(
            f"the registry's database {settings.shown(known.database)} cannot be read: "
            f"{str(error).splitlines()[0]}"
        ) from error


def _with_driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
