"""Whether each class is as likely as the model says it is.

The calibration error of the likeliest class, which is measured elsewhere, can be small where a rare
class is always thought too rare. Here every class is held to its own probability, over 15 equal
bins: Nixon et al. (2019), "Measuring calibration in deep learning"; Kull et al. (2019), "Beyond
temperature scaling", whose classwise error is the mean over classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardgate import measurements, statistics
from hardgate.quality import BINS
from hardgate.records import Measurement
from hardgate.statistics import Statistic


def measure(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    classes: tuple[str, ...],
    *,
    seed: int,
) -> dict[str, Measurement]:
    """Measure the calibration error of each class, and their mean.

    Parameters
    ----------
    labels
        Class indices, shape ``(n,)``.
    probabilities
        Shape ``(n, k)``.
    """
    samples, count = probabilities.shape
    cell = np.minimum((probabilities * BINS).astype(int), BINS - 1) + BINS * np.arange(count)
    gaps = np.zeros((samples, count * BINS))
    np.put_along_axis(gaps, cell, np.eye(count)[labels] - probabilities, axis=1)

    def errors(means: NDArray[np.float64]) -> NDArray[np.float64]:
        each: NDArray[np.float64] = np.abs(means.reshape(*means.shape[:-1], count, BINS)).sum(-1)
        return each

    asked: dict[str, Statistic] = {
        measurements.class_calibration(name): lambda means, at=at: errors(means)[..., at]  # type: ignore[misc]
        for at, name in enumerate(classes)
    }
    asked[measurements.CLASSWISE_CALIBRATION] = lambda means: errors(means).mean(-1)
    return statistics.bootstrap_means(gaps, asked, seed=seed)
