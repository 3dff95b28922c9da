"""Adversarial weight perturbation: robust to the worst inputs at the worst weights nearby.

Wu, Xia and Wang (2020), "Adversarial weight perturbation helps robust generalization",
arXiv:2004.05884.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from hardgate.defenses.attacking import Attacking
from hardgate.defenses.recipe import Batch


class AWP(Attacking):
    """Adversarial training at weights moved uphill by ``weight_step`` of their own length.

    The loss is taken at the moved weights and its gradient is applied to the weights themselves.
    Each matrix or kernel moves by itself; biases stay.
    """

    recipe: Literal["awp"]
    weight_step: PositiveFloat  # the paper's gamma

    def loss(self, batch: Batch) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        model, found = batch.model, self.attacked(batch)
        weights = {n: w for n, w in model.named_parameters() if w.requires_grad and w.dim() > 1}
        here = batch.mean(batch.entropy(found))
        uphill = torch.autograd.grad(here, list(weights.values()), allow_unused=True)
        moved = {
            name: weight + self._move(weight.detach(), slope)
            for (name, weight), slope in zip(weights.items(), uphill, strict=True)
            if slope is not None
        }
        logits = functional_call(model, moved, (found,))
        return batch.mean(functional.cross_entropy(logits, batch.labels, reduction="none"))

    def _move(self, weight: Tensor, slope: Tensor) -> Tensor:
        steepness = slope.norm().clamp(min=torch.finfo(slope.dtype).tiny)
        moved: Tensor = self.weight_step * weight.norm() * slope / steepness
        return moved

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 2 * (self.steps + 2)
