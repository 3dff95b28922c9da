"""Tables from CSV (plain or gzip) and Parquet, told apart by their first bytes.

Cells stay as they were read: a number is never rounded to save space, and a column with text
among its numbers stays a column of text, for the expectation suite to find. Both formats are read
piece by piece, so that memory holds little more than the finished table.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hardgate import progress, protection
from hardgate.errors import DataError

CHUNK = 1 << 18  # rows of CSV
MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null")  # not "None", which can be a category
BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, OSError, UnicodeDecodeError)


def read_table(path: Path, *, name: str, separator: str = ",") -> pd.DataFrame:
    """Read a whole table; ``name`` is how messages call the file.

    Raises
    ------
    DataError
        If the file is cut off, broken, empty or has two columns of one name.
    """
    with protection.opened(path, name=name) as file:
        start = file.read(4)
        file.seek(0)
        if start == b"PAR1":
            return _read_parquet(file, name)
        try:
            with _text(file, packed=start[:2] == b"\x1f\x8b") as text:
                _check_header(text, name, separator)
            with _text(file, packed=start[:2] == b"\x1f\x8b") as text:
                return _read_csv(text, name, separator)
        except BROKEN as error:
            raise DataError(
                f"{name} is cut off or broken: {error}; fetch it again from its source"
            ) from error


@contextmanager
def _text(file: BinaryIO, *, packed: bool) -> Iterator[IO[str]]:
    """Read a file from its beginning as text, unpacked on the way, and leave it open."""
    file.seek(0)
    unpacked: Any = gzip.GzipFile(fileobj=file) if packed else file
    text = io.TextIOWrapper(unpacked, encoding="utf-8-sig", newline="")
    try:
        yield text
    finally:
        text.detach()


def _check_header(text: IO[str], name: str, separator: str) -> None:
    """Refuse what pandas would quietly rename or shift: equal names, a row beyond the header."""
    rows = csv.reader(text, delimiter=separator)
    header, first = next(rows, []), next(rows, [])
    if not header or not first:
        raise DataError(f"{name} has no {'row below its header' if header else 'header'}")
    _refuse_equal_names(header, name)
    if len(first) > len(header):
        raise DataError(
            f"{name}: the header has {len(header)} columns, the first row {len(first)}; "
            f"is {separator!r} the separator?"
        )


def _refuse_equal_names(names: list[str], name: str) -> None:
    equal = sorted({column for column in names if names.count(column) > 1})
    if equal:
        raise DataError(f"{name} has several columns of one name: {', '.join(map(repr, equal))}")


def _read_csv(text: IO[str], name: str, separator: str) -> pd.DataFrame:
    try:
        chunks = pd.read_csv(
            text,
            sep=separator,
            chunksize=CHUNK,
            keep_default_na=False,
            na_values=list(MISSING),
            low_memory=False,
        )
        with chunks:
            pieces = [_compact(chunk) for chunk in progress.track(chunks, f"reading {name}")]
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{name} is not a regular table: {error}") from error
    if len(pieces) == 1:
        return pieces[0]
    columns: dict[str, pd.Series[Any]] = {}
    for column in list(pieces[0].columns):  # one column at a time, so that pieces are freed
        columns[column] = _compacted(
            pd.concat([piece.pop(column) for piece in pieces], ignore_index=True)
        )
    return pd.DataFrame(columns, copy=False)


def _compact(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({name: _compacted(frame[name]) for name in frame}, copy=False)


def _compacted(column: pd.Series[Any]) -> pd.Series[Any]:
    """Halve the width of numbers where not one of them changes."""
    if not isinstance(column.dtype, np.dtype) or column.dtype.itemsize <= 4:
        return column
    narrow: Any = {"i": np.int32, "u": np.int32, "f": np.float32}.get(column.dtype.kind)
    if narrow is None:
        return column
    wide = column.to_numpy()
    if not (_same(wide[:CHUNK], narrow) and _same(wide, narrow)):  # most columns fail early
        return column
    return pd.Series(wide.astype(narrow), index=column.index, name=column.name, copy=False)


def _same(wide: NDArray[Any], narrow: Any) -> bool:
    with np.errstate(over="ignore"):
        narrowed = wide.astype(narrow)
    return bool(((narrowed == wide) | (wide != wide)).all())  # NaN is not equal to itself


def _read_parquet(source: BinaryIO, name: str) -> pd.DataFrame:
    try:
        with pq.ParquetFile(source) as file:
            names = [n for n in file.schema_arrow.names if not n.startswith("__index_level_")]
            _refuse_equal_names(names, name)
            columns = {
                column: _compacted(_from_arrow(_column(file, column), column, name))
                for column in progress.track(names, f"reading {name}")
            }
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{name} is cut off or broken: {error}; fetch it again") from error
    frame = pd.DataFrame(columns, copy=False)
    if frame.empty:
        raise DataError(f"{name} has no rows")
    return frame


def _column(file: Any, column: str) -> Any:
    # A name with dots also selects columns nested below it; take the one of exactly this name.
    return file.read(columns=[column]).column(column)


def _from_arrow(values: Any, column: str, name: str) -> pd.Series[Any]:
    if pa.types.is_nested(values.type):
        raise DataError(f"{name}: column {column!r} is nested ({values.type}); flatten it")
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    series: pd.Series[Any] = values.to_pandas()
    return series
