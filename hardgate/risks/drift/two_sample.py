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
from numpy.typing import NDArray

from hardgate import progress, quality
from hardgate.records import Measurement

LEAVES = 15  # of a tree: interactions of a few columns
SMALLEST = 10  # rows of a leaf
BINS = 63  # per column: finer thresholds tell no more and take longer

Rows = NDArray[np.floating]


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
    rows, is_new = np.concatenate([old, new]), np.repeat([0, 1], [len(old), len(new)])
    generator = np.random.default_rng(seed)
    half = np.concatenate([generator.permutation(len(side)) % 2 for side in (old, new)])
    areas = []
    for judged in progress.track((0, 1), "telling new rows from old"):
        learned, chosen = half != judged, half == judged
        scores = _scores(rows[learned], is_new[learned], rows[chosen], rounds=rounds, seed=seed)
        areas.append(quality.auc(is_new[chosen], np.stack([1 - scores, scores], axis=1)))
    return Measurement(
        value=sum(area.value for area in areas) / 2,
        lower=sum(area.lower for area in areas) / 2,
        upper=sum(area.upper for area in areas) / 2,
        samples=len(rows),
        interval="delong",
    )


def _scores(
    rows: Rows, is_new: NDArray[np.int64], judged: Rows, *, rounds: int, seed: int
) -> NDArray[np.float64]:
    from sklearn.ensemble import HistGradientBoostingClassifier  # two seconds
    from threadpoolctl import threadpool_limits

    trees = HistGradientBoostingClassifier(
        max_iter=rounds,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=SMALLEST,
        max_bins=BINS,
        early_stopping=False,
        random_state=seed % 2**32,
    )
    with threadpool_limits(1, user_api="openmp"):  # the other probes have the other cores
        trees.fit(rows, is_new)
        scores: NDArray[np.float64] = trees.predict_proba(judged)[:, 1]
    return scores
