"""Adversarial training: minimise the loss on the worst inputs that projected gradient ascent finds.

Madry, Makelov, Schmidt, Tsipras and Vladu (2018), "Towards deep learning models resistant to
adversarial attacks", arXiv:1706.06083.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from hardgate.defenses.losses import attacked, cross_entropy, mean
from hardgate.defenses.recipe import Moment, Recipe
from hardgate.records import Radius
from hardgate.region import Region


class PGD(Recipe):
    """Cross-entropy on adversarial inputs of ``steps`` ascents from a random start.

    The attack sees the model in evaluation mode; the loss itself is taken in training mode.
    """

    recipe: Literal["pgd"]
    step_size: Radius
    steps: PositiveInt
    adversarial: ClassVar[bool] = True

    def loss(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        region: Region,
        generator: torch.Generator,
        *,
        moment: Moment,  # noqa: ARG002  one interface for all recipes
        class_weights: Tensor | None = None,
    ) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        found = attacked(
            model, inputs, labels, region, generator, step_size=self.step_size, steps=self.steps
        )
        return mean(cross_entropy(model, labels)(found), labels, class_weights)

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 2 * (self.steps + 1)
