"""Confidence intervals: no rate leaves this project without one.

Wilson, E. B. (1927), "Probable inference, the law of succession, and statistical inference";
Efron, B. (1979), "Bootstrap methods: another look at the jackknife".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from hardgate.errors import ContractError
from hardgate.records import Measurement

CONFIDENCE = 0.95
RESAMPLES = 1000


def wilson(successes: int, samples: int) -> Measurement:
    """Measure a share with Wilson's 95 % interval.

    Parameters
    ----------
    successes, samples
        ``0 <= successes <= samples`` and ``samples >= 1``.
    """
    if not 0 <= successes <= samples or samples < 1:
        raise ContractError(f"{successes} successes of {samples} samples is not a share")
    z = float(norm.ppf((1 + CONFIDENCE) / 2))
    share = successes / samples
    centre = (share + z * z / (2 * samples)) / (1 + z * z / samples)
    half = (
        z
        / (1 + z * z / samples)
        * (share * (1 - share) / samples + (z / (2 * samples)) ** 2) ** 0.5
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


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float], samples: int, *, seed: int
) -> Measurement:
    """Measure any statistic of row indices with a percentile bootstrap 95 % interval.

    Parameters
    ----------
    statistic
        Maps row indices, shape ``(samples,)``, to a number; NaN means the resample cannot be
        judged (one class only) and is left out.
    """
    generator = np.random.default_rng(seed)
    value = float(statistic(np.arange(samples)))
    draws = np.array(
        [statistic(generator.integers(0, samples, samples)) for _ in range(RESAMPLES)], float
    )
    draws = draws[np.isfinite(draws)]
    if len(draws) == 0:
        raise ContractError("the statistic could not be computed on any resample")
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(draws, [tail, 1 - tail])
    return Measurement(
        value=value,
        lower=min(value, float(lower)),
        upper=max(value, float(upper)),
        samples=samples,
        interval="bootstrap",
    )


def exact(value: float, samples: int) -> Measurement:
    """Wrap a number without sampling error: a count, a maximum, a deterministic check."""
    return Measurement(value=value, lower=value, upper=value, samples=samples, interval="exact")
