"""What recipes that train on attacked inputs share: the attack."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from hardgate.attacks.ascent import ascend, frozen
from hardgate.defenses.recipe import Batch, Recipe
from hardgate.records import Radius


class Attacking(Recipe):
    """A recipe that first climbs a loss by ``steps`` ascents within the region.

    The attack sees the model in evaluation mode: dropout and batch statistics must neither blind
    it nor learn from its half-made inputs. It starts anywhere in the region; with ``carry``, for so
    many epochs in a row where it ended an epoch ago (see ``starts.py``).
    """

    step_size: Radius
    steps: PositiveInt
    carry: NonNegativeInt = 0
    adversarial: ClassVar[bool] = True

    @property
    def carries(self) -> int:
        """How many epochs in a row an attack starts where it ended."""
        return self.carry

    def attacked(self, batch: Batch, loss: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Find inputs of higher loss; cross-entropy where none is given."""
        inputs, region, carried = batch.inputs, batch.region, batch.carried
        with frozen(batch.model):
            found = ascend(
                loss or batch.entropy,
                inputs,
                region,
                step_size=self.step_size,
                steps=self.steps,
                generator=batch.generator,
                start=carried.begin(inputs, region) if carried else None,
            )
        if carried:
            carried.keep(found, inputs, region)
        return found
