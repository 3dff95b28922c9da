"""Experiments of DVC: one run of the pipeline under other params, in a folder of its own.

DVC copies the project to a temporary folder and runs there what is not up to date, so that the
workspace stays as it is, however the run ends. What a run made is in DVC's cache, and a Git
reference under ``refs/exps`` names it: ``dvc exp show`` lists it, ``dvc exp apply`` takes it over.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hardgate import progress_file
from hardgate.errors import UnavailableError

PATIENCE = 20.0  # seconds for DVC to clean up after Ctrl-C
NOISE = ("ERROR:", "WARNING:", "Having any troubles", " ")


def ready() -> None:
    """See that DVC can make experiments here.

    Raises
    ------
    UnavailableError
        If the project is in no Git repository, or in one without a commit.
    """
    if _git("rev-parse", "--verify", "--quiet", "HEAD") is None:
        raise UnavailableError(
            "experiments of DVC hang on a commit, and this project has none; run git init, "
            "git add --all and git commit"
        )


def find(name: str) -> str | None:
    """Find the revision of an experiment of this name, on whatever commit it was made."""
    found = _git("for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}")
    return found.split()[0] if found else None


def remove(name: str) -> None:
    """Forget the experiments of a name; what they made stays in DVC's cache."""
    found = _git("for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{name}")
    for reference in (found or "").split():
        _git("update-ref", "-d", reference)


def run(
    name: str,
    changes: Sequence[str],
    *,
    stages: Sequence[str],
    places: Sequence[str],
    home: Path,
    inherited: int,
) -> str:
    """Run stages, and what they depend on, under changed params; give the revision.

    Parameters
    ----------
    changes
        In Hydra's spelling, as ``dvc exp run --set-param`` takes them.
    places
        Files and folders that the stages read; those that Git does not know are copied as well.
    home
        The state folder of the run: its locks and checkpoints are not those of the project.
    inherited
        A lock's descriptor: should this process be killed, DVC holds the lock until it ends.

    Raises
    ------
    UnavailableError
        If a stage fails: says what it said.
    """
    words = [sys.executable, "-m", "dvc", "exp", "run", "--quiet", "--temp", "--name", name]
    words += [word for change in changes for word in ("--set-param", change)]
    words += [word for place in _unknown(places) for word in ("--copy-paths", place)]
    progress = home / "progress.jsonl"
    log = home / f"{name}.log"
    with progress_file.shown(progress), log.open("wb") as stream:
        status = _run([*words, *stages], stream, _environment(home, progress), inherited)
    revision = find(name)
    if status == 0 and revision is not None:
        log.unlink()
        return revision
    raise UnavailableError(f"{_reason(log)} (the whole of it: {log})")


def _run(words: list[str], log: Any, environment: Mapping[str, str], inherited: int) -> int:
    """Run DVC in a process group of its own, so that Ctrl-C reaches it once: through us."""
    with subprocess.Popen(  # noqa: S603  our own words
        words,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=(inherited,),
    ) as process:
        try:
            return process.wait()
        except BaseException:
            _end(process)
            raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask DVC and its stage to stop; it removes its folder. Insist after a while."""
    for how in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(PATIENCE)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return


def _environment(home: Path, progress: Path) -> dict[str, str]:
    """Let the stages find this Python, keep their state apart, and say where they are."""
    beside = str(Path(sys.executable).parent)
    return os.environ | {
        "PATH": os.pathsep.join([beside, *os.get_exec_path()]),
        "HARDGATE_HOME": str(home.absolute()),
        progress_file.VARIABLE: str(progress.absolute()),
        "DVC_NO_ANALYTICS": "1",
    }


def _unknown(places: Sequence[str]) -> list[str]:
    """Pick the places with files that Git does not know, which DVC would leave behind."""
    return [
        place
        for place in places
        if _git("ls-files", "--others", "--exclude=__pycache__", "--exclude=*.dvc", "--", place)
    ]


def _reason(log: Path) -> str:
    """Pick from all that was printed what the stage said last."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line for line in lines if line.strip() and not line.startswith(NOISE)]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")]
    return next(iter([*said[-1:], *errors]), "DVC ended without a word")


def _git(*words: str) -> str | None:
    """Ask Git; None when it refuses."""
    done = subprocess.run(  # noqa: S603  fixed words
        ["git", *words],  # noqa: S607  git from the PATH
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() if done.returncode == 0 else None


def spell(value: object) -> str:
    """Spell a plain value in Hydra's grammar, which is not quite that of YAML or JSON.

    https://hydra.cc/docs/advanced/override_grammar/basic/
    """
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            # A backslash is a plain sign there, but for those in front of a quote.
            return "'" + re.sub(r"(\\*)('|$)", _escape, value) + "'"
        case dict():
            return "{" + ",".join(f"{key}:{spell(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(spell(item) for item in value) + "]"
    return repr(value)


def _escape(found: re.Match[str]) -> str:
    slashes, quote = found.groups()
    return 2 * slashes + ("\\'" if quote else "")


def replaced(place: str, values: Mapping[str, object], *, there: Mapping[str, object]) -> list[str]:
    """Spell changes that put values in the place of what is ``there``.

    Set alone, a mapping would be merged with the old one, whose other keys would stay.
    """
    return [
        change
        for key, value in values.items()
        for change in (
            *([f"~{place}.{key}"] if key in there else []),
            f"+{place}.{key}={spell(value)}",
        )
    ]
