"""What the cipher's numbers look like, and that nobody gets the same twice."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from hardgate.privacy.keystream import Keystream

KEY = bytes(range(32))


def test_normal_numbers_are_normal():
    drawn = Keystream(KEY).normals(200_001).numpy()
    assert drawn.shape == (200_001,)
    assert stats.kstest(drawn, "norm").pvalue > 0.001
    assert abs(drawn.std() - 1) < 0.005


def test_uniform_numbers_are_uniform_and_never_an_end():
    drawn = Keystream(KEY).uniforms(200_000)
    assert stats.kstest(drawn, "uniform").pvalue > 0.001
    assert drawn.min() > 0
    assert drawn.max() < 1


def test_every_row_has_a_coin_of_its_own():
    stream = Keystream(KEY)
    batches = [stream.drawn(1000, 0.05) for _ in range(400)]
    sizes = np.array([len(batch) for batch in batches])
    assert abs(sizes.mean() - 50) < 1.5
    assert abs(sizes.var() / (1000 * 0.05 * 0.95) - 1) < 0.25  # binomial, not fixed
    counts = torch.bincount(torch.cat(batches), minlength=1000).numpy()
    assert abs(counts.var() / (400 * 0.05 * 0.95) - 1) < 0.25
    assert all(len(torch.unique(batch)) == len(batch) for batch in batches)


def test_a_key_repeats_itself_and_fresh_ones_differ():
    assert torch.equal(Keystream(KEY).normals(10), Keystream(KEY).normals(10))
    assert not torch.equal(Keystream().normals(10), Keystream().normals(10))
    stream = Keystream(KEY)
    assert not torch.equal(stream.normals(10), stream.normals(10))
