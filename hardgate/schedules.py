"""Learning rates over the course of training. To add one: write it, then name it in the union.

A schedule is a function of how far training is, so a resumed run needs no state to go on. Smith
(2018), "A disciplined approach to neural network hyper-parameters", arXiv:1803.09820, for the
one-cycle form that fast adversarial training leans on; Loshchilov and Hutter (2017), "SGDR",
arXiv:1608.03983, for the cosine and its warm restarts.
"""

from __future__ import annotations

from math import cos, pi
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hardgate.records import Rate, Record

Share = Annotated[float, Field(gt=0, lt=1)]


class Constant(Record):
    """The same rate throughout."""

    name: Literal["constant"]

    def factor(self, progress: float) -> float:  # noqa: ARG002  one interface
        """Give the share of the full rate at ``progress`` in [0, 1]."""
        return 1.0


class Cosine(Record):
    """The full rate for ``hold`` of training, then half a cosine wave to ``floor`` times it."""

    name: Literal["cosine"]
    floor: Rate = 0.0
    hold: float = Field(0.0, ge=0, lt=1)

    def factor(self, progress: float) -> float:
        """Give the share of the full rate at ``progress`` in [0, 1]."""
        late = max(0.0, (progress - self.hold) / (1 - self.hold))
        return self.floor + (1 - self.floor) * (1 + cos(pi * late)) / 2


class WarmRestarts(Record):
    """``cycles`` half cosine waves, each ``growth`` times as long as the one before it.

    Every wave falls from the full rate to ``floor`` times it; training ends at the end of one.
    """

    name: Literal["warm-restarts"]
    cycles: int = Field(ge=2)
    growth: float = Field(2.0, ge=1)
    floor: Rate = 0.0

    def factor(self, progress: float) -> float:
        """Give the share of the full rate at ``progress`` in [0, 1]."""
        lengths = [self.growth**number for number in range(self.cycles)]
        left = progress * sum(lengths)
        for length in lengths[:-1]:
            if left < length:
                break
            left -= length
        else:
            length = lengths[-1]
        return self.floor + (1 - self.floor) * (1 + cos(pi * min(1.0, left / length))) / 2


class OneCycle(Record):
    """Straight up from nothing to the full rate at ``peak``, then straight down to nothing."""

    name: Literal["one-cycle"]
    peak: Share = 0.4

    def factor(self, progress: float) -> float:
        """Give the share of the full rate at ``progress`` in [0, 1]."""
        return min(progress / self.peak, (1 - progress) / (1 - self.peak))


class Piecewise(Record):
    """The full rate, times ``drop`` from each milestone on; milestones are shares of training."""

    name: Literal["piecewise"]
    milestones: tuple[Share, ...] = Field(min_length=1)
    drop: Share = 0.1

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones {list(self.milestones)} do not ascend")
        return self

    def factor(self, progress: float) -> float:
        """Give the share of the full rate at ``progress`` in [0, 1]."""
        passed = sum(progress >= milestone for milestone in self.milestones)
        return float(self.drop**passed)


Schedule = Annotated[
    Constant | Cosine | WarmRestarts | OneCycle | Piecewise, Field(discriminator="name")
]
