"""Shares at few false alarms: known on paper for normal scores, and covered by their interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from hardgate.risks.privacy import ranking


def true(rate: float) -> float:
    """The share of members above, when they are one standard deviation above the others."""
    return float(ndtr(1 + ndtri(rate)))


def drawn(seed: int, *, apart: float, others: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.standard_normal(1000) + apart, generator.standard_normal(others)


def test_the_share_at_few_false_alarms_is_that_of_the_closed_form() -> None:
    inside, outside = drawn(0, apart=1.0, others=200_000)
    assert ranking.tpr(inside, outside, rate=0.01).value == pytest.approx(true(0.01), abs=0.03)


@pytest.mark.parametrize(("others", "rate"), [(100, 0.01), (100, 0.001), (2000, 0.01)])
def test_the_interval_covers_the_truth_at_least_as_often_as_it_says(
    others: int, rate: float
) -> None:
    found = [ranking.tpr(*drawn(seed, apart=1.0, others=others), rate=rate) for seed in range(300)]
    covered = [seen.lower <= true(rate) <= seen.upper for seen in found]
    assert np.mean(covered) >= 0.95


def test_few_others_make_a_wide_interval_and_are_the_samples() -> None:
    few = ranking.tpr(*drawn(0, apart=1.0, others=100), rate=0.001)
    many = ranking.tpr(*drawn(0, apart=1.0, others=20_000), rate=0.001)
    assert (few.samples, many.samples) == (100, 20_000)
    assert few.lower == 0.0
    assert few.upper - few.lower > many.upper - many.lower


def test_ends_of_the_curve() -> None:
    high, low = np.arange(100) + 1000.0, np.arange(100.0)
    everybody, nobody = ranking.tpr(high, low, rate=0.01), ranking.tpr(low, high, rate=0.01)
    assert (everybody.value, everybody.upper) == (1.0, 1.0)
    assert (nobody.value, nobody.lower) == (0.0, 0.0)
    assert 0 < nobody.upper < 0.1


def test_equal_scores_name_nobody() -> None:
    same = np.zeros(50)
    found = ranking.measure(np.concatenate([same, same]), np.arange(100) < 50)
    assert found["auc"].value == 0.5
    assert found["tpr_at_1_percent"].value == 0.0
