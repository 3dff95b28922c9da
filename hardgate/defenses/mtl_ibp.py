"""Certified and adversarial training at once, with a price between them.

De Palma, Bunel, Dvijotham, Kumar, Stanforth and Lomuscio (2023), "Expressive losses for verified
robustness via convex combinations", arXiv:2305.13991, the combination called MTL-IBP.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from hardgate.defenses.attacking import Attacking
from hardgate.defenses.bounds import Stretch, bounded, calm, entropy, worst
from hardgate.defenses.recipe import Batch
from hardgate.records import Rate


class MTLIBP(Attacking):
    """``alpha`` of the worst logits' cross-entropy, the rest from inputs that PGD found.

    A small ``alpha`` keeps clean and attacked accuracy, a large one gives more to prove.
    """

    recipe: Literal["mtl-ibp"]
    alpha: Rate
    stretch: Stretch = 1.0
    certifies: ClassVar[bool] = True

    def prepare(self, model: nn.Module) -> None:
        """Draw weights whose boxes keep their size."""
        calm(model)

    def loss(self, batch: Batch) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        found = self.attacked(batch)
        steps = bounded(batch, stretch=self.stretch)
        proven = entropy(worst(steps, batch.labels, "ibp"), batch.labels)
        return batch.mean(self.alpha * proven + (1 - self.alpha) * batch.entropy(found))

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 2 * self.steps + 2 + 4
