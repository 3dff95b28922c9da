from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch import Tensor

from hardgate.attribution import permutation, scores

CPU = torch.device("cpu")


def ones(inputs: Tensor) -> Tensor:
    return torch.ones(len(inputs), dtype=torch.int64)


def test_values_of_an_additive_model_are_the_closed_form_with_categories_and_missing_cells(
    additive, train, test
):
    found = permutation.shapley(
        scores.of(additive, CPU), test.inputs, train.inputs, ones(test.inputs), seed=0
    )
    expected = additive.effects(test.inputs) - additive.effects(train.inputs).mean(dim=0)
    assert torch.isnan(test.inputs).any()
    assert (test.inputs[:, 4] == -1).any()
    torch.testing.assert_close(found.float(), expected, atol=1e-5, rtol=0)


def three_way(inputs: Tensor, classes: Tensor) -> Tensor:
    return (inputs[:, 0] * inputs[:, 1] * inputs[:, 2] + inputs[:, 0] * inputs[:, 1]).double()


def brute_force(row: Tensor, background: Tensor) -> Tensor:
    """Average over every order of three columns and every background row."""
    values = torch.zeros(3, dtype=torch.float64)
    orders = list(permutations(range(3)))
    for order in orders:
        states = background.clone()
        for column in order:
            before = three_way(states, row).mean()
            states[:, column] = row[column]
            values[column] += (three_way(states, row).mean() - before) / len(orders)
    return values


def test_values_of_a_model_with_interactions_come_near_every_order_tried():
    generator = torch.Generator().manual_seed(5)
    background = torch.randn(400, 3, generator=generator)
    inputs = torch.randn(5, 3, generator=generator)
    found = permutation.shapley(three_way, inputs, background, ones(inputs), seed=0)
    expected = torch.stack([brute_force(row, background) for row in inputs])
    torch.testing.assert_close(found, expected, atol=0.1, rtol=0)
    assert (found - expected).abs().mean() < 0.1 * expected.abs().mean()


def test_values_add_up_to_the_output_less_the_average():
    generator = torch.Generator().manual_seed(6)
    background, inputs = (torch.randn(n, 3, generator=generator) for n in (30, 10))
    found = permutation.shapley(three_way, inputs, background, ones(inputs), seed=0)
    difference = three_way(inputs, inputs) - three_way(background, background).mean()
    torch.testing.assert_close(found.sum(dim=1), difference)


def test_the_same_seed_gives_the_same_values_and_another_seed_others():
    generator = torch.Generator().manual_seed(7)
    background, inputs = (torch.randn(n, 3, generator=generator) for n in (10, 4))
    first, again, other = (
        permutation.shapley(three_way, inputs, background, ones(inputs), seed=seed)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_values_of_a_row_do_not_depend_on_the_rows_after_it(monkeypatch):
    monkeypatch.setattr(scores, "ROWS_AT_ONCE", 16)
    generator = torch.Generator().manual_seed(8)
    background, inputs = (torch.randn(n, 3, generator=generator) for n in (7, 9))
    alone = permutation.shapley(three_way, inputs[:4], background, ones(inputs[:4]), seed=0)
    among = permutation.shapley(three_way, inputs, background, ones(inputs), seed=0)
    torch.testing.assert_close(alone, among[:4], rtol=0, atol=1e-12)


def test_a_single_column_carries_the_whole_difference():
    inputs, background = torch.tensor([[3.0], [1.0]]), torch.tensor([[0.0], [2.0]])
    found = permutation.shapley(
        lambda rows, _: rows[:, 0].double(), inputs, background, ones(inputs), seed=0
    )
    assert found.flatten().tolist() == pytest.approx([2, 0])
