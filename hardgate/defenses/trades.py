"""TRADES: clean accuracy and a smooth neighbourhood as two terms with a price between them.

Zhang, Yu, Jiao, Xing, El Ghaoui and Jordan (2019), "Theoretically principled trade-off between
robustness and accuracy", arXiv:1901.08573.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from hardgate.attacks.ascent import ascend, frozen
from hardgate.defenses.losses import divergence, mean
from hardgate.defenses.recipe import Moment, Recipe
from hardgate.records import Radius
from hardgate.region import Region


class TRADES(Recipe):
    """Cross-entropy on clean inputs plus ``beta`` times the divergence that an attack can cause.

    The attack climbs that divergence, with the model in evaluation mode as in the paper. It starts
    anywhere in the region, the paper's a hair's breadth from the clean input: the divergence is
    flat there, and a table's constraints have no room for Gaussian noise.
    """

    recipe: Literal["trades"]
    beta: PositiveFloat
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
        with frozen(model):
            reference = model(inputs).detach()
            attacked = ascend(
                lambda perturbed: divergence(model(perturbed), reference),
                inputs,
                region,
                step_size=self.step_size,
                steps=self.steps,
                generator=generator,
            )
        clean = model(inputs)
        natural = functional.cross_entropy(clean, labels, reduction="none")
        smooth = divergence(model(attacked), clean)
        return mean(natural + self.beta * smooth, labels, class_weights)

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 1 + 2 * self.steps + 4  # the reference, the attack, and two with gradients
