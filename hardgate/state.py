"""The state folder: keys, checkpoints, databases, locks. One per project, for its owner's eyes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardgate.errors import UnavailableError

OWNER_ONLY = 0o700


def home() -> Path:
    """Name the state folder, ``HARDGATE_HOME`` or ``.hardgate``; make it on first use.

    Raises
    ------
    UnavailableError
        If it cannot be made or written to.
    """
    path = Path(os.environ.get("HARDGATE_HOME", ".hardgate"))
    try:
        path.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
        path.chmod(OWNER_ONLY)
        probe = path / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink(missing_ok=True)  # another thread may have been faster
    except OSError as error:
        raise UnavailableError(
            f"the state folder {path} cannot be written ({error.strerror}); make it writable "
            "or name another in HARDGATE_HOME"
        ) from error
    return path


def room(name: str) -> Path:
    """Name a folder within the state folder, made on first use."""
    path = home() / name
    path.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
    return path


@contextmanager
def exclusive(model: str) -> Iterator[None]:
    """Keep every other run of ``model`` out for the length of the block.

    The kernel frees the lock when the process ends, however it ends.

    Raises
    ------
    UnavailableError
        If another process holds it; names that process.
    """
    path = room("locks") / f"{model}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode() or "unknown"
            raise UnavailableError(
                f"another run of {model} is under way (process {holder}); "
                "wait for it, or stop it first"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
