"""The vectorised bootstrap gives the intervals that the plain one and the theory give."""

import numpy as np
import pytest

from hardgate import statistics
from hardgate.errors import ContractError


def first(means):
    return means[..., 0]


def test_the_interval_of_a_mean_is_the_one_of_the_central_limit_theorem():
    columns = np.random.default_rng(0).normal(size=(2000, 1))
    measured = statistics.bootstrap_means(columns, {"mean": first}, seed=1)["mean"]
    half = 1.96 * columns.std() / 2000**0.5
    assert measured.value == pytest.approx(columns.mean())
    assert measured.upper - measured.lower == pytest.approx(2 * half, rel=0.1)
    assert measured.samples == 2000


def test_it_agrees_with_the_bootstrap_of_rows():
    columns = np.random.default_rng(0).exponential(size=(300, 2))
    draws = np.random.default_rng(1)
    resamples = (columns[draws.integers(0, 300, 300)].mean(axis=0) for _ in range(1000))
    lower, upper = np.percentile([first / second for first, second in resamples], [2.5, 97.5])
    fast = statistics.bootstrap_means(
        columns, {"ratio": lambda means: means[..., 0] / means[..., 1]}, seed=1
    )["ratio"]
    assert fast.value == pytest.approx(columns[:, 0].mean() / columns[:, 1].mean())
    assert fast.lower == pytest.approx(lower, abs=0.03)
    assert fast.upper == pytest.approx(upper, abs=0.03)


def test_counted_rows_give_the_interval_of_repeated_rows():
    cells, counts = np.array([[0.0], [1.0], [4.0]]), np.array([700, 200, 100])
    counted = statistics.bootstrap_means(cells, {"mean": first}, seed=1, counts=counts)["mean"]
    repeated = statistics.bootstrap_means(cells.repeat(counts, axis=0), {"mean": first}, seed=1)
    assert counted.samples == 1000
    assert counted.value == pytest.approx(repeated["mean"].value)
    assert counted.lower == pytest.approx(repeated["mean"].lower, abs=0.02)
    assert counted.upper == pytest.approx(repeated["mean"].upper, abs=0.02)


def test_many_rows_are_resampled_in_blocks_without_changing_the_interval():
    columns = np.random.default_rng(0).normal(size=(45_001, 1)).cumsum(axis=0)  # ordered on purpose
    measured = statistics.bootstrap_means(columns, {"mean": first}, seed=1)["mean"]
    half = 1.96 * columns.std() / 45_001**0.5
    assert measured.upper - measured.lower == pytest.approx(2 * half, rel=0.1)
    assert measured.samples == 45_001


def test_the_same_seed_gives_the_same_interval():
    columns = np.random.default_rng(0).random((100, 3))
    once, twice = (statistics.bootstrap_means(columns, {"m": first}, seed=4) for _ in range(2))
    assert once == twice


def test_a_statistic_that_is_not_finite_is_refused():
    columns = np.zeros((50, 1))
    with pytest.raises(ContractError, match="not finite"):
        statistics.bootstrap_means(columns, {"m": lambda means: 1 / means[..., 0]}, seed=0)
    with pytest.raises(ContractError, match="on any resample"):
        statistics.bootstrap_means(columns, {"m": lambda means: means[..., 0] * np.nan}, seed=0)


def test_no_samples_are_refused():
    with pytest.raises(ContractError, match="no samples"):
        statistics.bootstrap_means(np.zeros((0, 1)), {"m": first}, seed=0)
