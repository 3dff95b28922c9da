"""Run the drill of the gates: in projects of its own, side by side, through the real pipeline.

Nothing of this project is touched: each worker is a process with a project folder, keys and a
registry that end with it. It takes case after case, so that what takes seconds to import and start
is paid once.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from hardgate import files, progress, records, state
from hardgate.drill import cases, materials, result
from hardgate.drill.cases import CASES, SUBMITTER, Case
from hardgate.drill.result import Drill, Outcome
from hardgate.errors import HardgateError, ParamsError, UnavailableError
from hardgate.params_file import FILE, meant
from hardgate.records import Decision, Finding, Verdict
from tasks import _history, _store

if TYPE_CHECKING:
    from tasks._tampering import Refused

Harden = Callable[[str], Decision]

CODE: Final = ("hardgate", "tasks", "flows")
FILES: Final = (".dvc/config", ".dvcignore", ".gitignore", "dvc.yaml", "requirements.lock")
FOREIGN: Final = ("MLFLOW_", "PREFECT_", "HARDGATE_", "DVC_", "GIT_")  # what a worker is not told
CONTRACT: Final = "data_contract"
ENTRY: Final = ("-m", "flows.drill")


def drill(names: tuple[str, ...] = ()) -> Drill:
    """Take every case, or those named, and write down what came of it.

    Raises
    ------
    ParamsError
        If there is no case of a name; lists them.
    UnavailableError
        If a worker died; says its last words.
    """
    known = [case.name for case in CASES]
    for name in names:
        if name not in known:
            raise ParamsError(
                f"--case {name}: the drill has {', '.join(known)}{meant(name, known)}"
            )
    chosen = tuple(case for case in CASES if not names or case.name in names)
    started, root = time.monotonic(), Path.cwd()
    left: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in chosen:
        left.put(case)
    done: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory(dir=state.room("drill"), ignore_cleanup_errors=True) as folder:
        workers = [
            threading.Thread(
                target=_work, args=(root, Path(folder) / str(n), left, done), daemon=True
            )
            for n in range(max(1, min(2, os.cpu_count() or 1, len(chosen))))
        ]
        for worker in workers:
            worker.start()
        found = _gathered(done, len(chosen))
        for worker in workers:
            worker.join()
    order = {case.name: at for at, case in enumerate(chosen)}
    drilled = Drill(
        outcomes=tuple(sorted(found, key=lambda outcome: order[outcome.name])),
        drilled_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=_store.commit(),
        seconds=time.monotonic() - started,
    )
    if not names:
        records.write(drilled, state.home() / result.FILE)
    return drilled


def _gathered(done: queue.SimpleQueue[Outcome | BaseException], count: int) -> list[Outcome]:
    found = []
    for _ in progress.track(range(count), "drill"):
        outcome = done.get()
        if isinstance(outcome, BaseException):
            raise outcome
        found.append(outcome)
    return found


def _work(
    root: Path,
    project: Path,
    left: queue.SimpleQueue[Case],
    done: queue.SimpleQueue[Outcome | BaseException],
) -> None:
    """Feed a worker process until nothing is left."""
    try:
        with _worker(root, project) as process:
            while not left.empty():
                done.put(_ask(process, left.get_nowait(), project))
    except queue.Empty:  # the other worker was faster
        return
    except BaseException as error:  # noqa: BLE001  the main thread raises it
        done.put(error)


def _ask(process: subprocess.Popen[str], case: Case, project: Path) -> Outcome:
    line = ""
    if process.stdin is not None and process.stdout is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{case.name}\n")
            process.stdin.flush()
            line = process.stdout.readline()
    if not line:
        raise UnavailableError(f"the drill's worker died over {case.name}: {_last_words(project)}")
    return Outcome.model_validate_json(line)


@contextmanager
def _worker(root: Path, project: Path) -> Iterator[subprocess.Popen[str]]:
    _make_project(root, project)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    environment = inherited | {
        "HARDGATE_HOME": str(project / ".hardgate"),
        "HARDGATE_USER": SUBMITTER,
        "PYTHONPATH": str(project),
        "HARDGATE_DRILLED": str(root),
        "OMP_NUM_THREADS": "1",  # the other core is the other worker's
    }
    with (
        (project / "worker.log").open("wb") as log,
        subprocess.Popen(  # noqa: S603  fixed words only
            [sys.executable, *ENTRY],
            cwd=project,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


def _last_words(project: Path) -> str:
    lines = (project / "worker.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[-1] if lines else "it said nothing"


def _make_project(root: Path, project: Path) -> None:
    """Copy the code and the settings of DVC: the drill is of the code as it stands."""
    project.mkdir(parents=True)
    for name in CODE:
        shutil.copytree(root / name, project / name)
    for name in FILES:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, project / name)
    (project / "expectations").mkdir()
    files.write_text(project / FILE, "models: []\n")
    for words in (
        ("init", "--quiet"),
        ("add", "--all"),
        ("-c", "user.name=drill", "-c", "user.email=drill@localhost", "commit", "-qm", "drill"),
    ):
        subprocess.run(["git", *words], cwd=project, check=True, capture_output=True)  # noqa: S603, S607


def serve(harden: Harden) -> None:
    """Be a worker: read names of cases, answer with outcomes, a line each, until none comes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    for line in sys.stdin:
        outcome = take(cases.find(line.strip()), harden)
        answers.write(outcome.model_dump_json() + "\n")
        answers.flush()


