"""Experiments of DVC: one run of the pipeline under other params, in a folder of its own.

To note an experiment, DVC stashes what the folder it is called in has changed, and resets it. So
it is called in a copy: the workspace stays as it is, however a run ends. What a run made is in
DVC's cache, and a Git reference under ``refs/exps`` names it: ``dvc exp show`` lists it, ``dvc exp
apply`` takes it over.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hardgate import progress_file
from hardgate.errors import UnavailableError

PATIENCE = 20.0  # seconds for DVC and its stage to end after Ctrl-C
IDENTITY = {"user.name": "hardgate", "user.email": "hardgate@localhost"}  # if Git knows nobody
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


@contextmanager
def copied(places: Sequence[str], home: Path) -> Iterator[Path]:
    """Copy the project as it stands, committed or not, for the length of the block.

    What the copy of a killed run has finished is taken over first.

    Parameters
    ----------
    places
        Files and folders that the stages read; those that Git does not know are copied as well.
    home
        Where the copy goes; one at a time.

    Yields
    ------
    The project's folder in the copy.
    """
    repository = home / "project"
    within = repository / _asked("rev-parse", "--show-prefix")
    _discard(repository)
    try:
        _check_out(repository)
        for place in places:
            for file in _unknown(place):
                (within / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, within / file)
        _share_cache(within)
        yield within
    finally:
        _discard(repository)


def _check_out(repository: Path) -> None:
    """Make a repository that shares our objects, and holds what we have committed and changed."""
    objects, shallow, index = (
        Path(_asked("rev-parse", "--git-path", name)).absolute()
        for name in ("objects", "shallow", "index")
    )
    _asked("init", "--quiet", str(repository))
    inside = repository / ".git"
    (inside / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
    if shallow.exists():
        shutil.copy(shallow, inside / "shallow")
    for key, nobody in IDENTITY.items():  # of whoever DVC commits an experiment for
        _asked("config", key, _git("config", key) or nobody, at=repository)
    with tempfile.TemporaryDirectory() as folder:
        ours = shutil.copy(index, folder)
        _asked("add", "--update", ":/", index=ours)
        tree = _asked("write-tree", index=ours)
    _asked("update-ref", "--no-deref", "HEAD", _asked("rev-parse", "HEAD"), at=repository)
    _asked("read-tree", "--reset", "-u", tree, at=repository)


def _share_cache(project: Path) -> None:
    """Give a copy our DVC settings of this machine, and our cache."""
    from dvc.repo import Repo

    with Repo(".") as ours, Repo(str(project)) as copy, copy.config.edit("local") as local:
        local.update(ours.config.load_one("local"))
        local.setdefault("cache", {})["dir"] = ours.cache.local_cache_dir


def _discard(repository: Path) -> None:
    """Remove a copy, once its experiments are ours."""
    if (repository / ".git").exists():
        _take_over(repository)
    shutil.rmtree(repository, ignore_errors=True)


def _take_over(copy: Path) -> None:
    """Fetch the experiments of a copy."""
    repository = _git("rev-parse", "--show-toplevel", at=copy) or ""
    found = _git("for-each-ref", "--format=%(refname)", "refs/exps/*/*/*", at=copy)
    for reference in (found or "").split():
        _git("fetch", "--quiet", "--no-tags", repository, f"+{reference}:{reference}")


def run(
    name: str,
    changes: Sequence[str],
    *,
    stages: Sequence[str],
    places: Sequence[str],
    copy: Path,
    home: Path,
    inherited: int,
) -> str:
    """Run stages, and what they depend on, under changed params; give the revision.

    Parameters
    ----------
    changes
        In Hydra's spelling, as ``dvc exp run --set-param`` takes them.
    places
        Files and folders that the stages read.
    copy
        The copied project; DVC runs the stages in another folder within.
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
    unknown = [place for place in places if _unknown(place, at=copy)]
    words += [word for place in unknown for word in ("--copy-paths", place)]
    progress = home / "progress.jsonl"
    log = home / f"{name}.log"
    with progress_file.shown(progress), log.open("wb") as stream:
        environment = _environment(home, progress)
        status = _run([*words, *stages], copy, stream, environment, inherited)
    _take_over(copy)
    if status == 0 and (revision := find(name)):
        log.unlink()
        return revision
    raise UnavailableError(f"{_reason(log)} (the whole of it: {log})")


def _run(
    words: list[str], folder: Path, log: Any, environment: Mapping[str, str], inherited: int
) -> int:
    """Run DVC in a process group of its own, so that Ctrl-C reaches it once: through us."""
    with subprocess.Popen(  # noqa: S603  our own words
        words,
        cwd=folder,
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


def _unknown(place: str, at: Path | None = None) -> list[str]:
    """List the files of a place that Git does not know, whether it ignores them or not."""
    excluded = ("--exclude=__pycache__", "--exclude=*.dvc")
    found = _asked("ls-files", "-z", "--others", *excluded, "--", place, at=at)
    return [file for file in found.split("\0") if file]


def _reason(log: Path) -> str:
    """Pick from all that was printed what the stage said last."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line for line in lines if line.strip() and not line.startswith(NOISE)]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")]
    return next(iter([*said[-1:], *errors]), "DVC ended without a word")


def _git(*words: str, at: Path | None = None, index: str | None = None) -> str | None:
    """Ask Git, in a folder, with another index; None when it refuses."""
    done = _tried(words, at, index)
    return done.stdout.strip() if done.returncode == 0 else None


def _asked(*words: str, at: Path | None = None, index: str | None = None) -> str:
    """Ask Git what it must not refuse."""
    done = _tried(words, at, index)
    if done.returncode != 0:
        raise UnavailableError(f"git {words[0]} says: {done.stderr.strip() or 'nothing'}")
    return done.stdout.strip()


def _tried(
    words: Sequence[str], at: Path | None, index: str | None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  fixed words
        ["git", *words],  # noqa: S607  git from the PATH
        cwd=at,
        env=os.environ | ({"GIT_INDEX_FILE": index} if index else {}),
        check=False,
        capture_output=True,
        text=True,
    )


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
