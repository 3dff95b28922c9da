"""The state folder: keys, checkpoints, databases, locks. One per project, for its owner's eyes."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from urllib.parse import quote

from hardgate.errors import UnavailableError

OWNER_ONLY = 0o700
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # disk, quota, file-size limit
OCCUPIED = frozenset({errno.EEXIST, errno.ENOTDIR, errno.EISDIR})

_held: ContextVar[frozenset[str]] = ContextVar("_held", default=frozenset())


def location() -> Path:
    """Say where the state folder is or will be: ``HARDGATE_HOME``, or ``.hardgate``."""
    return Path(os.environ.get("HARDGATE_HOME", ".hardgate"))


def home() -> Path:
    """Name the state folder; make it on first use.

    Raises
    ------
    UnavailableError
        If it cannot be made or written to.
    """
    path = location()
    with _usable(path):
        path.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
        path.chmod(OWNER_ONLY)
        probe = path / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink(missing_ok=True)  # another thread may have been faster
    return path


def room(name: str) -> Path:
    """Name a folder within the state folder, made on first use."""
    path = home() / name
    with _usable(path):
        path.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
    return path


@contextmanager
def exclusive(model: str) -> Iterator[None]:
    """Keep every other run of ``model`` out for the length of the block.

    Within the block it may be asked for again. The kernel frees the lock when the process ends,
    however it ends.

    Raises
    ------
    UnavailableError
        If another process holds it; names that process.
    """
    if model in _held.get():
        yield
        return
    with locked(
        f"{quote(model, safe='')}.lock",
        busy=f"another run of {model} is under way",
        advice="wait for it, or stop it first",
    ):
        token = _held.set(_held.get() | {model})
        try:
            yield
        finally:
            _held.reset(token)


@contextmanager
def locked(name: str, *, busy: str, advice: str) -> Iterator[int]:
    """Hold the lock ``name`` for the length of the block; within it, it is taken as elsewhere.

    Gives the file descriptor: a process that inherits it holds the lock as well, until both end.

    Raises
    ------
    UnavailableError
        If it is taken: says ``busy``, by which process, and ``advice``.
    """
    path = room("locks") / name
    with _usable(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode() or "unknown"
            raise UnavailableError(f"{busy} (process {holder}); {advice}") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    """Say of a place that cannot be used what to do about it."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            advice = "make room"
        elif error.errno in OCCUPIED:
            advice = "move what is there out of the way"
        else:
            advice = "make it writable"
        raise UnavailableError(
            f"the state folder cannot be used: {path}: {error.strerror}; {advice}, or name "
            "another folder in HARDGATE_HOME"
        ) from error
