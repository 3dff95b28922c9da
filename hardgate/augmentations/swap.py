"""Category swaps for tables: the answer should not hang on one ticked box.

A swapped row keeps its label. That is an assumption, and a wish: list under ``columns`` only
categories of which it is fair to say so, such as a sensitive attribute that must not count.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from hardgate.augmentations import tables
from hardgate.augmentations.context import Added, Context, choose, made
from hardgate.augmentations.missing import some_cells
from hardgate.records import ColumnType, InputSpec, Rate, Record, TableInput
from hardgate.samples import Samples
from hardgate.threat import Threat


class Swap(Record):
    """Copies in which each category is swapped with probability ``rate``, and one at least.

    The new category is another one, drawn from the column's frequencies in the training split;
    missing stays missing.
    """

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"table"})
    name: Literal["swap"]
    share: Rate
    rate: Annotated[float, Field(gt=0, le=1)]
    columns: tuple[str, ...] = ()  # all categorical ones, when empty

    def check(self, spec: InputSpec, threat: Threat) -> None:  # noqa: ARG002  one interface
        """Refuse columns that are not there or not categorical."""
        if isinstance(spec, TableInput):
            self._positions(spec)

    def augment(self, samples: Samples, context: Context, generator: np.random.Generator) -> Added:
        """Swap categories of a share of the rows."""
        chosen = choose(samples, self.share, generator)
        columns = self._positions(context.table)
        swapped = some_cells(len(chosen), len(columns), self.rate, generator)
        rows = chosen.inputs.clone()
        for place, cells in zip(columns, swapped.T, strict=True):
            codes = samples.inputs[:, place].numpy()
            counts = np.bincount(codes[codes >= 0].astype(np.int64))
            current = rows[:, place].numpy().astype(np.int64)
            others = draw_others(current, counts, generator)
            rows[:, place] = torch.from_numpy(np.where(cells, others, current)).float()
        return Added(made(rows, chosen.labels))

    def _positions(self, spec: TableInput) -> list[int]:
        return tables.positions(
            spec, self.columns, types=(ColumnType.CATEGORICAL,), key="augmentation: swap.columns"
        )


def draw_others(
    current: NDArray[np.int64], counts: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw for each category another one, by frequency; -1, or the only one there is, stays."""
    draws = generator.random(len(current))
    known = (current >= 0) & (counts[current] < counts.sum())
    ends = np.cumsum(counts)
    own, own_end = counts[current], ends[current]
    # Draw from what is left when the own share of the frequencies is cut out.
    place = np.floor(draws * (ends[-1] - own)).astype(np.int64)
    place += np.where(place >= own_end - own, own, 0)
    return np.where(known, np.searchsorted(ends, place, side="right"), current)
