"""Noise and one step, neither cut off at the ball: fast, and harder to collapse.

De Jorge, Bibi, Volpi, Sanyal, Torr, Rogez and Dokania (2022), "Make some noise: reliable and
efficient single-step adversarial training", arXiv:2202.01181.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from hardgate.attacks.ascent import frozen, gradient_of
from hardgate.defenses.fgsm_rs import scatter
from hardgate.defenses.losses import cross_entropy, mean
from hardgate.defenses.recipe import Moment, Recipe
from hardgate.records import Radius
from hardgate.region import Region


class NFGSM(Recipe):
    """Cross-entropy on inputs one step away from noise of ``noise`` times the radius.

    The result may lie outside of the threat's ball, never outside of what an input can be (pixels
    in [0, 1], a table's bounds and relations). The paper takes ``noise`` 2 and a step of ``eps``.
    """

    recipe: Literal["n-fgsm"]
    step_size: Radius
    noise: PositiveFloat
    adversarial: ClassVar[bool] = True

    def loss(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        region: Region,
        generator: torch.Generator,
        *,
        moment: Moment,
        class_weights: Tensor | None = None,
    ) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        loss = cross_entropy(model, labels)
        length = self.step_size * moment.ramp
        with frozen(model):
            start = scatter(inputs, region.scaled(self.noise), generator)
            step = region.step(gradient_of(loss, start), length)
            reach = region.scaled(self.noise + length / region.eps)
            attacked = reach.project(start + step, inputs)
        return mean(loss(attacked), labels, class_weights)

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 4
