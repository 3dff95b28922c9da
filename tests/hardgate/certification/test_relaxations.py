"""Linear functions pulled back through a network stay below it, and come closer than intervals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hardgate.certification import Box, intervals, relaxations
from hardgate.certification.margins import differences, margins

ENDS = st.floats(-20, 20, width=32)


def true_margins(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    logits = model(inputs)
    return logits.gather(1, labels.unsqueeze(1)) - logits


@pytest.mark.parametrize("eps", [0.003, 0.1])
@pytest.mark.parametrize("rounded", [False, True])
def test_margins_are_never_promised_too_high(
    case: Any, draw: Any, eps: float, rounded: bool
) -> None:
    model, box = case.built(), case.box(eps)
    labels, slack = torch.tensor([0, 1, 2, 0, 1]), 0 if rounded else 1e-4
    with torch.no_grad():
        for method, carry in (
            ("ibp", intervals.propagate),
            ("crown-ibp", intervals.propagate),
            ("crown", relaxations.propagate),
        ):
            bound = margins(carry(model, box, rounded=rounded), labels, method, rounded=rounded)
            for seed in range(25):
                found = true_margins(model, draw(box, seed), labels)
                assert (bound <= found + slack).all(), method


def test_each_method_is_at_least_as_tight_as_the_one_before(case: Any) -> None:
    model, box, labels = case.built(), case.box(0.1), torch.tensor([0, 1, 2, 0, 1])
    with torch.no_grad():
        steps = intervals.propagate(model, box, rounded=True)
        ibp, crown_ibp = (margins(steps, labels, m, rounded=True) for m in ("ibp", "crown-ibp"))
        crown = margins(
            relaxations.propagate(model, box, rounded=True), labels, "crown", rounded=True
        )
    others = labels.unsqueeze(1) != torch.arange(3)
    assert (crown_ibp >= ibp).all()
    assert crown.min(1).values.sum() >= ibp.min(1).values.sum()
    if case.name != "residual-mlp":  # layer norm ends the way back, before anything is gained
        assert crown_ibp[others].sum() > ibp[others].sum() + 0.01
        assert crown[others].sum() > crown_ibp[others].sum()


@pytest.mark.parametrize("size", [7, 8])
def test_without_activations_the_way_back_is_exact(size: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.ZeroPad2d((1, 0, 1, 0)) if size == 7 else nn.Identity(),
        nn.PixelUnshuffle(2),
        nn.Conv2d(4, 4, 2, stride=2, groups=2),
        nn.Conv2d(4, 3, 2, padding=1, dilation=2),
        nn.Flatten(),
        nn.Linear(12, 4),
    )
    centre, labels = torch.randn(3, 1, size, size), torch.tensor([0, 1, 2])
    box = Box(centre - 0.1, centre + 0.1)
    steps = intervals.propagate(model, box, rounded=False)
    found = relaxations.bounded_below(steps, differences(labels, 4))
    at = centre.clone().requires_grad_()
    for label in range(4):
        margin = true_margins(model, at, labels)[:, label]
        (gradient,) = torch.autograd.grad(margin.sum(), at)
        exact = margin - 0.1 * gradient.abs().flatten(1).sum(1)
        assert torch.allclose(found[:, label], exact, atol=1e-4)


def test_a_stable_pool_is_followed_exactly() -> None:
    values = torch.tensor([[[[5.0, 0.0, 1.0, 9.0], [1.0, 2.0, 3.0, 4.0]]]])
    box = Box(values - 0.4, values + 0.4)
    steps = intervals.propagate(nn.MaxPool2d(2), box, rounded=False)
    rows = torch.tensor([1.0, -1.0]).view(1, 1, 1, 1, 2)
    assert relaxations.bounded_below(steps, rows).item() == pytest.approx(5 - 9 - 0.8)


@settings(max_examples=80, deadline=None)
@given(
    ends=st.lists(st.tuples(ENDS, ENDS), min_size=4, max_size=4),
    weights=st.lists(st.floats(-5, 5, width=32), min_size=4, max_size=4),
    shares=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    kind=st.sampled_from([nn.ReLU, nn.SiLU, nn.GELU, lambda: nn.MaxPool2d(2)]),
)
def test_lines_stay_below(
    ends: list[tuple[float, float]], weights: list[float], shares: list[float], kind: Any
) -> None:
    layer = kind()
    lower = torch.tensor([min(pair) for pair in ends]).view(1, 1, 2, 2)
    upper = torch.tensor([max(pair) for pair in ends]).view(1, 1, 2, 2)
    point = (lower + torch.tensor(shares).view(1, 1, 2, 2) * (upper - lower)).clamp(lower, upper)
    steps = intervals.propagate(layer, Box(lower, upper), rounded=True)
    value = layer(point)
    row = torch.tensor(weights)[: value.numel()].view(1, 1, *value.shape[1:]).double()
    bound = relaxations.bounded_below(steps, row).item()
    reached = (row * value.double()).sum().item()
    assert bound <= reached + 1e-9


def test_lines_of_a_smooth_activation_are_close_on_a_short_interval() -> None:
    lower = torch.tensor([[-0.2]])
    box = Box(lower, lower + 0.4)
    steps = intervals.propagate(nn.SiLU(), box, rounded=False)
    below = relaxations.bounded_below(steps, torch.ones(1, 1, 1)).item()
    assert below == pytest.approx(nn.SiLU()(lower).item(), abs=0.02)


def test_gradients_flow_through_the_way_back(case: Any) -> None:
    model = case.built()
    steps = intervals.propagate(model, case.box(0.05), rounded=False)
    labels = torch.tensor([0, 1, 2, 0, 1])
    relaxations.bounded_below(steps, differences(labels, 3)).sum().backward()
    weights = [w for name, w in model.named_parameters() if name.endswith("weight")]
    assert all(w.grad is not None and w.grad.isfinite().all() for w in weights)
    assert weights[0].grad.abs().sum() > 0


def test_a_line_above_the_corner_is_above_it_to_the_last_bit() -> None:
    torch.manual_seed(0)
    lower, width = -torch.rand(5000, 1), torch.rand(5000, 1)
    box = Box(lower, lower + 2 * width)
    steps = intervals.propagate(nn.ReLU(), box, rounded=True)
    above = -relaxations.bounded_below(steps, -torch.ones(5000, 1, 1, dtype=torch.float64))
    assert (above.squeeze(1) >= box.upper.clamp(min=0).squeeze(1).double() - 1e-15).all()
