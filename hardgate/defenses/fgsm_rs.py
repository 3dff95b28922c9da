"""Fast adversarial training: one step from a random start, for the price of two passes.

Wong, Rice and Kolter (2020), "Fast is better than free: revisiting adversarial training",
arXiv:2001.03994. A step much longer than ``eps`` invites catastrophic overfitting, which the
monitors watch for; the paper takes 1.25 ``eps``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from hardgate.attacks.ascent import frozen, gradient_of
from hardgate.defenses.recipe import Batch, Recipe
from hardgate.records import Radius
from hardgate.region import Region


class FGSMRS(Recipe):
    """Cross-entropy on inputs one signed step away from a random start.

    The attack sees the model in evaluation mode, where the authors' code attacks in training mode:
    see :class:`hardgate.defenses.attacking.Attacking` for why.
    """

    recipe: Literal["fgsm-rs"]
    by_row: ClassVar[bool] = True
    step_size: Radius
    adversarial: ClassVar[bool] = True

    def loss(self, batch: Batch) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        inputs, region = batch.inputs, batch.region
        with frozen(batch.model):
            start = scatter(inputs, region, batch.generator)
            step = region.step(gradient_of(batch.entropy, start), self.step_size)
            attacked = region.project(start + step, inputs)
        return batch.mean(batch.entropy(attacked))

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 4


def scatter(inputs: Tensor, region: Region, generator: torch.Generator) -> Tensor:
    """Scatter inputs over the ball, beyond the box if need be, as the authors' code does.

    Cut off at the box, a black pixel would start at 0 or above, and one long step would always
    end in a corner: the random start would be lost, and with it what keeps one step from
    collapsing. (Tried on MNIST: 0.04 under PGD with the cut, 0.87 without.)
    """
    if region.norm != "Linf":
        return region.start(inputs, generator)
    where = generator.device
    noise = torch.rand(inputs.shape, generator=generator, device=where, dtype=inputs.dtype)
    reach = region.step(torch.ones_like(inputs), region.eps)
    return inputs + (2 * noise.to(inputs.device) - 1) * reach
