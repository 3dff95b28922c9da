"""TRADES: clean accuracy and a smooth neighbourhood as two terms with a price between them.

Zhang, Yu, Jiao, Xing, El Ghaoui and Jordan (2019), "Theoretically principled trade-off between
robustness and accuracy", arXiv:1901.08573.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat
from torch import Tensor
from torch.nn import functional

from hardgate.attacks.ascent import frozen
from hardgate.defenses.attacking import Attacking
from hardgate.defenses.losses import divergence
from hardgate.defenses.recipe import Batch


class TRADES(Attacking):
    """Cross-entropy on clean inputs plus ``beta`` times the divergence that an attack can cause.

    The attack climbs that divergence, with the model in evaluation mode as in the paper. It starts
    anywhere in the region, the paper's a hair's breadth from the clean input: the divergence is
    flat there, and a table's constraints have no room for Gaussian noise.
    """

    recipe: Literal["trades"]
    beta: PositiveFloat

    def loss(self, batch: Batch) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        model = batch.model
        with frozen(model):
            reference = model(batch.inputs).detach()
        attacked = self.attacked(batch, lambda found: divergence(model(found), reference))
        clean = model(batch.inputs)
        natural = functional.cross_entropy(clean, batch.labels, reduction="none")
        smooth = divergence(model(attacked), clean)
        return batch.mean(natural + self.beta * smooth)

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 1 + 2 * self.steps + 4  # the reference, the attack, and two with gradients
