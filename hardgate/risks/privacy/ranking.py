"""How well a score tells rows trained on from others: the ROC curve at its ends and as a whole.

Carlini et al. (2022), "Membership inference attacks from first principles", arXiv:2112.03570, say
why the left end matters: an attack that names a few people for certain is worse than one that is a
little better than a coin on all of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv

from hardgate import quality
from hardgate.measurements import Leak
from hardgate.records import Measurement
from hardgate.statistics import CONFIDENCE

Scores = NDArray[np.float64]
TAIL = (1 - CONFIDENCE) / 4  # each end pays for the threshold and for the share above it


def measure(scores: Scores, member: NDArray[np.bool_]) -> dict[Leak, Measurement]:
    """Measure a score, shape ``(n,)``, that should be high for members."""
    inside, outside = scores[member], scores[~member]
    return {
        "auc": auc(scores, member),
        "tpr_at_1_percent": tpr(inside, outside, rate=0.01),
        "tpr_at_0.1_percent": tpr(inside, outside, rate=0.001),
    }


def auc(scores: Scores, member: NDArray[np.bool_]) -> Measurement:
    """Measure the chance that a member scores above another row, with DeLong's interval."""
    return quality.auc(member.astype(np.int64), np.stack([-scores, scores], axis=1))


def tpr(inside: Scores, outside: Scores, *, rate: float) -> Measurement:
    """Measure the share of members above the threshold that ``rate`` of all others exceed.

    The threshold is itself an estimate. How many of ``n`` others lie above the true one is
    binomial, so two of their order statistics enclose it; the share of members above each has the
    interval of Clopper and Pearson (1934). The samples are the others: they set the threshold, and
    where they are too few for the rate, the interval says so by being wide.
    """
    falling = np.sort(outside)[::-1]
    others = len(falling)
    chance = bdtr(np.arange(others + 1), others, rate)  # of at most so many above the threshold
    fewest = int(np.searchsorted(chance, TAIL, side="right"))
    most = int(np.searchsorted(chance, 1 - TAIL))
    named = _above(inside, falling, int(rate * others))
    value = named / len(inside)
    least = int(np.count_nonzero(inside >= falling[fewest - 1])) if fewest else 0
    greatest = _above(inside, falling, most)
    lower = float(betaincinv(least, len(inside) - least + 1, TAIL)) if least else 0.0
    left_out = len(inside) - greatest
    upper = float(betaincinv(greatest + 1, left_out, 1 - TAIL)) if left_out else 1.0
    return Measurement(
        value=value,
        lower=min(value, lower),
        upper=max(value, upper),
        samples=others,
        interval="clopper-pearson",
    )


def _above(inside: Scores, falling: Scores, errors: int) -> int:
    """Count the members above all others but the first ``errors``."""
    if errors >= len(falling):
        return len(inside)
    return int(np.count_nonzero(inside > falling[errors]))
