"""How well each column of a table tells a sensitive one.

The correlation ratio of Pearson (1905): the share of one column's variance that is explained when
the other is known. A category is told as well as its best-told value is. What is needed is a number
from 0, tells nothing, to 1, is the column itself; that two proxies together tell more than either
alone is not seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardgate.records import Column, ColumnType, TableInput

BINS = 20  # of equal counts, for columns of numbers


def tells(spec: TableInput, inputs: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Give, for each sensitive column, how well every column tells it, shape ``(columns,)``."""
    groups = [_groups(column, inputs[:, at]) for at, column in enumerate(spec.columns)]
    found = {}
    for at, column in enumerate(spec.columns):
        if column.sensitive:
            targets = _targets(column, inputs[:, at])
            found[column.name] = np.array(
                [
                    1.0 if other == at else _best(group, targets)
                    for other, group in enumerate(groups)
                ]
            )
    return found


def _targets(column: Column, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Spell a column as numbers to be told, shape ``(n, targets)``: itself, or one per category."""
    if column.type is ColumnType.CATEGORICAL:
        return np.array([values == each for each in np.unique(values)], dtype=np.float64).T
    numbers: NDArray[np.float64] = values.astype(np.float64)
    return np.nan_to_num(numbers, nan=float(np.nanmean(numbers)))[:, None]


def _groups(column: Column, values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Sort rows into groups of alike values, numbered from 0."""
    if column.type is not ColumnType.CATEGORICAL:
        edges = np.unique(np.nanquantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
        values = np.where(np.isnan(values), -1, np.searchsorted(edges, values)).astype(np.float32)
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _best(group: NDArray[np.int64], targets: NDArray[np.float64]) -> float:
    counts = np.bincount(group).astype(float)
    best = 0.0
    for target in targets.T:
        spread = target.var()
        if spread > 0:
            means = np.bincount(group, weights=target) / counts
            told = (counts * (means - target.mean()) ** 2).sum() / (len(target) * spread)
            best = max(best, float(told))
    return min(best, 1.0)
