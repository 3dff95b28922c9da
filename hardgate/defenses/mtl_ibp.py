"""Certified and adversarial training at once, with a price between them.

De Palma, Bunel, Dvijotham, Kumar, Stanforth and Lomuscio (2023), "Expressive losses for verified
robustness via convex combinations", arXiv:2305.13991, the combination called MTL-IBP.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from hardgate.defenses.bounds import Certified, bounded, entropy, worst
from hardgate.defenses.losses import attacked, mean
from hardgate.defenses.recipe import Moment
from hardgate.records import Radius, Rate
from hardgate.region import Region


class MTLIBP(Certified):
    """``alpha`` of the worst logits' cross-entropy, the rest from inputs that PGD found.

    A small ``alpha`` keeps clean and attacked accuracy, a large one gives more to prove.
    """

    recipe: Literal["mtl-ibp"]
    alpha: Rate
    step_size: Radius
    steps: PositiveInt

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
        steps = bounded(model, inputs, region, stretch=self.stretch)
        proven = entropy(worst(steps, labels, "ibp"), labels)
        losses = self.alpha * proven + (1 - self.alpha) * entropy(model(found), labels)
        return mean(losses, labels, class_weights)

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 2 * self.steps + 2 + 4
