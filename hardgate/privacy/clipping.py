"""How far one row may pull the weights: gradients of single rows, cut to a length and summed.

Abadi et al. (2016), arXiv:1607.00133, for the bound. One pass forward and one back are enough: Bu,
Wang, Zha and Karypis (2023), "Differentially private optimization on large model at small cost",
arXiv:2210.00038. The tests compare with Opacus's gradients per row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from hardgate.errors import ContractError

Known = nn.Linear | nn.Conv2d | nn.LayerNorm


@dataclass(frozen=True)
class Seen:
    """A layer, and what went through it."""

    layer: nn.Module
    inputs: Tensor
    outputs: Tensor


@dataclass(frozen=True)
class Outer:
    """Gradients of a linear layer's rows, never written out: each is an outer product."""

    layer: nn.Linear
    inputs: Tensor
    slopes: Tensor

    def squares(self) -> Tensor:
        """Give the squared length of each row's gradient."""
        ones = 0 if self.layer.bias is None else 1
        return self.slopes.square().sum(1) * (self.inputs.square().sum(1) + ones)

    def add(self, shares: Tensor) -> None:
        """Add a share of each to the layer's gradient."""
        scaled = self.slopes * shares[:, None]
        _add(self.layer.weight, scaled.T @ self.inputs)
        _add(self.layer.bias, scaled.sum(0))


@dataclass(frozen=True)
class Whole:
    """Gradients of a small layer's rows, each written out."""

    layer: nn.Conv2d | nn.LayerNorm
    weight: Tensor  # flat, one line per row
    bias: Tensor

    def squares(self) -> Tensor:
        """Give the squared length of each row's gradient."""
        own = self.weight.square().sum(1)
        return own if self.layer.bias is None else own + self.bias.square().sum(1)

    def add(self, shares: Tensor) -> None:
        """Add a share of each to the layer's gradient."""
        _add(self.layer.weight, (shares @ self.weight).view_as(self.layer.weight))
        _add(self.layer.bias, shares @ self.bias)


def obstacle(model: nn.Module) -> str | None:
    """Name the first kind of layer whose rows cannot be told apart; None if there is none.

    Batch norm is one: a row changes what the layer makes of all others.
    """
    return next((type(layer).__name__ for layer in _learning(model) if not _known(layer)), None)


def add_clipped(model: nn.Module, losses: Callable[[], Tensor], *, bound: float) -> Tensor:
    """Add to the weights' gradients what rows ask for, none more than ``bound`` in all.

    Parameters
    ----------
    losses
        Runs the model once with gradients, and gives one loss per row, shape ``(n,)``.

    Returns
    -------
    Tensor
        The losses.
    """
    seen: list[Seen] = []
    hooks = [layer.register_forward_hook(partial(_note, seen)) for layer in _learning(model)]
    try:
        found = losses()
    finally:
        for hook in hooks:
            hook.remove()
    if len({id(each.layer) for each in seen}) < len(hooks) or len(seen) > len(hooks):
        raise ContractError(
            "a private step must run every layer once; the recipe runs some twice or not at all"
        )
    slopes = torch.autograd.grad(found.sum(), [each.outputs for each in seen])
    parts = [_rows(each, slope) for each, slope in zip(seen, slopes, strict=True)]
    lengths = torch.stack([part.squares() for part in parts]).sum(0).sqrt()
    shares = (bound / lengths).clamp(max=1)  # a length of 0 gives infinity, and so 1
    for part in parts:
        part.add(shares)
    return found.detach()


def _learning(model: nn.Module) -> list[nn.Module]:
    """List the layers with weights of their own."""
    return [m for m in model.modules() if next(m.parameters(recurse=False), None) is not None]


def _known(layer: nn.Module) -> bool:
    match layer:
        case nn.Conv2d():
            return (
                layer.groups == 1
                and layer.padding_mode == "zeros"
                and not isinstance(layer.padding, str)
            )
        case nn.LayerNorm():
            return len(layer.normalized_shape) == 1
        case _:
            return isinstance(layer, nn.Linear)


def _note(seen: list[Seen], layer: nn.Module, inputs: tuple[Tensor], outputs: Tensor) -> None:
    """Keep what went through, unless it is an attack that looks."""
    if torch.is_grad_enabled() and next(layer.parameters(recurse=False)).requires_grad:
        seen.append(Seen(layer, inputs[0].detach(), outputs))


@torch.no_grad()
def _rows(each: Seen, slopes: Tensor) -> Outer | Whole:
    match each.layer:
        case nn.Linear() as layer if each.inputs.dim() == 2:
            return Outer(layer, each.inputs, slopes)
        case nn.Conv2d() as layer:
            patches = functional.unfold(
                each.inputs,
                layer.kernel_size,
                layer.dilation,
                layer.padding,  # type: ignore[arg-type]
                layer.stride,
            )
            slopes = slopes.flatten(2)
            return Whole(layer, (slopes @ patches.transpose(1, 2)).flatten(1), slopes.sum(2))
        case nn.LayerNorm() as layer if each.inputs.dim() == 2:
            plain = functional.layer_norm(each.inputs, layer.normalized_shape, eps=layer.eps)
            return Whole(layer, slopes * plain, slopes)
        case layer:
            raise ContractError(
                f"a layer of kind {type(layer).__name__} with inputs of {each.inputs.dim()} "
                "dimensions has no gradients per row"
            )


@torch.no_grad()
def _add(weight: Tensor | None, gradient: Tensor) -> None:
    if weight is not None:
        weight.grad = gradient if weight.grad is None else weight.grad + gradient
