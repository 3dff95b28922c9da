"""Confidence intervals: no rate leaves this project without one.

Wilson, E. B. (1927), "Probable inference, the law of succession, and statistical inference";
Efron, B. (1979), "Bootstrap methods: another look at the jackknife".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit  # scipy.stats takes two seconds to import

from hardgate.errors import ContractError
from hardgate.records import Measurement

CONFIDENCE = 0.95
Z = float(ndtri((1 + CONFIDENCE) / 2))  # the normal quantile at both ends of the interval
RESAMPLES = 1000
RESAMPLES_AT_ONCE = 100  # a block of them must fit the processor's cache
BLOCKS = 10_000  # more rows than this are resampled in so many random blocks

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Name = TypeVar("Name", bound=str)


def wilson(successes: int, samples: int) -> Measurement:
    """Measure a share with Wilson's 95 % interval.

    Parameters
    ----------
    successes, samples
        ``0 <= successes <= samples`` and ``samples >= 1``.
    """
    if not 0 <= successes <= samples or samples < 1:
        raise ContractError(f"{successes} successes of {samples} samples is not a share")
    share = successes / samples
    centre = (share + Z * Z / (2 * samples)) / (1 + Z * Z / samples)
    half = (
        Z
        / (1 + Z * Z / samples)
        * (share * (1 - share) / samples + (Z / (2 * samples)) ** 2) ** 0.5
    )
    return Measurement(
        value=share,
        lower=max(0.0, min(share, centre - half)),
        upper=min(1.0, max(share, centre + half)),
        samples=samples,
        interval="wilson",
    )


def share(outcomes: NDArray[np.bool_]) -> Measurement:
    """Measure the share of true entries of ``outcomes``, shape ``(n,)``."""
    return wilson(int(np.count_nonzero(outcomes)), len(outcomes))


def difference(first: Measurement, second: Measurement) -> Measurement:
    """Measure how much larger the first of two independent shares is, by Newcombe's hybrid score.

    Newcombe, R. G. (1998), "Interval estimation for the difference between independent
    proportions", his method 10: each end adds the squares of the two half intervals. Zou and Donner
    (2008), "Construction of confidence limits about effect measures", say why it holds for other
    numbers than shares. Numbers from the same samples mostly rise together; it is then too wide.
    """
    value = first.value - second.value
    below = math.hypot(first.value - first.lower, second.upper - second.value)
    above = math.hypot(first.upper - first.value, second.value - second.lower)
    return Measurement(
        value=value,
        lower=value - below,
        upper=value + above,
        samples=min(first.samples, second.samples),
        interval="newcombe",
    )


def bootstrap_means(
    columns: NDArray[np.float64],
    statistics: Mapping[Name, Statistic],
    *,
    seed: int,
    counts: NDArray[np.int64] | None = None,
) -> dict[Name, Measurement]:
    """Measure functions of column means, all on the same resamples and without a Python loop.

    Means are a matrix product of resampling counts and columns, so that a thousand resamples of
    6,000 rows take a tenth of a second. Calibration, losses, and differences between groups are
    all functions of means.

    Parameters
    ----------
    columns
        One row per sample, shape ``(n, m)``.
    statistics
        Each maps means of shape ``(..., m)`` to numbers of shape ``(...)``; NaN means that the
        resample cannot be judged (an empty group) and is left out.
    counts
        How many samples each row stands for, shape ``(n,)``; one each when not given. Rows that
        repeat are cheaper to count: the time no longer grows with the samples.
    """
    samples = len(columns) if counts is None else int(counts.sum())
    if samples < 1:
        raise ContractError("no samples to resample")
    weights = np.ones(len(columns)) if counts is None else counts
    mean = weights @ columns / samples
    means = _resampled_means(columns, counts, np.random.default_rng(seed))
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            name: percentiles(float(statistic(mean)), statistic(means), samples)
            for name, statistic in statistics.items()
        }


def resamples(rows: int, *, seed: int) -> Iterator[NDArray[np.float64]]:
    """Draw how often each row stands in each resample, block by block: shape ``(block, rows)``."""
    return _drawn(rows, np.random.default_rng(seed))


def _drawn(rows: int, generator: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    for first in range(0, RESAMPLES, RESAMPLES_AT_ONCE):
        block = min(RESAMPLES_AT_ONCE, RESAMPLES - first)
        drawn = generator.integers(0, rows, (block, rows), dtype=np.int32)
        drawn += np.arange(block, dtype=np.int32)[:, None] * rows
        weights = np.bincount(drawn.ravel(), minlength=block * rows).astype(float)
        yield weights.reshape(block, rows)


def _resampled_means(
    columns: NDArray[np.float64], counts: NDArray[np.int64] | None, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the column means of :data:`RESAMPLES` resamples, shape ``(RESAMPLES, m)``."""
    if counts is not None:
        samples = int(counts.sum())
        return generator.multinomial(samples, counts / samples, RESAMPLES) @ columns / samples
    sums, sizes = _blocks(columns, generator)
    return np.concatenate(
        [weights @ sums / (weights @ sizes)[:, None] for weights in _drawn(len(sizes), generator)]
    )


