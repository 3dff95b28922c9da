"""Boxes hold everything that a network says within them, and no more where that is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hardgate.architectures import FTTransformer
from hardgate.architectures.residual_mlp import Block
from hardgate.certification import Box, intervals
from hardgate.errors import ContractError
from hardgate.records import Column, ColumnType, TableInput

ENDS = st.floats(-30, 30, width=32)


def last(model: nn.Module, box: Box, *, rounded: bool = True) -> Box:
    return intervals.propagate(model, box, rounded=rounded)[-1].after


@pytest.mark.parametrize("eps", [0.003, 0.1, 0.6])
@pytest.mark.parametrize("rounded", [False, True])
def test_no_layer_leaves_its_box(case: Any, draw: Any, eps: float, rounded: bool) -> None:
    model, box = case.built(), case.box(eps)
    slack = 0 if rounded else 1e-4
    with torch.no_grad():
        steps = intervals.propagate(model, box, rounded=rounded)
        for seed in range(40):
            value = draw(box, seed)
            for step in steps:
                value = step.layer(value)
                assert (value >= step.after.lower - slack).all(), step.layer
                assert (value <= step.after.upper + slack).all(), step.layer


def test_climbing_does_not_leave_the_box_either(case: Any) -> None:
    model, box = case.built(), case.box(0.1)
    bounds = last(model, box)
    for sign in (-1, 1):
        for logit in range(3):
            at = box.centre.nan_to_num().requires_grad_()
            for _ in range(25):
                here = torch.where(box.lower.isnan(), torch.nan, at)
                (gradient,) = torch.autograd.grad(sign * model(here)[:, logit].sum(), at)
                moved = at + 0.2 * (box.upper - box.lower).nan_to_num() * gradient.sign()
                moved = torch.minimum(torch.maximum(moved, box.lower), box.upper).nan_to_num()
                at = moved.detach().requires_grad_()
            reached = model(torch.where(box.lower.isnan(), torch.nan, at))[:, logit]
            assert (reached <= bounds.upper[:, logit]).all()
            assert (reached >= bounds.lower[:, logit]).all()


def test_the_gradient_reaches_every_weight(case: Any) -> None:
    model = case.built()
    bounds = last(model, case.box(0.003), rounded=False)
    bounds.radius.sum().backward()
    moved = [weight.grad for name, weight in model.named_parameters() if name.endswith("weight")]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in moved)
    assert all(gradient.abs().sum() > 0 for gradient in moved)


def test_a_linear_network_is_bounded_exactly() -> None:
    torch.manual_seed(0)
    layer, centre, radius = nn.Linear(7, 3), torch.randn(4, 7), torch.rand(4, 7)
    found = last(layer, Box(centre - radius, centre + radius), rounded=False)
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 7)
    brute = layer(centre.unsqueeze(1) + corners * radius.unsqueeze(1))
    assert torch.allclose(found.upper, brute.amax(1), atol=1e-5)
    assert torch.allclose(found.lower, brute.amin(1), atol=1e-5)


def test_a_network_that_only_grows_is_bounded_exactly() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    )
    for layer in (model[0], model[4]):
        layer.weight.data.abs_()
    lower = torch.rand(3, 1, 9, 9)
    upper = lower + torch.rand(3, 1, 9, 9)
    found = last(model, Box(lower, upper), rounded=False)
    assert torch.allclose(found.lower, model(lower), atol=1e-5)
    assert torch.allclose(found.upper, model(upper), atol=1e-5)


def test_a_box_holds_what_is_computed_in_another_order() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(4000, 1)
    layer.weight.data = 1e3 * torch.randn(1, 4000, generator=generator)
    point = torch.randn(1, 4000, generator=generator)
    naive, careful = (last(layer, Box(point, point), rounded=r) for r in (False, True))
    left = 0
    for _ in range(30):
        order = torch.randperm(4000, generator=generator)
        terms = (layer.weight[0] * point[0])[order]
        computed = terms.cumsum(0)[-1] + layer.bias[0]
        left += int(not naive.lower.item() <= computed <= naive.upper.item())
        assert careful.lower.item() <= computed <= careful.upper.item()
    assert left > 0  # the test could have failed
    assert careful.radius.item() < 2000  # of sizes that add up to some 2,500,000


@settings(max_examples=60, deadline=None)
@given(
    ends=st.lists(st.tuples(ENDS, ENDS), min_size=4, max_size=4),
    shares=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    kind=st.sampled_from(["silu", "gelu", "layer-norm", "block"]),
)
def test_curved_layers_hold_any_point_of_any_box(
    ends: list[tuple[float, float]], shares: list[float], kind: str
) -> None:
    torch.manual_seed(0)
    layers = {"silu": nn.SiLU, "gelu": nn.GELU, "layer-norm": lambda: nn.LayerNorm(4)}
    layer: nn.Module = Block(4, 0.0).eval() if kind == "block" else layers[kind]()
    lower = torch.tensor([[min(pair) for pair in ends]])
    upper = torch.tensor([[max(pair) for pair in ends]])
    point = (lower + torch.tensor([shares]) * (upper - lower)).clamp(lower, upper)
    with torch.no_grad():
        found = last(layer, Box(lower, upper))
        value = layer(point)
    assert (found.lower <= value).all()
    assert (value <= found.upper).all()
    assert found.upper.isfinite().all()


@pytest.mark.parametrize("layer", [nn.SiLU(), nn.GELU()])
def test_a_curve_is_bounded_by_its_lowest_point(layer: nn.Module) -> None:
    grid = torch.linspace(-3, 1, 200_001)
    found = last(layer, Box(grid[:1], grid[-1:]), rounded=False)
    assert found.lower.item() == pytest.approx(layer(grid).min().item(), abs=1e-6)
    assert found.upper.item() == layer(grid[-1:]).item()
    right = last(layer, Box(torch.tensor([0.5]), torch.tensor([1.0])), rounded=False)
    assert right.lower.item() == layer(torch.tensor([0.5])).item()


def test_layer_norm_never_leaves_the_sphere() -> None:
    wide = Box(torch.full((1, 9), -100.0), torch.full((1, 9), 100.0))
    found = last(nn.LayerNorm(9), wide)
    assert 8**0.5 <= found.upper.max().item() < 8**0.5 + 0.5


def test_what_cannot_be_bounded_is_named() -> None:
    numbers = {"mean": 0.0, "scale": 1.0, "low": -9.0, "high": 9.0}
    columns = (Column(name="a", type=ColumnType.REAL, **numbers),)
    table = TableInput(kind="table", columns=columns, classes=("a", "b"))
    model = FTTransformer(name="ft-transformer").build(table)
    assert intervals.obstacle(model) == "Tokenizer"
    box = Box(torch.zeros(1, 1), torch.ones(1, 1))
    with pytest.raises(ContractError, match="Tokenizer cannot be bounded"):
        intervals.propagate(model, box, rounded=True)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(1, 1, 3, padding="same"),
        nn.GELU(approximate="tanh"),
        nn.MaxPool2d(3, stride=2),
        nn.MaxPool2d(2, dilation=2),
        nn.Tanh(),
        nn.LayerNorm(3, elementwise_affine=False),
    ],
    ids=str,
)
def test_layers_without_a_rule_are_obstacles(layer: nn.Module) -> None:
    assert intervals.obstacle(nn.Sequential(nn.ReLU(), layer)) == type(layer).__name__


def test_every_bounded_architecture_has_no_obstacle(case: Any) -> None:
    assert intervals.obstacle(case.built()) is None


def test_dropout_is_left_out() -> None:
    layers: list[Tensor | nn.Module] = list(
        intervals.layers(nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.ReLU())))
    )
    assert [type(layer) for layer in layers] == [nn.ReLU]
