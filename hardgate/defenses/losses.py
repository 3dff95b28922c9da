"""What several recipes share: losses per sample, how they become one number, and the attack."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from hardgate.attacks.ascent import ascend, frozen
from hardgate.region import Region


def cross_entropy(model: nn.Module, labels: Tensor) -> Callable[[Tensor], Tensor]:
    """Give the function that maps inputs to their cross-entropies, shape ``(n,)``."""

    def loss(inputs: Tensor) -> Tensor:
        return functional.cross_entropy(model(inputs), labels, reduction="none")

    return loss


def attacked(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    region: Region,
    generator: torch.Generator,
    *,
    step_size: float,
    steps: int,
) -> Tensor:
    """Find inputs of higher cross-entropy by ``steps`` ascents from a random start.

    The attack sees the model in evaluation mode: dropout and batch statistics must neither blind
    it nor learn from its half-made inputs.
    """
    with frozen(model):
        return ascend(
            cross_entropy(model, labels),
            inputs,
            region,
            step_size=step_size,
            steps=steps,
            generator=generator,
        )


def divergence(logits: Tensor, reference: Tensor) -> Tensor:
    """Give the Kullback-Leibler divergences of ``logits`` from ``reference``, shape ``(n,)``."""
    return functional.kl_div(
        functional.log_softmax(logits, dim=1),
        functional.log_softmax(reference, dim=1),
        reduction="none",
        log_target=True,
    ).sum(dim=1)


def mean(losses: Tensor, labels: Tensor, class_weights: Tensor | None) -> Tensor:
    """Average losses, shape ``(n,)``, each weighing as much as its class does."""
    if class_weights is None:
        return losses.mean()
    weights = class_weights[labels]
    return (losses * weights).sum() / weights.sum()
