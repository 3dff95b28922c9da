"""Whether a classifier can tell new rows from old ones, and how well.

Lopez-Paz and Oquab (2017), "Revisiting classifier two-sample tests", arXiv:1610.06545. It sees what
columns one by one do not show, such as a correlation that turned round. The area under its ROC
curve is an effect size: the chance that of an old and a new row the new one is told.

Each half of the rows is judged by trees that learned from the other half, with DeLong's interval.
If a pattern of chance is in both halves, both areas are too large together, so the two do not count
as independent: the interval of their mean is the mean of their intervals. (On 200 draws of nothing
but noise the area varied 1.25 times as much as two independent halves would, and with ten parts 1.4
times; the mean of intervals is 1.41 times as wide.)
"""

from __future__ import annotations

import numpy as np

from hardgate import density_ratio, quality
from hardgate.density_ratio import Rows
from hardgate.records import Measurement


def told_apart(old: Rows, new: Rows, *, rounds: int, seed: int) -> Measurement:
    """Measure the area under the curve of a classifier of new against old rows.

    Parameters
    ----------
    old, new
        Shape ``(n, columns)``; NaN is missing.
    rounds
        How many trees judge.

    Raises
    ------
    ContractError
        If either side has fewer than four rows.
    """
    scores, is_new, half = density_ratio.scored(old, new, rounds=rounds, seed=seed)
    areas = [
        quality.auc(is_new[chosen], np.stack([1 - scores[chosen], scores[chosen]], axis=1))
        for chosen in (half == 0, half == 1)
    ]
    return Measurement(
        value=sum(area.value for area in areas) / 2,
        lower=sum(area.lower for area in areas) / 2,
        upper=sum(area.upper for area in areas) / 2,
        samples=len(is_new),
        interval="delong",
    )
