"""Noise for tables: measurements are never exact."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from hardgate.augmentations import tables
from hardgate.augmentations.context import Added, Context, choose, made
from hardgate.records import ColumnType, InputSpec, Rate, Record, TableInput
from hardgate.samples import Samples
from hardgate.threat import Threat

NUMERIC = (ColumnType.REAL, ColumnType.INTEGER)


class Noise(Record):
    """Copies with normal noise in each column's own scale; integers stay integers.

    ``scale`` is in standard deviations of the training split; without ``columns`` every number
    moves. Ranges of the training split and the threat's relations hold.
    """

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"table"})
    name: Literal["noise"]
    share: Rate
    scale: Annotated[float, Field(gt=0)]
    columns: tuple[str, ...] = ()

    def check(self, spec: InputSpec, threat: Threat) -> None:  # noqa: ARG002  one interface
        """Refuse columns that are not there or not numbers."""
        if isinstance(spec, TableInput):
            self._positions(spec)

    def augment(self, samples: Samples, context: Context, generator: np.random.Generator) -> Added:
        """Add noise to a share of the rows."""
        chosen = choose(samples, self.share, generator)
        relations = tables.Relations.of(context.threat, context.table)
        rows = tables.jitter(
            chosen.inputs,
            context.table,
            relations,
            generator,
            columns=self._positions(context.table),
            scale=self.scale,
        )
        return Added(made(rows, chosen.labels))

    def _positions(self, spec: TableInput) -> list[int]:
        return tables.positions(
            spec, self.columns, types=NUMERIC, key="augmentation: noise.columns"
        )
