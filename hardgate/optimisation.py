"""How weights move: the optimiser, and its learning rate over the course of training.

To add a schedule: write it, then name it in the union at the end. A schedule is a function of how
far training is, so a resumed run needs no state to go on. Smith (2018), "A disciplined approach to
neural network hyper-parameters", arXiv:1803.09820, for the one-cycle form that fast adversarial
training leans on; Loshchilov and Hutter (2017), "SGDR", arXiv:1608.03983, for the cosine.
"""

from __future__ import annotations

from math import cos, pi
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator
from torch import Tensor, nn

from hardgate.records import Rate, Record

Share = Annotated[float, Field(gt=0, lt=1)]


class Optimiser(Record):
    """How weights move: ``rate`` is the schedule's full rate, ``clip`` bounds a gradient's length.

    ``weight_decay`` spares biases and norms: they cannot overfit, and need their freedom.
    """

    name: Literal["adam", "adamw", "sgd"]
    rate: PositiveFloat
    weight_decay: NonNegativeFloat = 0.0
    momentum: Rate = 0.9  # sgd only
    clip: PositiveFloat | None = None

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """Build the optimiser of a model's weights."""
        weights = list(model.parameters())
        groups = [
            {"params": [w for w in weights if w.dim() > 1], "weight_decay": self.weight_decay},
            {"params": [w for w in weights if w.dim() <= 1], "weight_decay": 0.0},
        ]
        if self.name == "sgd":
            return torch.optim.SGD(groups, lr=self.rate, momentum=self.momentum)
        kind = torch.optim.AdamW if self.name == "adamw" else torch.optim.Adam
        return kind(groups, lr=self.rate)

    def step(self, model: nn.Module, optimiser: torch.optim.Optimizer, *, factor: float) -> None:
        """Move the weights along their gradients, at ``factor`` times the full rate."""
        if self.clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), self.clip)
        for group in optimiser.param_groups:
            group["lr"] = self.rate * factor
        optimiser.step()


def tensors_of(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Copy an optimiser's tensors, by the number of the weight and the tensor's name."""
    return {
        f"{number}.{name}": value.detach().to("cpu", copy=True).contiguous()
        for number, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
        if value is not None
    }


def restore(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimiser back the tensors that :func:`tensors_of` copied."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


class Constant(Record):
    """The same rate throughout."""

    name: Literal["constant"]

    def factor(self, progress: float) -> float:  # noqa: ARG002  one interface
        """Give the share of the full rate at ``progress`` in [0, 1]."""
        return 1.0


class Cosine(Record):
    """Half a cosine wave from the full rate to ``floor`` times it."""

    name: Literal["cosine"]
    floor: Rate = 0.0

    def factor(self, progress: float) -> float:
        """Give the share of the full rate at ``progress`` in [0, 1]."""
        return self.floor + (1 - self.floor) * (1 + cos(pi * progress)) / 2


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


Schedule = Annotated[Constant | Cosine | OneCycle | Piecewise, Field(discriminator="name")]
