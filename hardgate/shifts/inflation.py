"""Inflation: the same people, and other numbers for the same things."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from hardgate.records import Record, TableInput
from hardgate.samples import Samples
from hardgate.shifts import columns


class Inflation(Record):
    """All numbers of some columns times ``factor``: money that is worth less, or another unit.

    Integers stay integers; the range of the training split is no limit.
    """

    name: Literal["inflation"]
    columns: tuple[str, ...] = Field(min_length=1)
    factor: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _something_changes(self) -> Self:
        if self.factor == 1:
            raise ValueError("the factor is 1, which changes nothing; expected another")
        return self

    @property
    def label(self) -> str:
        """The shift in a few words."""
        return f"{self.name} {self.factor:g}{columns.of(self.columns)}"

    def check(self, spec: TableInput, key: str) -> None:
        """Refuse columns that are not there or not numbers."""
        columns.numbers(spec, self.columns, f"{key}.columns")

    def shift(
        self,
        samples: Samples,
        spec: TableInput,
        generator: np.random.Generator,  # noqa: ARG002  one interface
    ) -> Samples:
        """Scale the columns."""
        places = columns.numbers(spec, self.columns, "columns")
        scaled = samples.inputs.clone()
        scaled[:, places] *= self.factor
        return replace(samples, inputs=columns.integral(scaled, spec, places))
