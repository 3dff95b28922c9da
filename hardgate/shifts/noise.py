"""Noise: the same people, measured less exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from hardgate.records import Record, TableInput
from hardgate.samples import Samples
from hardgate.shifts import columns


class Noise(Record):
    """Normal noise of ``scale`` standard deviations of the training split on every number.

    Integers stay integers. What was never negative in training, such as an age or a payment, does
    not become so; otherwise the range of the training split is no limit.
    """

    name: Literal["noise"]
    scale: Annotated[float, Field(gt=0)]
    columns: tuple[str, ...] = ()  # all numbers, when empty

    @property
    def label(self) -> str:
        """The shift in a few words."""
        return f"{self.name} {self.scale:g}{columns.of(self.columns)}"

    def check(self, spec: TableInput, key: str) -> None:
        """Refuse columns that are not there or not numbers."""
        columns.numbers(spec, self.columns, f"{key}.columns")

    def shift(self, samples: Samples, spec: TableInput, generator: np.random.Generator) -> Samples:
        """Move every cell by a draw of its own; an empty one stays empty."""
        places = columns.numbers(spec, self.columns, "columns")
        about = [spec.columns[place] for place in places]
        scales = np.array([column.scale for column in about])
        draws = generator.standard_normal((len(samples), len(places))) * (self.scale * scales)
        floor = torch.tensor([0.0 if column.low >= 0 else -torch.inf for column in about])
        noisy = samples.inputs.clone()
        moved = noisy[:, places].double() + torch.from_numpy(draws)
        noisy[:, places] = torch.maximum(moved.to(noisy.dtype), floor)  # NaN stays NaN
        return replace(samples, inputs=columns.integral(noisy, spec, places))
