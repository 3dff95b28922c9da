"""Ranks with ties are the textbook's, and a NaN spoils them all instead of ranking first."""

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from hardgate import statistics


@pytest.mark.parametrize("values", [1, 3, 50, 1000])
def test_ranks_are_those_of_scipy(values):
    drawn = np.random.default_rng(values).integers(0, 40, values) / 7
    assert statistics.midranks(drawn) == pytest.approx(rankdata(drawn))


def test_a_nan_ranks_nothing():
    assert np.isnan(statistics.midranks(np.array([0.1, np.nan, 0.3]))).all()


def test_the_interval_uses_the_normal_quantile():
    assert pytest.approx(norm.ppf(0.975)) == statistics.Z
