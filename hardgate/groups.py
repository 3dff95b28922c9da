"""Who belongs together: the groups of a sensitive column of a table, or of several at once.

What is fair to women and fair to the old may still be unfair to old women: Crenshaw (1989),
"Demarginalizing the intersection of race and sex"; Kearns, Neel, Roth and Wu (2018), "Preventing
fairness gerrymandering". So columns can be taken together, and each combination is a group then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from hardgate.errors import ParamsError
from hardgate.records import Column, ColumnType, TableInput

Groups = NDArray[np.str_]
Bins = Mapping[str, tuple[float, ...]]  # inner edges by column of numbers
TOGETHER = " x "


def label(columns: Sequence[str]) -> str:
    """Name some columns taken together: ``SEX x AGE``."""
    return TOGETHER.join(columns)


def of(spec: TableInput, inputs: NDArray[np.float32], columns: Sequence[str], bins: Bins) -> Groups:
    """Name the group of each row, shape ``(n, columns)``; a missing value is a group too."""
    index = np.zeros(len(inputs), np.int64)
    for name, column in _chosen(spec, columns).items():
        place = spec.columns.index(column)
        edges = bins.get(name, ())
        index = index * len(_names(column, edges)) + _codes(column, inputs[:, place], edges)
    named: Groups = np.array(names(spec, columns, bins))
    return named[index]


def names(spec: TableInput, columns: Sequence[str], bins: Bins) -> tuple[str, ...]:
    """Name all groups in their columns' own order, the missing last."""
    chosen = _chosen(spec, columns)
    parts = [_names(column, bins.get(name, ())) for name, column in chosen.items()]
    return tuple(", ".join(combined) for combined in product(*parts))


def check(spec: TableInput, columns: Iterable[str], bins: Bins, *, key: str) -> None:
    """Refuse columns of numbers without edges, and edges that no column needs.

    Raises
    ------
    ParamsError
        Names ``key``, where the bins stand.
    """
    named = set(columns)
    needed = {
        column.name
        for column in spec.columns
        if column.name in named and column.type is not ColumnType.CATEGORICAL
    }
    if missing := sorted(needed - bins.keys()):
        raise ParamsError(f"{key}.bins: columns of numbers need edges: {missing}")
    if unneeded := sorted(bins.keys() - needed):
        raise ParamsError(
            f"{key}.bins: {unneeded} are no columns of numbers that are compared; take them out"
        )


def ordered(bins: Bins) -> None:
    """Refuse edges that do not rise, with a ValueError for the record that holds them."""
    for column, edges in bins.items():
        if not edges or any(left >= right for left, right in pairwise(edges)):
            raise ValueError(f"bins.{column}: {list(edges)} must rise, with one edge at least")


def _chosen(spec: TableInput, columns: Sequence[str]) -> dict[str, Column]:
    known = {column.name: column for column in spec.columns}
    return {name: known[name] for name in columns}


def _names(column: Column, edges: tuple[float, ...]) -> tuple[str, ...]:
    if column.type is ColumnType.CATEGORICAL:
        return (*column.categories, "missing")
    between = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return (f"below {edges[0]:g}", *between, f"{edges[-1]:g} and above", "missing")


def _codes(
    column: Column, values: NDArray[np.float32], edges: tuple[float, ...]
) -> NDArray[np.int64]:
    """Give each value's place among its column's names."""
    missing = len(_names(column, edges)) - 1
    if column.type is ColumnType.CATEGORICAL:
        codes = values.astype(np.int64)  # a missing one has the code -1
        return np.where(codes < 0, missing, codes)
    return np.where(np.isnan(values), missing, np.digitize(values, edges))
