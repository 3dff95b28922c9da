"""Noise of the promised size in every step, also where no row came."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hardgate.privacy import Mechanism, Privacy

SECTION = Privacy(epsilon=2.0, delta=1e-5, max_grad_norm=0.5)
INPUTS = torch.rand(400, 50, generator=torch.Generator().manual_seed(0))
LABELS = (INPUTS.sum(1) > 25).long()


def mechanism(model: nn.Module, **changes: int) -> Mechanism:
    sizes = {"rows": 400, "batch_size": 40, "epochs": 3, **changes}
    return Mechanism(SECTION, model, **sizes, key=bytes(32))


def losses_of(model: nn.Module):
    def losses(index: Tensor) -> Tensor:
        return functional.cross_entropy(model(INPUTS[index]), LABELS[index], reduction="none")

    return losses


def gradient(private: Mechanism, index: Tensor) -> Tensor:
    private.model.zero_grad()
    private.gradients(index, losses_of(private.model))
    return torch.cat([weight.grad.flatten() for weight in private.model.parameters()])


@pytest.mark.parametrize("rows", [0, 40])
def test_noise_has_the_deviation_that_epsilon_assumes(rows: int):
    private = mechanism(nn.Linear(50, 400))
    index = torch.arange(rows)
    first, second = gradient(private, index), gradient(private, index)
    deviation = private.noise * SECTION.max_grad_norm / 40
    assert (first - second).std() == pytest.approx(2**0.5 * deviation, rel=0.03)


def test_what_is_summed_is_divided_by_the_expected_number_of_rows():
    private = mechanism(nn.Linear(50, 2))
    private.noise = 0.0
    whole, half = gradient(private, torch.arange(40)), gradient(private, torch.arange(20))
    rest = gradient(private, torch.arange(20, 40))
    torch.testing.assert_close(whole, half + rest)


def test_a_large_batch_goes_in_parts_to_the_same_end():
    private = mechanism(nn.Linear(50, 2))
    private.noise = 0.0
    many = torch.arange(400).repeat(3)
    torch.testing.assert_close(gradient(private, many), 3 * gradient(private, torch.arange(400)))


def test_steps_and_rates_are_those_of_the_batch_size():
    private = mechanism(nn.Linear(50, 2))
    assert (private.rate, private.steps) == (0.1, 10)
    assert private.spent(2).steps == 20
    assert private.spent(3).epsilon <= SECTION.epsilon < 1.02 * private.spent(3).epsilon
    assert len(list(private.batches())) == 10


def test_a_batch_of_more_than_all_rows_is_all_rows():
    private = mechanism(nn.Linear(50, 2), batch_size=1000)
    assert (private.rate, private.steps, private.expected) == (1.0, 1, 400)
    assert [len(batch) for batch in private.batches()] == [400]
