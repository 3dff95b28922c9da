"""Known faults of installed packages, by a dated snapshot of advisories in OSV form.

https://ossf.github.io/osv-schema/. A snapshot comes with this library: a list of some dozens of
widely known advisories, put together by hand, so that there is something to compare with where
there is no network. It says of which packages it speaks and until when, and claims no more.
``hardgate doctor --update`` puts a whole one in its place.

One fault has several names (CVE, GHSA, PYSEC); entries that share one are counted once. What cannot
be told counts against the package: a severity nobody states is the gravest, and a version that
cannot be read is affected.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from packaging.version import InvalidVersion, Version
from pydantic import Field, ValidationError

from hardgate import provenance, records, state
from hardgate.errors import IntegrityError
from hardgate.records import Record
from hardgate.supply_chain import locks, severity
from hardgate.supply_chain.severity import SEVERITIES, Severity

BUNDLED = Path(__file__).with_name("advisories.json")
ROOM, FILE = "advisories", "advisories.json"
ECOSYSTEM = "PyPI"


class Snapshot(Record):
    """What was known of some packages on one day."""

    schema_version: Literal[1]
    as_of: date
    source: str
    asked: tuple[str, ...] = Field(min_length=1)  # canonical names of the packages it speaks of
    advisories: tuple[dict[str, Any], ...]  # in OSV form

    @property
    def sha256(self) -> str:
        """Digest the whole of it."""
        return provenance.sha256_json(json.loads(self.model_dump_json()))

    def age(self, today: date) -> int:
        """Count the days since; fewer than none when it claims to know the future."""
        return (today - self.as_of).days


@dataclass(frozen=True)
class Fault:
    """A known fault of an installed package."""

    package: str
    version: str
    names: tuple[str, ...]
    severity: Severity | None
    fixed: tuple[str, ...]
    summary: str

    def at_least(self, least: Severity) -> bool:
        """Tell whether it is that grave; one of unknown severity is."""
        known = self.severity
        return known is None or SEVERITIES.index(known) >= SEVERITIES.index(least)

    def __str__(self) -> str:
        cure = f"fixed in {' and '.join(self.fixed)}" if self.fixed else "no version is free of it"
        return (
            f"{self.package} {self.version}: {', '.join(self.names)} "
            f"({self.severity or 'severity unknown'}), {self.summary}; {cure}"
        )


def place() -> Path:
    """Name the file that an update writes."""
    return state.room(ROOM) / FILE


def newest() -> Snapshot:
    """Read the snapshot that knows most: the one of the last update, or the one that came along.

    Raises
    ------
    IntegrityError
        If one is broken; names it.
    """
    updated = state.location() / ROOM / FILE
    found = [read(path) for path in (updated, BUNDLED) if path.is_file()]
    if not found:
        raise IntegrityError(f"{BUNDLED} is missing; run hardgate doctor --update")
    return max(found, key=lambda snapshot: snapshot.as_of)


def read(path: Path) -> Snapshot:
    """Read a snapshot.

    Raises
    ------
    IntegrityError
        If it is none, or an entry of it is not in OSV form; says what to do.
    """
    try:
        snapshot = Snapshot.model_validate_json(path.read_bytes())
        for entry in snapshot.advisories:
            check(entry)
    except ValidationError as error:
        why = records.first_problem(error, "the whole file")
        raise IntegrityError(f"{path} is no snapshot of advisories: {why}; {ADVICE}") from error
    except (OSError, IntegrityError) as error:
        raise IntegrityError(f"{path} is no snapshot of advisories: {error}; {ADVICE}") from error
    return snapshot


ADVICE = "delete it, and run hardgate doctor --update"


def check(entry: Mapping[str, Any]) -> None:
    """Refuse an entry that is not in OSV form as far as it is used here.

    Raises
    ------
    IntegrityError
        Names the entry.
    """
    name = entry.get("id")
    if not isinstance(name, str) or not str(entry.get("schema_version", "1.")).startswith("1."):
        raise IntegrityError(f"{str(name)[:80]!r} is no entry of OSV's first version")
    try:
        for package in packages(entry):
            for version in ("0", "1!0"):
                _is_affected(entry, package, version)
        severity.of(dict(entry))
        _names(entry)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"the entry {name} is not in OSV form: {error!r}") from error


def faults(snapshot: Snapshot, versions: Mapping[str, str]) -> tuple[Fault, ...]:
    """List the known faults of what is installed.

    Parameters
    ----------
    versions
        Installed versions by canonical name.
    """
    found: list[Fault] = []
    for package, version in sorted(versions.items()):
        entries = [
            entry
            for entry in snapshot.advisories
            if not entry.get("withdrawn")
            and package in packages(entry)
            and _is_affected(entry, package, version)
        ]
        found += (_fault(package, version, same) for same in _by_name(entries))
    return tuple(found)


def spoken_of(snapshot: Snapshot, versions: Mapping[str, str]) -> int:
    """Count the installed packages that the snapshot speaks of."""
    return len(set(snapshot.asked) & set(versions))


def packages(entry: Mapping[str, Any]) -> set[str]:
    """Name the Python packages that an entry is about."""
    return {
        locks.canonical(affected["package"]["name"])
        for affected in entry.get("affected", ())
        if affected["package"]["ecosystem"] == ECOSYSTEM
    }


def _names(entry: Mapping[str, Any]) -> set[str]:
    return {entry["id"], *entry.get("aliases", ())}


def _affected(entry: Mapping[str, Any], package: str) -> Iterator[Mapping[str, Any]]:
    for affected in entry["affected"]:
        named = affected["package"]
        if named["ecosystem"] == ECOSYSTEM and locks.canonical(named["name"]) == package:
            yield affected


def _is_affected(entry: Mapping[str, Any], package: str, version: str) -> bool:
    try:
        installed = Version(version)
    except InvalidVersion:
        return True
    return any(_holds(affected, installed) for affected in _affected(entry, package))


def _holds(affected: Mapping[str, Any], installed: Version) -> bool:
    ranges = [each["events"] for each in affected.get("ranges", ()) if each["type"] == "ECOSYSTEM"]
    listed = affected.get("versions", ())
    if any(_version(text) == installed for text in listed):
        return True
    if not ranges and not listed:
        return True  # it says of no version that it is free
    readable = [events for events in ranges if None not in map(_version, _texts(events))]
    if len(readable) < len(ranges) and not listed:
        return True
    return any(_within(events, installed) for events in readable)


def _texts(events: Sequence[Mapping[str, str]]) -> list[str]:
    return [text for event in events for text in event.values()]


def _within(events: Sequence[Mapping[str, str]], installed: Version) -> bool:
    """Follow the events in the order of their versions, as OSV prescribes."""
    inside = False
    for what, version in sorted(
        ((what, Version(text)) for event in events for what, text in event.items()),
        key=lambda item: (item[1], item[0] == "introduced"),
    ):
        if what == "introduced" and installed >= version:
            inside = True
        elif (what == "fixed" and installed >= version) or (
            what == "last_affected" and installed > version
        ):
            inside = False
    return inside


def _version(text: str) -> Version | None:
    """Read a version; some of long ago are none by the rules of today."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _by_name(entries: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Put entries that share a name together."""
    groups: list[list[Mapping[str, Any]]] = []
    for entry in entries:
        same = [group for group in groups if any(_names(entry) & _names(other) for other in group)]
        groups = [group for group in groups if group not in same]
        groups.append([entry, *(other for group in same for other in group)])
    return groups


def _fault(package: str, version: str, same: Sequence[Mapping[str, Any]]) -> Fault:
    known = [grave for entry in same if (grave := severity.of(dict(entry))) is not None]
    fixed = {
        event["fixed"]
        for entry in same
        for affected in _affected(entry, package)
        for each in affected.get("ranges", ())
        if each["type"] == "ECOSYSTEM"
        for event in each["events"]
        if "fixed" in event
    }
    return Fault(
        package=package,
        version=version,
        names=tuple(sorted({name for entry in same for name in _names(entry)})),
        severity=max(known, key=SEVERITIES.index) if known else None,
        fixed=tuple(sorted(fixed, key=lambda text: (_version(text) or Version("0"), text))),
        summary=next((str(entry["summary"]) for entry in same if entry.get("summary")), "no words"),
    )
