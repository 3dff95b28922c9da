"""A zoo of defences that only hide the gradient: the gate of doubt refuses every one of them.

Each is a few lines around an honest network, as they were found in the literature or by accident.
At this radius that network has nothing left, so that every mask hides a broken model; networks that
are robust by training keep about half, and pass the same gate.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from hardgate import diagnostics, region, robustness
from hardgate.attacks import APGDCE, Attack
from hardgate.certification import certify
from hardgate.defenses import Defense
from hardgate.defenses.recipe import Batch, Moment
from hardgate.gates.masked_gradients import MaskedGradientsGate
from hardgate.records import Finding, ImageInput, Verdict
from hardgate.threat import Threat

CLASSES = tuple("abcd")
SPEC = ImageInput(kind="images", shape=(1, 8, 8), classes=CLASSES, mean=(0.5,), scale=(0.2,))
THREAT = Threat(norm="Linf", eps=0.25, access="white-box", queries=300)
REGION = region.build(THREAT, SPEC)
LADDER: tuple[Attack, ...] = TypeAdapter(tuple[Attack, ...]).validate_python(
    [
        {"name": "pgd", "step_size": 0.05, "steps": 20, "restarts": 2},
        {"name": "square", "restarts": 1},
        {"name": "apgd-t", "steps": 15, "targets": 3},
    ]
)
GATE = MaskedGradientsGate(kind="masked_gradients", bound=0.05, min_samples=200)
SAMPLES = 250
STRONG = APGDCE(name="apgd-ce", steps=50, restarts=2)


@cache
def data() -> tuple[Tensor, Tensor]:
    """Four blurred patterns, the same for everybody."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(4, 1, 8, 8, generator=generator) * 0.3
    labels = torch.randint(4, (1500,), generator=generator)
    noise = 0.15 * torch.randn(1500, 1, 8, 8, generator=generator)
    return (0.5 + centres[labels] + noise).clamp(0, 1), labels


@cache
def trained(recipe: str = "standard", **settings: float) -> nn.Module:
    """A network trained by one of our own recipes, not on the last :data:`SAMPLES`."""
    inputs, labels = (values[:-SAMPLES] for values in data())
    defense = TypeAdapter(Defense).validate_python({"recipe": recipe, **settings})
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 4))
        defense.prepare(model)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for step in range(80):
        ramp = min(1.0, (step + 1) / 40)
        optimizer.zero_grad()
        around, moment = REGION.scaled(ramp), Moment(step / 80, ramp)
        defense.loss(Batch(model, inputs, labels, around, generator, moment)).backward()
        optimizer.step()
    return model


class Mask(nn.Module):
    """A function of an honest network and its inputs."""

    def __init__(self, answer: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.inner = trained()
        self.answer = answer

    def forward(self, inputs: Tensor) -> Tensor:
        return self.answer(self.inner, inputs)


def straight_through(inner: nn.Module, inputs: Tensor) -> Tensor:
    """Round, and pretend in the backward pass that nothing happened."""
    rounded = (inputs * 8).round() / 8
    logits: Tensor = inner(inputs + (rounded - inputs).detach())
    return logits


def nearest(inner: nn.Module, inputs: Tensor) -> Tensor:
    """Replace each input by the nearest training input, as purifying defences do."""
    known = data()[0][:-SAMPLES]
    closest = torch.cdist(inputs.detach().flatten(1), known.flatten(1)).argmin(dim=1)
    logits: Tensor = inner(known[closest])
    return logits


def scaffolded(inner: nn.Module, inputs: Tensor) -> Tensor:
    """Answer differently while somebody records gradients."""
    logits: Tensor = inner(inputs)
    return logits.roll(1, dims=1) if torch.is_grad_enabled() else logits


def batched(inner: nn.Module, inputs: Tensor) -> Tensor:
    """Normalise by the batch, as a layer left in training mode does."""
    spread, middle = torch.std_mean(inputs, dim=0, keepdim=True, correction=0)
    logits: Tensor = inner(0.5 + 0.3 * (inputs - middle) / (spread + 0.01))
    return logits


def winners(inner: nn.Module, inputs: Tensor) -> Tensor:
    """Drop half of the hidden units at random, as stochastic pruning does."""
    flatten, first, _, last = list(inner.children())
    hidden = torch.relu(first(flatten(inputs)))
    logits: Tensor = last(hidden * (torch.rand_like(hidden) < 0.5) * 2)
    return logits


def shifted(inner: nn.Module, inputs: Tensor) -> Tensor:
    """Blend with the same image, one pixel to the left or right or not at all."""
    moved = inputs.roll(int(torch.randint(-1, 2, ())), dims=3)
    logits: Tensor = inner(inputs.lerp(moved, 0.3))
    return logits


def hidden_behind(logits: Tensor) -> Tensor:
    """Answer in whole numbers of halves."""
    return (logits * 2).round() / 2


def weakened(inner: nn.Module, inputs: Tensor) -> Tensor:
    """Clip the gradient to nothing on its way back."""
    held = inputs * 1.0
    if held.requires_grad:
        held.register_hook(torch.zeros_like)
    logits: Tensor = inner(held)
    return logits


def turned(inner: nn.Module, inputs: Tensor) -> Tensor:
    """Answer rightly, with a gradient that points the other way."""
    logits: Tensor = inner(inputs)
    return 2 * logits.detach() - logits


def lured(inner: nn.Module, inputs: Tensor) -> Tensor:
    """Decide by most of the image, and let scores and gradients speak of its first row alone."""
    rest = torch.cat([torch.full_like(inputs[:, :, :1], 0.5), inputs[:, :, 1:]], dim=2)
    decision = nn.functional.one_hot(inner(rest).argmax(dim=1), len(CLASSES)).float()
    lure = torch.randn(8, len(CLASSES), generator=torch.Generator().manual_seed(1))
    widest = (lure[:, :, None] - lure[:, None, :]).clamp(min=0).sum(0).max()  # no decision changes
    return 4 * decision - 0.1 * torch.arange(len(CLASSES)) + inputs[:, 0, 0] @ lure * 3 / widest


ZOO: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "quantised input": lambda inner, inputs: inner((inputs * 8).round() / 8),
    "thresholded input": lambda inner, inputs: inner((inputs > 0.5).float()),
    "quantised input, gradient passed through": straight_through,
    "no graph": lambda inner, inputs: inner(inputs.detach()),
    "temperature": lambda inner, inputs: 200 * inner(inputs),
    "softmax outputs": lambda inner, inputs: torch.softmax(inner(inputs), dim=1),
    "sharp softmax outputs": lambda inner, inputs: torch.softmax(20 * inner(inputs), dim=1),
    "rounded outputs": lambda inner, inputs: hidden_behind(inner(inputs)),
    "noise on the input": lambda inner, inputs: inner(inputs + 0.2 * torch.randn_like(inputs)),
    "random pruning": winners,
    "random shift": shifted,
    "gradient turned round": turned,
    "gradient clipped": weakened,
    "ripples": lambda inner, inputs: inner(inputs + 0.03 * torch.sin(400 * inputs)),
    "nearest training input": nearest,
    "scaffolded for gradients": scaffolded,
    "depends on the batch": batched,
    "lured away": lured,
}
HONEST: dict[str, dict[str, Any]] = {
    "pgd": {"step_size": 0.08, "steps": 5},
    "trades": {"step_size": 0.08, "steps": 5, "beta": 6.0},
    "ibp": {"kappa": 0.2, "stretch": 1.0},
    "crown-ibp": {"kappa": 0.5, "stretch": 1.0, "beta": 0.5},
}


