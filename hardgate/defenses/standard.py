"""Training on clean inputs alone: the yardstick that every defence is measured against."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from hardgate.defenses.losses import cross_entropy, mean
from hardgate.defenses.recipe import Moment, Recipe
from hardgate.region import Region


class Standard(Recipe):
    """Cross-entropy on clean inputs."""

    recipe: Literal["standard"]
    adversarial: ClassVar[bool] = False

    def loss(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        region: Region,  # noqa: ARG002  one interface for all recipes
        generator: torch.Generator,  # noqa: ARG002  one interface for all recipes
        *,
        moment: Moment,  # noqa: ARG002  one interface for all recipes
        class_weights: Tensor | None = None,
    ) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        return mean(cross_entropy(model, labels)(inputs), labels, class_weights)

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 2
