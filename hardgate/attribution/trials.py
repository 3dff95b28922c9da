"""Trials: whether attributions add up, hold still, and name what the model really uses.

Rank stability follows Alvarez-Melis and Jaakkola (2018), "On the robustness of interpretability
methods"; deletion Samek et al. (2017), "Evaluating the visualization of what a deep neural network
has learned", with a deleted feature replaced by the background's instead of by one grey.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardgate import progress, statistics
from hardgate.attribution import scores
from hardgate.attribution.features import Features
from hardgate.attribution.scores import Score
from hardgate.records import ColumnType, InputSpec, Measurement, TableInput

Array = NDArray[np.float64]

# Each trial draws from a stream of its own.
NOISE, ORDERS = 1, 2


def additivity(values: Array, outputs: Array, starts: Array) -> Array:
    """Measure what each sample's attributions miss, in units of the spread of the output.

    Parameters
    ----------
    values
        Attributions, shape ``(n, features)``.
    outputs, starts
        Scores of the samples, shape ``(n,)``, and of the background for the same classes,
        ``(n, b)``. The root mean square of their differences is the spread.

    Returns
    -------
    ndarray
        Shape ``(n,)``. Zero for a model that gives the same answer to everything.
    """
    missed = np.abs(outputs - starts.mean(axis=1) - values.sum(axis=1))
    spread = float(np.sqrt(np.square(outputs[:, None] - starts).mean()))
    relative: Array = missed / spread if spread > 0 else missed
    return relative


def rank_agreement(first: Array, second: Array) -> Array:
    """Correlate the ranks of two attributions' magnitudes, per sample (Spearman).

    Where either ranks nothing (all magnitudes equal) there is no agreement: 0.
    """
    ranks = [
        np.apply_along_axis(statistics.midranks, 1, np.abs(values)) for values in (first, second)
    ]
    a, b = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    norm = np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1))
    product = (a * b).sum(axis=1)
    agreement: Array = np.divide(product, norm, out=np.zeros_like(product), where=norm > 0)
    return np.clip(agreement, -1, 1)


def cosine(first: Array, second: Array) -> Array:
    """Measure the cosine between two attributions, per sample; 0 where either is all zero."""
    norm = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    product = (first * second).sum(axis=1)
    similar: Array = np.divide(product, norm, out=np.zeros_like(product), where=norm > 0)
    return np.clip(similar, -1, 1)


def mean(numbers: Array, *, seed: int) -> Measurement:
    """Measure the mean of one number per sample."""
    found = statistics.bootstrap_means(
        numbers[:, None], {"mean": lambda means: means[..., 0]}, seed=seed
    )
    return found["mean"]


def noisy(inputs: Tensor, spec: InputSpec, *, noise: float, seed: int) -> Tensor:
    """Add Gaussian noise that could have been in the data.

    In tables ``noise`` is in standard deviations of the training split; categories and missing
    cells stay, integers stay integers, and no column leaves the range of the training split. In
    images it is in pixel units.
    """
    generator = np.random.default_rng((seed, NOISE))
    draws = torch.from_numpy(generator.standard_normal(inputs.shape, dtype=np.float32))
    if not isinstance(spec, TableInput):
        return (inputs + noise * draws).clamp(0, 1)
    moved = inputs.clone()
    for position, column in enumerate(spec.columns):
        if column.type is ColumnType.CATEGORICAL:
            continue
        before = inputs[:, position]
        after = before + noise * column.scale * draws[:, position]
        if column.type is ColumnType.INTEGER:
            after = after.round()
        # A value that was outside the range already does not have to come back in.
        low, high = before.clamp(max=column.low), before.clamp(min=column.high)
        moved[:, position] = after.maximum(low).minimum(high)
    return moved


@dataclass(frozen=True)
class Deletion:
    """How far scores move as features are deleted, shape ``(n, steps)``, the best first or any."""

    share: Array  # of the features deleted, shape (steps,)
    top: Array
    random: Array

    def faithfulness(self, *, seed: int) -> Measurement:
        """Compare the areas under both curves: 0 for attributions that say nothing, at most 1.

        The difference of the areas over the larger one: at 0.6 deleting features at random moves
        the output 60 % less than deleting the ones that were named.
        """
        areas = np.stack([self.top.mean(axis=1), self.random.mean(axis=1)], axis=1)
        found = statistics.bootstrap_means(areas, {"faithfulness": _advantage}, seed=seed)
        return found["faithfulness"]


def _advantage(means: Array) -> Array:
    top, random = means[..., 0], means[..., 1]
    larger = np.maximum(top, random)
    return np.divide(top - random, larger, out=np.zeros_like(larger), where=larger > 0)


def delete(
    score: Score,
    inputs: Tensor,
    background: Tensor,
    classes: Tensor,
    *,
    features: Features,
    contributions: Array,
    steps: int,
    orders: int,
    seed: int,
) -> Deletion:
    """Delete features in steps, those that speak most for the output first, and at random.

    Parameters
    ----------
    contributions
        Attributions by feature, shape ``(n, features)``. What speaks for the output has the sign
        of the whole difference from the background.
    steps
        At how many equal shares of the features the movement is measured; all deleted is not one
        of them, since every order ends there.
    orders
        Random orders averaged per sample.
    """
    outputs = scores.evaluate(score, inputs, classes)
    width = len(features.names)
    shares = np.arange(1, steps + 1) / (steps + 1)
    counts = np.round(shares * width).clip(1, max(1, width - 1)).astype(int)
    ranks = _orders(contributions, orders, np.random.default_rng((seed, ORDERS)))
    moved = np.empty((len(inputs), 1 + orders, steps))
    for at in progress.track(range(len(inputs)), "deleting features"):
        gone = features.spread(torch.from_numpy(ranks[at][:, None] < counts[:, None]))
        states = torch.where(gone.unsqueeze(2), background, inputs[at])
        kept = states.shape[:3]
        states = states.flatten(0, 2)
        left = scores.evaluate(score, states, classes[at].expand(len(states)))
        moved[at] = (left.view(kept).mean(dim=2) - outputs[at]).abs().numpy()
    return Deletion(share=counts / width, top=moved[:, 0], random=moved[:, 1:].mean(axis=1))


def _orders(contributions: Array, orders: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Rank the features of each sample, ``(n, 1 + orders, features)``: 0 is deleted first."""
    support = contributions * np.sign(contributions.sum(axis=1, keepdims=True))
    keys = generator.random((len(support), 1 + orders, support.shape[1]))
    keys[:, 0] = -support
    ranks: NDArray[np.intp] = keys.argsort(axis=2).argsort(axis=2)
    return ranks
