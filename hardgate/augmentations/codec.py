"""Rows of a table as a network likes them, and back: the language of the table GAN.

A number becomes its rank among the training rows, in [-1, 1]; ranks that equal values share are
drawn at random within the shared stretch. So a column with a heavy tail or with half its values
zero is spread evenly, and whatever a network says is read back as a value between the lowest and
the highest. A category becomes one of k (Jang et al. 2017, arXiv:1611.01144, for how it is drawn).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hardgate.errors import ContractError
from hardgate.records import ColumnType, TableInput

KNOTS = 512
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Code:
    """One column's place in the code: a rank or not, then one of ``choices`` (0 for none).

    A category's choices are its categories; a number's are present and missing, if it is ever
    missing. The last choice of a ``gaps`` column means missing.
    """

    knots: Numbers | None
    choices: int
    gaps: bool
    whole: bool


@dataclass(frozen=True)
class Codec:
    """The codes of all columns: ranks first, then the choices of column after column."""

    codes: tuple[Code, ...]

    @classmethod
    def of(cls, rows: Tensor, spec: TableInput) -> Self:
        """Learn the codes from training rows."""
        if len(rows) == 0:
            raise ContractError("there are no rows to learn from")
        columns = zip(rows.double().numpy().T, spec.columns, strict=True)
        return cls(
            tuple(
                _category(values, len(column.categories))
                if column.type is ColumnType.CATEGORICAL
                else _number(values, whole=column.type is ColumnType.INTEGER)
                for values, column in columns
            )
        )

    @property
    def ranks(self) -> int:
        """How many columns are ranks."""
        return sum(code.knots is not None for code in self.codes)

    @property
    def choices(self) -> tuple[int, ...]:
        """How many choices each choosing column has."""
        return tuple(code.choices for code in self.codes if code.choices)

    @property
    def width(self) -> int:
        """How many numbers encode a row."""
        return self.ranks + sum(self.choices)

    def encode(self, rows: Tensor, generator: np.random.Generator) -> Tensor:
        """Write rows, shape ``(n, d)``, as codes, shape ``(n, width)``."""
        ranks, chosen = [], []
        for values, code in zip(rows.double().numpy().T, self.codes, strict=True):
            if code.knots is not None:
                known = np.where(np.isnan(values), code.knots[len(code.knots) // 2], values)
                ranks.append(torch.from_numpy(_rank(known, code.knots, generator)).float())
            if code.choices:
                place = np.isnan(values) if code.knots is not None else values
                places = torch.from_numpy(place.astype(np.int64)) % code.choices  # -1 is the last
                chosen.append(functional.one_hot(places, code.choices).float())
        return torch.cat([torch.stack(ranks, 1) if ranks else rows[:, :0], *chosen], 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Read rows back."""
        ranks = iter(codes[:, : self.ranks].double().numpy().T)
        chosen = self._chosen(codes)
        columns = []
        for code in self.codes:
            place = next(chosen) if code.choices else np.zeros(len(codes))
            values = place if code.knots is None else _value(next(ranks), code.knots, code.whole)
            if code.gaps:
                lost = -1.0 if code.knots is None else np.nan
                values = np.where(place == code.choices - 1, lost, values)
            columns.append(torch.from_numpy(values.astype(np.float32)))
        return torch.stack(columns, 1) + 0.0  # no negative zero

    def _chosen(self, codes: Tensor) -> Iterator[Numbers]:
        """Give the choice of each choosing column in turn."""
        start = self.ranks
        for choices in self.choices:
            yield codes[:, start : start + choices].argmax(1).double().numpy()
            start += choices


def _number(values: Numbers, *, whole: bool) -> Code:
    known = values[~np.isnan(values)]
    if not len(known):
        raise ContractError("a column has no value in the rows to learn from")
    gaps = len(known) < len(values)
    knots = np.quantile(known, np.linspace(0, 1, KNOTS))
    return Code(knots, 2 if gaps else 0, gaps, whole)


def _category(values: Numbers, categories: int) -> Code:
    gaps = bool((values < 0).any())
    return Code(None, categories + gaps, gaps, whole=True)


def _rank(values: Numbers, knots: Numbers, generator: np.random.Generator) -> Numbers:
    """Rank values in [-1, 1]; a value that fills several knots is put anywhere among them."""
    first = np.searchsorted(knots, values, side="left")
    last = np.searchsorted(knots, values, side="right") - 1
    between = np.interp(values, knots, np.arange(len(knots)))
    among = first + generator.random(len(values)) * (last - first)
    ranks: Numbers = np.where(last > first, among, between) / (len(knots) - 1)
    return 2 * ranks - 1


def _value(ranks: Numbers, knots: Numbers, whole: bool) -> Numbers:
    place = (ranks + 1) / 2 * (len(knots) - 1)
    values = np.interp(place, np.arange(len(knots)), knots)
    return np.rint(values) if whole else values
