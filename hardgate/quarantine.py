"""Rows that somebody set aside: they stay in the raw file, and are in no split.

``validation.quarantine`` names a CSV file below the model's data folder, with the columns ``row``
(counting from 0, as messages do), ``identity`` and ``reason``. The identity is a digest of what the
model and its labels would see of the row, so that the file cannot come to mean other rows when the
data are sorted anew, and so that a row which was corrected at its source comes back by itself.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hardgate import files, provenance, splits
from hardgate.datasets.raw import Raw, Rows
from hardgate.errors import DataError, ParamsError
from hardgate.records import FileRecord

COLUMNS = ("row", "identity", "reason")


@dataclass(frozen=True)
class Kept:
    """The rows that are left, and which ones of the raw file they are."""

    raw: Raw
    rows: Rows
    aside: Rows


def apply(raw: Raw, path: str | None, *, root: Path) -> Kept:
    """Leave out the rows that a file sets aside, none without a file; the file joins the sources.

    Raises
    ------
    ParamsError
        If the file is missing.
    DataError
        If it is malformed, or names a row that is not there or not the one it was; names the line.
    """
    everything = np.arange(len(raw.frame))
    if path is None:
        return Kept(raw, everything, aside=everything[:0])
    aside = _read(raw, path, root=root)
    rows = np.setdiff1d(everything, aside)
    left = replace(
        raw,
        frame=raw.frame.iloc[rows].reset_index(drop=True),
        files=(
            *raw.files,
            FileRecord(path=Path(path), sha256=provenance.sha256_file(root / path)),
        ),
        given_split=None if raw.given_split is None else raw.given_split[rows],
        images=None if raw.images is None else raw.images[rows],
    )
    return Kept(left, rows, aside)


def identities(raw: Raw, rows: Rows) -> list[str]:
    """Digest rows, label included: equal where model and label would be the same."""
    hashes = splits.identify(raw.frame.iloc[rows], (*raw.inputs, raw.target))
    return [f"{number:016x}" for number in hashes.tolist()]


def write(raw: Raw, rows: Rows, reasons: Iterable[str], path: Path) -> None:
    """List rows as ``validation.quarantine`` takes them."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(zip(rows.tolist(), identities(raw, rows), reasons, strict=True))
    files.write_text(path, stream.getvalue())


def _read(raw: Raw, path: str, *, root: Path) -> Rows:
    """Read the rows that are set aside, once each is found to be the row that was meant."""
    lines = _lines(path, root=root)
    rows = np.array([_row(line, at, path, len(raw.frame)) for at, line in lines], dtype=np.int64)
    _, first = np.unique(rows, return_index=True)
    for at in np.setdiff1d(np.arange(len(rows)), first)[:1]:
        raise DataError(f"{path}, line {lines[at][0]}: row {rows[at]} is set aside twice; keep one")
    for (at, (_, identity, reason)), row, found in zip(
        lines, rows, identities(raw, rows), strict=True
    ):
        if not identity.strip():
            raise DataError(
                f"{path}, line {at}: row {row} has no identity; write {found} there if you mean "
                "the row as it is now"
            )
        if identity.strip() != found:
            raise DataError(
                f"{path}, line {at}: row {row} is not the one that was set aside: its identity is "
                f"{found}, not {identity.strip()}; if it was corrected, remove the line; if the "
                "rows moved, look for it and correct the number"
            )
        if not reason.strip():
            raise DataError(f"{path}, line {at}: row {row} has no reason; say why it is set aside")
    return np.sort(rows)


def _lines(path: str, *, root: Path) -> list[tuple[int, list[str]]]:
    """Read the lines below the header, each with its number."""
    try:
        text = (root / path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ParamsError(
            f"validation.quarantine: {path} is missing; write it with the columns "
            f"{', '.join(COLUMNS)}, or remove the key"
        ) from error
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}; write it as CSV in UTF-8") from error
    reader = csv.reader(io.StringIO(text))
    header = next(reader, [])
    if tuple(name.strip() for name in header) != COLUMNS:
        raise DataError(
            f"{path}, line 1: the header is {','.join(header) or 'empty'}, expected "
            f"{','.join(COLUMNS)}"
        )
    lines = [(reader.line_num, line) for line in reader if line]
    for at, line in lines:
        if len(line) != len(COLUMNS):
            raise DataError(
                f"{path}, line {at}: {len(line)} cells, expected {len(COLUMNS)}: "
                f"{', '.join(COLUMNS)}; put a reason with commas in double quotes"
            )
    return lines


def _row(line: Sequence[str], at: int, path: str, rows: int) -> int:
    written = line[0].strip()
    if not (written.isascii() and written.isdigit() and int(written) < rows):
        raise DataError(
            f"{path}, line {at}: {written!r} is no row of the data; expected a number from 0 to "
            f"{rows - 1}"
        )
    return int(written)
