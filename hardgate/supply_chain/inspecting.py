"""The supply chain as measurements, and in words what they stand for.

Nothing is sampled, so every number is exact: its samples are the files, packages or advisories that
were looked at, and what was not looked at has no number.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from hardgate import measurements, provenance, records, statistics, telemetry
from hardgate.records import Measurement, Record, Sha256
from hardgate.supply_chain import advisories, artifacts, installation, locks
from hardgate.supply_chain.advisories import Fault, Snapshot
from hardgate.supply_chain.artifacts import Scan
from hardgate.supply_chain.installation import Installation
from hardgate.supply_chain.severity import SEVERITIES

ABOUT = (
    "The files of the model, the packages that were installed, and what is known against them by "
    "a snapshot of advisories. supply-chain.json, beside this page, names what was found."
)
SAID = {
    measurements.UNSAFE_FILES: "files of the model that are refused",
    measurements.SNAPSHOT_AGE: "days since the snapshot of advisories",
    measurements.SNAPSHOT_DATE: "date of the snapshot, as YYYYMMDD",
    measurements.SHADOWED: "packages that are not what was installed",
    measurements.TELEMETRY: "libraries that report on their users",
    measurements.OTHER_VERSION: "packages of another version than the lock's",
    measurements.NOT_LOCKED: "packages that the lock does not name",
} | {
    measurements.advisories(each): f"known advisories on installed packages, {each} or graver"
    for each in SEVERITIES
}


class Inspection(Record):
    """Everything that was found, in words; empty where all is well."""

    as_of: date  # of the snapshot of advisories
    snapshot_sha256: Sha256
    installed_sha256: Sha256  # of the versions by name
    unsafe: tuple[str, ...] = ()
    advisories: tuple[str, ...] = ()
    shadowed: tuple[str, ...] = ()
    telemetry: tuple[str, ...] = ()
    other_version: tuple[str, ...] = ()
    not_locked: tuple[str, ...] = ()
    measurements: dict[str, Measurement]

    @property
    def sha256(self) -> str:
        """Digest what was found, but for the age of the advisories: that changes every day."""
        kept = records.to_plain(self)
        kept["measurements"].pop(measurements.SNAPSHOT_AGE, None)
        return provenance.sha256_json(kept)

    @property
    def words(self) -> tuple[str, ...]:
        """List what was found, the gravest kind first."""
        return (
            *self.unsafe,
            *self.advisories,
            *self.shadowed,
            *self.telemetry,
            *self.other_version,
            *self.not_locked,
        )


def measure(directory: Path, *, root: Path) -> dict[str, Measurement]:
    """Measure the supply chain of a model directory, by full name."""
    return with_files(inspect(root), directory, root=root).measurements


def with_files(found: Inspection, directory: Path, *, root: Path) -> Inspection:
    """Add what the files of a model directory are, to what was found of the installation."""
    scanned = artifacts.scan(directory, locked=locks.read(root / locks.FILE))
    return found.model_copy(
        update={
            "unsafe": tuple(map(str, scanned.unsafe)),
            "measurements": found.measurements | _of_files(scanned),
        }
    )


def inspect(
    root: Path,
    *,
    today: date | None = None,
    environment: Mapping[str, str] = os.environ,
    installed: Installation | None = None,
) -> Inspection:
    """Look at the installation.

    Parameters
    ----------
    root
        Of the project: it holds the lock.
    """
    locked = locks.read(root / locks.FILE)
    installed = installation.read() if installed is None else installed
    snapshot = advisories.newest()
    known = advisories.faults(snapshot, installed.versions)
    found = {
        "shadowed": tuple(installation.shadowed(installed)),
        "telemetry": tuple(
            f"{library} reports on its users; {advice}"
            for library, advice in telemetry.found_on(installed.versions, environment, root)
        ),
        "other_version": tuple(installation.other_versions(installed, locked)),
        "not_locked": tuple(installation.not_locked(installed, locked)),
    }
    counts = {
        measurements.SHADOWED: len(found["shadowed"]),
        measurements.TELEMETRY: len(found["telemetry"]),
        measurements.OTHER_VERSION: len(found["other_version"]),
        measurements.NOT_LOCKED: len(found["not_locked"]),
    }
    day = datetime.now(UTC).date() if today is None else today
    return Inspection(
        as_of=snapshot.as_of,
        snapshot_sha256=snapshot.sha256,
        installed_sha256=provenance.sha256_json(installed.versions),
        advisories=tuple(map(str, known)),
        **found,
        measurements=_of_advisories(snapshot, known, installed, day)
        | {name: statistics.exact(n, len(installed.versions)) for name, n in counts.items()},
    )


def _of_files(scanned: Scan) -> dict[str, Measurement]:
    """Count the refused files; no files at all are no measurement, but a refusal is one."""
    if not scanned.files and not scanned.unsafe:
        return {}
    looked_at = max(scanned.files, len(scanned.unsafe))
    return {measurements.UNSAFE_FILES: statistics.exact(len(scanned.unsafe), looked_at)}


def _of_advisories(
    snapshot: Snapshot, known: tuple[Fault, ...], installed: Installation, today: date
) -> dict[str, Measurement]:
    """Count the advisories, on as many samples as the snapshot speaks of installed packages."""
    spoken_of = advisories.spoken_of(snapshot, installed.versions)
    if not spoken_of:
        return {}
    as_of = snapshot.as_of
    values = {
        measurements.advisories(each): sum(fault.at_least(each) for fault in known)
        for each in SEVERITIES
    }
    values |= {
        measurements.SNAPSHOT_AGE: snapshot.age(today),
        measurements.SNAPSHOT_DATE: as_of.year * 10_000 + as_of.month * 100 + as_of.day,
    }
    return {name: statistics.exact(value, spoken_of) for name, value in values.items()}
