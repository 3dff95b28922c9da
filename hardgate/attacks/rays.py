"""Search along rays: sees nothing but the class that a model answers.

Chen and Gu (2020), "RayS: a ray searching method for hard-label adversarial attack",
arXiv:2006.12792. A ray goes from the clean image to a corner of the ball: every pixel rises or
falls by the same. The search flips the signs of ever smaller blocks of pixels and keeps a ray that
is wrong where the best one first is; how soon a kept one is wrong is found by halving. An image
falls when its ray is wrong within the radius.

One departure: a ray that is wrong within the radius is not followed further.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from hardgate.attacks.asking import SHRINK_EVERY, STANDS, Asking, Search
from hardgate.records import Norm
from hardgate.region import Region
from hardgate.threat import Access

PRECISION = 1e-3  # of the pixel range, the paper's tolerance of the halving


class RayS(Asking):
    """Search along rays; asks ``queries`` times per image at most, and sees classes only.

    Without ``queries`` it asks as often as the threat's attacker could.
    """

    needs: ClassVar[Access] = "decision-based"
    norms: ClassVar[tuple[Norm, ...]] = ("Linf",)
    name: Literal["rays"]

    def begin(
        self,
        model: nn.Module,
        clean: Tensor,
        labels: Tensor,
        region: Region,
        generator: torch.Generator,
    ) -> _Search:
        """Begin a search on one batch."""
        return _Search(model, clean, labels, region.eps, generator)


class _Search(Search):
    """One search on a batch of images; every image is at a block, or a halving, of its own."""

    alongside = (
        *("signs", "trial", "radius", "low", "high"),
        *("halving", "level", "block", "first"),
    )

    def __init__(
        self,
        model: nn.Module,
        clean: Tensor,
        labels: Tensor,
        eps: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__(model, clean, labels, generator)
        self.eps = eps
        self.signs = torch.ones_like(clean).flatten(1)  # of the best ray
        self.trial = self.signs.clone()
        self.radius = clean.new_ones(len(clean))  # where the best ray is wrong; 1 crosses the box
        self.low, self.high = torch.zeros_like(self.radius), torch.zeros_like(self.radius)
        self.halving = torch.zeros_like(labels, dtype=torch.bool)
        self.level, self.block = torch.zeros_like(labels), torch.zeros_like(labels)
        self.first = torch.ones_like(self.halving)  # asks about the first ray itself

    def run(self, queries: int) -> None:
        """Spend ``queries`` per image, fewer on images that fall."""
        for asked in range(1, queries + 1):
            self._ask(asked)
            if asked % SHRINK_EVERY == 0:
                self.shrink()
                if len(self.rows) == 0:
                    return
        self.keep()

    def _ask(self, asked: int) -> None:
        """Ask each image once: whether a new ray beats the best, or how soon it is wrong."""
        self._propose()
        at = torch.where(self.halving, (self.low + self.high) / 2, self.radius)
        wrong = self.model(self._at(self.trial, at)).argmax(dim=1) != self.labels
        beats = ~self.halving & wrong
        self.signs = torch.where(beats.unsqueeze(1), self.trial, self.signs)
        self.high = torch.where(wrong, at, self.high)
        self.low = torch.where(beats, 0.0, torch.where(self.halving & ~wrong, at, self.low))
        within = self.halving | beats
        self.radius = torch.where(within & wrong, at, self.radius)
        fell = wrong & (at <= self.eps) & (self.fell_at[self.rows] == STANDS)
        self.fell_at[self.rows[fell]] = asked
        self.halving = within & (self.high - self.low > PRECISION)

    def _propose(self) -> None:
        """Flip the next block of the best ray, where no ray is being halved."""
        cells = self.signs.shape[1]
        blocks = 2**self.level
        places = torch.arange(cells, device=self.signs.device)
        begin, end = self.block * cells // blocks, (self.block + 1) * cells // blocks
        flip = (places >= begin.unsqueeze(1)) & (places < end.unsqueeze(1))
        flip &= ~self.first.unsqueeze(1)
        proposal = torch.where(flip, -self.signs, self.signs)
        self.trial = torch.where(self.halving.unsqueeze(1), self.trial, proposal)
        moves = ~self.halving & ~self.first
        self.block = self.block + moves.long()
        done = self.block >= blocks
        self.block = torch.where(done, 0, self.block)
        last = (2**self.level) >= cells
        self.level = torch.where(done, torch.where(last, 0, self.level + 1), self.level)
        self.first = torch.zeros_like(self.first)

    def _at(self, signs: Tensor, radius: Tensor) -> Tensor:
        moved = self.clean.flatten(1) + signs * radius.unsqueeze(1)
        return moved.clamp_(0, 1).view_as(self.clean)

    def best(self) -> Tensor:
        """Give the images on their best rays, no further than the ball reaches."""
        return self._at(self.signs, self.radius.clamp(max=self.eps))
