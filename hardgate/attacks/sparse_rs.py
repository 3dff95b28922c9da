"""Random search over pixels: sees logits only, and changes few pixels completely.

Croce, Andriushchenko, Singh, Flammarion and Hein (2022), "Sparse-RS: a versatile framework for
query-efficient sparse black-box adversarial attacks", arXiv:2006.12834. Each query trades some of
the chosen pixels for others, painted in a random corner of the colour cube, and keeps the trade
where the margin shrinks; trades become smaller on the paper's schedule.

The L1 ball is our addition. A pixel costs the length of its change instead of 1, as many are
chosen as can be paid for, and the last one is changed as far as the rest goes.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from hardgate.attacks.ascent import margin
from hardgate.attacks.asking import SHRINK_EVERY, Asking, Search
from hardgate.balls import pixels
from hardgate.records import Norm
from hardgate.region import Region
from hardgate.threat import Access

SHARE = 0.3  # of the chosen pixels in the first trades, the paper's alpha
SMALLER = {0: 2, 50: 4, 200: 5, 500: 6, 1000: 8, 2000: 10, 4000: 12, 6000: 15, 8000: 20}
SMALLER_OF = 10_000  # queries, from which on the share is so many times smaller
NEGLIGIBLE = 1e-5  # of a pixel's change: what rounding leaves of the radius


class SparseRS(Asking):
    """Random search over pixels; asks ``queries`` times per image at most.

    Without ``queries`` it asks as often as the threat's attacker could.
    """

    needs: ClassVar[Access] = "score-based"
    norms: ClassVar[tuple[Norm, ...]] = ("L1", "L0")
    name: Literal["sparse-rs"]

    def begin(
        self,
        model: nn.Module,
        clean: Tensor,
        labels: Tensor,
        region: Region,
        generator: torch.Generator,
    ) -> _Search:
        """Begin a search on one batch."""
        return _Search(model, clean, labels, region, generator)


class _Search(Search):
    """One search on a batch of images: an order of pixels each, of which the first are painted."""

    alongside = ("colours", "order", "image", "chosen", "margin")

    def __init__(
        self,
        model: nn.Module,
        clean: Tensor,
        labels: Tensor,
        region: Region,
        generator: torch.Generator,
    ) -> None:
        super().__init__(model, clean, labels, generator)
        self.region = region
        self.colours = self._corners(clean)
        self.order = self.draw(clean[0, 0].numel()).argsort(dim=1)
        self.image, self.chosen = self._paint(self.order, self.colours)
        self.margin = margin(model(self.image), labels)
        self.asked = 1
        self.fell_at[self.margin < 0] = 1

    def run(self, queries: int) -> None:
        """Spend ``queries`` per image, one of which is spent, fewer on images that fall."""
        for step in range(queries - 1):
            if step % SHRINK_EVERY == 0:
                self.shrink()
                if len(self.rows) == 0:
                    return
            self._try(_share(step, queries))
        self.keep()

    def _try(self, share: float) -> None:
        """Trade some pixels, and keep the trade where the margin shrinks."""
        order, brought = self._trade(share)
        fresh = self._corners(self.clean)
        mask = torch.zeros_like(self.order, dtype=torch.bool).scatter_(1, brought, True)
        mask = mask.view(len(mask), 1, *self.clean.shape[2:])
        colours = torch.where(mask, fresh, self.colours)
        image, chosen = self._paint(order, colours)
        margins = margin(self.model(image), self.labels)
        self.asked += 1
        self.fell_at[self.rows[(margins < 0) & (self.margin >= 0)]] = self.asked
        better = margins < self.margin
        self.order[better], self.colours[better] = order[better], colours[better]
        self.image[better], self.chosen[better] = image[better], chosen[better]
        self.margin = torch.minimum(margins, self.margin)

    def _trade(self, share: float) -> tuple[Tensor, Tensor]:
        """Swap places of chosen and other pixels; give the new order, and who was brought in."""
        places = torch.arange(self.order.shape[1], device=self.order.device)
        inside = places < self.chosen.unsqueeze(1)
        most = min(int(self.chosen.max()), self.order.shape[1] - int(self.chosen.max()))
        count = min(max(1, round(share * float(self.chosen.float().mean()))), max(1, most))
        keys = self.draw(self.order.shape[1])
        out = (keys + inside).topk(count, dim=1).indices  # places of chosen pixels come first
        into = (keys - inside.float()).topk(count, dim=1).indices
        leaving, brought = self.order.gather(1, out), self.order.gather(1, into)
        order = self.order.scatter(1, out, brought).scatter(1, into, leaving)
        return order, brought

    def _paint(self, order: Tensor, colours: Tensor) -> tuple[Tensor, Tensor]:
        """Change pixels in their order as far as the radius pays; count those begun."""
        change = colours - self.clean
        if self.region.norm == "L0":
            cost = torch.ones_like(order, dtype=change.dtype)
            radius = float(pixels(self.region.eps))
        else:
            cost = change.abs().sum(dim=1).flatten(1).gather(1, order)
            radius = self.region.eps
        left = (radius - cost.cumsum(dim=1) + cost).clamp(min=0)  # before this pixel is paid
        paid = (left / cost.clamp(min=1e-12)).clamp(max=1)
        paid = torch.where(paid < NEGLIGIBLE, 0.0, paid)
        weight = torch.zeros_like(paid).scatter_(1, order, paid)
        weight = weight.view(len(weight), 1, *self.clean.shape[2:])
        image = torch.where(weight == 1, colours, self.clean + weight * change)
        return image.clamp_(0, 1), (paid > 0).sum(dim=1)

    def best(self) -> Tensor:
        """Give the images as they are painted."""
        return self.image

    def _corners(self, like: Tensor) -> Tensor:
        drawn = torch.randint(2, like.shape, generator=self.generator, device=self.generator.device)
        return drawn.to(like)


def _share(step: int, queries: int) -> float:
    """Give the share of the chosen pixels that this step trades."""
    reached = step * SMALLER_OF / queries
    return SHARE / max(times for after, times in SMALLER.items() if reached >= after)
