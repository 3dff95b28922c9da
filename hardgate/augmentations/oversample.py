"""Oversampling for tables: rare classes are seen more often, never twice in the same words."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from hardgate.augmentations import tables
from hardgate.augmentations.context import Added, Context, class_counts, made
from hardgate.augmentations.noise import NUMERIC
from hardgate.records import InputSpec, Rate, Record, TableInput
from hardgate.samples import Samples
from hardgate.threat import Threat


class Oversample(Record):
    """Copies of rare classes with noise, until each has ``share`` of the largest class's size.

    ``jitter`` is in standard deviations of the training split, as for ``noise``.
    """

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"table"})
    name: Literal["oversample"]
    share: Rate
    jitter: Annotated[float, Field(gt=0)]

    def check(self, spec: InputSpec, threat: Threat) -> None:  # noqa: ARG002  one interface
        """Refuse a table without numbers to jitter."""
        if isinstance(spec, TableInput):
            tables.positions(spec, (), types=NUMERIC, key="augmentation: oversample")

    def augment(self, samples: Samples, context: Context, generator: np.random.Generator) -> Added:
        """Copy rare rows with noise; every row of a class is copied as often as any other."""
        spec = context.table
        index = self._rare(samples.labels, len(spec.classes), generator)
        origins = samples.take(index)
        relations = tables.Relations.of(context.threat, spec)
        rows = tables.jitter(
            origins.inputs,
            spec,
            relations,
            generator,
            columns=tables.positions(spec, (), types=NUMERIC, key="augmentation: oversample"),
            scale=self.jitter,
        )
        return Added(made(rows, origins.labels))

    def _rare(self, labels: Tensor, classes: int, generator: np.random.Generator) -> Tensor:
        """Pick the rows to copy, as often as needed."""
        counts = class_counts(labels, classes)
        wanted = round(self.share * int(counts.max()))
        picked = [np.empty(0, dtype=np.int64)]
        for label, count in enumerate(counts.tolist()):
            if 0 < count < wanted:
                members = np.flatnonzero(labels.numpy() == label)
                picked.append(np.resize(generator.permutation(members), wanted - count))
        return torch.from_numpy(np.concatenate(picked))
