"""What certified recipes share: worst logits within a box, and weights that bounds survive.

Worst logits are the least margins with their signs turned, the label's own zero: what the attacker
would show if each class could be at its best at once.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from hardgate.certification import Box, Method, intervals
from hardgate.certification.intervals import Step
from hardgate.certification.margins import margins
from hardgate.defenses.recipe import Batch, Recipe

# The radius that bounds are trained at, in radii of the threat. Bounds trained a little further
# out hold better at the radius that counts (Gowal et al. 2018 train at 0.4 for 0.3 on MNIST).
Stretch = Annotated[float, Field(ge=1, le=2)]


class Certified(Recipe):
    """A recipe that trains on bounds."""

    stretch: Stretch = 1.0
    adversarial: ClassVar[bool] = True
    certifies: ClassVar[bool] = True

    def prepare(self, model: nn.Module) -> None:
        """Draw weights whose boxes keep their size."""
        calm(model)


def beside_clean(proven: Tensor, kappa: float, batch: Batch) -> Tensor:
    """Mix the cross-entropies of worst logits with ``kappa`` of the clean ones, shape ``(n,)``."""
    losses = (1 - kappa) * entropy(proven, batch.labels)
    return losses + kappa * batch.entropy(batch.inputs) if kappa > 0 else losses


def bounded(batch: Batch, *, stretch: float) -> list[Step]:
    """Carry the box around each input through the network, with gradients to the weights."""
    wide = batch.region if stretch == 1 else batch.region.scaled(stretch)
    return intervals.propagate(batch.model, Box(*wide.box(batch.inputs)), rounded=False)


def worst(steps: list[Step], labels: Tensor, method: Method) -> Tensor:
    """Give the worst logits, shape ``(n, k)``."""
    return -margins(steps, labels, method, rounded=False)


def entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Give cross-entropies, shape ``(n,)``."""
    return functional.cross_entropy(logits, labels, reduction="none")


def blend(first: float, last: float, ramp: float) -> float:
    """Go from one value to another as the radius grows."""
    return first + (last - first) * ramp


def calm(model: nn.Module) -> None:
    """Draw weights whose boxes keep their size from layer to layer.

    Usual weights keep the variance of activations, and with it a box grows by the root of its
    layer's width. Shi, Wang, Zhang, Yi and Hsieh (2021), "Fast certified robust training with
    short warmup", arXiv:2103.17268, section 3.1.
    """
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                layer.weight.normal_(0, math.sqrt(2 * math.pi) / layer.weight[0].numel())
                if layer.bias is not None:
                    layer.bias.zero_()
