"""How ascent in an L1 ball steps: along the few cells where the gradient is steepest.

Croce and Hein (2021), "Mind the box: l1-APGD for sparse adversarial attacks on image classifiers",
arXiv:2103.01208. A step moves the steepest cells by equal amounts; how many depends on how sparse
the best point has become. While it still grows sparser steps are long, and start from that point;
when it no longer does they shrink. There is no momentum. The projection onto ball and box at once
is :func:`hardgate.balls.project_l1`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from hardgate.attacks.autopgd import Attempts
from hardgate.balls import along_l1
from hardgate.region import Region

FIRST_SHARE = 0.2  # of all cells that the first steps move
SPARSER = 1.5  # steps move so many times fewer cells than the best point has changed
STILL_SPARSER = 0.95  # of the cells changed at the checkpoint before
SLOWER = 1.5  # steps shrink by
SHORTEST = 10  # times shorter than the radius
EVERY = 0.04  # of all steps there is a checkpoint


@dataclass
class SparseAttempts(Attempts):
    """Attempts in an L1 ball."""

    longest: ClassVar[float] = 1.0

    moved: Tensor = field(default_factory=lambda: torch.empty(0))  # (r,), cells per step
    changed: Tensor = field(default_factory=lambda: torch.empty(0))  # (r,), at the last checkpoint
    eps: Tensor = field(default_factory=lambda: torch.empty(0))  # (r,)

    def __post_init__(self) -> None:
        cells = float(self.clean[0].numel())
        self.moved = torch.full_like(self.best_loss, max(1.0, FIRST_SHARE * cells))
        self.changed = torch.full_like(self.best_loss, cells)
        self.eps = self.step_size.clone()

    @staticmethod
    def checkpoints(steps: int) -> frozenset[int]:
        """List the steps after which sparsity is looked at."""
        return frozenset(range(0, steps, max(1, int(EVERY * steps)))) - {0}

    def move(self, region: Region, *, momentum: float) -> None:  # noqa: ARG002  there is none
        """Move the steepest cells by equal amounts, the step size in all."""
        slopes = self.gradient.flatten(1).abs()
        places = slopes.argsort(dim=1, descending=True).argsort(dim=1)
        steepest = (places < self.moved.clamp(min=1).unsqueeze(1)).view_as(self.gradient)
        direction = along_l1(self.gradient.sign() * steepest)
        size = self.step_size.view(-1, *[1] * (self.point.dim() - 1))
        self.previous, self.point = (
            self.point,
            region.project(self.point + size * direction, self.clean),
        )

    def mark(self, length: int) -> None:  # noqa: ARG002  the other schedule counts gains
        """Move as many cells as the best point suggests; restart there if it grew sparser."""
        changed = (self.best_point != self.clean).flatten(1).sum(dim=1).to(self.changed)
        sparser = changed < STILL_SPARSER * self.changed
        shorter = (self.step_size / SLOWER).maximum(self.eps / SHORTEST)
        self.step_size = torch.where(sparser, self.eps, shorter)
        back = sparser.view(-1, *[1] * (self.point.dim() - 1))
        self.point = torch.where(back, self.best_point, self.point)
        self.gradient = torch.where(back, self.best_gradient, self.gradient)
        self.moved, self.changed = changed / SPARSER, changed
