"""A project of its own for every test that needs one, with a model that hardens in seconds.

``project`` is fresh; ``hardened`` is a copy of one that ``hardgate harden tiny`` has gone through,
made once per session. Both are the working directory of their test, so that tasks can be called in
its process, and both run the command as a process of its own.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

# Before torch is imported: threads that wait for each other would take the core from each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).parents[1]
TINY = Path(__file__).parent / "tiny"
CODE = ("hardgate", "flows", "tasks")
FILES = (
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvcignore",
    ".gitignore",
    "dvc.yaml",
    "prefect.yaml",
    "pyproject.toml",
    "requirements.lock",
)
# Whatever the machine has set up, a test neither speaks to it nor inherits its settings.
FOREIGN = ("MLFLOW_", "PREFECT_", "HARDGATE_", "DVC_", "GIT_")
STAGES = ("validation", "augmentation", "training", "explanation", "evaluation")


@dataclass(frozen=True)
class Project:
    """A project directory with the model ``tiny``."""

    root: Path

    @property
    def home(self) -> Path:
        """The state folder."""
        return self.root / ".hardgate"

    @property
    def params(self) -> Path:
        """The params file."""
        return self.root / "params.yaml"

    @property
    def data(self) -> Path:
        """The raw data, a CSV with the columns income, debt, age, region and late."""
        return self.root / "data" / "tiny" / "borrowers.csv"

    def run(self, stage: str) -> Path:
        """The folder of a stage of the last run."""
        return self.root / "runs" / "tiny" / stage

    def environment(self) -> dict[str, str]:
        """Variables that keep everything inside the project."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        return inherited | {
            "HARDGATE_HOME": str(self.home),
            "PYTHONPATH": str(self.root),
            "DVC_SITE_CACHE_DIR": str(self.root / ".dvc" / "tmp" / "site"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "COLUMNS": "200",
        }

    def start(
        self, *words: str, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """Start ``hardgate`` as a process of its own, with its output in pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "hardgate.cli", *words],
            cwd=self.root,
            env=self.environment() | dict(env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def hardgate(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        given: str | None = None,
        timeout: float = 300,
        **options: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``hardgate`` to its end; ``given`` is what it reads."""
        stdin = None if given is None else subprocess.PIPE
        with self.start(*words, env=env, stdin=stdin, **options) as process:
            try:
                out, err = process.communicate(given, timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def git(self, *words: str) -> str:
        """Run git in the project; give what it prints."""
        return subprocess.run(
            ["git", *words],
            cwd=self.root,
            env=self.environment(),
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def frame(self) -> pd.DataFrame:
        """The raw data as they are."""
        return pd.read_csv(self.data)

    def stage(self, name: str) -> Any:
        """Run one stage in this process, without Prefect and DVC, on what was written before."""
        from hardgate import params
        from tasks import _store, augmentation, evaluation, explanation, training, validation

        settings = params.load("tiny")
        match name:
            case "validation":
                return validation.validate.fn(settings)
            case "augmentation":
                return augmentation.augment.fn(settings, _store.dataset("tiny"))
            case "training":
                return training.train.fn(settings, _store.dataset("tiny"), _store.corpus("tiny"))
            case "explanation":
                dataset, candidate = _store.dataset("tiny"), _store.candidate("tiny")
                return explanation.explain.fn(settings, dataset, candidate)
            case "evaluation":
                dataset, candidate = _store.dataset("tiny"), _store.candidate("tiny")
                return evaluation.evaluate(settings, dataset, candidate)
        raise ValueError(name)

    def stages(self, *, until: str) -> Any:
        """Run the stages up to ``until`` in this process; give the last one's record."""
        last = None
        for name in STAGES[: STAGES.index(until) + 1]:
            last = self.stage(name)
        return last


def make_borrowers(rows: int = 500) -> pd.DataFrame:
    """Make rows whose label a small model can learn well, and no model perfectly."""
    draws = np.random.default_rng(7)
    income = draws.gamma(6, 500, rows).round(2)
    debt = (income * draws.beta(2, 3, rows) * 1.8).round(2)
    age = draws.integers(18, 80, rows)
    region = draws.choice(["north", "south", "west"], rows, p=[0.5, 0.3, 0.2])
    score = 6 * debt / income - 4.5 + 0.8 * (region == "south") + 0.01 * (40 - age)
    late = (draws.random(rows) < 1 / (1 + np.exp(-2 * score))).astype(int)
    return pd.DataFrame(
        {"income": income, "debt": debt, "age": age, "region": region, "late": late}
    )


def make_project(root: Path) -> Project:
    """Copy the code and the settings of this project, and commit them beside the model ``tiny``."""
    project = Project(root)
    for folder in CODE:
        shutil.copytree(ROOT / folder, root / folder)  # compiled files too: they save seconds
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, root / name)
    shutil.copy(TINY / "params.yaml", root / "params.yaml")
    (root / "expectations").mkdir()
    shutil.copy(TINY / "expectations.json", root / "expectations" / "tiny.json")
    project.data.parent.mkdir(parents=True)
    make_borrowers().to_csv(project.data, index=False)
    project.git("init", "--quiet", "--initial-branch=main")
    project.git("config", "user.name", "Test")
    project.git("config", "user.email", "test@example.com")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message=A project to harden")
    return project


def copy_project(project: Project, root: Path) -> Project:
    """Copy a project that has run; its registry then names the files of the copy."""
    shutil.copytree(project.root, root, symlinks=True)
    for path in (root / ".hardgate").rglob("mlflow.db"):
        _move_registry(path, old=str(project.root), new=str(root))
    return Project(root)


def _move_registry(path: Path, *, old: str, new: str) -> None:
    """Rewrite the absolute paths that MLflow keeps of its artifacts."""
    with sqlite3.connect(path) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for _, column, kind, *_ in database.execute(f"PRAGMA table_info({table})").fetchall():
                if "CHAR" in kind.upper() or "TEXT" in kind.upper():
                    database.execute(
                        f'UPDATE {table} SET "{column}" = replace("{column}", ?, ?) '
                        f'WHERE "{column}" LIKE ?',
                        (old, new, f"%{old}%"),
                    )
    database.close()


# What shares a server or a long run goes to one worker of pytest-xdist, the longest first.
GROUPS = (
    ("tutorial", "tests/repo/test_tutorial.py"),
    ("up", "tests/hardgate/server/test_up.py"),
    ("flows", "tests/flows/"),
    ("postgresql", "[postgresql"),
    ("sqlite", "tests/hardgate/registry/"),
)
HARDENED = "_hardened"  # a fixture whose one run is worth sharing, too


def _group(item: pytest.Item) -> tuple[int, str]:
    for rank, (name, part) in enumerate(GROUPS):
        if part in item.nodeid:
            return rank, name
    if HARDENED in getattr(item, "fixturenames", ()):
        return len(GROUPS), HARDENED
    return len(GROUPS) + 1, item.nodeid.partition("::")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share the tests out; without xdist nothing but their order changes."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)[1]))
    items.sort(key=lambda item: _group(item)[0])


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _pristine: Project
) -> Iterator[Project]:
    """A fresh project with the model ``tiny``; the working directory of the test."""
    copy = Project(tmp_path / "project")
    shutil.copytree(_pristine.root, copy.root, symlinks=True)
    enter(copy, monkeypatch)
    return copy


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run ``hardgate`` in the process of the test, for what needs no process of its own."""
    from hardgate import cli

    def run(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["hardgate", *words])
        monkeypatch.setattr(sys, "path", list(sys.path))  # the command adds the project's root
        capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        said = capsys.readouterr()
        return Ended(int(leaving.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def door(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Project, str], Ended]:
    """Run one stage in the process of the test as ``python -m tasks.<stage> tiny`` would."""

    def run(project: Project, stage: str) -> Ended:
        from tasks import _store

        monkeypatch.setattr(sys, "argv", [f"tasks.{stage}", "tiny"])
        capsys.readouterr()
        status = 0
        try:
            _store.door(lambda _: project.stage(stage))
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        said = capsys.readouterr()
        return Ended(status, said.out, said.err)

    return run


@pytest.fixture
def hardened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _hardened: Project) -> Project:
    """A copy of a project that was hardened once; the working directory of the test."""
    copy = copy_project(_hardened, tmp_path / "project")
    enter(copy, monkeypatch)
    return copy


@pytest.fixture(scope="session")
def _pristine(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("pristine") / "project")


@pytest.fixture(scope="session")
def _hardened(tmp_path_factory: pytest.TempPathFactory, _pristine: Project) -> Project:
    project = Project(tmp_path_factory.mktemp("hardened") / "project")
    shutil.copytree(_pristine.root, project.root, symlinks=True)
    done = project.hardgate("harden", "tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def enter(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    for name in os.environ:
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    inside = project.environment()
    for name in ("HARDGATE_HOME", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, inside[name])
