"""What is certified holds: against all inputs of a small grid, and against attacks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from hardgate import region
from hardgate.attacks.ascent import ascend, frozen
from hardgate.certification import certify
from hardgate.certification.margins import differences, smallest
from hardgate.defenses.losses import cross_entropy
from hardgate.records import ImageInput
from hardgate.threat import Threat

METHODS = ("ibp", "crown-ibp", "crown")
PAIR = ImageInput(kind="images", shape=(1, 1, 2), classes=("a", "b", "c"), mean=(0,), scale=(1,))


def test_differences_are_of_the_label() -> None:
    rows = differences(torch.tensor([2]), 3)
    assert rows.tolist() == [[[-1, 0, 1], [0, -1, 1], [0, 0, 0]]]


def test_the_label_itself_is_no_rival() -> None:
    margins = torch.tensor([[0.0, 3.0, 2.0], [-1.0, 0.0, 5.0]])
    assert smallest(margins, torch.tensor([0, 1])).tolist() == [2.0, -1.0]


@pytest.mark.parametrize("eps", [0.05, 0.15, 0.3])
def test_no_proof_is_false_on_a_grid_of_all_images(eps: float) -> None:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
    model[1].weight.data *= 5
    model[1].bias.data -= model[1].weight.data.sum(1) / 2  # turns in the middle of the images
    around = region.build(Threat(norm="Linf", eps=eps, access="white-box", queries=1), PAIR)
    axis = torch.linspace(0, 1, 41)
    images = torch.cartesian_prod(axis, axis).view(-1, 1, 1, 2)
    with torch.no_grad():
        labels = model(images).argmax(1)
    near = (images.flatten(1).unsqueeze(1) - images.flatten(1)).abs().amax(2) <= eps + 1e-6
    robust = (~near | (labels.unsqueeze(1) == labels)).all(1)
    shares = []
    for method in METHODS:
        proven = certify(model, around, images, labels, method=method, batch_size=500)
        assert not (proven & ~robust).any()
        shares.append(proven.float().mean().item())
    assert shares == sorted(shares)
    assert 0.5 * robust.float().mean() < shares[-1] < 1  # neither empty nor everything


@pytest.mark.parametrize("method", METHODS)
def test_no_attack_breaks_a_proof_and_some_samples_are_proven(case: Any, method: Any) -> None:
    model, inputs, around = case.built(), case.inputs(40), case.region(0.001)
    with torch.no_grad():
        labels = model(inputs).argmax(1)
    proven = certify(model, around, inputs, labels, method=method, batch_size=16)
    assert proven.any()
    with frozen(model):
        found = ascend(
            cross_entropy(model, labels),
            inputs,
            around,
            step_size=0.0004,
            steps=20,
            generator=torch.Generator().manual_seed(0),
        )
    survives = model(around.repair(found, inputs)).argmax(1) == labels
    assert survives[proven].all()
    far = certify(
        model,
        case.region(1.9 if case.spec.kind == "table" else 0.9),
        inputs,
        labels,
        method=method,
        batch_size=16,
    )
    assert far.sum() < len(inputs)
    assert not (far & ~proven).any()


def test_a_wrong_answer_is_never_certified(case: Any) -> None:
    model, inputs = case.built(), case.inputs(20)
    with torch.no_grad():
        wrong = model(inputs).argmin(1)
    for method in METHODS:
        assert not certify(
            model, case.region(1e-4), inputs, wrong, method=method, batch_size=20
        ).any()


def test_a_tie_is_not_certified() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 3))
    nn.init.zeros_(model[1].weight)
    nn.init.zeros_(model[1].bias)
    around = region.build(Threat(norm="Linf", eps=0.1, access="white-box", queries=1), PAIR)
    images, labels = torch.rand(3, 1, 1, 2), torch.zeros(3, dtype=torch.long)
    assert not certify(model, around, images, labels, method="crown", batch_size=2).any()


def test_modes_and_gradients_are_put_back(case: Any) -> None:
    model, inputs = case.built().train(), case.inputs(3)
    certify(model, case.region(0.1), inputs, torch.tensor([0, 1, 2]), method="ibp", batch_size=3)
    assert all(module.training for module in model.modules())
    assert all(weight.requires_grad for weight in model.parameters())
