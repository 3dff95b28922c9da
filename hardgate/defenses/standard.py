"""Training on clean inputs alone: the yardstick that every defence is measured against."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from hardgate.defenses.recipe import Batch, Recipe


class Standard(Recipe):
    """Cross-entropy on clean inputs."""

    recipe: Literal["standard"]
    by_row: ClassVar[bool] = True
    adversarial: ClassVar[bool] = False

    def loss(self, batch: Batch) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        return batch.mean(batch.entropy(batch.inputs))

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 2
