"""Adversarial training: minimise the loss on the worst inputs that projected gradient ascent finds.

Madry, Makelov, Schmidt, Tsipras and Vladu (2018), "Towards deep learning models resistant to
adversarial attacks", arXiv:1706.06083. With ``carry`` the ascent starts warm: see ``starts.py``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from hardgate.defenses.attacking import Attacking
from hardgate.defenses.recipe import Batch


class PGD(Attacking):
    """Cross-entropy on adversarial inputs of ``steps`` ascents.

    The attack sees the model in evaluation mode; the loss itself is taken in training mode.
    """

    recipe: Literal["pgd"]
    by_row: ClassVar[bool] = True

    def loss(self, batch: Batch) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        return batch.mean(batch.entropy(self.attacked(batch)))

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 2 * (self.steps + 1)
