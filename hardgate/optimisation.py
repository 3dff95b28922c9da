"""How weights move: gradient clipping, weight decay, and Adam, AdamW or SGD.

Kingma and Ba (2015), "Adam", arXiv:1412.6980; Loshchilov and Hutter (2019), "Decoupled weight decay
regularization", arXiv:1711.05101. The arithmetic is ours, and compared with torch's in the tests:
the first optimiser of ``torch.optim`` imports torch's compiler, which takes longer than some of
our models take to train.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from hardgate.errors import ContractError
from hardgate.records import Rate, Record

SMALLEST = 1e-8  # Adam's epsilon


class Optimiser(Record):
    """How weights move: ``rate`` is the schedule's full rate, ``clip`` bounds a gradient's length.

    ``weight_decay`` spares biases and norms: they cannot overfit, and need their freedom.
    ``momentum`` is that of SGD, or the first of Adam's two.
    """

    name: Literal["adam", "adamw", "sgd"]
    rate: PositiveFloat
    weight_decay: NonNegativeFloat = 0.0
    momentum: Rate = 0.9
    second_momentum: Rate = 0.999  # adam and adamw only
    clip: PositiveFloat | None = None


class Descent:
    """The weights of a model, and the tensors that move them."""

    def __init__(self, params: Optimiser, model: nn.Module) -> None:
        self.params = params
        self.weights = list(model.parameters())
        self.first = [torch.zeros_like(weight) for weight in self.weights]
        self.second = [] if params.name == "sgd" else list(map(torch.zeros_like, self.weights))
        self.steps = 0

    def forget(self) -> None:
        """Drop the gradients of the last batch."""
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def step(self, *, factor: float) -> None:
        """Move the weights along their gradients, at ``factor`` times the full rate."""
        if self.params.clip is not None:
            nn.utils.clip_grad_norm_(self.weights, self.params.clip)
        self.steps += 1
        rate = self.params.rate * factor
        for number, weight in enumerate(self.weights):
            if weight.grad is not None:
                decay = self.params.weight_decay if weight.dim() > 1 else 0.0
                self._move(number, weight, weight.grad, rate=rate, decay=decay)

    def tensors(self) -> dict[str, Tensor]:
        """Copy the state, for a checkpoint."""
        state = {f"first.{number}": value for number, value in enumerate(self.first)}
        state |= {f"second.{number}": value for number, value in enumerate(self.second)}
        copies = {name: value.to("cpu", copy=True).contiguous() for name, value in state.items()}
        return {**copies, "steps": torch.tensor(self.steps)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go back to a copied state.

        Raises
        ------
        ContractError
            If it is not the state of such an optimiser and such a model.
        """
        own = self.tensors()
        if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in tensors.items()}:
            raise ContractError("these are not the tensors of this optimiser and this model")
        self.steps = int(tensors["steps"])
        for part, values in (("first", self.first), ("second", self.second)):
            for number, value in enumerate(values):
                value.copy_(tensors[f"{part}.{number}"])

    def _move(
        self, number: int, weight: Tensor, gradient: Tensor, *, rate: float, decay: float
    ) -> None:
        params, first = self.params, self.first[number]
        if params.name == "adamw":
            weight.mul_(1 - rate * decay)
        elif decay:
            gradient = gradient + decay * weight
        if params.name == "sgd":
            weight.sub_(first.mul_(params.momentum).add_(gradient), alpha=rate)
            return
        second = self.second[number]
        first.lerp_(gradient, 1 - params.momentum)
        second.mul_(params.second_momentum).addcmul_(
            gradient, gradient, value=1 - params.second_momentum
        )
        # Both averages begin at zero; dividing by these makes up for it.
        first_bias = 1 - params.momentum**self.steps
        second_bias = 1 - params.second_momentum**self.steps
        length = (second.sqrt() / second_bias**0.5).add_(SMALLEST)
        weight.addcdiv_(first, length, value=-rate / first_bias)
