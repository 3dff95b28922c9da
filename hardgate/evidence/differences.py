"""Say exactly where two things differ: which key, which file, which measurement, which gate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isclose
from pathlib import Path

from pydantic import JsonValue

from hardgate import provenance
from hardgate.errors import DataError, IntegrityError
from hardgate.records import FileRecord, Finding, Measurement

SHOWN = 5
# Other mathematics libraries round the last bits of a root or a logarithm otherwise.
ROUNDING = 1e-9
LONGEST = 60


def of_values(signed: JsonValue, found: JsonValue, key: str) -> Iterator[str]:
    """Name every key whose value differs; ``key`` names the whole."""
    if isinstance(signed, dict) and isinstance(found, dict):
        for name in sorted(signed.keys() | found.keys()):
            inner = f"{key}.{name}"
            if name not in found:
                yield f"{inner} is missing, the evidence says {_short(signed[name])}"
            elif name not in signed:
                yield f"{inner} is {_short(found[name])}, the evidence has no such key"
            else:
                yield from of_values(signed[name], found[name], inner)
    elif isinstance(signed, list) and isinstance(found, list) and len(signed) == len(found):
        for index, (was, now) in enumerate(zip(signed, found, strict=True)):
            yield from of_values(was, now, f"{key}[{index}]")
    elif provenance.canonical_json(signed) != provenance.canonical_json(found):
        yield f"{key} is {_short(found)}, the evidence says {_short(signed)}"


def of_files(signed: Iterable[FileRecord], root: Path) -> Iterator[str]:
    """Name every file that is missing or changed; the records are relative to ``root``."""
    for record in signed:
        path = root / record.path
        if path.is_file():
            yield from _of_digest(record, provenance.sha256_file(path))
        else:
            yield f"{record.path.as_posix()} is missing"


def of_data(signed: Iterable[FileRecord], root: Path) -> Iterator[str]:
    """Name every raw file that is missing or changed; a folder of images counts as one."""
    from hardgate.datasets import fetching  # pandas comes with it

    for record in signed:
        try:
            path = fetching.locate(record, root=root)
        except DataError as error:
            yield str(error)
            continue
        tree = path.is_dir()
        yield from _of_digest(
            record, provenance.sha256_tree(path) if tree else provenance.sha256_file(path)
        )


def _of_digest(record: FileRecord, found: str) -> Iterator[str]:
    if found != record.sha256:
        yield (
            f"{record.path.as_posix()} has changed: its digest is {found[:12]}, "
            f"the evidence says {record.sha256[:12]}"
        )


def of_directory(signed: Iterable[FileRecord], directory: Path) -> Iterator[str]:
    """Name every file that is missing, changed or extra, and all that is no plain file."""
    if not directory.is_dir():
        yield f"the directory {directory} is missing"
        return
    records = tuple(signed)
    yield from of_files(records, directory)
    expected = {record.path.as_posix() for record in records}
    for path in provenance.files_below(directory):
        if path.as_posix() not in expected:
            yield f"{path.as_posix()} is extra, the evidence does not know it"
    for path in sorted(directory.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            yield f"{path.relative_to(directory).as_posix()} is a link or device, not a plain file"


def of_measurements(
    names: Sequence[str], signed: Mapping[str, Measurement], found: Mapping[str, Measurement]
) -> Iterator[str]:
    """Name every signed measurement that came out otherwise, or not at all."""
    for name in names:
        if name not in found:
            yield f"{name} is signed, but no outcomes stand behind it"
        elif not _same(signed[name], found[name]):
            yield f"{name}: the outcomes give {_words(found[name])}, signed {_words(signed[name])}"


def of_findings(signed: Sequence[Finding], found: Sequence[Finding]) -> Iterator[str]:
    """Name every gate that found something else."""
    was, now = ({finding.gate: finding for finding in findings} for findings in (signed, found))
    for gate in sorted(was.keys() | now.keys()):
        if gate not in now:
            yield f"{gate} is signed, but no gate of the policy finds it"
        elif gate not in was:
            yield f"{gate} finds {now[gate].verdict}, and is not in the evidence"
        elif not _agree(was[gate], now[gate]):
            yield f"{gate} finds {now[gate].verdict}, signed {was[gate].verdict}"
    if len(was) != len(signed) or len(now) != len(found):
        yield "a gate is found twice"


def refuse(found: Iterable[str]) -> None:
    """Raise when there are any differences; names the first ones.

    Raises
    ------
    IntegrityError
        If there are any.
    """
    listed = list(found)
    if listed:
        more = f"; and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
        raise IntegrityError("; ".join(listed[:SHOWN]) + more)


def _agree(signed: Finding, found: Finding) -> bool:
    """Compare what was found; its wording may have been improved since."""
    if signed.observed is None or found.observed is None:
        seen = signed.observed is found.observed
    else:
        seen = _same(signed.observed, found.observed)
    return seen and (signed.verdict, signed.bound) == (found.verdict, found.bound)


def _same(one: Measurement, other: Measurement) -> bool:
    return (one.samples, one.interval) == (other.samples, other.interval) and all(
        isclose(a, b, rel_tol=ROUNDING, abs_tol=ROUNDING)
        for a, b in ((one.value, other.value), (one.lower, other.lower), (one.upper, other.upper))
    )


def _words(measured: Measurement) -> str:
    return (
        f"{measured.value:.4f} [{measured.lower:.4f}, {measured.upper:.4f}] "
        f"of {measured.samples} samples"
    )


def _short(value: JsonValue) -> str:
    text = provenance.canonical_json(value).decode()
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
