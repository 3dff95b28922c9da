"""What the rows of a table have in common: column types, ranges, and relations that must hold.

The relations are those of the threat section: what an attacker may not break, an honest made row
does not break either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from hardgate.errors import ParamsError
from hardgate.records import ColumnType, TableInput
from hardgate.threat import Threat

TOLERANCE = 1e-6  # relative to the columns' scales, as for attacks
HALVINGS = 3


@dataclass(frozen=True)
class Relations:
    """Linear inequalities between columns: ``rows @ weights.T <= bounds``, in float64."""

    weights: Tensor  # (m, d)
    bounds: Tensor  # (m,)

    @classmethod
    def of(cls, threat: Threat, spec: TableInput) -> Self:
        """Read the threat's relations, with a little slack for float32."""
        inequalities = threat.inequalities()
        scales = torch.tensor([column.scale for column in spec.columns], dtype=torch.float64)
        weights = torch.zeros(len(inequalities), len(scales), dtype=torch.float64)
        for row, inequality in enumerate(inequalities):
            for name, weight in inequality.weights.items():
                weights[row, position(spec, name, "threat.relations")] = weight
        bounds = torch.tensor([i.bound for i in inequalities], dtype=torch.float64)
        return cls(weights, bounds + TOLERANCE * (weights.abs() @ scales))

    def kept(self, rows: Tensor) -> Tensor:
        """Tell which relations each row keeps, ``(n, m)``; one with a missing value is kept."""
        values = rows.double().nan_to_num() @ self.weights.T
        unknown = rows.isnan().double() @ (self.weights != 0).double().T > 0
        return unknown | (values <= self.bounds)

    def broken(self, rows: Tensor, origins: Tensor) -> Tensor:
        """Tell which relations each row breaks that its origin keeps, ``(n, m)``."""
        return self.kept(origins) & ~self.kept(rows)


def position(spec: TableInput, name: str, key: str) -> int:
    """Find a column by name."""
    names = [column.name for column in spec.columns]
    if name not in names:
        raise ParamsError(f"{key}: the table has no column {name!r}; it has {', '.join(names)}")
    return names.index(name)


def positions(
    spec: TableInput, names: Sequence[str], *, types: Sequence[ColumnType], key: str
) -> list[int]:
    """Find the named columns, or with no names all of the given types.

    Raises
    ------
    ParamsError
        If a name is unknown, a column is of another type, or nothing is left.
    """
    found = [position(spec, name, key) for name in names]
    for place in found:
        column = spec.columns[place]
        if column.type not in types:
            raise ParamsError(
                f"{key}: column {column.name!r} is {column.type}; expected {' or '.join(types)}"
            )
    if not names:
        found = [place for place, column in enumerate(spec.columns) if column.type in types]
    if not found:
        raise ParamsError(
            f"{key}: the table has no {' or '.join(types)} column; remove this member"
        )
    return found


def settle(rows: Tensor, spec: TableInput) -> Tensor:
    """Bring numbers into their column's range on the training split; round integer columns."""
    low, high = (
        torch.tensor([getattr(column, end) for column in spec.columns]) for end in ("low", "high")
    )
    numeric = [column.type is not ColumnType.CATEGORICAL for column in spec.columns]
    whole = torch.tensor([column.type is ColumnType.INTEGER for column in spec.columns])
    rounded = torch.where(whole, rows.round(), rows)
    bounded = torch.clamp(rounded, low, high)  # NaN stays NaN
    return torch.where(torch.tensor(numeric), bounded, rows) + 0.0  # no negative zero


def jitter(
    rows: Tensor,
    spec: TableInput,
    relations: Relations,
    generator: np.random.Generator,
    *,
    columns: Sequence[int],
    scale: float,
) -> Tensor:
    """Add normal noise of ``scale`` standard deviations of each column, relations kept.

    Where noise breaks a relation it is halved, a few times: the way back to the row is straight.
    Rows on the very edge of a relation get the cells of that relation back instead.
    """
    deviations = torch.zeros(len(spec.columns))
    deviations[list(columns)] = torch.tensor([spec.columns[c].scale * scale for c in columns])
    noise = torch.from_numpy(generator.standard_normal(rows.shape, dtype=np.float32)) * deviations
    jittered = settle(rows + noise, spec)
    for _ in range(HALVINGS):
        broken = relations.broken(jittered, rows).any(1)
        if not broken.any():
            break
        noise[broken] /= 2
        jittered[broken] = settle(rows[broken] + noise[broken], spec)
    return _restored(jittered, rows, relations)


def _restored(jittered: Tensor, rows: Tensor, relations: Relations) -> Tensor:
    """Give broken relations their clean cells back; that may break others, so it is repeated."""
    while (broken := relations.broken(jittered, rows)).any():
        cells = broken.double() @ (relations.weights != 0).double() > 0
        jittered = torch.where(cells, rows, jittered)
    return jittered
