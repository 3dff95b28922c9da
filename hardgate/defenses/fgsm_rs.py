"""Fast adversarial training: one step from a random start, for the price of two passes.

Wong, Rice and Kolter (2020), "Fast is better than free: revisiting adversarial training",
arXiv:2001.03994. A step much longer than ``eps`` invites catastrophic overfitting, which the
monitors watch for; the paper takes 1.25 ``eps``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from hardgate.attacks.ascent import ascend, frozen
from hardgate.defenses.losses import cross_entropy, mean
from hardgate.records import Radius, Record
from hardgate.region import Region


class FGSMRS(Record):
    """Cross-entropy on inputs one signed step away from a random start.

    The attack sees the model in evaluation mode, where the authors' code attacks in training mode:
    see :class:`hardgate.defenses.pgd.PGD` for why.
    """

    recipe: Literal["fgsm-rs"]
    step_size: Radius
    adversarial: ClassVar[bool] = True

    def loss(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        region: Region,
        generator: torch.Generator,
        *,
        class_weights: Tensor | None = None,
    ) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        with frozen(model):
            attacked = ascend(
                cross_entropy(model, labels),
                inputs,
                region,
                step_size=self.step_size,
                steps=1,
                generator=generator,
            )
        return mean(cross_entropy(model, labels)(attacked), labels, class_weights)
