"""Intervals of differences: against published numbers, and by how often they cover the truth."""

from __future__ import annotations

import numpy as np
import pytest

from hardgate import statistics


@pytest.mark.parametrize(
    ("first", "second", "lower", "upper"),
    [  # Newcombe (1998), table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_a_difference_of_shares_has_newcombes_interval(
    first: tuple[int, int], second: tuple[int, int], lower: float, upper: float
) -> None:
    measured = statistics.difference(statistics.wilson(*first), statistics.wilson(*second))
    assert (measured.lower, measured.upper) == pytest.approx((lower, upper), abs=1e-4)
    assert measured.samples == min(first[1], second[1])


def test_the_largest_difference_covers_the_truth_as_often_as_it_says() -> None:
    draws = np.random.default_rng(1)
    rates, shift = np.array([0.5, 0.3, 0.2]), np.array([0.06, -0.05, -0.01])
    covered = 0
    for _ in range(400):
        first = draws.multinomial(1, rates + shift, 300).astype(float)
        second = draws.multinomial(1, rates, 3000).astype(float)
        measured = statistics.largest_difference(first, second)
        covered += measured.lower <= 0.06 <= measured.upper
    assert covered / 400 > 0.93


def test_two_columns_that_mirror_each_other_are_one() -> None:
    draws = np.random.default_rng(2)
    one, other = draws.normal(0.3, 1, (200, 1)), draws.normal(0, 1, (2000, 1))
    measured = statistics.largest_difference(np.hstack([one, -one]), np.hstack([other, -other]))
    spread = max(one.var(), other.var()) / 200 + other.var() / 2000
    assert measured.value == pytest.approx(abs(one.mean() - other.mean()))
    assert measured.upper - measured.value == pytest.approx(statistics.Z * spread**0.5)


def test_few_that_happen_to_be_alike_are_no_surer_than_the_others() -> None:
    draws = np.random.default_rng(3)
    others = draws.normal(size=(500, 1))
    measured = statistics.largest_difference(
        np.hstack([np.full((20, 1), 0.3), np.full((20, 1), -0.3)]), np.hstack([others, -others])
    )
    assert measured.lower == 0


@pytest.mark.parametrize("count", [4, 7, 10])
def test_one_more_draw_is_beyond_the_others_in_one_case_of_forty(count: int) -> None:
    draws = np.exp(np.random.default_rng(count).normal(-4, 0.6, (4000, count + 1)))
    found = [statistics.beyond(row[0], row[1:], samples=1) for row in draws]
    assert np.mean([each.lower > 0 for each in found]) == pytest.approx(0.025, abs=0.008)
    assert np.mean([each.upper < 0 for each in found]) == pytest.approx(0.025, abs=0.008)


def test_how_far_one_size_is_beyond_others() -> None:
    measured = statistics.beyond(0.5, np.array([0.1, 0.1, 0.1]), samples=40)
    assert measured.value == pytest.approx(0.4)
    assert (measured.lower, measured.upper) == pytest.approx((0.4, 0.4))
    wild = statistics.beyond(0.0, np.array([0.0, 0.5, 0.9]), samples=40)
    assert wild.lower == pytest.approx(-1)
    assert wild.lower <= wild.value <= wild.upper <= 0
