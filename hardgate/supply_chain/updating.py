"""Bring a new snapshot of advisories: from an OSV server, or from files in OSV form.

The server is asked of each installed package by name, so it learns what is installed and no more;
https://google.github.io/osv.dev/post-v1-query/. Where that is not wanted, or there is no network,
give a folder or a zip archive of OSV's own files, such as a checkout of the Python Packaging
Advisory Database. Everything must be there before anything is written.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

from hardgate import files
from hardgate.errors import IntegrityError, UnavailableError
from hardgate.supply_chain import advisories
from hardgate.supply_chain.advisories import Snapshot

SERVER = "https://api.osv.dev"  # the public one, as pip-audit asks it too
AT_ONCE = 4  # requests
PATIENCE = 30  # seconds for one of them
LARGEST = 8 << 20  # bytes of one entry
NOT_OSV = (ValueError, AttributeError, TypeError, KeyError)
ENDINGS = (".json", ".yaml", ".yml")


def update(source: str, packages: Collection[str], *, today: date) -> Snapshot:
    """Bring everything known of these packages, and keep it in the state folder.

    Parameters
    ----------
    source
        The address of an OSV server, a folder or a zip archive.
    packages
        Canonical names.

    Raises
    ------
    UnavailableError
        If the source cannot be reached or does not answer as OSV does. Nothing is changed.
    IntegrityError
        If an entry is not in OSV form.
    """
    names = sorted(packages)
    if source.startswith(("https://", "http://")):
        found, as_of = _ask(source.rstrip("/"), names), today
    else:
        found = [
            entry
            for entry in _entries(Path(source))
            if not advisories.packages(entry).isdisjoint(names)
        ]
        as_of = min(_newest(found, source), today)
    for entry in found:
        advisories.check(entry)
    snapshot = Snapshot(
        schema_version=1,
        as_of=as_of,
        source=source,
        asked=tuple(names),
        advisories=tuple(_lean(entry) for entry in sorted(found, key=lambda entry: entry["id"])),
    )
    files.write_text(advisories.place(), snapshot.model_dump_json(indent=1) + "\n")
    return snapshot


def _ask(server: str, names: list[str]) -> list[dict[str, Any]]:
    """Ask a server of every package; one that it does not answer for spoils the whole."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda name: list(_of_package(server, name)), names))
    return list({entry["id"]: entry for answer in answers for entry in answer}.values())


def _of_package(server: str, name: str) -> Iterator[dict[str, Any]]:
    import requests

    asked: dict[str, Any] = {"package": {"name": name, "ecosystem": advisories.ECOSYSTEM}}
    while True:
        try:
            answer = requests.post(f"{server}/v1/query", json=asked, timeout=PATIENCE)
            answer.raise_for_status()
            found = answer.json()
            entries = found.get("vulns", [])
            yield from ({"id": entry["id"], **entry} for entry in entries)
            token = found.get("next_page_token")
        except (requests.RequestException, *NOT_OSV) as error:
            raise UnavailableError(
                f"{server} did not say what is known of {name}: {error}; the snapshot stays as it "
                "is; try again, or give --source another server, a folder or a zip of OSV's files"
            ) from error
        if not token:
            return
        asked["page_token"] = token


def _entries(source: Path) -> Iterator[dict[str, Any]]:
    """Read the entries of a folder or a zip archive; what else lies in it is left aside."""
    try:
        if source.is_dir():
            for path in sorted(source.rglob("*")):
                if path.suffix in ENDINGS and path.is_file() and not path.is_symlink():
                    yield from _entry(path.read_bytes(), path.as_posix())
            return
        with zipfile.ZipFile(source) as archive:
            for info in archive.infolist():
                if info.filename.endswith(ENDINGS) and info.file_size <= LARGEST:
                    yield from _entry(archive.read(info), info.filename)
    except (OSError, zipfile.BadZipFile) as error:
        raise UnavailableError(
            f"{source} cannot be read as a folder or zip of OSV's files: {error}"
        ) from error


def _entry(content: bytes, name: str) -> Iterator[dict[str, Any]]:
    import yaml

    try:
        if name.endswith(".json"):
            found = json.loads(content)
        else:
            found = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  safe
    except (ValueError, yaml.YAMLError) as error:
        raise IntegrityError(f"{name} cannot be read: {str(error).splitlines()[0]}") from error
    if isinstance(found, dict) and "id" in found and "affected" in found:
        yield json.loads(json.dumps(found, default=str))


def _newest(found: list[dict[str, Any]], source: str) -> date:
    """Date files by their newest entry: that is until when they know anything for sure."""
    dates = [str(entry["modified"])[:10] for entry in found if entry.get("modified")]
    if not dates:
        raise UnavailableError(
            f"{source} has no dated entry of OSV about an installed package, so nobody can tell "
            "until when it knows anything"
        )
    return date.fromisoformat(max(dates))


def _lean(entry: dict[str, Any]) -> dict[str, Any]:
    """Keep what is used, and leave out what makes entries long: prose and links."""
    kept = ("id", "aliases", "summary", "affected", "severity", "database_specific", "withdrawn")
    lean = {key: entry[key] for key in kept if entry.get(key)}
    if "summary" not in lean and entry.get("details"):
        lean["summary"] = str(entry["details"]).split("\n")[0][:200]
    return lean
