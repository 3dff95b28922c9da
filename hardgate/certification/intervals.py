"""Interval bound propagation: what each layer can make of a box, from the inputs to the logits.

Gowal et al. (2018), "On the effectiveness of interval bound propagation for training verifiably
robust models", arXiv:1810.12715.

With ``rounded`` the boxes also hold what the network *computes* in its own precision, in whatever
order it adds: a sum of ``m`` products is off by at most ``m`` units in the last place of the sum
of their sizes (Higham (2002), "Accuracy and stability of numerical algorithms", chapter 3).
Training does without: it costs a third product per layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hardgate.architectures.inputs import Normalise, Saturate, TableEncoder
from hardgate.architectures.residual_mlp import Block
from hardgate.certification.boxes import Box, around
from hardgate.errors import ContractError

Affine = nn.Linear | nn.Conv2d
Smooth = nn.SiLU | nn.GELU
# Each output grows, or stays, with every input, also as computed.
MONOTONE = (
    Normalise,
    Saturate,
    nn.ReLU,
    nn.MaxPool2d,
    nn.Flatten,
    nn.PixelUnshuffle,
    nn.ZeroPad2d,
)
IGNORED = (nn.Dropout, nn.Identity)  # bounds are those of evaluation mode
LOWEST = {nn.SiLU: -1.2784645427610738, nn.GELU: -0.7517915246935645}  # where they turn
SPARE = 8  # rounding beyond the products of a sum: its bias, middle, radius and ends
TINY = 1e-12  # keeps the gradients of roots and quotients finite


@dataclass(frozen=True)
class Step:
    """A layer, the boxes before and after it, and how far its own rounding can put it off."""

    layer: nn.Module
    before: Box
    after: Box
    error: Tensor | None = None  # shaped as what comes after


def layers(model: nn.Module) -> list[nn.Module]:
    """List the layers in order; what does nothing in evaluation mode is left out."""
    if isinstance(model, nn.Sequential):
        return [layer for part in model for layer in layers(part)]
    return [] if isinstance(model, IGNORED) else [model]


def obstacle(model: nn.Module) -> str | None:
    """Name the first kind of layer that cannot be bounded; None if there is none."""
    for layer in layers(model):
        inner = obstacle(layer.branch) if isinstance(layer, Block) else None
        if inner or not _known(layer):
            return inner or type(layer).__name__
    return None


def _known(layer: nn.Module) -> bool:
    match layer:
        case nn.Conv2d():
            return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
        case nn.GELU():
            return layer.approximate == "none"
        case nn.MaxPool2d():
            plain = layer.padding == 0 and layer.dilation == 1 and not layer.ceil_mode
            return plain and layer.kernel_size == layer.stride
        case nn.LayerNorm():
            return len(layer.normalized_shape) == 1 and layer.bias is not None
        case _:
            return isinstance(layer, (*MONOTONE, TableEncoder, nn.Linear, nn.SiLU, Block))


def propagate(model: nn.Module, box: Box, *, rounded: bool) -> list[Step]:
    """Carry a box of inputs through the network, layer by layer.

    Parameters
    ----------
    box
        Raw inputs, as the model takes them. Gradients flow through to the weights.
    rounded
        Let the bounds hold for what the network computes, not for what it means alone.

    Raises
    ------
    ContractError
        If a layer cannot be bounded; names its kind.
    """
    steps: list[Step] = []
    for layer in layers(model):
        steps.append(passed(layer, steps[-1].after if steps else box, rounded=rounded))
    return steps


def passed(layer: nn.Module, box: Box, *, rounded: bool) -> Step:
    """Carry a box through one layer."""
    match layer:
        case nn.Linear() | nn.Conv2d():
            return _affine(layer, box, rounded=rounded)
        case nn.SiLU() | nn.GELU():
            return _smooth(layer, box, rounded=rounded)
        case nn.LayerNorm():
            return _layer_norm(layer, box, rounded=rounded)
        case TableEncoder():
            # Numbers grow with their columns; categories and gaps are beyond an attacker's reach.
            after = Box(layer(box.lower), layer(box.upper))
            return _off(layer, box, after, rounded=rounded and layer.squash)
        case Block():
            branch = propagate(layer.branch, box, rounded=rounded)[-1].after
            after = Box(box.lower + branch.lower, box.upper + branch.upper)
            return _off(layer, box, after, rounded=rounded)
        case _ if isinstance(layer, MONOTONE):
            return Step(layer, box, Box(layer(box.lower), layer(box.upper)))
        case _:
            raise ContractError(f"a layer of kind {type(layer).__name__} cannot be bounded")


def applied(layer: Affine, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply an affine layer with other weights."""
    if isinstance(layer, nn.Linear):
        return functional.linear(inputs, weight, bias)
    return functional.conv2d(
        inputs,
        weight,
        bias,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
    )


