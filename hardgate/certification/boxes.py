"""Boxes: a lower and an upper bound for every number of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Box:
    """All tensors between ``lower`` and ``upper``, both of shape ``(n, ...)``."""

    lower: Tensor
    upper: Tensor

    @property
    def centre(self) -> Tensor:
        """The middle."""
        return (self.lower + self.upper) / 2

    @property
    def radius(self) -> Tensor:
        """How far the bounds lie from the middle."""
        return (self.upper - self.lower) / 2

    def to(self, like: Tensor) -> Box:
        """Give the same bounds in the precision of ``like``."""
        return Box(self.lower.to(like), self.upper.to(like))

    def widened(self, slack: Tensor) -> Box:
        """Give the box with each bound ``slack`` further out."""
        return Box(self.lower - slack, self.upper + slack)

    def within(self, other: Box) -> Box:
        """Give what two boxes share."""
        other = other.to(self.lower)
        return Box(torch.maximum(self.lower, other.lower), torch.minimum(self.upper, other.upper))


def around(centre: Tensor, radius: Tensor) -> Box:
    """Give the box of a middle and a radius."""
    return Box(centre - radius, centre + radius)
