"""Overrides that hold for one run: params.yaml is changed, and put back afterwards.

One run at a time has any in force, whatever its model, because all models share the file. A
journal in the state folder keeps the file as it was: what a killed run left, the next puts back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hardgate import files, params_file, provenance, records, state
from hardgate.errors import UnavailableError
from hardgate.records import Record, Sha256

LOCK = "params.yaml"  # the locks of models end in .lock


class Journal(Record):
    """What was overridden, the file as it was, and the digest of what was written instead."""

    assignments: tuple[str, ...]
    before: str
    written_sha256: Sha256


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other runs with overrides out for the length of the block; begin with a file put back.

    Raises
    ------
    UnavailableError
        If another run has overrides in force; names its process.
    """
    with state.locked(
        LOCK,
        busy="another run with overrides is under way",
        advice="wait for it, or start one at a time",
    ):
        _clear_up(path)
        yield


def recover(path: Path) -> None:
    """Put the file back if a run with overrides was killed; one under way is left alone."""
    if _journal().exists():
        with suppress(UnavailableError), alone(path):  # it is under way, and puts the file back
            pass


@contextmanager
def in_force(assignments: Sequence[str], *, before: str, after: str, path: Path) -> Iterator[None]:
    """Write ``after`` into the file for the length of the block, then take the assignments back.

    What else a person changed in the file meanwhile stays.
    """
    journal = Journal(assignments=tuple(assignments), before=before, written_sha256=_digest(after))
    records.write(journal, _journal())
    try:
        files.write_text(path, after)
        yield
    finally:
        now = params_file.text_of(path)
        if now == after:
            files.write_text(path, before)
        else:
            kept = params_file.undo(now, assignments, before=before, after=after, path=path)
            if kept != now:
                files.write_text(path, kept)
        _journal().unlink()


def _clear_up(path: Path) -> None:
    """Put the file back after a killed run, unless somebody changed it since."""
    if not _journal().exists():
        return
    journal = records.read(Journal, _journal())
    now = params_file.text_of(path)
    if _digest(now) == journal.written_sha256:
        files.write_text(path, journal.before)
    elif now != journal.before:
        logging.getLogger(__name__).warning(
            "%s was changed after a run with overrides had been killed; see whether you still want "
            "%s in it",
            path,
            ", ".join(journal.assignments),
        )
    _journal().unlink()


def _journal() -> Path:
    return state.home() / "overrides.json"


def _digest(text: str) -> Sha256:
    return provenance.sha256_bytes(text.encode())
