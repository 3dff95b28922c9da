"""Gradients of single rows against autograd, one row at a time, and against Opacus."""

from __future__ import annotations

import warnings
from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn import functional

from hardgate.architectures import Architecture
from hardgate.architectures.residual_mlp import Block
from hardgate.attacks.ascent import frozen
from hardgate.errors import ContractError
from hardgate.privacy import clipping
from hardgate.records import ImageInput

IMAGES = ImageInput(
    kind="images", shape=(2, 9, 10), classes=("a", "b", "c"), mean=(0.0,) * 2, scale=(1.0,) * 2
)
NETWORKS = ("small-cnn", "madry-cnn", "wide-cnn", "oriented-linear", "mlp")
BOUND = 0.5


def network(name: str) -> nn.Module:
    torch.manual_seed(1)
    section: dict[str, Any] = {"name": name} | ({"hidden": [7]} if name == "mlp" else {})
    return TypeAdapter(Architecture).validate_python(section).build(IMAGES)


def batch(rows: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    inputs = torch.rand(rows, *IMAGES.shape, generator=generator)
    return inputs, torch.randint(0, 3, (rows,), generator=generator)


def losses(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(model(inputs), labels, reduction="none")


def clipped(model: nn.Module, inputs: Tensor, labels: Tensor, bound: float = BOUND) -> list[Tensor]:
    model.zero_grad()
    clipping.add_clipped(model, lambda: losses(model, inputs, labels), bound=bound)
    return [weight.grad.clone() for weight in model.parameters()]


def one_by_one(model: nn.Module, inputs: Tensor, labels: Tensor, bound: float) -> list[Tensor]:
    """What clipping is by definition."""
    total = [torch.zeros_like(weight) for weight in model.parameters()]
    for at in range(len(labels)):
        loss = losses(model, inputs[at : at + 1], labels[at : at + 1]).sum()
        own = torch.autograd.grad(loss, list(model.parameters()))
        length = torch.cat([part.flatten() for part in own]).norm()
        total = [t + part * min(1, bound / length) for t, part in zip(total, own, strict=True)]
    return total


def same(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bound", [0.05, BOUND, 1e6])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_sum_is_that_of_rows_clipped_one_by_one(name: str, bound: float):
    model, (inputs, labels) = network(name), batch()
    same(clipped(model, inputs, labels, bound), one_by_one(model, inputs, labels, bound))


def test_norms_and_residual_blocks_are_told_apart_too():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(180, 8), Block(8, 0.0), nn.LayerNorm(8), nn.Linear(8, 3)
    )
    same(clipped(model, *batch()), one_by_one(model, *batch(), BOUND))


def test_on_a_linear_model_it_is_the_formula():
    model = nn.Sequential(nn.Flatten(), nn.Linear(180, 3))
    inputs, labels = batch()
    flat, weight = inputs.flatten(1), model[1].weight
    slopes = torch.softmax(model(inputs), 1) - functional.one_hot(labels, 3)
    lengths = slopes.norm(dim=1) * (flat.square().sum(1) + 1).sqrt()
    scaled = slopes * (BOUND / lengths).clamp(max=1)[:, None]
    assert weight.grad is None
    same(clipped(model, inputs, labels), [scaled.T @ flat, scaled.sum(0)])


@pytest.mark.parametrize("name", ["small-cnn", "mlp"])
def test_opacus_finds_the_same(name: str):
    from opacus import GradSampleModule

    model, (inputs, labels) = network(name), batch()
    ours = clipped(model, inputs, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = GradSampleModule(network(name), strict=False, loss_reduction="sum")
        losses(theirs, inputs, labels).sum().backward()
    rows = [weight.grad_sample for weight in theirs.parameters()]
    lengths = torch.cat([row.flatten(1) for row in rows], dim=1).norm(dim=1)
    shares = (BOUND / lengths).clamp(max=1)
    same(ours, [torch.tensordot(shares, row, dims=1) for row in rows])


@pytest.mark.parametrize("name", NETWORKS)
def test_no_row_moves_the_sum_by_more_than_the_bound(name: str):
    model, (inputs, labels) = network(name), batch()
    wild = torch.cat([inputs, 1e4 * inputs[:1]]), torch.cat([labels, labels[:1]])
    without = clipped(model, inputs, labels)
    apart = [a - b for a, b in zip(clipped(model, *wild), without, strict=True)]
    assert torch.cat([part.flatten() for part in apart]).norm() <= BOUND * 1.001


def test_gradients_are_added_and_the_model_is_left_as_it_was():
    model, (inputs, labels) = network("small-cnn"), batch()
    whole = clipped(model, inputs, labels)
    model.zero_grad()
    for part in (slice(0, 2), slice(2, 6)):
        clipping.add_clipped(model, lambda p=part: losses(model, inputs[p], labels[p]), bound=BOUND)
    same([weight.grad for weight in model.parameters()], whole)
    assert not any(module._forward_hooks for module in model.modules())


def test_an_attack_that_looks_is_no_run_of_the_model():
    model, (inputs, labels) = network("small-cnn"), batch()
    calm = clipped(model, inputs, labels)

    def attacked() -> Tensor:
        with frozen(model):
            moved = inputs.clone().requires_grad_()
            torch.autograd.grad(losses(model, moved, labels).sum(), moved)
        return losses(model, inputs, labels)

    model.zero_grad()
    clipping.add_clipped(model, attacked, bound=BOUND)
    same([weight.grad for weight in model.parameters()], calm)


def test_a_second_run_or_a_hidden_layer_is_refused():
    model, (inputs, labels) = network("mlp"), batch()
    with pytest.raises(ContractError, match="every layer once"):
        clipping.add_clipped(
            model,
            lambda: losses(model, inputs, labels) + losses(model, inputs, labels),
            bound=BOUND,
        )
    with pytest.raises(ContractError, match="every layer once"):
        clipping.add_clipped(model, lambda: model[:3](inputs).sum(1), bound=BOUND)


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(4),
        nn.Conv2d(2, 2, 3, groups=2),
        nn.Conv2d(2, 2, 3, padding="same"),
        nn.Embedding(3, 2),
        nn.MultiheadAttention(4, 2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_mix_rows_or_are_not_known_are_obstacles(layer: nn.Module):
    assert clipping.obstacle(nn.Sequential(nn.Linear(2, 2), layer)) is not None


def test_what_opacus_would_refuse_is_an_obstacle_and_our_networks_are_none():
    from opacus.validators import ModuleValidator

    assert {network(name).__class__ for name in NETWORKS} == {nn.Sequential}
    for name in NETWORKS:
        assert clipping.obstacle(network(name)) is None
        assert ModuleValidator.validate(network(name), strict=False) == []
    mixed = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    assert ModuleValidator.validate(mixed, strict=False)
    assert clipping.obstacle(mixed) == "BatchNorm2d"
    assert len(get_args(get_args(Architecture)[0])) == len(NETWORKS) + 2  # and two for tables