def _affine(layer: Affine, box: Box, *, rounded: bool) -> Step:
    # Half the weights and whole sums: two passes over the activations less.
    half, sizes = layer.weight / 2, layer.weight.abs() / 2
    middle = applied(layer, box.lower + box.upper, half, layer.bias)
    spread = applied(layer, box.upper - box.lower, sizes, None)
    if not rounded:
        return Step(layer, box, around(middle, spread))
    unit = torch.finfo(half.dtype).eps * (layer.weight[0].numel() + SPARE)
    bias = None if layer.bias is None else layer.bias.abs()
    largest = torch.maximum(box.lower.abs(), box.upper.abs())
    error = unit * applied(layer, largest, layer.weight.abs(), bias)
    return Step(layer, box, around(middle, spread + error), error)


def _smooth(layer: Smooth, box: Box, *, rounded: bool) -> Step:
    """Bound a function that falls to its lowest point and rises from there."""
    turn = LOWEST[type(layer)]
    ends = layer(box.lower), layer(box.upper)
    lowest = layer(box.lower.new_tensor(turn))
    crosses = (box.lower < turn) & (box.upper > turn)
    lower = torch.where(crosses, lowest, torch.minimum(*ends))
    return _off(layer, box, Box(lower, torch.maximum(*ends)), rounded=rounded)


def _layer_norm(layer: nn.LayerNorm, box: Box, *, rounded: bool) -> Step:
    """Bound deviations from the mean, divided by bounds of their spread.

    The spread is a norm of the deviations, so the radius moves it by no more than its own norm.
    """
    width = layer.normalized_shape[0]
    centre, radius = box.centre, box.radius
    deviation = centre - centre.mean(-1, keepdim=True)
    reach = radius * (1 - 2 / width) + radius.mean(-1, keepdim=True)
    low, high = deviation - reach, deviation + reach
    spread, moved = _rms(deviation), _rms(radius)
    apart = torch.maximum(low, -high).clamp(min=0)  # from the mean, at least
    least = torch.maximum((spread - moved).clamp(min=0), _rms(apart))
    shrink = ((least**2 + layer.eps).rsqrt(), ((spread + moved) ** 2 + layer.eps).rsqrt())
    most = (width - 1) ** 0.5  # no number of ``width`` lies further from their mean
    lower = torch.where(low < 0, low * shrink[0], low * shrink[1]).clamp(min=-most)
    upper = torch.where(high > 0, high * shrink[0], high * shrink[1]).clamp(max=most)
    weight, bias = layer.weight, layer.bias
    plain = Box(lower, upper)
    scaled = around(plain.centre * weight + bias, plain.radius * weight.abs())
    if not rounded:
        return Step(layer, box, scaled)
    unit = torch.finfo(centre.dtype).eps * (width + SPARE)
    size = (centre.abs() + radius).amax(-1, keepdim=True) * shrink[0]
    # Rounded deviations over the least spread, and a spread that cancellation puts off: Chan, Golub
    # and LeVeque (1983), "Algorithms for computing the sample variance", for one pass.
    error = unit * (weight.abs() * (2 * size + most * (1 + size)) + bias.abs())
    return Step(layer, box, scaled.widened(error), error)


def _off(layer: nn.Module, before: Box, after: Box, *, rounded: bool) -> Step:
    """Widen what was computed elementwise, each number within a few units of its last place."""
    if not rounded:
        return Step(layer, before, after)
    size = torch.maximum(after.lower.abs(), after.upper.abs()) + 1
    error = SPARE * torch.finfo(size.dtype).eps * size
    return Step(layer, before, after.widened(error), error)


def _rms(values: Tensor) -> Tensor:
    mean = values.square().mean(-1, keepdim=True)
    return mean.clamp(min=TINY**2).sqrt()
