"""Real servers for the flows: one of Prefect and one of MLflow, started once per session.

``served`` is a project that went through ``hardgate harden tiny`` with both, once per session.
``visited`` is a copy of it, which tests may change: flows then run in the process of the test.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hardgate import progress
from hardgate.records import Decision

if TYPE_CHECKING:
    from tests.conftest import Project

PATIENCE = 240  # seconds; a busy machine takes one minute
SILENT = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PYTHONWARNINGS": "ignore",  # of the servers; ours are errors
}


@dataclass(frozen=True)
class Servers:
    """Where the two servers listen."""

    prefect: str
    mlflow: str
    database: Path  # of MLflow

    @property
    def environment(self) -> dict[str, str]:
        """What a run must be told."""
        return {"PREFECT_API_URL": self.prefect, "MLFLOW_TRACKING_URI": self.mlflow}


@dataclass(frozen=True)
class Served:
    """What ``hardgate harden`` ended with, and the aliases of the model at that moment."""

    project: Project
    stdout: str
    stderr: str
    aliases: Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """A decision, and for each stage whether it ran or was up to date."""

    decision: Decision
    stages: dict[str, str]


class Ear(progress.Silent):
    """Remembers what was said of the stages."""

    def __init__(self) -> None:
        self.heard: dict[str, str] = {}

    def entered(self, stage: str, *, reused: bool) -> None:
        self.heard[stage] = "up to date" if reused else "run"


@dataclass(frozen=True)
class Visited:
    """A project in which flows run in this process, against the servers."""

    project: Project
    servers: Servers

    def harden(self, *overrides: str) -> Run:
        """Run the flow, as a Prefect worker does."""
        from flows.harden import harden

        ear = Ear()
        with self.connected(), progress.listening(ear), warnings.catch_warnings():
            # MLflow compares the columns of an input example with a range.
            warnings.filterwarnings("ignore", "Operation with range is deprecated")
            decision = harden("tiny", list(overrides))
        return Run(decision, ear.heard)

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Let Prefect, which read its settings long ago, use the server."""
        from prefect.settings import (
            PREFECT_API_URL,
            PREFECT_LOGGING_LEVEL,
            PREFECT_LOGGING_TO_API_ENABLED,
            temporary_settings,
        )

        with temporary_settings(
            {
                PREFECT_API_URL: self.servers.prefect,
                PREFECT_LOGGING_LEVEL: "CRITICAL",
                PREFECT_LOGGING_TO_API_ENABLED: False,
            }
        ):
            yield


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Start both servers on ports of our own; end them by their process ids."""
    home = tmp_path_factory.mktemp("servers")
    prefect, mlflow = _free_port(), _free_port()
    with (
        _serving(
            ["prefect", "server", "start", "--no-ui", "--port", str(prefect)],
            home / "prefect",
            {"PREFECT_HOME": str(home / "prefect")},
        ) as wait_for_prefect,
        _serving(
            [
                *("mlflow", "server", "--port", str(mlflow), "--workers", "1"),
                *("--backend-store-uri", f"sqlite:///{home}/mlflow/mlflow.db"),
                *("--artifacts-destination", str(home / "mlflow" / "artifacts")),
            ],
            home / "mlflow",
            {},
        ) as wait_for_mlflow,
    ):
        wait_for_prefect(f"http://127.0.0.1:{prefect}/api/health")
        wait_for_mlflow(f"http://127.0.0.1:{mlflow}/health")
        yield Servers(
            f"http://127.0.0.1:{prefect}/api",
            f"http://127.0.0.1:{mlflow}",
            home / "mlflow" / "mlflow.db",
        )


@contextmanager
def _serving(
    words: list[str], home: Path, environment: Mapping[str, str]
) -> Iterator[Callable[[str], None]]:
    """Run a server for the length of the block; give what waits until it answers."""
    home.mkdir()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "PREFECT_"))}
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=home,
            env={**clean, **SILENT, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # MLflow's server has a child of its own
        )

    def wait(url: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not _answers(url):
            said = (home / "log").read_text(errors="replace")[-2000:]
            assert server.poll() is None, f"{words[0]} ended:\n{said}"
            assert time.monotonic() < deadline, f"{words[0]} does not answer:\n{said}"
            time.sleep(0.2)

    try:
        yield wait
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def served(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory, _pristine: Project
) -> Served:
    """Harden a project with the command, as somebody does who has both servers."""
    project = type(_pristine)(tmp_path_factory.mktemp("served") / "project")
    shutil.copytree(_pristine.root, project.root, symlinks=True)
    done = project.hardgate("harden", "tiny", "--json", env=servers.environment)
    assert done.returncode == 0, done.stderr
    aliases = _client(servers).get_registered_model("tiny").aliases
    return Served(project, done.stdout, done.stderr, dict(aliases))


@pytest.fixture
def visited(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    servers: Servers,
    served: Served,
) -> Visited:
    """Enter a copy of the served project."""
    project = type(served.project)(tmp_path / "project")
    shutil.copytree(served.project.root, project.root, symlinks=True)
    for name in os.environ:
        if name.startswith(("MLFLOW_", "PREFECT_", "HARDGATE_", "DVC_", "GIT_")):
            monkeypatch.delenv(name)
    for name, value in (project.environment() | servers.environment).items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)
    return Visited(project, servers)


@pytest.fixture
def registry(servers: Servers) -> Any:
    """A client of the MLflow server."""
    return _client(servers)


def _client(servers: Servers) -> Any:
    from tasks import _registry

    return _registry._mlflow().MlflowClient(servers.mlflow)


@pytest.fixture
def dashboard(servers: Servers) -> Iterator[Any]:
    """A client of the Prefect server."""
    from prefect.client.orchestration import SyncPrefectClient

    with SyncPrefectClient(servers.prefect) as client:
        yield client
