"""What gradient attacks climb: losses of logits that rise as the model comes closer to a mistake.

Cross-entropy fades where a model is sure of itself. The difference of logits ratio (DLR) of Croce
and Hein (2020), arXiv:2003.01690, does not change when all logits are shifted or scaled; it divides
by the gap to the third largest logit, aimed at a target also to the fourth. With too few classes
for that the plain margin of Carlini and Wagner (2017), arXiv:1608.04644, takes its place.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from hardgate.attacks.ascent import margin

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Maps logits ``(n, k)``, labels and targets, both ``(n,)``, to one loss each, ``(n,)``."""

RATIO_CLASSES = 3  # the ratio divides by the gap between the first and the third
TARGETED_RATIO_CLASSES = 4  # aimed at a target, by the gap to the third and the fourth
SMALLEST_GAP = 1e-12


def cross_entropy(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG001
    """Give the negative log-probability of the label."""
    return functional.cross_entropy(logits, labels, reduction="none")


def towards_any(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG001
    """Give the best wrong logit above the label's."""
    return -margin(logits, labels)


def towards_target(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Give the target's logit above the label's."""
    return _at(logits, targets) - _at(logits, labels)


def ratio(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Give DLR, at least three classes: the margin over the gap from the first to the third."""
    first, _, third = logits.topk(3, dim=1).values.unbind(1)
    return towards_any(logits, labels, targets) / (first - third).clamp(min=SMALLEST_GAP)


def targeted_ratio(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Give targeted DLR, at least four classes: the third and fourth share the place below."""
    first, _, third, fourth = logits.topk(4, dim=1).values.unbind(1)
    gap = (first - (third + fourth) / 2).clamp(min=SMALLEST_GAP)
    return towards_target(logits, labels, targets) / gap


def untargeted(classes: int) -> Loss:
    """Choose the strongest untargeted loss that so many classes allow."""
    return ratio if classes > RATIO_CLASSES else towards_any


def targeted(classes: int) -> Loss:
    """Choose the strongest targeted loss that so many classes allow."""
    return targeted_ratio if classes >= TARGETED_RATIO_CLASSES else towards_target


def likeliest_wrong(logits: Tensor, labels: Tensor, count: int) -> Tensor:
    """List the ``count`` wrong classes with the highest logits, best first, shape ``(n, count)``.

    There are never more than ``k - 1`` of them.
    """
    others = logits.scatter(1, labels.unsqueeze(1), -torch.inf)
    return others.topk(min(count, logits.shape[1] - 1), dim=1).indices


def _at(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(1, classes.unsqueeze(1)).squeeze(1)
