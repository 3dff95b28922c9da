"""Missing cells: the same people, and a form that is half filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from hardgate.augmentations import tables
from hardgate.records import ColumnType, Record, TableInput
from hardgate.samples import Samples
from hardgate.shifts import columns


class Missing(Record):
    """Each cell is emptied with probability ``rate``."""

    name: Literal["missing"]
    rate: Annotated[float, Field(gt=0, le=1)]
    columns: tuple[str, ...] = ()  # all, when empty

    @property
    def label(self) -> str:
        """The shift in a few words."""
        return f"{self.name} {self.rate:g}{columns.of(self.columns)}"

    def check(self, spec: TableInput, key: str) -> None:
        """Refuse columns that are not there."""
        self._places(spec, f"{key}.columns")

    def shift(self, samples: Samples, spec: TableInput, generator: np.random.Generator) -> Samples:
        """Empty cells: numbers become NaN, categories -1."""
        places = self._places(spec, "columns")
        kinds = [spec.columns[place].type for place in places]
        nothing = torch.tensor([-1.0 if k is ColumnType.CATEGORICAL else torch.nan for k in kinds])
        lost = torch.from_numpy(generator.random((len(samples), len(places))) < self.rate)
        emptied = samples.inputs.clone()
        emptied[:, places] = torch.where(lost, nothing, emptied[:, places])
        return replace(samples, inputs=emptied)

    def _places(self, spec: TableInput, key: str) -> list[int]:
        return tables.positions(spec, self.columns, types=tuple(ColumnType), key=key)
