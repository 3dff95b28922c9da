"""How weights move: torch's own Adam, AdamW or SGD, with clipping, and a state that can be kept.

Kingma and Ba (2015), "Adam", arXiv:1412.6980; Loshchilov and Hutter (2019), "Decoupled weight decay
regularization", arXiv:1711.05101.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from hardgate.errors import ContractError
from hardgate.records import Rate, Record


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
    """The weights of a model, and the optimiser that moves them."""

    def __init__(self, params: Optimiser, model: nn.Module) -> None:
        self.params = params
        self.weights = list(model.parameters())
        matrices = [weight for weight in self.weights if weight.dim() > 1]
        others = [weight for weight in self.weights if weight.dim() <= 1]
        self._optimiser = _build(
            params,
            [
                {"params": matrices, "weight_decay": params.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
        )

    def forget(self) -> None:
        """Drop the gradients of the last batch."""
        self._optimiser.zero_grad(set_to_none=True)

    def step(self, *, factor: float) -> None:
        """Move the weights along their gradients, at ``factor`` times the full rate."""
        if self.params.clip is not None:
            nn.utils.clip_grad_norm_(self.weights, self.params.clip)
        for group in self._optimiser.param_groups:
            group["lr"] = self.params.rate * factor
        self._optimiser.step()

    def tensors(self) -> dict[str, Tensor]:
        """Copy the state, for a checkpoint; empty before the first step."""
        return {
            f"{number}.{name}": value.detach().to("cpu", copy=True).contiguous()
            for number, state in self._optimiser.state_dict()["state"].items()
            for name, value in state.items()
            if value is not None
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go back to a copied state.

        Raises
        ------
        ContractError
            If it is not the state of such an optimiser and such a model.
        """
        plain = self._optimiser.state_dict()
        order = [number for group in plain["param_groups"] for number in group["params"]]
        own = [weight for group in self._optimiser.param_groups for weight in group["params"]]
        shapes = dict(zip(order, (weight.shape for weight in own), strict=True))
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            number, _, name = key.partition(".")
            known = number.isdigit() and int(number) in shapes
            if not known or (value.dim() and value.shape != shapes[int(number)]):
                raise ContractError("these are not the tensors of this optimiser and this model")
            state.setdefault(int(number), {})[name] = value
        if state and state.keys() != shapes.keys():
            raise ContractError("these are not the tensors of this optimiser and this model")
        self._optimiser.load_state_dict({**plain, "state": state})


def _build(params: Optimiser, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    if params.name == "sgd":
        return torch.optim.SGD(groups, lr=params.rate, momentum=params.momentum)
    kind = torch.optim.AdamW if params.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=params.rate, betas=(params.momentum, params.second_momentum))
