"""Errors under corruption, relative to those of a model without defence.

Hendrycks and Dietterich (2019), "Benchmarking neural network robustness to common corruptions and
perturbations", arXiv:1903.12261: the error under each corruption, summed over severities, over a
baseline's, and the mean of these ratios (mCE); some corruptions are harder than others, and the
baseline says by how much. Mu and Gilmer (2019), "MNIST-C", arXiv:1906.02337, take a plain network
as the baseline; here it is the candidate's undefended twin. The relative mCE compares what
corruption adds to the clean error, so that a model which is bad anyway does not look stable.

Ratios are 1 for a model no better than its twin. Those of the papers are times 100.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hardgate import measurements, statistics
from hardgate.errors import ContractError
from hardgate.records import Measurement
from hardgate.statistics import Statistic


@dataclass(frozen=True)
class Sweep:
    """Whether a model is right about each sample, clean and under each (corruption, severity)."""

    clean: NDArray[np.bool_]  # (n,)
    corrupted: MutableMapping[tuple[str, int], NDArray[np.bool_]]

    def errors(self, name: str) -> NDArray[np.float64]:
        """Give each sample's error under one corruption, mean over severities."""
        cells = [~right for (cell, _), right in self.corrupted.items() if cell == name]
        errors: NDArray[np.float64] = np.mean(cells, axis=0, dtype=float)
        return errors


def measure(candidate: Sweep, twin: Sweep, *, seed: int) -> dict[str, Measurement]:
    """Measure every corruption's ratio of errors, their mean, and the relative mean.

    A ratio is absent where the twin errs on so few samples that it has no finite interval: then
    the means are too.

    Raises
    ------
    ContractError
        If the two were not measured on the same samples, corruptions and severities.
    """
    if candidate.corrupted.keys() != twin.corrupted.keys() or not candidate.corrupted:
        raise ContractError("candidate and twin must be measured under the same corruptions")
    if len(candidate.clean) != len(twin.clean):
        raise ContractError("candidate and twin must be measured on the same samples")
    names = list(dict.fromkeys(name for name, _ in candidate.corrupted))
    ours = np.stack([candidate.errors(name) for name in names], axis=1)
    theirs = np.stack([twin.errors(name) for name in names], axis=1)
    clean = np.stack([~candidate.clean, ~twin.clean], axis=1).astype(float)
    # Whole samples are resampled: the cells of one sample stand and fall together.
    columns = np.concatenate([clean, ours, theirs], axis=1)
    found = {
        measurements.corruption_error(name): _mean_ratio(slice(place, place + 1), len(names), 0.0)
        for place, name in enumerate(names)
    }
    found[measurements.CORRUPTION_MCE] = _mean_ratio(slice(None), len(names), 0.0)
    found[measurements.CORRUPTION_RELATIVE_MCE] = _mean_ratio(slice(None), len(names), 1.0)
    return _finite(columns, found, seed=seed)


def _mean_ratio(chosen: slice, corruptions: int, less_clean: float) -> Statistic:
    """Average the ratios of errors, with or without what the clean error takes off both."""

    def ratio(means: NDArray[np.float64]) -> NDArray[np.float64]:
        ours = means[..., 2 : 2 + corruptions] - less_clean * means[..., 0:1]
        theirs = means[..., 2 + corruptions :] - less_clean * means[..., 1:2]
        # Where the baseline loses nothing, nothing can be compared with it.
        known = np.where(theirs > 0, ours / theirs, np.inf)
        averaged: NDArray[np.float64] = known[..., chosen].mean(axis=-1)
        return averaged

    return ratio


def _finite(
    columns: NDArray[np.float64], asked: Mapping[str, Statistic], *, seed: int
) -> dict[str, Measurement]:
    """Measure what has a finite interval; the rest is absent."""
    found: dict[str, Measurement] = {}
    for name, statistic in asked.items():
        try:
            found |= statistics.bootstrap_means(columns, {name: statistic}, seed=seed)
        except ContractError:
            continue
    return found
