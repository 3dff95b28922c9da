from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from hardgate.errors import ContractError
from hardgate.optimisation import Descent, Optimiser


def one_weight() -> nn.Linear:
    model = nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(2.0)
        model.bias.fill_(3.0)
    return model


def test_sgd_takes_the_step_on_paper_and_decays_weights_but_not_biases() -> None:
    model = one_weight()
    descent = Descent(Optimiser(name="sgd", rate=0.1, weight_decay=0.5, momentum=0.0), model)
    model.weight.grad, model.bias.grad = torch.tensor([[1.0]]), torch.tensor([1.0])
    descent.step(factor=0.5)
    assert model.weight.item() == pytest.approx(2 - 0.05 * (1 + 0.5 * 2))
    assert model.bias.item() == pytest.approx(3 - 0.05)


def test_the_gradient_is_clipped_to_its_length() -> None:
    model = one_weight()
    descent = Descent(Optimiser(name="sgd", rate=1.0, momentum=0.0, clip=1.0), model)
    model.weight.grad, model.bias.grad = torch.tensor([[30.0]]), torch.tensor([40.0])
    descent.step(factor=1.0)
    assert model.weight.item() == pytest.approx(2 - 0.6, abs=1e-5)
    assert model.bias.item() == pytest.approx(3 - 0.8, abs=1e-5)


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))


def gradients(model: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def theirs(name: str, model: nn.Module) -> torch.optim.Optimizer:
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    match name:
        case "adam":
            return torch.optim.Adam(groups, lr=0.01, betas=(0.8, 0.99))
        case "adamw":
            return torch.optim.AdamW(groups, lr=0.01, betas=(0.8, 0.99))
        case _:
            return torch.optim.SGD(groups, lr=0.01, momentum=0.8)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_the_steps_are_those_of_torchs_optimisers(name: Any) -> None:
    ours_model, their_model = network(), network()
    params = Optimiser(name=name, rate=0.01, weight_decay=0.1, momentum=0.8, second_momentum=0.99)
    ours, reference = Descent(params, ours_model), theirs(name, their_model)
    for step in range(5):
        gradients(ours_model, step)
        gradients(their_model, step)
        ours.step(factor=1.0)
        reference.step()
    for mine, expected in zip(ours_model.parameters(), their_model.parameters(), strict=True):
        assert torch.allclose(mine, expected, atol=1e-6)


def test_a_weight_without_a_gradient_stays_where_it_is() -> None:
    model = one_weight()
    descent = Descent(Optimiser(name="adamw", rate=0.1, weight_decay=0.1), model)
    descent.step(factor=1.0)
    assert model.weight.item() == 2.0


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_descent_goes_on_from_its_tensors(name: Any) -> None:
    params = Optimiser(name=name, rate=0.1, weight_decay=0.1)
    whole, halved = network(), network()
    descents = [Descent(params, whole), Descent(params, halved)]
    for step in range(4):
        for number, model in enumerate((whole, halved)):
            gradients(model, step)
            descents[number].step(factor=1.0)
        saved = descents[1].tensors()
        descents[1] = Descent(params, halved)
        descents[1].restore(saved)
    assert all(map(torch.equal, whole.parameters(), halved.parameters()))


def test_tensors_of_another_model_are_refused() -> None:
    params = Optimiser(name="adam", rate=0.1)
    small = one_weight()
    moved = Descent(params, small)
    small(torch.ones(1, 1)).sum().backward()
    moved.step(factor=1.0)
    with pytest.raises(ContractError, match="not the tensors of this optimiser"):
        Descent(params, network()).restore(moved.tensors())


def test_gradients_are_forgotten() -> None:
    model = network()
    gradients(model, 0)
    Descent(Optimiser(name="sgd", rate=0.1), model).forget()
    assert all(parameter.grad is None for parameter in model.parameters())
