"""Adversarial weight perturbation: robust to the worst inputs at the worst weights nearby.

Wu, Xia and Wang (2020), "Adversarial weight perturbation helps robust generalization",
arXiv:2004.05884.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from hardgate.defenses.losses import attacked, cross_entropy, mean
from hardgate.defenses.recipe import Moment, Recipe
from hardgate.records import Radius
from hardgate.region import Region


class AWP(Recipe):
    """Adversarial training at weights moved uphill by ``weight_step`` of their own length.

    The loss is taken at the moved weights and its gradient is applied to the weights themselves.
    Each matrix or kernel moves by itself; biases stay.
    """

    recipe: Literal["awp"]
    weight_step: PositiveFloat  # the paper's gamma
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
        weights = {n: w for n, w in model.named_parameters() if w.requires_grad and w.dim() > 1}
        here = mean(cross_entropy(model, labels)(found), labels, class_weights)
        uphill = torch.autograd.grad(here, list(weights.values()), allow_unused=True)
        moved = {
            name: weight + self._move(weight.detach(), slope)
            for (name, weight), slope in zip(weights.items(), uphill, strict=True)
            if slope is not None
        }
        logits = functional_call(model, moved, (found,))
        losses = functional.cross_entropy(logits, labels, reduction="none")
        return mean(losses, labels, class_weights)

    def _move(self, weight: Tensor, slope: Tensor) -> Tensor:
        steepness = slope.norm().clamp(min=torch.finfo(slope.dtype).tiny)
        moved: Tensor = self.weight_step * weight.norm() * slope / steepness
        return moved

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 2 * (self.steps + 2)
