"""Missing values for tables: a form is rarely filled in completely."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from hardgate.augmentations import tables
from hardgate.augmentations.context import Added, Context, choose, made
from hardgate.records import ColumnType, InputSpec, Rate, Record, TableInput
from hardgate.samples import Samples
from hardgate.threat import Threat


class Missing(Record):
    """Copies in which each cell is lost with probability ``rate``, and one cell at least."""

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"table"})
    name: Literal["missing"]
    share: Rate
    rate: Annotated[float, Field(gt=0, le=1)]
    columns: tuple[str, ...] = ()  # all, when empty

    def check(self, spec: InputSpec, threat: Threat) -> None:  # noqa: ARG002  one interface
        """Refuse columns that are not there."""
        if isinstance(spec, TableInput):
            self._positions(spec)

    def augment(self, samples: Samples, context: Context, generator: np.random.Generator) -> Added:
        """Lose cells of a share of the rows: numbers become NaN, categories -1."""
        chosen = choose(samples, self.share, generator)
        lost = torch.zeros(chosen.inputs.shape, dtype=torch.bool)
        columns = self._positions(context.table)
        lost[:, columns] = torch.from_numpy(
            some_cells(len(chosen), len(columns), self.rate, generator)
        )
        nothing = torch.tensor(
            [
                -1.0 if column.type is ColumnType.CATEGORICAL else torch.nan
                for column in context.table.columns
            ]
        )
        return Added(made(torch.where(lost, nothing, chosen.inputs), chosen.labels))

    def _positions(self, spec: TableInput) -> list[int]:
        return tables.positions(
            spec, self.columns, types=tuple(ColumnType), key="augmentation: missing.columns"
        )


def some_cells(
    rows: int, columns: int, rate: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Pick each cell with probability ``rate``, and one cell of every row at least."""
    draws = generator.random((rows, columns), dtype=np.float32)
    first = draws.argmin(axis=1)
    picked = draws < rate
    picked[np.arange(rows), first] = True
    return picked
