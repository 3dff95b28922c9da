"""Rows that no person or thing has, made from those of the test split.

``permuted``
    each column shuffled by itself: every value is one that occurs, and they do not go together;
``beyond``
    one number of each row lies past the end of what training saw, by up to the width of that range.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from hardgate.architectures.inputs import numeric_columns
from hardgate.records import TableInput

RowKind = Literal["permuted", "beyond"]
ROW_KINDS: tuple[RowKind, ...] = get_args(RowKind)


def make(kind: RowKind, rows: Tensor, spec: TableInput, generator: np.random.Generator) -> Tensor:
    """Make as many rows as there are ``rows``, shape ``(n, columns)`` in raw units."""
    values = rows.numpy()
    match kind:
        case "permuted":
            return torch.from_numpy(generator.permuted(values, axis=0))
        case "beyond":
            moved, numbers = values.copy(), numeric_columns(spec)
            chosen = generator.integers(len(numbers), size=len(values))
            above = generator.random(len(values)) < 0.5
            share = 1 - generator.random(len(values))  # in (0, 1]: never at the end itself
            places = np.array([place for place, _ in numbers])[chosen]
            low, high, scale = (
                np.array([getattr(column, what) for _, column in numbers])[chosen]
                for what in ("low", "high", "scale")
            )
            past = share * np.where(high > low, high - low, scale)
            moved[np.arange(len(values)), places] = np.where(above, high + past, low - past)
            return torch.from_numpy(moved)
