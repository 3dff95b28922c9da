"""Random search with squares: sees logits only.

Andriushchenko, Croce, Flammarion and Hein (2020), "Square attack: a query-efficient black-box
adversarial attack via random search", arXiv:1912.00049. Each query paints a square of the image
anew, at the edge of the ball, and keeps it where the margin shrinks; squares become smaller on the
paper's schedule.

Two departures, both of a Linf ball. All images of a batch try the same place in one step, with
signs of their own, so that painting is a slice; each image alone sees what the paper draws. And a
proposal that would repeat what an image already has is turned into its opposite, as it would be a
wasted query.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from hardgate.attacks.ascent import frozen, margin
from hardgate.attacks.asking import ROWS, ROWS_CUDA, SHRINK_EVERY, STANDS, Searched
from hardgate.attacks.on_images import OnImages
from hardgate.errors import ParamsError
from hardgate.records import InputSpec, Norm
from hardgate.region import Region
from hardgate.threat import Access, Threat

SHARE = 0.8  # of the pixels in the first square, the paper's p
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of HALVINGS_OF queries
HALVINGS_OF = 10_000


class Square(OnImages):
    """Random search with squares; asks ``queries`` times per image at most.

    Without ``queries`` it asks as often as the threat's attacker could. An evaluation of a
    white-box threat may ask more: it looks for the worst case, not for what that attacker can see.
    """

    needs: ClassVar[Access] = "score-based"
    norms: ClassVar[tuple[Norm, ...]] = ("Linf",)
    name: Literal["square"]
    restarts: PositiveInt
    queries: PositiveInt | None = None

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Refuse also a budget too small to search."""
        super().check(spec, threat)
        self._steps(threat)

    def _steps(self, threat: Threat) -> int:
        """Share out the budget: each restart begins with one query of its stripes."""
        queries = self.queries or threat.queries
        steps = queries // self.restarts - 1
        if steps < 1:
            raise ParamsError(
                f"square: {queries} queries (threat.queries, or its own) are too few for "
                f"{self.restarts} restarts; at least {2 * self.restarts} are needed"
            )
        return steps

    def perturb(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        threat: Threat,
        region: Region,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """Keep the worst of all restarts per image; only survivors see the next restart."""
        return self.search(model, inputs, labels, threat, region, generator=generator).inputs

    def search(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        threat: Threat,
        region: Region,
        *,
        generator: torch.Generator,
    ) -> Searched:
        """Search a Linf ball; say also with which query each image fell."""
        worst, steps = inputs.clone(), self._steps(threat)
        margins = inputs.new_full((len(inputs),), torch.inf)
        fell_at = torch.full_like(labels, STANDS)
        with frozen(model), torch.no_grad():
            for restart in range(self.restarts):
                left = (margins > 0).nonzero().flatten()
                if len(left) == 0:
                    break
                for rows in torch.split(left, ROWS_CUDA if inputs.is_cuda else ROWS):
                    search = Search(model, inputs[rows], labels[rows], region.eps, generator)
                    search.run(steps)
                    better = search.margins < margins[rows]
                    worst[rows[better]] = search.worst[better]
                    margins[rows[better]] = search.margins[better]
                    first = (search.fell_at != STANDS) & (fell_at[rows] == STANDS)
                    before = restart * (steps + 1)
                    fell_at[rows[first]] = before + search.fell_at[first]
        return Searched(region.repair(worst, inputs), fell_at)

    def budget(self, threat: Threat) -> int:
        """Count the queries that one image is asked at most."""
        return self.restarts * (self._steps(threat) + 1)


class Search:
    """One search on a batch of images, in a Linf ball; begins with stripes unless told where."""

    def __init__(
        self,
        model: nn.Module,
        clean: Tensor,
        labels: Tensor,
        eps: float,
        generator: torch.Generator,
        start: Tensor | None = None,
    ) -> None:
        self.model, self.generator = model, generator
        self.low, self.high = (clean - eps).clamp_(min=0), (clean + eps).clamp_(max=1)
        self.labels = labels
        self.rows = torch.arange(len(clean), device=clean.device)  # those still searched
        if start is None:
            stripes = self._signs(*clean.shape[:2], 1, clean.shape[3])
            self.image = torch.where(stripes, self.high, self.low)
        else:
            self.image = start.clone()
        self.worst = self.image.clone()
        self.margins = margin(model(self.image), labels)
        self.margin = self.margins
        self.asked = 1
        self.fell_at = torch.where(self.margins < 0, 1, STANDS)

    def run(self, steps: int) -> None:
        """Spend ``steps`` queries per image, fewer on images that fall."""
        _, channels, height, width = self.worst.shape
        for step in range(steps):
            if step % SHRINK_EVERY == 0:
                self._shrink()
                if len(self.rows) == 0:
                    return
            side = max(1, round((_share(step, steps) * height * width) ** 0.5))
            side = min(side, height, width)
            top, left = self._place(height - side), self._place(width - side)
            self._try(slice(top, top + side), slice(left, left + side), channels)
        self._keep()

    def _try(self, rows: slice, columns: slice, channels: int) -> None:
        """Paint one square on every image, and keep it where the margin shrinks."""
        low, high = self.low[:, :, rows, columns], self.high[:, :, rows, columns]
        before = self.image[:, :, rows, columns].clone()
        signs = self._signs(len(self.rows), channels, 1, 1)
        painted = torch.where(signs, high, low)
        same = (painted == before).flatten(1).all(dim=1).view(-1, 1, 1, 1)
        painted = torch.where(signs ^ same, high, low)
        self.image[:, :, rows, columns] = painted
        margins = margin(self.model(self.image), self.labels)
        better = (margins < self.margin).view(-1, 1, 1, 1)
        self.image[:, :, rows, columns] = torch.where(better, painted, before)
        self.asked += 1
        falls = (margins < 0) & (self.margin >= 0)
        self.fell_at[self.rows[falls]] = self.asked
        self.margin = torch.minimum(margins, self.margin)

    def _shrink(self) -> None:
        """Let images that are misclassified leave the search."""
        self._keep()
        left = self.margin >= 0
        if left.all():
            return
        self.image, self.low, self.high = self.image[left], self.low[left], self.high[left]
        self.rows, self.labels, self.margin = self.rows[left], self.labels[left], self.margin[left]

    def _keep(self) -> None:
        self.worst[self.rows] = self.image
        self.margins = self.margins.index_copy(0, self.rows, self.margin)

    def _signs(self, *shape: int) -> Tensor:
        drawn = torch.randint(2, shape, generator=self.generator, device=self.generator.device)
        return drawn.bool().to(self.labels.device)

    def _place(self, room: int) -> int:
        drawn = torch.randint(
            room + 1, (1,), generator=self.generator, device=self.generator.device
        )
        return int(drawn)


def _share(step: int, steps: int) -> float:
    """Give the share of pixels that the square of this step covers."""
    reached = step * HALVINGS_OF / steps
    return SHARE * 0.5 ** sum(reached > halving for halving in HALVINGS)
