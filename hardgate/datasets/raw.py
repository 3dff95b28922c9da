"""What every dataset hands over: the rows as they were read, and the arrays made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hardgate.records import FileRecord, ImageInput, TableInput

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Raw:
    """A dataset as it was read: nothing repaired, nothing dropped.

    Bad cells are still there, so that the expectation suite can name them: a column of a table
    with text among its numbers is a column of text.
    """

    frame: pd.DataFrame  # one row per sample: a table's own columns, or a manifest of images
    files: tuple[FileRecord, ...]
    inputs: tuple[str, ...]  # the columns of ``frame`` that make two rows identical
    target: str  # the column of ``frame`` that holds the label
    given_split: NDArray[np.str_] | None = None  # train, held_out or test per row, if given
    images: NDArray[np.uint8] | None = None  # (n, c, h, w); None for tables


class Encoded(NamedTuple):
    """Arrays for the model, in the order of the raw rows."""

    inputs: NDArray[Any]  # float32 (n, columns), or uint8 (n, c, h, w)
    labels: NDArray[np.int64]
    spec: TableInput | ImageInput


def first_rows(bad: NDArray[np.bool_], limit: int = 5) -> str:
    """Name the first bad rows for a message: ``"rows 3, 17 and 40 more, counting from 0"``."""
    rows = np.flatnonzero(bad)
    more = f" and {len(rows) - limit} more" if len(rows) > limit else ""
    word = "row" if len(rows) == 1 else "rows"
    return f"{word} {', '.join(map(str, rows[:limit].tolist()))}{more}, counting from 0"
