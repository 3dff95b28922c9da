"""Our own attacks beside torchattacks' on one adversarially trained network and the same images."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn import functional

from hardgate import robustness
from hardgate.attacks import Attack
from hardgate.attacks.ascent import ascend, frozen
from hardgate.region import ImageRegion
from hardgate.threat import Threat

EPS = 0.12
THREAT = Threat(norm="Linf", eps=EPS, access="white-box", queries=300)
BALL = ImageRegion("Linf", EPS)
CLASSES = 5


@cache
def trained() -> tuple[nn.Module, Tensor, Tensor]:
    """A small network after a short adversarial training, and images it did not see."""
    generator = torch.Generator().manual_seed(2)
    centres = torch.rand(CLASSES, 1, 8, 8, generator=generator)
    labels = torch.randint(CLASSES, (1500,), generator=generator)
    noise = torch.randn(1500, 1, 8, 8, generator=generator) * 0.25
    images = (0.5 + 0.6 * (centres[labels] - 0.5) + noise).clamp(0, 1)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 32),
        nn.ReLU(),
        nn.Linear(32, CLASSES),
    )
    for parameter in model.parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        parameter.data = drawn / max(1, parameter[0].numel()) ** 0.5
    optimiser = torch.optim.Adam(model.parameters(), lr=0.005)
    for step in range(150):
        rows = torch.randint(1100, (100,), generator=generator)
        truth = labels[rows]

        def loss(inputs: Tensor, truth: Tensor = truth) -> Tensor:
            return functional.cross_entropy(model(inputs), truth, reduction="none")

        with frozen(model):
            found = ascend(
                loss,
                images[rows],
                BALL,
                step_size=EPS / 2,
                steps=3 if step > 30 else 1,
                generator=generator,
            )
        optimiser.zero_grad()
        loss(found).mean().backward()
        optimiser.step()
    return model.eval(), images[1100:], labels[1100:]


def survivors(seed: int = 1, **settings: object) -> Tensor:
    model, images, labels = trained()
    attack = TypeAdapter(Attack).validate_python(settings)
    return robustness.measure(
        attack, THREAT, BALL, model, images, labels, seed=seed, batch_size=200
    ).survives


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("apgd-ce", {"steps": 30, "restarts": 1}),
        ("apgd-t", {"steps": 20, "targets": 4}),
        ("square", {"restarts": 1}),
    ],
)
def test_ours_leave_no_more_than_torchattacks_do(name: str, settings: dict[str, int]) -> None:
    ours, theirs = (
        torch.stack([survivors(seed, name=word, **settings) for seed in range(3)]).float().mean()
        for word in (name, f"torchattacks-{name}")
    )
    assert 0.1 < theirs < 0.9
    assert ours <= theirs + 0.01  # starts are drawn differently: about 0.004 from seed to seed


def test_a_cascade_leaves_no_more_than_all_of_torchattacks_together() -> None:
    ours = survivors(
        name="cascade",
        rungs=[
            {"name": "apgd-ce", "steps": 30, "restarts": 1},
            {"name": "relay", "queries": 50, "steps": 10, "rounds": 2},
            {"name": "apgd-t", "steps": 20, "targets": 4},
        ],
    )
    theirs = (
        survivors(name="torchattacks-apgd-ce", steps=30, restarts=1)
        & survivors(name="torchattacks-apgd-t", steps=20, targets=4)
        & survivors(name="torchattacks-square", restarts=1)
    )
    assert ours.sum() <= theirs.sum() + 1
