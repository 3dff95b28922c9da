"""What changing one column does to a score: on rows like the data, and on mixtures of rows.

Explainers that replace cells ask about mixtures that no client ever was, and a model can answer
those as it likes. Here one change of one cell is asked about twice: in the row itself, with the
value of a real row that is otherwise alike, and with the same value in a mixture, half of whose
cells are of other rows. How far the value itself moved is given beside it: columns that alike rows
share hardly move, and count by what they do when they do. Slack et al. (2020), "Fooling LIME and
SHAP", build the model that differs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardgate import progress
from hardgate.attribution import scores
from hardgate.attribution.scores import Score
from hardgate.records import ColumnType, TableInput

POOL = 2000  # training rows that may lend their values


def weights(
    score: Score,
    spec: TableInput,
    inputs: Tensor,
    classes: Tensor,
    train: Tensor,
    *,
    neighbours: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Measure how far the score moves with each column, in rows and in mixtures.

    Parameters
    ----------
    inputs, classes
        Rows, shape ``(n, d)``, and the class whose log-odds are asked for, ``(n,)``.
    train
        Where alike rows and the other halves of mixtures come from, shape ``(m, d)``.
    neighbours
        How many alike rows lend their value.

    Returns
    -------
    tuple
        Mean absolute changes of the score in rows and in mixtures, and of the value, in standard
        deviations or changed categories; shape ``(n, d)`` each.
    """
    generator = torch.Generator().manual_seed(seed)
    pool = train[torch.randperm(len(train), generator=generator)[:POOL]]
    apart = _apart(spec, inputs, pool)
    whole = apart.sum(dim=2)
    rows, width = inputs.shape
    cells = torch.randint(len(pool), (rows * neighbours, width), generator=generator)
    others = pool.gather(0, cells)  # each cell from a row of its own
    repeated = inputs.repeat_interleave(neighbours, dim=0)
    asked = classes.repeat_interleave(neighbours)
    mixed = torch.rand(repeated.shape, generator=generator) < 0.5
    mixtures = torch.where(mixed, others, repeated)
    near, far, moved = (np.empty((rows, width)) for _ in range(3))
    start = scores.evaluate(score, repeated, asked)
    for at in progress.track(range(width), "rows and mixtures"):
        alike = (whole - apart[:, :, at]).topk(neighbours, dim=1, largest=False).indices
        lent = pool[alike.flatten(), at]
        changed = scores.evaluate(score, _with(repeated, at, lent), asked)
        near[:, at] = _mean(changed - start, rows)
        kept = scores.evaluate(score, _with(mixtures, at, repeated[:, at]), asked)
        swapped = scores.evaluate(score, _with(mixtures, at, lent), asked)
        far[:, at] = _mean(swapped - kept, rows)
        moved[:, at] = _mean(apart[:, :, at].gather(1, alike).sqrt().flatten(), rows)
    return near, far, moved


def _with(rows: Tensor, at: int, values: Tensor) -> Tensor:
    changed = rows.clone()
    changed[:, at] = values
    return changed


def _mean(change: Tensor, rows: int) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = change.abs().view(rows, -1).mean(dim=1).numpy()
    return mean


def _apart(spec: TableInput, inputs: Tensor, pool: Tensor) -> Tensor:
    """Measure how far rows are apart by column, shape ``(n, pool, d)``; a category by 0 or 1."""
    scale = torch.tensor([column.scale for column in spec.columns])
    categories = torch.tensor([c.type is ColumnType.CATEGORICAL for c in spec.columns])
    difference = (inputs[:, None] - pool[None]).nan_to_num(0)
    squared = (difference / scale).square()
    return torch.where(categories, (difference != 0).float(), squared)
