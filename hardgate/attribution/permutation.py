"""Shapley values of table rows by sampled permutations; each background row brings its own.

Štrumbelj and Kononenko (2014), "Explaining prediction models and individual predictions with
feature contributions"; Mitchell et al. (2022), "Sampling permutations for Shapley value
estimation", for walking each permutation forwards and backwards.

A walk starts at a background row and replaces one column after another by the explained row's. The
change of the score at each step is that column's share, and a walk's shares add up to the whole
difference: the values are additive by construction, and nothing is differentiated, so that
category codes and missing cells are values like any other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hardgate import progress
from hardgate.attribution import scores
from hardgate.attribution.scores import Score


def shapley(
    score: Score, inputs: Tensor, background: Tensor, classes: Tensor, *, seed: int
) -> Tensor:
    """Estimate the Shapley values of rows.

    Parameters
    ----------
    inputs, background
        Rows, shapes ``(n, d)`` and ``(b, d)``.
    classes
        The class whose log-odds are explained, per row, shape ``(n,)``.
    seed
        Row ``i`` meets the same permutations whatever the other rows are, so that two calls on
        nearly the same rows differ by the rows and not by luck.

    Returns
    -------
    Tensor
        Float64, shape ``(n, d)``; each row adds up to its score less the background's mean.
    """
    rows, width = inputs.shape
    generator = torch.Generator().manual_seed(seed)
    starts = scores.crossed(score, background, classes).flatten()
    ends = scores.evaluate(score, inputs, classes).repeat_interleave(len(background))
    pairs = torch.arange(rows * len(background))
    values = torch.zeros(rows, width, dtype=torch.float64)
    chunks = torch.split(pairs, max(1, scores.ROWS_AT_ONCE // max(1, width - 1)))
    for chunk in progress.track(chunks, "SHAP values"):
        row = chunk // len(background)
        row_inputs, others = inputs[row], background[chunk % len(background)]
        rank = torch.rand(len(chunk), width, generator=generator).argsort(dim=1)
        for order in (rank, width - 1 - rank):
            between = _walk(score, row_inputs, others, classes[row], order)
            path = torch.cat([starts[chunk, None], between, ends[chunk, None]], dim=1)
            values.index_add_(0, row, path.diff(dim=1).gather(1, order) / 2)
    return values / len(background)


def _walk(score: Score, inputs: Tensor, others: Tensor, classes: Tensor, order: Tensor) -> Tensor:
    """Score what lies between the ends of each walk, shape ``(pairs, d - 1)``."""
    pairs, width = inputs.shape
    taken = order.unsqueeze(1) < torch.arange(1, width)[:, None]
    states = torch.where(taken, inputs.unsqueeze(1), others.unsqueeze(1)).flatten(0, 1)
    return scores.evaluate(score, states, classes.repeat_interleave(width - 1)).view(pairs, -1)
