"""Weights under which a label no longer depends on the group: a mitigation of unfair training data.

Kamiran and Calders (2012), "Data preprocessing techniques for classification without
discrimination". A sample of group g and label y weighs P(g) P(y) / P(g, y), so that all of a group
with one label weigh together what they would if group and label were independent. No row and no
label is changed, and every recipe can be trained so. Columns are taken together: the groups of
``[SEX, AGE]`` are young women, old women, and so on.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from hardgate import groups
from hardgate.errors import ParamsError
from hardgate.params_file import meant
from hardgate.records import InputSpec, Record, TableInput
from hardgate.samples import Samples

KEY = "training.group_weights"


class GroupWeights(Record):
    """Which groups are weighed: columns taken together, and edges for those of numbers."""

    columns: tuple[str, ...] = Field(min_length=1)
    bins: dict[str, tuple[float, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _bins_are_ordered(self) -> Self:
        groups.ordered(self.bins)
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns: {list(self.columns)} names one twice")
        return self

    def check(self, spec: InputSpec) -> TableInput:
        """Give the table that the groups are of.

        Raises
        ------
        ParamsError
            If the data are images, or have no such columns, or the bins do not fit them.
        """
        if not isinstance(spec, TableInput):
            raise ParamsError(f"{KEY} is for tables, whose columns say who belongs together")
        known = [column.name for column in spec.columns]
        for name in self.columns:
            if name not in known:
                raise ParamsError(
                    f"{KEY}.columns: {name!r} is no column; one of {known}{meant(name, known)}"
                )
        groups.check(spec, self.columns, self.bins, key=KEY)
        return spec

    def of(self, spec: InputSpec, samples: Samples) -> Tensor:
        """Weigh each sample, shape ``(n,)``; the mean is 1 where every group has every label."""
        table = self.check(spec)
        grouped = groups.of(table, samples.floats().numpy(), self.columns, self.bins)
        names, group = np.unique(grouped, return_inverse=True)
        counts = np.zeros((len(names), len(table.classes)))
        np.add.at(counts, (group, samples.labels.numpy()), 1)
        expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / len(samples)
        weights = (expected / np.maximum(counts, 1))[group, samples.labels.numpy()]
        return torch.from_numpy(weights).float()
