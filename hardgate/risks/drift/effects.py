"""How far each column moved, in one unit: the share of rows that moved.

For a number it is the Kolmogorov-Smirnov distance, the largest difference in how often a threshold
is kept; for a category the total variation, the largest difference in how often a set of categories
occurs. A missing number counts as larger than all, so that more missing cells are a move as well.
Both see a change of place, of spread and of shape, and both have intervals that hold for every
distribution and sample size:

- Dvoretzky, Kiefer and Wolfowitz (1956) with the constant of Massart (1990), "The tight constant in
  the Dvoretzky-Kiefer-Wolfowitz inequality", for two samples as in Wei and Dudley (2012);
- Hoeffding (1963), "Probability inequalities for sums of bounded random variables", over all sets
  of categories at once.

A column has drifted when its effect is surely larger than a practical size, not merely different
from nothing: Hodges and Lehmann (1954), "Testing the approximate validity of statistical
hypotheses". More rows make the interval narrower and never the effect larger, so that no alarm
follows from sample size alone. Over columns, the step-down procedure of Holm (1979), "A simple
sequentially rejective multiple test procedure", keeps the chance of any false alarm below 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from hardgate.errors import ContractError
from hardgate.records import Measurement
from hardgate.statistics import CONFIDENCE

ALPHA = 1 - CONFIDENCE
POWER = 0.8  # how often an effect of the detectable size is found

Values = NDArray[np.floating]


@dataclass(frozen=True)
class Effect:
    """The distance between two samples of a column, of ``old`` and ``new`` rows."""

    size: float
    log_events: float  # logarithm of how many events it is the largest of
    old: int
    new: int

    def margin(self, alpha: float) -> float:
        """Bound how far the samples' distance is from the true one, but for a chance ``alpha``."""
        return math.sqrt((self.log_events - math.log(alpha)) * self._variance / 2)

    def measured(self, alpha: float = ALPHA) -> Measurement:
        """Give the distance with its interval."""
        margin = self.margin(alpha)
        return Measurement(
            value=self.size,
            lower=max(0.0, self.size - margin),
            upper=min(1.0, self.size + margin),
            samples=self.old + self.new,
            interval="dkw",
        )

    def chance(self, practical: float) -> float:
        """Bound the chance of such a distance where the true one is no more than ``practical``."""
        beyond = self.size - practical
        if beyond <= 0:
            return 1.0
        return min(1.0, math.exp(self.log_events - 2 * beyond**2 / self._variance))

    def detectable(self, practical: float, alpha: float) -> float:
        """Give the smallest true distance that would have been called drift in :data:`POWER`."""
        spread = float(ndtri(POWER)) * math.sqrt(self._variance) / 2
        return min(1.0, practical + self.margin(alpha) + spread)

    @property
    def _variance(self) -> float:
        return 1 / self.old + 1 / self.new


def of_numbers(old: Values, new: Values) -> Effect:
    """Compare a column of numbers; NaN is missing."""
    _refuse_empty(old, new)
    before, after = np.sort(old), np.sort(new)  # NaN last
    places = np.concatenate([before, after])
    below = np.searchsorted(before, places, "right") / len(before)
    distance = np.abs(below - np.searchsorted(after, places, "right") / len(after))
    known = np.count_nonzero(~np.isnan(before)) / len(before)
    lost = abs(known - np.count_nonzero(~np.isnan(after)) / len(after))
    return Effect(max(float(distance.max()), lost), math.log(2), len(old), len(new))


def of_categories(old: Values, new: Values) -> Effect:
    """Compare a column of category codes; -1 is missing."""
    _refuse_empty(old, new)
    found, place = np.unique(np.concatenate([old, new]), return_inverse=True)
    before = np.bincount(place[: len(old)], minlength=len(found)) / len(old)
    after = np.bincount(place[len(old) :], minlength=len(found)) / len(new)
    events = math.log(2) * max(1, len(found))
    return Effect(float(np.abs(before - after).sum() / 2), events, len(old), len(new))


def drifted(effects: Mapping[str, Effect], practical: float) -> list[str]:
    """Name the columns that surely moved more than ``practical``, largest first."""
    chances = {name: effect.chance(practical) for name, effect in effects.items()}
    found: list[str] = []
    for rank, name in enumerate(sorted(chances, key=lambda name: chances[name])):
        if not chances[name] <= ALPHA / (len(effects) - rank):
            break
        found.append(name)
    return sorted(found, key=lambda name: -effects[name].size)


def largest(effects: Mapping[str, Effect]) -> Measurement:
    """Measure the largest effect, with an interval that holds for all of them together."""
    each = [effect.measured(ALPHA / len(effects)) for effect in effects.values()]
    return Measurement(
        value=max(one.value for one in each),
        lower=max(one.lower for one in each),
        upper=max(one.upper for one in each),
        samples=min(one.samples for one in each),
        interval="dkw",
    )


def detectable(effects: Mapping[str, Effect], practical: float) -> float:
    """Give the smallest effect that would have been found in every column, as Bonferroni asks."""
    return max(e.detectable(practical, ALPHA / len(effects)) for e in effects.values())


def _refuse_empty(old: Values, new: Values) -> None:
    if not (len(old) and len(new)):
        raise ContractError(f"drift needs rows on both sides; there are {len(old)} and {len(new)}")
