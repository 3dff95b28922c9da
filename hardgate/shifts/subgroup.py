"""Subgroups: the model is used on some people only, and its average no longer speaks for it."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from hardgate.augmentations import tables
from hardgate.errors import ParamsError
from hardgate.params_file import meant
from hardgate.records import Column, ColumnType, Record, TableInput
from hardgate.samples import Samples


class Subgroup(Record):
    """Only rows whose value lies between ``min`` and ``max``, both included, or in ``values``.

    An empty cell belongs to no subgroup.
    """

    name: Literal["subgroup"]
    column: str
    min: float | None = None  # of a column of numbers
    max: float | None = None
    values: tuple[str, ...] | None = Field(default=None, min_length=1)  # of a column of categories

    @model_validator(mode="after")
    def _is_one_question(self) -> Self:
        if (self.values is None) == (self.min is None and self.max is None):
            raise ValueError("expected min or max for a column of numbers, values for categories")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}; nobody lies between")
        return self

    @property
    def label(self) -> str:
        """The shift in a few words."""
        if self.values is not None:
            return f"{self.name} {self.column} {' or '.join(sorted(self.values))}"
        low = "" if self.min is None else f" from {self.min:g}"
        high = "" if self.max is None else f" to {self.max:g}"
        return f"{self.name} {self.column}{low}{high}"

    def check(self, spec: TableInput, key: str) -> None:
        """Refuse a column that is not there, of another type, or without such values."""
        column = spec.columns[tables.position(spec, self.column, f"{key}.column")]
        if (self.values is not None) != (column.type is ColumnType.CATEGORICAL):
            expected = "values" if column.type is ColumnType.CATEGORICAL else "min or max"
            raise ParamsError(f"{key}.column: {column.name!r} is {column.type}; give {expected}")
        for value in self.values or ():
            if value not in column.categories:
                raise ParamsError(
                    f"{key}.values: {column.name!r} has no {value!r}; it has "
                    f"{', '.join(column.categories)}{meant(value, column.categories)}"
                )
        if self.values is None and not self._reaches(column):
            raise ParamsError(
                f"{key}: nobody is there; on the training split {column.name!r} runs from "
                f"{column.low:g} to {column.high:g}"
            )

    def shift(
        self,
        samples: Samples,
        spec: TableInput,
        generator: np.random.Generator,  # noqa: ARG002  one interface
    ) -> Samples:
        """Keep the rows of the subgroup."""
        place = tables.position(spec, self.column, "column")
        return samples.take(self._belongs(samples.inputs[:, place], spec.columns[place]))

    def _belongs(self, found: Tensor, column: Column) -> Tensor:
        if self.values is not None:
            wanted = [column.categories.index(value) for value in self.values]
            return torch.isin(found, torch.tensor(wanted, dtype=found.dtype))
        low = -torch.inf if self.min is None else self.min
        high = torch.inf if self.max is None else self.max
        return (found >= low) & (found <= high)  # false for NaN

    def _reaches(self, column: Column) -> bool:
        above = self.min is None or self.min <= column.high
        return above and (self.max is None or self.max >= column.low)
