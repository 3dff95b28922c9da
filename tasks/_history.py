"""What DVC remembers: which stages are up to date, and what a flow has just made.

The flow runs stages in its own process and commits the results to the same ``dvc.lock`` that
``dvc repro`` writes, so both doors share one history.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from hardgate import params as settings
from hardgate import progress, telemetry
from hardgate.errors import IntegrityError, UnavailableError
from hardgate.params import Params
from hardgate.records import Record

if TYPE_CHECKING:
    from dvc.repo import Repo

R = TypeVar("R", bound=Record)

LOCK = Path("dvc.lock")
PATIENCE = 60.0  # seconds to wait for another DVC command to let go of the repository


@contextmanager
def _repository() -> Iterator[Repo]:
    telemetry.silence()
    from dvc.exceptions import DvcException
    from dvc.repo import Repo  # one second, and only flows need it

    for name in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # below it, bars fill the terminal
    try:
        with Repo(".") as repository:
            yield repository
    except (DvcException, sqlite3.Error) as error:  # it keeps its state in SQLite
        raise UnavailableError(
            f"dvc: {error}; see that .dvc is there, whole and has room, then run again"
        ) from error


def is_current(stage: str, model: str) -> bool:
    """Ask DVC whether the stage's outputs are those of today's code, data and params."""
    name = f"{stage}@{model}"
    with _repository() as repository:
        return not _patiently(repository.status, targets=[name])


def remember(stage: str, model: str) -> None:
    """Commit what the stage has just made, without running anything."""
    with _repository() as repository:
        _patiently(repository.commit, f"{stage}@{model}", force=True)


def _patiently(call: Any, *arguments: Any, **options: Any) -> Any:
    """Call DVC; wait while another of its commands holds the repository's lock."""
    from dvc.lock import LockError

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return call(*arguments, **options)
        except LockError as error:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    "another dvc command holds this project; wait for it to end and run again"
                ) from error
            time.sleep(0.2)


def locked(model: str) -> dict[str, Any]:
    """Read the part of ``dvc.lock`` that speaks of one model.

    Raises
    ------
    IntegrityError
        If the file is missing or cannot be read.
    """
    try:
        stages = yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"]
        return {name: entry for name, entry in stages.items() if name.endswith(f"@{model}")}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{LOCK} cannot be read: {error}; run dvc repro") from error


def once(
    stage: str,
    params: Params,
    read: Callable[[str], R],
    run: Callable[[], R],
    *,
    holds: Callable[[R], bool] = lambda _: True,
) -> R:
    """Read a stage's record back when DVC calls it up to date, or run the stage and commit it.

    ``holds`` asks a record for what no file says, and DVC cannot see: who is champion.

    Raises
    ------
    UnavailableError
        If params, data, suite or code changed while the stage ran: DVC would note the new ones
        beside a result of the old.
    """
    model = params.model
    if is_current(stage, model) and holds(made := read(model)):
        progress.enter(stage, reused=True)
        return made
    progress.enter(stage)
    before = _inputs(stage, model)
    record = run()
    if _inputs(stage, model) != before or settings.load(model).digest(stage) != params.digest(
        stage
    ):
        raise UnavailableError(
            f"params, data, suite or code of {model} changed while {stage} ran, so its result is "
            "of neither state; run again, and leave them alone meanwhile"
        )
    remember(stage, model)
    return record


def _inputs(stage: str, model: str) -> dict[str, tuple[int, int]]:
    """Note size and time of change of every file that people edit and the stage depends on."""
    places = [Path("hardgate"), Path("tasks")]
    if stage == "validation":
        places += [Path("data", model), Path("expectations", f"{model}.json")]
    found = [path for place in places for path in (place, *place.rglob("*"))]
    return {
        str(path): (status.st_size, status.st_mtime_ns)
        for path in found
        if path.is_file() and path.suffix != ".pyc" and (status := path.stat())
    }