def take(case: Case, harden: Harden) -> Outcome:
    """Take one case through the pipeline, in the working directory."""
    started = time.monotonic()
    refused = _made(case, harden)
    if case.tampering is not None and (not refused or case.run == cases.REFUSED):
        from tasks import _tampering

        refused = _tampering.BY_NAME[case.tampering](
            case.model, lambda: _refused(case.model, harden)
        )
    elif case.tampering is not None:
        refused = tuple(f"before anybody tampered: {words}" for words in refused)
    return Outcome(
        name=case.name,
        story=case.story,
        expected=case.expected,
        refused_by=refused,
        seconds=time.monotonic() - started,
    )


def _made(case: Case, harden: Harden) -> Refused:
    """Harden the case's model, or put back a run that an earlier case has left."""
    kept = state.room("kept") / case.model
    refusals = kept / "refusals.json"
    if case.run and refusals.exists():
        _replace(kept, Path(), case.model)
        return tuple(json.loads(refusals.read_text(encoding="utf-8")))
    _prepare(case)
    refused = _refused(case.model, harden)
    if case.run:
        _replace(Path(), kept, case.model)
        files.write_text(refusals, json.dumps(refused))
    return refused


def _replace(source: Path, target: Path, model: str) -> None:
    """Copy params, DVC's history and the run of a model from one folder to another."""
    runs = Path("runs") / model
    shutil.rmtree(target / runs, ignore_errors=True)
    shutil.copytree(source / runs, target / runs)
    for name in (FILE, _history.LOCK):
        shutil.copy2(source / name, target / name)


def _prepare(case: Case) -> None:
    """Write data, suite and params; the suite is drafted from data that are still good."""
    from tasks import _drafting

    material = materials.material(case.kind, case.model, Path(os.environ["HARDGATE_DRILLED"]))
    folder = Path("data") / case.model
    material.write(case.kind, folder)
    section = material.section
    _announce(case.model, section)
    _drafting.write(case.model, force=True)
    if case.change is not None:
        case.change(material)
        material.write(case.kind, folder)
    _announce(case.model, cases.section(case, material))


def _announce(name: str, section: object) -> None:
    """Let params name this model alone: what an earlier case asked for is none of its business."""
    files.write_text(FILE, yaml.safe_dump({"models": [name], name: section}, sort_keys=False))


def _refused(model: str, harden: Harden) -> Refused:
    """Run the pipeline, and say who refused: nobody, gates, or a check that ended it."""
    try:
        decision = harden(model)
    except HardgateError as error:
        return (f"{type(error).__name__}: {error}",)
    return gates_that_refused(decision.findings)


def gates_that_refused(findings: Sequence[Finding]) -> Refused:
    """Name the gates that did not pass, or refused data alone: nothing after them was looked at."""
    refused = tuple(f.gate for f in findings if f.verdict is not Verdict.PASSED)
    return tuple(gate for gate in refused if gate == CONTRACT) or refused
