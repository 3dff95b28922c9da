"""Projected gradient ascent within a region: the inner loop of training and of our own attacks.

Madry et al. (2018), "Towards deep learning models resistant to adversarial attacks",
arXiv:1706.06083.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hardgate.region import Region


def ascend(
    loss: Callable[[Tensor], Tensor],
    clean: Tensor,
    region: Region,
    *,
    step_size: float,
    steps: int,
    generator: torch.Generator,
    random_start: bool = True,
    start: Tensor | None = None,
) -> Tensor:
    """Climb a loss from each clean input, staying in the region.

    Parameters
    ----------
    loss
        Maps inputs to one loss per sample, shape ``(n,)``.
    clean
        Inputs, left untouched.
    start
        Where to begin, within the region; overrules ``random_start``.

    Returns
    -------
    Tensor
        The last iterate, detached; relaxed as :meth:`Region.project` leaves it.
    """
    if start is None:
        start = region.start(clean, generator) if random_start else clean.detach()
    perturbed = start
    for _ in range(steps):
        with torch.no_grad():
            gradient = gradient_of(loss, perturbed)
            perturbed = region.project(perturbed + region.step(gradient, step_size), clean)
    return perturbed


def gradient_of(loss: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """Differentiate a per-sample loss with respect to its inputs, and to nothing else.

    A model that cuts its graph has a gradient of zero: that is a finding, not an error.
    """
    with torch.enable_grad():
        variable = inputs.detach().requires_grad_()
        total = loss(variable).sum()
        if not total.requires_grad:
            return torch.zeros_like(inputs)
        (gradient,) = torch.autograd.grad(total, variable, allow_unused=True)
    return torch.zeros_like(inputs) if gradient is None else gradient


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Measure the label's logit above the best other one, shape ``(n,)``; negative is wrong."""
    index = labels.unsqueeze(1)
    others = logits.scatter(1, index, -torch.inf).amax(dim=1)
    return logits.gather(1, index).squeeze(1) - others


@contextmanager
def frozen(model: nn.Module) -> Iterator[nn.Module]:
    """Put a model into evaluation mode without parameter gradients; put back what was found.

    Each submodule's mode is restored by itself: a frozen part of a training model stays frozen.
    """
    modes = [(module, module.training) for module in model.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for module, _ in modes:  # not eval(): an exported module refuses it, others do more in it
            module.training = False
        for parameter, _ in wanted:
            parameter.requires_grad_(False)
        yield model
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, flag in wanted:
            parameter.requires_grad_(flag)
