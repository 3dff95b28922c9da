"""Epsilon against closed forms, an accountant of ten lines, and what cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from hardgate.errors import ParamsError
from hardgate.privacy import Spent, accounting, measured

DELTA = 1e-5


def epsilon(noise: float, rate: float, steps: int, delta: float = DELTA) -> float:
    return Spent(noise=noise, rate=rate, steps=steps, delta=delta).epsilon


def gaussian(noise: float, steps: int) -> float:
    """Balle and Wang (2018): exact for the Gaussian mechanism, which composes into one."""
    mu = steps**0.5 / noise

    def excess(e: float) -> float:
        return float(norm.cdf(mu / 2 - e / mu) - np.exp(e + norm.logcdf(-mu / 2 - e / mu)) - DELTA)

    return float(brentq(excess, 1e-6, 100))


def convolved(noise: float, rate: float, steps: int, *, removed: bool) -> float:
    """Compose privacy losses on a grid, by Fourier transform, for a row removed or added."""
    cells, width = 2**17, 60.0
    step = 2 * width / cells
    x = np.linspace(-12 * noise, 1 + 12 * noise, 400_001)
    without = norm.pdf(x, 0, noise)
    ratio = np.log1p(rate * np.expm1((2 * x - 1) / (2 * noise**2)))
    mass = (without * np.exp(ratio) if removed else without) * (x[1] - x[0])
    loss = ratio if removed else -ratio
    grid = np.bincount(np.rint((loss + width) / step).astype(int), mass, cells)
    turned = np.fft.rfft(np.roll(grid, -cells // 2))
    composed = np.roll(np.fft.irfft(turned**steps, cells), cells // 2)
    at = np.arange(cells) * step - width
    return float(
        brentq(
            lambda e: (composed * np.clip(1 - np.exp(e - at), 0, None))[at > e].sum() - DELTA,
            1e-3,
            20,
        )
    )


@pytest.mark.parametrize(("noise", "steps"), [(2.0, 1), (4.0, 1), (8.0, 20)])
def test_without_sampling_epsilon_is_that_of_the_gaussian_mechanism(noise: float, steps: int):
    exact = gaussian(noise, steps)
    assert exact <= epsilon(noise, 1.0, steps) <= 1.15 * exact
    assert epsilon(noise, 0.9999, steps) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("removed", [True, False], ids=["removed", "added"])
@pytest.mark.parametrize(
    ("noise", "rate", "steps"), [(4.9, 0.076, 390), (1.1, 0.01, 500), (2.5, 0.3, 20)]
)
def test_with_sampling_epsilon_bounds_what_another_accountant_finds(noise, rate, steps, removed):
    other = convolved(noise, rate, steps, removed=removed)
    assert other - 0.002 <= epsilon(noise, rate, steps)
    if removed:  # the worse of the two neighbours
        assert epsilon(noise, rate, steps) <= other + 0.03


def test_more_steps_or_rows_cost_more_and_more_noise_less():
    usual = epsilon(2.0, 0.05, 100)
    assert epsilon(2.0, 0.05, 200) > usual
    assert epsilon(2.0, 0.1, 100) > usual
    assert epsilon(2.5, 0.05, 100) < usual
    assert epsilon(2.0, 0.05, 100, 1e-6) > usual


@pytest.mark.parametrize("rate", [0.05, 1.0])
@pytest.mark.parametrize("budget", [0.5, 3.0])
def test_the_least_noise_keeps_the_budget_and_less_would_not(budget: float, rate: float):
    noise = accounting.least_noise(epsilon=budget, delta=DELTA, rate=rate, steps=100)
    assert epsilon(noise, rate, 100) <= budget
    assert epsilon(0.995 * noise, rate, 100) > budget


def test_a_budget_that_no_noise_keeps_is_refused():
    with pytest.raises(ParamsError, match=r"training\.privacy\.epsilon = 1e-05: 100 steps cost"):
        accounting.least_noise(epsilon=1e-5, delta=1e-9, rate=1.0, steps=100)


def test_the_record_holds_all_that_epsilon_follows_from():
    spent = Spent(noise=3.0, rate=0.02, steps=50, delta=DELTA)
    found = measured(spent, rows=700)
    names = ("noise_multiplier", "sampling_rate", "steps", "delta")
    noise, rate, steps, delta = (found[f"privacy/{name}"].value for name in names)
    assert found["privacy/epsilon"].value == epsilon(noise, rate, int(steps), delta)
    assert {one.interval for one in found.values()} == {"exact"}
    assert {one.samples for one in found.values()} == {700}