def _blocks(
    columns: NDArray[np.float64], generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give what is resampled, as sums and sizes: rows, or random blocks of them when many.

    The sum of a random block varies as much as its rows together, so that resampled blocks give
    the same interval as resampled rows, in a time that no longer grows with the table.
    """
    rows = len(columns)
    if rows <= BLOCKS:
        return columns, np.ones(rows)
    edges = np.linspace(0, rows, BLOCKS + 1).astype(int)
    shuffled = columns[generator.permutation(rows)]
    return np.add.reduceat(shuffled, edges[:-1]), np.diff(edges).astype(float)


def percentiles(value: float, draws: NDArray[np.float64], samples: int) -> Measurement:
    """Turn resampled values into a percentile interval that contains ``value``."""
    draws = draws[~np.isnan(draws)]
    if len(draws) == 0:
        raise ContractError("the statistic could not be computed on any resample")
    if not np.isfinite([value, draws.min(), draws.max()]).all():
        raise ContractError("the statistic is not finite on every resample")
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(draws, [tail, 1 - tail])
    return Measurement(
        value=value,
        lower=min(value, float(lower)),
        upper=max(value, float(upper)),
        samples=samples,
        interval="bootstrap",
    )


def largest_difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> Measurement:
    """Measure the largest absolute difference between column means of two sets of samples.

    The interval holds for all columns at once (Bonferroni), and so for the largest; two columns
    that sum to a constant are one. The mean of few samples that happen to be alike is no surer than
    that of as many of the others, so the larger of the two variances counts for ``first``.

    Parameters
    ----------
    first, second
        Shapes ``(n, k)`` and ``(m, k)``; each row sums to the same constant.
    """
    spread = np.maximum(first.var(axis=0), second.var(axis=0)) / len(first)
    spread += second.var(axis=0) / len(second)
    columns = first.shape[1]
    tail = (1 - CONFIDENCE) / 2 / (columns if columns > 2 else 1)
    half = float(ndtri(1 - tail)) * np.sqrt(spread)
    size = np.abs(first.mean(axis=0) - second.mean(axis=0))
    return Measurement(
        value=float(size.max()),
        lower=max(0.0, float((size - half).max())),
        upper=float((size + half).max()),
        samples=len(first),
        interval="simultaneous",
    )


def beyond(value: float, others: NDArray[np.float64], *, samples: int) -> Measurement:
    """Measure how far a size exceeds the geometric mean of others like it, all in [0, 1].

    If ``value`` came from where the others came from, the interval lies above 0 or below 0 in one
    case of twenty: it is Student's for one more draw, of logarithms, as sizes vary by factors.
    Hahn (1969), "Factors for calculating two-sided prediction intervals for samples from a normal
    distribution".
    """
    count, logs = len(others), np.log(np.maximum(others, np.finfo(float).tiny))
    quantile = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2))
    half = quantile * float(logs.std(ddof=1)) * math.sqrt(1 + 1 / count)
    usual = float(logs.mean())
    return Measurement(
        value=value - math.exp(usual),
        lower=value - math.exp(min(usual + half, math.log1p(value))),
        upper=value - math.exp(usual - half),
        samples=samples,
        interval="prediction",
    )


def midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank numbers, shape ``(n,)``, from 1 up; equal ones share the mean of their ranks.

    Nothing is ranked beside a NaN: all ranks are then NaN.
    """
    if np.isnan(values).any():
        return np.full(len(values), np.nan)
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def exact(value: float, samples: int) -> Measurement:
    """Wrap a number without sampling error: a count, a maximum, a deterministic check."""
    return Measurement(value=value, lower=value, upper=value, samples=samples, interval="exact")
