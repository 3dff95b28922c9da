"""What each source of rows does to a model, and what the others would say of its labels.

Koh and Liang (2017), "Understanding black-box predictions via influence functions", of groups: how
many decisions change when all rows of a source are left out, here exactly, since the surrogate is
solved again without them. A source that brings labels of its own making need not move many; it is
contradicted by a model that never saw it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardgate import progress
from hardgate.risks.poisoning.surrogate import Surrogate

REST = "all small ones"


@dataclass(frozen=True)
class Source:
    """Where some of the training samples came from."""

    name: str
    members: Tensor  # positions in the training split


@dataclass(frozen=True)
class Influence:
    """Per judged input, whether its class changes; per row of the source, whether it is doubted."""

    moved: NDArray[np.bool_]
    contradicted: NDArray[np.bool_]


def blocks(rows: Tensor, count: int) -> list[Source]:
    """Cut the rows, in the order of the raw file, into so many blocks of equal length."""
    order = rows.argsort()
    return [
        Source(f"rows {int(rows[part].min())} to {int(rows[part].max())}", part)
        for part in torch.tensor_split(order, min(count, len(order)))
    ]


def named(values: Sequence[str], *, smallest: int) -> list[Source]:
    """Group samples by what their source is called.

    Small sources are judged together, and not at all where even together they are too few.
    """
    names, inverse = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    groups = {str(name): np.flatnonzero(inverse == at) for at, name in enumerate(names)}
    rest = np.concatenate([np.empty(0, int), *(g for g in groups.values() if len(g) < smallest)])
    return [
        Source(name, torch.from_numpy(group))
        for name, group in {**groups, REST: rest}.items()
        if len(group) >= smallest
    ]


def influences(surrogate: Surrogate, sources: Sequence[Source], judged: Tensor) -> list[Influence]:
    """Leave out one source at a time; ``judged`` are features of inputs that none of them holds."""
    before = (judged @ surrogate.without(torch.empty(0, dtype=torch.long))).argmax(1)
    found = []
    for source in progress.track(sources, "sources"):
        weights = surrogate.without(source.members)
        moved = (judged @ weights).argmax(1) != before
        contradicted = surrogate.contradicted(source.members, weights)
        found.append(Influence(moved.numpy(), contradicted.numpy()))
    return found
