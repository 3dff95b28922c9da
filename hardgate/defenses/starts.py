"""Where attacks in training start: anywhere, or where they ended an epoch ago.

An attack that goes on from its own last end gathers strength over epochs, so that one or two steps
do what takes ten from a random start. Zheng, Zhang, Gu, Cheng and Prakash (2020), "Efficient
adversarial training with transferable adversarial examples", arXiv:1912.11969. Every few epochs
all start anew, or perturbations would settle.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from hardgate.errors import IntegrityError
from hardgate.region import Region


class Starts:
    """Where the last attack on each training input ended, in shares of the radius.

    Kept in half precision, whether a run is interrupted or not, so that both go on alike.
    """

    def __init__(self, inputs: Tensor) -> None:
        self.shares = torch.zeros(inputs.shape, dtype=torch.float16)

    def restore(self, tensors: dict[str, Tensor], path: Path) -> None:
        """Go back to the starts of a checkpoint.

        Raises
        ------
        IntegrityError
            If they are not those of such inputs; names the file.
        """
        saved = tensors.get("shares", torch.empty(0))
        if saved.shape != self.shares.shape or saved.dtype != self.shares.dtype:
            raise IntegrityError(
                f"{path} has starts of shape {tuple(saved.shape)}, the corpus has inputs of "
                f"{tuple(self.shares.shape)}; delete it and run the stage again from the start"
            )
        self.shares = saved

    def of(self, index: Tensor, *, fresh: bool) -> Carried:
        """Give a batch's; ``fresh`` begins anew."""
        return Carried(self.shares, index, fresh)


@dataclass(frozen=True)
class Carried:
    """The starts of one batch: read before an attack, written after it."""

    shares: Tensor  # of all inputs, (n, ...)
    index: Tensor
    fresh: bool

    def begin(self, inputs: Tensor, region: Region) -> Tensor | None:
        """Give the starts within the region; None where they are to be drawn."""
        if self.fresh:
            return None
        moved = self.shares[self.index].to(inputs) * region.unit(inputs) * region.eps
        return region.project(inputs + moved, inputs)

    def keep(self, found: Tensor, inputs: Tensor, region: Region) -> None:
        """Remember where the attack ended."""
        shares = (found - inputs) / (region.unit(inputs) * region.eps)
        shares = shares.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)  # cells that cannot move
        self.shares[self.index] = shares.to(self.shares)
