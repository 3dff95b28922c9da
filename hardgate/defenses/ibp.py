"""Certified training on interval bounds: robustness that no attack can take away.

Gowal, Dvijotham, Stanforth, Bunel, Qin, Uesato, Arandjelovic, Mann and Kohli (2018), "On the
effectiveness of interval bound propagation for training verifiably robust models",
arXiv:1810.12715. Needs ``training.warmup_epochs``: at the full radius from the start, bounds say
nothing and there is nothing to learn.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from hardgate.defenses.bounds import Certified, beside_clean, blend, bounded, worst
from hardgate.defenses.recipe import Batch
from hardgate.records import Rate


class IBP(Certified):
    """Cross-entropy of the worst logits, and ``kappa`` of the clean ones.

    The clean share falls from 1 to ``kappa`` while the radius grows.
    """

    recipe: Literal["ibp"]
    kappa: Rate

    def loss(self, batch: Batch) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        kappa = blend(1.0, self.kappa, batch.moment.ramp)
        steps = bounded(batch, stretch=self.stretch)
        return batch.mean(beside_clean(worst(steps, batch.labels, "ibp"), kappa, batch))

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 4 + (2 if self.kappa else 0)
