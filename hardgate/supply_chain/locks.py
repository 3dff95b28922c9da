"""What ``requirements.lock`` names: one version for each package, on this kind of machine."""

from __future__ import annotations

import re
from pathlib import Path

from hardgate.errors import IntegrityError

FILE = Path("requirements.lock")
OWN = "hardgate"  # installed from the checkout, whose commit and digest the evidence holds


def canonical(name: str) -> str:
    """Spell a package's name as everybody compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(path: Path = FILE) -> dict[str, str]:
    """Read the locked versions that hold here, by canonical name.

    A package may stand there once for each Python; markers say which line holds.

    Raises
    ------
    IntegrityError
        If the file is missing, locks nothing, or has a line that locks no version.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        lines = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{path} cannot be read: {error}; make lock writes it") from error
    locked = {}
    for line in lines:
        written = re.sub(r"\s--hash=\S+|(^|\s)#.*", "", line).strip()
        if not written:
            continue
        try:
            asked = Requirement(written)
        except InvalidRequirement as error:
            raise IntegrityError(f"{path}: {written!r} is no requirement: {error}") from error
        if asked.marker is not None and not asked.marker.evaluate():
            continue
        exact = [each.version for each in asked.specifier if each.operator == "=="]
        if len(exact) != 1:
            raise IntegrityError(f"{path}: {written!r} locks no version; make lock writes it again")
        locked[canonical(asked.name)] = exact[0]
    if not locked:
        raise IntegrityError(f"{path} locks nothing; make lock writes it")
    return locked
