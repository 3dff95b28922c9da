"""What steps of noise cost: epsilon from what was run, and the noise that a budget needs.

Numerical composition of privacy losses: Gopi, Lee and Wutschitz (2021), "Numerical composition of
differential privacy", arXiv:2106.02848, by Opacus, which gives the upper end of its own error.
Where every row is in every batch nothing is sampled and that code has no case for it; there, Rényi
divergences: Mironov, Talwar and Zhang (2019), "Rényi differential privacy of the sampled Gaussian
mechanism", arXiv:1908.10530. Neighbours differ by one row, added or taken away.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass

from hardgate import measurements, statistics
from hardgate.errors import ParamsError
from hardgate.records import Measurement

PRECISION = 1.001  # how near to the least noise a search comes
MOST = 1000.0  # noise in which nothing can be learnt


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What was run: everything that epsilon depends on.

    ``noise`` is in units of the clipping bound, ``rate`` the chance of a row to be in a batch.
    """

    noise: float
    rate: float
    steps: int
    delta: float

    @property
    def epsilon(self) -> float:
        """An upper bound of the privacy loss, but for a chance of ``delta``."""
        return _epsilon(self, tight=self.rate < 1)


def measured(spent: Spent, *, rows: int) -> dict[str, Measurement]:
    """Write down epsilon, delta and what they follow from, so that anybody can follow it."""
    return {
        measurements.EPSILON: statistics.exact(spent.epsilon, rows),
        measurements.DELTA: statistics.exact(spent.delta, rows),
        measurements.NOISE_MULTIPLIER: statistics.exact(spent.noise, rows),
        measurements.SAMPLING_RATE: statistics.exact(spent.rate, rows),
        measurements.PRIVATE_STEPS: statistics.exact(spent.steps, rows),
    }


def least_noise(*, epsilon: float, delta: float, rate: float, steps: int) -> float:
    """Find the least noise that keeps ``steps`` within a budget.

    Raises
    ------
    ParamsError
        If no noise does in which anything could be learnt.
    """

    def cost(noise: float, *, tight: bool) -> float:
        return _epsilon(Spent(noise=noise, rate=rate, steps=steps, delta=delta), tight=tight)

    def search(low: float, high: float, *, tight: bool) -> float:
        """Halve a bracket; the end that is given back has been seen to keep the budget."""
        while cost(high, tight=tight) > epsilon:
            low, high = high, 2 * high
            if high > MOST:
                raise ParamsError(
                    f"training.privacy.epsilon = {epsilon:g}: {steps} steps cost more even under "
                    f"{MOST:g} times the noise; train fewer epochs, or raise epsilon or delta"
                )
        while high > PRECISION * low:
            middle = (low * high) ** 0.5
            low, high = (middle, high) if cost(middle, tight=tight) > epsilon else (low, middle)
        return high

    enough = search(0.1, 1.0, tight=False)
    # Little noise makes long tails and slow arithmetic, so the tight search starts near its end.
    return search(0.7 * enough, enough, tight=True) if rate < 1 else enough


@functools.cache
def _epsilon(spent: Spent, *, tight: bool) -> float:
    from opacus.accountants import PRVAccountant, RDPAccountant

    accountant = PRVAccountant() if tight else RDPAccountant()
    accountant.history = [(spent.noise, spent.rate, spent.steps)]
    with warnings.catch_warnings():  # a bound from too few orders is loose, and still a bound
        warnings.simplefilter("ignore")
        return float(accountant.get_epsilon(spent.delta))
