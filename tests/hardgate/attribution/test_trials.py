from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from hardgate.attribution import features, permutation, scores, trials

CPU = torch.device("cpu")


def test_additivity_is_what_is_missed_in_units_of_the_spread():
    outputs, starts = np.array([3.0, -1.0]), np.array([[1.0, 1.0], [1.0, 1.0]])
    values = np.array([[1.0, 1.0], [-1.0, -0.5]])
    assert trials.additivity(values, outputs, starts).tolist() == [0, 0.25]


def test_a_constant_model_has_nothing_to_miss():
    found = trials.additivity(np.zeros((2, 3)), np.ones(2), np.ones((2, 4)))
    assert found.tolist() == [0, 0]


def test_rank_agreement_is_spearmans_over_magnitudes():
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 5, 8))
    expected = [
        spearmanr(np.abs(a), np.abs(b)).statistic for a, b in zip(first, second, strict=True)
    ]
    assert trials.rank_agreement(first, second) == pytest.approx(expected)


def test_attributions_that_rank_nothing_agree_with_nothing():
    zero, some = np.zeros((1, 4)), np.arange(4.0)[None]
    assert trials.rank_agreement(zero, some) == [0]
    assert trials.rank_agreement(zero, zero) == [0]
    assert trials.cosine(zero, some) == [0]


def test_noise_leaves_categories_missing_cells_integers_and_ranges_as_they_are(table, test):
    inputs = test.inputs.clone()
    inputs[0, 0] = 9.0  # outside the training range already
    moved = trials.noisy(inputs, table, noise=2.0, seed=0)
    assert torch.equal(moved.isnan(), inputs.isnan())
    assert torch.equal(moved[:, 4], inputs[:, 4])
    whole = moved[:, 3].nan_to_num()
    assert torch.equal(whole, whole.round())
    assert moved[1:, :4].nan_to_num().abs().max() <= 4
    assert (moved[:, 1] != inputs[:, 1]).any()


def test_noise_keeps_pixels_between_zero_and_one(pictures, image_test):
    moved = trials.noisy(image_test.floats(), pictures, noise=0.5, seed=0)
    assert 0 <= moved.min() < moved.max() <= 1


def deletion(additive, table, train, test, contributions):
    return trials.delete(
        scores.of(additive, CPU),
        test.inputs,
        train.inputs[:10],
        torch.ones(len(test), dtype=torch.int64),
        features=features.of(table, None),
        contributions=contributions,
        steps=3,
        orders=4,
        seed=0,
    )


@pytest.fixture
def honest(additive, train, test):
    ones = torch.ones(len(test), dtype=torch.int64)
    score = scores.of(additive, CPU)
    return permutation.shapley(score, test.inputs, train.inputs, ones, seed=0).numpy()


def test_deleting_what_an_honest_attribution_names_moves_the_output_most(
    additive, table, train, test, honest
):
    found = deletion(additive, table, train, test, honest).faithfulness(seed=0)
    assert found.lower > 0.25


def test_shuffled_attributions_are_no_better_than_chance(additive, table, train, test, honest):
    shuffled = np.random.default_rng(1).permuted(honest, axis=1)
    found = deletion(additive, table, train, test, shuffled).faithfulness(seed=0)
    assert found.lower < 0 < found.upper or abs(found.value) < 0.1


def test_reversed_attributions_are_worse_than_chance(additive, table, train, test, honest):
    support = honest * np.sign(honest.sum(axis=1, keepdims=True))
    reversed_ = np.abs(support).max() - support  # names last what speaks most for the output
    found = deletion(additive, table, train, test, reversed_).faithfulness(seed=0)
    assert found.upper < -0.1


def test_deleting_one_column_of_an_additive_model_moves_it_by_that_columns_value(
    additive, table, train, test, honest
):
    moved = deletion(additive, table, train, test, honest)
    assert moved.share[0] == pytest.approx(1 / 5)
    effects = additive.effects(test.inputs) - additive.effects(train.inputs[:10]).mean(dim=0)
    support = honest * np.sign(honest.sum(axis=1, keepdims=True))
    first = effects.numpy()[np.arange(len(test)), support.argmax(axis=1)]
    assert moved.top[:, 0] == pytest.approx(np.abs(first), abs=1e-5)
