"""Which columns of a table a shift is of, and how they are spelled and read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hardgate.augmentations import tables
from hardgate.records import ColumnType, TableInput

NUMERIC = (ColumnType.REAL, ColumnType.INTEGER)


def numbers(spec: TableInput, names: Sequence[str], key: str) -> list[int]:
    """Find columns of numbers by name, or all of them; a ParamsError names ``key``."""
    return tables.positions(spec, names, types=NUMERIC, key=key)


def of(names: Sequence[str]) -> str:
    """Spell the columns in a few words; nothing when all are meant."""
    if not names:
        return ""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f" of {names[0]}{more}"


def integral(inputs: Tensor, spec: TableInput, places: Sequence[int]) -> Tensor:
    """Round the integer columns among ``places`` of ``inputs``, shape ``(n, columns)``."""
    whole = [place for place in places if spec.columns[place].type is ColumnType.INTEGER]
    rounded = inputs.clone()
    rounded[:, whole] = torch.round(inputs[:, whole])
    return rounded
