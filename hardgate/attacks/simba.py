"""Search along waves in an L2 ball: sees logits only.

Guo, Gardner, You, Wilson and Weinberger (2019), "Simple black-box adversarial attacks",
arXiv:1905.07121 (SimBA-DCT). Directions are cosine waves over the image, the lowest first: images,
and what networks see in them, are smooth. Each query adds a little of one wave, or takes it away
when adding did not help, and is kept where the margin shrinks.

Two departures. Steps are no longer made small enough that all of them together stay in the ball:
what would leave it is scaled back to its edge, so that a wave can grow at the cost of others. And
steps shrink from half the radius to a twentieth of it as queries run out.
"""

from __future__ import annotations

from math import pi
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from hardgate.attacks.ascent import margin
from hardgate.attacks.asking import SHRINK_EVERY, STANDS, Asking, Search
from hardgate.records import Norm
from hardgate.region import Region
from hardgate.threat import Access

FIRST, LAST = 0.5, 0.05  # steps, of the radius
WAVES = 0.4  # per query: each is tried once or twice, and more than once where it can be


class SimBA(Asking):
    """Search along cosine waves; asks ``queries`` times per image at most.

    Without ``queries`` it asks as often as the threat's attacker could.
    """

    needs: ClassVar[Access] = "score-based"
    norms: ClassVar[tuple[Norm, ...]] = ("L2",)
    name: Literal["simba"]

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
    """One search on a batch of images; every image follows a wave of its own."""

    alongside = ("moved", "margin", "tried", "sign", "turned", "order")

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
        self.moved = torch.zeros_like(clean)
        self.margin = margin(model(clean), labels)
        self.tried = torch.full_like(labels, -1)  # the number of the wave, in an order of its own
        self.sign = clean.new_ones(len(clean))
        self.turned = torch.ones_like(labels, dtype=torch.bool)  # the wave was tried both ways

    def run(self, queries: int) -> None:
        """Spend ``queries`` per image, fewer on images that fall."""
        waves = _waves(self.clean, max(1, round(WAVES * queries)))
        self.order = self.draw(len(waves)).argsort(dim=1)
        for asked in range(2, queries + 1):  # the clean image was the first
            self._ask(waves, asked, FIRST * (LAST / FIRST) ** (asked / queries))
            if asked % SHRINK_EVERY == 0:
                self.shrink()
                if len(self.rows) == 0:
                    return
        self.keep()

    def _ask(self, waves: Tensor, asked: int, step: float) -> None:
        """Ask each image once: along a new wave, or back along the one that did not help."""
        fresh = self.turned
        self.tried = self.tried + fresh.long()
        self.sign = torch.where(fresh, self.draw(1).squeeze(1).sub(0.5).sign(), -self.sign)
        wave = self.order.gather(1, (self.tried % len(waves)).unsqueeze(1)).squeeze(1)
        along = (step * self.eps * self.sign).view(-1, 1, 1, 1) * waves[wave]
        moved = self.moved + along
        length = moved.flatten(1).norm(dim=1).clamp(min=self.eps)
        moved = moved * (self.eps / length).view(-1, 1, 1, 1)
        moved = (self.clean + moved).clamp(0, 1) - self.clean
        margins = margin(self.model(self.clean + moved), self.labels)
        better = margins < self.margin
        self.moved = torch.where(better.view(-1, 1, 1, 1), moved, self.moved)
        falls = (margins < 0) & (self.fell_at[self.rows] == STANDS)
        self.fell_at[self.rows[falls]] = asked
        self.margin = torch.minimum(margins, self.margin)
        self.turned = better | ~fresh

    def best(self) -> Tensor:
        """Give each image with what was added to it."""
        return self.clean + self.moved


def _waves(images: Tensor, count: int) -> Tensor:
    """Give the ``count`` lowest cosine waves of every channel, each of length 1."""
    channels, height, width = images.shape[1:]
    down, right = _cosines(height).to(images), _cosines(width).to(images)
    places = torch.cartesian_prod(torch.arange(height), torch.arange(width))
    slopes = places[:, 0] / height + places[:, 1] / width
    lowest = places[torch.argsort(slopes, stable=True)][: max(1, count // channels)]
    planes = down[lowest[:, 0]].unsqueeze(2) * right[lowest[:, 1]].unsqueeze(1)
    waves = torch.zeros(len(planes), channels, channels, height, width).to(images)
    for channel in range(channels):
        waves[:, channel, channel] = planes
    return waves.flatten(0, 1)


def _cosines(size: int) -> Tensor:
    """Give the orthonormal cosine transform of ``size`` points, a wave a row."""
    at, waves = torch.arange(size) + 0.5, torch.arange(size).unsqueeze(1)
    table: Tensor = torch.cos(pi * waves * at / size) * (2 / size) ** 0.5
    table[0] *= 0.5**0.5
    return table
