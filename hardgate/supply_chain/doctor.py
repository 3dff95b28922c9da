"""The installation as a checklist for a person: what a promotion would find, and the state folder.

Nothing is made or changed: a folder that is not there yet is said to be so.
"""

from __future__ import annotations

import os
import platform
import stat
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from hardgate import measurements
from hardgate.errors import HardgateError
from hardgate.evidence import keys
from hardgate.records import Record
from hardgate.supply_chain import inspecting
from hardgate.supply_chain.inspecting import Inspection

OLDEST_PYTHON = (3, 11)
OLDEST_SNAPSHOT = 1095  # days; as the gates of the built-in models have it
STALE = 30  # days; from then on an update is advised
PRIVATE = ("*.pem", "*.key")  # in the folder of keys; public ones lie in trusted/


class Item(Record):
    """One line of the checklist: what was looked at, and everything that was found wrong."""

    name: str
    words: str  # what is there
    found: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.found


def examine(root: Path, *, home: Path, today: date | None = None) -> tuple[Item, ...]:
    """Look at everything, in the order in which it is best put right."""
    day = datetime.now(UTC).date() if today is None else today
    items = [_python()]
    try:
        found = inspecting.inspect(root, today=day)
    except HardgateError as error:
        items.append(Item(name="packages", words="cannot be examined", found=(str(error),)))
    else:
        items += _packages(found, day)
    return (*items, _state(home), _keys(home / "keys"), _trust(home / "keys" / "trusted"))


def _python() -> Item:
    old = sys.version_info < OLDEST_PYTHON
    wanted = ".".join(map(str, OLDEST_PYTHON))
    return Item(
        name="Python",
        words=f"{platform.python_version()} at {sys.executable}",
        found=(f"{wanted} or later is needed",) if old else (),
    )


def _packages(found: Inspection, today: date) -> Iterator[Item]:
    seen = found.measurements
    installed = seen[measurements.SHADOWED].samples
    yield Item(
        name="locked versions",
        words=f"{installed} packages are installed",
        found=(*found.other_version, *found.not_locked),
    )
    yield Item(
        name="shadowed packages",
        words="what is imported is what was installed" if not found.shadowed else "some are not",
        found=found.shadowed,
    )
    yield Item(
        name="telemetry",
        words="no library reports on its users" if not found.telemetry else "some libraries report",
        found=found.telemetry,
    )
    age = (today - found.as_of).days
    spoken_of = seen[measurements.SNAPSHOT_AGE].samples if measurements.SNAPSHOT_AGE in seen else 0
    yield Item(
        name="advisories",
        words=f"by a snapshot of {found.as_of} that speaks of {spoken_of} of them",
        found=found.advisories,
    )
    advice = "; hardgate doctor --update brings a newer one"
    yield Item(
        name="age of the snapshot",
        words=f"{age} days{advice if age > STALE else ''}",
        found=tuple(_too_old(age)),
    )


def _too_old(age: int) -> Iterator[str]:
    if age < 0:
        yield "it is from the future; look at the clock"
    elif age > OLDEST_SNAPSHOT:
        yield f"it is older than {OLDEST_SNAPSHOT} days; run hardgate doctor --update"


def _state(home: Path) -> Item:
    """See that nobody else can read or write the state folder."""
    if not home.is_dir():
        return Item(name="state folder", words=f"{home} is not there yet; the first run makes it")
    mode = stat.S_IMODE(home.stat().st_mode)
    found = []
    if mode & keys.OPEN:
        found.append(f"{home} is open to others (mode {mode:04o}); run `chmod 700 {home}`")
    if home.stat().st_uid != os.geteuid():
        found.append(f"{home} belongs to another user; name another folder in HARDGATE_HOME")
    return Item(name="state folder", words=f"{home}, mode {mode:04o}", found=tuple(found))


def _keys(folder: Path) -> Item:
    """See that the private keys are their owner's alone."""
    private = sorted(path for pattern in PRIVATE for path in folder.glob(pattern))
    if not private:
        return Item(name="private keys", words="none yet; the first promotion makes them")
    found = [_said(lambda: keys.check_folder(folder))]
    for path in private:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & keys.OPEN:
            found.append(f"{path} is open to others (mode {mode:04o}); run `chmod 600 {path}`")
    return Item(
        name="private keys",
        words=", ".join(path.name for path in private),
        found=tuple(each for each in found if each),
    )


def _trust(folder: Path) -> Item:
    """See that every trusted public key is the one its name says, and nobody else can add one."""
    from hardgate.evidence import signing

    if not folder.is_dir():
        return Item(name="trust store", words=f"{folder} is not there yet")
    trouble = _said(lambda: signing.public_keys(folder))
    return Item(
        name="trust store",
        words=f"{len(list(folder.iterdir()))} public keys in {folder}",
        found=(trouble,) if trouble else (),
    )


def _said(question: Callable[[], object]) -> str:
    try:
        question()
    except HardgateError as error:
        return str(error)
    return ""
