"""Errors under corruption, relative to those of a model without defence.

Hendrycks and Dietterich (2019), "Benchmarking neural network robustness to common corruptions and
perturbations", arXiv:1903.12261: the error under each corruption, summed over severities, over a
baseline's, and the mean of these ratios (mCE); some corruptions are harder than others, and the
baseline says by how much. Mu and Gilmer (2019), "MNIST-C", arXiv:1906.02337, take a plain network
as the baseline; here it is the candidate's undefended twin. The relative mCE compares what
corruption adds to the clean error, so that a model which is bad anyway does not look stable. It is
the ratio of the sums over corruptions here, and not the mean of ratios: a good twin loses nothing
under some, and by nothing one cannot divide.

Ratios are 1 for a model no better than its twin. Those of the papers are times 100.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
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
    return _finite(columns, _asked(names), seed=seed)


def _asked(names: Sequence[str]) -> dict[str, Statistic]:
    """Write each number as a function of the means: clean errors, then ours, then the twin's."""
    split = 2 + len(names)

    def ratios(means: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = means[..., 2:split] / means[..., split:]
        return found

    def one(place: int) -> Statistic:
        return lambda means: ratios(means)[..., place]

    def relative(means: NDArray[np.float64]) -> NDArray[np.float64]:
        ours, theirs = means[..., 2:split].mean(axis=-1), means[..., split:].mean(axis=-1)
        added = theirs - means[..., 1]
        found: NDArray[np.float64] = np.where(added > 0, (ours - means[..., 0]) / added, np.inf)
        return found

    return {
        **{measurements.corruption_error(name): one(place) for place, name in enumerate(names)},
        measurements.CORRUPTION_MCE: lambda means: ratios(means).mean(axis=-1),
        measurements.CORRUPTION_RELATIVE_MCE: relative,
    }


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
