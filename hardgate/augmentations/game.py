"""The game of the GAN: a maker and a critic learn from each other.

Goodfellow, I. et al. (2014), "Generative adversarial nets", arXiv:1406.2661, with its
non-saturating loss; the critic's slope at real samples is kept small, without which the game need
not settle: Mescheder, Geiger and Nowozin (2018), arXiv:1801.04406. The maker that is kept is an
average over its last steps: Yaz et al. (2019), arXiv:1806.04498.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hardgate import progress
from hardgate.augmentations.makers import initialise
from hardgate.optimisation import Descent, Optimiser

SLOPE_EVERY = 4  # steps between two penalties; each counts for as many
AVERAGE = 0.99  # how much of the averaged maker each step keeps


@dataclass(frozen=True)
class Rules:
    """How long the game is played and how fast; ``slope`` weighs the critic's penalty."""

    steps: int
    batch_size: int
    rate: float
    slope: float


def play(
    maker: nn.Module,
    critic: nn.Module,
    reals: Callable[[Tensor], Tensor],
    labels: Tensor,
    rules: Rules,
    *,
    generator: torch.Generator,
    device: torch.device,
) -> nn.Module:
    """Train both networks from scratch; give the averaged maker.

    Parameters
    ----------
    reals
        Gives the real samples of an index, as the critic takes them.
    labels
        Labels of all real samples, shape ``(n,)``.
    """
    for network in (maker, critic):
        initialise(network, generator)
        network.to(device)
    averaged = copy.deepcopy(maker).requires_grad_(False)
    adam = Optimiser(name="adam", rate=rules.rate, momentum=0.5, second_momentum=0.99)
    makers, critics = Descent(adam, maker), Descent(adam, critic)
    for step in progress.track(range(rules.steps), "gan"):
        index = torch.randint(len(labels), (rules.batch_size,), generator=generator)
        real, told = reals(index).to(device), labels[index].to(device)
        with torch.no_grad():
            fake = maker(told, generator)
        loss = functional.softplus(-critic(real, told)).mean()
        loss = loss + functional.softplus(critic(fake, told)).mean()
        if step % SLOPE_EVERY == 0:
            loss = loss + SLOPE_EVERY * rules.slope / 2 * _slope(critic, real, told)
        _descend(loss, critics)
        critic.requires_grad_(False)
        _descend(functional.softplus(-critic(maker(told, generator), told)).mean(), makers)
        critic.requires_grad_(True)
        with torch.no_grad():
            for kept, new in zip(averaged.parameters(), maker.parameters(), strict=True):
                kept.lerp_(new, 1 - AVERAGE)
    return averaged.eval()


def _descend(loss: Tensor, descent: Descent) -> None:
    descent.forget()
    loss.backward()  # type: ignore[no-untyped-call]
    descent.step(factor=1.0)


def _slope(critic: nn.Module, real: Tensor, labels: Tensor) -> Tensor:
    """Measure the critic's squared gradient at real samples."""
    variable = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(variable, labels).sum(), variable, create_graph=True)
    return gradient.flatten(1).square().sum(1).mean()
