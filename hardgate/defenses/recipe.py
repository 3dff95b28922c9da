"""What every recipe is: a loss, what it costs, and what training asks about it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from hardgate.defenses.losses import mean
from hardgate.defenses.starts import Carried
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


@dataclass(frozen=True)
class Batch:
    """What a recipe is given for one step of the weights.

    ``weights`` says how much each sample counts, shape ``(n,)``; all the same where it is left out.
    ``carried`` is where the last epoch's attack on these inputs ended, for recipes that carry on
    from there.
    """

    model: nn.Module
    inputs: Tensor
    labels: Tensor
    region: Region
    generator: torch.Generator
    moment: Moment = END
    weights: Tensor | None = None
    carried: Carried | None = None

    def entropy(self, inputs: Tensor) -> Tensor:
        """Give the model's cross-entropies at some inputs, shape ``(n,)``."""
        return functional.cross_entropy(self.model(inputs), self.labels, reduction="none")

    def mean(self, losses: Tensor) -> Tensor:
        """Average losses, shape ``(n,)``, by the samples' weights."""
        return mean(losses, self.weights)


class Rows(Batch):
    """A batch whose losses stay apart, one per row, for training with privacy."""

    def mean(self, losses: Tensor) -> Tensor:
        """Give the losses as they are."""
        return losses


class Recipe(Record):
    """A way to train; one subclass per file."""

    adversarial: ClassVar[bool]  # trains against attacks, so that early stopping watches them
    certifies: ClassVar[bool] = False  # trains bounds, so that early stopping watches proofs
    by_row: ClassVar[bool] = False  # its loss is the mean of losses that know one row each, and
    # come from one run of the model: what privacy can clip

    def prepare(self, model: nn.Module) -> None:
        """Give fresh weights the size that the recipe needs; most take them as they are."""

    @property
    def carries(self) -> int:
        """How many epochs in a row an attack starts where it ended; 0 or 1 where it never does."""
        return 0

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""

    @abstractmethod
    def passes(self, classes: int) -> int:
        """Count forward and backward passes through the network per sample, at the full radius.

        A pass of bounds counts as two: it carries a middle and a radius.
        """
