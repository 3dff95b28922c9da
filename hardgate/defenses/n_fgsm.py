"""Noise and one step, neither cut off at the ball: fast, and harder to collapse.

De Jorge, Bibi, Volpi, Sanyal, Torr, Rogez and Dokania (2022), "Make some noise: reliable and
efficient single-step adversarial training", arXiv:2202.01181.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveFloat
from torch import Tensor

from hardgate.attacks.ascent import frozen, gradient_of
from hardgate.defenses.fgsm_rs import scatter
from hardgate.defenses.recipe import Batch, Recipe
from hardgate.records import Radius


class NFGSM(Recipe):
    """Cross-entropy on inputs one step away from noise of ``noise`` times the radius.

    The result may lie outside of the threat's ball, never outside of what an input can be (pixels
    in [0, 1], a table's bounds and relations). The paper takes ``noise`` 2 and a step of ``eps``.
    """

    recipe: Literal["n-fgsm"]
    by_row: ClassVar[bool] = True
    step_size: Radius
    noise: PositiveFloat
    adversarial: ClassVar[bool] = True

    def loss(self, batch: Batch) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        inputs, region = batch.inputs, batch.region
        length = self.step_size * batch.moment.ramp
        with frozen(batch.model):
            start = scatter(inputs, region.scaled(self.noise), batch.generator)
            step = region.step(gradient_of(batch.entropy, start), length)
            reach = region.scaled(self.noise + length / region.eps)
            attacked = reach.project(start + step, inputs)
        return batch.mean(batch.entropy(attacked))

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 4
