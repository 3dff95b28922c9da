"""What several recipes share: losses per sample, and how they become one number."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional


def cross_entropy(model: nn.Module, labels: Tensor) -> Callable[[Tensor], Tensor]:
    """Give the function that maps inputs to their cross-entropies, shape ``(n,)``."""

    def loss(inputs: Tensor) -> Tensor:
        return functional.cross_entropy(model(inputs), labels, reduction="none")

    return loss


def divergence(logits: Tensor, reference: Tensor) -> Tensor:
    """Give the Kullback-Leibler divergences of ``logits`` from ``reference``, shape ``(n,)``."""
    return functional.kl_div(
        functional.log_softmax(logits, dim=1),
        functional.log_softmax(reference, dim=1),
        reduction="none",
        log_target=True,
    ).sum(dim=1)


def mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Average losses, shape ``(n,)``, each by its sample's weight."""
    return losses.mean() if weights is None else (losses * weights).sum() / weights.sum()