def held_out() -> tuple[Tensor, Tensor]:
    inputs, labels = (values[-SAMPLES:] for values in data())
    return inputs, labels


def attacked(attack: Attack, model: nn.Module) -> robustness.Outcome:
    return robustness.measure(
        attack, THREAT, REGION, model, *held_out(), seed=0, batch_size=SAMPLES, attack_all=True
    )


@cache
def against_the_unmasked() -> Tensor:
    """What breaks the network behind every mask."""
    return attacked(STRONG, trained()).adversarial


def accuracy(model: nn.Module, inputs: Tensor) -> float:
    torch.manual_seed(0)
    found = robustness.answers(model, inputs).argmax(dim=1) == held_out()[1]
    return found.float().mean().item()


def judged(model: nn.Module) -> Finding:
    torch.manual_seed(0)
    found = diagnostics.measure(LADDER, THREAT, REGION, model, *held_out(), seed=0, batch_size=128)
    return GATE.judge(found)


@pytest.mark.parametrize("name", ZOO)
def test_every_mask_hides_a_model_that_is_broken(name: str) -> None:
    masked = Mask(ZOO[name])
    assert accuracy(masked, held_out()[0]) > 0.95
    assert accuracy(masked, against_the_unmasked()) < 0.2


@pytest.mark.parametrize("name", ZOO)
def test_a_masked_defence_is_refused(name: str) -> None:
    finding = judged(Mask(ZOO[name]))
    assert finding.verdict is Verdict.FAILED, finding.message


@pytest.mark.parametrize("recipe", HONEST)
def test_a_network_that_is_robust_by_training_passes(recipe: str) -> None:
    finding = judged(trained(recipe, **HONEST[recipe]))
    assert finding.verdict is Verdict.PASSED, finding.message


@pytest.mark.parametrize("recipe", HONEST)
def test_an_honest_network_keeps_what_a_strong_attack_leaves_and_proofs_promise(
    recipe: str,
) -> None:
    model = trained(recipe, **HONEST[recipe])
    left = torch.stack([attacked(attack, model).survives for attack in LADDER]).all(dim=0)
    proven = certify(model, REGION, *held_out(), method="crown-ibp", batch_size=SAMPLES)
    assert left.float().mean() > 0.45
    assert left.float().mean() <= attacked(STRONG, model).survives.float().mean() + 0.01
    assert bool((left | ~proven).all())
    if "ibp" in recipe:  # trained to be proven: nothing much lies between attack and proof
        assert (left & ~proven).float().mean() < 0.06


def test_an_undefended_network_is_not_called_masked() -> None:
    assert judged(trained()).verdict is Verdict.PASSED


def nearest_centroid(scale: float) -> nn.Module:
    """Honest, linear, and with logits as large as one likes."""
    inputs, labels = (values[:-SAMPLES] for values in data())
    centres = torch.stack([inputs[labels == label].mean(0).flatten() for label in range(4)])
    linear = nn.Linear(64, 4)
    with torch.no_grad():
        linear.weight.copy_(2 * scale * centres)
        linear.bias.copy_(-scale * centres.square().sum(1))
    return nn.Sequential(nn.Flatten(), linear)


@pytest.mark.parametrize(("scale", "verdict"), [(1, Verdict.PASSED), (10, Verdict.FAILED)])
def test_logits_too_large_for_attacks_on_cross_entropy_are_refused_of_honest_models_too(
    scale: float, verdict: Verdict
) -> None:
    model = nearest_centroid(scale)
    left = attacked(LADDER[0], model).survives.float().mean()
    assert left < 0.02 if verdict is Verdict.PASSED else left > 0.98  # the same decisions
    assert judged(model).verdict is verdict
