"""What every recipe is: a loss, what it costs, and what training asks about it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from hardgate.records import Record
from hardgate.region import Region


@dataclass(frozen=True)
class Moment:
    """How far training has come, in shares.

    ``ramp`` is the share of the threat's radius in force while it still grows; the region that a
    recipe is given has that smaller radius already.
    """

    progress: float = 1.0
    ramp: float = 1.0


END = Moment()


class Recipe(Record):
    """A way to train; one subclass per file."""

    adversarial: ClassVar[bool]  # trains against attacks, so that early stopping watches them
    certifies: ClassVar[bool] = False  # trains bounds, so that early stopping watches proofs

    def prepare(self, model: nn.Module) -> None:
        """Give fresh weights the size that the recipe needs; most take them as they are."""

    @abstractmethod
    def loss(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        region: Region,
        generator: torch.Generator,
        *,
        moment: Moment,
        class_weights: Tensor | None = None,
    ) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""

    @abstractmethod
    def passes(self, classes: int) -> int:
        """Count forward and backward passes through the network per sample, at the full radius.

        A pass of bounds counts as two: it carries a middle and a radius.
        """
