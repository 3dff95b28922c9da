"""Transfer: crafted on one model, tried on another, and held against white-box attacks."""

from __future__ import annotations

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from hardgate import region, transfer
from hardgate.attacks import Attack
from hardgate.records import ImageInput
from hardgate.robustness import Outcome
from hardgate.threat import Threat

SPEC = ImageInput(kind="images", shape=(1, 6, 6), classes=("a", "b"), mean=(0,), scale=(1,))
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=60)
REGION = region.build(THREAT, SPEC)
PGD = TypeAdapter(Attack).validate_python(
    {"name": "pgd", "step_size": 0.05, "steps": 8, "restarts": 1}
)
LADDER = [PGD, TypeAdapter(Attack).validate_python({"name": "square", "restarts": 1})]


class Linear(nn.Module):
    """Class 1 where a weighted sum of pixels lies above its value on grey."""

    def __init__(self, seed: int, *, hidden: bool = False) -> None:
        super().__init__()
        self.weights = torch.randn(36, generator=torch.Generator().manual_seed(seed))
        self.hidden = hidden

    def forward(self, images: Tensor) -> Tensor:
        score = (images - 0.5).flatten(1) @ self.weights
        if self.hidden:  # steps too small to have a gradient
            score = (score * 50).round() / 50
        return torch.stack([-score, score], dim=1)


def images(model: nn.Module) -> tuple[Tensor, Tensor]:
    clean = torch.rand(60, 1, 6, 6, generator=torch.Generator().manual_seed(5))
    labels = model(clean).argmax(dim=1)
    labels[:3] = 1 - labels[:3]  # mistakes without any attack
    return clean, labels


def transferred(surrogate: nn.Module, model: nn.Module) -> tuple[Outcome, Tensor]:
    clean, labels = images(model)
    found = transfer.measure(
        PGD, THREAT, REGION, surrogate, model, clean, labels, seed=1, batch_size=16
    )
    beats = transfer.beats_white_box(
        found, LADDER, THREAT, REGION, model, clean, labels, seed=1, batch_size=16
    )
    return found, beats


def test_the_model_itself_is_the_best_surrogate_and_a_stranger_is_none() -> None:
    twin, _ = transferred(Linear(1), Linear(1))
    stranger, _ = transferred(Linear(2), Linear(1))
    assert twin.survives.sum() < stranger.survives.sum() <= 57


def test_outcomes_are_the_models_own_answers_to_admissible_inputs() -> None:
    model = Linear(1)
    found, _ = transferred(Linear(1), model)
    clean, labels = images(model)
    assert REGION.admits(found.adversarial, clean).all()
    assert torch.equal(model(found.adversarial).argmax(dim=1), found.predictions)
    assert torch.equal(found.predictions == labels, found.survives)
    assert not found.survives[:3].any()


def test_no_honest_gradient_is_beaten() -> None:
    _, beats = transferred(Linear(1), Linear(1))
    assert not beats.any()


def test_a_masked_gradient_is_beaten_and_mistakes_do_not_count() -> None:
    """Squares would find the way too: transfer is compared with white-box attacks only."""
    found, beats = transferred(Linear(1), Linear(1, hidden=True))
    fell = ~found.survives
    fell[:3] = False
    assert fell.sum() > 20
    assert beats.float().sum() > 0.5 * fell.sum()
    assert not (beats & ~fell).any()
