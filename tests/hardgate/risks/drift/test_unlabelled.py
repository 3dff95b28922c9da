"""Accuracy without labels, held against accuracy with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hardgate.errors import ContractError
from hardgate.risks.drift import unlabelled


def world(rows: int, spread: float, seed: int):
    """Rows of a logistic world; ``spread`` is how far they lie from the line that decides."""
    generator = np.random.default_rng(seed)
    score = generator.normal(scale=spread, size=rows)
    labels = generator.uniform(size=rows) < 1 / (1 + np.exp(-score))
    return np.abs(score), labels == (score > 0)


def test_where_confidence_means_the_same_the_truth_lies_in_the_interval() -> None:
    missed = 0
    for seed in range(40):
        old, correct = world(800, 3.0, seed)
        new, truth = world(800, 1.0, 1000 + seed)
        found = unlabelled.accuracy(old, correct, new, seed=seed)
        missed += not found.lower <= truth.mean() <= found.upper
        assert found.upper < correct.mean()  # that it fell is seen every time
    assert missed <= 2


def test_rows_of_the_old_kind_are_estimated_at_the_old_accuracy() -> None:
    old, correct = world(1000, 2.0, 1)
    new, _ = world(1000, 2.0, 2)
    found = unlabelled.accuracy(old, correct, new, seed=1)
    assert found.value == pytest.approx(correct.mean(), abs=0.03)
    assert found.upper - found.lower < 0.12


def test_a_model_that_is_sure_of_everything_is_no_better_on_new_rows() -> None:
    """Its confidence says nothing, so the estimate is the old accuracy and not one."""
    correct = np.arange(500) % 4 > 0
    found = unlabelled.accuracy(np.zeros(500), correct, np.zeros(300), seed=1)
    assert found.value == pytest.approx(0.75)
    assert found.lower < 0.75 < found.upper < 0.85


@pytest.mark.parametrize(("right", "expected"), [(True, 1.0), (False, 0.0)])
def test_a_model_that_is_always_right_or_wrong(right: bool, expected: float) -> None:
    confident = np.linspace(-1, 0, 100)
    found = unlabelled.accuracy(confident, np.full(100, right), confident, seed=1)
    assert found.value == pytest.approx(expected, abs=0.01)


def test_confidence_tells_apart_what_rounds_to_one() -> None:
    sure, surer = unlabelled.confidence(torch.tensor([[0.0, 20.0], [0.0, 30.0]]))
    assert sure < surer < 0


def test_no_rows_are_refused() -> None:
    with pytest.raises(ContractError, match="one side has none"):
        unlabelled.accuracy(np.array([]), np.array([], dtype=bool), np.ones(3), seed=1)
