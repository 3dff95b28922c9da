"""How much denser new rows are than old ones: the odds of a classifier that tells them apart.

Sugiyama, Suzuki and Kanamori (2012), "Density ratio estimation in machine learning", chapter 4.
Every row is scored by trees that learned from the other half of the rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hardgate import progress

LEAVES = 15  # of a tree: interactions of a few columns
SMALLEST = 10  # rows of a leaf
BINS = 63  # per column: finer thresholds tell no more and take longer

Rows = NDArray[np.floating]


class Scored(NamedTuple):
    """Old rows, then new ones: their scores in [0, 1], which are new, and in which half."""

    scores: NDArray[np.float64]
    is_new: NDArray[np.int64]
    half: NDArray[np.int64]


def scored(old: Rows, new: Rows, *, rounds: int, seed: int) -> Scored:
    """Score rows of shape ``(n, columns)``, NaN is missing, by ``rounds`` trees each."""
    rows, is_new = np.concatenate([old, new]), np.repeat([0, 1], [len(old), len(new)])
    generator = np.random.default_rng(seed)
    half = np.concatenate([generator.permutation(len(side)) % 2 for side in (old, new)])
    scores = np.empty(len(rows))
    for judged in progress.track((0, 1), "telling new rows from old"):
        learned, chosen = half != judged, half == judged
        scores[chosen] = _scores(
            rows[learned], is_new[learned], rows[chosen], rounds=rounds, seed=seed
        )
    return Scored(scores, is_new.astype(np.int64), half)


def odds(old: Rows, new: Rows, *, rounds: int, seed: int) -> NDArray[np.float64]:
    """Give how much denser the new rows are than the old ones at each old row, shape ``(n,)``."""
    found = scored(old, new, rounds=rounds, seed=seed)
    of_old = found.scores[: len(old)]
    ratio: NDArray[np.float64] = of_old / (1 - of_old) * len(old) / len(new)
    return ratio


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
