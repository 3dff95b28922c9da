"""Certified training on CROWN's margins while the radius grows, with interval bounds inside.

Zhang, Chen, Xiao, Gowal, Stanforth, Li, Boning and Hsieh (2020), "Towards stable and efficient
training of verifiably robust neural networks", arXiv:1906.06316.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from hardgate.certification.margins import differences
from hardgate.certification.relaxations import bounded_below
from hardgate.defenses.bounds import Certified, beside_clean, blend, bounded, worst
from hardgate.defenses.recipe import Batch
from hardgate.records import Rate


class CrownIBP(Certified):
    """As IBP, with margins that go over from CROWN's to the intervals' as the radius grows.

    ``beta`` is CROWN's share at the full radius, ``kappa`` the clean loss's. CROWN's bounds are
    the tighter ones while the network is young; in the end the plain intervals train it better.
    """

    recipe: Literal["crown-ibp"]
    kappa: Rate
    beta: Rate

    def loss(self, batch: Batch) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        ramp = batch.moment.ramp
        kappa, beta = (blend(1.0, last, ramp) for last in (self.kappa, self.beta))
        steps = bounded(batch, stretch=self.stretch)
        logits = worst(steps, batch.labels, "ibp")
        if beta > 0:
            rows = differences(batch.labels, logits.shape[1]).to(logits)
            logits = (1 - beta) * logits - beta * bounded_below(steps, rows)
        return batch.mean(beside_clean(logits, kappa, batch))

    def passes(self, classes: int) -> int:
        """Count forward and backward passes per sample; CROWN goes back once per class."""
        return 4 + (2 if self.kappa else 0) + (2 * classes if self.beta else 0)
