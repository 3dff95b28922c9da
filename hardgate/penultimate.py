"""What a network makes of its inputs just before it answers: the inputs of its last linear layer.

Alain and Bengio (2016), "Understanding intermediate layers using linear classifier probes": the
last layer is a linear classifier, and everything before it a map to features of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hardgate import samples
from hardgate.errors import ContractError


def head(model: nn.Module) -> nn.Linear:
    """Find the last linear layer.

    Raises
    ------
    ContractError
        If the network has none.
    """
    found = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not found:
        raise ContractError(f"{type(model).__name__} has no linear layer, so it has no features")
    return found[-1]


def features(model: nn.Module, inputs: Tensor, *, batch_size: int) -> Tensor:
    """Give the inputs of the last linear layer, shape ``(n, width)``, on the CPU."""
    return observe(model, inputs, batch_size=batch_size)[0]


def observe(model: nn.Module, inputs: Tensor, *, batch_size: int) -> tuple[Tensor, Tensor]:
    """Give the inputs of the last linear layer, and what the model answers, both on the CPU.

    uint8 images are scaled batch by batch; the model's mode is left as it is.
    """
    last = head(model)
    device = last.weight.device
    caught: list[Tensor] = []

    def catch(_layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        caught.append(arguments[0].detach().flatten(1).cpu())

    hook = last.register_forward_pre_hook(catch)
    try:
        with torch.no_grad():
            answers = [
                model(samples.as_floats(batch).to(device)).cpu()
                for batch in torch.split(inputs, batch_size)
            ]
    finally:
        hook.remove()
    return torch.cat(caught), torch.cat(answers)
